//! Bull 3 and 4: what is shown of their queues and what changes do, judged by the libraries themselves.

use std::time::{Duration, Instant};

use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, NewJob};
use qtop::domain::queue::{Count, QueueSample};
use qtop::domain::state::StateId;
use qtop::link::{Batch, Link, Replies};
use qtop::systems::{Instance, Memo};
use qtop_testkit::TestServer;
use serde_json::{Value, json};

use crate::bullmq::AWAKE;
use crate::library::Library;
use crate::office::Office;

/// Runs the steps with each library on a fresh server.
pub fn with_each(steps: impl Fn(&TestServer, &mut Library, &Office, &QueueId)) {
    for major in [3, 4] {
        let server = TestServer::start();
        let mut library = Library::bull(major, server.port());
        let office = Office::at(&server.url());
        let queue = QueueId::new("bull", "bull", "mail");
        steps(&server, &mut library, &office, &queue);
    }
}

/// What some ticks tell of queues under the prefix `bull`, as the adapter of that system sees them.
pub fn samples(server: &TestServer, office: &Office, queue: &QueueId, names: &[&str]) -> Vec<QueueSample> {
    let system = office.system(queue);
    let mut queues: Vec<_> = names.iter().map(|name| (*name).into()).collect();
    queues.sort();
    let instance = Instance { id: queue.instance.clone(), queues };
    office.runtime.block_on(async {
        let link = Link::open(&server.url()).await.unwrap();
        let mut memo = Memo::default();
        let mut last = Vec::new();
        for tick in 1..=6 {
            memo.tick = tick;
            let mut batch = Batch::new();
            system.plan(&instance, &memo, &mut batch);
            assert!(batch.len() <= 12 * names.len(), "{} commands", batch.len());
            let replies = link.send(&batch).await.unwrap();
            last = system.read(&instance, &mut memo, &mut Replies::new(&replies)).unwrap().queues;
        }
        last
    })
}

pub fn sample(server: &TestServer, office: &Office, queue: &QueueId) -> QueueSample {
    samples(server, office, queue, &["mail"]).pop().expect("it is a queue of Bull")
}

#[test]
fn counts_and_states_are_what_the_library_says() {
    with_each(|server, library, office, queue| {
        library.add_failed("mail", 2, json!({}));
        library.add("mail", "good", json!({ "n": 1 }), json!({}));
        library.add("mail", "good", json!({ "n": 2 }), json!({ "priority": 3 }));
        library.add("mail", "good", json!({ "n": 3 }), json!({ "delay": 3_600_000 }));
        let seen = sample(server, office, queue);
        let said = library.ask("counts", json!({ "queue": "mail" }));
        for state in ["waiting", "active", "delayed", "completed", "failed"] {
            let count = seen.count(StateId(state));
            assert_eq!(count, Count::Exact(said[state].as_u64().unwrap()), "Bull {}: {state}: {said}", library.major);
        }
        assert_eq!(seen.conditions.paused, Some(false));
        assert_eq!(seen.totals.added, Some(5));
        assert_eq!(seen.error, None);
    });
}

#[test]
fn a_retried_job_keeps_its_priority_and_runs() {
    with_each(|_, library, office, queue| {
        let ids = library.add_failed("mail", 1, json!({ "priority": 2 }));
        let plain = library.add("mail", "good", json!({}), json!({}));
        let urgent = library.add("mail", "good", json!({}), json!({ "priority": 1 }));
        office.all(queue, "failed", &ids, Change::Retry { reset_attempts: false });
        assert_eq!(library.state("mail", &ids[0]), "waiting");
        assert_eq!(library.job("mail", &ids[0])["failedReason"], Value::Null);
        library.ask("work", json!({ "queue": "mail" }));
        library.until("mail", &plain, "completed");
        let runs = library.ask("runs", json!({ "queue": "mail" }));
        let order: Vec<&str> = runs.as_array().unwrap().iter().skip(1).map(|run| run["id"].as_str().unwrap()).collect();
        assert_eq!(order[..3], [urgent.as_str(), &ids[0], &plain], "Bull {}", library.major);
    });
}

