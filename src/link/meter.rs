//! What qtop itself sends and receives, counted exactly (P11).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::commands::COMMANDS;

/// Counters of one connection, or of several that share them. They only grow.
#[derive(Debug)]
pub struct Meter {
    round_trips: AtomicU64,
    commands: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    calls: Vec<AtomicU64>,
}

/// A reading of a [`Meter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Writes that are followed by a wait for the replies.
    pub round_trips: u64,
    /// Commands in them.
    pub commands: u64,
    /// Bytes received, before TLS.
    pub bytes_in: u64,
    /// Bytes sent, before TLS.
    pub bytes_out: u64,
}

impl Totals {
    /// What came in addition since an earlier reading.
    pub fn since(&self, earlier: &Totals) -> Totals {
        Totals {
            round_trips: self.round_trips.saturating_sub(earlier.round_trips),
            commands: self.commands.saturating_sub(earlier.commands),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
        }
    }

    /// Two meters together.
    pub fn plus(&self, other: &Totals) -> Totals {
        Totals {
            round_trips: self.round_trips + other.round_trips,
            commands: self.commands + other.commands,
            bytes_in: self.bytes_in + other.bytes_in,
            bytes_out: self.bytes_out + other.bytes_out,
        }
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            round_trips: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            calls: COMMANDS.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Meter {
    /// The counters now.
    pub fn totals(&self) -> Totals {
        Totals {
            round_trips: self.round_trips.load(Relaxed),
            commands: self.commands.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
        }
    }

    /// Calls of each command so far, in the order of [`COMMANDS`].
    pub fn calls(&self) -> Vec<u64> {
        self.calls.iter().map(|count| count.load(Relaxed)).collect()
    }

    /// Commands that were sent at least once, by the server's name, with their number of calls.
    pub fn calls_by_name(&self) -> Vec<(String, u64)> {
        let counts = COMMANDS.iter().zip(self.calls());
        counts.filter(|(_, count)| *count > 0).map(|(spec, count)| (spec.server_name(), count)).collect()
    }

    pub(super) fn count_bytes_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Relaxed);
    }

    pub(super) fn count_bytes_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Relaxed);
    }

    pub(super) fn count_round_trip(&self, commands: &[usize]) {
        self.round_trips.fetch_add(1, Relaxed);
        self.commands.fetch_add(commands.len() as u64, Relaxed);
        for index in commands {
            self.calls[*index].fetch_add(1, Relaxed);
        }
    }
}

/// Amounts per second over the last while.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Rate {
    /// Writes that waited for their replies.
    pub round_trips_per_second: f64,
    /// Commands.
    pub commands_per_second: f64,
    /// Bytes received.
    pub bytes_in_per_second: f64,
    /// Bytes sent.
    pub bytes_out_per_second: f64,
}

/// A rate is told for at least so long.
const SHORTEST: Duration = Duration::from_secs(1);

/// Turns readings of a [`Meter`] into a rate over a sliding window.
#[derive(Clone, Debug)]
pub struct RateWindow {
    window: Duration,
    readings: VecDeque<(Instant, Totals)>,
}

impl Default for RateWindow {
    fn default() -> Self {
        Self::new(Duration::from_secs(10))
    }
}

impl RateWindow {
    /// Over a window of this length.
    pub fn new(window: Duration) -> Self {
        Self { window, readings: VecDeque::new() }
    }

    /// Takes a reading and gives the rate since the oldest one in the window; nothing until there are two.
    pub fn observe(&mut self, now: Instant, totals: Totals) -> Option<Rate> {
        self.readings.push_back((now, totals));
        // One reading at or before the window's start stays, so that slow ticks still have something to compare with.
        while self.readings.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= self.window) {
            self.readings.pop_front();
        }
        let (first, earlier) = self.readings.front()?;
        let span = now.saturating_duration_since(*first);
        if span.is_zero() {
            return None;
        }
        // Two readings of the same moment make no rate: a start would look a hundred times dearer than it is.
        let seconds = span.max(SHORTEST).as_secs_f64();
        let grown = totals.since(earlier);
        Some(Rate {
            round_trips_per_second: grown.round_trips as f64 / seconds,
            commands_per_second: grown.commands as f64 / seconds,
            bytes_in_per_second: grown.bytes_in as f64 / seconds,
            bytes_out_per_second: grown.bytes_out as f64 / seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_rates_cover_the_window_only() {
        let mut window = RateWindow::default();
        let start = Instant::now();
        let at = |seconds: u64, commands: u64| {
            (start + Duration::from_secs(seconds), Totals { commands, bytes_in: commands * 10, ..Totals::default() })
        };
        let (now, totals) = at(0, 0);
        assert_eq!(window.observe(now, totals), None);
        let (now, totals) = at(1, 100);
        assert_eq!(window.observe(now, totals).unwrap().commands_per_second, 100.0);
        // A burst right after the first reading is told as what it is in a second.
        let mut fresh = RateWindow::default();
        fresh.observe(start, Totals::default());
        let soon = start + Duration::from_millis(10);
        let rate = fresh.observe(soon, Totals { commands: 500, ..Totals::default() }).unwrap();
        assert_eq!(rate.commands_per_second, 500.0);
        // A long quiet time: the burst leaves the window.
        for second in 2..=20 {
            let (now, totals) = at(second, 100);
            window.observe(now, totals);
        }
        let (now, totals) = at(21, 100);
        assert_eq!(window.observe(now, totals).unwrap().commands_per_second, 0.0);
        // Ticks slower than the window compare with the one before.
        let (now, totals) = at(61, 500);
        let rate = window.observe(now, totals).unwrap();
        assert!((rate.commands_per_second - 10.0).abs() < 3.0, "{rate:?}");
    }
}
