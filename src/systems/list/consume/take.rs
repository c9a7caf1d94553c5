//! Items on their way to the runner: what the scripts answer, and the claims that are made of it.

use std::time::Duration;

use bytes::Bytes;

use super::item::{self, Told};
use super::place::{self, Place};
use super::{records, shape};
use crate::domain::described::ItemKind;
use crate::domain::time::Timestamp;
use crate::link::{Link, Value};
use crate::systems::consume::{Claim, Claimed, Limits};
use crate::systems::{SystemError, reply};

/// Why nothing is taken of a queue whose described pause key is set.
const PAUSED: &str = "the application has paused the queue";

/// What a request for items brought.
#[derive(Default)]
pub struct Taken {
    /// By the server's clock.
    pub now: Timestamp,
    /// Until the next delayed item is due.
    pub due: Option<Duration>,
    /// For how long nothing may be taken, and why.
    pub hold: Option<(Duration, String)>,
    /// In the order in which they were taken.
    pub items: Vec<Item>,
}

/// One item, now in this runner's processing list.
pub struct Item {
    /// Exactly its bytes.
    pub bytes: Bytes,
    /// Attempts made, as far as the facts know.
    pub made: u32,
    /// Workers that died with it.
    pub deaths: u32,
    /// The list it was taken from, 1 for the first.
    pub list: u32,
}

/// Reads the answer of a script that takes items.
pub fn taken(answer: &Value) -> Result<Taken, SystemError> {
    let values = reply::list(answer).filter(|values| values.len() >= 4).ok_or_else(|| shape("EVALSHA", "no list"))?;
    let span = |value: &Value| reply::count(value).map(Duration::from_millis);
    let why = if reply::bytes(&values[3]) == Some(b"paused") { PAUSED } else { "the rate limit is reached" };
    let (items, _) = values[4..].as_chunks::<4>();
    Ok(Taken {
        now: Timestamp(reply::int(&values[0]).unwrap_or_default()),
        due: span(&values[1]),
        hold: span(&values[2]).map(|left| (left, why.to_owned())),
        items: items
            .iter()
            .filter_map(|[item, made, deaths, list]| {
                let bytes = Bytes::copy_from_slice(reply::bytes(item)?);
                Some(Item { bytes, made: small(made), deaths: small(deaths), list: small(list) })
            })
            .collect(),
    })
}

/// A small number; 0 if it is none.
pub fn small(value: &Value) -> u32 {
    reply::count(value).map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// Makes claims of items; those that are mere ids get their records. If these cannot be read now, everything goes back to
/// where it came from: only a record that is gone, or is none, is a reason to give an item up.
pub async fn claimed(link: &Link, place: &Place<'_>, taken: Taken) -> Result<Claimed, SystemError> {
    let spec = place.spec;
    let records = match (spec.item, &spec.record) {
        (ItemKind::Id, Some(record)) if !taken.items.is_empty() => {
            let keys: Vec<_> = taken.items.iter().map(|item| super::fill(&record.key, &item.bytes)).collect();
            match records::read(link, record.kind, &keys).await {
                Ok(records) => Some(records),
                Err(SystemError::Link(error)) if error.may_have_arrived() => return Err(error.into()),
                Err(error) => {
                    return Err(match put_back(link, place, &taken.items).await {
                        Some(astray) => SystemError::Astray(format!("{error}; {astray}")),
                        None => error,
                    });
                }
            }
        }
        _ => None,
    };
    let mut claims = Vec::with_capacity(taken.items.len());
    for (index, Item { bytes, made, deaths, list }) in taken.items.into_iter().enumerate() {
        let record = records.as_ref().and_then(|records| records.get(index));
        let (payload, told, doomed) = match record {
            None => {
                let told = if spec.item == ItemKind::Json { item::told(spec, &bytes) } else { Told::default() };
                (bytes.clone(), told, None)
            }
            Some(Ok(value)) => place::record(spec, value, &bytes),
            Some(Err(reason)) => (Bytes::new(), Told::default(), Some(format!("its record cannot be read: {reason}"))),
        };
        claims.push(Claim {
            id: place::id(spec, &bytes),
            name: told.name,
            payload,
            attempts_made: told.attempts_made.unwrap_or(0).max(made),
            attempts: told.attempts.or(spec.max_attempts.map(|most| u32::try_from(most).unwrap_or(u32::MAX))),
            backoff: None,
            created_at: told.created_at,
            ready_at: told.due.or(told.created_at),
            claimed_at: taken.now,
            deaths,
            limits: Limits::default(),
            doomed,
            token: bytes,
            receipt: list.to_string().into(),
        });
    }
    Ok(Claimed { claims, patience: taken.due, hold: taken.hold })
}

/// Puts back what was taken in vain; what to tell the runner if that fails.
pub async fn put_back(link: &Link, place: &Place<'_>, items: &[Item]) -> Option<SystemError> {
    // The oldest last, so that it is the next to be taken.
    for item in items.iter().rev() {
        if let Err(error) = place.put_back(link, item).await {
            return Some(SystemError::Astray(format!("what was taken could not be put back: {error}")));
        }
    }
    None
}
