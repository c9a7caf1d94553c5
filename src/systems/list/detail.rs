//! One item: finding it by its id, and everything that can be said of it.

use bytes::Bytes;

use super::containers::{Container, Raw, containers, walk};
use super::finder::Finder;
use super::keys::fill;
use super::plan::{one, start_of};
use super::rows::{item_id, record_of, rows, unnumbered};
use super::{DEAD, DELAYED, PROCESSING, UNKNOWN, WAITING};
use crate::domain::described::{End, ItemKind, ListSpec, RecordKind};
use crate::domain::ids::{JobId, Name};
use crate::domain::job::{Blob, Cursor, Job, JobRow, KeyFact};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, cmd};
use crate::systems::{SystemError, reply};

/// Items looked at in one search for an id, in all containers together.
const LOOKED_AT: u64 = 5_000;

/// Bytes read in one search for an id.
const LOOKED_AT_BYTES: u64 = 8 * 1024 * 1024;

/// Items an LPOS may walk over.
const LPOS_MAXLEN: u64 = 100_000;

/// Fields and bytes of a hash record that are read whole.
pub const HASH_FIELDS: u64 = 256;

/// Where an item was found.
pub struct Place<'a> {
    /// The container.
    pub container: Container<'a>,
    /// The item.
    pub raw: Raw,
}

/// What a search for an id brought.
pub struct Sought<'a> {
    /// Where it is.
    pub place: Option<Place<'a>>,
    /// False if there were more items than one search looks at.
    pub all: bool,
    /// How many were looked at.
    pub looked_at: u64,
}

/// Looks for an item in all containers, the waiting ones first.
pub async fn seek<'a>(spec: &'a ListSpec, link: &Link, finder: &Finder, id: &JobId) -> Result<Sought<'a>, SystemError> {
    let mut all = true;
    let mut looked_at = 0;
    for (id, occurrence) in std::iter::once((id.clone(), 1)).chain(unnumbered(id)) {
        for state in [WAITING, PROCESSING, DEAD, DELAYED] {
            for container in containers(spec, state, link, finder).await? {
                let found = match (container.item, container.end) {
                    (ItemKind::Id, Some(end)) => {
                        seek_id(link, &container, end, &id, occurrence, &mut looked_at, &mut all).await?
                    }
                    (ItemKind::Id, None) => seek_member(link, &container, &id).await?,
                    _ => seek_item(link, &container, &id, occurrence, &mut looked_at, &mut all).await?,
                };
                if let Some(raw) = found {
                    return Ok(Sought { place: Some(Place { container, raw }), all, looked_at });
                }
            }
        }
    }
    Ok(Sought { place: None, all, looked_at })
}

/// A bare id: the server looks for it. Before 6.0.6 there is no LPOS; then the list is walked.
async fn seek_id(
    link: &Link,
    container: &Container<'_>,
    end: End,
    id: &JobId,
    occurrence: u64,
    looked_at: &mut u64,
    all: &mut bool,
) -> Result<Option<Raw>, SystemError> {
    let rank = i64::try_from(occurrence).unwrap_or(1) * if end == End::Right { -1 } else { 1 };
    let mut command = cmd("LPOS");
    command.arg(container.key.as_bytes()).arg(id.as_bytes());
    command.arg("RANK").arg(rank).arg("MAXLEN").arg(LPOS_MAXLEN);
    let mut batch = Batch::new();
    batch.ask(one("LLEN", container.key.as_bytes())).ask(command);
    let replies = link.send(&batch).await?;
    let length = replies[0].as_ref().ok().and_then(reply::count).unwrap_or(0);
    let Ok(position) = &replies[1] else {
        return seek_item(link, container, id, occurrence, looked_at, all).await;
    };
    *looked_at += length.min(LPOS_MAXLEN);
    match reply::count(position) {
        Some(index) => {
            let place = if end == End::Right { length.saturating_sub(index + 1) } else { index };
            Ok(Some(Raw::of_id(id.as_bytes(), place, None)))
        }
        None => {
            *all &= length <= LPOS_MAXLEN;
            Ok(None)
        }
    }
}

/// A bare id in a sorted set.
async fn seek_member(link: &Link, container: &Container<'_>, id: &JobId) -> Result<Option<Raw>, SystemError> {
    let mut batch = Batch::new();
    for name in ["ZSCORE", "ZRANK"] {
        let mut command = one(name, container.key.as_bytes());
        command.arg(id.as_bytes());
        batch.ask(command);
    }
    let replies = link.send(&batch).await?;
    let score = replies[0].as_ref().ok().and_then(reply::float);
    let place = replies[1].as_ref().ok().and_then(reply::count).unwrap_or(0);
    Ok(score.map(|score| Raw::of_id(id.as_bytes(), place, Some(score))))
}

