//! Pages of a state's jobs.
//!
//! Unfinished jobs lie in one sorted set in the order of their time, whatever their state, so that a page walks over it
//! and asks each job's own keys. Results have no index: a page walks over the keyspace. Either way a page may come with
//! fewer rows than were asked for and still go on.

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::{Cursor, JobRow, Page, PageRequest, Search, SearchStep};
use crate::domain::state::StateId;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies, Value, cmd};
use crate::systems::{ReadError, SystemError, reply};

use super::keys::{self, Keys};
use super::rows::{self, Found};
use super::standing::{self, Moment, ended_state, open_state};
use super::{Arq, STATES, state};

/// Longest range that is ever asked for (P3), and shortest that is worth a round trip.
const SPAN: usize = 500;
const SHORTEST: usize = 50;
/// Ranges read for one page.
const RANGES: usize = 6;
/// Workers take jobs from the front, so that behind so many that do not run none does.
const STRETCH: usize = 1_000;
/// Steps over the keyspace for one page, and keys that each looks at.
const STEPS: usize = 40;
const STEP: u64 = 1_000;
/// Results read by one round trip.
const RESULTS: usize = 100;

/// A page with rows.
pub async fn page(
    arq: &Arq,
    link: &Link,
    queue: &QueueId,
    state: StateId,
    request: &PageRequest,
) -> Result<Page<JobRow>, SystemError> {
    if !STATES.iter().any(|spec| spec.id == state) {
        let known: Vec<_> = STATES.iter().map(|spec| spec.id.0).collect();
        return Err(SystemError::BadRequest(format!("ARQ has no state {state}; it has {}", known.join(", "))));
    }
    let limit = request.limit.clamp(1, SPAN);
    match state {
        state::COMPLETE | state::FAILED | state::ABORTED => ended(arq, link, queue, state, request, limit).await,
        _ => unfinished(arq, link, queue, state, request, limit).await,
    }
}

fn bad(cursor: &Cursor) -> SystemError {
    SystemError::BadRequest(format!("not a cursor of ARQ jobs: {}", cursor.0))
}

/// Where in a sorted set a page ended: how many lie before, and the last member.
struct After {
    rank: u64,
    id: Vec<u8>,
}

impl After {
    fn cursor(&self) -> Cursor {
        Cursor(format!("z{}.{}", self.rank, BASE64_URL_SAFE_NO_PAD.encode(&self.id)))
    }

    fn parse(cursor: &Cursor) -> Result<Self, SystemError> {
        let parts = cursor.0.strip_prefix('z').and_then(|rest| rest.split_once('.'));
        let (rank, id) = parts.ok_or_else(|| bad(cursor))?;
        let rank = rank.parse().map_err(|_| bad(cursor))?;
        let id = BASE64_URL_SAFE_NO_PAD.decode(id).map_err(|_| bad(cursor))?;
        Ok(Self { rank, id })
    }
}

async fn unfinished(
    arq: &Arq,
    link: &Link,
    queue: &QueueId,
    state: StateId,
    request: &PageRequest,
    limit: usize,
) -> Result<Page<JobRow>, SystemError> {
    let after = request.cursor.as_ref().map(After::parse).transpose()?;
    let keys = Keys::of(queue);
    let key = if state == state::HELD { keys.held() } else { keys.queue };
    let moment = standing::moment(arq, link, queue).await?;
    let later = matches!(state, state::DEFERRED | state::RETRYING);
    let from_start = after.is_none();
    let mut rank = match &after {
        // If the last one shown has gone, those behind it have moved up by at least one.
        Some(after) => {
            let at = link.ask(cmd("ZRANK").arg(&key).arg(&after.id).to_owned()).await?;
            reply::count(&at).map_or(after.rank.saturating_sub(1), |rank| rank + 1)
        }
        None if later => {
            let before = link.ask(cmd("ZCOUNT").arg(&key).arg("-inf").arg(moment.now.0).to_owned()).await?;
            reply::count(&before).unwrap_or(0)
        }
        None => 0,
    };
    let span = limit.clamp(SHORTEST, SPAN);
    let mut found = Vec::new();
    let mut next = None;
    let mut idle = 0;
    for _ in 0..RANGES {
        let mut range = cmd("ZRANGE");
        range.arg(&key).arg(rank).arg(rank + span as u64 - 1).arg("WITHSCORES");
        let members = reply::scored(&link.ask(range).await?)
            .ok_or_else(|| ReadError::Shape { command: "ZRANGE", what: "no members with scores".to_owned() })?;
        let ended = members.len() < span;
        let classed = classify(link, members, moment, state == state::HELD).await?;
        next = None;
        let mut beyond = false;
        for job in classed {
            rank += 1;
            beyond = !later && state != state::HELD && job.due > moment.now;
            if beyond {
                break;
            }
            idle += 1;
            next = Some(After { rank, id: job.id.as_bytes().to_vec() });
            if job.state == state {
                idle = 0;
                found.push(job);
                if found.len() == limit {
                    break;
                }
            }
        }
        let front = matches!(state, state::RUNNING | state::STALLED | state::INTERRUPTED);
        if beyond || (front && idle >= STRETCH) || (ended && found.len() < limit) {
            next = None;
            break;
        }
        if found.len() == limit {
            break;
        }
    }
    let whole = from_start && next.is_none();
    let rows = rows::open(link, &found).await?;
    Ok(Page { total: whole.then_some(rows.len() as u64), rows, next: next.map(|next| next.cursor()) })
}

