//! The way of log lines to the Logs screen: bounded, never waiting, losses counted.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::domain::log_line::LogLine;
use crate::domain::time::Timestamp;

/// Lines under way to the screen; more are dropped.
pub(super) const CAPACITY: usize = 1024;

/// The receiving end.
#[derive(Debug)]
pub struct LogFeed {
    lines: mpsc::Receiver<LogLine>,
    dropped: Arc<AtomicU64>,
}

impl LogFeed {
    /// The next line; `None` when logging has ended.
    pub async fn recv(&mut self) -> Option<LogLine> {
        self.lines.recv().await
    }

    /// The next line if one is there.
    pub fn try_recv(&mut self) -> Option<LogLine> {
        self.lines.try_recv().ok()
    }

    /// Lines lost since the start because nobody took them in time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Sends every event as a line.
pub(super) struct FeedLayer {
    lines: mpsc::Sender<LogLine>,
    dropped: Arc<AtomicU64>,
}

/// Both ends.
pub(super) fn feed() -> (FeedLayer, LogFeed) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let dropped = Arc::new(AtomicU64::new(0));
    (FeedLayer { lines: sender, dropped: Arc::clone(&dropped) }, LogFeed { lines: receiver, dropped })
}

impl<S: Subscriber> Layer<S> for FeedLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let facts = event.metadata();
        let line = LogLine {
            time: Timestamp(jiff::Timestamp::now().as_millisecond()),
            level: facts.level().as_str(),
            target: facts.target().to_owned(),
            text: text.message + &text.fields,
        };
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Message first, then the fields as `name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing into a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
