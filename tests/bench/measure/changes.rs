//! Large changes beside a living worker of BullMQ 6, and beside BullMQ's own way on the same data.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use qtop_testkit::TestServer;

use crate::QTOP;
use crate::machine::{ms, percentile};

const RETRIED: i64 = 100_000;
const CLEANED: i64 = 1_000_000;

const FILL: &str = "
for id = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local at = 1700000000000 + id
  redis.call('HSET', 'bull:mail:' .. id, 'name', 'good', 'data', '{\"n\":' .. id .. '}', 'opts', '{\"attempts\":1}',
    'timestamp', at, 'finishedOn', at, 'processedOn', at, 'atm', 1, 'ats', 1, 'failedReason', 'boom')
  redis.call('ZADD', 'bull:mail:' .. ARGV[3], at, id)
end
redis.call('SET', 'bull:mail:id', ARGV[2])";

fn filled(jobs: i64, state: &str) -> TestServer {
    let server = TestServer::start();
    server.run("HSET bull:mail:meta version bullmq:6.7.0 opts.maxLenEvents 10000");
    let mut client = server.client();
    for from in (1..=jobs).step_by(5_000) {
        let to = (from + 4_999).min(jobs);
        redis::cmd("EVAL").arg(FILL).arg(0).arg(from).arg(to).arg(state).query::<()>(&mut client).expect("it fills");
    }
    server.run("CONFIG SET slowlog-log-slower-than 5000");
    server.run("CONFIG SET slowlog-max-len 100000");
    server.run("SLOWLOG RESET");
    server
}

/// BullMQ 6 as a worker that takes everything, under remote control.
struct Driver(Child, BufReader<std::process::ChildStdout>);

impl Driver {
    fn start(server: &TestServer) -> Self {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        let mut child = Command::new("node")
            .arg(folder.join("driver.mjs"))
            .args(["6", &server.port().to_string()])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is on PATH and tests/interop has its packages");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Self(child, output)
    }

    fn ask(&mut self, request: &str) -> String {
        let input = self.0.stdin.as_mut().expect("it is piped");
        writeln!(input, "{request}").expect("the driver lives");
        let mut line = String::new();
        self.1.read_line(&mut line).expect("the driver answers");
        assert!(!line.contains("\"error\""), "{request}: {line}");
        line
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn qtop(server: &TestServer, arguments: &[&str]) -> Duration {
    let home = tempfile::tempdir().expect("a temporary directory");
    let begun = Instant::now();
    let status = Command::new(QTOP)
        .env("HOME", home.path())
        .args(["--url", &server.url()])
        .args(arguments)
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("qtop starts").success(), "{arguments:?}");
    begun.elapsed()
}

fn pings_during<T>(server: &TestServer, doing: impl FnOnce() -> T) -> (Vec<Duration>, T) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pinging = scope.spawn(|| {
            let mut client = server.client();
            let mut times = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let begun = Instant::now();
                redis::cmd("PING").query::<()>(&mut client).expect("the server answers");
                times.push(begun.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            times
        });
        let done = doing();
        over.store(true, Ordering::SeqCst);
        (pinging.join().expect("pinging goes on"), done)
    })
}

/// Longest call the server has noted, in milliseconds, and how many were over 15 ms.
fn slow_calls(server: &TestServer) -> (f64, usize) {
    let log: Vec<Vec<redis::Value>> =
        redis::cmd("SLOWLOG").arg("GET").arg(-1).query(&mut server.client()).expect("the server tells");
    let times: Vec<i64> = log.iter().filter_map(|entry| redis::from_redis_value(entry.get(2)?.clone()).ok()).collect();
    let longest = times.iter().max().copied().unwrap_or(0);
    (longest as f64 / 1000.0, times.iter().filter(|time| **time > 15_000).count())
}

/// Retrying all failed jobs and cleaning all completed ones.
pub fn changes() {
    println!("\n## Retry of {RETRIED} failed jobs while a BullMQ 6 worker runs (20 at once)\n");
    println!("| by | wall time | PING of another client, median | 99 % | longest call | ran | distinct |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for by in ["qtop retry --all", "BullMQ retryJobs"] {
        let server = filled(RETRIED, "failed");
        let mut driver = Driver::start(&server);
        driver.ask(r#"{"op":"work","queue":"mail","concurrency":20}"#);
        let (mut pings, took) = pings_during(&server, || {
            if by.starts_with("qtop") {
                return qtop(&server, &["retry", "mail", "--all", "--state", "failed", "--yes"]);
            }
            let begun = Instant::now();
            driver.ask(r#"{"op":"own","queue":"mail","method":"retryJobs","args":[{"state":"failed"}]}"#);
            begun.elapsed()
        });
        // The driver waits two minutes at most in one go.
        while server.int("ZCARD bull:mail:completed") < RETRIED - 1_000 {
            std::thread::sleep(Duration::from_millis(200));
        }
        driver.ask(&format!(r#"{{"op":"untilCount","queue":"mail","state":"completed","count":{RETRIED}}}"#));
        let runs = driver.ask(r#"{"op":"runs","queue":"mail"}"#);
        let ids: Vec<&str> = runs.split("\"id\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let distinct: std::collections::HashSet<&&str> = ids.iter().collect();
        println!(
            "| {by} | {:.1} s | {} | {} | {:.1} ms | {} | {} |",
            took.as_secs_f64(),
            ms(percentile(&mut pings, 0.5)),
            ms(percentile(&mut pings, 0.99)),
            slow_calls(&server).0,
            ids.len(),
            distinct.len()
        );
    }
    println!("\n## Clean of {CLEANED} completed jobs, with a copy of each in the trash\n");
    let server = filled(CLEANED, "completed");
    let (mut pings, took) = pings_during(&server, || {
        qtop(&server, &["clean", "mail", "--state", "completed", "--older-than", "1s", "--yes"])
    });
    let (longest, over) = slow_calls(&server);
    println!("- wall time {:.1} s; left: {}", took.as_secs_f64(), server.int("ZCARD bull:mail:completed"));
    println!("- longest call {longest:.1} ms; {over} over 15 ms (calls under 5 ms are not looked at)");
    println!(
        "- PING of another client: median {}, 99 % {}",
        ms(percentile(&mut pings, 0.5)),
        ms(percentile(&mut pings, 0.99))
    );
}
