//! Queues as BullMQ leaves them in Redis, written directly because a thousand of them by the library take minutes.

use redis::{Connection, Pipeline};

/// Milliseconds since the Unix epoch of jobs that are long over.
const THEN: u64 = 1_760_000_000_000;

/// Adds `count` queues named `queue-0000` on, each with finished and failed jobs, and with waiting ones if `busy`.
pub fn queues(connection: &mut Connection, count: usize, busy: bool) {
    for queue in 0..count {
        let key = |part: &str| format!("bull:queue-{queue:04}:{part}");
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HSET").arg(key("meta")).arg("opts.maxLenEvents").arg(10_000).arg("version").arg("bullmq:5.60.0");
        pipeline.ignore();
        pipeline.set(key("id"), 30).ignore();
        for id in 0..30_u64 {
            let (state, done) = match id {
                0..20 => ("completed", true),
                20..24 => ("failed", true),
                _ => ("wait", false),
            };
            if !done && !busy {
                continue;
            }
            let mut job = redis::cmd("HSET");
            job.arg(key(&id.to_string())).arg("name").arg("send").arg("data").arg("{\"to\":\"ada@example.com\"}");
            job.arg("opts").arg("{\"attempts\":3}").arg("timestamp").arg(THEN).arg("priority").arg(0);
            if done {
                job.arg("processedOn").arg(THEN + 100).arg("finishedOn").arg(THEN + 900).arg("atm").arg(1);
            }
            if state == "failed" {
                job.arg("failedReason").arg("ConnectTimeout: upstream 10.0.0.1 timed out");
            }
            pipeline.add_command(job).ignore();
            if done {
                pipeline.zadd(key(state), id, THEN + 900 + id).ignore();
            } else {
                pipeline.lpush(key(state), id).ignore();
            }
        }
        pipeline.exec(connection).expect("a queue can be seeded");
    }
}

/// Adds keys that have nothing to do with queues.
pub fn other_keys(connection: &mut Connection, count: usize) {
    for start in (0..count).step_by(10_000) {
        let mut pipeline = Pipeline::new();
        for number in start..(start + 10_000).min(count) {
            pipeline.set(format!("cache:{number:07}"), "x").ignore();
        }
        pipeline.exec(connection).expect("keys can be seeded");
    }
}

/// Adds one queue `large` with this many waiting jobs.
pub fn large_queue(connection: &mut Connection, jobs: u64) {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("HSET").arg("bull:large:meta").arg("version").arg("bullmq:5.60.0").ignore();
    pipeline.set("bull:large:id", jobs).ignore();
    pipeline.exec(connection).expect("a queue can be seeded");
    for start in (0..jobs).step_by(10_000) {
        let mut pipeline = Pipeline::new();
        let mut push = redis::cmd("LPUSH");
        push.arg("bull:large:wait");
        for id in start..(start + 10_000).min(jobs) {
            push.arg(id);
            let mut job = redis::cmd("HSET");
            job.arg(format!("bull:large:{id}")).arg("name").arg("send").arg("data").arg("{\"to\":\"ada@example.com\"}");
            job.arg("opts").arg("{}").arg("timestamp").arg(THEN).arg("priority").arg(0);
            pipeline.add_command(job).ignore();
        }
        pipeline.add_command(push).ignore();
        pipeline.exec(connection).expect("jobs can be seeded");
    }
}
