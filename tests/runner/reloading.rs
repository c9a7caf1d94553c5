//! Another configuration while a runner works: what works goes on, nothing is started twice, nothing a person set is
//! forgotten.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use qtop::config::Runner;
use qtop::domain::runner::{PoolState, RunnerCommand};
use qtop::engine::runner::Order;
use qtop::engine::runner::error::RunnerError;
use qtop::engine::runner::work::Ending;
use qtop_testkit::{Proxy, TestServer, signal, wait_until};

use crate::bench::{Bench, Job, Notes, begin, begin_with, described, noting, runner, runner_on, slow};
use crate::lists::fill;
use crate::program::{self, Home};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

fn reload(bench: &Bench, runner: Runner) {
    bench.handle.orders.try_send(Order::Reload(Box::new(runner))).unwrap();
}

fn tell(bench: &Bench, command: impl FnOnce(qtop::domain::ids::QueueId) -> RunnerCommand) {
    let queue = bench.view().pools[0].queue.clone();
    bench.handle.orders.try_send(Order::Command(command(queue))).unwrap();
}

fn until_size(bench: &Bench, size: usize) {
    bench.until(&format!("one pool of {size}"), |view| view.pools.len() == 1 && view.pools[0].concurrency == size);
}

/// What is always so from now on: looked at for a while.
fn stays(what: &str, so: impl Fn() -> bool) {
    for _ in 0..40 {
        assert!(so(), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Every second, a job of this name.
fn schedule(name: &str) -> qtop::config::Timetable {
    toml::from_str(&format!("queue = 'list:mail'\nname = '{name}'\nevery = '1s'\ndata = {{ of = '{name}' }}")).unwrap()
}

#[test]
fn a_configuration_that_changes_before_the_server_is_there_starts_one_pool() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    proxy.refuse(true);
    let bench = begin(&proxy.url(), runner("concurrency = 1"), noting(&Notes::default())).unwrap();
    bench.until("waiting for the server", |view| view.problem.is_some());
    reload(&bench, runner("concurrency = 3"));
    reload(&bench, runner("concurrency = 4\ntimeout = '60s'"));
    stays("no pool before the server", || bench.view().pools.is_empty());
    proxy.refuse(false);
    until_size(&bench, 4);
    bench.until_pool("taking jobs", |pool| pool.state == PoolState::Consuming);
    stays("one pool", || bench.view().pools.len() == 1);
    assert!(bench.view().problem.is_none(), "{:?}", bench.view().problem);
    assert_eq!(proxy.open_connections(), 2, "one for control, one that waits");
    bench.stop();
}

#[test]
fn r18_a_reload_does_not_go_round_the_check_for_eviction() {
    let server = TestServer::builder().args(["--maxmemory-policy", "allkeys-lru"]).start();
    let proxy = Proxy::start(server.port());
    fill(&server, 1);
    proxy.refuse(true);
    let notes = Notes::default();
    let bench = begin(&proxy.url(), runner("concurrency = 1"), noting(&notes)).unwrap();
    bench.until("waiting for the server", |view| view.problem.is_some());
    reload(&bench, runner("concurrency = 3\ntimeout = '60s'"));
    thread::sleep(Duration::from_millis(300));
    proxy.refuse(false);
    let end = bench.handle.join();
    assert!(matches!(end, Err(RunnerError::Eviction { .. })), "{end:?}");
    assert_eq!((notes.all().len(), server.int("LLEN mail")), (0, 1));
}

#[test]
fn a_size_follows_the_configuration_there_and_back_and_a_persons_stays() {
    let server = TestServer::start();
    let bench = begin(&server.url(), runner("concurrency = 5"), noting(&Notes::default())).unwrap();
    until_size(&bench, 5);
    for size in [10, 5] {
        reload(&bench, runner(&format!("concurrency = {size}")));
        until_size(&bench, size);
    }
    tell(&bench, |queue| RunnerCommand::Resize(queue, 7));
    until_size(&bench, 7);
    // Another reason to read the file anew.
    let mut config = runner("concurrency = 5");
    config.grace = Duration::from_secs(9);
    reload(&bench, config);
    stays("what a person set", || bench.view().pools.len() == 1 && bench.view().pools[0].concurrency == 7);
    bench.stop();
}

#[test]
fn another_schedule_starts_no_pool_anew() {
    let server = TestServer::start();
    let notes = Notes::default();
    fill(&server, 1);
    let mut config = runner("concurrency = 2");
    config.schedules = vec![schedule("one")];
    let bench = begin(&server.url(), config.clone(), slow(&notes, LONG)).unwrap();
    bench.until_pool("a running job", |pool| !pool.slots.is_empty());
    tell(&bench, RunnerCommand::Pause);
    tell(&bench, |queue| RunnerCommand::Resize(queue, 9));
    until_size(&bench, 9);
    config.schedules = vec![schedule("two")];
    reload(&bench, config);
    let items = || -> Vec<String> { redis::from_redis_value(server.run("LRANGE mail 0 -1")).unwrap() };
    let of = |name: &str| items().iter().filter(|item| item.contains(name)).count();
    wait_until("jobs of the new schedule", Duration::from_secs(10), || of("two") >= 2);
    let before = of("one");
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(of("one"), before, "the old one is over");
    let view = bench.view();
    assert_eq!(view.pools.len(), 1, "{view:?}");
    assert_eq!((view.pools[0].state, view.pools[0].concurrency), (PoolState::Paused, 9));
    bench.handle.hurry.cancel();
    bench.handle.join().unwrap();
}

#[test]
fn a_pool_that_starts_anew_keeps_what_a_person_set_and_what_it_has_counted() {
    let server = TestServer::start();
    let bench = begin(&server.url(), runner("concurrency = 2"), noting(&Notes::default())).unwrap();
    fill(&server, 3);
    bench.until_pool("three results", |pool| pool.counts.done == 3);
    tell(&bench, RunnerCommand::Pause);
    tell(&bench, |queue| RunnerCommand::Resize(queue, 9));
    bench.until_pool("paused", |pool| pool.state == PoolState::Paused && pool.concurrency == 9);
    reload(&bench, runner("concurrency = 2\ntimeout = '60s'"));
    thread::sleep(Duration::from_millis(600));
    bench.until("one pool", |view| view.pools.len() == 1);
    let pool = bench.view().pools[0].clone();
    assert_eq!((pool.state, pool.concurrency, pool.counts.done), (PoolState::Paused, 9, 3));
    assert_eq!(bench.view().recent.len(), 3);
    // What the file changes wins over what a person set before.
    reload(&bench, runner("concurrency = 4\ntimeout = '50s'"));
    until_size(&bench, 4);
    assert_eq!(bench.view().pools[0].state, PoolState::Paused);
    bench.stop();
}

#[test]
fn old_and_new_together_run_no_more_jobs_than_allowed() {
    let server = TestServer::start();
    fill(&server, 10);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, highest) = (Arc::clone(&now), Arc::clone(&most));
    let job: Arc<Job> = Arc::new(move |_, _| {
        let (counted, highest) = (Arc::clone(&counted), Arc::clone(&highest));
        Box::pin(async move {
            highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(800)).await;
            counted.fetch_sub(1, Ordering::SeqCst);
            Ending::Done { result: None }
        })
    });
    let mut config = runner("concurrency = 2");
    config.metrics = Some("127.0.0.1:0".to_owned());
    let bench = begin(&server.url(), config.clone(), job).unwrap();
    bench.until_pool("two running", |pool| pool.slots.len() == 2);
    for timeout in [60, 50] {
        config.pools[0].timeout = Some(Duration::from_secs(timeout));
        reload(&bench, config.clone());
    }
    bench.until("the new pool", |view| view.pools.iter().any(|pool| pool.state != PoolState::Draining));
    let metrics = crate::health::get(&bench, "/metrics");
    let series = metrics.lines().filter(|line| line.starts_with("worker_processing{")).collect::<Vec<_>>();
    assert_eq!(series, ["worker_processing{queue=\"list:mail\"} 2"], "one line for a queue");
    bench.until("ten results", |view| view.pools.len() == 1 && view.pools[0].counts.done == 10);
    assert_eq!(most.load(Ordering::SeqCst), 2);
    bench.stop();
}

