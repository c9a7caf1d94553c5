//! Changes to Redis as data: what is asked, on what, and what became of it.

use super::ids::{JobId, QueueId};
use super::state::StateId;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumIter, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Verb {
    /// Queue a finished job again.
    Retry,
    /// Call a job off.
    Cancel,
    /// Delete a job.
    Remove,
    /// Make a later job run now.
    Promote,
    /// Stop workers from taking jobs of a queue.
    Pause,
    /// Let them again.
    Resume,
    /// Delete all waiting jobs.
    Drain,
}

/// What it is done to. Ids are captured when the key was pressed and never change afterwards (S13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The queue as a whole.
    Queue,
    /// These jobs, found in that state.
    Jobs {
        /// State in which they were seen.
        state: StateId,
        /// Their ids.
        ids: Vec<JobId>,
    },
}

/// One change of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// What.
    pub verb: Verb,
    /// Where.
    pub queue: QueueId,
    /// On what.
    pub target: Target,
}

/// What became of a mutation.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Done for so many.
    pub done: u64,
    /// Refused, each with the reason.
    pub refused: Vec<(JobId, String)>,
    /// Sent, but the answer never came and the truth could not be read back.
    pub unknown: Vec<JobId>,
}
