//! Another configuration while pools work.

use super::super::plan;
use super::Manager;
use crate::config::{Pool, Runner};

impl Manager {
    /// Another configuration: what is the same goes on, what is new begins, what is gone or different drains.
    pub(super) fn reload(&mut self, runner: Runner) {
        let mut old_schedules = self.runner.schedules.clone();
        old_schedules.retain(|timetable| !runner.schedules.contains(timetable));
        let schedules_changed =
            old_schedules.len() + runner.schedules.len() != self.runner.schedules.len() || !old_schedules.is_empty();
        self.runner = runner;
        for running in &self.pools {
            let wanted = self.runner.pools.iter().find(|pool| pool.queue == running.pool.parts.address);
            match wanted {
                Some(wanted) if same(wanted, &running.pool.parts.config) && !schedules_changed => {
                    if wanted.concurrency != running.pool.parts.config.concurrency {
                        running.pool.resize(wanted.concurrency);
                    }
                }
                _ => running.pool.stop.cancel(),
            }
        }
        let mut problem = None;
        for config in self.runner.pools.clone() {
            let there = self
                .pools
                .iter()
                .any(|running| running.pool.parts.address == config.queue && !running.pool.stop.is_cancelled());
            if there {
                continue;
            }
            match plan::pool(&self.common, &self.runner, &config) {
                Ok(pool) => self.launch(pool),
                Err(error) => problem = Some(error.to_string()),
            }
        }
        if let Some(problem) = &problem {
            tracing::error!(%problem, "the new configuration of the runner cannot be used in part");
        }
        self.problem = problem;
    }
}

/// True if a pool need not start anew for these: all but its size.
fn same(one: &Pool, other: &Pool) -> bool {
    let sized = |pool: &Pool| Pool { concurrency: 1, ..pool.clone() };
    sized(one) == sized(other)
}
