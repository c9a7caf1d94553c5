//! Doing an action that can be done.

use std::sync::Arc;
use std::time::Duration;

use super::cursor::{self, ListOp};
use super::wish;
use super::{
    ask, copy, editing, export, fetch, follow, leaving, lock, notice, open, prompt, reports, settle_refusals, sorting,
};
use crate::app::actions::ActionId;
use crate::app::effect::Effect;
use crate::app::list::Motion;
use crate::app::question::{Deed, Name, Question};
use crate::app::rows;
use crate::app::runner::{self, Wish};
use crate::app::screen::Screen;
use crate::app::state::{Details, Loaded, Overlay, PaletteView, State, TimeStyle};
use crate::app::target;
use crate::app::views::PayloadView;

/// Intervals a person can choose, in milliseconds.
const INTERVALS: [u64; 7] = [500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];
/// Most bytes of a payload that are read on demand.
const MOST_PAYLOAD: u64 = 4 * 1024 * 1024;

pub(super) fn perform(state: &mut State, id: ActionId) -> Vec<Effect> {
    let page = cursor::visible(state);
    if let Some(wish) = runner::wish(state, id) {
        return match wish {
            Ok(Wish::Tell(command)) => {
                state.runner_sizes.ask(&command, state.clock.mono);
                vec![Effect::Runner(command)]
            }
            Ok(Wish::Ask(question)) => ask::show(state, question),
            Err(reason) => {
                notice(state, reason, true);
                Vec::new()
            }
        };
    }
    match id {
        ActionId::ScreenQueues => return open::jump(state, Screen::Queues),
        ActionId::ScreenRunning => return open::jump(state, Screen::Running),
        ActionId::ScreenFailures => return open::jump(state, Screen::Failures),
        ActionId::ScreenWorkers => return open::jump(state, Screen::Workers),
        ActionId::ScreenScheduled => return open::jump(state, Screen::Scheduled),
        ActionId::ScreenRunner => return open::jump(state, Screen::Runner),
        ActionId::ScreenServer => return open::jump(state, Screen::Server),
        ActionId::ScreenLogs => return open::jump(state, Screen::Logs),
        ActionId::Open => return open::under_cursor(state),
        ActionId::Back => return back(state),
        ActionId::Quit => return open::back(state).unwrap_or_else(|| quit(state)),
        ActionId::QuitNow => return vec![Effect::Quit],
        ActionId::Suspend => return leaving::stop(state),
        ActionId::Previous => return open::swap(state),
        ActionId::NextTab => return open::next_tab(state, true),
        ActionId::PreviousTab => return open::next_tab(state, false),
        ActionId::Palette => state.overlay = Some(Overlay::Palette(PaletteView::default())),
        ActionId::Help => state.overlay = Some(Overlay::Help { scroll: 0 }),
        ActionId::Menu => state.overlay = Some(Overlay::Menu { index: 0 }),
        ActionId::Cost => state.overlay = Some(Overlay::Cost),
        ActionId::Problem => problem(state),
        ActionId::Down => return cursor::travel(state, Motion::Down(1)),
        ActionId::Up => return cursor::travel(state, Motion::Up(1)),
        ActionId::PageDown => return cursor::travel(state, Motion::Down(page)),
        ActionId::PageUp => return cursor::travel(state, Motion::Up(page)),
        ActionId::HalfDown => return cursor::travel(state, Motion::Down(page.div_ceil(2))),
        ActionId::HalfUp => return cursor::travel(state, Motion::Up(page.div_ceil(2))),
        ActionId::Top => return top(state),
        ActionId::Bottom => return cursor::travel(state, Motion::Bottom),
        ActionId::Fold => open::fold(state, Some(false)),
        ActionId::Unfold => open::fold(state, Some(true)),
        ActionId::Filter => prompt::open_filter(state),
        ActionId::NextMatch => return next_match(state, true),
        ActionId::PreviousMatch => return next_match(state, false),
        ActionId::SortLeft => sort(state, |state| sorting::step(state, false)),
        ActionId::SortRight => sort(state, |state| sorting::step(state, true)),
        ActionId::SortReverse => sort(state, sorting::reverse),
        ActionId::Mark => {
            cursor::operate(state, ListOp::Mark);
            return cursor::travel(state, Motion::Down(1));
        }
        ActionId::MarkRange => cursor::operate(state, ListOp::Range),
        ActionId::MarkAll => cursor::operate(state, ListOp::MarkAll),
        ActionId::MarkClear => _ = cursor::clear_marks(state),
        ActionId::OnlyFailures => {
            state.queues.only_failures = !state.queues.only_failures;
            cursor::settle(state);
        }
        ActionId::Tree => {
            state.queues.tree = !state.queues.tree;
            state.queues.group = None;
            cursor::settle(state);
        }
        ActionId::Why => return why(state),
        ActionId::Follow => follow::toggle(state),
        ActionId::PayloadMode => payload_mode(state),
        ActionId::More => return more(state),
        ActionId::SearchDeep => prompt::open_search(state, true),
        ActionId::WorkersConfirm => {
            state.workers.confirmed = true;
            return fetch::now(state);
        }
        ActionId::Freeze => return freeze(state),
        ActionId::Faster => return change_interval(state, true),
        ActionId::Slower => return change_interval(state, false),
        ActionId::Refresh => {
            let mut effects = vec![Effect::Refresh];
            effects.extend(fetch::now(state));
            return effects;
        }
        ActionId::Repaint => return vec![Effect::Repaint],
        ActionId::TimeStyle => {
            let (style, words) = match state.time_style {
                TimeStyle::Relative => (TimeStyle::Local, "local time"),
                TimeStyle::Local => (TimeStyle::Utc, "UTC"),
                TimeStyle::Utc => (TimeStyle::Relative, "ages"),
            };
            state.time_style = style;
            notice(state, format!("times are shown as {words}"), false);
        }
        ActionId::Details => {
            state.details = match state.details {
                Details::Auto => Details::Right,
                Details::Right => Details::Bottom,
                Details::Bottom => Details::Off,
                Details::Off => Details::Auto,
            };
            let words: &str = match state.details {
                Details::Auto => "where they fit",
                Details::Right => "on the right",
                Details::Bottom => "at the bottom",
                Details::Off => "off",
            };
            notice(state, format!("details {words}"), false);
        }
        ActionId::CopyValue => return copied(state, copy::value(state)),
        ActionId::CopyCommand => return copied(state, copy::command(state)),
        ActionId::External => return copy::external(state).into_iter().collect(),
        ActionId::JobEdit => return editing::edit(state),
        ActionId::QueueAdd => return editing::add(state),
        ActionId::Export => return export::export(state),
        ActionId::QueueMenu => state.overlay = Some(Overlay::QueueMenu { index: 0 }),
        ActionId::Changes => state.overlay = Some(Overlay::Changes { index: 0, open: None }),
        ActionId::Undo => return reports::undo_newest(state),
        ActionId::Trash => return reports::open_trash(state),
        ActionId::Audit => return reports::open_audit(state),
        ActionId::Continue => {
            let plans = state.changes.interrupted.clone();
            return ask::show(state, Question::new(Deed::Resume(plans)));
        }
        ActionId::Unlock if state.server.unlocked_until.is_some() => return lock(state),
        ActionId::Unlock => {
            let name = Some(Name::new(state.server.name.clone()));
            return ask::show(state, Question { name, ..Question::new(Deed::Unlock) });
        }
        ActionId::JobRetry
        | ActionId::JobsRetryAll
        | ActionId::JobCancel
        | ActionId::JobKill
        | ActionId::JobRemove
        | ActionId::JobPromote
        | ActionId::JobDelay
        | ActionId::JobPriority
        | ActionId::JobDuplicate
        | ActionId::JobRequeueNext
        | ActionId::JobClaim
        | ActionId::JobAck
        | ActionId::QueuePause
        | ActionId::QueueRetryAll
        | ActionId::QueuePromoteAll
        | ActionId::QueueLimit
        | ActionId::QueueTrim
        | ActionId::QueueClean
        | ActionId::QueueDrain
        | ActionId::QueueObliterate
        | ActionId::ScheduleTrigger
        | ActionId::ScheduleRemove
        | ActionId::WorkersPause
        | ActionId::WorkersContinue
        | ActionId::WorkersRestart
        | ActionId::WorkersTerminate => return ask::open(state, id),
        // What they mean for the runner was looked at first.
        ActionId::JobRunHere | ActionId::RunnerMore | ActionId::RunnerFewer | ActionId::RunnerDrain => {}
        ActionId::Mouse => {
            state.mouse = !state.mouse;
            let words = if state.mouse { "mouse on; Shift selects text in most terminals" } else { "mouse off" };
            notice(state, words, false);
            return vec![Effect::Mouse(state.mouse)];
        }
    }
    Vec::new()
}

