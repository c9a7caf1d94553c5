//! ARQ judged by ARQ: what the library put there is shown as it says, and after a change the real worker runs or does
//! not run the job as promised. Each with pickle, MessagePack and JSON.

use std::time::Duration;

use qtop::domain::ids::QueueId;
use qtop::domain::job::PageRequest;
use qtop::domain::mutation::Change;
use qtop::domain::payload::{Limits, Payload};
use qtop::domain::state::StateId;
use qtop::link::Link;
use qtop_testkit::TestServer;
use serde_json::{Value, json};

use crate::arq_library::{Arq, QUEUE};
use crate::office::Office;

/// The three serializers that applications use.
pub const SERIALIZERS: [&str; 3] = ["pickle", "msgpack", "json"];

/// Runs the steps with each serializer on a fresh server.
pub fn with_each(steps: impl Fn(&TestServer, &mut Arq, &Office, &QueueId)) {
    for serializer in SERIALIZERS {
        let server = TestServer::start();
        let mut library = Arq::start(serializer, server.port());
        let office = Office::at(&server.url());
        steps(&server, &mut library, &office, &QueueId::new("arq", "", QUEUE));
    }
}

/// `qtop queues --json` of the built program.
fn shown(server: &TestServer) -> Value {
    let home = tempfile::tempdir().unwrap();
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_qtop"))
        .env_clear()
        .env("HOME", home.path())
        .args(["--url", &server.url(), "queues", "--json"])
        .timeout(Duration::from_secs(60))
        .output()
        .unwrap();
    let mut said: Value = serde_json::from_slice(&output.stdout).unwrap();
    said["queues"].take()
}

#[test]
fn a_populated_queue_is_counted_exactly_by_the_command_line() {
    with_each(|server, library, _, _| {
        library.add("note", "good", json!([1]));
        library.add("fail", "bad", json!([2]));
        library.add("fail", "worse", json!([3]));
        library.add("again", "retrying", json!([]));
        library.add("sleep", "stopped", json!([]));
        library.work(json!({ "aborts": true }));
        for id in ["good", "bad", "worse"] {
            library.until(id, "complete");
        }
        library.until("retrying", "deferred");
        library.until("stopped", "in_progress");
        library.rest();
        library.until("stopped", "queued");
        library.add("sleep", "third", json!([]));
        library.add("sleep", "running", json!([]));
        library.work(json!({ "aborts": true, "jobs": 3 }));
        library.until("running", "in_progress");
        library.add("note", "waits 1", json!([]));
        library.add_later("note", "later", 5_000);
        let queues = shown(server);
        let queue = &queues[0];
        assert_eq!(queues.as_array().unwrap().len(), 1, "{}: {queues}", library.serializer);
        let counts = &queue["counts"];
        let expected = json!({
            "waiting": 1, "interrupted": 0, "running": 3, "stalled": 0, "deferred": 1, "retrying": 1, "held": 0,
            "complete": 1, "failed": 2, "aborted": 0,
        });
        assert_eq!(counts, &expected, "{}", library.serializer);
        assert_eq!(queue["workers"], 1);
        // Without its worker it stays locked; once the health key is gone, nobody is there.
        library.crash();
        server.run("DEL arq:queue:health-check");
        let queues = shown(server);
        let counts = &queues[0]["counts"];
        assert_eq!((&counts["running"], &counts["stalled"]), (&json!(0), &json!(3)), "{}", library.serializer);
    });
}

