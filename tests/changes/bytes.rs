//! R22: whatever a payload is made of, its bytes come through every change.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use qtop::domain::described::Described;
use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, End};
use qtop_testkit::TestServer;
use redis::Value;

use crate::office::Office;

/// Any bytes, and texts in which a JSON round trip would lose something.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        r#"\{("a": ?(-?[0-9]{1,30}(\.[0-9]{0,5})?(e[0-9]{1,3})?|"(\\u00e9|\\n|é|[ -!#-\[\]-~]){0,10}"), ?){1,4}"z":null \}"#
            .prop_map(String::into_bytes),
    ]
}

fn check(test: impl Fn(&[u8])) {
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    runner
        .run(&payloads(), |payload| {
            test(&payload);
            Ok(())
        })
        .unwrap();
}

const NO_CHILDREN: Change = Change::Remove { children: false };

#[test]
fn r22_bullmq_keeps_every_byte_through_retry_duplicate_remove_and_undo() {
    let server = TestServer::start();
    let office = Office::at(&server.url());
    let queue = QueueId::new("bullmq", "bull", "mail");
    check(|payload| {
        let mut client = server.client();
        server.run("FLUSHALL");
        server.run("HSET bull:mail:meta version bullmq:6.7.0");
        server.run("HSET bull:mail:f name n opts {} timestamp 1 finishedOn 1 failedReason x");
        server.run("ZADD bull:mail:failed 1 f");
        redis::cmd("HSET").arg("bull:mail:f").arg("data").arg(payload).query::<()>(&mut client).unwrap();
        let ids = ["f".to_owned()];
        let copied = office.all(&queue, "failed", &ids, Change::Duplicate).outcome.created;
        office.all(&queue, "failed", &ids, Change::Retry { reset_attempts: true });
        office.all(&queue, "waiting", &ids, NO_CHILDREN);
        office.undo();
        for id in ["f".to_owned(), copied[0].to_text()] {
            let key = format!("bull:mail:{id}");
            let data: Vec<u8> = redis::cmd("HGET").arg(&key).arg("data").query(&mut client).unwrap();
            assert_eq!(data, payload, "{id}");
        }
    });
}

#[test]
fn r22_lists_keep_every_byte_through_requeue_kill_remove_and_undo() {
    let server = TestServer::start();
    let spec = "name = \"q\"\nkey = \"q\"\nitem = \"raw\"\ndead = { key = \"q:dead\" }";
    let described = Described { lists: vec![toml::from_str(spec).unwrap()], ..Described::default() };
    let office = Office::with(&server.url(), described);
    let queue = QueueId::new("list", "", "q");
    check(|payload| {
        let mut client = server.client();
        server.run("FLUSHALL");
        redis::cmd("LPUSH").arg("q:dead").arg(payload).query::<()>(&mut client).unwrap();
        let id = [format!("#{}", &sha1_smol::Sha1::from(payload).digest().to_string()[..16])];
        let requeue = Change::Requeue { end: End::Next, reset_attempts: false };
        office.all(&queue, "dead", &id, requeue);
        office.all(&queue, "waiting", &id, Change::Kill { reason: String::new() });
        office.all(&queue, "dead", &id, NO_CHILDREN);
        office.undo();
        let items: Vec<Vec<u8>> = redis::cmd("LRANGE").arg("q:dead").arg(0).arg(-1).query(&mut client).unwrap();
        assert_eq!(items, [payload]);
    });
}

#[test]
fn r22_streams_keep_every_byte_through_kill_requeue_remove_and_undo() {
    let server = TestServer::start();
    let office = Office::at(&server.url());
    let queue = QueueId::new("stream", "", "s/g");
    check(|payload| {
        let mut client = server.client();
        server.run("FLUSHALL");
        let id: String = redis::cmd("XADD").arg("s").arg("*").arg(payload).arg(payload).query(&mut client).unwrap();
        server.run("XGROUP CREATE s g 0");
        server.run("XREADGROUP GROUP g c COUNT 1 STREAMS s >");
        office.all(&queue, "pending", &[id], Change::Kill { reason: "r".to_owned() });
        let dead: Vec<(String, Value)> =
            redis::cmd("XRANGE").arg("s:dead").arg("-").arg("+").query(&mut client).unwrap();
        let requeue = Change::Requeue { end: End::Last, reset_attempts: false };
        let created = office.all(&queue, "dead", &[dead[0].0.clone()], requeue).outcome.created;
        office.all(&queue, "waiting", &[created[0].to_text()], NO_CHILDREN);
        office.undo();
        let entries: Vec<(String, Vec<Vec<u8>>)> =
            redis::cmd("XRANGE").arg("s").arg("-").arg("+").query(&mut client).unwrap();
        assert_eq!(entries.last().unwrap().1, [payload, payload]);
    });
}
