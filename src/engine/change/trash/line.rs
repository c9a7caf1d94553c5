//! A record as one line of JSON: bytes as base64, so that nothing of them is lost.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::domain::ids::Name;
use crate::domain::record::{Awaited, KeyDump, Place, Record};
use crate::domain::state::StateId;

pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// The line.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    id: String,
    state: Option<String>,
    keys: Vec<(String, String, i64)>,
    places: Vec<(String, Vec<Option<String>>)>,
}

impl From<&Record> for Line {
    fn from(record: &Record) -> Self {
        let some = |name: &Name| Some(encode(name.as_bytes()));
        let maybe = |name: &Option<Name>| name.as_ref().map(|name| encode(name.as_bytes()));
        let place = |place: &Place| match place {
            Place::List { key, element, right, left } => {
                ("list".to_owned(), vec![some(key), some(element), maybe(right), maybe(left)])
            }
            Place::Sorted { key, member, score } => {
                ("sorted".to_owned(), vec![some(key), some(member), Some(score.clone())])
            }
            Place::Member { key, member } => ("member".to_owned(), vec![some(key), some(member)]),
            Place::Awaited(Awaited { key, member, base, waiter, score, runs }) => {
                let words = [some(key), some(member), some(base), some(waiter), Some(score.clone())].into_iter();
                (
                    "awaited".to_owned(),
                    words.chain(runs.iter().flat_map(|(field, value)| [some(field), Some(encode(value))])).collect(),
                )
            }
            Place::Field { key, field, value } => {
                ("field".to_owned(), vec![some(key), some(field), Some(encode(value))])
            }
            Place::Entry { key, entry, fields } => {
                let words = [some(key), some(entry)].into_iter();
                ("entry".to_owned(), words.chain(fields.iter().map(|part| Some(encode(part)))).collect())
            }
            Place::Delivered { key, group, entry, consumer, at, deliveries } => {
                let numbers = [Some(at.to_string()), Some(deliveries.to_string())];
                let words = [some(key), some(group), some(entry), some(consumer)].into_iter().chain(numbers);
                ("delivered".to_owned(), words.collect())
            }
            Place::Edited { key, paths, old } => {
                let words = [some(key), Some(encode(old))].into_iter();
                ("edited".to_owned(), words.chain(paths.iter().cloned().map(Some)).collect())
            }
        };
        Self {
            id: encode(record.id.as_bytes()),
            state: record.state.map(|state| state.0.to_owned()),
            keys: record
                .keys
                .iter()
                .map(|key| (encode(key.key.as_bytes()), encode(&key.dump), key.expires_at))
                .collect(),
            places: record.places.iter().map(place).collect(),
        }
    }
}

impl Line {
    /// The record, if the line holds one.
    pub(super) fn into_record(self) -> Option<Record> {
        let keys = self
            .keys
            .into_iter()
            .map(|(key, dump, expires_at)| {
                Some(KeyDump { key: decode(&key)?.into(), dump: decode(&dump)?, expires_at })
            })
            .collect::<Option<Vec<_>>>()?;
        let places = self.places.into_iter().map(|(kind, parts)| place(&kind, &parts)).collect::<Option<Vec<_>>>()?;
        let state = self.state.as_deref().and_then(known_state);
        Some(Record { id: decode(&self.id)?.into(), state, keys, places })
    }
}

fn place(kind: &str, parts: &[Option<String>]) -> Option<Place> {
    let part = |index: usize| parts.get(index).and_then(Option::as_deref);
    let name = |index: usize| part(index).and_then(decode).map(Name::from);
    Some(match kind {
        "list" => Place::List { key: name(0)?, element: name(1)?, right: name(2), left: name(3) },
        "sorted" => Place::Sorted { key: name(0)?, member: name(1)?, score: part(2)?.to_owned() },
        "member" => Place::Member { key: name(0)?, member: name(1)? },
        "awaited" => Place::Awaited(Awaited {
            key: name(0)?,
            member: name(1)?,
            base: name(2)?,
            waiter: name(3)?,
            score: part(4)?.to_owned(),
            runs: (5..parts.len())
                .step_by(2)
                .map(|index| Some((name(index)?, part(index + 1).and_then(decode)?)))
                .collect::<Option<_>>()?,
        }),
        "field" => Place::Field { key: name(0)?, field: name(1)?, value: part(2).and_then(decode)? },
        "entry" => Place::Entry {
            key: name(0)?,
            entry: name(1)?,
            fields: (2..parts.len()).map(|index| part(index).and_then(decode)).collect::<Option<_>>()?,
        },
        "delivered" => Place::Delivered {
            key: name(0)?,
            group: name(1)?,
            entry: name(2)?,
            consumer: name(3)?,
            at: part(4)?.parse().ok()?,
            deliveries: part(5)?.parse().ok()?,
        },
        "edited" => Place::Edited {
            key: name(0)?,
            old: part(1).and_then(decode)?,
            paths: (2..parts.len()).map(|index| part(index).map(str::to_owned)).collect::<Option<_>>()?,
        },
        _ => return None,
    })
}

fn known_state(word: &str) -> Option<StateId> {
    crate::systems::all(&crate::domain::described::Described::default())
        .iter()
        .flat_map(|system| system.spec().states)
        .map(|state| state.id)
        .find(|id| id.0 == word)
}
