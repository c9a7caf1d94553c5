//! All that qtop knows while it runs. Plain data: `update` changes it, `view` reads it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::changes::Changes;
use super::chord::Chord;
use super::keymap::Keymap;
use super::list::ListState;
use super::message::{Clock, Geometry};
use super::question::Question;
use super::rows::RunnerKey;
use super::runner::{Leaving, Sizes};
use super::screen::Navigation;
use super::settings::Settings;
use super::steady::Steady;
use super::views::{FailuresView, JobView, LogsView, QueueView, QueuesView, RunningView, ScheduledView, WorkersView};
use crate::domain::described::Convention;
use crate::domain::fetch::{FetchError, QueuedRow};
use crate::domain::ids::{JobId, QueueId, ServerId, SystemName, Ticket};
use crate::domain::mutation::{Ability, Verb};
use crate::domain::reason::Reason;
use crate::domain::runner::{RunnerState, RunnerView};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;

/// An answer that has not come by then never will: its reader was restarted.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// The least size in columns and rows in which qtop can be used.
pub const LEAST: (u16, u16) = (60, 15);

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
    /// What the configuration says about the screen.
    pub settings: Settings,
    /// The keys in effect.
    pub keymap: Keymap,
    /// Keys pressed so far of a sequence such as `g g`.
    pub pending: Vec<Chord>,
    /// The newest sample of it.
    pub snapshot: Arc<Snapshot>,
    /// What the header tells about the link, without the jitter.
    pub steady: Steady,
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
    /// What the runner shows; `None`: this qtop runs nothing.
    pub runner: Option<Arc<RunnerView>>,
    /// Cursor over its pools and the jobs they run.
    pub runner_list: ListState<RunnerKey>,
    /// Sizes of its pools that were asked for last.
    pub runner_sizes: Sizes,
    /// How the screens can be left while jobs run here.
    pub leaving: Leaving,
    /// First visible line of the Server screen.
    pub server_scroll: usize,
    /// Queue screen; kept when a job is opened from it.
    pub queue: Option<QueueView>,
    /// Job screen.
    pub job: Option<JobView>,
    /// Changes under way and done.
    pub changes: Changes,
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
    /// Where the details of the selected row are shown.
    pub details: Details,
    /// The mouse is captured.
    pub mouse: bool,
    /// Interval between ticks a person asked for.
    pub interval: Duration,
    /// Nobody is looking, so sampling is slow (P16).
    pub idle: bool,
    /// A job that is looked for in all queues.
    pub find: Loaded<JobId>,
    /// Last key, for P16.
    pub last_input: Instant,
    /// The terminal has the focus, as far as it tells.
    pub focused: bool,
    /// The last ticket given out.
    pub tickets: Ticket,
}

/// What the header says about the server.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ServerView {
    /// Its configured name.
    pub name: String,
    /// Its environment in words, for example `prod`; shown on every screen (U18).
    pub environment: Option<String>,
    /// Certificate checks are off: a lasting banner says so (S16).
    pub insecure: bool,
    /// Changes are refused, with the reason, unless it was unlocked.
    pub read_only: Option<String>,
    /// A person may unlock it for some minutes.
    pub unlockable: bool,
    /// It is unlocked until then.
    pub unlocked_until: Option<Instant>,
    /// What can be changed in queues of each system.
    pub abilities: BTreeMap<SystemName, &'static [Ability]>,
    /// Conventions by which an application has its own way to change jobs: questions show the exact commands.
    pub own_ways: Vec<Convention>,
    /// The configuration describes it otherwise than when the runner of this qtop began to work on it.
    pub moved: bool,
    /// Arguments that lead qtop to this server, without secrets; empty where it finds there by itself.
    pub arguments: String,
}

impl ServerView {
    /// What a system can do, if it can.
    pub fn ability(&self, system: SystemName, verb: Verb) -> Option<&'static Ability> {
        self.abilities.get(system)?.iter().find(|ability| ability.verb == verb)
    }

    /// Why changes are refused at this moment.
    pub fn locked(&self, now: Instant) -> Option<&str> {
        let reason = self.read_only.as_deref()?;
        self.unlocked_until.is_none_or(|until| until <= now).then_some(reason)
    }

    /// True for environments in which a mistake is expensive.
    pub fn is_production(&self) -> bool {
        let word = self.environment.as_deref().unwrap_or_default().to_ascii_lowercase();
        word.starts_with("prod") || word == "live"
    }
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