#[test]
fn what_the_machine_must_have_is_taken_over_while_jobs_go_on() {
    let server = TestServer::start();
    let bench = begin(&server.url(), runner(""), noting(&Notes::default())).unwrap();
    bench.until_pool("taking jobs", |pool| pool.state == PoolState::Consuming);
    let mut needs = runner("");
    needs.min_free_memory = Some(u64::MAX);
    reload(&bench, needs);
    bench.until_pool("holding back", |pool| pool.state == PoolState::Holding);
    reload(&bench, runner(""));
    bench.until_pool("taking jobs again", |pool| pool.state == PoolState::Consuming);
    let mut small = runner("");
    small.max_payload = 10;
    reload(&bench, small);
    thread::sleep(Duration::from_millis(500));
    fill(&server, 1);
    bench.until("a job that is too large", |view| view.pools.iter().any(|pool| pool.counts.failed == 1));
    bench.stop();
}

/// Changes the configuration of a program that runs.
fn rewrite(home: &Home, changes: &[(&str, &str)]) {
    let file = home.path().join("config.toml");
    let text = changes.iter().fold(fs::read_to_string(&file).unwrap(), |text, (old, new)| {
        assert!(text.contains(old), "{old} is not in {text}");
        text.replace(old, new)
    });
    fs::write(&file, text).unwrap();
}

