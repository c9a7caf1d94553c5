//! The runner as a screen sees it, and what a person can ask of it.

use std::sync::Arc;
use std::time::Duration;

use super::ids::{JobId, JobRef, QueueId};
use super::job::Progress;
use super::time::Timestamp;

/// What the runner as a whole is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RunnerState {
    /// Connecting for the first time.
    #[default]
    Starting,
    /// Takes jobs.
    Running,
    /// Takes no more jobs and waits for those it has.
    Draining,
    /// Asked to rest: takes no more jobs and waits for those it has.
    Resting,
    /// Holds no job and asks for none, until it is woken: the process may be stopped.
    Asleep,
    /// Has ended.
    Stopped,
}

/// What one pool is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum PoolState {
    /// Not connected yet, or not again.
    #[default]
    Connecting,
    /// Waits for jobs or runs some; what ends is stored, and claims are renewed.
    Consuming,
    /// A person told it to take none.
    Paused,
    /// Machine too busy, memory or disk too low, or the rate limit is reached; see the pool's `note`.
    Holding,
    /// Its program cannot be started, see `note`; one job at a time is tried, less and less often, until one starts.
    Stuck,
    /// Takes no more and waits for those it has.
    Draining,
    /// Has ended.
    Stopped,
}

/// Everything about the runner at one moment.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct RunnerView {
    /// Name of this runner: its configured name and something unique.
    pub name: String,
    /// The server it works on.
    pub server: String,
    /// What it is doing.
    pub state: RunnerState,
    /// When it started, by this machine's clock.
    pub since: Timestamp,
    /// When this was put together, by this machine's clock.
    pub at: Timestamp,
    /// Pools, in the order of the configuration.
    pub pools: Vec<PoolView>,
    /// The latest results of all pools, newest first, at most 100.
    pub recent: Arc<[ResultView]>,
    /// What pools have done that are gone.
    pub past: RunnerCounts,
    /// What is wrong with the runner as a whole.
    pub problem: Option<String>,
    /// Address of the metrics listener, if there is one.
    pub metrics: Option<String>,
}

/// One pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolView {
    /// Its queue.
    pub queue: QueueId,
    /// The queue as the configuration names it.
    pub address: String,
    /// What it is doing.
    pub state: PoolState,
    /// Jobs it may run at once.
    pub concurrency: usize,
    /// Running jobs by slot; free slots are left out.
    pub slots: Vec<SlotView>,
    /// Outcomes since the start.
    pub counts: RunnerCounts,
    /// Jobs ended per second, over the last half minute.
    pub per_second: f64,
    /// Jobs ended in each of the last 60 seconds, oldest first.
    pub history: Arc<[u64]>,
    /// Mean run time of the jobs that succeeded, over the last 100.
    pub mean: Option<Duration>,
    /// Run times of the jobs that succeeded, over the last 500.
    pub run: Option<Spread>,
    /// From when a job could have run until it was taken, over the last 500.
    pub wait: Option<Spread>,
    /// Handlers in the order in which they are asked, as `PATTERN → what`.
    pub handlers: Arc<[String]>,
    /// Why it takes no jobs, or what went wrong last.
    pub note: Option<String>,
}

/// How long something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Half of the cases take no longer.
    pub p50: Duration,
    /// 99 of 100 take no longer.
    pub p99: Duration,
}

impl Spread {
    /// Of some cases; `None` without any.
    pub fn of(cases: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut cases: Vec<Duration> = cases.into_iter().collect();
        cases.sort_unstable();
        let at = |share: f64| {
            let rank = (cases.len() as f64 * share).ceil() as usize;
            cases.get(rank.saturating_sub(1)).copied()
        };
        Some(Self { p50: at(0.5)?, p99: at(0.99)? })
    }
}

