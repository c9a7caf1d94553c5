//! One slot: runs a job, tells what it says, stores how it ended, and goes on with the next.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::execute::Entry;
use super::once::Turn;
use super::policy::{self, Decision, Terms};
use super::pool::Pool;
use super::wire::{Patience, uncertain};
use super::words::{TELL_EVERY, Words};
use super::work::{EVENTS, Ending, Event, Failure, Room, Stream, Why, Work};
use crate::config::Unmatched;
use crate::domain::ids::JobRef;
use crate::domain::job::Progress;
use crate::domain::runner::{Ended, OutputKind, OutputLine, ResultView, SlotView};
use crate::domain::text::first_line;
use crate::domain::time::Timestamp;
use crate::systems::SystemError;
use crate::systems::consume::{Claim, Fate, Settled, Verdict};

pub use super::work::Cause;

/// Lines of output that are kept of a job.
const LINES: usize = 200;
/// Characters of a result or error that are kept for the screen.
const MESSAGE: usize = 500;
/// When a job for which there is no handler here is looked at again.
const UNMATCHED: Duration = Duration::from_secs(30);

/// A running job.
pub struct Slot {
    /// What proves that it is ours.
    pub claim: Arc<Claim>,
    attempts: u32,
    started: Instant,
    started_at: Timestamp,
    progress: Option<Progress>,
    output: VecDeque<OutputLine>,
    cancel: CancellationToken,
    why: Why,
    storing: bool,
}

impl Slot {
    /// About to start.
    pub fn new(claim: Arc<Claim>) -> Self {
        Self {
            claim,
            attempts: 0,
            started: Instant::now(),
            started_at: wall(),
            progress: None,
            output: VecDeque::new(),
            cancel: CancellationToken::new(),
            why: Why::default(),
            storing: false,
        }
    }

    /// Ends it. The first cause counts, but a lost claim comes before all others.
    pub fn end(&mut self, cause: Cause) {
        self.why.give(cause);
        self.cancel.cancel();
    }

    /// From now on it stands for another job: whoever wants an end means that one. What the old one wrote is still there.
    fn hand_over(&mut self, next: &Arc<Claim>) {
        self.claim = Arc::clone(next);
        (self.cancel, self.why, self.storing) = (CancellationToken::new(), Why::default(), false);
    }

    /// Its job begins. Whoever wanted its end before was heard.
    fn begin(&mut self, attempts: u32) {
        (self.attempts, self.started, self.started_at) = (attempts, Instant::now(), wall());
        (self.progress, self.storing) = (None, false);
        self.output.clear();
    }

    /// For the screen.
    pub fn view(&self, number: usize, mean: Option<Duration>, now: Instant) -> SlotView {
        let elapsed = now.saturating_duration_since(self.started);
        let percent = self.progress.as_ref().and_then(|progress| progress.percent).filter(|percent| *percent >= 1.0);
        let eta = match percent {
            Some(percent) => Some(elapsed.mul_f64((100.0 - percent.min(100.0)) / percent)),
            None => mean.and_then(|mean| mean.checked_sub(elapsed)),
        };
        SlotView {
            slot: number,
            id: self.claim.id.clone(),
            name: self.claim.name.clone(),
            attempt: self.claim.attempts_made + 1,
            attempts: Some(self.attempts).filter(|attempts| *attempts > 0),
            started: self.started_at,
            elapsed,
            progress: self.progress.clone(),
            eta,
            stopping: self.why.get().is_some(),
            storing: self.storing,
            output: self.output.iter().cloned().collect(),
        }
    }

    /// Its outcome is there: ending it would change nothing.
    pub fn is_storing(&self) -> bool {
        self.storing
    }

    fn add(&mut self, kind: OutputKind, text: String) {
        if self.output.len() == LINES {
            self.output.pop_front();
        }
        self.output.push_back(OutputLine { at: wall(), kind, text });
    }
}

/// The words of a panic.
fn said(panic: &(dyn Any + Send)) -> &str {
    let words = panic.downcast_ref::<&str>().copied();
    words.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default()
}

/// This machine's clock.
pub(super) fn wall() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

impl Pool {
    /// Runs jobs in a slot until there is none that may be taken in the same step.
    pub(super) async fn work(self: Arc<Self>, number: usize, claim: Arc<Claim>) {
        let mut next = Some(claim);
        while let Some(claim) = next.take() {
            next = self.attempt(number, claim).await;
            if let Some(claim) = next.take_if(|_| !self.may_take()) {
                self.give_back(&claim).await;
            }
        }
        self.state().slots.remove(&number);
        self.freed();
    }

