//! Outcomes of several BullMQ jobs stored by one request: the same as one by one, and none in the way of another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use qtop::domain::ids::{Name, QueueId};
use qtop::link::{ConnectOptions, Link, Mode, Purpose};
use qtop::systems::SystemError;
use qtop::systems::bullmq::BullMq;
use qtop::systems::consume::{Claim, Consume, Keep, Outcome, Retention, Seat, Settled, Verdict};
use qtop_testkit::TestServer;

async fn link(server: &TestServer) -> Link {
    let mut options = ConnectOptions::new(server.url());
    options.mode = Mode::ReadWrite;
    Link::connect_metered(&options, Purpose::Mutate, Arc::default()).await.expect("the server answers")
}

fn seat(keep: Option<Keep>) -> Seat {
    Seat {
        queue: QueueId::new("bullmq", "bull", "mail"),
        worker: Name::from("tester"),
        process: 1,
        host: Arc::from("here"),
        lease: Duration::from_secs(30),
        rate: None,
        max_deaths: 2,
        keep: Retention { done: keep, failed: None },
        names: Arc::default(),
        attempts: Default::default(),
        left_behind: None,
    }
}

/// Jobs 1 to `count`, the first next to run.
fn fill(server: &TestServer, count: usize) {
    for id in 1..=count {
        server.run(&format!("HSET bull:mail:{id} name send data {{}} opts {{\"attempts\":3}} timestamp 1700000000000"));
        server.run(&format!("LPUSH bull:mail:wait {id}"));
    }
    server.run("HSET bull:mail:meta version bullmq:6.7.0");
}

async fn take(link: &Link, seat: &Seat, count: usize) -> Vec<Claim> {
    let claims = BullMq.claim(link, seat, count).await.expect("jobs are taken").claims;
    assert_eq!(claims.len(), count);
    claims
}

fn done() -> Verdict {
    Verdict::Done(Some(Bytes::from_static(b"1")))
}

fn outcomes<'a>(claims: &'a [Claim], verdicts: &'a [Verdict], next: bool) -> Vec<Outcome<'a>> {
    claims.iter().zip(verdicts).map(|(claim, verdict)| Outcome { claim, verdict, next }).collect()
}

