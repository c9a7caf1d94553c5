//! Changes to BullMQ queues: one own script for each transition, with the events and wake-ups other clients wait for.
//!
//! Effects follow what the library was seen to do (4.18, 5.81 and 6.7); where versions differ the script looks at
//! `meta.version`. A job in another state than expected is refused, never forced.

use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::mutation::{Ability, Change, Mutation, NewJob, Outcome, Target, Verb};
use crate::domain::state::StateId;
use crate::link::{Link, Script, Value, cmd};
use crate::systems::record::verdicts;
use crate::systems::{ReadError, SystemError};

use super::keys::Keys;
use super::state;
use super::version::Version;

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("../forbidden.lua"),
            include_str!("scripts/common.lua"),
            include_str!(concat!("scripts/", $name, ".lua"))
        ))
    };
}

static RETRY: Script = script!("retry");
static PROMOTE: Script = script!("promote");
static DELAY: Script = script!("delay");
static PRIORITY: Script = script!("priority");
static REMOVE: Script = script!("remove");
static EDIT: Script = script!("edit");
static ADD: Script = script!("add");
static PAUSE: Script = script!("pause");
static RESUME: Script = script!("resume");
static LIMIT: Script = script!("limit");
static OBLITERATE: Script = script!("obliterate");
static UNSCHEDULE: Script = script!("unschedule");
static WAKE: Script = script!("wake");

const EVERY: &[StateId] = &[
    state::WAITING,
    state::PRIORITIZED,
    state::ACTIVE,
    state::DELAYED,
    state::WAITING_CHILDREN,
    state::COMPLETED,
    state::FAILED,
];

const fn ability(verb: Verb, states: &'static [StateId], says: &'static str) -> Ability {
    Ability { verb, states, says, nanos_per_listed: 0 }
}

/// Taking an id out of a list walks it: 26 ms for a list of 1,000,000 (P15).
const NANOS_PER_LISTED: u64 = 26;

/// What can be done, and what really happens.
pub static ABILITIES: &[Ability] = &[
    ability(
        Verb::Retry,
        &[state::FAILED, state::COMPLETED],
        "Goes back to waiting with the same id and data; attempts made are kept unless reset.",
    ),
    Ability {
        verb: Verb::Cancel,
        states: &[state::WAITING, state::PRIORITIZED, state::DELAYED, state::WAITING_CHILDREN],
        says: "Is removed before it runs; BullMQ keeps no record of cancelled jobs. A running job cannot be cancelled from outside: BullMQ has no such message.",
        nanos_per_listed: NANOS_PER_LISTED,
    },
    ability(Verb::Promote, &[state::DELAYED], "Waits now instead of later."),
    ability(Verb::Delay, &[state::DELAYED], "Runs at another time."),
    Ability {
        verb: Verb::Prioritize,
        states: &[state::WAITING, state::PRIORITIZED],
        says: "Gets another place among the waiting; 0 runs first, then 1 upwards.",
        nanos_per_listed: NANOS_PER_LISTED,
    },
    Ability {
        verb: Verb::Remove,
        states: EVERY,
        says: "Is deleted with its logs; a parent that waited for it last is released. Not while a worker holds its lock.",
        nanos_per_listed: NANOS_PER_LISTED,
    },
    ability(Verb::Duplicate, EVERY, "The same name, data and options are added once more under a new id."),
    ability(
        Verb::Edit,
        EVERY,
        "Its data is replaced by exactly these bytes; a handler that runs already does not see it.",
    ),
    ability(Verb::Add, &[], "A new job is added."),
    ability(Verb::Pause, &[], "Workers take no more jobs; those that run go on."),
    ability(Verb::Resume, &[], "Workers take jobs again; jobs left over by other versions are merged back."),
    ability(Verb::Limit, &[], "Sets the queue's global concurrency and rate limit, which 5.x and later honour."),
    ability(
        Verb::Obliterate,
        &[],
        "Deletes the emptied, paused queue's own keys, its history and schedulers included.",
    ),
    ability(Verb::Trigger, &[], "Adds one job from the scheduler's template now; its own times do not change."),
    ability(Verb::Unschedule, &[], "Removes the scheduler and its pending job; a job that waits already stays."),
];

