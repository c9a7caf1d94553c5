//! One pool: takes jobs of one queue as long as slots are free, and waits on a connection of its own when there are
//! none.
//!
//! A blocking read is never given up half way (R3): it runs as a task of its own, and to stop it the server is told to
//! end it. Whatever it brings then goes back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, RwLock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::execute::Handlers;
use super::gate::Gate;
use super::outbox::Outbox;
use super::plan::Basis;
use super::policy::Terms;
use super::slot::Slot;
use super::standstill::Standstill;
use super::stats::Stats;
use super::waiting::Waiting;
use super::wire::{Patience, Wire, uncertain};
use crate::config;
use crate::domain::ids::JobId;
use crate::systems::consume::{Claim, Claimed, Consume, Seat, Settled};
use crate::systems::{System, SystemError};

/// Longest blocking read; well below the limit for its reply (R3).
pub(super) const BLOCK: Duration = Duration::from_secs(5);
/// How often a pool that takes nothing looks whether it may again.
const LOOK: Duration = Duration::from_millis(500);
/// Most jobs taken by one request: a large batch would hold up the server and the other runners.
const BATCH: usize = 50;

/// What a pool is made of.
pub struct Parts {
    /// The queue as the configuration names it.
    pub address: String,
    /// The queue's system; it has a consumer.
    pub system: Arc<dyn System>,
    /// This runner's place at the queue.
    pub seat: Seat,
    /// Connections.
    pub wire: Arc<Wire>,
    /// What runs the jobs.
    pub handlers: Handlers,
    /// The pool's table.
    pub config: config::Pool,
    /// What holds for jobs that no handler takes.
    pub terms: Arc<Terms>,
    /// What it has of the whole runner's table.
    pub basis: Basis,
    /// Whether the machine has room.
    pub gate: Arc<Gate>,
}

/// One pool at work.
pub struct Pool {
    pub(super) parts: Parts,
    state: Mutex<State>,
    /// Something the coordinator should look at: a free slot, another size, pause or resume.
    pub(super) changed: Notify,
    /// No more jobs are taken.
    pub(super) stop: CancellationToken,
    /// What runs goes back.
    pub(super) ending: CancellationToken,
    /// Outcomes that cannot be stored are given up.
    pub(super) cut: CancellationToken,
    /// Held for reading while a request that may bring a job has not delivered it; for writing by the search for jobs
    /// nobody knows of.
    pub(super) taking: RwLock<()>,
    pub(super) outbox: Outbox,
}

/// What changes while a pool works.
pub struct State {
    /// Running jobs by slot.
    pub slots: BTreeMap<usize, Slot>,
    /// What was done.
    pub stats: Stats,
    /// Jobs that may run at once.
    pub concurrency: usize,
    /// A person wants no more jobs taken.
    pub paused: bool,
    /// The whole runner rests: the process is about to be stopped (U2).
    pub resting: bool,
    /// A request that may bring jobs is under way.
    pub asking: bool,
    /// The last request for jobs was answered.
    pub consuming: bool,
    /// Why nothing is taken.
    pub hold: Option<String>,
    /// Its program cannot be started.
    pub standstill: Option<Standstill>,
    /// What went wrong last.
    pub trouble: Option<String>,
    /// Why claims cannot be renewed.
    pub unrenewed: Option<String>,
    /// Why outcomes cannot be stored.
    pub unstored: Option<String>,
    /// When the first job becomes due that was put off here: a wait that began before knows nothing of it.
    pub due: Option<Instant>,
    /// A request was lost that may have brought jobs.
    pub strays: bool,
    /// The pool whose queue this one has taken over, while that has jobs.
    pub elder: Option<Arc<Pool>>,
    /// The pool that has taken over this one's queue.
    pub heir: Option<Arc<Pool>>,
    /// The pool has ended.
    pub ended: bool,
}

