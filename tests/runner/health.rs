//! What the runner says of itself is so: on the screen, in the metrics, to whoever asks whether it is well.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use qtop::domain::runner::{PoolState, RunnerCommand};
use qtop::engine::runner::Order;
use qtop_testkit::{Proxy, TestServer, wait_until};

use crate::bench::{Bench, Notes, begin, noting, runner, slow};
use crate::lists::fill;

/// What the metrics listener answers.
pub fn get(bench: &Bench, path: &str) -> String {
    let address = bench.view().metrics.clone().unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn listening(pool: &str) -> qtop::config::Runner {
    let mut config = runner(pool);
    config.metrics = Some("127.0.0.1:0".to_owned());
    config
}

fn gauge(bench: &Bench) -> bool {
    let metrics = get(bench, "/metrics");
    let line = metrics.lines().find(|line| line.starts_with("worker_consuming{")).map(str::to_owned);
    line.unwrap_or_else(|| panic!("{metrics}")).ends_with(" 1")
}

fn healthy(bench: &Bench) -> bool {
    get(bench, "/healthz").starts_with("HTTP/1.1 200")
}

#[test]
fn r7_a_server_that_is_gone_is_told_also_while_every_slot_is_full() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    fill(&server, 2);
    let job = slow(&Notes::default(), Duration::from_secs(600));
    let bench = begin(&proxy.url(), listening("concurrency = 2"), job).unwrap();
    bench.until_pool("two running", |pool| pool.slots.len() == 2 && pool.state == PoolState::Consuming);
    assert!(healthy(&bench) && gauge(&bench));
    proxy.refuse(true);
    let is = |wanted: PoolState| move |pool: &qtop::domain::runner::PoolView| pool.state == wanted;
    bench.until_pool("trouble", is(PoolState::Connecting));
    assert!(bench.view().pools[0].note.is_some(), "it says what is wrong");
    assert!(!healthy(&bench) && !gauge(&bench));
    proxy.refuse(false);
    let back = Instant::now();
    bench.until_pool("no trouble", is(PoolState::Consuming));
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
    assert!(healthy(&bench) && gauge(&bench));
    bench.handle.hurry.cancel();
    bench.handle.join().unwrap();
}

#[test]
fn the_gauge_is_one_only_while_jobs_are_taken() {
    let server = TestServer::start();
    let bench = begin(&server.url(), listening(""), noting(&Notes::default())).unwrap();
    bench.until_pool("taking jobs", |pool| pool.state == PoolState::Consuming);
    assert!(gauge(&bench));
    let tell = |command| bench.handle.orders.try_send(Order::Command(command)).unwrap();
    tell(RunnerCommand::Rest { put_back: false });
    bench.until_pool("resting", |pool| pool.state == PoolState::Paused);
    assert!(!gauge(&bench));
    tell(RunnerCommand::Wake);
    bench.until_pool("taking jobs again", |pool| pool.state == PoolState::Consuming);
    let mut full = listening("");
    full.min_free_memory = Some(u64::MAX);
    let held = begin(&server.url(), full, noting(&Notes::default())).unwrap();
    held.until_pool("holding back", |pool| pool.state == PoolState::Holding);
    assert!(!gauge(&held));
    held.stop();
    fill(&server, 1);
    bench.stop();
}

#[test]
fn a_runner_without_pools_is_not_well() {
    let server = TestServer::start();
    let mut config = listening("");
    let bench = begin(&server.url(), config.clone(), noting(&Notes::default())).unwrap();
    bench.until_pool("taking jobs", |pool| pool.state == PoolState::Consuming);
    assert!(healthy(&bench));
    config.pools.clear();
    bench.handle.orders.try_send(Order::Reload(Box::new(config))).unwrap();
    bench.until("no pool", |view| view.pools.is_empty());
    assert!(!healthy(&bench), "{}", get(&bench, "/healthz"));
    bench.stop();
}

#[test]
fn r7_r11_after_a_demotion_the_waiting_connection_is_made_anew_too() {
    let (old, new) = (TestServer::start(), TestServer::start());
    let proxy = Proxy::start(old.port());
    let notes = Notes::default();
    // A client that waits is closed by a demotion; one whose read comes just after it is not.
    proxy.hold_up("BLMOVE", Duration::from_millis(500));
    let bench = begin(&proxy.url(), runner(""), noting(&notes)).unwrap();
    let waits = || proxy.sent().iter().rfind(|sent| sent.name == "BLMOVE").map(|sent| sent.connection);
    wait_until("a blocking read", Duration::from_secs(10), || waits().is_some());
    let before = waits();
    // Connections stay open: only what comes now goes to the new one.
    proxy.redirect(new.port());
    old.run(&format!("REPLICAOF 127.0.0.1 {}", new.port()));
    wait_until("a blocking read elsewhere", Duration::from_secs(10), || waits() != before);
    for _ in 0..50 {
        thread::sleep(Duration::from_millis(50));
        assert_eq!(bench.view().pools[0].state, PoolState::Consuming, "{:?}", bench.view().pools[0].note);
    }
    fill(&new, 1);
    wait_until("the job", Duration::from_secs(3), || notes.all().len() == 1);
    bench.stop();
}

#[test]
fn r3_a_wait_that_begins_late_is_ended_all_the_same() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let notes = Notes::default();
    proxy.hold_up("BLMOVE", Duration::from_millis(600));
    let bench = begin(&proxy.url(), runner(""), noting(&notes)).unwrap();
    wait_until("a blocking read on its way", Duration::from_secs(10), || {
        proxy.sent().iter().any(|sent| sent.name == "BLMOVE")
    });
    // What ends the read overtakes it.
    let queue = bench.view().pools[0].queue.clone();
    bench.handle.orders.try_send(Order::Command(RunnerCommand::Pause(queue))).unwrap();
    thread::sleep(Duration::from_millis(1_500));
    fill(&server, 1);
    thread::sleep(Duration::from_millis(500));
    let pool = bench.view().pools[0].clone();
    assert_eq!((pool.counts.returned, notes.all().len()), (0, 0), "a paused pool takes no job, not for a moment");
    let start = Instant::now();
    bench.stop();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
