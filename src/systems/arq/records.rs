//! Full records of jobs for the trash.

use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::record::{Place, Record};
use crate::link::{Batch, Link, Replies, cmd};
use crate::systems::{ReadError, SystemError, record, reply};

use super::keys::{self, Keys};
use super::{Arq, standing, state};

/// Keys and places of jobs; those that are nowhere are left out.
pub async fn take(arq: &Arq, link: &Link, queue: &QueueId, ids: &[JobId]) -> Result<Vec<Record>, SystemError> {
    let keys = Keys::of(queue);
    let (found, moment) = standing::look(arq, link, queue, ids).await?;
    let mut batch = Batch::new();
    for id in ids {
        for key in [&keys.queue, &keys.held()] {
            batch.ask(cmd("ZSCORE").arg(key).arg(id.as_bytes()).to_owned());
        }
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let mut records = Vec::with_capacity(ids.len());
    for (id, standing) in ids.iter().zip(found) {
        let mut places = Vec::new();
        for key in [keys.queue.clone(), keys.held()] {
            if let Some(score) = reply::float(replies.next().map_err(ReadError::from)?) {
                places.push(Place::Sorted { key: Name::from(key), member: id.clone(), score: score.to_string() });
            }
        }
        let Some(state) = standing.state else { continue };
        // A running job is only asked to stop: nothing is deleted, and putting it back would run it twice.
        if matches!(state, state::RUNNING | state::STALLED) {
            continue;
        }
        // The first key guards: what is put back must not meet a job that took the id since.
        let own = match state {
            state::COMPLETE | state::FAILED | state::ABORTED => vec![keys::result(id.as_bytes())],
            _ => vec![keys::job(id.as_bytes()), keys::retry(id.as_bytes())],
        };
        let dumps = record::dump(link, &own, moment.now).await?;
        if !dumps.is_empty() {
            records.push(Record { id: id.clone(), state: Some(state), keys: dumps, places });
        }
    }
    Ok(records)
}
