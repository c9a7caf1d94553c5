use std::time::Duration;

use qtop::domain::queue::Count;
use qtop::domain::snapshot::LinkHealth;
use qtop::domain::state::StateId;
use qtop::engine::Pace;
use qtop_testkit::{Proxy, TestServer};

use crate::{config, queue, queues, run};

fn make_queue(server: &TestServer, name: &str) {
    server.run(&format!("HSET tiny:t:{name}:meta added 0 finished 0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_appear_change_and_vanish_by_themselves() {
    let server = TestServer::start();
    make_queue(&server, "mail");
    server.run("RPUSH tiny:t:mail:waiting a b c");
    let mut engine = run(config(&server.url()));
    let (snapshot, _) = engine.wait_for("the queue", |s| queues(s) == 1).await;
    let (_, sample) = snapshot.queue(&queue("mail")).unwrap();
    assert_eq!(sample.count(StateId("waiting")), Count::Exact(3));
    assert_eq!(snapshot.link, LinkHealth::Up);
    assert_eq!(snapshot.facts.role.as_deref(), Some("primary"));
    assert!(snapshot.taken_at.0 > 1_700_000_000_000, "time of the server");

    server.run("RPUSH tiny:t:mail:waiting d");
    engine
        .wait_for("the new job", |s| s.queue(&queue("mail")).unwrap().1.count(StateId("waiting")) == Count::Exact(4))
        .await;
    make_queue(&server, "late");
    engine.handles.rescan.notify_one();
    engine.wait_for("the late queue", |s| queues(s) == 2).await;
    server.run("DEL tiny:t:late:meta");
    engine.handles.rescan.notify_one();
    engine.wait_for("the late queue to be forgotten", |s| queues(s) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_come_from_the_counters() {
    let server = TestServer::start();
    make_queue(&server, "mail");
    let mut engine = run(config(&server.url()));
    engine.wait_for("the queue", |s| queues(s) == 1).await;
    server.run("HINCRBY tiny:t:mail:meta added 1000");
    let (snapshot, _) =
        engine.wait_for("a rate", |s| s.queues().any(|(_, q)| q.trend.in_per_s.is_some_and(|rate| rate > 0.0))).await;
    let (_, sample) = snapshot.queue(&queue("mail")).unwrap();
    assert_eq!(sample.trend.out_per_s, Some(0.0));
    assert_eq!(sample.trend.failed_per_s, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_p5_a_steady_refresh_is_one_round_trip_and_never_two_at_once() {
    let server = TestServer::start();
    for n in 0..60 {
        make_queue(&server, &format!("q{n}"));
    }
    let proxy = Proxy::start(server.port());
    let mut engine = run(config(&proxy.url()));
    engine.wait_for("all queues and the first walk", |s| queues(s) == 60 && s.discovery.passes >= 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (first, _) = engine.wait_for("a tick", |_| true).await;
    let before = proxy.traffic();
    let (last, _) = engine.wait_for("ten more ticks", |s| s.seq >= first.seq + 10).await;
    let after = proxy.traffic();
    let ticks = last.seq - first.seq;
    let turns = after.turns - before.turns;
    assert!(turns <= ticks + 1, "{turns} turns for {ticks} ticks");
    let totals = last.cost.totals;
    assert!(totals.round_trips > 0 && totals.bytes_in > 0, "the cost is counted: {totals:?}");
    assert!(proxy.open_connections() <= 1, "nothing was fetched, so there is one connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p5_a_slow_answer_is_waited_for() {
    let server = TestServer::start();
    make_queue(&server, "mail");
    let proxy = Proxy::start(server.port());
    let mut engine = run(config(&proxy.url()));
    engine.wait_for("the first walk", |s| s.discovery.passes >= 1).await;
    proxy.delay(Duration::from_millis(400));
    tokio::time::sleep(Duration::from_millis(900)).await;
    let (before, begun) = (proxy.traffic().turns, std::time::Instant::now());
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let (turns, took) = (proxy.traffic().turns - before, begun.elapsed());
    let possible = took.as_millis() as u64 / 800 + 1;
    assert!(
        (1..=possible).contains(&turns),
        "ten ticks a second were wanted, 0.8 s each is possible: {turns} in {took:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tick_that_is_asked_for_while_one_is_under_way_follows_it() {
    let server = TestServer::start();
    make_queue(&server, "mail");
    let proxy = Proxy::start(server.port());
    let mut config = config(&proxy.url());
    config.pace.interval = Duration::from_secs(30);
    let mut engine = run(config);
    engine.wait_for("the first walk", |s| s.discovery.passes >= 1 && queues(s) == 1).await;
    proxy.delay(Duration::from_millis(200));
    let before = engine.handles.snapshots.borrow().seq;
    engine.handles.refresh.notify_one();
    tokio::time::sleep(Duration::from_millis(100)).await;
    engine.handles.refresh.notify_one();
    let (_, took) = engine.wait_for("both ticks", |s| s.seq >= before + 2).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p9_watching_changes_nothing() {
    let server = TestServer::start();
    make_queue(&server, "mail");
    server.run("RPUSH tiny:t:mail:waiting a b c");
    let digest = server.digest();
    let mut engine = run(config(&server.url()));
    let (first, _) = engine.wait_for("the first walk", |s| s.discovery.passes >= 1).await;
    engine.wait_for("some ticks", |s| s.seq > first.seq + 5).await;
    assert_eq!(server.digest(), digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7_a_server_that_goes_away_and_comes_back_is_followed() {
    let mut server = TestServer::builder().persistent().start();
    make_queue(&server, "mail");
    server.run("RPUSH tiny:t:mail:waiting a b c");
    let mut engine = run(config(&server.url()));
    engine.wait_for("the queue", |s| queues(s) == 1).await;
    server.stop();
    let (snapshot, took) = engine.wait_for("the link to be down", |s| matches!(s.link, LinkHealth::Down { .. })).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(queues(&snapshot), 1, "the last values stay");
    let LinkHealth::Down { error, remedy, .. } = &snapshot.link else { unreachable!() };
    assert!(!error.is_empty() && remedy.as_ref().is_none_or(|remedy| !remedy.is_empty()));
    server.restart();
    let (snapshot, took) = engine.wait_for("the link to be up again", |s| s.link == LinkHealth::Up).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(queues(&snapshot), 1);
    let (snapshot, _) =
        engine.wait_for("the restart to be noticed", |s| s.warnings.iter().any(|w| w.code == "dataset_changed")).await;
    assert!(snapshot.warnings[0].text.contains("may have changed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_told_with_a_remedy() {
    let port = qtop_testkit::free_port();
    let mut engine = run(config(&format!("redis://127.0.0.1:{port}")));
    let failed =
        |s: &qtop::domain::snapshot::Snapshot| matches!(&s.link, LinkHealth::Connecting { last_error: Some(_) });
    let (snapshot, _) = engine.wait_for("the failure", failed).await;
    let LinkHealth::Connecting { last_error: Some(text) } = &snapshot.link else { unreachable!() };
    assert!(text.contains("refused") && text.contains("Redis"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_adapter_spoils_its_own_instance_only() {
    let server = TestServer::start();
    make_queue(&server, "mail");
    server.run("HSET tiny:odd:q:meta panic 1");
    server.run("HSET tiny:greedy:q:meta greedy 1");
    let mut engine = run(config(&server.url()));
    let (snapshot, _) = engine.wait_for("three instances", |s| s.instances.len() == 3).await;
    let error = |name: &str| {
        let found = snapshot.instances.iter().find(|instance| instance.id.name.to_text() == name).unwrap();
        found.error.clone()
    };
    assert_eq!(error("t"), None);
    assert!(error("odd").unwrap().contains("panicked"));
    assert!(error("greedy").unwrap().contains("no reply"));
    assert_eq!(snapshot.queue(&queue("mail")).unwrap().1.error, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s20_refused_commands_spoil_only_what_they_tell() {
    let server = TestServer::start();
    make_queue(&server, "mail");
    server.run("ACL SETUSER watcher on >pw allkeys -@all +llen +hmget +scan +ping");
    let url = server.url().replace("redis://", "redis://watcher:pw@");
    let mut engine = run(config(&url));
    let (snapshot, _) = engine.wait_for("the queue", |s| queues(s) == 1).await;
    let warning = snapshot.warnings.iter().find(|warning| warning.code == "info_refused").unwrap();
    assert!(warning.text.contains("+info"), "{}", warning.text);
    assert_eq!(snapshot.facts.version, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r11_a_busy_server_is_told_and_outlived() {
    let server = TestServer::start();
    make_queue(&server, "mail");
    server.run("RPUSH tiny:t:mail:waiting a b c");
    server.run("CONFIG SET lua-time-limit 50");
    let mut engine = run(config(&server.url()));
    engine.wait_for("the first walk", |s| s.discovery.passes >= 1 && queues(s) == 1).await;
    let url = server.url();
    let script = std::thread::spawn(move || {
        let client = redis::Client::open(url).expect("a URL");
        let mut connection = client.get_connection().expect("a connection");
        redis::cmd("EVAL").arg("while true do end").arg(0).query::<()>(&mut connection)
    });
    let (snapshot, _) =
        engine.wait_for("the trouble to be told", |s| s.warnings.iter().any(|w| w.code == "not_now")).await;
    let warning = &snapshot.warnings[0];
    assert!(warning.text.contains("BUSY"), "{}", warning.text);
    let (instance, sample) = snapshot.queue(&queue("mail")).expect("the queue stays");
    assert_eq!(sample.count(StateId("waiting")), Count::Exact(3), "the last good values stay");
    assert!(instance.error.is_some() && sample.error.is_some());
    server.run("SCRIPT KILL");
    assert!(script.join().expect("the script's thread").is_err(), "the script was killed");
    engine
        .wait_for("everything to be well", |s| s.warnings.is_empty() && s.queues().all(|(_, q)| q.error.is_none()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pausing_stops_the_ticks_and_a_request_makes_one() {
    let server = TestServer::start();
    make_queue(&server, "mail");
    let mut engine = run(config(&server.url()));
    engine.wait_for("the first walk", |s| s.discovery.passes >= 1).await;
    engine.handles.pace.send_replace(Pace { paused: true, ..Pace::default() });
    let mut before = 0;
    // A tick that is under way ends, on a busy machine late.
    while std::mem::replace(&mut before, engine.handles.snapshots.borrow().seq) != before {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(engine.handles.snapshots.borrow().seq, before);
    engine.handles.refresh.notify_one();
    engine.wait_for("the tick that was asked for", |s| s.seq == before + 1).await;
}
