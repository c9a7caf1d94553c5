//! Changes to Laravel queues: exact payloads move between a queue's keys, each with the steps Laravel's own scripts
//! make, in one call. Laravel keeps no record of a job outside its payload, so what is not where it was seen is refused.

use std::collections::HashMap;

use super::horizon;
use super::items::{Container, Item, seek};
use super::keys::Keys;
use super::payload::{Payload, copy_of, new_uuid, quoted, wrapped};
use super::plan::{RESTART, find_cache, one, pause_all_key, pause_keys};
use super::{DELAYED, FAILED, PENDING, RESERVED};
use crate::domain::described::Application;
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::mutation::{Ability, Change, End, Mutation, NewJob, Outcome, Target, Verb};
use crate::domain::record::{Place, Record};
use crate::domain::state::StateId;
use crate::domain::worker::WorkerOrder;
use crate::link::{Batch, Link, Script, Value, cmd};
use crate::systems::record::verdicts;
use crate::systems::{SystemError, reply};

use super::jobs::server_time;

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(include_str!("../forbidden.lua"), include_str!(concat!("scripts/", $name, ".lua"))))
    };
}

static TAKE: Script = script!("take");
static DELAY: Script = script!("delay");
static PUSH: Script = script!("push");

/// An LREM over 200,000 small items took 3 ms (P15).
const NANOS_PER_LISTED: u64 = 15;

const fn ability(verb: Verb, states: &'static [StateId], says: &'static str) -> Ability {
    Ability { verb, states, says, nanos_per_listed: NANOS_PER_LISTED, resets: false }
}

/// What can be done, and what really happens.
pub static ABILITIES: &[Ability] = &[
    ability(
        Verb::Retry,
        &[FAILED],
        "Its row is deleted first, then it is pushed with its attempts at 0, so it never runs twice; if Redis fails the row comes back. Laravel itself pushes first.",
    ),
    ability(Verb::Promote, &[DELAYED], "Waits now instead of later."),
    ability(Verb::Delay, &[DELAYED], "Runs at another time."),
    Ability {
        verb: Verb::Requeue,
        states: &[RESERVED],
        says: "A lost reservation waits again; attempts start at 0 if none is left. A job that runs longer than retry_after may still end: it then has run twice.",
        nanos_per_listed: NANOS_PER_LISTED,
        resets: true,
    },
    ability(
        Verb::Cancel,
        &[PENDING, DELAYED],
        "Is taken out before it runs. A running job cannot be stopped through Redis. A batch it belongs to never finishes, the rest of its chain goes with it, and a unique lock stays until it expires.",
    ),
    ability(
        Verb::Remove,
        &[PENDING, DELAYED, RESERVED, FAILED],
        "Is deleted; a reserved one only once its reservation has run out. A batch it belongs to never finishes, the rest of its chain goes with it, and a unique lock stays until it expires.",
    ),
    ability(
        Verb::Duplicate,
        &[PENDING, DELAYED, RESERVED, FAILED],
        "The same job is pushed once more under a new id, with no attempts made.",
    ),
    ability(
        Verb::Add,
        &[],
        "A payload is pushed with a token that wakes a worker. What has no `job` of its own is wrapped: the name is then the handler, written Class@method.",
    ),
    ability(
        Verb::Pause,
        &[],
        "Sets the pause key of Laravel 12.40 and later in the application's cache; older workers do not look at it. Running jobs end.",
    ),
    ability(Verb::Resume, &[], "Deletes the pause key of the queue."),
    ability(
        Verb::Signal,
        &[],
        "Horizon's masters and supervisors find it in their lists within two seconds; a terminated master comes back only by its process manager. Without Horizon only restart is possible: all workers end after their present job.",
    ),
];

/// Performs one piece on what is in Redis.
pub async fn mutate(
    link: &Link,
    application: Option<&Application>,
    mutation: &Mutation,
) -> Result<Outcome, SystemError> {
    let queue = &mutation.queue;
    match (&mutation.change, &mutation.target) {
        (Change::Add(job), Target::Queue) => add(link, queue, job).await,
        (Change::Pause, Target::Queue) => pause(link, queue, application, true).await,
        (Change::Resume, Target::Queue) => pause(link, queue, application, false).await,
        (Change::Signal { order, workers }, Target::Queue) => signal(link, queue, application, *order, workers).await,
        (change, Target::Jobs { state, ids }) => {
            let verb = change.verb();
            if !ABILITIES.iter().any(|known| known.verb == verb && known.states.contains(state)) {
                return Err(not_here(change, Some(*state)));
            }
            let outcome = jobs(link, queue, change, *state, ids).await?;
            if matches!(verb, Verb::Remove | Verb::Cancel)
                && !outcome.done.is_empty()
                && let Some(prefix) = horizon::find(link, &queue.instance, application).await?
            {
                horizon::removed(link, &prefix, &outcome.done).await?;
            }
            Ok(outcome)
        }
        (change, _) => Err(not_here(change, None)),
    }
}

