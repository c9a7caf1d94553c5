//! What is remembered of a database with ARQ queues between ticks.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::ids::{JobId, Name};
use crate::domain::time::Timestamp;

use super::health::Health;
use super::tally::Tally;

/// Ticks after which something new counts as looked at, whatever was answered.
const PATIENCE: u64 = 10;

/// All keys that may be queues, and the results of all.
#[derive(Debug, Default)]
pub struct InstanceMemo {
    /// By name.
    pub queues: HashMap<Name, QueueMemo>,
    /// Results and what became known of them.
    pub tally: Tally,
    /// Abort requests that nobody has taken away, as last counted.
    pub aborts: Option<u64>,
    /// Server time of the tick before.
    pub now: Timestamp,
    /// Between the two ticks before.
    pub interval: Duration,
    /// Tick in which a name was last met for the first time.
    pub newest: u64,
}

impl InstanceMemo {
    /// False while keys wait for the look that tells whether they are queues, or results for the first.
    pub fn is_settled(&self, tick: u64) -> bool {
        let open = |queue: &QueueMemo| matches!(queue.nature, Nature::Unknown | Nature::Candidate(_));
        let waiting = self.queues.values().any(open) || (self.has_queue() && !self.tally.is_settled());
        !waiting || tick > self.newest + PATIENCE
    }

    /// True if any key is known to be a queue.
    pub fn has_queue(&self) -> bool {
        self.queues.values().any(|queue| queue.nature == Nature::Queue)
    }
}

/// Whether a sorted set is an ARQ queue at all.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Nature {
    /// Not asked yet, or not answered.
    #[default]
    Unknown,
    /// These are some of its members: jobs if they have definitions.
    Candidate(Vec<Vec<u8>>),
    /// It is one.
    Queue,
    /// Another program's.
    Foreign {
        /// Tick in which that was found.
        since: u64,
    },
}

/// What is remembered of one queue.
#[derive(Clone, Debug, Default)]
pub struct QueueMemo {
    /// Whether it is one.
    pub nature: Nature,
    /// The first jobs of the tick before, in order.
    pub head: Vec<JobId>,
    /// Whether jobs were locked when last asked, of those that were in the head then.
    pub locked: HashMap<JobId, bool>,
    /// All unfinished jobs of the tick before.
    pub total: Option<u64>,
    /// A moment, and how many jobs were due then.
    pub due: Option<(Timestamp, u64)>,
    /// What a worker last wrote of itself; `Some(None)`: there is no such key.
    pub health: Option<Option<Health>>,
    /// First deferred job, where the head does not reach so far.
    pub next_due: Option<Timestamp>,
    /// Jobs held back.
    pub held: Option<u64>,
    /// Jobs of the head without a definition.
    pub undefined: Option<u64>,
    /// Jobs that left the queue.
    pub finished: u64,
    /// Jobs that came.
    pub added: u64,
}
