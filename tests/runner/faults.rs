//! Killed runners, lost servers, lost answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use qtop_testkit::{Proxy, TestServer, wait_until};

use crate::bench::{Notes, begin, noting, runner, slow};
use crate::lists::fill;

fn everywhere(server: &TestServer) -> i64 {
    let lists: Vec<String> = redis::from_redis_value(server.run("KEYS mail:processing:*")).unwrap();
    let held: i64 = lists.iter().map(|list| server.int(&format!("LLEN {list}"))).sum();
    server.int("LLEN mail") + server.int("ZCARD mail:later") + server.int("LLEN mail:dead") + held
}

#[test]
fn r8_a_stop_lets_jobs_end_and_puts_back_what_does_not() {
    let server = TestServer::start();
    fill(&server, 20);
    let notes = Notes::default();
    let bench = begin(&server.url(), runner("concurrency = 10"), slow(&notes, Duration::from_millis(700))).unwrap();
    bench.until("ten running", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 10));
    let start = Instant::now();
    let end = bench.stop();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!((end.cut, notes.all().len(), server.int("LLEN mail")), (0, 10, 10), "those that ran have ended");
    let mut config = runner("concurrency = 10");
    config.grace = Duration::from_millis(200);
    let bench = begin(&server.url(), config, slow(&notes, Duration::from_secs(60))).unwrap();
    bench.until("ten running", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 10));
    assert_eq!(bench.stop().cut, 10);
    assert_eq!(server.int("LLEN mail"), 10, "all are back");
    let next: String = redis::from_redis_value(server.run("LINDEX mail -1")).unwrap();
    assert!(next.contains("attempts\":0"), "no attempt was counted: {next}");
}

#[test]
fn r5_an_item_that_was_taken_back_is_not_written() {
    let server = TestServer::start();
    fill(&server, 1);
    let notes = Notes::default();
    let bench = begin(&server.url(), runner(""), slow(&notes, Duration::from_secs(60))).unwrap();
    bench.until("a running job", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 1));
    // What another runner does with the items of a dead one.
    let lists: Vec<String> = redis::from_redis_value(server.run("KEYS mail:processing:*")).unwrap();
    server.run(&format!("RENAME {} elsewhere", lists[0]));
    let before: Vec<String> = redis::from_redis_value(server.run("LRANGE elsewhere 0 -1")).unwrap();
    bench.until("a lost claim", |view| view.pools[0].counts.lost == 1);
    let after: Vec<String> = redis::from_redis_value(server.run("LRANGE elsewhere 0 -1")).unwrap();
    assert_eq!(before, after);
    assert_eq!((server.int("LLEN mail:dead"), server.int("ZCARD mail:later")), (0, 0));
    bench.stop();
}

#[test]
fn r6_items_of_a_dead_runner_come_back_and_those_of_a_living_do_not() {
    let server = TestServer::start();
    fill(&server, 5);
    let notes = Notes::default();
    let living = begin(&server.url(), runner("concurrency = 2"), slow(&notes, Duration::from_secs(8))).unwrap();
    living.until("two running", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 2));
    // A runner that died: it is registered, holds an item, and gives no sign of life.
    server.run("LMOVE mail mail:processing:gone RIGHT LEFT");
    server.run("ZADD mail:qtop:runners 1000 gone");
    wait_until("the item's return", Duration::from_secs(10), || server.int("LLEN mail") == 3);
    wait_until("five runs", Duration::from_secs(40), || notes.all().len() == 5);
    let mut ran = notes.all();
    ran.sort();
    assert_eq!(ran, ["0", "1", "2", "3", "4"], "each once");
    living.until("five results", |view| view.pools[0].counts.done == 5);
    living.stop();
}

#[test]
fn r7_r12_a_server_that_goes_away_loses_nothing_and_is_used_again_soon() {
    let mut server = TestServer::builder().persistent().start();
    fill(&server, 30);
    let notes = Notes::default();
    let bench = begin(&server.url(), runner("concurrency = 3"), slow(&notes, Duration::from_millis(300))).unwrap();
    bench.until("some results", |view| view.pools.first().is_some_and(|pool| pool.counts.done >= 3));
    server.stop();
    std::thread::sleep(Duration::from_secs(1));
    server.restart();
    let back = Instant::now();
    let before = notes.all().len();
    wait_until("jobs after the restart", Duration::from_secs(10), || notes.all().len() > before);
    assert!(back.elapsed() < Duration::from_secs(10));
    bench.until("the end", |view| view.pools[0].counts.done == 30);
    let mut ran = BTreeMap::new();
    notes.all().into_iter().for_each(|id| *ran.entry(id).or_insert(0) += 1);
    assert_eq!(ran.len(), 30);
    assert!(ran.values().all(|times| *times == 1), "an outcome is kept, not worked out again: {ran:?}");
    bench.stop();
    assert_eq!(everywhere(&server), 0);
}

#[test]
fn r3_disconnects_at_any_moment_lose_nothing() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let notes = Notes::default();
    let bench = begin(&proxy.url(), runner("concurrency = 5"), noting(&notes)).unwrap();
    let mut client = server.client();
    for number in 0..600 {
        let _: i64 =
            redis::cmd("LPUSH").arg("mail").arg(format!("{{\"id\":\"{number}\"}}")).query(&mut client).unwrap();
        if number % 30 == 0 {
            proxy.cut();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    wait_until("all jobs", Duration::from_secs(40), || everywhere(&server) == 0);
    bench.stop();
    let mut ran = BTreeMap::new();
    notes.all().into_iter().for_each(|id| *ran.entry(id).or_insert(0) += 1);
    assert_eq!(ran.len(), 600, "none lost");
    let twice = ran.values().filter(|times| **times > 1).count();
    assert!(twice == 0, "{twice} ran more than once");
}
