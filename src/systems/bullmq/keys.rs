//! Keys of a BullMQ queue. Every key is `<prefix>:<queue>:<suffix>`; the queue's name holds no colon, the prefix may,
//! so a base is split at its last colon. Ids of jobs may hold colons, so a job's key is only ever built, or read by
//! taking a known base off.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::domain::ids::{JobRef, Name, QueueId};

use super::NAME;

/// What a job may have beside its hash and lock.
pub const PARTS: [&str; 5] = ["logs", "dependencies", "processed", "failed", "unsuccessful"];

/// Builds the keys of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// `<prefix>:<queue>:`
    base: Vec<u8>,
}

impl Keys {
    /// For a queue as it was found.
    pub fn of(queue: &QueueId) -> Self {
        Self::from_parts(queue.instance.name.as_bytes(), queue.name.as_bytes())
    }

    /// For a prefix and a queue's name.
    pub fn from_parts(prefix: &[u8], queue: &[u8]) -> Self {
        let mut base = Vec::with_capacity(prefix.len() + queue.len() + 2);
        base.extend_from_slice(prefix);
        base.push(b':');
        base.extend_from_slice(queue);
        base.push(b':');
        Self { base }
    }

    /// `<prefix>:<queue>`, from which the scripts derive all keys of the queue.
    pub fn base(&self) -> &[u8] {
        self.base.strip_suffix(b":").unwrap_or(&self.base)
    }

    /// A key of the queue itself, for example `meta` or `wait`.
    pub fn key(&self, suffix: &str) -> Vec<u8> {
        self.job(suffix.as_bytes())
    }

    /// A job's hash.
    pub fn job(&self, id: &[u8]) -> Vec<u8> {
        [&self.base, id].concat()
    }

    /// One of a job's further keys, for example its `lock`.
    pub fn part(&self, id: &[u8], part: &str) -> Vec<u8> {
        [&self.base, id, b":", part.as_bytes()].concat()
    }

    /// The hash of a job scheduler or legacy repeatable.
    pub fn scheduler(&self, id: &[u8]) -> Vec<u8> {
        [&self.base, b"repeat:".as_slice(), id].concat()
    }

    /// A key as text for people: facts, evidence.
    pub fn show(&self, suffix: &str) -> String {
        String::from_utf8_lossy(&self.key(suffix)).into_owned()
    }

    /// A job's key as text for people.
    pub fn show_job(&self, id: &[u8]) -> String {
        String::from_utf8_lossy(&self.job(id)).into_owned()
    }
}

/// The queue a key found by the scan may belong to: one that ends in `:meta` or `:id`.
///
/// A key `<prefix>::relay:…` belongs to BullMQ 6's relay, which has an empty queue name: no queue.
pub fn queue_of(key: &[u8]) -> Option<QueueId> {
    let base = key.strip_suffix(b":meta").or_else(|| key.strip_suffix(b":id"))?;
    split_base(base)
}

/// Prefix and queue of `<prefix>:<queue>`; none where either would be empty.
pub fn split_base(base: &[u8]) -> Option<QueueId> {
    let colon = base.iter().rposition(|byte| *byte == b':')?;
    let (prefix, queue) = (&base[..colon], &base[colon + 1..]);
    let whole = !prefix.is_empty() && !prefix.ends_with(b":") && !queue.is_empty();
    whole.then(|| QueueId::new(NAME, prefix, queue))
}

/// The job that a full key in a flow points at. Only ids made by schedulers (`repeat:<scheduler>:<ms>`) hold colons.
pub fn job_of(key: &[u8]) -> Option<JobRef> {
    const REPEAT: &[u8] = b":repeat:";
    let scheduled = key.windows(REPEAT.len()).position(|window| window == REPEAT);
    let colon = scheduled.or_else(|| key.iter().rposition(|byte| *byte == b':'))?;
    let (base, id) = (&key[..colon], &key[colon + 1..]);
    if id.is_empty() {
        return None;
    }
    Some(JobRef { queue: split_base(base)?, id: id.into() })
}

/// The job with this id in the queue whose base key is `base` (`queueKey` in a job's `parent`).
pub fn job_in(base: &[u8], id: &[u8]) -> Option<JobRef> {
    Some(JobRef { queue: split_base(base)?, id: id.into() })
}

/// What a client's name says: the blocking connection of a worker is named `<prefix>:<base64 of the queue>`, with
/// `:w:<worker>` behind if the worker has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerName {
    /// The queue it takes jobs from.
    pub queue: QueueId,
    /// The name its program gave it.
    pub name: Option<Vec<u8>>,
}

