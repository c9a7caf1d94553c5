//! The single reads that pages, details and explanations are made of.

use super::info::{self, Consumer, Entry, Group, Pending};
use super::names::{EntryId, Place};
use crate::domain::ids::Name;
use crate::link::{Batch, Cmd, CommandError, Link, LinkError, Value, cmd};
use crate::systems::{ReadError, SystemError, reply};

/// Entries of one read at most (P3).
pub const MOST: u64 = 500;

/// A shape no such command answers with.
fn shape(command: &'static str) -> SystemError {
    ReadError::Shape { command, what: "something else than it always answers with".to_owned() }.into()
}

fn key(name: &'static str, word: Option<&'static str>, stream: &[u8]) -> Cmd {
    let mut command = cmd(name);
    if let Some(word) = word {
        command.arg(word);
    }
    command.arg(stream);
    command
}

/// The groups of a stream; none if there is no such stream.
pub async fn groups(link: &Link, stream: &[u8]) -> Result<Vec<Group>, SystemError> {
    match link.ask(key("XINFO", Some("GROUPS"), stream)).await {
        Ok(value) => info::groups(&value).ok_or_else(|| shape("XINFO GROUPS")),
        Err(error) if is_missing(&error) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// `ERR no such key` and `NOGROUP`: what was there is gone.
fn is_missing(error: &LinkError) -> bool {
    matches!(error, LinkError::Command(CommandError::Refused { code, .. }) if code == "ERR" || code == "NOGROUP")
}

/// The group a queue stands for; `None` for a stream without one.
pub async fn group(link: &Link, place: &Place) -> Result<Option<Group>, SystemError> {
    let Some(wanted) = &place.group else { return Ok(None) };
    let found = groups(link, &place.stream).await?.into_iter().find(|group| group.name == *wanted);
    found.map(Some).ok_or_else(|| {
        let (group, stream) = (Name::from(wanted.as_slice()), Name::from(place.stream.as_slice()));
        SystemError::BadRequest(format!("stream {stream} has no group {group}"))
    })
}

/// The consumers of a group.
pub async fn consumers(link: &Link, stream: &[u8], group: &[u8]) -> Result<Vec<Consumer>, SystemError> {
    let mut command = key("XINFO", Some("CONSUMERS"), stream);
    command.arg(group);
    match link.ask(command).await {
        Ok(value) => info::consumers(&value).ok_or_else(|| shape("XINFO CONSUMERS")),
        Err(error) if is_missing(&error) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Delivered entries from an id on, oldest first. `consumer`: only those of one.
pub async fn pending(
    link: &Link,
    stream: &[u8],
    group: &[u8],
    from: Option<EntryId>,
    count: u64,
    consumer: Option<&[u8]>,
) -> Result<Vec<Pending>, SystemError> {
    let mut command = key("XPENDING", None, stream);
    command.arg(group).arg(from.map_or("-".to_owned(), |id| id.to_string())).arg("+").arg(count.clamp(1, MOST));
    if let Some(consumer) = consumer {
        command.arg(consumer);
    }
    let value = link.ask(command).await?;
    info::pending(&value).ok_or_else(|| shape("XPENDING"))
}

/// Length and about how large an entry is; no length if there is no such stream.
pub async fn measure(link: &Link, stream: &[u8]) -> Result<(u64, u64), SystemError> {
    let mut batch = Batch::new();
    let mut usage = key("MEMORY", Some("USAGE"), stream);
    usage.arg("SAMPLES").arg(5);
    batch.ask(key("XLEN", None, stream)).ask(usage);
    let replies = link.send(&batch).await?;
    let length = match &replies[0] {
        Ok(value) => reply::count(value).unwrap_or(0),
        Err(error) => return Err(ReadError::Command(error.clone()).into()),
    };
    let bytes = replies[1].as_ref().ok().and_then(reply::count).unwrap_or(0);
    Ok((length, bytes / length.max(1)))
}

/// Entries upwards from an id.
pub async fn range(link: &Link, stream: &[u8], from: EntryId, count: u64) -> Result<Vec<Entry>, SystemError> {
    let mut command = key("XRANGE", None, stream);
    command.arg(from.to_string()).arg("+").arg("COUNT").arg(count.clamp(1, MOST));
    read_entries(link.ask(command).await)
}

/// Entries downwards from an id, or from the newest.
pub async fn reverse(link: &Link, stream: &[u8], from: Option<EntryId>, count: u64) -> Result<Vec<Entry>, SystemError> {
    let mut command = key("XREVRANGE", None, stream);
    command.arg(from.map_or("+".to_owned(), |id| id.to_string())).arg("-").arg("COUNT").arg(count.clamp(1, MOST));
    read_entries(link.ask(command).await)
}

fn read_entries(answer: Result<Value, LinkError>) -> Result<Vec<Entry>, SystemError> {
    info::entries(&answer?).ok_or_else(|| shape("XRANGE"))
}

/// These entries, `None` for each that was deleted or trimmed.
pub async fn each(link: &Link, stream: &[u8], ids: &[EntryId]) -> Result<Vec<Option<Entry>>, SystemError> {
    let mut batch = Batch::new();
    for id in ids {
        let mut command = key("XRANGE", None, stream);
        command.arg(id.to_string()).arg(id.to_string()).arg("COUNT").arg(1);
        batch.ask(command);
    }
    let replies = link.send(&batch).await?;
    replies
        .into_iter()
        .map(|reply| {
            let mut entries = info::entries(&reply.map_err(ReadError::Command)?).ok_or_else(|| shape("XRANGE"))?;
            Ok(entries.pop())
        })
        .collect()
}

/// The server's clock, as milliseconds since the epoch.
pub async fn server_time(link: &Link) -> Result<crate::domain::time::Timestamp, SystemError> {
    let value = link.ask(cmd("TIME")).await?;
    let part = |index: usize| reply::list(&value).and_then(|parts| parts.get(index)).and_then(reply::int).unwrap_or(0);
    Ok(crate::domain::time::Timestamp(part(0).saturating_mul(1_000).saturating_add(part(1) / 1_000)))
}
