//! Streams: the seeding for the suite, and what only they must hold.

use qtop::domain::described::Described;
use qtop::domain::ids::Name;
use qtop::domain::job::PageRequest;
use qtop::domain::queue::{Count, Oldest, QueueSample};
use qtop::domain::snapshot::InstanceSample;
use qtop::domain::state::StateId;
use qtop::domain::time::Timestamp;
use qtop::domain::worker::Liveness;
use qtop_testkit::TestServer;

use crate::bench::Bench;
use crate::seeds::run;

pub const COUNTS: &[(&str, &str, u64)] = &[
    ("events/workers", "waiting", 3),
    ("events/workers", "pending", 2),
    ("events/workers", "dead", 1),
    ("events/audit", "waiting", 6),
    ("events/audit", "pending", 0),
    ("plain", "entries", 2),
    ("a%2Fb*:\n {x}/g/h", "waiting", 1),
];

/// Six entries; one group was given three and acknowledged one, the other was given none.
pub fn seed(server: &TestServer) {
    run(
        server,
        r#"XADD events 1700000000000-0 type created data {"n":1}
           XADD events 1700000001000-0 type created data {"n":2}
           XADD events 1700000002000-0 type paid data {"n":3}
           XADD events 1700000003000-0 type paid data {"n":4}
           XADD events 1700000003000-1 type paid data {"n":5}
           XADD events 1700000005000-0 type shipped data {"n":6}
           XGROUP CREATE events workers 0
           XGROUP CREATE events audit 0
           XREADGROUP GROUP workers c1 COUNT 2 STREAMS events >
           XREADGROUP GROUP workers c2 COUNT 1 STREAMS events >
           XACK events workers 1700000000000-0
           XADD events:dead 1700000009000-0 type failed origin 1690000000000-0
           XADD plain 1-0 a b
           XADD plain 2-0 a c
           XADD bull:mail:events * event added
           XADD app:orders:events * type used-by-a-group
           XGROUP CREATE app:orders:events readers 0"#,
    );
    let mut client = server.client();
    let odd = "a/b*:\n {x}";
    redis::cmd("XADD").arg(odd).arg("*").arg("k").arg("v").query::<redis::Value>(&mut client).unwrap();
    redis::cmd("XGROUP").arg("CREATE").arg(odd).arg("g/h").arg("0").query::<redis::Value>(&mut client).unwrap();
}

async fn bench() -> Bench {
    Bench::new("stream", &Described::default(), seed).await
}

fn sample<'a>(samples: &'a [InstanceSample], name: &str) -> &'a QueueSample {
    let name = Name::from(name);
    samples[0].queues.iter().find(|sample| sample.id.name == name).unwrap_or_else(|| panic!("{name} is sampled"))
}

#[tokio::test]
async fn every_group_is_a_queue_and_other_systems_events_are_none() {
    let bench = bench().await;
    let samples = bench.ticks(4).await;
    let names: Vec<_> = samples[0].queues.iter().map(|sample| sample.id.name.to_text()).collect();
    assert_eq!(
        names,
        ["a%2Fb*:\n {x}/g/h", "app:orders:events/readers", "events/audit", "events/workers", "plain"],
        "dead letters are a state, BullMQ's events belong to BullMQ"
    );
    let workers = sample(&samples, "events/workers");
    assert_eq!(workers.oldest, Oldest::Since(Timestamp(1_700_000_003_000)));
    assert_eq!((workers.totals.added, workers.totals.finished), (Some(6), Some(1)));
    assert_eq!((workers.workers.alive, workers.workers.busy), (Some(2), Some(2)));
    assert_eq!(workers.count(StateId("entries")), Count::Exact(6));
    let plain = sample(&samples, "plain");
    assert_eq!(plain.count(StateId("waiting")), Count::Unknown, "nobody knows who reads it");
}

#[tokio::test]
async fn one_named_group_is_sampled_alone() {
    let mut bench = bench().await;
    bench.instances[0].queues = vec![Name::from("events/audit")];
    let samples = bench.ticks(3).await;
    let names: Vec<_> = samples[0].queues.iter().map(|sample| sample.id.name.to_text()).collect();
    assert_eq!(names, ["events/audit"]);
}

