//! What handlers cost: a `true` beyond fork and exec (F13), and jobs a second through a long-lived process.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use qtop::domain::ids::{JobId, QueueId};
use qtop::domain::time::Timestamp;
use qtop::engine::runner::handler::{Handler, Helper, Surroundings};
use qtop::engine::runner::work::{EVENTS, Ending, Room, Work};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::machine::{ms, percentile};

/// Jobs through one `command`.
const STARTS: usize = 500;
/// Jobs through a `process`.
const JOBS: usize = 20_000;

fn work() -> Work {
    Work {
        queue: QueueId::new("list", "", "bench"),
        address: "list:bench".to_owned(),
        id: JobId::from("7"),
        name: "nothing".to_owned(),
        payload: Bytes::from_static(b"{\"a\":1}"),
        attempt: 1,
        attempts: None,
        created_at: None,
        claimed_at: Timestamp(0),
    }
}

fn build(text: &str) -> Handler {
    let config = toml::from_str(text).expect("a sound handler");
    let helper = Some(Helper::new(env!("CARGO_BIN_EXE_qtop").into()));
    let surroundings = Surroundings { helper, ..Surroundings::of_process() };
    Handler::build(&config, &surroundings).expect("a handler")
}

async fn handle(handler: &Handler, work: &Work) {
    let (events, mut reader) = mpsc::channel(EVENTS);
    let room = Room::new(events, CancellationToken::new(), Some(Duration::from_secs(60)));
    let read = async { while reader.recv().await.is_some() {} };
    let (ending, ()) = tokio::join!(handler.handle(work, room), read);
    assert!(matches!(ending, Ending::Done { .. }), "{ending:?}");
}

/// Overhead of `command` and throughput of `process`.
pub fn handlers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    println!("\n## Handlers\n");
    runtime.block_on(overhead());
    println!("\n| `process`, a no-op in Python | jobs/s |\n| --- | ---: |");
    for concurrency in [1, 2, 8] {
        println!("| {concurrency} at once | {:.0} |", runtime.block_on(throughput(concurrency)));
    }
}

async fn overhead() {
    let handler = build("command = [\"true\"]");
    let limiting = build("command = [\"true\"]\nmemory = \"512MiB\"\ncpu = \"60s\"");
    let work = work();
    let (mut bare, mut handled, mut limited) = (Vec::new(), Vec::new(), Vec::new());
    // Alternately, so that both see the same machine.
    for _ in 0..STARTS {
        let start = Instant::now();
        let child = Command::new("true").env_clear().stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        assert!(child.expect("it starts").wait().expect("it ends").success());
        bare.push(start.elapsed());
        let start = Instant::now();
        handle(&handler, &work).await;
        handled.push(start.elapsed());
        let start = Instant::now();
        handle(&limiting, &work).await;
        limited.push(start.elapsed());
    }
    println!("| `true`, {STARTS} times | median | 95 % |\n| --- | ---: | ---: |");
    let rows = [
        ("fork, exec and wait alone", bare),
        ("`command` handler", handled),
        ("the same with `memory` and `cpu`", limited),
    ];
    let mut medians = Vec::new();
    for (name, mut times) in rows {
        let median = percentile(&mut times, 0.5);
        println!("| {name} | {} | {} |", ms(median), ms(percentile(&mut times, 0.95)));
        medians.push(median);
    }
    println!("| added by qtop | {} | |", ms(medians[1].saturating_sub(medians[0])));
    println!("| added by qtop and what sets the limits | {} | |", ms(medians[2].saturating_sub(medians[0])));
}

async fn throughput(concurrency: usize) -> f64 {
    let program = "import sys\nfor line in sys.stdin: sys.stdout.write('::done\\n'); sys.stdout.flush()";
    let handler = Arc::new(build(&format!("process = [\"python3\", \"-c\", {}]", toml::Value::from(program))));
    handle(&handler, &work()).await;
    let start = Instant::now();
    let slots: Vec<_> = (0..concurrency)
        .map(|_| {
            let handler = Arc::clone(&handler);
            tokio::spawn(async move {
                let work = work();
                for _ in 0..JOBS / concurrency {
                    handle(&handler, &work).await;
                }
            })
        })
        .collect();
    for slot in slots {
        slot.await.expect("no job panics");
    }
    let rate = JOBS as f64 / start.elapsed().as_secs_f64();
    handler.close().await;
    rate
}
