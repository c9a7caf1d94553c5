//! The protocol of taking jobs: what a system must be able to do so that the runner can work on its queues.
//!
//! Only the protocol. Slots, time limits, handlers, backoff and the decision between another attempt and giving up are
//! the runner's, once for all systems.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Answer, SystemError};
use crate::domain::address::glob;
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::job::Progress;
use crate::domain::time::Timestamp;
use crate::link::Link;

/// One runner's place at one queue.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The queue.
    pub queue: QueueId,
    /// Unique name of the runner: a new one each time a runner starts.
    pub worker: Name,
    /// Its process id, for signs of life that tell it.
    pub process: u32,
    /// The machine it runs on, for the same; empty if it is not known.
    pub host: Arc<str>,
    /// How long a claim holds without being renewed.
    pub lease: Duration,
    /// At most so many jobs of the queue a time, on all its workers together where the system can do that.
    pub rate: Option<(u64, Duration)>,
    /// A job that killed its workers so often is given up (R15).
    pub max_deaths: u32,
    /// Finished jobs to keep where the job does not say it itself.
    pub keep: Retention,
    /// Globs over the names of the jobs that may be taken, for systems that leave others where they are; none: all.
    pub names: Arc<[String]>,
    /// Attempts the configuration allows.
    pub attempts: Allowed,
    /// Jobs to be taken over that workers of other makers hold, for systems where these stay with a worker that died.
    pub left_behind: Option<LeftBehind>,
}

/// Attempts that a configuration allows, by the names of jobs.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Globs over names, and what holds for the jobs they match; the first counts.
    pub by_name: Arc<[(Vec<String>, Option<u32>)]>,
    /// What holds for all others; `None`: nothing is said.
    pub others: Option<u32>,
}

impl Allowed {
    /// For jobs of this name; `None`: nothing is said.
    pub fn of(&self, name: &str) -> Option<u32> {
        let said = self.by_name.iter().find(|(globs, _)| globs.iter().any(|pattern| glob(pattern, name)));
        said.map_or(self.others, |(_, attempts)| *attempts)
    }
}

/// When a job that a worker of another maker holds counts as left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftBehind {
    /// Its worker gave no sign for so long.
    pub idle: Duration,
    /// One that was delivered so often is given up instead of being run.
    pub most_deliveries: u32,
}

/// How many finished jobs to keep, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Retention {
    /// Succeeded ones; `None`: all.
    pub done: Option<Keep>,
    /// Those given up; `None`: all.
    pub failed: Option<Keep>,
}

/// A bound on kept jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Keep {
    /// The newest so many.
    pub count: Option<u64>,
    /// None older than this.
    pub age: Option<Duration>,
}

/// The wait before another attempt, as a job's own options give it.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnBackoff {
    /// Always the same.
    Fixed(Duration),
    /// Doubles from this.
    Exponential {
        /// Before the second attempt.
        base: Duration,
        /// Share of the wait that is left to chance, 0 to 1.
        jitter: f64,
    },
    /// One after the other; the last again and again.
    Listed(Vec<Duration>),
    /// A kind only the application's own code knows; the text names it.
    Foreign(String),
    /// None: a failure is final unless the job itself asks for another attempt.
    OnRequest,
}

/// What a job itself says about how it may run, where its system knows such things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    /// An attempt may take no longer; the pool's own timeout holds too.
    pub timeout: Option<Duration>,
    /// An attempt that took too long is the last.
    pub fail_on_timeout: bool,
    /// Attempts are counted when they begin, so a job that has used up all of them lost the last with its worker: it is
    /// given up without being run.
    pub counted_at_start: bool,
}

