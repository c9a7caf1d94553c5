//! Policy by the names of jobs: what a handler says for its own jobs comes before what the pool says.

use std::time::Duration;

use qtop::config::Runner;
use qtop::domain::runner::Ended;
use qtop::engine::runner::work::{Ending, Failure};
use qtop_testkit::{TestServer, wait_until};

use crate::bench::{Notes, begin, failing, slow};

fn push(server: &TestServer, id: &str, name: &str) {
    let item = format!("{{\"id\":\"{id}\",\"type\":\"{name}\",\"key\":\"same\"}}");
    let _: i64 = redis::cmd("LPUSH").arg("mail").arg(item).query(&mut server.client()).unwrap();
}

/// A pool whose first handler takes `own_*` and has these lines more.
fn pool(pool: &str, own: &str) -> Runner {
    let text = format!(
        "name = 'test'\nlease = '4s'\ngrace = '5s'\n[[pool]]\nqueue = 'list:mail'\n{pool}\n\
         [[pool.handler]]\nmatch = 'own_*'\ncommand = ['true']\n{own}\n[[pool.handler]]\ncommand = ['true']"
    );
    toml::from_str(&text).unwrap()
}

#[test]
fn a_handler_has_its_own_attempts_and_waits() {
    let server = TestServer::start();
    push(&server, "1", "own_mail");
    push(&server, "2", "mail");
    let notes = Notes::default();
    let own = "retry = { attempts = 3, backoff = ['200ms', '900ms'] }";
    let config = pool("concurrency = 2\nretry = { attempts = 2, base = '100ms' }", own);
    let bench = begin(&server.url(), config, failing(&notes)).unwrap();
    bench.until_pool("both given up", |pool| pool.counts.failed == 2);
    let mut ran = notes.all();
    ran.sort();
    assert_eq!(ran, ["1 1", "1 2", "1 3", "2 1", "2 2"]);
    let at = |attempt: u32| {
        let view = bench.view();
        let one = view.recent.iter().find(|result| result.name == "own_mail" && result.attempt == attempt);
        one.expect("a result").at.0
    };
    assert!(at(3) - at(2) >= 900, "its own waits: {} ms", at(3) - at(2));
    bench.stop();
}

#[test]
fn a_handler_has_its_own_timeout() {
    let server = TestServer::start();
    push(&server, "1", "own_mail");
    push(&server, "2", "mail");
    let notes = Notes::default();
    let seen = notes.clone();
    let job = move |work: qtop::engine::runner::work::Work, room: qtop::engine::runner::work::Room| {
        seen.add(format!("{} {:?} of {:?}", work.name, room.timeout, work.attempts));
        Box::pin(async { Ending::Done { result: None } }) as futures_util::future::BoxFuture<'static, Ending>
    };
    let config = pool("timeout = '60s'\nretry = { attempts = 2 }", "timeout = '5s'\nretry = { attempts = 7 }");
    let bench = begin(&server.url(), config, std::sync::Arc::new(job)).unwrap();
    bench.until_pool("both", |pool| pool.counts.done == 2);
    assert_eq!(notes.all(), ["own_mail Some(5s) of Some(7)", "mail Some(60s) of Some(2)"]);
    bench.stop();
}

#[test]
fn r15_a_handler_has_its_own_limit_of_crashes() {
    let server = TestServer::start();
    push(&server, "1", "own_mail");
    push(&server, "2", "mail");
    let job = |_, _| {
        let failure = Failure { message: "signal 11".to_owned(), crashed: true, ..Failure::default() };
        Box::pin(async { Ending::Retry { failure, after: None } }) as futures_util::future::BoxFuture<'static, Ending>
    };
    let config = pool("retry = { attempts = 100, base = '10ms' }\nmax_crashes = 3", "max_crashes = 1");
    let bench = begin(&server.url(), config, std::sync::Arc::new(job)).unwrap();
    bench.until_pool("both given up", |pool| pool.counts.failed == 2);
    let attempts = |name: &str| bench.view().recent.iter().filter(|result| result.name == name).count();
    assert_eq!((attempts("own_mail"), attempts("mail")), (1, 3));
    bench.stop();
}

#[test]
fn a_handler_has_its_own_key() {
    let server = TestServer::start();
    for (id, name) in [("1", "own_mail"), ("2", "own_mail"), ("3", "mail"), ("4", "mail")] {
        push(&server, id, name);
    }
    let notes = Notes::default();
    let own = "dedup = { key = '{data.key}', ttl = '1h' }";
    let bench = begin(&server.url(), pool("concurrency = 1", own), slow(&notes, Duration::from_millis(10))).unwrap();
    bench.until_pool("all settled", |pool| pool.counts.done == 4);
    wait_until("the runs", Duration::from_secs(5), || notes.all().len() == 3);
    assert_eq!(notes.all(), ["1", "3", "4"]);
    let view = bench.view();
    let told = view.recent.iter().filter(|result| result.ended == Ended::Done && !result.message.is_empty());
    assert_eq!(told.count(), 1, "the second is told why it was not run");
    bench.stop();
}
