//! What a question says: a heading, and facts with labels. The screen breaks and colours them; the words are here.

use std::time::Duration;

use super::command;
use super::question::{Deed, Draft, One, Question};
use super::state::State;
use crate::domain::change::Scope;
use crate::domain::ids::{JobRef, QueueId, Ticket};
use crate::domain::job::JobRow;
use crate::domain::mutation::{Ability, Change, End, Verb};
use crate::domain::queue::Count;
use crate::domain::runner::RunnerCommand;
use crate::domain::state::StateId;
use crate::domain::text;

/// Parts of a list that are named; the rest is counted.
const NAMED: usize = 4;

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
        Deed::Change(draft) => of_change(draft),
        Deed::Undo(item) => format!("Undo: {}", item.action.replace('_', " ")),
        Deed::Resume(_) => "Go on with an interrupted change".to_owned(),
        Deed::Unlock => "Allow changes here".to_owned(),
        Deed::Quit => "Quit while changes are under way".to_owned(),
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

fn of_change(draft: &Draft) -> String {
    let Some(change) = draft.change() else { return "Nothing to do".to_owned() };
    let doing = doing(change);
    match (&draft.one, draft.parts.first().map(|part| &part.scope)) {
        (Some(one), _) => {
            let name = one.seen.name.as_deref().map(|name| format!(" ({})", text::fit(name, 24))).unwrap_or_default();
            format!("{doing} {} job {}{name}", one.seen.state, text::fit_middle(&one.job.id.to_text(), 24))
        }
        (None, Some(Scope::Queue)) => match draft.parts.as_slice() {
            [part] => format!("{doing} {}", text::fit(&part.queue.name.to_text(), 30)),
            parts => format!("{doing} {}", plural(parts.len() as u64, "queue")),
        },
        (None, Some(Scope::Schedules(_))) => format!("{doing} {}", plural(draft.count() as u64, "schedule")),
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

/// What a change does, as the beginning of a heading.
fn doing(change: &Change) -> &'static str {
    match change {
        Change::Retry { .. } => "Retry",
        Change::Cancel => "Cancel",
        Change::Promote => "Run now:",
        Change::Delay { .. } => "Delay",
        Change::Prioritize { .. } => "Give another priority to",
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
        Change::Signal { .. } => "Tell the workers of",
    }
}

/// All facts of a question, the most important first.
pub fn facts(state: &State, question: &Question) -> Vec<Fact> {
    let server = &state.server;
    let environment = server.environment.as_deref().map(|name| format!(" {}", name.to_uppercase()));
    let place = format!("{}{}", server.name, environment.unwrap_or_default());
    let place = toned(if server.is_production() { Tone::Warn } else { Tone::Plain }, "server", place);
    match &question.deed {
        Deed::Change(draft) => {
            let mut facts = of_draft(state, draft);
            facts.insert(0, place);
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
        Deed::Runner(command) => of_runner(state, place, command),
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

fn of_runner(state: &State, place: Fact, command: &RunnerCommand) -> Vec<Fact> {
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
        _ => vec![
            place,
            fact("running", plural(state.running_here() as u64, "job")),
            fact("happens", "It takes no more jobs, and ends when the last has ended. Then qtop must be started anew."),
        ],
    }
}

fn of_draft(state: &State, draft: &Draft) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(one) = &draft.one {
        facts.extend(meanwhile(one).map(|text| toned(Tone::Bad, "meanwhile", text)));
    }
    if let Some(group) = &draft.group {
        facts.push(fact("group", group));
    }
    facts.push(queues(state, draft));
    if let Some(reading) = &draft.reading {
        if let Some(error) = &reading.error {
            let remedy = error.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
            facts.push(toned(Tone::Bad, "not read", format!("{}{remedy}", error.text)));
        } else if !reading.done && reading.ticket != Ticket::default() {
            facts.push(toned(Tone::Warn, "reading", format!("{} looked at", plural(reading.looked_at, "job"))));
        } else if reading.done {
            facts.push(toned(Tone::Muted, "read", format!("{} looked at", plural(reading.looked_at, "job"))));
        }
        if let Some(search) = &reading.filter.search {
            facts.push(fact("with", format!("{:?} in id, name or error", search.text)));
        }
    }
    if draft.is_of_jobs() && !draft.is_empty() {
        facts.extend(of_those(draft));
    }
    facts.extend(
        draft
            .left_out
            .iter()
            .map(|(reason, count)| toned(Tone::Warn, "left out", format!("{}: {reason}", plural(*count, "job")))),
    );
    if draft.out_of_sight > 0 {
        let text = format!("{} of the marked are not on the screen now", text::count(draft.out_of_sight));
        facts.push(toned(Tone::Warn, "marked", text));
    }
    facts.extend(argument(draft).map(|text| fact("value", text)));
    facts.extend(attempts(draft).map(|text| fact("attempts", text)));
    facts.extend(contents(state, draft));
    facts.extend(happens(state, draft));
    facts.extend(blocking(state, draft).map(|text| toned(Tone::Warn, "blocks", text)));
    if draft.is_of_jobs() && (draft.count() > 1 || draft.reading.is_some()) {
        facts.push(fact("pace", pace(draft)));
    }
    facts.extend(undo(draft));
    facts
}

/// How the job has changed since the key was pressed (U21).
pub fn meanwhile(one: &One) -> Option<String> {
    let now = one.now.data.as_ref()?;
    match now {
        None => Some("it is gone by now".to_owned()),
        Some(job) if job.row.state != one.seen.state => {
            Some(format!("it is {} by now, not {} as when you pressed the key", job.row.state, one.seen.state))
        }
        Some(job) if job.row.attempts_made != one.seen.attempts_made => {
            Some("it was tried again since you pressed the key".to_owned())
        }
        Some(_) => None,
    }
}

fn queues(state: &State, draft: &Draft) -> Fact {
    let of_queue = |queue: &QueueId| state.shown().address(queue);
    match draft.parts.as_slice() {
        [part] => fact("queue", of_queue(&part.queue)),
        parts => {
            let counted = |part: &super::question::Part| match part.scope {
                Scope::Queue => of_queue(&part.queue),
                _ => format!("{} {}", of_queue(&part.queue), text::count(part.scope.len() as u64)),
            };
            let mut words: Vec<String> = parts.iter().take(NAMED * 2).map(counted).collect();
            if parts.len() > NAMED * 2 {
                words.push(format!("and {} more", parts.len() - NAMED * 2));
            }
            fact("queues", words.join(", "))
        }
    }
}

fn states(draft: &Draft) -> Vec<(StateId, u64)> {
    let mut states: Vec<(StateId, u64)> = Vec::new();
    for part in &draft.parts {
        let Scope::Jobs(groups) = &part.scope else { continue };
        for (state, ids) in groups {
            match states.iter_mut().find(|(known, _)| known == state) {
                Some((_, count)) => *count += ids.len() as u64,
                None => states.push((*state, ids.len() as u64)),
            }
        }
    }
    states
}

fn of_those(draft: &Draft) -> Vec<Fact> {
    if let Some(one) = &draft.one {
        return one.seen.error.iter().map(|error| toned(Tone::Muted, "error", error)).collect();
    }
    let mut facts = Vec::new();
    let states: Vec<String> =
        states(draft).iter().map(|(state, count)| format!("{} {state}", text::count(*count))).collect();
    facts.push(fact("jobs", states.join(", ")));
    let mut names: Vec<_> = draft.names.iter().filter(|(name, _)| !name.is_empty()).collect();
    names.sort_by(|a, b| b.1.cmp(a.1));
    let mut words: Vec<String> =
        names.iter().take(NAMED).map(|(name, count)| format!("{} {name}", text::count(**count))).collect();
    if names.len() > NAMED {
        words.push(format!("and {} more names", names.len() - NAMED));
    }
    if !words.is_empty() {
        facts.push(fact("names", words.join(", ")));
    }
    facts.extend(draft.samples.iter().take(3).map(|row| toned(Tone::Muted, "such as", sample(row))));
    facts
}

fn sample(row: &JobRow) -> String {
    let name = row.name.as_deref().unwrap_or_default();
    format!("{} {name}  {}", row.id, row.error.as_deref().unwrap_or_default()).trim_end().to_owned()
}

/// The value that was typed, in words.
fn argument(draft: &Draft) -> Option<String> {
    match draft.change()? {
        Change::Delay { by } if !by.is_zero() => Some(format!("runs in {}", text::span(*by))),
        Change::Prioritize { priority } => Some(format!("priority {priority}")),
        Change::Claim { consumer, min_idle } if min_idle.is_zero() => Some(format!("for the consumer {consumer}")),
        Change::Claim { consumer, min_idle } => {
            let idle = text::span(*min_idle);
            Some(format!("for the consumer {consumer}, if its present one has had it for {idle}"))
        }
        Change::Trim { keep } => Some(format!("keeps about {} of the newest", text::count(*keep))),
        Change::Limit(limits) => Some(command::limits(limits).join(" ")),
        Change::Edit { old, new } => Some(format!(
            "{} instead of {}{}",
            text::size(new.len() as u64),
            text::size(old.len() as u64),
            if draft.then_retry { ", then it is retried" } else { "" }
        )),
        Change::Add(job) => {
            let mut words = vec![job.name.clone(), text::size(job.data.len() as u64)];
            words.extend((!job.delay.is_zero()).then(|| format!("in {}", text::span(job.delay))));
            words.extend((job.priority != 0).then(|| format!("priority {}", job.priority)));
            words.extend(job.attempts.map(|attempts| plural(attempts, "attempt")));
            words.extend(job.dedup.as_ref().map(|id| format!("deduplicated by {id}")));
            Some(words.join(", "))
        }
        _ => None,
    }
}

/// What becomes of the attempts that were made.
fn attempts(draft: &Draft) -> Option<&'static str> {
    match draft.change()? {
        Change::Retry { reset_attempts: true } | Change::Requeue { reset_attempts: true, .. } => {
            Some("count from zero again; a keeps them")
        }
        Change::Retry { .. } | Change::Requeue { .. } => Some("stay as they are; a lets them count from zero again"),
        _ => None,
    }
}

/// What is in a queue that goes as a whole.
fn contents(state: &State, draft: &Draft) -> Option<Fact> {
    let (Some(Change::Obliterate), [part]) = (draft.change(), draft.parts.as_slice()) else { return None };
    let (instance, sample) = state.shown().queue(&part.queue)?;
    let counted = |count: Count| count.value().is_none_or(|count| count > 0);
    let words: Vec<String> = instance
        .states
        .iter()
        .filter(|spec| counted(sample.count(spec.id)))
        .map(|spec| format!("{} {}", text::counted(sample.count(spec.id)), spec.id))
        .collect();
    Some(toned(Tone::Warn, "in it", if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }))
}

