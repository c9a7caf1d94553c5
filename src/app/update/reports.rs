//! What became of orders, and the lists of changes, of what can be undone, and of what was changed before.

use super::{ask, cursor, fetch, input, notice, refused};
use crate::app::actions::ActionId;
use crate::app::availability::refused_now;
use crate::app::changes::Made;
use crate::app::effect::Effect;
use crate::app::preview::plural;
use crate::app::question::{Deed, Question, Reading};
use crate::app::safeguard;
use crate::app::state::{Overlay, State};
use crate::domain::change::{Control, Frozen, Order, Plan, Report, Scope, Summary, TrashItem};
use crate::domain::fetch::FetchError;
use crate::domain::ids::{QueueId, Ticket};
use crate::domain::mutation::Outcome;

/// Takes a report of the executor.
pub(super) fn reported(state: &mut State, report: Report) -> Vec<Effect> {
    let now = state.clock.mono;
    match report {
        Report::Freezing(ticket, looked_at) => {
            if let Some(reading) = reading(state, ticket) {
                reading.looked_at = looked_at;
            }
        }
        Report::Frozen(ticket, result) => frozen(state, ticket, result),
        Report::Previewed(ticket, result) => previewed(state, ticket, result),
        Report::Progress(ticket, progress) => {
            if let Some(made) = state.changes.of_mut(ticket) {
                made.progress = progress;
            }
        }
        Report::Finished(ticket, summary) => return finished(state, ticket, summary),
        Report::Interrupted(plans) => return interrupted(state, plans),
        Report::Trash(ticket, result) => {
            if state.changes.trash.receive(ticket, result, now) {
                return trash_read(state);
            }
        }
        Report::Audit(ticket, result) => {
            state.changes.audit.receive(ticket, result, now);
        }
    }
    Vec::new()
}

/// The reading of the open question, if it is this one.
fn reading(state: &mut State, ticket: Ticket) -> Option<&mut Reading> {
    let Some(Overlay::Ask(question)) = &mut state.overlay else { return None };
    question.draft_mut()?.reading.as_mut().filter(|reading| reading.ticket == ticket)
}

/// The ids of the open question are there. They do not change any more.
fn frozen(state: &mut State, ticket: Ticket, result: Result<Frozen, FetchError>) {
    let Some(reading) = reading(state, ticket).filter(|reading| !reading.done) else { return };
    reading.done = true;
    let frozen = match result {
        Ok(frozen) => frozen,
        Err(error) => {
            reading.error = Some(error);
            return;
        }
    };
    reading.looked_at = frozen.looked_at;
    let Some(Overlay::Ask(question)) = &mut state.overlay else { return };
    let Some(draft) = question.draft_mut() else { return };
    if let Some(part) = draft.parts.first_mut() {
        part.scope = Scope::Jobs(frozen.groups);
    }
    draft.names = frozen.names;
    draft.samples = frozen.samples;
    draft.left_out = frozen.not_eligible;
    draft.own.lines = frozen.commands;
}

/// What the change of the open question really is.
fn previewed(state: &mut State, ticket: Ticket, result: Result<Vec<String>, FetchError>) {
    let Some(Overlay::Ask(question)) = &mut state.overlay else { return };
    let Some(own) = question.draft_mut().map(|draft| &mut draft.own) else { return };
    let Some(index) = own.awaited.iter().position(|awaited| *awaited == ticket) else { return };
    own.awaited.remove(index);
    match result {
        Ok(lines) => own.lines.extend(lines),
        Err(error) => own.error = Some(error),
    }
}

fn finished(state: &mut State, ticket: Ticket, summary: Summary) -> Vec<Effect> {
    let now = state.clock.mono;
    let Some(made) = state.changes.of_mut(ticket) else { return Vec::new() };
    made.queue = summary.queue.clone().or(made.queue.take());
    let outcome = &summary.outcome;
    made.progress.done = outcome.done.len() as u64;
    made.progress.refused = outcome.refused.len() as u64;
    made.progress.unknown = outcome.unknown.len() as u64;
    let whole = summary.error.is_none() && outcome.refused.is_empty() && outcome.unknown.is_empty();
    let then = made.then.take().filter(|_| whole && summary.left == 0);
    made.ended = Some((summary, now));
    let made = made.clone();
    // Everybody sees what was done with the next refresh, the one who did it at once (U21).
    let mut effects = vec![Effect::Refresh];
    match then {
        Some(plan) => effects.push(ask::send(state, plan, None, false)),
        None => tell(state, &made),
    }
    cursor::settle(state);
    effects.extend(fetch::now(state));
    effects
}

