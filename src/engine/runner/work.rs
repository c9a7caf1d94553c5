//! What passes between the pool and a handler: one job to run, what it says while it runs, how it ended.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::Progress;
use crate::domain::time::Timestamp;

/// Room for events between a handler and its slot. A handler that finds it full waits or drops output, never both.
pub const EVENTS: usize = 256;

/// One attempt at one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The queue it was taken from.
    pub queue: QueueId,
    /// That queue's address as the configuration writes it, for messages and placeholders.
    pub address: String,
    /// The job's id.
    pub id: JobId,
    /// Name or type, by which handlers are chosen; empty where the system has none.
    pub name: String,
    /// The exact bytes of the job's data, as stored (R17).
    pub payload: Bytes,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Attempts allowed in all; `None`: the queue and the configuration say nothing.
    pub attempts: Option<u32>,
    /// When the job was added, by the server's clock.
    pub created_at: Option<Timestamp>,
    /// When it was claimed, by the server's clock as far as it is known.
    pub claimed_at: Timestamp,
}

/// Which of a child's streams a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What a job says while it runs. Sent through a bounded channel; whoever reads slowly must not stop the child.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The program that runs it has started. A handler that starts none need not say it.
    Started,
    /// How far it is; stored where the system keeps it.
    Progress(Progress),
    /// A line for the job's own log, stored where the system keeps one.
    Log(String),
    /// A line of output, for the screen only.
    Output {
        /// Where it was written.
        stream: Stream,
        /// The line without its end, made safe and cut by the handler.
        line: String,
    },
}

/// Why an attempt did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Failure {
    /// One sentence or the job's own message; becomes the failure text where the system keeps one.
    pub message: String,
    /// Lines of a stack trace, or the last lines of standard error.
    pub stack: Vec<String>,
    /// The child died by a signal or without an answer: counts as having killed its worker (R15).
    pub crashed: bool,
}

impl Failure {
    /// A failure that has only a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }
}

/// How an attempt ended, before the policy of the pool has its say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It worked.
    Done {
        /// The result as JSON, if the job gave one.
        result: Option<Bytes>,
    },
    /// It did not work and may be tried again, as far as attempts are left.
    Retry {
        /// Why.
        failure: Failure,
        /// The wait the other side asked for (`Retry-After`); else the pool's backoff decides.
        after: Option<Duration>,
    },
    /// It did not work and trying again is of no use.
    Failed(Failure),
    /// It was not begun, because the program that is to run it cannot be started. That is no fault of the job: it goes back
    /// and has lost no attempt.
    NotStarted {
        /// What cannot be started, and why.
        reason: String,
    },
    /// It was cancelled through [`Room::cancel`]; nothing of it runs any more.
    Cancelled,
    /// It took longer than [`Room::timeout`]; nothing of it runs any more.
    TimedOut(Failure),
}

/// Why an attempt is ended from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked for it.
    Person,
    /// The claim is not ours any more; nothing may be written (R5).
    Lost(String),
    /// The grace time is over: it goes back.
    Grace,
}

/// Tells why an attempt is ended; given before [`Room::cancel`] is.
#[derive(Clone, Debug, Default)]
pub struct Why(Arc<Mutex<Option<Cause>>>);

impl Why {
    /// Gives a cause. The first counts, but a lost claim comes before all others.
    pub fn give(&self, cause: Cause) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() || matches!(cause, Cause::Lost(_)) {
            *known = Some(cause);
        }
    }

    /// The cause; `None`: nothing ends it from outside.
    pub fn get(&self) -> Option<Cause> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What becomes of an attempt that does not succeed, by the configuration and the job's own options. By default nothing
/// is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Outlook {
    /// The wait before another attempt after a failure that may pass; `None`: there is none.
    pub again: Option<Duration>,
    /// There is another attempt after such a failure if a time for it was asked for.
    pub asked: bool,
    /// There is another attempt after one that took too long.
    pub late: bool,
}

/// What a handler is given beside the work.
#[derive(Clone, Debug)]
pub struct Room {
    /// Where to tell what happens.
    pub events: mpsc::Sender<Event>,
    /// Ends the attempt: a person cancelled it, the lease is lost (R5), or the grace time is over.
    pub cancel: CancellationToken,
    /// Longest time the attempt may take; `None`: no limit.
    pub timeout: Option<Duration>,
    /// What becomes of the attempt if it does not succeed.
    pub outlook: Outlook,
    /// Why it is ended from outside.
    pub why: Why,
}

impl Room {
    /// For an attempt that is not repeated and that nobody ends but by its token.
    pub fn new(events: mpsc::Sender<Event>, cancel: CancellationToken, timeout: Option<Duration>) -> Self {
        Self { events, cancel, timeout, outlook: Outlook::default(), why: Why::default() }
    }
}
