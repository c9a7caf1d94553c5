//! All that qtop knows while it runs. Plain data: `update` changes it, `view` reads it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::{Clock, Geometry};
use super::screen::Navigation;
use super::views::{FailuresView, JobView, LogsView, QueueView, QueuesView, RunningView, ScheduledView, WorkersView};
use crate::domain::fetch::FetchError;
use crate::domain::ids::{JobId, QueueId, Ticket};
use crate::domain::reason::Reason;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;

/// The whole state.
#[derive(Clone, Debug)]
pub struct State {
    /// The present moment, told by the loop.
    pub clock: Clock,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Where things were drawn last.
    pub geometry: Geometry,
    /// The server that is watched.
    pub server: ServerView,
    /// Names of the configured servers, for `:server` and completion.
    pub server_names: Vec<String>,
    /// The newest sample of it.
    pub snapshot: Arc<Snapshot>,
    /// The sample that is shown instead while the screen is frozen (`Z`).
    pub frozen: Option<Arc<Snapshot>>,
    /// Which screen is shown.
    pub navigation: Navigation,
    /// Queues screen.
    pub queues: QueuesView,
    /// Running screen.
    pub running: RunningView,
    /// Failures screen.
    pub failures: FailuresView,
    /// Workers screen.
    pub workers: WorkersView,
    /// Scheduled screen.
    pub scheduled: ScheduledView,
    /// Logs screen.
    pub logs: LogsView,
    /// First visible line of the Server screen.
    pub server_scroll: usize,
    /// Queue screen; kept when a job is opened from it.
    pub queue: Option<QueueView>,
    /// Job screen.
    pub job: Option<JobView>,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// A line that is being typed in the footer (`/`).
    pub prompt: Option<Prompt>,
    /// Short notices.
    pub toasts: Vec<Toast>,
    /// A lasting problem, for example a broken configuration file.
    pub banner: Option<Banner>,
    /// How times are shown.
    pub time_style: TimeStyle,
    /// The zone local times are in; found once at the start, because finding it reads files.
    pub zone: jiff::tz::TimeZone,
    /// Interval between ticks a person asked for.
    pub interval: Duration,
    /// Last key, for P16.
    pub last_input: Instant,
    /// The terminal has the focus, as far as it tells.
    pub focused: bool,
    /// The last ticket given out.
    pub tickets: Ticket,
}

/// What the header says about the server.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ServerView {
    /// Its configured name.
    pub name: String,
    /// Its environment in words, for example `prod`; shown on every screen (U18).
    pub environment: Option<String>,
    /// Certificate checks are off: a lasting banner says so (S16).
    pub insecure: bool,
    /// Changes are refused, with the reason.
    pub read_only: Option<String>,
}

/// How moments are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TimeStyle {
    /// `38s`.
    #[default]
    Relative,
    /// Local time of day.
    Local,
    /// UTC.
    Utc,
}

/// Something read on demand: the last good answer stays while a newer one is awaited.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded<T> {
    /// The newest answer.
    pub data: Option<T>,
    /// When it came.
    pub received: Option<Instant>,
    /// Ticket of the fetch under way; answers to others are ignored.
    pub awaiting: Option<Ticket>,
    /// When that fetch began.
    pub asked: Option<Instant>,
    /// The last failure, cleared by the next success.
    pub error: Option<FetchError>,
}

impl<T> Default for Loaded<T> {
    fn default() -> Self {
        Self { data: None, received: None, awaiting: None, asked: None, error: None }
    }
}

/// What lies over a screen.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// Keys of this screen, then all.
    Help {
        /// Scrolled down by so many lines.
        scroll: usize,
    },
    /// Fuzzy list over actions, queues, servers, themes.
    Palette(PaletteView),
    /// Why something does not move.
    Why {
        /// The queue.
        queue: QueueId,
        /// The job, if asked for one.
        job: Option<JobId>,
        /// The reasons.
        loaded: Loaded<Vec<Reason>>,
        /// Scrolled down by so many lines.
        scroll: usize,
    },
    /// What qtop costs, connection details (`i`).
    Cost,
    /// Everything possible here, with why-not for the rest (`a`).
    Menu {
        /// Cursor.
        index: usize,
    },
    /// A problem with its details, for example of the configuration file.
    Problem {
        /// Heading.
        title: String,
        /// Lines.
        text: String,
        /// Scrolled down by so many lines.
        scroll: usize,
    },
}

/// The palette.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaletteView {
    /// What is typed.
    pub input: String,
    /// Cursor in the matches.
    pub index: usize,
}

/// A line being typed in the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What for.
    pub kind: PromptKind,
    /// The text.
    pub text: String,
    /// Cursor, in characters from the start.
    pub at: usize,
}

/// What a typed line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptKind {
    /// Filters what is loaded, as it is typed.
    Filter,
    /// Searches on the server when entered.
    Search {
        /// Look into payloads too.
        deep: bool,
    },
}

/// A short notice that goes away by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// The text.
    pub text: String,
    /// It reports something that went wrong.
    pub bad: bool,
    /// When it goes.
    pub until: Instant,
}

/// A lasting notice under the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// One line.
    pub title: String,
    /// All lines, shown on demand.
    pub details: String,
}

impl State {
    /// The sample that is shown: the frozen one, or the newest.
    pub fn shown(&self) -> &Snapshot {
        self.frozen.as_deref().unwrap_or(&self.snapshot)
    }

    /// The server's clock at the present moment; ages of jobs are counted from here.
    pub fn server_now(&self) -> Timestamp {
        self.shown().server_now(self.clock.mono)
    }

    /// Age of what is shown.
    pub fn age(&self) -> Duration {
        self.clock.mono.saturating_duration_since(self.shown().received)
    }

    /// True if the last good answer is older than three intervals (U17).
    pub fn is_stale(&self) -> bool {
        let snapshot = self.shown();
        snapshot.seq > 0 && self.age() > 3 * snapshot.cost.interval.max(self.interval)
    }
}
