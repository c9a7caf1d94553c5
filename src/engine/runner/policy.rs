//! What becomes of a job after an attempt: again, when, or never.

use std::sync::Arc;
use std::time::Duration;

use super::once::Once;
use super::work::{Ending, Failure, Outlook};
use crate::config::{Backoff, Retry};
use crate::domain::runner::Ended;
use crate::systems::consume::{Claim, Fate, OwnBackoff, Verdict};

/// What holds for jobs: as the handler that takes them says, else as the pool does.
#[derive(Debug)]
pub struct Terms {
    /// Longest time an attempt may take.
    pub timeout: Option<Duration>,
    /// Attempts and waits; `None`: what the job's own options say.
    pub retry: Option<Retry>,
    /// A job that has killed its worker so often is given up (R15).
    pub max_crashes: u32,
    /// Jobs with the same key run once in a time.
    pub once: Option<Arc<Once>>,
}

/// The wait before the attempt after `attempt` (from 1). `random` is from 0 to 1.
pub fn wait(retry: &Retry, attempt: u32, random: f64) -> Duration {
    let steps = attempt.max(1);
    let plain = match &retry.backoff {
        Backoff::Fixed => retry.base,
        Backoff::Linear => retry.base.saturating_mul(steps),
        Backoff::Exponential => {
            let factor = retry.factor.powi(i32::try_from(steps - 1).unwrap_or(i32::MAX));
            Duration::try_from_secs_f64(retry.base.as_secs_f64() * factor).unwrap_or(Duration::MAX)
        }
        Backoff::List(waits) => {
            let at = (steps as usize - 1).min(waits.len().saturating_sub(1));
            waits.get(at).copied().unwrap_or(retry.base)
        }
    };
    let capped = retry.max.map_or(plain, |max| plain.min(max));
    let spread = capped.as_secs_f64() * retry.jitter * (random * 2.0 - 1.0);
    Duration::try_from_secs_f64((capped.as_secs_f64() + spread).max(0.0)).unwrap_or(capped)
}

/// The wait a job's own options ask for.
fn own_wait(backoff: &OwnBackoff, attempt: u32, random: f64) -> Option<Duration> {
    match backoff {
        OwnBackoff::Fixed(wait) => Some(*wait),
        OwnBackoff::Exponential { base, jitter } => {
            let doubled = base.as_secs_f64() * 2f64.powi(i32::try_from(attempt.max(1) - 1).unwrap_or(i32::MAX));
            Duration::try_from_secs_f64(doubled * (1.0 - jitter) + doubled * jitter * random).ok()
        }
        OwnBackoff::Listed(waits) => waits.get(attempt.max(1) as usize - 1).or(waits.last()).copied(),
        OwnBackoff::Foreign(_) | OwnBackoff::OnRequest => None,
    }
}

/// Why a job must not be run although it was taken; `None`: it may.
pub fn used_up(retry: Option<&Retry>, claim: &Claim) -> Option<String> {
    let allowed = allowed(retry, claim);
    (claim.limits.counted_at_start && claim.attempts_made >= allowed).then(|| {
        let attempts = if allowed == 1 { "its only attempt".to_owned() } else { format!("its {allowed} attempts") };
        format!("it has used up {attempts}: the last did not end, because its worker died or it took too long")
    })
}

/// Attempts allowed in all: what the configuration says, else the job, else as many as there are waits, else one.
pub fn allowed(retry: Option<&Retry>, claim: &Claim) -> u32 {
    retry.and_then(|retry| retry.attempts).or(claim.attempts).or(retry.and_then(listed)).unwrap_or(1).max(1)
}

/// Attempts that a table of the configuration allows, if it says.
pub fn said(retry: &Retry) -> Option<u32> {
    retry.attempts.or(listed(retry))
}

fn listed(retry: &Retry) -> Option<u32> {
    match &retry.backoff {
        Backoff::List(waits) => u32::try_from(waits.len() + 1).ok(),
        _ => None,
    }
}

/// What is stored for an ending, and how it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// For the queue.
    pub verdict: Verdict,
    /// For the statistics.
    pub ended: Ended,
    /// For people: result or error.
    pub message: String,
}

/// Decides. An interruption that is the runner's own (lost lease, end of the grace time) never gets here.
pub fn decide(ending: Ending, claim: &Claim, terms: &Terms, random: f64) -> Decision {
    let retry = terms.retry.as_ref();
    let (failure, after, fate) = match ending {
        Ending::Done { result } => {
            let message = result.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let verdict = Verdict::Done(result);
            return Decision { verdict, ended: Ended::Done, message: message.unwrap_or_default() };
        }
        Ending::NotStarted { reason } => {
            let message = format!("put back: {reason}");
            return Decision { verdict: Verdict::Return, ended: Ended::Returned, message };
        }
        Ending::Cancelled => {
            let failure = Failure::new("cancelled by a person");
            return Decision { ended: Ended::Cancelled, ..given_up(failure, Fate::Cancelled) };
        }
        Ending::Failed(failure) => return dead(failure),
        Ending::TimedOut(failure) if claim.limits.fail_on_timeout => return given_up(failure, Fate::TimedOut),
        Ending::TimedOut(failure) => (failure, None, Fate::TimedOut),
        Ending::Retry { failure, after } => (failure, after, Fate::Failed),
    };
    let deaths = claim.deaths + u32::from(failure.crashed);
    if failure.crashed && deaths >= terms.max_crashes {
        let message = format!("it killed its worker {deaths} times; last: {}", failure.message);
        return dead(Failure { message, ..failure });
    }
    let attempt = claim.attempts_made + 1;
    if attempt >= allowed(retry, claim) {
        return given_up(failure, fate);
    }
    let delay = match (after, retry, &claim.backoff) {
        (Some(after), _, _) => after,
        (None, Some(retry), _) => wait(retry, attempt, random),
        (None, None, Some(OwnBackoff::Foreign(kind))) => {
            let message = format!(
                "{} (not tried again: the job's backoff {kind:?} is known to its application only; give the pool or the handler a retry)",
                failure.message
            );
            return dead(Failure { message, ..failure });
        }
        (None, None, Some(OwnBackoff::OnRequest)) => return given_up(failure, fate),
        (None, None, Some(own)) => own_wait(own, attempt, random).unwrap_or_default(),
        (None, None, None) => Duration::ZERO,
    };
    let Failure { message, stack, crashed } = failure;
    let verdict = Verdict::Retry { message: message.clone(), stack, delay, crashed };
    Decision { verdict, ended: Ended::Retried, message }
}

/// What would become of an attempt that does not succeed.
pub fn outlook(claim: &Claim, terms: &Terms, random: f64) -> Outlook {
    let wait = |ending| match decide(ending, claim, terms, random).verdict {
        Verdict::Retry { delay, .. } => Some(delay),
        _ => None,
    };
    let failed = |after| Ending::Retry { failure: Failure::default(), after };
    Outlook {
        again: wait(failed(None)),
        asked: wait(failed(Some(Duration::ZERO))).is_some(),
        late: wait(Ending::TimedOut(Failure::default())).is_some(),
    }
}

/// Given up.
pub fn dead(failure: Failure) -> Decision {
    given_up(failure, Fate::Failed)
}

fn given_up(failure: Failure, fate: Fate) -> Decision {
    let Failure { message, stack, .. } = failure;
    Decision { verdict: Verdict::Dead { message: message.clone(), stack, fate }, ended: Ended::Failed, message }
}

#[cfg(test)]
mod tests;
