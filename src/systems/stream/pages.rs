//! Pages of a group's or stream's entries, and searching through them.
//!
//! XRANGE returns whole entries. As with lists a sample of the server's tells about how large they are, and a page is
//! read in pieces until it is full or moved enough bytes.

use super::info::{Entry, Pending};
use super::names::{EntryId, Place};
use super::{DEAD, ENTRIES, PENDING, WAITING, read, state_kind};
use crate::domain::ids::QueueId;
use crate::domain::job::{Cursor, JobRow, PageRequest, Search, SearchStep};
use crate::domain::state::StateId;
use crate::domain::text::first_line;
use crate::domain::time::Timestamp;
use crate::link::Link;
use crate::systems::SystemError;

/// Bytes of entries that one page moves; at least one entry is always read.
const PAGE_BYTES: u64 = 1024 * 1024;

/// Bytes of one piece of a page.
const PIECE_BYTES: u64 = 256 * 1024;

/// Above this mean size the entries behind pending ids are left to the screen of the job.
const PENDING_ENTRY_BYTES: u64 = 16 * 1024;

/// Fields that commonly hold an entry's type, tried in order.
const NAME_FIELDS: &[&str] = &["type", "name", "event"];

/// Bytes of a name or error that a row carries.
const NAME_BYTES: usize = 500;

/// A page with the entries its rows were made of, for a search.
pub struct Found {
    /// Rows.
    pub rows: Vec<JobRow>,
    /// The entry of each row, if it was read.
    entries: Vec<Option<Entry>>,
    /// Where it goes on.
    pub next: Option<Cursor>,
    /// How many there are in all.
    pub total: Option<u64>,
}

/// One page of a state.
pub async fn page(link: &Link, queue: &QueueId, state: StateId, page: &PageRequest) -> Result<Found, SystemError> {
    let place = Place::parse(&queue.name);
    let from = match &page.cursor {
        None => None,
        Some(cursor) => Some(
            EntryId::parse(cursor.0.as_bytes())
                .ok_or_else(|| SystemError::BadRequest(format!("{:?} is no cursor of a stream", cursor.0)))?,
        ),
    };
    let limit = (page.limit as u64).clamp(1, read::MOST);
    match state {
        WAITING => {
            let Some(group) = read::group(link, &place).await? else { return Ok(nothing()) };
            let start = from.unwrap_or_else(|| group.last_delivered.after());
            walk(link, &place.stream, state, Some(start), true, limit)
                .await
                .map(|found| Found { total: group.lag, ..found })
        }
        PENDING => pending(link, &place, from, limit).await,
        DEAD => walk(link, &place.dead(), state, from, false, limit).await,
        ENTRIES => walk(link, &place.stream, state, from, false, limit).await,
        other => Err(SystemError::BadRequest(format!("streams have no state {other}"))),
    }
}

/// A stream without a group has no delivered and no waiting entries, as far as anybody knows.
fn nothing() -> Found {
    Found { rows: Vec::new(), entries: Vec::new(), next: None, total: None }
}

async fn walk(
    link: &Link,
    stream: &[u8],
    state: StateId,
    from: Option<EntryId>,
    upwards: bool,
    limit: u64,
) -> Result<Found, SystemError> {
    let (length, mut expected) = read::measure(link, stream).await?;
    let mut found = Found { rows: Vec::new(), entries: Vec::new(), next: None, total: Some(length) };
    let mut start = from;
    let mut spent = 0;
    loop {
        let left = limit - found.rows.len() as u64;
        if left == 0 || spent >= PAGE_BYTES {
            found.next = start.map(|id| Cursor(id.to_string()));
            return Ok(found);
        }
        let want = (PIECE_BYTES / expected.max(1)).clamp(1, left);
        let piece = if upwards {
            read::range(link, stream, start.unwrap_or(EntryId(0, 0)), want).await?
        } else {
            read::reverse(link, stream, start, want).await?
        };
        let ended = (piece.len() as u64) < want;
        for entry in piece {
            spent += entry.bytes();
            start = if upwards { Some(entry.id.after()) } else { entry.id.before() };
            found.rows.push(row(&entry, state));
            found.entries.push(Some(entry));
        }
        if ended || start.is_none() {
            return Ok(found);
        }
        expected = spent / found.rows.len().max(1) as u64;
    }
}

