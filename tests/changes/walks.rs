//! P15: what a question says of how long a change of one job holds up the server is what the server then measures.

use std::time::Duration;

use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, End};
use qtop::domain::state::StateId;
use qtop_testkit::TestServer;

use crate::office::Office;
use crate::scenes::list_described;

/// Jobs in the list.
const JOBS: u64 = 200_000;
/// Each is measured so often; the shortest counts, as a busy machine only makes calls longer.
const TIMES: usize = 3;

/// Fills a list; ARGV: key, number, what stands before and behind the number of each element. KEYS are not used.
const FILL: &str = "
for id = 1, tonumber(ARGV[2]) do
  redis.call('RPUSH', ARGV[1], ARGV[3] .. (100000000 + id) .. ARGV[4])
end";

/// A list of one system, one of its jobs, and what is done to it.
struct Walk {
    queue: QueueId,
    state: &'static str,
    key: &'static str,
    /// What stands before and behind an id.
    around: [&'static str; 2],
    /// Which of the jobs: the farthest that the system's change reaches.
    job: u64,
    change: Change,
}

/// True where a change reaches every job of a list; elsewhere only those near the end it is read from.
fn reaches_all(queue: &QueueId) -> bool {
    matches!(queue.instance.system, "bullmq" | "bull")
}

fn walks() -> Vec<Walk> {
    let remove = || Change::Remove { children: false };
    let mut walks = Vec::new();
    for (queue, key) in [
        (QueueId::new("bullmq", "bull", "mail"), "bull:mail:wait"),
        (QueueId::new("bull", "bull", "old"), "bull:old:wait"),
    ] {
        for change in [Change::Cancel, Change::Prioritize { priority: 7 }, remove()] {
            // The one walk that begins at the head.
            let from_head = queue.instance.system == "bull" && matches!(change, Change::Prioritize { .. });
            let job = if from_head { JOBS } else { 1 };
            walks.push(Walk { queue: queue.clone(), state: "waiting", key, around: ["", ""], job, change });
        }
    }
    let around = ["{\"id\":\"", "\",\"tries\":3}"];
    for (state, key, change) in [
        ("waiting", "audio:jobs", Change::Cancel),
        ("waiting", "audio:jobs", remove()),
        ("waiting", "audio:jobs", Change::Kill { reason: String::new() }),
        ("dead", "audio:dead", Change::Requeue { end: End::Last, reset_attempts: false }),
        ("dead", "audio:dead", remove()),
    ] {
        let job = if state == "dead" { 1 } else { JOBS };
        walks.push(Walk { queue: QueueId::new("list", "", "audio"), state, key, around, job, change });
    }
    let around = ["{\"job\":\"x@call\",\"uuid\":\"", "\",\"attempts\":0,\"data\":[]}"];
    for change in [Change::Cancel, remove()] {
        let queue = QueueId::new("laravel", "shop_", "mail");
        walks.push(Walk { queue, state: "pending", key: "shop_queues:mail", around, job: 1, change });
    }
    walks
}

/// Time the server took for walking lists since its statistics were reset.
fn walked(server: &TestServer) -> Duration {
    let mut micros = 0;
    for command in ["lrem", "lpos", "linsert"] {
        let stats = server.info(&format!("cmdstat_{command}")).unwrap_or_default();
        let usec = stats.split(',').find_map(|pair| pair.strip_prefix("usec="));
        micros += usec.map_or(0, |usec| usec.parse::<u64>().unwrap());
    }
    Duration::from_micros(micros)
}

#[test]
fn p15_a_change_that_walks_a_list_takes_about_as_long_as_its_question_says() {
    let server = TestServer::start();
    let office = Office::with(&server.url(), list_described());
    for Walk { queue, state, key, around: [before, behind], job, change } in walks() {
        let system = office.system(&queue);
        let verb = change.verb();
        let ability = system.abilities().iter().find(|ability| ability.verb == verb).unwrap();
        let spec = system.spec().states.iter().find(|spec| spec.id == StateId(state)).unwrap();
        let told = ability.blocks(spec, JOBS);
        let id = (100_000_000 + job).to_string();
        let mut measured = Duration::MAX;
        for _ in 0..TIMES {
            server.run("FLUSHALL");
            server.run("HSET bull:mail:meta version bullmq:6.7.0");
            let mut fill = redis::cmd("EVAL");
            fill.arg(FILL).arg(0).arg(key).arg(JOBS).arg(before).arg(behind).exec(&mut server.client()).unwrap();
            if reaches_all(&queue) {
                server.run(&format!("HSET {} name x data {{}} opts {{}} timestamp 1", key.replace("wait", &id)));
            }
            server.run("CONFIG RESETSTAT");
            office.all(&queue, state, std::slice::from_ref(&id), change.clone());
            measured = measured.min(walked(&server));
        }
        let what = format!("{} {}: told {told:?}, measured {measured:?}", queue.instance.system, verb.word());
        println!("{what}");
        // A machine that is faster or slower than the one the figures are from may be so by half.
        assert!(measured <= told * 3, "{what}");
        assert!(!reaches_all(&queue) || told <= measured * 3, "{what}");
    }
}

#[test]
fn p15_nothing_is_said_to_walk_where_no_list_is() {
    let office = Office::at("redis://127.0.0.1:1");
    for system in &office.systems {
        let spec = system.spec();
        let walking = system.abilities().iter().filter(|ability| ability.nanos_per_listed > 0);
        for ability in walking.filter(|ability| !ability.states.is_empty()) {
            let (listed, others): (Vec<_>, Vec<_>) = spec.states.iter().partition(|state| state.in_list);
            assert!(!listed.is_empty(), "{} has no list to walk", spec.name);
            assert!(others.iter().all(|state| ability.blocks(state, 1_000_000).is_zero()), "{}", spec.name);
        }
    }
}
