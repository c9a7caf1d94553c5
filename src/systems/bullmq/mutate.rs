//! Changes to BullMQ queues: one own script for each transition, with the events and wake-ups other clients wait for.
//!
//! Effects follow what the library was seen to do (4.18, 5.81 and 6.7); where versions differ the script looks at
//! `meta.version`. A job in another state than expected is refused, never forced.

use crate::domain::ids::Name;
use crate::domain::mutation::{Ability, Change, Mutation, NewJob, Outcome, Target, Verb};
use crate::domain::state::StateId;
use crate::link::{Batch, Link, Replies, Script, Value, cmd};
use crate::systems::record::verdicts;
use crate::systems::{ReadError, SystemError, reply};

use super::calls::{self, NANOS_PER_LISTED, flag, for_queue, own, shared, with_ids};
use super::keys::Keys;
use super::plan::BULL_ONLY;
use super::state;
use super::version::Version;

static RETRY: Script = own!("bullmq", "retry");
static PROMOTE: Script = own!("bullmq", "promote");
static DELAY: Script = own!("bullmq", "delay");
static PRIORITY: Script = own!("bullmq", "priority");
static REMOVE: Script = own!("bullmq", "remove");
static EDIT: Script = shared!("bullmq", "edit");
static ADD: Script = own!("bullmq", "add");
static PAUSE: Script = own!("bullmq", "pause");
static RESUME: Script = own!("bullmq", "resume");
static LIMIT: Script = own!("bullmq", "limit");
static OBLITERATE: Script = shared!("bullmq", "obliterate");
static UNSCHEDULE: Script = own!("bullmq", "unschedule");
static WAKE: Script = own!("bullmq", "wake");

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
    Ability { verb, states, says, nanos_per_listed: 0, resets: false }
}

/// What can be done, and what really happens.
pub static ABILITIES: &[Ability] = &[
    Ability {
        verb: Verb::Retry,
        states: &[state::FAILED, state::COMPLETED],
        says: "Goes back to waiting with the same id and data; attempts made are kept unless reset.",
        nanos_per_listed: 0,
        resets: true,
    },
    Ability {
        verb: Verb::Cancel,
        states: &[state::WAITING, state::PRIORITIZED, state::DELAYED, state::WAITING_CHILDREN],
        says: "Is removed before it runs; BullMQ keeps no record of cancelled jobs. A running job cannot be cancelled from outside: BullMQ has no such message.",
        nanos_per_listed: NANOS_PER_LISTED,
        resets: false,
    },
    ability(Verb::Promote, &[state::DELAYED], "Waits now instead of later."),
    ability(Verb::Delay, &[state::DELAYED], "Runs at another time."),
    Ability {
        verb: Verb::Prioritize,
        states: &[state::WAITING, state::PRIORITIZED],
        says: "Gets another place among the waiting; 0 runs first, then 1 upwards.",
        nanos_per_listed: NANOS_PER_LISTED,
        resets: false,
    },
    Ability {
        verb: Verb::Remove,
        states: EVERY,
        says: "Is deleted with its logs; a parent that waited for it last is released. Not while a worker holds its lock.",
        nanos_per_listed: NANOS_PER_LISTED,
        resets: false,
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
        refuse_foreign_writers(link, &keys).await?;
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
            add(link, &keys, job, options.as_bytes(), b"").await
        }
        (Change::Pause, Target::Queue) => {
            let reply = call(&PAUSE, Vec::new()).await?;
            Ok(for_queue(&mutation.queue, reply, |_| "it is paused already".to_owned()))
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
            Ok(for_queue(&mutation.queue, reply, |_| "nothing was changed".to_owned()))
        }
        (Change::Obliterate, Target::Queue) => {
            let reply = call(&OBLITERATE, vec![flag(mutation.force).to_vec()]).await?;
            Ok(for_queue(&mutation.queue, reply, calls::not_obliterated))
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

/// R23: a queue written by a library qtop does not know, or by two at once, is read, not changed.
async fn refuse_foreign_writers(link: &Link, keys: &Keys) -> Result<(), SystemError> {
    let mut batch = Batch::new();
    batch.ask(cmd("HMGET").arg(keys.key("meta")).arg(&["version", "library"]).to_owned());
    for suffix in BULL_ONLY {
        batch.ask(cmd("EXISTS").arg(keys.key(suffix)).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let told = reply::list(replies.next().map_err(ReadError::from)?).unwrap_or(&[]);
    let library = told.iter().find_map(reply::bytes);
    for suffix in BULL_ONLY {
        if library.is_some() && reply::int(replies.next().map_err(ReadError::from)?) == Some(1) {
            return Err(SystemError::Unsupported(format!(
                "Bull uses this queue's name, too: only Bull, or a BullMQ older than 4, writes {}. What is changed for \
                 workers of one library may be lost for those of the other. Reading works. To change it all the same, \
                 say --force",
                keys.show(suffix)
            )));
        }
    }
    let Some(library) = library.filter(|library| !Version::parse(library).is_known()) else { return Ok(()) };
    let text = String::from_utf8_lossy(library);
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

/// Adds a job whose options are given as stored bytes. `like`: the end of the key whose data it gets, or nothing.
async fn add(link: &Link, keys: &Keys, job: &NewJob, options: &[u8], like: &[u8]) -> Result<Outcome, SystemError> {
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
    let [delay, priority, hold] =
        [job.delay.as_millis().to_string(), job.priority.to_string(), job.dedup_ttl.as_millis().to_string()];
    let arguments: [&[u8]; 9] = [
        job.id.as_ref().map_or(b"", |id| id.as_bytes()),
        job.name.as_bytes(),
        &job.data,
        options,
        delay.as_bytes(),
        priority.as_bytes(),
        job.dedup.as_deref().unwrap_or_default().as_bytes(),
        hold.as_bytes(),
        like,
    ];
    let answer = ADD.run(link, &[keys.base()], &arguments).await?;
    calls::added(&answer, |code, id| match code {
        -1 => refusal(code, state::WAITING),
        _ => format!("job {id} holds that id or deduplication id already"),
    })
}

async fn duplicate(link: &Link, keys: &Keys, ids: &[Name]) -> Result<Outcome, SystemError> {
    let missing = "there is no such job any more";
    again(link, keys, ids, missing, "").await
}

async fn trigger(link: &Link, keys: &Keys, schedules: &[Name]) -> Result<Outcome, SystemError> {
    let missing = "it has no template: a legacy repeatable, or removed in the meantime";
    again(link, keys, schedules, missing, "repeat:").await
}

/// Adds a job from each template, whose key ends with these words and its id.
async fn again(link: &Link, keys: &Keys, ids: &[Name], missing: &str, words: &str) -> Result<Outcome, SystemError> {
    let mut outcome = Outcome::default();
    for id in ids {
        let like = [words.as_bytes(), id.as_bytes()].concat();
        let added = match calls::template(link, keys.job(&like)).await? {
            Some((job, options)) => add(link, keys, &job, &options, &like).await?,
            None => Outcome::default(),
        };
        if added.created.is_empty() {
            outcome.refused.push((id.clone(), missing.to_owned()));
        } else {
            outcome.done.push(id.clone());
            outcome.created.extend(added.created);
        }
    }
    Ok(outcome)
}
