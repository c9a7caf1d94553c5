//! One pool in the place of another, after the configuration of its queue has changed: together they run no more jobs
//! than allowed, and what was counted stays counted.

use std::sync::Arc;

use super::pool::Pool;

impl Pool {
    /// Takes the place of another pool, which takes no more jobs from now on.
    pub fn succeed(self: &Arc<Self>, elder: &Arc<Self>) {
        self.state().elder = Some(Arc::clone(elder));
        elder.state().heir = Some(Arc::clone(self));
        elder.stop.cancel();
    }

    /// Slots in which jobs of those before it still run.
    pub(super) fn elders(&self) -> usize {
        let Some(elder) = self.state().elder.clone() else { return 0 };
        let slots = elder.state().slots.len();
        slots + elder.elders()
    }

    /// A slot has become free: here, and for whoever comes after.
    pub(super) fn freed(&self) {
        self.changed.notify_one();
        let heir = self.state().heir.clone();
        if let Some(heir) = heir {
            heir.freed();
        }
    }

    /// Lets go of a pool that has ended, if this one stands before or after it.
    pub fn bury(&self, gone: &Arc<Self>) {
        let is = |known: &Option<Arc<Self>>| known.as_ref().is_some_and(|known| Arc::ptr_eq(known, gone));
        let (elder, heir) = {
            let gone = gone.state();
            (gone.elder.clone(), gone.heir.clone())
        };
        let mut state = self.state();
        if is(&state.elder) {
            state.elder = elder;
        }
        if is(&state.heir) {
            state.heir = heir;
        }
    }
}
