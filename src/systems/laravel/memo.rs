//! What is remembered of an application between ticks.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ids::Name;
use crate::domain::time::Timestamp;
use crate::systems::look::Look;

/// Ticks after which something that was no Laravel queue is looked at again.
pub const FOREIGN_FOR: u64 = 60;

/// All of it.
#[derive(Clone, Default)]
pub struct LaravelMemo {
    /// The tick that was read first; 0 before it.
    pub since: u64,
    /// By queue name.
    pub queues: BTreeMap<Name, QueueMemo>,
    /// Queues that were seen in this run: an empty one leaves nothing in Redis.
    pub remembered: BTreeSet<Name>,
    /// Whole prefix of the application's cache keys, if the cache is in this Redis.
    pub cache: Option<Vec<u8>>,
    /// Prefix of Horizon's keys, once a master was seen there.
    pub horizon: Option<Vec<u8>>,
    /// Horizon's supervisors with their last beat, in unix seconds.
    pub supervisors: Vec<(Vec<u8>, f64)>,
}

/// Ticks after the first in which a Horizon's supervisors are listed and each is read.
const SETTLED_IN: u64 = 2;

impl LaravelMemo {
    /// True once a first look has what it should have: where Horizon works, the queues that its supervisors serve.
    pub fn is_settled(&self, tick: u64) -> bool {
        self.horizon.is_none() || self.looked_for(tick) >= SETTLED_IN
    }

    /// Ticks since the first one.
    pub fn looked_for(&self, tick: u64) -> u64 {
        if self.since == 0 { 0 } else { tick.saturating_sub(self.since) }
    }
}

/// Whether a name met by the scan is a queue of Laravel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Nature {
    /// No payload was looked at yet.
    #[default]
    Unknown,
    /// It is one.
    Queue,
    /// Something else uses keys of that form.
    Foreign {
        /// Tick in which that was found.
        since: u64,
    },
}

/// One queue.
#[derive(Clone, Default)]
pub struct QueueMemo {
    /// Whether it is one.
    pub nature: Nature,
    /// The payload that runs next.
    pub head: Head,
    /// The payload that is due first.
    pub first: Head,
    /// Jobs that ended well since Horizon's last snapshot, and their mean run time in milliseconds.
    pub measured: Option<(u64, f64)>,
    /// Those that ended well while qtop looked, whatever snapshots were made meanwhile.
    pub ended: u64,
    /// Failed jobs in the application's database at the last look.
    pub failures: Option<u64>,
    /// Those that came to it while qtop looked.
    pub failed: u64,
}

/// A payload at an end of a container: looked at each tick if it is small, less often if it is not.
#[derive(Clone, Default)]
pub struct Head {
    /// When it may be read again.
    pub look: Look,
    /// When it was pushed, or becomes due.
    pub moment: Option<Timestamp>,
    /// It was there and could not be decoded.
    pub undecodable: bool,
}
