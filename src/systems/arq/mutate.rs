//! Changes to ARQ queues. A worker may take a job at any moment, so that each script looks at the job's keys again on
//! the server before it changes them. Effects follow what the library was seen to do and to expect (0.28).

use std::time::Duration;

use crate::domain::ids::{JobId, QueueId};
use crate::domain::mutation::{Ability, Change, Mutation, NewJob, Outcome, Target, Verb};
use crate::domain::state::StateId;
use crate::link::{Link, Script, Value, cmd};
use crate::systems::record::verdicts;
use crate::systems::{ReadError, SystemError, reply};

use super::blob::Serializer;
use super::keys::{self, Keys};
use super::{Arq, encode, rows, standing, state};

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(include_str!("../forbidden.lua"), include_str!(concat!("scripts/", $name, ".lua"))))
    };
}

static ADD: Script = script!("add");
static RETRY: Script = script!("retry");
static PROMOTE: Script = script!("promote");
static REMOVE: Script = script!("remove");
static FORGET: Script = script!("forget");
static ABORT: Script = script!("abort");
static RELEASE: Script = script!("release");
static HOLD: Script = script!("hold");
static RESUME: Script = script!("resume");

const fn ability(verb: Verb, states: &'static [StateId], says: &'static str) -> Ability {
    Ability { verb, states, says, nanos_per_listed: 0, resets: false }
}

/// What can be done, and what really happens.
pub static ABILITIES: &[Ability] = &[
    ability(
        Verb::Retry,
        &[state::FAILED, state::ABORTED, state::COMPLETE, state::STALLED],
        "Runs again under its id with the arguments its result holds (as the job left them), tries from zero; the result goes. A stalled job loses its lock and runs again: twice, if its worker lives after all.",
    ),
    ability(
        Verb::Cancel,
        &[state::WAITING, state::INTERRUPTED, state::DEFERRED, state::RETRYING, state::HELD, state::RUNNING],
        "Is removed before it runs, without a result. A running job is asked to stop: only workers with allow_abort_jobs listen; if none does within 10 s, the request is taken back.",
    ),
    ability(
        Verb::Promote,
        &[state::DEFERRED, state::RETRYING],
        "Is due now instead of later; a worker takes it with its next poll.",
    ),
    ability(
        Verb::Delay,
        &[state::WAITING, state::INTERRUPTED, state::DEFERRED, state::RETRYING],
        "Is due at another time.",
    ),
    ability(
        Verb::Remove,
        &[
            state::WAITING,
            state::INTERRUPTED,
            state::DEFERRED,
            state::RETRYING,
            state::HELD,
            state::COMPLETE,
            state::FAILED,
            state::ABORTED,
        ],
        "Is deleted with its definition; of a finished job the result, which frees its id. Not while it runs.",
    ),
    ability(
        Verb::Duplicate,
        &[
            state::WAITING,
            state::INTERRUPTED,
            state::RUNNING,
            state::STALLED,
            state::DEFERRED,
            state::RETRYING,
            state::HELD,
            state::COMPLETE,
            state::FAILED,
            state::ABORTED,
        ],
        "The same function and arguments are added once more under a new id.",
    ),
    ability(
        Verb::Add,
        &[],
        "A new job is added in the queue's own serializer. Its data is JSON: an array of positional arguments, or an object of named ones.",
    ),
    ability(
        Verb::Pause,
        &[],
        "ARQ knows no pause: qtop takes the jobs that do not run out of the queue and holds them. Running ones go on, and jobs added from now on run until the queue is paused again.",
    ),
    ability(Verb::Resume, &[], "Jobs held by qtop come back with their old times."),
];

/// Jobs looked at by one call while a queue is held or resumed.
const PIECE: u64 = 500;
/// How long a worker has to abort a job: its poll is every half second unless set otherwise.
const ABORT_WAIT: Duration = Duration::from_secs(10);
const ABORT_LOOK: Duration = Duration::from_millis(200);
/// Largest result that is made into a definition.
const MOST: u64 = 16 << 20;

