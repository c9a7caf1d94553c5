//! Workers, as far as described heartbeat keys, lists of workers or blocked connections tell.

use std::collections::BTreeMap;

use super::PROCESSING;
use super::beat::{self, Reading};
use super::containers::containers;
use super::detail::server_time;
use super::finder::Finder;
use super::keys::starred;
use super::plan::{beat_value, one};
use crate::domain::described::{Heartbeat, HeartbeatKind, ListSpec};
use crate::domain::ids::{InstanceId, JobId, JobRef, Name, QueueId};
use crate::domain::queue::Count;
use crate::domain::time::Timestamp;
use crate::domain::worker::{Liveness, Worker};
use crate::link::{Batch, Link};
use crate::systems::{SystemError, reply};

/// Heartbeat keys that are read for one queue.
const MOST: usize = 100;

/// Commands in which a worker of a plain list waits.
const WAITING_COMMANDS: &[&str] = &["brpop", "blpop", "brpoplpush", "blmove", "blmpop"];

/// One heartbeat key and what it says.
pub struct Heard {
    /// The worker's name.
    pub worker: Name,
    /// The key.
    pub key: Name,
    /// What it says.
    pub reading: Reading,
    /// Whether it is there.
    pub liveness: Liveness,
}

/// All heartbeat keys of one description.
pub async fn listen(spec: &ListSpec, link: &Link, finder: &Finder) -> Result<Vec<(usize, Heard)>, SystemError> {
    let mut heard = Vec::new();
    if spec.heartbeat.is_empty() {
        return Ok(heard);
    }
    let now = server_time(link).await?;
    for (index, heartbeat) in spec.heartbeat.iter().enumerate() {
        let found = finder.find(link, &heartbeat.pattern, None).await?;
        let keys: Vec<Name> = found.keys.into_iter().take(MOST).collect();
        for one in hear(heartbeat, link, keys, now).await? {
            heard.push((index, one));
        }
    }
    Ok(heard)
}

/// Whether a worker lives, and the key that would tell; `None`: nothing described tells it.
///
/// Only heartbeats that are renewed count, and only patterns with a single `*`, in whose place the name is put.
pub async fn lives(spec: &ListSpec, link: &Link, worker: &Name) -> Result<Option<(Name, Liveness)>, SystemError> {
    let now = server_time(link).await?;
    let mut told = None;
    for heartbeat in spec.heartbeat.iter().filter(|heartbeat| heartbeat.renewed) {
        let Some((before, after)) = heartbeat.pattern.split_once('*') else { continue };
        if format!("{before}{after}").contains(['*', '?', '[', '\\']) {
            continue;
        }
        let key = Name::from([before.as_bytes(), worker.as_bytes(), after.as_bytes()].concat());
        for heard in hear(heartbeat, link, vec![key], now).await? {
            if heard.liveness == Liveness::Live || told.is_none() {
                told = Some((heard.key, heard.liveness));
            }
        }
    }
    Ok(told)
}

async fn hear(heartbeat: &Heartbeat, link: &Link, keys: Vec<Name>, now: Timestamp) -> Result<Vec<Heard>, SystemError> {
    let mut batch = Batch::new();
    let valued = heartbeat.kind != HeartbeatKind::Presence;
    for key in &keys {
        batch.ask(one("PTTL", key.as_bytes()));
        if valued {
            batch.ask(beat_value(heartbeat, key.as_bytes()));
        }
    }
    let replies = link.send(&batch).await?;
    let chunks = replies.chunks(1 + usize::from(valued));
    Ok(keys
        .into_iter()
        .zip(chunks)
        .map(|(key, replies)| {
            let ttl = replies[0].as_ref().ok().and_then(reply::int).unwrap_or(-2);
            let value = replies.get(1).and_then(|reply| reply.as_ref().ok());
            let reading = beat::read(heartbeat, ttl, value, now);
            let liveness = reading.liveness(heartbeat);
            Heard { worker: starred(&heartbeat.pattern, key.as_bytes()), key, reading, liveness }
        })
        .collect())
}

/// Workers of all described queues. One that serves several queues by one heartbeat key is one worker.
pub async fn workers(
    specs: &[&ListSpec],
    instance: &InstanceId,
    link: &Link,
    finder: &Finder,
    clients: Option<&str>,
) -> Result<Vec<Worker>, SystemError> {
    let mut by_name: BTreeMap<Name, Worker> = BTreeMap::new();
    for spec in specs {
        let queue = QueueId { instance: instance.clone(), name: Name::from(&*spec.name) };
        for (index, heard) in listen(spec, link, finder).await? {
            let evidence = evidence(&spec.heartbeat[index], &heard);
            let worker = by_name
                .entry(heard.worker.clone())
                .or_insert_with(|| blank(instance, heard.worker.clone(), heard.liveness, evidence));
            worker.heartbeat = heard.reading.age;
            worker.host = heard.reading.host;
            worker.pid = heard.reading.pid;
            worker.since = heard.reading.since;
            if !worker.queues.contains(&queue.name) {
                worker.queues.push(queue.name.clone());
            }
            if let Some(item) = heard.reading.item {
                let job = JobRef { queue: queue.clone(), id: JobId::from(item) };
                if worker.running.iter().all(|running| running.id != job.id) {
                    worker.running.push(job);
                }
            }
        }
        owners(spec, &queue, link, finder, &mut by_name).await?;
    }
    if specs.iter().all(|spec| spec.heartbeat.is_empty() && spec.processing_pattern.is_none()) {
        by_name.extend(blocked(instance, clients));
    }
    Ok(by_name.into_values().collect())
}

