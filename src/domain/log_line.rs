//! A line of qtop's own log, as the Logs screen shows it.

use super::time::Timestamp;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When, by the local clock.
    pub time: Timestamp,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: &'static str,
    /// Module it comes from.
    pub target: String,
    /// Message and fields, on one line. May hold bytes from Redis: make it harmless before drawing (S3).
    pub text: String,
}
