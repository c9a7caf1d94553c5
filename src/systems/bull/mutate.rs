//! Changes to Bull queues: one own script for each, each atomic, with its precondition inside.
//!
//! Effects follow what Bull 4.16 was seen to do, without its traps: a job in another state keeps its fields, a retried
//! one its priority, and a paused queue stays paused. A queue that shows signs of BullMQ is refused.

use crate::domain::ids::{JobId, Name};
use crate::domain::mutation::{Ability, Change, Mutation, NewJob, Outcome, Target, Verb};
use crate::domain::state::StateId;
use crate::link::{Link, Script, Value, cmd};
use crate::systems::bullmq::keys::Keys;
use crate::systems::record::verdicts;
use crate::systems::{ReadError, SystemError, reply};

use super::state;

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(include_str!("scripts/common.lua"), include_str!(concat!("scripts/", $name, ".lua"))))
    };
}

static RETRY: Script = script!("retry");
static PROMOTE: Script = script!("promote");
static PRIORITY: Script = script!("priority");
static REMOVE: Script = script!("remove");
static PAUSE: Script = script!("pause");
static ADD: Script = script!("add");

const EVERY: &[StateId] = &[state::WAITING, state::ACTIVE, state::DELAYED, state::COMPLETED, state::FAILED];

/// Taking an id out of a list walks it: 26 ms for a list of 1,000,000 (P15).
const NANOS_PER_LISTED: u64 = 26;

const fn ability(verb: Verb, states: &'static [StateId], nanos_per_listed: u64, says: &'static str) -> Ability {
    Ability { verb, states, says, nanos_per_listed }
}

/// What can be done, and what really happens.
pub static ABILITIES: &[Ability] = &[
    ability(
        Verb::Retry,
        &[state::FAILED, state::COMPLETED],
        0,
        "Goes back to waiting with the same id, data and priority; attempts made are kept unless reset.",
    ),
    ability(
        Verb::Cancel,
        &[state::WAITING, state::DELAYED],
        NANOS_PER_LISTED,
        "Is removed before it runs. A running job cannot be stopped from outside: Bull has no such message.",
    ),
    ability(Verb::Promote, &[state::DELAYED], 0, "Waits now instead of later."),
    ability(
        Verb::Prioritize,
        &[state::WAITING],
        NANOS_PER_LISTED,
        "Gets another place among the waiting; in Bull 1 runs first, then 2 upwards, and 0 after all of those.",
    ),
    ability(
        Verb::Remove,
        EVERY,
        NANOS_PER_LISTED,
        "Is deleted with its logs. Not while a worker holds its lock, and not the next run of a repeatable.",
    ),
    ability(Verb::Duplicate, EVERY, 0, "The same name, data and options are added once more under a new id."),
    ability(Verb::Add, &[], 0, "A new job is added."),
    ability(Verb::Pause, &[], 0, "Workers take no more jobs; those that run go on."),
    ability(Verb::Resume, &[], 0, "Workers take jobs again."),
];

/// Performs one piece.
pub async fn mutate(link: &Link, mutation: &Mutation) -> Result<Outcome, SystemError> {
    let keys = Keys::of(&mutation.queue);
    let base = keys.base();
    let call = async |script: &'static Script, arguments: Vec<Vec<u8>>| script.run(link, &[base], &arguments).await;
    match (&mutation.change, &mutation.target) {
        (Change::Retry { reset_attempts }, Target::Jobs { state, ids }) => {
            let reset: &[u8] = if *reset_attempts { b"1" } else { b"0" };
            let reply = call(&RETRY, with_ids(&[state.0.as_bytes(), reset], ids)).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Promote, Target::Jobs { state, ids }) => {
            let reply = call(&PROMOTE, with_ids(&[], ids)).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Prioritize { priority }, Target::Jobs { state, ids }) => {
            priority_is_possible(*priority)?;
            let reply = call(&PRIORITY, with_ids(&[priority.to_string().as_bytes()], ids)).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Cancel, Target::Jobs { state: state::ACTIVE, ids }) => {
            let why = "it runs; Bull offers no way to stop a running job from outside its worker";
            Ok(Outcome { refused: ids.iter().map(|id| (id.clone(), why.to_owned())).collect(), ..Outcome::default() })
        }
        (Change::Cancel | Change::Remove { .. }, Target::Jobs { state, ids }) => {
            let reply = call(&REMOVE, with_ids(&[state.0.as_bytes()], ids)).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Duplicate, Target::Jobs { ids, .. }) => duplicate(link, &keys, ids).await,
        (Change::Add(job), Target::Queue) => {
            let mut options = serde_json::Map::new();
            options.insert("attempts".to_owned(), job.attempts.unwrap_or(1).into());
            if job.priority != 0 {
                options.insert("priority".to_owned(), job.priority.into());
            }
            let options = serde_json::Value::Object(options).to_string();
            add(link, &keys, job, options.into_bytes()).await
        }
        (change @ (Change::Pause | Change::Resume), Target::Queue) => {
            let pauses = matches!(change, Change::Pause);
            let reply = call(&PAUSE, vec![if pauses { b"1".to_vec() } else { b"0".to_vec() }]).await?;
            let name = std::slice::from_ref(&mutation.queue.name);
            Ok(verdicts(&Value::Array(vec![reply]), name, |code| match code {
                -3 if pauses => "it is paused already".to_owned(),
                -3 => "it is not paused".to_owned(),
                code => refusal(code, state::WAITING),
            }))
        }
        (change, _) => Err(SystemError::Unsupported(format!(
            "Bull cannot {} this: it applies to other things, or not to Bull at all",
            change.verb().word()
        ))),
    }
}

