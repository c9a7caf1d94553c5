//! Bull's queues beside BullMQ's and when they are empty, and further changes of their jobs.

use std::time::{Duration, Instant};

use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, NewJob};
use qtop::domain::queue::Count;
use qtop::domain::state::StateId;
use qtop_testkit::TestServer;
use serde_json::{Value, json};

use crate::bull::{sample, samples, with_each};
use crate::command_line::Shell;
use crate::library::Library;
use crate::office::Office;

const REMOVE: Change = Change::Remove { children: false };

#[test]
fn bull_and_bullmq_under_one_prefix_are_told_apart() {
    let server = TestServer::start();
    let mut bull = Library::bull(4, server.port());
    let mut bullmq = Library::start(5, server.port());
    bull.add("mail", "good", json!({}), json!({}));
    bull.add("held", "good", json!({}), json!({}));
    bullmq.add("reports", "good", json!({}), json!({}));
    server.run("SET bull:user:id ada");
    let office = Office::at(&server.url());
    // A paused queue of Bull has the hash that BullMQ has always.
    office.queue(&QueueId::new("bull", "bull", "held"), Change::Pause);
    let names = ["held", "mail", "reports", "user"];
    for (system, queues) in [("bull", vec!["held", "mail"]), ("bullmq", vec!["reports"])] {
        let seen = samples(&server, &office, &QueueId::new(system, "bull", "mail"), &names);
        let seen: Vec<_> = seen.iter().map(|sample| sample.id.name.to_text()).collect();
        assert_eq!(seen, queues, "{system}");
    }
}

#[test]
fn a_name_used_by_both_libraries_is_told_and_not_changed() {
    let server = TestServer::start();
    let mut bull = Library::bull(4, server.port());
    let mut bullmq = Library::start(5, server.port());
    let old = bull.add("mail", "good", json!({}), json!({ "priority": 2 }));
    let new = bullmq.add("mail", "good", json!({}), json!({}));
    let office = Office::at(&server.url());
    let (of_bull, of_bullmq) = (QueueId::new("bull", "bull", "mail"), QueueId::new("bullmq", "bull", "mail"));
    assert!(samples(&server, &office, &of_bull, &["mail"]).is_empty(), "one row, not two");
    let seen = samples(&server, &office, &of_bullmq, &["mail"]).remove(0);
    assert_eq!(seen.count(StateId("waiting")), Count::Exact(2));
    let told = seen.warnings.iter().find(|warning| warning.code == "mixed_libraries").expect("a warning");
    assert!(told.text.contains("the key priority"), "{}", told.text);
    // Also by a single look from the command line.
    let shell = Shell::at(&server.url());
    let (_, shown) = shell.json(&["queues", "--json"]);
    assert!(shown.to_string().contains("Bull uses this queue's name, too"), "{shown}");
    let before = server.digest();
    let finished = office.jobs(&of_bull, "waiting", &[old], REMOVE);
    assert!(finished.outcome.refused[0].1.contains("BullMQ uses this queue's name"), "{finished:?}");
    let refused = office.queue(&of_bull, Change::Pause).refused;
    assert!(refused[0].1.contains("BullMQ uses this queue's name"), "{refused:?}");
    let finished = office.jobs(&of_bullmq, "waiting", std::slice::from_ref(&new), REMOVE);
    assert!(finished.error.is_some_and(|error| error.to_string().contains("--force")));
    assert_eq!(server.digest(), before);
    let (code, done) = shell.json(&["remove", "bullmq:mail", &new, "--force", "--yes", "--json"]);
    assert_eq!((code, &done["done"]), (0, &json!(1)), "{done}");
}

#[test]
fn an_emptied_queue_stays_where_its_keys_tell_of_it() {
    with_each(|server, library, office, queue| {
        let id = library.add("mail", "good", json!({}), json!({}));
        assert_eq!(sample(server, office, queue).count(StateId("waiting")), Count::Exact(1));
        office.all(queue, "waiting", &[id], REMOVE);
        let left: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut server.client()).unwrap();
        assert_eq!(left, ["bull:mail:id"]);
        // Looked at anew by one that never saw it full.
        let seen = sample(server, office, queue);
        assert_eq!((seen.count(StateId("waiting")), seen.totals.added), (Count::Exact(0), Some(1)));
    });
}

#[test]
fn elsewhere_a_counter_alone_is_no_queue_but_traces_of_work_are() {
    let server = TestServer::start();
    let office = Office::at(&server.url());
    let queue = QueueId::new("bull", "app", "session");
    let shown = || {
        let seen = samples(&server, &office, &queue, &["orders", "session", "checked"]);
        seen.iter().map(|sample| sample.id.name.to_text()).collect::<Vec<_>>()
    };
    server.run("SET app:session:id 12");
    server.run("SET app:orders:id 12");
    server.run("SET app:checked:id 12");
    assert!(shown().is_empty());
    server.run("SET app:checked:stalled-check 1 PX 30000");
    server.run("ZADD app:orders:repeat 1700000000000 tick:::1000");
    assert_eq!(shown(), ["checked", "orders"]);
}

