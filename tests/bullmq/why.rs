//! "Why does it not move?", case by case.

use qtop::domain::ids::QueueId;
use qtop::domain::reason::Reason;
use qtop::link::Link;
use qtop::systems::System;
use qtop_testkit::TestServer;

use crate::seed::Seed;
use crate::view::{self, SYSTEM};

async fn why(server: &TestServer, job: Option<&str>) -> Vec<Reason> {
    let link = Link::open(&server.url()).await.unwrap();
    let job = job.map(Into::into);
    let reasons = SYSTEM.why(&link, &QueueId::new("bullmq", "bull", "mail"), job.as_ref()).await.unwrap();
    assert!(!reasons.is_empty(), "there is always an answer");
    assert!(reasons.iter().all(|reason| !reason.evidence.is_empty() && !reason.text.is_empty()), "{reasons:#?}");
    reasons
}

fn codes(reasons: &[Reason]) -> Vec<&'static str> {
    reasons.iter().map(|reason| reason.code).collect()
}

fn mail(server: &TestServer) -> Seed {
    Seed::queue(server.client(), "mail")
}

/// A sign of life of a worker.
fn alive(seed: &mut Seed) {
    seed.run(&["SET", "stalled-check", "1", "PX", "30000"]);
}

#[tokio::test]
async fn no_worker_alive_is_told_before_anything_else() {
    let server = TestServer::start();
    let mut seed = mail(&server);
    seed.jobs("wait", 1..=3, 10);
    assert_eq!(codes(&why(&server, None).await), ["no_workers"]);
    assert_eq!(codes(&why(&server, Some("2")).await), ["no_workers", "in_line"]);
    alive(&mut seed);
    assert_eq!(codes(&why(&server, None).await), ["fine"]);
    let reasons = why(&server, Some("3")).await;
    assert_eq!(codes(&reasons), ["in_line", "fine"]);
    assert!(reasons[0].text.contains("2 run before it"), "{}", reasons[0].text);
}

#[tokio::test]
async fn other_prefixes_with_the_same_queue_are_named() {
    let server = TestServer::start();
    mail(&server).jobs("wait", 1..=3, 10);
    server.run("HSET app:prod:mail:meta version bullmq:6.7.0");
    server.run("SET app:prod:mail:stalled-check 1 PX 30000");
    let reasons = why(&server, None).await;
    assert_eq!(codes(&reasons), ["no_workers", "other_prefix"]);
    assert!(reasons[1].text.contains("app:prod") && reasons[1].text.contains("a worker serves it"), "{reasons:#?}");
}

#[tokio::test]
async fn paused_limits_and_busy_slots_are_told_apart() {
    let server = TestServer::start();
    let mut seed = mail(&server);
    alive(&mut seed);
    seed.jobs("wait", 1..=3, 10);
    seed.jobs("active", 11..=12, 10);
    for id in ["11", "12"] {
        seed.run(&["SET", &format!("{id}:lock"), "uuid:1", "PX", "30000"]);
    }
    assert_eq!(codes(&why(&server, None).await), ["all_busy"]);
    seed.run(&["HSET", "meta", "concurrency", "2"]);
    assert_eq!(codes(&why(&server, None).await), ["concurrency_limit"]);
    seed.run(&["HSET", "meta", "max", "5", "duration", "60000"]);
    seed.run(&["SET", "limiter", "5", "PX", "40000"]);
    assert_eq!(codes(&why(&server, None).await), ["concurrency_limit", "rate_limited"]);
    seed.run(&["HSET", "meta", "paused", "1"]);
    let reasons = why(&server, None).await;
    assert_eq!(codes(&reasons)[0], "paused");
    assert!(reasons[0].evidence.contains("6.7.0"), "{reasons:#?}");
}

#[tokio::test]
async fn a_limit_in_the_options_of_a_worker_shows_by_its_effect() {
    let server = TestServer::start();
    let mut seed = mail(&server);
    alive(&mut seed);
    seed.jobs("wait", 1..=3, 10);
    seed.run(&["SET", "limiter", "5", "PX", "40000"]);
    let reasons = why(&server, None).await;
    assert_eq!(codes(&reasons), ["rate_limited"]);
    assert!(reasons[0].text.contains("5 jobs started"), "{reasons:#?}");
    seed.run(&["SET", "limiter", "9007199254740991", "PX", "40000"]);
    assert!(why(&server, None).await[0].text.contains("A worker holds the queue"), "held by hand");
    let link = Link::open(&server.url()).await.unwrap();
    let sample = view::tour(&link, None).await.pop().unwrap();
    assert!(sample.conditions.rate_limited_until.is_some(), "{:?}", sample.conditions);
}

#[tokio::test]
async fn a_lost_lock_is_told_with_what_will_happen() {
    let server = TestServer::start();
    let mut seed = mail(&server);
    seed.jobs("active", 11..=12, 10);
    seed.run(&["SET", "12:lock", "uuid:1", "PX", "30000"]);
    let reasons = why(&server, Some("11")).await;
    assert_eq!(codes(&reasons), ["lock_expired"]);
    assert!(reasons[0].text.contains("no worker checks"), "{reasons:#?}");
    alive(&mut seed);
    assert!(why(&server, Some("11")).await[0].text.contains("puts it back"), "a worker checks");
    assert_eq!(codes(&why(&server, Some("12")).await), ["fine"]);
    assert_eq!(codes(&why(&server, None).await), ["lock_expired"]);
}

#[tokio::test]
async fn delayed_orphaned_missing_and_finished_jobs_each_have_their_answer() {
    let server = TestServer::start();
    let mut seed = mail(&server);
    alive(&mut seed);
    seed.jobs("delayed", 21..=21, 10);
    seed.jobs("failed", 31..=31, 10);
    seed.run(&["HSET", "31", "failedReason", "no such mailbox", "atm", "3"]);
    seed.run(&["HSET", "77", "name", "lost", "data", "{}"]);
    assert_eq!(codes(&why(&server, None).await), ["delayed"]);
    let delayed = why(&server, Some("21")).await;
    assert_eq!(codes(&delayed), ["delayed"]);
    assert!(delayed[0].text.contains("2096"), "{delayed:#?}");
    let failed = why(&server, Some("31")).await;
    assert_eq!(codes(&failed), ["failed"]);
    assert!(failed[0].text.contains("3 of 3 attempts: no such mailbox"), "{failed:#?}");
    assert_eq!(codes(&why(&server, Some("77")).await), ["in_no_list"]);
    assert_eq!(codes(&why(&server, Some("78")).await), ["no_record"]);
    let job = view::job(&Link::open(&server.url()).await.unwrap(), &QueueId::new("bullmq", "bull", "mail"), "77").await;
    assert_eq!(job.row.state.0, "unknown");
    assert!(job.facts.iter().any(|(label, value)| label == "state" && value.contains("orphaned")), "{:?}", job.facts);
}