/// Outcomes of a pool since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RunnerCounts {
    /// Attempts started.
    pub taken: u64,
    /// Jobs that succeeded.
    pub done: u64,
    /// Jobs given up.
    pub failed: u64,
    /// Attempts that will be made again.
    pub retried: u64,
    /// Jobs a person cancelled here.
    pub cancelled: u64,
    /// Attempts whose lease was lost; nothing was written for them (R5).
    pub lost: u64,
    /// Jobs put back unfinished.
    pub returned: u64,
}

impl std::ops::AddAssign for RunnerCounts {
    fn add_assign(&mut self, other: Self) {
        let Self { taken, done, failed, retried, cancelled, lost, returned } = other;
        self.taken += taken;
        self.done += done;
        self.failed += failed;
        self.retried += retried;
        self.cancelled += cancelled;
        self.lost += lost;
        self.returned += returned;
    }
}

/// One running job.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotView {
    /// Number of the slot, from 1.
    pub slot: usize,
    /// The job.
    pub id: JobId,
    /// Its name; empty where the system has none.
    pub name: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Attempts allowed.
    pub attempts: Option<u32>,
    /// When the attempt started, by this machine's clock.
    pub started: Timestamp,
    /// How long it has run.
    pub elapsed: Duration,
    /// Reported progress.
    pub progress: Option<Progress>,
    /// Estimate of what is left: from the percentage, else from the mean of the pool.
    pub eta: Option<Duration>,
    /// It was cancelled and is ending.
    pub stopping: bool,
    /// Its result is there and waits to be stored (R12).
    pub storing: bool,
    /// Its last lines of output and log, oldest first, at most 200.
    pub output: Arc<[OutputLine]>,
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// The job's own log.
    Log,
}

/// One line a job wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputLine {
    /// When, by this machine's clock.
    pub at: Timestamp,
    /// Where it comes from.
    pub kind: OutputKind,
    /// The line, made safe.
    pub text: String,
}

/// How an attempt ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Ended {
    /// It succeeded.
    Done,
    /// It failed and will be tried again.
    Retried,
    /// It failed for good.
    Failed,
    /// A person cancelled it.
    Cancelled,
    /// Its lease was lost; nothing was written.
    Lost,
    /// It was put back unfinished.
    Returned,
}

/// One attempt that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultView {
    /// The job.
    pub job: JobRef,
    /// Its name.
    pub name: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// How it ended.
    pub ended: Ended,
    /// When, by this machine's clock.
    pub at: Timestamp,
    /// How long it ran.
    pub took: Duration,
    /// Result or error, one line, made safe, at most 500 characters.
    pub message: String,
    /// Its last lines, oldest first, at most 200.
    pub output: Arc<[OutputLine]>,
}

/// What a person asks of the runner. Pools are named by their queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunnerCommand {
    /// Take no more jobs of this queue; those that run go on.
    Pause(QueueId),
    /// Take jobs again.
    Resume(QueueId),
    /// Run so many jobs at once; at least 1.
    Resize(QueueId, usize),
    /// End a running job: its process group dies and the outcome is recorded.
    Cancel(JobRef),
    /// Take no more jobs at all, and end when the last has ended, however long that takes. Said again: within the grace
    /// time.
    Drain,
    /// Take no more jobs until woken, so that this process can be stopped; `put_back`: those that run go back now.
    Rest {
        /// End what runs; it goes back as if it had not been taken.
        put_back: bool,
    },
    /// Take jobs again after a rest.
    Wake,
    /// End now: what runs goes back.
    PutBack,
    /// Run one job of any state here, once, and push it back if it passes. It stays where it is meanwhile.
    RunCopy(JobRef),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_names_times_that_were_measured() {
        let millis = |count: u64| (1..=count).rev().map(Duration::from_millis);
        assert_eq!(Spread::of(millis(0)), None);
        let spread = |p50, p99| Some(Spread { p50: Duration::from_millis(p50), p99: Duration::from_millis(p99) });
        assert_eq!(Spread::of(millis(1)), spread(1, 1));
        assert_eq!(Spread::of(millis(100)), spread(50, 99));
        assert_eq!(Spread::of(millis(500)), spread(250, 495));
    }
}
