//! Working for a consumer group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use qtop::domain::ids::{JobRef, QueueId};
use qtop::domain::runner::{Ended, PoolState, RunnerCommand};
use qtop::engine::runner::Order;
use qtop_testkit::{TestServer, wait_until};

use crate::bench::{Notes, begin, failing, forget_signs, noting, runner_on, slow};

fn stream(server: &TestServer, count: usize) {
    server.run("XGROUP CREATE events workers 0 MKSTREAM");
    for number in 0..count {
        server.run(&format!("XADD events * type send data {number}"));
    }
}

fn pending(server: &TestServer) -> i64 {
    let all: Vec<redis::Value> = redis::from_redis_value(server.run("XPENDING events workers")).unwrap();
    redis::from_redis_value(all[0].clone()).unwrap()
}

#[test]
fn entries_run_once_and_are_acknowledged_with_their_outcome() {
    let server = TestServer::start();
    stream(&server, 100);
    let notes = Notes::default();
    let bench = begin(&server.url(), runner_on("stream:events/workers", "concurrency = 4"), noting(&notes)).unwrap();
    bench.until("100 results", |view| view.pools.first().is_some_and(|pool| pool.counts.done == 100));
    server.run("XADD events * type send data late");
    wait_until("one that came later", Duration::from_secs(10), || notes.all().contains(&"late".to_owned()));
    bench.stop();
    let mut ran = BTreeMap::new();
    notes.all().into_iter().for_each(|data| *ran.entry(data).or_insert(0) += 1);
    assert!(ran.len() == 101 && ran.values().all(|times| *times == 1), "{ran:?}");
    assert_eq!(pending(&server), 0);
    let consumers: Vec<redis::Value> = redis::from_redis_value(server.run("XINFO CONSUMERS events workers")).unwrap();
    assert_eq!(consumers.len(), 0, "a runner that has nothing leaves no consumer behind");
}

