//! Who works on queues, as far as a system lets it be known.

use std::time::Duration;

use super::ids::{InstanceId, JobRef, Name};
use super::queue::Count;
use super::runner::PoolState;
use super::time::Timestamp;

/// Whether a worker is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Liveness {
    /// Gave a sign of life in time.
    Live,
    /// Its last sign of life is older than it should be.
    Stale,
    /// It has left or its record has expired, but jobs still name it.
    Gone,
    /// The system does not tell.
    Unknown,
}

/// Something workers can be told, where the system has a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumString, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum WorkerOrder {
    /// Take no further job.
    Pause,
    /// Take jobs again.
    Continue,
    /// End after the present job; whoever keeps them running starts them anew.
    Restart,
    /// End after the present job.
    Terminate,
}

impl WorkerOrder {
    /// The name on the command line, for example `pause`.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// What a runner of qtop says of a pool that shows as a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerPool {
    /// The runner's unique name; other rows may be its other pools.
    pub runner: String,
    /// What the pool does; `None`: in a word of another version.
    pub state: Option<PoolState>,
    /// Jobs it may run at once.
    pub slots: Option<u64>,
    /// Jobs it ran when it said so.
    pub busy: Option<u64>,
}

/// One worker process or loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Where it works.
    pub instance: InstanceId,
    /// Its name or id, as stored.
    pub name: Name,
    /// Queues it takes jobs from.
    pub queues: Vec<Name>,
    /// Whether it is there.
    pub state: Liveness,
    /// It was told to take no job; `None` where the system does not tell. One that tells can be told by its name too.
    pub paused: Option<bool>,
    /// Time since its last sign of life.
    pub heartbeat: Option<Duration>,
    /// What it runs now.
    pub running: Vec<JobRef>,
    /// Host or address.
    pub host: Option<String>,
    /// Process id.
    pub pid: Option<u64>,
    /// How many worker processes this is: those of a supervisor, none for what only keeps others, at least one where all of
    /// a queue show themselves together.
    pub stands_for: Count,
    /// When it started.
    pub since: Option<Timestamp>,
    /// Of a runner of qtop: what its sign of life tells beyond all that.
    pub pool: Option<RunnerPool>,
    /// Where this knowledge comes from, in words: "client list", "job locks", "heartbeat key …".
    pub evidence: String,
}

impl Worker {
    /// What it does, in a word: that of its liveness, of a live one also that it takes no jobs and why.
    pub fn word(&self) -> &'static str {
        match (self.state, &self.pool) {
            (Liveness::Live, Some(RunnerPool { state: Some(state), .. })) if *state != PoolState::Consuming => {
                state.into()
            }
            (Liveness::Live, _) if self.paused == Some(true) => "paused",
            (state, _) => state.into(),
        }
    }

    /// It runs something, as far as is known.
    pub fn is_busy(&self) -> bool {
        !self.running.is_empty() || self.pool.as_ref().and_then(|pool| pool.busy).is_some_and(|busy| busy > 0)
    }

    /// How many of how many slots are busy, as `3/5`; `None` for who has none.
    pub fn slots(&self) -> Option<String> {
        let pool = self.pool.as_ref()?;
        // What was said is some seconds old; what is seen to run is not.
        let busy = pool.busy.map(|busy| busy.max(self.running.len() as u64));
        let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        Some(format!("{}/{}", number(busy), number(pool.slots)))
    }
}