fn until_said(home: &Home, words: &str) {
    let said = || fs::read_to_string(home.path().join("log")).unwrap_or_default().contains(words);
    wait_until(words, Duration::from_secs(10), said);
}

#[test]
fn a_program_that_is_not_there_stops_nothing_that_works() {
    let server = TestServer::start();
    let home = Home::new(&server, "echo $2 >> $1; sleep 0.2", "concurrency = 1");
    program::fill(&server, 0, 1);
    let mut child = home.run();
    wait_until("one run", Duration::from_secs(20), || home.ran().len() == 1);
    rewrite(&home, &[("/job\"", "/jib\""), ("concurrency = 1", "concurrency = 2")]);
    until_said(&home, "its pool goes on as it was");
    program::fill(&server, 1, 3);
    wait_until("the others", Duration::from_secs(10), || home.ran().len() == 4);
    rewrite(&home, &[("/jib\"", "/job\"")]);
    until_said(&home, "list:mail (2 at once)");
    signal(child.id(), "TERM");
    assert_eq!(program::wait(&mut child, Duration::from_secs(10)), 0);
    let log = fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("jib") && log.contains("4 done"), "{log}");
    assert!(!log.contains("draining"), "nothing was ever stopped: {log}");
}

#[test]
fn what_needs_a_new_start_is_named_and_the_folder_of_jobs_does_not() {
    let server = TestServer::start();
    let home = Home::new(&server, "echo $2 >> $1; pwd >> $1", "concurrency = 1");
    program::fill(&server, 0, 1);
    let mut child = home.run();
    wait_until("one run", Duration::from_secs(20), || home.ran().len() == 2);
    let folder = home.path().join("elsewhere");
    fs::create_dir(&folder).unwrap();
    let more = format!("name = \"other\"\nmetrics = \"127.0.0.1:0\"\ndirectory = {:?}", folder.display().to_string());
    rewrite(&home, &[("[runner]\nname = \"test\"", &format!("[runner]\n{more}"))]);
    until_said(&home, "of name, metrics it hears at the next start");
    thread::sleep(Duration::from_millis(600));
    program::fill(&server, 1, 1);
    wait_until("another folder", Duration::from_secs(10), || {
        home.ran().keys().any(|line| line.starts_with(&folder.display().to_string()))
    });
    signal(child.id(), "TERM");
    assert_eq!(program::wait(&mut child, Duration::from_secs(10)), 0);
    let log = fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("2 done"), "what the old pool did is counted: {log}");
}

#[test]
fn a_pool_that_is_gone_is_remembered_in_the_last_line() {
    let server = TestServer::start();
    let mut described = described();
    let other = toml::from_str(&crate::bench::LIST.replace("mail", "other")).unwrap();
    described.lists.push(other);
    let notes = noting(&Notes::default());
    let bench = begin_with(&server.url(), runner("concurrency = 2"), notes, &described).unwrap();
    fill(&server, 3);
    bench.until_pool("three results", |pool| pool.counts.done == 3);
    reload(&bench, runner_on("list:other", ""));
    bench.until("the other pool alone", |view| view.pools.len() == 1 && view.pools[0].address == "list:other");
    let view = bench.view();
    assert_eq!((view.past.done, view.pools[0].counts.done), (3, 0));
    bench.stop();
}
