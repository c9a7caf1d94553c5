//! What each screen remembers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::document::Documents;
use super::list::ListState;
use super::pages::Pages;
use super::state::Loaded;
use crate::domain::fetch::{FailureReport, Many, QueuedRow, ScheduledRow, WorkerReport};
use crate::domain::ids::{JobId, JobRef, Name, QueueId};
use crate::domain::job::{Cursor, Job, JobRow, Search};
use crate::domain::log_line::LogLine;
use crate::domain::state::StateId;

/// Queues screen.
#[derive(Clone, Debug, Default)]
pub struct QueuesView {
    /// Cursor, marks, sort, filter.
    pub list: ListState<QueueId>,
    /// Only queues with failed or dead jobs.
    pub only_failures: bool,
    /// Group by the name's delimiter.
    pub tree: bool,
    /// Folded groups of the tree, by their path.
    pub folded: BTreeSet<String>,
    /// The group of the tree under the cursor, if it is on one.
    pub group: Option<String>,
    /// The cursor belongs to a queue. Not before all queues were found or a key was pressed: the first one found is not
    /// the first one in the list.
    pub settled: bool,
}

/// Running screen.
#[derive(Clone, Debug, Default)]
pub struct RunningView {
    /// Cursor and marks.
    pub list: ListState<JobRef>,
    /// Active jobs of all queues.
    pub loaded: Loaded<Many<QueuedRow>>,
    /// Progress seen of each job, for rates, ETA and "has not moved".
    pub seen: BTreeMap<JobRef, ProgressTrack>,
}

/// How a job's progress moved while qtop looked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProgressTrack {
    /// Percent when first seen, and when.
    pub first: (f64, Instant),
    /// Percent when it last changed, and when.
    pub last: (f64, Instant),
}

impl ProgressTrack {
    /// A job seen for the first time.
    pub fn start(percent: f64, now: Instant) -> Self {
        Self { first: (percent, now), last: (percent, now) }
    }

    /// The job was seen again. Progress that fell means another attempt, which begins anew.
    pub fn saw(&mut self, percent: f64, now: Instant) {
        if percent < self.last.0 {
            *self = Self::start(percent, now);
        } else if percent > self.last.0 {
            self.last = (percent, now);
        }
    }

    /// Percent per second, once it has moved.
    pub fn rate(&self) -> Option<f64> {
        let (gained, took) = (self.last.0 - self.first.0, self.last.1.saturating_duration_since(self.first.1));
        (gained > 0.0 && !took.is_zero()).then(|| gained / took.as_secs_f64())
    }

    /// Time left at that rate, counted from the last change.
    pub fn eta(&self) -> Option<Duration> {
        let left = (100.0 - self.last.0).max(0.0) / self.rate()?;
        Duration::try_from_secs_f64(left).ok()
    }
}

/// Failures screen.
#[derive(Clone, Debug, Default)]
pub struct FailuresView {
    /// Cursor over fingerprints.
    pub list: ListState<String>,
    /// The groups.
    pub loaded: Loaded<FailureReport>,
    /// Drilled into this group.
    pub open: Option<String>,
    /// Cursor over the jobs of the open group.
    pub jobs: ListState<JobRef>,
}

/// Workers screen.
#[derive(Clone, Debug, Default)]
pub struct WorkersView {
    /// Cursor over system, instance and name.
    pub list: ListState<(String, Name, Name)>,
    /// The workers.
    pub loaded: Loaded<WorkerReport>,
    /// A person confirmed the cost of asking for the client list (P8).
    pub confirmed: bool,
}

/// Scheduled screen.
#[derive(Clone, Debug, Default)]
pub struct ScheduledView {
    /// Cursor over queue and id.
    pub list: ListState<(QueueId, Name)>,
    /// The rows, soonest first.
    pub loaded: Loaded<Many<ScheduledRow>>,
}

/// Logs screen.
#[derive(Clone, Debug, Default)]
pub struct LogsView {
    /// The last lines, oldest first; bounded.
    pub lines: VecDeque<LogLine>,
    /// Lines lost because the feed was full.
    pub dropped: u64,
    /// Lines scrolled up from the end; 0 follows.
    pub scroll: usize,
    /// Filter as typed.
    pub filter: String,
}

