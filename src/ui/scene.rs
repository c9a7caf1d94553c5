//! What every drawing function may look at, and how moments are written.

use std::time::{Duration, Instant};

use crate::app::rows::{self, Figures};
use crate::app::state::{State, TimeStyle};
use crate::domain::snapshot::Snapshot;
use crate::domain::text;
use crate::domain::time::Timestamp;

/// The state, the sample that is shown, and the present moment by the server's clock.
pub struct Scene<'a> {
    /// Everything.
    pub state: &'a State,
    /// The newest sample, or the frozen one.
    pub snapshot: &'a Snapshot,
    /// The server's clock now.
    pub now: Timestamp,
    /// The sample is older than it should be (U17).
    pub stale: bool,
    /// Sums over all queues, made once for a frame.
    pub sums: Figures,
}

impl<'a> Scene<'a> {
    /// Of a state.
    pub fn new(state: &'a State) -> Self {
        let snapshot = state.shown();
        Self {
            state,
            snapshot,
            now: snapshot.server_now(state.clock.mono),
            stale: state.is_stale(),
            sums: rows::sums(snapshot),
        }
    }

    /// The local clock's time since `moment`.
    pub fn since(&self, moment: Instant) -> Duration {
        self.state.clock.mono.saturating_duration_since(moment)
    }

    /// A past moment in at most `columns` columns: its age, or the time of day if a person wants that.
    pub fn past(&self, moment: Timestamp, columns: usize) -> String {
        match self.state.time_style {
            TimeStyle::Relative => span_in(moment.age(self.now), columns),
            TimeStyle::Local | TimeStyle::Utc => self.time_of_day(moment, columns),
        }
    }

    /// A coming moment: how long until then, or the time of day. What is overdue is `now`.
    pub fn future(&self, moment: Timestamp, columns: usize) -> String {
        match self.state.time_style {
            TimeStyle::Relative if moment <= self.now => "now".to_owned(),
            TimeStyle::Relative => span_in(moment.until(self.now), columns),
            TimeStyle::Local | TimeStyle::Utc => self.time_of_day(moment, columns),
        }
    }

    /// `14:03:22` by the local clock, for the header.
    pub fn clock(&self) -> String {
        self.zoned(self.state.clock.wall).map_or_else(|| "?".to_owned(), |at| at.strftime("%H:%M:%S").to_string())
    }

    /// `14:03:22` where there is room, with the date in front where there is more and the day is another.
    pub fn time_of_day(&self, moment: Timestamp, columns: usize) -> String {
        let Some((at, today)) = self.zoned(moment).zip(self.zoned(self.now)) else { return "?".to_owned() };
        if at.date() == today.date() {
            let format = if columns >= 8 { "%H:%M:%S" } else { "%H:%M" };
            return at.strftime(format).to_string();
        }
        let format = match columns {
            19.. => "%Y-%m-%d %H:%M:%S",
            11..19 => "%m-%d %H:%M",
            _ => "%m-%d",
        };
        at.strftime(format).to_string()
    }

    /// `14:01:30.250`, with the date in front if the day is another; for timelines.
    pub fn exact_time(&self, moment: Timestamp) -> String {
        let Some((at, today)) = self.zoned(moment).zip(self.zoned(self.now)) else { return "?".to_owned() };
        let format = if at.date() == today.date() { "%H:%M:%S%.3f" } else { "%Y-%m-%d %H:%M:%S%.3f" };
        at.strftime(format).to_string()
    }

    /// The server's clock for statements that hold only as long as the sample is fresh, such as the age of the oldest
    /// waiting job: nobody knows whether it still waits.
    pub fn sampled(&self) -> Timestamp {
        if self.stale { self.snapshot.taken_at } else { self.now }
    }

    fn zoned(&self, moment: Timestamp) -> Option<jiff::Zoned> {
        let zone = match self.state.time_style {
            TimeStyle::Utc => jiff::tz::TimeZone::UTC,
            TimeStyle::Relative | TimeStyle::Local => self.state.zone.clone(),
        };
        Some(jiff::Timestamp::from_millisecond(moment.0).ok()?.to_zoned(zone))
    }
}

/// A span for a column of a table: one column stays free, because `2h 5m` beside `38m 4s` would read as one.
pub fn span_in(span: Duration, columns: usize) -> String {
    text::age_in(span, columns.saturating_sub(1))
}