/// Jobs moved back by one call while a queue resumes; keeps the call under 5 ms.
const RESUME_PIECE: u32 = 1000;

/// Performs one piece.
pub async fn mutate(link: &Link, mutation: &Mutation) -> Result<Outcome, SystemError> {
    let keys = Keys::of(&mutation.queue);
    let base = keys.base();
    if !mutation.force {
        refuse_unknown_version(link, &keys).await?;
    }
    let call = async |script: &'static Script, arguments: Vec<Vec<u8>>| script.run(link, &[base], &arguments).await;
    match (&mutation.change, &mutation.target) {
        (Change::Retry { reset_attempts }, Target::Jobs { state, ids }) => {
            let reply = call(&RETRY, with_ids(&[state.0.as_bytes(), flag(*reset_attempts)], ids)).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Promote, Target::Jobs { state, ids }) => {
            let reply = call(&PROMOTE, with_ids(&[], ids)).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Delay { by }, Target::Jobs { state, ids }) => {
            let by = by.as_millis().to_string();
            let reply = call(&DELAY, with_ids(&[by.as_bytes()], ids)).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Prioritize { priority }, Target::Jobs { state, ids }) => {
            if !(0..=2_097_152).contains(priority) {
                return Err(SystemError::BadRequest(format!("priority {priority} is outside BullMQ's 0 to 2097152")));
            }
            let reply = call(&PRIORITY, with_ids(&[priority.to_string().as_bytes()], ids)).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Cancel, Target::Jobs { state: state::ACTIVE, ids }) => {
            let why = "it runs; BullMQ offers no way to stop a running job from outside its worker";
            Ok(Outcome { refused: ids.iter().map(|id| (id.clone(), why.to_owned())).collect(), ..Outcome::default() })
        }
        (Change::Cancel, Target::Jobs { state, ids }) => {
            let reply = call(&REMOVE, with_ids(&[state.0.as_bytes(), flag(false)], ids)).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Remove { children }, Target::Jobs { state, ids }) => {
            let reply = call(&REMOVE, with_ids(&[state.0.as_bytes(), flag(*children)], ids)).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Edit { old, new }, Target::Jobs { state, ids }) => {
            let [id] = ids.as_slice() else {
                return Err(SystemError::BadRequest("one job at a time can be edited".to_owned()));
            };
            let reply = call(&EDIT, vec![id.as_bytes().to_vec(), old.to_vec(), new.to_vec()]).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Duplicate, Target::Jobs { ids, .. }) => duplicate(link, &keys, ids).await,
        (Change::Add(job), Target::Queue) => {
            let options = options_of(job);
            add(link, &keys, job, options.into_bytes()).await
        }
        (Change::Pause, Target::Queue) => {
            let reply = call(&PAUSE, Vec::new()).await?;
            Ok(for_queue(&mutation.queue, &reply, "it is paused already"))
        }
        (Change::Resume, Target::Queue) => {
            let piece = RESUME_PIECE.to_string().into_bytes();
            loop {
                if let Value::Int(0) = call(&RESUME, vec![piece.clone()]).await? {
                    return Ok(Outcome { done: vec![mutation.queue.name.clone()], ..Outcome::default() });
                }
            }
        }
        (Change::Limit(limits), Target::Queue) => {
            let (max, duration) = match limits.rate {
                None => (String::new(), String::new()),
                Some(None) => ("0".to_owned(), "0".to_owned()),
                Some(Some((max, per))) => (max.to_string(), per.as_millis().to_string()),
            };
            let concurrency = limits.concurrency.map(|limit| limit.unwrap_or(0).to_string()).unwrap_or_default();
            let reply = call(&LIMIT, vec![concurrency.into_bytes(), max.into_bytes(), duration.into_bytes()]).await?;
            Ok(for_queue(&mutation.queue, &reply, "nothing was changed"))
        }
        (Change::Obliterate, Target::Queue) => {
            let reply = call(&OBLITERATE, vec![flag(mutation.force).to_vec()]).await?;
            let why = match reply {
                Value::Int(-14) => "it is not paused: pause it first, so that nothing is added or taken meanwhile",
                Value::Int(-15) => "it still has jobs: remove them first, or wait for the active ones",
                _ => "the server gave an answer that is not understood",
            };
            Ok(for_queue(&mutation.queue, &reply, why))
        }
        (Change::Unschedule, Target::Schedules(ids)) => {
            let reply = call(&UNSCHEDULE, with_ids(&[], ids)).await?;
            Ok(verdicts(&reply, ids, |_| "there is no such scheduler any more".to_owned()))
        }
        (Change::Trigger, Target::Schedules(ids)) => trigger(link, &keys, ids).await,
        (change, _) => Err(SystemError::Unsupported(format!(
            "BullMQ cannot {} this: it applies to other things, or not to BullMQ at all",
            change.verb().word()
        ))),
    }
}

