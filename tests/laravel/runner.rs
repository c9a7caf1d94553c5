//! `qtop run` beside the application's own workers on one queue: every job once, whoever takes it, and each goes on with
//! what the other leaves. What ran is written down by the jobs themselves and counted by the application.

use std::process::Stdio;
use std::time::Duration;

use qtop_testkit::wait_until;
use serde_json::{Value, json};

use crate::app::{App, Runner};
use crate::databases::{Database, mariadb, postgres, sqlite};

const LIMIT: Duration = Duration::from_secs(60);

/// A worker of the application.
fn worker(app: &App) -> Runner {
    let mut command = app.command(&["queue:work", "--sleep=0.1"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap().into()
}

fn number(app: &App, key: &str) -> u64 {
    app.truth()[key].as_u64().unwrap()
}

/// Names without the number of attempts behind them, sorted.
fn expected(names: &[(&str, usize)]) -> Vec<String> {
    let mut all: Vec<String> =
        names.iter().flat_map(|(name, count)| (1..=*count).map(move |number| format!("{name}-{number}"))).collect();
    all.sort();
    all
}

#[test]
fn beside_the_application_s_workers_every_job_runs_once() {
    let app = App::new(sqlite(), "database-uuids");
    app.artisan(&["qtop:fill", "--slow=150", "--soon=50"]);
    let script = "echo $name >> $here/ours; sleep 0.02; ran";
    let runner = app.runner("command", "Slow", "concurrency = 3\ntimeout = \"30s\"", script);
    let workers = [worker(&app), worker(&app)];
    app.artisan(&["qtop:fill", "--slow=0", "--reports=30"]);
    wait_until("230 runs", LIMIT, || app.server.int("LLEN shop_database_ran") >= 230);
    wait_until("an empty queue", LIMIT, || number(&app, "size") == 0);
    drop(workers);
    assert_eq!(runner.stop(), 0);
    assert_eq!(app.ran(), expected(&[("slow", 150), ("soon", 50), ("report", 30)]));
    let ours = app.lines("ours");
    assert!(ours.len() > 20 && ours.len() < 180, "both worked: {} here", ours.len());
    assert!(ours.iter().all(|name| !name.starts_with("report")), "those have no handler here");
    assert_eq!(number(&app, "failed"), 0);
}

#[test]
fn jobs_without_a_handler_wait_for_the_application() {
    let app = App::new(sqlite(), "database-uuids");
    app.artisan(&["qtop:fill", "--pending=3", "--reports=3"]);
    app.artisan(&["qtop:fill", "--fragile=1"]);
    let before: Vec<String> =
        redis::from_redis_value(app.server.run("LRANGE shop_database_queues:default 0 2")).unwrap();
    let runner = app.runner("command", "Shop", "timeout = \"30s\"", "echo $name >> $here/ours; ran");
    wait_until("three runs", LIMIT, || app.lines("ours").len() == 3);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(runner.stop(), 0);
    let after: Vec<String> =
        redis::from_redis_value(app.server.run("LRANGE shop_database_queues:default 0 2")).unwrap();
    assert_eq!((before, number(&app, "pending")), (after, 4), "byte for byte");
    app.work();
    assert_eq!(app.ran(), expected(&[("fragile", 1), ("note", 3), ("report", 3)]));
}

#[test]
fn a_released_job_goes_on_in_the_application_with_its_attempts() {
    let app = App::new(sqlite(), "database-uuids");
    app.artisan(&["qtop:fill", "--counted=2"]);
    let runner = app.runner("command", "*", "timeout = \"30s\"", "echo $name >> $here/ours; exit 1");
    wait_until("both released", LIMIT, || number(&app, "delayed") == 2);
    assert_eq!(runner.stop(), 0);
    wait_until("both runs", LIMIT, || {
        app.work();
        app.ran().len() == 2
    });
    assert_eq!(app.ran(), ["counted-1:2", "counted-2:2"]);
    assert_eq!((number(&app, "size"), number(&app, "failed")), (0, 0));
}

fn failures(database: Database, driver: &'static str) {
    let app = App::new(database, driver);
    app.artisan(&["qtop:fill", "--fragile=3", "--counted=1"]);
    let script = "echo \"the mailbox of $name is «full»\" >&2; exit 1";
    let runner = app.runner("command", "*", "concurrency = 2\ntimeout = \"30s\"", script);
    wait_until("four failures", LIMIT, || number(&app, "failed") == 4);
    wait_until("an empty queue", LIMIT, || number(&app, "size") == 0);
    assert_eq!(runner.stop(), 0);
    let ids = app.failed();
    assert_eq!(ids.len(), 4);
    let told = app.json(&["jobs", "laravel:default", "--state", "failed"]);
    let counted = told["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "Counted").unwrap();
    assert_eq!(counted["attempts_made"], 3, "{told}");
    let one = app.json(&["job", "laravel:default", &ids[0]]).to_string();
    assert!(one.contains("is «full»") && one.contains("given up by the runner"), "{one}");
    // A failure of the same job that was stored already is no second row.
    let listed = app.artisan(&["queue:failed"]);
    assert!(listed.contains("redis") && listed.contains("Counted"), "{listed}");
    app.artisan(&["queue:retry", "all"]);
    assert_eq!(number(&app, "failed"), 0);
    app.work();
    assert_eq!(app.ran(), ["counted-1:1", "fragile-1", "fragile-2", "fragile-3"]);
}

#[test]
fn what_the_runner_gave_up_is_retried_by_the_application() {
    failures(sqlite(), "database-uuids");
}

#[test]
fn what_the_runner_gave_up_is_retried_from_a_table_without_uuids() {
    failures(sqlite(), "database");
}

#[test]
fn what_the_runner_gave_up_is_retried_from_postgresql() {
    failures(postgres(), "database-uuids");
}

#[test]
fn what_the_runner_gave_up_is_retried_from_mariadb() {
    failures(mariadb(), "database-uuids");
}

#[test]
fn r1_r6_what_a_killed_runner_held_comes_back_after_retry_after() {
    let app = App::new(sqlite(), "database-uuids");
    let config = std::fs::read_to_string(app.folder().join("config.toml")).unwrap();
    app.configure(&config.replace("retry_after = 90", "retry_after = 3"));
    app.artisan(&["qtop:fill", "--counted=1"]);
    let runner = app.runner("command", "*", "timeout = \"2s\"", "echo $name >> $here/ours; sleep 1");
    wait_until("a running job", LIMIT, || app.lines("ours").len() == 1);
    let begun = std::time::Instant::now();
    runner.kill();
    assert_eq!((number(&app, "reserved"), number(&app, "pending")), (1, 0), "it is in one place");
    app.work();
    assert!(app.ran().is_empty(), "nobody takes it before its time");
    wait_until("its return", LIMIT, || {
        app.work();
        !app.ran().is_empty()
    });
    let after = begun.elapsed();
    assert!(after > Duration::from_secs(2) && after < Duration::from_secs(10), "{after:?}");
    assert_eq!(app.ran(), ["counted-1:2"], "the attempt that was cut short counts");
    // A job with a single attempt is given up then, as Laravel does, and not run again.
    app.artisan(&["qtop:fill", "--fragile=1"]);
    let runner = app.runner("command", "*", "timeout = \"2s\"", "echo $name >> $here/ours; sleep 1");
    wait_until("the second job", LIMIT, || app.lines("ours").len() == 2);
    runner.kill();
    let runner = app.runner("command", "*", "timeout = \"2s\"", "echo $name >> $here/ours; ran");
    wait_until("its row", LIMIT, || number(&app, "failed") == 1);
    assert_eq!(runner.stop(), 0);
    assert_eq!((app.lines("ours").len(), number(&app, "size")), (2, 0));
}

#[test]
fn a_restart_of_the_application_starts_long_lived_handlers_anew() {
    let app = App::new(sqlite(), "database-uuids");
    let script = "while read line; do echo $$ >> $here/pids; echo '::done'; done";
    let runner = app.runner("process", "*", "timeout = \"30s\"", script);
    let after = |jobs: usize| {
        app.artisan(&["qtop:fill", "--pending=1"]);
        wait_until("a run", LIMIT, || app.lines("pids").len() == jobs);
    };
    after(1);
    // The first look of the runner must have been before the restart.
    wait_until("a sign of life", LIMIT, || app.server.int("HLEN shop_database_qtop:laravel:runners") == 1);
    after(2);
    app.artisan(&["queue:restart"]);
    let log = || std::fs::read_to_string(app.folder().join("log")).unwrap_or_default();
    let mut jobs = 2;
    wait_until("another process", LIMIT, || {
        jobs += 1;
        after(jobs);
        app.lines("pids").last() != app.lines("pids").first()
    });
    assert_eq!(runner.stop(), 0);
    let pids = app.lines("pids");
    assert_eq!(pids[0], pids[1], "{pids:?}, {}", log());
}

#[test]
fn a_runner_is_one_of_the_queue_s_workers() {
    let app = App::new(sqlite(), "database-uuids");
    app.artisan(&["qtop:fill", "--pending=1"]);
    let runner = app.runner("command", "*", "timeout = \"60s\"", "echo $name >> $here/ours; sleep 600");
    wait_until("a running job", LIMIT, || app.lines("ours").len() == 1);
    let workers = || -> Vec<Value> {
        let told = app.json(&["workers"]);
        let all = told["workers"].as_array().unwrap();
        all.iter().filter(|worker| worker.to_string().contains("default")).cloned().collect()
    };
    wait_until("the worker", LIMIT, || workers().len() == 1);
    let told = workers().remove(0);
    assert_eq!((&told["state"], told["running"].as_array().map(Vec::len)), (&json!("live"), Some(1)), "{told}");
    assert!(told["evidence"].as_str().unwrap().contains("runner of qtop"), "{told}");
    assert_eq!(runner.stop(), 3, "its job was put back");
    wait_until("its goodbye", LIMIT, || workers().is_empty());
    assert_eq!((number(&app, "pending"), number(&app, "reserved")), (1, 0));
    app.work();
    assert_eq!(app.ran(), ["note-1"]);
}

#[test]
fn a_named_queue_is_shown_while_it_is_empty() {
    let app = App::new(sqlite(), "database-uuids");
    let config = std::fs::read_to_string(app.folder().join("config.toml")).unwrap();
    let empty = json!({"pending": 0, "reserved": 0, "delayed": 0, "failed": 0});
    for with in ["prefix = \"shop_database_\"", ""] {
        let named = format!("queues = [\"default\", \"mail\"]\n{with}");
        app.configure(&config.replace("prefix = \"shop_database_\"", &named));
        let told = app.json(&["queues"]);
        let queues = told["queues"].as_array().unwrap();
        let counts =
            |name: &str| queues.iter().find(|queue| queue["queue"] == name).map(|queue| queue["counts"].clone());
        if with.is_empty() {
            // Without a prefix the names belong to every application that is found, so there must be one.
            assert_eq!(counts("mail"), Some(empty.clone()), "{told}");
        } else {
            assert_eq!((counts("default"), counts("mail")), (Some(empty.clone()), Some(empty.clone())), "{told}");
            app.artisan(&["qtop:fill", "--pending=1"]);
        }
    }
}
