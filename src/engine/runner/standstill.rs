//! A pool whose program cannot be started takes no jobs: each would only go back. One at a time is tried, less and less
//! often, until one starts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::pool::{Pool, State};
use super::work::Ending;
use crate::systems::consume::{Claim, Verdict};

/// Before the first job is tried.
const FIRST: Duration = Duration::from_secs(1);
/// Longest time between two; each is twice as long as the one before.
const LONGEST: Duration = Duration::from_secs(30);

/// What a pool knows of it.
#[derive(Debug)]
pub struct Standstill {
    /// What cannot be started and why, by the place of the handler.
    reasons: BTreeMap<usize, String>,
    /// The present wait and its end.
    wait: Duration,
    until: Instant,
    /// Slot of the job that is tried.
    trial: Option<usize>,
}

impl Standstill {
    fn begin(now: Instant) -> Self {
        Self { reasons: BTreeMap::new(), wait: FIRST, until: now + FIRST, trial: None }
    }

    /// For people. The reason comes first: on a narrow screen the end is cut.
    pub fn note(&self) -> String {
        let reasons: Vec<&str> = self.reasons.values().map(String::as_str).collect();
        format!("{}; no jobs are taken until one can be started", reasons.join("; "))
    }

    /// The job in this slot shows whether one can be started again.
    pub fn tries(&mut self, slot: usize) {
        self.trial = Some(slot);
    }

    /// Tries the next job without waiting.
    pub fn hurry(&mut self) {
        self.wait = FIRST;
        self.until = Instant::now();
    }

    /// The job that was tried could not be started either.
    fn failed(&mut self, slot: usize, now: Instant) {
        // Those that were taken with the first one say nothing new.
        if self.trial == Some(slot) {
            self.trial = None;
            self.wait = (self.wait * 2).min(LONGEST);
            self.until = now + self.wait;
        }
    }
}

impl State {
    /// Jobs that may be taken, as far as they can be started.
    pub(super) fn room(&self) -> usize {
        let Some(standstill) = &self.standstill else { return usize::MAX };
        let tried = standstill.trial.is_some_and(|slot| self.slots.contains_key(&slot));
        usize::from(!tried && standstill.until <= Instant::now())
    }
}

impl Pool {
    /// Learns from the end of an attempt whether programs can be started; by what the job goes back if its own could not.
    pub(super) fn learn(&self, slot: usize, claim: &Claim, ending: &Ending) -> Option<Verdict> {
        match ending {
            Ending::NotStarted { reason } => Some(self.stand_still(slot, claim, reason)),
            // It may have ended before anything was tried.
            Ending::Cancelled => None,
            _ => {
                self.goes(slot);
                None
            }
        }
    }

    fn stand_still(&self, slot: usize, claim: &Claim, reason: &str) -> Verdict {
        let now = Instant::now();
        let mut state = self.state();
        if state.standstill.is_none() {
            tracing::error!(queue = self.parts.address, reason, "takes no jobs until one can be started");
        }
        let standstill = state.standstill.get_or_insert_with(|| Standstill::begin(now));
        standstill.failed(slot, now);
        standstill.reasons.insert(self.handler_of(&claim.name), reason.to_owned());
        let wait = standstill.wait;
        drop(state);
        // Who waits for jobs must stop.
        self.changed.notify_one();
        match self.parts.handlers.0.len() {
            0 | 1 => self.consumer().unbegun(),
            // The next to be tried may be one that another handler takes.
            _ => Verdict::Postpone(wait),
        }
    }

    /// The program for the job in this slot has been started.
    pub(super) fn goes(&self, slot: usize) {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(standstill) = state.standstill.as_mut().filter(|standstill| standstill.trial == Some(slot)) else {
            return;
        };
        if let Some(slot) = state.slots.get(&slot) {
            standstill.reasons.remove(&self.handler_of(&slot.claim.name));
        }
        // Jobs of other handlers than those that cannot start go on meanwhile.
        standstill.trial = None;
        if standstill.reasons.is_empty() {
            state.standstill = None;
            tracing::info!(queue = self.parts.address, "jobs can be started again");
        }
        drop(guard);
        self.changed.notify_one();
    }

    /// The place of the handler that takes jobs of this name.
    fn handler_of(&self, name: &str) -> usize {
        self.parts.handlers.0.iter().position(|entry| (entry.takes)(name)).unwrap_or_default()
    }
}
