//! What a question is about, in one line.

use super::draft::states;
use super::plural;
use crate::app::orders;
use crate::app::question::Draft;
use crate::domain::change::Scope;
use crate::domain::mutation::{Change, End};
use crate::domain::text;

/// The change in one line.
pub(super) fn of_change(draft: &Draft) -> String {
    let Some(change) = draft.change() else { return "Nothing to do".to_owned() };
    if let Change::Signal { order, .. } = change {
        let doing = orders::doing(*order);
        return match (orders::named(draft), orders::all_named(draft).len()) {
            (Some(name), _) => format!("{doing} {}", text::fit_middle(&name.to_text(), 40)),
            (None, 0) => format!("{doing} all workers of the application"),
            (None, count) => format!("{doing} {}", plural(count as u64, "worker")),
        };
    }
    let doing = doing(change);
    if let Some((command, _)) = &draft.command {
        return of_command(draft, command, doing);
    }
    match (&draft.one, draft.parts.first().map(|part| &part.scope)) {
        (Some(one), _) => {
            let name = one.seen.name.as_deref().map(|name| format!(" ({})", text::fit(name, 24))).unwrap_or_default();
            format!("{doing} {} job {}{name}", one.seen.state, text::fit_middle(&one.job.id.to_text(), 24))
        }
        (None, Some(Scope::Queue)) => match draft.parts.as_slice() {
            [part] => format!("{doing} {}", text::fit(&part.queue.name.to_text(), 30)),
            parts => format!("{doing} {}", plural(parts.len() as u64, "queue")),
        },
        (None, Some(Scope::Schedules(ids))) => match (ids.as_slice(), draft.parts.len()) {
            ([id], 1) => format!("{doing} schedule {}", text::fit_middle(&id.to_text(), 30)),
            _ => format!("{doing} {}", plural(draft.count() as u64, "schedule")),
        },
        _ if draft.reading.as_ref().is_some_and(|reading| !reading.done) => {
            let queue = draft.parts.first().map(|part| part.queue.name.to_text()).unwrap_or_default();
            format!("{doing} jobs of {}", text::fit(&queue, 30))
        }
        _ => {
            let states = states(draft);
            let state = if let [(one, _)] = states.as_slice() { format!("{one} ") } else { String::new() };
            format!("{doing} {}", plural(draft.count() as u64, &format!("{state}job")))
        }
    }
}

/// `Drain mail: delete 19 jobs`; the count once it is known.
fn of_command(draft: &Draft, command: &str, doing: &str) -> String {
    let queue = draft.parts.first().map(|part| part.queue.name.to_text()).unwrap_or_default();
    let head = format!("{}{} {}", command[..1].to_uppercase(), &command[1..], text::fit(&queue, 30));
    match &draft.reading {
        Some(reading) if reading.done => {
            format!("{head}: {} {}", doing.to_lowercase(), plural(draft.count() as u64, "job"))
        }
        _ => head,
    }
}

/// What a change does, as the beginning of a heading.
fn doing(change: &Change) -> &'static str {
    match change {
        Change::Retry { .. } => "Retry",
        Change::Cancel => "Cancel",
        Change::Promote => "Run now:",
        Change::Delay { .. } => "Give another time to",
        Change::Prioritize { .. } => "Set the priority of",
        Change::Remove { .. } => "Delete",
        Change::Kill { .. } => "Move to the dead letters:",
        Change::Duplicate => "Duplicate",
        Change::Edit { .. } => "Replace the payload of",
        Change::Add(_) => "Add a job to",
        Change::Pause => "Pause",
        Change::Resume => "Resume",
        Change::Limit(_) => "Set limits of",
        Change::Obliterate => "Delete with everything in it:",
        Change::Trigger => "Run now:",
        Change::Unschedule => "Remove",
        Change::Requeue { end: End::Last, .. } => "Requeue",
        Change::Requeue { end: End::Next, .. } => "Requeue to run next:",
        Change::Claim { .. } => "Give to another consumer:",
        Change::Acknowledge => "Settle",
        Change::Trim { .. } => "Trim",
        Change::Signal { order, .. } => orders::doing(*order),
    }
}
