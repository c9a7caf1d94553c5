//! How many jobs the runner ends in a second: beside the library's own worker on the same machine, and with real
//! handlers; how soon an idle one starts a job (F7).

mod library;
mod queues;
mod wake;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use qtop::config::Runner;
use qtop::engine::runner::execute::{Execute, builder};
use qtop::engine::runner::handler::Surroundings;
use qtop::engine::runner::work::{Ending, Room, Work};
use qtop::engine::runner::{Build, RunnerConfig, RunnerHandle, start};
use qtop::link::{ConnectOptions, Mode};
use qtop_testkit::TestServer;

use crate::machine;

pub use self::wake::wake;

/// Times each line of a table is measured. qtop and the library take turns, since a machine is not always equally fast.
const ROUNDS: usize = 3;

/// What a run came to.
#[derive(Clone, Copy)]
struct Run {
    /// Jobs a second.
    rate: f64,
    /// Processor time of the server, in µs a job.
    redis: f64,
    /// The same of qtop.
    qtop: f64,
}

/// Counts what ends, and says when that is all: who looked again and again would take processor time from both sides. Ends
/// every job at once, if there is no other handler.
struct Counting {
    handler: Option<Arc<dyn Execute>>,
    left: AtomicUsize,
    all: SyncSender<Instant>,
}

impl Execute for Counting {
    fn handle<'a>(&'a self, work: &'a Work, room: Room) -> BoxFuture<'a, Ending> {
        Box::pin(async move {
            let ending = match &self.handler {
                Some(handler) => handler.handle(work, room).await,
                None => Ending::Done { result: None },
            };
            if self.left.fetch_sub(1, Relaxed) == 1 {
                let _ = self.all.try_send(Instant::now());
            }
            ending
        })
    }
}

fn begin(server: &TestServer, pool: &str, handler: &str, build: Arc<Build>) -> RunnerHandle {
    let text = format!("[[pool]]\n{pool}\n[[pool.handler]]\n{handler}");
    let runner: Runner = toml::from_str(&text).expect("a sound table");
    let mut connect = ConnectOptions::new(server.url());
    connect.mode = Mode::ReadWrite;
    let systems = Arc::new(qtop::systems::all(&queues::described()));
    start(RunnerConfig { connect, server: "bench".to_owned(), systems, runner, build }).expect("it starts")
}

/// Works the queue off. The time ends when the last job has; that all outcomes are stored is seen afterwards, since the
/// runner tells of itself only now and then.
fn run(server: &TestServer, queue: &str, concurrency: usize, handler: &str, jobs: usize) -> Run {
    let (all, over) = sync_channel(1);
    let (real, none) = (builder(Surroundings::of_process()), handler.is_empty());
    let build: Arc<Build> = Arc::new(move |config| {
        let handler = if none { None } else { Some(real(config)?) };
        Ok(Arc::new(Counting { handler, left: AtomicUsize::new(jobs), all: all.clone() }) as Arc<dyn Execute>)
    });
    let pool = format!("queue = '{queue}'\nconcurrency = {concurrency}\ntimeout = '30s'");
    let (of_redis, of_qtop) = (machine::processor_time(server.pid()), machine::processor_time(std::process::id()));
    let began = Instant::now();
    let handle = begin(server, &pool, handler, build);
    let last =
        over.recv_timeout(Duration::from_secs(180)).unwrap_or_else(|_| panic!("{jobs} jobs of {queue} take too long"));
    let took = (last - began).as_secs_f64();
    let used = |now: Duration, before: Duration| (now - before).as_secs_f64() * 1e6 / jobs as f64;
    let run = Run {
        rate: jobs as f64 / took,
        redis: used(machine::processor_time(server.pid()), of_redis),
        qtop: used(machine::processor_time(std::process::id()), of_qtop),
    };
    let done = || handle.view.borrow().pools.iter().map(|pool| pool.counts.done).sum::<u64>();
    while done() < jobs as u64 {
        assert!(began.elapsed() < Duration::from_secs(180), "{} of {jobs} outcomes of {queue}", done());
        std::thread::sleep(Duration::from_millis(10));
    }
    handle.stop.cancel();
    handle.join().expect("it ends");
    run
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many jobs the library's own worker gets, and what works them off: jobs a second.
type Library<'a> = (usize, &'a dyn Fn(&TestServer) -> f64);

