//! What is seeded for ARQ, and what is only ARQ's: results without an index, keys of other programs, empty queues.

use qtop::domain::described::Described;
use qtop::domain::ids::QueueId;
use qtop::domain::queue::{Count, Oldest};
use qtop::domain::state::StateId;
use qtop::domain::time::Timestamp;
use qtop::domain::worker::Liveness;
use qtop::systems::Memo;
use qtop_testkit::TestServer;

use crate::bench::Bench;
use crate::seeds::run;

/// What [`seed`] puts there. Results are tallied, not counted, so that they are checked apart.
pub const COUNTS: &[(&str, &str, u64)] = &[
    ("arq:queue", "waiting", 3),
    ("arq:queue", "interrupted", 1),
    ("arq:queue", "running", 1),
    ("arq:queue", "stalled", 0),
    ("arq:queue", "deferred", 2),
    ("arq:queue", "retrying", 1),
    ("arq:queue", "held", 1),
    ("images", "waiting", 0),
    ("images", "running", 0),
    ("images", "stalled", 1),
];

/// A queue with a living worker, and one whose worker is gone, among keys of other programs.
pub fn seed(server: &TestServer) {
    let mut commands = String::from(
        "ZADD arq:queue 1700000000000 w1 1700000000001 w2 1700000000002 gone 1700000000003 i1 1700000000004 r1
         ZADD arq:queue 8000000000000 d1 8000000000001 d2 8000000000002 y1
         ZADD arq:queue:held-by-qtop 1700000000000 h1
         SET arq:in-progress:r1 1 PX 300000
         SET arq:retry:r1 1
         SET arq:retry:i1 1
         SET arq:retry:y1 2
         SET arq:queue:health-check Nov-21~21:04:28~j_complete=5~j_failed=1~j_retried=2~j_ongoing=1~queued=8 EX 3601
         ZADD images 1700000000000 s1
         SET arq:in-progress:s1 1 PX 300000
         ZADD leaderboard 5 ada 7 bob
         ZADD arq:abort 1700000000000 nobody
         SET other:health-check ok
         SET arq:in-progress:cron:tidy:1700000000123 1 PX 60000
         ",
    );
    for (id, function) in [
        ("w1", "resize"),
        ("w2", "send"),
        ("i1", "send"),
        ("r1", "send"),
        ("d1", "send"),
        ("d2", "send"),
        ("y1", "send"),
        ("h1", "send"),
        ("s1", "render"),
    ] {
        commands.push_str(&format!(
            "SET arq:job:{id} {{\"t\":null,\"f\":\"{function}\",\"a\":[\"{id}\"],\"k\":{{}},\"et\":1700000000000}}\n"
        ));
    }
    for (id, success, value) in [
        ("c1", "true", "42"),
        ("c2", "true", "null"),
        ("f1", "false", "\"SMTP~550\""),
        ("a1", "false", "\"CancelledError()\""),
    ] {
        commands.push_str(&format!(
            "SET arq:result:{id} {{\"t\":1,\"f\":\"send\",\"a\":[],\"k\":{{}},\"et\":1700000000000,\"s\":{success},\
             \"r\":{value},\"st\":1700000001000,\"ft\":1700000002000,\"q\":\"arq:queue\",\"id\":\"{id}\"}}\n"
        ));
    }
    run(server, &commands);
}

async fn bench() -> Bench {
    Bench::new("arq", &Described::default(), seed).await
}

