//! Lists of failed jobs, and one of them opened.

use bytes::Bytes;

use super::{Failed, Row, moment};
use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::{Blob, Cursor, Job, JobRow, Page, PageRequest, Search, SearchStep};
use crate::domain::payload::{self, Tree};
use crate::domain::state::StateKind;
use crate::domain::text::first_line;
use crate::systems::SystemError;
use crate::systems::laravel::payload::Payload;
use crate::systems::laravel::{FAILED, detail, jobs};

/// Characters of an error that a row carries.
const ERROR_CHARACTERS: usize = 500;

/// One page, newest first.
pub async fn page(failed: &Failed, queue: &QueueId, page: &PageRequest) -> Result<Page<JobRow>, SystemError> {
    let limit = page.limit.clamp(1, 500);
    let rows = failed.rows(&queue.name.to_text(), below(page)?, limit).await?;
    let next = next(&rows, limit);
    let total = failed.counted().queues.map(|queues| queues.get(&queue.name.to_text()).copied().unwrap_or(0));
    Ok(Page { rows: rows.iter().map(|row| job_row(failed, row)).collect(), next, total })
}

/// One step of a search.
pub async fn search(
    failed: &Failed,
    queue: &QueueId,
    search: &Search,
    page: &PageRequest,
) -> Result<SearchStep, SystemError> {
    let limit = page.limit.clamp(1, 500);
    let rows = failed.rows(&queue.name.to_text(), below(page)?, limit).await?;
    let mut hits = Vec::new();
    for row in &rows {
        let shown = job_row(failed, row);
        if jobs::matches(&shown, row.payload.as_bytes(), search) {
            hits.push(shown);
        }
    }
    Ok(SearchStep { hits, scanned: rows.len() as u64, next: next(&rows, limit), total: None })
}

fn below(page: &PageRequest) -> Result<Option<i64>, SystemError> {
    let Some(cursor) = &page.cursor else { return Ok(None) };
    let number = cursor.0.parse().ok();
    number.map(Some).ok_or_else(|| SystemError::BadRequest(format!("{:?} is no cursor of failed jobs", cursor.0)))
}

fn next(rows: &[Row], limit: usize) -> Option<Cursor> {
    rows.last().filter(|_| rows.len() == limit).map(|row| Cursor(row.number.to_string()))
}

/// A row as a list shows it. Of the payload only the start may be there; names and limits stand in front of the data.
fn job_row(failed: &Failed, row: &Row) -> JobRow {
    let mut shown = JobRow::bare(row.id(), FAILED, StateKind::Failed);
    shown.payload_bytes = Some(row.payload_bytes);
    shown.finished_at = moment(&row.failed_at, &failed.time_zone);
    shown.error = Some(first_line(&row.exception, ERROR_CHARACTERS)).filter(|error| !error.is_empty());
    match Payload::read(row.payload.as_bytes()) {
        Some(payload) => jobs::describe(&payload, &mut shown),
        None => {
            let tree = start(row);
            let text = |name: &str| {
                let node = tree.as_ref()?.at(&[name])?;
                (node.kind() != payload::Kind::Null).then(|| node.text().into_owned())
            };
            shown.name = text("displayName").or_else(|| text("job"));
            shown.attempts_max = text("maxTries").and_then(|tries| tries.parse().ok());
        }
    }
    // The payload is the one that stood in the list before its last run, so its own count is one behind.
    shown.attempts_made = shown.attempts_made.map(|attempts| attempts + 1);
    shown
}

fn start(row: &Row) -> Option<Tree> {
    let blob = Blob { bytes: Bytes::copy_from_slice(row.payload.as_bytes()), total: row.payload_bytes };
    payload::Payload::read(&blob, &payload::Limits::default()).tree
}

/// Opens one failed job.
pub async fn open(
    failed: &Failed,
    queue: &QueueId,
    id: &JobId,
    payload_limit: u64,
) -> Result<Option<Job>, SystemError> {
    let Some(row) = failed.row(&queue.name.to_text(), &id.to_text()).await? else { return Ok(None) };
    let bytes = Bytes::from(row.payload.clone().into_bytes());
    let mut job = detail::blank(JobRow { id: id.clone(), ..job_row(failed, &row) }, &bytes, payload_limit);
    job.error = Some(first_line(&row.exception, 10_000)).filter(|error| !error.is_empty());
    job.stack = vec![row.exception.clone()];
    job.facts.insert(0, ("failed at".to_owned(), format!("{} ({})", row.failed_at, failed.time_zone)));
    job.facts.insert(1, ("connection".to_owned(), row.connection.clone()));
    job.facts.insert(2, ("row".to_owned(), row.number.to_string()));
    Ok(Some(job))
}
