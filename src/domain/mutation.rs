//! Changes to Redis as data: what is asked, on what, and what became of it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::ids::{JobId, Name, QueueId};
use super::job::JobRow;
use super::state::{StateId, StateKind, StateSpec};
use super::worker::WorkerOrder;

/// What a person can have done to a job or queue. Bulk actions are these, over a frozen set of ids.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, strum::IntoStaticStr, strum::EnumIter, strum::EnumString,
)]
#[strum(serialize_all = "snake_case")]
pub enum Verb {
    /// Queue a finished job again.
    Retry,
    /// Call a job off that has not begun.
    Cancel,
    /// Make a later job run now.
    Promote,
    /// Give a later job another time.
    Delay,
    /// Give a waiting job another priority.
    Prioritize,
    /// Delete a job.
    Remove,
    /// Move a job to the dead letters.
    Kill,
    /// Add the same job once more.
    Duplicate,
    /// Replace a job's payload.
    Edit,
    /// Add a new job.
    Add,
    /// Stop workers from taking jobs of a queue.
    Pause,
    /// Let them again.
    Resume,
    /// Set the queue's global limits.
    Limit,
    /// Delete what is left of an empty, paused queue.
    Obliterate,
    /// Run a schedule's job once, now.
    Trigger,
    /// Remove a schedule.
    Unschedule,
    /// Take a dead letter back into its queue.
    Requeue,
    /// Give a delivered entry to another consumer.
    Claim,
    /// Settle a delivered entry without running it.
    Acknowledge,
    /// Cut delivered history.
    Trim,
    /// Tell workers something.
    Signal,
}

impl Verb {
    /// The name in the command line, JSON and the audit file, for example `retry`.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// True if a job stays in its state, so that its state does not tell whether it was done.
    pub fn stays(self) -> bool {
        matches!(self, Self::Delay | Self::Prioritize | Self::Edit | Self::Duplicate | Self::Claim | Self::Trigger)
    }

    /// True if what is lost by it can only come back from the local trash.
    pub fn destroys(self) -> bool {
        matches!(
            self,
            Self::Remove | Self::Cancel | Self::Obliterate | Self::Unschedule | Self::Acknowledge | Self::Trim
        )
    }
}

/// Which end of a waiting list a job is put to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum End {
    /// Behind all that wait: it runs last.
    #[default]
    Last,
    /// Before all that wait: it runs next.
    Next,
}

/// A verb with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// See [`Verb::Retry`].
    Retry {
        /// Forget the attempts made, where the system counts them.
        reset_attempts: bool,
    },
    /// See [`Verb::Cancel`].
    Cancel,
    /// See [`Verb::Promote`].
    Promote,
    /// See [`Verb::Delay`].
    Delay {
        /// From now.
        by: Duration,
    },
    /// See [`Verb::Prioritize`].
    Prioritize {
        /// The system's own number.
        priority: i64,
    },
    /// See [`Verb::Remove`].
    Remove {
        /// Its children go too.
        children: bool,
    },
    /// See [`Verb::Kill`].
    Kill {
        /// Recorded with the job.
        reason: String,
    },
    /// See [`Verb::Duplicate`].
    Duplicate,
    /// See [`Verb::Edit`].
    Edit {
        /// The payload as it was read; the edit is refused if it is another by now.
        old: Bytes,
        /// Exactly these bytes replace it.
        new: Bytes,
    },
    /// See [`Verb::Add`].
    Add(NewJob),
    /// See [`Verb::Pause`].
    Pause,
    /// See [`Verb::Resume`].
    Resume,
    /// See [`Verb::Limit`].
    Limit(Limits),
    /// See [`Verb::Obliterate`].
    Obliterate,
    /// See [`Verb::Trigger`].
    Trigger,
    /// See [`Verb::Unschedule`].
    Unschedule,
    /// See [`Verb::Requeue`].
    Requeue {
        /// Where it goes.
        end: End,
        /// Count attempts from zero again and forget the error, as far as the queue's description names the fields.
        reset_attempts: bool,
    },
    /// See [`Verb::Claim`].
    Claim {
        /// The consumer that gets it.
        consumer: Name,
        /// Only if its present consumer has had it at least so long.
        min_idle: Duration,
    },
    /// See [`Verb::Acknowledge`].
    Acknowledge,
    /// See [`Verb::Signal`].
    Signal {
        /// What they are told.
        order: WorkerOrder,
        /// Which of them; none: all that serve the queue.
        workers: Vec<Name>,
    },
    /// See [`Verb::Trim`].
    Trim {
        /// Keep about so many of the newest entries; never entries some group has not yet had.
        keep: u64,
    },
}

