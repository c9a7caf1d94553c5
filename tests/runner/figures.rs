//! What the runner reaches and what it takes for it, at a high concurrency.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use qtop::config::Runner;
use qtop::engine::runner::work::Ending;
use qtop_testkit::{Proxy, TestServer, wait_until};

use crate::bench::{Job, begin};

fn config(queues: &[&str], concurrency: usize) -> Runner {
    let pools = queues.iter().map(|queue| {
        format!("[[pool]]\nqueue = '{queue}'\nconcurrency = {concurrency}\n[[pool.handler]]\ncommand = ['true']\n")
    });
    toml::from_str(&format!("name = 'test'\ngrace = '5s'\n{}", pools.collect::<String>())).unwrap()
}

/// Takes so long for each job, and counts them.
fn taking(span: Duration, ended: &Arc<AtomicUsize>) -> Arc<Job> {
    let ended = Arc::clone(ended);
    Arc::new(move |_, _| {
        let ended = Arc::clone(&ended);
        Box::pin(async move {
            if !span.is_zero() {
                tokio::time::sleep(span).await;
            }
            ended.fetch_add(1, Relaxed);
            Ending::Done { result: None }
        })
    })
}

fn fill(server: &TestServer, jobs: usize) {
    let mut client = server.client();
    let mut pipe = redis::pipe();
    pipe.hset("bull:post:meta", "version", "bullmq:6.7.0").ignore();
    for id in 1..=jobs {
        let fields = [("name", "noop"), ("data", "{}"), ("opts", "{}"), ("timestamp", "1700000000000")];
        pipe.hset_multiple(format!("bull:post:{id}"), &fields).ignore().lpush("bull:post:wait", id).ignore();
        pipe.lpush("mail", format!("{{\"id\":{id}}}")).ignore();
    }
    pipe.query::<()>(&mut client).expect("the queues are filled");
}

#[test]
fn f8_connections_are_one_for_control_and_one_for_each_queue_whatever_the_concurrency() {
    let queues = ["bullmq:post", "list:mail"];
    for concurrency in [1, 60] {
        let server = TestServer::start();
        let proxy = Proxy::start(server.port());
        let ended = Arc::default();
        let bench =
            begin(&proxy.url(), config(&queues, concurrency), taking(Duration::from_millis(100), &ended)).unwrap();
        bench.until("two pools that wait", |view| view.pools.iter().filter(|pool| pool.slots.is_empty()).count() == 2);
        fill(&server, 2 * concurrency);
        wait_until("the jobs", Duration::from_secs(20), || ended.load(Relaxed) == 4 * concurrency);
        let connections = proxy.traffic().connections;
        assert!(connections <= 2 + queues.len() as u64, "{connections} connections at {concurrency} at once");
        bench.stop();
    }
}

#[test]
fn f6_a_hundred_at_once_keep_the_server_busy() {
    const JOBS: usize = 30_000;
    let server = TestServer::start();
    fill(&server, JOBS);
    server.run("CONFIG RESETSTAT");
    let ended = Arc::default();
    let began = Instant::now();
    let bench = begin(&server.url(), config(&["bullmq:post"], 100), taking(Duration::ZERO, &ended)).unwrap();
    wait_until("the jobs", Duration::from_secs(60), || ended.load(Relaxed) == JOBS);
    let rate = JOBS as f64 / began.elapsed().as_secs_f64();
    bench.stop();
    let stats: String = redis::from_redis_value(server.run("INFO commandstats")).expect("text");
    let of_script = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:")).expect("scripts have run");
    println!("{rate:.0} jobs/s; {of_script}");
    assert!(rate >= 9_000.0, "{rate:.0} jobs/s; {of_script}");
}
