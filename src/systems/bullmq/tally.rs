//! Totals that only grow, from the lengths of two ticks.
//!
//! As long as finished jobs are kept, the finished sets grow by exactly what ended. Where more left the open states
//! than the sets gained (BullMQ trims or deletes finished jobs), ends are taken from the metrics of the workers if they
//! keep any, else counted by their time, and where nothing is kept at all, by what left: added less still open. That
//! last way also counts jobs removed by hand, and adds refused by deduplication, which raise the counter too.

use crate::domain::queue::Totals;
use crate::domain::time::Timestamp;

use super::memo::{Lengths, Tally};

/// How many ticks ends are counted by time after the sets last fell behind.
const BY_TIME_TICKS: u64 = 60;

impl Tally {
    /// As the sample carries them; ends only if the finished sets could be read.
    pub fn told(&self, ends_known: bool) -> Totals {
        Totals {
            added: Some(self.added),
            finished: ends_known.then_some(self.finished),
            failed: ends_known.then_some(self.failed),
        }
    }
}

/// Ends since the last count, good and bad ones, by other means than the sizes of the sets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// By their time, up to the server time of the tick before.
    pub by_time: [Option<u64>; 2],
    /// By the metrics of the workers.
    pub metered: [Option<u64>; 2],
}

/// Adds what happened between two ticks. `now`: the server time of the tick before.
pub fn count(tally: &mut Tally, before: &Lengths, after: &Lengths, counts: Counts, tick: u64, now: Timestamp) {
    let ended = counts.by_time;
    let grown = |of: fn(&Lengths) -> Option<u64>| Some(of(after)? as i64 - of(before)? as i64);
    let positive = |grown: Option<i64>| grown.map_or(0, |grown| u64::try_from(grown).unwrap_or(0));
    let added = grown(|lengths| lengths.id);
    match (before.id, after.id) {
        (None, Some(id)) => tally.added = tally.added.max(id),
        _ => tally.added += positive(added),
    }
    let left = added.zip(grown(Lengths::open)).map(|(added, open)| added - open);
    let by_size = [positive(grown(|lengths| lengths.completed)), positive(grown(|lengths| lengths.failed))];
    if left.is_some_and(|left| left > (by_size[0] + by_size[1]) as i64) {
        tally.by_time_until = tick + BY_TIME_TICKS;
    }
    let [completed, failed] = if tick <= tally.by_time_until {
        let kept = [after.completed, after.failed].map(|length| length.is_some_and(|length| length > 0));
        // In its first tick nothing: the first count by time covers that span too.
        let by_time = |side: usize| ended[side].unwrap_or(0);
        let failed = counts.metered[1].unwrap_or_else(|| by_time(1));
        let completed = match counts.metered[0] {
            Some(metered) => metered,
            // What ended in the span and since fills the whole set: more may have been pushed out of it already.
            None if kept[0] && ended[0].is_some_and(|ended| Some(ended + positive(left)) >= after.completed) => {
                by_time(0).max(tally.left.saturating_sub(failed))
            }
            None if kept[0] => by_time(0),
            None => positive(left).saturating_sub(failed),
        };
        tally.left = if ended[0].is_some() { positive(left) } else { tally.left + positive(left) };
        for side in 0..2 {
            let metered = counts.metered[side].is_some();
            let answered = ended[side].is_some() || tally.counted_to[side].is_none() || !kept[side] || metered;
            if answered {
                tally.counted_to[side] = (now > Timestamp::default()).then_some(now);
            }
        }
        [completed, failed]
    } else {
        (tally.counted_to, tally.left) = ([None; 2], 0);
        by_size
    };
    tally.failed += failed;
    tally.finished += completed + failed;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(id: u64, wait: u64, completed: u64, failed: u64) -> Lengths {
        Lengths {
            id: Some(id),
            wait: Some(wait),
            paused: Some(0),
            active: Some(0),
            prioritized: Some(0),
            delayed: Some(0),
            children: Some(0),
            completed: Some(completed),
            failed: Some(failed),
        }
    }

    fn run(steps: &[(Lengths, [Option<u64>; 2])]) -> Vec<Totals> {
        let mut tally = Tally::default();
        let mut before = Lengths::default();
        let mut told = Vec::new();
        for (tick, (after, ended)) in (1..).zip(steps) {
            let counts = Counts { by_time: *ended, ..Counts::default() };
            count(&mut tally, &before, after, counts, tick, Timestamp(tick as i64 * 1000));
            before = *after;
            told.push(tally.told(true));
        }
        told
    }

    fn totals(added: u64, finished: u64, failed: u64) -> Totals {
        Totals { added: Some(added), finished: Some(finished), failed: Some(failed) }
    }

    #[test]
    fn kept_jobs_are_counted_by_the_growth_of_the_sets() {
        let told = run(&[
            (lengths(10, 10, 0, 0), [None; 2]),
            (lengths(14, 8, 4, 2), [None; 2]),
            // Two failed jobs are retried: nothing ended, and nothing is taken back.
            (lengths(14, 10, 4, 0), [None; 2]),
            (lengths(14, 8, 6, 0), [None; 2]),
        ]);
        assert_eq!(told, [totals(10, 0, 0), totals(14, 6, 2), totals(14, 6, 2), totals(14, 8, 2)]);
    }

    #[test]
    fn trimmed_sets_are_counted_by_time() {
        let told = run(&[
            (lengths(100, 50, 5, 1), [None; 2]),
            // 20 left, the set stands at its limit: from now on by time.
            (lengths(100, 30, 5, 1), [None; 2]),
            (lengths(100, 10, 5, 1), [Some(18), Some(2)]),
            // The set of five is full of newer ones; what left tells how many more there were.
            (lengths(100, 0, 5, 1), [Some(5), Some(1)]),
        ]);
        assert_eq!(told[2], totals(100, 20, 2));
        assert_eq!(told[3], totals(100, 40, 3));
    }

    #[test]
    fn jobs_that_are_not_kept_are_counted_by_what_left() {
        let told = run(&[
            (lengths(100, 50, 0, 0), [None; 2]),
            (lengths(110, 40, 0, 0), [None; 2]),
            (lengths(110, 35, 0, 0), [None; 2]),
        ]);
        assert_eq!(told, [totals(100, 0, 0), totals(110, 20, 0), totals(110, 25, 0)]);
    }

    #[test]
    fn metrics_are_preferred_once_the_sets_do_not_tell() {
        let mut tally = Tally::default();
        let metered = |completed, failed| Counts { metered: [Some(completed), Some(failed)], ..Counts::default() };
        count(&mut tally, &Lengths::default(), &lengths(100, 50, 0, 0), Counts::default(), 1, Timestamp(1000));
        // Ten left: the first look at the metrics has no earlier one to be compared with.
        count(&mut tally, &lengths(100, 50, 0, 0), &lengths(100, 40, 0, 0), Counts::default(), 2, Timestamp(2000));
        // Twenty adds were refused as duplicates, which raised the counter; five ended.
        count(&mut tally, &lengths(100, 40, 0, 0), &lengths(120, 35, 0, 0), metered(4, 1), 3, Timestamp(3000));
        assert_eq!(tally.told(true), totals(120, 15, 1));
    }

    #[test]
    fn a_length_that_was_not_read_adds_nothing() {
        let told = run(&[(lengths(10, 10, 0, 0), [None; 2]), (Lengths::default(), [None; 2])]);
        assert_eq!(told[1], totals(10, 0, 0));
    }
}
