//! Workers. A plain `queue:work` leaves no trace of who it is, so this tells what points to workers, and says what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::RESERVED;
use super::consume;
use super::items::{Container, Ids, walk};
use super::jobs::server_time;
use super::plan::one;
use crate::domain::ids::{InstanceId, JobId, JobRef, Name};
use crate::domain::queue::Count;
use crate::domain::time::Timestamp;
use crate::domain::worker::{Liveness, Worker};
use crate::link::{Link, Value};
use crate::systems::{Instance, SystemError, reply};

/// Running jobs read of each queue.
const RUNNING: usize = 100;
/// Bytes read for them.
const RUNNING_BYTES: u64 = 1024 * 1024;
/// Seconds within which a runner of qtop gives its next sign of life, with room for a slow one.
const SIGN: u64 = 15;
/// Seconds after which a runner that gives none is not told of any more.
const FORGOTTEN: u64 = 600;
/// A worker without `block_for` polls every few seconds.
const POLLS_WITHIN: u64 = 10;

/// What points to workers of an application beside those that Horizon tells of.
///
/// What runs on a queue of one supervisor runs in one of its processes, and is told with it.
pub async fn workers(
    link: &Link,
    instance: &Instance,
    supervisors: &mut [Worker],
    clients: Option<&str>,
) -> Result<Vec<Worker>, SystemError> {
    let now = server_time(link).await?;
    let mut workers = runners(link, instance, now).await?;
    let held: BTreeSet<JobRef> = workers.iter().flat_map(|worker| worker.running.iter().cloned()).collect();
    for name in &instance.queues {
        let queue = instance.queue(name);
        let container = Container::of(&queue, RESERVED)?;
        let Ok(read) = walk(link, &container, None, RUNNING, RUNNING_BYTES).await else { continue };
        let mut ids = Ids::default();
        let running: Vec<JobRef> = read
            .items
            .iter()
            .map(|item| (ids.next(item), item.score))
            .filter(|(_, score)| score.is_some_and(|score| Timestamp((score * 1_000.0) as i64) > now))
            .map(|(id, _)| JobRef { queue: queue.clone(), id })
            .filter(|job| !held.contains(job))
            .collect();
        if running.is_empty() {
            continue;
        }
        let mut serving: Vec<&mut Worker> = supervisors
            .iter_mut()
            .filter(|supervisor| supervisor.state == Liveness::Live && supervisor.queues.contains(name))
            .collect();
        let processes: u64 = serving.iter().filter_map(|supervisor| supervisor.stands_for.value()).sum();
        let jobs = running.len() as u64;
        if let ([only], true) = (serving.as_mut_slice(), jobs <= processes) {
            only.running.extend(running);
            continue;
        }
        workers.push(Worker {
            queues: vec![name.clone()],
            state: Liveness::Live,
            stands_for: match jobs.saturating_sub(processes) {
                0 => Count::Exact(0),
                more => Count::AtLeast(more),
            },
            evidence: match running.len() {
                _ if !serving.is_empty() && jobs <= processes => {
                    format!("{jobs} reserved, by processes of {} supervisors; which is not told", serving.len())
                }
                1 => "1 job is reserved and its time is not over; who holds it is not told".to_owned(),
                jobs => format!("{jobs} jobs are reserved and their time is not over; who holds them is not told"),
            },
            running,
            ..blank(&instance.id, format!("somebody on {name}"))
        });
    }
    workers.extend(connected(&instance.id, clients.unwrap_or_default()));
    Ok(workers)
}

