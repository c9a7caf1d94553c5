//! One job, opened: everything its keys tell.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::{Blob, Job, KeyFact};
use crate::domain::text;
use crate::link::{Batch, Link, MAX_VALUE_BYTES, Replies, cmd};
use crate::systems::{ReadError, SystemError, reply};

use super::blob::{Facts, Serializer};
use super::keys;
use super::{Arq, encode, rows, standing, state};

/// Bytes of a definition or result that are fetched without being asked for.
const FETCH: u64 = 1 << 20;

/// Opens a job; `None` if no key knows it.
pub async fn open(arq: &Arq, link: &Link, queue: &QueueId, id: &JobId, limit: u64) -> Result<Option<Job>, SystemError> {
    let (found, moment) = standing::look(arq, link, queue, std::slice::from_ref(id)).await?;
    let Some(standing) = found.into_iter().next() else { return Ok(None) };
    let Some(mut row) = rows::one(link, id, &standing).await? else { return Ok(None) };
    let ended = matches!(row.state, state::COMPLETE | state::FAILED | state::ABORTED);
    let fetched = FETCH.max(limit).min(MAX_VALUE_BYTES);
    let own = [
        ("string", keys::job(id.as_bytes())),
        ("string", keys::in_progress(id.as_bytes())),
        ("string", keys::retry(id.as_bytes())),
        ("string", keys::result(id.as_bytes())),
    ];
    let mut batch = Batch::new();
    batch.ask(cmd("GETRANGE").arg(&own[if ended { 3 } else { 0 }].1).arg(0).arg(fetched - 1).to_owned());
    batch.ask(cmd("ZSCORE").arg(keys::ABORT).arg(id.as_bytes()).to_owned());
    for (_, key) in &own {
        batch.ask(cmd("STRLEN").arg(key).to_owned()).ask(cmd("PTTL").arg(key).to_owned());
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let stored = reply::bytes(replies.next().map_err(ReadError::from)?).map(Bytes::copy_from_slice).unwrap_or_default();
    let abort = replies.next().ok().and_then(reply::float);
    let mut facts = Vec::new();
    let mut key_facts = Vec::new();
    let mut expires = [None; 4];
    for (slot, (kind, key)) in expires.iter_mut().zip(own) {
        let length = replies.next().ok().and_then(reply::count).unwrap_or(0);
        let left = replies.next().ok().and_then(reply::int).and_then(|left| u64::try_from(left).ok());
        *slot = left.map(Duration::from_millis);
        if length > 0 {
            key_facts.push(KeyFact { key: key.into(), kind: kind.to_owned(), length: Some(length), expires_in: *slot });
        }
    }
    if let Some(serializer) = Serializer::of(&stored) {
        facts.push(("serializer".to_owned(), serializer.word().to_owned()));
    }
    if let Some(due) = row.run_at.and_then(|due| due.rfc3339()).filter(|_| !ended) {
        facts.push(("due".to_owned(), due));
    }
    if let (Some(due), Some(left), false) = (row.run_at, expires[0], ended)
        && moment.now.plus(left) < due
    {
        let left = text::span(left);
        facts.push(("definition".to_owned(), format!("expires in {left}, before the job is due: it will then fail")));
    }
    if let Some(starts) = standing.starts.filter(|starts| *starts > 0 && !ended) {
        facts.push(("started".to_owned(), if starts == 1 { "once".to_owned() } else { format!("{starts} times") }));
    }
    if row.state == state::STALLED {
        let left = text::span(standing.lock.unwrap_or_default());
        let said = format!("no worker shows a sign of life; its lock runs out in {left}, then it runs again");
        facts.push(("stalled".to_owned(), said));
    }
    if abort.is_some() {
        let said = "asked for, and no worker has taken the request up";
        facts.push(("abort".to_owned(), said.to_owned()));
    }
    let total = if ended { standing.result_bytes } else { standing.definition_bytes };
    let whole = stored.len() as u64 >= total;
    let (payload, result) = if ended {
        let definition = encode::definition(&stored, false).filter(|_| whole);
        (definition.map(Blob::whole).unwrap_or_default(), Some(Blob { bytes: stored.clone(), total }))
    } else {
        (Blob { bytes: stored.clone(), total }, None)
    };
    let error = if ended {
        let read = Facts::read(&stored, total, b"");
        row.error = read.error.clone().or(row.error);
        read.error
    } else {
        None
    };
    Ok(Some(Job {
        row,
        payload,
        options: None,
        result,
        error,
        stack: Vec::new(),
        logs: Vec::new(),
        logs_total: None,
        parent: None,
        children: Vec::new(),
        keys: key_facts,
        facts,
    }))
}
