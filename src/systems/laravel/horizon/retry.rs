//! Retrying what Horizon lists as failed: whose job it is, and that its row in the application's database cannot run it
//! a second time.
//!
//! Horizon notes a job under its own prefix, with connection and queue but without the prefix of the application's
//! keys. Which that is follows from the configuration, or from keys that are there; where several fit nothing is pushed.

use serde_json::{Value as Json, json};

use super::{FAILED, is_retried, key, pushed};
use crate::domain::described::FailedDriver;
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::mutation::Outcome;
use crate::link::{Batch, Link, Reply, Script, Value};
use crate::systems::laravel::jobs::server_time;
use crate::systems::laravel::keys::{Keys, application_prefixes, cache_prefixes, horizon_prefixes};
use crate::systems::laravel::mutate::{push, runnable};
use crate::systems::laravel::payload::{Payload, new_uuid, quoted};
use crate::systems::laravel::plan::{RESTART, one};
use crate::systems::laravel::{Laravel, failed};
use crate::systems::{SystemError, reply};

static NOTE_RETRY: Script =
    Script::new(concat!(include_str!("../../forbidden.lua"), include_str!("../scripts/note_retry.lua")));

/// What Horizon notes of a failed job.
struct Noted {
    connection: String,
    queue: String,
    payload: Vec<u8>,
    /// As it stands; empty if it was never retried.
    retried_by: String,
}

/// Retries these jobs, each where it belongs.
pub async fn retry(
    laravel: &Laravel,
    link: &Link,
    horizon: &[u8],
    ids: &[JobId],
    force: bool,
) -> Result<Outcome, SystemError> {
    let mut outcome = Outcome::default();
    for id in ids {
        let noted = match noted(link, horizon, id).await? {
            Ok(noted) => noted,
            Err(why) => {
                outcome.refused.push((id.clone(), why));
                continue;
            }
        };
        let queue = match owner(laravel, link, horizon, &noted.queue).await? {
            Ok(prefix) => QueueId::new(crate::systems::laravel::NAME, Name::from(prefix), Name::from(&*noted.queue)),
            Err(why) => {
                outcome.refused.push((id.clone(), why));
                continue;
            }
        };
        if !force && is_retried(link, horizon, &id.to_text()).await? {
            let why = "Horizon has retried it and that has not ended: it would run twice; --force does it";
            outcome.refused.push((id.clone(), why.to_owned()));
            continue;
        }
        match laravel.rows_by_uuid(&queue.instance) {
            // With its row claimed nobody can retry it there once more.
            Some(store) if failed::retry_kept(store, link, horizon, &queue, id, &mut outcome).await? => continue,
            None if !force => {
                outcome.refused.push((id.clone(), NO_STORE.to_owned()));
                continue;
            }
            _ => {}
        }
        anew(link, horizon, &queue, id, &noted, &mut outcome).await?;
    }
    Ok(outcome)
}

const NO_STORE: &str = "the application's own table of failed jobs is not described, so that its row would stay and \
                        could run the job once more: describe it ([[laravel]] with `folder` or `failed`), or say \
                        --force";

async fn noted(link: &Link, horizon: &[u8], id: &JobId) -> Result<Result<Noted, String>, SystemError> {
    let mut ask = one("HMGET", &key(horizon, id.as_bytes()));
    ask.arg(&["status", "connection", "queue", "payload", "retried_by"][..]);
    let value = link.ask(ask).await?;
    let fields: Vec<Option<Vec<u8>>> =
        reply::list(&value).unwrap_or(&[]).iter().map(|field| reply::bytes(field).map(<[u8]>::to_vec)).collect();
    let [status, connection, queue, payload, retried_by] = fields.try_into().unwrap_or_default();
    let text = |field: Option<Vec<u8>>| field.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if text(status).as_deref() != Some(FAILED.0) {
        return Ok(Err("it is not failed any more".to_owned()));
    }
    let (Some(queue), Some(payload)) = (text(queue).filter(|queue| !queue.is_empty()), payload) else {
        return Ok(Err("Horizon does not tell its queue and payload".to_owned()));
    };
    Ok(Ok(Noted {
        connection: text(connection).unwrap_or_else(|| "redis".to_owned()),
        queue,
        payload,
        retried_by: text(retried_by).unwrap_or_default(),
    }))
}

