//! What a recipe destroys beside the job's own keys: copied before, put back by undo.

use super::Conventional;
use super::change::{Edited, Own, Steps, value_of};
use super::edit::{replace, value};
use crate::domain::ids::{Name, QueueId};
use crate::domain::mutation::{Outcome, Verb};
use crate::domain::record::{Place, Record};
use crate::link::{Batch, Link, MAX_LPOS_LENGTH, Replies, Value, cmd};
use crate::systems::list::detail::server_time;
use crate::systems::record::dump;
use crate::systems::{ReadError, SystemError, reply};

/// Equal elements of a list that are brought back.
const EQUAL: u64 = 100;

impl Conventional {
    /// Adds to records what recipes that destroy would take away.
    pub(super) async fn copy_own_keys(
        &self,
        link: &Link,
        queue: &QueueId,
        records: &mut [Record],
    ) -> Result<(), SystemError> {
        let mut clock = None;
        for record in records {
            let Some(state) = record.state else { continue };
            for verb in [Verb::Remove, Verb::Cancel] {
                let Some(own @ Own::Recipe(_)) = self.own(queue, verb, state) else { continue };
                let now = match clock {
                    Some(now) => now,
                    None => *clock.insert(server_time(link).await?),
                };
                let Ok(steps) = self.steps(link, queue, &record.id, &own, state, now).await? else { continue };
                let deleting =
                    steps.commands.iter().filter(|(_, words)| [&b"DEL"[..], b"UNLINK"].contains(&&*words[0]));
                let keys: Vec<Vec<u8>> = deleting.map(|(_, words)| words[1].clone()).collect();
                for copy in dump(link, &keys, now).await? {
                    if record.keys.iter().all(|known| known.key != copy.key) {
                        record.keys.push(copy);
                    }
                }
                for (_, words) in &steps.commands {
                    copy_places(link, words, &mut record.places).await?;
                }
                for Edited { key, old, paths, .. } in steps.edits {
                    let key = Name::from(key);
                    let is_own = |place: &Place| matches!(place, Place::Edited { key: known, .. } if *known == key);
                    if !record.places.iter().any(is_own) {
                        record.places.push(Place::Edited { key, paths, old });
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts records back; first the texts in which values were exchanged, so that a worker that takes the job finds what
    /// it would have found.
    pub(super) async fn put_back(
        &self,
        link: &Link,
        queue: &QueueId,
        records: &[Record],
        again: bool,
    ) -> Result<Outcome, SystemError> {
        let mut refused = Vec::new();
        let mut rest = Vec::with_capacity(records.len());
        for record in records {
            let mut record = record.clone();
            let (edited, places) = record.places.into_iter().partition(|place| matches!(place, Place::Edited { .. }));
            record.places = places;
            match texts_back(link, edited).await? {
                Ok(()) => rest.push(record),
                Err(reason) => refused.push((record.id, reason)),
            }
        }
        if rest.is_empty() {
            return Ok(Outcome { refused, ..Outcome::default() });
        }
        let mut outcome = self.inner.restore(link, queue, &rest, again).await?;
        outcome.refused.extend(refused);
        Ok(outcome)
    }
}

/// Exchanges the values back, in all of these texts or in none.
async fn texts_back(link: &Link, edited: Vec<Place>) -> Result<Result<(), String>, SystemError> {
    let mut steps = Steps::default();
    for place in edited {
        let Place::Edited { key, paths, old } = place else { continue };
        let key = key.as_bytes().to_vec();
        let Some(now) = value_of(link, &key).await? else {
            return Ok(Err(format!("{} is gone, which said what it is", Name::from(key))));
        };
        // With the old values in their places it must be the old text; else it holds somebody else's change.
        let back = paths.iter().try_fold(now.clone(), |text, path| replace(&text, path, value(&old, path)?.1));
        if back.as_ref() != Ok(&old) {
            return Ok(Err(format!("{} was changed since; put it right by hand", Name::from(key))));
        }
        if now != old {
            steps.edits.push(Edited { key, old: now, new: old, paths });
        }
    }
    if steps.edits.is_empty() {
        return Ok(Ok(()));
    }
    Ok(match steps.run(link).await? {
        Value::Int(1) => Ok(()),
        _ => Err("its record was changed meanwhile; undo once more".to_owned()),
    })
}

/// What one command takes out of a key that it shares with other jobs.
async fn copy_places(link: &Link, words: &[Vec<u8>], places: &mut Vec<Place>) -> Result<(), SystemError> {
    let (Some(name), Some(key)) = (words.first(), words.get(1)) else { return Ok(()) };
    let shared = || Name::from(key.as_slice());
    let found = match (name.as_slice(), words.get(2), words.get(3)) {
        (b"ZREM", Some(member), _) => {
            let score = link.ask(cmd("ZSCORE").arg(key).arg(member).to_owned()).await?;
            reply::text(&score).map(|score| Place::Sorted { key: shared(), member: Name::from(&**member), score })
        }
        (b"SREM", Some(member), _) => {
            let is_in = link.ask(cmd("SISMEMBER").arg(key).arg(member).to_owned()).await?;
            (is_in == Value::Int(1)).then(|| Place::Member { key: shared(), member: Name::from(&**member) })
        }
        (b"HDEL", Some(field), _) => {
            let value = link.ask(cmd("HGET").arg(key).arg(field).to_owned()).await?;
            let value = reply::bytes(&value).map(<[u8]>::to_vec);
            value.map(|value| Place::Field { key: shared(), field: Name::from(&**field), value })
        }
        (b"LREM", Some(count), Some(element)) => return copy_elements(link, key, count, element, places).await,
        _ => None,
    };
    if let Some(found) = found.filter(|found| !places.contains(found)) {
        places.push(found);
    }
    Ok(())
}

/// Every equal element that `LREM` takes, from the tail on: one that comes back is a neighbour of the next.
async fn copy_elements(
    link: &Link,
    key: &[u8],
    count: &[u8],
    element: &[u8],
    places: &mut Vec<Place>,
) -> Result<(), SystemError> {
    let count: i64 = std::str::from_utf8(count).ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    let most = if count == 0 { EQUAL } else { count.unsigned_abs().min(EQUAL) };
    let mut ask = cmd("LPOS");
    ask.arg(key).arg(element).arg("RANK").arg(if count < 0 { -1 } else { 1 });
    ask.arg("COUNT").arg(most).arg("MAXLEN").arg(MAX_LPOS_LENGTH);
    let found = link.ask(ask).await?;
    let mut indexes: Vec<i64> = reply::list(&found).unwrap_or(&[]).iter().filter_map(reply::int).collect();
    indexes.sort_unstable_by(|a, b| b.cmp(a));
    let mut batch = Batch::new();
    for index in &indexes {
        // Index -1 would be the other end of the list, not "nothing before the first".
        let before = if *index == 0 { i64::MAX } else { index - 1 };
        batch.ask(cmd("LINDEX").arg(key).arg(index + 1).to_owned());
        batch.ask(cmd("LINDEX").arg(key).arg(before).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let mut taken = Vec::with_capacity(indexes.len());
    for _ in &indexes {
        let right = reply::bytes(replies.next().map_err(ReadError::from)?).map(Name::from);
        let left = reply::bytes(replies.next().map_err(ReadError::from)?).map(Name::from);
        taken.push(Place::List { key: Name::from(key), element: Name::from(element), right, left });
    }
    let same = |place: &Place| {
        matches!(place, Place::List { key: known, element: one, .. }
            if known.as_bytes() == key && one.as_bytes() == element)
    };
    // The system's own record names one of them at most.
    if taken.len() > places.iter().filter(|place| same(place)).count() {
        places.retain(|place| !same(place));
        places.extend(taken);
    }
    Ok(())
}