impl Pool {
    /// Ready to be run.
    pub fn new(parts: Parts) -> Arc<Self> {
        let state = State {
            slots: BTreeMap::new(),
            stats: Stats::default(),
            concurrency: parts.config.concurrency,
            paused: parts.config.paused,
            resting: false,
            asking: false,
            consuming: false,
            hold: None,
            standstill: None,
            trouble: None,
            unrenewed: None,
            unstored: None,
            due: None,
            strays: false,
            elder: None,
            heir: None,
            ended: false,
        };
        Arc::new(Self {
            parts,
            state: Mutex::new(state),
            changed: Notify::new(),
            stop: CancellationToken::new(),
            ending: CancellationToken::new(),
            cut: CancellationToken::new(),
            taking: RwLock::new(()),
            outbox: Outbox::default(),
        })
    }

    /// The state; held for moments only, and by nobody who draws (R4).
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The protocol of the queue's system.
    pub(super) fn consumer(&self) -> &dyn Consume {
        self.parts.system.consumer().expect("a pool is only made for a system with a consumer")
    }

    /// Takes jobs until stopped and returns when the last has ended.
    pub async fn run(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        let mut patience = Patience::default();
        let mut own = None;
        while !self.stop.is_cancelled() {
            while tasks.try_join_next().is_some() {}
            let free = self.free();
            if free == 0 {
                self.rest(LOOK).await;
                continue;
            }
            let round = self.round(free, &mut own, &mut tasks).await;
            self.state().asking = false;
            match round {
                Ok(()) => patience.reset(),
                Err(error) => {
                    self.troubled(&error);
                    self.parts.wire.learn(&error).await;
                    self.rest(patience.failed()).await;
                }
            }
        }
        drop(own);
        while tasks.join_next().await.is_some() {}
        self.state().ended = true;
    }

    /// One request for jobs, and the wait after it if there were too few.
    async fn round(
        self: &Arc<Self>,
        free: usize,
        own: &mut Option<Waiting>,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), SystemError> {
        self.find_strays().await?;
        let link = self.parts.wire.control().await?;
        let claimed = self.consumer().claim(&link, &self.parts.seat, free.min(BATCH)).await;
        let claimed = claimed.inspect_err(|error| self.suspect(error))?;
        self.answered(claimed.hold.as_ref().map(|(_, reason)| reason.clone()).filter(|reason| !reason.is_empty()));
        let Claimed { claims, patience, hold } = claimed;
        let enough = claims.len() >= free.min(BATCH);
        self.admit(claims, tasks).await;
        if enough || self.stop.is_cancelled() {
            return Ok(());
        }
        if let Some((left, _)) = hold {
            self.rest(left.clamp(Duration::from_millis(5), LOOK)).await;
            return Ok(());
        }
        let limit = patience.map_or(BLOCK, |patience| patience.min(BLOCK));
        let claimed = self.wait(own, limit).await.inspect_err(|error| self.suspect(error))?;
        self.admit(claimed.claims, tasks).await;
        Ok(())
    }

    /// Starts what was taken; what came too late goes back.
    async fn admit(self: &Arc<Self>, claims: Vec<Claim>, tasks: &mut JoinSet<()>) {
        for claim in claims.into_iter().map(Arc::new) {
            if !self.may_take() {
                self.give_back(&claim).await;
                continue;
            }
            let number = {
                let mut state = self.state();
                let number = (1..).find(|number| !state.slots.contains_key(number)).unwrap_or(usize::MAX);
                state.slots.insert(number, Slot::new(Arc::clone(&claim)));
                if let Some(standstill) = &mut state.standstill {
                    standstill.tries(number);
                }
                number
            };
            let pool = Arc::clone(self);
            tasks.spawn(async move { pool.work(number, claim).await });
        }
    }

    /// Puts a job back as if it had not been taken.
    pub(super) async fn give_back(&self, claim: &Claim) {
        let put = async {
            let link = self.parts.wire.control().await?;
            self.consumer().settle(&link, &self.parts.seat, claim, &self.consumer().unbegun(), false).await
        };
        match put.await {
            Ok(Settled::Stored(_)) => self.state().stats.counts.returned += 1,
            // Its claim ends by itself; until then it is out of reach, not lost.
            Ok(_) => {}
            Err(error) => tracing::warn!(queue = self.parts.address, %error, "a job could not be put back at once"),
        }
    }

