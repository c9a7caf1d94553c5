//! Changes to entries of a consumer group: one own script for each transition.
//!
//! A stream has no states of its own, only what each group has had and not settled. So what one group gives up the
//! others may still need; the scripts look at all groups and refuse where one would lose an entry or get it twice.

use super::names::{EntryId, Place};
use super::{DEAD, ENTRIES, PENDING, WAITING};
use crate::domain::ids::{JobId, Name};
use crate::domain::mutation::{Ability, Change, Mutation, Outcome, Target, Verb};
use crate::domain::state::StateId;
use crate::link::{Link, Script, Value};
use crate::systems::{ReadError, SystemError, reply};

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("../forbidden.lua"),
            include_str!("scripts/common.lua"),
            include_str!(concat!("scripts/", $name, ".lua"))
        ))
    };
}

static CLAIM: Script = script!("claim");
static ACKNOWLEDGE: Script = script!("acknowledge");
static REQUEUE: Script = script!("requeue");
static KILL: Script = script!("kill");
static REMOVE: Script = script!("remove");
static TRIM: Script = script!("trim");

const fn ability(verb: Verb, states: &'static [StateId], says: &'static str) -> Ability {
    Ability { verb, states, says, nanos_per_listed: 0, resets: false }
}

/// What can be done, and what really happens.
pub static ABILITIES: &[Ability] = &[
    ability(
        Verb::Claim,
        &[PENDING],
        "Belongs to another consumer from now on, and counts as delivered once more. That consumer sees it only when it reads its own pending entries, which many never do.",
    ),
    ability(
        Verb::Requeue,
        &[PENDING, DEAD],
        "Is added once more at the end of the stream under a new id; the old one is settled. Every other group of the stream would get it again.",
    ),
    ability(
        Verb::Kill,
        &[PENDING],
        "Is copied to the stream of given-up entries, named STREAM:dead, with where it came from, and is settled.",
    ),
    ability(Verb::Acknowledge, &[PENDING], "Is settled without being run; it stays in the stream as history."),
    ability(
        Verb::Remove,
        &[WAITING, PENDING, DEAD, ENTRIES],
        "Is deleted from the stream, for every group. An undo adds it again, at the end and under a new id: a stream takes no entry in the middle.",
    ),
    ability(
        Verb::Add,
        &[],
        "A JSON object is added as an entry: each member becomes a field, for every group; the name is not stored.",
    ),
    ability(
        Verb::Trim,
        &[],
        "Cuts the oldest entries; nothing goes that a group has not had or not settled. It cannot be undone.",
    ),
];

/// Entries cut by one call: some tens of blocks, well under a millisecond.
const CUT: u64 = 1_000;

/// Performs one piece.
pub async fn mutate(link: &Link, mutation: &Mutation) -> Result<Outcome, SystemError> {
    let place = Place::parse(&mutation.queue.name);
    let (change, target) = (&mutation.change, &mutation.target);
    if let (Change::Trim { keep }, Target::Queue) = (change, target) {
        return trim(link, &place, *keep, &mutation.queue.name).await;
    }
    if let (Change::Add(job), Target::Queue) = (change, target) {
        return super::add::add(link, &place, job).await;
    }
    let Target::Jobs { state, ids } = target else { return Err(not_here(change)) };
    let fits = ABILITIES.iter().any(|known| known.verb == change.verb() && known.states.contains(state));
    if !fits {
        return Err(not_here(change));
    }
    let group = place.group.as_deref().unwrap_or_default();
    if group.is_empty() && *state == PENDING {
        return Err(SystemError::BadRequest("a stream without a group has no pending entries".to_owned()));
    }
    let (sound, mut outcome) = sound(ids);
    if sound.is_empty() {
        return Ok(outcome);
    }
    let dead = place.dead();
    let force = if mutation.force { "1" } else { "0" };
    let keys: &[&[u8]] = &[&place.stream, &dead];
    let (script, keys, first): (_, &[&[u8]], Vec<&[u8]>) = match change {
        Change::Claim { consumer, min_idle } => {
            let idle = min_idle.as_millis().to_string();
            let first: [&[u8]; 4] = [group, consumer.as_bytes(), idle.as_bytes(), force.as_bytes()];
            let answer = call(&CLAIM, link, &keys[..1], &first, &sound).await?;
            outcome.absorb(told(&answer, &sound, *state, Some(consumer)));
            return Ok(outcome);
        }
        Change::Acknowledge => (&ACKNOWLEDGE, &keys[..1], vec![group]),
        Change::Requeue { end: crate::domain::mutation::End::Next, .. } => {
            let text = "a stream takes no entry anywhere but at its end: leave --next away";
            return Err(SystemError::Unsupported(text.to_owned()));
        }
        Change::Requeue { .. } => (&REQUEUE, keys, vec![state.0.as_bytes(), group, force.as_bytes()]),
        Change::Kill { reason } => (&KILL, keys, vec![group, reason.as_bytes()]),
        Change::Remove { .. } => {
            let keys = if *state == DEAD { keys } else { &keys[..1] };
            (&REMOVE, keys, vec![state.0.as_bytes(), group, force.as_bytes()])
        }
        other => return Err(not_here(other)),
    };
    let answer = call(script, link, keys, &first, &sound).await?;
    outcome.absorb(told(&answer, &sound, *state, None));
    Ok(outcome)
}

