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

/// Jobs of one measurement.
const JOBS: usize = 20_000;

/// Ends every job at once.
struct Nothing;

impl Execute for Nothing {
    fn handle<'a>(&'a self, _: &'a Work, _: Room) -> BoxFuture<'a, Ending> {
        Box::pin(async { Ending::Done { result: None } })
    }
}

const LIST: &str =
    "name = 'bench'\nkey = 'bench'\nfields = { id = 'id' }\ndelayed = { key = 'bench:later' }\ndead = 'bench:dead'";

fn run(server: &TestServer, queue: &str, concurrency: usize, handler: &str, jobs: usize) -> f64 {
    let text = format!("[[pool]]\nqueue = '{queue}'\nconcurrency = {concurrency}\n[[pool.handler]]\n{handler}");
    let runner: Runner = toml::from_str(&text).expect("a sound table");
    let mut connect = ConnectOptions::new(server.url());
    connect.mode = Mode::ReadWrite;
    let nothing: Arc<Build> = Arc::new(|_| Ok(Arc::new(Nothing) as Arc<dyn Execute>));
    let real = builder(Surroundings::of_process(), None);
    let build = if handler.is_empty() { nothing } else { real };
    let described = Described { lists: vec![toml::from_str(LIST).expect("a sound table")], ..Described::default() };
    let systems = Arc::new(qtop::systems::all(&described));
    let began = Instant::now();
    let handle =
        start(RunnerConfig { connect, server: "bench".to_owned(), systems, runner, build }).expect("it starts");
    let done = || handle.view.borrow().pools.iter().map(|pool| pool.counts.done).sum::<u64>();
    while done() < jobs as u64 {
        assert!(began.elapsed() < Duration::from_secs(180), "{} of {jobs} jobs of {queue}", done());
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = began.elapsed().as_secs_f64();
    handle.stop.cancel();
    handle.join().expect("it ends");
    jobs as f64 / took
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
    println!("| queue | at once | qtop | library's worker | ratio |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for concurrency in [1, 10, 50, 100] {
        let server = TestServer::start();
        fill_bullmq(&server, JOBS);
        let own = run(&server, "bullmq:bench", concurrency, "", JOBS);
        let server = TestServer::start();
        fill_bullmq(&server, JOBS);
        let theirs = node(&server, concurrency);
        let (theirs, ratio) =
            theirs.map_or(("-".to_owned(), "-".to_owned()), |n| (format!("{n:.0}"), format!("{:.2}", own / n)));
        println!("| BullMQ 6.7 | {concurrency} | {own:.0} | {theirs} | {ratio} |");
    }
    for concurrency in [1, 50] {
        let server = TestServer::start();
        fill_list(&server, JOBS);
        println!("| list | {concurrency} | {:.0} | | |", run(&server, "list:bench", concurrency, "", JOBS));
    }
    let server = TestServer::start();
    fill_list(&server, 1_000);
    let command = run(&server, "list:bench", 2, "command = ['true']", 1_000);
    let began = Instant::now();
    for _ in 0..300 {
        drop(Command::new("true").status());
    }
    let plain = began.elapsed().as_secs_f64() / 300.0;
    println!("| list, `true` as command | 2 | {command:.0} | | |");
    println!("\nOne `true` by fork and exec alone: {:.2} ms.", plain * 1000.0);
}
