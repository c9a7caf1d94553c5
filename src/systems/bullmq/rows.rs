//! Rows of job lists: named small fields and sizes, never a payload (P7).

use std::time::Duration;

use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::job::{Blob, JobRow, Lease};
use crate::domain::state::{StateId, StateKind};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Reply, Value, cmd};
use crate::systems::{SystemError, reply};

use super::keys::Keys;
use super::sample::due;
use super::{STATES, progress, state};

/// Fields that are always small.
const FIELDS: &[&str] =
    &["name", "timestamp", "priority", "atm", "attemptsMade", "processedOn", "finishedOn", "pb", "ats"];
/// Fields that programs fill; each is fetched only up to [`SMALL`].
const SIZED: &[&str] = &["data", "opts", "failedReason", "progress"];
/// Most bytes of one field that a row is worth.
const SMALL: u64 = 4096;
/// Most characters of an error in a row.
const ERROR_CHARS: usize = 500;

/// A job as a list names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its id.
    pub id: JobId,
    /// Which list.
    pub state: StateId,
    /// Its score there, if the list has scores.
    pub score: Option<f64>,
}

/// What a state means.
pub fn kind_of(state: StateId) -> StateKind {
    STATES.iter().find(|spec| spec.id == state).map_or(StateKind::Other, |spec| spec.kind)
}

/// Reads the rows of these jobs in two turns: sizes and small fields, then what is small enough of the rest.
pub async fn read(link: &Link, keys: &Keys, found: &[Found]) -> Result<Vec<JobRow>, SystemError> {
    let mut batch = Batch::new();
    let sections: Vec<_> = found
        .iter()
        .map(|job| batch.section(|batch| ask_small(batch, keys, job.id.as_bytes(), job.state == state::ACTIVE)))
        .collect();
    let replies = link.send(&batch).await?;
    let mut drafts = Vec::with_capacity(found.len());
    let mut second = Batch::new();
    for (job, section) in found.iter().zip(&sections) {
        let mut replies = crate::link::Replies::section(&replies, section);
        let draft = Draft::read(job, &mut || replies.next().cloned());
        let wanted = draft.wanted();
        let section = second.section(|batch| {
            if !wanted.is_empty() {
                batch.ask(hmget(keys.job(job.id.as_bytes()), &wanted));
            }
        });
        drafts.push((draft, wanted, section));
    }
    let replies = link.send(&second).await?;
    let rows = drafts.into_iter().map(|(mut draft, wanted, section)| {
        if let Ok(value) = crate::link::Replies::section(&replies, &section).next() {
            draft.fill(&wanted, value);
        }
        draft.row
    });
    Ok(rows.collect())
}

/// Asks for one job's small fields, sizes and, if it is active, its lock.
fn ask_small(batch: &mut Batch, keys: &Keys, id: &[u8], active: bool) {
    let job = keys.job(id);
    batch.ask(hmget(job.clone(), FIELDS));
    for field in SIZED {
        batch.ask(cmd("HSTRLEN").arg(&job).arg(*field).to_owned());
    }
    if active {
        let lock = keys.part(id, "lock");
        batch.ask(cmd("PTTL").arg(&lock).to_owned()).ask(cmd("GET").arg(&lock).to_owned());
    }
}

/// `HMGET` of named fields.
pub fn hmget(key: Vec<u8>, fields: &[&str]) -> crate::link::Cmd {
    let mut command = cmd("HMGET");
    command.arg(key).arg(fields);
    command
}

/// A row that lacks what depends on a second look.
struct Draft {
    row: JobRow,
    sizes: [u64; SIZED.len()],
}

impl Draft {
    fn read(job: &Found, next: &mut dyn FnMut() -> Reply) -> Self {
        let mut row = JobRow::bare(job.id.clone(), job.state, kind_of(job.state));
        let fields = next();
        let sizes = [(); SIZED.len()].map(|()| next().ok().and_then(|value| reply::count(&value)).unwrap_or(0));
        match fields.as_ref().map(reply::list) {
            Ok(Some(values)) => {
                row.record_exists =
                    values.iter().any(|value| *value != Value::Nil) || sizes.iter().any(|size| *size > 0);
                fill_small(&mut row, values);
            }
            // The record is of another kind or may not be read: that is no job to show, and no zero either.
            Ok(None) => row.record_exists = false,
            Err(refused) => {
                row.record_exists = false;
                row.error = Some(format!("cannot be read: {refused}"));
            }
        }
        if row.record_exists {
            row.payload_bytes = Some(sizes[0]);
        }
        place(&mut row, job.score);
        if job.state == state::ACTIVE {
            let (left, holder) = (next(), next());
            row.lease = lease(left.as_ref().ok(), holder.as_ref().ok());
        }
        Self { row, sizes }
    }