fn not_here(change: &Change, state: Option<StateId>) -> SystemError {
    let what = state.map_or_else(|| "this".to_owned(), |state| format!("{state} jobs"));
    SystemError::Unsupported(format!("Laravel queues cannot {} {what}", change.verb().word()))
}

async fn jobs(
    link: &Link,
    queue: &QueueId,
    change: &Change,
    state: StateId,
    ids: &[JobId],
) -> Result<Outcome, SystemError> {
    let container = Container::of(queue, state)?;
    let sought = seek(link, &container, ids).await?;
    let mut outcome = Outcome::default();
    let mut found: Vec<(&JobId, &Item)> = Vec::new();
    for id in ids {
        match sought.found.get(id) {
            Some(item) => found.push((id, item)),
            None if sought.all => outcome.refused.push((id.clone(), format!("it is not {state} any more"))),
            None => outcome.refused.push((id.clone(), format!("it is not among the first {state} jobs"))),
        }
    }
    if found.is_empty() {
        return Ok(outcome);
    }
    let keys = Keys::of(queue);
    let named: Vec<JobId> = found.iter().map(|(id, _)| (*id).clone()).collect();
    let why = |code: i64| match code {
        -4 => "a worker still holds it: its reservation has not run out".to_owned(),
        _ => format!("it is not {state} any more"),
    };
    match change {
        Change::Delay { by } => {
            let mut arguments: Vec<Vec<u8>> = vec![by.as_secs().to_string().into_bytes()];
            arguments.extend(found.iter().map(|(_, item)| item.bytes.to_vec()));
            let answer = DELAY.run(link, &[&keys.delayed], &arguments).await?;
            outcome.absorb(verdicts(&answer, &named, why));
        }
        Change::Duplicate => {
            let payloads: Vec<&[u8]> = found.iter().map(|(_, item)| item.bytes.as_ref()).collect();
            outcome.absorb(duplicate(link, queue, &named, &payloads).await?);
        }
        _ => {
            let kind: &[u8] = match state {
                PENDING => b"list",
                RESERVED => b"lost",
                _ => b"zset",
            };
            let (moves, end, reset) = match change {
                Change::Promote => (true, End::Last, false),
                Change::Requeue { end, reset_attempts } => (true, *end, *reset_attempts),
                _ => (false, End::Last, false),
            };
            let now = server_time(link).await?;
            let side: &[u8] = if end == End::Next { b"left" } else { b"right" };
            let mut arguments: Vec<Vec<u8>> = vec![kind.to_vec(), side.to_vec()];
            for (_, item) in &found {
                arguments.push(item.bytes.to_vec());
                let requeued = moves && state == RESERVED;
                arguments.push(if requeued { again(item, reset, now) } else { item.bytes.to_vec() });
            }
            let mut from: Vec<&[u8]> = vec![&container.key];
            if moves {
                from.extend([keys.list.as_slice(), keys.notify.as_slice()]);
            }
            let answer = TAKE.run(link, &from, &arguments).await?;
            outcome.absorb(verdicts(&answer, &named, why));
        }
    }
    Ok(outcome)
}

/// A payload that is to run again. One without attempts left would fail at its next pop without running.
fn again(item: &Item, reset: bool, now: crate::domain::time::Timestamp) -> Vec<u8> {
    match Payload::read(&item.bytes) {
        Some(payload) if reset || payload.is_exhausted(now) => runnable(&payload, now),
        _ => item.bytes.to_vec(),
    }
}

/// The payload with no attempts made, and with a deadline that lies ahead if it has one: as far as it was at first
/// where the payload tells, else none.
pub fn runnable(payload: &Payload<'_>, now: crate::domain::time::Timestamp) -> Vec<u8> {
    let mut changes = vec![("attempts", "0".to_owned())];
    let until = payload.count("retryUntil").and_then(|until| i64::try_from(until).ok());
    if let Some(until) = until.filter(|until| until.saturating_mul(1_000) <= now.0) {
        let span = payload.created_at().map(|created| until - created.0 / 1_000).filter(|span| *span > 0);
        changes.push(("retryUntil", span.map_or("null".to_owned(), |span| (now.0 / 1_000 + span).to_string())));
    }
    payload.with(&changes)
}

