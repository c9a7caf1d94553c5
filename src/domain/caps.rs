//! What a system, or one instance of it, can do.

use super::mutation::{Ability, Verb};
use super::state::{StateKind, StateSpec};

bitflags::bitflags! {
    /// Capability flags. `SystemSpec` says what a system can ever do; a sample narrows it to what is possible now.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Caps: u32 {
        /// Jobs of a state can be listed.
        const LIST = 1;
        /// One job can be opened.
        const DETAIL = 1 << 1;
        /// Jobs keep log lines.
        const LOGS = 1 << 2;
        /// Workers can be told.
        const WORKERS = 1 << 3;
        /// A finished job can be queued again.
        const RETRY = 1 << 4;
        /// A job can be called off.
        const CANCEL = 1 << 5;
        /// A job can be deleted.
        const REMOVE = 1 << 6;
        /// A later job can be made to run now.
        const PROMOTE = 1 << 7;
        /// A queue can be paused and resumed.
        const PAUSE = 1 << 8;
        /// Waiting jobs can be deleted together.
        const DRAIN = 1 << 9;
        /// A job can be added.
        const ENQUEUE = 1 << 10;
        /// The runner may take jobs here.
        const CONSUME = 1 << 11;
        /// Repeatable jobs or schedulers can be listed.
        const SCHEDULES = 1 << 12;
        /// Jobs report progress.
        const PROGRESS = 1 << 13;
    }
}

impl Caps {
    /// What a system can change, by what it says it can do with jobs of its states.
    pub fn of_changes(abilities: &[Ability], states: &[StateSpec]) -> Self {
        let waiting = |ability: &Ability| {
            states.iter().any(|state| state.kind == StateKind::Waiting && ability.states.contains(&state.id))
        };
        abilities.iter().fold(Self::empty(), |caps, ability| {
            caps | match ability.verb {
                Verb::Retry | Verb::Requeue => Self::RETRY,
                Verb::Cancel => Self::CANCEL,
                Verb::Remove if waiting(ability) => Self::REMOVE | Self::DRAIN,
                Verb::Remove => Self::REMOVE,
                Verb::Promote => Self::PROMOTE,
                Verb::Pause => Self::PAUSE,
                Verb::Add => Self::ENQUEUE,
                _ => Self::empty(),
            }
        })
    }

    /// Every capability that changes something.
    pub const CHANGES: Self = Self::RETRY
        .union(Self::CANCEL)
        .union(Self::REMOVE)
        .union(Self::PROMOTE)
        .union(Self::PAUSE)
        .union(Self::DRAIN)
        .union(Self::ENQUEUE);
}
