//! Working on a plain list.

use std::sync::Arc;
use std::time::{Duration, Instant};

use qtop::domain::ids::QueueId;
use qtop::domain::runner::{Ended, RunnerCommand};
use qtop::engine::runner::Order;
use qtop::engine::runner::work::Ending;
use qtop_testkit::{Proxy, TestServer, wait_until};

use crate::bench::{Notes, begin, failing, noting, runner, slow};

pub fn fill(server: &TestServer, count: usize) {
    let mut client = server.client();
    for number in 0..count {
        let item = format!("{{\"id\":\"{number}\",\"n\":18446744073709551616.50,\"attempts\":0}}");
        let _: i64 = redis::cmd("LPUSH").arg("mail").arg(item).query(&mut client).unwrap();
    }
}

#[test]
fn every_item_runs_once_in_order_with_its_exact_bytes() {
    let server = TestServer::start();
    fill(&server, 200);
    let notes = Notes::default();
    let bench = begin(&server.url(), runner("concurrency = 1"), noting(&notes)).unwrap();
    bench.until("200 results", |view| view.pools.first().is_some_and(|pool| pool.counts.done == 200));
    let expected: Vec<String> =
        (0..200).map(|n| format!("{{\"id\":\"{n}\",\"n\":18446744073709551616.50,\"attempts\":0}}")).collect();
    assert_eq!(notes.all(), expected);
    assert_eq!(bench.stop().cut, 0);
    assert_eq!(server.int("LLEN mail"), 0);
    let left: Vec<String> = redis::from_redis_value(server.run("KEYS *")).unwrap();
    assert_eq!(left, Vec::<String>::new(), "nothing of the runner stays behind");
}

#[test]
fn r17_payloads_reach_the_handler_byte_for_byte() {
    let server = TestServer::start();
    let payloads: Vec<Vec<u8>> =
        vec![b"\xff\xfe\x00no text".to_vec(), b"{\"id\":\"\\u0000\"}".to_vec(), vec![b'x'; 1 << 20], b" ".to_vec()];
    for payload in &payloads {
        let _: i64 = redis::cmd("LPUSH").arg("mail").arg(payload).query(&mut server.client()).unwrap();
    }
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let job = move |work: qtop::engine::runner::work::Work, _| {
        sink.lock().unwrap().push(work.payload.to_vec());
        Box::pin(async { Ending::Done { result: None } }) as futures_util::future::BoxFuture<'static, Ending>
    };
    let mut config = runner("");
    config.max_payload = 1 << 20;
    let bench = begin(&server.url(), config, Arc::new(job)).unwrap();
    bench.until("four results", |view| view.pools.first().is_some_and(|pool| pool.counts.done == 4));
    assert_eq!(*seen.lock().unwrap(), payloads);
    let _: i64 = redis::cmd("LPUSH").arg("mail").arg(vec![b'y'; (1 << 20) + 1]).query(&mut server.client()).unwrap();
    bench.until("a refusal", |view| view.pools[0].counts.failed == 1);
    assert!(bench.view().recent[0].message.contains("max_payload"), "{:?}", bench.view().recent[0].message);
    bench.stop();
    assert_eq!(server.int("LLEN mail:dead"), 1, "kept as it was");
}

#[test]
fn failures_wait_in_the_delayed_set_and_end_among_the_dead_with_reason_and_attempts() {
    let server = TestServer::start();
    fill(&server, 1);
    let notes = Notes::default();
    let bench = begin(&server.url(), runner("retry = { attempts = 3, backoff = ['300ms', '400ms'] }"), failing(&notes));
    let bench = bench.unwrap();
    let start = Instant::now();
    wait_until("a delayed item", Duration::from_secs(10), || server.int("ZCARD mail:later") == 1);
    wait_until("a dead item", Duration::from_secs(10), || server.int("LLEN mail:dead") == 1);
    assert!(start.elapsed() > Duration::from_millis(550), "it waited");
    assert_eq!(notes.all(), ["0 1", "0 2", "0 3"]);
    let dead: String = redis::from_redis_value(server.run("LINDEX mail:dead 0")).unwrap();
    let dead_json: serde_json::Value = serde_json::from_str(&dead).unwrap();
    assert_eq!((&dead_json["attempts"], &dead_json["last_error"]), (&3.into(), &"no route".into()));
    assert!(dead_json["failed_at"].is_i64() && dead.contains("18446744073709551616.50"), "{dead}");
    bench.until("the counts", |view| (view.pools[0].counts.retried, view.pools[0].counts.failed) == (2, 1));
    bench.stop();
}