#[tokio::test]
async fn results_are_tallied_and_listed_by_how_they_ended() {
    let bench = bench().await;
    let samples = bench.ticks(6).await;
    assert_eq!(samples.len(), 1, "one instance for a database");
    let names: Vec<String> = samples[0].queues.iter().map(|queue| queue.id.name.to_text()).collect();
    assert_eq!(names, ["arq:queue", "images"], "a sorted set of another program is none");
    let queue = &samples[0].queues[0];
    for (state, expected) in [("complete", 2), ("failed", 1), ("aborted", 1)] {
        let count = queue.count(StateId(state));
        assert!(matches!(count, Count::Approx { value, .. } if value == expected), "{state}: {count:?}");
        assert_eq!(bench.ids(&queue.id, state).await.len() as u64, expected, "{state}");
    }
    assert_eq!(queue.oldest, Oldest::Since(Timestamp(1_700_000_000_000)));
    assert_eq!(queue.next_due, Some(Timestamp(8_000_000_000_000)));
    assert_eq!(queue.last_finished, Some(Timestamp(1_700_000_002_000)));
    assert_eq!((queue.conditions.paused, queue.workers.alive), (Some(true), Some(1)));
    let codes: Vec<&str> = queue.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["no_definition", "held"]);
    let failed = bench.rows(&queue.id, StateId("failed"), 10).await;
    assert_eq!(failed[0].error.as_deref(), Some("SMTP 550"));
    let images = &samples[0].queues[1];
    assert_eq!(images.workers.alive, Some(0), "no worker shows a sign of life");
    assert_eq!(images.warnings[0].code, "stalled");
}

#[tokio::test]
async fn workers_and_cron_jobs_are_told_by_their_traces() {
    let bench = bench().await;
    let workers = bench.system.workers(&bench.link, &bench.instances[0], None).await.unwrap();
    let told: Vec<_> = workers.iter().map(|worker| (worker.queues[0].to_text(), worker.state)).collect();
    assert_eq!(told, [("arq:queue".to_owned(), Liveness::Live), ("images".to_owned(), Liveness::Gone)]);
    assert_eq!(workers[0].running.len(), 1);
    assert!(workers[0].evidence.contains("5 complete, 1 failed, 2 retried"), "{}", workers[0].evidence);
    let page = qtop::domain::job::PageRequest { cursor: None, limit: 10 };
    let queue = QueueId::new("arq", "", "arq:queue");
    let schedules = bench.system.schedules(&bench.link, &queue, page).await.unwrap();
    assert_eq!(schedules.rows.len(), 1);
    assert_eq!((schedules.rows[0].name.as_deref(), schedules.rows[0].rule.as_str()), (Some("tidy"), "unknown"));
}

#[tokio::test]
async fn the_configured_key_of_the_health_check_tells_running_from_stalled() {
    let table = "[[arq]]\nqueue = 'images'\nhealth_check_key = 'shop:health'\n[[arq]]\nqueue = 'empty'\n\
                 [[convention]]\nname = 'shop'\nqueues = ['arq:images']\nexpected_workers = 2";
    let config: qtop::config::Config = toml::from_str(table).unwrap();
    let seeded = |server: &TestServer| {
        seed(server);
        run(server, "SET shop:health x~j_complete=0~j_failed=0~j_retried=0~j_ongoing=1~queued=1");
    };
    let bench = Bench::new("arq", &config.described(), seeded).await;
    let samples = bench.ticks(6).await;
    let names: Vec<String> = samples[0].queues.iter().map(|queue| queue.id.name.to_text()).collect();
    assert_eq!(names, ["arq:queue", "empty", "images"], "a described queue is there while it is empty");
    let images = &samples[0].queues[2];
    assert_eq!(
        (images.count(StateId("running")), images.count(StateId("stalled"))),
        (Count::Exact(1), Count::Exact(0))
    );
    assert_eq!((images.workers.alive, images.workers.at_least), (Some(1), true));
    assert!(images.warnings.is_empty(), "how many live is not known, so none is missed: {:?}", images.warnings);
    let workers = bench.system.workers(&bench.link, &bench.instances[0], None).await.unwrap();
    assert_eq!(workers.iter().map(|worker| worker.state).collect::<Vec<_>>(), [Liveness::Live, Liveness::Live]);
    run(&bench.server, "DEL shop:health");
    let samples = bench.ticks(6).await;
    let codes: Vec<&str> = samples[0].queues[2].warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["stalled", "workers_missing"]);
    let reasons = bench.system.why(&bench.link, &samples[0].queues[2].id, Some(&"s1".into())).await.unwrap();
    assert!(format!("{reasons:?}").contains("shop:health"), "{reasons:?}");
}

/// Jobs of a large backlog.
const MANY: usize = 30_000;

