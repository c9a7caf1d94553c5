//! The Redis keys that hold a state's items, and reading them piece by piece.
//!
//! LRANGE returns whole items and nothing tells the size of one beforehand. So a walk starts with a few, sized by a
//! sample of the server's (`MEMORY USAGE`), measures what comes and grows from there; it ends at a limit of bytes. Of a
//! huge item a connection for looking brings only the start.

use bytes::Bytes;

use super::finder::Finder;
use super::keys::starred;
use super::plan::{memory, one};
use super::{DEAD, DELAYED, PROCESSING, WAITING};
use crate::domain::described::{DeadKind, End, Fields, ItemKind, ListSpec, Record};
use crate::domain::ids::Name;
use crate::domain::job::Cursor;
use crate::domain::state::StateId;
use crate::link::{Batch, CommandError, Link, Value};
use crate::systems::{ReadError, SystemError, reply};

/// Items of the first piece where their size is not known.
const FIRST_ITEMS: u64 = 20;

/// Bytes one piece should have.
const PIECE_BYTES: u64 = 256 * 1024;

/// Items of one piece at most (P3).
const PIECE_ITEMS: u64 = 500;

/// One key that holds items.
pub struct Container<'a> {
    /// The key.
    pub key: Name,
    /// The state it stands for.
    pub state: StateId,
    /// End at which reading begins; `None` for a sorted set, read from the lowest score.
    pub end: Option<End>,
    /// The worker it belongs to.
    pub worker: Option<Name>,
    /// What an item is.
    pub item: ItemKind,
    /// Where records lie.
    pub record: Option<&'a Record>,
    /// Where facts lie.
    pub fields: &'a Fields,
}

/// An item as it lies in its container.
pub struct Raw {
    /// Which container of the walk.
    pub container: usize,
    /// Place from the end at which reading begins.
    pub place: u64,
    /// Exactly its bytes; only the first of them if it is huge and was read for looking.
    pub bytes: Bytes,
    /// How many bytes it has.
    pub total: u64,
    /// Its score in a sorted set.
    pub score: Option<f64>,
}

impl Raw {
    /// A bare id as an item.
    pub fn of_id(id: &[u8], place: u64, score: Option<f64>) -> Self {
        Self { container: 0, place, bytes: Bytes::copy_from_slice(id), total: id.len() as u64, score }
    }
}

/// What a walk brought.
pub struct Walk {
    /// In order.
    pub items: Vec<Raw>,
    /// Where it goes on; `None`: this was the end.
    pub next: Option<Cursor>,
    /// Items in all containers.
    pub total: u64,
}

/// The containers of a state, in the order in which they are read.
pub async fn containers<'a>(
    spec: &'a ListSpec,
    state: StateId,
    link: &Link,
    finder: &Finder,
) -> Result<Vec<Container<'a>>, SystemError> {
    let container = |key: Name, end, worker| Container {
        key,
        state,
        end,
        worker,
        item: spec.item,
        record: spec.record.as_ref(),
        fields: &spec.fields,
    };
    let mut found = Vec::new();
    match state {
        WAITING => found.extend(spec.key.iter().map(|key| container(Name::from(key), Some(spec.next), None))),
        PROCESSING => {
            found.extend(spec.processing.iter().map(|key| container(Name::from(key), Some(End::Left), None)));
            if let Some(pattern) = &spec.processing_pattern {
                for key in finder.find(link, pattern, Some("list")).await?.keys {
                    let worker = starred(pattern, key.as_bytes());
                    found.push(container(key, Some(End::Left), Some(worker)));
                }
            }
        }
        DELAYED => found.extend(spec.delayed.iter().map(|delayed| container(Name::from(&*delayed.key), None, None))),
        DEAD => {
            if let Some(dead) = &spec.dead {
                found.extend(dead.key.iter().map(|key| Container {
                    item: dead.item.unwrap_or(spec.item),
                    record: dead.record.as_ref().or(spec.record.as_ref()),
                    fields: dead.fields.as_ref().unwrap_or(&spec.fields),
                    ..container(Name::from(key), (dead.kind == DeadKind::List).then_some(dead.newest), None)
                }));
            }
        }
        other => return Err(SystemError::BadRequest(format!("plain lists have no state {other}"))),
    }
    Ok(found)
}

