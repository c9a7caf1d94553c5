//! Pages of a state's jobs, and searching through them.

use super::items::{Container, Ids, Item, walk};
use super::payload::Payload;
use super::{DELAYED, RESERVED, state_kind};
use crate::domain::described::Application;
use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::{JobRow, Lease, Page, PageRequest, Search, SearchStep};
use crate::domain::state::StateId;
use crate::domain::text::harmless_bytes;
use crate::domain::time::Timestamp;
use crate::link::{Link, cmd};
use crate::systems::{SystemError, reply};

/// Bytes of payloads that one page moves; at least one is always read.
const PAGE_BYTES: u64 = 1024 * 1024;

/// Bytes of an item that is no payload, shown in the place of a name.
const PREVIEW_BYTES: usize = 60;

/// One page. It may have fewer rows than asked for where payloads are large.
pub async fn page(
    link: &Link,
    queue: &QueueId,
    application: Option<&Application>,
    state: StateId,
    page: &PageRequest,
) -> Result<Page<JobRow>, SystemError> {
    let container = Container::of(queue, state)?;
    let walk = walk(link, &container, page.cursor.as_ref(), page.limit, PAGE_BYTES).await?;
    let now = clock(link, state).await?;
    let mut ids = Ids::default();
    let rows = walk.items.iter().map(|item| row(ids.next(item), item, state, application, now)).collect();
    Ok(Page { rows, next: walk.next, total: Some(walk.total) })
}

/// One step of a search.
pub async fn search(
    link: &Link,
    queue: &QueueId,
    application: Option<&Application>,
    state: StateId,
    search: &Search,
    page: &PageRequest,
) -> Result<SearchStep, SystemError> {
    let container = Container::of(queue, state)?;
    let walk = walk(link, &container, page.cursor.as_ref(), page.limit, PAGE_BYTES).await?;
    let now = clock(link, state).await?;
    let mut ids = Ids::default();
    let mut hits = Vec::new();
    for item in &walk.items {
        let row = row(ids.next(item), item, state, application, now);
        if matches(&row, &item.bytes, search) {
            hits.push(row);
        }
    }
    Ok(SearchStep { hits, scanned: walk.items.len() as u64, next: walk.next, total: Some(walk.total) })
}

/// True if a job has the text in id, name, error or as much of its payload as was asked for.
pub fn matches(row: &JobRow, payload: &[u8], search: &Search) -> bool {
    let wanted = search.text.as_bytes();
    let part = payload.len().min(usize::try_from(search.payload_bytes).unwrap_or(usize::MAX));
    let texts = [row.name.as_deref(), row.error.as_deref()];
    holds(row.id.as_bytes(), wanted)
        || texts.into_iter().flatten().any(|text| holds(text.as_bytes(), wanted))
        || (part > 0 && holds(&payload[..part], wanted))
}

fn holds(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
}

/// The server's clock, where a state's rows depend on it.
async fn clock(link: &Link, state: StateId) -> Result<Timestamp, SystemError> {
    if state == RESERVED { server_time(link).await } else { Ok(Timestamp::default()) }
}

/// The server's clock.
pub async fn server_time(link: &Link) -> Result<Timestamp, SystemError> {
    let value = link.ask(cmd("TIME")).await?;
    let parts = reply::list(&value).unwrap_or(&[]);
    let part = |index: usize| parts.get(index).and_then(reply::int).unwrap_or(0);
    Ok(Timestamp(part(0).saturating_mul(1_000).saturating_add(part(1) / 1_000)))
}

/// A payload as a row.
pub fn row(id: JobId, item: &Item, state: StateId, application: Option<&Application>, now: Timestamp) -> JobRow {
    let mut row = JobRow::bare(id, state, state_kind(state));
    row.payload_bytes = Some(item.total);
    let moment = item.score.map(|score| Timestamp((score * 1_000.0) as i64));
    if state == DELAYED {
        row.run_at = moment;
    }
    if state == RESERVED
        && let Some(ends) = moment
    {
        row.lease = Some(Lease { left: Some(ends.until(now)), holder: None });
        let span = application.and_then(|application| application.retry_after);
        row.started_at = span.map(|seconds| Timestamp(ends.0 - i64::try_from(seconds * 1_000).unwrap_or(0)));
    }
    match item.payload() {
        Some(payload) => describe(&payload, &mut row),
        None => row.name = Some(format!("no payload: {}", preview(&item.bytes))),
    }
    row
}

/// What a payload says of its job.
pub fn describe(payload: &Payload<'_>, row: &mut JobRow) {
    row.name = payload.name();
    row.attempts_made = payload.count("attempts");
    row.attempts_max = payload.count("maxTries");
    row.created_at = payload.created_at();
}

/// The first bytes of an item, what is no text escaped.
fn preview(bytes: &[u8]) -> String {
    let mut text = harmless_bytes(&bytes[..bytes.len().min(PREVIEW_BYTES)]).into_owned();
    if bytes.len() > PREVIEW_BYTES {
        text.push('…');
    }
    text
}
