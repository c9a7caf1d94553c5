//! Finding items by their ids, and their copies for the trash.

use std::collections::HashMap;

use bytes::Bytes;

use super::containers::{Container, containers, walk};
use super::finder::Finder;
use super::rows::{item_id, numbered};
use super::{DEAD, DELAYED, PROCESSING, WAITING};
use crate::domain::described::{End, Fields, ItemKind, ListSpec, Record as RecordSpec};
use crate::domain::ids::{JobId, Name};
use crate::domain::record::{Place, Record};
use crate::domain::state::StateId;
use crate::link::{Batch, Link, Value, cmd};
use crate::systems::{SystemError, reply};

/// Items looked at to find those of one piece.
const LOOKED_AT: u64 = 5_000;
/// Bytes read for it.
const LOOKED_AT_BYTES: u64 = 8 * 1024 * 1024;

/// An item where it lies.
pub struct Item<'a> {
    /// The key that holds it.
    pub key: Name,
    /// End at which reading begins; `None` for a sorted set.
    pub end: Option<End>,
    /// Exactly its bytes.
    pub bytes: Bytes,
    /// The worker whose list it is in.
    pub worker: Option<Name>,
    /// What it is.
    pub kind: ItemKind,
    /// Where its record lies.
    pub record: Option<&'a RecordSpec>,
    /// Where its facts lie.
    pub fields: &'a Fields,
}

/// Finds items of one state by their ids, in one bounded walk.
pub async fn find<'a>(
    spec: &'a ListSpec,
    link: &Link,
    finder: &Finder,
    state: StateId,
    ids: &[JobId],
) -> Result<HashMap<JobId, Item<'a>>, SystemError> {
    let mut found = HashMap::new();
    for container in containers(spec, state, link, finder).await? {
        look(link, &container, ids, &mut found).await?;
        if found.len() == ids.len() {
            break;
        }
    }
    Ok(found)
}

async fn look<'a>(
    link: &Link,
    container: &Container<'a>,
    ids: &[JobId],
    found: &mut HashMap<JobId, Item<'a>>,
) -> Result<(), SystemError> {
    let mut seen: HashMap<JobId, u64> = HashMap::new();
    let (mut cursor, mut looked_at, mut bytes_left) = (None, 0, LOOKED_AT_BYTES);
    while looked_at < LOOKED_AT && bytes_left > 0 && found.len() < ids.len() {
        let step = walk(link, std::slice::from_ref(container), cursor.as_ref(), 500, bytes_left).await?;
        for raw in step.items {
            looked_at += 1;
            bytes_left = bytes_left.saturating_sub(raw.total);
            let (id, _) = item_id(container, &raw.bytes, raw.total);
            let occurrence = seen.entry(id.clone()).or_default();
            *occurrence += 1;
            let id = numbered(&id, *occurrence);
            if ids.contains(&id) {
                let item = Item {
                    key: container.key.clone(),
                    end: container.end,
                    bytes: raw.bytes,
                    worker: container.worker.clone(),
                    kind: container.item,
                    record: container.record,
                    fields: container.fields,
                };
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
    for state in [WAITING, DELAYED, PROCESSING, DEAD] {
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

async fn sorted(link: &Link, item: &Item<'_>) -> Result<Option<Place>, SystemError> {
    let score = link.ask(cmd("ZSCORE").arg(item.key.as_bytes()).arg(item.bytes.as_ref()).to_owned()).await?;
    let score = match score {
        Value::BulkString(text) => String::from_utf8_lossy(&text).into_owned(),
        Value::Double(number) => number.to_string(),
        _ => return Ok(None),
    };
    Ok(Some(Place::Sorted { key: item.key.clone(), member: item.bytes.as_ref().into(), score }))
}

async fn listed(link: &Link, item: &Item<'_>, end: End) -> Result<Option<Place>, SystemError> {
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
