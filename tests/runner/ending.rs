//! How a runner ends: without haste where a person wants it drained, within the grace time after a signal, and what
//! becomes of jobs and outcomes when the server is away just then.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use qtop::domain::ids::JobRef;
use qtop::domain::runner::{RunnerCommand, RunnerState};
use qtop::engine::runner::Order;
use qtop::engine::runner::work::Ending;
use qtop_testkit::{Proxy, TestServer, wait_until};

use crate::bench::{Bench, Job, Notes, begin, runner, slow};
use crate::lists::fill;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

fn tell(bench: &Bench, command: RunnerCommand) {
    bench.handle.orders.try_send(Order::Command(command)).unwrap();
}

fn held(server: &TestServer) -> i64 {
    let lists: Vec<String> = redis::from_redis_value(server.run("KEYS mail:processing:*")).unwrap();
    lists.iter().map(|list| server.int(&format!("LLEN {list}"))).sum()
}

/// A runner with this grace time whose slots are all taken.
fn busy(url: &str, slots: usize, grace: Duration, job: Arc<Job>) -> Bench {
    let mut config = runner(&format!("concurrency = {slots}"));
    config.grace = grace;
    let bench = begin(url, config, job).unwrap();
    bench.until_pool("busy slots", |pool| pool.slots.len() == slots);
    bench
}

fn until_draining(bench: &Bench) {
    bench.until("draining", |view| view.state == RunnerState::Draining);
}

#[test]
fn r8_draining_waits_for_the_last_job_however_long_it_runs() {
    let server = TestServer::start();
    fill(&server, 3);
    let notes = Notes::default();
    let job = slow(&notes, Duration::from_secs(3));
    let bench = busy(&server.url(), 1, Duration::from_millis(200), job);
    tell(&bench, RunnerCommand::Drain);
    until_draining(&bench);
    thread::sleep(Duration::from_secs(1));
    assert!(bench.view().pools[0].slots.iter().any(|slot| !slot.stopping), "nobody was in a hurry: {:?}", bench.view());
    let end = bench.handle.join().unwrap();
    assert_eq!((end.cut, notes.all().len(), server.int("LLEN mail")), (0, 1, 2));
    assert_eq!(held(&server), 0);
}

#[test]
fn a_draining_runner_still_hears_what_a_person_wants() {
    let server = TestServer::start();
    fill(&server, 4);
    let bench = busy(&server.url(), 3, LONG, slow(&Notes::default(), LONG));
    tell(&bench, RunnerCommand::Drain);
    until_draining(&bench);
    let (queue, id) = (bench.view().pools[0].queue.clone(), bench.view().pools[0].slots[0].id.clone());
    tell(&bench, RunnerCommand::Cancel(JobRef { queue: queue.clone(), id }));
    bench.until_pool("one cancelled", |pool| (pool.counts.cancelled, pool.slots.len()) == (1, 2));
    tell(&bench, RunnerCommand::Resize(queue, 7));
    bench.until_pool("another size", |pool| pool.concurrency == 7);
    // Another configuration begins nothing any more.
    bench.handle.orders.try_send(Order::Reload(Box::new(runner("timeout = '5s'")))).unwrap();
    tell(&bench, RunnerCommand::PutBack);
    let start = Instant::now();
    let end = bench.handle.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!((end.cut, server.int("LLEN mail"), server.int("LLEN mail:dead")), (2, 3, 1));
}

#[test]
fn a_rest_that_puts_back_is_heard_by_a_draining_runner() {
    let server = TestServer::start();
    fill(&server, 2);
    let bench = busy(&server.url(), 2, LONG, slow(&Notes::default(), LONG));
    tell(&bench, RunnerCommand::Drain);
    until_draining(&bench);
    tell(&bench, RunnerCommand::Rest { put_back: true });
    assert_eq!((bench.handle.join().unwrap().cut, server.int("LLEN mail")), (2, 2));
}