    /// One attempt at one job; the next job if one was taken with the outcome.
    async fn attempt(self: &Arc<Self>, number: usize, claim: Arc<Claim>) -> Option<Arc<Claim>> {
        let started = Instant::now();
        let entry = self.parts.handlers.choose(&claim.name);
        let terms = entry.map_or(&self.parts.terms, |entry| &entry.terms);
        let (cancel, why) = {
            let mut state = self.state();
            let waited = claim.ready_at.map(|ready| ready.age(claim.claimed_at));
            state.stats.began(waited);
            let slot = state.slots.entry(number).or_insert_with(|| Slot::new(Arc::clone(&claim)));
            slot.begin(policy::allowed(terms.retry.as_ref(), &claim));
            (slot.cancel.clone(), slot.why.clone())
        };
        let prepared = match why.get() {
            Some(_) => Err(self.unwanted(number, &claim, terms)),
            None => self.prepared(number, &claim, &cancel).await,
        };
        let decision = match prepared.and_then(|()| self.chosen(&claim, entry, terms).map_err(Some)) {
            Err(decision) => decision,
            Ok(entry) => {
                let work = self.work_of(&claim, terms);
                self.in_turn(number, &claim, work, entry, (cancel, why)).await
            }
        };
        let (ended, message, next) = match decision {
            Some(decision) => self.store(number, &claim, decision).await,
            None => (Ended::Lost, self.why_lost(number), None),
        };
        self.finish(number, &claim, started, ended, &message);
        next
    }

    /// Runs a job that has its turn; what becomes of it, `None`: its claim is lost.
    async fn in_turn(
        self: &Arc<Self>,
        number: usize,
        claim: &Arc<Claim>,
        work: Work,
        entry: &Entry,
        (cancel, why): (CancellationToken, Why),
    ) -> Option<Decision> {
        let terms = &entry.terms;
        let (hold, known) = match self.turn(&work, terms, &cancel).await {
            Turn::Refused(decision) => return Some(decision),
            Turn::Free => (None, true),
            Turn::Own(hold) => (Some(hold), true),
            Turn::Unknown(hold) => (Some(hold), false),
        };
        let ending = match known {
            true => self.execute(number, claim, work, entry, (cancel, why)).await,
            false => Ending::Cancelled,
        };
        let decision = self.decided(number, claim, terms, ending);
        if let Some(hold) = hold {
            let succeeded = decision.as_ref().is_some_and(|decision| decision.ended == Ended::Done);
            self.end_turn(number, hold, succeeded).await;
        }
        decision
    }

    /// What becomes of a job whose end was wanted before it began; `None`: its claim is lost.
    fn unwanted(&self, number: usize, claim: &Claim, terms: &Terms) -> Option<Decision> {
        let decision = self.decided(number, claim, terms, Ending::Cancelled)?;
        Some(match decision.verdict {
            Verdict::Return => Decision { verdict: self.consumer().unbegun(), ..decision },
            _ => decision,
        })
    }

    /// What becomes of an attempt; `None`: its claim is lost.
    fn decided(&self, number: usize, claim: &Claim, terms: &Terms, ending: Ending) -> Option<Decision> {
        let unbegun = self.learn(number, claim, &ending);
        let decide = |ending| policy::decide(ending, claim, terms, fastrand::f64());
        match (self.cause(number), ending) {
            (Some(Cause::Lost(_)), _) => None,
            (Some(Cause::Grace), Ending::Cancelled) => Some(Decision {
                verdict: Verdict::Return,
                ended: Ended::Returned,
                message: "put back: the runner ends or rests".to_owned(),
            }),
            (Some(Cause::Person), Ending::NotStarted { .. }) => Some(decide(Ending::Cancelled)),
            (_, ending) => {
                let decision = decide(ending);
                Some(match unbegun {
                    Some(verdict) => Decision { verdict, ..decision },
                    None => decision,
                })
            }
        }
    }

    fn work_of(&self, claim: &Claim, terms: &Terms) -> Work {
        Work {
            queue: self.parts.seat.queue.clone(),
            address: self.parts.address.clone(),
            id: claim.id.clone(),
            name: claim.name.clone(),
            payload: claim.payload.clone(),
            attempt: claim.attempts_made + 1,
            attempts: Some(policy::allowed(terms.retry.as_ref(), claim)),
            created_at: claim.created_at,
            claimed_at: claim.claimed_at,
        }
    }