/// Reads a client's name; `None` for anything that is not a worker's (listeners for events end in `:qe`).
pub fn worker_of(client: &[u8]) -> Option<WorkerName> {
    const NAMED: &[u8] = b":w:";
    if let Some(worker) = unnamed(client) {
        return Some(worker);
    }
    // A worker's own name may hold anything, so every place where it could begin is tried, the first one first.
    let mut places = client.windows(NAMED.len()).enumerate().filter(|(_, window)| *window == NAMED);
    places.find_map(|(at, _)| {
        let name = Some(client[at + NAMED.len()..].to_vec());
        unnamed(&client[..at]).map(|worker| WorkerName { name, ..worker })
    })
}

/// A worker's name as it stands in that of a connection.
pub fn client_worker(worker: &Name) -> Name {
    Name::from(worker.visible().collect::<Vec<u8>>())
}

fn unnamed(client: &[u8]) -> Option<WorkerName> {
    let colon = client.iter().rposition(|byte| *byte == b':')?;
    let queue = BASE64_STANDARD.decode(&client[colon + 1..]).ok()?;
    let fits = !queue.is_empty() && !queue.contains(&b':') && std::str::from_utf8(&queue).is_ok();
    let prefix = &client[..colon];
    (fits && !prefix.is_empty()).then(|| WorkerName { queue: QueueId::new(NAME, prefix, queue), name: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(prefix: &str, name: &str) -> QueueId {
        QueueId::new(NAME, prefix, name)
    }

    #[test]
    fn s15_a_base_is_split_at_its_last_colon() {
        assert_eq!(queue_of(b"bull:mail:meta"), Some(queue("bull", "mail")));
        assert_eq!(queue_of(b"app:prod:mail:id"), Some(queue("app:prod", "mail")));
        assert_eq!(queue_of(b"{acme}:{billing} *:meta"), Some(queue("{acme}", "{billing} *")));
        assert_eq!(queue_of(b"bull:mail:meta:x"), None);
        assert_eq!(queue_of(b"mail:meta"), None);
        assert_eq!(queue_of(b"bull:mail:wait"), None);
        assert_eq!(queue_of(b"bull::relay:meta"), None);
        assert_eq!(queue_of(b"bull::meta"), None);
    }

    proptest::proptest! {
        #[test]
        fn s15_any_name_comes_back_from_its_keys_and_its_workers(prefix in "[^\\x00]{0,20}[^:\\x00]", name in "[^:\\x00]{1,20}") {
            let queue = queue(&prefix, &name);
            let keys = Keys::of(&queue);
            proptest::prop_assert_eq!(queue_of(&keys.key("meta")), Some(queue.clone()));
            proptest::prop_assert_eq!(queue_of(&keys.key("id")), Some(queue.clone()));
            let client = format!("{prefix}:{}", BASE64_STANDARD.encode(&name));
            let worker = worker_of(client.as_bytes()).map(|worker| worker.queue);
            proptest::prop_assert_eq!(worker, Some(queue));
        }
    }

    #[test]
    fn s15_keys_are_built_from_the_parts_as_they_are() {
        let keys = Keys::of(&queue("a:b", "x\ny*"));
        assert_eq!(keys.key("wait"), b"a:b:x\ny*:wait");
        assert_eq!(keys.part(b"repeat:s:7", "lock"), b"a:b:x\ny*:repeat:s:7:lock");
        assert_eq!(keys.scheduler(b"s"), b"a:b:x\ny*:repeat:s");
    }

    #[test]
    fn a_flow_key_names_queue_and_job() {
        let job = job_of(b"app:prod:mail:0b7c").unwrap();
        assert_eq!((job.queue, job.id), (queue("app:prod", "mail"), "0b7c".into()));
        let job = job_of(b"bull:mail:repeat:daily:1700000000000").unwrap();
        assert_eq!((job.queue, job.id), (queue("bull", "mail"), "repeat:daily:1700000000000".into()));
        assert_eq!(job_of(b"nothing"), None);
        assert_eq!(job_of(b"bull:mail:"), None);
    }

    #[test]
    fn client_names_tell_queue_and_worker() {
        let worker = worker_of(b"bull:bWFpbA==:w:holder").unwrap();
        assert_eq!((worker.queue, worker.name), (queue("bull", "mail"), Some(b"holder".to_vec())));
        let worker = worker_of(b"app:prod:bWFpbA==").unwrap();
        assert_eq!((worker.queue, worker.name), (queue("app:prod", "mail"), None));
        let worker = worker_of(b"bull:bWFpbA==:w:a:w:b").unwrap();
        assert_eq!(worker.name, Some(b"a:w:b".to_vec()));
        assert_eq!(worker_of(b"bull:bWFpbA==:qe"), None);
        assert_eq!(worker_of(b"qtop:ada@host:12"), None);
        assert_eq!(worker_of(b""), None);
    }
}
