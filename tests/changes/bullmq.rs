//! One job at a time, on BullMQ 4, 5 and 6: each test runs the same steps with all three libraries.

use std::time::{Duration, Instant};

use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, NewJob};
use qtop_testkit::TestServer;
use serde_json::{Value, json};

use crate::library::Library;
use crate::office::Office;

const MAJORS: [u32; 3] = [4, 5, 6];

/// Runs the steps with each library on a fresh server.
pub fn with_each(steps: impl Fn(&TestServer, &mut Library, &Office, &QueueId)) {
    for major in MAJORS {
        let server = TestServer::start();
        let mut library = Library::start(major, server.port());
        let office = Office::at(&server.url());
        let queue = QueueId::new("bullmq", "bull", "mail");
        steps(&server, &mut library, &office, &queue);
    }
}

/// A worker that did not sleep on for its 5 s has run a job by then, also on a busy machine.
pub const AWAKE: Duration = Duration::from_millis(3_500);

/// A sleeping worker must be woken by the change, not by its own 5 s.
fn runs_at_once(library: &mut Library, queue: &str, id: &str, change: impl FnOnce()) {
    library.ask("work", json!({ "queue": queue }));
    library.ask("idle", json!({ "queue": queue }));
    let begun = Instant::now();
    change();
    library.until(queue, id, "completed");
    let took = begun.elapsed();
    assert!(took < AWAKE, "BullMQ {}: the worker slept on for {took:?}", library.major);
    library.ask("rest", json!({ "queue": queue }));
}

#[test]
fn a_retried_job_waits_like_one_the_library_retried() {
    with_each(|server, library, office, queue| {
        let opts = json!({ "attempts": 2, "priority": 0 });
        let ids = library.add_failed("mail", 2, opts);
        library.ask("own", json!({ "queue": "mail", "id": ids[0], "method": "retry", "args": ["failed"] }));
        office.all(queue, "failed", &ids[1..], Change::Retry { reset_attempts: false });
        let fields = |id: &str| {
            let mut client = server.client();
            let mut fields: std::collections::BTreeMap<String, String> =
                redis::cmd("HGETALL").arg(format!("bull:mail:{id}")).query(&mut client).unwrap();
            // What differs between any two jobs.
            for own in ["data", "timestamp", "stacktrace"] {
                fields.remove(own);
            }
            fields
        };
        assert_eq!(fields(&ids[1]), fields(&ids[0]), "BullMQ {}", library.major);
        assert_eq!(library.state("mail", &ids[1]), "waiting");
        assert_eq!(library.ids("mail", "wait"), ids, "BullMQ {}: the one retried first runs first", library.major);
        assert!(library.saw("mail", &[("event", "waiting"), ("jobId", &ids[1]), ("prev", "failed")]));
    });
}

#[test]
fn a_retried_job_wakes_a_sleeping_worker_and_completes() {
    with_each(|server, library, office, queue| {
        let id = library.add_failed("mail", 1, json!({})).remove(0);
        server.run(&format!("HSET bull:mail:{id} name good"));
        runs_at_once(library, "mail", &id, || {
            office.all(queue, "failed", std::slice::from_ref(&id), Change::Retry { reset_attempts: true });
        });
        let job = library.job("mail", &id);
        assert_eq!(job["returnvalue"]["done"], Value::from(id));
    });
}

#[test]
fn a_job_in_another_state_is_refused_with_the_reason() {
    with_each(|_, library, office, queue| {
        let id = library.add("mail", "good", json!({}), json!({}));
        let finished =
            office.jobs(queue, "failed", &[id, "nobody".to_owned()], Change::Retry { reset_attempts: false });
        let reasons: Vec<&str> = finished.outcome.refused.iter().map(|(_, reason)| reason.as_str()).collect();
        assert_eq!(reasons, ["it is not failed any more", "there is no such job any more"]);
        assert_eq!(library.ask("counts", json!({ "queue": "mail" }))["waiting"], 1);
    });
}

#[test]
fn r10_a_job_retried_by_two_at_once_is_queued_once() {
    with_each(|_, library, office, queue| {
        let ids = library.add_failed("mail", 20, json!({}));
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let one = || office.jobs(queue, "failed", &ids, Change::Retry { reset_attempts: false }).outcome;
            let both = [scope.spawn(one), scope.spawn(one)];
            both.map(|thread| thread.join().unwrap()).into()
        });
        let done: usize = outcomes.iter().map(|outcome| outcome.done.len()).sum();
        assert_eq!(done, 20);
        assert_eq!(library.ids("mail", "wait").len(), 20);
    });
}