fn abilities<'a>(state: &'a State, draft: &Draft) -> Vec<&'a Ability> {
    let mut found: Vec<&Ability> = Vec::new();
    for part in &draft.parts {
        if let Some(ability) = state.server.ability(part.queue.instance.system, part.change.verb())
            && !found.iter().any(|known| known.says == ability.says)
        {
            found.push(ability);
        }
    }
    found
}

fn happens(state: &State, draft: &Draft) -> Vec<Fact> {
    abilities(state, draft).into_iter().map(|ability| fact("happens", ability.says)).collect()
}

/// How long taking one job out of the longest list holds up the server (P15).
fn blocking(state: &State, draft: &Draft) -> Option<String> {
    let mut worst = (0_u64, 0_u64);
    for part in &draft.parts {
        let nanos = state.server.ability(part.queue.instance.system, part.change.verb())?.nanos_per_listed;
        let (Scope::Jobs(groups), Some((_, sample))) = (&part.scope, state.shown().queue(&part.queue)) else {
            continue;
        };
        let longest = groups.iter().filter_map(|(state, _)| sample.count(*state).value()).max().unwrap_or(0);
        worst = worst.max((nanos.saturating_mul(longest), longest));
    }
    let (nanos, longest) = worst;
    // Below a millisecond nobody notices.
    (nanos >= 1_000_000).then(|| {
        let millis = Duration::from_nanos(nanos).as_millis();
        format!("Redis for up to {millis} ms a job: the list of {} is walked for each", text::count(longest))
    })
}

fn pace(draft: &Draft) -> String {
    let rate = match draft.rate {
        Some(rate) => {
            let seconds = (draft.count() as u64).div_ceil(u64::from(rate.max(1)));
            format!("{rate}/s, about {}", text::age(Duration::from_secs(seconds)))
        }
        None => "as fast as calls of under 5 ms allow".to_owned(),
    };
    let ramp = if draft.ramp { "[x] ramp 1, 10, rest" } else { "[ ] ramp 1, 10, rest" };
    format!("{rate}   {ramp}")
}

fn undo(draft: &Draft) -> Option<Fact> {
    let verb = draft.change()?.verb();
    match verb {
        Verb::Remove | Verb::Cancel | Verb::Obliterate => {
            Some(toned(Tone::Muted, "undo", "a copy goes to the local trash first; z puts it back"))
        }
        Verb::Unschedule | Verb::Trim => Some(toned(Tone::Warn, "undo", "this cannot be undone")),
        _ => None,
    }
}
