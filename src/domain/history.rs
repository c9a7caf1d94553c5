//! Rings of past counts. Rates, the drain estimate and the backlog line come from here, so that every screen and the
//! command line agree.
//!
//! A rate is only given when it is known to be one: a counter that went back (a restart, an obliterated queue) or a
//! hole in the record starts a new record instead of a wild number.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::queue::{Count, Drain, Moment, Oldest, QueueSample, Totals, Trend};
use super::state::{StateKind, StateSpec};
use super::time::Timestamp;

/// Samples kept for each queue.
pub const KEPT: usize = 60;

/// Samples further apart than this do not belong to one movement: what lay between is not known.
const LONGEST_GAP: Duration = Duration::from_secs(95);

/// A window with this many events is long enough for a rate.
const ENOUGH_EVENTS: u64 = 50;

/// A window is made at least this long if the record reaches back so far, however much happens.
const SHORTEST_WINDOW: Duration = Duration::from_secs(5);

/// A window never gets longer than this: older movement says nothing about now.
const LONGEST_WINDOW: Duration = Duration::from_secs(60);

/// A backlog that the workers clear in less is no backlog: jobs come and go.
const WORKED_OFF_SOON: Duration = Duration::from_secs(5);

/// What is remembered of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    at: Timestamp,
    totals: Totals,
    waiting: Option<u64>,
    open: Option<u64>,
    oldest_seconds: Option<f32>,
}

/// The past of one queue.
#[derive(Clone, Debug, Default)]
pub struct History {
    points: VecDeque<Point>,
    backlog: VecDeque<u64>,
    last_finish: Option<Timestamp>,
    last_life: Option<Timestamp>,
    watched_since: Option<Timestamp>,
}

impl History {
    /// Takes a sample in. `at` is the server's time of the tick; a sample that is not newer than the last is ignored.
    pub fn push(&mut self, at: Timestamp, sample: &QueueSample, states: &[StateSpec]) {
        let point = Point {
            at,
            totals: sample.totals,
            waiting: sample.kind(states, StateKind::Waiting).and_then(certain),
            open: open_jobs(sample, states),
            oldest_seconds: match sample.oldest {
                Oldest::Since(moment) => Some(moment.age(at).as_secs_f32()),
                Oldest::Nothing => Some(0.0),
                Oldest::Unknown => None,
            },
        };
        if let Some(last) = self.points.back() {
            if at == last.at {
                return;
            }
            if at < last.at || last.at.age(at) > LONGEST_GAP || went_back(&last.totals, &point.totals) {
                self.cut();
            } else if grew(last.totals.finished, point.totals.finished) {
                self.last_finish = Some(at);
                self.last_life = Some(at);
            } else if grew(point.waiting, last.waiting) {
                self.last_life = Some(at);
            }
        }
        self.watched_since.get_or_insert(at);
        if sample.kind(states, StateKind::Active).and_then(Count::value) != Some(0) {
            self.last_life = Some(at);
        }
        if self.points.len() == KEPT {
            self.points.pop_front();
        }
        self.points.push_back(point);
        if let Some(waiting) = point.waiting {
            if self.backlog.len() == KEPT {
                self.backlog.pop_front();
            }
            self.backlog.push_back(waiting);
        }
    }

    /// Starts a new record: the server was away or restarted, so nothing can be said about the time between.
    /// The backlog line stays, because it shows lengths and no movement.
    pub fn cut(&mut self) {
        self.points.clear();
        self.last_finish = None;
        self.last_life = None;
        self.watched_since = None;
    }

    /// Movement as of the last sample.
    pub fn trend(&self) -> Trend {
        let added = self.rate(|point| point.totals.added);
        let finished = self.rate(|point| point.totals.finished);
        let open = self.slope(|point| point.open);
        // What a system does not count follows from the balance: everything added is open or has ended.
        let in_per_s = added.or_else(|| Some((finished? + open?).max(0.0)));
        let out_per_s = finished.or_else(|| Some((added? - open?).max(0.0)));
        Trend {
            in_per_s,
            out_per_s,
            failed_per_s: self.rate(|point| point.totals.failed),
            drain: self.drain(),
            backlog: self.backlog.iter().copied().collect(),
            past: self.past(),
        }
    }

