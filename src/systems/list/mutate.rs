//! Changes to plain lists: exact items move between a list's own containers or go.
//!
//! Bytes are not rewritten, but for the values of attempts and error where that is asked for.

use std::collections::HashMap;

use bytes::Bytes;

use super::containers::containers;
use super::finder::Finder;
use super::items::{Item, find};
use super::keys::fill;
use super::reset::reset;
use super::rows::{hash_id, item_id};
use super::workers::lives;
use super::{DEAD, DELAYED, PROCESSING, WAITING};
use crate::domain::described::{End, ItemKind, ListSpec, RecordKind, TimeUnit};
use crate::domain::ids::{JobId, Name};
use crate::domain::mutation::{self, Ability, Change, Mutation, NewJob, Outcome, Target, Verb};
use crate::domain::state::StateId;
use crate::domain::worker::Liveness;
use crate::link::{Link, MAX_VALUE_BYTES, Script, Value, cmd};
use crate::systems::record::verdicts;
use crate::systems::{SystemError, reply};

static MOVE: Script = Script::new(concat!(include_str!("../forbidden.lua"), include_str!("move.lua")));

/// An LREM over 200,000 small items took 3 ms (P15).
const NANOS_PER_LISTED: u64 = 15;

const fn ability(verb: Verb, states: &'static [StateId], says: &'static str) -> Ability {
    Ability { verb, states, says, nanos_per_listed: NANOS_PER_LISTED, resets: false }
}

/// What can be done, and what really happens.
pub static ABILITIES: &[Ability] = &[
    Ability {
        verb: Verb::Requeue,
        states: &[DEAD, PROCESSING],
        says: "Goes back into its queue with the same bytes; attempts that are spent stay spent unless reset. An item that is being processed would run twice if its worker still lives.",
        nanos_per_listed: NANOS_PER_LISTED,
        resets: true,
    },
    ability(Verb::Promote, &[DELAYED], "Goes into its queue now instead of later."),
    ability(
        Verb::Kill,
        &[WAITING, DELAYED, PROCESSING],
        "Goes to the dead letters with the same bytes; the reason is not written down.",
    ),
    ability(Verb::Cancel, &[WAITING, DELAYED], "Is taken out before it runs; a record of it elsewhere stays."),
    ability(
        Verb::Remove,
        &[WAITING, DELAYED, PROCESSING, DEAD],
        "Exactly one item is deleted; a record of it elsewhere stays.",
    ),
    Ability {
        verb: Verb::Add,
        states: &[],
        says: "The given bytes are pushed as they are, behind all that wait; the name is not stored.",
        nanos_per_listed: 0,
        resets: false,
    },
];

