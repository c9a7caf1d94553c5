//! Following: a job through the states of its queue, or the end of log lines.

use super::{cursor, notice, open};
use crate::app::effect::{Effect, Slot};
use crate::app::screen::Screen;
use crate::app::state::State;
use crate::app::target;
use crate::app::views::{Followed, JobTab};
use crate::domain::fetch::{FetchError, Fetched, Request};
use crate::domain::ids::{JobRef, Ticket};

/// Only the job's state is of interest here.
const PAYLOAD: u64 = 64;

/// Follows what is selected on this screen, or stops doing so.
pub(super) fn toggle(state: &mut State) {
    match state.navigation.current() {
        Screen::Logs => state.logs.scroll = 0,
        Screen::Queue(_) => {
            let job = target::job(state);
            let Some(view) = &mut state.queue else { return };
            if view.follow.take().is_some() {
                notice(state, "not followed any more", false);
            } else if let Some(job) = job {
                view.list.cursor = Some(job.id.clone());
                view.follow = Some(Followed::new(job.id));
            }
        }
        _ => {
            if let Some(view) = &mut state.job {
                // Of a job, its log lines are what goes on.
                view.follow = view.tab != JobTab::Logs || !view.follow;
                view.tab = JobTab::Logs;
            }
            cursor::settle(state);
        }
    }
}

/// A person went elsewhere.
pub(super) fn stop(state: &mut State) {
    if let Some(view) = state.queue.as_mut().filter(|_| matches!(state.navigation.current(), Screen::Queue(_))) {
        view.follow = None;
    }
}

/// After a refresh: asks where the followed job is if it is not among the rows any more.
pub(super) fn look(state: &mut State) -> Vec<Effect> {
    let now = state.clock.mono;
    let ticket = state.next_ticket();
    let Some(view) = state.queue.as_mut().filter(|view| view.search.is_none()) else { return Vec::new() };
    let Some(followed) = &mut view.follow else { return Vec::new() };
    if view.rows.iter().any(|row| row.id == followed.id) || !followed.asked.is_free(now) {
        return Vec::new();
    }
    followed.asked.ask(ticket, now);
    let job = JobRef { queue: view.id.clone(), id: followed.id.clone() };
    vec![Effect::Fetch { ticket, slot: Slot::Follow, request: Request::Job { job, payload_limit: PAYLOAD } }]
}

/// Goes to the state the followed job is in now.
pub(super) fn answer(state: &mut State, ticket: Ticket, result: Result<Fetched, FetchError>) -> Vec<Effect> {
    let followed = state.queue.as_mut().and_then(|view| view.follow.as_mut());
    let Some(followed) = followed.filter(|followed| followed.asked.awaiting == Some(ticket)) else { return Vec::new() };
    followed.asked.awaiting = None;
    let id = followed.id.clone();
    match result {
        Ok(Fetched::Job(Some(job))) => {
            let place = open::states(state).iter().position(|known| *known == job.row.state);
            let Some(place) = place else {
                notice(state, format!("{id} is {} now, which has no list here", job.row.state), false);
                return Vec::new();
            };
            if state.queue.as_ref().is_some_and(|view| view.tab == job.row.state) {
                return Vec::new();
            }
            let kept = state.queue.as_mut().and_then(|view| view.follow.take());
            let effects = open::tab(state, place);
            if let Some(view) = &mut state.queue {
                view.list.cursor = Some(id.clone());
                view.follow = kept;
            }
            notice(state, format!("{id} is {} now", job.row.state), false);
            return effects;
        }
        Ok(_) => {
            if let Some(view) = &mut state.queue {
                view.follow = None;
            }
            notice(state, format!("{id} is gone: its queue keeps no record of it"), false);
        }
        Err(error) => notice(state, error.text, true),
    }
    Vec::new()
}