/// Where the details of the selected row are shown, if there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Details {
    /// Where they fit best.
    #[default]
    Auto,
    /// Beside the list.
    Right,
    /// Under the list.
    Bottom,
    /// Nowhere.
    Off,
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

impl<T> Loaded<T> {
    /// Notes that a fetch was sent.
    pub fn ask(&mut self, ticket: Ticket, now: Instant) {
        self.awaiting = Some(ticket);
        self.asked = Some(now);
    }

    /// Takes an answer; false if it was not the one awaited. A failure keeps the last good data.
    pub fn receive(&mut self, ticket: Ticket, answer: Result<T, FetchError>, now: Instant) -> bool {
        if self.awaiting != Some(ticket) {
            return false;
        }
        self.awaiting = None;
        match answer {
            Ok(data) => {
                self.data = Some(data);
                self.received = Some(now);
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
        true
    }

    /// True if no fetch is under way that could still be answered.
    pub fn is_free(&self, now: Instant) -> bool {
        self.awaiting.is_none() || self.asked.is_none_or(|asked| now.saturating_duration_since(asked) > ANSWER_LIMIT)
    }

    /// Age of the data.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.received.map(|received| now.saturating_duration_since(received))
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
    /// What would be done, waiting for a yes.
    Ask(Box<Question>),
    /// What changes a whole queue (`X`).
    QueueMenu {
        /// Cursor.
        index: usize,
    },
    /// Changes under way and done.
    Changes {
        /// Cursor.
        index: usize,
        /// The results of this one are shown, scrolled down by so many lines.
        open: Option<(Ticket, usize)>,
    },
    /// What can be undone.
    Trash {
        /// Cursor.
        index: usize,
    },
    /// What was changed, when, by whom.
    Audit {
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PaletteView {
    /// What is typed.
    pub input: String,
    /// Cursor in the matches.
    pub index: usize,
    /// Jobs of an id that several queues have, to choose from.
    pub found: Vec<QueuedRow>,
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
    /// Something was typed since it opened.
    pub touched: bool,
    /// The text before it opened, for `Esc`.
    pub before: String,
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
    /// It says why nothing may be changed now, and goes as soon as that is over.
    pub refusal: bool,
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
    /// The state at the start: nothing is known yet.
    pub fn new(server: ServerView, settings: Settings, zone: jiff::tz::TimeZone, clock: Clock) -> Self {
        let name = ServerId(Arc::from(server.name.as_str()));
        let (keymap, problems) = Keymap::build(&settings.keys);
        let banner =
            (!problems.is_empty()).then(|| Banner { title: problems[0].clone(), details: problems.join("\n") });
        Self {
            clock,
            size: (80, 24),
            geometry: Geometry::default(),
            server,
            snapshot: Arc::new(Snapshot::empty(name, Arc::from(""), clock.mono)),
            steady: Steady::default(),
            frozen: None,
            navigation: Navigation::default(),
            queues: QueuesView::default(),
            running: RunningView::default(),
            failures: FailuresView::default(),
            workers: WorkersView::default(),
            scheduled: ScheduledView::default(),
            logs: LogsView::default(),
            runner: None,
            runner_list: ListState::default(),
            runner_sizes: Sizes::default(),
            leaving: Leaving::default(),
            server_scroll: 0,
            queue: None,
            job: None,
            changes: Changes::default(),
            overlay: None,
            prompt: None,
            toasts: Vec::new(),
            banner,
            time_style: settings.time_style,
            zone,
            details: Details::default(),
            mouse: settings.mouse,
            interval: settings.interval,
            idle: false,
            find: Loaded::default(),
            last_input: clock.mono,
            focused: true,
            tickets: Ticket::default(),
            settings,
            keymap,
            pending: Vec::new(),
        }
    }

    /// A ticket no fetch has had yet.
    pub fn next_ticket(&mut self) -> Ticket {
        self.tickets.0 += 1;
        self.tickets
    }

    /// True if this qtop has a runner that has not ended.
    pub fn runs_jobs(&self) -> bool {
        self.runner.as_ref().is_some_and(|view| view.state != RunnerState::Stopped)
    }

    /// Jobs that run in this qtop now.
    pub fn running_here(&self) -> usize {
        let alive = self.runner.as_ref().filter(|view| view.state != RunnerState::Stopped);
        alive.map_or(0, |view| view.pools.iter().map(|pool| pool.slots.len()).sum())
    }

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
