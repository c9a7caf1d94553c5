//! Servers that refuse, lose memory, or fall silent at the worst moment: no task ends, no job runs twice, none is lost.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use qtop::domain::runner::PoolState;
use qtop_testkit::{Proxy, TestServer, repeated, wait_until};
use serde_json::json;

use crate::bench::{Bench, Notes, begin, noting, runner, runner_on, slow};
use crate::library::Library;
use crate::lists::fill;

/// What a server in trouble answers, one row for each word of R11.
const WORDS: [&str; 10] = [
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "LOADING Redis is loading the dataset in memory",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "CLUSTERDOWN The cluster is down",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOPERM this user has no permissions to run the 'evalsha' command",
];

fn counted(notes: &Notes) -> BTreeMap<String, usize> {
    let mut ran = BTreeMap::new();
    notes.all().into_iter().for_each(|id| *ran.entry(id).or_insert(0) += 1);
    ran
}

fn left(server: &TestServer) -> i64 {
    let held: Vec<String> = redis::from_redis_value(server.run("KEYS mail:processing:*")).unwrap();
    server.int("LLEN mail") + server.int("ZCARD mail:later") + server.int("LLEN mail:dead") + held.len() as i64
}

fn consuming(bench: &Bench) -> bool {
    bench.view().pools.first().is_some_and(|pool| pool.state == PoolState::Consuming)
}

#[test]
fn r11_r12_no_refusal_ends_a_task_or_runs_a_job_twice() {
    // All at once: each waits most of the time.
    thread::scope(|scope| {
        for error in WORDS {
            scope.spawn(move || refused(error));
        }
    });
}

/// Jobs are running when the refusals begin, and end while nothing can be stored.
fn refused(error: &str) {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    fill(&server, 6);
    let notes = Notes::default();
    let bench = begin(&proxy.url(), runner("concurrency = 3"), slow(&notes, Duration::from_millis(700))).unwrap();
    bench.until("three running", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 3));
    proxy.refuse_with(Some(error));
    proxy.clear();
    let word = error.split(' ').next().unwrap();
    thread::sleep(Duration::from_secs(3));
    let sent = proxy.traffic().commands;
    // Three outcomes, the claim, the renewals: each tries a few times, none of them hundreds of times. A server that is a
    // replica now is looked for anew at most twice a second.
    assert!(sent < 90, "{word}: {sent} commands in 3 s are no back-off");
    let view = bench.view();
    assert!(view.pools[0].slots.iter().any(|slot| slot.storing), "{word}: outcomes wait to be stored: {view:?}");
    assert_eq!(notes.all().len(), 3, "{word}: nothing is run again meanwhile");
    proxy.refuse_with(None);
    let back = Instant::now();
    wait_until(&format!("jobs after {word}"), Duration::from_secs(10), || notes.all().len() > 3);
    assert!(back.elapsed() < Duration::from_secs(10), "{word}");
    wait_until(&format!("the end after {word}"), Duration::from_secs(20), || left(&server) == 0);
    let ran = counted(&notes);
    assert!(ran.len() == 6 && ran.values().all(|times| *times == 1), "{word}: each once: {ran:?}");
    assert_eq!(bench.stop().cut, 0, "{word}");
}

#[test]
fn r12_memory_that_is_full_and_a_silent_server_at_the_finish_run_nothing_again() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    fill(&server, 2);
    let notes = Notes::default();
    let bench = begin(&proxy.url(), runner("concurrency = 2"), slow(&notes, Duration::from_millis(500))).unwrap();
    bench.until("two running", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 2));
    // Storing the outcome of a list's job frees memory; nothing new can be taken meanwhile.
    server.run("CONFIG SET maxmemory 1");
    thread::sleep(Duration::from_secs(3));
    server.run("CONFIG SET maxmemory 0");
    wait_until("both outcomes", Duration::from_secs(15), || left(&server) == 0);
    assert!(counted(&notes).values().all(|times| *times == 1), "{:?}", notes.all());
    fill(&server, 2);
    bench.until("two running", |view| view.pools[0].slots.len() == 2);
    proxy.blackhole(true);
    // Longer than a claim holds, and than any command waits for its reply.
    thread::sleep(Duration::from_secs(12));
    assert_eq!(notes.all().len(), 4, "nothing is run again");
    proxy.blackhole(false);
    wait_until("both outcomes", Duration::from_secs(20), || left(&server) == 0);
    wait_until("taking jobs again", Duration::from_secs(10), || consuming(&bench));
    assert_eq!(notes.all().len(), 4, "each once: {:?}", notes.all());
    bench.stop();
}