/// A job taken, and what is needed to give it back.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its id.
    pub id: JobId,
    /// Its name; empty where the system has none.
    pub name: String,
    /// The exact bytes of its data (R17).
    pub payload: Bytes,
    /// Attempts that have ended before this one.
    pub attempts_made: u32,
    /// Attempts its own options allow.
    pub attempts: Option<u32>,
    /// The wait its own options ask for.
    pub backoff: Option<OwnBackoff>,
    /// When it was added.
    pub created_at: Option<Timestamp>,
    /// When it could have run: due time or time of adding.
    pub ready_at: Option<Timestamp>,
    /// When it was taken, by the server's clock.
    pub claimed_at: Timestamp,
    /// How often a worker has died with it.
    pub deaths: u32,
    /// What it says about how it may run.
    pub limits: Limits,
    /// It must be given up with this reason, without being run.
    pub doomed: Option<String>,
    /// What proves the claim; the adapter's own.
    pub token: Bytes,
    /// The adapter's own knowledge of where the job is.
    pub receipt: Bytes,
}

/// What a request for jobs brought.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// Jobs, now held by this seat.
    pub claims: Vec<Claim>,
    /// Wait no longer than this before asking again; `None`: as long as the runner likes.
    pub patience: Option<Duration>,
    /// Nothing may be taken before this is over, for example because of a rate limit. Without words: waiting would be of
    /// no use, and that is no news to anybody.
    pub hold: Option<(Duration, String)>,
}

/// What becomes of a job after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It succeeded; the result as JSON.
    Done(Option<Bytes>),
    /// Another attempt after this wait.
    Retry {
        /// Why.
        message: String,
        /// Lines of a stack trace.
        stack: Vec<String>,
        /// How long to wait.
        delay: Duration,
        /// The attempt killed its worker: to be counted (R15).
        crashed: bool,
    },
    /// Given up.
    Dead {
        /// Why.
        message: String,
        /// Lines of a stack trace.
        stack: Vec<String>,
        /// What it died of, for systems that tell these apart.
        fate: Fate,
    },
    /// Back to where it came from, next to run, as if it had not been taken.
    Return,
    /// Back, but not before this wait is over; no attempt is counted.
    Postpone(Duration),
}

/// What a job that is given up died of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fate {
    /// It failed.
    #[default]
    Failed,
    /// Somebody asked for its end.
    Cancelled,
    /// It took too long.
    TimedOut,
}

/// The outcome of one attempt, to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The job.
    pub claim: &'a Claim,
    /// What becomes of it.
    pub verdict: &'a Verdict,
    /// Another job is wanted in the same step.
    pub next: bool,
}

/// Whether the outcome was stored.
#[derive(Clone, Debug)]
pub enum Settled {
    /// It was; the next job, if one was asked for and there is one.
    Stored(Option<Arc<Claim>>),
    /// The claim is not this seat's any more; nothing was written (R5).
    Lost(String),
    /// The job cannot end like that, for example because its children have not; nothing was written.
    Refused(String),
}

/// What regular upkeep found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tended {
    /// Jobs of dead workers that were given back.
    pub returned: u64,
    /// When this changes, programs that were started before are to be started anew: the application has new code.
    pub generation: Option<u64>,
}

/// A schedule that is due.
#[derive(Clone, Debug)]
pub struct Firing {
    /// Unique among the queue's schedules.
    pub schedule: String,
    /// Name for the job.
    pub name: String,
    /// The moment it stands for; a moment fires once, with any number of runners (R25).
    pub tick: Timestamp,
    /// The job's data as JSON.
    pub data: Bytes,
    /// The moment has passed already: it counts only if the schedule has fired before, else it is just remembered.
    pub missed: bool,
}

/// Taking jobs from a system's queues. Every change is one script whose precondition is inside (R2).
pub trait Consume: Send + Sync {
    /// Says why this queue cannot be worked on, before anything is taken.
    fn check(&self, queue: &QueueId) -> Result<(), String>;

    /// Instance of an address that names none, for example a prefix.
    fn instance(&self) -> &str {
        ""
    }

    /// How long a claim holds where it cannot be renewed (R14); `None`: it can.
    fn fixed_lease(&self, queue: &QueueId) -> Option<Duration> {
        let _ = queue;
        None
    }

    /// True if jobs of other names than those of [`Seat::names`] stay untouched for other workers.
    fn picks_by_name(&self) -> bool {
        false
    }

    /// What a handler is given of a job that is stored like this; else what it cannot be made of.
    fn handed(&self, stored: &Bytes) -> Result<Bytes, String> {
        Ok(stored.clone())
    }

