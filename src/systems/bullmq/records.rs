//! Where jobs stand, and their full records for the trash.

use std::collections::{HashMap, HashSet};

use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::mutation::Outcome;
use crate::domain::record::{Awaited, Place, Record};
use crate::domain::state::StateId;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, MAX_LPOS_LENGTH, MAX_SPAN, Replies, Value, cmd};
use crate::systems::{ReadError, SystemError, record, reply};

use super::keys::{self, Keys, PARTS};
use super::version::Version;
use super::{mutate, state};

/// Sorted sets that hold jobs, with the state each stands for. Cheap to ask, so they come first.
const SORTED: [(&str, StateId); 5] = [
    ("completed", state::COMPLETED),
    ("failed", state::FAILED),
    ("delayed", state::DELAYED),
    ("prioritized", state::PRIORITIZED),
    ("waiting-children", state::WAITING_CHILDREN),
];

/// Lists that hold jobs.
const LISTS: [(&str, StateId); 3] = [("active", state::ACTIVE), ("wait", state::WAITING), ("paused", state::WAITING)];

/// Elements of a list looked at from each end for one job.
const LOOK: u64 = MAX_LPOS_LENGTH;

/// What a job's record says of its runs; another value means that it has been started since.
const RUNS: [&str; 4] = ["processedOn", "ats", "atm", "attemptsMade"];

