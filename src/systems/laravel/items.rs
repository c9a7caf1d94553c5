//! Reading a state's payloads piece by piece. Nothing tells the size of one beforehand, so a walk starts with a few,
//! sized by a sample of the server's, measures what comes and grows from there; it ends at a limit of bytes. Of a huge
//! payload a connection for looking brings only the start.

use std::collections::HashMap;

use bytes::Bytes;

use super::keys::Keys;
use super::payload::Payload;
use super::plan::{memory, one};
use super::{DELAYED, PENDING, RESERVED};
use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::Cursor;
use crate::domain::state::StateId;
use crate::link::{Batch, Link, Value};
use crate::systems::list::{hash_id, numbered};
use crate::systems::{ReadError, SystemError, reply};

/// Payloads of the first piece where their size is not known.
const FIRST_ITEMS: u64 = 20;
/// Bytes one piece should have.
const PIECE_BYTES: u64 = 256 * 1024;
/// Payloads of one piece at most (P3).
const PIECE_ITEMS: u64 = 500;
/// Payloads looked at to find some by their ids, in each state.
const LOOKED_AT: u64 = 20_000;
/// Bytes read for it.
const LOOKED_AT_BYTES: u64 = 16 * 1024 * 1024;

/// A key that holds payloads.
#[derive(Clone, Debug)]
pub struct Container {
    /// The key.
    pub key: Vec<u8>,
    /// The state it stands for.
    pub state: StateId,
}

impl Container {
    /// Of a state that is kept in Redis.
    pub fn of(queue: &QueueId, state: StateId) -> Result<Self, SystemError> {
        let keys = Keys::of(queue);
        let key = match state {
            PENDING => keys.list,
            DELAYED => keys.delayed,
            RESERVED => keys.reserved,
            other => return Err(SystemError::BadRequest(format!("Laravel queues have no state {other} in Redis"))),
        };
        Ok(Self { key, state })
    }

    /// True for the list of what is ready.
    pub fn is_list(&self) -> bool {
        self.state == PENDING
    }
}

/// A payload as it lies in its container.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Place from the end at which reading begins.
    pub place: u64,
    /// Exactly its bytes; only the first of them if it is huge and was read for looking.
    pub bytes: Bytes,
    /// How many bytes it has.
    pub total: u64,
    /// Its score in a sorted set: unix seconds.
    pub score: Option<f64>,
}

impl Item {
    /// What it is known by: `uuid`, else `id`, else the start of a SHA-1 of the bytes.
    pub fn id(&self) -> JobId {
        let own = self.payload().and_then(|payload| payload.id());
        own.map_or_else(|| hash_id(&self.bytes, self.total), JobId::from)
    }

    /// What can be read of it: of a huge one the fields at its start, whether the rest was read or not.
    pub fn payload(&self) -> Option<Payload<'_>> {
        Payload::of(&self.bytes, self.total)
    }
}

/// What a walk brought.
pub struct Walk {
    /// In order.
    pub items: Vec<Item>,
    /// Where it goes on; `None`: this was the end.
    pub next: Option<Cursor>,
    /// Payloads in all.
    pub total: u64,
}