/// Pushes payloads with their tokens, in one call.
pub async fn push(link: &Link, queue: &QueueId, wait: u64, payloads: &[Vec<u8>]) -> Result<(), SystemError> {
    let keys = Keys::of(queue);
    let mut arguments: Vec<&[u8]> = Vec::with_capacity(payloads.len() + 1);
    let wait = wait.to_string();
    arguments.push(wait.as_bytes());
    arguments.extend(payloads.iter().map(Vec::as_slice));
    PUSH.run(link, &[&keys.list, &keys.delayed, &keys.notify], &arguments).await?;
    Ok(())
}

/// Pushes copies of payloads under new ids.
pub async fn duplicate(
    link: &Link,
    queue: &QueueId,
    ids: &[JobId],
    payloads: &[&[u8]],
) -> Result<Outcome, SystemError> {
    let mut outcome = Outcome::default();
    let mut copies = Vec::new();
    for (id, bytes) in ids.iter().zip(payloads) {
        match Payload::read(bytes).filter(Payload::is_job) {
            Some(payload) => {
                let (created, copy) = copy_of(&payload);
                copies.push(copy);
                outcome.done.push(id.clone());
                outcome.created.push(JobId::from(created));
            }
            None => {
                outcome.refused.push((id.clone(), "it is no Laravel payload: a worker would destroy it".to_owned()))
            }
        }
    }
    if !copies.is_empty() {
        push(link, queue, 0, &copies).await?;
    }
    Ok(outcome)
}

async fn add(link: &Link, queue: &QueueId, job: &NewJob) -> Result<Outcome, SystemError> {
    let bad = |text: &str| SystemError::BadRequest(text.to_owned());
    if job.priority != 0 || job.dedup.is_some() {
        return Err(SystemError::Unsupported("Laravel queues know no priority and no deduplication id".to_owned()));
    }
    let data: &[u8] = if job.data.is_empty() { b"{}" } else { &job.data };
    let uuid = job.id.as_ref().map_or_else(new_uuid, Name::to_text);
    let whole = Payload::read(data).filter(|payload| payload.raw("job").is_some() && payload.raw("data").is_some());
    let bytes = match whole {
        Some(payload) => {
            let mut changes = Vec::new();
            if payload.count("attempts").is_none() {
                changes.push(("attempts", "0".to_owned()));
            }
            if payload.text("uuid").is_none() || job.id.is_some() {
                changes.push(("uuid", quoted(&uuid)));
                changes.push(("id", quoted(&uuid)));
            }
            payload.with(&changes)
        }
        None => {
            let text = std::str::from_utf8(data).map_err(|_| bad("the payload is no UTF-8 text, which JSON needs"))?;
            serde_json::from_str::<serde::de::IgnoredAny>(text)
                .map_err(|error| SystemError::BadRequest(format!("the payload is no JSON: {error}")))?;
            if job.name.is_empty() {
                return Err(bad("a job needs the name of its handler, written Class@method"));
            }
            wrapped(&job.name, text, job.attempts, &uuid)
        }
    };
    let id = Payload::read(&bytes).and_then(|payload| payload.id()).unwrap_or(uuid);
    // Laravel counts in whole seconds; a part of one must not become "now".
    let wait = job.delay.as_secs() + u64::from(job.delay.subsec_nanos() > 0);
    push(link, queue, wait, &[bytes]).await?;
    Ok(Outcome { done: vec![queue.name.clone()], created: vec![JobId::from(id)], ..Outcome::default() })
}

async fn pause(
    link: &Link,
    queue: &QueueId,
    application: Option<&Application>,
    on: bool,
) -> Result<Outcome, SystemError> {
    let Some(cache) = find_cache(link, queue, application).await? else {
        return Err(SystemError::Unsupported(
            "the pause key lies in the application's cache, which is not to be seen in this Redis: describe the \
             application in a [[laravel]] table with cache_prefix, or run `php artisan queue:pause`"
                .to_owned(),
        ));
    };
    let own = pause_keys(&cache, application, &queue.name);
    let done = Outcome { done: vec![queue.name.clone()], ..Outcome::default() };
    if on {
        for key in own {
            // PHP's own text for true, as the Redis cache store writes it.
            link.ask(one("SET", &key).arg("b:1;").to_owned()).await?;
        }
        return Ok(done);
    }
    let mut gone = 0;
    for key in own {
        gone += reply::count(&link.ask(one("DEL", &key)).await?).unwrap_or(0);
    }
    if gone > 0 {
        return Ok(done);
    }
    let everywhere = reply::count(&link.ask(one("EXISTS", &pause_all_key(&cache))).await?) == Some(1);
    let reason = if everywhere { "all queues of the application are paused together" } else { "it is not paused" };
    Ok(Outcome { refused: vec![(queue.name.clone(), reason.to_owned())], ..Outcome::default() })
}

