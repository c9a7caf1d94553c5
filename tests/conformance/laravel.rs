//! Laravel: the seeding for the suite, and what only it must hold.

use qtop::domain::described::{Application, Described};
use qtop::domain::queue::{Count, Oldest};
use qtop::domain::state::StateId;
use qtop::domain::time::Timestamp;
use qtop_testkit::TestServer;

use crate::bench::Bench;
use crate::seeds::run;

pub const COUNTS: &[(&str, &str, u64)] = &[
    ("default", "pending", 4),
    ("default", "delayed", 2),
    ("default", "reserved", 2),
    ("{mail}", "pending", 0),
    ("{mail}", "delayed", 1),
];

pub fn described() -> Described {
    let application = Application { name: "shop".to_owned(), retry_after: Some(90), ..Application::default() };
    Described { laravel: vec![application], ..Described::default() }
}

/// A payload as Laravel writes it, `more` among its fields.
pub fn payload(uuid: &str, class: &str, attempts: u64, more: &str) -> String {
    format!(
        "{{\"uuid\":\"{uuid}\",\"displayName\":\"App\\\\Jobs\\\\{class}\",\"job\":\"Illuminate\\\\Queue\\\\CallQueuedHandler@call\",\
         \"maxTries\":2,\"maxExceptions\":null,\"failOnTimeout\":false,\"backoff\":null,\"timeout\":60,\"retryUntil\":null,\
         \"data\":{{\"commandName\":\"App\\\\Jobs\\\\{class}\",\"command\":\"O:13:\\\"App\\\\Jobs\\\\{class}\\\":0:{{}}\"}},\
         \"id\":\"i-{uuid}\",\"attempts\":{attempts}{more}}}"
    )
}

pub fn seed(server: &TestServer) {
    let prefix = "laravel_database_queues";
    let mut client = server.client();
    let mut push = |key: &str, item: &str| {
        redis::cmd("RPUSH").arg(format!("{prefix}:{key}")).arg(item).query::<redis::Value>(&mut client).unwrap();
    };
    push("default", &payload("u-1", "Mail", 0, ",\"createdAt\":1700000000"));
    push("default", &payload("u-2", "Send", 0, ",\"createdAt\":1700000005"));
    push("default", &payload("u-3", "Send", 0, ",\"tags\":[\"user:7\",\"vip\"]"));
    push("default", "not a payload");
    push("default:notify", "1");
    let mut add = |key: &str, score: &str, item: &str| {
        let key = format!("{prefix}:{key}");
        redis::cmd("ZADD").arg(key).arg(score).arg(item).query::<redis::Value>(&mut client).unwrap();
    };
    add("default:delayed", "1000", &payload("u-4", "Late", 1, ""));
    add("default:delayed", "9000000000", &payload("u-5", "Late", 0, ""));
    add("default:reserved", "1000", &payload("u-6", "Lost", 1, ""));
    add("default:reserved", "9000000000", &payload("u-7", "Runs", 1, ""));
    add("{mail}:delayed", "9000000000", &payload("u-8", "Mail", 0, ""));
    run(
        server,
        "RPUSH zoo:my-queues:wait 17
         ZADD zoo:queues:later 5 x
         SET laravel_database_queues:odd text
         RPUSH other_jobqueues:x 1",
    );
}

async fn bench() -> Bench {
    Bench::new("laravel", &described(), seed).await
}

#[tokio::test]
async fn a_tick_tells_what_is_due_lost_and_how_old_the_head_is() {
    let bench = bench().await;
    let samples = bench.ticks(4).await;
    let queue = bench.laravel("default");
    let sample = samples.iter().flat_map(|instance| &instance.queues).find(|sample| sample.id == queue).unwrap();
    assert_eq!(sample.oldest, Oldest::Since(Timestamp(1_700_000_000_000)));
    assert_eq!((sample.overdue, sample.next_due), (Some(1), Some(Timestamp(1_000_000))));
    assert_eq!(sample.workers.busy, Some(1));
    assert_eq!(sample.count(StateId("failed")), Count::Unknown, "no database is described");
    assert!(sample.warnings.iter().any(|warning| warning.code == "lost_reservations"), "{:?}", sample.warnings);
    let shown: Vec<String> =
        samples.iter().flat_map(|instance| &instance.queues).map(|sample| sample.id.full_address()).collect();
    assert_eq!(shown, ["laravel@laravel_database_:default", "laravel@laravel_database_:{mail}"], "the others are none");
}

#[tokio::test]
async fn an_empty_queue_is_remembered_while_the_application_is_there() {
    let bench = bench().await;
    let instance = bench.instances.iter().find(|instance| instance.id.name.to_text() == "laravel_database_").unwrap();
    let mut memo = qtop::systems::Memo::default();
    for tick in 1..4 {
        memo.tick = tick;
        bench.tick(instance, &mut memo).await;
    }
    bench.server.run("DEL laravel_database_queues:{mail}:delayed");
    let mut left = instance.clone();
    left.queues.retain(|name| name.to_text() != "{mail}");
    memo.tick = 4;
    let sample = bench.tick(&left, &mut memo).await;
    let mail = sample.queues.iter().find(|sample| sample.id.name.to_text() == "{mail}").unwrap();
    assert_eq!(mail.count(StateId("delayed")), Count::Exact(0));
}

#[tokio::test]
async fn a_job_is_opened_with_its_command_tags_and_limits() {
    let bench = bench().await;
    let queue = bench.laravel("default");
    let job = bench.system.job(&bench.link, &queue, &Bench::id("u-3"), 65_536).await.unwrap().unwrap();
    assert_eq!(job.row.name.as_deref(), Some("App\\Jobs\\Send"));
    assert_eq!((job.row.attempts_made, job.row.attempts_max), (Some(0), Some(2)));
    let options = job.options.unwrap();
    assert_eq!(&options.bytes[..], b"O:13:\"App\\Jobs\\Send\":0:{}");
    let fact = |name: &str| job.facts.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(fact("tags"), Some("user:7, vip"));
    assert_eq!(fact("timeout"), Some("60s"));
    assert_eq!(fact("place"), Some("2 before it"));
    let lost = bench.rows(&queue, StateId("reserved"), 10).await;
    assert_eq!(lost[0].lease.as_ref().unwrap().left, Some(std::time::Duration::ZERO));
    assert_eq!(lost[0].started_at, Some(Timestamp(910_000)));
    assert!(lost[1].lease.as_ref().unwrap().left.unwrap().as_secs() > 1_000_000);
}

impl Bench {
    /// A queue of the seeded application.
    fn laravel(&self, name: &str) -> qtop::domain::ids::QueueId {
        qtop::domain::ids::QueueId::new("laravel", "laravel_database_", name)
    }
}
