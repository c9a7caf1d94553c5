//! How many jobs the runner ends in a second: beside the library's own worker on the same machine, and with real
//! handlers.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use qtop::config::Runner;
use qtop::domain::described::Described;
use qtop::engine::runner::execute::{Execute, builder};
use qtop::engine::runner::handler::Surroundings;
use qtop::engine::runner::work::{Ending, Room, Work};
use qtop::engine::runner::{Build, RunnerConfig, start};
use qtop::link::{ConnectOptions, Mode};
use qtop_testkit::TestServer;

use crate::machine;

/// Jobs of one measurement.
const JOBS: usize = 100_000;

/// Jobs that the worker in Python gets: it would need a minute for all.
const JOBS_OF_PYTHON: usize = 4_000;

/// What a run came to.
struct Run {
    /// Jobs a second.
    rate: f64,
    /// Processor time of the server, in µs a job.
    redis: f64,
    /// The same of qtop.
    qtop: f64,
}

impl Run {
    /// Prints a line of the table; `theirs`: jobs a second of the library's own worker.
    fn print(&self, queue: &str, concurrency: usize, theirs: Option<f64>) {
        let Self { rate, redis, qtop } = self;
        let (own, ratio) =
            theirs.map_or((String::new(), String::new()), |own| (format!("{own:.0}"), format!("{:.2}", rate / own)));
        println!("| {queue} | {concurrency} | {rate:.0} | {own} | {ratio} | {redis:.1} | {qtop:.1} |");
    }
}

/// Ends every job at once.
struct Nothing;

impl Execute for Nothing {
    fn handle<'a>(&'a self, _: &'a Work, _: Room) -> BoxFuture<'a, Ending> {
        Box::pin(async { Ending::Done { result: None } })
    }
}

const LIST: &str =
    "name = 'bench'\nkey = 'bench'\nfields = { id = 'id' }\ndelayed = { key = 'bench:later' }\ndead = 'bench:dead'";