fn with_ids(first: &[&[u8]], ids: &[JobId]) -> Vec<Vec<u8>> {
    first.iter().map(|word| word.to_vec()).chain(ids.iter().map(|id| id.as_bytes().to_vec())).collect()
}

fn refusal(code: i64, state: StateId) -> String {
    match code {
        0 => "a worker holds its lock: it is running".to_owned(),
        -1 => "there is no such job any more".to_owned(),
        -3 => format!("it is not {state} any more"),
        -8 => "it is the next run of a repeatable, which would silently end; remove the repeatable instead".to_owned(),
        -30 => "BullMQ uses this queue's name, too: what belongs to which library cannot be told".to_owned(),
        code => format!("the server answered {code}"),
    }
}

/// Bull counts priorities from 1; 0 is none.
fn priority_is_possible(priority: i64) -> Result<(), SystemError> {
    if (0..=2_097_152).contains(&priority) {
        return Ok(());
    }
    Err(SystemError::BadRequest(format!("priority {priority} is outside 0 to 2097152")))
}

async fn add(link: &Link, keys: &Keys, job: &NewJob, options: Vec<u8>) -> Result<Outcome, SystemError> {
    priority_is_possible(job.priority)?;
    let arguments = vec![
        job.id.as_ref().map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
        if job.name.is_empty() { b"__default__".to_vec() } else { job.name.clone().into_bytes() },
        job.data.to_vec(),
        options,
        job.delay.as_millis().to_string().into_bytes(),
        job.priority.to_string().into_bytes(),
    ];
    let answer = ADD.run(link, &[keys.base()], &arguments).await?;
    let Some([code, id]) = reply::list(&answer) else {
        return Err(ReadError::Shape { command: "EVALSHA add", what: format!("{answer:?}") }.into());
    };
    let id = reply::bytes(id).map(Name::from).unwrap_or_default();
    Ok(match reply::int(code) {
        Some(1) => Outcome { done: vec![id.clone()], created: vec![id], ..Outcome::default() },
        Some(-3) => Outcome { refused: vec![(id.clone(), format!("job {id} exists already"))], ..Outcome::default() },
        code => Outcome { refused: vec![(id, refusal(code.unwrap_or(0), state::WAITING))], ..Outcome::default() },
    })
}

async fn duplicate(link: &Link, keys: &Keys, ids: &[JobId]) -> Result<Outcome, SystemError> {
    let mut outcome = Outcome::default();
    for id in ids {
        let fields = cmd("HMGET").arg(keys.job(id.as_bytes())).arg(&["name", "data", "opts", "priority"]).to_owned();
        let answer = link.ask(fields).await?;
        match reply::list(&answer) {
            Some([name, data, options, priority]) if *data != Value::Nil => {
                let bytes = |value: &Value| reply::bytes(value).map(<[u8]>::to_vec);
                let job = NewJob {
                    name: reply::text(name).unwrap_or_default(),
                    data: bytes(data).unwrap_or_default().into(),
                    priority: reply::int(priority).unwrap_or(0),
                    ..NewJob::default()
                };
                let added = add(link, keys, &job, bytes(options).unwrap_or_else(|| b"{}".to_vec())).await?;
                outcome.refused.extend(added.refused);
                if !added.created.is_empty() {
                    outcome.done.push(id.clone());
                    outcome.created.extend(added.created);
                }
            }
            _ => outcome.refused.push((id.clone(), "there is no such job any more".to_owned())),
        }
    }
    Ok(outcome)
}
