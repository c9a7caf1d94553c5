//! Workers, as far as Redis lets them be known: names of blocking connections, and locks of running jobs.
//!
//! BullMQ keeps no register of workers. A worker's blocking connection carries the queue's name; a running job's lock
//! carries a token that begins with the worker's own id, and is renewed while the worker lives.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::ids::{JobId, JobRef, Name, QueueId};
use crate::domain::job::Lease;
use crate::domain::queue::Count;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::domain::worker::{Liveness, Worker};
use crate::link::{Batch, Link, Replies, cmd};
use crate::systems::{Instance, ReadError, SystemError, reply};

use super::keys::{self, Keys};
use super::plan::ACTIVE_IDS;
use super::rows::{hmget, lease};
use super::schedules::server_time;

/// Locks last so long unless a worker sets it otherwise; they are renewed at half of it.
const LOCK: Duration = Duration::from_secs(30);
/// A waiting worker blocks for at most ten seconds at a time.
const SILENT_AFTER: Duration = Duration::from_secs(15);
/// Most running jobs looked at.
const MOST_JOBS: usize = 5_000;

/// A line of `CLIENT LIST` that belongs to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    queue: QueueId,
    name: Option<Name>,
    address: String,
    age: Option<Duration>,
    idle: Option<Duration>,
}

impl Connection {
    fn is_of(&self, worker: &Name) -> bool {
        self.name.as_ref().is_some_and(|name| *name == keys::client_worker(worker))
    }
}

/// A running job with what tells who runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Running {
    job: JobRef,
    worker: Option<Name>,
    lease: Lease,
}

impl Running {
    fn is_held(&self) -> bool {
        self.lease.left.is_none_or(|left| !left.is_zero())
    }

    /// Jobs of one worker share this: the token's part before its counter, else the worker's name.
    fn holder(&self) -> Option<Vec<u8>> {
        let token = self.lease.holder.as_ref().map(|token| {
            let token = token.as_bytes();
            let end = token.iter().rposition(|byte| *byte == b':').unwrap_or(token.len());
            token[..end].to_vec()
        });
        token.or_else(|| self.worker.as_ref().map(|name| name.as_bytes().to_vec()))
    }
}

/// All workers of an instance.
pub async fn list(link: &Link, instance: &Instance, clients: Option<&str>) -> Result<Vec<Worker>, SystemError> {
    let (running, now) = running(link, instance).await?;
    let connections = clients.map(|clients| connections(clients, instance));
    Ok(merge(instance, running, connections, now))
}

/// Worker connections of an instance in the text of `CLIENT LIST`.
pub fn connections(clients: &str, instance: &Instance) -> Vec<Connection> {
    let own = |mut found: Connection| {
        // Bull's connections are named alike: whose they are is decided by who asks.
        let same = found.queue.instance.name == instance.id.name;
        found.queue.instance.system = instance.id.system;
        same.then_some(found)
    };
    clients.lines().filter_map(connection).filter_map(own).collect()
}

fn connection(line: &str) -> Option<Connection> {
    let field = |name: &str| {
        line.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).filter(|value| !value.is_empty())
    };
    let worker = keys::worker_of(field("name")?.as_bytes())?;
    let seconds = |name| field(name).and_then(|value| value.parse().ok()).map(Duration::from_secs);
    Some(Connection {
        queue: worker.queue,
        name: worker.name.map(Name::from),
        address: field("addr").unwrap_or_default().to_owned(),
        age: seconds("age"),
        idle: seconds("idle"),
    })
}

