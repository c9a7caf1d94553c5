//! What is selected for a change: the marked rows, or the one under the cursor.

use std::collections::{BTreeSet, HashMap};

use super::rows;
use super::screen::Screen;
use super::state::State;
use crate::domain::fetch::{QueuedRow, ScheduledItem};
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::job::JobRow;
use crate::domain::state::StateId;
use crate::domain::worker::Worker;

/// A selected job.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected<'a> {
    /// Its queue.
    pub queue: QueueId,
    /// The job.
    pub id: JobId,
    /// The state it was seen in.
    pub state: StateId,
    /// What is known of it. A marked job may have scrolled out of what is loaded.
    pub row: Option<&'a JobRow>,
}

/// What is selected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection<'a> {
    /// The jobs.
    pub jobs: Vec<Selected<'a>>,
    /// Marked ones that are not among the rows on the screen.
    pub out_of_sight: u64,
    /// The error all of them have in common, for a group of failures.
    pub group: Option<String>,
}

/// The selected jobs of the present screen.
pub fn jobs(state: &State) -> Selection<'_> {
    match state.navigation.current() {
        Screen::Queue(queue) => of_queue(state, queue),
        Screen::Job(job) => {
            let row = rows::open_job(state).map(|open| &open.row);
            let found = row.map(|row| Selected {
                queue: job.queue.clone(),
                id: job.id.clone(),
                state: row.state,
                row: Some(row),
            });
            Selection { jobs: found.into_iter().collect(), ..Selection::default() }
        }
        Screen::Running => {
            let shown = rows::running(state);
            let all = state.running.loaded.data.iter().flat_map(|many| &many.rows);
            of_rows(shown, all, &state.running.list)
        }
        Screen::Failures if state.failures.open.is_some() => {
            let shown = rows::failure_jobs(state);
            let all = rows::open_failure(state).into_iter().flat_map(|group| &group.jobs);
            of_rows(shown, all, &state.failures.jobs)
        }
        Screen::Failures => of_groups(state),
        Screen::Scheduled => of_scheduled(state),
        Screen::Queues | Screen::Workers | Screen::Runner | Screen::Server | Screen::Logs => Selection::default(),
    }
}

fn of_queue<'a>(state: &'a State, queue: &QueueId) -> Selection<'a> {
    let Some(view) = &state.queue else { return Selection::default() };
    let shown = rows::jobs(state);
    let selected = |id: &JobId, row: Option<&'a JobRow>| Selected {
        queue: queue.clone(),
        id: id.clone(),
        state: row.map_or(view.tab, |row| row.state),
        row,
    };
    if view.list.marks.is_empty() {
        let keys: Vec<JobId> = shown.iter().map(|row| row.id.clone()).collect();
        let row = view.list.index(&keys).map(|index| shown[index]);
        let jobs = row.map(|row| selected(&row.id, Some(row))).into_iter().collect();
        return Selection { jobs, ..Selection::default() };
    }
    let known: HashMap<&JobId, &JobRow> = view.rows.iter().chain(hits(view)).map(|row| (&row.id, row)).collect();
    let jobs: Vec<_> = view.list.marks.iter().map(|id| selected(id, known.get(id).copied())).collect();
    let seen: BTreeSet<&JobId> = shown.iter().map(|row| &row.id).collect();
    let out_of_sight = view.list.marks.iter().filter(|id| !seen.contains(id)).count() as u64;
    Selection { jobs, out_of_sight, group: None }
}

fn hits(view: &super::views::QueueView) -> impl Iterator<Item = &JobRow> {
    view.search.iter().flat_map(|search| &search.hits)
}

fn queued(row: &QueuedRow) -> Selected<'_> {
    Selected { queue: row.queue.clone(), id: row.row.id.clone(), state: row.row.state, row: Some(&row.row) }
}

fn of_rows<'a>(
    shown: Vec<&'a QueuedRow>,
    all: impl Iterator<Item = &'a QueuedRow>,
    list: &super::list::ListState<crate::domain::ids::JobRef>,
) -> Selection<'a> {
    let keys: Vec<_> = shown.iter().map(|row| rows::queued_key(row)).collect();
    if list.marks.is_empty() {
        let jobs = list.index(&keys).map(|index| queued(shown[index])).into_iter().collect();
        return Selection { jobs, ..Selection::default() };
    }
    // A marked job that is gone from the list has no state any more, so nothing can be asked about it.
    let jobs: Vec<_> = all.filter(|row| list.marks.contains(&rows::queued_key(row))).map(queued).collect();
    let seen: BTreeSet<_> = keys.iter().collect();
    let out_of_sight = list.marks.iter().filter(|key| !seen.contains(key)).count() as u64;
    Selection { jobs, out_of_sight, group: None }
}

