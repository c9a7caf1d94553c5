//! The end: jobs end by themselves as long as they may, what is left goes back (R8).

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{Manager, NAP, Told};
use crate::domain::runner::{RunnerCommand, RunnerState};
use crate::engine::runner::{Order, RunnerEnd};

/// What a handler may need to end unless its configuration says more: a delivery still tells its status.
const HANDLER: Duration = Duration::from_secs(10);
/// Beyond that: for outcomes to be stored, also by a server that comes back just then.
const STORE: Duration = Duration::from_secs(5);
/// So long before the very end outcomes are given up that still wait to be stored.
const GIVE_UP: Duration = Duration::from_millis(300);

impl Manager {
    /// Waits for the jobs: without limit while it only drains, for the grace time once it is to stop. Then puts back the
    /// rest.
    pub(super) async fn end(mut self, told: &mut Told) -> RunnerEnd {
        for running in &self.pools {
            running.pool.stop.cancel();
        }
        let mut deadline = None;
        while !self.ended() && !told.hurry.is_cancelled() {
            if told.stop.is_cancelled() {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.runner.grace);
                if deadline <= Instant::now() {
                    break;
                }
            }
            self.attend(told).await;
        }
        let cut = if self.ended() { 0 } else { self.put_back(told).await };
        for running in &self.pools {
            running.over.cancel();
            running.pool.end_copies();
        }
        join_all(self.pools.iter().map(|running| running.pool.parts.handlers.close())).await;
        for running in &mut self.pools {
            // The keeper says goodbye within its own limit.
            drop((&mut running.keep).await);
        }
        self.say_goodbye().await;
        self.show(told, RunnerState::Stopped);
        RunnerEnd { cut }
    }

    /// Ends what runs and waits until it has gone back; tells how many jobs were cut off.
    async fn put_back(&mut self, told: &mut Told) -> u64 {
        let before = self.unfinished();
        for running in &self.pools {
            running.pool.end_all();
        }
        let last = Instant::now() + self.patience();
        while !self.ended() && Instant::now() < last {
            if Instant::now() + GIVE_UP >= last {
                self.pools.iter().for_each(|running| running.pool.give_up());
            }
            self.attend(told).await;
        }
        let left: usize = self.pools.iter().map(|running| running.pool.state().slots.len()).sum();
        self.unfinished() - before + left as u64
    }

    /// Attempts that were put back, or of which nothing was stored.
    fn unfinished(&self) -> u64 {
        let of = |counts: crate::domain::runner::RunnerCounts| counts.returned + counts.lost;
        self.pools.iter().map(|running| of(running.pool.state().stats.counts)).sum()
    }

    /// How long the slowest handler may take to end what it runs, and a little more.
    fn patience(&self) -> Duration {
        let handlers = self.pools.iter().flat_map(|running| &running.pool.parts.config.handlers);
        handlers.filter_map(|handler| handler.kill_after).max().unwrap_or_default().max(HANDLER) + STORE
    }

    fn ended(&self) -> bool {
        self.pools.iter().all(|running| running.work.is_finished())
    }

    /// One moment of the end: others see that the runner lives, and a person is heard.
    async fn attend(&mut self, told: &mut Told) {
        self.show(told, RunnerState::Draining);
        self.sign();
        let (stopping, hurrying) = (told.stop.is_cancelled(), told.hurry.is_cancelled());
        tokio::select! {
            () = told.stop.cancelled(), if !stopping => {}
            () = told.hurry.cancelled(), if !hurrying => {}
            () = tokio::time::sleep(NAP) => {}
            Some(order) = told.orders.recv() => self.heed(order, told),
        }
    }

    /// What can still be wanted of a runner that ends.
    fn heed(&mut self, order: Order, told: &Told) {
        match order {
            // It begins nothing any more; the next start reads the same file.
            Order::Reload(_) => {}
            Order::Command(RunnerCommand::Drain) => told.stop.cancel(),
            Order::Command(RunnerCommand::PutBack | RunnerCommand::Rest { put_back: true }) => told.hurry.cancel(),
            order => self.obey(order, told),
        }
    }
}