/// Queue screen.
#[derive(Clone, Debug)]
pub struct QueueView {
    /// Which queue.
    pub id: QueueId,
    /// The open state tab.
    pub tab: StateId,
    /// Cursor, marks, filter.
    pub list: ListState<JobId>,
    /// Loaded rows from the start of the list, without gaps.
    pub rows: Vec<JobRow>,
    /// Where the list goes on; `None` once all rows are loaded.
    pub next: Option<Cursor>,
    /// Jobs in this state, as the last page told.
    pub total: Option<u64>,
    /// The refresh of the page under the cursor or its last failure (the rows are in `rows`).
    pub page: Loaded<()>,
    /// The page ahead, likewise.
    pub ahead: Loaded<()>,
    /// Which pages `rows` consists of, and which were dropped above it.
    pub pages: Pages,
    /// Progress seen of each active job.
    pub seen: BTreeMap<JobId, ProgressTrack>,
    /// A search on the server, instead of the list.
    pub search: Option<SearchView>,
    /// A job that is followed into whatever state it goes.
    pub follow: Option<Followed>,
}

/// A job that is followed.
#[derive(Clone, Debug, PartialEq)]
pub struct Followed {
    /// Which.
    pub id: JobId,
    /// The question where it is, while it is not among the rows.
    pub asked: Loaded<()>,
}

impl Followed {
    /// A job that is among the rows.
    pub fn new(id: JobId) -> Self {
        Self { id, asked: Loaded::default() }
    }
}

impl QueueView {
    /// A queue that was just opened.
    pub fn new(id: QueueId, tab: StateId) -> Self {
        Self {
            id,
            tab,
            list: ListState::default(),
            rows: Vec::new(),
            next: None,
            total: None,
            page: Loaded::default(),
            ahead: Loaded::default(),
            pages: Pages::default(),
            seen: BTreeMap::new(),
            search: None,
            follow: None,
        }
    }
}

/// A search on the server, one bounded step after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchView {
    /// What is looked for.
    pub search: Search,
    /// What was found so far.
    pub hits: Vec<JobRow>,
    /// Jobs looked at.
    pub scanned: u64,
    /// Jobs to look at in all.
    pub total: Option<u64>,
    /// Where it goes on.
    pub next: Option<Cursor>,
    /// It pauses after so many jobs (P20).
    pub budget: u64,
    /// Still looking; false when done or stopped.
    pub running: bool,
    /// Stopped by a person before the end.
    pub stopped: bool,
    /// The step under way.
    pub step: Loaded<()>,
}

/// Parts of the Job screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, strum::EnumIter, strum::IntoStaticStr)]
pub enum JobTab {
    /// Payload.
    #[default]
    Data,
    /// Options.
    Options,
    /// Result.
    Result,
    /// Error and stack.
    Error,
    /// Log lines.
    Logs,
    /// What happened when.
    Timeline,
    /// Parent and children.
    Family,
    /// Its Redis keys.
    Keys,
}

/// How a payload is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PayloadView {
    /// Foldable tree.
    #[default]
    Tree,
    /// As stored.
    Raw,
    /// Bytes.
    Hex,
}

impl JobView {
    /// A job that was just opened.
    pub fn new(id: JobRef, payload_limit: u64) -> Self {
        Self {
            id,
            tab: JobTab::default(),
            loaded: Loaded::default(),
            payload: PayloadView::default(),
            line: 0,
            top: 0,
            documents: Documents::default(),
            follow: true,
            track: None,
            payload_limit,
            filter: String::new(),
        }
    }
}

/// Job screen.
#[derive(Clone, Debug)]
pub struct JobView {
    /// Which job.
    pub id: JobRef,
    /// The open part.
    pub tab: JobTab,
    /// The job; `Some(None)`: it does not exist.
    pub loaded: Loaded<Option<Box<Job>>>,
    /// How payload, options and result are shown.
    pub payload: PayloadView,
    /// Cursor line in the open part.
    pub line: usize,
    /// First visible line.
    pub top: usize,
    /// Payload, options and result, parsed.
    pub documents: Documents,
    /// Log lines follow the end.
    pub follow: bool,
    /// Progress seen.
    pub track: Option<ProgressTrack>,
    /// Bytes of payload to read; grows on demand.
    pub payload_limit: u64,
    /// Text that is looked for in the open part.
    pub filter: String,
}
