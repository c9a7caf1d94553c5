//! Pages of a state's jobs: lists from the end that runs next, scheduled ones soonest first, finished ones newest
//! first. Ids come first, rows after them.
//!
//! A cursor names the last job shown and where it was. The lists move while a person reads, so the next page is looked
//! for behind that job, wherever it stands now, and only if it has gone is its old place used.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::{Cursor, JobRow, Page, PageRequest};
use crate::domain::state::StateId;
use crate::link::{Batch, Cmd, Link, Replies, cmd};
use crate::systems::{ReadError, SystemError, reply};

use super::keys::Keys;
use super::rows::{self, Found};
use super::version::is_mark;
use super::{STATES, state};

/// Longest range that is ever asked for (P3).
pub const SPAN: usize = 500;
/// How much further than its old place a list is searched for the last job shown, and how far at most.
const SEARCH_ON: u64 = 1_000;
const SEARCH_DEPTH: u64 = 20_000;
/// Entries read before the expected place, in case jobs were taken between two commands.
const OVERLAP: u64 = 10;

/// A page with rows.
pub async fn page(
    link: &Link,
    queue: &QueueId,
    state: StateId,
    request: &PageRequest,
) -> Result<Page<JobRow>, SystemError> {
    let keys = Keys::of(queue);
    let page = ids(link, &keys, state, request).await?;
    let rows = rows::read(link, &keys, &page.rows).await?;
    Ok(Page { rows, next: page.next, total: page.total })
}

/// A page of ids.
pub async fn ids(link: &Link, keys: &Keys, state: StateId, request: &PageRequest) -> Result<Page<Found>, SystemError> {
    let limit = request.limit.clamp(1, SPAN);
    let after = request.cursor.as_ref().map(After::parse).transpose()?;
    match state {
        state::WAITING => waiting(link, keys, after, limit).await,
        state::ACTIVE => {
            let (found, next, total) = list(link, keys, "active", state, after, limit).await?;
            Ok(Page { rows: found, next: next.map(|next| next.cursor('l')), total: Some(total) })
        }
        state::PRIORITIZED | state::DELAYED | state::WAITING_CHILDREN => {
            sorted(link, keys.key(state.0), state, after, limit, false).await
        }
        state::COMPLETED | state::FAILED => sorted(link, keys.key(state.0), state, after, limit, true).await,
        other => {
            let known: Vec<_> = STATES.iter().map(|spec| spec.id.0).collect();
            Err(SystemError::BadRequest(format!("BullMQ has no state {other}; it has {}", known.join(", "))))
        }
    }
}

/// The last job of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
struct After {
    /// Which container: `l` a list or set, `p` the list `paused`.
    part: char,
    /// How many jobs were shown up to and with it.
    offset: u64,
    /// Its id.
    id: Vec<u8>,
}

impl After {
    fn cursor(&self, part: char) -> Cursor {
        Cursor(format!("{part}{}.{}", self.offset, BASE64_URL_SAFE_NO_PAD.encode(&self.id)))
    }

    fn parse(cursor: &Cursor) -> Result<Self, SystemError> {
        let bad = || SystemError::BadRequest(format!("not a cursor of a BullMQ list: {}", cursor.0));
        let part = cursor.0.chars().next().filter(|part| matches!(part, 'l' | 'p')).ok_or_else(bad)?;
        let (offset, id) = cursor.0[1..].split_once('.').ok_or_else(bad)?;
        let offset = offset.parse().map_err(|_| bad())?;
        let id = BASE64_URL_SAFE_NO_PAD.decode(id).map_err(|_| bad())?;
        Ok(Self { part, offset, id })
    }
}

/// `wait`, then what a pause or an older client left in `paused`.
async fn waiting(link: &Link, keys: &Keys, after: Option<After>, limit: usize) -> Result<Page<Found>, SystemError> {
    let in_paused = after.as_ref().is_some_and(|after| after.part == 'p');
    let (other, first) = if in_paused { ("wait", "paused") } else { ("paused", "wait") };
    let other_length = length(&link.ask(cmd("LLEN").arg(keys.key(other)).to_owned()).await?, "LLEN")?;
    let (mut found, next, length) = list(link, keys, first, state::WAITING, after, limit).await?;
    let total = Some(other_length + length);
    if let Some(next) = next {
        return Ok(Page { rows: found, next: Some(next.cursor(if in_paused { 'p' } else { 'l' })), total });
    }
    let room = limit - found.len();
    if in_paused || other_length == 0 {
        return Ok(Page { rows: found, next: None, total });
    }
    if room == 0 {
        let start = After { part: 'p', offset: 0, id: Vec::new() };
        return Ok(Page { rows: found, next: Some(start.cursor('p')), total });
    }
    let (more, next, _) = list(link, keys, "paused", state::WAITING, None, room).await?;
    found.extend(more);
    Ok(Page { rows: found, next: next.map(|next| next.cursor('p')), total })
}

