//! Where entries are, what was done to them, and their copies for the trash.

use super::info::{self, Entry, Pending};
use super::names::{EntryId, Place as StreamPlace};
use super::{DEAD, ENTRIES, PENDING, WAITING, read};
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::mutation::{Change, Mutation, Outcome, Target};
use crate::domain::record::{Place, Record};
use crate::domain::state::StateId;
use crate::link::{Batch, Link, cmd};
use crate::systems::{ReadError, SystemError, record};

/// What a group has of each entry; `None` where it has nothing of it, or there is no group.
async fn pending(link: &Link, place: &StreamPlace, ids: &[EntryId]) -> Result<Vec<Option<Pending>>, SystemError> {
    let Some(group) = &place.group else { return Ok(vec![None; ids.len()]) };
    let mut batch = Batch::new();
    for id in ids {
        let mut command = cmd("XPENDING");
        command.arg(&place.stream).arg(group).arg(id.to_string()).arg(id.to_string()).arg(1);
        batch.ask(command);
    }
    let replies = link.send(&batch).await?;
    replies
        .into_iter()
        .map(|reply| {
            let value = reply.map_err(ReadError::Command)?;
            let shape = || ReadError::Shape { command: "XPENDING", what: format!("{value:?}") };
            Ok(info::pending(&value).ok_or_else(shape)?.pop())
        })
        .collect()
}

struct Found {
    id: EntryId,
    pending: Option<Pending>,
    entry: Option<Entry>,
    dead: Option<Entry>,
}

/// Looks for entries: among the pending, in the stream, among those given up. Ids that are none are `None`.
async fn find(link: &Link, place: &StreamPlace, ids: &[JobId]) -> Result<Vec<Option<Found>>, SystemError> {
    let parsed: Vec<Option<EntryId>> = ids.iter().map(|id| EntryId::parse(id.as_bytes())).collect();
    let sound: Vec<EntryId> = parsed.iter().flatten().copied().collect();
    let pending = pending(link, place, &sound).await?;
    let entries = read::each(link, &place.stream, &sound).await?;
    let lost: Vec<EntryId> =
        sound.iter().zip(&entries).filter(|(_, entry)| entry.is_none()).map(|(id, _)| *id).collect();
    let mut dead = read::each(link, &place.dead(), &lost).await?.into_iter();
    let mut rest = sound.into_iter().zip(pending).zip(entries);
    let found = parsed.into_iter().map(|id| {
        id?;
        let ((id, pending), entry) = rest.next()?;
        let dead = if entry.is_none() { dead.next().flatten() } else { None };
        Some(Found { id, pending, entry, dead })
    });
    Ok(found.collect())
}

/// The state each entry is in for its group.
pub async fn locate(link: &Link, queue: &QueueId, ids: &[JobId]) -> Result<Vec<Option<StateId>>, SystemError> {
    let place = StreamPlace::parse(&queue.name);
    let last = read::group(link, &place).await?.map(|group| group.last_delivered);
    let found = find(link, &place, ids).await?;
    let state = |found: Found| match (found.pending, found.entry, found.dead) {
        (Some(_), _, _) => Some(PENDING),
        (None, Some(_), _) if last.is_some_and(|last| found.id > last) => Some(WAITING),
        (None, Some(_), _) => Some(ENTRIES),
        (None, None, Some(_)) => Some(DEAD),
        (None, None, None) => None,
    };
    Ok(found.into_iter().map(|found| found.and_then(state)).collect())
}

/// Whether a change was made whose answer was lost, told by what it would have left behind.
pub async fn confirm(link: &Link, mutation: &Mutation) -> Result<Vec<Option<bool>>, SystemError> {
    let Target::Jobs { state, ids } = &mutation.target else { return Ok(vec![None]) };
    let place = StreamPlace::parse(&mutation.queue.name);
    let found = find(link, &place, ids).await?;
    let dead: Vec<EntryId> = ids.iter().filter_map(|id| EntryId::parse(id.as_bytes())).collect();
    let mut dead = match *state {
        DEAD => read::each(link, &place.dead(), &dead).await?.into_iter(),
        _ => Vec::new().into_iter(),
    };
    Ok(found
        .into_iter()
        .map(|found| {
            let found = found?;
            match (&mutation.change, *state) {
                (Change::Claim { consumer, .. }, _) => {
                    // Settled by somebody in the meantime: who had it cannot be told.
                    found.pending.map(|pending| pending.consumer == consumer.as_bytes())
                }
                (_, DEAD) => dead.next().map(|entry| entry.is_none()),
                (_, PENDING) => Some(found.pending.is_none()),
                _ => Some(found.entry.is_none()),
            }
        })
        .collect())
}

/// Copies of entries, with who had them.
pub async fn take(link: &Link, queue: &QueueId, ids: &[JobId]) -> Result<Vec<Record>, SystemError> {
    let place = StreamPlace::parse(&queue.name);
    let now = read::server_time(link).await?;
    let found = find(link, &place, ids).await?;
    let mut records = Vec::new();
    for (id, found) in ids.iter().zip(found) {
        let Some(found) = found else { continue };
        let mut places = Vec::new();
        let state = match (&found.pending, &found.entry) {
            (Some(_), _) => PENDING,
            (None, Some(_)) => ENTRIES,
            (None, None) => DEAD,
        };
        let key = if state == DEAD { place.dead() } else { place.stream.clone() };
        if let Some(entry) = found.entry.or(found.dead) {
            let both = entry.fields.iter().flat_map(|(name, value)| [name, value]);
            let fields = both.map(|part| part.to_vec()).collect();
            places.push(Place::Entry { key: Name::from(key), entry: id.clone(), fields });
        }
        if let (Some(pending), Some(group)) = (found.pending, &place.group) {
            let idle = i64::try_from(pending.idle.as_millis()).unwrap_or(i64::MAX);
            places.push(Place::Delivered {
                key: Name::from(place.stream.as_slice()),
                group: Name::from(group.as_slice()),
                entry: id.clone(),
                consumer: Name::from(pending.consumer),
                at: now.0.saturating_sub(idle),
                deliveries: pending.deliveries,
            });
        }
        if !places.is_empty() {
            records.push(Record { id: id.clone(), state: Some(state), keys: Vec::new(), places });
        }
    }
    Ok(records)
}

/// Puts copies back. An entry that still lies in its stream is only given back to its consumer.
pub async fn restore(link: &Link, queue: &QueueId, records: &[Record], again: bool) -> Result<Outcome, SystemError> {
    let place = StreamPlace::parse(&queue.name);
    record::restore(link, &place.stream, records, record::Guard::without_key(again)).await
}
