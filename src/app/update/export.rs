//! Jobs as lines of JSON: what is marked, or every row that matches.

use serde_json::{Value, json};

use super::notice;
use crate::app::effect::Effect;
use crate::app::rows;
use crate::app::screen::Screen;
use crate::app::selection;
use crate::app::state::State;
use crate::domain::fetch::ScheduledItem;
use crate::domain::ids::QueueId;
use crate::domain::job::JobRow;

/// Writes the marked rows, or all that are shown, to a file. Payloads are not part of rows: `qtop export` has them.
pub(super) fn export(state: &mut State) -> Vec<Effect> {
    let lines: Vec<String> = chosen(state).iter().map(ToString::to_string).collect();
    if lines.is_empty() {
        notice(state, "there is nothing to export", true);
        return Vec::new();
    }
    let name = match state.navigation.current() {
        Screen::Queue(queue) => queue.name.to_text(),
        screen => screen.title().to_lowercase(),
    };
    vec![Effect::Export { name, lines }]
}

fn chosen(state: &State) -> Vec<Value> {
    let marked = match state.navigation.current() {
        Screen::Queue(_) => state.queue.as_ref().is_some_and(|view| !view.list.marks.is_empty()),
        Screen::Running => !state.running.list.marks.is_empty(),
        Screen::Failures if state.failures.open.is_some() => !state.failures.jobs.marks.is_empty(),
        Screen::Scheduled => !state.scheduled.list.marks.is_empty(),
        _ => true,
    };
    if marked {
        let selection = selection::jobs(state);
        return selection.jobs.iter().filter_map(|job| Some(line(&job.queue, job.row?))).collect();
    }
    match state.navigation.current() {
        Screen::Queue(queue) => rows::jobs(state).into_iter().map(|row| line(queue, row)).collect(),
        Screen::Running => rows::running(state).into_iter().map(|row| line(&row.queue, &row.row)).collect(),
        Screen::Failures => rows::failure_jobs(state).into_iter().map(|row| line(&row.queue, &row.row)).collect(),
        Screen::Scheduled => rows::scheduled(state)
            .into_iter()
            .filter_map(|row| match &row.item {
                ScheduledItem::Job(job) => Some(line(&row.queue, job)),
                ScheduledItem::Schedule(_) => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn line(queue: &QueueId, row: &JobRow) -> Value {
    json!({
        "queue": queue.full_address(),
        "id": row.id.to_text(),
        "name": row.name,
        "state": row.state.0,
        "attempts_made": row.attempts_made,
        "attempts_max": row.attempts_max,
        "priority": row.priority,
        "created_at": row.created_at.and_then(|at| at.rfc3339()),
        "run_at": row.run_at.and_then(|at| at.rfc3339()),
        "started_at": row.started_at.and_then(|at| at.rfc3339()),
        "finished_at": row.finished_at.and_then(|at| at.rfc3339()),
        "worker": row.worker,
        "error": row.error,
        "payload_bytes": row.payload_bytes,
    })
}
