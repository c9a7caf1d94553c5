//! What a pool has done: counts, times, the last results.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::runner::{Ended, ResultView, RunnerCounts, Spread};

/// Seconds of history.
const SECONDS: u64 = 60;
/// Seconds the rate is taken over.
const RATE_SECONDS: u64 = 30;
/// Times that the spread is taken over.
const TIMES: usize = 500;
/// The last of them, which the mean is taken over.
const MEAN: usize = 100;
/// Results kept.
pub const RECENT: usize = 100;

/// Upper bounds of the histograms' buckets, in seconds.
pub const BUCKETS: [f64; 12] = [0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];

/// A histogram with fixed buckets.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Observations at most as large as each bound, not added up.
    pub counts: [u64; BUCKETS.len()],
    /// All observations.
    pub total: u64,
    /// Their sum in seconds.
    pub sum: f64,
}

impl Histogram {
    fn observe(&mut self, span: Duration) {
        let seconds = span.as_secs_f64();
        if let Some(at) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.counts[at] += 1;
        }
        self.total += 1;
        self.sum += seconds;
    }

    /// Adds all of another's.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(own, more)| *own += more);
        self.total += other.total;
        self.sum += other.sum;
    }
}

/// The statistics of one pool.
#[derive(Debug)]
pub struct Stats {
    /// Outcomes.
    pub counts: RunnerCounts,
    /// Run times of attempts.
    pub ran: Histogram,
    /// From when a job could have run until it was taken.
    pub waited: Histogram,
    /// The last results, newest first.
    pub recent: VecDeque<ResultView>,
    started: Instant,
    times: VecDeque<Duration>,
    waits: VecDeque<Duration>,
    ended: VecDeque<(u64, u64)>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            counts: RunnerCounts::default(),
            ran: Histogram::default(),
            waited: Histogram::default(),
            recent: VecDeque::new(),
            started: Instant::now(),
            times: VecDeque::new(),
            waits: VecDeque::new(),
            ended: VecDeque::new(),
        }
    }
}

impl Stats {
    /// An attempt has begun; `waited`: since the job could have run.
    pub fn began(&mut self, waited: Option<Duration>) {
        self.counts.taken += 1;
        if let Some(waited) = waited {
            self.waited.observe(waited);
            push(&mut self.waits, waited);
        }
    }

    /// An attempt has ended.
    pub fn ended(&mut self, result: ResultView) {
        let counts = &mut self.counts;
        match result.ended {
            Ended::Done => counts.done += 1,
            Ended::Retried => counts.retried += 1,
            Ended::Failed => counts.failed += 1,
            Ended::Cancelled => counts.cancelled += 1,
            Ended::Lost => counts.lost += 1,
            Ended::Returned => counts.returned += 1,
        }
        self.ran.observe(result.took);
        if result.ended == Ended::Done {
            push(&mut self.times, result.took);
        }
        let second = self.started.elapsed().as_secs();
        match self.ended.back_mut() {
            Some((at, count)) if *at == second => *count += 1,
            _ => self.ended.push_back((second, 1)),
        }
        while self.ended.front().is_some_and(|(at, _)| at + SECONDS < second) {
            self.ended.pop_front();
        }
        self.recent.push_front(result);
        self.recent.truncate(RECENT);
    }

    /// Adds what a pool has done whose queue this one has taken over.
    pub fn absorb(&mut self, elder: Self) {
        self.counts += elder.counts;
        self.ran.add(&elder.ran);
        self.waited.add(&elder.waited);
        self.recent.extend(elder.recent);
        self.recent.make_contiguous().sort_by_key(|result| std::cmp::Reverse(result.at));
        self.recent.truncate(RECENT);
        for (own, more) in [(&mut self.times, elder.times), (&mut self.waits, elder.waits)] {
            let room = TIMES.saturating_sub(own.len());
            more.into_iter().rev().take(room).for_each(|time| own.push_front(time));
        }
        // Seconds are counted from the earlier of the two starts.
        let start = self.started.min(elder.started);
        let mut ended = BTreeMap::new();
        for (started, seconds) in [(self.started, &self.ended), (elder.started, &elder.ended)] {
            let before = started.duration_since(start).as_secs();
            seconds.iter().for_each(|(at, count)| *ended.entry(at + before).or_default() += count);
        }
        (self.started, self.ended) = (start, ended.into_iter().collect());
    }

    /// A copy has ended: it is shown, and counts for nothing.
    pub fn copied(&mut self, result: ResultView) {
        self.recent.push_front(result);
        self.recent.truncate(RECENT);
    }

    /// Mean run time of the last successes.
    pub fn mean(&self) -> Option<Duration> {
        let last = self.times.iter().rev().take(MEAN);
        let count = u32::try_from(last.len()).ok().filter(|count| *count > 0)?;
        Some(last.sum::<Duration>() / count)
    }

    /// Run times of the last successes.
    pub fn run(&self) -> Option<Spread> {
        Spread::of(self.times.iter().copied())
    }

    /// Waits of the last jobs taken.
    pub fn wait(&self) -> Option<Spread> {
        Spread::of(self.waits.iter().copied())
    }

    /// Jobs ended per second of late.
    pub fn per_second(&self) -> f64 {
        let now = self.started.elapsed().as_secs();
        let recent = self.ended.iter().filter(|(at, _)| at + RATE_SECONDS > now);
        let count: u64 = recent.map(|(_, count)| count).sum();
        count as f64 / self.started.elapsed().as_secs_f64().clamp(1.0, RATE_SECONDS as f64)
    }

    /// Jobs ended in each of the last 60 seconds, oldest first.
    pub fn history(&self) -> Arc<[u64]> {
        let now = self.started.elapsed().as_secs();
        let of = |second: u64| self.ended.iter().find(|(at, _)| *at == second).map_or(0, |(_, count)| *count);
        (0..SECONDS).rev().map(|back| now.checked_sub(back).map_or(0, of)).collect()
    }
}

fn push(times: &mut VecDeque<Duration>, time: Duration) {
    if times.len() == TIMES {
        times.pop_front();
    }
    times.push_back(time);
}
