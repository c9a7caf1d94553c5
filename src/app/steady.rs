//! Figures that jitter while nothing happens: round-trip time and qtop's own cost. They are shown with a little inertia,
//! so that an idle screen stays still (F5) and what is shown is never more than a tenth off its average (P11).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::domain::snapshot::{LinkHealth, Snapshot};

/// Samples that are looked at together. Of round trips the middle one is taken: a single slow one is not the link's
/// speed. Costs are averaged: looking for new queues makes some refreshes dearer than others.
const RECENT: usize = 9;
/// Samples older than this say nothing about now, however few there are since: with a thousand queues they come rarely,
/// and the first refreshes cost more than all later ones.
const SPAN: Duration = Duration::from_secs(10);
/// Share of the shown value by which a new one must differ to be shown.
const TENTH: f64 = 0.1;

/// What the header tells about the link.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Round-trip time of a tick.
    pub rtt: Duration,
    /// Commands qtop sends a second.
    pub commands_per_second: f64,
    /// Bytes both ways a second.
    pub bytes_per_second: f64,
    /// Milliseconds of the server's time a second, if known.
    pub server_ms_per_second: Option<f64>,
    /// Own command that takes the server longest, and its mean time, if known.
    pub slowest: Option<(String, Duration)>,
}

impl Figures {
    fn of(snapshot: &Snapshot) -> Self {
        let cost = &snapshot.cost;
        Self {
            rtt: snapshot.rtt,
            commands_per_second: cost.commands_per_second,
            bytes_per_second: cost.bytes_per_second,
            server_ms_per_second: cost.server_ms_per_second,
            slowest: cost.slowest.clone(),
        }
    }
}

/// The figures as they are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steady {
    shown: Option<Figures>,
    recent: VecDeque<(Instant, Figures)>,
}

impl Steady {
    /// Takes in a new sample.
    pub fn note(&mut self, snapshot: &Snapshot) {
        if snapshot.link != LinkHealth::Up {
            return;
        }
        let now = snapshot.received;
        self.recent.push_back((now, Figures::of(snapshot)));
        let old = |at: &Instant| now.saturating_duration_since(*at) > SPAN;
        while self.recent.len() > RECENT || self.recent.front().is_some_and(|(at, _)| old(at)) {
            self.recent.pop_front();
        }
        let recent = || self.recent.iter().map(|(_, figures)| figures);
        let new = Figures {
            rtt: middle(recent().map(|figures| figures.rtt).collect()),
            commands_per_second: mean(recent().map(|figures| figures.commands_per_second)),
            bytes_per_second: mean(recent().map(|figures| figures.bytes_per_second)),
            server_ms_per_second: snapshot
                .cost
                .server_ms_per_second
                .map(|_| mean(recent().filter_map(|figures| figures.server_ms_per_second))),
            slowest: snapshot.cost.slowest.clone(),
        };
        let Some(shown) = &mut self.shown else {
            self.shown = Some(new);
            return;
        };
        if differs(shown.rtt.as_secs_f64(), new.rtt.as_secs_f64(), 0.0005) {
            shown.rtt = new.rtt;
        }
        if differs(shown.commands_per_second, new.commands_per_second, 1.0) {
            shown.commands_per_second = new.commands_per_second;
        }
        if differs(shown.bytes_per_second, new.bytes_per_second, 100.0) {
            shown.bytes_per_second = new.bytes_per_second;
        }
        match (shown.server_ms_per_second, new.server_ms_per_second) {
            (Some(old), Some(new)) if !differs(old, new, 0.02) => {}
            (_, new) => shown.server_ms_per_second = new,
        }
        // Two commands that take about as long must not take turns.
        match (&shown.slowest, &new.slowest) {
            (Some((_, old)), Some((_, new))) if !differs(old.as_secs_f64(), new.as_secs_f64(), 0.000_005) => {}
            _ => shown.slowest = new.slowest,
        }
    }

