//! Whether a change was made whose answer was lost (R9), told by what it leaves behind. Only reads.

use crate::domain::ids::JobId;
use crate::domain::mutation::{Change, Limits, Mutation, Target};
use crate::link::{Batch, Cmd, Link, Replies, Value, cmd};
use crate::systems::{ReadError, System, SystemError, moved, reply};

use super::keys::Keys;

/// Longest time between sending a change and looking for its traces.
const LATE_MS: f64 = 120_000.0;

/// What of a queue tells that something was done to it as a whole.
pub struct Signs {
    /// Suffix of a key that is there as long as the queue is.
    pub alive: &'static str,
    /// Asks whether it is paused: 1 or 0.
    pub paused: fn(&Keys) -> Cmd,
}

/// One word for each id, or one for the queue; `None`: nobody can tell.
pub async fn confirm(
    system: &dyn System,
    signs: &Signs,
    link: &Link,
    mutation: &Mutation,
) -> Result<Vec<Option<bool>>, SystemError> {
    let keys = Keys::of(&mutation.queue);
    match (&mutation.change, &mutation.target) {
        (change, Target::Queue) => Ok(vec![of_queue(link, &keys, signs, change).await?]),
        (Change::Unschedule, Target::Schedules(ids)) => {
            let asks = ids.iter().map(|id| cmd("ZSCORE").arg(keys.key("repeat")).arg(id.as_bytes()).to_owned());
            let scores = all(link, asks).await?;
            Ok(scores.into_iter().map(|score| Some(matches!(score, Value::Nil))).collect())
        }
        (_, Target::Schedules(ids)) => Ok(vec![None; ids.len()]),
        (Change::Delay { by }, Target::Jobs { ids, .. }) => delayed(link, &keys, ids, by.as_millis() as f64).await,
        (Change::Prioritize { priority }, Target::Jobs { ids, .. }) => {
            let wanted = priority.to_string();
            field(link, &keys, ids, "priority", |found| Some(found == wanted.as_bytes())).await
        }
        (Change::Edit { old, new }, Target::Jobs { ids, .. }) => {
            // Somebody else's edit in the meantime hides this one.
            let told = |found: &[u8]| if found == new { Some(true) } else { (found == old).then_some(false) };
            field(link, &keys, ids, "data", told).await
        }
        (change, Target::Jobs { ids, .. }) if change.verb().stays() => Ok(vec![None; ids.len()]),
        _ => moved(system, link, mutation).await,
    }
}

async fn all(link: &Link, asks: impl Iterator<Item = Cmd>) -> Result<Vec<Value>, SystemError> {
    let mut batch = Batch::new();
    for ask in asks {
        batch.ask(ask);
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    (0..answers.len()).map(|_| Ok(replies.next().map_err(ReadError::from)?.clone())).collect()
}

/// By one field of the record. A record that is gone tells nothing.
async fn field(
    link: &Link,
    keys: &Keys,
    ids: &[JobId],
    name: &str,
    told: impl Fn(&[u8]) -> Option<bool>,
) -> Result<Vec<Option<bool>>, SystemError> {
    let asks = ids.iter().map(|id| cmd("HGET").arg(keys.job(id.as_bytes())).arg(name).to_owned());
    let found = all(link, asks).await?;
    Ok(found.iter().map(|value| told(reply::bytes(value)?)).collect())
}

/// A new delay is recorded in the job and in its place; both must be young.
async fn delayed(link: &Link, keys: &Keys, ids: &[JobId], by: f64) -> Result<Vec<Option<bool>>, SystemError> {
    let mut asks = vec![cmd("TIME")];
    for id in ids {
        asks.push(cmd("HGET").arg(keys.job(id.as_bytes())).arg("delay").to_owned());
        asks.push(cmd("ZSCORE").arg(keys.key("delayed")).arg(id.as_bytes()).to_owned());
    }
    let found = all(link, asks.into_iter()).await?;
    let part = |index: usize| found.first().and_then(reply::list)?.get(index).and_then(reply::float);
    let Some(now) = part(0).map(|seconds| seconds * 1000.0) else { return Ok(vec![None; ids.len()]) };
    Ok(found[1..]
        .chunks_exact(2)
        .map(|pair| {
            let delay = reply::float(&pair[0])?;
            // Due in the meantime: whatever its delay was, it is over.
            let due = reply::float(&pair[1])? / 4096.0;
            Some(delay == by && due >= now + by - LATE_MS)
        })
        .collect())
}

async fn of_queue(link: &Link, keys: &Keys, signs: &Signs, change: &Change) -> Result<Option<bool>, SystemError> {
    let meta = keys.key("meta");
    Ok(match change {
        Change::Pause | Change::Resume => {
            let paused = link.ask((signs.paused)(keys)).await? == Value::Int(1);
            Some(paused == matches!(change, Change::Pause))
        }
        Change::Limit(limits) => {
            let found = link.ask(cmd("HMGET").arg(&meta).arg(&["concurrency", "max", "duration"]).to_owned()).await?;
            reply::list(&found).map(|found| fits(limits, found))
        }
        Change::Obliterate => {
            Some(link.ask(cmd("EXISTS").arg(keys.key(signs.alive)).to_owned()).await? == Value::Int(0))
        }
        Change::Add(job) => match &job.id {
            // One that somebody else added under this id has other data, or it makes no difference.
            Some(id) => {
                let found = link.ask(cmd("HGET").arg(keys.job(id.as_bytes())).arg("data").to_owned()).await?;
                Some(reply::bytes(&found) == Some(job.data.as_ref()))
            }
            None => None,
        },
        _ => None,
    })
}

fn fits(limits: &Limits, found: &[Value]) -> bool {
    let is = |index: usize, wanted: Option<u64>| found.get(index).and_then(reply::count) == wanted;
    let concurrency = limits.concurrency.is_none_or(|wanted| is(0, wanted));
    let rate = limits.rate.is_none_or(|wanted| {
        let (max, per) = wanted.unzip();
        is(1, max) && is(2, per.map(|per| u64::try_from(per.as_millis()).unwrap_or(u64::MAX)))
    });
    concurrency && rate
}
