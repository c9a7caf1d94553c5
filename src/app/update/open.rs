//! Going places: screens, queues, jobs, tabs, and the way back.

use strum::IntoEnumIterator;

use super::{cursor, fetch, notice};
use crate::app::effect::{Effect, Slot};
use crate::app::rows::{self, JobLine, QueueLine};
use crate::app::runner;
use crate::app::screen::Screen;
use crate::app::state::State;
use crate::app::target;
use crate::app::views::{JobTab, JobView, QueueView};
use crate::domain::ids::{JobRef, QueueId};
use crate::domain::queue::Count;
use crate::domain::state::{StateId, StateKind};

/// Shows a top-level screen.
pub(super) fn jump(state: &mut State, screen: Screen) -> Vec<Effect> {
    state.navigation.jump(screen);
    arrived(state)
}

/// Shows a queue, at the state that is most worth looking at.
pub(super) fn queue(state: &mut State, id: QueueId) -> Vec<Effect> {
    state.navigation.enter(Screen::Queue(id));
    arrived(state)
}

/// Shows a job.
pub(super) fn job(state: &mut State, job: JobRef) -> Vec<Effect> {
    state.navigation.enter(Screen::Job(job));
    arrived(state)
}

/// Goes one level up; `None` at the top.
pub(super) fn back(state: &mut State) -> Option<Vec<Effect>> {
    if matches!(state.navigation.current(), Screen::Failures) && state.failures.open.take().is_some() {
        cursor::settle(state);
        return Some(Vec::new());
    }
    state.navigation.back().then(|| arrived(state))
}

/// Changes places with the view before.
pub(super) fn swap(state: &mut State) -> Vec<Effect> {
    state.navigation.swap();
    arrived(state)
}

/// Makes the views fit the screen that is shown now, and reads its data.
fn arrived(state: &mut State) -> Vec<Effect> {
    state.pending.clear();
    match state.navigation.current().clone() {
        Screen::Queue(id) if state.queue.as_ref().is_none_or(|view| view.id != id) => match first_tab(state, &id) {
            Some(tab) => state.queue = Some(QueueView::new(id, tab)),
            None => {
                notice(state, "this queue is not known any more", true);
                state.navigation.back();
            }
        },
        Screen::Job(job) if state.job.as_ref().is_none_or(|view| view.id != job) => {
            state.job = Some(JobView::new(job, state.settings.payload_bytes));
        }
        _ => {}
    }
    cursor::settle(state);
    fetch::now(state)
}

/// The state a queue is opened at: where something runs, else waits, else has failed, else the first with jobs.
fn first_tab(state: &State, id: &QueueId) -> Option<StateId> {
    let (instance, sample) = state.shown().queue(id)?;
    let filled = |kind: Option<StateKind>| {
        let some = |count: Count| count.value().is_some_and(|count| count > 0);
        instance.states.iter().find(|spec| kind.is_none_or(|kind| spec.kind == kind) && some(sample.count(spec.id)))
    };
    [Some(StateKind::Active), Some(StateKind::Waiting), Some(StateKind::Failed), Some(StateKind::Dead), None]
        .into_iter()
        .find_map(filled)
        .or(instance.states.first())
        .map(|spec| spec.id)
}

/// Opens what is under the cursor.
pub(super) fn under_cursor(state: &mut State) -> Vec<Effect> {
    match state.navigation.current() {
        Screen::Queues => {
            let lines = rows::queues(state);
            let line = rows::queue_index(state, &lines).map(|index| lines[index].clone());
            match line {
                Some(QueueLine::Group(group)) => fold_group(state, &group.path.clone(), !group.folded),
                Some(QueueLine::Queue(row)) => {
                    let id = row.sample.id.clone();
                    return queue(state, id);
                }
                None => {}
            }
            Vec::new()
        }
        Screen::Failures if state.failures.open.is_none() => {
            let groups = rows::failures(state);
            let keys: Vec<_> = groups.iter().map(|group| group.fingerprint.clone()).collect();
            state.failures.open = state.failures.list.index(&keys).map(|index| keys[index].clone());
            state.failures.jobs = Default::default();
            cursor::settle(state);
            Vec::new()
        }
        Screen::Scheduled => match (target::job(state), target::queue(state)) {
            (Some(id), _) => job(state, id),
            (None, Some(id)) => queue(state, id),
            (None, None) => Vec::new(),
        },
        Screen::Workers => worker(state),
        Screen::Job(_) => in_job(state),
        Screen::Queue(_) | Screen::Running | Screen::Failures => match target::job(state) {
            Some(id) => job(state, id),
            None => Vec::new(),
        },
        Screen::Runner => match (runner::here(state), target::job(state), target::queue(state)) {
            (Err(reason), ..) => {
                notice(state, reason, true);
                Vec::new()
            }
            (Ok(()), Some(id), _) => job(state, id),
            (Ok(()), None, Some(id)) => queue(state, id),
            (Ok(()), None, None) => Vec::new(),
        },
        Screen::Server | Screen::Logs => Vec::new(),
    }
}

