//! Changes to plain lists: exact items move between a list's own containers or go. Bytes are never rewritten.

use std::collections::HashMap;

use bytes::Bytes;

use super::containers::{Container, containers, walk};
use super::finder::Finder;
use super::rows::{item_id, numbered};
use super::{DEAD, DELAYED, PROCESSING, WAITING};
use crate::domain::described::{End, ListSpec};
use crate::domain::ids::{JobId, Name};
use crate::domain::mutation::{self, Ability, Change, Mutation, Outcome, Target, Verb};
use crate::domain::record::{Place, Record};
use crate::domain::state::StateId;
use crate::link::{Batch, Link, Script, Value, cmd};
use crate::systems::record::verdicts;
use crate::systems::{SystemError, reply};

static MOVE: Script = Script::new(include_str!("move.lua"));

/// An LREM over 200,000 small items took 3 ms (P15).
const NANOS_PER_LISTED: u64 = 15;

const fn ability(verb: Verb, states: &'static [StateId], says: &'static str) -> Ability {
    Ability { verb, states, says, nanos_per_listed: NANOS_PER_LISTED }
}

/// What can be done, and what really happens.
pub static ABILITIES: &[Ability] = &[
    ability(
        Verb::Requeue,
        &[DEAD],
        "Goes back into its queue with the same bytes; attempts that are spent stay spent.",
    ),
    ability(Verb::Promote, &[DELAYED], "Goes into its queue now instead of later."),
    ability(
        Verb::Kill,
        &[WAITING, DELAYED],
        "Goes to the dead letters with the same bytes; the reason is not written down.",
    ),
    ability(Verb::Cancel, &[WAITING, DELAYED], "Is taken out before it runs; a record of it elsewhere stays."),
    ability(Verb::Remove, &[WAITING, DELAYED, DEAD], "Exactly one item is deleted; a record of it elsewhere stays."),
];

/// Items looked at to find those of one piece.
const LOOKED_AT: u64 = 5_000;
/// Bytes read for it.
const LOOKED_AT_BYTES: u64 = 8 * 1024 * 1024;

/// An item where it lies.
struct Item {
    key: Name,
    end: Option<End>,
    bytes: Bytes,
}

/// Performs one piece.
pub async fn mutate(
    spec: &ListSpec,
    link: &Link,
    finder: &Finder,
    mutation: &Mutation,
) -> Result<Outcome, SystemError> {
    let Target::Jobs { state, ids } = &mutation.target else { return Err(not_here(&mutation.change)) };
    let fits = ABILITIES.iter().any(|known| known.verb == mutation.change.verb() && known.states.contains(state));
    if !fits {
        return Err(not_here(&mutation.change));
    }
    let to = match &mutation.change {
        Change::Requeue { reset_attempts: true, .. } => {
            let text = "attempts inside an item are not reset: qtop never rewrites the bytes of an item";
            return Err(SystemError::Unsupported(text.to_owned()));
        }
        Change::Requeue { end, .. } => Some(queue_end(spec, *end)?),
        Change::Promote => Some(queue_end(spec, mutation::End::Last)?),
        Change::Kill { .. } => Some(dead_end(spec)?),
        _ => None,
    };
    let found = find(spec, link, finder, *state, ids).await?;
    let mut outcome = Outcome::default();
    // One call for each key that holds some of them.
    let mut calls: HashMap<&Name, Vec<(&JobId, &Item)>> = HashMap::new();
    for id in ids {
        match found.get(id) {
            Some(item) => calls.entry(&item.key).or_default().push((id, item)),
            None => outcome.refused.push((id.clone(), format!("it is not {state} any more"))),
        }
    }
    for (key, items) in calls {
        let mut keys: Vec<&[u8]> = vec![key.as_bytes()];
        keys.extend(to.as_ref().map(|(key, _)| key.as_bytes()));
        let end = items.first().and_then(|(_, item)| item.end);
        let kind: &[u8] = if end.is_some() { b"list" } else { b"zset" };
        let side = to.as_ref().map_or(End::Left, |(_, end)| *end);
        let mut arguments: Vec<&[u8]> = vec![kind, word(end.unwrap_or(End::Right)), word(side)];
        arguments.extend(items.iter().map(|(_, item)| item.bytes.as_ref()));
        let answer = MOVE.run(link, &keys, &arguments).await?;
        let ids: Vec<JobId> = items.into_iter().map(|(id, _)| id.clone()).collect();
        outcome.absorb(verdicts(&answer, &ids, |_| format!("it is not {state} any more")));
    }
    Ok(outcome)
}

fn not_here(change: &Change) -> SystemError {
    SystemError::Unsupported(format!("a plain list cannot {} this", change.verb().word()))
}

fn word(end: End) -> &'static [u8] {
    match end {
        End::Left => b"left",
        End::Right => b"right",
    }
}

fn other(end: End) -> End {
    match end {
        End::Left => End::Right,
        End::Right => End::Left,
    }
}

/// The queue's first key and the end that gets an item.
fn queue_end(spec: &ListSpec, end: mutation::End) -> Result<(Name, End), SystemError> {
    let key = spec.key.iter().next().ok_or_else(|| {
        SystemError::Unsupported(format!(
            "{} has no queue to go to: its description names only dead letters",
            spec.name
        ))
    })?;
    let side = match end {
        mutation::End::Next => spec.next,
        mutation::End::Last => other(spec.next),
    };
    Ok((Name::from(key), side))
}