/// Performs one piece.
pub async fn mutate(
    spec: &ListSpec,
    link: &Link,
    finder: &Finder,
    mutation: &Mutation,
) -> Result<Outcome, SystemError> {
    let change = &mutation.change;
    if let (Change::Add(job), Target::Queue) = (change, &mutation.target) {
        return add(spec, link, finder, job).await;
    }
    let Target::Jobs { state, ids } = &mutation.target else { return Err(not_here(change)) };
    let fits = ABILITIES.iter().any(|known| known.verb == change.verb() && known.states.contains(state));
    if !fits {
        return Err(not_here(change));
    }
    let to = match change {
        // What a worker had begun was the oldest.
        Change::Requeue { .. } if *state == PROCESSING => Some(queue_end(spec, mutation::End::Next)?),
        Change::Requeue { end, .. } => Some(queue_end(spec, *end)?),
        Change::Promote => Some(queue_end(spec, mutation::End::Last)?),
        Change::Kill { .. } => Some(dead_end(spec)?),
        _ => None,
    };
    let resets = matches!(change, Change::Requeue { reset_attempts: true, .. });
    let found = find(spec, link, finder, *state, ids).await?;
    let mut outcome = Outcome::default();
    // One call for each key that holds some of them.
    let mut calls: HashMap<&Name, Vec<(&JobId, &Item<'_>)>> = HashMap::new();
    for id in ids {
        match found.get(id) {
            Some(item) => calls.entry(&item.key).or_default().push((id, item)),
            None => outcome.refused.push((id.clone(), refusal(-3, *state))),
        }
    }
    for (key, items) in calls {
        let mut beat = None;
        if *state == PROCESSING && !mutation.force {
            match holder(spec, link, items[0].1).await? {
                Ok(gone) => beat = gone,
                Err(why) => {
                    outcome.refused.extend(items.into_iter().map(|(id, _)| (id.clone(), why.clone())));
                    continue;
                }
            }
        }
        let mut moves: Vec<(JobId, [Bytes; 6])> = Vec::new();
        for (id, item) in items {
            match words(link, item, resets).await? {
                Ok(words) => moves.push((id.clone(), words)),
                Err(why) => outcome.refused.push((id.clone(), why)),
            }
        }
        let Some(first) = moves.first().and_then(|(id, _)| found.get(id)) else { continue };
        let kind: &[u8] = if first.end.is_some() { b"list" } else { b"zset" };
        let (target, side) = to.as_ref().map_or((key, &b""[..]), |(key, end)| (key, word(*end)));
        let mut keys: Vec<&[u8]> = vec![key.as_bytes(), target.as_bytes()];
        keys.extend(beat.as_ref().map(Name::as_bytes));
        let mut arguments: Vec<&[u8]> = vec![kind, word(first.end.unwrap_or(End::Right)), side];
        arguments.extend(moves.iter().flat_map(|(_, words)| words).map(AsRef::as_ref));
        let answer = MOVE.run(link, &keys, &arguments).await?;
        let ids: Vec<JobId> = moves.iter().map(|(id, _)| id.clone()).collect();
        outcome.absorb(verdicts(&answer, &ids, |code| refusal(code, *state)));
    }
    Ok(outcome)
}

fn not_here(change: &Change) -> SystemError {
    SystemError::Unsupported(format!("a plain list cannot {} this", change.verb().word()))
}

fn refusal(code: i64, state: StateId) -> String {
    match code {
        -3 => format!("it is not {state} any more"),
        -40 => "its worker lives after all: it would run twice".to_owned(),
        -41 => "its record was changed in the meantime: try again".to_owned(),
        -42 => "its record is gone".to_owned(),
        code => format!("the server answered {code}"),
    }
}

/// Whether what lies in a processing list may be taken from its worker: the heartbeat key that must stay away, or why
/// it may not.
async fn holder(spec: &ListSpec, link: &Link, item: &Item<'_>) -> Result<Result<Option<Name>, String>, SystemError> {
    let Some(worker) = &item.worker else {
        let why = "nothing tells whether a worker still has it; if none has, say --force";
        return Ok(Err(why.to_owned()));
    };
    Ok(match lives(spec, link, worker).await? {
        Some((key, Liveness::Gone)) => Ok(Some(key)),
        Some((_, Liveness::Stale)) => Ok(None),
        Some((key, _)) => Err(format!("worker {worker} lives ({key} is there): it would run twice")),
        None => Err(format!("no heartbeat tells whether worker {worker} still has it; if not, say --force")),
    })
}

/// What the script needs to know of one item: its bytes, the bytes that go on, and the change of its record.
async fn words(link: &Link, item: &Item<'_>, resets: bool) -> Result<Result<[Bytes; 6], String>, SystemError> {
    let same = |new: Bytes| {
        let none = Bytes::new;
        [item.bytes.clone(), new, Bytes::from_static(b"none"), none(), none(), none()]
    };
    if !resets {
        return Ok(Ok(same(item.bytes.clone())));
    }
    let record = match (item.kind, item.record) {
        (ItemKind::Json, _) => return Ok(reset(&item.bytes, item.fields).map(|new| same(new.into()))),
        (ItemKind::Id, Some(record)) => record,
        _ => return Ok(Err("attempts of items that are no JSON and have no record are not known".to_owned())),
    };
    let key = fill(&record.key, &item.bytes);
    let with_record = |kind: &'static [u8], old: Vec<u8>, new: Vec<u8>| {
        let [bytes, same, ..] = same(item.bytes.clone());
        [bytes, same, Bytes::from_static(kind), key.clone().into(), old.into(), new.into()]
    };
    match record.kind {
        RecordKind::Json => {
            let size = reply::count(&link.ask(cmd("STRLEN").arg(&key).to_owned()).await?).unwrap_or(0);
            if size > MAX_VALUE_BYTES {
                return Ok(Err(format!("its record of {size} bytes is too large to be rewritten")));
            }
            let Value::BulkString(old) = link.ask(cmd("GET").arg(&key).to_owned()).await? else {
                return Ok(Err("its record is gone".to_owned()));
            };
            Ok(reset(&old, item.fields).map(|new| with_record(b"json", old, new)))
        }
        RecordKind::Hash => {
            let first =
                |paths: &crate::domain::described::Paths| paths.iter().next().unwrap_or_default().as_bytes().to_vec();
            if item.fields.attempts.is_empty() {
                return Ok(Err("the description names no field with attempts: add fields.attempts".to_owned()));
            }
            Ok(Ok(with_record(b"hash", first(&item.fields.attempts), first(&item.fields.error))))
        }
    }
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

/// Pushes one item, now or for later.
async fn add(spec: &ListSpec, link: &Link, finder: &Finder, job: &NewJob) -> Result<Outcome, SystemError> {
    let bad = |text: String| Err(SystemError::BadRequest(text));
    if job.id.is_some() || job.priority != 0 || job.attempts.is_some() || job.dedup.is_some() {
        return bad(
            "a plain list knows no id, priority, attempts or deduplication beside an item's own bytes".to_owned()
        );
    }
    if job.data.is_empty() {
        return bad("an item without bytes means nothing: give it with --data".to_owned());
    }
    if spec.item == ItemKind::Json
        && let Err(error) = serde_json::from_slice::<&serde_json::value::RawValue>(&job.data)
    {
        return bad(format!("items of {} are JSON, and this is none: {error}", spec.name));
    }
    let command = if job.delay.is_zero() {
        let (key, end) = queue_end(spec, mutation::End::Last)?;
        cmd(if end == End::Left { "LPUSH" } else { "RPUSH" }).arg(key.as_bytes()).arg(job.data.as_ref()).to_owned()
    } else {
        let Some(delayed) = &spec.delayed else {
            return bad(format!("{} has no place for later items: none is described", spec.name));
        };
        let due = super::detail::server_time(link).await?.0 as f64 + job.delay.as_millis() as f64;
        let score = if delayed.unit == TimeUnit::Ms { due } else { due / 1000.0 };
        cmd("ZADD").arg(&delayed.key).arg("NX").arg(score).arg(job.data.as_ref()).to_owned()
    };
    let id = match containers(spec, WAITING, link, finder).await?.first() {
        Some(container) => item_id(container, &job.data, job.data.len() as u64).0,
        None => hash_id(&job.data, job.data.len() as u64),
    };
    match link.ask(command).await? {
        Value::Int(0) => {
            let why = "the same item waits for its time already".to_owned();
            Ok(Outcome { refused: vec![(id, why)], ..Outcome::default() })
        }
        _ => Ok(Outcome { done: vec![id.clone()], created: vec![id], ..Outcome::default() }),
    }
}
