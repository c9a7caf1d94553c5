//! What the visible screen reads beyond the tick, and when: after each sample, never two of a kind at once.

use std::time::{Duration, Instant};

use super::cursor;
use crate::app::effect::{Effect, Slot};
use crate::app::screen::Screen;
use crate::app::state::{Loaded, Overlay, State};
use crate::app::views::QueueView;
use crate::domain::fetch::Request;
use crate::domain::ids::JobRef;
use crate::domain::job::PageRequest;

/// Reads over many queues are dear; they are repeated at most this often.
const DEAR: Duration = Duration::from_secs(5);

/// Samples come more often while queues are being found; cheap reads need not follow each of them.
const CHEAP_SHARE: f32 = 0.8;

/// Jobs looked at in one step of a search; fewer where payloads are read too.
const SEARCH_STEP: usize = 500;
const DEEP_SEARCH_STEP: usize = 100;

/// Reads the screen's data again after a sample, if the last read is done and old enough.
pub(super) fn refresh(state: &mut State) -> Vec<Effect> {
    let mut effects = screen(state, false);
    effects.extend(ahead(state));
    effects.extend(why(state, false));
    effects.extend(asked(state, false));
    effects
}

/// Reads the screen's data now, because a person came here or asked for it.
pub(super) fn now(state: &mut State) -> Vec<Effect> {
    let mut effects = screen(state, true);
    effects.extend(why(state, true));
    effects
}

fn screen(state: &mut State, forced: bool) -> Vec<Effect> {
    let now = state.clock.mono;
    let cheap = state.interval.mul_f32(CHEAP_SHARE);
    let settings = &state.settings;
    let (slot, request, due) = match state.navigation.current() {
        Screen::Queues | Screen::Runner | Screen::Server | Screen::Logs => return Vec::new(),
        Screen::Queue(_) => return page(state, forced),
        Screen::Job(job) => {
            let Some(view) = &state.job else { return Vec::new() };
            let request = Request::Job { job: job.clone(), payload_limit: view.payload_limit };
            (Slot::Job, request, is_due(&view.loaded, now, cheap))
        }
        Screen::Running => {
            let request = Request::Running { limit: settings.running_limit };
            (Slot::Running, request, is_due(&state.running.loaded, now, cheap))
        }
        Screen::Failures => {
            let request = Request::Failures { window: settings.failure_window };
            (Slot::Failures, request, is_due(&state.failures.loaded, now, DEAR))
        }
        Screen::Workers => {
            let request = Request::Workers { confirmed: state.workers.confirmed };
            (Slot::Workers, request, is_due(&state.workers.loaded, now, DEAR))
        }
        Screen::Scheduled => {
            let request = Request::Scheduled { limit: settings.scheduled_limit };
            (Slot::Scheduled, request, is_due(&state.scheduled.loaded, now, DEAR))
        }
    };
    if !due && !forced {
        return Vec::new();
    }
    let ticket = state.next_ticket();
    match slot {
        Slot::Job => {
            if let Some(view) = &mut state.job {
                view.loaded.ask(ticket, now);
            }
        }
        Slot::Running => state.running.loaded.ask(ticket, now),
        Slot::Failures => state.failures.loaded.ask(ticket, now),
        Slot::Workers => state.workers.loaded.ask(ticket, now),
        Slot::Scheduled => state.scheduled.loaded.ask(ticket, now),
        Slot::Page
        | Slot::Ahead
        | Slot::Search
        | Slot::Why
        | Slot::Find
        | Slot::Asked
        | Slot::Payload
        | Slot::Follow => {}
    }
    vec![Effect::Fetch { ticket, slot, request }]
}

fn is_due<T>(loaded: &Loaded<T>, now: Instant, every: Duration) -> bool {
    loaded.is_free(now) && loaded.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= every)
}

/// Reads a page of the Queue screen: the one under the cursor, in turn with the one at the top of the screen, so that
/// everything visible stays fresh and what is not visible costs nothing.
fn page(state: &mut State, forced: bool) -> Vec<Effect> {
    let now = state.clock.mono;
    let limit = state.settings.page_rows;
    let turn = state.snapshot.seq % 2;
    let cheap = state.interval.mul_f32(CHEAP_SHARE);
    let ticket = state.next_ticket();
    let Some(view) = &mut state.queue else { return Vec::new() };
    if view.search.is_some() || !(forced || is_due(&view.page, now, cheap)) {
        return Vec::new();
    }
    let row = if turn == 0 { view.list.top } else { view.list.last_index };
    // A sorted or filtered table has other rows there than the list; its first page is as good as any.
    let plain = view.list.sort.is_none() && view.list.filter.is_empty();
    let index = if plain { view.pages.page_of(row).unwrap_or(0) } else { 0 };
    let name = view.pages.loaded.get(index).and_then(|(name, _)| name.clone());
    view.pages.refreshing = Some(name.clone());
    view.page.ask(ticket, now);
    let page = PageRequest { cursor: name, limit };
    let request = Request::Jobs { queue: view.id.clone(), state: view.tab, page };
    vec![Effect::Fetch { ticket, slot: Slot::Page, request }]
}

