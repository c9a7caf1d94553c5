//! Figures that jitter while nothing happens: round-trip time and qtop's own cost. They are shown with a little inertia,
//! so that an idle screen stays still (F5) and what is shown is never more than a tenth off (P11).

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::snapshot::{LinkHealth, Snapshot};

/// Round trips of which the middle one is shown: a single slow one is not the link's speed.
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
    recent: VecDeque<Duration>,
}

impl Steady {
    /// Takes in a new sample.
    pub fn note(&mut self, snapshot: &Snapshot) {
        if snapshot.link != LinkHealth::Up {
            return;
        }
        self.recent.push_back(snapshot.rtt);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let mut new = Figures::of(snapshot);
        new.rtt = middle(&self.recent);
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

fn middle(recent: &VecDeque<Duration>) -> Duration {
    let mut sorted: Vec<Duration> = recent.iter().copied().collect();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
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
    fn p11_a_change_is_shown_and_never_more_than_a_tenth_off() {
        let mut steady = Steady::default();
        for step in 0..200_u32 {
            let commands = 40.0 + f64::from(step);
            steady.note(&sample(800, commands));
            let shown = steady.figures(&sample(800, commands)).commands_per_second;
            assert!((shown - commands).abs() <= commands * TENTH + 1.0, "{shown} for {commands}");
        }
        (0..RECENT).for_each(|_| steady.note(&sample(60_000, 40.0)));
        assert_eq!(steady.figures(&sample(0, 0.0)).rtt, Duration::from_millis(60));
    }
}