/// Reads up to `limit` payloads from where `cursor` points, and not many more than `most_bytes` bytes.
pub async fn walk(
    link: &Link,
    container: &Container,
    cursor: Option<&Cursor>,
    limit: usize,
    most_bytes: u64,
) -> Result<Walk, SystemError> {
    let mut place = cursor.map_or(Ok(0), position)?;
    let mut batch = Batch::new();
    batch.ask(one(if container.is_list() { "LLEN" } else { "ZCARD" }, &container.key)).ask(memory(&container.key));
    let replies = link.send(&batch).await?;
    let total = match &replies[0] {
        Ok(value) => reply::count(value).unwrap_or(0),
        Err(error) => return Err(SystemError::Read(ReadError::Command(error.clone()))),
    };
    let expected = replies[1].as_ref().ok().and_then(reply::count).map(|bytes| bytes / total.max(1));
    let limit = limit.clamp(1, PIECE_ITEMS as usize);
    let mut items: Vec<Item> = Vec::new();
    let mut spent = 0;
    while place < total && items.len() < limit && spent < most_bytes {
        let average = match items.len() as u64 {
            0 => expected,
            read => Some(spent / read),
        };
        let fitting = average.map_or(FIRST_ITEMS, |bytes| PIECE_BYTES.min(most_bytes - spent) / bytes.max(1));
        let want = fitting.clamp(1, PIECE_ITEMS).min((limit - items.len()) as u64);
        let piece = piece(link, container, place, want).await?;
        if piece.is_empty() {
            // It became shorter meanwhile.
            place = total;
            break;
        }
        for (bytes, total, score) in piece {
            spent += total;
            items.push(Item { place, bytes, total, score });
            place += 1;
        }
    }
    Ok(Walk { items, next: (place < total).then(|| Cursor(place.to_string())), total })
}

fn position(cursor: &Cursor) -> Result<u64, SystemError> {
    cursor
        .0
        .parse()
        .ok()
        .filter(|place| *place < u64::from(u32::MAX))
        .ok_or_else(|| SystemError::BadRequest(format!("{:?} is no cursor of a Laravel queue", cursor.0)))
}

async fn piece(
    link: &Link,
    container: &Container,
    place: u64,
    count: u64,
) -> Result<Vec<(Bytes, u64, Option<f64>)>, SystemError> {
    let mut command = one(if container.is_list() { "LRANGE" } else { "ZRANGE" }, &container.key);
    command.arg(place).arg(place + count - 1);
    if !container.is_list() {
        command.arg("WITHSCORES");
    }
    let value = link.ask(command).await?;
    let shape = || ReadError::Shape { command: "LRANGE", what: "something that is no list of payloads".to_owned() };
    if !container.is_list() {
        let members = reply::scored_sized(&value).ok_or_else(shape)?;
        let owned = |(member, total, score)| (Bytes::copy_from_slice(member), total, Some(score));
        return Ok(members.into_iter().map(owned).collect());
    }
    let Value::Array(items) = value else { return Err(shape().into()) };
    items
        .into_iter()
        .map(|item| match reply::into_sized(item) {
            Some((bytes, total)) => Ok((bytes, total, None)),
            None => Err(shape().into()),
        })
        .collect()
}

/// Gives each payload of a walk its id; a further one with the id of an earlier one gets `#2`, `#3`, … behind it.
#[derive(Default)]
pub struct Ids(HashMap<JobId, u64>);

impl Ids {
    /// The id of the next payload.
    pub fn next(&mut self, item: &Item) -> JobId {
        let id = item.id();
        let occurrence = self.0.entry(id.clone()).or_default();
        *occurrence += 1;
        numbered(&id, *occurrence)
    }
}

/// What a search for ids brought.
pub struct Sought {
    /// Those that were found.
    pub found: HashMap<JobId, Item>,
    /// False if there were more payloads than one search looks at.
    pub all: bool,
}

/// Looks for payloads by their ids in one container.
pub async fn seek(link: &Link, container: &Container, ids: &[JobId]) -> Result<Sought, SystemError> {
    let mut sought = Sought { found: HashMap::new(), all: true };
    let mut seen = Ids::default();
    let (mut cursor, mut looked_at, mut bytes_left) = (None, 0, LOOKED_AT_BYTES);
    while sought.found.len() < ids.len() {
        if looked_at >= LOOKED_AT || bytes_left == 0 {
            sought.all = false;
            break;
        }
        let step = walk(link, container, cursor.as_ref(), PIECE_ITEMS as usize, bytes_left).await?;
        for item in step.items {
            looked_at += 1;
            bytes_left = bytes_left.saturating_sub(item.total);
            let id = seen.next(&item);
            if ids.contains(&id) {
                sought.found.entry(id).or_insert(item);
            }
        }
        cursor = step.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(sought)
}
