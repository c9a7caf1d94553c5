//! The state of single jobs, told as the library tells it and a little further.

use std::time::Duration;

use crate::domain::described::Meaning;
use crate::domain::ids::{JobId, QueueId};
use crate::domain::state::StateId;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies, Value, cmd};
use crate::systems::{ReadError, SystemError, reply};

use super::blob::Facts;
use super::keys::{self, Keys};
use super::{Arq, state};

/// Last bytes of a result that are read.
const TAIL: i64 = 320;
/// Most bytes of a result that are read to know how it ended.
const WHOLE: u64 = 1 << 20;

/// What is known of one job.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its state; `None`: in none here.
    pub state: Option<StateId>,
    /// When it may run, or might have.
    pub due: Option<Timestamp>,
    /// Starts so far, of an unfinished job.
    pub starts: Option<u64>,
    /// What is left of its lock.
    pub lock: Option<Duration>,
    /// What its result tells.
    pub result: Option<Facts>,
    /// Bytes of its result.
    pub result_bytes: u64,
    /// Bytes of its definition; 0: it has none.
    pub definition_bytes: u64,
}

/// What one look learned beside the jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Server time.
    pub now: Timestamp,
    /// A worker showed a sign of life.
    pub worker: bool,
}

/// Where an unfinished job stands, from what its keys say.
pub fn open_state(due: Timestamp, started: Option<u64>, locked: bool, moment: Moment) -> StateId {
    let again = started.unwrap_or(0) > 0;
    match () {
        () if locked && moment.worker => state::RUNNING,
        () if locked => state::STALLED,
        () if due > moment.now && again => state::RETRYING,
        () if due > moment.now => state::DEFERRED,
        () if again => state::INTERRUPTED,
        () => state::WAITING,
    }
}

/// How a finished job ended; `None`: what was read does not tell.
///
/// A success that a convention calls a failure is one: rows, counts, alerts and history all go by this.
pub fn ended_state(facts: &Facts) -> Option<StateId> {
    match facts.success? {
        true => Some(match facts.meaning {
            Some(Meaning::Failed | Meaning::Dead) => state::FAILED,
            Some(Meaning::Cancelled) => state::ABORTED,
            Some(Meaning::Completed | Meaning::Active) | None => state::COMPLETE,
        }),
        false if facts.is_aborted() => Some(state::ABORTED),
        false => Some(state::FAILED),
    }
}

/// Server time, and whether a worker of the queue gave a sign of life.
pub async fn moment(arq: &Arq, link: &Link, queue: &QueueId) -> Result<Moment, SystemError> {
    let mut batch = Batch::new();
    batch.ask(cmd("TIME")).ask(cmd("EXISTS").arg(arq.health(&queue.name)).to_owned());
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let now = time(replies.next().map_err(ReadError::from)?);
    let health = replies.next().ok().and_then(reply::int) == Some(1);
    Ok(Moment { now, worker: health || arq.saw_worker(&queue.name, now) })
}

/// Reply of `TIME`.
pub fn time(value: &Value) -> Timestamp {
    let parts = reply::list(value).unwrap_or_default();
    let part = |at: usize| parts.get(at).and_then(reply::int).unwrap_or(0);
    Timestamp(part(0) * 1_000 + part(1) / 1_000)
}

/// What the keys of these jobs tell, and the moment of it.
pub async fn look(
    arq: &Arq,
    link: &Link,
    queue: &QueueId,
    ids: &[JobId],
) -> Result<(Vec<Standing>, Moment), SystemError> {
    let keys = Keys::of(queue);
    let moment = moment(arq, link, queue).await?;
    let first = arq.result_head(queue);
    let mut batch = Batch::new();
    for id in ids {
        let id = id.as_bytes();
        let result = keys::result(id);
        batch
            .ask(cmd("ZSCORE").arg(&keys.queue).arg(id).to_owned())
            .ask(cmd("ZSCORE").arg(keys.held()).arg(id).to_owned())
            .ask(cmd("PTTL").arg(keys::in_progress(id)).to_owned())
            .ask(cmd("GET").arg(keys::retry(id)).to_owned())
            .ask(cmd("STRLEN").arg(keys::job(id)).to_owned())
            .ask(cmd("STRLEN").arg(&result).to_owned())
            .ask(cmd("GETRANGE").arg(&result).arg(0).arg(first - 1).to_owned())
            .ask(cmd("GETRANGE").arg(&result).arg(-TAIL).arg(-1).to_owned());
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let mut next = || replies.next();
        let score = reply::float(next().map_err(ReadError::from)?);
        let held = reply::float(next().map_err(ReadError::from)?);
        let lock = next().ok().and_then(reply::int).filter(|left| *left != -2);
        let starts = next().ok().and_then(reply::count);
        let definition_bytes = next().ok().and_then(reply::count).unwrap_or(0);
        let result_bytes = next().ok().and_then(reply::count).unwrap_or(0);
        let (head, tail) = (next().ok().and_then(reply::bytes), next().ok().and_then(reply::bytes));
        let mut result = None;
        if result_bytes > 0 {
            let facts = arq.facts(head.unwrap_or_default(), result_bytes, tail.unwrap_or_default());
            result = Some(complete(arq, link, id, (first, result_bytes), facts).await?);
        }
        let place = score.or(held);
        let due = place.map(|score| Timestamp(score as i64));
        let state = match (&result, due) {
            (Some(facts), _) if arq.owns(&queue.name, facts.queue.as_deref()) => ended_state(facts),
            (_, Some(_)) if held.is_some() && score.is_none() => Some(state::HELD),
            (_, Some(due)) => Some(open_state(due, starts, lock.is_some(), moment)),
            _ => None,
        };
        let lock = lock.map(|left| Duration::from_millis(u64::try_from(left).unwrap_or(0)));
        found.push(Standing { state, due, starts, lock, result, result_bytes, definition_bytes });
    }
    Ok((found, moment))
}

/// Reads on where the first bytes of a result did not reach what tells how it ended.
pub async fn complete(
    arq: &Arq,
    link: &Link,
    id: &JobId,
    (first, bytes): (u64, u64),
    facts: Facts,
) -> Result<Facts, SystemError> {
    let told = facts.success.is_some() && !arq.may_mean_more(&facts);
    if told || bytes <= first || bytes > WHOLE {
        return Ok(facts);
    }
    let key = keys::result(id.as_bytes());
    let value = link.ask(cmd("GETRANGE").arg(key).arg(0).arg(bytes).to_owned()).await?;
    let whole = reply::bytes(&value).unwrap_or_default();
    Ok(arq.facts(whole, whole.len() as u64, b""))
}