/// Undoes the narrowest thing first: a search, a filter, marks, then the level.
fn back(state: &mut State) -> Vec<Effect> {
    if matches!(state.navigation.current(), Screen::Queue(_))
        && let Some(effects) = prompt::leave_search(state)
    {
        return effects;
    }
    if let Some(filter) = prompt::filter(state).filter(|filter| !filter.is_empty()) {
        filter.clear();
        cursor::settle(state);
        return fetch::ahead(state);
    }
    if cursor::clear_marks(state) {
        return Vec::new();
    }
    if state.frozen.is_some() && state.navigation.path().len() == 1 {
        return freeze(state);
    }
    open::back(state).unwrap_or_default()
}

/// The first line; in a long list that has been scrolled through, the first page is read again.
fn top(state: &mut State) -> Vec<Effect> {
    let scrolled = state.queue.as_ref().is_some_and(|view| !view.pages.above.is_empty());
    if matches!(state.navigation.current(), Screen::Queue(_)) && scrolled {
        if let Some(view) = &mut state.queue {
            view.forget_rows();
            view.list.cursor = None;
        }
        return fetch::now(state);
    }
    cursor::travel(state, Motion::Top)
}

fn sort(state: &mut State, change: impl FnOnce(&mut State)) {
    change(state);
    cursor::settle(state);
}

