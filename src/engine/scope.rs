//! Which queues a person wants to see: `-q GLOB` and `--system NAME`.

use std::sync::Arc;

use crate::domain::address;
use crate::domain::ids::QueueId;
use crate::systems::System;

/// A filter over queues. The default lets everything pass.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Scope {
    /// Globs over bare names and addresses; empty: every queue.
    pub queues: Vec<String>,
    /// System names; empty: every system.
    pub systems: Vec<String>,
}

impl Scope {
    /// True if queues of that system may be shown.
    pub fn admits_system(&self, name: &str) -> bool {
        self.systems.is_empty() || self.systems.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
    }

    /// True if the queue may be shown.
    pub fn admits(&self, id: &QueueId) -> bool {
        if !self.admits_system(id.instance.system) {
            return false;
        }
        self.queues.is_empty() || {
            let name = id.name.to_text();
            let short = id.short_address();
            let full = id.full_address();
            self.queues.iter().any(|glob| [&name, &short, &full].into_iter().any(|text| address::glob(glob, text)))
        }
    }

    /// The queues themselves, if all are named by full address without a glob: the keyspace need not be searched.
    pub fn exact(&self, systems: &[Arc<dyn System>]) -> Option<Vec<QueueId>> {
        if self.queues.is_empty() {
            return None;
        }
        let names: Vec<_> = systems.iter().map(|system| system.spec().name).collect();
        self.queues.iter().map(|text| address::parse_full(text, &names)).collect()
    }
}