/// An id inside items: they are read piece by piece until it is found or enough was read.
async fn seek_item(
    link: &Link,
    container: &Container<'_>,
    id: &JobId,
    occurrence: u64,
    looked_at: &mut u64,
    all: &mut bool,
) -> Result<Option<Raw>, SystemError> {
    let mut cursor: Option<Cursor> = None;
    let mut left = occurrence;
    let mut bytes_left = LOOKED_AT_BYTES;
    loop {
        if *looked_at >= LOOKED_AT || bytes_left == 0 {
            *all = false;
            return Ok(None);
        }
        let limit = (LOOKED_AT - *looked_at).min(500) as usize;
        let step = walk(link, std::slice::from_ref(container), cursor.as_ref(), limit, bytes_left).await?;
        for raw in step.items {
            *looked_at += 1;
            bytes_left = bytes_left.saturating_sub(raw.total);
            if item_id(container, &raw.bytes, raw.total).0 == *id {
                left -= 1;
                if left == 0 {
                    return Ok(Some(raw));
                }
            }
        }
        match step.next {
            Some(next) => cursor = Some(next),
            None => return Ok(None),
        }
    }
}

/// Opens one item.
pub async fn job(
    spec: &ListSpec,
    link: &Link,
    finder: &Finder,
    id: &JobId,
    payload_limit: u64,
) -> Result<Option<Job>, SystemError> {
    let sought = seek(spec, link, finder, id).await?;
    if let Some(Place { container, raw }) = sought.place {
        let row = rows(link, spec, std::slice::from_ref(&container), std::slice::from_ref(&raw)).await?.pop();
        let Some(row) = row else { return Ok(None) };
        return Ok(Some(
            open(link, spec, &container, Some(&raw), JobRow { id: id.clone(), ..row }, payload_limit).await?,
        ));
    }
    if let Some(job) = elsewhere(spec, link, id, payload_limit).await? {
        return Ok(Some(job));
    }
    if sought.all {
        return Ok(None);
    }
    Err(SystemError::Unsupported(format!(
        "{} items of {} were looked at without finding {id}; there are more, and only reading them all would tell",
        sought.looked_at, spec.name
    )))
}

/// An id that lies in no container but has a record: taken by a worker, ended, or lost.
async fn elsewhere(spec: &ListSpec, link: &Link, id: &JobId, limit: u64) -> Result<Option<Job>, SystemError> {
    let container = loose(spec);
    if record_of(&container).is_none() {
        return Ok(None);
    }
    let raw = Raw::of_id(id.as_bytes(), 0, None);
    let row = rows(link, spec, std::slice::from_ref(&container), std::slice::from_ref(&raw)).await?.pop();
    let Some(mut row) = row.filter(|row| row.record_exists) else { return Ok(None) };
    row.state = UNKNOWN;
    row.kind = match (row.finished_at, &row.error) {
        (None, _) => StateKind::Other,
        (Some(_), None) => StateKind::Completed,
        (Some(_), Some(_)) => StateKind::Failed,
    };
    let mut job = open(link, spec, &container, None, row, limit).await?;
    let fact = "in none: a worker took it, or it has ended, or it was lost".to_owned();
    job.facts.insert(0, ("list".to_owned(), fact));
    Ok(Some(job))
}

/// A container that is no key, for items known from elsewhere.
pub fn loose(spec: &ListSpec) -> Container<'_> {
    Container {
        key: Name::default(),
        state: PROCESSING,
        end: None,
        worker: None,
        item: spec.item,
        record: spec.record.as_ref(),
        fields: &spec.fields,
    }
}

async fn open(
    link: &Link,
    spec: &ListSpec,
    container: &Container<'_>,
    raw: Option<&Raw>,
    row: JobRow,
    limit: u64,
) -> Result<Job, SystemError> {
    let mut job = Job {
        error: None,
        payload: raw.map_or_else(Blob::default, |raw| first(raw, limit)),
        options: None,
        result: None,
        stack: Vec::new(),
        logs: Vec::new(),
        logs_total: None,
        parent: None,
        children: Vec::new(),
        keys: Vec::new(),
        facts: Vec::new(),
        row,
    };
    if let Some(raw) = raw {
        job.facts.push(("list".to_owned(), container.key.to_text()));
        job.facts.push(("place".to_owned(), place(container, raw)));
    }
    let plain = raw.map_or_else(|| job.row.id.clone(), |raw| JobId::from(raw.bytes.as_ref()));
    if let Some(record) = record_of(container) {
        let key = fill(&record.key, plain.as_bytes());
        job.payload = read_record(link, &key, record.kind, limit).await?;
        job.keys.extend(key_fact(link, &key, record.kind).await?);
        if !job.row.record_exists {
            job.facts.push(("record".to_owned(), format!("{} is gone", Name::from(key))));
        }
    }
    describe(spec, container, &mut job);
    Ok(job)
}

