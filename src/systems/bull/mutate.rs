//! Changes to Bull queues: one own script for each, each atomic, with its precondition inside.
//!
//! Effects follow what Bull 4.16 was seen to do, without its traps: a job in another state keeps its fields, a retried
//! one its priority, and a paused queue stays paused. A queue that shows signs of BullMQ is refused.

use crate::domain::ids::{JobId, Name};
use crate::domain::mutation::{Ability, Change, Mutation, NewJob, Outcome, Target, Verb};
use crate::domain::state::StateId;
use crate::link::{Link, Script, Value, cmd};
use crate::systems::bullmq::calls::{self, NANOS_PER_LISTED, flag, for_queue, own, shared, with_ids};
use crate::systems::bullmq::keys::Keys;
use crate::systems::record::verdicts;
use crate::systems::{SystemError, reply};

use super::{repeatables, state};

static RETRY: Script = own!("bull", "retry");
static PROMOTE: Script = own!("bull", "promote");
static DELAY: Script = own!("bull", "delay");
static PRIORITY: Script = own!("bull", "priority");
static REMOVE: Script = own!("bull", "remove");
static EDIT: Script = shared!("bull", "edit");
static ADD: Script = own!("bull", "add");
static PAUSE: Script = own!("bull", "pause");
static OBLITERATE: Script = shared!("bull", "obliterate");
static UNSCHEDULE: Script = own!("bull", "unschedule");

/// Jobs moved one by one in a call that pauses or resumes a queue of which another program stranded some.
const STRANDED_PIECE: &[u8] = b"2000";

const EVERY: &[StateId] = &[state::WAITING, state::ACTIVE, state::DELAYED, state::COMPLETED, state::FAILED];

const fn ability(verb: Verb, states: &'static [StateId], nanos_per_listed: u64, says: &'static str) -> Ability {
    Ability { verb, states, says, nanos_per_listed, resets: false }
}

/// What can be done, and what really happens.
pub static ABILITIES: &[Ability] = &[
    Ability {
        verb: Verb::Retry,
        states: &[state::FAILED, state::COMPLETED],
        says: "Goes back to waiting with the same id, data and priority; attempts made are kept unless reset.",
        nanos_per_listed: 0,
        resets: true,
    },
    ability(
        Verb::Cancel,
        &[state::WAITING, state::DELAYED],
        NANOS_PER_LISTED,
        "Is removed before it runs. A running job cannot be stopped from outside: Bull has no such message.",
    ),
    ability(Verb::Promote, &[state::DELAYED], 0, "Waits now instead of later."),
    ability(Verb::Delay, &[state::DELAYED], 0, "Runs at another time. Not the next run of a repeatable."),
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
    ability(
        Verb::Edit,
        EVERY,
        0,
        "Its data is replaced by exactly these bytes; a handler that runs already does not see it.",
    ),
    ability(Verb::Add, &[], 0, "A new job is added."),
    ability(Verb::Pause, &[], 0, "Workers take no more jobs; those that run go on."),
    ability(Verb::Resume, &[], 0, "Workers take jobs again."),
    ability(
        Verb::Obliterate,
        &[],
        0,
        "Deletes the emptied, paused queue's own keys, its repeatables included. Debounce keys run out by themselves.",
    ),
    ability(Verb::Trigger, &[], 0, "Adds one job like the repeatable's next run now; its own times do not change."),
    ability(Verb::Unschedule, &[], 0, "Removes the repeatable and its pending job; a job that waits already stays."),
];

/// Performs one piece.
pub async fn mutate(link: &Link, mutation: &Mutation) -> Result<Outcome, SystemError> {
    let keys = Keys::of(&mutation.queue);
    let base = keys.base();
    let call = async |script: &'static Script, arguments: Vec<Vec<u8>>| script.run(link, &[base], &arguments).await;
    let queue = &mutation.queue;
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
            let reply = call(&DELAY, with_ids(&[by.as_millis().to_string().as_bytes()], ids)).await?;
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
        (Change::Edit { old, new }, Target::Jobs { state, ids }) => {
            let [id] = ids.as_slice() else {
                return Err(SystemError::BadRequest("one job at a time can be edited".to_owned()));
            };
            let reply = call(&EDIT, vec![id.as_bytes().to_vec(), old.to_vec(), new.to_vec()]).await?;
            Ok(verdicts(&reply, ids, |code| refusal(code, *state)))
        }
        (Change::Duplicate, Target::Jobs { ids, .. }) => {
            let templates = ids.iter().map(|id| (id.clone(), Some(id.clone()))).collect();
            again(link, &keys, templates, "there is no such job any more").await
        }
        (Change::Add(job), Target::Queue) => add(link, &keys, job, &options_of(job), b"").await,
        (change @ (Change::Pause | Change::Resume), Target::Queue) => {
            let pauses = matches!(change, Change::Pause);
            let mut reply = Value::Int(0);
            while reply == Value::Int(0) {
                reply = call(&PAUSE, vec![flag(pauses).to_vec(), STRANDED_PIECE.to_vec()]).await?;
            }
            Ok(for_queue(queue, reply, |code| match code {
                -3 if pauses => "it is paused already".to_owned(),
                -3 => "it is not paused".to_owned(),
                code => refusal(code, state::WAITING),
            }))
        }
        (Change::Obliterate, Target::Queue) => {
            let reply = call(&OBLITERATE, vec![flag(mutation.force).to_vec()]).await?;
            Ok(for_queue(queue, reply, |code| match code {
                FOREIGN => refusal(code, state::WAITING),
                code => calls::not_obliterated(code),
            }))
        }
        (Change::Unschedule, Target::Schedules(ids)) => {
            let reply = call(&UNSCHEDULE, with_ids(&[], ids)).await?;
            Ok(verdicts(&reply, ids, |code| match code {
                FOREIGN => refusal(code, state::DELAYED),
                _ => "there is no such repeatable any more".to_owned(),
            }))
        }
        (Change::Trigger, Target::Schedules(ids)) => trigger(link, &keys, ids).await,
        (change, _) => Err(SystemError::Unsupported(format!(
            "Bull cannot {} this: it applies to other things, or not to Bull at all",
            change.verb().word()
        ))),
    }
}

