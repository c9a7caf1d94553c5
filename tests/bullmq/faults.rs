//! Queues that are broken, forbidden, foreign or gone.

use std::sync::Arc;

use qtop::domain::queue::{Count, QueueSample};
use qtop::domain::state::StateId;
use qtop::link::{ConnectOptions, Link, Purpose};
use qtop_testkit::TestServer;

use crate::seed::Seed;
use crate::view::{self, Watch};

async fn watch(link: &Link) -> Watch {
    Watch::new(view::discover(link).await.pop().expect("an instance is found"))
}

fn of<'a>(queues: &'a [QueueSample], name: &str) -> &'a QueueSample {
    queues.iter().find(|queue| queue.id.name == name.into()).unwrap_or_else(|| panic!("no sample of {name}"))
}

#[tokio::test]
async fn a_broken_queue_spoils_only_itself() {
    let server = TestServer::start();
    Seed::queue(server.client(), "good").jobs("wait", 1..=3, 10);
    let mut broken = Seed::queue(server.client(), "broken");
    broken.jobs("failed", 1..=2, 10);
    broken.run(&["SET", "wait", "oops"]);
    Seed::queue(server.client(), "hail").jobs("wait", 1..=4, 10);
    let link = Link::open(&server.url()).await.unwrap();
    let mut watch = watch(&link).await;
    for _ in 0..3 {
        let sample = watch.tick(&link).await;
        let queue = of(&sample.queues, "broken");
        let error = queue.error.as_deref().unwrap();
        assert!(error.contains("bull:broken:wait") && error.contains("WRONGTYPE"), "{error}");
        assert_eq!(queue.count(StateId("waiting")), Count::Unknown);
        assert_eq!(queue.count(StateId("failed")), Count::Exact(2));
        assert_eq!(of(&sample.queues, "good").count(StateId("waiting")), Count::Exact(3));
        assert_eq!(of(&sample.queues, "hail").count(StateId("waiting")), Count::Exact(4));
        assert_eq!(of(&sample.queues, "hail").error, None);
    }
}

#[tokio::test]
async fn s20_a_forbidden_command_names_the_missing_rule() {
    let server = TestServer::start();
    Seed::queue(server.client(), "mail").jobs("wait", 1..=3, 10);
    server.run("ACL SETUSER viewer on >secret ~* -@all +@read +@connection +info +time -zcard");
    let mut options = ConnectOptions::new(server.url());
    (options.username, options.password) = (Some("viewer".to_owned()), Some("secret".to_owned().into()));
    let link = Link::connect_metered(&options, Purpose::Fetch, Arc::default()).await.unwrap();
    let mut watch = watch(&link).await;
    let sample = watch.tick(&link).await;
    let queue = of(&sample.queues, "mail");
    let error = queue.error.as_deref().unwrap();
    assert!(error.contains("NOPERM") && error.contains("+zcard"), "{error}");
    assert_eq!(queue.count(StateId("failed")), Count::Unknown, "unknown, never zero");
    assert_eq!(queue.count(StateId("waiting")), Count::Exact(3));
}

#[tokio::test]
async fn foreign_keys_are_no_queues_and_a_real_one_appears_later() {
    let server = TestServer::start();
    for n in 0..30 {
        server.run(&format!("SET bull:user{n}:id {n}"));
    }
    server.run("HSET bull:paused-bull:meta paused 1");
    server.run("SET bull:text:meta hello");
    Seed::queue(server.client(), "mail");
    let link = Link::open(&server.url()).await.unwrap();
    let mut watch = watch(&link).await;
    let sample = watch.tick(&link).await;
    let names: Vec<_> = sample.queues.iter().map(|queue| queue.id.name.to_text()).collect();
    assert_eq!(names, ["mail"]);
    watch.tick(&link).await;
    assert!(watch.commands <= 12, "foreign keys are not asked again at once: {}", watch.commands);
    // One of them becomes a queue: it is noticed when it is looked at again.
    Seed::queue(server.client(), "user7").jobs("wait", 1..=1, 1);
    let mut seen = false;
    for _ in 0..70 {
        seen |= watch.tick(&link).await.queues.iter().any(|queue| queue.id.name == "user7".into());
    }
    assert!(seen, "user7 is shown within 70 ticks");
}

#[tokio::test]
async fn an_obliterated_queue_leaves_the_screen() {
    let server = TestServer::start();
    Seed::queue(server.client(), "mail").jobs("wait", 1..=3, 10);
    Seed::queue(server.client(), "rest");
    let link = Link::open(&server.url()).await.unwrap();
    let mut watch = watch(&link).await;
    assert_eq!(watch.tick(&link).await.queues.len(), 2);
    server.run("DEL bull:mail:meta bull:mail:events bull:mail:wait bull:mail:id bull:mail:1 bull:mail:2 bull:mail:3");
    for _ in 0..3 {
        watch.tick(&link).await;
    }
    let names: Vec<_> = watch.tick(&link).await.queues.iter().map(|queue| queue.id.name.to_text()).collect();
    assert_eq!(names, ["rest"]);
}

#[tokio::test]
async fn both_ways_of_pausing_are_counted_and_strandings_are_told() {
    let server = TestServer::start();
    // 5.x: the jobs move, while qtop looks on.
    let mut five = Seed::queue(server.client(), "five");
    five.run(&["HSET", "meta", "version", "bullmq:5.81.5"]);
    five.jobs("wait", 1..=5, 10);
    // 6.x: left behind by an older client in a queue that is not paused.
    let mut six = Seed::queue(server.client(), "six");
    six.jobs("wait", 1..=2, 10);
    six.jobs("paused", 11..=13, 10);
    let link = Link::open(&server.url()).await.unwrap();
    let mut watch = watch(&link).await;
    watch.tick(&link).await;
    five.run(&["HSET", "meta", "paused", "1"]);
    server.run("RENAME bull:five:wait bull:five:paused");
    let mut last = watch.tick(&link).await;
    let hasty = of(&last.queues, "five").count(StateId("waiting"));
    assert!(hasty != Count::Exact(0), "a count that missed the move is not called exact");
    for _ in 0..2 {
        last = watch.tick(&link).await;
    }
    let queue = of(&last.queues, "five");
    assert_eq!((queue.count(StateId("waiting")), queue.conditions.paused), (Count::Exact(5), Some(true)));
    assert_eq!(queue.warnings, []);
    let queue = of(&last.queues, "six");
    assert_eq!(queue.count(StateId("waiting")), Count::Exact(5));
    assert_eq!(queue.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["stranded_in_paused"]);
}
