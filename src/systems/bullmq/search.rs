//! One bounded step of a search: a page of jobs is looked at by id, name and error, and by payload if asked.

use crate::domain::ids::QueueId;
use crate::domain::job::{JobRow, PageRequest, Search, SearchStep};
use crate::domain::state::StateId;
use crate::link::{Batch, Link, Replies, cmd};
use crate::systems::{SystemError, reply};

use super::jobs;
use super::keys::Keys;

/// Most bytes of payload fetched in one round trip.
const PAYLOAD_TURN: u64 = 1 << 20;

/// Looks at the next page of a state.
pub async fn step(
    link: &Link,
    queue: &QueueId,
    state: StateId,
    search: &Search,
    request: &PageRequest,
) -> Result<SearchStep, SystemError> {
    let page = jobs::page(link, queue, state, request).await?;
    let needle = search.text.to_ascii_lowercase();
    let scanned = page.rows.len() as u64;
    let mut looked: Vec<(JobRow, bool)> =
        page.rows.into_iter().map(|row| (matches_row(&row, &needle), row)).map(|(hit, row)| (row, hit)).collect();
    if search.payload_bytes > 0 {
        look_into_payloads(link, &Keys::of(queue), &mut looked, &needle, search.payload_bytes).await?;
    }
    let hits = looked.into_iter().filter(|(_, hit)| *hit).map(|(row, _)| row).collect();
    Ok(SearchStep { hits, scanned, next: page.next, total: page.total })
}

fn matches_row(row: &JobRow, needle: &str) -> bool {
    let holds = |text: &str| text.to_ascii_lowercase().contains(needle);
    holds(&row.id.to_text()) || row.name.as_deref().is_some_and(holds) || row.error.as_deref().is_some_and(holds)
}

/// Payloads of jobs that did not match otherwise. A hash field cannot be read in part, so larger ones are passed over.
async fn look_into_payloads(
    link: &Link,
    keys: &Keys,
    looked: &mut [(JobRow, bool)],
    needle: &str,
    limit: u64,
) -> Result<(), SystemError> {
    let small = |row: &JobRow| row.payload_bytes.is_some_and(|size| (1..=limit).contains(&size));
    let mut open: Vec<&mut (JobRow, bool)> = looked.iter_mut().filter(|(row, hit)| !hit && small(row)).collect();
    while !open.is_empty() {
        let mut bytes = 0;
        let fits = open.iter().take_while(|(row, _)| {
            bytes += row.payload_bytes.unwrap_or(0);
            bytes <= PAYLOAD_TURN
        });
        let turn = fits.count().max(1);
        let mut batch = Batch::new();
        for (row, _) in &open[..turn] {
            batch.ask(cmd("HGET").arg(keys.job(row.id.as_bytes())).arg("data").to_owned());
        }
        let replies = link.send(&batch).await?;
        let mut replies = Replies::new(&replies);
        for (_, hit) in open.drain(..turn) {
            let payload = replies.next().ok().and_then(reply::text);
            *hit = payload.is_some_and(|payload| payload.to_ascii_lowercase().contains(needle));
        }
    }
    Ok(())
}
