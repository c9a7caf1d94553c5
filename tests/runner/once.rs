//! Keys that are run once, while the server is away or its answers are lost.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use qtop::config::{Dedup, Runner};
use qtop::engine::runner::work::{Ending, Failure, Work};
use qtop_testkit::{Proxy, TestServer, wait_until};

use crate::bench::{Bench, Job, Notes, begin, noting, runner, slow};

fn push(server: &TestServer, id: &str) {
    let item = format!("{{\"id\":\"{id}\",\"message\":\"a\"}}");
    let _: i64 = redis::cmd("LPUSH").arg("mail").arg(item).query(&mut server.client()).unwrap();
}

fn once(ttl: Duration, pool: &str) -> Runner {
    let mut config = runner(pool);
    config.pools[0].dedup = Some(Dedup { key: "{data.message}".to_owned(), ttl });
    config
}

fn marks(server: &TestServer) -> Vec<String> {
    redis::from_redis_value(server.run("KEYS qtop:once:*")).unwrap()
}

/// Takes a second for each attempt; the first fails.
fn failing_once(notes: &Notes) -> Arc<Job> {
    let notes = notes.clone();
    Arc::new(move |work: Work, _| {
        notes.add(format!("{} {}", work.id, work.attempt));
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            match work.attempt {
                1 => Ending::Retry { failure: Failure::new("no route"), after: None },
                _ => Ending::Done { result: None },
            }
        }) as BoxFuture<'static, Ending>
    })
}

/// Waits for the first run and takes the server away until it is long over.
fn away_at_the_end(proxy: &Proxy, notes: &Notes) {
    wait_until("the first run", Duration::from_secs(15), || notes.all().len() == 1);
    proxy.refuse(true);
    std::thread::sleep(Duration::from_secs(3));
    proxy.refuse(false);
}

#[test]
fn a_job_that_failed_while_the_server_was_away_has_its_turn_again() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    push(&server, "1");
    let notes = Notes::default();
    let config = once(Duration::from_secs(24 * 3600), "retry = { attempts = 2, base = '200ms' }");
    let bench = begin(&proxy.url(), config, failing_once(&notes)).unwrap();
    away_at_the_end(&proxy, &notes);
    wait_until("the second attempt", Duration::from_secs(15), || notes.all() == ["1 1", "1 2"]);
    bench.until_pool("its success", |pool| pool.counts.done == 1);
    bench.stop();
}

#[test]
fn a_success_while_the_server_was_away_is_remembered() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    push(&server, "1");
    let notes = Notes::default();
    let config = once(Duration::from_secs(24 * 3600), "concurrency = 2");
    let bench = begin(&proxy.url(), config, slow(&notes, Duration::from_secs(1))).unwrap();
    away_at_the_end(&proxy, &notes);
    bench.until_pool("its success", |pool| pool.counts.done == 1);
    push(&server, "2");
    bench.until_pool("the other", |pool| pool.counts.done == 2);
    assert_eq!(notes.all(), ["1"]);
    assert!(bench.view().recent[0].message.contains("same key has succeeded"), "{:?}", bench.view().recent[0].message);
    bench.stop();
}

#[test]
fn a_job_whose_mark_was_set_by_a_request_without_an_answer_runs() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let notes = Notes::default();
    let bench = begin(&proxy.url(), once(Duration::from_secs(3600), ""), noting(&notes)).unwrap();
    bench.until("its name", |view| !view.name.is_empty());
    let sign = format!("GET qtop:runner:{}", bench.view().name);
    let says = || redis::from_redis_value::<Option<String>>(server.run(&sign)).unwrap().unwrap_or_default();
    wait_until("its sign of life", Duration::from_secs(10), || says().contains("consuming"));
    // The next sign is due in five seconds, so the next SET is that of the mark.
    proxy.lose_answer("SET", 0);
    push(&server, "1");
    wait_until("the run", Duration::from_secs(15), || notes.all().len() == 1);
    assert!(proxy.has_lost());
    bench.until_pool("its success", |pool| pool.counts.done == 1);
    bench.stop();
}

#[test]
fn the_time_of_a_key_begins_with_the_job_that_succeeded() {
    let server = TestServer::start();
    push(&server, "1");
    let notes = Notes::default();
    let bench = begin(&server.url(), once(Duration::from_secs(20), ""), slow(&notes, Duration::from_secs(2))).unwrap();
    bench.until_pool("its success", |pool| pool.counts.done == 1);
    let mark = marks(&server).pop().expect("a mark");
    assert_eq!(redis::from_redis_value::<String>(server.run(&format!("GET {mark}"))).unwrap(), "done");
    let left = server.int(&format!("PTTL {mark}"));
    assert!((10_000..=18_000).contains(&left), "{left} ms are left of 20 s after 2 s");
    bench.stop();
}

#[test]
fn jobs_with_the_same_key_never_run_side_by_side_on_two_runners() {
    let server = TestServer::start();
    let notes = Notes::default();
    let seen = notes.clone();
    // All of them fail for good, so each has its turn; two at once would begin before the other has ended.
    let job: Arc<Job> = Arc::new(move |work: Work, _| {
        seen.add(format!("begin {}", work.id));
        let seen = seen.clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(150)).await;
            seen.add(format!("end {}", work.id));
            Ending::Failed(Failure::new("never"))
        }) as BoxFuture<'static, Ending>
    });
    for id in 0..5 {
        push(&server, &id.to_string());
    }
    let start = || begin(&server.url(), once(Duration::from_secs(3600), "concurrency = 4"), Arc::clone(&job)).unwrap();
    let benches: Vec<Bench> = (0..2).map(|_| start()).collect();
    wait_until("all turns", Duration::from_secs(60), || notes.all().len() == 10);
    for pair in notes.all().chunks(2) {
        let id = |note: &str| note.split(' ').next_back().unwrap_or_default().to_owned();
        assert!(pair[0].starts_with("begin") && id(&pair[0]) == id(&pair[1]), "{:?}", notes.all());
    }
    for bench in benches {
        bench.stop();
    }
    assert_eq!(marks(&server), Vec::<String>::new());
}