#[test]
fn rich_arguments_are_shown_whatever_wrote_them() {
    let server = TestServer::start();
    let mut library = Arq::start("pickle", server.port());
    library.ask("add", json!({ "queue": QUEUE, "function": "note", "id": "rich", "rich": true }));
    let office = Office::at(&server.url());
    let queue = QueueId::new("arq", "", QUEUE);
    let system = office.system(&queue);
    let job = office.runtime.block_on(async {
        let link = Link::open(&server.url()).await.unwrap();
        system.job(&link, &queue, &"rich".into(), 65_536).await.unwrap().unwrap()
    });
    let payload = Payload::read(&job.payload, &Limits::default());
    let tree = payload.tree.unwrap();
    let arg = |path: &[&str]| tree.at(path).unwrap().text().into_owned();
    for (place, expected) in [
        ("0", "text"),
        ("1", "7"),
        ("2", "1.5"),
        ("5", "2026-11-22T13:05:09Z"),
        ("6", "1 day, 2:00:00"),
        ("7", "00000000-0000-0000-0000-000000000007"),
        ("8", "1.50"),
        ("9", "__main__.Colour(1)"),
        ("12", "2 bytes 00ff"),
    ] {
        assert_eq!(arg(&["a", place]), expected, "argument {place}");
    }
    assert_eq!(arg(&["a", "10", "(class)"]), "__main__.User");
    assert_eq!((arg(&["a", "10", "name"]), arg(&["a", "10", "born"])), ("ada".into(), "1815-12-10".into()));
    assert_eq!(arg(&["a", "11", "a", "1", "1"]), "3");
}

#[test]
fn a_retried_failure_runs_again_with_its_arguments_and_tries_from_zero() {
    with_each(|server, library, office, queue| {
        let id = library.add("fail", "bad", json!([1, "two", { "three": [3.5, null] }]));
        library.burst();
        let before = library.result(&id);
        assert_eq!(before["success"], false, "{before}");
        office.all(queue, "failed", std::slice::from_ref(&id), Change::Retry { reset_attempts: true });
        assert_eq!(library.status(&id), "queued", "{}", library.serializer);
        let definition = library.ask("definition", json!({ "queue": QUEUE, "id": id }));
        assert_eq!((&definition["function"], &definition["try"]), (&json!("fail"), &Value::Null));
        assert_eq!(definition["args"], before["args"], "{}", library.serializer);
        library.ask("heal", json!({}));
        library.burst();
        let after = library.result(&id);
        assert_eq!((&after["success"], &after["text"]), (&json!(true), &json!("healed")), "{}", library.serializer);
        assert_eq!(library.ran(), [(id.clone(), 1), (id.clone(), 1)], "{}", library.serializer);
        library.ask("heal", json!({ "on": false }));
        assert_eq!(server.int("EXISTS arq:retry:bad arq:job:bad arq:in-progress:bad"), 0);
    });
}

#[test]
fn a_job_that_used_up_its_tries_gets_new_ones() {
    with_each(|_, library, office, queue| {
        let id = library.add("again", "tired", json!([0]));
        library.work(json!({ "tries": 2 }));
        library.until(&id, "complete");
        library.rest();
        let result = library.result(&id);
        assert!(result["text"].as_str().unwrap().contains("max 2 retries exceeded"), "{result}");
        assert_eq!(result["try"], 3);
        let runs = library.ran().len();
        office.all(queue, "failed", std::slice::from_ref(&id), Change::Retry { reset_attempts: true });
        library.work(json!({ "tries": 2 }));
        library.until(&id, "complete");
        library.rest();
        let tries: Vec<u64> = library.ran()[runs..].iter().map(|(_, tries)| *tries).collect();
        assert_eq!(tries, [1, 2], "{}: counted from the beginning", library.serializer);
    });
}

#[test]
fn a_running_job_is_aborted_where_its_worker_listens() {
    with_each(|_, library, office, queue| {
        let id = library.add("sleep", "long", json!([60]));
        library.work(json!({ "aborts": true }));
        library.until(&id, "in_progress");
        let finished = office.all(queue, "running", std::slice::from_ref(&id), Change::Cancel);
        assert_eq!(finished.undo, None, "nothing was deleted that could be put back");
        let result = library.result(&id);
        assert_eq!(result["success"], false, "{}", library.serializer);
        let told = format!("{} {}", result["type"], result["text"]);
        assert!(told.contains("CancelledError"), "{}: {told}", library.serializer);
        library.rest();
    });
}