/// Part of a list from its tail, where the next page begins, and the list's length without marks met on the way.
async fn list(
    link: &Link,
    keys: &Keys,
    suffix: &str,
    state: StateId,
    after: Option<After>,
    limit: usize,
) -> Result<(Vec<Found>, Option<After>, u64), SystemError> {
    let key = keys.key(suffix);
    let after = after.filter(|after| !after.id.is_empty());
    let mut batch = Batch::new();
    batch.ask(cmd("LLEN").arg(&key).to_owned());
    if let Some(after) = &after {
        batch.ask(place_from_tail(&key, &after.id, (after.offset + SEARCH_ON).min(SEARCH_DEPTH)));
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let total = length(replies.next().map_err(ReadError::from)?, "LLEN")?;
    // Where the page begins, counted from the tail. LPOS is missing before Redis 6.0.6: then the old place must do.
    let found_at = replies.next().ok().and_then(reply::count);
    let start = match (&after, found_at) {
        (Some(_), Some(index)) => total.saturating_sub(index),
        (Some(after), None) => after.offset,
        (None, _) => 0,
    };
    let start = start.saturating_sub(if after.is_some() { OVERLAP } else { 0 });
    let take = (limit as u64 + OVERLAP).min(SPAN as u64);
    if start >= total {
        return Ok((Vec::new(), None, total));
    }
    let mut range = cmd("LRANGE");
    range.arg(&key).arg(-((start + take) as i64)).arg(-(start as i64) - 1);
    let mut ids = reply::names(&link.ask(range).await?).ok_or_else(|| shape("LRANGE"))?;
    ids.reverse();
    let shown = after.as_ref().and_then(|after| ids.iter().position(|id| *id == after.id));
    let skip = match (&after, shown) {
        (Some(_), Some(at)) => at + 1,
        (Some(after), None) => usize::try_from(after.offset.saturating_sub(start)).unwrap_or(0).min(ids.len()),
        (None, _) => 0,
    };
    let marks = ids.iter().filter(|id| is_mark(id)).count() as u64;
    let page: Vec<Vec<u8>> = ids.into_iter().skip(skip).take(limit).collect();
    let offset = start + skip as u64 + page.len() as u64;
    let next = page.last().filter(|_| offset < total).map(|id| After { part: 'l', offset, id: id.clone() });
    let jobs = page.into_iter().filter(|id| !is_mark(id));
    let found = jobs.map(|id| Found { id: JobId::from(id), state, score: None }).collect();
    Ok((found, next, total.saturating_sub(marks)))
}

/// Where an id stands in a list, looked for from its tail, at most `depth` entries deep.
pub fn place_from_tail(key: &[u8], id: &[u8], depth: u64) -> Cmd {
    let mut command = cmd("LPOS");
    command.arg(key).arg(id).arg("RANK").arg(-1).arg("MAXLEN").arg(depth);
    command
}

/// Part of a sorted set, from its low or (`newest_first`) its high end.
async fn sorted(
    link: &Link,
    key: Vec<u8>,
    state: StateId,
    after: Option<After>,
    limit: usize,
    newest_first: bool,
) -> Result<Page<Found>, SystemError> {
    let (rank, range) = if newest_first { ("ZREVRANK", "ZREVRANGE") } else { ("ZRANK", "ZRANGE") };
    let mut start = 0;
    if let Some(after) = &after {
        let at = reply::count(&link.ask(cmd(rank).arg(&key).arg(&after.id).to_owned()).await?);
        // If the job has gone, those behind it have moved up by at least one; one row may come twice, none is missed.
        start = at.map_or(after.offset.saturating_sub(1), |at| at + 1);
    }
    let mut batch = Batch::new();
    batch.ask(cmd("ZCARD").arg(&key).to_owned());
    batch.ask(cmd(range).arg(&key).arg(start).arg(start + limit as u64 - 1).arg("WITHSCORES").to_owned());
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let total = length(replies.next().map_err(ReadError::from)?, "ZCARD")?;
    let members = reply::scored(replies.next().map_err(ReadError::from)?).ok_or_else(|| shape(range))?;
    let offset = start + members.len() as u64;
    let next = members.last().filter(|_| offset < total).map(|(id, _)| After { part: 'l', offset, id: id.clone() });
    let rows = members.into_iter().map(|(id, score)| Found { id: JobId::from(id), state, score: Some(score) });
    Ok(Page { rows: rows.collect(), next: next.map(|next| next.cursor('l')), total: Some(total) })
}

fn length(value: &crate::link::Value, command: &'static str) -> Result<u64, SystemError> {
    reply::count(value).ok_or_else(|| shape(command))
}

fn shape(command: &'static str) -> SystemError {
    ReadError::Shape { command, what: "not the kind of reply this command has".to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_printable_whatever_the_id() {
        let after = After { part: 'l', offset: 300, id: b"repeat:\xff\n:7".to_vec() };
        let cursor = after.cursor('p');
        assert!(cursor.0.chars().all(|c| c.is_ascii_graphic()));
        assert_eq!(After::parse(&cursor).unwrap(), After { part: 'p', ..after });
        for bad in ["", "x", "l1", "lx.YQ", "z1.YQ", "l1.??", "é1.YQ"] {
            assert!(After::parse(&Cursor(bad.to_owned())).is_err(), "{bad}");
        }
    }
}
