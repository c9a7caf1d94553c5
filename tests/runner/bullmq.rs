//! Working on BullMQ queues: jobs of the real library, beside its own workers, judged by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use qtop::domain::job::Progress;
use qtop::engine::runner::work::{Ending, Event, Failure, Work};
use qtop_testkit::{TestServer, wait_until};
use serde_json::{Value, json};

use crate::bench::{Bench, Job, Notes, begin, runner_on, slow};
use crate::library::Library;

fn ending(work: &Work) -> Ending {
    match work.name.as_str() {
        "fail" => Ending::Retry {
            failure: Failure { message: "no route".into(), stack: vec!["at send".into()], crashed: false },
            after: None,
        },
        "never" => Ending::Failed(Failure::new("bad address")),
        _ => Ending::Done { result: Some(Bytes::from(json!({ "ran": work.id.to_text() }).to_string())) },
    }
}

/// Notes each run, tells progress and a log line, and ends as the name says.
fn worker(notes: &Notes) -> Arc<Job> {
    let notes = notes.clone();
    Arc::new(move |work, room| {
        notes.add(work.id.to_text());
        Box::pin(async move {
            let progress = Progress { percent: Some(50.0), ..Progress::default() };
            room.events.send(Event::Progress(progress)).await.unwrap();
            room.events.send(Event::Log("half way".into())).await.unwrap();
            ending(&work)
        }) as BoxFuture<'static, Ending>
    })
}

fn on(server: &TestServer, queue: &str, pool: &str, job: Arc<Job>) -> Bench {
    begin(&server.url(), runner_on(&format!("bullmq:{queue}"), pool), job).unwrap()
}

fn field(server: &TestServer, key: &str, field: &str) -> Option<String> {
    redis::cmd("HGET").arg(key).arg(field).query(&mut server.client()).unwrap()
}

