//! How long to wait before connecting again.

use std::time::Duration;

/// First wait.
const FIRST: Duration = Duration::from_millis(100);
/// Longest wait (R11).
const LONGEST: Duration = Duration::from_secs(20);

/// Waits that double from 100 ms to 20 s, each shortened by up to half at random, so that many qtops that lost the
/// same server do not come back at the same moment.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    random: fastrand::Rng,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST, random: fastrand::Rng::new() }
    }
}

impl Backoff {
    /// Before the first failure.
    pub fn new() -> Self {
        Self::default()
    }

    /// The wait after one more failure.
    pub fn failed(&mut self) -> Duration {
        let wait = self.next.mul_f64(0.5 + self.random.f64() / 2.0).max(FIRST);
        self.next = (self.next * 2).min(LONGEST);
        wait
    }

    /// It worked: the next failure waits shortly again.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r11_waits_grow_from_100_ms_to_20_s_with_jitter() {
        let mut backoff = Backoff::new();
        let waits: Vec<Duration> = (0..40).map(|_| backoff.failed()).collect();
        assert_eq!(waits[0], FIRST);
        assert!(waits.iter().all(|wait| (FIRST..=LONGEST).contains(wait)), "{waits:?}");
        assert!(waits[3] > Duration::from_millis(390) && waits[3] <= Duration::from_millis(800), "{waits:?}");
        let late = &waits[10..];
        assert!(late.iter().all(|wait| *wait >= LONGEST / 2), "{late:?}");
        assert!(late.windows(2).any(|pair| pair[0] != pair[1]), "no jitter: {late:?}");
        backoff.reset();
        assert_eq!(backoff.failed(), FIRST);
    }
}
