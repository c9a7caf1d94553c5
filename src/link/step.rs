//! Where a connection attempt is, for saying which step took too long.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::error::ConnectStep;

const STEPS: [ConnectStep; 4] = [ConnectStep::Lookup, ConnectStep::Open, ConnectStep::Tls, ConnectStep::Login];

/// The step under way. Shared between the attempt and its time limit, which may run on different threads.
#[derive(Debug, Default)]
pub(super) struct StepNote(AtomicUsize);

impl StepNote {
    pub(super) fn set(&self, step: ConnectStep) {
        self.0.store(STEPS.iter().position(|known| *known == step).unwrap_or(0), Relaxed);
    }

    pub(super) fn get(&self) -> ConnectStep {
        STEPS[self.0.load(Relaxed)]
    }
}
