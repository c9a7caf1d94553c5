//! What Horizon notes of single jobs, and keeping it right when qtop changes one.

use serde_json::Value as Json;

use super::{FAILED, key};
use crate::domain::ids::{JobId, Name};
use crate::domain::mutation::Outcome;
use crate::domain::record::{Place, Record};
use crate::link::{Batch, Link, Replies};
use crate::systems::laravel::jobs::server_time;
use crate::systems::laravel::payload::Payload;
use crate::systems::laravel::plan::one;
use crate::systems::record::dump;
use crate::systems::{ReadError, SystemError, reply};

/// Seconds for which Horizon keeps a job that waits.
const KEPT_SECONDS: u64 = 3_600;

/// Whether Horizon has retried a job and that retry has not ended.
pub async fn is_retried(link: &Link, prefix: &[u8], id: &str) -> Result<bool, SystemError> {
    let mut ask = one("HGET", &[prefix, id.as_bytes()].concat());
    let Some(text) = reply::text(&link.ask(ask.arg("retried_by").to_owned()).await?) else { return Ok(false) };
    let retries: Vec<Json> = serde_json::from_str(&text).unwrap_or_default();
    Ok(retries.iter().any(|retry| retry.get("status").and_then(Json::as_str) == Some("pending")))
}

/// Notes pushed payloads as Horizon does itself, so that it shows them in time and whole.
pub async fn pushed(
    link: &Link,
    prefix: &[u8],
    (connection, queue): (&str, &Name),
    payloads: &[Vec<u8>],
) -> Result<(), SystemError> {
    let now = server_time(link).await?.0 as f64 / 1_000.0;
    let mut batch = Batch::new();
    for bytes in payloads {
        let Some(payload) = Payload::read(bytes) else { continue };
        let Some(id) = payload.id() else { continue };
        let key = [prefix, id.as_bytes()].concat();
        let mut hash = one("HSET", &key);
        hash.arg("id").arg(&id).arg("connection").arg(connection).arg("queue").arg(queue.as_bytes());
        hash.arg("name").arg(payload.name().unwrap_or_default()).arg("status").arg("pending");
        hash.arg("payload").arg(bytes.as_slice()).arg("created_at").arg(now).arg("updated_at").arg(now);
        batch.ask(hash);
        for set in ["recent_jobs", "pending_jobs"] {
            batch.ask(one("ZADD", &[prefix, set.as_bytes()].concat()).arg(-now).arg(&id).to_owned());
        }
        batch.ask(one("PEXPIRE", &key).arg(KEPT_SECONDS * 1_000).to_owned());
    }
    if !batch.is_empty() {
        link.send(&batch).await?;
    }
    Ok(())
}

/// Forgets jobs that were taken out before they ran.
pub async fn removed(link: &Link, prefix: &[u8], ids: &[JobId]) -> Result<(), SystemError> {
    let mut batch = Batch::new();
    for id in ids {
        batch.ask(one("HGET", &[prefix, id.as_bytes()].concat()).arg("status").to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut batch = Batch::new();
    for (id, reply) in ids.iter().zip(replies) {
        if reply.ok().and_then(|value| reply::text(&value)).as_deref() != Some("pending") {
            continue;
        }
        for set in ["recent_jobs", "pending_jobs"] {
            batch.ask(one("ZREM", &[prefix, set.as_bytes()].concat()).arg(id.as_bytes()).to_owned());
        }
        batch.ask(one("DEL", &[prefix, id.as_bytes()].concat()));
    }
    if !batch.is_empty() {
        link.send(&batch).await?;
    }
    Ok(())
}

/// Forgets failed jobs as Horizon does: the list first, then the hash of those that were in it.
pub async fn forget(link: &Link, prefix: &[u8], ids: &[JobId]) -> Result<Outcome, SystemError> {
    let mut batch = Batch::new();
    for id in ids {
        batch.ask(one("ZREM", &key(prefix, b"failed_jobs")).arg(id.as_bytes()).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut outcome = Outcome::default();
    let mut batch = Batch::new();
    for (id, reply) in ids.iter().zip(replies) {
        match reply.map_err(ReadError::from)? {
            value if reply::count(&value) == Some(1) => {
                batch.ask(one("DEL", &key(prefix, id.as_bytes())));
                outcome.done.push(id.clone());
            }
            _ => outcome.refused.push((id.clone(), "it is not among Horizon's failed jobs any more".to_owned())),
        }
    }
    if !batch.is_empty() {
        link.send(&batch).await?;
    }
    Ok(outcome)
}

/// Failed jobs with their hashes, for the trash.
pub async fn take(link: &Link, prefix: &[u8], ids: &[JobId]) -> Result<Vec<Record>, SystemError> {
    let failed = key(prefix, b"failed_jobs");
    let now = server_time(link).await?;
    let mut batch = Batch::new();
    for id in ids {
        batch.ask(one("ZSCORE", &failed).arg(id.as_bytes()).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let mut records = Vec::new();
    for id in ids {
        let score = replies.next().map_err(ReadError::from)?;
        let Some(score) = reply::text(score).or_else(|| reply::float(score).map(|score| score.to_string())) else {
            continue;
        };
        let keys = dump(link, &[key(prefix, id.as_bytes())], now).await?;
        let place = Place::Sorted { key: Name::from(failed.as_slice()), member: id.clone(), score };
        // Without its hash there is nothing that a later job of that id could stand in the way of.
        records.push(Record { id: id.clone(), state: Some(FAILED), keys, places: vec![place] });
    }
    Ok(records)
}