/// Performs one piece.
pub async fn mutate(arq: &Arq, link: &Link, mutation: &Mutation) -> Result<Outcome, SystemError> {
    let queue = &mutation.queue;
    let keys = Keys::of(queue);
    match (&mutation.change, &mutation.target) {
        (Change::Retry { .. }, Target::Jobs { state: state::STALLED, ids }) => {
            let force: &[u8] = if mutation.force { b"1" } else { b"0" };
            let reply =
                RELEASE.run(link, &[keys.queue.clone(), arq.health(&queue.name)], &with_ids(&[force], ids)).await?;
            Ok(verdicts(&reply, ids, refusal))
        }
        (Change::Retry { .. }, Target::Jobs { state, ids }) => retry(arq, link, &keys, *state, ids).await,
        (Change::Cancel, Target::Jobs { state: state::RUNNING, ids }) => abort(arq, link, queue, ids).await,
        (Change::Cancel | Change::Remove { .. }, Target::Jobs { state, ids }) => match *state {
            state::COMPLETE | state::FAILED | state::ABORTED => {
                let reply = FORGET.run::<&[u8], _>(link, &[], &with_ids(&[], ids)).await?;
                Ok(verdicts(&reply, ids, |_| "its result is gone already".to_owned()))
            }
            state::RUNNING | state::STALLED => {
                let why = "it is locked: a running job would run on without its record; abort it instead, or wait for \
                           the lock to run out";
                Ok(Outcome {
                    refused: ids.iter().map(|id| (id.clone(), why.to_owned())).collect(),
                    ..Outcome::default()
                })
            }
            _ => {
                let reply = REMOVE.run(link, &[keys.queue.clone(), keys.held()], &with_ids(&[], ids)).await?;
                Ok(verdicts(&reply, ids, refusal))
            }
        },
        (Change::Promote, Target::Jobs { ids, .. }) => {
            let reply = PROMOTE.run(link, &[&keys.queue], &with_ids(&[b"0"], ids)).await?;
            Ok(verdicts(&reply, ids, refusal))
        }
        (Change::Delay { by }, Target::Jobs { ids, .. }) => {
            let by = by.as_millis().to_string();
            let reply = PROMOTE.run(link, &[&keys.queue], &with_ids(&[by.as_bytes()], ids)).await?;
            Ok(verdicts(&reply, ids, refusal))
        }
        (Change::Duplicate, Target::Jobs { ids, .. }) => duplicate(link, &keys, ids).await,
        (Change::Add(job), Target::Queue) => add_new(arq, link, queue, job).await,
        (Change::Pause, Target::Queue) => {
            let mut from = 0;
            loop {
                let arguments = [from.to_string(), PIECE.to_string()];
                let reply = HOLD.run(link, &[keys.queue.clone(), keys.held()], &arguments).await?;
                let numbers: Vec<u64> =
                    reply::list(&reply).unwrap_or_default().iter().filter_map(reply::count).collect();
                let [looked, stay] = numbers[..] else {
                    return Err(ReadError::Shape { command: "EVALSHA hold", what: format!("{reply:?}") }.into());
                };
                from += stay;
                if looked < PIECE {
                    return Ok(done(queue));
                }
            }
        }
        (Change::Resume, Target::Queue) => loop {
            let reply = RESUME.run(link, &[keys.queue.clone(), keys.held()], &[PIECE.to_string()]).await?;
            if reply::count(&reply).unwrap_or(0) < PIECE {
                return Ok(done(queue));
            }
        },
        (change, _) => Err(SystemError::Unsupported(format!(
            "ARQ cannot {} this: it applies to other things, or not to ARQ at all",
            change.verb().word()
        ))),
    }
}

fn done(queue: &QueueId) -> Outcome {
    Outcome { done: vec![queue.name.clone()], ..Outcome::default() }
}

fn with_ids(first: &[&[u8]], ids: &[JobId]) -> Vec<Vec<u8>> {
    first.iter().map(|word| word.to_vec()).chain(ids.iter().map(|id| id.as_bytes().to_vec())).collect()
}

