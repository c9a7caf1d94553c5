//! What qtop costs the server, and how fast it may therefore sample (P6, P11).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::domain::snapshot::{Cost, CostTotals};
use crate::link::{CostWindow, Meter, Rate, RateWindow, ServerCost, Totals};

/// The intervals the governor may choose beside the one a person asked for.
const LADDER: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];
/// Interval while nobody looks (P16).
pub const IDLE_INTERVAL: Duration = Duration::from_secs(30);
/// Server time qtop's refreshes may use: 0.5 % of a core (P6).
const BUDGET_MICROS_PER_SECOND: f64 = 5_000.0;
/// Bytes they may use, both ways together (P6).
const BUDGET_BYTES_PER_SECOND: f64 = 50.0 * 1024.0;
/// Ticks the estimate of bytes looks back.
const TICKS: usize = 5;

/// Follows the cost of one server.
#[derive(Default)]
pub struct CostKeeper {
    rates: RateWindow,
    rate: Option<Rate>,
    totals: Totals,
    window: CostWindow,
    server: Option<ServerCost>,
    tick_bytes: VecDeque<u64>,
    tick_micros: f64,
    interval: Duration,
}

impl CostKeeper {
    /// Takes in the meter after a tick that moved `bytes` in both directions.
    pub fn observe(&mut self, now: Instant, totals: Totals, bytes: u64) {
        self.totals = totals;
        self.rate = self.rates.observe(now, totals).or(self.rate);
        if self.tick_bytes.len() == TICKS {
            self.tick_bytes.pop_front();
        }
        self.tick_bytes.push_back(bytes);
    }

    /// Takes in the server's own statistics, the text of `INFO commandstats`.
    pub fn statistics(&mut self, now: Instant, commandstats: &str, meter: &Meter) {
        self.server = self.window.observe(now, commandstats, meter.calls()).or(self.server.take());
    }

    /// Takes in the server time of one usual tick, in microseconds.
    pub fn tick_time(&mut self, micros: f64) {
        self.tick_micros = micros;
    }

    /// The interval until the next tick: what a person asked for, or longer if that would cost too much.
    pub fn interval(&mut self, wanted: Duration, idle: bool) -> Duration {
        let wanted = if idle { wanted.max(IDLE_INTERVAL) } else { wanted };
        // The smallest of the last ticks: deeper reads of other tasks share the meter and must not slow the ticks.
        let bytes = self.tick_bytes.iter().min().copied().unwrap_or(0) as f64 / BUDGET_BYTES_PER_SECOND;
        let needed = bytes.max(self.tick_micros / BUDGET_MICROS_PER_SECOND);
        let fits = |step: &Duration| {
            // Going faster again needs some room, or the interval would flutter.
            let room = if *step < self.interval { 0.8 } else { 1.0 };
            needed <= step.as_secs_f64() * room
        };
        let longest = wanted.max(LADDER[LADDER.len() - 1]);
        let mut steps = std::iter::once(wanted).chain(LADDER.into_iter().filter(|step| *step > wanted));
        self.interval = steps.find(fits).unwrap_or(longest);
        self.interval
    }

    /// What the screens show.
    pub fn cost(&self) -> Cost {
        let rate = self.rate.unwrap_or_default();
        let slowest = self.server.as_ref().and_then(|server| server.slowest.clone());
        Cost {
            commands_per_second: rate.commands_per_second,
            bytes_per_second: rate.bytes_in_per_second + rate.bytes_out_per_second,
            server_ms_per_second: self.server.as_ref().map(|server| server.milliseconds_per_second),
            slowest: slowest.map(|(name, micros)| (name, Duration::from_secs_f64(micros.max(0.0) / 1e6))),
            totals: CostTotals {
                round_trips: self.totals.round_trips,
                commands: self.totals.commands,
                bytes_in: self.totals.bytes_in,
                bytes_out: self.totals.bytes_out,
            },
            interval: self.interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ticks(keeper: &mut CostKeeper, bytes: u64) {
        for _ in 0..TICKS {
            keeper.observe(Instant::now(), Totals::default(), bytes);
        }
    }

    #[test]
    fn p6_many_bytes_stretch_the_interval_and_fewer_shrink_it() {
        let mut keeper = CostKeeper::default();
        ticks(&mut keeper, 10_000);
        assert_eq!(keeper.interval(SECOND, false), SECOND);
        ticks(&mut keeper, 120_000);
        assert_eq!(keeper.interval(SECOND, false), Duration::from_secs(5));
        ticks(&mut keeper, 95_000);
        assert_eq!(keeper.interval(SECOND, false), Duration::from_secs(5), "no flutter");
        ticks(&mut keeper, 52_000);
        assert_eq!(keeper.interval(SECOND, false), Duration::from_secs(2));
        ticks(&mut keeper, 20_000);
        assert_eq!(keeper.interval(SECOND, false), SECOND);
        ticks(&mut keeper, 500_000_000);
        assert_eq!(keeper.interval(SECOND, false), Duration::from_secs(30));
    }

    #[test]
    fn p6_server_time_stretches_the_interval() {
        let mut keeper = CostKeeper::default();
        keeper.tick_time(10_000.0);
        assert_eq!(keeper.interval(SECOND, false), Duration::from_secs(2));
        keeper.tick_time(200.0);
        assert_eq!(keeper.interval(SECOND, false), SECOND);
    }

    #[test]
    fn p16_nobody_looking_means_thirty_seconds() {
        let mut keeper = CostKeeper::default();
        assert_eq!(keeper.interval(Duration::from_millis(500), true), IDLE_INTERVAL);
        assert_eq!(keeper.interval(Duration::from_secs(60), true), Duration::from_secs(60));
        assert_eq!(keeper.interval(Duration::from_millis(500), false), Duration::from_millis(500));
    }
}
