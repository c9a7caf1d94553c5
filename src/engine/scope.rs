//! Which queues a person wants to see: `-q GLOB` and `--system NAME`.

use std::sync::Arc;

use crate::domain::address;
use crate::domain::ids::{Name, QueueId};
use crate::systems::System;

/// A filter over queues. The default lets everything pass.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Scope {
    /// Globs over bare names and addresses; empty: every queue.
    pub queues: Vec<String>,
    /// System names; empty: every system.
    pub systems: Vec<String>,
    /// Globs over keys that are no queues and over addresses of queues that are not shown.
    pub ignore: Vec<String>,
}

impl Scope {
    /// True if queues of that system may be shown.
    pub fn admits_system(&self, name: &str) -> bool {
        self.systems.is_empty() || self.systems.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
    }

    /// True if the queue may be shown.
    pub fn admits(&self, id: &QueueId) -> bool {
        if !self.admits_system(id.instance.system) || self.ignore.iter().any(|glob| names(glob, id)) {
            return false;
        }
        self.queues.is_empty() || self.queues.iter().any(|glob| names(glob, id))
    }

    /// True if something met by a walk may be, or have in it, a queue that may be shown. A stream is met by its own
    /// name, while its queues are its groups: `NAME/GROUP`.
    pub fn admits_sighting(&self, id: &QueueId) -> bool {
        let inside = |glob: &String| glob.split_once('/').is_some_and(|(start, _)| names(start, id));
        let ignored = self.ignore.iter().any(|glob| names(glob, id));
        self.admits(id) || (!ignored && self.admits_system(id.instance.system) && self.queues.iter().any(inside))
    }

    /// True if a key may be offered as a queue.
    pub fn admits_key(&self, key: &Name) -> bool {
        let text = key.to_text();
        !self.ignore.iter().any(|glob| address::glob(glob, &text))
    }

    /// True if a sampled queue may be shown: itself, or as a part of what was named.
    pub fn admits_sample(&self, id: &QueueId) -> bool {
        let ignored = self.ignore.iter().any(|glob| names(glob, id));
        self.admits(id) || (!ignored && whole(id).is_some_and(|whole| self.admits(&whole)))
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

fn names(glob: &str, id: &QueueId) -> bool {
    let texts = [id.name.to_text(), id.short_address(), id.full_address()];
    texts.iter().any(|text| address::glob(glob, text))
}

/// What a queue called `NAME/PART` is a part of.
pub fn whole(id: &QueueId) -> Option<QueueId> {
    let name = id.name.as_bytes();
    let slash = name.iter().position(|byte| *byte == b'/')?;
    Some(QueueId { instance: id.instance.clone(), name: Name::from(&name[..slash]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_admitted_by_its_own_name_and_by_its_streams() {
        let stream = QueueId::new("stream", "", "events");
        let group = QueueId::new("stream", "", "events/workers");
        let other = QueueId::new("stream", "", "events/audit");
        let scope = |glob: &str| Scope { queues: vec![glob.to_owned()], ..Scope::default() };
        for glob in ["events/workers", "events/w*", "stream:events/workers", "*/workers"] {
            let scope = scope(glob);
            assert!(scope.admits_sighting(&stream) && scope.admits_sample(&group), "{glob}");
            assert!(!scope.admits_sample(&other), "{glob}");
        }
        let scope = scope("events");
        assert!(scope.admits_sighting(&stream) && scope.admits_sample(&group) && scope.admits_sample(&other));
        let mail = QueueId::new("bullmq", "bull", "mail");
        let ignoring = Scope { ignore: vec!["bullmq@*:ma*".to_owned(), "app:state:*".to_owned()], ..Scope::default() };
        assert!(!ignoring.admits(&mail) && !ignoring.admits_sample(&mail) && ignoring.admits(&group));
        assert!(!ignoring.admits_key(&"app:state:queue".into()) && ignoring.admits_key(&"app:queue".into()));
        assert!(!scope.admits_sighting(&mail) && !scope.admits_sample(&mail));
    }
}
