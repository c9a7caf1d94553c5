//! Twenty queues of every system on one server: what one refresh of them all costs.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use qtop::domain::described::Described;
use qtop::domain::snapshot::Snapshot;
use qtop::engine::Pace;
use qtop_testkit::{Proxy, TestServer};

use crate::{config, horizon_keys, queues, run};

/// Queues of each system.
const EACH: usize = 20;
/// Systems: BullMQ, Bull, ARQ, Laravel, plain lists, streams, lists under a convention.
const SYSTEMS: usize = 7;
/// Beside them the queues of the application whose Horizon is on the server, and that Horizon.
const MORE: usize = 4;
/// What a refresh asks of the server itself: its clock, what it says of itself, one step of a walk.
const OWN: u64 = 12;

fn described() -> Described {
    let mut text = String::new();
    for n in 0..EACH {
        let _ = write!(text, "[[list]]\nname = \"plain{n}\"\nkey = \"app:plain{n}\"\nitem = \"json\"\n");
        let _ = write!(text, "[[list]]\nname = \"custom{n}\"\nkey = \"app:custom{n}\"\nitem = \"json\"\n");
    }
    text.push_str(
        "[[convention]]\nname = \"custom\"\nqueues = [\"list:custom*\"]\nexpected_workers = 0\n\
         [[convention.progress]]\nkind = \"hash\"\nkey = \"app:state:{id}\"\npercent = \"percent\"\n",
    );
    #[derive(serde::Deserialize)]
    struct File {
        list: Vec<qtop::domain::described::ListSpec>,
        convention: Vec<qtop::domain::described::Convention>,
    }
    let file: File = toml::from_str(&text).expect("the tables above");
    Described { lists: file.list, conventions: file.convention, ..Described::default() }
}

fn seed(server: &TestServer) {
    let mut client = server.client();
    let mut pipe = redis::pipe();
    let payload = |uuid: String| {
        format!(
            "{{\"uuid\":\"{uuid}\",\"displayName\":\"Send\",\"job\":\"Illuminate\\\\Queue\\\\CallQueuedHandler@call\",\
             \"maxTries\":2,\"data\":{{\"commandName\":\"Send\",\"command\":\"O:4:\\\"Send\\\":0:{{}}\"}},\"id\":\"{uuid}\",\
             \"attempts\":0}}"
        )
    };
    for n in 0..EACH {
        pipe.cmd("HSET").arg(format!("bull:new{n}:meta")).arg("version").arg("bullmq:5.81.5");
        pipe.cmd("RPUSH").arg(format!("bull:new{n}:wait")).arg(1);
        pipe.cmd("HSET").arg(format!("bull:new{n}:1")).arg("name").arg("x").arg("timestamp").arg(1_700_000_000_000_u64);
        pipe.cmd("ZADD").arg(format!("bull:new{n}:failed")).arg(1_700_000_000_000_u64).arg(2);
        pipe.cmd("SET").arg(format!("bull:old{n}:id")).arg(3);
        pipe.cmd("LPUSH").arg(format!("bull:old{n}:wait")).arg(1);
        pipe.cmd("HSET").arg(format!("bull:old{n}:1")).arg("name").arg("__default__").arg("timestamp").arg(1);
        pipe.cmd("ZADD").arg(format!("bull:old{n}:completed")).arg(1_700_000_000_000_u64).arg(2);
        pipe.cmd("ZADD").arg(format!("arq:queue{n}")).arg(1_700_000_000_000_u64).arg(format!("a{n}"));
        pipe.cmd("SET").arg(format!("arq:job:a{n}")).arg(b"\x80\x04}\x94(\x8c\x01f\x8c\x01xu.");
        pipe.cmd("RPUSH").arg(format!("shop_database_queues:php{n}")).arg(payload(format!("u-{n}")));
        pipe.cmd("RPUSH").arg(format!("app:plain{n}")).arg(format!("{{\"id\":\"p{n}\"}}"));
        pipe.cmd("RPUSH").arg(format!("app:custom{n}")).arg(format!("{{\"id\":\"c{n}\"}}"));
        pipe.cmd("XADD").arg(format!("events{n}")).arg("*").arg("type").arg("shipped");
        pipe.cmd("XGROUP").arg("CREATE").arg(format!("events{n}")).arg("workers").arg("0");
    }
    pipe.query::<redis::Value>(&mut client).expect("the server takes them");
    horizon_keys::load(server, horizon_keys::now(), Duration::from_secs(60));
}

fn by_system(snapshot: &Snapshot) -> String {
    let count = |instance: &qtop::domain::snapshot::InstanceSample| {
        format!("{}@{} {}", instance.id.system, instance.id.name, instance.queues.len())
    };
    snapshot.instances.iter().map(count).collect::<Vec<_>>().join(", ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_p6_twenty_queues_of_every_system_are_one_round_trip_of_at_most_twelve_commands_each() {
    let server = TestServer::start();
    seed(&server);
    let proxy = Proxy::start(server.port());
    let mut settings = config(&proxy.url());
    settings.systems = Arc::new(qtop::systems::all(&described()));
    settings.pace = Pace { interval: Duration::from_millis(100), ..Pace::default() };
    let mut engine = run(settings);
    let all = EACH * SYSTEMS + MORE;
    let (found, _) = engine.wait_for("all queues", |s| queues(s) >= all && s.discovery.passes >= 1).await;
    assert_eq!(queues(&found), all, "{}", by_system(&found));
    assert!(found.queues().all(|(_, queue)| queue.error.is_none()), "{found:#?}");

    let (mut before, _) = engine.wait_for("a tick", |s| s.seq > found.seq).await;
    let turns = proxy.traffic().turns;
    let first = before.seq;
    let mut asked = Vec::new();
    for _ in 0..16 {
        let (now, _) = engine.wait_for("the next tick", |s| s.seq > before.seq).await;
        let ticks = now.seq - before.seq;
        let (from, to) = (before.cost.totals, now.cost.totals);
        assert_eq!(to.round_trips - from.round_trips, ticks, "one round trip a refresh");
        asked.push((to.commands - from.commands) / ticks);
        before = now;
    }
    let ticks = before.seq - first;
    assert!(proxy.traffic().turns - turns <= ticks + 1, "the proxy saw more turns than {ticks} refreshes");
    assert!(proxy.open_connections() <= 1, "nothing was fetched, so there is one connection");
    let most = asked.iter().copied().max().unwrap_or(0);
    println!("{all} queues: commands a refresh {asked:?}");
    assert!(most <= 12 * all as u64 + OWN, "{most} commands for {all} queues: {asked:?}");
    // Where nothing changes, less is asked than a first look takes.
    let steady = asked[8..].iter().sum::<u64>() as f64 / 8.0 / all as f64;
    println!("commands a queue: steady {steady:.2}");
    assert!(steady <= 9.5, "{steady} commands for each queue in which nothing moves: {asked:?}");
}
