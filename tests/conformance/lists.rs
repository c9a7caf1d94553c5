//! Plain lists: the seeding for the suite, and what only they must hold.

use std::time::Duration;

use qtop::domain::described::{Described, ListSpec};
use qtop::domain::ids::Name;
use qtop::domain::queue::{Count, Oldest};
use qtop::domain::state::StateId;
use qtop::domain::time::Timestamp;
use qtop::domain::worker::Liveness;
use qtop_testkit::TestServer;
use serde::Deserialize;

use crate::bench::Bench;
use crate::seeds::run;

/// Four queues: JSON with everything around it; ids with records by urgency; bytes; a key with an odd name.
const DESCRIBED: &str = r#"
[[list]]
name = "orders"
key = "orders"
processing = "orders:doing"
processing_pattern = "orders:processing:*"
dead = "orders:dead"
delayed = { key = "orders:later", unit = "ms" }
pause = { key = "orders:paused", value = "yes" }
counters = { finished = "orders:done" }
progress = { key = "orders:progress:{id}", percent = "percent", text = "step" }
expected_workers = 2
[list.fields]
id = "id"
name = "type"
attempts = "attempts"
created = "at"
error = "error"
[[list.heartbeat]]
pattern = "orders:worker:*"
kind = "json"
beat = "beat"
item = "item"

[[list]]
name = "dumps"
key = ["dumps:high", "dumps:low"]
next = "left"
item = "id"
record = { key = "dumps:job:{id}" }
dead = { key = "dumps:dead", item = "id", record = { key = "dumps:dlq:{id}", kind = "hash" }, fields = { error = "error_message" } }
[list.fields]
created = "created_at"
name = "kind"
[[list.heartbeat]]
pattern = "dumps:worker:*"
kind = "id"
ttl = 300
renewed = false

[[list]]
name = "bytes"
key = "bytes"
item = "raw"

[[list]]
name = "odd {name}*:\n x"
key = "odd {key}*:\n [x]?"
"#;

pub const COUNTS: &[(&str, &str, u64)] = &[
    ("orders", "waiting", 6),
    ("orders", "processing", 3),
    ("orders", "dead", 1),
    ("orders", "delayed", 2),
    ("dumps", "waiting", 3),
    ("dumps", "dead", 2),
    ("bytes", "waiting", 4),
    ("odd {name}*:\n x", "waiting", 2),
];

#[derive(Deserialize)]
struct File {
    list: Vec<ListSpec>,
}

pub fn read(toml: &str) -> Described {
    let file: File = toml::from_str(toml).unwrap();
    let described = Described { lists: file.list, ..Described::default() };
    assert_eq!(described.problems(), []);
    described
}

pub fn described() -> Described {
    read(DESCRIBED)
}

pub fn seed(server: &TestServer) {
    run(
        server,
        r#"LPUSH orders {"id":"order-1","type":"new","attempts":2,"at":1700000000} {"id":"order-2","at":1700000005}
           LPUSH orders not-json {"id":"order-7","type":"late","at":1700000009} {"id":"order-2","at":1700000010} {"type":"no-id"}
           LPUSH orders:doing {"id":"order-10","type":"slow","at":1690000000}
           LPUSH orders:processing:w1 {"id":"order-11","at":1690000000}
           LPUSH orders:processing:w9 {"id":"order-12","at":1690000000}
           HSET orders:progress:order-10 percent 40 step cutting~wood
           LPUSH orders:dead {"id":"order-20","error":"no\nroute"}
           ZADD orders:later 1000 {"id":"order-30"} 9000000000000 {"id":"order-31"}
           SET orders:worker:w1 {"beat":9000000000,"item":"order-11"}
           SET orders:worker:w2 {"beat":1}
           SET orders:done 17
           SET orders:paused no
           RPUSH dumps:high d-1
           RPUSH dumps:low d-2 d-3
           SET dumps:job:d-1 {"kind":"firmware","created_at":"2023-11-14T22:13:20"}
           SET dumps:job:d-2 {"kind":"photo","created_at":"2023-11-14T22:13:21.5Z"}
           SET dumps:job:d-9 {"kind":"running","created_at":"2023-11-14T22:00:00"}
           SET dumps:worker:host-1 d-9 PX 250000
           LPUSH dumps:dead k-1 k-2
           HSET dumps:dlq:k-1 error_message boom job_details x
           LPUSH app:task_queue x
           LPUSH bull:x:wait 1
           LPUSH shopping x"#,
    );
    let mut client = server.client();
    for item in [&b"\xff\x00raw"[..], b"plain", b"plain", b"last"] {
        redis::cmd("LPUSH").arg("bytes").arg(item).query::<redis::Value>(&mut client).unwrap();
    }
    redis::cmd("LPUSH").arg("odd {key}*:\n [x]?").arg("{}").arg("[1]").query::<redis::Value>(&mut client).unwrap();
}

async fn bench() -> Bench {
    Bench::new("list", &described(), seed).await
}