/// Orders go to Horizon's lists; without Horizon a restart is a moment in the application's cache.
async fn signal(
    link: &Link,
    queue: &QueueId,
    application: Option<&Application>,
    order: WorkerOrder,
    workers: &[Name],
) -> Result<Outcome, SystemError> {
    if let Some(prefix) = horizon::find(link, &queue.instance, application).await? {
        let outcome = horizon::order(link, &prefix, order, workers).await?;
        if outcome != Outcome::default() {
            return Ok(outcome);
        }
    }
    if order != WorkerOrder::Restart || !workers.is_empty() {
        return Err(SystemError::Unsupported(format!(
            "workers without Horizon cannot be told to {} one by one; only `restart` for all of the application is \
             possible",
            order.word()
        )));
    }
    let Some(cache) = find_cache(link, queue, application).await? else {
        return Err(SystemError::Unsupported(
            "the restart key lies in the application's cache, which is not to be seen in this Redis: describe the \
             application in a [[laravel]] table with cache_prefix, or run `php artisan queue:restart`"
                .to_owned(),
        ));
    };
    let now = server_time(link).await?.0 / 1_000;
    link.ask(one("SET", &[cache.as_slice(), RESTART.as_bytes()].concat()).arg(now).to_owned()).await?;
    Ok(Outcome { done: vec![queue.name.clone()], ..Outcome::default() })
}

/// The state each job is in now, in Redis.
pub async fn locate(link: &Link, queue: &QueueId, ids: &[JobId]) -> Result<Vec<Option<StateId>>, SystemError> {
    let mut states: Vec<Option<StateId>> = vec![None; ids.len()];
    for state in [PENDING, RESERVED, DELAYED] {
        let missing: Vec<JobId> =
            ids.iter().zip(&states).filter(|(_, known)| known.is_none()).map(|(id, _)| id.clone()).collect();
        if missing.is_empty() {
            break;
        }
        let found = seek(link, &Container::of(queue, state)?, &missing).await?.found;
        for (id, slot) in ids.iter().zip(&mut states) {
            if slot.is_none() && found.contains_key(id) {
                *slot = Some(state);
            }
        }
    }
    Ok(states)
}

/// Where jobs lie in Redis, with their neighbours, for the trash.
pub async fn take(link: &Link, queue: &QueueId, ids: &[JobId]) -> Result<Vec<Record>, SystemError> {
    let mut records = Vec::new();
    for state in [PENDING, DELAYED, RESERVED] {
        let container = Container::of(queue, state)?;
        let found = seek(link, &container, ids).await?.found;
        let places = if container.is_list() {
            listed(link, &container, &found).await?
        } else {
            found.iter().filter_map(|(id, item)| Some((id.clone(), sorted(&container, item)?))).collect()
        };
        for id in ids {
            records.extend(places.get(id).map(|place| Record {
                id: id.clone(),
                state: Some(state),
                keys: Vec::new(),
                places: vec![place.clone()],
            }));
        }
    }
    Ok(records)
}

fn sorted(container: &Container, item: &Item) -> Option<Place> {
    let score = item.score?;
    // Scores are whole seconds and print as such.
    Some(Place::Sorted {
        key: Name::from(container.key.as_slice()),
        member: item.bytes.as_ref().into(),
        score: score.to_string(),
    })
}

/// Payloads with their neighbours. One that moved since it was read comes without them and goes back to the tail.
async fn listed(
    link: &Link,
    container: &Container,
    found: &HashMap<JobId, Item>,
) -> Result<HashMap<JobId, Place>, SystemError> {
    let mut batch = Batch::new();
    for item in found.values() {
        let first = item.place.saturating_sub(1);
        batch.ask(cmd("LRANGE").arg(container.key.as_slice()).arg(first).arg(item.place + 1).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut places = HashMap::new();
    for ((id, item), reply) in found.iter().zip(replies) {
        let around: Vec<Vec<u8>> = match &reply {
            Ok(value @ Value::Array(_)) => reply::names(value).unwrap_or_default(),
            _ => Vec::new(),
        };
        let own = usize::from(item.place > 0);
        let there = around.get(own).is_some_and(|bytes| bytes[..] == item.bytes[..]);
        let neighbour = |at: Option<usize>| around.get(at.filter(|_| there)?).map(|bytes| Name::from(bytes.as_slice()));
        let place = Place::List {
            key: Name::from(container.key.as_slice()),
            element: item.bytes.as_ref().into(),
            right: neighbour(Some(own + 1)),
            left: neighbour(own.checked_sub(1)),
        };
        places.insert(id.clone(), place);
    }
    Ok(places)
}