fn backlog(server: &TestServer) {
    let mut client = server.client();
    for chunk in 0..MANY / 1_000 {
        let mut pipe = redis::pipe();
        for n in chunk * 1_000..(chunk + 1) * 1_000 {
            pipe.cmd("ZADD").arg("arq:queue").arg(1_700_000_000_000_i64 + n as i64).arg(format!("j{n:05}")).ignore();
        }
        pipe.query::<()>(&mut client).unwrap();
    }
    run(
        server,
        "SET arq:job:j00000 {\"t\":null,\"f\":\"send\",\"a\":[],\"k\":{},\"et\":1}
         SET arq:in-progress:j00000 1 PX 300000
         SET arq:in-progress:j00001 1 PX 300000
         SET arq:queue:health-check x~j_complete=0~j_failed=0~j_retried=0~j_ongoing=2~queued=9",
    );
}

#[tokio::test]
async fn p15_a_large_backlog_costs_a_tick_no_more_than_a_small_one() {
    let bench = Bench::new("arq", &Described::default(), backlog).await;
    let instance = &bench.instances[0];
    let mut memo = Memo::default();
    for tick in 1..=6 {
        memo.tick = tick;
        let mut batch = qtop::link::Batch::new();
        bench.system.plan(instance, &memo, &mut batch);
        assert!(batch.len() <= 13, "{} commands", batch.len());
        let sample = bench.tick(instance, &mut memo).await;
        if tick == 6 {
            let queue = &sample.queues[0];
            let about = |state, expected: u64| match queue.count(StateId(state)) {
                Count::Approx { value, .. } => assert_eq!(value, expected, "{state}"),
                other => panic!("{state}: {other:?}"),
            };
            about("running", 2);
            about("waiting", MANY as u64 - 2);
            assert_eq!(queue.oldest, Oldest::Since(Timestamp(1_700_000_000_002)));
        }
    }
    let queue = bench.queue("arq:queue");
    assert_eq!(bench.rows(&queue, StateId("running"), 50).await.len(), 2, "those that run are at the front");
    let page = qtop::domain::job::PageRequest { cursor: None, limit: 100 };
    let first = bench.system.jobs(&bench.link, &queue, StateId("waiting"), page).await.unwrap();
    let page = qtop::domain::job::PageRequest { cursor: first.next, limit: 100 };
    let second = bench.system.jobs(&bench.link, &queue, StateId("waiting"), page).await.unwrap();
    assert_eq!((first.rows[0].id.to_text(), second.rows[0].id.to_text()), ("j00002".into(), "j00102".into()));
}

#[tokio::test]
async fn a_queue_that_became_empty_is_still_a_queue() {
    let bench = bench().await;
    let instance = &bench.instances[0];
    let mut memo = Memo::default();
    for tick in 1..=5 {
        memo.tick = tick;
        bench.tick(instance, &mut memo).await;
    }
    assert!(bench.system.is_settled(&memo));
    bench.server.run("DEL images arq:in-progress:s1");
    let again = qtop::systems::Instance { id: instance.id.clone(), queues: Vec::new() };
    memo.tick = 6;
    let sample = bench.tick(&again, &mut memo).await;
    let images = sample.queues.iter().find(|queue| queue.id.name.to_text() == "images").unwrap();
    assert_eq!(images.count(StateId("waiting")), Count::Exact(0));
    assert_eq!(images.oldest, Oldest::Nothing);
    assert!(bench.system.described().contains(&images.id), "the search does not forget it");
}

#[tokio::test]
async fn a_lock_taken_before_ones_eyes_proves_a_worker_without_a_health_key() {
    let bench = bench().await;
    bench.server.run("ZADD images 1700000000001 s2");
    let mut memo = Memo::default();
    for tick in 1..=5 {
        memo.tick = tick;
        bench.tick(&bench.instances[0], &mut memo).await;
    }
    bench.server.run("SET arq:in-progress:s2 1 PX 300000");
    memo.tick = 6;
    let sample = bench.tick(&bench.instances[0], &mut memo).await;
    let images = sample.queues.iter().find(|queue| queue.id.name.to_text() == "images").unwrap();
    assert_eq!((images.count(StateId("running")), images.workers.alive), (Count::Exact(2), None));
}