#[test]
fn failures_wait_and_then_go_to_the_dead_with_their_reason() {
    let server = TestServer::start();
    stream(&server, 1);
    let notes = Notes::default();
    let pool = "retry = { attempts = 2, backoff = ['300ms'] }";
    let bench = begin(&server.url(), runner_on("stream:events/workers", pool), failing(&notes)).unwrap();
    bench.until("a dead entry", |view| view.pools.first().is_some_and(|pool| pool.counts.failed == 1));
    let attempts: Vec<String> = notes.all().iter().map(|note| note.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(attempts, ["1", "2"]);
    let dead = format!("{:?}", server.run("XRANGE events:dead - +"));
    assert!(dead.contains("no route") && dead.contains("qtop:origin"), "{dead}");
    assert_eq!(pending(&server), 0);
    bench.stop();
}

#[test]
fn r6_entries_of_a_dead_runner_are_taken_over_and_those_of_others_are_not() {
    let server = TestServer::start();
    stream(&server, 2);
    server.run("XREADGROUP GROUP workers gone COUNT 1 STREAMS events >");
    server.run("ZADD events:qtop:workers:runners 1000 gone");
    server.run("XREADGROUP GROUP workers foreign COUNT 1 STREAMS events >");
    let notes = Notes::default();
    let bench = begin(&server.url(), runner_on("stream:events/workers", ""), slow(&notes, Duration::ZERO)).unwrap();
    wait_until("the entry of the dead", Duration::from_secs(15), || notes.all().len() == 1);
    bench.until("its outcome", |view| view.pools[0].counts.done == 1);
    bench.stop();
    assert_eq!(pending(&server), 1, "the other is its owner's");
}

#[test]
fn r6_runners_that_all_lived_through_an_outage_take_nothing_from_each_other() {
    let server = TestServer::start();
    stream(&server, 2);
    let notes = Notes::default();
    let begin = || {
        let mut config = runner_on("stream:events/workers", "");
        config.lease = Duration::from_secs(8);
        begin(&server.url(), config, slow(&notes, Duration::from_secs(60))).unwrap()
    };
    let benches = [begin(), begin()];
    wait_until("two running", Duration::from_secs(10), || notes.all().len() == 2);
    forget_signs(&server, "events:qtop:workers:");
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(notes.all().len(), 2, "each ran once: {:?}", notes.all());
    assert_eq!(server.int("EXISTS events:qtop:workers:later"), 0);
    for bench in benches {
        bench.handle.hurry.cancel();
        bench.handle.join().unwrap();
    }
}

#[test]
fn a_copy_runs_here_and_the_job_goes_back_only_if_it_passes() {
    let server = TestServer::start();
    let _: i64 = redis::cmd("LPUSH").arg("mail:dead").arg("{\"id\":\"7\"}").query(&mut server.client()).unwrap();
    let notes = Notes::default();
    let bench = begin(&server.url(), runner_on("list:mail", "paused = true"), noting(&notes)).unwrap();
    bench.until("a pool", |view| !view.pools.is_empty());
    let job = JobRef { queue: QueueId::new("list", "", "mail"), id: "7".into() };
    bench.handle.orders.blocking_send(Order::Command(RunnerCommand::RunCopy(job))).unwrap();
    bench.until("a result", |view| !view.recent.is_empty());
    let result = bench.view().recent[0].clone();
    assert_eq!(result.ended, Ended::Done, "{}", result.message);
    assert!(result.message.contains("queued again"), "{}", result.message);
    assert_eq!((server.int("LLEN mail"), server.int("LLEN mail:dead")), (1, 0));
    bench.stop();
}

#[test]
fn r12_a_dead_entry_waits_while_its_place_is_of_another_kind_and_nothing_else_is_taken_then() {
    let server = TestServer::start();
    stream(&server, 1);
    let notes = Notes::default();
    let url = server.url();
    let bench =
        begin(&url, runner_on("stream:events/workers", "retry = { attempts = 2, backoff = ['1s'] }"), failing(&notes));
    let bench = bench.unwrap();
    wait_until("the first attempt", Duration::from_secs(10), || notes.all().len() == 1);
    server.run("SET events:dead x");
    bench.until_pool("trouble", |pool| pool.note.as_ref().is_some_and(|note| note.contains("events:dead")));
    assert_eq!((notes.all().len(), pending(&server)), (1, 1));
    server.run("DEL events:dead");
    wait_until("a dead entry", Duration::from_secs(15), || server.int("XLEN events:dead") == 1);
    bench.stop();
    assert_eq!((notes.all().len(), pending(&server)), (2, 0));
}

#[test]
fn what_the_waiting_read_brings_counts_for_the_rate_limit() {
    let server = TestServer::start();
    stream(&server, 0);
    let notes = Notes::default();
    let pool = "concurrency = 4\nrate = { jobs = 3, per = '4s' }";
    let bench = begin(&server.url(), runner_on("stream:events/workers", pool), noting(&notes)).unwrap();
    bench.until_pool("a waiting pool", |pool| pool.state == PoolState::Consuming);
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    for number in 0..8 {
        server.run(&format!("XADD events * type send data {number}"));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let early = notes.all().len();
    assert!((1..=3).contains(&early), "{early} of at most 3 in 4 s");
    wait_until("all", Duration::from_secs(20), || notes.all().len() == 8);
    assert!(start.elapsed() > Duration::from_secs(7), "three in each 4 s: {:?}", start.elapsed());
    bench.stop();
}

#[test]
fn r6_entries_that_a_foreign_consumer_left_behind_are_taken_over_only_if_asked_for() {
    let server = TestServer::start();
    stream(&server, 4);
    let ids: Vec<(String, Vec<String>)> = redis::from_redis_value(server.run("XRANGE events - +")).unwrap();
    let ids: Vec<String> = ids.into_iter().map(|(id, _)| id).collect();
    server.run("XREADGROUP GROUP workers foreign COUNT 9 STREAMS events >");
    let old = |consumer: &str, at: usize, deliveries: u32| {
        server.run(&format!("XCLAIM events workers {consumer} 0 {} IDLE 100000 RETRYCOUNT {deliveries}", ids[at]));
    };
    // Its consumer has died with it; it was delivered too often; it waits for another attempt at a runner that lives; it
    // is being worked on.
    old("foreign", 0, 1);
    old("foreign", 1, 7);
    old("other", 2, 1);
    server.run("SET events:qtop:workers:alive:other 1 EX 60");
    server.run("ZADD events:qtop:workers:runners 9999999999999 other");
    let notes = Notes::default();
    let left_alone = begin(&server.url(), runner_on("stream:events/workers", ""), noting(&notes)).unwrap();
    left_alone.until_pool("a waiting pool", |pool| pool.state == PoolState::Consuming);
    std::thread::sleep(Duration::from_secs(1));
    assert!(left_alone.stop().cut == 0 && notes.all().is_empty(), "nobody asked for it: {:?}", notes.all());
    let pool = "timeout = '10s'\nclaim_idle = '60s'";
    let bench = begin(&server.url(), runner_on("stream:events/workers", pool), noting(&notes)).unwrap();
    bench.until_pool("two outcomes", |pool| pool.counts.done + pool.counts.failed == 2);
    assert_eq!(notes.all(), ["0"]);
    let dead = format!("{:?}", server.run("XRANGE events:dead - +"));
    assert!(dead.contains("it was delivered 7 times and never acknowledged"), "{dead}");
    let result = bench.view().recent.iter().find(|result| result.ended == Ended::Failed).cloned().unwrap();
    assert!(result.message.contains("delivered 7 times"), "{}", result.message);
    bench.stop();
    let left: Vec<(String, String, i64, i64)> =
        redis::from_redis_value(server.run("XPENDING events workers - + 9")).unwrap();
    let left: Vec<(&str, &str)> = left.iter().map(|(id, consumer, ..)| (id.as_str(), consumer.as_str())).collect();
    assert_eq!(left, [(ids[2].as_str(), "other"), (ids[3].as_str(), "foreign")]);
}
