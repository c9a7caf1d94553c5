//! What goes to the scripts and what comes back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::keys::Keys;
use super::shift::Candidate;
use crate::link::Value;
use crate::systems::consume::{Claim, Seat};
use crate::systems::reply;

/// Most jobs offered to one claim, for each that is wanted, and to one that comes with an outcome.
pub const OFFERS: usize = 2;
/// Values a script answers for each job.
pub const JOB_VALUES: usize = 7;

/// Numbers the locks of this process, so that no two are alike.
static TOKENS: AtomicU64 = AtomicU64::new(0);

/// Start of the values of a seat's locks.
pub fn lock_start(seat: &Seat) -> String {
    format!("qtop:{}:", seat.worker)
}

/// A key of qtop's own beside the queue.
pub fn own(keys: &Keys, part: &str) -> Vec<u8> {
    [&keys.queue, &b":qtop:"[..], part.as_bytes()].concat()
}

/// What becomes of a job, for the script.
#[derive(Debug, Default)]
pub struct Step {
    /// `done`, `retry`, `return`, `postpone`, or `unseen`: nobody worked on it.
    pub word: &'static str,
    /// The result as it is stored.
    pub result: Vec<u8>,
    /// For how long; zero: not at all.
    pub keep: Duration,
    /// For how long a lock stays behind.
    pub lock: Duration,
    /// Until the next attempt.
    pub wait: Duration,
    /// The attempt killed its worker.
    pub crashed: bool,
}

/// Arguments that say what becomes of a job.
pub fn ending(id: &[u8], lock: &[u8], step: Step) -> Vec<Vec<u8>> {
    vec![
        id.to_vec(),
        lock.to_vec(),
        step.word.into(),
        step.result,
        millis(step.keep),
        millis(step.lock),
        millis(step.wait),
        u8::from(step.crashed).to_string().into(),
    ]
}

/// A request for jobs.
pub struct Taking {
    /// Queue and rate limit.
    pub keys: [Vec<u8>; 2],
    /// What the scripts that take jobs begin with, then what was added.
    pub arguments: Vec<Vec<u8>>,
}

impl Taking {
    /// For up to `want` of the jobs that are offered.
    pub fn of(seat: &Seat, want: usize, offered: &[Candidate]) -> Self {
        let keys = Keys::of(&seat.queue);
        let (most, window) = seat.rate.unwrap_or((0, Duration::ZERO));
        // A script numbers its locks by the places of its arguments.
        let first = TOKENS.fetch_add(2 * (offered.len() + OFFERS) as u64 + 20, Ordering::Relaxed);
        let arguments = vec![
            format!("{}{}", lock_start(seat), wall()).into_bytes(),
            first.to_string().into_bytes(),
            millis(seat.lease),
            want.to_string().into_bytes(),
            most.to_string().into_bytes(),
            millis(window),
        ];
        let mut taking = Self { keys: [keys.queue.clone(), own(&keys, "rate")], arguments };
        taking.offer(offered);
        taking
    }

    /// Offers more jobs.
    pub fn offer(&mut self, offered: &[Candidate]) {
        for candidate in offered {
            self.arguments.extend([candidate.id.clone(), candidate.tries.to_string().into_bytes()]);
        }
    }

    /// How many of what was offered the script came to look at, judging by the last it took.
    pub fn reach(&self, claims: &[Claim], offered: &[Candidate]) -> usize {
        let last = claims.last().map(|claim| claim.id.as_bytes());
        offered.iter().rposition(|candidate| Some(candidate.id.as_slice()) == last).map_or(0, |at| at + 1)
    }
}

/// One job as the script took it.
pub struct Taken {
    /// Its id.
    pub id: Vec<u8>,
    /// The value of its lock.
    pub lock: Vec<u8>,
    /// When it was due, ms.
    pub score: i64,
    /// Starts, this one included.
    pub starts: u32,
    /// Runners that died with it.
    pub deaths: u32,
    /// Somebody asked for its end before it started.
    pub aborted: bool,
    /// Its definition, if it has one.
    pub definition: Option<Vec<u8>>,
}

impl Taken {
    /// From the values of a script.
    pub fn read(values: &[Value; JOB_VALUES]) -> Option<Self> {
        let [id, lock, score, starts, deaths, aborted, definition] = values;
        let small = |value: &Value| reply::count(value).map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX));
        Some(Self {
            id: reply::bytes(id)?.to_vec(),
            lock: reply::bytes(lock)?.to_vec(),
            score: reply::text(score).and_then(|score| score.parse().ok()).unwrap_or_default(),
            starts: small(starts),
            deaths: small(deaths),
            aborted: reply::int(aborted) == Some(1),
            definition: reply::bytes(definition).filter(|stored| !stored.is_empty()).map(<[u8]>::to_vec),
        })
    }
}

/// Whose lock it is, if a runner of qtop has set it.
pub fn holder(lock: &[u8]) -> Option<&str> {
    let (start, _) = std::str::from_utf8(lock).ok()?.rsplit_once(':')?;
    start.rsplit_once(':')?.0.strip_prefix("qtop:")
}

/// This machine's clock when a lock was taken: `qtop:WORKER:MOMENT:NUMBER`.
pub fn claim_moment(lock: &[u8]) -> Option<i64> {
    std::str::from_utf8(lock).ok()?.rsplit(':').nth(1)?.parse().ok()
}

/// This machine's clock, ms.
pub fn wall() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A span as an argument.
pub fn millis(span: Duration) -> Vec<u8> {
    span.as_millis().to_string().into_bytes()
}
