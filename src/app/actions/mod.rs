//! Everything a person can do, declared once. Keys, help, footer, palette and the configuration's `[keys]` come from
//! [`ACTIONS`]; `update` matches [`ActionId`] exhaustively.
//!
//! A key means one thing on every screen. Lower case never destroys.

mod id;
mod table;

pub use id::ActionId;
pub use table::ACTIONS;

use super::screen::Screen;
use crate::domain::caps::Caps;

/// Where an action makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumIter)]
pub enum Scope {
    /// Everywhere.
    Global,
    /// Screens with a cursor or a text to search in.
    Lines,
    /// Screens with a table of rows.
    Table,
    /// Screens with something that folds.
    Tree,
    /// Screens on which a queue or job is selected.
    Target,
    /// Screens on which a job is selected.
    Jobs,
    /// The Scheduled screen.
    Schedules,
    /// Screens with something that goes on while one looks: a job, lines that are appended.
    Tail,
    /// The Queues screen.
    Queues,
    /// The Queue screen.
    Queue,
    /// The Job screen.
    Job,
    /// The Workers screen.
    Workers,
    /// The Runner screen.
    Runner,
}

impl Scope {
    /// True if the scope takes in a screen.
    pub fn covers(self, screen: &Screen) -> bool {
        use Screen as S;
        match self {
            Self::Global => true,
            Self::Lines => !matches!(screen, S::Server),
            Self::Table => {
                matches!(screen, S::Queues | S::Running | S::Failures | S::Workers | S::Scheduled | S::Queue(_))
            }
            Self::Tree => matches!(screen, S::Queues | S::Job(_)),
            Self::Target => {
                matches!(screen, S::Queues | S::Running | S::Failures | S::Scheduled | S::Queue(_) | S::Job(_))
            }
            Self::Jobs => matches!(screen, S::Running | S::Failures | S::Scheduled | S::Queue(_) | S::Job(_)),
            Self::Schedules => matches!(screen, S::Scheduled),
            Self::Tail => matches!(screen, S::Queue(_) | S::Job(_) | S::Logs),
            Self::Queues => matches!(screen, S::Queues),
            Self::Queue => matches!(screen, S::Queue(_)),
            Self::Job => matches!(screen, S::Job(_)),
            Self::Workers => matches!(screen, S::Workers),
            Self::Runner => matches!(screen, S::Runner),
        }
    }

    /// Heading in the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::Lines => "Lists and texts",
            Self::Table => "Tables",
            Self::Tree => "Trees",
            Self::Target => "Queues and jobs",
            Self::Jobs => "Jobs",
            Self::Schedules => "Schedules",
            Self::Tail => "Jobs and log lines",
            Self::Queues => "Queues",
            Self::Queue => "Queue",
            Self::Job => "Job",
            Self::Workers => "Workers",
            Self::Runner => "Runner",
        }
    }
}

/// What an action can do to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Danger {
    /// It only reads.
    Safe,
    /// It changes something and asks.
    Changes,
    /// It takes away what only the local trash can give back; what is worst asks for the queue's name.
    Destroys,
}

/// The declaration of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionSpec {
    /// Which action.
    pub id: ActionId,
    /// For help, palette and menu.
    pub title: &'static str,
    /// Where it makes sense.
    pub scope: Scope,
    /// Default keys; several keys in one text are pressed one after the other.
    pub keys: &'static [&'static str],
    /// What the target must be able to do.
    pub needs: Caps,
    /// What it can do to a queue.
    pub danger: Danger,
    /// Place among the footer's hints, lowest first, and the word shown there.
    pub footer: Option<(u8, &'static str)>,
    /// The command that prints or does the same without a screen.
    pub cli: Option<&'static str>,
}

const fn reads(id: ActionId, title: &'static str, scope: Scope, keys: &'static [&'static str]) -> ActionSpec {
    ActionSpec { id, title, scope, keys, needs: Caps::empty(), danger: Danger::Safe, footer: None, cli: None }
}

const fn changes(id: ActionId, title: &'static str, scope: Scope, keys: &'static [&'static str]) -> ActionSpec {
    ActionSpec { danger: Danger::Changes, ..reads(id, title, scope, keys) }
}

const fn destroys(id: ActionId, title: &'static str, scope: Scope, keys: &'static [&'static str]) -> ActionSpec {
    ActionSpec { danger: Danger::Destroys, ..reads(id, title, scope, keys) }
}

impl ActionSpec {
    const fn hint(self, place: u8, word: &'static str) -> Self {
        Self { footer: Some((place, word)), ..self }
    }

    const fn needs(self, needs: Caps) -> Self {
        Self { needs, ..self }
    }

    const fn cli(self, command: &'static str) -> Self {
        Self { cli: Some(command), ..self }
    }
}

/// Names of all actions, for checking the configuration's `[keys]`.
pub fn action_names() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|spec| spec.id.name())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use strum::IntoEnumIterator;

    use super::*;
    use crate::app::chord::{Chord, parse_sequence};

    #[test]
    fn every_action_is_declared_once() {
        let declared: Vec<ActionId> = ACTIONS.iter().map(|spec| spec.id).collect();
        assert_eq!(declared, ActionId::iter().collect::<Vec<_>>());
        let names: BTreeSet<_> = action_names().collect();
        assert_eq!(names.len(), ACTIONS.len());
        assert!(names.iter().all(|name| name.parse::<ActionId>().is_ok_and(|id| id.name() == *name)));
    }

    #[test]
    fn s13_one_key_has_one_meaning() {
        let mut seen: Vec<(Vec<Chord>, ActionId)> = Vec::new();
        for spec in ACTIONS {
            for keys in spec.keys {
                let keys = parse_sequence(keys).unwrap();
                for (other, id) in &seen {
                    let both = keys.len().min(other.len());
                    assert!(keys[..both] != other[..both], "{:?} and {id:?} share a key", spec.id);
                }
                seen.push((keys, spec.id));
            }
        }
    }

    #[test]
    fn s13_no_control_key_changes_a_queue_and_no_lower_case_key_destroys() {
        for spec in ACTIONS.iter().filter(|spec| spec.danger != Danger::Safe) {
            for keys in spec.keys {
                let keys = parse_sequence(keys).unwrap();
                assert!(super::super::keymap::may_run(spec.danger, &keys), "{:?} on {keys:?}", spec.id);
            }
        }
    }

    #[test]
    fn each_scope_covers_some_screen() {
        for scope in Scope::iter() {
            assert!(ACTIONS.iter().any(|spec| spec.scope == scope), "{scope:?} has no action");
        }
    }
}
