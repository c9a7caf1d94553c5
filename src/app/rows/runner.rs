//! Lines of the Runner screen: pools, and below each the jobs it runs.

use crate::app::filter::Filter;
use crate::app::state::State;
use crate::domain::ids::{JobId, JobRef, QueueId};
use crate::domain::runner::{PoolView, ResultView, SlotView};

/// One line: a pool or a job that runs in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunnerLine<'a> {
    /// The pool.
    pub pool: &'a PoolView,
    /// The job, if the line is one.
    pub slot: Option<&'a SlotView>,
}

/// What identifies a line: its pool, and the job if it is one.
pub type RunnerKey = (QueueId, Option<JobId>);

impl RunnerLine<'_> {
    /// What identifies it.
    pub fn key(&self) -> RunnerKey {
        (self.pool.queue.clone(), self.slot.map(|slot| slot.id.clone()))
    }

    /// The running job.
    pub fn job(&self) -> Option<JobRef> {
        self.slot.map(|slot| JobRef { queue: self.pool.queue.clone(), id: slot.id.clone() })
    }
}

/// All lines, in the order of the configuration and of the slots.
pub fn runner(state: &State) -> Vec<RunnerLine<'_>> {
    let filter = Filter::parse(&state.runner_list.filter, &[]);
    let mut lines = Vec::new();
    for pool in state.runner.iter().flat_map(|view| &view.pools) {
        let fits = |slot: &&SlotView| {
            filter.is_empty() || filter.admits_text(&format!("{} {} {}", pool.address, slot.id, slot.name))
        };
        let jobs = pool.slots.iter().filter(fits).map(|slot| RunnerLine { pool, slot: Some(slot) });
        let jobs: Vec<_> = jobs.collect();
        // A pool stands above each of its jobs that is shown.
        if !jobs.is_empty() || filter.is_empty() || filter.admits_text(&pool.address) {
            lines.push(RunnerLine { pool, slot: None });
        }
        lines.extend(jobs);
    }
    lines
}

/// The line under the cursor.
pub fn runner_line(state: &State) -> Option<RunnerLine<'_>> {
    let lines = runner(state);
    let keys: Vec<RunnerKey> = lines.iter().map(RunnerLine::key).collect();
    state.runner_list.index(&keys).map(|index| lines[index])
}

/// The latest results of a pool, newest first.
pub fn results<'a>(state: &'a State, pool: &'a PoolView) -> impl Iterator<Item = &'a ResultView> {
    let recent = state.runner.iter().flat_map(|view| view.recent.iter());
    recent.filter(|result| result.job.queue == pool.queue)
}
