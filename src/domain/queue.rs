//! A queue and what one tick learned about it.

use std::sync::Arc;
use std::time::Duration;

use super::ids::{JobId, QueueId};
use super::state::{StateId, StateKind, StateSpec};
use super::time::Timestamp;

/// A number that says how far it can be trusted. A failed read is `Unknown`, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Count {
    /// Read in this tick.
    Exact(u64),
    /// There are at least this many; counting stopped there.
    AtLeast(u64),
    /// Tallied in the background, complete as of that moment.
    Approx {
        /// The tally.
        value: u64,
        /// When the tally was complete.
        as_of: Timestamp,
    },
    /// Cannot be known, or the read failed.
    #[default]
    Unknown,
}

impl Count {
    /// The number, if there is one, however weak.
    pub fn value(self) -> Option<u64> {
        match self {
            Self::Exact(value) | Self::AtLeast(value) | Self::Approx { value, .. } => Some(value),
            Self::Unknown => None,
        }
    }

    /// Sum that is only as strong as its weaker part.
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Exact(a), Self::Exact(b)) => Self::Exact(a.saturating_add(b)),
            (Self::AtLeast(_), _) | (_, Self::AtLeast(_)) => {
                Self::AtLeast(self.value().unwrap_or(0).saturating_add(other.value().unwrap_or(0)))
            }
            (Self::Approx { value, as_of }, Self::Exact(more)) | (Self::Exact(more), Self::Approx { value, as_of }) => {
                Self::Approx { value: value.saturating_add(more), as_of }
            }
            (Self::Approx { value: a, as_of: x }, Self::Approx { value: b, as_of: y }) => {
                Self::Approx { value: a.saturating_add(b), as_of: x.min(y) }
            }
        }
    }
}

/// Age of the oldest waiting job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Oldest {
    /// It was created then.
    Since(Timestamp),
    /// Nothing waits.
    Nothing,
    /// Something waits, but its time is not known (yet).
    #[default]
    Unknown,
}

/// Why a queue as a whole does not run freely. All `None`/`false` means nothing known against it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Conditions {
    /// `None` where the system has no pause or it could not be read.
    pub paused: Option<bool>,
    /// A rate limit holds the queue until then.
    pub rate_limited_until: Option<Timestamp>,
    /// The most jobs that may be active at once on all workers, if set.
    pub concurrency: Option<u64>,
    /// Global rate limit: so many jobs per so long.
    pub rate_limit: Option<(u64, Duration)>,
}

/// How many workers serve a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WorkerCount {
    /// Alive, as far as known.
    pub alive: Option<u64>,
    /// There may be more: those that are alive show it together and cannot be counted.
    pub at_least: bool,
    /// Those of them that serve several queues and are counted at another one already.
    pub shared: u64,
    /// Busy among those.
    pub busy: Option<u64>,
}

/// Totals that only grow, from which rates are made. The zero point means nothing; only differences count.
///
/// An adapter gives what its system can tell cheaply and `None` for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Jobs ever added.
    pub added: Option<u64>,
    /// Jobs ever ended well or badly.
    pub finished: Option<u64>,
    /// Jobs ever ended badly.
    pub failed: Option<u64>,
}

/// Movement of a queue, made by the sampler from [`super::history`].
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Trend {
    /// Jobs added per second.
    pub in_per_s: Option<f64>,
    /// Jobs ended per second.
    pub out_per_s: Option<f64>,
    /// Jobs ended badly per second.
    pub failed_per_s: Option<f64>,
    /// When the backlog will be gone at this rate.
    pub drain: Drain,
    /// Waiting jobs over the last samples, oldest first, at most 60.
    pub backlog: Arc<[u64]>,
    /// How it moved from each of the last samples to the next, oldest first, at most 59.
    pub past: Arc<[Moment]>,
}

/// Movement between two samples. What was not known stays so.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Moment {
    /// Jobs added per second.
    pub in_per_s: Option<f32>,
    /// Jobs ended per second.
    pub out_per_s: Option<f32>,
    /// Jobs ended badly per second.
    pub failed_per_s: Option<f32>,
    /// Seconds the oldest waiting job had waited at the later sample; 0 if nothing waited.
    pub oldest_seconds: Option<f32>,
}

/// Estimate of when a queue will be empty.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Drain {
    /// Nothing waits.
    Empty,
    /// In about so long.
    In(Duration),
    /// Not at this rate: it grows by so many jobs per second (0: it stands still).
    Never {
        /// Growth in jobs per second.
        grows_per_s: f64,
    },
    /// Too little is known.
    #[default]
    Unknown,
}

/// How urgent a warning is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Look at it: ▲.
    Warn,
    /// Act now: ✖.
    Critical,
}

