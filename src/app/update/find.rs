//! A job looked for by its id in all queues.

use super::{notice, open};
use crate::app::effect::{Effect, Slot};
use crate::app::state::{Overlay, PaletteView, State};
use crate::domain::fetch::{FetchError, Fetched, Request};
use crate::domain::ids::{JobId, JobRef, Ticket};

pub(super) fn find(state: &mut State, id: &str) -> Vec<Effect> {
    let id = JobId::from(id);
    let ticket = state.next_ticket();
    state.find.data = Some(id.clone());
    state.find.ask(ticket, state.clock.mono);
    notice(state, format!("looking for job {id} in all queues"), false);
    vec![Effect::Fetch { ticket, slot: Slot::Find, request: Request::Find { id } }]
}

pub(super) fn answer(state: &mut State, ticket: Ticket, result: Result<Fetched, FetchError>) -> Vec<Effect> {
    if state.find.awaiting != Some(ticket) {
        return Vec::new();
    }
    state.find.awaiting = None;
    let id = state.find.data.take().unwrap_or_default();
    state.toasts.clear();
    match result {
        Ok(Fetched::Find(mut rows)) => match rows.len() {
            0 => notice(state, format!("no known queue has a job {id}"), true),
            1 => {
                let row = rows.remove(0);
                return open::job(state, JobRef { queue: row.queue, id: row.row.id });
            }
            _ => state.overlay = Some(Overlay::Palette(PaletteView { found: rows, ..PaletteView::default() })),
        },
        Ok(_) => notice(state, "the reader answered something else than was asked", true),
        Err(error) => notice(state, error.text, true),
    }
    Vec::new()
}