fn blank(instance: &InstanceId, name: Name, state: Liveness, evidence: String) -> Worker {
    Worker {
        instance: instance.clone(),
        name,
        queues: Vec::new(),
        state,
        paused: None,
        heartbeat: None,
        running: Vec::new(),
        host: None,
        pid: None,
        stands_for: Count::Exact(1),
        since: None,
        pool: None,
        evidence,
    }
}

fn evidence(heartbeat: &Heartbeat, heard: &Heard) -> String {
    if heartbeat.renewed {
        format!("heartbeat key {}", heard.key)
    } else {
        format!("key {}, written when an item is taken", heard.key)
    }
}

/// Workers whose own lists hold items. Without a heartbeat where one is described they are gone, and their items wait
/// for somebody to take them back.
async fn owners(
    spec: &ListSpec,
    queue: &QueueId,
    link: &Link,
    finder: &Finder,
    by_name: &mut BTreeMap<Name, Worker>,
) -> Result<(), SystemError> {
    if spec.processing_pattern.is_none() {
        return Ok(());
    }
    for container in containers(spec, PROCESSING, link, finder).await? {
        let Some(name) = &container.worker else { continue };
        let known = by_name.contains_key(name);
        let state =
            if spec.heartbeat.iter().any(|heartbeat| heartbeat.renewed) { Liveness::Gone } else { Liveness::Unknown };
        let worker = by_name.entry(name.clone()).or_insert_with(|| {
            let sign = if state == Liveness::Gone { "no heartbeat key, but " } else { "" };
            blank(&queue.instance, name.clone(), state, format!("{sign}items in {}", container.key))
        });
        if !worker.queues.contains(&queue.name) {
            worker.queues.push(queue.name.clone());
        }
        if known && !worker.running.is_empty() {
            continue;
        }
        let held = super::containers::walk(link, std::slice::from_ref(&container), None, 20, 256 * 1024).await?;
        for raw in held.items {
            let id = super::rows::item_id(&container, &raw.bytes, raw.total).0;
            worker.running.push(JobRef { queue: queue.clone(), id });
        }
    }
    Ok(())
}

/// Connections that wait in a blocking pop. Which list they wait for the server does not tell.
fn blocked(instance: &InstanceId, clients: Option<&str>) -> BTreeMap<Name, Worker> {
    let mut found = BTreeMap::new();
    for line in clients.unwrap_or_default().lines() {
        let field = |name: &str| line.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let Some(command) = field("cmd").filter(|command| WAITING_COMMANDS.contains(command)) else { continue };
        let address = field("addr").unwrap_or_default();
        let name = field("name").filter(|name| !name.is_empty()).unwrap_or(address);
        let idle = field("idle").unwrap_or("?");
        let doing = if field("flags").is_some_and(|flags| flags.contains('b')) {
            format!("waits in {command} for {idle}s")
        } else {
            format!("got an item from {command} {idle}s ago")
        };
        let evidence = format!("client list: {doing}; which list is not told");
        let mut worker = blank(instance, Name::from(name), Liveness::Live, evidence);
        worker.host = Some(address.to_owned());
        found.insert(Name::from(format!("{name} {address}")), worker);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_connections_are_told_without_a_queue() {
        let clients = "id=3 addr=10.0.0.7:5001 name=mailer flags=b idle=7 cmd=brpop\n\
                       id=4 addr=10.0.0.8:5002 name= flags=N idle=2 cmd=blmove\n\
                       id=5 addr=10.0.0.9:5003 name=x flags=N idle=0 cmd=get\n";
        let instance = InstanceId { system: "list", name: Name::default() };
        let workers: Vec<_> = blocked(&instance, Some(clients)).into_values().collect();
        assert_eq!(workers.len(), 2);
        assert_eq!(workers[0].name, Name::from("10.0.0.8:5002"));
        assert!(workers[0].evidence.contains("got an item from blmove 2s ago"), "{}", workers[0].evidence);
        assert!(workers[1].evidence.contains("waits in brpop for 7s"), "{}", workers[1].evidence);
        assert!(workers.iter().all(|worker| worker.queues.is_empty()));
        assert!(blocked(&instance, None).is_empty());
    }
}
