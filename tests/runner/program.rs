//! The built program as a service: `qtop run` with real commands as handlers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use qtop_testkit::{TestServer, signal, wait_until};

const QTOP: &str = env!("CARGO_BIN_EXE_qtop");

/// A folder with a configuration in which one list is worked on by a shell script that appends to `ran`.
pub struct Home(tempfile::TempDir);

impl Home {
    /// The script is started for every job.
    pub fn new(server: &TestServer, script: &str, pool: &str) -> Self {
        Self::with(server, script, pool, "command", ", \"{id}\"")
    }

    /// The script is one long-lived process that takes jobs as lines.
    pub fn process(server: &TestServer, script: &str, pool: &str) -> Self {
        Self::with(server, script, pool, "process", "")
    }

    /// The same on a queue of another system, with a table that describes what that needs.
    pub fn process_on(server: &TestServer, queue: &str, described: &str, script: &str, pool: &str) -> Self {
        Self::made(server, queue, described, script, pool, ("process", ""))
    }

    fn with(server: &TestServer, script: &str, pool: &str, kind: &str, more: &str) -> Self {
        let described = format!("[[list]]\n{}", crate::bench::LIST);
        Self::made(server, "list:mail", &described, script, pool, (kind, more))
    }

    /// With everything said: queue, what describes it, script, more of the pool, kind of the handler and more arguments.
    pub fn made(
        server: &TestServer,
        queue: &str,
        described: &str,
        script: &str,
        pool: &str,
        (kind, more): (&str, &str),
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("job");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        let mut mode = fs::metadata(&program).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
        fs::set_permissions(&program, mode).unwrap();
        let config = format!(
            "[server.test]\nurl = \"{}\"\n{described}\n[runner]\nname = \"test\"\nlease = \"4s\"\ngrace = \"3s\"\n\
             [[runner.pool]]\nqueue = \"{queue}\"\n{pool}\n[[runner.pool.handler]]\nmatch = \"*\"\n\
             {kind} = [{:?}, {:?}{more}]\n",
            server.url(),
            program.display().to_string(),
            home.path().join("ran").display().to_string(),
        );
        fs::write(home.path().join("config.toml"), config).unwrap();
        Self(home)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program over the configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(QTOP);
        command.args(arguments).arg("--config").arg(self.path().join("config.toml"));
        command.env("HOME", self.path()).env("XDG_STATE_HOME", self.path().join("state"));
        command.env_remove("REDIS_URL").stdin(Stdio::null());
        command
    }

    /// Starts the program.
    pub fn run(&self) -> Child {
        self.run_with(&[])
    }

    /// The same with more variables.
    pub fn run_with(&self, variables: &[(&str, &std::ffi::OsStr)]) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path().join("log")).unwrap();
        self.command(&["run"]).envs(variables.iter().copied()).stderr(log).spawn().unwrap()
    }

    /// Ids by how often they ran, as the script noted.
    pub fn ran(&self) -> BTreeMap<String, usize> {
        let mut ran = BTreeMap::new();
        for line in fs::read_to_string(self.path().join("ran")).unwrap_or_default().lines() {
            *ran.entry(line.to_owned()).or_insert(0) += 1;
        }
        ran
    }
}

/// Adds numbered jobs to the list.
pub fn fill(server: &TestServer, from: usize, count: usize) {
    let mut client = server.client();
    for number in from..from + count {
        let _: i64 =
            redis::cmd("LPUSH").arg("mail").arg(format!("{{\"id\":\"{number}\"}}")).query(&mut client).unwrap();
    }
}

/// Waits for the end and tells the exit code.
pub fn wait(child: &mut Child, limit: Duration) -> i32 {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        assert!(start.elapsed() < limit, "the program did not end within {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn r8_signals_end_the_program_in_good_order() {
    let server = TestServer::start();
    let home = Home::new(&server, "echo $2 >> $1; sleep 1", "concurrency = 4");
    fill(&server, 0, 6);
    let mut child = home.run();
    wait_until("four runs", Duration::from_secs(20), || home.ran().len() == 4);
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0, "nothing was cut");
    assert_eq!((home.ran().len(), server.int("LLEN mail")), (4, 2));
    let home = Home::new(&server, "echo $2 >> $1; exec sleep 600", "concurrency = 2");
    let mut child = home.run();
    wait_until("two runs", Duration::from_secs(20), || home.ran().len() == 2);
    signal(child.id(), "INT");
    std::thread::sleep(Duration::from_millis(300));
    signal(child.id(), "INT");
    assert_eq!(wait(&mut child, Duration::from_secs(15)), 3, "jobs were put back");
    assert_eq!(server.int("LLEN mail"), 2);
    let log = fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("2 put back"), "{log}");
}