#[tokio::test]
async fn a_backlog_the_server_cannot_tell_is_counted_or_unknown_and_never_zero() {
    let bench = bench().await;
    run(&bench.server, "XDEL events 1700000003000-1");
    assert_eq!(sample(&bench.ticks(1).await, "events/workers").count(StateId("waiting")), Count::Unknown);
    let samples = bench.ticks(4).await;
    let workers = sample(&samples, "events/workers");
    assert_eq!(workers.count(StateId("waiting")), Count::Exact(2));
    assert_eq!(workers.totals.added, None);
    let mut client = bench.server.client();
    let script = "for n = 1, 2000 do redis.call('XADD', KEYS[1], '*', 'k', n) end";
    redis::cmd("EVAL").arg(script).arg(1).arg("events").query::<redis::Value>(&mut client).unwrap();
    let samples = bench.ticks(4).await;
    assert_eq!(sample(&samples, "events/workers").count(StateId("waiting")), Count::AtLeast(500));
    let reasons = bench.system.why(&bench.link, &bench.queue("events/workers"), None).await.unwrap();
    assert!(reasons.iter().any(|reason| reason.code == "lag_unknown"), "{reasons:?}");
}

#[tokio::test]
async fn delivered_entries_tell_consumer_deliveries_and_lost_bodies() {
    let bench = bench().await;
    run(&bench.server, "XDEL events 1700000002000-0");
    let queue = bench.queue("events/workers");
    let rows = bench.rows(&queue, StateId("pending"), 1).await;
    let got: Vec<_> = rows
        .iter()
        .map(|row| (row.id.to_text(), row.worker.clone().unwrap(), row.attempts_made, row.record_exists))
        .collect();
    assert_eq!(
        got,
        [
            ("1700000001000-0".to_owned(), "c1".to_owned(), Some(1), true),
            ("1700000002000-0".to_owned(), "c2".to_owned(), Some(1), false)
        ]
    );
    assert_eq!(rows[0].name.as_deref(), Some("created"));
    let gone = bench.system.job(&bench.link, &queue, &Bench::id("1700000002000-0"), 100).await.unwrap().unwrap();
    assert_eq!((gone.payload.total, gone.row.record_exists), (0, false));
    let job = bench.system.job(&bench.link, &queue, &Bench::id("1700000003000-1"), 100).await.unwrap().unwrap();
    assert_eq!(job.payload.bytes.as_ref(), br#"{"type":"paid","data":{"n":5}}"#);
    assert_eq!(job.row.state, StateId("waiting"));
    let done = bench.system.job(&bench.link, &queue, &Bench::id("1700000000000-0"), 100).await.unwrap().unwrap();
    assert_eq!(done.row.state, StateId("entries"));
}

#[tokio::test]
async fn consumers_are_workers_with_what_they_hold() {
    let bench = bench().await;
    let workers = bench.system.workers(&bench.link, &bench.instances[0], None).await.unwrap();
    let seen: Vec<_> = workers
        .iter()
        .map(|worker| (worker.name.to_text(), worker.state, worker.queues[0].to_text(), worker.running.len()))
        .collect();
    assert_eq!(
        seen,
        [
            ("c1".to_owned(), Liveness::Live, "events/workers".to_owned(), 1),
            ("c2".to_owned(), Liveness::Live, "events/workers".to_owned(), 1)
        ]
    );
}

#[tokio::test]
async fn p7_large_entries_are_read_a_few_at_a_time() {
    let bench = Bench::new("stream", &Described::default(), |server| {
        let mut client = server.client();
        for n in 10..30 {
            let body = "y".repeat(2_000_000);
            redis::cmd("XADD")
                .arg("big")
                .arg(format!("17000000000{n}-0"))
                .arg("b")
                .arg(body)
                .query::<redis::Value>(&mut client)
                .unwrap();
        }
        run(server, "XGROUP CREATE big g 0\nXGROUP SETID big g 1700000000014-0");
    })
    .await;
    let received = || bench.link.meter().totals().bytes_in;
    let before = received();
    let queue = bench.queue("big/g");
    let request = PageRequest { cursor: None, limit: 50 };
    let page = bench.system.jobs(&bench.link, &queue, StateId("waiting"), request).await.unwrap();
    let moved = received() - before;
    assert!(!page.rows.is_empty() && page.next.is_some() && moved < 4_100_000, "{} rows, {moved}", page.rows.len());
    let before = received();
    let samples = bench.ticks(25).await;
    let moved = received() - before;
    assert!(moved < 2_500_000, "25 ticks over entries of 2 MB moved {moved} bytes");
    assert_eq!(sample(&samples, "big/g").count(StateId("waiting")), Count::AtLeast(1), "counted by one look");
}
