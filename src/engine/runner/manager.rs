//! Keeps the pools: starts them once the server may be worked on, hears orders, shows what goes on, ends everything in
//! good order.

mod ending;
mod reach;
mod reload;
mod sign;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::backlog::{self, Backlogs};
use super::error::RunnerError;
use super::gate::Needs;
use super::metrics::{self, Pools};
use super::plan::{self, Common};
use super::pool::Pool;
use super::schedule;
use super::slot::wall;
use super::stats::RECENT;
use super::{Order, RunnerConfig, RunnerEnd};
use crate::config::{self, Runner, Timetable};
use crate::domain::ids::QueueId;
use crate::domain::runner::{RunnerCommand, RunnerCounts, RunnerState, RunnerView};
use crate::domain::time::Timestamp;

/// Between two views.
const SHOW: Duration = Duration::from_millis(250);
/// The same while somebody waits for the runner to sleep.
const NAP: Duration = Duration::from_millis(20);

/// The manager's ends of the channels.
pub struct Told {
    /// Newest wins.
    pub view: watch::Sender<Arc<RunnerView>>,
    /// What is asked.
    pub orders: mpsc::Receiver<Order>,
    /// Take no more jobs, and end with the last.
    pub drain: CancellationToken,
    /// The same within the grace time.
    pub stop: CancellationToken,
    /// End now.
    pub hurry: CancellationToken,
}

impl Told {
    /// True once somebody wants the end.
    fn is_over(&self) -> bool {
        self.drain.is_cancelled() || self.stop.is_cancelled() || self.hurry.is_cancelled()
    }

    /// The next order; `None`: somebody wants the end.
    async fn order(&mut self) -> Option<Order> {
        tokio::select! {
            () = self.drain.cancelled() => None,
            () = self.stop.cancelled() => None,
            () = self.hurry.cancelled() => None,
            Some(order) = self.orders.recv() => Some(order),
        }
    }

    /// The same within this time.
    async fn next(&mut self, within: Duration) -> Option<Order> {
        tokio::time::timeout(within, self.order()).await.ok().flatten()
    }
}

/// A pool with its tasks.
struct Running {
    pool: Arc<Pool>,
    /// Its table as it was last taken over: what differs from it in the next was changed there, not by a person here.
    config: config::Pool,
    work: JoinHandle<()>,
    keep: JoinHandle<()>,
    /// Ends the keeper.
    over: CancellationToken,
}

impl Running {
    /// Takes over what can be changed while it works.
    fn adopt(&mut self, config: &config::Pool) {
        if config.concurrency != self.config.concurrency {
            self.pool.resize(config.concurrency);
        }
        if config.paused != self.config.paused {
            self.pool.pause(config.paused);
        }
        self.config.clone_from(config);
    }

    /// Another pool takes over its queue, and what a person has set here.
    fn hand_over(&self, heir: &Arc<Pool>) {
        let (concurrency, paused) = {
            let state = self.pool.state();
            (state.concurrency, state.paused)
        };
        if heir.parts.config.concurrency == self.config.concurrency {
            heir.resize(concurrency);
        }
        if heir.parts.config.paused == self.config.paused {
            heir.pause(paused);
        }
        heir.succeed(&self.pool);
    }
}

/// A schedule that fires.
struct Ticking {
    timetable: Timetable,
    /// Through this pool.
    pool: Arc<Pool>,
    over: CancellationToken,
    last: schedule::Last,
}

/// The pools and what they share.
pub struct Manager {
    common: Common,
    runner: Runner,
    server: String,
    needs_check: bool,
    pools: Vec<Running>,
    /// The same pools, for the metrics.
    shown: Arc<Mutex<Vec<Arc<Pool>>>>,
    ticking: Vec<Ticking>,
    /// What the machine must have, for its gate.
    needs: watch::Sender<Needs>,
    /// What pools have done that are gone, and have no successor.
    past: RunnerCounts,
    since: Timestamp,
    /// When the next sign of life is due, and the task that gives the last.
    signed: Option<(Instant, JoinHandle<()>)>,
    metrics: Option<String>,
    /// What is wrong with the server.
    problem: Option<String>,
    /// What was wanted last and cannot be done.
    refused: Option<String>,
    /// No pool may take jobs until woken.
    resting: bool,
}

