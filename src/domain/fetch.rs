//! Deeper reads as data: what the screens and the command line ask of a server beyond the tick, and what they get.

use super::ids::{JobId, JobRef, QueueId};
use super::job::{Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use super::reason::Reason;
use super::state::StateId;
use super::time::Timestamp;
use super::worker::Worker;

/// One deeper read.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A page of a state of a queue.
    Jobs {
        /// Which queue.
        queue: QueueId,
        /// Which state.
        state: StateId,
        /// Which part.
        page: PageRequest,
    },
    /// One bounded step of a search.
    Search {
        /// Which queue.
        queue: QueueId,
        /// Which state.
        state: StateId,
        /// What for.
        search: Search,
        /// Where to go on, and how many jobs to look at.
        page: PageRequest,
    },
    /// One job.
    Job {
        /// Which.
        job: JobRef,
        /// Bytes of payload, options and result to read.
        payload_limit: u64,
    },
    /// A job of that id in any queue.
    Find {
        /// The id.
        id: JobId,
    },
    /// Active jobs of all queues.
    Running {
        /// At most so many in all.
        limit: usize,
    },
    /// Failed and dead jobs of all queues, grouped.
    Failures {
        /// Look at the newest so many of each queue.
        window: usize,
    },
    /// Workers of all instances.
    Workers {
        /// Ask `CLIENT LIST` even if there are more than 1,000 clients (P8).
        confirmed: bool,
    },
    /// Scheduled jobs and repeatables of all queues, soonest first.
    Scheduled {
        /// At most so many of each queue.
        limit: usize,
    },
    /// Why something does not move.
    Why {
        /// Which queue.
        queue: QueueId,
        /// Which job of it, or the queue as a whole.
        job: Option<JobId>,
    },
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Fetched {
    /// To [`Request::Jobs`].
    Jobs(Page<JobRow>),
    /// To [`Request::Search`].
    Search(SearchStep),
    /// To [`Request::Job`]; `None`: no such job.
    Job(Option<Box<Job>>),
    /// To [`Request::Find`].
    Find(Vec<QueuedRow>),
    /// To [`Request::Running`].
    Running(Many<QueuedRow>),
    /// To [`Request::Failures`].
    Failures(FailureReport),
    /// To [`Request::Workers`].
    Workers(WorkerReport),
    /// To [`Request::Scheduled`].
    Scheduled(Many<ScheduledRow>),
    /// To [`Request::Why`].
    Why(Vec<Reason>),
}

/// A deeper read that failed, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// What was tried, on what, and what happened.
    pub text: String,
    /// What to do next.
    pub remedy: Option<String>,
}

/// A job with the queue it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedRow {
    /// Its queue.
    pub queue: QueueId,
    /// The job.
    pub row: JobRow,
}

/// Rows from several queues; some queues may have failed to answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Many<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// How many there are in all, if known; more than `rows` if a limit cut them.
    pub total: Option<u64>,
    /// Queues that could not be read, with the reason.
    pub failed: Vec<(QueueId, String)>,
}

/// A line of the Scheduled screen.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledRow {
    /// Its queue.
    pub queue: QueueId,
    /// A delayed job or a repeatable.
    pub item: ScheduledItem,
}

/// What will run later.
#[derive(Clone, Debug, PartialEq)]
pub enum ScheduledItem {
    /// A job with a time.
    Job(JobRow),
    /// A rule that makes jobs.
    Schedule(Schedule),
}

impl ScheduledRow {
    /// When it runs next.
    pub fn next_run(&self) -> Option<Timestamp> {
        match &self.item {
            ScheduledItem::Job(row) => row.run_at,
            ScheduledItem::Schedule(schedule) => schedule.next_run,
        }
    }
}

/// Failures of all queues, grouped by what the errors have in common.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FailureReport {
    /// How many jobs were looked at.
    pub looked_at: u64,
    /// How many failed and dead jobs there are, if all queues could tell.
    pub total: Option<u64>,
    /// How many of each queue were looked at, at most.
    pub window: usize,
    /// Largest group first.
    pub groups: Vec<FailureGroup>,
    /// Queues that could not be read, with the reason.
    pub failed: Vec<(QueueId, String)>,
}

/// Failures with one fingerprint.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureGroup {
    /// The error with ids, numbers, addresses and quoted strings replaced.
    pub fingerprint: String,
    /// One error as it was written.
    pub sample_error: String,
    /// Number of jobs in the window.
    pub count: u64,
    /// Earliest end among them.
    pub first_seen: Option<Timestamp>,
    /// Latest end among them.
    pub last_seen: Option<Timestamp>,
    /// Queues they are in, with counts, most first.
    pub queues: Vec<(QueueId, u64)>,
    /// Names of the jobs, most frequent first, at most ten.
    pub job_names: Vec<String>,
    /// The newest job of the group.
    pub sample: JobRef,
    /// All jobs of the group inside the window, newest first.
    pub jobs: Vec<QueuedRow>,
}

/// Workers of all instances.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WorkerReport {
    /// The workers.
    pub workers: Vec<Worker>,
    /// Why less is known than could be: `CLIENT LIST` refused or held back.
    pub notes: Vec<String>,
}