/// Lets workers look again after jobs were put back.
pub async fn wake(link: &Link, keys: &Keys) -> Result<(), SystemError> {
    WAKE.run::<_, &[u8]>(link, &[keys.base()], &[]).await?;
    Ok(())
}

/// R23: a queue written by a library qtop does not know is read, not changed.
async fn refuse_unknown_version(link: &Link, keys: &Keys) -> Result<(), SystemError> {
    let told = link.ask(cmd("HMGET").arg(keys.key("meta")).arg(&["version", "library"]).to_owned()).await?;
    let Some(field) = texts(told).into_iter().flatten().next() else { return Ok(()) };
    if Version::parse(&field).is_known() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&field);
    Err(SystemError::Unsupported(format!(
        "the queue was written by {text}, which qtop does not know; it knows BullMQ 4 to 6. Reading works. \
         To change it all the same, say --force"
    )))
}

fn refusal(code: i64, state: StateId) -> String {
    match code {
        0 => "a worker holds its lock: it is running".to_owned(),
        -1 => "there is no such job any more".to_owned(),
        -3 => format!("it is not {state} any more"),
        -4 => "its children are not finished".to_owned(),
        -8 => "it is the next run of a scheduler: remove the scheduler instead".to_owned(),
        -12 => "a child of it is running, or its family is too large to be removed in one call".to_owned(),
        -13 => "its data was changed in the meantime: open it again".to_owned(),
        code => format!("the server answered {code}"),
    }
}

fn with_ids(first: &[&[u8]], ids: &[JobId]) -> Vec<Vec<u8>> {
    first.iter().map(|word| word.to_vec()).chain(ids.iter().map(|id| id.as_bytes().to_vec())).collect()
}

fn flag(on: bool) -> &'static [u8] {
    if on { b"1" } else { b"0" }
}

fn for_queue(queue: &QueueId, reply: &Value, why: &str) -> Outcome {
    verdicts(&Value::Array(vec![reply.clone()]), std::slice::from_ref(&queue.name), |_| why.to_owned())
}

/// Options of a new job as BullMQ writes them.
fn options_of(job: &NewJob) -> String {
    let mut options = serde_json::Map::new();
    options.insert("attempts".to_owned(), job.attempts.unwrap_or(0).into());
    if !job.delay.is_zero() {
        options.insert("delay".to_owned(), u64::try_from(job.delay.as_millis()).unwrap_or(u64::MAX).into());
    }
    if job.priority != 0 {
        options.insert("priority".to_owned(), job.priority.into());
    }
    if let Some(dedup) = &job.dedup {
        let mut held = serde_json::Map::new();
        held.insert("id".to_owned(), dedup.clone().into());
        if !job.dedup_ttl.is_zero() {
            held.insert("ttl".to_owned(), u64::try_from(job.dedup_ttl.as_millis()).unwrap_or(u64::MAX).into());
        }
        options.insert("de".to_owned(), held.into());
    }
    serde_json::Value::Object(options).to_string()
}

