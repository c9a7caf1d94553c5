//! Totals, from which rates are made, and other things that show only over several ticks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use qtop::domain::ids::QueueId;
use qtop::domain::queue::{Oldest, QueueSample};
use qtop::domain::time::Timestamp;
use qtop::link::Link;
use qtop_testkit::TestServer;

use crate::seed::Seed;
use crate::view::{self, Watch};

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

async fn tick(watch: &mut Watch, link: &Link) -> QueueSample {
    // Counting by time needs moments that differ.
    tokio::time::sleep(Duration::from_millis(3)).await;
    watch.tick(link).await.queues.pop().unwrap()
}

async fn start(server: &TestServer) -> (Link, Watch) {
    let link = Link::open(&server.url()).await.unwrap();
    let watch = Watch::new(view::discover(&link).await.pop().unwrap());
    (link, watch)
}

#[tokio::test]
async fn kept_jobs_are_counted_as_they_end() {
    let server = TestServer::start();
    let mut seed = Seed::queue(server.client(), "mail");
    seed.jobs("wait", 1..=100, 10);
    let (link, mut watch) = start(&server).await;
    let first = tick(&mut watch, &link).await.totals;
    for _ in 0..10 {
        seed.finish(4, now());
        tick(&mut watch, &link).await;
    }
    seed.jobs("wait", 201..=205, 10);
    let last = tick(&mut watch, &link).await.totals;
    assert_eq!(last.finished.unwrap() - first.finished.unwrap(), 40);
    assert_eq!(last.added.unwrap() - first.added.unwrap(), 5);
    assert_eq!(last.failed, first.failed);
}

#[tokio::test]
async fn jobs_are_counted_by_time_where_the_sets_are_trimmed() {
    let server = TestServer::start();
    let mut seed = Seed::queue(server.client(), "mail");
    seed.jobs("wait", 1..=400, 10);
    seed.jobs("completed", 1001..=1010, 10);
    let (link, mut watch) = start(&server).await;
    tick(&mut watch, &link).await;
    // As with removeOnComplete: { count: 10 }.
    let mut finish = async |watch: &mut Watch, count: usize| {
        seed.finish(count, now());
        seed.run(&["ZREMRANGEBYRANK", "completed", "0", "-11"]);
        tick(watch, &link).await.totals.finished.unwrap()
    };
    for _ in 0..5 {
        finish(&mut watch, 4).await;
    }
    let before = finish(&mut watch, 0).await;
    for _ in 0..20 {
        finish(&mut watch, 4).await;
    }
    // A count by time lags by a tick or two.
    finish(&mut watch, 0).await;
    let counted = finish(&mut watch, 0).await - before;
    assert!((76..=84).contains(&counted), "80 ended after the mode was found, {counted} were counted");
}

#[tokio::test]
async fn the_oldest_follows_the_queue() {
    let server = TestServer::start();
    let mut seed = Seed::queue(server.client(), "mail");
    seed.jobs("wait", 1..=20, 10);
    let (link, mut watch) = start(&server).await;
    let created = |id: i64| Oldest::Since(Timestamp(1_700_000_000_000 + id));
    assert_eq!(tick(&mut watch, &link).await.oldest, Oldest::Unknown, "asked on the next tick");
    assert_eq!(tick(&mut watch, &link).await.oldest, created(1));
    for taken in 1..=10 {
        seed.finish(1, now());
        let oldest = tick(&mut watch, &link).await.oldest;
        // The timestamp is asked one tick after the id, now and then two.
        assert!((taken - 1..=taken + 1).any(|id| oldest == created(id)), "{taken} taken: {oldest:?}");
    }
    seed.finish(10, now());
    assert_eq!(tick(&mut watch, &link).await.oldest, Oldest::Nothing);
}

#[tokio::test]
async fn overdue_jobs_and_used_up_limits_are_told() {
    let server = TestServer::start();
    let mut seed = Seed::queue(server.client(), "mail");
    seed.jobs("wait", 1..=2, 10);
    for (id, due) in [("11", now() - 60_000), ("12", now() - 30_000), ("13", now() + 60_000)] {
        seed.run(&["ZADD", "delayed", &(due * 4096 + 7).to_string(), id]);
    }
    seed.run(&["HSET", "meta", "max", "5", "duration", "60000"]);
    seed.run(&["SET", "limiter", "5", "PX", "40000"]);
    let (link, mut watch) = start(&server).await;
    let mut last = tick(&mut watch, &link).await;
    for _ in 0..5 {
        last = tick(&mut watch, &link).await;
    }
    assert_eq!(last.overdue, Some(2));
    assert_eq!(last.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["delayed_overdue"]);
    assert_eq!(last.conditions.rate_limit, Some((5, Duration::from_secs(60))));
    let until = last.conditions.rate_limited_until.unwrap().0 - now();
    assert!((30_000..=41_000).contains(&until), "limited for {until} ms more");
    seed.run(&["DEL", "limiter"]);
    seed.run(&["ZREM", "delayed", "11", "12"]);
    for _ in 0..5 {
        last = tick(&mut watch, &link).await;
    }
    assert_eq!((last.overdue, last.conditions.rate_limited_until), (Some(0), None));
    assert_eq!(last.warnings, []);
}

#[tokio::test]
async fn a_long_active_list_has_an_exact_length_and_a_hundred_ids() {
    let server = TestServer::start();
    Seed::queue(server.client(), "mail").jobs("active", 1..=250, 10);
    let (link, mut watch) = start(&server).await;
    let first = tick(&mut watch, &link).await;
    assert_eq!(first.count(qtop::domain::state::StateId("active")), qtop::domain::queue::Count::AtLeast(100));
    let second = tick(&mut watch, &link).await;
    assert_eq!(second.count(qtop::domain::state::StateId("active")), qtop::domain::queue::Count::Exact(250));
    assert_eq!(second.active_ids.len(), 100);
    assert_eq!(second.id, QueueId::new("bullmq", "bull", "mail"));
}

#[tokio::test]
async fn metrics_count_what_is_not_kept() {
    let server = TestServer::start();
    let mut seed = Seed::queue(server.client(), "mail");
    seed.jobs("wait", 1..=400, 10);
    let (link, mut watch) = start(&server).await;
    tick(&mut watch, &link).await;
    // As with removeOnComplete: true, and adds that deduplication refuses.
    let mut finish = async |watch: &mut Watch, count: usize| {
        seed.finish(count, now());
        seed.run(&["DEL", "completed"]);
        seed.run(&["HINCRBY", "metrics:completed", "count", &count.to_string()]);
        seed.run(&["INCRBY", "id", "50"]);
        tick(watch, &link).await.totals.finished.unwrap()
    };
    for _ in 0..20 {
        finish(&mut watch, 2).await;
    }
    let before = finish(&mut watch, 2).await;
    for _ in 0..20 {
        finish(&mut watch, 3).await;
    }
    let counted = finish(&mut watch, 0).await - before;
    assert!((58..=62).contains(&counted), "60 ended, {counted} were counted");
}
