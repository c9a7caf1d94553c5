//! Replies about streams as data: groups, consumers, entries, pending entries.

use std::time::Duration;

use bytes::Bytes;

use super::names::EntryId;
use crate::link::Value;
use crate::systems::reply;

/// One consumer group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: Vec<u8>,
    /// Consumers it knows; they are never forgotten by themselves.
    pub consumers: u64,
    /// Entries that were delivered and not acknowledged.
    pub pending: u64,
    /// Up to here everything was delivered.
    pub last_delivered: EntryId,
    /// Entries ever delivered; 7.0 and later, and only if it can be known.
    pub entries_read: Option<u64>,
    /// Entries not yet delivered; 7.0 and later, and only if it can be known.
    pub lag: Option<u64>,
}

/// One consumer of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// Its name.
    pub name: Vec<u8>,
    /// Entries it has not acknowledged.
    pub pending: u64,
    /// Since it last spoke. Before 7.2 only reads that brought something count.
    pub idle: Duration,
    /// True if the server tells `inactive`, which means that `idle` counts every attempt to read.
    pub every_read_counts: bool,
}

/// A delivered entry that was not acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// The entry.
    pub id: EntryId,
    /// Who has it.
    pub consumer: Vec<u8>,
    /// Since its last delivery.
    pub idle: Duration,
    /// How often it was delivered.
    pub deliveries: u64,
}

/// An entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// Names and values in order; of a huge value only the start if it was read for looking.
    pub fields: Vec<(Bytes, Bytes)>,
    /// Bytes of them that were left out.
    pub missing: u64,
}

impl Entry {
    /// Bytes of all names and values.
    pub fn bytes(&self) -> u64 {
        self.fields.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum::<u64>() + self.missing
    }

    /// The value of a field.
    pub fn field(&self, wanted: &str) -> Option<&Bytes> {
        self.fields.iter().find(|(name, _)| name.as_ref() == wanted.as_bytes()).map(|(_, value)| value)
    }
}

/// A field of one of the flat maps that the `XINFO` commands answer with.
fn field<'a>(map: &'a Value, wanted: &str) -> Option<&'a Value> {
    if let Value::Map(pairs) = map {
        return pairs.iter().find(|(name, _)| reply::bytes(name) == Some(wanted.as_bytes())).map(|(_, value)| value);
    }
    let pairs = reply::list(map)?.chunks_exact(2);
    pairs.into_iter().find(|pair| reply::bytes(&pair[0]) == Some(wanted.as_bytes())).map(|pair| &pair[1])
}

/// `XINFO GROUPS`.
pub fn groups(value: &Value) -> Option<Vec<Group>> {
    array(value)?
        .iter()
        .map(|group| {
            Some(Group {
                name: reply::bytes(field(group, "name")?)?.to_vec(),
                consumers: reply::count(field(group, "consumers")?)?,
                pending: reply::count(field(group, "pending")?)?,
                last_delivered: EntryId::parse(reply::bytes(field(group, "last-delivered-id")?)?)?,
                entries_read: field(group, "entries-read").and_then(reply::count),
                lag: field(group, "lag").and_then(reply::count),
            })
        })
        .collect()
}

/// `XINFO CONSUMERS`.
pub fn consumers(value: &Value) -> Option<Vec<Consumer>> {
    array(value)?
        .iter()
        .map(|consumer| {
            Some(Consumer {
                name: reply::bytes(field(consumer, "name")?)?.to_vec(),
                pending: reply::count(field(consumer, "pending")?)?,
                idle: Duration::from_millis(reply::count(field(consumer, "idle")?)?),
                every_read_counts: field(consumer, "inactive").is_some(),
            })
        })
        .collect()
}

/// `XPENDING` with a range.
pub fn pending(value: &Value) -> Option<Vec<Pending>> {
    array(value)?
        .iter()
        .map(|entry| match reply::list(entry)? {
            [id, consumer, idle, deliveries] => Some(Pending {
                id: EntryId::parse(reply::bytes(id)?)?,
                consumer: reply::bytes(consumer)?.to_vec(),
                idle: Duration::from_millis(reply::count(idle)?),
                deliveries: reply::count(deliveries)?,
            }),
            _ => None,
        })
        .collect()
}

/// `XRANGE` and `XREVRANGE`.
pub fn entries(value: &Value) -> Option<Vec<Entry>> {
    array(value)?
        .iter()
        .map(|entry| match reply::list(entry)? {
            [id, fields] => {
                let (pairs, []) = reply::list(fields)?.as_chunks::<2>() else { return None };
                let mut missing = 0;
                let mut copy = |value| {
                    let (bytes, total) = reply::sized(value)?;
                    missing += total - bytes.len() as u64;
                    Some(Bytes::copy_from_slice(bytes))
                };
                let fields =
                    pairs.iter().map(|[name, value]| Some((copy(name)?, copy(value)?))).collect::<Option<_>>()?;
                Some(Entry { id: EntryId::parse(reply::bytes(id)?)?, fields, missing })
            }
            _ => None,
        })
        .collect()
}

/// An array; unlike [`reply::list`] not nil, which these commands never answer with.
fn array(value: &Value) -> Option<&[Value]> {
    if matches!(value, Value::Nil) { None } else { reply::list(value) }
}