/// Says how a change ended. A failure with a remedy is shown whole, if nothing else is open.
fn tell(state: &mut State, made: &Made) {
    let Some((summary, _)) = &made.ended else { return };
    let (words, bad) = told(made, summary);
    if let Some(error) = &summary.error
        && state.overlay.is_none()
        && state.prompt.is_none()
    {
        let remedy = error.remedy.as_ref().map(|remedy| format!("\n\n{remedy}")).unwrap_or_default();
        let text = input::broken(&safeguard::here(&format!("{}{remedy}", error.text)));
        let title = words.split(": 0 done").next().unwrap_or_default().to_owned();
        state.overlay = Some(Overlay::Problem { title, text, scroll: 0 });
        return;
    }
    let was_sent = !summary.outcome.done.is_empty() || !summary.outcome.unknown.is_empty();
    let undo = (was_sent && summary.undo.is_some()).then(|| state.keymap.key(ActionId::Undo)).flatten();
    let undo = undo.map(|key| format!("; {key} undoes it")).unwrap_or_default();
    notice(state, format!("{words}{undo}"), bad);
}

/// How a change ended, in one line, and whether something of it went wrong.
fn told(made: &Made, summary: &Summary) -> (String, bool) {
    let queue = made.queue.as_ref().map(QueueId::short_address).unwrap_or_default();
    let outcome = &summary.outcome;
    let mut words = format!("{} {queue}: {} done", made.what.word(), outcome.done.len());
    if let [created] = outcome.created.as_slice() {
        words.push_str(&format!(", new job {created}"));
    }
    match outcome.refused.as_slice() {
        [] => {}
        [(_, reason)] => words.push_str(&format!(", refused: {}", safeguard::here(reason))),
        [(_, reason), ..] => {
            words.push_str(&format!(", {} refused, first: {}", outcome.refused.len(), safeguard::here(reason)));
        }
    }
    if !outcome.unknown.is_empty() {
        words.push_str(&format!(", {} unknown: the answer was lost", outcome.unknown.len()));
    }
    for note in &outcome.notes {
        words.push_str(&format!("; {}", safeguard::here(note)));
    }
    if summary.left > 0 {
        words.push_str(&format!(", {} not touched", plural(summary.left, "job")));
    }
    if let Some(error) = &summary.error {
        words.push_str(&format!("; {}", safeguard::here(&error.text)));
    }
    (words, summary.error.is_some() || !outcome.refused.is_empty() || !outcome.unknown.is_empty())
}

/// Offers to go on with what an earlier run did not end.
fn interrupted(state: &mut State, plans: Vec<Plan>) -> Vec<Effect> {
    state.changes.interrupted = plans;
    if state.overlay.is_none() && state.prompt.is_none() && state.server.locked(state.clock.mono).is_none() {
        let plans = state.changes.interrupted.clone();
        return ask::show(state, Question::new(Deed::Resume(plans)));
    }
    notice(state, "an earlier change was interrupted; the action app.continue goes on with it", true);
    Vec::new()
}

/// Reads the trash, and then asks about the newest of this server.
pub(super) fn undo_newest(state: &mut State) -> Vec<Effect> {
    state.changes.undo_newest = true;
    read_trash(state)
}

/// Shows what can be undone.
pub(super) fn open_trash(state: &mut State) -> Vec<Effect> {
    state.overlay = Some(Overlay::Trash { index: 0 });
    state.changes.undo_newest = false;
    read_trash(state)
}

/// Shows what was changed, when, by whom.
pub(super) fn open_audit(state: &mut State) -> Vec<Effect> {
    state.overlay = Some(Overlay::Audit { index: 0 });
    let ticket = state.next_ticket();
    state.changes.audit.ask(ticket, state.clock.mono);
    vec![Effect::Change(Order::Audit { ticket })]
}

fn read_trash(state: &mut State) -> Vec<Effect> {
    let ticket = state.next_ticket();
    state.changes.trash.ask(ticket, state.clock.mono);
    vec![Effect::Change(Order::Trash { ticket })]
}