impl Manager {
    /// Checks everything that can be checked without the server.
    pub fn new(config: RunnerConfig) -> Result<Self, RunnerError> {
        let RunnerConfig { connect, server, systems, runner, build } = config;
        let common = Common::new(connect, systems, &runner, build);
        let planned = plan::pools(&common, &runner)?;
        let manager = Self {
            common,
            needs: watch::Sender::new(Needs::of(&runner)),
            runner,
            server,
            needs_check: true,
            pools: Vec::new(),
            shown: Arc::new(Mutex::new(planned)),
            ticking: Vec::new(),
            past: RunnerCounts::default(),
            since: wall(),
            signed: None,
            metrics: None,
            problem: None,
            refused: None,
            resting: false,
        };
        Ok(manager)
    }

    /// Runs until stopped.
    pub async fn run(mut self, mut told: Told) -> Result<RunnerEnd, RunnerError> {
        let over = CancellationToken::new();
        let _ends = over.clone().drop_guard();
        tokio::spawn(Arc::clone(&self.common.gate).watch(self.needs.subscribe(), over.clone()));
        let shown = Arc::clone(&self.shown);
        let pools: Pools = Arc::new(move || shown.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let backlogs = Backlogs::default();
        if let Some(address) = &self.runner.metrics {
            let (listener, bound) = metrics::listen(address).await?;
            self.metrics = Some(bound.to_string());
            tokio::spawn(metrics::serve(listener, Arc::clone(&pools), backlogs.clone(), over.clone()));
        }
        if self.reach(&mut told).await? {
            self.begin();
            if self.metrics.is_some() {
                tokio::spawn(backlog::watch(pools, Arc::clone(&self.common.wire), backlogs, over.clone()));
            }
        }
        while !told.is_over() {
            self.show(&told, self.word());
            self.sign();
            let nap = if self.resting { NAP } else { SHOW };
            if let Some(order) = told.next(nap).await {
                self.obey(order, &told);
            }
            self.bury();
        }
        Ok(self.end(&mut told).await)
    }

    /// Starts the planned pools.
    fn begin(&mut self) {
        let planned = std::mem::take(&mut *self.shown.lock().unwrap_or_else(PoisonError::into_inner));
        for pool in planned {
            self.launch(pool);
        }
        self.tick();
    }

    fn launch(&mut self, pool: Arc<Pool>) {
        pool.doze(self.resting);
        let over = CancellationToken::new();
        let work = tokio::spawn(Arc::clone(&pool).run());
        let keep = tokio::spawn(Arc::clone(&pool).keep(over.clone()));
        self.pools.push(Running { config: pool.parts.config.clone(), pool, work, keep, over });
        self.list();
    }

    /// Shows the metrics which pools there are.
    fn list(&self) {
        let pools = self.pools.iter().map(|running| Arc::clone(&running.pool)).collect();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = pools;
    }

    /// Lets go of pools that were drained and have ended. What they did is not forgotten.
    fn bury(&mut self) {
        let over = |running: &mut Running| running.pool.stop.is_cancelled() && running.work.is_finished();
        let gone: Vec<Running> = self.pools.extract_if(.., over).collect();
        for Running { pool, over, .. } in &gone {
            over.cancel();
            self.pools.iter().chain(&gone).for_each(|running| running.pool.bury(pool));
            let stats = std::mem::take(&mut pool.state().stats);
            let heir = pool.state().heir.clone();
            match heir {
                Some(heir) => heir.state().stats.absorb(stats),
                None => self.past += stats.counts,
            }
            let handlers = pool.parts.handlers.clone();
            tokio::spawn(async move { handlers.close().await });
        }
        if !gone.is_empty() {
            self.list();
        }
    }

    /// The pool of this queue: the one that takes jobs, else one that ends.
    fn find(&self, queue: &QueueId) -> Option<&Arc<Pool>> {
        let of = || self.pools.iter().map(|running| &running.pool).filter(|pool| pool.parts.seat.queue == *queue);
        of().find(|pool| !pool.stop.is_cancelled()).or_else(|| of().next())
    }

    /// What the runner as a whole does while nothing ends it.
    fn word(&self) -> RunnerState {
        match self.resting {
            true if self.pools.iter().all(|running| running.pool.is_asleep()) => RunnerState::Asleep,
            true => RunnerState::Resting,
            false => RunnerState::Running,
        }
    }

    fn doze(&mut self, resting: bool) {
        self.resting = resting;
        self.pools.iter().for_each(|running| running.pool.doze(resting));
    }

    fn obey(&mut self, order: Order, told: &Told) {
        match order {
            Order::Reload(runner) => self.reload(*runner),
            Order::Command(RunnerCommand::Drain) => told.drain.cancel(),
            Order::Command(RunnerCommand::PutBack) => told.hurry.cancel(),
            Order::Command(RunnerCommand::Rest { put_back }) => {
                self.doze(true);
                if put_back {
                    self.pools.iter().for_each(|running| running.pool.put_back());
                }
            }
            Order::Command(RunnerCommand::Wake) => self.doze(false),
            Order::Command(RunnerCommand::Pause(queue)) => {
                if let Some(pool) = self.find(&queue) {
                    pool.pause(true);
                }
            }
            Order::Command(RunnerCommand::Resume(queue)) => {
                if let Some(pool) = self.find(&queue) {
                    pool.pause(false);
                }
            }
            Order::Command(RunnerCommand::Resize(queue, concurrency)) => {
                if let Some(pool) = self.find(&queue) {
                    pool.resize(concurrency);
                }
            }
            Order::Command(RunnerCommand::Cancel(job)) => {
                for running in self.pools.iter().filter(|running| running.pool.parts.seat.queue == job.queue) {
                    running.pool.cancel(&job.id);
                }
            }
            Order::Command(RunnerCommand::RunCopy(job)) => match self.find(&job.queue) {
                Some(pool) if pool.stop.is_cancelled() => {
                    self.refused = Some(format!("the pool of {} ends: no copy is run", job.queue.short_address()));
                }
                Some(pool) => {
                    tokio::spawn(Arc::clone(pool).run_copy(job.id));
                }
                None => {
                    self.refused =
                        Some(format!("no pool works on {}: add one to run its jobs", job.queue.short_address()));
                }
            },
        }
    }

    fn show(&self, told: &Told, state: RunnerState) {
        let now = Instant::now();
        let pools: Vec<_> = self.pools.iter().map(|running| running.pool.view(now)).collect();
        let mut recent: Vec<_> = Vec::new();
        for running in &self.pools {
            recent.extend(running.pool.state().stats.recent.iter().cloned());
        }
        recent.sort_by_key(|result| std::cmp::Reverse(result.at));
        recent.truncate(RECENT);
        let view = RunnerView {
            name: self.common.name.clone(),
            server: self.server.clone(),
            state,
            since: self.since,
            at: wall(),
            pools,
            recent: recent.into(),
            past: self.past,
            problem: self.refused.clone().or_else(|| self.problem.clone()),
            metrics: self.metrics.clone(),
        };
        // Nobody need draw what looks the same.
        told.view.send_if_modified(|old| {
            let changed = RunnerView { at: old.at, ..view.clone() } != **old;
            if changed {
                *old = Arc::new(view);
            }
            changed
        });
    }
}
