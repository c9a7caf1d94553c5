//! Queues as a whole, on BullMQ 4, 5 and 6.

use std::time::Duration;

use qtop::domain::change::Scope;
use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, Limits};
use qtop_testkit::TestServer;
use serde_json::json;

use crate::bullmq::with_each;
use crate::office::plan;

#[test]
fn a_paused_queue_is_paused_for_the_library_and_runs_again_after_a_resume() {
    with_each(|server, library, office, queue| {
        let ids: Vec<String> = (0..3).map(|_| library.add("mail", "good", json!({}), json!({}))).collect();
        office.queue(queue, Change::Pause);
        let paused = library.ask("own", json!({ "queue": "mail", "method": "isPaused" }));
        assert_eq!(paused["result"], "true", "BullMQ {}", library.major);
        let counts = library.ask("counts", json!({ "queue": "mail" }));
        let where_they_wait = if library.major == 6 { "waiting" } else { "paused" };
        assert_eq!(counts[where_they_wait], 3, "BullMQ {}: {counts}", library.major);
        library.ask("work", json!({ "queue": "mail" }));
        let late = library.add("mail", "good", json!({}), json!({}));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(library.ask("runs", json!({ "queue": "mail" })), json!([]));
        office.queue(queue, Change::Resume);
        library.until("mail", &late, "completed");
        let runs = library.ask("runs", json!({ "queue": "mail" }));
        let order: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
        let expected: Vec<&str> = ids.iter().chain([&late]).map(String::as_str).collect();
        assert_eq!(order, expected, "BullMQ {}", library.major);
        assert_eq!(server.int("EXISTS bull:mail:paused"), 0);
        assert!(library.saw("mail", &[("event", "paused")]) && library.saw("mail", &[("event", "resumed")]));
    });
}

#[test]
fn a_resume_loses_nothing_that_stands_in_both_lists() {
    with_each(|server, library, office, queue| {
        library.add("mail", "good", json!({}), json!({}));
        office.queue(queue, Change::Pause);
        // Left by clients of two versions: older jobs in `paused`, newer ones in `wait`.
        server.run("DEL bull:mail:wait bull:mail:paused");
        for id in ["a", "b", "c"] {
            server.run(&format!("HSET bull:mail:{id} name good data {{}} opts {{}} timestamp 1"));
        }
        server.run("LPUSH bull:mail:paused a b");
        server.run("LPUSH bull:mail:wait c");
        office.queue(queue, Change::Resume);
        library.ask("work", json!({ "queue": "mail" }));
        library.until("mail", "c", "completed");
        let runs = library.ask("runs", json!({ "queue": "mail" }));
        let order: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
        assert_eq!(order, ["a", "b", "c"], "BullMQ {}", library.major);
    });
}

#[test]
fn limits_are_those_the_library_reads() {
    with_each(|server, library, office, queue| {
        library.add("mail", "good", json!({}), json!({}));
        let rate = Some(Some((7, Duration::from_secs(2))));
        office.queue(queue, Change::Limit(Limits { concurrency: Some(Some(3)), rate }));
        if library.major > 4 {
            let said = library.ask("own", json!({ "queue": "mail", "method": "getGlobalConcurrency" }));
            assert_eq!(said["result"], "3");
        }
        office.queue(queue, Change::Limit(Limits { concurrency: Some(None), rate: Some(None) }));
        for field in ["concurrency", "max", "duration"] {
            assert_eq!(server.int(&format!("HEXISTS bull:mail:meta {field}")), 0, "{field}");
        }
    });
}

#[test]
fn a_scheduler_is_triggered_and_removed_as_a_whole() {
    with_each(|server, library, office, queue| {
        if library.major == 4 {
            return;
        }
        library.ask(
            "schedule",
            json!({ "queue": "mail", "id": "tick", "every": 3_600_000, "name": "good", "data": { "n": 1 } }),
        );
        let pending = library.ids("mail", "delayed");
        let waiting = library.ids("mail", "wait");
        // Depending on the clock the first run is due at once.
        let current = pending.first().or(waiting.first()).unwrap().clone();
        if !pending.is_empty() {
            let finished = office.jobs(queue, "delayed", &[current], Change::Remove { children: false });
            assert!(finished.outcome.refused[0].1.contains("scheduler"), "{finished:?}");
        }
        let scope = || Scope::Schedules(vec!["tick".into()]);
        let triggered = office.carry_out(plan(queue, Change::Trigger, scope()));
        let id = triggered.outcome.created[0].to_text();
        assert_eq!(library.job("mail", &id)["data"]["n"], 1);
        let removed = office.carry_out(plan(queue, Change::Unschedule, scope()));
        assert_eq!(removed.outcome.done.len(), 1);
        assert_eq!(library.ask("schedules", json!({ "queue": "mail" })), json!([]));
        assert_eq!(library.ids("mail", "delayed"), Vec::<String>::new());
        assert_eq!(server.int("EXISTS bull:mail:repeat:tick bull:mail:repeat"), 0);
    });
}

#[test]
fn an_emptied_queue_is_obliterated_and_any_other_is_not() {
    with_each(|server, library, office, queue| {
        let id = library.add("mail", "good", json!({}), json!({}));
        assert!(office.queue(queue, Change::Obliterate).refused[0].1.contains("not paused"));
        office.queue(queue, Change::Pause);
        assert!(office.queue(queue, Change::Obliterate).refused[0].1.contains("still has jobs"));
        office.all(queue, "waiting", &[id], Change::Remove { children: true });
        assert_eq!(office.queue(queue, Change::Obliterate).done.len(), 1);
        assert_eq!(server.int("DBSIZE"), 0, "BullMQ {}", library.major);
    });
}

#[test]
fn r23_a_queue_of_an_unknown_version_is_changed_only_by_force() {
    let server = TestServer::start();
    let office = crate::office::Office::at(&server.url());
    let queue = QueueId::new("bullmq", "bull", "mail");
    server.run("HSET bull:mail:meta version bullmq:9.1.0 opts.maxLenEvents 10000");
    let refused = office.carry_out(plan(&queue, Change::Pause, Scope::Queue));
    assert!(refused.error.unwrap().to_string().contains("bullmq:9.1.0"));
    assert_eq!(server.int("HEXISTS bull:mail:meta paused"), 0);
    let mut forced = plan(&queue, Change::Pause, Scope::Queue);
    forced.force = true;
    assert!(office.carry_out(forced).error.is_none());
    assert_eq!(server.int("HEXISTS bull:mail:meta paused"), 1);
}
