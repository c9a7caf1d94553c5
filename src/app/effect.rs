//! Everything `update` may ask of the tasks. Data, so that a run can be logged and replayed.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::domain::change::Order;
use crate::domain::fetch::Request;
use crate::domain::ids::Ticket;
use crate::domain::runner::RunnerCommand;

/// Which reader a fetch is for. A newer fetch of a slot replaces the older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The first page of the Queue screen.
    Page,
    /// The page after the loaded rows.
    Ahead,
    /// A running search.
    Search,
    /// The Job screen.
    Job,
    /// The Running screen.
    Running,
    /// The Failures screen.
    Failures,
    /// The Workers screen.
    Workers,
    /// The Scheduled screen.
    Scheduled,
    /// The answer to "why?".
    Why,
    /// A job looked for in all queues.
    Find,
    /// The job an open question is about.
    Asked,
    /// A payload that is to be edited.
    Payload,
    /// Where the followed job of the Queue screen is.
    Follow,
}

/// A wish that `update` cannot fulfil itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Read something from the server.
    Fetch {
        /// Comes back with the answer.
        ticket: Ticket,
        /// Replaces an older fetch of the same slot.
        slot: Slot,
        /// What to read.
        request: Request,
    },
    /// Stop a fetch that is no longer wanted.
    Abandon(Slot),
    /// Sample now instead of at the next tick.
    Refresh,
    /// Sample slower or faster.
    Pace(PaceWish),
    /// Watch another configured server.
    SwitchServer(String),
    /// Put text on the clipboard.
    Copy(String),
    /// Show text in `$PAGER` or `$EDITOR`.
    Open {
        /// Suggested file name ending, for example `json`.
        ending: &'static str,
        /// The text.
        text: String,
    },
    /// Let a text be edited in `$EDITOR`; it comes back as [`super::message::Message::Edited`].
    Edit {
        /// Suggested file name ending, for example `json`.
        ending: &'static str,
        /// The bytes, exactly.
        bytes: Bytes,
    },
    /// Change something, or read what was changed.
    Change(Order),
    /// Let changes leave until then; `None`: lock again.
    Unlock(Option<Instant>),
    /// Write lines to a new file.
    Export {
        /// Suggested name, without folder and ending.
        name: String,
        /// The lines.
        lines: Vec<String>,
    },
    /// Tell the runner.
    Runner(RunnerCommand),
    /// Draw everything anew.
    Repaint,
    /// Switch mouse capture.
    Mouse(bool),
    /// Use another theme.
    Theme(String),
    /// Stop like a shell job (`Ctrl-Z`).
    Suspend,
    /// Give the terminal to the shell and go on running jobs, until the shell gives it back.
    StepBack,
    /// End the screens and go on running jobs without them.
    Detach,
    /// End qtop.
    Quit,
}

/// What the UI knows about how fast sampling should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaceWish {
    /// Interval between ticks a person asked for.
    pub interval: Duration,
    /// Nobody is looking: the terminal has lost focus, or no key for ten minutes (P16).
    pub idle: bool,
}