/// Members with the states that their own keys tell.
async fn classify(
    link: &Link,
    members: Vec<(Vec<u8>, f64)>,
    moment: Moment,
    held: bool,
) -> Result<Vec<Found>, SystemError> {
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let mut batch = Batch::new();
    for key in [keys::in_progress as fn(&[u8]) -> Vec<u8>, keys::retry] {
        let mut command = cmd("MGET");
        members.iter().for_each(|(id, _)| {
            command.arg(key(id));
        });
        batch.ask(command);
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let locks = reply::list(replies.next().map_err(ReadError::from)?).unwrap_or_default().to_vec();
    let starts = reply::list(replies.next().map_err(ReadError::from)?).unwrap_or_default().to_vec();
    let jobs = members.into_iter().enumerate().map(|(place, (id, score))| {
        let due = Timestamp(score as i64);
        let locked = locks.get(place).is_some_and(|lock| *lock != Value::Nil);
        let starts = starts.get(place).and_then(reply::count);
        let state = if held { state::HELD } else { open_state(due, starts, locked, moment) };
        Found { id: JobId::from(id), state, due, starts }
    });
    Ok(jobs.collect())
}

/// Finished jobs, newest first inside each page.
async fn ended(
    arq: &Arq,
    link: &Link,
    queue: &QueueId,
    state: StateId,
    request: &PageRequest,
    limit: usize,
) -> Result<Page<JobRow>, SystemError> {
    let (mut at, mut skip) = match &request.cursor {
        None => (0, 0),
        Some(cursor) => {
            let parts = cursor.0.strip_prefix('r').and_then(|rest| rest.split_once('.')).ok_or_else(|| bad(cursor))?;
            (parts.0.parse().map_err(|_| bad(cursor))?, parts.1.parse::<usize>().map_err(|_| bad(cursor))?)
        }
    };
    let mut rows: Vec<JobRow> = Vec::new();
    let mut met: HashSet<JobId> = HashSet::new();
    let mut next = None;
    'walk: for _ in 0..STEPS {
        let mut step = cmd("SCAN");
        step.arg(at).arg("MATCH").arg("arq:result:*").arg("COUNT").arg(STEP);
        let (cursor, mut found) = reply::scan(&link.ask(step).await?)
            .ok_or_else(|| ReadError::Shape { command: "SCAN", what: "no cursor and keys".to_owned() })?;
        // The same step names the same keys again, but not always in the same order.
        found.sort();
        let ids: Vec<JobId> = found.iter().filter_map(|key| key.strip_prefix(keys::RESULT)).map(JobId::from).collect();
        let mut taken = skip;
        for chunk in ids[skip.min(ids.len())..].chunks(RESULTS) {
            let read = rows::results(arq, link, chunk, arq.result_head(queue)).await?;
            for id in chunk {
                taken += 1;
                let Some((_, bytes, facts)) = read.iter().find(|(read, ..)| read == id) else { continue };
                let here = arq.owns(&queue.name, facts.queue.as_deref());
                if here && ended_state(facts) == Some(state) && met.insert(id.clone()) {
                    rows.push(rows::ended(id, state, *bytes, facts));
                    if rows.len() == limit {
                        let more = taken < ids.len();
                        let goes_on = if more { (at, taken) } else { (cursor, 0) };
                        next = (more || cursor != 0).then_some(goes_on);
                        break 'walk;
                    }
                }
            }
        }
        (at, skip) = (cursor, 0);
        next = (cursor != 0).then_some((cursor, 0));
        if cursor == 0 {
            break;
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.finished_at));
    let whole = request.cursor.is_none() && next.is_none();
    let next = next.map(|(at, skip)| Cursor(format!("r{at}.{skip}")));
    Ok(Page { total: whole.then_some(rows.len() as u64), rows, next })
}

/// One bounded step of a search.
pub async fn search(
    arq: &Arq,
    link: &Link,
    queue: &QueueId,
    state: StateId,
    search: &Search,
    request: &PageRequest,
) -> Result<SearchStep, SystemError> {
    let page = page(arq, link, queue, state, request).await?;
    let needle = search.text.to_ascii_lowercase();
    let scanned = page.rows.len() as u64;
    let holds = |text: &str| text.to_ascii_lowercase().contains(&needle);
    let mut hits = Vec::new();
    for row in page.rows {
        let told = holds(&row.id.to_text())
            || row.name.as_deref().is_some_and(holds)
            || row.error.as_deref().is_some_and(holds);
        if told || (search.payload_bytes > 0 && holds(&payload(link, &row, search.payload_bytes).await?)) {
            hits.push(row);
        }
    }
    Ok(SearchStep { hits, scanned, next: page.next, total: page.total })
}

/// The first bytes of what is stored of a job, as text: strings lie readable in all three serializers.
async fn payload(link: &Link, row: &JobRow, bytes: u64) -> Result<String, SystemError> {
    let ended = matches!(row.state, state::COMPLETE | state::FAILED | state::ABORTED);
    let id = row.id.as_bytes();
    let key = if ended { keys::result(id) } else { keys::job(id) };
    let value = link.ask(cmd("GETRANGE").arg(key).arg(0).arg(bytes.max(1) - 1).to_owned()).await?;
    Ok(String::from_utf8_lossy(reply::bytes(&value).unwrap_or_default()).into_owned())
}