fn run(server: &TestServer, queue: &str, concurrency: usize, handler: &str, jobs: usize) -> Run {
    let text = format!("[[pool]]\nqueue = '{queue}'\nconcurrency = {concurrency}\n[[pool.handler]]\n{handler}");
    let runner: Runner = toml::from_str(&text).expect("a sound table");
    let mut connect = ConnectOptions::new(server.url());
    connect.mode = Mode::ReadWrite;
    let nothing: Arc<Build> = Arc::new(|_| Ok(Arc::new(Nothing) as Arc<dyn Execute>));
    let real = builder(Surroundings::of_process(), None);
    let build = if handler.is_empty() { nothing } else { real };
    let described = Described { lists: vec![toml::from_str(LIST).expect("a sound table")], ..Described::default() };
    let systems = Arc::new(qtop::systems::all(&described));
    let (of_redis, of_qtop) = (machine::processor_time(server.pid()), machine::processor_time(std::process::id()));
    let began = Instant::now();
    let handle =
        start(RunnerConfig { connect, server: "bench".to_owned(), systems, runner, build }).expect("it starts");
    let done = || handle.view.borrow().pools.iter().map(|pool| pool.counts.done).sum::<u64>();
    while done() < jobs as u64 {
        assert!(began.elapsed() < Duration::from_secs(180), "{} of {jobs} jobs of {queue}", done());
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = began.elapsed().as_secs_f64();
    let used = |now: Duration, before: Duration| (now - before).as_secs_f64() * 1e6 / jobs as f64;
    let run = Run {
        rate: jobs as f64 / took,
        redis: used(machine::processor_time(server.pid()), of_redis),
        qtop: used(machine::processor_time(std::process::id()), of_qtop),
    };
    handle.stop.cancel();
    handle.join().expect("it ends");
    run
}

fn fill_list(server: &TestServer, jobs: usize) {
    let mut client = server.client();
    let mut pipe = redis::pipe();
    for n in 0..jobs {
        pipe.lpush("bench", format!("{{\"id\":{n}}}")).ignore();
    }
    pipe.query::<()>(&mut client).expect("the list is filled");
}

fn fill_bullmq(server: &TestServer, jobs: usize) {
    let mut client = server.client();
    for chunk in (0..jobs).collect::<Vec<_>>().chunks(2_000) {
        let mut pipe = redis::pipe();
        for n in chunk {
            let key = format!("bull:bench:{}", n + 1);
            let fields =
                [("name", "noop"), ("data", "{}"), ("opts", "{\"attempts\":0}"), ("timestamp", "1700000000000")];
            pipe.hset_multiple(key, &fields).ignore().lpush("bull:bench:wait", n + 1).ignore();
        }
        pipe.query::<()>(&mut client).expect("the queue is filled");
    }
    let version = redis::cmd("HSET").arg("bull:bench:meta").arg("version").arg("bullmq:6.7.0").exec(&mut client);
    version.and_then(|()| redis::cmd("SET").arg("bull:bench:id").arg(jobs).exec(&mut client)).expect("it is written");
}

/// What `pickle.dumps` makes of `{'t': None, 'f': 'noop', 'a': (1,), 'k': {}, 'et': 1700000000000}`.
const DEFINITION: &[u8] =
    b"\x80\x04\x95\x30\0\0\0\0\0\0\0}\x94(\x8c\x01t\x94N\x8c\x01f\x94\x8c\x04noop\x94\x8c\x01a\x94K\x01\x85\x94\
    \x8c\x01k\x94}\x94\x8c\x02et\x94\x8a\x06\0h\xe5\xcf\x8b\x01u.";

fn fill_arq(server: &TestServer, jobs: usize) {
    let mut client = server.client();
    for chunk in (0..jobs).collect::<Vec<_>>().chunks(2_000) {
        let mut pipe = redis::pipe();
        for n in chunk {
            pipe.set(format!("arq:job:{n}"), DEFINITION).ignore();
            pipe.zadd("arq:bench", n, 1_700_000_000_000_u64 + *n as u64).ignore();
        }
        pipe.query::<()>(&mut client).expect("the queue is filled");
    }
}

/// ARQ's own worker, counted in its own process.
fn python(server: &TestServer, concurrency: usize, jobs: usize) -> Option<f64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("target/python/bin/python"))
        .arg(root.join("tests/interop/arq_drain.py"))
        .args([server.port().to_string(), concurrency.to_string(), jobs.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// The library's own worker, with the same jobs, counted in its own process.
fn node(server: &TestServer, concurrency: usize) -> Option<f64> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    let output = Command::new("node")
        .arg(folder.join("drain.mjs"))
        .args([server.port().to_string(), concurrency.to_string(), JOBS.to_string()])
        .current_dir(&folder)
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Prints the table.
pub fn throughput() {
    println!("\n## Runner: no-op jobs a second, loopback, one run of {JOBS}\n");
    println!("| queue | at once | qtop | library's worker | ratio | Redis, µs of processor a job | qtop, the same |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for concurrency in [1, 10, 50, 100] {
        let server = TestServer::start();
        fill_bullmq(&server, JOBS);
        let own = run(&server, "bullmq:bench", concurrency, "", JOBS);
        let server = TestServer::start();
        fill_bullmq(&server, JOBS);
        own.print("BullMQ 6.7", concurrency, node(&server, concurrency));
    }
    for concurrency in [1, 10, 50] {
        let server = TestServer::start();
        fill_arq(&server, JOBS);
        let own = run(&server, "arq:arq:bench", concurrency, "", JOBS);
        let server = TestServer::start();
        fill_arq(&server, JOBS_OF_PYTHON);
        own.print("ARQ 0.28", concurrency, python(&server, concurrency, JOBS_OF_PYTHON));
    }
    for concurrency in [1, 50] {
        let server = TestServer::start();
        fill_list(&server, JOBS);
        run(&server, "list:bench", concurrency, "", JOBS).print("list", concurrency, None);
    }
    let server = TestServer::start();
    fill_list(&server, 1_000);
    run(&server, "list:bench", 2, "command = ['true']", 1_000).print("list, `true` as command", 2, None);
    let began = Instant::now();
    for _ in 0..300 {
        drop(Command::new("true").status());
    }
    let plain = began.elapsed().as_secs_f64() / 300.0;
    println!("\nOne `true` by fork and exec alone: {:.2} ms.", plain * 1000.0);
}