fn refusal(code: i64) -> String {
    match code {
        0 => "it runs: a worker holds its lock".to_owned(),
        -1 => "it is not there any more".to_owned(),
        -3 => "it changed in the meantime: look at it again".to_owned(),
        -5 => "it is in the queue already".to_owned(),
        -6 => "it has no definition any more: a worker would fail it as \"job expired\"; remove it".to_owned(),
        -7 => "a worker of the queue shows a sign of life: if it runs the job, releasing it would run it twice. To do \
               it all the same, say --force"
            .to_owned(),
        code => format!("the server answered {code}"),
    }
}

/// Bytes of a key up to [`MOST`]; `None`: it is not there or larger.
async fn stored(link: &Link, key: Vec<u8>) -> Result<Option<Vec<u8>>, SystemError> {
    let size = reply::count(&link.ask(cmd("STRLEN").arg(&key).to_owned()).await?).unwrap_or(0);
    if size == 0 || size > MOST {
        return Ok(None);
    }
    let value = link.ask(cmd("GET").arg(key).to_owned()).await?;
    Ok(reply::bytes(&value).map(<[u8]>::to_vec))
}

/// Makes definitions of results and queues them.
async fn retry(arq: &Arq, link: &Link, keys: &Keys, state: StateId, ids: &[JobId]) -> Result<Outcome, SystemError> {
    let mut outcome = Outcome::default();
    for id in ids {
        let Some(result) = stored(link, keys::result(id.as_bytes())).await? else {
            outcome.refused.push((id.clone(), format!("it is not {state} any more, or its result is too large")));
            continue;
        };
        let unknown = rows::results(arq, link, std::slice::from_ref(id), rows::RESULT_HEAD).await?;
        if unknown.first().is_some_and(|(_, _, facts)| facts.function.as_deref() == Some("<unknown>")) {
            let why = "its definition had expired or was not readable, so that nothing is left to run";
            outcome.refused.push((id.clone(), why.to_owned()));
            continue;
        }
        let Some(definition) = encode::definition(&result, true) else {
            let why = "its result is in no serializer that qtop can cut a definition out of";
            outcome.refused.push((id.clone(), why.to_owned()));
            continue;
        };
        let hash = sha1_smol::Sha1::from(&result).digest().to_string();
        let arguments = [id.as_bytes(), hash.as_bytes(), &definition];
        let reply = RETRY.run(link, &[&keys.queue], &arguments).await?;
        outcome.absorb(verdicts(&reply, std::slice::from_ref(id), refusal));
    }
    Ok(outcome)
}

/// Asks workers to stop jobs, and waits for them to say that they did.
async fn abort(arq: &Arq, link: &Link, queue: &QueueId, ids: &[JobId]) -> Result<Outcome, SystemError> {
    let reply = ABORT.run::<&[u8], _>(link, &[], &with_ids(&[], ids)).await?;
    let asked = verdicts(&reply, ids, |_| "it does not run any more".to_owned());
    let mut outcome = Outcome { refused: asked.refused, unknown: asked.unknown, ..Outcome::default() };
    let mut open = asked.done;
    let until = tokio::time::Instant::now() + ABORT_WAIT;
    while !open.is_empty() && tokio::time::Instant::now() < until {
        tokio::time::sleep(ABORT_LOOK).await;
        let (found, _) = standing::look(arq, link, queue, &open).await?;
        let mut still = Vec::new();
        for (id, standing) in open.into_iter().zip(found) {
            match standing.state {
                Some(state::ABORTED) => outcome.done.push(id),
                Some(state::RUNNING | state::STALLED) => still.push(id),
                Some(state @ (state::COMPLETE | state::FAILED)) => {
                    outcome.refused.push((id, format!("it ended by itself before it was stopped: it is {state}")));
                }
                // Results are not always kept: it has left the queue, and nothing tells how.
                None => outcome.unknown.push(id),
                Some(state) => outcome.refused.push((id, format!("it is {state} by now"))),
            }
        }
        open = still;
    }
    if !open.is_empty() {
        let mut command = cmd("ZREM");
        command.arg(keys::ABORT);
        open.iter().for_each(|id| {
            command.arg(id.as_bytes());
        });
        link.ask(command).await?;
        let why = "no worker stopped it within 10 s: its worker may run without allow_abort_jobs, or the job does not \
                   give way; the request was taken back";
        outcome.refused.extend(open.into_iter().map(|id| (id, why.to_owned())));
    }
    Ok(outcome)
}