#[test]
fn f7_an_idle_runner_starts_a_job_at_once_and_hardly_speaks() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let notes = Notes::default();
    let bench = begin(&proxy.url(), runner("concurrency = 4"), noting(&notes)).unwrap();
    bench.until("a waiting pool", |view| {
        view.pools.first().is_some_and(|pool| pool.state == qtop::domain::runner::PoolState::Consuming)
    });
    std::thread::sleep(Duration::from_millis(500));
    proxy.clear();
    std::thread::sleep(Duration::from_secs(10));
    let idle = proxy.traffic().commands;
    let mut waits = Vec::new();
    for number in 0..30 {
        let start = Instant::now();
        let _: i64 = redis::cmd("LPUSH").arg("mail").arg(number).query(&mut server.client()).unwrap();
        while notes.all().len() <= number {
            std::thread::sleep(Duration::from_micros(200));
        }
        waits.push(start.elapsed());
    }
    waits.sort();
    assert!(waits[15] < Duration::from_millis(20), "{waits:?}");
    // Renewals come six times a lease, which is short here: 4 s instead of 30 s.
    assert!(idle <= 40, "{idle} commands in 10 s");
    assert!(proxy.traffic().connections <= 2, "F8: one for control, one that waits");
    bench.stop();
}

#[test]
fn a_person_can_pause_resize_and_cancel() {
    let server = TestServer::start();
    fill(&server, 6);
    let notes = Notes::default();
    let bench = begin(&server.url(), runner("concurrency = 2"), slow(&notes, Duration::from_secs(60))).unwrap();
    let queue = QueueId::new("list", "", "mail");
    let order = |command| bench.handle.orders.blocking_send(Order::Command(command)).unwrap();
    bench.until("two running", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 2));
    order(RunnerCommand::Resize(queue.clone(), 3));
    bench.until("three running", |view| view.pools[0].slots.len() == 3);
    order(RunnerCommand::Pause(queue.clone()));
    let job = qtop::domain::ids::JobRef { queue: queue.clone(), id: "1".into() };
    order(RunnerCommand::Cancel(job));
    bench.until("a cancelled job", |view| view.pools[0].counts.cancelled == 1);
    assert_eq!(bench.view().recent[0].ended, Ended::Cancelled);
    assert_eq!(server.int("LLEN mail:dead"), 1, "its outcome is recorded");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(bench.view().pools[0].slots.len(), 2, "paused: no other took its place");
    order(RunnerCommand::Resume(queue));
    bench.until("three running again", |view| view.pools[0].slots.len() == 3);
    bench.handle.hurry.cancel();
    let end = bench.handle.join().unwrap();
    assert_eq!(end.cut, 3, "what ran went back");
    assert_eq!(server.int("LLEN mail"), 5);
}

#[test]
fn p3_a_record_is_read_whole_only_if_it_is_small() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let mut client = server.client();
    for id in ["small", "wide", "heavy"] {
        redis::cmd("LPUSH").arg("mail").arg(id).exec(&mut client).unwrap();
    }
    server.run("HSET record:small to ada");
    for number in 0..300 {
        server.run(&format!("HSET record:wide f{number} x"));
    }
    redis::cmd("HSET").arg("record:heavy").arg("to").arg(vec![b'x'; 20 << 20]).exec(&mut client).unwrap();
    let mut list: toml::Table = toml::from_str(crate::bench::LIST).unwrap();
    list.insert("item".to_owned(), "id".into());
    list.insert(
        "record".to_owned(),
        toml::from_str::<toml::Table>("key = 'record:{id}'\nkind = 'hash'").unwrap().into(),
    );
    let notes = Notes::default();
    let described = qtop::domain::described::Described { lists: vec![list.try_into().unwrap()], ..Default::default() };
    let bench = crate::bench::begin_with(&proxy.url(), runner(""), noting(&notes), &described).unwrap();
    bench.until("three outcomes", |view| {
        view.pools.first().is_some_and(|pool| pool.counts.done + pool.counts.failed == 3)
    });
    assert_eq!(notes.all(), ["{\"to\":\"ada\"}"]);
    let reasons: Vec<String> = bench.view().recent.iter().map(|result| result.message.clone()).collect();
    assert!(reasons.iter().filter(|reason| reason.contains("too large to be read whole")).count() == 2, "{reasons:?}");
    bench.stop();
    assert_eq!(server.int("LLEN mail:dead"), 2, "kept as they were");
    let whole: Vec<String> =
        proxy.sent().iter().filter(|sent| sent.name == "HGETALL").map(|sent| sent.text()).collect();
    assert_eq!(whole, ["HGETALL record:small"]);
}
