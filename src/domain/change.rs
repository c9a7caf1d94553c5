//! A change as it is planned, carried out and told: data that passes between the screens, the command line and the
//! executor.

use std::collections::BTreeMap;
use std::time::Instant;

use super::fetch::FetchError;
use super::ids::{JobId, QueueId, Ticket};
use super::job::{JobRow, Search};
use super::mutation::{Change, Outcome, Verb};
use super::state::StateId;
use super::time::Timestamp;

/// What is to be matched. All given parts must hold.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Filter {
    /// States to look through.
    pub states: Vec<StateId>,
    /// Text in id, name, error or payload.
    pub search: Option<Search>,
    /// Only what ended (finished jobs) or was added (others) before.
    pub before: Option<Timestamp>,
    /// Stop after so many.
    pub limit: Option<usize>,
}

/// A frozen set, with what a person wants to see before saying yes.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Frozen {
    /// The ids by state, in the order the system would run or list them.
    pub groups: Vec<(StateId, Vec<JobId>)>,
    /// How many jobs were looked at.
    pub looked_at: u64,
    /// Matching jobs by name, for the preview.
    pub names: BTreeMap<String, u64>,
    /// The first few of them.
    pub samples: Vec<JobRow>,
    /// Matching jobs the change cannot apply to, by reason.
    pub not_eligible: BTreeMap<String, u64>,
    /// What really happens and the exact commands for the first few, where the change is in an application's own words.
    pub commands: Vec<String>,
}

impl Frozen {
    /// Number of ids.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|(_, ids)| ids.len()).sum()
    }

    /// True if nothing matched.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A change of one queue with everything decided: the ids will not change any more (S13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Server name, for the audit file.
    pub server: String,
    /// Which queue.
    pub queue: QueueId,
    /// What is done.
    pub change: Change,
    /// On what.
    pub scope: Scope,
    /// Also where the library's version is not known (R23).
    pub force: bool,
    /// Jobs per second, at most.
    pub rate: Option<u32>,
    /// Begin with 1, then 10, then the rest; stop if failures rise.
    pub ramp: bool,
    /// The change it is a part of, if it is one.
    pub part_of: Option<Whole>,
}

/// A change that is made in parts, each with a copy of its own. They are undone together.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Whole {
    /// Its undo token.
    pub token: String,
    /// What it is called.
    pub action: String,
}

/// What a plan applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The queue as a whole.
    Queue,
    /// Frozen jobs, by the state they were seen in.
    Jobs(Vec<(StateId, Vec<JobId>)>),
    /// Schedules.
    Schedules(Vec<JobId>),
}

impl Scope {
    /// Number of things it names; 1 for a queue.
    pub fn len(&self) -> usize {
        match self {
            Self::Queue => 1,
            Self::Jobs(groups) => groups.iter().map(|(_, ids)| ids.len()).sum(),
            Self::Schedules(ids) => ids.len(),
        }
    }

    /// True if it names nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a running change stands, for the screen and the command line.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Progress {
    /// Ids asked for.
    pub requested: u64,
    /// Done, refused, unknown so far.
    pub done: u64,
    /// Refused so far.
    pub refused: u64,
    /// Unknown so far.
    pub unknown: u64,
    /// Jobs per second over the whole run.
    pub rate: f64,
    /// Somebody paused it.
    pub paused: bool,
}

/// What a person wants of a running change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Control {
    /// Go on.
    #[default]
    Go,
    /// Wait before the next piece.
    Pause,
    /// End after the present piece.
    Stop,
    /// Likewise, because qtop ends: what is left is offered at the next start.
    Leave,
}

