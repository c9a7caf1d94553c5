//! R10: two operators do the same at once, with a worker of the real library that takes what they give it.

use std::collections::BTreeSet;

use qtop_testkit::TestServer;

use crate::command_line::Shell;
use crate::library::Library;

const JOBS: i64 = 1_000;

const FILL: &str = "
for id = 1, tonumber(ARGV[1]) do
  local at = 1700000000000 + id
  redis.call('HSET', 'bull:mail:' .. id, 'name', 'good', 'data', '{}', 'opts', '{}', 'timestamp', at, 'finishedOn', at,
    'atm', 1, 'failedReason', 'boom')
  redis.call('ZADD', 'bull:mail:failed', at, id)
end
redis.call('SET', 'bull:mail:id', ARGV[1])";

#[test]
fn r10_a_thousand_jobs_retried_by_two_at_once_run_once_each() {
    let server = TestServer::start();
    server.run("HSET bull:mail:meta version bullmq:6.7.0 opts.maxLenEvents 10000");
    let _: () = redis::cmd("EVAL").arg(FILL).arg(0).arg(JOBS).query(&mut server.client()).unwrap();
    let mut library = Library::start(6, server.port());
    library.ask("work", serde_json::json!({ "queue": "mail", "concurrency": 20 }));
    let told: Vec<i64> = std::thread::scope(|scope| {
        let one = || {
            let shell = Shell::at(&server.url());
            // A slow start on both sides, so that they meet.
            let (_, said) =
                shell.json(&["retry", "mail", "--all", "--state", "failed", "--rate", "2000", "--yes", "--json"]);
            assert_eq!(said["unknown"], serde_json::json!([]));
            said["done"].as_i64().unwrap()
        };
        [scope.spawn(one), scope.spawn(one)].map(|thread| thread.join().unwrap()).into()
    });
    library.ask("untilCount", serde_json::json!({ "queue": "mail", "state": "completed", "count": JOBS }));
    let runs = library.ask("runs", serde_json::json!({ "queue": "mail" }));
    let ids: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    let distinct: BTreeSet<&&str> = ids.iter().collect();
    assert_eq!((ids.len() as i64, distinct.len() as i64), (JOBS, JOBS), "each ran once");
    assert_eq!(told.iter().sum::<i64>(), JOBS, "and each was told as done once: {told:?}");
}