async fn call(
    script: &Script,
    link: &Link,
    keys: &[&[u8]],
    first: &[&[u8]],
    ids: &[JobId],
) -> Result<Value, SystemError> {
    let arguments: Vec<&[u8]> = first.iter().copied().chain(ids.iter().map(Name::as_bytes)).collect();
    Ok(script.run(link, keys, &arguments).await?)
}

/// Ids that can be ids of entries; the others are refused before anything is sent.
fn sound(ids: &[JobId]) -> (Vec<JobId>, Outcome) {
    let (sound, odd): (Vec<JobId>, Vec<JobId>) =
        ids.iter().cloned().partition(|id| EntryId::parse(id.as_bytes()).is_some());
    let why = "ids of entries are written like 1700000000000-0";
    let refused = odd.into_iter().map(|id| (id, why.to_owned())).collect();
    (sound, Outcome { refused, ..Outcome::default() })
}

fn not_here(change: &Change) -> SystemError {
    SystemError::Unsupported(format!("a stream cannot {} this", change.verb().word()))
}

/// Reads one answer per id: 1 or the id of a new entry is done, another number says why not.
fn told(answer: &Value, ids: &[JobId], state: StateId, consumer: Option<&Name>) -> Outcome {
    let answers = reply::list(answer).unwrap_or(&[]);
    let mut outcome = Outcome::default();
    for (index, id) in ids.iter().enumerate() {
        match answers.get(index) {
            Some(Value::Int(1)) => outcome.done.push(id.clone()),
            Some(Value::Int(code)) => outcome.refused.push((id.clone(), refusal(*code, state, consumer))),
            Some(Value::BulkString(new)) => {
                outcome.done.push(id.clone());
                outcome.created.push(Name::from(new.as_slice()));
            }
            _ => outcome.unknown.push(id.clone()),
        }
    }
    outcome
}

fn refusal(code: i64, state: StateId, consumer: Option<&Name>) -> String {
    let consumer = consumer.map(Name::to_text).unwrap_or_default();
    match code {
        -3 => format!("it is not {state} any more"),
        -30 => "its consumer was given it more recently than --min-idle".to_owned(),
        -31 => "its body was deleted or trimmed: all that is left is to acknowledge it".to_owned(),
        -32 => format!("{consumer} holds it already"),
        -33 => format!("the group knows no consumer {consumer}: check the name, or say --force to make it"),
        -34 => "the key for given-up entries holds no stream".to_owned(),
        -35 => "a group has it and has not settled it: acknowledge it there first".to_owned(),
        -36 => "the stream has other groups, and each would get it again: claim it instead, or say --force".to_owned(),
        -37 => "it has more fields than one call can move".to_owned(),
        -38 => "other groups of the stream still need it: acknowledge it here instead".to_owned(),
        code => format!("the server answered {code}"),
    }
}

async fn trim(link: &Link, place: &Place, keep: u64, queue: &Name) -> Result<Outcome, SystemError> {
    let arguments = [keep.to_string(), CUT.to_string()];
    let mut cut_so_far = 0;
    loop {
        let answer = TRIM.run(link, &[&place.stream], &arguments).await?;
        let shape = || ReadError::Shape { command: "EVALSHA trim", what: format!("{answer:?}") };
        let [cut, left, holder] = reply::list(&answer).ok_or_else(shape)? else { return Err(shape().into()) };
        let cut = reply::count(cut).ok_or_else(shape)?;
        cut_so_far += cut;
        if cut > 0 {
            continue;
        }
        let left = reply::count(left).unwrap_or(0);
        let holder = reply::text(holder).filter(|holder| !holder.is_empty());
        return Ok(match holder {
            Some(holder) if cut_so_far == 0 && left > 0 => {
                let why = format!(
                    "nothing was cut of {left} entries too many: group {holder} has not had or not settled what is \
                     older, or they are too few to fill a block of the server's"
                );
                Outcome { refused: vec![(queue.clone(), why)], ..Outcome::default() }
            }
            _ => Outcome { done: vec![queue.clone()], ..Outcome::default() },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_ids_are_refused_before_anything_is_sent() {
        let ids: Vec<JobId> = vec!["1-0".into(), "job-7".into(), "17".into()];
        let (sound, outcome) = sound(&ids);
        assert_eq!(sound, ["1-0".into()]);
        assert_eq!(outcome.refused.len(), 2);
    }

    #[test]
    fn every_answer_of_the_scripts_has_its_own_words() {
        let mut seen: Vec<String> = [-3, -30, -31, -32, -33, -34, -35, -36, -37, -38, -99]
            .map(|code| refusal(code, PENDING, Some(&"c".into())))
            .into();
        seen.sort();
        let count = seen.len();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
