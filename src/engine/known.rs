//! The queues that are sampled, grouped into instances, with what their adapters remember.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Systems;
use crate::domain::ids::{InstanceId, Name, QueueId};
use crate::domain::snapshot::InstanceSample;
use crate::systems::{Instance, Memo, System};

/// One instance that is sampled.
pub struct Sampled {
    /// Its adapter.
    pub system: Arc<dyn System>,
    /// Its queues.
    pub instance: Instance,
    /// What the adapter remembers.
    pub memo: Memo,
    /// What the last good tick learned.
    pub last: Option<InstanceSample>,
}

/// All instances in the order of the registry, then by name.
#[derive(Default)]
pub struct Known(pub Vec<Sampled>);

impl Known {
    /// Follows the queues that are known now; memos of instances that stay are kept.
    pub fn follow<'a>(&mut self, systems: &Systems, queues: impl Iterator<Item = &'a QueueId>) {
        let mut wanted: BTreeMap<&InstanceId, Vec<Name>> = BTreeMap::new();
        for queue in queues {
            wanted.entry(&queue.instance).or_default().push(queue.name.clone());
        }
        let mut before: BTreeMap<InstanceId, Sampled> =
            std::mem::take(&mut self.0).into_iter().map(|sampled| (sampled.instance.id.clone(), sampled)).collect();
        for system in systems.iter() {
            for (id, names) in wanted.iter().filter(|(id, _)| id.system == system.spec().name) {
                let sampled = match before.remove(*id) {
                    Some(mut sampled) => {
                        sampled.instance.queues.clone_from(names);
                        sampled
                    }
                    None => Sampled {
                        system: Arc::clone(system),
                        instance: Instance { id: (*id).clone(), queues: names.clone() },
                        memo: Memo::default(),
                        last: None,
                    },
                };
                self.0.push(sampled);
            }
        }
    }

    /// Forgets what the adapters remember: the server is not the one it was.
    pub fn forget_memos(&mut self) {
        for sampled in &mut self.0 {
            sampled.memo = Memo::default();
        }
    }
}