#[test]
fn aborts_reach_the_right_one_of_several_workers() {
    let server = TestServer::start();
    let mut workers = [Arq::start("pickle", server.port()), Arq::start("pickle", server.port())];
    let office = Office::at(&server.url());
    let queue = QueueId::new("arq", "", QUEUE);
    let ids: Vec<String> = (0..8).map(|n| workers[0].add("sleep", &format!("job-{n}"), json!([60]))).collect();
    for worker in &mut workers {
        worker.work(json!({ "aborts": true, "jobs": 4 }));
    }
    for id in &ids {
        workers[0].until(id, "in_progress");
    }
    // Requests of the future would be swept away by whichever worker looks first.
    office.all(&queue, "running", &ids, Change::Cancel);
    for id in &ids {
        assert!(workers[0].result(id)["type"].as_str().unwrap().contains("CancelledError"));
    }
    assert_eq!(server.int("EXISTS arq:abort"), 0);
}

#[test]
fn an_abort_that_nobody_honours_is_taken_back_and_said() {
    let server = TestServer::start();
    let mut library = Arq::start("pickle", server.port());
    let office = Office::at(&server.url());
    let queue = QueueId::new("arq", "", QUEUE);
    let id = library.add("sleep", "deaf", json!([60]));
    library.work(json!({ "aborts": false }));
    library.until(&id, "in_progress");
    let finished = office.jobs(&queue, "running", std::slice::from_ref(&id), Change::Cancel);
    assert!(finished.outcome.done.is_empty(), "{:?}", finished.outcome);
    assert!(finished.outcome.refused[0].1.contains("allow_abort_jobs"), "{:?}", finished.outcome);
    assert_eq!(server.int("EXISTS arq:abort"), 0, "a later job of the same id must not be hit");
    assert_eq!(library.status(&id), "in_progress");
}

#[test]
fn a_promoted_job_runs_now_and_a_removed_one_never() {
    with_each(|server, library, office, queue| {
        let later = library.add_later("note", "later", 5_000);
        let gone = library.add("note", "gone", json!([]));
        let off = library.add_later("note", "off", 1);
        office.all(queue, "deferred", std::slice::from_ref(&later), Change::Promote);
        office.all(queue, "waiting", std::slice::from_ref(&gone), Change::Remove { children: false });
        office.all(queue, "deferred", std::slice::from_ref(&off), Change::Cancel);
        assert_eq!(library.status(&later), "queued");
        std::thread::sleep(Duration::from_millis(1_100));
        library.burst();
        assert_eq!(library.ran(), [(later.clone(), 1)], "{}", library.serializer);
        assert_eq!(library.status(&gone), "not_found");
        assert_eq!(server.int("ZCARD arq:queue"), 0);
        assert_eq!(server.int("EXISTS arq:job:gone arq:job:off arq:retry:gone"), 0);
    });
}

#[test]
fn r3_what_runs_is_neither_removed_nor_promoted() {
    let server = TestServer::start();
    let mut library = Arq::start("json", server.port());
    let office = Office::at(&server.url());
    let queue = QueueId::new("arq", "", QUEUE);
    let id = library.add("sleep", "busy", json!([60]));
    library.work(json!({}));
    library.until(&id, "in_progress");
    let ids = std::slice::from_ref(&id);
    for change in [Change::Remove { children: false }, Change::Promote, Change::Cancel] {
        // Seen as waiting a moment ago; by now a worker has it.
        let finished = office.jobs(&queue, "waiting", ids, change.clone());
        assert_eq!(finished.outcome.refused.len(), 1, "{change:?}: {:?}", finished.outcome);
    }
    assert_eq!(server.int("EXISTS arq:job:busy arq:in-progress:busy"), 2);
    let page = PageRequest { cursor: None, limit: 10 };
    let system = office.system(&queue);
    let rows = office.runtime.block_on(async {
        let link = Link::open(&server.url()).await.unwrap();
        system.jobs(&link, &queue, StateId("running"), page).await.unwrap().rows
    });
    assert_eq!((rows.len(), rows[0].name.as_deref()), (1, Some("sleep")));
}
