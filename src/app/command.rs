//! The command that does without a screen what a question asks about.

use std::time::Duration;

use super::question::{Deed, Draft, FORCE, Part, Question};
use super::state::State;
use crate::domain::change::{Filter, Scope};
use crate::domain::ids::JobId;
use crate::domain::mutation::{Change, End, Limits};

/// More ids are handed over on standard input.
const ON_THE_LINE: usize = 20;

/// Bytes of a new job's data that are written into its command.
const LONGEST_DATA: usize = 2_000;

/// A word a shell takes as it is.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// `qtop`, with what leads it to this server.
pub fn program(state: &State) -> String {
    let arguments = &state.server.arguments;
    if arguments.is_empty() { "qtop".to_owned() } else { format!("qtop {arguments}") }
}

/// Undoes one change.
pub fn undo(state: &State, token: &str) -> String {
    format!("{} undo {token}{}", program(state), unlock(state))
}

/// Goes on with an interrupted change.
pub fn resume(state: &State) -> String {
    format!("{} continue{}", program(state), unlock(state))
}

fn unlock(state: &State) -> &'static str {
    if state.server.read_only.is_some() { " --unlock" } else { "" }
}

/// All of a question; several queues take several commands. `None` where no command does it.
pub fn of_question(state: &State, question: &Question) -> Option<String> {
    let Deed::Change(draft) = &question.deed else { return None };
    let lines: Vec<String> = draft.parts.iter().filter_map(|part| of_part(state, draft, part)).collect();
    (!lines.is_empty() && question.value.is_none()).then(|| lines.join("; "))
}

fn of_part(state: &State, draft: &Draft, part: &Part) -> Option<String> {
    let address = quoted(&state.shown().address(&part.queue));
    if let Change::Signal { order, workers } = &part.change {
        let line = format!("{} signal {} {address}{}", program(state), order.word(), listed(workers));
        return Some(line + unlock(state));
    }
    let named = draft.command.is_some();
    let (word, options) = match &draft.command {
        Some(command) => command.clone(),
        None => words(draft, &part.change)?,
    };
    let mut line = format!("{} {word} {address}", program(state));
    let mut feed = String::new();
    match (&part.scope, &draft.reading) {
        (_, Some(_)) if named => {}
        (_, Some(reading)) => line.push_str(&selecting(&reading.filter)?),
        (Scope::Queue, None) => {}
        (Scope::Schedules(ids), None) => line.push_str(&listed(ids)),
        (Scope::Jobs(groups), None) => {
            let ids: Vec<JobId> = groups.iter().flat_map(|(_, ids)| ids).cloned().collect();
            if ids.len() > ON_THE_LINE {
                feed = format!(r"printf '%s\n'{} | ", listed(&ids));
                line.push_str(" -");
            } else {
                line.push_str(&listed(&ids));
            }
        }
    }
    line.push_str(&options);
    if let Change::Add(job) = &part.change {
        feed = fed(&job.data)?;
    }
    if let Some(rate) = draft.rate {
        line.push_str(&format!(" --rate {rate}"));
    }
    if draft.ramp {
        line.push_str(" --ramp");
    }
    if draft.force {
        line.push_str(&format!(" {FORCE}"));
    }
    line.push_str(unlock(state));
    Some(feed + &line)
}

/// Data as a shell hands it over on standard input; `None` where it is longer than anybody copies, or no text.
fn fed(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok().filter(|text| text.len() <= LONGEST_DATA)?;
    Some(format!("printf %s {} | ", quoted(text)))
}

fn listed(ids: &[JobId]) -> String {
    ids.iter().map(|id| format!(" {}", quoted(&id.to_text()))).collect()
}

/// The words that select by a filter; a command takes one state only.
fn selecting(filter: &Filter) -> Option<String> {
    let [state] = filter.states.as_slice() else { return None };
    let matching = filter.search.as_ref().map(|search| format!(" --match {}", quoted(&search.text)));
    let payloads = filter.search.as_ref().filter(|search| search.payload_bytes > 0).map(|_| " --payloads");
    Some(format!(" --all --state {state}{}{}", matching.unwrap_or_default(), payloads.unwrap_or_default()))
}

/// The subcommand and the options of a change.
fn words(draft: &Draft, change: &Change) -> Option<(&'static str, String)> {
    let none = String::new();
    Some(match change {
        Change::Retry { reset_attempts } => ("retry", flag(*reset_attempts, " --reset-attempts")),
        Change::Cancel => ("cancel", none),
        Change::Promote => ("promote", none),
        Change::Delay { by } => ("delay", format!(" --by {}", span(*by))),
        Change::Prioritize { priority } => ("prioritize", format!(" --to {priority}")),
        Change::Remove { children } => ("remove", flag(*children, " --children")),
        Change::Kill { reason } => ("kill", format!(" --reason {}", quoted(reason))),
        Change::Duplicate => ("duplicate", none),
        Change::Edit { .. } => ("edit", flag(draft.then_retry, " --retry")),
        Change::Add(job) => {
            let mut options = format!(" {} --data -", quoted(&job.name));
            if !job.delay.is_zero() {
                options.push_str(&format!(" --delay {}", span(job.delay)));
            }
            if job.priority != 0 {
                options.push_str(&format!(" --priority {}", job.priority));
            }
            options.extend(job.id.as_ref().map(|id| format!(" --id {}", quoted(&id.to_text()))));
            options.extend(job.attempts.map(|attempts| format!(" --attempts {attempts}")));
            options.extend(job.dedup.as_ref().map(|id| format!(" --dedup {}", quoted(id))));
            ("add", options)
        }
        Change::Pause => ("pause", none),
        Change::Resume => ("resume", none),
        Change::Limit(values) => ("limit", limits(values).iter().map(|word| format!(" --{word}")).collect()),
        Change::Obliterate => ("obliterate", none),
        Change::Trigger => ("trigger", none),
        Change::Unschedule => ("unschedule", none),
        Change::Requeue { end, reset_attempts } => {
            let next = flag(*end == End::Next, " --next");
            ("requeue", next + &flag(*reset_attempts, " --reset-attempts"))
        }
        Change::Claim { consumer, min_idle } => {
            let idle = if min_idle.is_zero() { none } else { format!(" --min-idle {}", span(*min_idle)) };
            ("claim", format!(" --consumer {}{idle}", quoted(&consumer.to_text())))
        }
        Change::Acknowledge => ("ack", none),
        Change::Trim { keep } => ("trim", format!(" --keep {keep}")),
        // Its words stand in another order, which is looked after where the line is made.
        Change::Signal { .. } => return None,
    })
}

fn flag(set: bool, word: &str) -> String {
    if set { word.to_owned() } else { String::new() }
}

/// A time as the command line reads it: whole seconds, or milliseconds.
pub fn span(time: Duration) -> String {
    let millis = time.as_millis();
    if millis.is_multiple_of(1_000) { format!("{}s", millis / 1_000) } else { format!("{millis}ms") }
}

/// Limits as the options of the command line write them, without the dashes.
pub fn limits(limits: &Limits) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(concurrency) = limits.concurrency {
        words.push(format!("concurrency {}", concurrency.unwrap_or(0)));
    }
    match limits.rate {
        Some(Some((max, per))) => {
            words.push(format!("max {max}"));
            words.push(format!("per {}", span(per)));
        }
        Some(None) => words.extend(["max 0".to_owned(), "per 1s".to_owned()]),
        None => {}
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        for (word, expected) in [("mail", "mail"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''"), ("$x", "'$x'")]
        {
            assert_eq!(quoted(word), expected);
        }
    }
}