#[test]
fn an_edited_payload_is_what_the_worker_gets() {
    with_each(|server, library, office, queue| {
        let id = library.add("mail", "good", json!({ "to": "a" }), json!({}));
        let edit = |old: &str, new: &str| Change::Edit { old: old.to_owned().into(), new: new.to_owned().into() };
        let ids = std::slice::from_ref(&id);
        let finished = office.jobs(queue, "waiting", ids, edit("{}", "{\"to\":\"c\"}"));
        assert!(finished.outcome.refused[0].1.contains("changed in the meantime"), "{finished:?}");
        office.all(queue, "waiting", ids, edit("{\"to\":\"a\"}", "{\"to\": \"b\"}"));
        let stored: String =
            redis::cmd("HGET").arg(format!("bull:mail:{id}")).arg("data").query(&mut server.client()).unwrap();
        assert_eq!(stored, "{\"to\": \"b\"}");
        library.ask("work", json!({ "queue": "mail" }));
        library.until("mail", &id, "completed");
        let runs = library.ask("runs", json!({ "queue": "mail" }));
        assert_eq!(runs[0]["data"]["to"], "b", "Bull {}", library.major);
        library.ask("rest", json!({ "queue": "mail" }));
    });
}

#[test]
fn a_delayed_job_runs_at_its_new_time() {
    with_each(|_, library, office, queue| {
        let soon = library.add("mail", "good", json!({}), json!({ "delay": 3_600_000 }));
        let late = library.add("mail", "good", json!({}), json!({ "delay": 500 }));
        library.ask("work", json!({ "queue": "mail" }));
        let by = |millis| Change::Delay { by: Duration::from_millis(millis) };
        office.all(queue, "delayed", std::slice::from_ref(&late), by(3_600_000));
        let begun = Instant::now();
        office.all(queue, "delayed", std::slice::from_ref(&soon), by(700));
        library.until("mail", &soon, "completed");
        let took = begun.elapsed();
        assert!((600..2_500).contains(&took.as_millis()), "Bull {}: {took:?}", library.major);
        assert_eq!(library.state("mail", &late), "delayed");
        let finished = office.jobs(queue, "delayed", std::slice::from_ref(&soon), by(1));
        assert_eq!(finished.outcome.refused[0].1, "it is not delayed any more");
        library.ask("rest", json!({ "queue": "mail" }));
    });
}

#[test]
fn a_removed_job_comes_back_to_the_list_where_jobs_wait_by_then() {
    with_each(|_, library, office, queue| {
        let ids: Vec<String> = (0..3).map(|n| library.add("mail", "good", json!({ "n": n }), json!({}))).collect();
        let before = library.ids("mail", "waiting");
        office.all(queue, "waiting", &ids[1..2], REMOVE);
        office.queue(queue, Change::Pause);
        assert_eq!(office.undo().outcome.done.len(), 1);
        library.ask("work", json!({ "queue": "mail" }));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(library.ask("runs", json!({ "queue": "mail" })), json!([]), "the queue is paused");
        assert_eq!(library.ids("mail", "paused"), before, "Bull {}", library.major);
        office.queue(queue, Change::Resume);
        library.until("mail", &ids[2], "completed");
        library.ask("rest", json!({ "queue": "mail" }));
    });
}

#[test]
fn stranded_jobs_come_back_with_a_resume() {
    with_each(|server, library, office, queue| {
        let id = library.add("mail", "good", json!({}), json!({}));
        server.run("RENAME bull:mail:wait bull:mail:paused");
        library.ask("work", json!({ "queue": "mail" }));
        assert_eq!(office.queue(queue, Change::Resume).done.len(), 1);
        library.until("mail", &id, "completed");
        assert_eq!(office.queue(queue, Change::Resume).refused[0].1, "it is not paused");
        library.ask("rest", json!({ "queue": "mail" }));
    });
}

#[test]
fn a_debounced_addition_is_held_back_by_the_first() {
    let server = TestServer::start();
    let mut library = Library::bull(4, server.port());
    let office = Office::at(&server.url());
    let queue = QueueId::new("bull", "bull", "mail");
    let job = NewJob { name: "good".into(), data: "{}".into(), dedup: Some("x".into()), ..NewJob::default() };
    let first = office.queue(&queue, Change::Add(job.clone())).created.remove(0).to_text();
    let refused = office.queue(&queue, Change::Add(job.clone())).refused;
    assert!(refused[0].1.contains("debounce"), "{refused:?}");
    let again = library.add("mail", "good", json!({}), json!({ "debounce": { "id": "x" } }));
    assert_eq!(again, first, "the library honours it");
    library.ask("work", json!({ "queue": "mail" }));
    library.until("mail", &first, "completed");
    assert_eq!(office.queue(&queue, Change::Add(job)).created.len(), 1, "the library has let go of it");
    assert_eq!(library.job("mail", &first)["failedReason"], Value::Null);
}

#[test]
fn r4_a_user_who_may_not_do_all_of_a_change_does_none_of_it() {
    let server = TestServer::start();
    let mut library = Library::bull(4, server.port());
    library.add("mail", "good", json!({}), json!({ "delay": 60_000 }));
    server.run("ACL SETUSER half on >secret ~* +@all -lpush -publish resetchannels");
    let office = Office::at(&server.url().replace("redis://", "redis://half:secret@"));
    let queue = QueueId::new("bull", "bull", "mail");
    let before = server.digest();
    let finished = office.jobs(&queue, "delayed", &["1".to_owned()], Change::Promote);
    assert!(finished.error.is_some_and(|error| error.to_string().contains("may not run LPUSH")));
    assert_eq!(server.digest(), before);
    // Publishing only tells others; without it the change is made all the same.
    office.all(&queue, "delayed", &["1".to_owned()], Change::Delay { by: Duration::from_secs(90) });
}