#[tokio::test]
async fn a_tick_tells_age_workers_totals_and_what_is_due() {
    let bench = bench().await;
    let samples = bench.ticks(8).await;
    let sample = |name: &str| samples[0].queues.iter().find(|sample| sample.id.name == Name::from(name)).unwrap();
    let orders = sample("orders");
    assert_eq!(orders.oldest, Oldest::Since(Timestamp(1_700_000_000_000)));
    assert_eq!(orders.overdue, Some(1));
    assert_eq!(orders.next_due, Some(Timestamp(1_000)));
    assert_eq!(orders.totals.finished, Some(17));
    assert_eq!(orders.conditions.paused, Some(false));
    assert_eq!((orders.workers.alive, orders.workers.busy), (Some(1), Some(1)));
    assert!(orders.warnings.iter().any(|warning| warning.code == "workers_missing"), "{:?}", orders.warnings);
    let dumps = sample("dumps");
    assert_eq!(dumps.oldest, Oldest::Since(Timestamp(1_700_000_000_000)), "by the records of d-1 and d-2");
    assert_eq!(dumps.count(StateId("processing")), Count::AtLeast(1), "one worker names an item");
    assert_eq!(dumps.workers.alive, None, "a key that is not renewed proves no death");
    let bytes = sample("bytes");
    assert_eq!(bytes.count(StateId("processing")), Count::Unknown, "popped items are nowhere");
    assert_eq!(bytes.count(StateId("delayed")), Count::Exact(0));
}

#[tokio::test]
async fn items_come_in_the_order_in_which_workers_take_them() {
    let bench = bench().await;
    let orders = bench.queue("orders");
    let ids = bench.ids(&orders, "waiting").await;
    assert_eq!(ids[..2], ["order-1", "order-2"]);
    assert_eq!(ids[3..5], ["order-7", "order-2#2"]);
    assert!(ids[2].starts_with('#') && ids[2].len() == 17, "{}", ids[2]);
    let rows = bench.rows(&orders, StateId("waiting"), 100).await;
    assert_eq!((rows[0].name.as_deref(), rows[0].attempts_made), (Some("new"), Some(2)));
    assert_eq!(rows[2].name.as_deref(), Some("not JSON: not-json"));
    assert_eq!(rows[0].created_at, Some(Timestamp(1_700_000_000_000)));
    let dumps = bench.rows(&bench.queue("dumps"), StateId("waiting"), 100).await;
    let got: Vec<_> = dumps.iter().map(|row| (row.id.to_text(), row.priority, row.record_exists)).collect();
    assert_eq!(
        got,
        [("d-1".to_owned(), Some(0), true), ("d-2".to_owned(), Some(1), true), ("d-3".to_owned(), Some(1), false)]
    );
    assert_eq!(dumps[1].name.as_deref(), Some("photo"));
    let bytes = bench.rows(&bench.queue("bytes"), StateId("waiting"), 100).await;
    assert_eq!(bytes[0].name.as_deref(), Some("\\xFF␀raw"));
    assert_eq!(bytes[2].id.to_text(), format!("{}#2", bytes[1].id.to_text()), "twins are told apart");
}

#[tokio::test]
async fn running_dead_and_delayed_items_carry_what_is_known_of_them() {
    let bench = bench().await;
    let orders = bench.queue("orders");
    let running = bench.rows(&orders, StateId("processing"), 100).await;
    let progress = running[0].progress.as_ref().unwrap();
    assert_eq!((progress.percent, progress.text.as_deref()), (Some(40.0), Some("cutting wood")));
    assert_eq!(running[1].worker.as_deref(), Some("w1"));
    let dead = bench.rows(&orders, StateId("dead"), 100).await;
    assert_eq!(dead[0].error.as_deref(), Some("no"));
    let later = bench.rows(&orders, StateId("delayed"), 100).await;
    assert_eq!(later[0].run_at, Some(Timestamp(1_000)));
    let dumps = bench.queue("dumps");
    let gone = bench.rows(&dumps, StateId("dead"), 100).await;
    assert_eq!(gone.iter().map(|row| row.record_exists).collect::<Vec<_>>(), [false, true]);
    assert_eq!(gone[1].error.as_deref(), Some("boom"));
    let named = bench.rows(&dumps, StateId("processing"), 100).await;
    assert_eq!((named[0].id.to_text(), named[0].name.as_deref()), ("d-9".to_owned(), Some("running")));
    let job = bench.system.job(&bench.link, &dumps, &Bench::id("d-9"), 100).await.unwrap().unwrap();
    assert!(job.facts[0].1.contains("in none"), "{:?}", job.facts);
    assert_eq!((job.payload.total, job.row.state), (53, StateId("unknown")));
    let dead = bench.system.job(&bench.link, &dumps, &Bench::id("k-1"), 70_000).await.unwrap().unwrap();
    assert_eq!(dead.error.as_deref(), Some("boom"));
    assert_eq!(dead.keys[0].kind, "hash");
}