impl Change {
    /// The verb.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Retry { .. } => Verb::Retry,
            Self::Cancel => Verb::Cancel,
            Self::Promote => Verb::Promote,
            Self::Delay { .. } => Verb::Delay,
            Self::Prioritize { .. } => Verb::Prioritize,
            Self::Remove { .. } => Verb::Remove,
            Self::Kill { .. } => Verb::Kill,
            Self::Duplicate => Verb::Duplicate,
            Self::Edit { .. } => Verb::Edit,
            Self::Add(_) => Verb::Add,
            Self::Pause => Verb::Pause,
            Self::Resume => Verb::Resume,
            Self::Limit(_) => Verb::Limit,
            Self::Obliterate => Verb::Obliterate,
            Self::Trigger => Verb::Trigger,
            Self::Unschedule => Verb::Unschedule,
            Self::Requeue { .. } => Verb::Requeue,
            Self::Claim { .. } => Verb::Claim,
            Self::Acknowledge => Verb::Acknowledge,
            Self::Trim { .. } => Verb::Trim,
            Self::Signal { .. } => Verb::Signal,
        }
    }
}

/// A payload as it comes back from an editor: editors end the last line, and a payload that had no such end keeps having
/// none (R22).
pub fn without_added_newline(old: &Bytes, edited: Bytes) -> Bytes {
    if edited.ends_with(b"\n") && !old.ends_with(b"\n") { edited.slice(..edited.len() - 1) } else { edited }
}

/// A job to be added.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct NewJob {
    /// Own id; `None`: the system gives one.
    pub id: Option<JobId>,
    /// Name or type.
    pub name: String,
    /// Payload, exactly these bytes.
    pub data: Bytes,
    /// Not before so long from now.
    pub delay: Duration,
    /// The system's own number; 0: none.
    pub priority: i64,
    /// Attempts allowed; `None`: as the system does by default.
    pub attempts: Option<u64>,
    /// Held back while another job has the same.
    pub dedup: Option<String>,
    /// For so long; zero: until that job ends.
    pub dedup_ttl: Duration,
}

/// Global limits of a queue. `None`: leave as it is; `Some(None)`: lift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    /// Jobs active at once on all workers.
    pub concurrency: Option<Option<u64>>,
    /// So many jobs per so long.
    pub rate: Option<Option<(u64, Duration)>>,
}

/// What it is done to. Ids are captured when the key was pressed and never change afterwards (S13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The queue as a whole.
    Queue,
    /// These jobs, seen in that state. One that is in another state by then is refused.
    Jobs {
        /// State in which they were seen.
        state: StateId,
        /// Their ids.
        ids: Vec<JobId>,
    },
    /// These schedules.
    Schedules(Vec<Name>),
}

/// One change of one queue, small enough for one call: the executor cuts larger sets into such pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// Where.
    pub queue: QueueId,
    /// What.
    pub change: Change,
    /// On what.
    pub target: Target,
    /// Also where the library's version is not known to qtop (R23).
    pub force: bool,
}

