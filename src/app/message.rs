//! Everything that can happen to the program.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use crossterm::event::KeyEvent;

use super::effect::Slot;
use super::settings::Settings;
use super::state::{Banner, ServerView};
use crate::domain::change::Report;
use crate::domain::fetch::{FetchError, Fetched};
use crate::domain::ids::Ticket;
use crate::domain::log_line::LogLine;
use crate::domain::runner::RunnerView;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// A key, a paste, a resize.
    Input(Input),
    /// Time has passed.
    Clock(Clock),
    /// A tick of the present server was answered, or failed.
    Sampled(Arc<Snapshot>),
    /// A deeper read came back.
    Fetched {
        /// Of the request.
        ticket: Ticket,
        /// Of the request.
        slot: Slot,
        /// The answer.
        result: Result<Fetched, FetchError>,
    },
    /// What became of an order to change something.
    Reported(Box<Report>),
    /// A person has left the editor; the text as it is now, or why there is none.
    Edited(Result<Bytes, String>),
    /// A task ended that should not have.
    TaskEnded {
        /// Which.
        task: String,
        /// Why.
        error: String,
    },
    /// The configuration was read anew.
    Configured(Box<Settings>),
    /// The configuration is broken; the last good one stays. `None`: it is good again.
    ConfigBroken(Option<Banner>),
    /// Another server is watched from now on.
    Server(ServerView),
    /// The runner has something new to show.
    Runner(Arc<RunnerView>),
    /// Lines of qtop's own log, and how many were lost before them.
    Logged {
        /// Oldest first.
        lines: Vec<LogLine>,
        /// Lost because the feed was full.
        dropped: u64,
    },
    /// Something to say for a moment, for example what became of a copy.
    Notice {
        /// The text.
        text: String,
        /// It reports something that went wrong.
        bad: bool,
    },
    /// The last frame was drawn; where things are on it.
    Drawn(Geometry),
}

/// From the terminal.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A key press or repeat; releases are not passed on.
    Key(KeyEvent),
    /// Pasted text.
    Paste(String),
    /// The terminal has a new size, columns and rows.
    Resize(u16, u16),
    /// The terminal window got or lost the focus.
    Focus(bool),
    /// A click on column, row.
    Click(u16, u16),
    /// The wheel, lines down (negative: up).
    Scroll(i16),
}

/// The present moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// For ages and time-outs.
    pub mono: Instant,
    /// For the time of day in the header.
    pub wall: Timestamp,
}

/// Where things were drawn, for paging and the mouse.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Geometry {
    /// Rows of the main list or text pane that fit.
    pub list_rows: u16,
    /// Screen row of the first of them.
    pub list_top: u16,
    /// Names of the columns of the main table for which there was room.
    pub columns: Vec<&'static str>,
    /// Tab line: screen columns of each tab, start inclusive, end exclusive.
    pub tabs: Vec<(u16, u16)>,
}
