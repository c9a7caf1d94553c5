//! What a question says of a change: what, on what, what really happens, for how long, and whether it can be undone.

use std::time::Duration;

use super::{Fact, Tone, fact, plural, toned};
use crate::app::actions::ActionId;
use crate::app::command;
use crate::app::orders;
use crate::app::question::{Draft, One, Part};
use crate::app::safeguard;
use crate::app::state::State;
use crate::domain::change::Scope;
use crate::domain::ids::{QueueId, Ticket};
use crate::domain::job::JobRow;
use crate::domain::mutation::{Ability, Change, Limits, Verb};
use crate::domain::queue::Count;
use crate::domain::state::StateId;
use crate::domain::text;

/// What is typed into a question at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typing {
    /// Its value.
    Value,
    /// A name that a yes takes.
    Name,
    /// Nothing: keys mean what the last line says.
    Nothing,
}

/// Parts of a list that are named; the rest is counted.
const NAMED: usize = 4;
/// Characters of a new job's data that are shown.
const SHOWN: usize = 160;

/// All facts of a change. While its value is still typed there is none to be told; while a name is typed, no key
/// changes the pace.
pub(super) fn facts(state: &State, draft: &Draft, typing: Typing) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(one) = &draft.one {
        facts.extend(meanwhile(one).map(|text| toned(Tone::Bad, "meanwhile", text)));
    }
    if let Some(group) = &draft.group {
        facts.push(fact("group", group));
    }
    facts.push(queues(state, draft));
    facts.extend(schedules(draft));
    facts.extend(forced(state, draft));
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
    if typing != Typing::Value {
        facts.extend(argument(draft).map(|text| fact("value", text)));
        facts.extend(data(draft));
    }
    facts.extend(attempts(state, draft).map(|text| fact("attempts", text)));
    facts.extend(contents(state, draft));
    facts.extend(happens(state, draft));
    facts.extend(blocking(state, draft).map(|text| toned(Tone::Warn, "blocks", text)));
    if draft.is_of_jobs() && (draft.count() > 1 || draft.reading.is_some()) {
        facts.push(fact("pace", pace(draft, typing == Typing::Nothing)));
    }
    facts.extend(undo(state, draft));
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
        // A list may not tell of attempts what the job itself does.
        Some(job) if one.seen.attempts_made.is_some_and(|seen| job.row.attempts_made != Some(seen)) => {
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
            let counted = |part: &Part| match part.scope {
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

/// Schedules by their names.
fn schedules(draft: &Draft) -> Option<Fact> {
    let of_part = |part: &Part| match &part.scope {
        Scope::Schedules(ids) => ids.iter().map(|id| id.to_text()).collect(),
        Scope::Queue | Scope::Jobs(_) => Vec::new(),
    };
    let names: Vec<String> = draft.parts.iter().flat_map(of_part).collect();
    let mut words = names.iter().take(NAMED * 2).cloned().collect::<Vec<_>>();
    words.extend((names.len() > words.len()).then(|| format!("and {} more", names.len() - words.len())));
    // A single one stands in the heading.
    (names.len() > 1).then(|| fact("schedules", words.join(", ")))
}

/// Why it has to be forced, and what that means.
fn forced(state: &State, draft: &Draft) -> Vec<Fact> {
    let unknown = safeguard::unknown_library(state, draft).map(|text| toned(Tone::Bad, "library", text));
    let means = draft.force.then(|| {
        let words = match unknown {
            Some(_) => "done although qtop does not know how this version keeps its jobs: that may break them",
            None => "done also where it is refused otherwise, for example for a job that a worker may still have",
        };
        toned(Tone::Warn, "forced", words)
    });
    unknown.into_iter().chain(means).collect()
}

/// How many jobs of each state.
pub(super) fn states(draft: &Draft) -> Vec<(StateId, u64)> {
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
        Change::Delay { by } if by.is_zero() => Some("runs at once".to_owned()),
        Change::Delay { by } => Some(format!("runs in {}", text::span(*by))),
        Change::Prioritize { priority } => Some(format!("priority {priority}")),
        Change::Claim { consumer, min_idle } if min_idle.is_zero() => Some(format!("for the consumer {consumer}")),
        Change::Claim { consumer, min_idle } => {
            let idle = text::span(*min_idle);
            Some(format!("for the consumer {consumer}, if its present one has had it for {idle}"))
        }
        Change::Signal { .. } if orders::named(draft).is_none() => {
            let names: Vec<String> = orders::all_named(draft).into_iter().map(|name| name.to_text()).collect();
            (!names.is_empty()).then(|| names.join(", "))
        }
        Change::Trim { keep } => Some(format!("keeps about {} of the newest", text::count(*keep))),
        Change::Limit(limits) => Some(limited(limits)),
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
            words.extend(job.id.as_ref().map(|id| format!("as {id}")));
            Some(words.join(", "))
        }
        _ => None,
    }
}