    /// Fields that are there and small.
    fn wanted(&self) -> Vec<&'static str> {
        let sized = SIZED.iter().zip(self.sizes).skip(1);
        sized.filter(|(_, size)| (1..=SMALL).contains(size)).map(|(field, _)| *field).collect()
    }

    fn fill(&mut self, wanted: &[&str], value: &Value) {
        let values = reply::list(value).unwrap_or_default();
        for (field, value) in wanted.iter().zip(values) {
            let Some(bytes) = reply::bytes(value) else { continue };
            match *field {
                "opts" => self.row.attempts_max = attempts_of(bytes),
                "progress" => self.row.progress = progress::parse(bytes),
                _ => self.row.error = Some(text::first_line(&String::from_utf8_lossy(bytes), ERROR_CHARS)),
            }
        }
        if self.sizes[2] > SMALL {
            let size = text::size(self.sizes[2]);
            self.row.error = Some(format!("(error text of {size}: open the job to read it)"));
        }
    }
}

/// The fields of [`FIELDS`].
fn fill_small(row: &mut JobRow, values: &[Value]) {
    let [name, created, priority, atm, attempts_made, started, finished, worker, begun] = values else { return };
    let time = |value: &Value| reply::int(value).map(Timestamp);
    row.name = reply::text(name);
    row.created_at = time(created);
    row.priority = reply::int(priority);
    // 4.x has `attemptsMade`, later ones `atm`; both are absent until the first attempt has ended.
    let made = reply::count(atm).or_else(|| reply::count(attempts_made));
    row.attempts_made = if row.record_exists { made.or(Some(0)) } else { made };
    // The attempt under way counts too. 4.x has counted it when it began; later ones count beginnings in `ats`.
    if row.state == state::ACTIVE && reply::count(begun).is_some() {
        row.attempts_made = made.or(Some(0)).map(|made| made + 1);
    }
    row.started_at = time(started);
    row.finished_at = time(finished);
    row.worker = reply::text(worker);
}

/// What the place in a list tells beyond the record.
fn place(row: &mut JobRow, score: Option<f64>) {
    let Some(score) = score else { return };
    match row.state {
        state::DELAYED => row.run_at = Some(due(score)),
        state::COMPLETED | state::FAILED => row.finished_at = row.finished_at.or(Some(Timestamp(score as i64))),
        _ => {}
    }
}

/// A lock from its `PTTL` and token; a missing lock has run out.
pub fn lease(left: Option<&Value>, holder: Option<&Value>) -> Option<Lease> {
    let holder = holder.and_then(reply::bytes).map(Name::from);
    let left = match reply::int(left?)? {
        -1 => None,
        left => Some(Duration::from_millis(u64::try_from(left).unwrap_or(0))),
    };
    Some(Lease { left, holder })
}

/// Attempts allowed by `opts`; the library treats none and 0 as one.
pub fn attempts_of(opts: &[u8]) -> Option<u64> {
    let opts: serde_json::Value = serde_json::from_slice(opts).ok()?;
    Some(opts.get("attempts").and_then(serde_json::Value::as_u64).unwrap_or(1).max(1))
}

/// Results of finished jobs, where they are small; of larger ones nothing is read.
pub async fn results(link: &Link, queue: &QueueId, ids: &[JobId]) -> Result<Vec<Option<Blob>>, SystemError> {
    let keys = Keys::of(queue);
    let one = |name: &str, id: &JobId| {
        let mut command = cmd(name);
        command.arg(keys.job(id.as_bytes())).arg("returnvalue");
        command
    };
    let mut sizes = Batch::new();
    for id in ids {
        sizes.ask(one("HSTRLEN", id));
    }
    let sizes = link.send(&sizes).await?;
    let small = |size: &Reply| {
        let bytes = size.as_ref().ok().and_then(reply::count).unwrap_or(0);
        (1..=SMALL).contains(&bytes)
    };
    let wanted: Vec<usize> = (0..ids.len()).filter(|index| sizes.get(*index).is_some_and(small)).collect();
    let mut batch = Batch::new();
    for index in &wanted {
        batch.ask(one("HGET", &ids[*index]));
    }
    let mut results = vec![None; ids.len()];
    for (index, reply) in wanted.into_iter().zip(link.send(&batch).await?) {
        results[index] = reply.ok().as_ref().and_then(reply::bytes).map(|bytes| Blob::whole(bytes.to_vec()));
    }
    Ok(results)
}