#[tokio::test]
async fn workers_come_from_heartbeats_and_from_their_lists() {
    let bench = bench().await;
    let workers = bench.system.workers(&bench.link, &bench.instances[0], None).await.unwrap();
    let seen: Vec<_> = workers
        .iter()
        .map(|worker| (worker.name.to_text(), worker.state, worker.running.iter().map(|r| r.id.to_text()).collect()))
        .collect();
    let expected: Vec<(String, Liveness, Vec<String>)> = vec![
        ("host-1".into(), Liveness::Live, vec!["d-9".into()]),
        ("w1".into(), Liveness::Live, vec!["order-11".into()]),
        ("w2".into(), Liveness::Stale, vec![]),
        ("w9".into(), Liveness::Gone, vec!["order-12".into()]),
    ];
    assert_eq!(seen, expected);
    assert!(workers[0].heartbeat.is_some_and(|age| age >= Duration::from_secs(50)), "{:?}", workers[0]);
    let why = bench.system.why(&bench.link, &bench.queue("orders"), Some(&Bench::id("order-12"))).await.unwrap();
    assert_eq!(why[0].code, "worker_gone");
}

#[tokio::test]
async fn lists_that_look_like_queues_are_offered_and_not_assumed() {
    let bench = bench().await;
    let offered: Vec<_> = bench.offers.iter().map(|offer| offer.key.to_text()).collect();
    assert_eq!(offered, ["app:task_queue"], "described lists, other systems' lists and shopping lists are not");
    assert_eq!(bench.instances.len(), 1);
    assert_eq!(bench.instances[0].queues.len(), 4);
    let undescribed = Bench::new("list", &Described::default(), seed).await;
    assert!(undescribed.instances.is_empty());
}

#[tokio::test]
async fn a_wrong_type_names_the_key_and_both_types() {
    let described = read("[[list]]\nname = \"a\"\nkey = \"a\"\ndead = \"a:dead\"\n");
    let bench = Bench::new("list", &described, |server| {
        run(server, "HSET a x 1\nLPUSH a:dead 1");
    })
    .await;
    let sample = bench.ticks(2).await.remove(0).queues.remove(0);
    assert_eq!(sample.count(StateId("waiting")), Count::Unknown);
    assert_eq!(sample.count(StateId("dead")), Count::Exact(1));
    assert!(sample.error.as_ref().unwrap().contains("cannot count a: the key is no list"), "{:?}", sample.error);
    let reasons = bench.system.why(&bench.link, &bench.queue("a"), None).await.unwrap();
    assert_eq!(reasons[0].text, "a is a hash, the description says list");
}

#[tokio::test]
async fn p7_large_items_are_read_a_few_at_a_time() {
    let described = read("[[list]]\nname = \"big\"\nkey = \"big\"\n[list.fields]\nid = \"id\"\ncreated = \"at\"\n");
    let bench = Bench::new("list", &described, |server| {
        let mut client = server.client();
        for id in 0..20 {
            let item = format!("{{\"id\":\"{id}\",\"at\":1700000000,\"x\":\"{}\"}}", "y".repeat(2_000_000));
            redis::cmd("LPUSH").arg("big").arg(item).query::<redis::Value>(&mut client).unwrap();
        }
    })
    .await;
    let received = || bench.link.meter().totals().bytes_in;
    let before = received();
    let request = qtop::domain::job::PageRequest { cursor: None, limit: 50 };
    let queue = bench.queue("big");
    let page = bench.system.jobs(&bench.link, &queue, StateId("waiting"), request).await.unwrap();
    let moved = received() - before;
    assert!(
        !page.rows.is_empty() && page.next.is_some() && moved < 4_100_000,
        "{} rows, {moved} bytes",
        page.rows.len()
    );
    assert_eq!(bench.rows(&queue, StateId("waiting"), 50).await.len(), 20);
    let before = received();
    bench.ticks(20).await;
    let moved = received() - before;
    assert!(moved < 2_500_000, "20 ticks over items of 2 MB moved {moved} bytes");
}

#[tokio::test]
async fn f10_a_million_items_are_not_walked() {
    let described = read("[[list]]\nname = \"long\"\nkey = \"long\"\n[list.fields]\nid = \"id\"\n");
    let bench = Bench::new("list", &described, |server| {
        let mut client = server.client();
        let script = "for n = 1, 200000 do redis.call('LPUSH', KEYS[1], '{\"id\":' .. n .. '}') end";
        redis::cmd("EVAL").arg(script).arg(1).arg("long").query::<redis::Value>(&mut client).unwrap();
    })
    .await;
    let queue = bench.queue("long");
    let request = qtop::domain::job::PageRequest { cursor: None, limit: 500 };
    let page = bench.system.jobs(&bench.link, &queue, StateId("waiting"), request).await.unwrap();
    assert_eq!((page.rows.len(), page.total), (500, Some(200_000)));
    assert_eq!(page.rows[499].id, Bench::id("500"));
    let job = bench.system.job(&bench.link, &queue, &Bench::id("4000"), 100).await.unwrap();
    assert_eq!(job.unwrap().facts[1].1, "3999 before it");
    let error = bench.system.job(&bench.link, &queue, &Bench::id("190000"), 100).await.unwrap_err().to_string();
    assert!(error.contains("5000 items of long were looked at"), "{error}");
}
