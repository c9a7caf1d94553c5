//! What has to be typed before a yes counts: a name for the worst, and the word for it where a change is forced.

use super::actions::ActionId;
use super::orders;
use super::question::{Draft, Name, Question};
use super::state::State;
use crate::domain::queue::UNKNOWN_LIBRARY;
use crate::domain::text;

/// Adds to a question what must be typed for a yes.
pub fn arm(state: &State, id: ActionId, question: &mut Question) {
    if name_is_typed(state, id, question) {
        question.name = question.draft().map(|draft| Name::new(name_of(state, draft)));
    }
    // It would be refused otherwise, so there is nothing else to ask.
    if question.draft().is_some_and(|draft| unknown_library(state, draft).is_some()) {
        force(state, question);
    }
}

/// From now on the change is forced, which takes the name and the word for it to be typed.
pub fn force(state: &State, question: &mut Question) {
    if let Some(name) = question.draft().map(|draft| name_of(state, draft)) {
        question.force(&name);
    }
}

/// What a queue of the draft says of a library qtop does not know (R23).
pub fn unknown_library<'a>(state: &'a State, draft: &Draft) -> Option<&'a str> {
    let warnings = draft.parts.iter().filter_map(|part| Some(&state.shown().queue(&part.queue)?.1.warnings));
    let found = warnings.flatten().find(|warning| warning.code == UNKNOWN_LIBRARY)?;
    Some(&found.text)
}

/// What is typed for a yes to the worst: the queue's name, or the server's where there are several queues.
fn name_of(state: &State, draft: &Draft) -> String {
    if let Some(worker) = orders::named(draft) {
        return text::harmless(&worker.to_text()).trim().to_owned();
    }
    let queue = match draft.parts.as_slice() {
        [part] => text::harmless(&part.queue.name.to_text()).trim().to_owned(),
        _ => String::new(),
    };
    if queue.is_empty() { state.server.name.clone() } else { queue }
}

/// A name has to be typed for the worst, and for deleting many in production (S13).
fn name_is_typed(state: &State, id: ActionId, question: &Question) -> bool {
    let Some(draft) = question.draft() else { return false };
    let worst = matches!(id, ActionId::QueueDrain | ActionId::QueueClean | ActionId::QueueObliterate)
        // What ends for good comes back only by somebody else's hand.
        || id == ActionId::WorkersTerminate;
    worst || draft.destroys() && state.server.is_production() && draft.count() > 1
}

/// Reasons as people meet them on a screen: what the command line does by an option, a key of the question does here.
pub fn here(reason: &str) -> String {
    reason.replace("say --force", "press F in the question").replace("--force does it", "F in the question does it")
}