/// Runners of qtop, which say who they are and what they hold.
async fn runners(link: &Link, instance: &Instance, now: Timestamp) -> Result<Vec<Worker>, SystemError> {
    let value = link.ask(one("HGETALL", &consume::runners(&instance.id))).await?;
    let mut workers = Vec::new();
    for (name, told) in pairs(&value) {
        let Some((silent, told)) = consume::sign(&told, now).filter(|(silent, _)| *silent < FORGOTTEN) else {
            continue;
        };
        let queue = instance.queue(&Name::from(told["queue"].as_str().unwrap_or_default()));
        let held = link.ask(one("HGETALL", &consume::held(&instance.id, &name))).await?;
        let running = pairs(&held).into_iter().map(|(_, id)| JobRef { queue: queue.clone(), id: JobId::from(id) });
        workers.push(Worker {
            queues: vec![queue.name.clone()],
            state: if silent <= SIGN { Liveness::Live } else { Liveness::Stale },
            heartbeat: Some(Duration::from_secs(silent)),
            running: running.collect(),
            host: told["host"].as_str().filter(|host| !host.is_empty()).map(str::to_owned),
            pid: told["pid"].as_u64(),
            evidence: "a runner of qtop: its own sign of life".to_owned(),
            ..blank(&instance.id, String::from_utf8_lossy(&name).into_owned())
        });
    }
    Ok(workers)
}

/// Fields and values of a hash, in both protocol forms.
fn pairs(value: &Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = |value: &Value| reply::bytes(value).map(<[u8]>::to_vec);
    if let Value::Map(pairs) = value {
        return pairs.iter().filter_map(|(name, value)| Some((bytes(name)?, bytes(value)?))).collect();
    }
    let (pairs, _) = reply::list(value).unwrap_or(&[]).as_chunks::<2>();
    pairs.iter().filter_map(|[name, value]| Some((bytes(name)?, bytes(value)?))).collect()
}

/// Connections that behave like workers, by the address they come from.
fn connected(instance: &InstanceId, clients: &str) -> Vec<Worker> {
    let mut hosts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for line in clients.lines() {
        let field = |name: &str| line.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        // Other programs name their connections; Laravel's have no name unless the application sets one.
        if field("name").is_some_and(|name| !name.is_empty()) {
            continue;
        }
        let Some((host, _)) = field("addr").and_then(|address| address.rsplit_once(':')) else { continue };
        let command = field("cmd").unwrap_or_default();
        let idle: u64 = field("idle").and_then(|idle| idle.parse().ok()).unwrap_or(u64::MAX);
        let blocks = command == "blpop" && field("flags").is_some_and(|flags| flags.contains('b'));
        let polls = matches!(command, "eval" | "evalsha") && idle <= POLLS_WITHIN;
        if blocks || polls {
            let counts = hosts.entry(host.to_owned()).or_default();
            counts.0 += u64::from(blocks);
            counts.1 += u64::from(polls);
        }
    }
    let worker = |(host, (blocking, polling)): (String, (u64, u64))| Worker {
        state: Liveness::Unknown,
        stands_for: Count::Unknown,
        host: Some(host.clone()),
        evidence: format!(
            "client list: {blocking} connections wait in BLPOP, {polling} run scripts every few seconds; a guess, \
             since web processes and other programs look alike"
        ),
        ..blank(instance, format!("{} connections from {host}", blocking + polling))
    };
    hosts.into_iter().map(worker).collect()
}

/// A worker of which nothing is known but a name.
pub fn blank(instance: &InstanceId, name: String) -> Worker {
    Worker {
        instance: instance.clone(),
        name: Name::from(name),
        queues: Vec::new(),
        state: Liveness::Unknown,
        paused: None,
        heartbeat: None,
        running: Vec::new(),
        host: None,
        pid: None,
        stands_for: Count::Exact(1),
        since: None,
        pool: None,
        evidence: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_grouped_by_host_and_named_ones_left_out() {
        let clients = "id=1 addr=10.0.0.5:5000 name= idle=1 flags=b cmd=blpop\n\
                       id=2 addr=10.0.0.5:5001 name= idle=2 flags=N cmd=evalsha\n\
                       id=3 addr=10.0.0.6:5002 name= idle=90 flags=N cmd=eval\n\
                       id=4 addr=10.0.0.7:5003 name=qtop idle=0 flags=N cmd=evalsha\n\
                       id=5 addr=10.0.0.8:5004 name= idle=0 flags=N cmd=get";
        let instance = InstanceId { system: super::super::NAME, name: Name::from("p_") };
        let found = connected(&instance, clients);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].host.as_deref(), Some("10.0.0.5"));
        assert!(found[0].evidence.contains("1 connections wait in BLPOP, 1 run"), "{}", found[0].evidence);
    }
}
