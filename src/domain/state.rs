//! States of a job: the system's own word, and a kind that all systems share.

use std::fmt;

/// What a state means, whatever the system calls it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, strum::EnumIter, strum::EnumString, strum::IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum StateKind {
    /// Ready to be taken by a worker.
    Waiting,
    /// Taken by a worker and not yet settled.
    Active,
    /// To be run at a known later time.
    Scheduled,
    /// Failed before and waiting for its next attempt.
    Retrying,
    /// Waiting for other jobs.
    Blocked,
    /// Ended well.
    Completed,
    /// Ended badly; a person may retry it.
    Failed,
    /// In a dead-letter place: the system will not touch it again.
    Dead,
    /// Ended because somebody asked for it.
    Cancelled,
    /// Anything else.
    Other,
}

impl StateKind {
    /// True while the job still has something ahead of it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Active | Self::Scheduled | Self::Retrying | Self::Blocked)
    }

    /// True for states a person wants to hear of at three in the morning.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Dead)
    }

    /// The name used in JSON and on the command line, for example `waiting`.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// A state by the system's own name, for example `waiting-children`. Unique inside one system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub &'static str);

impl fmt::Display for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// How a system describes one of its states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSpec {
    /// The system's own word, used in addresses, JSON and `--state`.
    pub id: StateId,
    /// Tab title, capitalised.
    pub title: &'static str,
    /// The title where room is scarce: still a word a person understands, of six letters or so.
    pub short: &'static str,
    /// What it means.
    pub kind: StateKind,
    /// One ASCII letter shown beside the colour, unique inside the system.
    pub letter: char,
    /// Its jobs stand in a list, which is walked to take one out (P15).
    pub in_list: bool,
}

impl StateSpec {
    /// For static tables.
    pub const fn new(id: &'static str, title: &'static str, kind: StateKind, letter: char) -> Self {
        Self { id: StateId(id), title, short: title, kind, letter, in_list: false }
    }

    /// The same with a shorter title.
    pub const fn or_short(self, short: &'static str) -> Self {
        Self { short, ..self }
    }

    /// Of jobs that stand in a list.
    pub const fn listed(self) -> Self {
        Self { in_list: true, ..self }
    }
}
