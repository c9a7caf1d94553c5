//! Which rows each list shows, in which order, derived from the state alone.
//!
//! `update` moves the cursor over these rows and `view` draws them; because both call the same functions they agree.
//! Nothing here changes anything or formats anything.

mod cells;
mod job;
mod queues;
mod runner;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

pub use job::{JobLine, JobLines, job_lines, open_job};
pub use queues::{Figures, GroupLine, QueueLine, QueueRow, figures, queue_index, queues, sums, totals};

pub use runner::{RunnerKey, RunnerLine, results, runner, runner_line};

use super::columns::{self, Column};
use super::filter::{Cell, Cells, Filter};
use super::list::Sort;
use super::state::State;
use crate::domain::fetch::{FailureGroup, QueuedRow, ScheduledRow};
use crate::domain::ids::{JobRef, Name, QueueId};
use crate::domain::job::JobRow;
use crate::domain::log_line::LogLine;
use crate::domain::queue::Count;
use crate::domain::time::Timestamp;
use crate::domain::worker::{Liveness, Worker};
use cells::{FailureCells, JobCells, RunningCells, ScheduledCells, WorkerCells};

/// Rows of the Queue screen: the loaded part of the state's list, or what a search has found.
pub fn jobs(state: &State) -> Vec<&JobRow> {
    let Some(view) = &state.queue else { return Vec::new() };
    let rows = view.search.as_ref().map_or(&view.rows, |search| &search.hits);
    let now = state.server_now();
    let cells = rows.iter().map(|row| JobCells { row, now });
    arrange(cells, columns::JOBS, &view.list.filter, view.list.sort).map(|cells| cells.row).collect()
}

/// Rows of the Running screen.
pub fn running(state: &State) -> Vec<&QueuedRow> {
    let view = &state.running;
    let now = state.server_now();
    let rows = view.loaded.data.iter().flat_map(|many| &many.rows);
    let cells = rows.map(|row| RunningCells { row, now });
    arrange(cells, columns::RUNNING, &view.list.filter, view.list.sort).map(|cells| cells.row).collect()
}

/// Groups of the Failures screen.
pub fn failures(state: &State) -> Vec<&FailureGroup> {
    let view = &state.failures;
    let now = state.server_now();
    let groups = view.loaded.data.iter().flat_map(|report| &report.groups);
    let cells = groups.map(|group| FailureCells { group, now });
    arrange(cells, columns::FAILURES, &view.list.filter, view.list.sort).map(|cells| cells.group).collect()
}

/// The group of the Failures screen that is opened, if it is still there.
pub fn open_failure(state: &State) -> Option<&FailureGroup> {
    let open = state.failures.open.as_ref()?;
    state.failures.loaded.data.as_ref()?.groups.iter().find(|group| group.fingerprint == *open)
}

/// Jobs of the opened group of the Failures screen.
pub fn failure_jobs(state: &State) -> Vec<&QueuedRow> {
    let view = &state.failures;
    let now = state.server_now();
    let rows = open_failure(state).into_iter().flat_map(|group| &group.jobs);
    let cells = rows.map(|row| RunningCells { row, now });
    arrange(cells, columns::FAILURE_JOBS, &view.jobs.filter, view.jobs.sort).map(|cells| cells.row).collect()
}

/// How many worker processes these are together, of those that give a sign of life. What may be one and may be none
/// makes it a least number.
pub fn living<'a>(workers: impl IntoIterator<Item = &'a Worker>) -> Count {
    let (mut sum, mut more) = (0_u64, false);
    for worker in workers {
        match worker.state {
            Liveness::Live => {
                sum += worker.stands_for.value().unwrap_or(0);
                more |= !matches!(worker.stands_for, Count::Exact(_));
            }
            Liveness::Unknown => more = true,
            Liveness::Stale | Liveness::Gone => {}
        }
    }
    if more { Count::AtLeast(sum) } else { Count::Exact(sum) }
}