    /// Who runs it, or why nobody does.
    fn chosen<'a>(&self, claim: &Claim, entry: Option<&'a Entry>, terms: &Terms) -> Result<&'a Entry, Decision> {
        let failed = |message: String| Err(policy::dead(Failure::new(message)));
        if let Some(reason) = &claim.doomed {
            return failed(reason.clone());
        }
        if let Some(reason) = policy::used_up(terms.retry.as_ref(), claim) {
            return failed(reason);
        }
        if claim.deaths >= terms.max_crashes {
            return failed(format!("it killed its worker {} times", claim.deaths));
        }
        let size = claim.payload.len() as u64;
        if size > self.parts.basis.max_payload {
            let most = self.parts.basis.max_payload;
            return failed(format!("its data has {size} bytes, more than the {most} of max_payload"));
        }
        match (entry, self.parts.config.unmatched) {
            (Some(entry), _) => Ok(entry),
            (None, Some(Unmatched::Return)) => Err(Decision {
                verdict: Verdict::Postpone(UNMATCHED),
                ended: Ended::Returned,
                message: format!("put back: no handler here takes jobs named {:?}", claim.name),
            }),
            (None, _) => failed(format!("no handler of this pool takes jobs named {:?}", claim.name)),
        }
    }

    /// Runs the handler and passes on what it says.
    async fn execute(
        self: &Arc<Self>,
        number: usize,
        claim: &Arc<Claim>,
        work: Work,
        entry: &Entry,
        (cancel, why): (CancellationToken, Why),
    ) -> Ending {
        let (events, mut inbox) = mpsc::channel(EVENTS);
        let timeout = [entry.terms.timeout, claim.limits.timeout].into_iter().flatten().min();
        let outlook = policy::outlook(claim, &entry.terms, fastrand::f64());
        let room = Room { events, cancel, timeout, outlook, why };
        // A handler that panics ends its job, not the pool.
        let mut running = AssertUnwindSafe(entry.execute.handle(&work, room)).catch_unwind();
        let mut words = Words::default();
        let result = loop {
            tokio::select! {
                result = &mut running => break result,
                Some(event) = inbox.recv() => self.heard(number, event, &mut words),
                () = tokio::time::sleep(TELL_EVERY), if words.wait_to_be_told() => {}
            }
            words.tell(self, claim, false);
        };
        while let Ok(event) = inbox.try_recv() {
            self.heard(number, event, &mut words);
        }
        words.finish(self, claim).await;
        result.unwrap_or_else(|panic| {
            let message = format!("the handler broke: {}", said(&*panic));
            Ending::Retry { failure: Failure { message, crashed: true, ..Failure::default() }, after: None }
        })
    }

    fn heard(&self, number: usize, event: Event, words: &mut Words) {
        if event == Event::Started {
            return self.goes(number);
        }
        let mut state = self.state();
        let slot = state.slots.get_mut(&number);
        match event {
            Event::Started => {}
            Event::Progress(progress) => {
                words.progress = Some(progress.clone());
                if let Some(slot) = slot {
                    slot.progress = Some(progress);
                }
            }
            Event::Log(line) => {
                if let Some(slot) = slot {
                    slot.add(OutputKind::Log, line.clone());
                }
                words.log(line);
            }
            Event::Output { stream, line } => {
                let kind = if stream == Stream::Out { OutputKind::Out } else { OutputKind::Err };
                if let Some(slot) = slot {
                    slot.add(kind, line);
                }
            }
        }
    }

    /// Stores an outcome until it is stored or the claim is known to be lost (R12).
    async fn store(
        self: &Arc<Self>,
        number: usize,
        claim: &Arc<Claim>,
        decision: Decision,
    ) -> (Ended, String, Option<Arc<Claim>>) {
        let Decision { verdict, mut ended, mut message } = decision;
        let mut verdict = Arc::new(verdict);
        let mut patience = Patience::default();
        let mut unsure = false;
        loop {
            if let Some(Cause::Lost(reason)) = self.cause(number) {
                return (Ended::Lost, reason, None);
            }
            let next = !unsure && ended != Ended::Returned && self.may_chain();
            // What breaks in storing must not leave the slot behind, nor the outcomes that gathered: it is tried again.
            let result = AssertUnwindSafe(self.settle(number, claim, &verdict, next)).catch_unwind().await;
            let result = result
                .unwrap_or_else(|panic| Err(SystemError::BadRequest(format!("storing it broke: {}", said(&*panic)))));
            self.stored(result.as_ref().map(|_| ()));
            match result {
                Ok(Settled::Stored(next)) => {
                    if let Verdict::Retry { delay, .. } | Verdict::Postpone(delay) = &*verdict {
                        self.put_off(*delay);
                    }
                    return (ended, message, next);
                }
                // The answer to an earlier request was lost, and that one did it.
                Ok(Settled::Lost(_)) if unsure => return (ended, message, None),
                Ok(Settled::Lost(reason)) => return (Ended::Lost, reason, None),
                Ok(Settled::Refused(reason)) => {
                    let stack = match &*verdict {
                        Verdict::Dead { .. } => return (Ended::Lost, reason, None),
                        Verdict::Retry { stack, .. } => stack.clone(),
                        _ => Vec::new(),
                    };
                    verdict = Arc::new(Verdict::Dead { message: reason.clone(), stack, fate: Fate::Failed });
                    (ended, message) = (Ended::Failed, reason);
                }
                Err(error) => {
                    unsure |= uncertain(&error);
                    self.suspect(&error);
                    self.parts.wire.learn(&error).await;
                    tracing::warn!(queue = self.parts.address, job = %claim.id, %error, "an outcome waits to be stored");
                    self.waits_to_be_stored(number);
                    tokio::select! {
                        () = tokio::time::sleep(patience.failed()) => {}
                        () = self.cut.cancelled() => {
                            return (Ended::Lost, format!("the outcome could not be stored in time: {error}"), None);
                        }
                    }
                }
            }
        }
    }

    /// Notes that the job has ended and the server has not been told.
    pub(super) fn waits_to_be_stored(&self, number: usize) {
        if let Some(slot) = self.state().slots.get_mut(&number) {
            slot.storing = true;
        }
    }

    async fn settle(
        self: &Arc<Self>,
        number: usize,
        claim: &Arc<Claim>,
        verdict: &Arc<Verdict>,
        next: bool,
    ) -> Result<Settled, SystemError> {
        // Until the next job is known to be held, nobody may look for jobs that nobody holds.
        let _on_its_way = if next { Some(self.taking.read().await) } else { None };
        let settled = if self.consumer().stores_at_once() > 1 {
            self.store_together(claim, verdict, next).await?
        } else {
            let link = self.parts.wire.control().await?;
            self.consumer().settle(&link, &self.parts.seat, claim, verdict, next).await?
        };
        if let Settled::Stored(Some(next)) = &settled
            && let Some(slot) = self.state().slots.get_mut(&number)
        {
            slot.hand_over(next);
        }
        Ok(settled)
    }

    pub(super) fn cause(&self, number: usize) -> Option<Cause> {
        self.state().slots.get(&number).and_then(|slot| slot.why.get())
    }

    fn why_lost(&self, number: usize) -> String {
        match self.cause(number) {
            Some(Cause::Lost(reason)) => reason,
            _ => "its claim was lost".to_owned(),
        }
    }

    fn finish(&self, number: usize, claim: &Claim, started: Instant, ended: Ended, message: &str) {
        if ended == Ended::Lost {
            tracing::warn!(queue = self.parts.address, job = %claim.id, reason = message, "nothing was written");
        }
        let mut state = self.state();
        let output = state.slots.get(&number).map(|slot| slot.output.iter().cloned().collect());
        state.stats.ended(ResultView {
            job: JobRef { queue: self.parts.seat.queue.clone(), id: claim.id.clone() },
            name: claim.name.clone(),
            attempt: claim.attempts_made + 1,
            ended,
            at: wall(),
            took: started.elapsed(),
            message: first_line(message, MESSAGE),
            output: output.unwrap_or_else(|| Arc::from([])),
        });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::ids::JobId;
    use crate::systems::consume::Limits;

    fn claim(id: &str) -> Claim {
        Claim {
            id: JobId::from(id),
            name: String::new(),
            payload: Bytes::new(),
            attempts_made: 0,
            attempts: None,
            backoff: None,
            created_at: None,
            ready_at: None,
            claimed_at: wall(),
            deaths: 0,
            limits: Limits::default(),
            doomed: None,
            token: Bytes::new(),
            receipt: Bytes::new(),
        }
    }

    #[test]
    fn r8_an_end_that_is_wanted_before_a_job_begins_is_not_forgotten() {
        let mut slot = Slot::new(Arc::new(claim("1")));
        slot.end(Cause::Grace);
        slot.begin(3);
        assert!(slot.cancel.is_cancelled() && slot.why.get() == Some(Cause::Grace) && slot.attempts == 3);
        // The next one's, if it stands there already; the last one's does not concern it.
        slot.hand_over(&Arc::new(claim("2")));
        assert!(!slot.cancel.is_cancelled() && slot.why.get().is_none());
        slot.end(Cause::Person);
        slot.begin(1);
        assert!(
            slot.cancel.is_cancelled() && slot.why.get() == Some(Cause::Person) && slot.claim.id == JobId::from("2")
        );
    }
}
