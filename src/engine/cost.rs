//! What qtop costs the server, and how fast it may therefore sample (P6, P11).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Limits;
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
/// Ticks the estimate of bytes looks back.
const TICKS: usize = 5;

/// Follows the cost of one server.
pub struct CostKeeper {
    limits: Limits,
    rates: RateWindow,
    rate: Option<Rate>,
    totals: Totals,
    window: CostWindow,
    server: Option<ServerCost>,
    tick_bytes: VecDeque<u64>,
    tick_micros: f64,
    tick_commands: usize,
    interval: Duration,
}

impl CostKeeper {
    /// Nothing measured yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            rates: RateWindow::default(),
            rate: None,
            totals: Totals::default(),
            window: CostWindow::default(),
            server: None,
            tick_bytes: VecDeque::new(),
            tick_micros: 0.0,
            tick_commands: 0,
            interval: Duration::ZERO,
        }
    }

    /// From now on, this is what it may cost.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes in the meter after a tick of so many commands that moved `bytes` in both directions.
    pub fn observe(&mut self, now: Instant, totals: Totals, commands: usize, bytes: u64) {
        self.totals = totals;
        self.tick_commands = commands;
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
        let wanted = if idle { wanted.max(self.limits.idle_interval) } else { wanted };
        // The smallest of the last ticks: deeper reads of other tasks share the meter and must not slow the ticks.
        let bytes = self.tick_bytes.iter().min().copied().unwrap_or(0) as f64 / self.limits.bytes_per_second;
        let time = self.tick_micros / 1e6 / self.limits.server_share;
        let needed = bytes.max(time).max(self.tick_commands as f64 / self.limits.commands_per_second);
        let fits = |step: &Duration| {
            // Going faster again needs some room, or the interval would flutter.
            let room = if *step < self.interval { 0.8 } else { 1.0 };
            needed <= step.as_secs_f64() * room
        };
        let longest = wanted.max(self.limits.max_interval);
        let mut steps = std::iter::once(wanted).chain(LADDER.into_iter().filter(|step| *step > wanted));
        self.interval = steps.find(fits).unwrap_or(longest).min(longest);
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
            keeper.observe(Instant::now(), Totals::default(), 100, bytes);
        }
    }

    #[test]
    fn p6_many_bytes_stretch_the_interval_and_fewer_shrink_it() {
        let mut keeper = CostKeeper::new(Limits::default());
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
        let mut keeper = CostKeeper::new(Limits::default());
        keeper.tick_time(10_000.0);
        assert_eq!(keeper.interval(SECOND, false), Duration::from_secs(2));
        keeper.tick_time(200.0);
        assert_eq!(keeper.interval(SECOND, false), SECOND);
    }

    #[test]
    fn p16_nobody_looking_means_thirty_seconds() {
        let mut keeper = CostKeeper::new(Limits::default());
        assert_eq!(keeper.interval(Duration::from_millis(500), true), Duration::from_secs(30));
        assert_eq!(keeper.interval(Duration::from_secs(60), true), Duration::from_secs(60));
        assert_eq!(keeper.interval(Duration::from_millis(500), false), Duration::from_millis(500));
    }
}
