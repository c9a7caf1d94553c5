//! What a change prints. The shape of the JSON stands in `assets/json.md`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Counter;
use crate::cli::failure::{Exit, Failure};
use crate::domain::change::Plan;
use crate::domain::ids::Name;
use crate::domain::mutation::Outcome;
use crate::engine::change::Finished;
use crate::engine::change::trash::Trash;
use crate::engine::executor::told_change;

/// What every command that changes something prints with `--json`. The last four appear only if they say something.
#[derive(Serialize)]
pub struct Json {
    action: &'static str,
    queue: String,
    requested: u64,
    done: u64,
    refused: Vec<RefusedJson>,
    unknown: Vec<UnknownJson>,
    undo: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    created: Vec<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    notes: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

#[derive(Serialize)]
struct RefusedJson {
    id: String,
    reason: String,
}

#[derive(Serialize)]
struct UnknownJson {
    id: String,
}

impl Json {
    /// For an outcome; `left` ids were never sent.
    pub fn of(action: &'static str, queue: String, outcome: &Outcome, left: u64, undo: Option<String>) -> Self {
        let refused = |(id, reason): &(Name, String)| RefusedJson { id: id.to_text(), reason: reason.clone() };
        Self {
            action,
            queue,
            requested: requested(outcome, left),
            done: outcome.done.len() as u64,
            refused: outcome.refused.iter().map(refused).collect(),
            unknown: outcome.unknown.iter().map(|id| UnknownJson { id: id.to_text() }).collect(),
            undo,
            created: outcome.created.iter().map(Name::to_text).collect(),
            notes: outcome.notes.clone(),
            error: None,
            warning: None,
        }
    }
}

/// Refusals printed for people; the rest is counted.
const SHOWN: usize = 20;

/// Prints what became of a change and tells how to end. A trash that is nearly full is told on standard error, too.
pub fn print(counter: &Counter<'_>, plan: &Plan, finished: &Finished, json: bool) -> Result<Exit, Failure> {
    print_as(plan.change.verb().word(), counter, plan, finished, json)
}

/// Likewise under the name of a command that is no verb.
pub fn print_as(
    verb: &'static str,
    counter: &Counter<'_>,
    plan: &Plan,
    finished: &Finished,
    json: bool,
) -> Result<Exit, Failure> {
    let outcome = &finished.outcome;
    let error = finished.error.as_ref().map(told_change);
    let warning = finished.undo.as_ref().and_then(|_| Trash::new(&counter.places).warning());
    if let Some(warning) = &warning {
        counter.output.note(warning);
    }
    if json {
        counter.output.json(&Json {
            error: error.as_ref().map(|error| error.text.clone()),
            warning,
            ..Json::of(verb, plan.queue.full_address(), outcome, finished.left, finished.undo.clone())
        })?;
    } else {
        counter.output.text(&lines(verb, finished).join("\n"))?;
    }
    if let Some(error) = error {
        return Err(Failure { exit: Exit::Refused, text: error.text, remedy: error.remedy });
    }
    let whole = outcome.refused.is_empty() && outcome.unknown.is_empty() && finished.left == 0;
    Ok(if whole { Exit::Good } else { Exit::Refused })
}

fn requested(outcome: &Outcome, left: u64) -> u64 {
    (outcome.done.len() + outcome.refused.len() + outcome.unknown.len()) as u64 + left
}

fn lines(verb: &str, finished: &Finished) -> Vec<String> {
    let outcome = &finished.outcome;
    let mut lines = vec![format!("{verb}: {} of {} done", outcome.done.len(), requested(outcome, finished.left))];
    lines.extend(outcome.created.iter().take(SHOWN).map(|id| format!("new job {id}")));
    lines.extend(outcome.refused.iter().take(SHOWN).map(|(id, reason)| format!("refused {id}: {reason}")));
    if outcome.refused.len() > SHOWN {
        lines.push(format!("and {} more refused", outcome.refused.len() - SHOWN));
    }
    if !outcome.unknown.is_empty() {
        lines.push(format!("unknown: {}, the answer was lost and could not be read back", outcome.unknown.len()));
    }
    if finished.left > 0 {
        lines.push(format!("not touched: {}", finished.left));
    }
    // Nothing was done: the copy that was taken first puts nothing back.
    let was_sent = !outcome.done.is_empty() || !outcome.unknown.is_empty();
    if let Some(token) = finished.undo.as_ref().filter(|_| was_sent) {
        lines.push(format!("undo with: qtop undo {token}"));
    }
    lines
}
