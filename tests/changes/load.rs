//! Large changes beside a living worker: nothing is lost or doubled, and nobody else waits long. The figures for ten
//! times as many jobs come from `tests/bench/run.sh changes`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use qtop_testkit::TestServer;
use serde_json::json;

use crate::command_line::Shell;
use crate::library::Library;

/// Writes ended jobs `from` to `to` of a state.
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
        redis::cmd("EVAL").arg(FILL).arg(0).arg(from).arg(to).arg(state).query::<()>(&mut client).unwrap();
    }
    server
}

/// Round trips of another client while something is done, sorted.
fn pings_during(server: &TestServer, doing: impl FnOnce()) -> Vec<Duration> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pinging = scope.spawn(|| {
            let mut client = server.client();
            let mut times = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let begun = Instant::now();
                redis::cmd("PING").query::<()>(&mut client).unwrap();
                times.push(begun.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            times.sort();
            times
        });
        doing();
        over.store(true, Ordering::SeqCst);
        pinging.join().unwrap()
    })
}

#[test]
fn r10_ten_thousand_jobs_retried_beside_a_worker_run_once_each_and_nobody_waits_long() {
    const JOBS: i64 = 10_000;
    let server = filled(JOBS, "failed");
    let mut library = Library::start(6, server.port());
    library.ask("work", json!({ "queue": "mail", "concurrency": 20 }));
    let shell = Shell::at(&server.url());
    let begun = Instant::now();
    let pings = pings_during(&server, || {
        let (code, said) = shell.json(&["retry", "mail", "--all", "--state", "failed", "--yes", "--json"]);
        assert_eq!((code, &said["done"]), (0, &json!(JOBS)), "{said}");
    });
    println!(
        "{JOBS} retried in {:?}; PING median {:?}, 99 % {:?}",
        begun.elapsed(),
        pings[pings.len() / 2],
        pings[pings.len() * 99 / 100]
    );
    library.ask("untilCount", json!({ "queue": "mail", "state": "completed", "count": JOBS }));
    let runs = library.ask("runs", json!({ "queue": "mail" }));
    let ids: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    let distinct: BTreeSet<&&str> = ids.iter().collect();
    assert_eq!((ids.len() as i64, distinct.len() as i64), (JOBS, JOBS));
    // What the machine does besides decides over the slowest; the median tells whether pieces are short.
    assert!(pings[pings.len() / 2] < Duration::from_millis(10), "{:?}", pings[pings.len() / 2]);
}

#[test]
fn p1_a_clean_of_many_jobs_never_holds_the_server_up() {
    // A machine that is busy with other things lengthens calls, but not every time so many of them.
    let slow: Vec<i64> = (0..3).map_while(|_| Some(slow_calls_of_a_clean()).filter(|slow| *slow > 3)).collect();
    assert!(slow.len() < 3, "calls over 15 ms: {slow:?}");
}

/// Cleans a queue and counts the calls that took longer than 15 ms.
fn slow_calls_of_a_clean() -> i64 {
    const JOBS: i64 = 20_000;
    let server = filled(JOBS, "completed");
    server.run("CONFIG SET slowlog-log-slower-than 15000");
    server.run("SLOWLOG RESET");
    let shell = Shell::at(&server.url());
    let (code, said) = shell.json(&["clean", "mail", "--state", "completed", "--older-than", "1s", "--yes", "--json"]);
    assert_eq!((code, &said["done"]), (0, &json!(JOBS)), "{said}");
    let slow = server.int("SLOWLOG LEN");
    assert_eq!(server.int("EXISTS bull:mail:completed bull:mail:1 bull:mail:20000"), 0);
    slow
}