#[test]
fn a_job_in_another_state_is_refused_and_keeps_its_fields() {
    with_each(|server, library, office, queue| {
        let id = library.add("mail", "good", json!({}), json!({}));
        library.ask("work", json!({ "queue": "mail" }));
        library.until("mail", &id, "completed");
        library.ask("rest", json!({ "queue": "mail" }));
        let before: Vec<String> =
            redis::cmd("HVALS").arg(format!("bull:mail:{id}")).query(&mut server.client()).unwrap();
        let finished = office.jobs(queue, "failed", std::slice::from_ref(&id), Change::Retry { reset_attempts: false });
        assert_eq!(finished.outcome.refused[0].1, "it is not failed any more");
        let after: Vec<String> =
            redis::cmd("HVALS").arg(format!("bull:mail:{id}")).query(&mut server.client()).unwrap();
        assert_eq!(before, after, "the library itself would have taken finishedOn away");
        assert_eq!(library.state("mail", &id), "completed");
    });
}

#[test]
fn a_promoted_job_wakes_a_sleeping_worker() {
    with_each(|_, library, office, queue| {
        let id = library.add("mail", "good", json!({}), json!({ "delay": 3_600_000 }));
        library.ask("work", json!({ "queue": "mail" }));
        std::thread::sleep(Duration::from_millis(300));
        let begun = Instant::now();
        office.all(queue, "delayed", std::slice::from_ref(&id), Change::Promote);
        library.until("mail", &id, "completed");
        assert!(begun.elapsed() < AWAKE, "{:?}", begun.elapsed());
    });
}

#[test]
fn a_new_priority_changes_who_runs_next() {
    with_each(|_, library, office, queue| {
        let first = library.add("mail", "good", json!({}), json!({}));
        let second = library.add("mail", "good", json!({}), json!({}));
        let third = library.add("mail", "good", json!({}), json!({ "priority": 5 }));
        office.all(queue, "waiting", std::slice::from_ref(&second), Change::Prioritize { priority: 1 });
        library.ask("work", json!({ "queue": "mail" }));
        library.until("mail", &first, "completed");
        let runs = library.ask("runs", json!({ "queue": "mail" }));
        let order: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
        assert_eq!(order, [second.as_str(), &third, &first], "Bull {}", library.major);
    });
}

#[test]
fn a_paused_queue_is_paused_for_the_library_and_resumes() {
    with_each(|server, library, office, queue| {
        let id = library.add("mail", "good", json!({}), json!({}));
        office.queue(queue, Change::Pause);
        assert_eq!(library.ask("isPaused", json!({ "queue": "mail" })), true);
        let seen = sample(server, office, queue);
        assert_eq!((seen.conditions.paused, seen.count(StateId("waiting"))), (Some(true), Count::Exact(1)));
        library.ask("work", json!({ "queue": "mail" }));
        // Added and retried while it is paused: nothing of it may run.
        let added = office
            .queue(queue, Change::Add(NewJob { name: "good".to_owned(), data: "{}".into(), ..NewJob::default() }));
        assert_eq!(added.created.len(), 1);
        std::thread::sleep(Duration::from_millis(400));
        assert_eq!(library.ask("runs", json!({ "queue": "mail" })), json!([]));
        assert_eq!(office.queue(queue, Change::Pause).refused[0].1, "it is paused already");
        office.queue(queue, Change::Resume);
        library.until("mail", &id, "completed");
        library.until("mail", &added.created[0].to_text(), "completed");
        assert_eq!(library.ask("isPaused", json!({ "queue": "mail" })), false);
    });
}

#[test]
fn a_removed_job_is_gone_and_comes_back_where_it_was() {
    with_each(|_, library, office, queue| {
        let ids: Vec<String> =
            (0..3).map(|n| library.add("mail", "good", json!({ "n": n }), json!({ "priority": 4 }))).collect();
        let before = library.ids("mail", "waiting");
        office.all(queue, "waiting", &ids[1..2], Change::Remove { children: false });
        assert_eq!(library.state("mail", &ids[1]), "gone");
        assert_eq!(office.undo().outcome.done.len(), 1);
        assert_eq!(library.ids("mail", "waiting"), before, "Bull {}", library.major);
        library.ask("work", json!({ "queue": "mail" }));
        library.until("mail", &ids[2], "completed");
        library.until("mail", &ids[1], "completed");
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
        library.ask("rest", json!({ "queue": "mail" }));
        library.until("mail", &id, "completed");
    });
}