/// The serializer of a queue's other jobs; the library's own where there are none.
pub async fn serializer(link: &Link, keys: &Keys) -> Result<Serializer, SystemError> {
    let mut ids = Vec::new();
    for key in [&keys.queue, &keys.held()] {
        let members = link.ask(cmd("ZRANGE").arg(key).arg(-3).arg(-1).to_owned()).await?;
        ids.extend(reply::names(&members).unwrap_or_default().into_iter().map(|id| keys::job(&id)));
    }
    let mut step = cmd("SCAN");
    step.arg(0).arg("MATCH").arg("arq:result:*").arg("COUNT").arg(1_000);
    let results = link.ask(step).await?;
    ids.extend(reply::scan(&results).map(|(_, keys)| keys).unwrap_or_default().into_iter().take(3));
    for key in ids {
        let start = link.ask(cmd("GETRANGE").arg(key).arg(0).arg(15).to_owned()).await?;
        if let Some(found) = reply::bytes(&start).and_then(Serializer::of) {
            return Ok(found);
        }
    }
    Ok(Serializer::Pickle)
}

async fn add_new(arq: &Arq, link: &Link, queue: &QueueId, job: &NewJob) -> Result<Outcome, SystemError> {
    let bad = |text: &str| Err(SystemError::BadRequest(text.to_owned()));
    if job.priority != 0 || job.attempts.is_some() || job.dedup.is_some() {
        return bad(
            "ARQ jobs have no priority, attempts or deduplication of their own: the function's settings decide",
        );
    }
    let keys = Keys::of(queue);
    let (args, kwargs) = encode::arguments(&job.data).map_err(SystemError::BadRequest)?;
    let serializer = serializer(link, &keys).await?;
    let moment = standing::moment(arq, link, queue).await?;
    let written =
        encode::write(serializer, &job.name, &args, &kwargs, moment.now.0).map_err(SystemError::BadRequest)?;
    let id = job.id.clone().unwrap_or_else(fresh_id);
    add(link, &keys, &id, &written, job.delay).await
}

async fn add(link: &Link, keys: &Keys, id: &JobId, written: &[u8], delay: Duration) -> Result<Outcome, SystemError> {
    let of_job = [keys::job(id.as_bytes()), keys::result(id.as_bytes()), keys.queue.clone()];
    let delay = delay.as_millis().to_string();
    let reply = ADD.run(link, &of_job, &[id.as_bytes(), written, delay.as_bytes()]).await?;
    Ok(match reply {
        Value::Int(1) => Outcome { done: vec![id.clone()], created: vec![id.clone()], ..Outcome::default() },
        _ => {
            let why = "a job with this id is there already, or its result is still kept".to_owned();
            Outcome { refused: vec![(id.clone(), why)], ..Outcome::default() }
        }
    })
}

async fn duplicate(link: &Link, keys: &Keys, ids: &[JobId]) -> Result<Outcome, SystemError> {
    let mut outcome = Outcome::default();
    for id in ids {
        let open = stored(link, keys::job(id.as_bytes())).await?;
        let from = match open {
            Some(definition) => Some(definition),
            None => stored(link, keys::result(id.as_bytes())).await?,
        };
        let Some(definition) = from.and_then(|stored| encode::definition(&stored, true)) else {
            outcome.refused.push((id.clone(), "nothing readable is left of it to be copied".to_owned()));
            continue;
        };
        let added = add(link, keys, &fresh_id(), &definition, Duration::ZERO).await?;
        outcome.done.push(id.clone());
        outcome.created.extend(added.created);
    }
    Ok(outcome)
}

/// 32 hex digits, as the library makes them.
fn fresh_id() -> JobId {
    JobId::from(format!("{:032x}", fastrand::u128(..)))
}