async fn settle_all(link: &Link, seat: &Seat, outcomes: &[Outcome<'_>]) -> Vec<Result<Settled, SystemError>> {
    BullMq.settle_all(link, seat, outcomes).await.expect("the server answers")
}

/// The job that was taken with an outcome.
fn next_of(stored: Result<Settled, SystemError>) -> Claim {
    match stored {
        Ok(Settled::Stored(Some(claim))) => Claim::clone(&claim),
        other => panic!("{other:?}"),
    }
}

/// All that the queue consists of; times and locks are left out.
fn content(server: &TestServer) -> BTreeMap<String, String> {
    let keys: Vec<String> = redis::from_redis_value(server.run("KEYS bull:mail:*")).expect("keys");
    let told = keys.into_iter().map(|key| {
        let kind: String = redis::from_redis_value(server.run(&format!("TYPE {key}"))).expect("a type");
        let value = match kind.as_str() {
            "hash" => {
                let mut fields: BTreeMap<String, String> =
                    redis::from_redis_value(server.run(&format!("HGETALL {key}"))).expect("a hash");
                fields.retain(|name, _| !["processedOn", "finishedOn", "prevTS"].contains(&name.as_str()));
                format!("{fields:?}")
            }
            "list" => format!("{:?}", server.run(&format!("LRANGE {key} 0 -1"))),
            "zset" => {
                let mut members: Vec<String> =
                    redis::from_redis_value(server.run(&format!("ZRANGE {key} 0 -1"))).expect("a sorted set");
                members.sort();
                format!("{members:?}")
            }
            "stream" => {
                let entries: Vec<(String, Vec<String>)> =
                    redis::from_redis_value(server.run(&format!("XRANGE {key} - +"))).expect("a stream");
                let mut events: Vec<Vec<String>> = entries.into_iter().map(|(_, fields)| fields).collect();
                // When a job is due is a moment.
                events.iter_mut().for_each(|event| event.retain(|word| !word.starts_with("17") || word.len() < 13));
                format!("{events:?}")
            }
            _ => String::new(),
        };
        (key, value)
    });
    told.collect()
}

#[tokio::test]
async fn many_outcomes_at_once_leave_what_one_by_one_leaves() {
    let verdicts = [
        done(),
        Verdict::Retry {
            message: "no route".into(),
            stack: vec!["at send".into()],
            delay: Duration::ZERO,
            crashed: true,
        },
        Verdict::Retry { message: "busy".into(), stack: Vec::new(), delay: Duration::from_secs(60), crashed: false },
        Verdict::Dead { message: "bad".into(), stack: vec!["at send".into()], fate: Default::default() },
        Verdict::Return,
        Verdict::Postpone(Duration::from_secs(60)),
        done(),
    ];
    let mut left = Vec::new();
    for together in [true, false] {
        let server = TestServer::start();
        fill(&server, 20);
        server.run("HSET bull:mail:metrics:completed count 5");
        let (link, seat) = (link(&server).await, seat(None));
        let claims = take(&link, &seat, verdicts.len()).await;
        let outcomes = outcomes(&claims, &verdicts, false);
        for part in outcomes.chunks(if together { verdicts.len() } else { 1 }) {
            for stored in settle_all(&link, &seat, part).await {
                assert!(matches!(stored, Ok(Settled::Stored(None))), "{stored:?}");
            }
        }
        assert_eq!(server.int("LLEN bull:mail:active"), 0);
        assert_eq!(server.int("HGET bull:mail:metrics:completed count"), 7, "each is in the queue's own figures");
        let locks: Vec<String> = redis::from_redis_value(server.run("KEYS bull:mail:*:lock")).expect("keys");
        assert!(locks.is_empty(), "{locks:?}");
        left.push(content(&server));
    }
    assert_eq!(left[0], left[1]);
    assert!(left[0]["bull:mail:completed"].contains('7') && left[0]["bull:mail:failed"].contains('4'));
}

#[tokio::test]
async fn plain_outcomes_leave_what_special_ones_leave() {
    let mut left = Vec::new();
    // What each queue has that makes none, all or one of the outcomes special; then it is as the others are.
    for (special, undone) in [
        ("PING", "PING"),
        ("HSET bull:mail:metrics:completed count 0", "DEL bull:mail:metrics:completed"),
        ("HSET bull:mail:2 deid once", "HDEL bull:mail:2 deid"),
    ] {
        let server = TestServer::start();
        fill(&server, 9);
        server.run("HSET bull:mail:3 atm 1 ats 2 stc 1");
        server.run("SADD bull:mail:stalled 1 4");
        server.run(special);
        let (link, seat) = (link(&server).await, seat(None));
        let claims = take(&link, &seat, 4).await;
        let stored = settle_all(&link, &seat, &outcomes(&claims, &[done(), done(), done(), done()], true)).await;
        let next: Vec<Claim> = stored.into_iter().map(next_of).collect();
        let past = next.iter().map(|claim| (claim.id.to_text(), claim.attempts_made, claim.deaths));
        let past: Vec<_> = past.collect();
        let stored = settle_all(&link, &seat, &outcomes(&next[..1], &[done()], true)).await;
        let last = stored.into_iter().map(next_of).map(|claim| claim.id.to_text()).next();
        server.run(undone);
        assert_eq!(server.int("EXISTS bull:mail:1:lock bull:mail:stalled"), 0);
        assert_eq!(server.int("ZCARD bull:mail:completed"), 5);
        let mut content = content(&server);
        // The order of the running ones means nothing, and what is special is told of last.
        for unordered in ["bull:mail:active", "bull:mail:events"] {
            let mut words: Vec<char> = content.remove(unordered).expect("it is there").chars().collect();
            words.sort_unstable();
            content.insert(unordered.to_owned(), words.into_iter().collect());
        }
        left.push((past, last, content));
    }
    assert_eq!(left[0], left[1]);
    assert_eq!(left[0], left[2]);
    assert_eq!(left[0].1.as_deref(), Some("9"));
    assert!(left[0].2["bull:mail:3"].contains(r#""atm": "2""#), "{:?}", left[0].2);
}

#[tokio::test]
async fn a_job_whose_children_are_unfinished_or_have_failed_is_not_completed() {
    let server = TestServer::start();
    fill(&server, 4);
    let (link, seat) = (link(&server).await, seat(None));
    let claims = take(&link, &seat, 3).await;
    server.run("SADD bull:mail:1:dependencies bull:mail:child");
    server.run("ZADD bull:mail:2:unsuccessful 1 bull:mail:child");
    server.run("HSET bull:mail:2 defa child");
    let stored = settle_all(&link, &seat, &outcomes(&claims, &[done(), done(), done()], true)).await;
    assert!(matches!(&stored[0], Ok(Settled::Refused(why)) if why.contains("unfinished")), "{:?}", stored[0]);
    assert!(matches!(&stored[1], Ok(Settled::Refused(why)) if why.contains("failed")), "{:?}", stored[1]);
    assert!(matches!(&stored[2], Ok(Settled::Stored(Some(_)))), "{:?}", stored[2]);
    assert_eq!(server.int("EXISTS bull:mail:1:lock bull:mail:2:lock"), 2, "both can be ended otherwise");
    // Without another among them.
    server.run("DEL bull:mail:1:dependencies");
    let stored = settle_all(&link, &seat, &outcomes(&claims[1..2], &[done()], false)).await;
    assert!(matches!(&stored[0], Ok(Settled::Refused(why)) if why.contains("failed")), "{:?}", stored[0]);
}

#[tokio::test]
async fn r5_an_outcome_that_cannot_be_stored_is_in_nobodys_way() {
    let server = TestServer::start();
    fill(&server, 8);
    // A parent whose record is broken: what the second job tells it fails.
    server.run("HSET bull:mail:2 parent {\"id\":\"p\",\"queueKey\":\"bull:mail\"} parentKey bull:mail:p");
    server.run("SET bull:mail:p:dependencies broken");
    let (link, seat) = (link(&server).await, seat(None));
    let claims = take(&link, &seat, 4).await;
    server.run("SET bull:mail:3:lock another");
    let before = content(&server);
    let verdicts = [done(), done(), done(), done()];
    let stored = settle_all(&link, &seat, &outcomes(&claims, &verdicts, true)).await;
    let next = [0, 3].map(|index| next_of(stored[index].clone()).id.to_text());
    assert_eq!(next, ["5", "6"], "those stored go on with the next in order");
    let error = stored[1].as_ref().expect_err("the parent is broken").to_string();
    assert!(error.starts_with("WRONGTYPE"), "{error}");
    assert!(matches!(&stored[2], Ok(Settled::Lost(why)) if why.contains("another worker")), "{:?}", stored[2]);
    assert_eq!(before["bull:mail:3"], content(&server)["bull:mail:3"], "the other's job is as it was");
    assert_eq!(server.int("ZCARD bull:mail:completed"), 2);
    // The one that failed is as it was, so that it can be tried again.
    server.run("DEL bull:mail:p:dependencies");
    let again = settle_all(&link, &seat, &outcomes(&claims[1..2], &verdicts, false)).await;
    assert!(matches!(again[..], [Ok(Settled::Stored(None))]), "{again:?}");
    assert_eq!(server.int("EXISTS bull:mail:2:lock"), 0);
}

#[tokio::test]
async fn r2_a_queue_with_broken_keys_loses_no_job() {
    for broken in ["completed", "events"] {
        let server = TestServer::start();
        fill(&server, 4);
        let (link, seat) = (link(&server).await, seat(None));
        let claims = take(&link, &seat, 2).await;
        server.run(&format!("DEL bull:mail:{broken}"));
        server.run(&format!("SET bull:mail:{broken} broken"));
        let verdicts = [done(), done()];
        let stored = settle_all(&link, &seat, &outcomes(&claims, &verdicts, true)).await;
        assert!(
            stored.iter().all(|stored| stored.as_ref().is_err_and(|error| error.to_string().contains("WRONGTYPE")))
        );
        assert_eq!(server.int("LLEN bull:mail:active"), 2, "{broken}");
        assert_eq!(server.int("EXISTS bull:mail:1:lock bull:mail:2:lock"), 2, "{broken}");
        server.run(&format!("DEL bull:mail:{broken}"));
        let stored = settle_all(&link, &seat, &outcomes(&claims, &verdicts, false)).await;
        assert!(stored.iter().all(|stored| matches!(stored, Ok(Settled::Stored(None)))), "{stored:?}");
        assert_eq!(server.int("ZCARD bull:mail:completed"), 2);
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_next_jobs_does_not_hide_what_was_stored() {
    let server = TestServer::start();
    fill(&server, 2);
    let (link, seat) = (link(&server).await, seat(None));
    let claims = take(&link, &seat, 1).await;
    server.run("DEL bull:mail:wait");
    server.run("SET bull:mail:wait broken");
    let stored = settle_all(&link, &seat, &outcomes(&claims, &[done()], true)).await;
    assert!(matches!(stored[..], [Ok(Settled::Stored(None))]), "{stored:?}");
    let error = BullMq.claim(&link, &seat, 1).await.expect_err("the list is none").to_string();
    assert!(error.contains("WRONGTYPE"), "{error}");
}

#[tokio::test]
async fn bounds_on_kept_jobs_hold_for_many_at_once() {
    let server = TestServer::start();
    fill(&server, 30);
    let (link, seat) = (link(&server).await, seat(Some(Keep { count: Some(3), age: None })));
    for _ in 0..2 {
        let claims = take(&link, &seat, 15).await;
        let verdicts = vec![done(); 15];
        assert!(settle_all(&link, &seat, &outcomes(&claims, &verdicts, false)).await.iter().all(Result::is_ok));
    }
    let kept: Vec<String> = redis::from_redis_value(server.run("ZRANGE bull:mail:completed 0 -1")).expect("members");
    assert_eq!(kept.len(), 3, "{kept:?}");
    let records: Vec<String> = redis::from_redis_value(server.run("KEYS bull:mail:[0-9]*")).expect("keys");
    assert_eq!(records.len(), 3, "{records:?}");
}

#[tokio::test]
async fn a_limit_of_the_queue_holds_for_jobs_taken_with_outcomes() {
    let server = TestServer::start();
    fill(&server, 20);
    server.run("HSET bull:mail:meta concurrency 4");
    let (link, seat) = (link(&server).await, seat(None));
    let claims = take(&link, &seat, 4).await;
    assert!(BullMq.claim(&link, &seat, 5).await.expect("an answer").claims.is_empty());
    let verdicts = vec![done(); 4];
    let stored = settle_all(&link, &seat, &outcomes(&claims, &verdicts, true)).await;
    assert_eq!(stored.iter().filter(|stored| matches!(stored, Ok(Settled::Stored(Some(_))))).count(), 4);
    assert_eq!(server.int("LLEN bull:mail:active"), 4);
    server.run("HSET bull:mail:meta paused 1");
    let held = stored.into_iter().map(|stored| match stored {
        Ok(Settled::Stored(Some(claim))) => Claim::clone(&claim),
        other => panic!("{other:?}"),
    });
    let held: Vec<Claim> = held.collect();
    for stored in settle_all(&link, &seat, &outcomes(&held, &verdicts, true)).await {
        assert!(matches!(stored, Ok(Settled::Stored(None))), "a paused queue gives no more: {stored:?}");
    }
}

#[tokio::test]
async fn jobs_taken_with_outcomes_wake_others_only_under_a_limit_of_the_whole_queue() {
    for limited in [false, true] {
        let server = TestServer::start();
        fill(&server, 6);
        if limited {
            server.run("HSET bull:mail:meta concurrency 2");
        }
        let (link, seat) = (link(&server).await, seat(None));
        let claims = take(&link, &seat, 2).await;
        assert_eq!(server.int("ZCARD bull:mail:marker"), 1, "whoever was woken passes the call on");
        server.run("DEL bull:mail:marker");
        let verdicts = [done(), done()];
        let stored = settle_all(&link, &seat, &outcomes(&claims, &verdicts, true)).await;
        assert!(stored.iter().all(|stored| matches!(stored, Ok(Settled::Stored(Some(_))))), "{stored:?}");
        assert_eq!(server.int("ZCARD bull:mail:marker"), i64::from(limited), "limited: {limited}");
    }
}

#[tokio::test]
async fn a_job_that_ends_is_suspected_no_longer_and_due_ones_are_taken_with_its_outcome() {
    let server = TestServer::start();
    fill(&server, 2);
    let (link, seat) = (link(&server).await, seat(None));
    let claims = take(&link, &seat, 1).await;
    server.run("SADD bull:mail:stalled 1 2");
    server.run("LREM bull:mail:wait 1 2");
    server.run("ZADD bull:mail:delayed 4096 2");
    let verdicts = [done()];
    let stored = settle_all(&link, &seat, &outcomes(&claims, &verdicts, true)).await;
    let next = match &stored[..] {
        [Ok(Settled::Stored(Some(next)))] => next.id.to_text(),
        other => panic!("{other:?}"),
    };
    assert_eq!(next, "2", "it was due");
    assert_eq!(server.int("SISMEMBER bull:mail:stalled 1"), 0, "it has ended");
    assert_eq!(server.int("SISMEMBER bull:mail:stalled 2"), 1);
}

#[tokio::test]
async fn what_a_job_has_been_through_comes_with_it() {
    let server = TestServer::start();
    fill(&server, 2);
    server.run("HSET bull:mail:2 atm 3 stc 1 ats 5 defa broken-by-hand");
    let (link, seat) = (link(&server).await, seat(None));
    let [new, old] = &take(&link, &seat, 2).await[..] else { panic!("two jobs") };
    assert_eq!((new.attempts_made, new.deaths, new.doomed.as_deref()), (0, 0, None));
    assert_eq!((old.attempts_made, old.deaths, old.doomed.as_deref()), (3, 1, Some("broken-by-hand")));
    let claims = [old.clone()];
    server.run("DEL bull:mail:2:lock");
    assert_eq!(BullMq.extend(&link, &seat, &claims).await.expect("an answer"), [true], "nobody has started it since");
    server.run("DEL bull:mail:2:lock");
    server.run("HINCRBY bull:mail:2 ats 1");
    assert_eq!(BullMq.extend(&link, &seat, &claims).await.expect("an answer"), [false], "somebody has");
}
