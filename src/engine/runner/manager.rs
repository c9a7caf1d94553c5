//! Keeps the pools: starts them once the server may be worked on, hears orders, shows what goes on, ends everything in
//! good order.

mod reach;
mod reload;
mod sign;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::RunnerError;
use super::gate::Needs;
use super::metrics;
use super::plan::{self, Common};
use super::pool::Pool;
use super::schedule;
use super::slot::wall;
use super::stats::RECENT;
use super::{Order, RunnerConfig, RunnerEnd};
use crate::config::Runner;
use crate::domain::runner::{RunnerCommand, RunnerState, RunnerView};
use crate::domain::time::Timestamp;
use crate::link::cmd;

/// Between two views.
const SHOW: Duration = Duration::from_millis(250);
/// The same while somebody waits for the runner to sleep.
const NAP: Duration = Duration::from_millis(20);
/// Between two signs of life of the runner as a whole, and how long one holds.
const SIGN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(20));
/// After the grace time: for handlers to end and for jobs to be put back.
const LAST: Duration = Duration::from_secs(10);

/// The manager's ends of the channels.
pub struct Told {
    /// Newest wins.
    pub view: watch::Sender<Arc<RunnerView>>,
    /// What is asked.
    pub orders: mpsc::Receiver<Order>,
    /// Take no more jobs, and end.
    pub stop: CancellationToken,
    /// End now.
    pub hurry: CancellationToken,
}

/// A pool with its tasks.
struct Running {
    pool: Arc<Pool>,
    work: JoinHandle<()>,
    keep: JoinHandle<()>,
    /// Ends the keeper, and the schedules.
    over: CancellationToken,
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
    since: Timestamp,
    metrics: Option<String>,
    problem: Option<String>,
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
            runner,
            server,
            needs_check: true,
            pools: Vec::new(),
            shown: Arc::new(Mutex::new(planned)),
            since: wall(),
            metrics: None,
            problem: None,
            resting: false,
        };
        Ok(manager)
    }

    /// Runs until stopped.
    pub async fn run(mut self, mut told: Told) -> Result<RunnerEnd, RunnerError> {
        let over = CancellationToken::new();
        let _ends = over.clone().drop_guard();
        tokio::spawn(Arc::clone(&self.common.gate).watch(Needs::of(&self.runner), over.clone()));
        if let Some(address) = &self.runner.metrics {
            let (listener, bound) = metrics::listen(address).await?;
            self.metrics = Some(bound.to_string());
            let shown = Arc::clone(&self.shown);
            let pools = Arc::new(move || shown.lock().unwrap_or_else(PoisonError::into_inner).clone());
            tokio::spawn(metrics::serve(listener, pools, over.clone()));
        }
        if self.reach(&mut told).await? {
            self.begin();
        }
        let mut sign = Instant::now();
        while !told.stop.is_cancelled() {
            self.show(&told, self.word());
            if sign <= Instant::now() {
                sign = Instant::now() + SIGN.0;
                self.sign();
            }
            tokio::select! {
                () = told.stop.cancelled() => break,
                () = told.hurry.cancelled() => break,
                () = tokio::time::sleep(if self.resting { NAP } else { SHOW }) => {}
                Some(order) = told.orders.recv() => self.obey(order, &told),
            }
            self.bury();
        }
        Ok(self.end(&told).await)
    }

    /// Starts the planned pools.
    fn begin(&mut self) {
        let planned = std::mem::take(&mut *self.shown.lock().unwrap_or_else(PoisonError::into_inner));
        for pool in planned {
            self.launch(pool);
        }
    }

    fn launch(&mut self, pool: Arc<Pool>) {
        pool.doze(self.resting);
        let over = CancellationToken::new();
        for timetable in self.runner.schedules.iter().filter(|timetable| timetable.queue == pool.parts.address) {
            tokio::spawn(schedule::run(Arc::clone(&pool), timetable.clone(), pool.stop.clone()));
        }
        let work = tokio::spawn(Arc::clone(&pool).run());
        let keep = tokio::spawn(Arc::clone(&pool).keep(over.clone()));
        self.pools.push(Running { pool, work, keep, over });
        self.list();
    }

    /// Shows the metrics which pools there are.
    fn list(&self) {
        let pools = self.pools.iter().map(|running| Arc::clone(&running.pool)).collect();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = pools;
    }

    /// Lets go of pools that were drained and have ended.
    fn bury(&mut self) {
        let before = self.pools.len();
        self.pools.retain(|running| {
            let gone = running.pool.stop.is_cancelled() && running.work.is_finished();
            if gone {
                running.over.cancel();
                let handlers = running.pool.parts.handlers.clone();
                tokio::spawn(async move { handlers.close().await });
            }
            !gone
        });
        if self.pools.len() != before {
            self.list();
        }
    }

    fn find(&self, queue: &crate::domain::ids::QueueId) -> Option<&Arc<Pool>> {
        let alive = self.pools.iter().map(|running| &running.pool);
        alive.filter(|pool| !pool.stop.is_cancelled()).find(|pool| pool.parts.seat.queue == *queue)
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
            Order::Command(RunnerCommand::Drain) => told.stop.cancel(),
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
                Some(pool) => {
                    tokio::spawn(Arc::clone(pool).run_copy(job.id));
                }
                None => {
                    self.problem =
                        Some(format!("no pool works on {}: add one to run its jobs", job.queue.short_address()))
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
            problem: self.problem.clone(),
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

    /// Lets the jobs end within the grace time and puts back the rest (R8).
    async fn end(mut self, told: &Told) -> RunnerEnd {
        for running in &self.pools {
            running.pool.stop.cancel();
        }
        let counted =
            |pools: &[Running]| -> u64 { pools.iter().map(|running| running.pool.state().stats.counts.returned).sum() };
        let deadline = Instant::now() + self.runner.grace;
        while !self.ended() && Instant::now() < deadline && !told.hurry.is_cancelled() {
            self.show(told, RunnerState::Draining);
            self.pause_for(told).await;
        }
        let before = counted(&self.pools);
        if !self.ended() {
            for running in &self.pools {
                running.pool.end_all();
            }
            let last = Instant::now() + LAST;
            while !self.ended() && Instant::now() < last {
                self.show(told, RunnerState::Draining);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let cut = counted(&self.pools) - before;
        let unfinished = self.pools.iter().map(|running| running.pool.state().slots.len() as u64).sum::<u64>();
        for running in &self.pools {
            running.over.cancel();
            running.pool.parts.handlers.close().await;
        }
        for running in &mut self.pools {
            // The keeper says goodbye within its own limit.
            drop((&mut running.keep).await);
        }
        if let Ok(link) = tokio::time::timeout(Duration::from_secs(1), self.common.wire.control()).await
            && let Ok(link) = link
        {
            drop(link.ask(cmd("DEL").arg(format!("qtop:runner:{}", self.common.name)).to_owned()).await);
        }
        self.show(told, RunnerState::Stopped);
        RunnerEnd { cut: cut + unfinished }
    }

    fn ended(&self) -> bool {
        self.pools.iter().all(|running| running.work.is_finished())
    }

    async fn pause_for(&self, told: &Told) {
        tokio::select! {
            () = told.hurry.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
}