/// All jobs of the marked groups, or of the one under the cursor: exactly those of the window that was looked at.
fn of_groups(state: &State) -> Selection<'_> {
    let groups = rows::failures(state);
    let list = &state.failures.list;
    let keys: Vec<_> = groups.iter().map(|group| group.fingerprint.clone()).collect();
    let chosen: Vec<_> = if list.marks.is_empty() {
        list.index(&keys).map(|index| groups[index]).into_iter().collect()
    } else {
        groups.into_iter().filter(|group| list.marks.contains(&group.fingerprint)).collect()
    };
    let group = match chosen.as_slice() {
        [one] => Some(one.fingerprint.clone()),
        _ => None,
    };
    let jobs = chosen.into_iter().flat_map(|group| &group.jobs).map(queued).collect();
    Selection { jobs, out_of_sight: 0, group }
}

fn of_scheduled(state: &State) -> Selection<'_> {
    let shown = rows::scheduled(state);
    let list = &state.scheduled.list;
    let keys: Vec<_> = shown.iter().map(|row| rows::scheduled_key(row)).collect();
    let chosen = |index: usize| match &shown[index].item {
        ScheduledItem::Job(row) => {
            Some(Selected { queue: shown[index].queue.clone(), id: row.id.clone(), state: row.state, row: Some(row) })
        }
        ScheduledItem::Schedule(_) => None,
    };
    let jobs = if list.marks.is_empty() {
        list.index(&keys).and_then(chosen).into_iter().collect()
    } else {
        (0..keys.len()).filter(|index| list.marks.contains(&keys[*index])).filter_map(chosen).collect()
    };
    let out_of_sight = list.marks.iter().filter(|key| !keys.contains(key)).count() as u64;
    Selection { jobs, out_of_sight, group: None }
}

/// The selected schedules of the Scheduled screen, by queue.
pub fn schedules(state: &State) -> Vec<(QueueId, Vec<Name>)> {
    if !matches!(state.navigation.current(), Screen::Scheduled) {
        return Vec::new();
    }
    let shown = rows::scheduled(state);
    let list = &state.scheduled.list;
    let keys: Vec<_> = shown.iter().map(|row| rows::scheduled_key(row)).collect();
    let chosen: Vec<usize> = if list.marks.is_empty() {
        list.index(&keys).into_iter().collect()
    } else {
        (0..keys.len()).filter(|index| list.marks.contains(&keys[*index])).collect()
    };
    let mut found: Vec<(QueueId, Vec<Name>)> = Vec::new();
    for index in chosen {
        if let ScheduledItem::Schedule(schedule) = &shown[index].item {
            let queue = &shown[index].queue;
            match found.iter_mut().find(|(known, _)| known == queue) {
                Some((_, ids)) => ids.push(schedule.id.clone()),
                None => found.push((queue.clone(), vec![schedule.id.clone()])),
            }
        }
    }
    found
}

/// Selected workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workers<'a> {
    /// The marked ones that are shown, or the one under the cursor.
    pub workers: Vec<&'a Worker>,
    /// Marked ones that are not among the rows on the screen.
    pub out_of_sight: u64,
}

/// The selected workers of the Workers screen.
pub fn workers(state: &State) -> Workers<'_> {
    if !matches!(state.navigation.current(), Screen::Workers) {
        return Workers::default();
    }
    let shown = rows::workers(state);
    let list = &state.workers.list;
    let keys: Vec<_> = shown.iter().map(|worker| rows::worker_key(worker)).collect();
    if list.marks.is_empty() {
        let workers = list.index(&keys).map(|index| shown[index]).into_iter().collect();
        return Workers { workers, out_of_sight: 0 };
    }
    let marked = |key: &_| list.marks.contains(key);
    let workers: Vec<&Worker> =
        shown.iter().zip(&keys).filter(|(_, key)| marked(key)).map(|(worker, _)| *worker).collect();
    let out_of_sight = (list.marks.len() - workers.len()) as u64;
    Workers { workers, out_of_sight }
}

/// The selected queues: the marked ones of the Queues screen, or the one everything here is about.
pub fn queues(state: &State) -> Vec<QueueId> {
    let marks = &state.queues.list.marks;
    if matches!(state.navigation.current(), Screen::Queues) && !marks.is_empty() {
        return marks.iter().cloned().collect();
    }
    super::target::queue(state).into_iter().collect()
}