fn trash_read(state: &mut State) -> Vec<Effect> {
    if !std::mem::take(&mut state.changes.undo_newest) {
        return Vec::new();
    }
    if let Some(error) = &state.changes.trash.error {
        let text = error.text.clone();
        notice(state, text, true);
        return Vec::new();
    }
    let newest = state.changes.trash.data.iter().flatten().find(|item| item.server == state.server.name);
    match newest.cloned() {
        Some(item) => ask_undo(state, item),
        None => {
            notice(state, "nothing that was removed on this server is in the local trash", true);
            Vec::new()
        }
    }
}

fn ask_undo(state: &mut State, item: TrashItem) -> Vec<Effect> {
    if item.server != state.server.name {
        let words = format!("it was removed on {}; watch that server to put it back", item.server);
        notice(state, words, true);
        return Vec::new();
    }
    if let Some(reason) = refused_now(state) {
        refused(state, reason);
        return Vec::new();
    }
    ask::show(state, Question::new(Deed::Undo(item)))
}

/// The tasks were started anew: what was under way has stopped after its present piece.
pub(super) fn forget_running(state: &mut State) {
    let now = state.clock.mono;
    for made in state.changes.list.iter_mut().filter(|made| made.is_running()) {
        let left = made.progress.requested.saturating_sub(made.dealt());
        let error = FetchError {
            text: "it was stopped because the connection is made anew".to_owned(),
            remedy: Some("the action app.continue goes on with it".to_owned()),
        };
        let summary = Summary { queue: None, outcome: Outcome::default(), left, undo: None, error: Some(error) };
        made.ended = Some((summary, now));
    }
}

/// True for actions that mean something of their own in the open list.
pub(super) fn takes(state: &State, id: ActionId) -> bool {
    match &state.overlay {
        Some(Overlay::Changes { open: Some(_), .. }) => matches!(id, ActionId::Back | ActionId::Quit | ActionId::Open),
        Some(Overlay::Changes { .. }) => {
            matches!(id, ActionId::Open | ActionId::QueuePause | ActionId::JobCancel | ActionId::Undo)
        }
        Some(Overlay::Trash { .. }) => matches!(id, ActionId::Open | ActionId::Undo),
        _ => false,
    }
}

/// Does such an action.
pub(super) fn act(state: &mut State, id: ActionId) -> Vec<Effect> {
    match (&mut state.overlay, id) {
        (Some(Overlay::Changes { open: open @ Some(_), .. }), _) => {
            *open = None;
            Vec::new()
        }
        (Some(Overlay::Changes { index, open }), ActionId::Open) => {
            *open = state.changes.list.get(*index).map(|made| (made.ticket, 0));
            Vec::new()
        }
        (Some(Overlay::Changes { index, .. }), ActionId::Undo) => {
            let index = *index;
            undo_of(state, index)
        }
        (Some(Overlay::Changes { index, .. }), id) => {
            let made = state.changes.list.get_mut(*index).filter(|made| made.is_running());
            let Some(made) = made else {
                notice(state, "it is over", false);
                return Vec::new();
            };
            made.control = match (id, made.control) {
                (ActionId::JobCancel, _) => Control::Stop,
                (_, Control::Pause) => Control::Go,
                (_, _) => Control::Pause,
            };
            vec![Effect::Change(Order::Control(made.ticket, made.control))]
        }
        (Some(Overlay::Trash { index }), _) => {
            let item = state.changes.trash.data.as_ref().and_then(|items| items.get(*index)).cloned();
            item.map(|item| ask_undo(state, item)).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// Asks about undoing the change under the cursor of the list of changes.
fn undo_of(state: &mut State, index: usize) -> Vec<Effect> {
    let made = state.changes.list.get(index);
    let token = made.and_then(|made| made.ended.as_ref()).and_then(|(summary, _)| summary.undo.clone());
    let (Some(made), Some(token)) = (made, token) else {
        notice(state, "there is nothing of it in the trash", true);
        return Vec::new();
    };
    let item = TrashItem {
        token,
        time: "this run of qtop".to_owned(),
        server: state.server.name.clone(),
        queue: made.queue.as_ref().map(QueueId::full_address).unwrap_or_default(),
        action: made.what.word().to_owned(),
        bytes: 0,
    };
    ask_undo(state, item)
}