/// One job of a worker is opened; several are shown on the Running screen.
fn worker(state: &mut State) -> Vec<Effect> {
    let workers = rows::workers(state);
    let keys: Vec<_> = workers.iter().map(|worker| rows::worker_key(worker)).collect();
    let Some(worker) = state.workers.list.index(&keys).map(|index| workers[index]) else { return Vec::new() };
    match worker.running.as_slice() {
        [] => {
            notice(state, "it runs nothing now, as far as can be known", false);
            Vec::new()
        }
        [one] => {
            let one = one.clone();
            job(state, one)
        }
        _ => {
            let filter = format!("worker:{}", worker.name);
            state.running.list.filter = filter;
            jump(state, Screen::Running)
        }
    }
}

/// Folds a value, or follows a relative.
fn in_job(state: &mut State) -> Vec<Effect> {
    let Some(line) = state.job.as_ref().map(|view| view.line) else { return Vec::new() };
    match rows::job_lines(state).get(line) {
        Some(JobLine::Value(_)) => fold(state, None),
        Some(JobLine::Parent(relative) | JobLine::Child(relative)) => match relative.job.clone() {
            Some(id) => return job(state, id),
            None => notice(state, "its queue is not known, so it cannot be opened", true),
        },
        _ => {}
    }
    Vec::new()
}

/// Folds or unfolds the group or value under the cursor; `None`: the other way.
pub(super) fn fold(state: &mut State, open: Option<bool>) {
    match state.navigation.current() {
        Screen::Queues => {
            let lines = rows::queues(state);
            let group = rows::queue_index(state, &lines).and_then(|index| match &lines[index] {
                QueueLine::Group(group) => Some((group.path.clone(), group.folded)),
                // Folding from inside folds the group around.
                QueueLine::Queue(row) if open == Some(false) => {
                    lines[..index].iter().rev().find_map(|line| match line {
                        QueueLine::Group(group) if group.depth < row.depth => Some((group.path.clone(), group.folded)),
                        _ => None,
                    })
                }
                QueueLine::Queue(_) => None,
            });
            if let Some((path, folded)) = group {
                fold_group(state, &path, open.map_or(!folded, |open| !open));
            }
        }
        Screen::Job(_) => {
            let Some(view) = &mut state.job else { return };
            let document = match view.tab {
                JobTab::Data => &mut view.documents.payload,
                JobTab::Options => &mut view.documents.options,
                JobTab::Result => &mut view.documents.result,
                JobTab::Error | JobTab::Logs | JobTab::Timeline | JobTab::Family | JobTab::Keys => return,
            };
            if let Some(document) = document {
                document.fold(view.line, open);
            }
            cursor::settle(state);
        }
        _ => {}
    }
}

fn fold_group(state: &mut State, path: &str, folded: bool) {
    let view = &mut state.queues;
    if folded {
        view.folded.insert(path.to_owned());
        view.group = Some(path.to_owned());
    } else {
        view.folded.remove(path);
    }
    cursor::settle(state);
}

/// The next or previous state, part or screen.
pub(super) fn next_tab(state: &mut State, forwards: bool) -> Vec<Effect> {
    let tabs = tab_count(state);
    let step = |index: usize| if forwards { (index + 1) % tabs } else { (index + tabs - 1) % tabs };
    match state.navigation.current() {
        Screen::Queue(_) => {
            let states = states(state);
            let present = state.queue.as_ref().and_then(|view| states.iter().position(|id| *id == view.tab));
            tab(state, step(present.unwrap_or(0)))
        }
        Screen::Job(_) => {
            let present = state.job.as_ref().and_then(|view| JobTab::iter().position(|tab| tab == view.tab));
            tab(state, step(present.unwrap_or(0)))
        }
        screen => {
            let present = Screen::TABS.iter().position(|tab| tab == screen).unwrap_or(0);
            jump(state, Screen::TABS[step(present)].clone())
        }
    }
}

fn tab_count(state: &State) -> usize {
    let count = match state.navigation.current() {
        Screen::Queue(_) => states(state).len(),
        Screen::Job(_) => JobTab::iter().count(),
        _ => Screen::TABS.len(),
    };
    count.max(1)
}

/// States of the open queue, in the order of their tabs.
pub(super) fn states(state: &State) -> Vec<StateId> {
    let Some(view) = &state.queue else { return Vec::new() };
    let instance = state.shown().instances.iter().find(|instance| instance.id == view.id.instance);
    instance.map(|instance| instance.states.iter().map(|spec| spec.id).collect()).unwrap_or_default()
}

/// Opens a tab of the Queue or Job screen by its place.
pub(super) fn tab(state: &mut State, index: usize) -> Vec<Effect> {
    match state.navigation.current() {
        Screen::Queue(_) => {
            let states = states(state);
            let Some((view, tab)) = state.queue.as_mut().zip(states.get(index)) else { return Vec::new() };
            if view.tab == *tab {
                return Vec::new();
            }
            view.tab = *tab;
            view.forget_rows();
            view.list.cursor = None;
            view.list.clear_marks();
            view.search = None;
            view.seen.clear();
            view.follow = None;
            let mut effects = vec![Effect::Abandon(Slot::Ahead), Effect::Abandon(Slot::Search)];
            view.ahead.awaiting = None;
            effects.extend(fetch::now(state));
            effects
        }
        Screen::Job(_) => {
            if let Some((view, tab)) = state.job.as_mut().zip(JobTab::iter().nth(index)) {
                view.tab = tab;
                view.line = 0;
                view.top = 0;
                view.follow = true;
                cursor::settle(state);
            }
            Vec::new()
        }
        _ => Vec::new(),
    }
}