/// A line of the table. `fill` puts so many jobs into a queue.
fn line(
    name: &str,
    queue: &str,
    concurrency: usize,
    jobs: usize,
    fill: fn(&TestServer, usize),
    theirs: Option<Library<'_>>,
) {
    let mut runs = Vec::new();
    for _ in 0..ROUNDS {
        let server = TestServer::start();
        fill(&server, jobs);
        let own = run(&server, queue, concurrency, "", jobs);
        drop(server);
        let theirs = theirs.map_or(f64::NAN, |(jobs, work)| {
            let server = TestServer::start();
            fill(&server, jobs);
            work(&server)
        });
        runs.push((own, theirs));
    }
    let of = |value: fn(&(Run, f64)) -> f64| median(runs.iter().map(value));
    let (rate, redis, qtop) = (of(|(own, _)| own.rate), of(|(own, _)| own.redis), of(|(own, _)| own.qtop));
    let beside = if theirs.is_some() {
        let mut ratios: Vec<f64> = runs.iter().map(|(own, theirs)| own.rate / theirs).collect();
        ratios.sort_by(f64::total_cmp);
        let (ratio, low, high) = (median(ratios.iter().copied()), ratios[0], ratios[ratios.len() - 1]);
        format!("{:.0} | {ratio:.2} ({low:.2} to {high:.2})", of(|(_, theirs)| *theirs))
    } else {
        " | ".to_owned()
    };
    println!("| {name} | {concurrency} | {rate:.0} | {beside} | {redis:.0} | {qtop:.0} |");
}

fn head(title: &str) {
    println!("\n## Runner: no-op jobs a second, {title}\n");
    println!("Medians of {ROUNDS} runs, qtop and the library's own worker in turns; loopback.\n");
    println!("| queue | at once | qtop | library's worker | ratio | Redis, µs of processor a job | qtop, the same |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
}

/// BullMQ, beside Node.
pub fn bullmq() {
    head("BullMQ");
    for (concurrency, jobs) in [(1, 40_000), (10, 100_000), (50, 100_000), (100, 100_000)] {
        let node = |server: &TestServer| library::bullmq(server, concurrency, jobs);
        line("BullMQ 6.7", "bullmq:bench", concurrency, jobs, queues::bullmq, Some((jobs, &node)));
    }
}

/// ARQ, beside Python.
pub fn arq() {
    head("ARQ");
    for concurrency in [1, 10, 50] {
        // At one at once Python would need minutes for more.
        let theirs = if concurrency == 1 { 500 } else { 4_000 };
        let python = |server: &TestServer| library::arq(server, concurrency, theirs);
        line("ARQ 0.28", "arq:arq:bench", concurrency, 50_000, queues::arq, Some((theirs, &python)));
    }
}

/// Laravel, beside PHP, whose worker has one job at once.
pub fn laravel() {
    head("Laravel");
    let php = |server: &TestServer| library::laravel(server);
    line("Laravel", "laravel:default", 1, 20_000, queues::laravel, Some((10_000, &php)));
    line("Laravel", "laravel:default", 10, 50_000, queues::laravel, None);
}

/// Lists and streams, which have no library; and a program for each job.
pub fn plain() {
    head("lists and streams");
    for concurrency in [1, 50] {
        line("list", "list:bench", concurrency, 50_000, queues::list, None);
    }
    for concurrency in [1, 50] {
        line("stream", "stream:bench/workers", concurrency, 50_000, queues::stream, None);
    }
    let server = TestServer::start();
    queues::list(&server, 1_000);
    let Run { rate, redis, qtop } = run(&server, "list:bench", 2, "command = ['true']", 1_000);
    println!("| list, `true` as command | 2 | {rate:.0} |  |  | {redis:.0} | {qtop:.0} |");
    let began = Instant::now();
    for _ in 0..300 {
        drop(Command::new("true").status());
    }
    let plain = began.elapsed().as_secs_f64() / 300.0;
    println!("\nOne `true` by fork and exec alone: {:.2} ms.", plain * 1000.0);
}
