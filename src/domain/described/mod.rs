//! Queues that only a person can describe: which end of a list is next, what an item is, where the dead ones go.
//!
//! Read from the configuration's `[[list]]` tables and handed to the adapters as plain data. Nothing here is guessed:
//! what a description does not say is unknown to qtop.

mod arq;
mod check;
mod check_convention;
mod convention;
mod field;
mod laravel;
mod list;
mod slots;

pub use arq::ArqQueue;
pub use check::{Problem, literal_prefix};
pub use convention::{
    Absence, AddJob, CancelFlag, Convention, Edit, Meaning, OutcomeRule, Owner, OwnerKind, ProgressSource,
    RECIPE_COMMANDS, Recipe, RecipeVerb, SourceKind,
};
pub use field::{Decoder, Paths, TimeField, TimeUnit, decoder, split_path};
pub use laravel::{Application, FailedDriver, FailedStore};
pub use list::{
    Counters, DeadKind, DeadLetters, Delayed, End, Fields, Heartbeat, HeartbeatKind, ItemKind, ListSpec, Pause,
    Progress, ProgressKind, Record, RecordKind,
};
pub use slots::{Allowed, Slot, Slots, Values};

/// All descriptions of one configuration.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Described {
    /// Plain lists.
    pub lists: Vec<ListSpec>,
    /// ARQ queues.
    pub arq: Vec<ArqQueue>,
    /// Laravel applications.
    pub laravel: Vec<Application>,
    /// What applications agree upon beside their queue systems.
    pub conventions: Vec<Convention>,
}

impl Described {
    /// Only what holds on one server: descriptions that name no server, or this one.
    pub fn for_server(&self, server: &str) -> Self {
        let holds = |servers: &Paths| servers.is_empty() || servers.iter().any(|name| name == server);
        Self {
            lists: self.lists.iter().filter(|list| holds(&list.servers)).cloned().collect(),
            arq: self.arq.iter().filter(|queue| holds(&queue.servers)).cloned().collect(),
            laravel: self.laravel.iter().filter(|application| holds(&application.servers)).cloned().collect(),
            conventions: self.conventions.iter().filter(|convention| holds(&convention.servers)).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