/// What became of a mutation, or of many together.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Done to these; for a queue as a whole its name.
    pub done: Vec<JobId>,
    /// Refused, each with the reason.
    pub refused: Vec<(JobId, String)>,
    /// Sent, but the answer never came and the truth could not be read back (R9).
    pub unknown: Vec<JobId>,
    /// Ids that came to be: of an added or duplicated job.
    pub created: Vec<JobId>,
    /// What else is to be known of what was done.
    pub notes: BTreeSet<String>,
}

impl Outcome {
    /// Takes in the outcome of another piece.
    pub fn absorb(&mut self, other: Outcome) {
        self.done.extend(other.done);
        self.refused.extend(other.refused);
        self.unknown.extend(other.unknown);
        self.created.extend(other.created);
        self.notes.extend(other.notes);
    }
}

/// What a system says it can do with jobs of some states, in words a dialog shows before asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ability {
    /// The verb.
    pub verb: Verb,
    /// States whose jobs it applies to; empty: the queue as a whole, or schedules.
    pub states: &'static [StateId],
    /// What really happens, honestly, one sentence.
    pub says: &'static str,
    /// Where the jobs of a state stand in a list, the server's work grows with their number (P15): nanoseconds for each,
    /// measured.
    pub nanos_per_listed: u64,
    /// The attempts made can be counted from zero again on the way.
    pub resets: bool,
}

/// Said where a change applies to jobs of other states only.
pub fn not_for(state: StateId) -> String {
    format!("not possible for {state} jobs")
}

impl Ability {
    /// How long taking one job out of so many of a state holds up the server (P15); zero where no list is walked.
    pub fn blocks(&self, state: &StateSpec, jobs: u64) -> Duration {
        Duration::from_nanos(if state.in_list { self.nanos_per_listed.saturating_mul(jobs) } else { 0 })
    }

    /// Why it cannot be done to a job that was seen like this; `None` if it can be tried.
    pub fn refuses(&self, row: &JobRow) -> Option<String> {
        // What is left of a job whose record is gone can still be cleared away.
        if !row.record_exists && !matches!(self.verb, Verb::Remove | Verb::Acknowledge) {
            return Some("its record is gone".to_owned());
        }
        if !self.states.contains(&row.state) {
            return Some(not_for(row.state));
        }
        // These leave the job where it is, or are about the very one who holds it.
        let harmless = matches!(self.verb, Verb::Edit | Verb::Duplicate | Verb::Claim | Verb::Acknowledge);
        let locked = row.lease.as_ref().is_some_and(|lease| lease.left.is_none_or(|left| !left.is_zero()));
        (row.kind == StateKind::Active && locked && !harmless).then(|| "a worker holds it".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::Lease;

    #[test]
    fn r22_only_a_newline_that_the_editor_added_is_taken_away() {
        let cut = |old: &'static str, new: &'static str| {
            without_added_newline(&Bytes::from_static(old.as_bytes()), Bytes::from_static(new.as_bytes()))
        };
        assert_eq!(&cut("{}", "{}\n")[..], b"{}");
        assert_eq!(&cut("{}\n", "{ }\n")[..], b"{ }\n");
        assert_eq!(&cut("{}", "{}\n\n")[..], b"{}\n");
    }

    #[test]
    fn a_job_that_somebody_holds_is_not_eligible() {
        const ACTIVE: StateId = StateId("active");
        let ability = |verb| Ability { verb, states: &[ACTIVE], says: "", nanos_per_listed: 0, resets: false };
        let mut row = JobRow::bare("1", ACTIVE, StateKind::Active);
        assert_eq!(ability(Verb::Remove).refuses(&row), None);
        row.lease = Some(Lease { left: Some(Duration::from_secs(3)), holder: None });
        assert_eq!(ability(Verb::Remove).refuses(&row).as_deref(), Some("a worker holds it"));
        assert_eq!(ability(Verb::Edit).refuses(&row), None);
        row.state = StateId("failed");
        assert!(ability(Verb::Remove).refuses(&row).is_some());
    }
}