/// A finding about one queue or server, in words a person can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// How urgent.
    pub severity: Severity,
    /// Short stable code for JSON and tests, for example `no_workers`.
    pub code: &'static str,
    /// One sentence.
    pub text: String,
}

/// Code of the warning that a queue was written by a library qtop does not know: changes are refused unless forced (R23).
pub const UNKNOWN_LIBRARY: &str = "library_unknown";

/// What one tick learned about one queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSample {
    /// Which queue.
    pub id: QueueId,
    /// Version of the library that wrote the queue, as the queue itself tells, for example `6.7.0`.
    pub library_version: Option<Arc<str>>,
    /// Paused, rate limited.
    pub conditions: Conditions,
    /// One entry for each state of the system, in the system's order.
    pub counts: Vec<(StateId, Count)>,
    /// The oldest waiting job.
    pub oldest: Oldest,
    /// When the next scheduled job is due; `None` if there is none or it is not known.
    pub next_due: Option<Timestamp>,
    /// Due but not taken up, for systems in which somebody must move them.
    pub overdue: Option<u64>,
    /// Running jobs, newest first, at most 100; enough for counts per worker and the running screen.
    pub active_ids: Vec<JobId>,
    /// Growing totals for rates.
    pub totals: Totals,
    /// Rates and drain estimate; empty until the sampler fills it in.
    pub trend: Trend,
    /// Workers, if the tick could tell.
    pub workers: WorkerCount,
    /// When the queue last finished a job, if known.
    pub last_finished: Option<Timestamp>,
    /// Further facts in the system's own words, label and value: what it estimates or says of itself.
    pub facts: Vec<(&'static str, String)>,
    /// Findings of the adapter itself; rules over history add theirs in the snapshot.
    pub warnings: Vec<Warning>,
    /// Set if this queue's part could not be read; the counts are then unknown or of earlier.
    pub error: Option<String>,
}

impl QueueSample {
    /// A sample in which everything is unknown.
    pub fn unknown(id: QueueId, states: &[StateSpec]) -> Self {
        Self {
            id,
            library_version: None,
            conditions: Conditions::default(),
            counts: states.iter().map(|state| (state.id, Count::Unknown)).collect(),
            oldest: Oldest::Unknown,
            next_due: None,
            overdue: None,
            active_ids: Vec::new(),
            totals: Totals::default(),
            trend: Trend::default(),
            workers: WorkerCount::default(),
            last_finished: None,
            facts: Vec::new(),
            warnings: Vec::new(),
            error: None,
        }
    }

    /// The count of one state; `Unknown` if the system has no such state.
    pub fn count(&self, state: StateId) -> Count {
        self.counts.iter().find(|(id, _)| *id == state).map_or(Count::Unknown, |(_, count)| *count)
    }

    /// Replaces the count of one state the sample already has.
    pub fn set_count(&mut self, state: StateId, count: Count) {
        if let Some(slot) = self.counts.iter_mut().find(|(id, _)| *id == state) {
            slot.1 = count;
        }
    }

    /// Sum over all states of one kind; `None` if the system has no state of that kind.
    pub fn kind(&self, states: &[StateSpec], kind: StateKind) -> Option<Count> {
        states.iter().filter(|state| state.kind == kind).map(|state| self.count(state.id)).reduce(Count::plus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_with_an_unknown_part_is_unknown() {
        assert_eq!(Count::Exact(3).plus(Count::Unknown), Count::Unknown);
        assert_eq!(Count::Exact(3).plus(Count::Exact(4)), Count::Exact(7));
        assert_eq!(Count::AtLeast(1000).plus(Count::Exact(4)), Count::AtLeast(1004));
        assert_eq!(
            Count::Approx { value: 5, as_of: Timestamp(9) }.plus(Count::Approx { value: 6, as_of: Timestamp(7) }),
            Count::Approx { value: 11, as_of: Timestamp(7) }
        );
    }

    #[test]
    fn kinds_sum_the_states_that_mean_the_same() {
        const STATES: &[StateSpec] = &[
            StateSpec::new("wait", "Wait", StateKind::Waiting, 'W'),
            StateSpec::new("prioritized", "Prioritized", StateKind::Waiting, 'P'),
            StateSpec::new("active", "Active", StateKind::Active, 'A'),
        ];
        let mut sample = QueueSample::unknown(QueueId::new("x", "", "q"), STATES);
        sample.set_count(StateId("wait"), Count::Exact(2));
        sample.set_count(StateId("prioritized"), Count::Exact(5));
        assert_eq!(sample.kind(STATES, StateKind::Waiting), Some(Count::Exact(7)));
        assert_eq!(sample.kind(STATES, StateKind::Active), Some(Count::Unknown));
        assert_eq!(sample.kind(STATES, StateKind::Dead), None);
    }
}
