//! Why a runner does not start.

use std::borrow::Cow;

use crate::link::{LinkError, Remedy};

/// Something that must be put right before jobs are taken.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// No `[[runner.pool]]`: nothing is ever consumed unless it is named (R19).
    #[error("no queue is named: the runner works only on queues of [[runner.pool]] tables")]
    NothingNamed,
    /// A pool's queue is of no system, or of one the runner cannot work on.
    #[error("{queue} cannot be worked on: {reason}")]
    Queue {
        /// The address as written.
        queue: String,
        /// Why.
        reason: String,
    },
    /// Two pools for one queue, under two spellings of its address.
    #[error("{queue} and {other} are one queue, and two pools would work on it")]
    Twice {
        /// The address of the second.
        queue: String,
        /// The address of the first.
        other: String,
    },
    /// A handler cannot run.
    #[error("the handler {handler:?} of {queue} cannot run: {reason}")]
    Handler {
        /// The pool's queue.
        queue: String,
        /// The handler's pattern.
        handler: String,
        /// Why.
        reason: String,
        /// What to do.
        remedy: Option<String>,
    },
    /// Jobs without a handler would come, and nothing says what becomes of them.
    #[error("jobs of {queue} whose names match none of {patterns} would have no handler")]
    Unmatched {
        /// The pool's queue.
        queue: String,
        /// The patterns there are.
        patterns: String,
    },
    /// The claim ends before the job may (R14).
    #[error("{queue}: a job may take {timeout:?}, but its claim ends after {lease:?} and cannot be renewed")]
    Lease {
        /// The pool's queue, and whose jobs if their handler has a timeout of its own.
        queue: String,
        /// The timeout; `None` is written as no limit.
        timeout: String,
        /// How long a claim holds.
        lease: String,
    },
    /// A schedule that never fires.
    #[error("the schedule {name:?} of {queue} never fires: {reason}")]
    Schedule {
        /// The schedule's queue.
        queue: String,
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The server would drop jobs when its memory is full (R18).
    #[error("the server may evict jobs: its maxmemory-policy is {policy}")]
    Eviction {
        /// The policy.
        policy: String,
    },
    /// The server refuses changes by configuration.
    #[error("the runner may not change this server: {0}")]
    ReadOnly(String),
    /// The server cannot be used, and trying again does not help.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The metrics listener.
    #[error("metrics cannot be served on {address}: {cause}")]
    Metrics {
        /// Address asked for.
        address: String,
        /// What the system said.
        cause: String,
    },
    /// The machine has no thread or runtime to give.
    #[error("the runner's threads could not be started: {0}")]
    Threads(String),
}

impl Remedy for RunnerError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::NothingNamed => {
                "Add [[runner.pool]] with queue = \"SYSTEM:NAME\" and a handler to the configuration.".into()
            }
            Self::Queue { .. } => "See `qtop queues` for addresses, and the [[runner.pool]] tables.".into(),
            Self::Twice { .. } => "Put their handlers into one [[runner.pool]].".into(),
            Self::Handler { remedy, .. } => return remedy.as_deref().map(Cow::Borrowed),
            Self::Unmatched { .. } => {
                "Add a handler with match = \"*\", or unmatched = \"fail\" or \"return\" to the pool.".into()
            }
            Self::Lease { .. } => "Give the pool, or the handler, a timeout below that.".into(),
            Self::Schedule { .. } => "Correct `cron`, `every` or `timezone` of its [[runner.schedule]] table.".into(),
            Self::Eviction { .. } => {
                "Set maxmemory-policy noeviction on the server, or accept the loss with --allow-eviction.".into()
            }
            Self::ReadOnly(_) => "Set read_only = false for this server if jobs may be run there.".into(),
            Self::Link(error) => return error.remedy().map(|text| Cow::Owned(text.into_owned())),
            Self::Metrics { .. } => "Choose a free port in [runner] metrics, or leave it out.".into(),
            Self::Threads(_) => "Look at the limits of this user (`ulimit -u`).".into(),
        })
    }
}
