//! From the adding of a job to its start, by an idle runner (F7).

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use qtop::domain::runner::PoolState;
use qtop::engine::runner::execute::Execute;
use qtop::engine::runner::work::{Ending, Room, Work};
use qtop_testkit::TestServer;

use super::{begin, queues};
use crate::machine::{ms, percentile};

/// Jobs of each system, one after the other.
const JOBS: usize = 2_000;

/// Says when a job starts.
struct Started(Sender<Instant>);

impl Execute for Started {
    fn handle<'a>(&'a self, _: &'a Work, _: Room) -> BoxFuture<'a, Ending> {
        // Nobody listens any more when the measurement is over.
        let _ = self.0.send(Instant::now());
        Box::pin(async { Ending::Done { result: None } })
    }
}

fn nothing(_: &TestServer) {}

/// Prints the table.
pub fn wake() {
    println!("\n## From add to start by an idle runner, {JOBS} single jobs each, loopback\n");
    println!("| queue | there and back, median | median | 99 % | largest |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    one("BullMQ 6.7", "bullmq:bench", queues::describe_bullmq, queues::add_to_bullmq);
    one("ARQ 0.28", "arq:arq:bench", nothing, queues::add_to_arq);
    one("Laravel", "laravel:default", nothing, queues::add_to_laravel);
    one("list", "list:bench", nothing, queues::add_to_list);
    one("stream", "stream:bench/workers", |server| queues::stream(server, 0), queues::add_to_stream);
}

fn one(name: &str, queue: &str, prepare: fn(&TestServer), add: fn(&mut redis::Pipeline, usize)) {
    let server = TestServer::start();
    prepare(&server);
    let (sender, started) = channel();
    let build = Arc::new(move |_: &_| Ok(Arc::new(Started(sender.clone())) as Arc<dyn Execute>));
    let handle = begin(&server, &format!("queue = '{queue}'\nconcurrency = 4\ntimeout = '30s'"), "", build);
    let taking = || handle.view.borrow().pools.iter().any(|pool| pool.state == PoolState::Consuming);
    while !taking() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut client = server.client();
    let (mut waits, mut ways) = (Vec::new(), Vec::new());
    for number in 1..=JOBS {
        // Idle again, and at any moment of what the runner does while it waits.
        std::thread::sleep(Duration::from_micros(fastrand::u64(3_000..15_000)));
        let before = Instant::now();
        redis::cmd("PING").exec(&mut client).expect("the server answers");
        ways.push(before.elapsed());
        let mut pipe = redis::pipe();
        add(pipe.atomic(), number);
        let before = Instant::now();
        pipe.query::<()>(&mut client).expect("the job is added");
        let start = started.recv_timeout(Duration::from_secs(10)).expect("the job starts");
        waits.push(start.saturating_duration_since(before));
    }
    let way = ms(percentile(&mut ways, 0.5));
    let [median, most, largest] = [0.5, 0.99, 1.0].map(|share| ms(percentile(&mut waits, share)));
    println!("| {name} | {way} | {median} | {most} | {largest} |");
    handle.stop.cancel();
    handle.join().expect("it ends");
}