/// Length and about how large an item is, for each container.
async fn measure(link: &Link, containers: &[Container<'_>]) -> Result<Vec<(u64, Option<u64>)>, SystemError> {
    let mut batch = Batch::new();
    for container in containers {
        batch.ask(one(if container.end.is_some() { "LLEN" } else { "ZCARD" }, container.key.as_bytes()));
        batch.ask(memory(container.key.as_bytes()));
    }
    let replies = link.send(&batch).await?;
    containers
        .iter()
        .zip(replies.chunks(2))
        .map(|(container, replies)| {
            let length = match &replies[0] {
                Ok(value) => reply::count(value).unwrap_or(0),
                Err(error) => return Err(wrong_type(container, error)),
            };
            let bytes = replies[1].as_ref().ok().and_then(reply::count);
            Ok((length, bytes.map(|bytes| bytes / length.max(1))))
        })
        .collect()
}

fn wrong_type(container: &Container<'_>, error: &CommandError) -> SystemError {
    match error {
        CommandError::Refused { code, .. } if code == "WRONGTYPE" => {
            let wanted = if container.end.is_some() { "list" } else { "sorted set" };
            SystemError::BadRequest(format!("{} is no {wanted}: correct the key in its description", container.key))
        }
        error => SystemError::Read(ReadError::Command(error.clone())),
    }
}

/// Reads up to `limit` items from where `cursor` points, and not many more than `most_bytes` bytes.
pub async fn walk(
    link: &Link,
    containers: &[Container<'_>],
    cursor: Option<&Cursor>,
    limit: usize,
    most_bytes: u64,
) -> Result<Walk, SystemError> {
    let (mut index, mut place) = cursor.map_or(Ok((0, 0)), position)?;
    let measures = measure(link, containers).await?;
    let total = measures.iter().map(|(length, _)| length).sum();
    let mut items: Vec<Raw> = Vec::new();
    let mut spent = 0;
    let limit = limit.clamp(1, PIECE_ITEMS as usize);
    while index < containers.len() && items.len() < limit && spent < most_bytes {
        let (length, expected) = measures[index];
        if place >= length {
            (index, place) = (index + 1, 0);
            continue;
        }
        let average = match items.len() as u64 {
            0 => expected,
            read => Some(spent / read),
        };
        let fitting = average.map_or(FIRST_ITEMS, |bytes| PIECE_BYTES.min(most_bytes - spent) / bytes.max(1));
        let want = fitting.clamp(1, PIECE_ITEMS).min((limit - items.len()) as u64).min(length - place);
        let piece = piece(link, &containers[index], place, want).await?;
        if piece.is_empty() {
            // It became shorter meanwhile.
            (index, place) = (index + 1, 0);
            continue;
        }
        for (bytes, total, score) in piece {
            spent += total;
            items.push(Raw { container: index, place, bytes, total, score });
            place += 1;
        }
    }
    let more = containers.len() > index && (place < measures[index].0 || measures[index + 1..].iter().any(|m| m.0 > 0));
    let next = more.then(|| Cursor(format!("{index}:{place}")));
    Ok(Walk { items, next, total })
}

fn position(cursor: &Cursor) -> Result<(usize, u64), SystemError> {
    let parts = cursor.0.split_once(':').and_then(|(index, place)| Some((index.parse().ok()?, place.parse().ok()?)));
    parts
        .filter(|(_, place): &(usize, u64)| *place < u64::from(u32::MAX))
        .ok_or_else(|| SystemError::BadRequest(format!("{:?} is no cursor of a plain list", cursor.0)))
}

async fn piece(
    link: &Link,
    container: &Container<'_>,
    place: u64,
    count: u64,
) -> Result<Vec<(Bytes, u64, Option<f64>)>, SystemError> {
    let (place, count) = (place as i64, count as i64);
    let mut command = one(if container.end.is_some() { "LRANGE" } else { "ZRANGE" }, container.key.as_bytes());
    match container.end {
        Some(End::Left) => command.arg(place).arg(place + count - 1),
        Some(End::Right) => command.arg(-(place + count)).arg(-(place + 1)),
        None => command.arg(place).arg(place + count - 1).arg("WITHSCORES"),
    };
    let value = link.ask(command).await?;
    let shape = || ReadError::Shape { command: "LRANGE", what: "something that is no list of items".to_owned() };
    if container.end.is_none() {
        let members = reply::scored_sized(&value).ok_or_else(shape)?;
        let owned = |(member, total, score)| (Bytes::copy_from_slice(member), total, Some(score));
        return Ok(members.into_iter().map(owned).collect());
    }
    let mut items: Vec<_> = match value {
        Value::Array(items) => items
            .into_iter()
            .map(|item| reply::into_sized(item).map(|(bytes, total)| (bytes, total, None)).ok_or_else(shape))
            .collect::<Result<_, _>>()?,
        _ => return Err(shape().into()),
    };
    if container.end == Some(End::Right) {
        items.reverse();
    }
    Ok(items)
}
