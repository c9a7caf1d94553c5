//! ARQ queues as a whole, new jobs, and what comes back from the trash; judged by the real library.

use std::time::Duration;

use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, NewJob};
use qtop_testkit::TestServer;
use serde_json::{Value, json};

use crate::arq::with_each;
use crate::arq_library::{Arq, QUEUE};
use crate::office::Office;

#[test]
fn r22_a_new_job_is_written_in_the_serializer_of_the_queue() {
    with_each(|server, library, office, queue| {
        library.add("note", "first", json!([]));
        let job = NewJob {
            id: Some("mine".into()),
            name: "note".to_owned(),
            data:
                br#"{"args": [1, -70000, 18446744073709551615, 1.5, "\u00e9", null, true], "kwargs": {"x": {"y": []}}}"#
                    .as_slice()
                    .into(),
            ..NewJob::default()
        };
        let outcome = office.queue(queue, Change::Add(job.clone()));
        assert_eq!(outcome.created, ["mine".into()]);
        library.burst();
        let ran = library.ask("ran", json!({}));
        let args = json!([1, -70000, 18446744073709551615u64, 1.5, "é", null, true]);
        assert_eq!(ran[1], json!(["mine", 1, args, { "x": { "y": [] } }]), "{}", library.serializer);
        // Its result is kept: the id is not free.
        let outcome = office.queue(queue, Change::Add(job));
        assert_eq!((outcome.created.len(), outcome.refused.len()), (0, 1), "{outcome:?}");
        let again = office.all(queue, "complete", &["mine".to_owned()], Change::Duplicate);
        let copy = again.outcome.created[0].to_text();
        library.burst();
        let ran = library.ask("ran", json!({}));
        assert_eq!((&ran[2][0], &ran[2][2]), (&Value::from(copy), &args), "{}", library.serializer);
        assert_eq!(server.int("ZCARD arq:queue"), 0);
    });
}

#[test]
fn a_held_queue_gives_workers_nothing_and_comes_back_whole() {
    with_each(|server, library, office, queue| {
        library.add("sleep", "busy", json!([6]));
        library.work(json!({ "jobs": 1 }));
        library.until("busy", "in_progress");
        for n in 0..520 {
            library.add("note", &format!("n{n:03}"), json!([n]));
        }
        library.add_later("note", "later", 5_000);
        office.queue(queue, Change::Pause);
        library.until("busy", "complete");
        assert_eq!(server.int("ZCARD arq:queue"), 0, "{}: what ran has ended and is gone", library.serializer);
        assert_eq!(server.int("ZCARD arq:queue:held-by-qtop"), 521);
        assert!(server.int("PTTL arq:job:n000") > 86_400_000, "definitions do not expire meanwhile");
        library.add("note", "new", json!([]));
        library.until("new", "complete");
        library.rest();
        office.queue(queue, Change::Resume);
        library.work(json!({ "jobs": 200 }));
        library.until("n519", "complete");
        assert_eq!(library.status("later"), "deferred");
        assert_eq!(server.int("EXISTS arq:queue:held-by-qtop"), 0);
        let left = server.int("PTTL arq:job:later");
        assert!((86_400_000..=91_500_000).contains(&left), "{left}: as the library would have it");
        assert_eq!(library.ran().len(), 522, "{}: each ran once", library.serializer);
        library.rest();
    });
}

#[test]
fn removed_jobs_and_results_come_back_from_the_trash() {
    with_each(|_, library, office, queue| {
        let bad = library.add("fail", "bad", json!([7]));
        library.burst();
        let before = library.result(&bad);
        let ids = [library.add("note", "a", json!([1])), library.add_later("note", "b", 5_000)];
        let queued = library.ask("queued", json!({ "queue": QUEUE }));
        office.all(queue, "waiting", &ids[..1], Change::Remove { children: false });
        office.all(queue, "deferred", &ids[1..], Change::Remove { children: false });
        office.all(queue, "failed", std::slice::from_ref(&bad), Change::Remove { children: false });
        assert_eq!(library.ask("queued", json!({ "queue": QUEUE })), json!([]));
        for _ in 0..3 {
            assert_eq!(office.undo().outcome.done.len(), 1);
        }
        assert_eq!(library.ask("queued", json!({ "queue": QUEUE })), queued, "{}", library.serializer);
        assert_eq!(library.result(&bad), before);
        library.work(json!({}));
        library.until("a", "complete");
        library.rest();
        assert_eq!(library.ran().last(), Some(&("a".to_owned(), 1)));
    });
}

#[test]
fn a_stalled_job_is_released_only_if_no_worker_lives() {
    let server = TestServer::start();
    let queue = QueueId::new("arq", "", QUEUE);
    let mut library = Arq::start("pickle", server.port());
    let office = Office::at(&server.url());
    let id = library.add("sleep", "lost", json!([60]));
    library.work(json!({ "health": 1 }));
    library.until(&id, "in_progress");
    let ids = std::slice::from_ref(&id);
    let refused = office.jobs(&queue, "stalled", ids, Change::Retry { reset_attempts: false });
    assert!(refused.outcome.refused[0].1.contains("twice"), "{:?}", refused.outcome);
    library.crash();
    std::thread::sleep(Duration::from_millis(2_200));
    assert_eq!(server.int("EXISTS arq:queue:health-check"), 0, "the key of a killed worker runs out");
    office.all(&queue, "stalled", ids, Change::Retry { reset_attempts: false });
    let mut library = Arq::start("pickle", server.port());
    library.work(json!({}));
    library.until(&id, "in_progress");
    assert_eq!(library.ran(), [(id, 2)], "it runs again, as its second start");
}