fn dead_end(spec: &ListSpec) -> Result<(Name, End), SystemError> {
    let dead = spec.dead.as_ref().and_then(|dead| Some((dead.key.iter().next()?, dead.newest)));
    let (key, newest) =
        dead.ok_or_else(|| SystemError::Unsupported(format!("{} has no dead letters: none are described", spec.name)))?;
    Ok((Name::from(key), newest))
}

/// Finds items of one state by their ids, in one bounded walk.
async fn find(
    spec: &ListSpec,
    link: &Link,
    finder: &Finder,
    state: StateId,
    ids: &[JobId],
) -> Result<HashMap<JobId, Item>, SystemError> {
    let mut found = HashMap::new();
    for container in containers(spec, state, link, finder).await? {
        look(link, &container, ids, &mut found).await?;
        if found.len() == ids.len() {
            break;
        }
    }
    Ok(found)
}

async fn look(
    link: &Link,
    container: &Container<'_>,
    ids: &[JobId],
    found: &mut HashMap<JobId, Item>,
) -> Result<(), SystemError> {
    let mut seen: HashMap<JobId, u64> = HashMap::new();
    let (mut cursor, mut looked_at, mut bytes_left) = (None, 0, LOOKED_AT_BYTES);
    while looked_at < LOOKED_AT && bytes_left > 0 && found.len() < ids.len() {
        let step = walk(link, std::slice::from_ref(container), cursor.as_ref(), 500, bytes_left).await?;
        for raw in step.items {
            looked_at += 1;
            bytes_left = bytes_left.saturating_sub(raw.bytes.len() as u64);
            let (id, _) = item_id(container, &raw.bytes);
            let occurrence = seen.entry(id.clone()).or_default();
            *occurrence += 1;
            let id = numbered(&id, *occurrence);
            if ids.contains(&id) {
                let item = Item { key: container.key.clone(), end: container.end, bytes: raw.bytes };
                found.entry(id).or_insert(item);
            }
        }
        cursor = step.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(())
}

/// The state each item is in now.
pub async fn locate(
    spec: &ListSpec,
    link: &Link,
    finder: &Finder,
    ids: &[JobId],
) -> Result<Vec<Option<StateId>>, SystemError> {
    let mut states: Vec<Option<StateId>> = vec![None; ids.len()];
    for state in [WAITING, DELAYED, PROCESSING, DEAD] {
        let found = find(spec, link, finder, state, ids).await?;
        for (id, slot) in ids.iter().zip(&mut states) {
            if slot.is_none() && found.contains_key(id) {
                *slot = Some(state);
            }
        }
    }
    Ok(states)
}

/// Where items lie, with their neighbours, for the trash.
pub async fn take(spec: &ListSpec, link: &Link, finder: &Finder, ids: &[JobId]) -> Result<Vec<Record>, SystemError> {
    let mut records = Vec::new();
    for state in [WAITING, DELAYED, DEAD] {
        let found = find(spec, link, finder, state, ids).await?;
        for id in ids {
            let Some(item) = found.get(id) else { continue };
            let place = match item.end {
                None => sorted(link, item).await?,
                Some(end) => listed(link, item, end).await?,
            };
            records.extend(place.map(|place| Record {
                id: id.clone(),
                state: Some(state),
                keys: Vec::new(),
                places: vec![place],
            }));
        }
    }
    Ok(records)
}

async fn sorted(link: &Link, item: &Item) -> Result<Option<Place>, SystemError> {
    let score = link.ask(cmd("ZSCORE").arg(item.key.as_bytes()).arg(item.bytes.as_ref()).to_owned()).await?;
    let score = match score {
        Value::BulkString(text) => String::from_utf8_lossy(&text).into_owned(),
        Value::Double(number) => number.to_string(),
        _ => return Ok(None),
    };
    Ok(Some(Place::Sorted { key: item.key.clone(), member: item.bytes.as_ref().into(), score }))
}

async fn listed(link: &Link, item: &Item, end: End) -> Result<Option<Place>, SystemError> {
    let mut lpos = cmd("LPOS");
    lpos.arg(item.key.as_bytes()).arg(item.bytes.as_ref());
    lpos.arg("RANK").arg(if end == End::Right { -1 } else { 1 }).arg("MAXLEN").arg(LOOKED_AT);
    let Some(index) = reply::count(&link.ask(lpos).await?) else { return Ok(None) };
    let mut batch = Batch::new();
    batch.ask(cmd("LINDEX").arg(item.key.as_bytes()).arg(index + 1).to_owned());
    if index > 0 {
        batch.ask(cmd("LINDEX").arg(item.key.as_bytes()).arg(index - 1).to_owned());
    }
    let answers = link.send(&batch).await?;
    let neighbour = |at: usize| match answers.get(at) {
        Some(Ok(Value::BulkString(bytes))) => Some(Name::from(bytes.as_slice())),
        _ => None,
    };
    Ok(Some(Place::List {
        key: item.key.clone(),
        element: item.bytes.as_ref().into(),
        right: neighbour(0),
        left: neighbour(1),
    }))
}
