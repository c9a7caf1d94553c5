//! A job as a list row and as an opened record.

use std::time::Duration;

use bytes::Bytes;

use super::ids::{JobId, JobRef, Name};
use super::state::{StateId, StateKind};
use super::time::Timestamp;

/// How far a running job says it is.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Progress {
    /// 0 to 100; `None` if the job reports something that is no share of a whole.
    pub percent: Option<f64>,
    /// Step number, for jobs that count steps.
    pub step: Option<u64>,
    /// Number of steps.
    pub total: Option<u64>,
    /// The job's own words, for example the name of the step.
    pub text: Option<String>,
}

/// The right to work on a job, as the system keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Time left by the server's clock when it was read. `None`: a lease without an end.
    pub left: Option<Duration>,
    /// Who holds it (token or worker name), if told.
    pub holder: Option<Name>,
}

/// A job in a list. Never carries the payload: rows are read from small named fields (P7).
#[derive(Clone, Debug, PartialEq)]
pub struct JobRow {
    /// The job's id.
    pub id: JobId,
    /// The job's name or type; `None` where the system has none.
    pub name: Option<String>,
    /// The state whose list it was found in.
    pub state: StateId,
    /// What that state means.
    pub kind: StateKind,
    /// Reported progress.
    pub progress: Option<Progress>,
    /// Attempts that have ended or started, as the system counts them.
    pub attempts_made: Option<u64>,
    /// Attempts allowed.
    pub attempts_max: Option<u64>,
    /// The system's own priority number.
    pub priority: Option<i64>,
    /// When it was added.
    pub created_at: Option<Timestamp>,
    /// When it may run (scheduled, retrying).
    pub run_at: Option<Timestamp>,
    /// When its latest attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Who runs or ran it.
    pub worker: Option<String>,
    /// First line of its last error, at most 500 characters.
    pub error: Option<String>,
    /// Size of the payload in bytes.
    pub payload_bytes: Option<u64>,
    /// Lock or lease; for active jobs only. `Some` with `left: Some(0)` means it has run out.
    pub lease: Option<Lease>,
    /// False if the list names a job whose record is gone.
    pub record_exists: bool,
}

impl JobRow {
    /// A row in which only id and state are known.
    pub fn bare(id: impl Into<JobId>, state: StateId, kind: StateKind) -> Self {
        Self {
            id: id.into(),
            name: None,
            state,
            kind,
            progress: None,
            attempts_made: None,
            attempts_max: None,
            priority: None,
            created_at: None,
            run_at: None,
            started_at: None,
            finished_at: None,
            worker: None,
            error: None,
            payload_bytes: None,
            lease: None,
            record_exists: true,
        }
    }

    /// How long the job waited: from when it could have run until it started, or until `now`. Of one that runs nobody
    /// knows unless its start was written down.
    pub fn waited(&self, now: Timestamp) -> Option<Duration> {
        let ready = self.run_at.or(self.created_at)?;
        match (self.kind, self.started_at.or(self.finished_at)) {
            (_, Some(end)) => Some(ready.age(end)),
            (StateKind::Active, None) => None,
            (_, None) => Some(ready.age(now)),
        }
    }

    /// How long the latest attempt ran, or has been running.
    pub fn ran(&self, now: Timestamp) -> Option<Duration> {
        let start = self.started_at?;
        match (self.kind, self.finished_at) {
            (StateKind::Active, _) => Some(start.age(now)),
            (_, Some(end)) => Some(start.age(end)),
            (_, None) => None,
        }
    }
}

/// Bytes of a payload, option set or result, perhaps cut.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Blob {
    /// The first bytes, at most what was asked for (64 KiB by default).
    pub bytes: Bytes,
    /// The full size in bytes.
    pub total: u64,
}

impl Blob {
    /// A blob that is whole.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let total = bytes.len() as u64;
        Self { bytes, total }
    }

    /// True if there is more than what is here.
    pub fn is_cut(&self) -> bool {
        (self.bytes.len() as u64) < self.total
    }
}

/// A job this one waits for or belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relative {
    /// Where to find it, if its key could be read as one of a known queue.
    pub job: Option<JobRef>,
    /// The key or id as stored.
    pub label: String,
    /// What became of it, in the system's words (`unfinished`, `processed`, `failed` …).
    pub state: Option<String>,
}

/// One Redis key that belongs to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFact {
    /// The key.
    pub key: Name,
    /// Redis type, for example `hash`.
    pub kind: String,
    /// Length in the type's own measure: bytes, fields, members.
    pub length: Option<u64>,
    /// Time to live; `None`: does not expire.
    pub expires_in: Option<Duration>,
}

/// A job opened for reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// What lists show of it.
    pub row: JobRow,
    /// The payload, up to the size that was asked for.
    pub payload: Blob,
    /// Options as stored, if the system keeps them.
    pub options: Option<Blob>,
    /// Result as stored.
    pub result: Option<Blob>,
    /// Full error text.
    pub error: Option<String>,
    /// Stack traces, oldest first.
    pub stack: Vec<String>,
    /// The last log lines, oldest first.
    pub logs: Vec<String>,
    /// How many log lines there are in all.
    pub logs_total: Option<u64>,
    /// The job that waits for this one.
    pub parent: Option<Relative>,
    /// Jobs this one waits or waited for.
    pub children: Vec<Relative>,
    /// The job's own keys.
    pub keys: Vec<KeyFact>,
    /// Further facts in the system's words, label and value.
    pub facts: Vec<(String, String)>,
}

/// Where a list of jobs goes on. Opaque: made by the adapter, printable, short.
#[derive(Clone, Debug, PartialEq, Eq, Default, Hash)]
pub struct Cursor(pub String);

/// A part of a state's list.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PageRequest {
    /// Where to begin; `None`: at the end that is most interesting (next to run, newest finished).
    pub cursor: Option<Cursor>,
    /// At most so many rows, 1 to 500 (P3).
    pub limit: usize,
}

/// An answer to a [`PageRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The rows, in the system's order.
    pub rows: Vec<T>,
    /// Where it goes on; `None`: this was the end.
    pub next: Option<Cursor>,
    /// How many there are in all, if known.
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// A page that holds everything there is.
    pub fn whole(rows: Vec<T>) -> Self {
        let total = Some(rows.len() as u64);
        Self { rows, next: None, total }
    }
}

/// What a server-side search looks for. All given parts must hold.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Search {
    /// Text to find, without regard to ASCII case; looked for in id, name and error.
    pub text: String,
    /// Also look into payloads, at most so many bytes of each; 0: do not.
    pub payload_bytes: u64,
}

/// One step of a search: a bounded number of jobs was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchStep {
    /// Jobs that matched.
    pub hits: Vec<JobRow>,
    /// How many were looked at in this step.
    pub scanned: u64,
    /// Where it goes on; `None`: all were looked at.
    pub next: Option<Cursor>,
    /// How many there are to look at in all, if known.
    pub total: Option<u64>,
}

/// A repeatable job or scheduler.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its id inside the queue.
    pub id: Name,
    /// Name of the jobs it makes.
    pub name: Option<String>,
    /// When, in the system's words: a cron pattern or `every 5m`.
    pub rule: String,
    /// Time zone of a pattern.
    pub zone: Option<String>,
    /// Next run.
    pub next_run: Option<Timestamp>,
    /// How often it has fired, if counted.
    pub fired: Option<u64>,
    /// Anything odd about it (legacy format, ended, template missing).
    pub note: Option<String>,
}