/// Reads the page beyond the loaded rows once the cursor is within a screen of their end.
pub(super) fn ahead(state: &mut State) -> Vec<Effect> {
    let now = state.clock.mono;
    let limit = state.settings.page_rows;
    let near = cursor::visible(state) * 2;
    if !matches!(state.navigation.current(), Screen::Queue(_)) || state.frozen.is_some() {
        return Vec::new();
    }
    let ticket = state.next_ticket();
    let Some(view) = &mut state.queue else { return Vec::new() };
    let Some((cursor, upwards)) = wanted(view, near).filter(|_| view.ahead.is_free(now)) else { return Vec::new() };
    view.pages.upwards = upwards;
    view.ahead.ask(ticket, now);
    let page = PageRequest { cursor, limit };
    let request = Request::Jobs { queue: view.id.clone(), state: view.tab, page };
    vec![Effect::Fetch { ticket, slot: Slot::Ahead, request }]
}

/// The page that will soon be needed. A filter does not pull the whole list in: what it hides is endless.
fn wanted(view: &QueueView, near: usize) -> Option<(Option<crate::domain::job::Cursor>, bool)> {
    if view.search.is_some() || !view.list.filter.is_empty() || view.rows.is_empty() {
        return None;
    }
    let index = view.list.last_index;
    if let Some((name, _)) = view.pages.above.last()
        && index < near
    {
        return Some((name.clone(), true));
    }
    let next = view.next.as_ref()?;
    (index + near >= view.rows.len()).then(|| (Some(next.clone()), false))
}

/// The next step of the running search.
pub(super) fn search(state: &mut State) -> Vec<Effect> {
    let now = state.clock.mono;
    let ticket = state.next_ticket();
    let Some(view) = &mut state.queue else { return Vec::new() };
    let Some(search) = view.search.as_mut().filter(|search| search.running) else { return Vec::new() };
    search.step.ask(ticket, now);
    let limit = if search.search.payload_bytes > 0 { DEEP_SEARCH_STEP } else { SEARCH_STEP };
    let request = Request::Search {
        queue: view.id.clone(),
        state: view.tab,
        search: search.search.clone(),
        page: PageRequest { cursor: search.next.clone(), limit },
    };
    vec![Effect::Fetch { ticket, slot: Slot::Search, request }]
}

/// Reads the reasons of an open "why?" again.
fn why(state: &mut State, forced: bool) -> Vec<Effect> {
    let now = state.clock.mono;
    let ticket = state.next_ticket();
    let Some(Overlay::Why { queue, job, loaded, .. }) = &mut state.overlay else { return Vec::new() };
    if !forced && !is_due(loaded, now, DEAR) {
        return Vec::new();
    }
    loaded.ask(ticket, now);
    let request = Request::Why { queue: queue.clone(), job: job.clone() };
    vec![Effect::Fetch { ticket, slot: Slot::Why, request }]
}

/// Reads the only job of an open question again: it may have changed since the key was pressed (U21).
pub(super) fn asked(state: &mut State, forced: bool) -> Vec<Effect> {
    let now = state.clock.mono;
    let cheap = state.interval.mul_f32(CHEAP_SHARE);
    let ticket = state.next_ticket();
    let Some(Overlay::Ask(question)) = &mut state.overlay else { return Vec::new() };
    let Some(one) = question.draft_mut().and_then(|draft| draft.one.as_mut()) else { return Vec::new() };
    if !forced && !is_due(&one.now, now, cheap) {
        return Vec::new();
    }
    one.now.ask(ticket, now);
    let request = Request::Job { job: one.job.clone(), payload_limit: 1 };
    vec![Effect::Fetch { ticket, slot: Slot::Asked, request }]
}

/// Reads a payload whole, to be edited.
pub(super) fn payload(state: &mut State, job: JobRef, limit: u64) -> Vec<Effect> {
    let (ticket, now) = (state.next_ticket(), state.clock.mono);
    state.changes.editing.data = Some(job.clone());
    state.changes.editing.ask(ticket, now);
    vec![Effect::Fetch { ticket, slot: Slot::Payload, request: Request::Job { job, payload_limit: limit } }]
}

/// Gives up waiting for anything that was asked.
pub(super) fn forget_asked(state: &mut State) {
    state.running.loaded.awaiting = None;
    state.failures.loaded.awaiting = None;
    state.workers.loaded.awaiting = None;
    state.scheduled.loaded.awaiting = None;
    state.find.awaiting = None;
    if let Some(view) = &mut state.queue {
        view.page.awaiting = None;
        view.ahead.awaiting = None;
        if let Some(followed) = &mut view.follow {
            followed.asked.awaiting = None;
        }
        if let Some(search) = &mut view.search {
            search.step.awaiting = None;
            search.running = false;
        }
    }
    if let Some(view) = &mut state.job {
        view.loaded.awaiting = None;
    }
    match &mut state.overlay {
        Some(Overlay::Why { loaded, .. }) => loaded.awaiting = None,
        Some(Overlay::Ask(question)) => {
            if let Some(one) = question.draft_mut().and_then(|draft| draft.one.as_mut()) {
                one.now.awaiting = None;
            }
        }
        _ => {}
    }
    state.changes.editing.awaiting = None;
}