#[test]
fn jobs_of_every_kind_run_and_the_library_reads_what_came_of_them() {
    for major in [5, 6] {
        let server = TestServer::start();
        let mut library = Library::start(major, server.port());
        let plain = library.add("mail", "send", json!({ "to": "a" }), json!({}));
        let delayed = library.add("mail", "send", json!({}), json!({ "delay": 600 }));
        let urgent = library.add("mail", "send", json!({}), json!({ "priority": 1 }));
        let later = library.add("mail", "send", json!({}), json!({ "priority": 5 }));
        let retried = library.add(
            "mail",
            "fail",
            json!({}),
            json!({ "attempts": 2, "backoff": { "type": "fixed", "delay": 100 } }),
        );
        let hopeless = library.add("mail", "never", json!({}), json!({ "attempts": 5 }));
        let forgotten = library.add("mail", "send", json!({}), json!({ "removeOnComplete": true }));
        let notes = Notes::default();
        let bench = on(&server, "mail", "", worker(&notes));
        for (id, state) in [
            (&plain, "completed"),
            (&delayed, "completed"),
            (&urgent, "completed"),
            (&later, "completed"),
            (&retried, "failed"),
            (&hopeless, "failed"),
            (&forgotten, "gone"),
        ] {
            library.until("mail", id, state);
        }
        bench.until("all outcomes", |view| view.pools[0].counts.done + view.pools[0].counts.failed == 7);
        let job = library.ask("job", json!({ "queue": "mail", "id": plain }));
        assert_eq!(job["returnvalue"], json!({ "ran": plain }), "{major}: {job}");
        assert_eq!((&job["progress"], &job["attemptsMade"]), (&json!(50), &json!(1)), "{job}");
        let job = library.ask("job", json!({ "queue": "mail", "id": retried }));
        assert_eq!((&job["failedReason"], &job["attemptsMade"]), (&json!("no route"), &json!(2)), "{job}");
        assert_eq!(job["stacktrace"].as_array().map(Vec::len), Some(2), "one trace for each attempt: {job}");
        assert!(job["stacktrace"][0].as_str().unwrap().contains("at send"), "{job}");
        let job = library.ask("job", json!({ "queue": "mail", "id": hopeless }));
        assert_eq!((&job["failedReason"], &job["attemptsMade"]), (&json!("bad address"), &json!(1)), "{job}");
        let order: Vec<_> = notes.all().into_iter().filter(|id| [&urgent, &later, &plain].contains(&id)).collect();
        assert_eq!(order, [plain.clone(), urgent, later], "{major}: plain ones before those with a priority");
        let logs: Vec<String> =
            redis::from_redis_value(server.run(&format!("LRANGE bull:mail:{plain}:logs 0 -1"))).unwrap();
        assert_eq!(logs, ["half way"]);
        assert_eq!(server.int("LLEN bull:mail:active"), 0);
        assert_eq!(server.int("EXISTS bull:mail:1:lock"), 0);
        let events: Vec<String> = library
            .ask("events", json!({ "queue": "mail" }))
            .as_array()
            .unwrap()
            .iter()
            .filter(|event| event["jobId"] == json!(plain))
            .map(|event| event["event"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(events, ["added", "waiting", "active", "progress", "completed"], "{major}");
        bench.stop();
    }
}

#[test]
fn a_flow_runs_from_the_leaves_to_the_root() {
    let server = TestServer::start();
    let mut library = Library::start(6, server.port());
    let child = |name: &str, opts: Value| json!({ "name": name, "queueName": "mail", "data": {}, "opts": opts });
    let tree = json!({ "name": "root", "queueName": "mail", "data": {}, "children": [
        child("leaf", json!({})), child("leaf", json!({})),
        child("never", json!({ "ignoreDependencyOnFailure": true })),
    ] });
    let root = library.ask("flow", json!({ "tree": tree }));
    let doomed = json!({ "name": "root", "queueName": "mail", "data": {}, "children": [
        child("never", json!({ "failParentOnFailure": true })),
    ] });
    let doomed = library.ask("flow", json!({ "tree": doomed }));
    let notes = Notes::default();
    let bench = on(&server, "mail", "concurrency = 3", worker(&notes));
    let id = |node: &Value| node["id"].as_str().unwrap().to_owned();
    library.until("mail", &id(&root), "completed");
    library.until("mail", &id(&doomed), "failed");
    let ran = notes.all();
    let leaves = root["children"].as_array().unwrap();
    let place = |wanted: &str| ran.iter().position(|ran| ran == wanted);
    assert!(leaves.iter().all(|leaf| place(&id(leaf)) < place(&id(&root))), "{ran:?}");
    let results: BTreeMap<String, String> =
        redis::from_redis_value(server.run(&format!("HGETALL bull:mail:{}:processed", id(&root)))).unwrap();
    assert_eq!(results.len(), 2, "{results:?}");
    let job = library.ask("job", json!({ "queue": "mail", "id": id(&doomed) }));
    assert!(job["failedReason"].as_str().unwrap().contains("failed"), "{job}");
    bench.stop();
}

#[test]
fn beside_workers_of_the_library_every_job_runs_once() {
    let server = TestServer::start();
    let mut library = Library::start(6, server.port());
    library.ask("work", json!({ "queue": "mail", "concurrency": 3 }));
    let notes = Notes::default();
    let bench = on(&server, "mail", "concurrency = 3", worker(&notes));
    library.ask("addMany", json!({ "queue": "mail", "name": "send", "count": 2000, "opts": {} }));
    library.ask("untilCount", json!({ "queue": "mail", "state": "completed", "count": 2000 }));
    let theirs = library.ask("runs", json!({ "queue": "mail" }));
    let mut ran: Vec<String> = notes.all();
    let ours = ran.len();
    ran.extend(theirs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()));
    ran.sort();
    let all = ran.len();
    ran.dedup();
    assert_eq!((all, ran.len()), (2000, 2000), "each once");
    assert!(ours > 100 && ours < 1900, "both worked: {ours} here");
    bench.stop();
}

#[test]
fn a_scheduler_of_the_library_goes_on_and_its_rate_limit_holds() {
    let server = TestServer::start();
    let mut library = Library::start(6, server.port());
    library
        .ask("schedule", json!({ "queue": "tick", "id": "every", "every": 300, "name": "tick", "data": { "a": 1 } }));
    let notes = Notes::default();
    let bench = on(&server, "tick", "", worker(&notes));
    wait_until("five turns", Duration::from_secs(10), || notes.all().len() >= 5);
    let ids = notes.all();
    let mut unique = ids.clone();
    unique.dedup();
    assert_eq!(ids, unique, "each moment once");
    assert_eq!(library.ask("schedules", json!({ "queue": "tick" })), json!(["every"]));
    bench.stop();
    let notes = Notes::default();
    library.ask("addMany", json!({ "queue": "slow", "name": "send", "count": 20, "opts": {} }));
    server.run("HSET bull:slow:meta max 5 duration 1000");
    let bench = on(&server, "slow", "concurrency = 10", worker(&notes));
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(notes.all().len(), 5, "five a second");
    wait_until("the rest", Duration::from_secs(10), || notes.all().len() == 20);
    bench.stop();
}

#[test]
fn r5_a_job_whose_lock_is_anothers_is_not_written() {
    let server = TestServer::start();
    let mut library = Library::start(6, server.port());
    let id = library.add("mail", "send", json!({}), json!({}));
    let notes = Notes::default();
    let bench = on(&server, "mail", "", slow(&notes, Duration::from_secs(60)));
    bench.until("a running job", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 1));
    server.run(&format!("SET bull:mail:{id}:lock another"));
    let before: BTreeMap<String, String> =
        redis::from_redis_value(server.run(&format!("HGETALL bull:mail:{id}"))).unwrap();
    bench.until("a lost claim", |view| view.pools[0].counts.lost == 1);
    let after: BTreeMap<String, String> =
        redis::from_redis_value(server.run(&format!("HGETALL bull:mail:{id}"))).unwrap();
    assert_eq!(before, after);
    assert_eq!(server.int("LLEN bull:mail:active"), 1, "it stays where the other has it");
    bench.stop();
}

#[test]
fn r15_jobs_of_dead_workers_come_back_and_are_given_up_after_two() {
    let server = TestServer::start();
    let mut library = Library::start(6, server.port());
    let once = library.add("mail", "send", json!({}), json!({}));
    let twice = library.add("mail", "send", json!({}), json!({}));
    // Workers that died: active, no lock.
    for id in [&once, &twice] {
        server.run("RPOPLPUSH bull:mail:wait bull:mail:active");
        server.run(&format!("HSET bull:mail:{id} ats 1"));
    }
    server.run(&format!("HSET bull:mail:{twice} stc 1"));
    let notes = Notes::default();
    let bench = on(&server, "mail", "", worker(&notes));
    library.until("mail", &once, "completed");
    library.until("mail", &twice, "failed");
    assert_eq!(notes.all(), [once], "the other was not run again");
    let reason = field(&server, &format!("bull:mail:{twice}"), "failedReason").unwrap();
    assert!(reason.contains("stalled"), "{reason}");
    bench.stop();
}
