//! Moving the cursor and marking, on whatever list the screen shows.

use super::{fetch, follow};
use crate::app::effect::Effect;
use crate::app::list::{ListState, Motion, scroll_to};
use crate::app::rows::{self, QueueLine};
use crate::app::screen::Screen;
use crate::app::state::State;
use crate::app::views::JobTab;

/// What is done to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListOp {
    /// Move the cursor.
    Move(Motion),
    /// Follow the cursor's row after the rows have changed.
    Settle,
    /// Mark or unmark.
    Mark,
    /// Begin or end a range.
    Range,
    /// Mark all rows.
    MarkAll,
}

/// Rows of the list that fit on the screen.
pub(super) fn visible(state: &State) -> usize {
    match state.geometry.list_rows {
        0 => usize::from(state.size.1.saturating_sub(6)).max(1),
        rows => usize::from(rows),
    }
}

/// Moves the cursor, and asks for more rows if it comes near their end.
pub(super) fn travel(state: &mut State, motion: Motion) -> Vec<Effect> {
    follow::stop(state);
    operate(state, ListOp::Move(motion));
    fetch::ahead(state)
}

/// Follows the cursor's row after the rows have changed.
pub(super) fn settle(state: &mut State) {
    operate(state, ListOp::Settle);
}

/// Does something to the list of the present screen.
pub(super) fn operate(state: &mut State, op: ListOp) {
    let visible = visible(state);
    match state.navigation.current() {
        Screen::Queues => queues(state, op, visible),
        Screen::Queue(_) => {
            let keys: Vec<_> = rows::jobs(state).iter().map(|row| row.id.clone()).collect();
            if let Some(view) = &mut state.queue {
                apply(&mut view.list, &keys, op, visible);
            }
        }
        Screen::Running => {
            let keys: Vec<_> = rows::running(state).into_iter().map(rows::queued_key).collect();
            apply(&mut state.running.list, &keys, op, visible);
        }
        Screen::Failures if state.failures.open.is_some() => {
            let keys: Vec<_> = rows::failure_jobs(state).into_iter().map(rows::queued_key).collect();
            apply(&mut state.failures.jobs, &keys, op, visible);
        }
        Screen::Failures => {
            let keys: Vec<_> = rows::failures(state).iter().map(|group| group.fingerprint.clone()).collect();
            apply(&mut state.failures.list, &keys, op, visible);
        }
        Screen::Workers => {
            let keys: Vec<_> = rows::workers(state).into_iter().map(rows::worker_key).collect();
            apply(&mut state.workers.list, &keys, op, visible);
        }
        Screen::Scheduled => {
            let keys: Vec<_> = rows::scheduled(state).into_iter().map(rows::scheduled_key).collect();
            apply(&mut state.scheduled.list, &keys, op, visible);
        }
        Screen::Job(_) => job(state, op, visible),
        Screen::Logs => {
            let lines = rows::logs(state).len();
            if let ListOp::Move(motion) = op
                && lines > 0
            {
                // Counted from the end, so that the end is followed by itself.
                let most = lines.saturating_sub(visible);
                let top = most.saturating_sub(state.logs.scroll);
                state.logs.scroll = most - motion.from(top, most + 1);
            }
        }
        Screen::Runner => {
            let keys: Vec<_> = rows::runner(state).iter().map(rows::RunnerLine::key).collect();
            apply(&mut state.runner_list, &keys, op, visible);
        }
        Screen::Server => {
            if let ListOp::Move(motion) = op {
                state.server_scroll = motion.from(state.server_scroll, 200);
            }
        }
    }
}

fn apply<K: Ord + Clone>(list: &mut ListState<K>, keys: &[K], op: ListOp, visible: usize) {
    match op {
        ListOp::Move(motion) => {
            if let Some(index) = list.index(keys) {
                list.go(keys, motion.from(index, keys.len()), visible);
            }
        }
        ListOp::Settle => list.settle(keys, visible),
        ListOp::Mark => list.toggle_mark(keys),
        ListOp::Range => list.toggle_range(keys),
        ListOp::MarkAll => list.marks.extend(keys.iter().cloned()),
    }
}

