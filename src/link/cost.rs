//! What qtop costs the server, from the server's own clock (P11).

use std::collections::HashMap;
use std::time::Instant;

use super::commands::{COMMANDS, CommandSpec};

/// The server's time that qtop uses.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerCost {
    /// Milliseconds of the server's time in each second.
    pub milliseconds_per_second: f64,
    /// Own command that takes longest: its name and microseconds per call.
    pub slowest: Option<(String, f64)>,
}

/// Turns readings of `INFO commandstats` and of [`super::Meter::calls`] into a [`ServerCost`].
///
/// The server tells the mean time of each command over all clients. Between two readings, that mean times qtop's own
/// number of calls is qtop's share: exact when qtop is the only one to use a command, else as near as others use it
/// alike.
#[derive(Clone, Debug, Default)]
pub struct CostWindow {
    earlier: Option<Reading>,
}

#[derive(Clone, Debug)]
struct Reading {
    at: Instant,
    stats: HashMap<String, Spent>,
    calls: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spent {
    calls: u64,
    microseconds: u64,
}

impl CostWindow {
    /// Before the first reading.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a reading and gives the cost since the one before; nothing at the first.
    ///
    /// `commandstats` is the text of that `INFO` section, `calls` the meter's counts at the same moment.
    pub fn observe(&mut self, now: Instant, commandstats: &str, calls: Vec<u64>) -> Option<ServerCost> {
        let reading = Reading { at: now, stats: parse(commandstats), calls };
        let earlier = self.earlier.replace(reading)?;
        let reading = self.earlier.as_ref()?;
        let seconds = now.saturating_duration_since(earlier.at).as_secs_f64();
        (seconds > 0.0).then(|| compare(&earlier, reading, seconds))
    }
}

fn compare(earlier: &Reading, reading: &Reading, seconds: f64) -> ServerCost {
    let mut microseconds = 0.0;
    let mut slowest: Option<(String, f64)> = None;
    for (index, spec) in COMMANDS.iter().enumerate() {
        let count = |calls: &[u64]| calls.get(index).copied().unwrap_or(0);
        let own = count(&reading.calls).saturating_sub(count(&earlier.calls));
        let Some(mean) = mean(spec, earlier, reading).filter(|_| own > 0) else { continue };
        microseconds += mean * own as f64;
        if slowest.as_ref().is_none_or(|(_, most)| mean > *most) {
            slowest = Some((spec.title(), mean));
        }
    }
    ServerCost { milliseconds_per_second: microseconds / 1000.0 / seconds, slowest }
}

/// Microseconds per call between two readings; over all time if there were no calls between them, or if somebody set
/// the server's counters back.
fn mean(spec: &CommandSpec, earlier: &Reading, reading: &Reading) -> Option<f64> {
    let now = find(&reading.stats, spec)?;
    let before = find(&earlier.stats, spec).unwrap_or_default();
    let (calls, microseconds) = match now.calls.checked_sub(before.calls).filter(|calls| *calls > 0) {
        Some(calls) => (calls, now.microseconds.saturating_sub(before.microseconds)),
        None => (now.calls, now.microseconds),
    };
    (calls > 0).then(|| microseconds as f64 / calls as f64)
}

/// Before Redis 7 the subcommands of a container were counted together.
fn find(stats: &HashMap<String, Spent>, spec: &CommandSpec) -> Option<Spent> {
    stats.get(&spec.server_name()).or_else(|| stats.get(&spec.name.to_ascii_lowercase())).copied()
}

/// Lines such as `cmdstat_client|list:calls=4,usec=120,usec_per_call=30.00,rejected_calls=0,failed_calls=0`.
fn parse(text: &str) -> HashMap<String, Spent> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
    lines
        .filter_map(|(name, fields)| {
            let field = |wanted: &str| {
                let value = fields.split(',').find_map(|field| field.strip_prefix(wanted)?.strip_prefix('='));
                value.and_then(|value| value.trim().parse().ok())
            };
            Some((name.to_ascii_lowercase(), Spent { calls: field("calls")?, microseconds: field("usec")? }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::link::commands::find as position;

    fn calls(counts: &[(&str, u64)]) -> Vec<u64> {
        let mut calls = vec![0; COMMANDS.len()];
        for (name, count) in counts {
            let words: Vec<&[u8]> = name.split(' ').map(str::as_bytes).collect();
            calls[position(&words).unwrap()] = *count;
        }
        calls
    }

    #[test]
    fn p11_own_share_is_the_mean_times_own_calls() {
        let mut window = CostWindow::new();
        let start = Instant::now();
        let text = "# Commandstats\r\ncmdstat_llen:calls=100,usec=100,usec_per_call=1.00\r\n";
        assert_eq!(window.observe(start, text, calls(&[("LLEN", 10)])), None);
        // 300 calls took 900 µs, 100 of them were qtop's; CLIENT LIST was asked once; HGET was only used by others.
        let text = "cmdstat_llen:calls=400,usec=1000\r\ncmdstat_client|list:calls=1,usec=700,usec_per_call=700\r\n\
                    cmdstat_hget:calls=9,usec=90000\r\nnonsense\r\ncmdstat_broken:calls=x\r\n";
        let cost =
            window.observe(start + Duration::from_secs(2), text, calls(&[("LLEN", 110), ("CLIENT LIST", 1)])).unwrap();
        assert!((cost.milliseconds_per_second - 0.5).abs() < 1e-9, "{cost:?}");
        assert_eq!(cost.slowest, Some(("CLIENT LIST".to_owned(), 700.0)));
    }

    #[test]
    fn counters_that_were_set_back_do_no_harm() {
        let mut window = CostWindow::new();
        let start = Instant::now();
        window.observe(start, "cmdstat_llen:calls=1000,usec=9000", calls(&[("LLEN", 1000)]));
        let text = "cmdstat_llen:calls=10,usec=20\r\ncmdstat_client:calls=2,usec=8";
        let cost =
            window.observe(start + Duration::from_secs(1), text, calls(&[("LLEN", 1010), ("CLIENT LIST", 1)])).unwrap();
        assert!((cost.milliseconds_per_second - 0.024).abs() < 1e-9, "{cost:?}");
    }
}
