//! Monitored tags: for each a sorted set of the jobs that have it, and one of those that failed.

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::lists::place;
use super::metrics::members;
use super::{TAGS, key};
use crate::domain::ids::{JobId, Name};
use crate::domain::job::{Cursor, Job, JobRow, KeyFact, Page, PageRequest};
use crate::domain::state::StateKind;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies};
use crate::systems::laravel::detail;
use crate::systems::laravel::plan::one;
use crate::systems::{SystemError, reply};

/// What the id of a tag's row begins with.
const WORD: &[u8] = b"tag:";
/// Jobs of a tag that are told of.
const JOBS: usize = 100;

/// The tag a row's id stands for.
pub fn of_id(id: &JobId) -> Option<&[u8]> {
    id.as_bytes().strip_prefix(WORD)
}

fn jobs_of(prefix: &[u8], tag: &[u8]) -> [Vec<u8>; 2] {
    [key(prefix, tag), [prefix, b"failed:", tag].concat()]
}

/// One page of monitored tags, in name order.
pub async fn page(link: &Link, prefix: &[u8], page: &PageRequest) -> Result<Page<JobRow>, SystemError> {
    let start = place(page)? as usize;
    let all = members(link, &key(prefix, b"monitoring")).await?;
    let total = all.len();
    let shown: Vec<Vec<u8>> = all.into_iter().skip(start).take(page.limit.max(1)).collect();
    let mut batch = Batch::new();
    for tag in &shown {
        let [jobs, failed] = jobs_of(prefix, tag);
        batch.ask(one("ZCARD", &jobs)).ask(one("ZCARD", &failed));
        batch.ask(one("ZRANGE", &jobs).arg(-1).arg(-1).arg("WITHSCORES").to_owned());
    }
    let replies = if batch.is_empty() { Vec::new() } else { link.send(&batch).await? };
    let mut replies = Replies::new(&replies);
    let end = start + shown.len();
    let rows = shown
        .iter()
        .map(|tag| {
            let mut count = || replies.next().ok().and_then(reply::count);
            let (jobs, failed) = (count(), count());
            let newest = replies.next().ok().and_then(reply::scored).unwrap_or_default();
            row(tag, jobs, failed, newest.first().map(|(_, at)| Timestamp((at * 1_000.0) as i64)))
        })
        .collect();
    Ok(Page { rows, next: (end < total).then(|| Cursor(end.to_string())), total: Some(total as u64) })
}

fn row(tag: &[u8], jobs: Option<u64>, failed: Option<u64>, newest: Option<Timestamp>) -> JobRow {
    let mut row = JobRow::bare(JobId::from([WORD, tag].concat()), TAGS, StateKind::Other);
    let number = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), text::count);
    row.name = Some(format!("{} jobs, {} failed", number(jobs), number(failed)));
    row.created_at = newest;
    row
}

/// Opens one: its newest jobs with what became of them, then its newest failed ones.
pub async fn open(
    link: &Link,
    prefix: &[u8],
    id: &JobId,
    tag: &[u8],
    payload_limit: u64,
) -> Result<Option<Job>, SystemError> {
    let sets = jobs_of(prefix, tag);
    let mut batch = Batch::new();
    for set in &sets {
        batch.ask(one("ZCARD", set));
        batch.ask(one("ZRANGE", set).arg(-(JOBS as i64)).arg(-1).arg("WITHSCORES").to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let mut counts = [None; 2];
    let mut found = [Vec::new(), Vec::new()];
    for (count, jobs) in counts.iter_mut().zip(&mut found) {
        *count = replies.next().ok().and_then(reply::count);
        *jobs = replies.next().ok().and_then(reply::scored).unwrap_or_default();
        jobs.reverse();
    }
    let monitored = members(link, &key(prefix, b"monitoring")).await?.iter().any(|known| known == tag);
    if !monitored && counts.iter().all(|count| count.unwrap_or(0) == 0) {
        return Ok(None);
    }
    let newest = found[0].first().map(|(_, at)| Timestamp((at * 1_000.0) as i64));
    let [jobs, failed] = found;
    let shown = json!({ "jobs": told(link, prefix, jobs).await?, "failed": told(link, prefix, failed).await? });
    let row = row(tag, counts[0], counts[1], newest);
    let mut job = detail::blank(row, &Bytes::from(shown.to_string().into_bytes()), payload_limit);
    job.row.id = id.clone();
    job.facts.push(("tag".to_owned(), Name::from(tag).to_text()));
    job.facts.push(("monitored".to_owned(), if monitored { "yes" } else { "no longer" }.to_owned()));
    for (set, length) in sets.into_iter().zip(counts) {
        job.keys.push(KeyFact { key: Name::from(set), kind: "zset".to_owned(), length, expires_in: None });
    }
    Ok(Some(job))
}

/// Jobs with name, queue and status, as far as Horizon still has them.
async fn told(link: &Link, prefix: &[u8], jobs: Vec<(Vec<u8>, f64)>) -> Result<Vec<Json>, SystemError> {
    let mut batch = Batch::new();
    for (id, _) in &jobs {
        batch.ask(one("HMGET", &key(prefix, id)).arg("name").arg("queue").arg("status").to_owned());
    }
    let replies = if batch.is_empty() { Vec::new() } else { link.send(&batch).await? };
    let mut replies = Replies::new(&replies);
    let told = jobs.into_iter().map(|(id, at)| {
        let fields: Vec<Option<String>> = match replies.next() {
            Ok(value) => reply::list(value).unwrap_or(&[]).iter().map(reply::text).collect(),
            Err(_) => Vec::new(),
        };
        let field = |at: usize| fields.get(at).cloned().flatten();
        json!({
            "id": String::from_utf8_lossy(&id),
            "name": field(0),
            "queue": field(1),
            "status": field(2).unwrap_or_else(|| "record gone".to_owned()),
            "at": Timestamp((at * 1_000.0) as i64).rfc3339(),
        })
    });
    Ok(told.collect())
}