    /// What to show beside this sample; its own figures if none was ever taken in.
    pub fn figures(&self, snapshot: &Snapshot) -> Figures {
        self.shown.clone().unwrap_or_else(|| Figures::of(snapshot))
    }
}

/// True if `new` is more than a tenth away from `shown`, and by more than `least`, below which nobody cares.
fn differs(shown: f64, new: f64, least: f64) -> bool {
    (new - shown).abs() > (shown.abs() * TENTH).max(least)
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ServerId;

    fn sample(rtt_micros: u64, commands: f64) -> Snapshot {
        let mut snapshot = Snapshot::empty(ServerId("test".into()), "redis://test".into(), Instant::now());
        snapshot.link = LinkHealth::Up;
        snapshot.rtt = Duration::from_micros(rtt_micros);
        snapshot.cost.commands_per_second = commands;
        snapshot
    }

    #[test]
    fn f5_jitter_is_not_shown() {
        let mut steady = Steady::default();
        steady.note(&sample(800, 40.0));
        let first = steady.figures(&sample(800, 40.0));
        for (rtt, commands) in [(650, 41.0), (900, 39.0), (4_000, 43.0), (700, 37.0), (820, 40.0)] {
            steady.note(&sample(rtt, commands));
        }
        assert_eq!(steady.figures(&sample(820, 40.0)), first);
    }

    #[test]
    fn f5_a_dearer_refresh_now_and_then_is_averaged() {
        let mut steady = Steady::default();
        (0..20).for_each(|tick| steady.note(&sample(800, if tick % 3 == 0 { 60.0 } else { 40.0 })));
        let settled = steady.figures(&sample(800, 40.0));
        for tick in 20..40 {
            steady.note(&sample(800, if tick % 3 == 0 { 60.0 } else { 40.0 }));
            assert_eq!(steady.figures(&sample(800, 40.0)), settled);
        }
    }

    #[test]
    fn p11_a_dear_start_is_forgotten_where_refreshes_are_rare() {
        let mut steady = Steady::default();
        let start = Instant::now();
        for (second, commands) in [(0, 70_000.0), (1, 20_000.0), (13, 900.0), (26, 800.0)] {
            let snapshot = Snapshot { received: start + Duration::from_secs(second), ..sample(800, commands) };
            steady.note(&snapshot);
        }
        let shown = steady.figures(&sample(800, 0.0)).commands_per_second;
        assert!((shown - 800.0).abs() <= 80.0, "{shown}");
    }

    #[test]
    fn f5_p11_the_slowest_command_does_not_flutter() {
        let mut steady = Steady::default();
        let mut shown = |name: &str, micros: u64| {
            let mut snapshot = sample(800, 40.0);
            snapshot.cost.slowest = Some((name.to_owned(), Duration::from_micros(micros)));
            steady.note(&snapshot);
            steady.figures(&snapshot).slowest.map(|(name, _)| name)
        };
        assert_eq!(shown("SCAN", 400).as_deref(), Some("SCAN"));
        assert_eq!(shown("INFO", 410).as_deref(), Some("SCAN"));
        assert_eq!(shown("INFO", 700).as_deref(), Some("INFO"));
    }

    #[test]
    fn p11_a_change_is_shown_and_never_more_than_a_tenth_off() {
        let mut steady = Steady::default();
        for commands in [40.0, 44.0, 80.0, 300.0, 20.0] {
            (0..RECENT).for_each(|_| steady.note(&sample(800, commands)));
            let shown = steady.figures(&sample(800, commands)).commands_per_second;
            assert!((shown - commands).abs() <= commands * TENTH + 1.0, "{shown} for {commands}");
        }
        (0..RECENT).for_each(|_| steady.note(&sample(60_000, 40.0)));
        assert_eq!(steady.figures(&sample(0, 0.0)).rtt, Duration::from_millis(60));
    }
}
