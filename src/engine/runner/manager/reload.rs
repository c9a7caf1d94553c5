//! Another configuration while pools work.

use std::sync::{Arc, PoisonError};

use super::super::plan::{self, Basis};
use super::super::pool::Pool;
use super::super::schedule;
use super::{Manager, Ticking};
use crate::config::{self, Runner};
use crate::engine::runner::gate::Needs;

impl Manager {
    /// Another configuration: what is the same goes on, what is new begins, what is gone drains, what is different drains
    /// beside its successor. A pool that cannot be made anew goes on as it was: one mistake stops nothing that works.
    pub(super) fn reload(&mut self, runner: Runner) {
        let mut problems = Vec::new();
        if self.needs_check {
            self.replan(&runner, &mut problems);
        } else {
            self.replace(&runner, &mut problems);
        }
        self.runner = runner;
        self.needs.send_replace(Needs::of(&self.runner));
        if !self.needs_check {
            self.tick();
        }
        self.refused = (!problems.is_empty()).then(|| problems.join("; "));
        if let Some(problem) = &self.refused {
            tracing::error!(%problem, "the new configuration of the runner cannot be used in part");
        }
    }

    /// Before the server may be worked on nothing is started: other pools will be.
    fn replan(&self, runner: &Runner, problems: &mut Vec<String>) {
        let mut planned = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::take(&mut *planned);
        for config in &runner.pools {
            match plan::pool(&self.common, runner, config) {
                Ok(pool) => planned.push(pool),
                Err(error) => {
                    problems.push(error.to_string());
                    planned.extend(old.iter().find(|pool| pool.parts.address == config.queue).cloned());
                }
            }
        }
    }

    fn replace(&mut self, runner: &Runner, problems: &mut Vec<String>) {
        let basis = Basis::of(runner);
        let mut planned: Vec<(Option<usize>, Arc<Pool>)> = Vec::new();
        // Everything is planned before anything is stopped.
        for config in &runner.pools {
            let present = self.position(&config.queue);
            if let Some(running) = present.and_then(|at| self.pools.get_mut(at))
                && running.pool.parts.basis == basis
                && same(config, &running.config)
            {
                running.adopt(config);
                continue;
            }
            match plan::pool(&self.common, runner, config) {
                Ok(pool) => planned.push((present, pool)),
                Err(error) if present.is_some() => problems.push(format!("{error}; its pool goes on as it was")),
                Err(error) => problems.push(error.to_string()),
            }
        }
        for running in &self.pools {
            if !runner.pools.iter().any(|config| config.queue == running.pool.parts.address) {
                running.pool.stop.cancel();
            }
        }
        for (present, pool) in planned {
            if let Some(running) = present.and_then(|at| self.pools.get(at)) {
                running.hand_over(&pool);
            }
            self.launch(pool);
        }
    }

    /// Where the pool is that takes jobs of the queue with this address.
    fn position(&self, address: &str) -> Option<usize> {
        let of = |pool: &Pool| pool.parts.address == address && !pool.stop.is_cancelled();
        self.pools.iter().position(|running| of(&running.pool))
    }

    /// Lets the schedules of the configuration fire, each through the pool of its queue. One that was there before goes
    /// on where it was.
    pub(super) fn tick(&mut self) {
        let mut old = std::mem::take(&mut self.ticking);
        for timetable in &self.runner.schedules {
            let Some(running) = self.position(&timetable.queue).and_then(|at| self.pools.get(at)) else { continue };
            let known = old.iter().position(|ticking| ticking.timetable == *timetable).map(|at| old.swap_remove(at));
            let last = match known {
                Some(ticking) if Arc::ptr_eq(&ticking.pool, &running.pool) => {
                    self.ticking.push(ticking);
                    continue;
                }
                Some(ticking) => {
                    ticking.over.cancel();
                    ticking.last
                }
                None => schedule::Last::default(),
            };
            let (pool, over) = (Arc::clone(&running.pool), running.pool.stop.child_token());
            tokio::spawn(schedule::run(Arc::clone(&pool), timetable.clone(), over.clone(), Arc::clone(&last)));
            self.ticking.push(Ticking { timetable: timetable.clone(), pool, over, last });
        }
        old.iter().for_each(|ticking| ticking.over.cancel());
    }
}

/// True if a pool need not start anew for these: all but what can be changed while it works.
fn same(one: &config::Pool, other: &config::Pool) -> bool {
    let fixed = |pool: &config::Pool| config::Pool { concurrency: 1, paused: false, ..pool.clone() };
    fixed(one) == fixed(other)
}
