//! How much work goes into one call, and how long to rest after it (P1).

use std::time::Duration;

/// A call should keep the server busy for no longer than this.
const GOAL: Duration = Duration::from_millis(5);
const FIRST: usize = 100;
const MOST: usize = 1000;

/// Grows and shrinks the piece by what the calls took.
#[derive(Clone, Debug)]
pub struct Pace {
    piece: usize,
    /// The shortest round trip seen: what the network takes for itself.
    floor: Option<Duration>,
    rate: Option<u32>,
    ramp: &'static [usize],
}

/// Pieces of a careful start: one job, then ten, then as usual.
const RAMP: &[usize] = &[1, 10];

impl Pace {
    /// `rate`: jobs per second at most. `ramp`: begin with one, then ten. `searches`: a job's work grows with the length
    /// of its list, so that what a call takes is known only after the first, which is of one job.
    pub fn new(rate: Option<u32>, ramp: bool, searches: bool) -> Self {
        let piece = if searches { 1 } else { FIRST };
        Self { piece, floor: None, rate: rate.filter(|rate| *rate > 0), ramp: if ramp { RAMP } else { &[] } }
    }

    /// A round trip that did no work, to know what the network takes.
    pub fn measured_ping(&mut self, took: Duration) {
        self.floor = Some(self.floor.map_or(took, |floor| floor.min(took)));
    }

    /// Jobs for the next call.
    pub fn next_piece(&self) -> usize {
        // A slow rate would otherwise come in bursts of many seconds' worth.
        let by_rate = self.rate.map_or(usize::MAX, |rate| (rate as usize).div_ceil(4).max(1));
        self.ramp.first().copied().unwrap_or(self.piece).min(by_rate)
    }

    /// True while the careful start is not over: the caller looks at what became of the piece before it goes on.
    pub fn is_ramping(&self) -> bool {
        !self.ramp.is_empty()
    }

    /// Tells what a call of `jobs` took, and answers how long to rest now: at least as long as the server worked.
    pub fn measured(&mut self, jobs: usize, took: Duration) -> Duration {
        let floor = self.floor.unwrap_or(Duration::ZERO);
        let work = took.saturating_sub(floor);
        if let [_, rest @ ..] = self.ramp {
            self.ramp = rest;
        } else if work > GOAL {
            self.piece = (self.piece / 2).max(1);
        } else if work < GOAL / 3 {
            self.piece = (self.piece + self.piece / 2 + 1).min(MOST);
        }
        let by_rate = self
            .rate
            .map_or(Duration::ZERO, |rate| Duration::from_secs_f64(jobs as f64 / f64::from(rate)).saturating_sub(took));
        work.max(by_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_pieces_shrink_when_calls_are_slow_and_stay_within_bounds() {
        let mut pace = Pace::new(None, false, false);
        pace.measured_ping(Duration::from_millis(60));
        for _ in 0..20 {
            pace.measured(pace.next_piece(), Duration::from_millis(61));
        }
        assert_eq!(pace.next_piece(), MOST);
        let rest = pace.measured(MOST, Duration::from_millis(80));
        assert_eq!(rest, Duration::from_millis(20));
        for _ in 0..20 {
            pace.measured(pace.next_piece(), Duration::from_millis(80));
        }
        assert_eq!(pace.next_piece(), 1);
    }

    #[test]
    fn p1_where_each_job_is_searched_in_a_long_list_the_first_call_is_of_one() {
        let mut pace = Pace::new(None, false, true);
        assert_eq!(pace.next_piece(), 1);
        pace.measured(1, Duration::from_millis(26));
        assert_eq!(pace.next_piece(), 1, "a list so long is not given more at once");
        pace.measured(1, Duration::from_millis(1));
        assert!(pace.next_piece() > 1);
    }

    #[test]
    fn a_ramp_begins_with_one_and_ten() {
        let mut pace = Pace::new(None, true, false);
        let mut pieces = Vec::new();
        for _ in 0..3 {
            pieces.push(pace.next_piece());
            pace.measured(pace.next_piece(), Duration::from_millis(3));
        }
        assert_eq!(pieces, [1, 10, FIRST]);
        assert!(!pace.is_ramping());
    }

    #[test]
    fn a_rate_is_kept() {
        let mut pace = Pace::new(Some(20), false, false);
        let piece = pace.next_piece();
        assert_eq!(piece, 5);
        assert_eq!(pace.measured(piece, Duration::from_millis(10)), Duration::from_millis(240));
    }
}
