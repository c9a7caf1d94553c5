//! What is stored of a job that has ended, as the library would have stored it.

use std::time::Duration;

use serde_json::Value as Json;

use super::exchange::{Step, claim_moment, ending, wall};
use super::outcome::{Outcome, Returned};
use super::{ABORTED, Arq, CRON};
use crate::systems::arq::blob::Serializer;
use crate::systems::consume::{Claim, Fate, Keep, Seat, Verdict};

/// How long results are kept unless the pool says otherwise: the library's own time.
const KEEP: Duration = Duration::from_secs(3_600);
/// How long the lock of a finished cron job stays, so that nobody adds the same moment once more.
const CRON_LOCK: Duration = Duration::from_secs(60);

impl Arq {
    /// Arguments that say what becomes of a job.
    pub(super) fn ending(&self, seat: &Seat, claim: &Claim, verdict: &Verdict) -> Vec<Vec<u8>> {
        let cron = claim.name.starts_with(CRON);
        let usual = if cron { Duration::ZERO } else { KEEP };
        let keep = |bound: Option<Keep>| bound.and_then(|keep| keep.age).unwrap_or(usual);
        let left = if cron { CRON_LOCK } else { Duration::ZERO };
        let done = |returned, keep: Duration| {
            let result = if keep.is_zero() { Vec::new() } else { self.result(seat, claim, returned) };
            Step { word: "done", result, keep, lock: left, ..Step::default() }
        };
        let step = match verdict {
            Verdict::Done(result) => {
                let value = result.as_ref().map_or(Ok(Json::Null), |result| serde_json::from_slice(result));
                let value = value.unwrap_or_else(|_| {
                    result.as_ref().map_or(Json::Null, |result| String::from_utf8_lossy(result).into())
                });
                done(Returned::Value(value), keep(seat.keep.done))
            }
            Verdict::Dead { message, fate, .. } => {
                let returned = match (claim.doomed.as_deref(), fate) {
                    (Some(ABORTED), _) | (None, Fate::Cancelled) => {
                        Returned::Raised("asyncio.exceptions", "CancelledError", None)
                    }
                    (Some(_), _) => Returned::Raised("arq.worker", "JobExecutionFailed", Some(message.clone())),
                    (None, Fate::TimedOut) => Returned::Raised("builtins", "TimeoutError", Some(message.clone())),
                    (None, Fate::Failed) => Returned::Raised("builtins", "RuntimeError", Some(message.clone())),
                };
                done(returned, keep(seat.keep.failed))
            }
            Verdict::Retry { delay, crashed, .. } => {
                Step { word: "retry", wait: *delay, crashed: *crashed, ..Step::default() }
            }
            // As the library's worker does when it stops: the start counts.
            Verdict::Return => Step { word: "return", ..Step::default() },
            Verdict::Postpone(wait) => Step { word: "postpone", wait: *wait, ..Step::default() },
        };
        ending(claim.id.as_bytes(), &claim.token, step)
    }

    fn result(&self, seat: &Seat, claim: &Claim, returned: Returned) -> Vec<u8> {
        let known = Serializer::of(&claim.receipt).or_else(|| self.shift(seat, |shift| shift.serializer));
        let started = claim.claimed_at.0;
        // By the server's clock, as far as this machine can tell: since the job was taken it went on as ours did.
        let took = claim_moment(&claim.token).map_or(0, |taken| wall().saturating_sub(taken).max(0));
        let outcome = Outcome {
            tries: claim.attempts_made + 1,
            returned,
            started,
            finished: started.saturating_add(took),
            queue: &seat.queue.name.to_text(),
            id: &claim.id.to_text(),
        };
        outcome.write(known.unwrap_or(Serializer::Pickle), &claim.receipt)
    }
}