/// Adds a job whose options are given as stored bytes.
async fn add(link: &Link, keys: &Keys, job: &NewJob, options: Vec<u8>) -> Result<Outcome, SystemError> {
    if let Some(id) = &job.id {
        let text = id.to_text();
        if text.contains(':') || text.parse::<i64>().is_ok() {
            return Err(SystemError::BadRequest(format!(
                "BullMQ allows no job id like {text:?}: it may not be a whole number or contain a colon"
            )));
        }
    }
    if !(0..=2_097_152).contains(&job.priority) {
        return Err(SystemError::BadRequest(format!("priority {} is outside BullMQ's 0 to 2097152", job.priority)));
    }
    let arguments = vec![
        job.id.as_ref().map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
        job.name.clone().into_bytes(),
        job.data.to_vec(),
        options,
        job.delay.as_millis().to_string().into_bytes(),
        job.priority.to_string().into_bytes(),
        job.dedup.clone().unwrap_or_default().into_bytes(),
        job.dedup_ttl.as_millis().to_string().into_bytes(),
    ];
    let reply = ADD.run(link, &[keys.base()], &arguments).await?;
    let Value::Array(parts) = &reply else {
        return Err(ReadError::Shape { command: "EVALSHA add", what: format!("{reply:?}") }.into());
    };
    let id = match parts.get(1) {
        Some(Value::BulkString(id)) => Name::from(id.as_slice()),
        _ => Name::default(),
    };
    Ok(match parts.first() {
        Some(Value::Int(1)) => Outcome { done: vec![id.clone()], created: vec![id], ..Outcome::default() },
        _ => Outcome {
            refused: vec![(id.clone(), format!("job {id} holds that id or deduplication id already"))],
            ..Outcome::default()
        },
    })
}

async fn duplicate(link: &Link, keys: &Keys, ids: &[JobId]) -> Result<Outcome, SystemError> {
    let mut outcome = Outcome::default();
    for id in ids {
        let fields =
            link.ask(cmd("HMGET").arg(keys.job(id.as_bytes())).arg(&["name", "data", "opts", "priority"]).to_owned());
        match texts(fields.await?).as_slice() {
            [Some(name), Some(data), options, priority] => {
                let job = NewJob {
                    name: String::from_utf8_lossy(name).into_owned(),
                    data: data.clone().into(),
                    priority: priority.as_deref().and_then(number).unwrap_or(0),
                    ..NewJob::default()
                };
                let added = add(link, keys, &job, options.clone().unwrap_or_else(|| b"{}".to_vec())).await?;
                outcome.done.push(id.clone());
                outcome.created.extend(added.created);
            }
            _ => outcome.refused.push((id.clone(), "there is no such job any more".to_owned())),
        }
    }
    Ok(outcome)
}

async fn trigger(link: &Link, keys: &Keys, schedules: &[Name]) -> Result<Outcome, SystemError> {
    let mut outcome = Outcome::default();
    for schedule in schedules {
        let key = keys.scheduler(schedule.as_bytes());
        let fields = link.ask(cmd("HMGET").arg(key).arg(&["name", "data", "opts", "ic"]).to_owned()).await?;
        match texts(fields).as_slice() {
            [Some(name), data, options, _] => {
                let job = NewJob {
                    name: String::from_utf8_lossy(name).into_owned(),
                    data: data.clone().unwrap_or_else(|| b"{}".to_vec()).into(),
                    ..NewJob::default()
                };
                let added = add(link, keys, &job, options.clone().unwrap_or_else(|| b"{}".to_vec())).await?;
                outcome.done.push(schedule.clone());
                outcome.created.extend(added.created);
            }
            _ => {
                let why = "it has no template: a legacy repeatable, or removed in the meantime";
                outcome.refused.push((schedule.clone(), why.to_owned()));
            }
        }
    }
    Ok(outcome)
}

fn number(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn texts(reply: Value) -> Vec<Option<Vec<u8>>> {
    match reply {
        Value::Array(values) => values
            .into_iter()
            .map(|value| match value {
                Value::BulkString(bytes) => Some(bytes),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
