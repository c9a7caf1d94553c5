//! What the cursor is on: the queue and the job that actions on this screen are about.

use super::rows::{self, QueueLine};
use super::screen::Screen;
use super::state::State;
use crate::domain::fetch::ScheduledItem;
use crate::domain::ids::{JobRef, QueueId};

/// The queue under the cursor, or the one the screen is about.
pub fn queue(state: &State) -> Option<QueueId> {
    match state.navigation.current() {
        Screen::Queues => {
            let lines = rows::queues(state);
            match &lines[rows::queue_index(state, &lines)?] {
                QueueLine::Queue(row) => Some(row.sample.id.clone()),
                QueueLine::Group(_) => None,
            }
        }
        Screen::Queue(id) => Some(id.clone()),
        Screen::Scheduled => {
            let rows = rows::scheduled(state);
            let keys: Vec<_> = rows.iter().map(|row| rows::scheduled_key(row)).collect();
            Some(keys[state.scheduled.list.index(&keys)?].0.clone())
        }
        Screen::Failures if state.failures.open.is_none() => {
            let groups = rows::failures(state);
            let keys: Vec<_> = groups.iter().map(|group| group.fingerprint.clone()).collect();
            let group = groups[state.failures.list.index(&keys)?];
            group.queues.first().map(|(queue, _)| queue.clone())
        }
        Screen::Runner => rows::runner_line(state).map(|line| line.pool.queue.clone()),
        _ => job(state).map(|job| job.queue),
    }
}

/// The job under the cursor, or the one the screen is about.
pub fn job(state: &State) -> Option<JobRef> {
    match state.navigation.current() {
        Screen::Queue(queue) => {
            let view = state.queue.as_ref()?;
            let rows = rows::jobs(state);
            let keys: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
            let id = keys[view.list.index(&keys)?].clone();
            Some(JobRef { queue: queue.clone(), id })
        }
        Screen::Job(job) => Some(job.clone()),
        Screen::Running => {
            let keys: Vec<_> = rows::running(state).into_iter().map(rows::queued_key).collect();
            Some(keys[state.running.list.index(&keys)?].clone())
        }
        Screen::Failures if state.failures.open.is_some() => {
            let keys: Vec<_> = rows::failure_jobs(state).into_iter().map(rows::queued_key).collect();
            Some(keys[state.failures.jobs.index(&keys)?].clone())
        }
        Screen::Failures => {
            let groups = rows::failures(state);
            let keys: Vec<_> = groups.iter().map(|group| group.fingerprint.clone()).collect();
            Some(groups[state.failures.list.index(&keys)?].sample.clone())
        }
        Screen::Scheduled => {
            let rows = rows::scheduled(state);
            let keys: Vec<_> = rows.iter().map(|row| rows::scheduled_key(row)).collect();
            let row = rows[state.scheduled.list.index(&keys)?];
            match &row.item {
                ScheduledItem::Job(job) => Some(JobRef { queue: row.queue.clone(), id: job.id.clone() }),
                ScheduledItem::Schedule(_) => None,
            }
        }
        Screen::Workers => {
            let workers = rows::workers(state);
            let keys: Vec<_> = workers.iter().map(|worker| rows::worker_key(worker)).collect();
            workers[state.workers.list.index(&keys)?].running.first().cloned()
        }
        Screen::Runner => rows::runner_line(state)?.job(),
        Screen::Queues | Screen::Server | Screen::Logs => None,
    }
}
