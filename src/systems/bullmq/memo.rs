//! What is remembered of an instance between ticks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::{JobId, Name};
use crate::domain::time::Timestamp;

use super::plan::{Ask, BULL_ONLY, Place};
use super::version::Version;

/// All queues of an instance that were ever asked for, by name.
#[derive(Debug, Default)]
pub struct InstanceMemo {
    /// By queue name.
    pub queues: HashMap<Name, QueueMemo>,
    /// Connected workers.
    pub workers: Option<Connected>,
}

/// Worker connections, counted once for each list of clients.
#[derive(Debug)]
pub struct Connected {
    /// The list they were counted in.
    pub clients: Arc<[Name]>,
    /// By queue name.
    pub by_queue: HashMap<Name, u64>,
}

/// Whether a base key is a BullMQ queue at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Nature {
    /// Not asked yet, or not answered.
    #[default]
    Unknown,
    /// It is one.
    Queue,
    /// Something else has a key of that name: Bull, or a foreign program.
    Foreign {
        /// Tick in which that was found.
        since: u64,
    },
}

/// Fields of `meta`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Meta {
    /// Library of the last `Queue` object.
    pub version: Version,
    /// The field `paused` exists.
    pub paused: bool,
    /// Global limit of active jobs.
    pub concurrency: Option<u64>,
    /// Global rate limit: jobs per window.
    pub rate_max: Option<u64>,
    /// Length of that window.
    pub rate_window: Option<Duration>,
    /// Any field that only BullMQ writes was there.
    pub is_bullmq: bool,
}

/// Raw lengths of one tick; `None` where one was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Lengths {
    /// The counter of job ids; 0 if the key is absent.
    pub id: Option<u64>,
    /// `wait`, with 4.x marks.
    pub wait: Option<u64>,
    /// `paused`, with 4.x marks; of an earlier tick where it was not asked in this one.
    pub paused: Option<u64>,
    /// `active`.
    pub active: Option<u64>,
    /// `prioritized`.
    pub prioritized: Option<u64>,
    /// `delayed`.
    pub delayed: Option<u64>,
    /// `waiting-children`.
    pub children: Option<u64>,
    /// `completed`.
    pub completed: Option<u64>,
    /// `failed`.
    pub failed: Option<u64>,
}

impl Lengths {
    /// Jobs that are not finished; `None` if any part is unknown.
    pub fn open(&self) -> Option<u64> {
        let parts = [self.wait, self.paused, self.active, self.prioritized, self.delayed, self.children];
        parts.into_iter().sum()
    }
}

/// The job at an end of a waiting container, and when it was added.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Head {
    /// The job there when it was last looked at.
    pub id: Option<JobId>,
    /// Its `timestamp` has been read.
    pub stamped: bool,
    /// The last timestamp that was read here, and in which tick: of this job, or of one just taken by a worker.
    pub since: Option<(Timestamp, u64)>,
}

/// What is remembered of one queue.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct QueueMemo {
    /// Whether it is one.
    pub nature: Nature,
    /// Last tick in which each question was answered.
    pub asked: [u64; Ask::SLOTS],
    /// Settings as last read.
    pub meta: Meta,
    /// Lengths of the tick before.
    pub last: Lengths,
    /// 4.x marks have been seen in a waiting list.
    pub marks: bool,
    /// Ends of `wait`, `paused`, `prioritized`.
    pub heads: [Head; Place::COUNT],
    /// When the first delayed job is due.
    pub next_due: Option<Timestamp>,
    /// How many delayed jobs are due, as last counted.
    pub overdue: Option<u64>,
    /// Jobs started in the present rate window.
    pub limiter_used: Option<u64>,
    /// The rate limit holds until then.
    pub limited_until: Option<Timestamp>,
    /// When a job last finished.
    pub last_finished: Option<Timestamp>,
    /// Jobs have finished since that was read.
    pub finished_since: bool,
    /// Growing totals.
    pub totals: Tally,
    /// Completed and failed jobs by the metrics of a worker that keeps them, as last read.
    pub metrics: [Option<u64>; 2],
    /// Whether each of [`BULL_ONLY`] was there when it was last asked.
    pub bull: [Option<bool>; BULL_ONLY.len()],
}

/// Totals that only grow, and how they are presently made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Jobs added.
    pub added: u64,
    /// Jobs ended.
    pub finished: u64,
    /// Jobs ended badly.
    pub failed: u64,
    /// More jobs ended than the finished sets grew by, so that ends are counted by time until this tick.
    pub by_time_until: u64,
    /// Good and bad ends up to these scores are counted already.
    pub counted_to: [Option<Timestamp>; 2],
    /// Jobs that left the open states in the span that the next count by time covers.
    pub left: u64,
}

impl QueueMemo {
    /// Whether the rate limit holds the queue back. A limit set in a worker's own options is stored nowhere; it shows
    /// in jobs that wait while none runs although the present window has begun.
    pub fn limiter_is_full(&self) -> bool {
        let Some(used) = self.limiter_used else { return false };
        let stands = self.last.active == Some(0) && self.last.wait > Some(0);
        self.meta.rate_max.map_or(used >= BY_HAND || (used > 0 && stands), |max| used >= max)
    }
}

/// What `worker.rateLimit()` writes to hold a queue by hand is far beyond any real limit.
pub const BY_HAND: u64 = 1 << 40;
