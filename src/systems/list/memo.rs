//! What is remembered of the described lists of one server from tick to tick.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::ids::Name;
use crate::domain::time::Timestamp;
use crate::systems::look::Look;

/// Keys kept of one pattern.
pub const KEYS_KEPT: usize = 200;

/// All of it.
#[derive(Clone, Default)]
pub struct ListMemo {
    /// By queue name.
    pub queues: HashMap<String, QueueMemo>,
    /// By glob.
    pub finds: BTreeMap<String, Find>,
}

/// One queue.
#[derive(Clone, Default)]
pub struct QueueMemo {
    /// The item at the consuming end of each key.
    pub heads: HashMap<String, Head>,
    /// The item of the delayed set that is due first.
    pub first_due: Head,
    /// What is known of each heartbeat key.
    pub beats: HashMap<Name, Beat>,
}

/// An item that is looked at each tick if it is small, less often if it is not.
#[derive(Clone, Default)]
pub struct Head {
    /// When it may be read again.
    pub look: Look,
    /// Its id, if items are ids.
    pub id: Option<Vec<u8>>,
    /// When it was made, or is due.
    pub moment: Option<Timestamp>,
}

/// A heartbeat key at the moment it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beat {
    /// The tick in which.
    pub tick: u64,
    /// True if the worker lives.
    pub alive: bool,
    /// True if it works on something, `None` if the key does not tell.
    pub busy: Option<bool>,
}

/// The walk over the keyspace for one glob. Each tick takes one step of one walk.
#[derive(Clone, Default)]
pub struct Find {
    /// Where the walk goes on; 0 at its start.
    pub cursor: u64,
    /// Found in this walk so far.
    pub found: BTreeSet<Name>,
    /// Found in the last whole walk, in order; `None` before the first has ended.
    pub keys: Option<Vec<Name>>,
    /// More keys fit than are kept.
    pub overflow: bool,
    /// When the next walk may begin, by the server's clock.
    pub due: Timestamp,
}

impl Find {
    /// Takes one step's reply.
    pub fn step(&mut self, cursor: u64, keys: Vec<Vec<u8>>, now: Timestamp, rest: std::time::Duration) {
        for key in keys {
            if self.found.len() < KEYS_KEPT {
                self.found.insert(Name::from(key));
            } else {
                self.overflow = true;
            }
        }
        self.cursor = cursor;
        if cursor == 0 {
            self.keys = Some(std::mem::take(&mut self.found).into_iter().collect());
            self.due = now.plus(rest);
        }
    }

    /// Keys known now.
    pub fn known(&self) -> &[Name] {
        self.keys.as_deref().unwrap_or(&[])
    }
}