/// What a script answers where BullMQ uses the queue's name, too.
const FOREIGN: i64 = -30;

fn refusal(code: i64, state: StateId) -> String {
    match code {
        0 => "a worker holds its lock: it is running".to_owned(),
        -1 => "there is no such job any more".to_owned(),
        -3 => format!("it is not {state} any more"),
        -8 => "it is the next run of a repeatable, which would silently end; remove the repeatable instead".to_owned(),
        -9 => "it is the next run of a repeatable, whose times are its own; promote or duplicate it instead".to_owned(),
        -13 => "its data was changed in the meantime: open it again".to_owned(),
        FOREIGN => "BullMQ uses this queue's name, too: what belongs to which library cannot be told".to_owned(),
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

/// Options of a new job as Bull writes them.
fn options_of(job: &NewJob) -> Vec<u8> {
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut options = serde_json::Map::new();
    options.insert("attempts".to_owned(), job.attempts.unwrap_or(1).into());
    if !job.delay.is_zero() {
        options.insert("delay".to_owned(), millis(job.delay).into());
    }
    if job.priority != 0 {
        options.insert("priority".to_owned(), job.priority.into());
    }
    if let Some(dedup) = &job.dedup {
        let mut held = serde_json::Map::new();
        held.insert("id".to_owned(), dedup.clone().into());
        if !job.dedup_ttl.is_zero() {
            held.insert("ttl".to_owned(), millis(job.dedup_ttl).into());
        }
        options.insert("debounce".to_owned(), held.into());
    }
    serde_json::Value::Object(options).to_string().into_bytes()
}

/// Adds a job. `like`: the id of the job whose data it gets, or nothing.
async fn add(link: &Link, keys: &Keys, job: &NewJob, options: &[u8], like: &[u8]) -> Result<Outcome, SystemError> {
    priority_is_possible(job.priority)?;
    let [delay, priority, hold] =
        [job.delay.as_millis().to_string(), job.priority.to_string(), job.dedup_ttl.as_millis().to_string()];
    let arguments: [&[u8]; 9] = [
        job.id.as_ref().map_or(b"", |id| id.as_bytes()),
        if job.name.is_empty() { b"__default__" } else { job.name.as_bytes() },
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
        -3 if job.dedup.is_some() => format!("job {id} holds that id or debounce id already"),
        -3 => format!("job {id} exists already"),
        code => refusal(code, state::WAITING),
    })
}

/// Adds jobs like those that stand behind the ids; `None` where there is none.
async fn again(
    link: &Link,
    keys: &Keys,
    templates: Vec<(Name, Option<JobId>)>,
    missing: &str,
) -> Result<Outcome, SystemError> {
    let mut outcome = Outcome::default();
    for (id, template) in templates {
        let found = match &template {
            Some(template) => calls::template(link, keys.job(template.as_bytes())).await?,
            None => None,
        };
        let (Some((job, options)), Some(template)) = (found, template) else {
            outcome.refused.push((id, missing.to_owned()));
            continue;
        };
        let added = add(link, keys, &job, &repeatables::plain_options(options), template.as_bytes()).await?;
        outcome.refused.extend(added.refused.into_iter().map(|(_, reason)| (id.clone(), reason)));
        if !added.created.is_empty() {
            outcome.done.push(id);
            outcome.created.extend(added.created);
        }
    }
    Ok(outcome)
}

async fn trigger(link: &Link, keys: &Keys, ids: &[Name]) -> Result<Outcome, SystemError> {
    let mut templates = Vec::new();
    for id in ids {
        let score = link.ask(cmd("ZSCORE").arg(keys.key("repeat")).arg(id.as_bytes()).to_owned()).await?;
        let run = match reply::float(&score) {
            Some(moment) => repeatables::next_runs(link, keys, &[(id.as_bytes().to_vec(), moment)]).await?.remove(0),
            None => None,
        };
        templates.push((id.clone(), run.map(|run| run.id)));
    }
    again(link, keys, templates, "the job for its next run, from which a copy could be made, is not in `delayed`").await
}
