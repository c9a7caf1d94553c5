//! Horizon's lists of jobs: ids by time, newest first, and one hash for each job. A list may still name a job whose hash
//! has expired.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::{COMPLETED, FAILED, MONITORED, PENDING, RECENT, SILENCED, key};
use crate::domain::ids::{JobId, Name};
use crate::domain::job::{Blob, Cursor, Job, JobRow, KeyFact, Page, PageRequest, Search, SearchStep};
use crate::domain::state::{StateId, StateKind};
use crate::domain::text::first_line;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies, Value};
use crate::systems::laravel::payload::Payload;
use crate::systems::laravel::plan::one;
use crate::systems::laravel::{detail, jobs};
use crate::systems::{ReadError, SystemError, reply};

/// Jobs of one page at most.
const MOST: usize = 500;
/// Fields of a job's hash that are small.
const SMALL: [&str; 9] =
    ["status", "name", "connection", "queue", "created_at", "reserved_at", "completed_at", "failed_at", "retried_by"];
/// Characters of an error that a row carries.
const ERROR_CHARACTERS: usize = 500;
/// An exception is kept with its whole stack. A row reads one that is no larger than this.
const EXCEPTION_BYTES: u64 = 32 * 1024;
/// Bytes of exceptions that one page reads; it ends earlier where they are large.
const PAGE_BYTES: u64 = 256 * 1024;
/// Bytes of a payload that a search reads of one job.
const SEARCHED_BYTES: u64 = 64 * 1024;
/// Most bytes of one field that are fetched without being asked for.
const FETCH: u64 = 1 << 20;

/// The meaning of a state here.
pub type Kind<'a> = &'a (dyn Fn(StateId) -> StateKind + Sync);

fn list_of(state: StateId) -> Result<&'static [u8], SystemError> {
    Ok(match state {
        RECENT => b"recent_jobs",
        PENDING => b"pending_jobs",
        COMPLETED => b"completed_jobs",
        FAILED => b"failed_jobs",
        SILENCED => b"silenced_jobs",
        // Those with a monitored tag that ended well, kept for a week.
        MONITORED => b"monitored_jobs",
        other => return Err(SystemError::BadRequest(format!("Horizon has no list {other}"))),
    })
}

/// One page, newest first.
pub async fn page(
    link: &Link,
    prefix: &[u8],
    state: StateId,
    kind: Kind<'_>,
    page: &PageRequest,
) -> Result<Page<JobRow>, SystemError> {
    let found = read(link, prefix, state, kind, page, 0).await?;
    Ok(Page { rows: found.rows.into_iter().map(|(row, _)| row).collect(), next: found.next, total: Some(found.total) })
}

/// One step of a search.
pub async fn search(
    link: &Link,
    prefix: &[u8],
    state: StateId,
    kind: Kind<'_>,
    search: &Search,
    page: &PageRequest,
) -> Result<SearchStep, SystemError> {
    let found = read(link, prefix, state, kind, page, search.payload_bytes.min(SEARCHED_BYTES)).await?;
    let scanned = found.rows.len() as u64;
    let hits = found
        .rows
        .into_iter()
        .filter(|(row, payload)| jobs::matches(row, payload, search))
        .map(|(row, _)| row)
        .collect();
    Ok(SearchStep { hits, scanned, next: found.next, total: Some(found.total) })
}

struct Found {
    rows: Vec<(JobRow, Vec<u8>)>,
    next: Option<Cursor>,
    total: u64,
}

/// Where a page begins.
pub fn place(page: &PageRequest) -> Result<u64, SystemError> {
    let Some(cursor) = &page.cursor else { return Ok(0) };
    let place = cursor.0.parse().ok().filter(|place| *place < u64::from(u32::MAX));
    place.ok_or_else(|| SystemError::BadRequest(format!("{:?} is no cursor of a list of Horizon's", cursor.0)))
}