enum Standing {
    Sorted { key: &'static str, state: StateId, score: String },
    List { key: &'static str, state: StateId, index: i64 },
    Nowhere,
}

impl Standing {
    fn state(&self) -> Option<StateId> {
        match self {
            Self::Sorted { state, .. } | Self::List { state, .. } => Some(*state),
            Self::Nowhere => None,
        }
    }
}

/// The state of each job, `None` if no list names it.
pub async fn locate(link: &Link, queue: &QueueId, ids: &[JobId]) -> Result<Vec<Option<StateId>>, SystemError> {
    let found = standings(link, &Keys::of(queue), ids).await?;
    Ok(found.iter().map(Standing::state).collect())
}

async fn standings(link: &Link, keys: &Keys, ids: &[JobId]) -> Result<Vec<Standing>, SystemError> {
    let mut batch = Batch::new();
    for id in ids {
        for (set, _) in SORTED {
            batch.ask(cmd("ZSCORE").arg(keys.key(set)).arg(id.as_bytes()).to_owned());
        }
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let mut found = Vec::with_capacity(ids.len());
    for _ in ids {
        let mut standing = Standing::Nowhere;
        for (key, state) in SORTED {
            let reply = replies.next().map_err(ReadError::from)?;
            if let (Some(score), Standing::Nowhere) = (text(reply), &standing) {
                standing = Standing::Sorted { key, state, score };
            }
        }
        found.push(standing);
    }
    // Lists are walked, so they are asked only for what no set has.
    let mut batch = Batch::new();
    for (id, _) in ids.iter().zip(&found).filter(|(_, standing)| matches!(standing, Standing::Nowhere)) {
        for (list, _) in LISTS {
            // From the tail: the oldest jobs are the ones that people look for.
            let mut ask = cmd("LPOS");
            ask.arg(keys.key(list)).arg(id.as_bytes()).arg("RANK").arg(-1).arg("MAXLEN").arg(LOOK);
            batch.ask(ask);
        }
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    for standing in found.iter_mut().filter(|standing| matches!(standing, Standing::Nowhere)) {
        for (key, state) in LISTS {
            let reply = replies.next().map_err(ReadError::from)?;
            if let (Value::Int(index), Standing::Nowhere) = (reply, &*standing) {
                *standing = Standing::List { key, state, index: *index };
            }
        }
    }
    Ok(found)
}

/// Full records of jobs; those without a record are left out.
pub async fn take(link: &Link, queue: &QueueId, ids: &[JobId]) -> Result<Vec<Record>, SystemError> {
    let keys = Keys::of(queue);
    let found = standings(link, &keys, ids).await?;
    let mut batch = Batch::new();
    batch.ask(cmd("TIME"));
    for (id, standing) in ids.iter().zip(&found) {
        batch.ask(cmd("HMGET").arg(keys.job(id.as_bytes())).arg(&["deid", "parentKey"]).to_owned());
        if let Standing::List { key, index, .. } = standing {
            batch.ask(cmd("LINDEX").arg(keys.key(key)).arg(index + 1).to_owned());
            // Index -1 would be the other end of the list, not "nothing before the first".
            let before = if *index == 0 { i64::MAX } else { index - 1 };
            batch.ask(cmd("LINDEX").arg(keys.key(key)).arg(before).to_owned());
        }
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let now = server_time(replies.next().map_err(ReadError::from)?);
    let mut records = Vec::with_capacity(ids.len());
    for (id, standing) in ids.iter().zip(&found) {
        let links = replies.next().map_err(ReadError::from)?;
        let mut places = Vec::new();
        match standing {
            Standing::Sorted { key, score, .. } => {
                places.push(Place::Sorted { key: keys.key(key).into(), member: id.clone(), score: score.clone() });
            }
            Standing::List { key, .. } => {
                let right = name(replies.next().map_err(ReadError::from)?);
                let left = name(replies.next().map_err(ReadError::from)?);
                places.push(Place::List { key: keys.key(key).into(), element: id.clone(), right, left });
            }
            Standing::Nowhere => {}
        }
        let mut own = vec![keys.job(id.as_bytes())];
        own.extend(PARTS.iter().map(|part| keys.part(id.as_bytes(), part)));
        if let Value::Array(fields) = links {
            if let Some(dedup) = fields.first().and_then(name) {
                own.push(keys.part(b"de", &dedup.to_text()));
            }
            if let Some(parent) = fields.get(1).and_then(name)
                && let Some(job) = keys::job_of(parent.as_bytes())
            {
                places.push(Place::Awaited(Awaited {
                    key: [parent.as_bytes(), b":dependencies"].concat().into(),
                    member: keys.job(id.as_bytes()).into(),
                    base: Keys::of(&job.queue).base().into(),
                    waiter: job.id,
                    score: String::new(),
                    runs: Vec::new(),
                }));
            }
        }
        records.push((Record { id: id.clone(), state: standing.state(), keys: Vec::new(), places }, own));
    }
    complete(link, records, now).await
}

/// Reads the keys of all records in one go and drops what is not there.
async fn complete(
    link: &Link,
    planned: Vec<(Record, Vec<Vec<u8>>)>,
    now: Timestamp,
) -> Result<Vec<Record>, SystemError> {
    let all: Vec<Vec<u8>> = planned.iter().flat_map(|(_, own)| own.iter().cloned()).collect();
    let mut parents = Batch::new();
    for place in planned.iter().flat_map(|(record, _)| &record.places) {
        if let Place::Awaited(Awaited { key, member, base, waiter, .. }) = place {
            let part = |suffix: &[u8]| [base.as_bytes(), b":", suffix].concat();
            parents.ask(cmd("SISMEMBER").arg(key.as_bytes()).arg(member.as_bytes()).to_owned());
            parents.ask(cmd("ZSCORE").arg(part(b"waiting-children")).arg(waiter.as_bytes()).to_owned());
            parents.ask(cmd("HMGET").arg(part(waiter.as_bytes())).arg(&RUNS).to_owned());
        }
    }
    let answers = link.send(&parents).await?;
    let mut parents = Replies::new(&answers);
    let dumps = record::dump(link, &all, now).await?;
    let mut dumps = dumps.into_iter().peekable();
    let mut records = Vec::with_capacity(planned.len());
    for (mut record, own) in planned {
        for key in &own {
            if dumps.peek().is_some_and(|dump| dump.key.as_bytes() == key.as_slice()) {
                record.keys.extend(dumps.next());
            }
        }
        let mut kept = Vec::with_capacity(record.places.len());
        for mut place in record.places {
            if let Place::Awaited(awaited) = &mut place {
                let is_member = *parents.next().map_err(ReadError::from)? == Value::Int(1);
                awaited.score = text(parents.next().map_err(ReadError::from)?).unwrap_or_default();
                let runs = reply::list(parents.next().map_err(ReadError::from)?).unwrap_or_default();
                let runs = runs.iter().map(|run| reply::bytes(run).unwrap_or_default().to_vec());
                awaited.runs = RUNS.iter().map(|field| Name::from(*field)).zip(runs).collect();
                if !is_member {
                    continue;
                }
            }
            kept.push(place);
        }
        record.places = kept;
        let job = own.first().map(Vec::as_slice);
        if record.keys.first().map(|key| key.key.as_bytes()) == job {
            records.push(record);
        }
    }
    Ok(records)
}

/// Keys of a queue itself. `meta` comes first: as long as it exists the queue does, and nothing is put over it.
pub const OWN: [&str; 11] = [
    "meta",
    "id",
    "pc",
    "events",
    "stalled",
    "repeat",
    "limiter",
    "metrics:completed",
    "metrics:completed:data",
    "metrics:failed",
    "metrics:failed:data",
];

/// The queue's own keys, those with the suffixes `own`, with its schedulers.
pub async fn take_queue(link: &Link, queue: &QueueId, own: &[&str]) -> Result<Option<Record>, SystemError> {
    let keys = Keys::of(queue);
    let mut batch = Batch::new();
    batch.ask(cmd("TIME")).ask(cmd("ZRANGE").arg(keys.key("repeat")).arg(0).arg(MAX_SPAN - 1).to_owned());
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let now = server_time(replies.next().map_err(ReadError::from)?);
    let mut own: Vec<Vec<u8>> = own.iter().map(|suffix| keys.key(suffix)).collect();
    if let Value::Array(schedulers) = replies.next().map_err(ReadError::from)? {
        own.extend(schedulers.iter().filter_map(name).map(|id| keys.scheduler(id.as_bytes())));
    }
    let dumps = record::dump(link, &own, now).await?;
    let record = Record { id: queue.name.clone(), state: None, keys: dumps, places: Vec::new() };
    Ok((!record.keys.is_empty()).then_some(record))
}

/// Schedulers with their place, each with the pending run that goes with it.
pub async fn take_schedules(link: &Link, queue: &QueueId, ids: &[Name]) -> Result<Vec<Record>, SystemError> {
    let keys = Keys::of(queue);
    let mut records = Vec::new();
    for id in ids {
        let score = link.ask(cmd("ZSCORE").arg(keys.key("repeat")).arg(id.as_bytes()).to_owned()).await?;
        let Some(score) = text(&score) else { continue };
        let own = record::dump(link, &[keys.scheduler(id.as_bytes())], Timestamp::default()).await?;
        let place = Place::Sorted { key: keys.key("repeat").into(), member: id.clone(), score: score.clone() };
        records.push(Record { id: id.clone(), state: None, keys: own, places: vec![place] });
        let next = [b"repeat:", id.as_bytes(), b":", score.as_bytes()].concat();
        // One that waits already stays where it is.
        let pending = take(link, queue, &[Name::from(next)]).await?;
        records.extend(pending.into_iter().filter(|record| record.state == Some(state::DELAYED)));
    }
    Ok(records)
}

/// Puts records back and wakes a worker. A parent waits for its child again unless it has been started since.
pub async fn restore(link: &Link, queue: &QueueId, records: &[Record]) -> Result<Outcome, SystemError> {
    let keys = Keys::of(queue);
    let mut records = records.to_vec();
    let coming: HashSet<Vec<u8>> = records
        .iter()
        .filter_map(|record| Some([record.keys.first()?.key.as_bytes(), b":dependencies"].concat()))
        .collect();
    for record in &mut records {
        // A parent that comes back with its child was read with it, so its own copy names the child.
        let comes = |place: &Place| matches!(place, Place::Awaited(awaited) if coming.contains(awaited.key.as_bytes()));
        record.places.retain(|place| !comes(place));
    }
    to_present_list(link, &mut records).await?;
    let outcome = record::restore(link, keys.base(), &records, record::Guard::OwnKey).await?;
    // Children may belong to other queues than the job they went with.
    let mut queues: Vec<QueueId> = vec![queue.clone()];
    for key in records.iter().filter_map(|record| record.keys.first()) {
        if let Some(job) = keys::job_of(key.key.as_bytes()).filter(|job| !queues.contains(&job.queue)) {
            queues.push(job.queue);
        }
    }
    for queue in &queues {
        mutate::wake(link, &Keys::of(queue)).await?;
    }
    Ok(outcome)
}

/// Jobs that wait come back to the list in which jobs of their queue wait now: it may have been paused or resumed since,
/// which moves them in 4.x and 5.x.
async fn to_present_list(link: &Link, records: &mut [Record]) -> Result<(), SystemError> {
    let mut known: HashMap<Vec<u8>, Name> = HashMap::new();
    for place in records.iter_mut().flat_map(|record| &mut record.places) {
        let Place::List { key, .. } = place else { continue };
        let base = key.as_bytes().strip_suffix(b":wait").or_else(|| key.as_bytes().strip_suffix(b":paused"));
        let Some(base) = base.map(<[u8]>::to_vec) else { continue };
        if !known.contains_key(&base) {
            let part = |suffix: &str| [&base, suffix.as_bytes()].concat();
            let mut batch = Batch::new();
            batch.ask(cmd("HMGET").arg(part(":meta")).arg(&["paused", "version", "library"]).to_owned());
            batch.ask(cmd("EXISTS").arg(part(":paused")).to_owned()).ask(cmd("EXISTS").arg(part(":wait")).to_owned());
            let answers = link.send(&batch).await?;
            let mut replies = Replies::new(&answers);
            let meta = replies.next().map_err(ReadError::from)?;
            let field = |index: usize| reply::list(meta)?.get(index).and_then(reply::bytes);
            let paused = field(0).is_some();
            let version = field(1).or(field(2)).map(Version::parse);
            let there = *replies.next().map_err(ReadError::from)? == Value::Int(1)
                && *replies.next().map_err(ReadError::from)? == Value::Int(0);
            let renames = version.map_or(there, |version| version.moves_jobs_on_pause());
            known.insert(base.clone(), part(if paused && renames { ":paused" } else { ":wait" }).into());
        }
        key.clone_from(&known[&base]);
    }
    Ok(())
}

fn server_time(reply: &Value) -> Timestamp {
    let part = |value: Option<&Value>| value.and_then(text).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    match reply {
        Value::Array(parts) => Timestamp(part(parts.first()) * 1000 + part(parts.get(1)) / 1000),
        _ => Timestamp::default(),
    }
}

fn text(reply: &Value) -> Option<String> {
    match reply {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Double(number) => Some(number.to_string()),
        _ => None,
    }
}

fn name(reply: &Value) -> Option<Name> {
    match reply {
        Value::BulkString(bytes) => Some(Name::from(bytes.as_slice())),
        _ => None,
    }
}