    /// What a person should know of the jobs that this seat leaves untouched.
    fn remark(&self, seat: &Seat) -> Option<String> {
        let _ = seat;
        None
    }

    /// How often to look whether somebody wants running jobs to end; `None`: the system has no such request.
    fn heeds_every(&self) -> Option<Duration> {
        None
    }

    /// Which of the running jobs somebody wants to end; what was read is not told again.
    fn asked_to_end<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, Vec<bool>> {
        let _ = (link, seat);
        Box::pin(async { Ok(vec![false; claims.len()]) })
    }

    /// Takes up to `want` jobs without waiting.
    fn claim<'a>(&'a self, link: &'a Link, seat: &'a Seat, want: usize) -> Answer<'a, Claimed>;

    /// True if a job that was taken obliges to something before it runs, see [`Consume::prepare`].
    fn prepares(&self, claim: &Claim) -> bool {
        let _ = claim;
        false
    }

    /// Does what taking this job obliges to, for example makes its schedule's next job. Until that is done the job is not
    /// run. To repeat it is harmless.
    fn prepare<'a>(&'a self, link: &'a Link, seat: &'a Seat, claim: &'a Claim) -> Answer<'a, ()> {
        let _ = (link, seat, claim);
        Box::pin(async { Ok(()) })
    }

    /// Waits on a connection of its own until there may be a job, at most `limit`. May bring one with it.
    fn wait<'a>(&'a self, own: &'a Link, seat: &'a Seat, limit: Duration) -> Answer<'a, Claimed>;

    /// Renews claims; false for each that is not this seat's any more.
    fn extend<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, Vec<bool>>;

    /// Stores the outcome of an attempt and, if `next`, takes another job in the same step.
    fn settle<'a>(
        &'a self,
        link: &'a Link,
        seat: &'a Seat,
        claim: &'a Claim,
        verdict: &'a Verdict,
        next: bool,
    ) -> Answer<'a, Settled>;

    /// By what a job goes back that was taken and not begun, so that nothing is counted.
    fn unbegun(&self) -> Verdict {
        Verdict::Return
    }

    /// How many outcomes one request can store; 1: those of several jobs are stored one by one.
    fn stores_at_once(&self) -> usize {
        1
    }

    /// Stores several outcomes, each as [`Consume::settle`] would, whatever becomes of the others. One answer each, in
    /// order; an error of the whole says that nothing is known of any.
    fn settle_all<'a>(
        &'a self,
        link: &'a Link,
        seat: &'a Seat,
        outcomes: &'a [Outcome<'a>],
    ) -> Answer<'a, Vec<Result<Settled, SystemError>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(outcomes.len());
            for Outcome { claim, verdict, next } in outcomes {
                answers.push(self.settle(link, seat, claim, verdict, *next).await);
            }
            Ok(answers)
        })
    }

    /// Shows that this seat is taken, and gives back the jobs of seats whose owners are dead (R6).
    fn tend<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, Tended>;

    /// Gives back what this seat holds without knowing: taken by a request whose answer was lost. `claims`: what it knows
    /// of. Systems whose claims expire by themselves need do nothing.
    fn strays<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, u64> {
        let _ = (link, seat, claims);
        Box::pin(async { Ok(0) })
    }

    /// Says goodbye: nobody need wait for this seat to expire.
    fn leave<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, ()>;

    /// Stores progress and log lines where the system keeps them. Most keep neither.
    fn tell<'a>(
        &'a self,
        _link: &'a Link,
        _seat: &'a Seat,
        _claim: &'a Claim,
        _progress: Option<&'a Progress>,
        _lines: &'a [String],
    ) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Adds a job for a schedule's moment, unless that moment or a later one has fired; true if it was added.
    fn fire<'a>(&'a self, link: &'a Link, seat: &'a Seat, firing: &'a Firing) -> Answer<'a, bool>;
}

impl Seat {
    /// The rest of a wait that must not be longer than `limit`, in seconds with three digits as Redis takes it; never
    /// zero, which would mean for ever.
    pub fn block_seconds(limit: Duration) -> String {
        format!("{:.3}", limit.as_secs_f64().max(0.01))
    }
}
