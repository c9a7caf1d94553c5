//! Laravel queues: exact payloads move between a queue's keys, with the token that wakes a worker.

use std::time::Duration;

use qtop::domain::described::{Application, Described};
use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, End, NewJob};
use qtop_testkit::TestServer;

use crate::office::Office;

const LIST: &str = "shop_database_queues:mail";

/// A payload with odd spacing, a number no JSON round trip keeps and a command that counts its bytes.
fn payload(uuid: &str, attempts: u64, tries: &str) -> String {
    format!(
        "{{\"uuid\":\"{uuid}\",\"displayName\":\"App\\\\Jobs\\\\Send\",\"job\":\"Illuminate\\\\Queue\\\\CallQueuedHandler@call\", \
         \"maxTries\" : {tries},\"big\":18446744073709551616,\"data\":{{\"command\":\"s:6:\\\"h\\u00e9!\\\\/\\\";\"}},\"id\":\"i-{uuid}\",\"attempts\":{attempts}}}"
    )
}

/// `a`, `b`, `c` wait; `later` is delayed; `lost` and `held` are reserved, the first without an attempt left.
fn filled() -> (TestServer, Office, QueueId) {
    let server = TestServer::start();
    let mut client = server.client();
    for uuid in ["a", "b", "c"] {
        let _: i64 = redis::cmd("RPUSH").arg(LIST).arg(payload(uuid, 0, "3")).query(&mut client).unwrap();
    }
    for (key, score, item) in [
        ("delayed", 4e9, payload("later", 1, "3")),
        ("reserved", 1e3, payload("lost", 2, "2")),
        ("reserved", 4e9, payload("held", 1, "2")),
    ] {
        let _: i64 = redis::cmd("ZADD").arg(format!("{LIST}:{key}")).arg(score).arg(item).query(&mut client).unwrap();
    }
    let application = Application {
        name: "shop".to_owned(),
        prefix: Some("shop_database_".to_owned()),
        cache_prefix: Some("shop_cache:".to_owned()),
        ..Application::default()
    };
    let office = Office::with(&server.url(), Described { laravel: vec![application], ..Described::default() });
    (server, office, QueueId::new("laravel", "shop_database_", "mail"))
}

fn waiting(server: &TestServer) -> Vec<String> {
    redis::cmd("LRANGE").arg(LIST).arg(0).arg(-1).query(&mut server.client()).unwrap()
}

fn members(server: &TestServer, key: &str) -> Vec<String> {
    redis::cmd("ZRANGE").arg(format!("{LIST}:{key}")).arg(0).arg(-1).query(&mut server.client()).unwrap()
}

fn tokens(server: &TestServer) -> i64 {
    server.int(&format!("LLEN {LIST}:notify"))
}

