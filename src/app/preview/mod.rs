//! What a question says: a heading, and facts with labels. The screen breaks and colours them; the words are here.

mod draft;
mod heading;

pub use draft::meanwhile;

use draft::Typing;

use super::command;
use super::question::{Deed, Question, Way};
use super::runner;
use super::state::State;
use crate::domain::ids::{JobRef, QueueId};
use crate::domain::runner::{RunnerCommand, RunnerState};
use crate::domain::text;

/// How a fact is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// By the way.
    Muted,
    /// Look at it before saying yes.
    Warn,
    /// It stands in the way.
    Bad,
}

/// A line of a question, perhaps a long one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about; at most ten characters.
    pub label: &'static str,
    /// The words.
    pub text: String,
    /// How they are meant.
    pub tone: Tone,
}

fn fact(label: &'static str, text: impl Into<String>) -> Fact {
    Fact { label, text: text.into(), tone: Tone::Plain }
}

fn toned(tone: Tone, label: &'static str, text: impl Into<String>) -> Fact {
    Fact { label, text: text.into(), tone }
}

/// `1 job`, `3 jobs`.
pub fn plural(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{} {word}s", text::count(count)) }
}

/// The question in one line.
pub fn heading(question: &Question) -> String {
    match &question.deed {
        Deed::Change(draft) => heading::of_change(draft),
        Deed::Undo(item) => format!("Undo: {}", item.action.replace('_', " ")),
        Deed::Resume(_) => "Go on with an interrupted change".to_owned(),
        Deed::Unlock => "Allow changes here".to_owned(),
        Deed::Quit => "Quit while changes are under way".to_owned(),
        Deed::Leave(Way::Stop) => "Stop qtop while jobs run here".to_owned(),
        Deed::Leave(Way::Quit) => "Leave qtop while jobs run here".to_owned(),
        Deed::Runner(command) => match command {
            RunnerCommand::Cancel(job) => format!("End job {} now", text::fit_middle(&job.id.to_text(), 24)),
            RunnerCommand::RunCopy(job) => {
                format!("Run a copy of job {} here", text::fit_middle(&job.id.to_text(), 24))
            }
            _ => "Drain the runner".to_owned(),
        },
    }
}

/// `2026-01-02 03:04:05 UTC` of a time in RFC 3339; other words stay as they are.
pub fn moment(time: &str) -> String {
    let is_time = time.len() > 19 && time.as_bytes().get(10) == Some(&b'T') && time.ends_with('Z');
    if is_time { format!("{} UTC", time.get(..19).unwrap_or(time).replace('T', " ")) } else { time.to_owned() }
}

/// All facts of a question, the most important first.
pub fn facts(state: &State, question: &Question) -> Vec<Fact> {
    let server = &state.server;
    let environment = server.environment.as_deref().map(|name| format!(" {}", name.to_uppercase()));
    let place = format!("{}{}", server.name, environment.unwrap_or_default());
    let place = toned(if server.is_production() { Tone::Warn } else { Tone::Plain }, "server", place);
    // What the runner is told concerns its own server, whichever is shown.
    let of_runner = matches!(question.deed, Deed::Runner(_) | Deed::Leave(_));
    let place = match runner::elsewhere(state).filter(|_| of_runner) {
        Some(other) => fact("server", other),
        None => place,
    };
    match &question.deed {
        Deed::Change(draft) => {
            let mut facts = vec![place];
            let typing = match (&question.value, &question.name) {
                (Some(_), _) => Typing::Value,
                (None, Some(_)) => Typing::Name,
                (None, None) => Typing::Nothing,
            };
            facts.extend(draft::facts(state, draft, typing));
            if let Some(command) = command::of_question(state, question) {
                facts.push(toned(Tone::Muted, "same as", command));
            }
            facts
        }
        Deed::Undo(item) => vec![
            place,
            fact("queue", &item.queue),
            fact("what", format!("{}, {}", item.action.replace('_', " "), moment(&item.time))),
            fact("copy", format!("in the local trash, {}", item.token)),
            fact("happens", "What was deleted is put back in state and order. An id taken since is refused."),
            toned(Tone::Muted, "same as", command::undo(state, &item.token)),
        ],
        Deed::Resume(plans) => {
            let mut facts = vec![place];
            facts.extend(plans.iter().map(|plan| {
                let left = plural(plan.scope.len() as u64, "job");
                fact("left", format!("{} {left} of {}", plan.change.verb().word(), plan.queue.full_address()))
            }));
            let words = "qtop ended before it was through. The first of them goes on where it was; each job is looked \
                         at again before it is touched.";
            facts.push(fact("happens", words));
            facts.push(toned(Tone::Muted, "same as", command::resume(state)));
            facts
        }
        Deed::Runner(command) => runner_facts(state, place, command),
        Deed::Leave(way) => of_leaving(state, place, *way),
        Deed::Unlock => vec![
            place,
            fact("happens", "For ten minutes keys may change queues here; each still asks. Then it locks by itself."),
            toned(Tone::Muted, "lock", "the same action locks it again at once"),
        ],
        Deed::Quit => {
            let mut facts = vec![place];
            facts.extend(state.changes.running().map(|made| {
                let queue = made.queue.as_ref().map(QueueId::short_address).unwrap_or_default();
                fact("under way", format!("{} {queue}", made.what.word()))
            }));
            facts.push(fact("happens", "The present piece is ended; the next start offers to go on with the rest."));
            facts
        }
    }
}

/// What each of the answers does; they are keys of their own.
fn of_leaving(state: &State, place: Fact, way: Way) -> Vec<Fact> {
    let stops = way == Way::Stop;
    let after = if stops { "stops; fg goes on" } else { "ends" };
    let mut facts = vec![
        place,
        fact("running", plural(state.running_here() as u64, "job")),
        fact("why asked", "A stopped or ended process renews no claim: others would run these jobs a second time."),
        fact("d drain", format!("No more jobs are taken. When the last has ended, qtop {after}.")),
    ];
    if state.leaving.background {
        let until = if stops { "fg brings the screens back." } else { "kill -TERM ends it in good order." };
        let words = format!("In the background, without the screens: jobs go on, and more are taken. {until}");
        facts.push(fact("b go on", words));
    }
    let words = format!("What runs is ended and goes back to its queue, unfinished. Then qtop {after}.");
    facts.push(fact("r put back", words));
    facts
}

fn runner_facts(state: &State, place: Fact, command: &RunnerCommand) -> Vec<Fact> {
    let queue = |job: &JobRef| fact("queue", job.queue.short_address());
    match command {
        RunnerCommand::Cancel(job) => vec![
            place,
            queue(job),
            fact(
                "happens",
                "Its process group is asked to end and then killed; the queue is told that it was cancelled.",
            ),
        ],
        RunnerCommand::RunCopy(job) => vec![
            place,
            queue(job),
            fact("happens", "Its handler runs here with the job's data, outside the queue; the job stays where it is."),
            fact("passes", "A failed job that passes is put back into its queue to be run again."),
        ],
        _ if state.runner.as_ref().is_some_and(|view| view.state == RunnerState::Draining) => vec![
            place,
            fact("running", plural(state.running_here() as u64, "job")),
            fact("happens", "It drains already. Now what runs may take the grace time, then it is put back."),
        ],
        _ => vec![
            place,
            fact("running", plural(state.running_here() as u64, "job")),
            fact("happens", "It takes no more jobs, and ends when the last has ended. Then qtop must be started anew."),
        ],
    }
}
