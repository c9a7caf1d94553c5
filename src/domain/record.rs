//! A job as the system stores it, byte for byte: what the local trash keeps and undo puts back.

use super::ids::{JobId, Name};
use super::state::StateId;

/// Everything that belongs to one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The job.
    pub id: JobId,
    /// The state it was in; `None`: in none.
    pub state: Option<StateId>,
    /// Keys of its own, as `DUMP` gives them.
    pub keys: Vec<KeyDump>,
    /// Where other keys name it.
    pub places: Vec<Place>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDump {
    /// The key.
    pub key: Name,
    /// The server's serialized value with version and checksum.
    pub dump: Vec<u8>,
    /// When it expires, ms since the epoch; 0: never. Absolute, so that a late undo does not prolong it.
    pub expires_at: i64,
}

/// An entry in a key that is shared with other jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An element of a list.
    List {
        /// The list.
        key: Name,
        /// The exact element.
        element: Name,
        /// Its neighbour towards the tail when it was read.
        right: Option<Name>,
        /// Its neighbour towards the head when it was read.
        left: Option<Name>,
    },
    /// A member of a sorted set.
    Sorted {
        /// The sorted set.
        key: Name,
        /// The member.
        member: Name,
        /// Its score as the server prints it.
        score: String,
    },
    /// A member of a set.
    Member {
        /// The set.
        key: Name,
        /// The member.
        member: Name,
    },
    /// A job that waits for this one. It waits for it again only if it has not been started since.
    Awaited(Awaited),
    /// A field of a hash.
    Field {
        /// The hash.
        key: Name,
        /// The field.
        field: Name,
        /// Its value.
        value: Vec<u8>,
    },
    /// An entry of a stream.
    Entry {
        /// The stream.
        key: Name,
        /// Its id.
        entry: Name,
        /// Names and values in order.
        fields: Vec<Vec<u8>>,
    },
    /// A delivery of an entry that was not settled.
    Delivered {
        /// The stream.
        key: Name,
        /// The group.
        group: Name,
        /// The entry's id.
        entry: Name,
        /// Who has it.
        consumer: Name,
        /// When it was last delivered, ms since the epoch.
        at: i64,
        /// How often it was delivered.
        deliveries: u64,
    },
    /// A JSON text of the application's own in which a change exchanges values. It comes back only if nothing else in it
    /// was changed since.
    Edited {
        /// The key that holds it.
        key: Name,
        /// Paths of the exchanged values.
        paths: Vec<String>,
        /// The whole text as it was.
        old: Vec<u8>,
    },
}

/// What a job that waits for others was like when one of them was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The set of those it waits for.
    pub key: Name,
    /// The copied job's name in it.
    pub member: Name,
    /// Key from which those of its queue are derived.
    pub base: Name,
    /// Its id.
    pub waiter: JobId,
    /// Its score among the jobs that wait for others, as the server prints it; empty: it was not among them.
    pub score: String,
    /// What its record said of its runs so far: fields that change when it is started. A field it lacks is empty.
    pub runs: Vec<(Name, Vec<u8>)>,
}

impl Record {
    /// Bytes it takes in the trash, about; compression comes on top.
    pub fn weight(&self) -> usize {
        let keys: usize = self.keys.iter().map(|key| key.key.as_bytes().len() + key.dump.len() + 16).sum();
        let places: usize = self.places.iter().map(Place::weight).sum();
        keys + places + 32
    }
}

impl Place {
    fn weight(&self) -> usize {
        64 + match self {
            Self::List { element, .. } => element.as_bytes().len(),
            Self::Sorted { member, .. } | Self::Member { member, .. } => member.as_bytes().len(),
            Self::Awaited(awaited) => awaited.member.as_bytes().len() + awaited.base.as_bytes().len(),
            Self::Field { value, .. } => value.len(),
            Self::Entry { fields, .. } => fields.iter().map(|part| part.len() + 8).sum(),
            Self::Delivered { .. } => 32,
            Self::Edited { old, .. } => old.len(),
        }
    }
}
