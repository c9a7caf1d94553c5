//! Rows of job lists: what the first and last bytes of a definition or result tell.

use std::time::Duration;

use crate::domain::ids::JobId;
use crate::domain::job::{Blob, JobRow, Lease};
use crate::domain::state::StateId;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies, cmd};
use crate::systems::{SystemError, reply};

use super::blob::Facts;
use super::standing::{Standing, complete};
use super::{Arq, keys, kind_of, state};

/// First bytes of a definition: try, function and the first arguments. Last ones: when it was enqueued.
const HEAD: i64 = 768;
const TAIL: i64 = 48;
/// The same of a result, which has more behind the arguments.
pub const RESULT_HEAD: u64 = 4_096;
const RESULT_TAIL: i64 = 320;

/// An unfinished job as its queue names it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its id.
    pub id: JobId,
    /// Its state.
    pub state: StateId,
    /// Its score.
    pub due: Timestamp,
    /// How often it was started.
    pub starts: Option<u64>,
}

/// Rows of unfinished jobs, in one round trip.
pub async fn open(link: &Link, found: &[Found]) -> Result<Vec<JobRow>, SystemError> {
    let mut batch = Batch::new();
    for job in found {
        let key = keys::job(job.id.as_bytes());
        batch
            .ask(cmd("STRLEN").arg(&key).to_owned())
            .ask(cmd("GETRANGE").arg(&key).arg(0).arg(HEAD - 1).to_owned())
            .ask(cmd("GETRANGE").arg(&key).arg(-TAIL).arg(-1).to_owned())
            .ask(cmd("PTTL").arg(keys::in_progress(job.id.as_bytes())).to_owned());
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let mut rows = Vec::with_capacity(found.len());
    for job in found {
        let bytes = replies.next().ok().and_then(reply::count);
        let (head, tail) = (replies.next().ok().and_then(reply::bytes), replies.next().ok().and_then(reply::bytes));
        let left = replies.next().ok().and_then(reply::int);
        let facts = Facts::read(head.unwrap_or_default(), bytes.unwrap_or(0), tail.unwrap_or_default());
        let mut row = JobRow::bare(job.id.clone(), job.state, kind_of(job.state));
        row.record_exists = bytes.unwrap_or(0) > 0;
        if row.record_exists {
            row.payload_bytes = bytes;
        } else {
            row.error = Some("it has no definition: a worker fails it as \"job expired\"".to_owned());
        }
        row.name = facts.function;
        row.created_at = facts.enqueued;
        row.run_at = Some(job.due);
        row.attempts_made = job.starts.or(Some(0));
        if matches!(job.state, state::RUNNING | state::STALLED) {
            let left = left.and_then(|left| u64::try_from(left).ok()).unwrap_or(0);
            row.lease = Some(Lease { left: Some(Duration::from_millis(left)), holder: None });
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Facts of results with their sizes, from their first `first` bytes and the last ones; those that are gone are left
/// out.
pub async fn results(
    arq: &Arq,
    link: &Link,
    ids: &[JobId],
    first: u64,
) -> Result<Vec<(JobId, u64, Facts)>, SystemError> {
    let mut batch = Batch::new();
    for id in ids {
        let key = keys::result(id.as_bytes());
        batch
            .ask(cmd("STRLEN").arg(&key).to_owned())
            .ask(cmd("GETRANGE").arg(&key).arg(0).arg(first - 1).to_owned())
            .ask(cmd("GETRANGE").arg(&key).arg(-RESULT_TAIL).arg(-1).to_owned());
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let bytes = replies.next().ok().and_then(reply::count).unwrap_or(0);
        let (head, tail) = (replies.next().ok().and_then(reply::bytes), replies.next().ok().and_then(reply::bytes));
        if bytes == 0 {
            continue;
        }
        let facts = arq.facts(head.unwrap_or_default(), bytes, tail.unwrap_or_default());
        found.push((id.clone(), bytes, complete(arq, link, id, (first, bytes), facts).await?));
    }
    Ok(found)
}

/// The first bytes of results, one answer for each id.
pub async fn blobs(link: &Link, ids: &[JobId], limit: u64) -> Result<Vec<Option<Blob>>, SystemError> {
    let mut batch = Batch::new();
    for id in ids {
        let key = keys::result(id.as_bytes());
        batch.ask(cmd("STRLEN").arg(&key).to_owned()).ask(cmd("GETRANGE").arg(&key).arg(0).arg(limit - 1).to_owned());
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let mut blobs = Vec::with_capacity(ids.len());
    for _ in ids {
        let (total, bytes) = (replies.next().ok().and_then(reply::count), replies.next().ok().and_then(reply::bytes));
        let blob = total.zip(bytes).filter(|(total, _)| *total > 0);
        blobs.push(blob.map(|(total, bytes)| Blob { bytes: bytes.to_vec().into(), total }));
    }
    Ok(blobs)
}

/// The row of a finished job.
pub fn ended(id: &JobId, state: StateId, bytes: u64, facts: &Facts) -> JobRow {
    let mut row = JobRow::bare(id.clone(), state, kind_of(state));
    row.name.clone_from(&facts.function);
    row.created_at = facts.enqueued;
    row.started_at = facts.started;
    row.finished_at = facts.finished;
    row.attempts_made = facts.tries;
    row.error.clone_from(&facts.error);
    row.payload_bytes = Some(bytes);
    row
}

/// The row of one job of any state.
pub async fn one(link: &Link, id: &JobId, standing: &Standing) -> Result<Option<JobRow>, SystemError> {
    let Some(state) = standing.state else { return Ok(None) };
    match &standing.result {
        Some(facts) if matches!(state, state::COMPLETE | state::FAILED | state::ABORTED) => {
            Ok(Some(ended(id, state, standing.result_bytes, facts)))
        }
        _ => {
            let due = standing.due.unwrap_or_default();
            let found = Found { id: id.clone(), state, due, starts: standing.starts };
            Ok(open(link, &[found]).await?.pop())
        }
    }
}
