//! The demo seen from outside: through raw Redis, and from the outside of its process.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use qtop::demo::{self, Demo, DemoError, DemoOptions};
use qtop::domain::ids::ServerId;
use qtop::domain::snapshot::Snapshot;
use qtop::engine::scope::Scope;
use qtop::engine::{self, EngineConfig, EngineHandles, Limits, Pace};
use qtop::link::ConnectOptions;
use qtop_testkit::{Terminal, alive, wait_until};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);

fn options(home: &tempfile::TempDir) -> DemoOptions {
    let search_path = std::env::var_os("PATH").expect("PATH is set");
    DemoOptions { yes: false, data_directory: home.path().to_owned(), search_path }
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn int(demo: &Demo, words: &[&str]) -> i64 {
    let mut connection = redis::Client::open(demo.url()).expect("a URL").get_connection().expect("a connection");
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query(&mut connection).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// The directory of the socket in `redis+unix://…/redis.sock`.
fn directory(demo: &Demo) -> PathBuf {
    let socket = PathBuf::from(demo.url().strip_prefix("redis+unix://").expect("a socket"));
    socket.parent().expect("a socket lies in a directory").to_owned()
}

#[tokio::test]
async fn jobs_are_added_run_with_progress_finish_and_fail() {
    let home = home();
    let demo = demo::start(options(&home)).await.expect("the demo starts");
    assert_eq!(directory(&demo).metadata().unwrap().permissions().mode() & 0o777, 0o700);

    assert_eq!(int(&demo, &["LLEN", "bull:cleanup:paused"]) + int(&demo, &["LLEN", "bull:cleanup:wait"]), 14);
    assert_eq!(int(&demo, &["HEXISTS", "bull:cleanup:meta", "paused"]), 1);
    assert_eq!(int(&demo, &["ZCARD", "bull:digest:repeat"]), 2);
    assert_eq!(int(&demo, &["EXISTS", "{shop}:orders:meta"]), 1);
    wait_until("a finished order", LIMIT, || int(&demo, &["ZCARD", "{shop}:orders:completed"]) > 0);
    wait_until("a report that waits for its pages", LIMIT, || {
        int(&demo, &["ZCARD", "bull:reports:waiting-children"]) > 0
    });
    wait_until("a film that tells its progress", LIMIT, || {
        let mut connection = redis::Client::open(demo.url()).unwrap().get_connection().unwrap();
        let active: Vec<String> =
            redis::cmd("LRANGE").arg("bull:video:active").arg(0).arg(9).query(&mut connection).unwrap();
        active.iter().any(|id| {
            let told: Option<String> =
                redis::cmd("HGET").arg(format!("bull:video:{id}")).arg("progress").query(&mut connection).unwrap();
            told.is_some_and(|told| told.contains("\"text\""))
        })
    });
    wait_until("a bound report", LIMIT, || int(&demo, &["ZCARD", "bull:reports:completed"]) > 0);
    wait_until("a failed job", 2 * LIMIT, || {
        let failed = ["bull:webhooks:failed", "bull:thumbnails:failed", "{shop}:orders:failed"];
        failed.iter().any(|key| int(&demo, &["ZCARD", key]) > 0)
    });
    wait_until("a mail that is tried again later", LIMIT, || int(&demo, &["ZCARD", "bull:mail:delayed"]) > 0);
    wait_until("the backlog nobody works on to grow", LIMIT, || int(&demo, &["LLEN", "bull:imports:wait"]) > 180);

    assert_eq!(demo.described().lists[0].name, "transcripts");
    wait_until("a heartbeat of the list's workers", LIMIT, || int(&demo, &["PTTL", "audio:worker:scribe-1"]) > 0);
    wait_until("a finished transcript", LIMIT, || int(&demo, &["EXISTS", "audio:count:finished"]) > 0);
    assert!(int(&demo, &["LLEN", "audio:dead"]) >= 19);
    assert!(int(&demo, &["XLEN", "events:clicks"]) >= 30);
    assert_eq!(demo.notes().len(), 1, "nothing was left out: {:?}", demo.notes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qtop_sees_everything_the_demo_has() {
    let home = home();
    let demo = demo::start(options(&home)).await.expect("the demo starts");
    let cancel = CancellationToken::new();
    let handles: EngineHandles<u8> = engine::start(
        EngineConfig {
            server: ServerId("demo".into()),
            connect: ConnectOptions::new(demo.url()),
            systems: Arc::new(qtop::systems::all(demo.described())),
            scope: Scope::default(),
            limits: Limits::default(),
            pace: Pace { interval: Duration::from_millis(200), ..Pace::default() },
            cache: None,
        },
        &cancel,
    );
    let names = || -> BTreeSet<String> {
        let snapshot = handles.snapshots.borrow().clone();
        let queues = snapshot.instances.iter().flat_map(|instance| &instance.queues);
        queues.map(|queue| format!("{}:{}", queue.id.instance.system, queue.id.name)).collect()
    };
    let bullmq = ["mail", "video", "thumbnails", "webhooks", "imports", "cleanup", "digest", "pages", "reports"];
    let shop = ["orders", "invoices"];
    let mut expected: BTreeSet<String> = bullmq.iter().chain(&shop).map(|name| format!("bullmq:{name}")).collect();
    expected.insert("list:transcripts".to_owned());
    expected.insert("arq:arq:queue".to_owned());
    expected.insert("stream:events:clicks/analytics".to_owned());
    wait_until("all queues of the demo", LIMIT, || expected.is_subset(&names()));
    let broken = |snapshot: &Snapshot| -> Vec<String> {
        let queues = snapshot.instances.iter().flat_map(|instance| &instance.queues);
        queues.filter_map(|queue| Some(format!("{}: {}", queue.id.name, queue.error.as_ref()?))).collect()
    };
    assert_eq!(broken(&handles.snapshots.borrow().clone()), Vec::<String>::new());
    wait_until("the pause, the rate limit and an offer", LIMIT, || {
        let snapshot = handles.snapshots.borrow().clone();
        let queues: Vec<_> = snapshot.instances.iter().flat_map(|instance| &instance.queues).collect();
        queues.iter().any(|queue| queue.conditions.paused == Some(true))
            && queues.iter().any(|queue| queue.conditions.rate_limit.is_some())
            && snapshot.discovery.offers.iter().any(|offer| offer.key.to_text() == "newsletter:queue")
    });
    cancel.cancel();
}

#[tokio::test]
async fn nothing_is_left_when_it_ends() {
    let home = home();
    let demo = demo::start(options(&home)).await.expect("the demo starts");
    let (pid, directory) = (demo.server_pid(), directory(&demo));
    assert!(alive(pid) && directory.exists());
    let start = std::time::Instant::now();
    drop(demo);
    assert!(start.elapsed() < Duration::from_secs(3), "ending took {:?}", start.elapsed());
    assert!(!directory.exists());
    wait_until("the server to be gone", LIMIT, || !alive(pid));
}

/// Set for the copy of this test program that is to be killed.
const TO_BE_KILLED: &str = "QTOP_TEST_DEMO_TO_BE_KILLED";

#[tokio::test]
async fn nothing_is_left_after_kill_9() {
    let home = home();
    if std::env::var_os(TO_BE_KILLED).is_some() {
        let demo = demo::start(options(&home)).await.expect("the demo starts");
        println!("\nstarted {} {}", demo.server_pid(), directory(&demo).display());
        std::thread::sleep(LIMIT);
        panic!("nobody killed this process");
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_is_left_after_kill_9", "--nocapture"])
        .env(TO_BE_KILLED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let said = lines.find_map(|line| line.strip_prefix("started ").map(str::to_owned)).expect("the demo started");
    let (pid, directory) = said.split_once(' ').unwrap();
    let (pid, directory) = (pid.parse().unwrap(), PathBuf::from(directory));
    assert!(alive(pid) && directory.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the server of the killed process to be gone", LIMIT, || !alive(pid));
    wait_until("its directory to be gone", LIMIT, || !directory.exists());
}

#[tokio::test]
async fn without_a_server_it_asks_and_takes_no_answer_for_no() {
    let home = home();
    let options = DemoOptions { search_path: OsString::from(home.path()), ..options(&home) };
    assert!(matches!(demo::start(options.clone()).await, Err(DemoError::NoCargo)));

    let cargo = home.path().join("cargo");
    std::fs::write(&cargo, "#!/bin/sh\nexit 7\n").unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Tests have no terminal, so nobody can say yes.
    assert!(matches!(demo::start(options.clone()).await, Err(DemoError::NoServer)));
    let refused = demo::start(DemoOptions { yes: true, ..options }).await;
    let Err(DemoError::Build { command, cause }) = refused else { panic!("the build fails") };
    assert!(command.contains("cargo install meebis") && command.contains("--locked"), "{command}");
    assert!(cause.contains('7'), "{cause}");
}

#[tokio::test]
async fn a_server_built_earlier_is_used_again_and_told_nothing_it_does_not_know() {
    let home = home();
    let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .flat_map(|directory| ["redis-server", "valkey-server"].map(|name| directory.join(name)))
        .find(|candidate| candidate.is_file())
        .expect("a server on PATH");
    let built = home.path().join("meebis-0.15.0/bin/meebis");
    std::fs::create_dir_all(built.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\n[ $# -eq 2 ] && [ \"$1\" = --unixsocket ] && exec {} --port 0 --save '' \"$@\"",
        real.display()
    );
    std::fs::write(&built, script).unwrap();
    std::fs::set_permissions(&built, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Nothing to search in: neither a server nor cargo.
    let demo = demo::start(DemoOptions { search_path: OsString::new(), ..options(&home) }).await.expect("it starts");
    assert!(demo.notes()[0].contains("meebis"), "{:?}", demo.notes());
}

#[tokio::test]
async fn a_server_that_does_not_start_is_reported_with_its_words() {
    let home = home();
    let server = home.path().join("redis-server");
    std::fs::write(&server, "#!/bin/sh\necho 'no luck today'\nexit 3\n").unwrap();
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = demo::start(DemoOptions { search_path: OsString::from(home.path()), ..options(&home) }).await.err();
    assert!(error.is_some_and(|error| error.to_string().contains("no luck today")));
}

#[test]
fn the_runner_screen_shows_jobs_that_qtop_runs_itself_and_q_does_not_wait_for_them() {
    let mut terminal = Terminal::builder(env!("CARGO_BIN_EXE_qtop")).args(["demo", "--yes"]).size(120, 30).spawn();
    terminal.wait_for_text("arq:queue", LIMIT);
    terminal.wait_for_text("6 Runner", LIMIT);
    terminal.send("6");
    terminal.wait_for("a pool at work, with what became of its first jobs", LIMIT, |screen| {
        let text = screen.contents();
        text.contains("arq:arq:queue") && text.contains("consuming") && text.contains("done")
    });
    let begun = std::time::Instant::now();
    terminal.send("q");
    assert_eq!(terminal.wait_exit(LIMIT).code, 0);
    assert!(begun.elapsed() < Duration::from_secs(3), "leaving took {:?}", begun.elapsed());
}
