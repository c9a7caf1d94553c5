//! How a pool stands: what the screen, the metrics and whoever asks after its health are told.

use std::time::Instant;

use super::pool::{Pool, State};
use super::standstill::Standstill;
use super::wire::of_server;
use crate::domain::runner::{PoolState, PoolView};
use crate::systems::SystemError;

impl Pool {
    /// A request for jobs was answered; `hold`: none may be taken now.
    pub(super) fn answered(&self, hold: Option<String>) {
        let mut state = self.state();
        if !state.consuming {
            tracing::info!(queue = self.parts.address, "taking jobs");
        }
        state.consuming = true;
        state.trouble = None;
        state.hold = hold;
    }

    /// One was not.
    pub(super) fn troubled(&self, error: &SystemError) {
        let mut state = self.state();
        if state.consuming || state.trouble.is_none() {
            tracing::warn!(queue = self.parts.address, %error, "taking no jobs");
        }
        state.consuming = false;
        state.trouble = Some(error.to_string());
    }

    /// Whether the claims could be renewed now. With all slots full nothing else tells that the server is gone.
    pub(super) fn renewed(&self, result: Result<(), &SystemError>) {
        let mut state = self.state();
        if let (Err(error), None) = (result, &state.unrenewed) {
            tracing::warn!(queue = self.parts.address, %error, "claims cannot be renewed now");
        }
        state.unrenewed = result.err().map(|error| format!("claims cannot be renewed: {error}"));
    }

    /// Whether an outcome could be stored now. What is wrong with one job alone says nothing of the server.
    pub(super) fn stored(&self, result: Result<(), &SystemError>) {
        match result {
            Ok(()) => self.state().unstored = None,
            Err(error) if of_server(error) => {
                self.state().unstored = Some(format!("outcomes cannot be stored: {error}"));
            }
            Err(_) => {}
        }
    }

    /// For the screen.
    pub fn view(&self, now: Instant) -> PoolView {
        let state = self.state();
        let mean = state.stats.mean();
        PoolView {
            queue: self.parts.seat.queue.clone(),
            address: self.parts.address.clone(),
            state: self.word(&state),
            concurrency: state.concurrency,
            slots: state.slots.iter().map(|(number, slot)| slot.view(*number, mean, now)).collect(),
            counts: state.stats.counts,
            per_second: state.stats.per_second(),
            history: state.stats.history(),
            mean,
            run: state.stats.run(),
            wait: state.stats.wait(),
            handlers: self.parts.handlers.0.iter().map(|entry| entry.label.clone()).collect(),
            note: state
                .standstill
                .as_ref()
                .map(Standstill::note)
                .or_else(|| state.hold.clone())
                .or_else(|| state.trouble.clone())
                .or_else(|| state.unstored.clone())
                .or_else(|| state.unrenewed.clone())
                .or_else(|| self.consumer().remark(&self.parts.seat)),
        }
    }

    /// True while it runs nothing and takes whatever comes.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        state.slots.is_empty() && self.word(&state) == PoolState::Consuming
    }

    /// What it is doing.
    pub(super) fn word(&self, state: &State) -> PoolState {
        match () {
            () if state.ended => PoolState::Stopped,
            () if self.stop.is_cancelled() => PoolState::Draining,
            () if state.paused || state.resting => PoolState::Paused,
            () if state.standstill.is_some() => PoolState::Stuck,
            () if state.hold.is_some() => PoolState::Holding,
            () if state.consuming && state.unrenewed.is_none() && state.unstored.is_none() => PoolState::Consuming,
            () => PoolState::Connecting,
        }
    }
}