/// Error and status in full, from the payload that was read.
fn describe(spec: &ListSpec, container: &Container<'_>, job: &mut Job) {
    use super::facts::{Source, document};
    let Some(tree) = document(&job.payload.bytes, job.payload.total) else { return };
    let source = Source::Document(&tree);
    job.error = source.text(&container.fields.error).filter(|error| !error.is_empty());
    if let Some(status) = source.text(&container.fields.status) {
        job.facts.push(("status".to_owned(), status));
    }
    if let (Some(made), Some(most)) = (job.row.attempts_made, job.row.attempts_max.or(spec.max_attempts)) {
        job.facts.push(("attempts".to_owned(), format!("{made} of {most}")));
    }
}

fn place(container: &Container<'_>, raw: &Raw) -> String {
    match (container.state, raw.place) {
        (WAITING, 0) => "next to be taken".to_owned(),
        (WAITING, ahead) => format!("{ahead} before it"),
        (DELAYED, ahead) => format!("{ahead} due before it"),
        (_, place) => format!("{place} from the end that is shown first"),
    }
}

fn first(raw: &Raw, limit: u64) -> Blob {
    let kept = raw.bytes.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
    Blob { bytes: raw.bytes.slice(..kept), total: raw.total }
}

/// A record's bytes; a hash as a JSON object of its fields, in the server's order.
async fn read_record(link: &Link, key: &[u8], kind: RecordKind, limit: u64) -> Result<Blob, SystemError> {
    if kind == RecordKind::Json {
        let mut batch = Batch::new();
        batch.ask(one("STRLEN", key)).ask(start_of(key, limit.clamp(1, 16 << 20)));
        let replies = link.send(&batch).await?;
        let total = replies[0].as_ref().ok().and_then(reply::count).unwrap_or(0);
        let bytes = replies[1].as_ref().ok().and_then(reply::bytes).unwrap_or_default();
        return Ok(Blob { bytes: Bytes::copy_from_slice(bytes), total });
    }
    let mut batch = Batch::new();
    batch.ask(one("HLEN", key)).ask(super::plan::memory(key));
    let replies = link.send(&batch).await?;
    let fields = replies[0].as_ref().ok().and_then(reply::count).unwrap_or(0);
    let memory = replies[1].as_ref().ok().and_then(reply::count).unwrap_or(u64::MAX);
    if fields == 0 {
        return Ok(Blob::default());
    }
    if fields > HASH_FIELDS || memory > limit.max(64 * 1024) {
        let text = format!("a hash of {fields} fields, too large to be read whole");
        return Ok(Blob { bytes: Bytes::from(text.into_bytes()), total: memory });
    }
    let value = link.ask(one("HGETALL", key)).await?;
    Ok(Blob::whole(hash_as_json(&value)))
}

/// `{"field":"value",…}`; what is no text is replaced, since this is for looking at only.
fn hash_as_json(value: &crate::link::Value) -> Vec<u8> {
    use crate::link::Value;
    let text = |value: &Value| reply::text(value).unwrap_or_default();
    let pairs: Vec<(String, String)> = match value {
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (text(name), text(value))).collect(),
        other => {
            let flat = reply::list(other).unwrap_or(&[]);
            flat.chunks_exact(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
        }
    };
    let map: serde_json::Map<String, serde_json::Value> =
        pairs.into_iter().map(|(name, value)| (name, serde_json::Value::String(value))).collect();
    serde_json::Value::Object(map).to_string().into_bytes()
}

async fn key_fact(link: &Link, key: &[u8], kind: RecordKind) -> Result<Option<KeyFact>, SystemError> {
    let length = if kind == RecordKind::Json { "STRLEN" } else { "HLEN" };
    let mut batch = Batch::new();
    batch.ask(one("TYPE", key)).ask(one(length, key)).ask(one("PTTL", key));
    let replies = link.send(&batch).await?;
    let kind = replies[0].as_ref().ok().and_then(reply::text).unwrap_or_default();
    if kind.is_empty() || kind == "none" {
        return Ok(None);
    }
    Ok(Some(KeyFact {
        key: Name::from(key),
        kind,
        length: replies[1].as_ref().ok().and_then(reply::count),
        expires_in: replies[2].as_ref().ok().and_then(reply::count).map(std::time::Duration::from_millis),
    }))
}

/// The server's clock.
pub async fn server_time(link: &Link) -> Result<Timestamp, SystemError> {
    let value = link.ask(cmd("TIME")).await?;
    let parts = reply::list(&value).unwrap_or(&[]);
    let part = |index: usize| parts.get(index).and_then(reply::int).unwrap_or(0);
    Ok(Timestamp(part(0).saturating_mul(1_000).saturating_add(part(1) / 1_000)))
}