async fn read(
    link: &Link,
    prefix: &[u8],
    state: StateId,
    kind: Kind<'_>,
    page: &PageRequest,
    payload_bytes: u64,
) -> Result<Found, SystemError> {
    let list = key(prefix, list_of(state)?);
    let place = place(page)?;
    let limit = page.limit.clamp(1, MOST) as u64;
    let mut batch = Batch::new();
    batch.ask(one("ZCARD", &list)).ask(one("ZRANGE", &list).arg(place).arg(place + limit - 1).to_owned());
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let total = replies.next().map_err(ReadError::from)?;
    let total = reply::count(total).unwrap_or(0);
    let ids = replies.next().map_err(ReadError::from)?;
    let ids: Vec<JobId> = reply::names(ids).unwrap_or_default().into_iter().map(JobId::from).collect();
    let mut jobs = hashes(link, prefix, &ids).await?;
    let mut spent = 0;
    let fitting = jobs.iter().take_while(|job| {
        let before = spent;
        spent += job.exception_to_read() + if payload_bytes > 0 { job.payload_to_read(payload_bytes) } else { 0 };
        before < PAGE_BYTES
    });
    let count = fitting.count();
    jobs.truncate(count);
    let texts = texts(link, prefix, &jobs, payload_bytes).await?;
    let rows = jobs
        .into_iter()
        .zip(texts)
        .map(|(job, (exception, payload))| {
            let own = if state == SILENCED { SILENCED } else { job.state().unwrap_or(state) };
            let mut row = job.row(own, kind(own));
            row.error = exception.map(|text| first_line(&text, ERROR_CHARACTERS)).filter(|error| !error.is_empty());
            (row, payload)
        })
        .collect();
    let end = place + count as u64;
    Ok(Found { rows, next: (end < total && count > 0).then(|| Cursor(end.to_string())), total })
}

/// What the small fields of a job's hash say.
struct Hash {
    id: JobId,
    fields: BTreeMap<&'static str, String>,
    payload_bytes: u64,
    exception_bytes: u64,
    silenced: bool,
}

async fn hashes(link: &Link, prefix: &[u8], ids: &[JobId]) -> Result<Vec<Hash>, SystemError> {
    let mut batch = Batch::new();
    for id in ids {
        let hash = key(prefix, id.as_bytes());
        batch.ask(one("HMGET", &hash).arg(&SMALL[..]).to_owned());
        batch.ask(one("HSTRLEN", &hash).arg("payload").to_owned());
        batch.ask(one("HSTRLEN", &hash).arg("exception").to_owned());
        batch.ask(one("ZSCORE", &key(prefix, b"silenced_jobs")).arg(id.as_bytes()).to_owned());
    }
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        // A tag may have the name of a job; such a key is no hash, and the job is gone for us.
        let values = replies.next().ok().and_then(reply::list).unwrap_or(&[]);
        let texts = values.iter().map(reply::text);
        let fields = SMALL.into_iter().zip(texts).filter_map(|(name, text)| Some((name, text?))).collect();
        let mut size = || replies.next().ok().and_then(reply::count).unwrap_or(0);
        let (payload_bytes, exception_bytes) = (size(), size());
        let silenced = replies.next().ok().and_then(reply::float).is_some();
        found.push(Hash { id: id.clone(), fields, payload_bytes, exception_bytes, silenced });
    }
    Ok(found)
}

/// Exceptions, and payloads where a search wants them.
async fn texts(
    link: &Link,
    prefix: &[u8],
    jobs: &[Hash],
    payload_bytes: u64,
) -> Result<Vec<(Option<String>, Vec<u8>)>, SystemError> {
    let mut batch = Batch::new();
    for job in jobs {
        let hash = key(prefix, job.id.as_bytes());
        for (field, wanted) in
            [("exception", job.exception_to_read() > 0), ("payload", job.payload_to_read(payload_bytes) > 0)]
        {
            if wanted {
                batch.ask(one("HGET", &hash).arg(field).to_owned());
            }
        }
    }
    let replies = if batch.is_empty() { Vec::new() } else { link.send(&batch).await? };
    let mut replies = Replies::new(&replies);
    let mut texts = Vec::with_capacity(jobs.len());
    for job in jobs {
        let mut exception = None;
        if job.exception_to_read() > 0 {
            exception = replies.next().ok().and_then(reply::text);
        }
        let mut payload = Vec::new();
        if job.payload_to_read(payload_bytes) > 0 {
            payload = replies.next().ok().and_then(reply::bytes).map(<[u8]>::to_vec).unwrap_or_default();
        }
        texts.push((exception, payload));
    }
    Ok(texts)
}

impl Hash {
    fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// Seconds with a fraction, as PHP writes them.
    fn moment(&self, field: &str) -> Option<Timestamp> {
        let seconds: f64 = self.text(field)?.parse().ok()?;
        (seconds > 0.0 && seconds < 1e12).then_some(Timestamp((seconds * 1_000.0) as i64))
    }

    /// Status decides; the hash of a failed job also says when it was completed.
    fn state(&self) -> Option<StateId> {
        Some(match self.text("status")? {
            "failed" => FAILED,
            "completed" if self.silenced => SILENCED,
            "completed" => COMPLETED,
            _ => PENDING,
        })
    }

    fn exception_to_read(&self) -> u64 {
        let failed = self.text("status") == Some("failed");
        if failed && self.exception_bytes <= EXCEPTION_BYTES { self.exception_bytes } else { 0 }
    }

