//! Figures that jitter while nothing happens: round-trip time and qtop's own cost. They are shown with a little inertia,
//! so that an idle screen stays still (F5) and what is shown is never more than a tenth off its average (P11).

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::snapshot::{LinkHealth, Snapshot};

/// Samples that are looked at together. Of round trips the middle one is taken: a single slow one is not the link's
/// speed. Costs are averaged: looking for new queues makes some refreshes dearer than others.
const RECENT: usize = 9;
/// Share of the shown value by which a new one must differ to be shown.
const TENTH: f64 = 0.1;

/// What the header tells about the link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Round-trip time of a tick.
    pub rtt: Duration,
    /// Commands qtop sends a second.
    pub commands_per_second: f64,
    /// Bytes both ways a second.
    pub bytes_per_second: f64,
    /// Milliseconds of the server's time a second, if known.
    pub server_ms_per_second: Option<f64>,
}

impl Figures {
    fn of(snapshot: &Snapshot) -> Self {
        let cost = &snapshot.cost;
        Self {
            rtt: snapshot.rtt,
            commands_per_second: cost.commands_per_second,
            bytes_per_second: cost.bytes_per_second,
            server_ms_per_second: cost.server_ms_per_second,
        }
    }
}

/// The figures as they are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steady {
    shown: Option<Figures>,
    recent: VecDeque<Figures>,
}

impl Steady {
    /// Takes in a new sample.
    pub fn note(&mut self, snapshot: &Snapshot) {
        if snapshot.link != LinkHealth::Up {
            return;
        }
        self.recent.push_back(Figures::of(snapshot));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let new = Figures {
            rtt: middle(self.recent.iter().map(|figures| figures.rtt).collect()),
            commands_per_second: mean(self.recent.iter().map(|figures| figures.commands_per_second)),
            bytes_per_second: mean(self.recent.iter().map(|figures| figures.bytes_per_second)),
            server_ms_per_second: snapshot
                .cost
                .server_ms_per_second
                .map(|_| mean(self.recent.iter().filter_map(|figures| figures.server_ms_per_second))),
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
    }

    /// What to show beside this sample; its own figures if none was ever taken in.
    pub fn figures(&self, snapshot: &Snapshot) -> Figures {
        self.shown.unwrap_or_else(|| Figures::of(snapshot))
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
    use std::time::Instant;

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