    /// Jobs that may be taken now. If there are any, a request for them counts as under way from here on: nobody may
    /// think in between that the pool sleeps.
    fn free(&self) -> usize {
        let closed = self.parts.gate.closed();
        let elders = self.elders();
        let mut state = self.state();
        if state.paused || state.resting {
            state.hold = None;
            return 0;
        }
        if let Some(reason) = closed {
            state.hold = Some(reason);
            return 0;
        }
        let free = state.concurrency.saturating_sub(state.slots.len() + elders).min(state.room());
        state.asking = free > 0;
        free
    }

    /// Takes no more jobs until woken.
    pub fn doze(&self, resting: bool) {
        self.state().resting = resting;
        self.changed.notify_one();
    }

    /// True if it holds nothing and nothing is on its way to it.
    pub fn is_asleep(&self) -> bool {
        let state = self.state();
        state.slots.is_empty() && !state.asking && (state.resting || state.ended)
    }

    /// Ends all running jobs so that they go back; others may be taken later.
    pub fn put_back(&self) {
        for slot in self.state().slots.values_mut() {
            slot.end(super::slot::Cause::Grace);
        }
    }

    /// True if a job that is there may be started.
    pub(super) fn may_take(&self) -> bool {
        let state = self.state();
        !self.stop.is_cancelled() && !state.paused && !state.resting && state.room() > 0
    }

    /// True if a slot that has ended its job may take the next in the same step.
    pub(super) fn may_chain(&self) -> bool {
        let closed = self.parts.gate.closed().is_some();
        let elders = self.elders();
        let state = self.state();
        !self.stop.is_cancelled()
            && !state.paused
            && !state.resting
            && !closed
            && state.standstill.is_none()
            && state.slots.len() + elders <= state.concurrency
    }

    async fn rest(&self, span: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.changed.notified() => {}
            () = tokio::time::sleep(span) => {}
        }
    }

    /// Remembers that a lost answer may have brought jobs.
    pub(super) fn suspect(&self, error: &SystemError) {
        if uncertain(error) {
            self.state().strays = true;
        }
    }

    async fn find_strays(&self) -> Result<(), SystemError> {
        if !self.state().strays {
            return Ok(());
        }
        let _nothing_on_its_way = self.taking.write().await;
        let claims = self.held();
        let link = self.parts.wire.control().await?;
        let found = self.consumer().strays(&link, &self.parts.seat, &claims).await?;
        if found > 0 {
            tracing::info!(queue = self.parts.address, found, "put back jobs whose answer was lost");
        }
        self.state().strays = false;
        Ok(())
    }

    /// Claims of the running jobs.
    pub(super) fn held(&self) -> Vec<Claim> {
        self.state().slots.values().map(|slot| Claim::clone(&slot.claim)).collect()
    }

    /// Changes how many jobs may run at once.
    pub fn resize(&self, concurrency: usize) {
        let concurrency = concurrency.max(1);
        self.state().concurrency = concurrency;
        self.parts.handlers.resize(concurrency);
        self.changed.notify_one();
    }

    /// Takes no more jobs, or takes them again.
    pub fn pause(&self, paused: bool) {
        let mut state = self.state();
        state.paused = paused;
        if let Some(standstill) = state.standstill.as_mut().filter(|_| !paused) {
            standstill.hurry();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Ends a running job; false if it does not run here.
    pub fn cancel(&self, id: &JobId) -> bool {
        let mut state = self.state();
        let Some(slot) = state.slots.values_mut().find(|slot| slot.claim.id == *id) else { return false };
        slot.end(super::slot::Cause::Person);
        true
    }

    /// Ends all running jobs and copies, so that the jobs go back.
    pub fn end_all(&self) {
        self.put_back();
        self.end_copies();
    }

    /// Ends the copies that run.
    pub fn end_copies(&self) {
        self.ending.cancel();
    }

    /// Outcomes that still wait to be stored are given up.
    pub fn give_up(&self) {
        self.cut.cancel();
    }
}