#[test]
fn r8_a_second_wish_or_a_signal_gives_a_drain_the_grace_time() {
    let server = TestServer::start();
    for by_signal in [true, false] {
        server.run("FLUSHALL");
        fill(&server, 1);
        let bench = busy(&server.url(), 1, Duration::from_secs(1), slow(&Notes::default(), LONG));
        tell(&bench, RunnerCommand::Drain);
        until_draining(&bench);
        thread::sleep(Duration::from_millis(1_500));
        assert!(!bench.handle.over.is_cancelled() && !bench.view().pools[0].slots[0].stopping);
        let start = Instant::now();
        if by_signal {
            bench.handle.stop.cancel();
        } else {
            tell(&bench, RunnerCommand::Drain);
        }
        assert_eq!((bench.handle.join().unwrap().cut, server.int("LLEN mail")), (1, 1));
        let took = start.elapsed();
        assert!(took > Duration::from_millis(900) && took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn r24_a_draining_runner_shows_that_it_lives() {
    let server = TestServer::start();
    fill(&server, 1);
    let bench = busy(&server.url(), 1, LONG, slow(&Notes::default(), LONG));
    tell(&bench, RunnerCommand::Drain);
    until_draining(&bench);
    let sign = format!("qtop:runner:{}", bench.view().name);
    thread::sleep(Duration::from_millis(500));
    server.run(&format!("DEL {sign}"));
    // Without one others take it for dead, and what it runs for nobody's.
    wait_until("a sign of life", Duration::from_secs(8), || server.int(&format!("EXISTS {sign}")) == 1);
    bench.handle.hurry.cancel();
    bench.handle.join().unwrap();
    assert_eq!(server.int(&format!("EXISTS {sign}")), 0);
}

#[test]
fn r8_a_server_that_is_away_when_the_grace_time_ends_gets_its_jobs_back() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    fill(&server, 2);
    let bench = busy(&proxy.url(), 2, Duration::from_millis(500), slow(&Notes::default(), LONG));
    bench.handle.stop.cancel();
    proxy.refuse(true);
    thread::sleep(Duration::from_secs(3));
    proxy.refuse(false);
    assert_eq!(bench.handle.join().unwrap().cut, 2);
    assert_eq!((server.int("LLEN mail"), held(&server)), (2, 0), "they need not wait until their claims expire");
}

#[test]
fn r12_an_outcome_that_waits_when_the_grace_time_ends_is_stored() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    fill(&server, 1);
    let job = slow(&Notes::default(), Duration::from_millis(600));
    let bench = busy(&proxy.url(), 1, Duration::from_millis(200), job_that_ends(job));
    proxy.refuse(true);
    bench.handle.stop.cancel();
    thread::sleep(Duration::from_secs(3));
    proxy.refuse(false);
    assert_eq!(bench.handle.join().unwrap().cut, 0, "it has ended, and that is known");
    assert_eq!((server.int("LLEN mail"), held(&server)), (0, 0));
}

/// The same job, which does not let itself be cancelled.
fn job_that_ends(job: Arc<Job>) -> Arc<Job> {
    Arc::new(move |work, room| {
        let room = qtop::engine::runner::work::Room { cancel: Default::default(), ..room };
        job(work, room)
    })
}

#[test]
fn r8_what_could_not_be_put_back_counts_as_cut() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    fill(&server, 2);
    let bench = busy(&proxy.url(), 2, Duration::from_millis(200), slow(&Notes::default(), LONG));
    proxy.refuse(true);
    bench.handle.stop.cancel();
    assert_eq!(bench.handle.join().unwrap().cut, 2);
}

#[test]
fn r8_a_handler_that_needs_its_time_to_end_is_waited_for() {
    let server = TestServer::start();
    fill(&server, 1);
    let job: Arc<Job> = Arc::new(|_, room| {
        Box::pin(async move {
            room.cancel.cancelled().await;
            tokio::time::sleep(Duration::from_secs(13)).await;
            Ending::Cancelled
        })
    });
    let mut config = runner("");
    config.grace = Duration::from_millis(200);
    config.pools[0].handlers[0].kill_after = Some(Duration::from_secs(14));
    let bench = begin(&server.url(), config, job).unwrap();
    bench.until_pool("a running job", |pool| pool.slots.len() == 1);
    assert_eq!(bench.stop().cut, 1);
    assert_eq!((server.int("LLEN mail"), held(&server)), (1, 0), "it went back");
}
