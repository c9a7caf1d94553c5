//! Pages of a state's items, and searching through them.

use super::PROCESSING;
use super::containers::{containers, walk};
use super::detail::loose;
use super::finder::Finder;
use super::rows::{named_rows, rows};
use super::workers::listen;
use crate::domain::described::ListSpec;
use crate::domain::job::{JobRow, Page, PageRequest, Search, SearchStep};
use crate::domain::state::StateId;
use crate::link::Link;
use crate::systems::SystemError;

/// Bytes of items that one page moves; at least one item is always read.
const PAGE_BYTES: u64 = 1024 * 1024;

/// One page. It may have fewer rows than asked for where items are large.
pub async fn jobs(
    spec: &ListSpec,
    link: &Link,
    finder: &Finder,
    state: StateId,
    page: &PageRequest,
) -> Result<Page<JobRow>, SystemError> {
    let containers = containers(spec, state, link, finder).await?;
    if state == PROCESSING && containers.is_empty() {
        return named(spec, link, finder, page.limit).await;
    }
    let walk = walk(link, &containers, page.cursor.as_ref(), page.limit, PAGE_BYTES).await?;
    let rows = rows(link, spec, &containers, &walk.items).await?;
    Ok(Page { rows, next: walk.next, total: Some(walk.total) })
}

/// Items that live workers name. There may be more that nobody names, so the total stays unknown.
async fn named(spec: &ListSpec, link: &Link, finder: &Finder, limit: usize) -> Result<Page<JobRow>, SystemError> {
    let named: Vec<(String, String)> = listen(spec, link, finder)
        .await?
        .into_iter()
        .filter_map(|(_, heard)| Some((heard.reading.item?, heard.worker.to_text())))
        .take(limit.clamp(1, 500))
        .collect();
    let rows = named_rows(link, spec, &loose(spec), &named).await?;
    Ok(Page { rows, next: None, total: None })
}

/// One step of a search.
pub async fn search(
    spec: &ListSpec,
    link: &Link,
    finder: &Finder,
    state: StateId,
    search: &Search,
    page: &PageRequest,
) -> Result<SearchStep, SystemError> {
    let containers = containers(spec, state, link, finder).await?;
    let wanted = search.text.to_ascii_lowercase();
    if state == PROCESSING && containers.is_empty() {
        let all = named(spec, link, finder, page.limit).await?;
        let scanned = all.rows.len() as u64;
        let hits = all.rows.into_iter().filter(|row| matches(row, &wanted)).collect();
        return Ok(SearchStep { hits, scanned, next: None, total: None });
    }
    let walk = walk(link, &containers, page.cursor.as_ref(), page.limit, PAGE_BYTES).await?;
    let rows = rows(link, spec, &containers, &walk.items).await?;
    let payload_bytes = usize::try_from(search.payload_bytes).unwrap_or(usize::MAX);
    let hits = rows
        .into_iter()
        .zip(&walk.items)
        .filter(|(row, raw)| {
            let part = &raw.bytes[..raw.bytes.len().min(payload_bytes)];
            matches(row, &wanted) || (!part.is_empty() && holds(part, wanted.as_bytes()))
        })
        .map(|(row, _)| row)
        .collect();
    Ok(SearchStep { hits, scanned: walk.items.len() as u64, next: walk.next, total: Some(walk.total) })
}

fn matches(row: &JobRow, wanted: &str) -> bool {
    let parts = [row.name.as_deref(), row.error.as_deref()];
    holds(row.id.as_bytes(), wanted.as_bytes())
        || parts.into_iter().flatten().any(|part| holds(part.as_bytes(), wanted.as_bytes()))
}

/// `wanted` is in lower case already.
fn holds(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
}
