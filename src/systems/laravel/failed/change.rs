//! Changes to failed jobs. A retry deletes the row first and pushes afterwards, so that two people can never run a job
//! twice; Laravel's own order is the other one and can. If the push fails the row is written again.

use std::time::Duration;

use super::{Failed, Row, StoreError};
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::mutation::{Change, Mutation, Outcome, Target};
use crate::domain::record::{KeyDump, Record};
use crate::link::Link;
use crate::systems::SystemError;
use crate::systems::laravel::jobs::server_time;
use crate::systems::laravel::mutate::{duplicate, push, runnable};
use crate::systems::laravel::payload::Payload;
use crate::systems::laravel::{FAILED, horizon};

/// Stands in a record's key in the place of a Redis key: the dump is the row as JSON.
const ROW_KEY: &str = "failed job of Laravel";

/// Waits between attempts to write a claimed row again: half a minute in all.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(32);

/// Performs one piece on failed jobs.
///
/// `horizon`: the prefix of its keys, if the application has it. A job that Horizon retried and that has not ended is
/// refused unless forced: Horizon leaves the row where it is, so the job would run twice.
pub async fn mutate(
    failed: &Failed,
    link: &Link,
    horizon: Option<&[u8]>,
    mutation: &Mutation,
) -> Result<Outcome, SystemError> {
    let Target::Jobs { ids, .. } = &mutation.target else {
        return Err(SystemError::BadRequest("failed jobs are changed one by one".to_owned()));
    };
    let queue = &mutation.queue;
    let mut outcome = Outcome::default();
    for id in ids {
        let Some(row) = failed.row(&queue.name.to_text(), &id.to_text()).await? else {
            outcome.refused.push((id.clone(), "it is not failed any more".to_owned()));
            continue;
        };
        match mutation.change {
            Change::Retry { .. } => {
                if let Some(prefix) = horizon
                    && !mutation.force
                    && horizon::is_retried(link, prefix, &row.id()).await?
                {
                    let why = "Horizon has retried it and that has not ended: it would run twice; --force does it";
                    outcome.refused.push((id.clone(), why.to_owned()));
                    continue;
                }
                retry(failed, link, horizon, queue, id, &row, &mut outcome).await?;
            }
            Change::Remove { .. } => match failed.delete(&row).await? {
                true => outcome.done.push(id.clone()),
                false => outcome.refused.push((id.clone(), "somebody else deleted it".to_owned())),
            },
            Change::Duplicate => {
                let ids = std::slice::from_ref(id);
                outcome.absorb(duplicate(link, queue, ids, &[row.payload.as_bytes()]).await?);
            }
            _ => {
                let what = mutation.change.verb().word();
                return Err(SystemError::Unsupported(format!("Laravel cannot {what} failed jobs")));
            }
        }
    }
    Ok(outcome)
}

/// Retries a job of which only the id is known, if it has a row; false: it has none.
pub async fn retry_kept(
    failed: &Failed,
    link: &Link,
    horizon: &[u8],
    queue: &QueueId,
    id: &JobId,
    outcome: &mut Outcome,
) -> Result<bool, SystemError> {
    let Some(row) = failed.row(&queue.name.to_text(), &id.to_text()).await? else { return Ok(false) };
    retry(failed, link, Some(horizon), queue, id, &row, outcome).await?;
    Ok(true)
}

async fn retry(
    failed: &Failed,
    link: &Link,
    horizon: Option<&[u8]>,
    queue: &QueueId,
    id: &JobId,
    row: &Row,
    outcome: &mut Outcome,
) -> Result<(), SystemError> {
    let Some(payload) = Payload::read(row.payload.as_bytes()).filter(Payload::is_job) else {
        let why = "its payload is no JSON object with job, data and attempts: a worker would destroy it".to_owned();
        outcome.refused.push((id.clone(), why));
        return Ok(());
    };
    // Asked before anything is deleted: a Redis that is gone is found here.
    let now = server_time(link).await?;
    let payload = runnable(&payload, now);
    if !failed.delete(row).await? {
        outcome.refused.push((id.clone(), "somebody else took it".to_owned()));
        return Ok(());
    }
    let payloads = [payload];
    let Err(error) = push(link, queue, 0, &payloads).await else {
        outcome.done.push(id.clone());
        if let Some(prefix) = horizon {
            horizon::pushed(link, prefix, (&row.connection, &queue.name), &payloads).await?;
        }
        return Ok(());
    };
    let back = write_again(failed, row).await;
    let arrived = matches!(&error, SystemError::Link(link) if link.may_have_arrived());
    match (back, arrived) {
        (Ok(_), false) => {
            outcome.refused.push((id.clone(), format!("it was not pushed ({error}); its row was written again")));
        }
        (Ok(_), true) => {
            tracing::warn!(%id, %error, "a retried job may have been pushed; its row was written again");
            outcome.unknown.push(id.clone());
        }
        (Err(lost), _) => {
            tracing::error!(%id, %error, %lost, "neither Redis nor the database answers: a failed job could not be put back");
            outcome.unknown.push(id.clone());
        }
    }
    Ok(())
}

/// Writes a claimed row again, patiently: until then the job is nowhere but here.
async fn write_again(failed: &Failed, row: &Row) -> Result<bool, StoreError> {
    let mut wait = FIRST_WAIT;
    loop {
        match failed.insert(row).await {
            Err(_) if wait < LONGEST_WAIT => tokio::time::sleep(wait).await,
            result => return result,
        }
        wait *= 2;
    }
}

/// Rows as they are, for the trash.
pub async fn take(failed: &Failed, queue: &QueueId, ids: &[JobId]) -> Result<Vec<Record>, SystemError> {
    let mut records = Vec::new();
    for id in ids {
        let Some(row) = failed.row(&queue.name.to_text(), &id.to_text()).await? else { continue };
        let dump = serde_json::to_vec(&row)
            .map_err(|error| SystemError::Unsupported(format!("the row cannot be copied: {error}")))?;
        let key = KeyDump { key: Name::from(ROW_KEY), dump, expires_at: 0 };
        records.push(Record { id: id.clone(), state: Some(FAILED), keys: vec![key], places: Vec::new() });
    }
    Ok(records)
}

/// The row of a record, if it is one of a failed job.
pub fn row_of(record: &Record) -> Option<Row> {
    let key = record.keys.iter().find(|key| key.key.as_bytes() == ROW_KEY.as_bytes())?;
    serde_json::from_slice(&key.dump).ok()
}

/// Writes rows again. One that is there as it was is left as it is: it never went, or is back already.
pub async fn restore(failed: &Failed, records: &[&Record]) -> Result<Outcome, SystemError> {
    let mut outcome = Outcome::default();
    for record in records {
        let Some(row) = row_of(record) else {
            outcome.refused.push((record.id.clone(), "the copy cannot be read".to_owned()));
            continue;
        };
        match failed.insert(&row).await {
            Ok(true) => outcome.done.push(record.id.clone()),
            Ok(false) => {
                let there = failed.row(&row.queue, &row.id()).await?;
                if !there.is_some_and(|there| there.is_same_failure(&row)) {
                    outcome.refused.push((record.id.clone(), "a row with its id is there".to_owned()));
                }
            }
            Err(error) => outcome.refused.push((record.id.clone(), error.to_string())),
        }
    }
    Ok(outcome)
}