fn ids(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn r22_a_promoted_job_keeps_its_bytes_and_wakes_a_worker() {
    let (server, office, queue) = filled();
    office.all(&queue, "delayed", &ids(&["later"]), Change::Promote);
    assert_eq!(waiting(&server)[3], payload("later", 1, "3"));
    assert_eq!((members(&server, "delayed").len(), tokens(&server)), (0, 1));
}

#[test]
fn a_delayed_job_gets_another_time_and_one_that_is_gone_none() {
    let (server, office, queue) = filled();
    office.all(&queue, "delayed", &ids(&["later"]), Change::Delay { by: Duration::from_secs(60) });
    let due: f64 = redis::cmd("ZSCORE")
        .arg(format!("{LIST}:delayed"))
        .arg(payload("later", 1, "3"))
        .query(&mut server.client())
        .unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((due - now - 60.0).abs() < 5.0, "{due}");
    server.run(&format!("DEL {LIST}:delayed"));
    let gone = office.jobs(&queue, "delayed", &ids(&["later"]), Change::Delay { by: Duration::from_secs(60) });
    assert_eq!(gone.outcome.refused[0].1, "it is not delayed any more");
    assert_eq!(server.int(&format!("EXISTS {LIST}:delayed")), 0);
}

#[test]
fn r6_a_lost_reservation_waits_again_with_new_attempts_and_a_held_one_does_not() {
    let (server, office, queue) = filled();
    let requeue = Change::Requeue { end: End::Next, reset_attempts: false };
    let finished = office.jobs(&queue, "reserved", &ids(&["lost", "held"]), requeue);
    assert_eq!(finished.outcome.done, ["lost".into()]);
    assert_eq!(finished.outcome.refused[0].1, "a worker still holds it: its reservation has not run out");
    assert_eq!(waiting(&server)[0], payload("lost", 0, "2"), "its attempts were spent");
    assert_eq!((members(&server, "reserved").len(), tokens(&server)), (1, 1));
    let removed = office.jobs(&queue, "reserved", &ids(&["held"]), Change::Remove { children: false });
    assert_eq!((removed.outcome.done.len(), removed.outcome.refused.len()), (0, 1));
}

#[test]
fn removed_jobs_come_back_in_their_places() {
    let (server, office, queue) = filled();
    let before = server.digest();
    for some in [&["a", "b", "c"][..], &["b"], &["c", "a"]] {
        office.all(&queue, "pending", &ids(some), Change::Remove { children: false });
        assert_eq!(waiting(&server).len(), 3 - some.len());
        office.undo();
        assert_eq!(server.digest(), before, "{some:?}");
    }
    for (state, id, change) in
        [("delayed", "later", Change::Cancel), ("reserved", "lost", Change::Remove { children: false })]
    {
        office.all(&queue, state, &ids(&[id]), change);
        office.undo();
        assert_eq!(server.digest(), before, "{id}");
    }
}

#[test]
fn a_copy_has_a_new_id_and_no_attempts() {
    let (server, office, queue) = filled();
    let finished = office.all(&queue, "reserved", &ids(&["held"]), Change::Duplicate);
    let copy = waiting(&server)[3].clone();
    let created = finished.outcome.created[0].to_text();
    assert!(copy.contains(&created) && copy.contains("\"attempts\":0") && !copy.contains("held"), "{copy}");
    assert!(copy.contains("18446744073709551616") && copy.contains("h\\u00e9"), "{copy}");
}

#[test]
fn an_added_job_is_a_payload_a_worker_can_take() {
    let (server, office, queue) = filled();
    let job =
        |name: &str, data: &'static [u8]| NewJob { name: name.to_owned(), data: data.into(), ..NewJob::default() };
    let plain = office.queue(&queue, Change::Add(job("Report@make", b"{\"year\":2024}")));
    let added = waiting(&server)[3].clone();
    assert!(added.contains("\"job\":\"Report@make\"") && added.contains("\"data\":{\"year\":2024}"), "{added}");
    assert!(added.contains(&plain.created[0].to_text()) && added.contains("\"attempts\":0"), "{added}");
    office.queue(&queue, Change::Add(job("", b"{\"job\":\"X@y\",\"data\":[],\"uuid\":\"own\",\"attempts\":0}")));
    assert_eq!(waiting(&server)[4], "{\"job\":\"X@y\",\"data\":[],\"uuid\":\"own\",\"attempts\":0}");
    let later = NewJob { delay: Duration::from_millis(300), ..job("X@y", b"{}") };
    office.queue(&queue, Change::Add(later));
    assert_eq!((members(&server, "delayed").len(), tokens(&server)), (2, 2));
    for bad in [job("X@y", b"{"), job("X@y", b"\xff"), job("", b"{}"), NewJob { priority: 3, ..job("X@y", b"{}") }] {
        let finished =
            office.carry_out(crate::office::plan(&queue, Change::Add(bad), qtop::domain::change::Scope::Queue));
        assert!(finished.error.is_some(), "{finished:?}");
    }
    assert_eq!(waiting(&server).len(), 5);
}

#[test]
fn a_pause_is_the_key_that_laravel_looks_at() {
    let (server, office, queue) = filled();
    let key = "shop_database_shop_cache:illuminate:queue:paused:redis:mail";
    office.queue(&queue, Change::Pause);
    let value: String = redis::cmd("GET").arg(key).query(&mut server.client()).unwrap();
    assert_eq!(value, "b:1;");
    office.queue(&queue, Change::Resume);
    assert_eq!(server.int(&format!("EXISTS {key}")), 0);
    let again = office.queue(&queue, Change::Resume);
    assert_eq!(again.refused[0].1, "it is not paused");
    let elsewhere = QueueId::new("laravel", "other_database_", "mail");
    let plan = crate::office::plan(&elsewhere, Change::Pause, qtop::domain::change::Scope::Queue);
    let error = office.carry_out(plan).error.unwrap().to_string();
    assert!(error.contains("cache_prefix"), "{error}");
}

#[test]
fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let (server, office, queue) = filled();
    let before = server.digest();
    for (state, change) in [
        ("pending", Change::Promote),
        ("reserved", Change::Cancel),
        ("pending", Change::Prioritize { priority: 1 }),
        ("reserved", Change::Delay { by: Duration::from_secs(1) }),
    ] {
        assert!(office.jobs(&queue, state, &ids(&["a"]), change).error.is_some());
    }
    let gone = office.jobs(&queue, "pending", &ids(&["nobody"]), Change::Remove { children: false });
    assert_eq!(gone.outcome.refused[0].1, "it is not pending any more");
    assert_eq!(server.digest(), before);
}