#[test]
fn a_promoted_job_runs_at_once() {
    with_each(|_, library, office, queue| {
        let id = library.add("mail", "good", json!({}), json!({ "delay": 3_600_000 }));
        runs_at_once(library, "mail", &id, || {
            office.all(queue, "delayed", std::slice::from_ref(&id), Change::Promote);
        });
        assert!(library.saw("mail", &[("event", "waiting"), ("jobId", &id), ("prev", "delayed")]));
    });
}

#[test]
fn a_new_delay_is_kept_by_a_sleeping_worker() {
    with_each(|_, library, office, queue| {
        let id = library.add("mail", "good", json!({}), json!({ "delay": 3_600_000 }));
        library.ask("work", json!({ "queue": "mail" }));
        library.ask("idle", json!({ "queue": "mail" }));
        let begun = Instant::now();
        office.all(queue, "delayed", std::slice::from_ref(&id), Change::Delay { by: Duration::from_millis(700) });
        library.until("mail", &id, "completed");
        let took = begun.elapsed();
        // 4.x workers look for due jobs when their sleep of 5 s ends.
        let limit = if library.major == 4 { 7 } else { 3 };
        assert!(took > Duration::from_millis(600) && took < Duration::from_secs(limit), "{took:?}");
    });
}

#[test]
fn a_new_priority_changes_who_runs_next() {
    with_each(|_, library, office, queue| {
        let first = library.add("mail", "good", json!({}), json!({}));
        let second = library.add("mail", "good", json!({}), json!({ "priority": 5 }));
        let third = library.add("mail", "good", json!({}), json!({ "priority": 9 }));
        office.all(queue, "waiting", std::slice::from_ref(&first), Change::Prioritize { priority: 7 });
        office.all(queue, "prioritized", std::slice::from_ref(&third), Change::Prioritize { priority: 0 });
        library.ask("work", json!({ "queue": "mail" }));
        library.until("mail", &first, "completed");
        let runs = library.ask("runs", json!({ "queue": "mail" }));
        let order: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
        assert_eq!(order, [third.as_str(), &second, &first], "BullMQ {}", library.major);
        assert_eq!(library.job("mail", &first)["priority"].as_i64().unwrap_or(7), 7);
    });
}

#[test]
fn a_removed_last_child_lets_its_parent_run() {
    with_each(|server, library, office, queue| {
        let tree = json!({
            "name": "good", "queueName": "mail", "data": {},
            "children": [{ "name": "good", "queueName": "other", "data": {} }],
        });
        let flow = library.ask("flow", json!({ "tree": tree }));
        let parent = flow["id"].as_str().unwrap().to_owned();
        let child = flow["children"][0]["id"].as_str().unwrap().to_owned();
        let others = QueueId::new("bullmq", "bull", "other");
        assert_eq!(library.state("mail", &parent), "waiting-children");
        runs_at_once(library, "mail", &parent, || {
            office.all(&others, "waiting", std::slice::from_ref(&child), Change::Remove { children: false });
        });
        assert_eq!(library.state("other", &child), "gone");
        assert!(library.saw("other", &[("event", "removed"), ("jobId", &child)]));
        assert!(library.saw("mail", &[("event", "waiting"), ("jobId", &parent), ("prev", "waiting-children")]));
        assert_eq!(server.int(&format!("EXISTS bull:other:{child}")), 0);
        let _ = queue;
    });
}

#[test]
fn a_removed_parent_takes_its_children_along() {
    with_each(|server, library, office, queue| {
        let tree = json!({
            "name": "good", "queueName": "mail", "data": {},
            "children": [
                { "name": "good", "queueName": "other", "data": {} },
                { "name": "good", "queueName": "mail", "data": {}, "children": [{ "name": "good", "queueName": "other", "data": {} }] },
            ],
        });
        let parent = library.ask("flow", json!({ "tree": tree }))["id"].as_str().unwrap().to_owned();
        office.all(queue, "waiting-children", &[parent], Change::Remove { children: true });
        for (queue, state) in [("mail", "waiting-children"), ("mail", "waiting"), ("other", "waiting")] {
            assert_eq!(library.ask("counts", json!({ "queue": queue }))[state], 0, "{queue} {state}");
        }
        let mut client = server.client();
        let left: Vec<String> = redis::cmd("KEYS").arg("bull:*-*").query(&mut client).unwrap();
        assert_eq!(left, Vec::<String>::new());
    });
}