async fn pending(link: &Link, place: &Place, from: Option<EntryId>, limit: u64) -> Result<Found, SystemError> {
    let Some(group) = read::group(link, place).await? else { return Ok(nothing()) };
    let listed = read::pending(link, &place.stream, &group.name, from, limit, None).await?;
    let now = read::server_time(link).await?;
    let (_, expected) = read::measure(link, &place.stream).await?;
    let ids: Vec<EntryId> = listed.iter().map(|pending| pending.id).collect();
    let looked = expected <= PENDING_ENTRY_BYTES;
    let entries = if looked { read::each(link, &place.stream, &ids).await? } else { vec![None; ids.len()] };
    let rows = listed
        .iter()
        .zip(&entries)
        .map(|(pending, entry)| JobRow {
            record_exists: entry.is_some() || !looked,
            ..pending_row(pending, entry.as_ref(), now)
        })
        .collect();
    let full = listed.len() as u64 == limit;
    let next = listed.last().filter(|_| full).map(|last| Cursor(last.id.after().to_string()));
    Ok(Found { rows, entries, next, total: Some(group.pending) })
}

/// A row of an entry that lies in a stream.
pub fn row(entry: &Entry, state: StateId) -> JobRow {
    let name = NAME_FIELDS.iter().find_map(|field| entry.field(field));
    JobRow {
        name: name.map(|name| first_line(&String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES)]), NAME_BYTES)),
        created_at: entry.id.moment(),
        payload_bytes: Some(entry.bytes()),
        ..JobRow::bare(entry.id.to_string(), state, state_kind(state))
    }
}

/// A row of an entry that was delivered.
pub fn pending_row(pending: &Pending, entry: Option<&Entry>, now: Timestamp) -> JobRow {
    let blank = || JobRow {
        created_at: pending.id.moment(),
        ..JobRow::bare(pending.id.to_string(), PENDING, state_kind(PENDING))
    };
    let idle = i64::try_from(pending.idle.as_millis()).unwrap_or(i64::MAX);
    JobRow {
        attempts_made: Some(pending.deliveries),
        worker: Some(String::from_utf8_lossy(&pending.consumer).into_owned()),
        started_at: Some(Timestamp(now.0.saturating_sub(idle))),
        ..entry.map_or_else(blank, |entry| row(entry, PENDING))
    }
}

/// One step of a search.
pub async fn search(
    link: &Link,
    queue: &QueueId,
    state: StateId,
    search: &Search,
    request: &PageRequest,
) -> Result<SearchStep, SystemError> {
    let found = page(link, queue, state, request).await?;
    let wanted = search.text.to_ascii_lowercase().into_bytes();
    let scanned = found.rows.len() as u64;
    let hits = found
        .rows
        .into_iter()
        .zip(&found.entries)
        .filter(|(row, entry)| {
            let name = row.name.as_deref().unwrap_or_default();
            holds(row.id.as_bytes(), &wanted)
                || holds(name.as_bytes(), &wanted)
                || entry.as_ref().is_some_and(|entry| in_fields(entry, &wanted, search.payload_bytes))
        })
        .map(|(row, _)| row)
        .collect();
    Ok(SearchStep { hits, scanned, next: found.next, total: found.total })
}

/// Looks into at most so many bytes of the fields.
fn in_fields(entry: &Entry, wanted: &[u8], bytes: u64) -> bool {
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    entry.fields.iter().flat_map(|(name, value)| [name, value]).any(|part| {
        let part = &part[..part.len().min(left)];
        left -= part.len();
        !part.is_empty() && holds(part, wanted)
    })
}

/// `wanted` is in lower case already.
fn holds(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
}