/// `at most 5 at once, no rate limit any more`.
fn limited(limits: &Limits) -> String {
    let at_once = limits.concurrency.map(|limit| match limit {
        Some(limit) => format!("at most {} at once", text::count(limit)),
        None => "any number at once".to_owned(),
    });
    let rate = limits.rate.map(|rate| match rate {
        Some((max, per)) => format!("at most {} started in {}", text::count(max), command::span(per)),
        None => "as many started as workers can take".to_owned(),
    });
    at_once.into_iter().chain(rate).collect::<Vec<_>>().join(", ")
}

/// The data of a new job as it was typed.
fn data(draft: &Draft) -> Option<Fact> {
    let Change::Add(job) = draft.change()? else { return None };
    let text = text::harmless_bytes(&job.data);
    Some(toned(Tone::Muted, "data", text::fit(&text, SHOWN)))
}

/// What becomes of the attempts that were made.
fn attempts(state: &State, draft: &Draft) -> Option<&'static str> {
    if !abilities(state, draft).iter().any(|ability| ability.resets) {
        return None;
    }
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
    if let Some(Change::Obliterate) = draft.change() {
        let words = "The queue is paused, its schedules and jobs are deleted as by any other change, each with its copy; \
                     then the keys of the queue itself go. If something is left, the queue stays.";
        return vec![fact("happens", words)];
    }
    if let Some(error) = &draft.own.error {
        let remedy = error.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
        return vec![toned(Tone::Bad, "not read", format!("{}{remedy}", error.text))];
    }
    if let [says, commands @ ..] = draft.own.lines.as_slice() {
        // The application's own way stands in the place of the system's.
        let mut facts = vec![fact("happens", says)];
        let label = |index: usize| if index == 0 { "commands" } else { "" };
        facts.extend(commands.iter().enumerate().map(|(index, line)| fact(label(index), line)));
        return facts;
    }
    abilities(state, draft).into_iter().map(|ability| fact("happens", ability.says)).collect()
}

/// How long taking one job out of the longest list holds up the server (P15).
fn blocking(state: &State, draft: &Draft) -> Option<String> {
    let mut worst = (Duration::ZERO, 0);
    for part in &draft.parts {
        let ability = state.server.ability(part.queue.instance.system, part.change.verb())?;
        let (Scope::Jobs(groups), Some((instance, sample))) = (&part.scope, state.shown().queue(&part.queue)) else {
            continue;
        };
        for (id, _) in groups {
            let spec = instance.states.iter().find(|spec| spec.id == *id);
            if let (Some(spec), Some(jobs)) = (spec, sample.count(*id).value()) {
                worst = worst.max((ability.blocks(spec, jobs), jobs));
            }
        }
    }
    let (time, longest) = worst;
    // Below a millisecond nobody notices.
    (time >= Duration::from_millis(1)).then(|| {
        let millis = time.as_millis();
        format!("Redis for up to {millis} ms a job: the list of {} is walked for each", text::count(longest))
    })
}

fn pace(draft: &Draft, may_change: bool) -> String {
    let rate = match draft.rate {
        Some(rate) => {
            let seconds = (draft.count() as u64).div_ceil(u64::from(rate.max(1)));
            format!("{rate}/s, about {}", text::age(Duration::from_secs(seconds)))
        }
        None => "as fast as calls of under 5 ms allow".to_owned(),
    };
    if !may_change && !draft.ramp {
        return rate;
    }
    let ramp = if draft.ramp { "[x] ramp 1, 10, rest" } else { "[ ] ramp 1, 10, rest" };
    format!("{rate}   {ramp}")
}

fn undo(state: &State, draft: &Draft) -> Option<Fact> {
    let verb = draft.change()?.verb();
    if verb == Verb::Cancel && !draft.own.lines.is_empty() {
        // A flag or a recipe is no deletion; what it writes is not taken back by putting a copy back.
        return None;
    }
    match verb {
        Verb::Trim => Some(toned(Tone::Warn, "undo", "this cannot be undone")),
        verb if verb.destroys() => {
            let key = state.keymap.key(ActionId::Undo);
            let back = key.map_or_else(|| "app.undo puts it back".to_owned(), |key| format!("{key} puts it back"));
            Some(toned(Tone::Muted, "undo", format!("a copy goes to the local trash first; {back}")))
        }
        _ => None,
    }
}
