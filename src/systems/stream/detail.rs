//! One entry: where it is for its group, and what it carries.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;

use super::info::{Entry, Group, Pending};
use super::names::{EntryId, Place};
use super::pages::{pending_row, row};
use super::{DEAD, ENTRIES, WAITING, read};
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::job::{Blob, Job, JobRow, KeyFact};
use crate::domain::text::{age, harmless_bytes, size};
use crate::link::Link;
use crate::systems::SystemError;

/// Where an entry is.
pub enum Spot {
    /// Not yet delivered to the group.
    Waiting(Entry),
    /// Delivered and not acknowledged; without its body if that was deleted or trimmed.
    Pending(Pending, Option<Entry>),
    /// In the stream, and nobody has to do anything about it: acknowledged, or there is no group.
    Done(Entry),
    /// In the stream of given-up entries.
    Dead(Entry),
}

/// Looks an entry up by its id.
pub async fn spot(link: &Link, place: &Place, id: EntryId) -> Result<Option<(Spot, Option<Group>)>, SystemError> {
    let group = read::group(link, place).await?;
    let entry = read::each(link, &place.stream, &[id]).await?.pop().flatten();
    if let Some(group) = &group {
        let listed = read::pending(link, &place.stream, &group.name, Some(id), 1, None).await?;
        if let Some(pending) = listed.into_iter().find(|pending| pending.id == id) {
            return Ok(Some((Spot::Pending(pending, entry), Some(group.clone()))));
        }
    }
    if let Some(entry) = entry {
        let waits = group.as_ref().is_some_and(|group| id > group.last_delivered);
        return Ok(Some((if waits { Spot::Waiting(entry) } else { Spot::Done(entry) }, group)));
    }
    let dead = read::each(link, &place.dead(), &[id]).await?.pop().flatten();
    Ok(dead.map(|entry| (Spot::Dead(entry), group)))
}

/// Opens one entry.
pub async fn job(link: &Link, queue: &QueueId, id: &JobId, limit: u64) -> Result<Option<Job>, SystemError> {
    let place = Place::parse(&queue.name);
    let Some(entry_id) = EntryId::parse(id.as_bytes()) else { return Ok(None) };
    let Some((spot, group)) = spot(link, &place, entry_id).await? else { return Ok(None) };
    let mut facts = Vec::new();
    let (row, entry, stream) = match spot {
        Spot::Waiting(entry) => (row(&entry, WAITING), Some(entry), place.stream.clone()),
        Spot::Done(entry) => {
            if group.is_some() {
                facts.push(("group".to_owned(), "delivered and acknowledged".to_owned()));
            }
            (row(&entry, ENTRIES), Some(entry), place.stream.clone())
        }
        Spot::Dead(entry) => (row(&entry, DEAD), Some(entry), place.dead()),
        Spot::Pending(pending, entry) => {
            let now = read::server_time(link).await?;
            facts.push(("consumer".to_owned(), Name::from(pending.consumer.as_slice()).to_text()));
            facts.push(("last delivery".to_owned(), format!("{} ago", age(pending.idle))));
            facts.push(("deliveries".to_owned(), pending.deliveries.to_string()));
            if entry.is_none() {
                facts.push(("entry".to_owned(), "was deleted or trimmed while it was pending".to_owned()));
            }
            let exists = entry.is_some();
            let row = JobRow { record_exists: exists, ..pending_row(&pending, entry.as_ref(), now) };
            (row, entry, place.stream.clone())
        }
    };
    if let Some(group) = &group {
        facts.push(("group".to_owned(), format!("delivered up to {}", group.last_delivered)));
    }
    if let Some(entry) = entry.as_ref().filter(|entry| entry.missing > 0) {
        let text = format!("{} are left out: of a huge value only the start is read", size(entry.missing));
        facts.push(("fields".to_owned(), text));
    }
    let payload = entry.map_or_else(Blob::default, |entry| fields_as_json(&entry, limit));
    Ok(Some(Job {
        row,
        payload,
        options: None,
        result: None,
        error: None,
        stack: Vec::new(),
        logs: Vec::new(),
        logs_total: None,
        parent: None,
        children: Vec::new(),
        keys: vec![key_fact(link, &stream).await?],
        facts,
    }))
}

async fn key_fact(link: &Link, stream: &[u8]) -> Result<KeyFact, SystemError> {
    let (length, _) = read::measure(link, stream).await?;
    let mut command = crate::link::cmd("PTTL");
    command.arg(stream);
    let left = crate::systems::reply::count(&link.ask(command).await?);
    Ok(KeyFact {
        key: Name::from(stream),
        kind: "stream".to_owned(),
        length: Some(length),
        expires_in: left.map(Duration::from_millis),
    })
}

/// `{"field":"value",…}` in order, with every field there is. A value that is a JSON object or array stands as it was
/// written; bytes that are no text are escaped, since this is for looking at only.
fn fields_as_json(entry: &Entry, limit: u64) -> Blob {
    let mut json = String::from("{");
    for (index, (name, value)) in entry.fields.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write!(json, "{}:", quoted(name)).expect("writing to a String cannot fail");
        match nested(value) {
            Some(nested) => json.push_str(nested),
            None => json.push_str(&quoted(value)),
        }
    }
    json.push('}');
    let total = json.len() as u64 + entry.missing;
    let bytes = Bytes::from(json);
    let kept = bytes.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
    Blob { bytes: bytes.slice(..kept), total }
}

fn quoted(bytes: &[u8]) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => harmless_bytes(bytes),
    };
    serde_json::Value::String(text.into_owned()).to_string()
}

fn nested(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let first = text.trim_start().as_bytes().first()?;
    let sound = matches!(first, b'{' | b'[') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    sound.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_order_and_nested_json_is_kept_as_written() {
        let field = |name: &'static [u8], value: &'static [u8]| (Bytes::from_static(name), Bytes::from_static(value));
        let entry = Entry {
            id: EntryId(1, 0),
            fields: vec![
                field(b"b", b"{\"n\": 1e400}"),
                field(b"a", b"\"quoted\""),
                field(b"a", b"\xff\n"),
                field(b"x", b"[oops"),
            ],
            missing: 0,
        };
        let blob = fields_as_json(&entry, 1_000);
        let expected = r#"{"b":{"n": 1e400},"a":"\"quoted\"","a":"\\xFF␊","x":"[oops"}"#;
        assert_eq!(std::str::from_utf8(&blob.bytes).unwrap(), expected);
        let cut = fields_as_json(&entry, 5);
        assert_eq!((cut.bytes.len(), cut.total), (5, expected.len() as u64));
    }
}