/// The prefix of the application whose Horizon this is, or why it is not known.
async fn owner(
    laravel: &Laravel,
    link: &Link,
    horizon: &[u8],
    queue: &str,
) -> Result<Result<Vec<u8>, String>, SystemError> {
    let described = laravel.prefixes_described_for(horizon);
    if let [only] = described.as_slice() {
        return Ok(Ok(only.clone()));
    }
    let shown = String::from_utf8_lossy(horizon).into_owned();
    if described.len() > 1 {
        return Ok(Err(several(&described, &shown)));
    }
    // Those that are named like this Horizon and have a key of that queue, or their cache, in this Redis.
    let mut likely = application_prefixes(horizon);
    let met = laravel.prefixes_met();
    likely.extend(met.iter().filter(|prefix| horizon_prefixes(prefix).iter().any(|own| own == horizon)).cloned());
    likely.sort();
    likely.dedup();
    let mut there = Vec::new();
    for prefix in likely {
        if met.contains(&prefix) || leaves_traces(link, &prefix, queue).await? {
            there.push(prefix);
        }
    }
    // A name that is made of the same word tells more than one that only fits because it follows no habit.
    let named: Vec<Vec<u8>> = application_prefixes(horizon).into_iter().filter(|own| there.contains(own)).collect();
    let found = if named.is_empty() { there } else { named };
    Ok(match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(format!(
            "whose job it is cannot be told: no application with keys here is named like {shown}; describe it in a \
             [[laravel]] table with `prefix` and `horizon_prefix`"
        )),
        several_fit => Err(several(several_fit, &shown)),
    })
}

fn several(prefixes: &[Vec<u8>], horizon: &str) -> String {
    let names: Vec<String> = prefixes.iter().map(|prefix| format!("{:?}", String::from_utf8_lossy(prefix))).collect();
    format!(
        "several applications could own it, by their prefixes {}: give one [[laravel]] table `prefix` and \
         `horizon_prefix = \"{horizon}\"`",
        names.join(", ")
    )
}

/// True if a key of the queue, or of the application's cache, is there.
async fn leaves_traces(link: &Link, prefix: &[u8], queue: &str) -> Result<bool, SystemError> {
    let id = QueueId::new(crate::systems::laravel::NAME, Name::from(prefix), Name::from(queue));
    let Keys { list, delayed, reserved, notify } = Keys::of(&id);
    let mut batch = Batch::new();
    for key in [list, delayed, reserved, notify] {
        batch.ask(one("EXISTS", &key));
    }
    for cache in cache_prefixes(prefix) {
        batch.ask(one("EXISTS", &[&cache, RESTART.as_bytes()].concat()));
    }
    let there = |reply: &Reply| reply.as_ref().ok().and_then(reply::count) == Some(1);
    Ok(link.send(&batch).await?.iter().any(there))
}

/// As Horizon's own dashboard does it: under a new id that names the old one, which keeps a note of it. The note comes
/// first, so that of two people only one pushes.
async fn anew(
    link: &Link,
    horizon: &[u8],
    queue: &QueueId,
    id: &JobId,
    noted: &Noted,
    outcome: &mut Outcome,
) -> Result<(), SystemError> {
    let Some(payload) = Payload::read(&noted.payload).filter(Payload::is_job) else {
        let why = "its payload is no JSON object with job, data and attempts: a worker would destroy it".to_owned();
        outcome.refused.push((id.clone(), why));
        return Ok(());
    };
    let now = server_time(link).await?;
    let fresh = runnable(&payload, now);
    let uuid = new_uuid();
    let Some(fresh) = Payload::read(&fresh).map(|fresh| {
        fresh.with(&[("uuid", quoted(&uuid)), ("id", quoted(&uuid)), ("retry_of", quoted(&id.to_text()))])
    }) else {
        return Ok(());
    };
    let mut notes: Vec<Json> = serde_json::from_str(&noted.retried_by).unwrap_or_default();
    notes.push(json!({"id": uuid, "status": "pending", "retried_at": now.0 / 1_000}));
    let note = Json::from(notes).to_string();
    let hash = key(horizon, id.as_bytes());
    let set = async |old: &str, new: &str| NOTE_RETRY.run(link, &[&hash], &[old, new]).await;
    match set(&noted.retried_by, &note).await? {
        Value::Int(1) => {}
        Value::Int(-1) => {
            outcome.refused.push((id.clone(), "it is not failed any more".to_owned()));
            return Ok(());
        }
        _ => {
            outcome.refused.push((id.clone(), "somebody else has just retried it".to_owned()));
            return Ok(());
        }
    }
    let payloads = [fresh];
    if let Err(error) = push(link, queue, 0, &payloads).await {
        if matches!(&error, SystemError::Link(link) if link.may_have_arrived()) {
            outcome.unknown.push(id.clone());
        } else {
            set(&note, &noted.retried_by).await?;
            outcome.refused.push((id.clone(), format!("it was not pushed: {error}")));
        }
        return Ok(());
    }
    pushed(link, horizon, (&noted.connection, &queue.name), &payloads).await?;
    outcome.done.push(id.clone());
    outcome.created.push(JobId::from(uuid));
    Ok(())
}

/// True if the rows of such a store are found by the id that Horizon knows.
pub fn names_by_uuid(driver: FailedDriver) -> bool {
    matches!(driver, FailedDriver::DatabaseUuids | FailedDriver::File)
}
