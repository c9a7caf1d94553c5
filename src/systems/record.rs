//! Taking and putting back records, the part that is the same for every system.

use std::collections::HashSet;

use crate::domain::ids::{JobId, Name};
use crate::domain::mutation::Outcome;
use crate::domain::record::{Awaited, KeyDump, Place, Record};
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies, Script, Value, cmd};

use super::{SystemError, reply};

/// What the script answers of a record that was there as it was.
const THERE: i64 = 2;
/// What it answers of one that is back while the job that waited for it has been started.
const WITHOUT_WAITER: i64 = 4;

static RESTORE: Script = Script::new(include_str!("restore.lua"));

/// Reads keys as the server serializes them; keys that do not exist are left out. One round trip.
///
/// `now` is the server's clock, by which times to live become moments.
pub async fn dump(link: &Link, keys: &[Vec<u8>], now: Timestamp) -> Result<Vec<KeyDump>, SystemError> {
    let mut batch = Batch::new();
    for key in keys {
        batch.ask(cmd("DUMP").arg(key).to_owned()).ask(cmd("PTTL").arg(key).to_owned());
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let mut dumps = Vec::with_capacity(keys.len());
    for key in keys {
        let dump = replies.next().map_err(super::ReadError::from)?;
        let left = replies.next().map_err(super::ReadError::from)?;
        if let Value::BulkString(bytes) = dump {
            let expires_at = match left {
                Value::Int(left) if *left > 0 => now.0 + left,
                _ => 0,
            };
            dumps.push(KeyDump { key: Name::from(key.as_slice()), dump: bytes.clone(), expires_at });
        }
    }
    Ok(dumps)
}

/// By what a record is known to be back already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The first key of each is the job itself: it must not exist, or be as it was.
    OwnKey,
    /// Nothing can tell, and nothing was sent before.
    Fresh,
    /// Nothing can tell but the places themselves: an earlier call may have arrived.
    PerhapsBack,
}

impl Guard {
    /// For jobs that have no key of their own. `again`: an earlier call may have arrived.
    pub fn without_key(again: bool) -> Self {
        if again { Self::PerhapsBack } else { Self::Fresh }
    }

    fn word(self) -> &'static [u8] {
        match self {
            Self::OwnKey => b"key",
            Self::Fresh => b"fresh",
            Self::PerhapsBack => b"perhaps",
        }
    }
}

/// Puts records back in one call, each whole or not at all. List elements go between their old neighbours as far as
/// those are there, so a neighbour that comes back too has to come first.
pub async fn restore(link: &Link, base: &[u8], records: &[Record], guard: Guard) -> Result<Outcome, SystemError> {
    let mut arguments: Vec<Vec<u8>> = vec![guard.word().to_vec()];
    for record in records {
        arguments.push(record.keys.len().to_string().into_bytes());
        for key in &record.keys {
            arguments.push(key.key.as_bytes().to_vec());
            arguments.push(key.dump.clone());
            arguments.push(key.expires_at.to_string().into_bytes());
        }
        arguments.push(record.places.len().to_string().into_bytes());
        for place in &record.places {
            let (kind, words) = flat(place);
            arguments.push(kind.to_vec());
            arguments.push(words.len().to_string().into_bytes());
            arguments.extend(words);
        }
    }
    let reply = RESTORE.run(link, &[base], &arguments).await?;
    let ids: Vec<JobId> = records.iter().map(|record| record.id.clone()).collect();
    let mut outcome = verdicts(&reply, &ids, |code| match code {
        -20 => "its id was taken since".to_owned(),
        -21 => "the server did not take the copy back (an older version than the one it came from?)".to_owned(),
        -22 => "its stream or group is gone".to_owned(),
        -23 => "the answer of an earlier undo was lost, and an equal one is there: it is most likely back".to_owned(),
        code => format!("the server answered {code}"),
    });
    let with = |code: i64| -> HashSet<&JobId> {
        let codes = reply::list(&reply).unwrap_or_default();
        ids.iter().zip(codes).filter(|(_, told)| **told == Value::Int(code)).map(|(id, _)| id).collect()
    };
    // Copied and then not deleted, or put back before: nothing was done now, and nothing is left to do.
    let (there, alone) = (with(THERE), with(WITHOUT_WAITER));
    outcome.refused.retain(|(id, _)| !there.contains(id) && !alone.contains(id));
    outcome.done.extend(alone.iter().map(|id| (*id).clone()));
    for awaited in records.iter().filter(|record| alone.contains(&record.id)).flat_map(|record| &record.places) {
        if let Place::Awaited(Awaited { base, waiter, .. }) = awaited {
            outcome.notes.insert(format!("{base}:{waiter} has been started since and does not wait for it again"));
        }
    }
    Ok(outcome)
}

/// The kind of a place, and what the script needs to know of it.
fn flat(place: &Place) -> (&'static [u8], Vec<Vec<u8>>) {
    let bytes = |name: &Name| name.as_bytes().to_vec();
    let or_empty = |name: &Option<Name>| name.as_ref().map(bytes).unwrap_or_default();
    match place {
        Place::List { key, element, right, left } => {
            (b"list", vec![bytes(key), bytes(element), or_empty(right), or_empty(left)])
        }
        Place::Sorted { key, member, score } => {
            (b"sorted", vec![bytes(key), bytes(member), score.clone().into_bytes()])
        }
        Place::Member { key, member } => (b"member", vec![bytes(key), bytes(member)]),
        Place::Awaited(Awaited { key, member, base, waiter, score, runs }) => {
            let names = [bytes(key), bytes(member), bytes(base), bytes(waiter), score.clone().into_bytes()];
            (
                b"awaited",
                names.into_iter().chain(runs.iter().flat_map(|(field, value)| [bytes(field), value.clone()])).collect(),
            )
        }
        // Put back by whoever knows of the change, before this.
        Place::Edited { key, .. } => (b"edited", vec![bytes(key)]),
        Place::Field { key, field, value } => (b"field", vec![bytes(key), bytes(field), value.clone()]),
        Place::Entry { key, entry, fields } => {
            (b"entry", [bytes(key), bytes(entry)].into_iter().chain(fields.iter().cloned()).collect())
        }
        Place::Delivered { key, group, entry, consumer, at, deliveries } => {
            let (at, deliveries) = (at.to_string().into_bytes(), deliveries.to_string().into_bytes());
            (b"delivered", vec![bytes(key), bytes(group), bytes(entry), bytes(consumer), at, deliveries])
        }
    }
}

/// Reads a script's reply of one integer per id: 1 is done, anything else is refused with the reason `why` gives.
///
/// An id the reply says nothing of is unknown.
pub fn verdicts(reply: &Value, ids: &[JobId], why: impl Fn(i64) -> String) -> Outcome {
    let codes: &[Value] = match reply {
        Value::Array(codes) => codes,
        _ => &[],
    };
    let mut outcome = Outcome::default();
    for (index, id) in ids.iter().enumerate() {
        match codes.get(index) {
            Some(Value::Int(1)) => outcome.done.push(id.clone()),
            Some(Value::Int(code)) => outcome.refused.push((id.clone(), why(*code))),
            _ => outcome.unknown.push(id.clone()),
        }
    }
    outcome
}