#[test]
fn a_killed_program_loses_nothing() {
    let server = TestServer::start();
    let home = Home::new(&server, "echo $2 >> $1; sleep 0.05", "concurrency = 4");
    fill(&server, 0, 120);
    for _ in 0..4 {
        let before = home.ran().len();
        let mut child = home.run();
        wait_until("some runs", Duration::from_secs(20), || home.ran().len() > before + 5);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut child = home.run();
    wait_until("every job", Duration::from_secs(60), || home.ran().len() == 120);
    wait_until("an empty list", Duration::from_secs(30), || {
        let held: Vec<String> = redis::from_redis_value(server.run("KEYS mail*")).unwrap();
        !held.iter().any(|key| key == "mail" || key.contains("processing"))
    });
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
    let twice = home.ran().values().filter(|times| **times > 1).count();
    assert!(twice <= 16, "only what ran at a kill may run again: {twice}");
    assert_eq!(server.int("EXISTS mail:dead"), 0);
}

#[test]
fn a_changed_configuration_is_taken_over_while_jobs_run() {
    let server = TestServer::start();
    let home = Home::new(&server, "echo $2 >> $1; sleep 3", "concurrency = 1");
    fill(&server, 0, 4);
    let mut child = home.run();
    wait_until("one run", Duration::from_secs(20), || home.ran().len() == 1);
    let file = home.path().join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("concurrency = 1", "concurrency = 3")).unwrap();
    wait_until("two more at once", Duration::from_millis(2_500), || home.ran().len() == 3);
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
}

#[test]
fn what_cannot_work_is_said_at_the_start() {
    let server = TestServer::start();
    fill(&server, 0, 1);
    let home = Home::new(&server, "true", "");
    fs::remove_file(home.path().join("job")).unwrap();
    let output = home.command(&["run"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && text.contains("job"), "{text}");
    let config = fs::read_to_string(home.path().join("config.toml")).unwrap();
    let without: String = config.split("[[runner.pool]]").next().unwrap().to_owned();
    fs::write(home.path().join("config.toml"), without).unwrap();
    let output = home.command(&["run"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && text.contains("[[runner.pool]]"), "{text}");
    assert_eq!(server.int("LLEN mail"), 1, "no job was eaten");
}

/// The list describes no place for errors, the configuration and the program are named by relative paths.
#[test]
fn what_the_runner_gave_up_is_shown_with_its_reason() {
    let server = TestServer::start();
    fill(&server, 0, 2);
    let home = Home::new(&server, "echo the printer has no paper >&2; exit 3", "retry = { attempts = 1 }");
    let file = home.path().join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let program = format!("{:?}", home.path().join("job").display().to_string());
    let text = text.replace(", name = \"type\", attempts = \"attempts\", error = \"last_error\"", "");
    fs::write(&file, text.replace(&program, "\"./job\"")).unwrap();
    let beside = |arguments: &[&str]| {
        let mut command = Command::new(QTOP);
        command.args(arguments).args(["--config", "config.toml"]).current_dir(home.path());
        command.env("HOME", home.path()).env_remove("REDIS_URL").stdin(Stdio::null());
        command
    };
    let mut child = beside(&["run"]).stderr(Stdio::null()).spawn().unwrap();
    wait_until("two dead items", Duration::from_secs(20), || server.int("LLEN mail:dead") == 2);
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
    let shown = beside(&["failures"]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("the printer has no paper"), "{shown}");
}

#[test]
fn s11_metrics_are_served_only_when_asked_for_and_name_no_job() {
    let server = TestServer::start();
    fill(&server, 0, 3);
    let home = Home::new(&server, "echo $2 >> $1", "");
    let port = qtop_testkit::free_port();
    let file = home.path().join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let asked =
        text.replace("name = \"test\"\nlease", &format!("name = \"test\"\nmetrics = \"127.0.0.1:{port}\"\nlease"));
    fs::write(&file, asked).unwrap();
    let mut child = home.run();
    wait_until("three runs", Duration::from_secs(20), || home.ran().len() == 3);
    let get = |path: &str| {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    wait_until("the counts", Duration::from_secs(10), || {
        get("/metrics").contains("worker_messages_delivered_total{queue=\"list:mail\"} 3\n")
    });
    let metrics = get("/metrics");
    for name in ["worker_delivery_duration_seconds_bucket", "worker_queue_wait_seconds_count", "worker_consuming"] {
        assert!(metrics.contains(name), "{metrics}");
    }
    let series = metrics.lines().filter(|line| line.starts_with("worker_")).count();
    assert!(series < 60, "{series} series for one queue");
    assert!(get("/healthz").starts_with("HTTP/1.1 200"), "{}", get("/healthz"));
    assert!(get("/else").starts_with("HTTP/1.1 404"));
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
}
