//! Keys of ARQ. Those of jobs are constants of the library, shared by all queues of a database; only the queue's own
//! key has a name of its own. A queue that qtop holds back has one key more, which ARQ knows nothing of.

use crate::domain::ids::QueueId;

use super::NAME;

/// Abort requests for the jobs of all queues.
pub const ABORT: &[u8] = b"arq:abort";
/// Start of every key of a result.
pub const RESULT: &[u8] = b"arq:result:";
const HEALTH: &[u8] = b":health-check";
/// Where jobs lie while qtop holds a queue: a name that says whose it is.
const HELD: &[u8] = b":held-by-qtop";
/// Other keys of the library that are sorted sets or end like a queue's.
const FOREIGN: [&[u8]; 4] = [b"arq:job:", b"arq:in-progress:", b"arq:retry:", RESULT];

/// Keys of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The sorted set of all unfinished jobs.
    pub queue: Vec<u8>,
}

impl Keys {
    /// For a queue as it was found.
    pub fn of(queue: &QueueId) -> Self {
        Self { queue: queue.name.as_bytes().to_vec() }
    }

    /// The text a worker writes from time to time.
    pub fn health(&self) -> Vec<u8> {
        [&self.queue, HEALTH].concat()
    }

    /// Jobs held back by qtop.
    pub fn held(&self) -> Vec<u8> {
        [&self.queue, HELD].concat()
    }

    /// The queue's key as text for people.
    pub fn show(&self) -> String {
        String::from_utf8_lossy(&self.queue).into_owned()
    }
}

/// A job's definition.
pub fn job(id: &[u8]) -> Vec<u8> {
    [b"arq:job:", id].concat()
}

/// The lock of a running job.
pub fn in_progress(id: &[u8]) -> Vec<u8> {
    [b"arq:in-progress:", id].concat()
}

/// How often a job was started.
pub fn retry(id: &[u8]) -> Vec<u8> {
    [b"arq:retry:", id].concat()
}

/// What became of a job.
pub fn result(id: &[u8]) -> Vec<u8> {
    [RESULT, id].concat()
}

/// The queue that a key met by the scan may belong to: a sorted set of any name, or the key of a worker's health.
pub fn queue_of(key: &[u8]) -> Option<QueueId> {
    let name = key.strip_suffix(HEALTH).or_else(|| key.strip_suffix(HELD)).unwrap_or(key);
    let foreign = name.is_empty() || name == ABORT || FOREIGN.iter().any(|start| name.starts_with(start));
    (!foreign).then(|| QueueId::new(NAME, "", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: &str) -> Option<String> {
        queue_of(key.as_bytes()).map(|queue| queue.name.to_text())
    }

    #[test]
    fn a_queue_is_known_by_its_set_its_health_and_what_is_held() {
        for key in ["arq:queue", "arq:queue:health-check", "arq:queue:held-by-qtop"] {
            assert_eq!(name(key).as_deref(), Some("arq:queue"));
        }
        assert_eq!(name("dumps:arq_jobs").as_deref(), Some("dumps:arq_jobs"));
        for key in ["arq:abort", "arq:job:1", "arq:result:1:health-check", ":health-check"] {
            assert_eq!(name(key), None, "{key}");
        }
    }
}
