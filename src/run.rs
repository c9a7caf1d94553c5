//! Wires the tasks of one server, the configuration and the terminal together and runs the one UI loop.

mod changes;
mod look;
mod settings;
mod tasks;
mod ui_loop;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use crate::app::message::{Clock, Message};
use crate::app::state::State;
use crate::config::{Config, ConfigProblems, Environment};
use crate::domain::runner::RunnerView;
use crate::domain::snapshot::LinkHealth;
use crate::domain::text::harmless;
use crate::domain::time::Timestamp;
use crate::engine::runner::Order;
use crate::log::{LogFeed, LogGuard};
use crate::term::{self, Front, Signal, TerminalConsole, TerminalError};
use crate::ui;

pub use look::Look;
pub use tasks::{EngineTasks, Told};
pub use ui_loop::{Ended, FramePace, Tasks, run_loop};

/// Tasks that are still busy when qtop ends are given up after that; a server that does not answer must not keep a
/// person waiting.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(30);

/// What [`run`] needs.
pub struct RunOptions {
    /// The configuration, with environment and arguments laid over it.
    pub config: Config,
    /// What the surroundings said when it was read.
    pub environment: Environment,
    /// Reads the configuration anew; called on a thread where it may wait, when a file of it changes.
    pub read: ReadConfig,
    /// qtop's own log, for its screen and to change what is logged.
    pub log: Option<(Arc<LogGuard>, LogFeed)>,
    /// Shown as short notices at the start.
    pub notes: Vec<String>,
    /// The runner, if jobs are run here.
    pub runner: Option<RunnerPort>,
}

/// Where the screens hear of the runner, and tell it something.
#[derive(Debug)]
pub struct RunnerPort {
    /// What it shows.
    pub view: watch::Receiver<Arc<RunnerView>>,
    /// What it is told.
    pub orders: mpsc::Sender<Order>,
    /// The process a shell may stop in the place of this one.
    pub front: Option<Front>,
    /// Its jobs are a show that ends with qtop.
    pub show: bool,
}

/// Reads the configuration anew.
pub type ReadConfig = Box<dyn Fn() -> Result<Config, ConfigProblems> + Send + Sync>;

/// How the screen ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A person asked for it.
    Quit,
    /// A person wants jobs to go on without the screens.
    Detached,
    /// A signal asked for it, or the terminal is gone; with the last thing that was wrong.
    Signal(Signal, Option<String>),
}

impl Exit {
    /// Exit code of the process: 0, or 128 and the signal's number (U4).
    pub fn code(&self) -> u8 {
        match self {
            Self::Quit | Self::Detached => 0,
            Self::Signal(signal, _) => signal.exit_code(),
        }
    }
}

/// Shows the screen until it is left. Must be called on the main thread, outside a runtime.
///
/// # Errors
/// If there is no terminal ([`TerminalError`], exit code 2) or it stops working.
pub fn run(options: RunOptions, runtime: tokio::runtime::Runtime) -> anyhow::Result<Exit> {
    let get = |name: &str| options.environment.variables.get(name).filter(|value| !value.is_empty()).cloned();
    term::require(get("TERM").as_deref())?;
    term::install_panic_hook();
    let synchronized = synchronizes(&get);
    let pace = FramePace::of(get("SSH_CONNECTION").is_some());
    let result = runtime.block_on(screen(options, synchronized, pace));
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    result
}

async fn screen(options: RunOptions, synchronized: bool, pace: FramePace) -> anyhow::Result<Exit> {
    let RunOptions { config, environment, read, log, notes, runner } = options;
    let config = Arc::new(config);
    let (mut look, problem) = Look::of(&config, &environment);
    let server = settings::server_view(&config, &config.origin.chosen);
    let zone = jiff::tz::TimeZone::system();
    let mut state = State::new(server, settings::settings(&config), zone, clock());
    let front = runner.as_ref().and_then(|runner| runner.front);
    state.leaving.background = front.is_some();
    state.leaving.show = runner.as_ref().is_some_and(|runner| runner.show);
    let mut tasks = EngineTasks::start(Arc::clone(&config), environment, read, log, runner)?;
    for text in notes {
        crate::app::update::update(&mut state, Message::Notice { text, bad: false });
    }
    if let Some(text) = problem {
        crate::app::update::update(&mut state, Message::Notice { text, bad: true });
    }
    let mut console = TerminalConsole::enter(synchronized, config.ui.mouse)?.behind(front);
    let ended = run_loop(&mut state, &mut console, &mut tasks, &mut look, pace, ui::view, clock).await;
    // Given back before anything is said, so that it can be read.
    let left = console.leave();
    tasks.end().await;
    let last = last_error(&state);
    match ended {
        Ended::Quit => {
            left.context("the terminal could not be restored; `reset` helps")?;
            Ok(Exit::Quit)
        }
        Ended::Detached => Ok(Exit::Detached),
        Ended::Signal(signal) => Ok(Exit::Signal(signal, last)),
        Ended::Gone => Ok(Exit::Signal(Signal::Hangup, last)),
        Ended::Failed(error) => Err(TerminalError::Refused(error).into()),
    }
}

fn clock() -> Clock {
    Clock { mono: Instant::now(), wall: Timestamp(jiff::Timestamp::now().as_millisecond()) }
}

/// The last thing that was wrong, made harmless.
fn last_error(state: &State) -> Option<String> {
    let toast = state.toasts.iter().rev().find(|toast| toast.bad).map(|toast| toast.text.as_str());
    let link = match &state.snapshot.link {
        LinkHealth::Down { error, .. } => Some(error.as_str()),
        LinkHealth::Connecting { last_error } => last_error.as_deref(),
        LinkHealth::Up => None,
    };
    link.or(toast).map(|text| harmless(text).into_owned())
}

/// True for terminals that are known to show a frame at once if asked to. tmux passes the request on only in part, and
/// asking the terminal itself would cost a round trip before the first frame (U15).
fn synchronizes(get: &impl Fn(&str) -> Option<String>) -> bool {
    let term = get("TERM").unwrap_or_default();
    let program = get("TERM_PROGRAM").unwrap_or_default();
    let inside = get("TMUX").is_some() || term.starts_with("tmux") || term.starts_with("screen");
    let terms = ["kitty", "alacritty", "foot", "wezterm", "ghostty", "contour"];
    let programs = ["WezTerm", "iTerm.app", "ghostty"];
    !inside && (terms.iter().any(|name| term.contains(name)) || programs.contains(&program.as_str()))
}
