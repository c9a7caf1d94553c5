//! When the next SCAN of a fast walk may leave.

use std::time::{Duration, Instant};

/// A timer that rang late may be made up for by so much.
const LATE: Duration = Duration::from_millis(5);
/// Server time given as credit when a walk begins: some ten thousand keys are looked through at once, and only a longer
/// walk is stretched to its share.
const CREDIT: Duration = Duration::from_millis(5);
/// Least pause between two calls, so that other clients are served in between.
const BREATH: Duration = Duration::from_millis(1);

/// Spreads the calls of a walk in time.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    due: Instant,
    slack: Duration,
    breath: Instant,
}

impl Pacer {
    /// At the beginning of a walk that may take `share` of the server's time.
    pub fn new(now: Instant, share: f64) -> Self {
        let slack = CREDIT.div_f64(share.clamp(0.001, 1.0));
        Self { due: now.checked_sub(slack).unwrap_or(now), slack, breath: now }
    }

    /// When the next call may leave.
    pub fn next(&self) -> Instant {
        self.due.max(self.breath)
    }

    /// A call left; the one after it is to follow in `gap` on average.
    pub fn left(&mut self, now: Instant, gap: Duration) {
        let earliest = now.checked_sub(self.slack).unwrap_or(now);
        self.due = self.due.max(earliest) + gap;
        self.slack = self.slack.saturating_sub(gap).max(LATE);
        self.breath = now + BREATH;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments at which calls leave, in milliseconds, each as soon as it may.
    fn departures(share: f64, gap: Duration, calls: usize) -> Vec<f64> {
        let start = Instant::now() + Duration::from_secs(1000);
        let mut pacer = Pacer::new(start, share);
        let mut now = start;
        let mut moments = Vec::new();
        for _ in 0..calls {
            now = now.max(pacer.next());
            moments.push(now.duration_since(start).as_secs_f64() * 1e3);
            pacer.left(now, gap);
        }
        moments
    }

    #[test]
    fn p10_a_walk_begins_with_a_credit_and_goes_on_at_its_share() {
        // Calls of half a millisecond at 5 %.
        let moments = departures(0.05, Duration::from_millis(10), 200);
        assert!(moments.windows(2).all(|pair| pair[1] - pair[0] >= 0.99), "others are served in between");
        assert!(moments[9] < 10.0, "the credit is used at once: {moments:?}");
        let last = moments[199];
        assert!((1_850.0..=2_000.0).contains(&last), "200 calls take 2 s at 5 %, less the credit: {last}");
    }

    #[test]
    fn p10_what_was_not_used_is_not_made_up_for() {
        let start = Instant::now() + Duration::from_secs(1000);
        let mut pacer = Pacer::new(start, 0.05);
        let gap = Duration::from_millis(10);
        (0..20).for_each(|_| pacer.left(pacer.next(), gap));
        let late = pacer.next() + Duration::from_secs(3);
        pacer.left(late, gap);
        assert!(pacer.next() >= late + Duration::from_millis(5), "three lost seconds do not come back as a burst");
    }
}