/// Running jobs of all queues with their locks, and the server's time.
async fn running(link: &Link, instance: &Instance) -> Result<(Vec<Running>, Option<Timestamp>), SystemError> {
    let mut batch = Batch::new();
    batch.ask(cmd("TIME"));
    for name in &instance.queues {
        let keys = Keys::of(&instance.queue(name));
        batch.ask(cmd("LRANGE").arg(keys.key("active")).arg(0).arg(ACTIVE_IDS - 1).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let now = server_time(replies.next().map_err(ReadError::from)?);
    let mut jobs = Vec::new();
    for name in &instance.queues {
        // A queue that cannot be read has no say here; its own row tells why.
        let ids = replies.next().ok().and_then(reply::names).unwrap_or_default();
        jobs.extend(ids.into_iter().map(|id| JobRef { queue: instance.queue(name), id: JobId::from(id) }));
    }
    jobs.truncate(MOST_JOBS);
    let mut batch = Batch::new();
    for job in &jobs {
        let keys = Keys::of(&job.queue);
        let lock = keys.part(job.id.as_bytes(), "lock");
        batch.ask(hmget(keys.job(job.id.as_bytes()), &["pb"]));
        batch.ask(cmd("PTTL").arg(&lock).to_owned()).ask(cmd("GET").arg(&lock).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let mut running = Vec::with_capacity(jobs.len());
    for job in jobs {
        let (fields, left, holder) = (replies.next(), replies.next(), replies.next());
        let worker = fields.ok().and_then(reply::list).and_then(|fields| reply::bytes(fields.first()?)).map(Name::from);
        if let Some(lease) = lease(left.ok(), holder.ok()) {
            running.push(Running { job, worker, lease });
        }
    }
    Ok((running, now))
}

/// Puts connections and locks together.
///
/// A named worker is recognised in both. Of an unnamed one nothing ties the connection to the lock, except where a
/// queue has exactly one of each; otherwise as many connections as there are lock holders are taken to be theirs, the
/// longest silent first, because a worker's connection falls silent while all its slots are busy.
fn merge(
    instance: &Instance,
    running: Vec<Running>,
    connections: Option<Vec<Connection>>,
    now: Option<Timestamp>,
) -> Vec<Worker> {
    let mut holders: BTreeMap<(QueueId, Option<Vec<u8>>), Vec<Running>> = BTreeMap::new();
    for job in running {
        holders.entry((job.job.queue.clone(), job.holder())).or_default().push(job);
    }
    let asked = connections.is_some();
    let mut connections = connections.unwrap_or_default();
    connections.sort_by_key(|connection| std::cmp::Reverse(connection.idle));
    let mut workers = Vec::new();
    let mut unnamed: Vec<(QueueId, Worker)> = Vec::new();
    for ((queue, holder), jobs) in holders {
        let name = jobs.iter().find_map(|job| job.worker.clone());
        let mut worker = of_locks(instance, &queue, holder, name.clone(), jobs);
        let own = name.and_then(|name| connections.iter().position(|c| c.queue == queue && c.is_of(&name)));
        match own {
            Some(at) => {
                attach(&mut worker, &connections.remove(at), now);
                workers.push(worker);
            }
            None if worker.state == Liveness::Live => unnamed.push((queue, worker)),
            None => workers.push(worker),
        }
    }
    for (queue, mut worker) in unnamed.clone() {
        let alike = unnamed.iter().filter(|(other, _)| *other == queue).count();
        let free = |c: &Connection| c.queue == queue && c.name.is_none();
        let candidates = connections.iter().filter(|c| free(c)).count();
        if let Some(at) = connections.iter().position(free) {
            let connection = connections.remove(at);
            if alike == 1 && candidates == 1 {
                attach(&mut worker, &connection, now);
            } else {
                worker.evidence.push_str("; which of the unnamed connections is its own cannot be told");
            }
        } else if asked {
            worker.evidence.push_str("; no connection under the usual name");
        }
        workers.push(worker);
    }
    workers.extend(connections.iter().map(|connection| of_connection(instance, connection, now)));
    workers.sort_by(|a, b| (&a.queues, &a.name).cmp(&(&b.queues, &b.name)));
    workers
}

fn of_locks(
    instance: &Instance,
    queue: &QueueId,
    holder: Option<Vec<u8>>,
    name: Option<Name>,
    jobs: Vec<Running>,
) -> Worker {
    let held = jobs.iter().filter(|job| job.is_held()).count();
    let left = jobs.iter().filter(|job| job.is_held()).filter_map(|job| job.lease.left).max();
    let (state, evidence) = if held > 0 {
        let left = left.map_or_else(|| "without end".to_owned(), |left| format!("with {} left", text::span(left)));
        (Liveness::Live, format!("job locks: {held} of {} held, the newest {left}", jobs.len()))
    } else {
        let text = format!("job locks: {} active without a lock; a stalled check will return them", jobs.len());
        (Liveness::Gone, text)
    };
    Worker {
        instance: instance.id.clone(),
        name: name.or(holder.map(Name::from)).unwrap_or_else(|| Name::from("(lock lost)")),
        queues: vec![queue.name.clone()],
        state,
        // A longer lock than the default was set by the worker, so that its last renewal cannot be dated.
        paused: None,
        heartbeat: left.and_then(|left| LOCK.checked_sub(left)),
        running: jobs.into_iter().map(|job| job.job).collect(),
        host: None,
        pid: None,
        stands_for: Count::Exact(1),
        since: None,
        pool: None,
        evidence,
    }
}

fn attach(worker: &mut Worker, connection: &Connection, now: Option<Timestamp>) {
    worker.host = Some(connection.address.clone());
    worker.since = started(connection, now);
    worker.evidence = format!("client list and {}", worker.evidence);
}

fn of_connection(instance: &Instance, connection: &Connection, now: Option<Timestamp>) -> Worker {
    let silent = connection.idle.filter(|idle| *idle > SILENT_AFTER);
    let (state, evidence) = match silent {
        None => (Liveness::Live, "client list: waiting for jobs".to_owned()),
        Some(idle) => {
            let text = format!("client list: silent for {} and no lock is seen to be its own", text::age(idle));
            (Liveness::Stale, text)
        }
    };
    Worker {
        instance: instance.id.clone(),
        name: connection.name.clone().unwrap_or_else(|| Name::from(connection.address.as_str())),
        queues: vec![connection.queue.name.clone()],
        state,
        paused: None,
        heartbeat: connection.idle,
        running: Vec::new(),
        host: Some(connection.address.clone()),
        pid: None,
        stands_for: Count::Exact(1),
        since: started(connection, now),
        pool: None,
        evidence,
    }
}

fn started(connection: &Connection, now: Option<Timestamp>) -> Option<Timestamp> {
    let (age, now) = (connection.age?, now?);
    Some(Timestamp(now.0.saturating_sub(i64::try_from(age.as_millis()).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::InstanceId;

    fn instance() -> Instance {
        Instance { id: InstanceId { system: "bullmq", name: "bull".into() }, queues: vec!["mail".into()] }
    }

    fn running(id: &str, token: Option<&str>, worker: Option<&str>, left: u64) -> Running {
        let job = JobRef { queue: QueueId::new("bullmq", "bull", "mail"), id: id.into() };
        let lease = Lease { left: Some(Duration::from_millis(left)), holder: token.map(Name::from) };
        Running { job, worker: worker.map(Name::from), lease }
    }

    const NAMED: &str = "id=5 addr=10.0.0.7:4711 name=bull:bWFpbA==:w:web-1 age=120 idle=3 cmd=bzpopmin";
    const UNNAMED: &str = "id=6 addr=10.0.0.8:4712 name=bull:bWFpbA== age=60 idle=2 cmd=bzpopmin";
    const FOREIGN: &str =
        "id=7 addr=10.0.0.9:4713 name=other:bWFpbA== age=60 idle=2 cmd=bzpopmin\nid=8 addr=x name= age=1";

    fn merged(jobs: Vec<Running>, clients: Option<&str>) -> Vec<Worker> {
        let connections = clients.map(|clients| connections(clients, &instance()));
        merge(&instance(), jobs, connections, Some(Timestamp(1_000_000)))
    }

    #[test]
    fn a_named_worker_is_one_worker_in_both_sources() {
        let jobs = vec![
            running("1", Some("uuid:1"), Some("web-1"), 29_000),
            running("2", Some("uuid:2"), Some("web-1"), 5_000),
        ];
        let workers = merged(jobs, Some(&format!("{NAMED}\n{UNNAMED}\n{FOREIGN}")));
        assert_eq!(workers.len(), 2, "{workers:?}");
        let web = workers.iter().find(|worker| worker.name == "web-1".into()).unwrap();
        assert_eq!((web.state, web.running.len()), (Liveness::Live, 2));
        assert_eq!(web.host.as_deref(), Some("10.0.0.7:4711"));
        assert_eq!(web.since, Some(Timestamp(880_000)));
        assert_eq!(web.heartbeat, Some(Duration::from_secs(1)));
        let idle = workers.iter().find(|worker| worker.name != "web-1".into()).unwrap();
        assert_eq!((idle.state, idle.running.len()), (Liveness::Live, 0));
    }

    #[test]
    fn one_unnamed_connection_and_one_holder_are_the_same_worker() {
        let workers = merged(vec![running("1", Some("uuid:1"), None, 29_000)], Some(UNNAMED));
        assert_eq!(workers.len(), 1);
        assert_eq!(workers[0].host.as_deref(), Some("10.0.0.8:4712"));
        assert_eq!(workers[0].name, "uuid".into());
    }

    #[test]
    fn a_job_without_a_lock_tells_of_a_worker_that_is_gone() {
        let workers = merged(vec![running("1", None, Some("web-9"), 0)], None);
        assert_eq!((workers[0].state, workers[0].name.to_text().as_str()), (Liveness::Gone, "web-9"));
        assert!(workers[0].evidence.contains("without a lock"));
    }

    #[test]
    fn a_silent_connection_without_locks_is_stale() {
        let line = NAMED.replace("idle=3", "idle=90");
        let workers = merged(Vec::new(), Some(&line));
        assert_eq!(workers[0].state, Liveness::Stale);
        assert!(workers[0].evidence.contains("1m 30s"), "{}", workers[0].evidence);
    }
}