    /// Movement from each point to the next. What a system does not count follows from the balance, as in the trend.
    fn past(&self) -> Arc<[Moment]> {
        let moment = |(before, after): (&Point, &Point)| {
            let seconds = before.at.age(after.at).as_secs_f32();
            let per_second = |from: Option<u64>, to: Option<u64>| Some((to? as f32 - from? as f32) / seconds);
            let added = per_second(before.totals.added, after.totals.added);
            let finished = per_second(before.totals.finished, after.totals.finished);
            let open = per_second(before.open, after.open);
            Moment {
                in_per_s: added.or_else(|| Some((finished? + open?).max(0.0))),
                out_per_s: finished.or_else(|| Some((added? - open?).max(0.0))),
                failed_per_s: per_second(before.totals.failed, after.totals.failed),
                oldest_seconds: after.oldest_seconds,
            }
        };
        self.points.iter().zip(self.points.iter().skip(1)).map(moment).collect()
    }

    /// For how long, by the server's clock, this queue has been watched without finishing a job. `None` if the system
    /// does not count what it finishes, or nothing is known yet.
    pub fn idle_for(&self) -> Option<Duration> {
        let last = self.points.back()?;
        last.totals.finished?;
        Some(self.last_finish.or(self.watched_since)?.age(last.at))
    }

    /// For how long, by the server's clock, nobody has touched this queue while it was watched: nothing was active,
    /// nothing ended, and the number of waiting jobs did not shrink.
    pub fn untouched_for(&self) -> Duration {
        let Some(last) = self.points.back() else { return Duration::ZERO };
        self.last_life.or(self.watched_since).map_or(Duration::ZERO, |since| since.age(last.at))
    }

    /// For how long the record reaches back without a hole.
    pub fn span(&self) -> Duration {
        match (self.points.front(), self.points.back()) {
            (Some(first), Some(last)) => first.at.age(last.at),
            _ => Duration::ZERO,
        }
    }

    /// Change of the number of waiting jobs per second; negative while it shrinks.
    pub fn growth(&self) -> Option<f64> {
        self.slope(|point| point.waiting)
    }

    /// The first point of the window that ends now: far enough back for a steady figure, near enough to be about now.
    /// All points of the window know the value `of`.
    fn window(&self, of: impl Fn(&Point) -> Option<u64>) -> Option<((Timestamp, u64), (Timestamp, u64))> {
        let last = self.points.back()?;
        let end = of(last)?;
        let mut begin = None;
        for point in self.points.iter().rev().skip(1) {
            let Some(value) = of(point) else { break };
            let span = point.at.age(last.at);
            if span > LONGEST_WINDOW && begin.is_some() {
                break;
            }
            begin = Some((point.at, value));
            if span >= SHORTEST_WINDOW && end.abs_diff(value) >= ENOUGH_EVENTS {
                break;
            }
        }
        Some((begin?, (last.at, end)))
    }

    fn slope(&self, of: impl Fn(&Point) -> Option<u64>) -> Option<f64> {
        let ((from, first), (to, last)) = self.window(of)?;
        let seconds = from.age(to).as_secs_f64();
        (seconds > 0.0).then(|| (last as f64 - first as f64) / seconds)
    }

    fn rate(&self, of: impl Fn(&Point) -> Option<u64>) -> Option<f64> {
        self.slope(of).map(|rate| rate.max(0.0))
    }

    fn drain(&self) -> Drain {
        let Some(waiting) = self.points.back().and_then(|point| point.waiting) else { return Drain::Unknown };
        if waiting == 0 {
            return Drain::Empty;
        }
        let Some(growth) = self.growth() else { return Drain::Unknown };
        if growth < 0.0 {
            // A trickle of one job an hour would print as years; the cap keeps the arithmetic inside Duration.
            let seconds = (waiting as f64 / -growth).min(1e11);
            return Drain::In(Duration::from_secs_f64(seconds));
        }
        let soon = self.rate(|point| point.totals.finished).map(|out| waiting as f64 / out);
        match soon.filter(|seconds| *seconds < WORKED_OFF_SOON.as_secs_f64()) {
            Some(seconds) => Drain::In(Duration::from_secs_f64(seconds)),
            // One or two samples are no movement, and a few jobs in a queue that gets empty now and then no backlog.
            None if self.span() < SHORTEST_WINDOW || self.was_emptied() => Drain::Unknown,
            None => Drain::Never { grows_per_s: growth },
        }
    }

    /// True if the queue was seen to become empty within the window.
    fn was_emptied(&self) -> bool {
        let Some(last) = self.points.back() else { return false };
        let recent = self.points.iter().rev().take_while(|point| point.at.age(last.at) <= LONGEST_WINDOW);
        let mut later = None;
        for point in recent {
            if later == Some(0) && point.waiting.is_some_and(|waiting| waiting > 0) {
                return true;
            }
            later = point.waiting;
        }
        false
    }
}

/// The number if it was counted now; estimates make no rates.
fn certain(count: Count) -> Option<u64> {
    match count {
        Count::Exact(value) => Some(value),
        Count::AtLeast(_) | Count::Approx { .. } | Count::Unknown => None,
    }
}

