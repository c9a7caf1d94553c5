//! What a change prints. The shape of the JSON stands in `assets/json.md`.

use serde::Serialize;

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::domain::change::Plan;
use crate::domain::ids::Name;
use crate::engine::change::Finished;
use crate::engine::executor::told_change;

#[derive(Serialize)]
struct Json {
    action: &'static str,
    queue: String,
    requested: u64,
    done: u64,
    refused: Vec<RefusedJson>,
    unknown: Vec<UnknownJson>,
    created: Vec<String>,
    left: u64,
    undo: Option<String>,
    error: Option<String>,
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

/// Refusals printed for people; the rest is counted.
const SHOWN: usize = 20;

/// Prints what became of a change and tells how to end.
pub fn print(output: &Output, plan: &Plan, finished: &Finished, json: bool) -> Result<Exit, Failure> {
    let outcome = &finished.outcome;
    let error = finished.error.as_ref().map(told_change);
    if json {
        output.json(&Json {
            action: plan.change.verb().word(),
            queue: plan.queue.full_address(),
            requested: requested(finished),
            done: outcome.done.len() as u64,
            refused: outcome
                .refused
                .iter()
                .map(|(id, reason)| RefusedJson { id: id.to_text(), reason: reason.clone() })
                .collect(),
            unknown: outcome.unknown.iter().map(|id| UnknownJson { id: id.to_text() }).collect(),
            created: outcome.created.iter().map(Name::to_text).collect(),
            left: finished.left,
            undo: finished.undo.clone(),
            error: error.as_ref().map(|error| error.text.clone()),
        })?;
    } else {
        output.text(&lines(plan, finished).join("\n"))?;
    }
    if let Some(error) = error {
        return Err(Failure { exit: Exit::Refused, text: error.text, remedy: error.remedy });
    }
    let whole = outcome.refused.is_empty() && outcome.unknown.is_empty() && finished.left == 0;
    Ok(if whole { Exit::Good } else { Exit::Refused })
}

fn requested(finished: &Finished) -> u64 {
    let outcome = &finished.outcome;
    (outcome.done.len() + outcome.refused.len() + outcome.unknown.len()) as u64 + finished.left
}

fn lines(plan: &Plan, finished: &Finished) -> Vec<String> {
    let outcome = &finished.outcome;
    let verb = plan.change.verb().word();
    let mut lines = vec![format!("{verb}: {} of {} done", outcome.done.len(), requested(finished))];
    lines.extend(outcome.created.iter().map(|id| format!("new job {id}")));
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
    if let Some(token) = &finished.undo {
        lines.push(format!("undo with: qtop undo {token}"));
    }
    lines
}