/// Rows of the Workers screen.
pub fn workers(state: &State) -> Vec<&Worker> {
    let view = &state.workers;
    let workers = view.loaded.data.iter().flat_map(|report| &report.workers);
    let cells = workers.map(|worker| WorkerCells { worker });
    arrange(cells, columns::WORKERS, &view.list.filter, view.list.sort).map(|cells| cells.worker).collect()
}

/// Rows of the Scheduled screen.
pub fn scheduled(state: &State) -> Vec<&ScheduledRow> {
    let view = &state.scheduled;
    let now = state.server_now();
    let rows = view.loaded.data.iter().flat_map(|many| &many.rows);
    let cells = rows.map(|row| ScheduledCells { row, now });
    arrange(cells, columns::SCHEDULED, &view.list.filter, view.list.sort).map(|cells| cells.row).collect()
}

/// Lines of the Logs screen, oldest first.
pub fn logs(state: &State) -> Vec<&LogLine> {
    let filter = Filter::parse(&state.logs.filter, &[]);
    let admits = |line: &&LogLine| filter.admits_text(&format!("{} {} {}", line.level, line.target, line.text));
    state.logs.lines.iter().filter(admits).collect()
}

/// What identifies a worker's row. One name may stand for several rows, each of other queues.
pub fn worker_key(worker: &Worker) -> (String, Name, Name) {
    let mut place = worker.instance.name.as_bytes().to_vec();
    for queue in &worker.queues {
        place.push(0x1f);
        place.extend_from_slice(queue.as_bytes());
    }
    (worker.instance.system.to_owned(), Name::from(place), worker.name.clone())
}

/// What identifies a row of the Scheduled screen.
pub fn scheduled_key(row: &ScheduledRow) -> (QueueId, Name) {
    use crate::domain::fetch::ScheduledItem;
    let id = match &row.item {
        ScheduledItem::Job(job) => &job.id,
        ScheduledItem::Schedule(schedule) => &schedule.id,
    };
    (row.queue.clone(), id.clone())
}

/// What identifies a job among those of all queues.
pub fn queued_key(row: &QueuedRow) -> JobRef {
    JobRef { queue: row.queue.clone(), id: row.row.id.clone() }
}

/// Filters and sorts. The sort is stable, so equal rows keep the order the system gave them.
fn arrange<R: Cells>(
    rows: impl Iterator<Item = R>,
    columns: &'static [Column],
    filter: &str,
    sort: Option<Sort>,
) -> impl Iterator<Item = R> {
    let filter = Filter::parse(filter, columns);
    let mut rows: Vec<(Cell, R)> = rows
        .filter(|row| filter.is_empty() || filter.admits(row, columns))
        .map(|row| (sort.map_or(Cell::Unknown, |sort| row.cell(sort.column)), row))
        .collect();
    if let Some(sort) = sort {
        rows.sort_by(|(a, _), (b, _)| compare(a, b, sort.descending));
    }
    rows.into_iter().map(|(_, row)| row)
}

/// Order of two cells; what is unknown stands last in either direction.
fn compare(a: &Cell, b: &Cell, descending: bool) -> Ordering {
    let known = match (a, b) {
        (Cell::Unknown, Cell::Unknown) => return Ordering::Equal,
        (Cell::Unknown, _) => return Ordering::Greater,
        (_, Cell::Unknown) => return Ordering::Less,
        (Cell::Number(a), Cell::Number(b)) => a.total_cmp(b),
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        (Cell::Number(_), Cell::Text(_)) => Ordering::Less,
        (Cell::Text(_), Cell::Number(_)) => Ordering::Greater,
    };
    if descending { known.reverse() } else { known }
}

/// Seconds between a moment and now.
fn seconds_since(moment: Option<Timestamp>, now: Timestamp) -> Option<f64> {
    moment.map(|moment| (now.0.saturating_sub(moment.0)) as f64 / 1_000.0)
}