#[test]
fn a_running_job_is_neither_removed_nor_cancelled() {
    with_each(|_, library, office, queue| {
        let id = library.add("mail", "wait", json!({}), json!({}));
        library.ask("work", json!({ "queue": "mail" }));
        library.until("mail", &id, "active");
        for change in [Change::Remove { children: false }, Change::Cancel] {
            let finished = office.jobs(queue, "active", std::slice::from_ref(&id), change);
            assert!(finished.outcome.done.is_empty() && finished.outcome.refused.len() == 1, "{finished:?}");
        }
        library.ask("release", json!({ "queue": "mail" }));
        library.until("mail", &id, "completed");
    });
}

#[test]
fn r22_payload_bytes_survive_retry_duplicate_and_edit() {
    with_each(|server, library, office, queue| {
        let odd = r#"{"b":1,"a":9223372036854775808,"x":1e400,"b":2,"text":"\u0000é"}"#;
        let id = library.add_failed("mail", 1, json!({})).remove(0);
        let mut client = server.client();
        let key = format!("bull:mail:{id}");
        let _: () = redis::cmd("HSET").arg(&key).arg("data").arg(odd).query(&mut client).unwrap();
        let copied = office.all(queue, "failed", std::slice::from_ref(&id), Change::Duplicate).outcome.created;
        office.all(queue, "failed", std::slice::from_ref(&id), Change::Retry { reset_attempts: false });
        for id in [id.clone(), copied[0].to_text()] {
            let data: String =
                redis::cmd("HGET").arg(format!("bull:mail:{id}")).arg("data").query(&mut client).unwrap();
            assert_eq!(data, odd);
        }
        let edit = |old: &'static str, new: &'static str| Change::Edit { old: old.into(), new: new.into() };
        let wrong = office.jobs(queue, "waiting", std::slice::from_ref(&id), edit("{}", "1"));
        assert_eq!(wrong.outcome.refused.len(), 1, "an edit of other bytes than were read is refused");
        let odd: &'static str = r#"{"b":1,"a":9223372036854775808,"x":1e400,"b":2,"text":"\u0000é"}"#;
        office.all(queue, "waiting", std::slice::from_ref(&id), edit(odd, "[1 ,2]"));
        let data: String = redis::cmd("HGET").arg(&key).arg("data").query(&mut client).unwrap();
        assert_eq!(data, "[1 ,2]");
    });
}

#[test]
fn an_added_job_is_what_the_library_would_have_added() {
    with_each(|_, library, office, queue| {
        let new = |name: &str| NewJob { name: name.to_owned(), data: r#"{"n":1}"#.into(), ..NewJob::default() };
        let late = NewJob { delay: Duration::from_secs(3600), attempts: Some(3), ..new("late") };
        let first = NewJob { id: Some("custom-a".into()), priority: 4, ..new("first") };
        let held = NewJob { dedup: Some("once".to_owned()), ..new("held") };
        library.ask("counts", json!({ "queue": "mail" }));
        for job in [new("good"), late, first.clone(), held.clone()] {
            assert_eq!(office.queue(queue, Change::Add(job)).created.len(), 1);
        }
        for job in [first, held] {
            assert_eq!(office.queue(queue, Change::Add(job)).refused.len(), 1);
        }
        let counts = library.ask("counts", json!({ "queue": "mail" }));
        assert_eq!(
            (&counts["waiting"], &counts["delayed"], &counts["prioritized"]),
            (&json!(2), &json!(1), &json!(1)),
            "BullMQ {}: {counts}",
            library.major
        );
        assert_eq!(library.job("mail", "custom-a")["data"]["n"], 1);
        library.ask("work", json!({ "queue": "mail" }));
        library.until("mail", "custom-a", "completed");
        library.ask("untilCount", json!({ "queue": "mail", "state": "completed", "count": 3 }));
    });
}