/// The Queues screen has lines that are no queues: groups. The cursor may be on one; marks are on queues only.
fn queues(state: &mut State, op: ListOp, visible: usize) {
    if op == ListOp::Settle && !state.queues.settled {
        return;
    }
    let lines = rows::queues(state);
    let Some(index) = rows::queue_index(state, &lines) else { return };
    if !matches!(op, ListOp::Move(_) | ListOp::Settle) {
        let keys: Vec<_> = queue_keys(&lines);
        let on_group = matches!(lines[index], QueueLine::Group(_));
        if !(on_group && matches!(op, ListOp::Mark | ListOp::Range)) {
            apply(&mut state.queues.list, &keys, op, visible);
        }
        return;
    }
    let index = match op {
        ListOp::Move(motion) => motion.from(index, lines.len()),
        _ => index,
    };
    let rows = lines.len();
    let (group, queue) = match &lines[index] {
        QueueLine::Group(group) => (Some(group.path.clone()), None),
        QueueLine::Queue(row) => (None, Some(row.sample.id.clone())),
    };
    let keys = queue_keys(&lines);
    let view = &mut state.queues;
    view.group = group;
    if let Some(queue) = queue {
        let place = keys.iter().position(|key| *key == queue).unwrap_or_default();
        view.list.go(&keys, place, visible);
    }
    view.list.last_index = index;
    view.list.top = scroll_to(view.list.top, index, rows, visible);
}

fn queue_keys(lines: &[QueueLine<'_>]) -> Vec<crate::domain::ids::QueueId> {
    lines
        .iter()
        .filter_map(|line| match line {
            QueueLine::Queue(row) => Some(row.sample.id.clone()),
            QueueLine::Group(_) => None,
        })
        .collect()
}

fn job(state: &mut State, op: ListOp, visible: usize) {
    let lines = rows::job_lines(state).len();
    let Some(view) = &mut state.job else { return };
    let last = lines.saturating_sub(1);
    match op {
        ListOp::Move(motion) if lines > 0 => {
            view.line = motion.from(view.line.min(last), lines);
            // Going up leaves the end, going to the end follows it again.
            view.follow = view.line == last;
        }
        ListOp::Settle if view.tab == JobTab::Logs && view.follow => view.line = last,
        _ => view.line = view.line.min(last),
    }
    view.top = scroll_to(view.top, view.line, lines, visible);
}

/// First visible row of the present list.
pub(super) fn top(state: &State) -> usize {
    match state.navigation.current() {
        Screen::Queues => state.queues.list.top,
        Screen::Queue(_) => state.queue.as_ref().map_or(0, |view| view.list.top),
        Screen::Running => state.running.list.top,
        Screen::Failures if state.failures.open.is_some() => state.failures.jobs.top,
        Screen::Failures => state.failures.list.top,
        Screen::Workers => state.workers.list.top,
        Screen::Scheduled => state.scheduled.list.top,
        Screen::Job(_) => state.job.as_ref().map_or(0, |view| view.top),
        Screen::Runner => state.runner_list.top,
        Screen::Server | Screen::Logs => 0,
    }
}

/// Forgets the marks of the present list; true if there were any.
pub(super) fn clear_marks(state: &mut State) -> bool {
    match state.navigation.current() {
        Screen::Queues => state.queues.list.clear_marks(),
        Screen::Queue(_) => state.queue.as_mut().is_some_and(|view| view.list.clear_marks()),
        Screen::Running => state.running.list.clear_marks(),
        Screen::Failures if state.failures.open.is_some() => state.failures.jobs.clear_marks(),
        Screen::Failures => state.failures.list.clear_marks(),
        Screen::Workers => state.workers.list.clear_marks(),
        Screen::Scheduled => state.scheduled.list.clear_marks(),
        Screen::Job(_) | Screen::Server | Screen::Runner | Screen::Logs => false,
    }
}