fn open_jobs(sample: &QueueSample, states: &[StateSpec]) -> Option<u64> {
    let mut open = states.iter().filter(|state| state.kind.is_open()).peekable();
    open.peek()?;
    open.try_fold(0_u64, |sum, state| Some(sum.saturating_add(certain(sample.count(state.id))?)))
}

fn went_back(before: &Totals, now: &Totals) -> bool {
    let back = |before: Option<u64>, now: Option<u64>| matches!((before, now), (Some(a), Some(b)) if b < a);
    back(before.added, now.added) || back(before.finished, now.finished) || back(before.failed, now.failed)
}

fn grew(before: Option<u64>, now: Option<u64>) -> bool {
    matches!((before, now), (Some(a), Some(b)) if b > a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::QueueId;
    use crate::domain::state::StateId;

    const STATES: &[StateSpec] = &[
        StateSpec::new("wait", "Wait", StateKind::Waiting, 'W'),
        StateSpec::new("active", "Active", StateKind::Active, 'A'),
        StateSpec::new("failed", "Failed", StateKind::Failed, 'F'),
    ];

    fn sample(waiting: u64, active: u64, totals: Totals) -> QueueSample {
        let mut sample = QueueSample::unknown(QueueId::new("x", "", "q"), STATES);
        sample.set_count(StateId("wait"), Count::Exact(waiting));
        sample.set_count(StateId("active"), Count::Exact(active));
        sample.totals = totals;
        sample
    }

    fn totals(added: u64, finished: u64) -> Totals {
        Totals { added: Some(added), finished: Some(finished), failed: None }
    }

    fn second(n: i64) -> Timestamp {
        Timestamp(1_700_000_000_000 + n * 1000)
    }

    #[test]
    fn one_sample_gives_no_rate() {
        let mut history = History::default();
        history.push(second(0), &sample(5, 0, totals(100, 95)), STATES);
        let trend = history.trend();
        assert_eq!((trend.in_per_s, trend.out_per_s, trend.drain), (None, None, Drain::Unknown));
        assert_eq!(&*trend.backlog, [5]);
    }

    #[test]
    fn steady_movement_is_told() {
        let mut history = History::default();
        for n in 0..20 {
            let n = n as u64;
            history.push(second(n as i64), &sample(100 + 4 * n, 2, totals(10 * n, 6 * n)), STATES);
        }
        let trend = history.trend();
        assert_eq!(trend.in_per_s, Some(10.0));
        assert_eq!(trend.out_per_s, Some(6.0));
        assert_eq!(trend.failed_per_s, None);
        assert_eq!(trend.drain, Drain::Never { grows_per_s: 4.0 });
        assert_eq!(trend.backlog.len(), 20);
        assert_eq!(trend.past.len(), 19);
        let moment = Moment { in_per_s: Some(10.0), out_per_s: Some(6.0), failed_per_s: None, oldest_seconds: None };
        assert!(trend.past.iter().all(|past| *past == moment), "{:?}", trend.past);
    }

    #[test]
    fn a_shrinking_queue_says_when_it_is_empty() {
        let mut history = History::default();
        for n in 0..10_u64 {
            history.push(second(n as i64), &sample(100 - 5 * n, 0, totals(0, 5 * n)), STATES);
        }
        assert_eq!(history.trend().drain, Drain::In(Duration::from_secs(11)));
        history.push(second(11), &sample(0, 0, totals(0, 100)), STATES);
        assert_eq!(history.trend().drain, Drain::Empty);
    }

    #[test]
    fn jobs_that_come_and_go_are_no_growing_queue() {
        let mut busy = History::default();
        for n in 0..20_u64 {
            busy.push(second(n as i64), &sample(n % 2, 1, totals(5 * n, 5 * n)), STATES);
        }
        assert_eq!(busy.trend().drain, Drain::In(Duration::from_millis(200)), "five a second leave, one waits");
        // Where nobody counts what leaves, a queue that gets empty now and then is not said to grow.
        let mut list = History::default();
        for n in 0..20_u64 {
            list.push(second(n as i64), &sample(n % 3, 0, Totals::default()), STATES);
        }
        assert_eq!(list.trend().drain, Drain::Unknown);
    }

    #[test]
    fn a_queue_nobody_works_on_never_gets_empty_but_two_samples_cannot_tell() {
        let mut history = History::default();
        history.push(second(0), &sample(1, 0, totals(7, 6)), STATES);
        history.push(second(1), &sample(1, 0, totals(7, 6)), STATES);
        assert_eq!(history.trend().drain, Drain::Unknown);
        for n in 2..10 {
            history.push(second(n), &sample(1, 0, totals(7, 6)), STATES);
        }
        assert_eq!(history.trend().drain, Drain::Never { grows_per_s: 0.0 });
    }

    #[test]
    fn what_is_not_counted_follows_from_the_balance() {
        let mut history = History::default();
        for n in 0..10_u64 {
            let totals = Totals { added: Some(10 * n), ..Totals::default() };
            history.push(second(n as i64), &sample(3 * n, 1, totals), STATES);
        }
        assert_eq!(history.trend().out_per_s, Some(7.0));
    }

    #[test]
    fn a_counter_that_went_back_starts_anew() {
        let mut history = History::default();
        history.push(second(0), &sample(5, 0, totals(1_000_000, 900_000)), STATES);
        history.push(second(1), &sample(5, 0, totals(1_000_010, 900_010)), STATES);
        history.push(second(2), &sample(5, 0, totals(3, 1)), STATES);
        assert_eq!(history.trend().in_per_s, None);
        history.push(second(3), &sample(5, 0, totals(5, 2)), STATES);
        assert_eq!(history.trend().in_per_s, Some(2.0));
    }

    #[test]
    fn a_hole_in_the_record_gives_no_rate() {
        let mut history = History::default();
        history.push(second(0), &sample(5, 0, totals(10, 10)), STATES);
        history.push(second(600), &sample(9000, 0, totals(50_000, 40_000)), STATES);
        let trend = history.trend();
        assert_eq!((trend.in_per_s, trend.out_per_s), (None, None));
        assert_eq!(&*trend.backlog, [5, 9000], "lengths are no movement and stay");
        history.push(second(550), &sample(9000, 0, totals(50_001, 40_000)), STATES);
        assert_eq!(history.trend().in_per_s, None, "a clock that went back is a hole too");
    }

    #[test]
    fn an_unknown_value_in_between_ends_the_window() {
        let mut history = History::default();
        history.push(second(0), &sample(5, 0, totals(0, 0)), STATES);
        history.push(second(1), &sample(5, 0, Totals::default()), STATES);
        history.push(second(2), &sample(5, 0, totals(500, 0)), STATES);
        assert_eq!(history.trend().in_per_s, None);
    }

    #[test]
    fn the_window_follows_the_activity() {
        let mut history = History::default();
        for n in 0..40_u64 {
            history.push(second(n as i64), &sample(0, 0, totals(1000 * n, 0)), STATES);
        }
        for n in 40..50_u64 {
            history.push(second(n as i64), &sample(0, 0, totals(39_000, 0)), STATES);
        }
        let rate = history.trend().in_per_s.expect("there are many samples");
        assert!(rate < 120.0, "ten quiet seconds after a burst must weigh more than the burst: {rate}");
        let mut slow = History::default();
        for n in 0..60_u64 {
            slow.push(second(n as i64), &sample(0, 0, totals(n / 20, 0)), STATES);
        }
        let rate = slow.trend().in_per_s.expect("there are many samples");
        assert!((0.02..0.06).contains(&rate), "three jobs a minute need a long window: {rate}");
    }

    #[test]
    fn the_record_is_bounded() {
        let mut history = History::default();
        for n in 0..500_u64 {
            history.push(second(n as i64), &sample(n, 0, totals(n, n)), STATES);
        }
        assert_eq!(history.trend().backlog.len(), KEPT);
        assert_eq!(history.trend().backlog.last(), Some(&499));
        assert_eq!(history.points.len(), KEPT);
    }

    #[test]
    fn a_queue_nobody_touches_is_told_from_one_that_moves() {
        let mut history = History::default();
        for n in 0..30_u64 {
            history.push(second(n as i64), &sample(50 + n, 0, Totals::default()), STATES);
        }
        assert_eq!(history.untouched_for(), Duration::from_secs(29), "jobs that come in are no sign of a worker");
        history.push(second(30), &sample(70, 0, Totals::default()), STATES);
        assert_eq!(history.untouched_for(), Duration::ZERO, "somebody took some");
        history.push(second(40), &sample(70, 1, Totals::default()), STATES);
        history.push(second(45), &sample(70, 0, Totals::default()), STATES);
        assert_eq!(history.untouched_for(), Duration::from_secs(5));
    }

    #[test]
    fn idle_time_counts_from_the_last_finished_job() {
        let mut history = History::default();
        for n in 0..30_u64 {
            history.push(second(n as i64), &sample(5, 1, totals(0, n.min(10))), STATES);
        }
        assert_eq!(history.idle_for(), Some(Duration::from_secs(19)));
    }
}