/// In a list every visible row matches its filter; in a text the lines that contain it are gone through.
fn next_match(state: &mut State, forwards: bool) -> Vec<Effect> {
    let Some(view) = state.job.as_ref().filter(|_| matches!(state.navigation.current(), Screen::Job(_))) else {
        return cursor::travel(state, if forwards { Motion::Next } else { Motion::Before });
    };
    let wanted = view.filter.to_lowercase();
    let (lines, start) = (rows::job_lines(state), view.line);
    let count = lines.len();
    let matches = |index: usize| lines.get(index).is_some_and(|line| line.plain().to_lowercase().contains(&wanted));
    let step = |distance: usize| if forwards { (start + distance) % count } else { (start + count - distance) % count };
    let found = (1..=count).map(step).find(|index| matches(*index));
    match found {
        _ if wanted.is_empty() => notice(state, "nothing is looked for; type it after the filter key", false),
        Some(index) => return cursor::travel(state, Motion::To(index)),
        None => notice(state, "no line matches", true),
    }
    Vec::new()
}

fn why(state: &mut State) -> Vec<Effect> {
    let Some(queue) = target::queue(state) else { return Vec::new() };
    // Of a group of failures the queue is in question, not the job that happens to be its sample.
    let grouped = matches!(state.navigation.current(), Screen::Failures) && state.failures.open.is_none();
    let job = if grouped { None } else { target::job(state).map(|job| job.id) };
    state.overlay = Some(Overlay::Why { queue, job, loaded: Loaded::default(), scroll: 0 });
    fetch::now(state)
}

fn problem(state: &mut State) {
    if let Some(banner) = &state.banner {
        let (title, text) = (banner.title.clone(), banner.details.clone());
        state.overlay = Some(Overlay::Problem { title, text, scroll: 0 });
    }
}

fn payload_mode(state: &mut State) {
    if let Some(view) = &mut state.job {
        view.payload = match view.payload {
            PayloadView::Tree => PayloadView::Raw,
            PayloadView::Raw => PayloadView::Hex,
            PayloadView::Hex => PayloadView::Tree,
        };
        view.line = 0;
        view.top = 0;
    }
}

fn more(state: &mut State) -> Vec<Effect> {
    match (state.navigation.current(), &mut state.job) {
        (Screen::Queue(_), _) => prompt::more(state),
        (Screen::Job(_), Some(view)) if view.payload_limit < MOST_PAYLOAD => {
            view.payload_limit = (view.payload_limit * 4).min(MOST_PAYLOAD);
            fetch::now(state)
        }
        _ => {
            notice(state, "there is nothing more to read", false);
            Vec::new()
        }
    }
}

fn freeze(state: &mut State) -> Vec<Effect> {
    if state.frozen.take().is_some() {
        settle_refusals(state);
        cursor::settle(state);
        return fetch::now(state);
    }
    state.frozen = Some(Arc::clone(&state.snapshot));
    Vec::new()
}

fn change_interval(state: &mut State, faster: bool) -> Vec<Effect> {
    let present = u64::try_from(state.interval.as_millis()).unwrap_or(u64::MAX);
    let next = if faster {
        INTERVALS.iter().rev().find(|interval| **interval < present)
    } else {
        INTERVALS.iter().find(|interval| **interval > present)
    };
    let Some(next) = next else {
        notice(state, if faster { "it does not go faster" } else { "it does not go slower" }, false);
        return Vec::new();
    };
    state.interval = Duration::from_millis(*next);
    notice(state, format!("refresh every {} s", state.interval.as_secs_f64()), false);
    vec![wish(state)]
}

/// Ends qtop, but asks first while changes are under way.
fn quit(state: &mut State) -> Vec<Effect> {
    if state.changes.running().next().is_none() {
        return leaving::quit(state);
    }
    ask::show(state, Question::new(Deed::Quit))
}

pub(super) fn copied(state: &mut State, effect: Option<Effect>) -> Vec<Effect> {
    if effect.is_none() {
        notice(state, "there is nothing to copy here", true);
    }
    effect.into_iter().collect()
}
