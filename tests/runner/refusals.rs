//! What is said before a job is taken.

use std::sync::Arc;
use std::time::Duration;

use qtop::config::Runner;
use qtop::engine::runner::error::RunnerError;
use qtop_testkit::{TestServer, wait_until};

use crate::bench::{Notes, begin, noting, runner};

fn refusal(server: &TestServer, runner: Runner) -> RunnerError {
    match begin(&server.url(), runner, noting(&Notes::default())) {
        Err(error) => error,
        Ok(bench) => bench.handle.join().expect_err("the runner must not run"),
    }
}

#[test]
fn r19_without_a_named_queue_nothing_is_consumed() {
    let server = TestServer::start();
    assert!(matches!(refusal(&server, Runner::default()), RunnerError::NothingNamed));
}

#[test]
fn r18_a_server_that_may_evict_needs_consent() {
    let server = TestServer::builder().args(["--maxmemory-policy", "allkeys-lru"]).start();
    let error = refusal(&server, runner(""));
    assert!(matches!(&error, RunnerError::Eviction { policy } if policy == "allkeys-lru"), "{error}");
    let consenting = Runner { allow_eviction: true, ..runner("") };
    let bench = begin(&server.url(), consenting, noting(&Notes::default())).unwrap();
    bench.until("a warning that stays", |view| view.problem.as_ref().is_some_and(|text| text.contains("allkeys-lru")));
    bench.stop();
}

#[test]
fn queues_that_cannot_be_worked_on_are_named_with_the_reason() {
    let server = TestServer::start();
    for (queue, reason) in
        [("list:nowhere", "no [[list]]"), ("carrot:mail", "no queue system"), ("mail", "no SYSTEM:NAME")]
    {
        let mut config = runner("");
        config.pools[0].queue = queue.to_owned();
        let error = refusal(&server, config).to_string();
        assert!(error.contains(queue) && error.contains(reason), "{error}");
    }
    let mut config = runner("");
    config.pools[0].handlers[0].matches = "send_*".into();
    let error = refusal(&server, config).to_string();
    assert!(error.contains("send_*"), "{error}");
}

#[test]
fn a_schedule_without_any_moment_is_named() {
    let server = TestServer::start();
    for rule in ["cron = '0 0 30 2 *'", "cron = 'now and then'", "every = '1m'\ntimezone = 'Mars/Olympus'"] {
        let mut config = runner("");
        let schedule = format!("queue = 'list:mail'\nname = 'never'\n{rule}");
        config.schedules = vec![toml::from_str(&schedule).unwrap()];
        if rule.starts_with("every") {
            // A zone that means nothing to an interval.
            begin(&server.url(), config, noting(&Notes::default())).unwrap().stop();
            continue;
        }
        let error = refusal(&server, config).to_string();
        assert!(error.contains("never") && error.contains("list:mail"), "{error}");
    }
}

#[test]
fn a_runner_may_start_before_its_server() {
    let mut server = TestServer::start();
    server.stop();
    let notes = Notes::default();
    let bench = begin(&server.url(), runner(""), noting(&notes)).unwrap();
    bench.until("the reason", |view| view.problem.as_ref().is_some_and(|text| text.contains("refused")));
    server.restart();
    crate::lists::fill(&server, 1);
    wait_until("the job", Duration::from_secs(10), || notes.all().len() == 1);
    assert_eq!(bench.view().problem, None);
    bench.stop();
    drop(Arc::new(server));
}