/// What a screen wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Read the ids a filter matches.
    Freeze {
        /// Comes back with the report.
        ticket: Ticket,
        /// Which queue.
        queue: QueueId,
        /// What is to be done with them.
        verb: Verb,
        /// What is to be matched.
        filter: Filter,
    },
    /// Read what a change of these jobs really is, where it is in an application's own words.
    Preview {
        /// Comes back with the report.
        ticket: Ticket,
        /// Which queue.
        queue: QueueId,
        /// What is to be done with them.
        verb: Verb,
        /// The jobs, by the state they were seen in.
        groups: Vec<(StateId, Vec<JobId>)>,
    },
    /// Carry out a plan.
    Run {
        /// Comes back with each report.
        ticket: Ticket,
        /// The plan.
        plan: Plan,
    },
    /// Pause, go on with or stop what runs under that ticket.
    Control(Ticket, Control),
    /// Put back what a change deleted; `None`: the newest of this server.
    Undo {
        /// Comes back with the report.
        ticket: Ticket,
        /// The undo token.
        token: Option<String>,
    },
    /// Go on with the oldest interrupted run of this server.
    Resume {
        /// Comes back with each report.
        ticket: Ticket,
    },
    /// Delete a queue with everything in it: it is paused and emptied by way of the trash first.
    Obliterate {
        /// Comes back with each report.
        ticket: Ticket,
        /// The plan for the queue itself.
        plan: Plan,
        /// It is paused already, and stays so if it cannot be deleted.
        was_paused: bool,
    },
    /// List what can be undone.
    Trash {
        /// Comes back with the report.
        ticket: Ticket,
    },
    /// Read the end of the audit file.
    Audit {
        /// Comes back with the report.
        ticket: Ticket,
    },
}

impl Order {
    /// The ticket its reports carry.
    pub fn ticket(&self) -> Ticket {
        match self {
            Self::Freeze { ticket, .. }
            | Self::Preview { ticket, .. }
            | Self::Run { ticket, .. }
            | Self::Control(ticket, _)
            | Self::Undo { ticket, .. }
            | Self::Resume { ticket }
            | Self::Obliterate { ticket, .. }
            | Self::Trash { ticket }
            | Self::Audit { ticket } => *ticket,
        }
    }
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// So many jobs were looked at for [`Order::Freeze`] by now.
    Freezing(Ticket, u64),
    /// To [`Order::Freeze`].
    Frozen(Ticket, Result<Frozen, FetchError>),
    /// To [`Order::Preview`]: what really happens, then the exact commands; nothing where the system does it its own way.
    Previewed(Ticket, Result<Vec<String>, FetchError>),
    /// A running change stands so.
    Progress(Ticket, Progress),
    /// A change has ended.
    Finished(Ticket, Summary),
    /// Runs of this server that were interrupted, told once at the start.
    Interrupted(Vec<Plan>),
    /// To [`Order::Trash`]: newest first, of all servers.
    Trash(Ticket, Result<Vec<TrashItem>, FetchError>),
    /// To [`Order::Audit`]: newest first.
    Audit(Ticket, Result<Vec<AuditLine>, FetchError>),
}

/// Whether changes may leave for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Gate {
    /// They may not.
    #[default]
    Shut,
    /// They may.
    Open,
    /// They may until then, by the local clock.
    Until(Instant),
}

impl Gate {
    /// True if a change may leave at this moment.
    pub fn is_open(self, now: Instant) -> bool {
        match self {
            Self::Shut => false,
            Self::Open => true,
            Self::Until(end) => now < end,
        }
    }
}

/// What one change deleted and an undo puts back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashItem {
    /// Names it.
    pub token: String,
    /// RFC 3339, UTC, by the local clock.
    pub time: String,
    /// Configured name of the server.
    pub server: String,
    /// Full address of the queue.
    pub queue: String,
    /// The verb.
    pub action: String,
    /// Bytes on disk.
    pub bytes: u64,
}

/// A line of the audit file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    /// RFC 3339, UTC, by the local clock.
    pub time: String,
    /// `begun`, `done`, `stopped` or `failed`.
    pub phase: String,
    /// Who, and on which machine: `ada@laptop`.
    pub operator: String,
    /// Configured name of the server.
    pub server: String,
    /// Full address of the queue.
    pub queue: String,
    /// The verb.
    pub action: String,
    /// The ids if there are few, else the first of them.
    pub ids: Vec<String>,
    /// How many ids.
    pub count: u64,
    /// Done, refused, unknown; absent in the line of the beginning.
    pub outcome: Option<[u64; 3]>,
    /// Why it failed.
    pub error: Option<String>,
}

/// How a change ended, ready to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Which queue.
    pub queue: Option<QueueId>,
    /// What became of each id.
    pub outcome: Outcome,
    /// Ids that were never sent.
    pub left: u64,
    /// What undoes it.
    pub undo: Option<String>,
    /// Why it ended early.
    pub error: Option<FetchError>,
}
