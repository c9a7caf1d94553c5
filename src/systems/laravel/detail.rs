//! One job, opened.

use bytes::Bytes;

use super::items::{Container, Item, seek};
use super::jobs::{row, server_time};
use super::keys::Keys;
use super::payload::Payload;
use super::{DELAYED, PENDING, RESERVED};
use crate::domain::described::Application;
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::job::{Blob, Job, JobRow, KeyFact};
use crate::domain::state::StateId;
use crate::domain::text::age;
use crate::domain::time::Timestamp;
use crate::link::Link;
use crate::systems::SystemError;

/// Where a job is.
pub struct Place {
    /// In which container.
    pub container: Container,
    /// The payload.
    pub item: Item,
}

/// Looks for one job in all containers. `Err` of text if there were more payloads than one search looks at.
pub async fn find(link: &Link, queue: &QueueId, id: &JobId) -> Result<Result<Option<Place>, String>, SystemError> {
    let mut all = true;
    for state in [PENDING, RESERVED, DELAYED] {
        let container = Container::of(queue, state)?;
        let mut sought = seek(link, &container, std::slice::from_ref(id)).await?;
        if let Some(item) = sought.found.remove(id) {
            return Ok(Ok(Some(Place { container, item })));
        }
        all &= sought.all;
    }
    Ok(if all {
        Ok(None)
    } else {
        Err(format!("{id} is not among the first jobs of {}; only reading all of them would tell", queue.name))
    })
}

/// Opens a job that is in Redis.
pub async fn open(
    link: &Link,
    queue: &QueueId,
    application: Option<&Application>,
    id: &JobId,
    payload_limit: u64,
) -> Result<Option<Job>, SystemError> {
    let place = match find(link, queue, id).await? {
        Ok(Some(place)) => place,
        Ok(None) => return Ok(None),
        Err(text) => return Err(SystemError::Unsupported(text)),
    };
    let now = server_time(link).await?;
    let Place { container, item } = &place;
    let row = row(id.clone(), item, container.state, application, now);
    let mut job = opened(row, &item.bytes, item.total, payload_limit);
    job.facts.push(("place".to_owned(), where_it_is(container.state, item, now)));
    let keys = Keys::of(queue);
    let (key, kind) = match container.state {
        PENDING => (keys.list, "list"),
        DELAYED => (keys.delayed, "zset"),
        _ => (keys.reserved, "zset"),
    };
    job.keys.push(KeyFact { key: Name::from(key), kind: kind.to_owned(), length: None, expires_in: None });
    Ok(Some(job))
}

/// A job of which row and payload are known; the payload tells the rest.
pub fn blank(row: JobRow, bytes: &Bytes, payload_limit: u64) -> Job {
    opened(row, bytes, bytes.len() as u64, payload_limit)
}

/// The same for a payload of which perhaps only the start is there.
fn opened(row: JobRow, bytes: &Bytes, total: u64, payload_limit: u64) -> Job {
    let mut job = Job {
        error: None,
        payload: Blob { total, ..first(bytes, payload_limit) },
        options: None,
        result: None,
        stack: Vec::new(),
        logs: Vec::new(),
        logs_total: None,
        parent: None,
        children: Vec::new(),
        keys: Vec::new(),
        facts: Vec::new(),
        row,
    };
    if let Some(payload) = Payload::of(bytes, total) {
        tell(&payload, &mut job, payload_limit);
    }
    job
}

/// What only an opened job shows. The serialized command is shown as the job's options, as the tree it is.
fn tell(payload: &Payload<'_>, job: &mut Job, payload_limit: u64) {
    if let Some(command) = payload.command() {
        job.options = Some(first(&Bytes::from(command.into_bytes()), payload_limit));
    }
    let mut fact = |name: &str, value: Option<String>| {
        job.facts.extend(value.map(|value| (name.to_owned(), value)));
    };
    fact("handler", payload.text("job"));
    fact("timeout", payload.count("timeout").map(|seconds| format!("{seconds}s")));
    fact("backoff", payload.raw("backoff").map(|raw| raw.trim_matches('"').to_owned()));
    fact("retry until", payload.count("retryUntil").and_then(moment));
    fact("max exceptions", payload.text("maxExceptions"));
    fact("fails on timeout", payload.raw("failOnTimeout").filter(|raw| *raw == "true").map(|_| "yes".to_owned()));
    let tags = payload.tags();
    fact("tags", (!tags.is_empty()).then(|| tags.join(", ")));
    fact("retry of", payload.text("retry_of"));
    let id = payload.text("id").filter(|id| Some(id) != payload.text("uuid").as_ref());
    fact("id", id);
    let batch = payload.batch().map(|batch| format!("{batch}: without this job the batch never finishes"));
    fact("batch", batch);
    let chained = payload.command().and_then(|command| chained(&command));
    fact("chain", chained.map(|jobs| format!("{jobs} more jobs are kept inside this one and go with it")));
}

/// How many jobs wait inside a serialized command: `s:7:"chained";a:2:{`.
fn chained(command: &str) -> Option<u64> {
    let (_, after) = command.split_once("\"chained\";a:")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|jobs| *jobs > 0)
}

fn moment(seconds: u64) -> Option<String> {
    Timestamp::from_seconds(i64::try_from(seconds).ok()?).rfc3339()
}

fn where_it_is(state: StateId, item: &Item, now: Timestamp) -> String {
    let ends = item.score.map(|score| Timestamp((score * 1_000.0) as i64)).unwrap_or_default();
    match (state, item.place) {
        (PENDING, 0) => "next to be taken".to_owned(),
        (PENDING, ahead) => format!("{ahead} before it"),
        (DELAYED, _) if ends <= now => "due, and not moved by any worker yet".to_owned(),
        (DELAYED, ahead) => format!("{ahead} due before it"),
        _ if ends <= now => format!("its reservation ran out {} ago", age(ends.age(now))),
        _ => format!("reserved for {} more", age(ends.until(now))),
    }
}

fn first(bytes: &Bytes, limit: u64) -> Blob {
    let kept = bytes.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
    Blob { bytes: bytes.slice(..kept), total: bytes.len() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_chain_is_counted() {
        assert_eq!(chained("O:1:\"J\":1:{s:7:\"chained\";a:2:{i:0;s:1:\"x\";}}"), Some(2));
        assert_eq!(chained("O:1:\"J\":1:{s:7:\"chained\";a:0:{}}"), None);
        assert_eq!(chained(""), None);
    }
}