    fn payload_to_read(&self, most: u64) -> u64 {
        if self.payload_bytes <= most { self.payload_bytes } else { 0 }
    }

    fn row(&self, state: StateId, kind: StateKind) -> JobRow {
        let mut row = JobRow::bare(self.id.clone(), state, kind);
        row.record_exists = self.text("status").is_some();
        row.name = self.text("name").map(str::to_owned);
        row.created_at = self.moment("created_at");
        row.started_at = self.moment("reserved_at");
        row.finished_at = match self.text("status") {
            Some("failed") => self.moment("failed_at"),
            Some("completed") => self.moment("completed_at"),
            _ => None,
        };
        row.payload_bytes = Some(self.payload_bytes).filter(|bytes| *bytes > 0);
        row.worker = self.pool();
        row
    }

    /// The pool of processes that takes it: `redis:mail`, as supervisors name it.
    fn pool(&self) -> Option<String> {
        let queue = self.text("queue")?;
        Some(self.text("connection").map_or_else(|| queue.to_owned(), |connection| format!("{connection}:{queue}")))
    }
}

/// Opens one job.
pub async fn open(
    link: &Link,
    prefix: &[u8],
    kind: Kind<'_>,
    id: &JobId,
    payload_limit: u64,
) -> Result<Option<Job>, SystemError> {
    let Some(hash) = hashes(link, prefix, std::slice::from_ref(id)).await?.pop() else { return Ok(None) };
    let Some(state) = hash.state() else { return Ok(None) };
    let most = payload_limit.max(FETCH);
    let name = key(prefix, id.as_bytes());
    let mut batch = Batch::new();
    batch.ask(one("PTTL", &name)).ask(one("HLEN", &name));
    let wanted = [("payload", hash.payload_bytes <= most), ("exception", hash.exception_bytes <= most)];
    for (field, _) in wanted.iter().filter(|(_, wanted)| *wanted) {
        batch.ask(one("HGET", &name).arg(*field).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let left = replies.next().ok().and_then(reply::int).and_then(|left| u64::try_from(left).ok());
    let length = replies.next().ok().and_then(reply::count);
    let mut texts = wanted.map(|(_, wanted)| match wanted.then(|| replies.next()) {
        Some(Ok(Value::BulkString(bytes))) => Bytes::from(bytes.clone()),
        _ => Bytes::new(),
    });
    let (payload, exception) = (std::mem::take(&mut texts[0]), std::mem::take(&mut texts[1]));
    let mut row = hash.row(state, kind(state));
    if let Some(payload) = Payload::read(&payload) {
        let own = row.clone();
        jobs::describe(&payload, &mut row);
        row.created_at = own.created_at.or(row.created_at);
        row.name = own.name.or(row.name);
    }
    let exception = String::from_utf8_lossy(&exception).into_owned();
    row.error = Some(first_line(&exception, ERROR_CHARACTERS)).filter(|error| !error.is_empty());
    let mut job = detail::blank(row, &payload, payload_limit);
    if payload.is_empty() {
        job.payload = Blob { bytes: Bytes::new(), total: hash.payload_bytes };
    }
    if !exception.is_empty() {
        job.error = Some(first_line(&exception, 10_000));
        job.stack = vec![exception];
    }
    let mut facts: Vec<(String, String)> = Vec::new();
    for (label, field) in [("status", "status"), ("queue", "queue"), ("connection", "connection")] {
        facts.extend(hash.text(field).map(|text| (label.to_owned(), text.to_owned())));
    }
    facts.extend(hash.text("retried_by").and_then(retries).map(|text| ("retried by".to_owned(), text)));
    facts.append(&mut job.facts);
    job.facts = facts;
    let expires_in = left.map(Duration::from_millis);
    job.keys.push(KeyFact { key: Name::from(name), kind: "hash".to_owned(), length, expires_in });
    Ok(Some(job))
}

/// `[{"id":"…","status":"completed","retried_at":1}]` in words.
fn retries(text: &str) -> Option<String> {
    let retries: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    let word =
        |retry: &serde_json::Value, name: &str| retry.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let words: Vec<String> = retries
        .iter()
        .filter_map(|retry| Some(format!("{} ({})", word(retry, "id")?, word(retry, "status")?)))
        .take(10)
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// The state each job is in now; a failed one only while the list of failed jobs names it.
pub async fn locate(link: &Link, prefix: &[u8], ids: &[JobId]) -> Result<Vec<Option<StateId>>, SystemError> {
    Ok(hashes(link, prefix, ids).await?.iter().map(Hash::state).collect())
}