#[test]
fn r7_after_any_disconnect_jobs_are_taken_again_within_ten_seconds() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let notes = Notes::default();
    let bench = begin(&proxy.url(), runner("concurrency = 2"), noting(&notes)).unwrap();
    wait_until("taking jobs", Duration::from_secs(10), || consuming(&bench));
    let mut client = server.client();
    let mut slowest = Duration::ZERO;
    let times = repeated(60, 500);
    for number in 0..times {
        thread::sleep(Duration::from_millis(fastrand::u64(0..150)));
        match number % 3 {
            // Gone, gone for a while, or open and silent.
            0 => proxy.cut(),
            1 => {
                proxy.refuse(true);
                thread::sleep(Duration::from_millis(fastrand::u64(0..400)));
                proxy.refuse(false);
            }
            _ => proxy.cut_after(fastrand::u64(0..4)),
        }
        let back = Instant::now();
        let _: i64 =
            redis::cmd("LPUSH").arg("mail").arg(format!("{{\"id\":\"{number}\"}}")).query(&mut client).unwrap();
        wait_until("the job", Duration::from_secs(10), || notes.all().len() > number);
        slowest = slowest.max(back.elapsed());
    }
    wait_until("taking jobs", Duration::from_secs(10), || consuming(&bench));
    println!("{times} disconnects, slowest recovery {slowest:?}");
    bench.stop();
    wait_until("an empty queue", Duration::from_secs(10), || left(&server) == 0);
    assert_eq!(counted(&notes).len(), times, "none lost");
}

#[test]
fn r7_a_blocking_read_that_never_ends_is_replaced() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let notes = Notes::default();
    let bench = begin(&proxy.url(), runner("concurrency = 1"), noting(&notes)).unwrap();
    wait_until("a blocking read", Duration::from_secs(10), || proxy.sent().iter().any(|sent| sent.name == "BLMOVE"));
    proxy.blackhole(true);
    bench.until("a gauge that says so", |view| view.pools[0].state == PoolState::Connecting);
    proxy.blackhole(false);
    let back = Instant::now();
    fill(&server, 1);
    wait_until("the job", Duration::from_secs(10), || notes.all().len() == 1);
    wait_until("a gauge that says so", Duration::from_secs(10) - back.elapsed(), || consuming(&bench));
    bench.stop();
}

#[test]
fn r3_reloads_and_stops_at_any_moment_lose_nothing() {
    let server = TestServer::start();
    let mut client = server.client();
    let notes = Notes::default();
    let (mut added, wanted) = (0, repeated(7_000, 100_000));
    while added < wanted {
        let bench = begin(&server.url(), runner("concurrency = 8"), noting(&notes)).unwrap();
        for turn in 0..12 {
            let mut pipe = redis::pipe();
            for _ in 0..60 {
                pipe.lpush("mail", format!("{{\"id\":\"{added}\"}}")).ignore();
                added += 1;
            }
            pipe.query::<()>(&mut client).unwrap();
            // Another size goes on, another limit drains the pool and begins a new one.
            let config = runner(if turn % 2 == 0 { "concurrency = 3" } else { "concurrency = 8\ntimeout = '60s'" });
            drop(bench.handle.orders.try_send(qtop::engine::runner::Order::Reload(Box::new(config))));
            thread::sleep(Duration::from_millis(50));
        }
        bench.stop();
    }
    let bench = begin(&server.url(), runner("concurrency = 8"), noting(&notes)).unwrap();
    wait_until("every job", Duration::from_secs(30), || left(&server) == 0);
    bench.stop();
    let ran = counted(&notes);
    println!("{added} jobs, a reload every 50 ms");
    assert_eq!(ran.len(), added, "none lost");
    assert!(ran.values().all(|times| *times == 1), "none twice");
}

#[test]
fn r8_no_stop_loses_or_doubles_a_job() {
    let server = TestServer::start();
    let notes = Notes::default();
    let stops = repeated(40, 1_000);
    let jobs = stops * 10;
    fill(&server, jobs);
    for _ in 0..stops {
        let before = server.int("LLEN mail");
        let bench = begin(&server.url(), runner("concurrency = 6"), slow(&notes, Duration::from_millis(30))).unwrap();
        thread::sleep(Duration::from_millis(fastrand::u64(0..120)));
        let ran = notes.all().len();
        bench.handle.stop.cancel();
        thread::sleep(Duration::from_millis(100));
        let claimed = notes.all().len();
        let end = bench.handle.join().unwrap();
        assert_eq!(end.cut, 0, "30 ms are within the grace time");
        assert_eq!(notes.all().len(), claimed, "nothing is taken 100 ms after the stop");
        let after = server.int("LLEN mail");
        assert!(claimed >= ran && before - after <= claimed as i64, "{before} {after} {ran} {claimed}");
        assert_eq!(after as usize + notes.all().len(), jobs, "what did not run is back");
    }
    assert!(counted(&notes).values().all(|times| *times == 1));
}

#[test]
fn r12_a_bullmq_outcome_waits_while_memory_is_full_and_is_stored_once() {
    let server = TestServer::start();
    let mut library = Library::start(6, server.port());
    let id = library.add("mail", "send", json!({}), json!({}));
    let notes = Notes::default();
    let bench = begin(&server.url(), runner_on("bullmq:mail", ""), slow(&notes, Duration::from_millis(800))).unwrap();
    bench.until("a running job", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 1));
    server.run("CONFIG SET maxmemory 1");
    thread::sleep(Duration::from_secs(6));
    server.run("CONFIG SET maxmemory 0");
    library.until("mail", &id, "completed");
    bench.until("one result", |view| view.pools[0].counts.done == 1);
    assert_eq!(notes.all().len(), 1, "it ran once");
    bench.stop();
}
