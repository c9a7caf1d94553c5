//! Reading the replies of a tick into samples.

use std::collections::{HashMap, HashSet};

use crate::domain::ids::{JobId, Name};
use crate::domain::queue::{Count, Oldest, QueueSample, Severity, Warning};
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::StateId;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::link::{CommandError, Replies, Value};
use crate::systems::{Instance, Memo, ReadError, reply};

use super::health::Health;
use super::memo::{InstanceMemo, Nature, QueueMemo};
use super::plan::{self, Ask, HEAD};
use super::standing::{Moment, open_state, time};
use super::{Arq, CAPS, STATES, state};

/// So many abort requests that nobody took away are told.
const MANY_ABORTS: u64 = 100;

/// Reads all queues of a database.
pub fn read(
    arq: &Arq,
    instance: &Instance,
    memo: &mut Memo,
    replies: &mut Replies<'_>,
) -> Result<InstanceSample, ReadError> {
    let (tick, before, served) = (memo.tick, memo.server_time, memo.served);
    let own = memo.own::<InstanceMemo>();
    let asks = plan::questions(arq, instance, Some(own), tick);
    let names = plan::names(instance, Some(own));
    let mut seen: HashMap<Name, Seen> = HashMap::new();
    let mut now = before;
    for ask in &asks {
        let answer = replies.next();
        if matches!(answer, Err(CommandError::Missing)) {
            return Err(CommandError::Missing.into());
        }
        match (ask, ask.name()) {
            (Ask::Time, _) => now = answer.map(time).ok().filter(|now| now.0 > 0).unwrap_or(before),
            (Ask::Aborts, _) => own.aborts = answer.ok().and_then(reply::count),
            (Ask::Scan(_), _) => own.tally.stepped(answer.ok().and_then(reply::scan), tick, now),
            (Ask::Result(id, bytes), _) => {
                let facts = |head: &[u8], total: u64| arq.facts(head, total, b"");
                own.tally.was_read(id, *bytes, answer.ok().and_then(reply::bytes), facts);
            }
            (Ask::Again(id), _) => own.tally.seen_again(id, answer.ok().and_then(reply::bytes)),
            (ask, Some(name)) => seen.entry(name.clone()).or_default().take(ask, answer),
            (_, None) => {}
        }
    }
    // What waits again has no result any more, whatever was read of one before.
    let waiting = seen.values().filter_map(|seen| seen.head.as_ref()).flatten();
    waiting.for_each(|(id, _)| own.tally.forget(id));
    own.tally.settle();
    own.queues.retain(|name, _| names.contains(name));
    let mut queues = Vec::new();
    for name in names {
        let fresh = !own.queues.contains_key(&name);
        if fresh {
            own.newest = tick;
        }
        let queue = own.queues.entry(name.clone()).or_default();
        if (served || arq.is_described(&name)) && queue.nature == Nature::Unknown {
            queue.nature = Nature::Queue;
        }
        let seen = seen.remove(&name).unwrap_or_default();
        let mut sample = QueueSample::unknown(instance.queue(&name), STATES);
        sample.error.clone_from(&seen.error);
        if !seen.settle_nature(queue, tick) {
            // Refused before anything told what it is: shown as what cannot be read, never as nothing.
            if sample.error.is_some() && queue.nature == Nature::Unknown {
                queues.push(sample);
            }
            continue;
        }
        arq.confirm(&name);
        let told = Told { arq, name: &name, seen, now };
        told.settle(queue, &mut sample);
        for of in [state::COMPLETE, state::FAILED, state::ABORTED] {
            sample.set_count(of, own.tally.count(&name, of, arq.is_alone(&name)));
        }
        sample.last_finished = own.tally.last(&name);
        queues.push(sample);
    }
    if let (Some(aborts), Some(first)) = (own.aborts.filter(|aborts| *aborts >= MANY_ABORTS), queues.first_mut()) {
        let text = format!(
            "{} abort requests lie in arq:abort: no worker of this database honours them, and each would abort a later \
             job of the same id",
            text::count(aborts)
        );
        first.warnings.push(Warning { severity: Severity::Warn, code: "old_aborts", text });
    }
    if own.now.0 > 0 {
        own.interval = own.now.age(now);
    }
    own.now = now;
    Ok(InstanceSample { id: instance.id.clone(), states: STATES, caps: CAPS, caps_reason: None, queues, error: None })
}

/// What the replies say of one queue.
#[derive(Debug, Default)]
struct Seen {
    peek: Option<Vec<Vec<u8>>>,
    defined: Option<u64>,
    total: Option<u64>,
    head: Option<Vec<(JobId, Timestamp)>>,
    due: Option<(Timestamp, u64)>,
    still_due: Option<u64>,
    next: Option<Option<Timestamp>>,
    locks: Option<HashMap<JobId, bool>>,
    starts: HashMap<JobId, u64>,
    health: Option<Option<Health>>,
    held: Option<u64>,
    foreign: bool,
    error: Option<String>,
}

impl Seen {
    fn take(&mut self, ask: &Ask, answer: Result<&Value, CommandError>) {
        let value = match answer {
            Ok(value) => value,
            Err(CommandError::Refused { code, .. }) if code == "WRONGTYPE" => {
                self.foreign |= matches!(ask, Ask::Peek(_, false) | Ask::Total(_));
                return;
            }
            Err(error) => {
                self.error.get_or_insert_with(|| error.to_string());
                return;
            }
        };
        match ask {
            Ask::Peek(..) => {
                self.peek.get_or_insert_default().extend(reply::names(value).unwrap_or_default());
            }
            Ask::Defined(..) => self.defined = reply::count(value),
            Ask::Total(_) => self.total = reply::count(value),
            Ask::Head(_) => self.head = reply::scored(value).map(jobs),
            Ask::Due(_, at) => self.due = reply::count(value).map(|due| (*at, due)),
            Ask::StillDue(..) => self.still_due = reply::count(value),
            Ask::Next(..) => self.next = reply::scored(value).map(|next| jobs(next).first().map(|(_, at)| *at)),
            Ask::Locks(_, ids) => {
                let values = reply::list(value).filter(|values| values.len() == ids.len());
                self.locks = values.map(|values| {
                    ids.iter().zip(values).map(|(id, value)| (id.clone(), *value != Value::Nil)).collect()
                });
            }
            Ask::Starts(_, ids) => {
                let values = reply::list(value).unwrap_or_default();
                let starts = ids.iter().zip(values).filter_map(|(id, value)| Some((id.clone(), reply::count(value)?)));
                self.starts = starts.collect();
            }
            Ask::Health(..) => self.health = Some(reply::text(value).as_deref().and_then(Health::parse)),
            Ask::Held(_) => self.held = reply::count(value),
            Ask::Time | Ask::Aborts | Ask::Scan(_) | Ask::Result(..) | Ask::Again(_) => {}
        }
    }

    /// Decides what the key is; true if it is a queue that was asked for its numbers.
    fn settle_nature(&self, memo: &mut QueueMemo, tick: u64) -> bool {
        let was = std::mem::take(&mut memo.nature);
        let was_queue = was == Nature::Queue;
        let alive = matches!(self.health, Some(Some(_)));
        memo.nature = match was {
            Nature::Queue if self.foreign => Nature::Foreign { since: tick },
            Nature::Queue => Nature::Queue,
            _ if self.foreign => Nature::Foreign { since: tick },
            _ if alive => Nature::Queue,
            Nature::Candidate(_) if self.defined > Some(0) => Nature::Queue,
            Nature::Candidate(ids) if self.defined.is_none() => Nature::Candidate(ids),
            Nature::Candidate(_) => Nature::Foreign { since: tick },
            Nature::Unknown | Nature::Foreign { .. } => match &self.peek {
                Some(ids) if !ids.is_empty() => Nature::Candidate(ids.clone()),
                Some(_) if self.error.is_none() => Nature::Foreign { since: tick },
                _ => was,
            },
        };
        was_queue && memo.nature == Nature::Queue
    }
}

fn jobs(scored: Vec<(Vec<u8>, f64)>) -> Vec<(JobId, Timestamp)> {
    scored.into_iter().map(|(id, score)| (JobId::from(id), Timestamp(score as i64))).collect()
}

/// Jobs without a definition, at least: asked about were the first jobs of the tick before, and one that ended since has
/// none, rightly.
fn undefined(asked: &[JobId], defined: u64, head: &[(JobId, Timestamp)]) -> u64 {
    let still: HashSet<&JobId> = head.iter().map(|(id, _)| id).collect();
    let left = asked.iter().filter(|id| !still.contains(id)).count() as u64;
    (asked.len() as u64).saturating_sub(defined + left)
}

/// One queue's replies with what is needed to understand them.
struct Told<'a> {
    arq: &'a Arq,
    name: &'a Name,
    seen: Seen,
    now: Timestamp,
}

impl Told<'_> {
    fn settle(mut self, memo: &mut QueueMemo, sample: &mut QueueSample) {
        if let Some(health) = self.seen.health.take() {
            memo.health = Some(health);
        }
        memo.held = self.seen.held.or(memo.held);
        if let (Some(defined), Some(head)) = (self.seen.defined, &self.seen.head) {
            memo.undefined = Some(undefined(&memo.head, defined, head));
        }
        self.watch_locks(memo);
        let alive = self.workers(memo, sample);
        let (Some(total), Some(head)) = (self.seen.total, self.seen.head.take()) else {
            memo.head.clear();
            return;
        };
        let due = self.due(total, &head);
        self.count(sample, total, &head, due, Moment { now: self.now, worker: alive });
        self.move_totals(memo, total, due);
        if let Some(next) = self.seen.next {
            memo.next_due = next;
        }
        sample.next_due = head.iter().map(|(_, at)| *at).find(|at| *at > self.now).or(match due {
            Some(due) if due < total => memo.next_due,
            _ => None,
        });
        sample.conditions.paused = memo.held.map(|held| held > 0);
        sample.set_count(state::HELD, memo.held.map_or(Count::Unknown, Count::Exact));
        memo.head = head.into_iter().map(|(id, _)| id).collect();
        memo.total = Some(total);
        self.warn(memo, sample);
    }

    /// Jobs that are due: exactly if the head reaches beyond them, else as the server counted for about now.
    fn due(&self, total: u64, head: &[(JobId, Timestamp)]) -> Option<u64> {
        let in_head = head.iter().filter(|(_, at)| *at <= self.now).count() as u64;
        let whole = in_head < head.len() as u64 || total <= head.len() as u64;
        if whole { Some(in_head) } else { self.seen.due.map(|(_, due)| due.max(in_head).min(total)) }
    }

    /// A lock that was not there before was taken by a living worker.
    fn watch_locks(&self, memo: &mut QueueMemo) {
        let Some(locks) = &self.seen.locks else { return };
        let taken = locks.iter().any(|(id, locked)| *locked && memo.locked.get(id) == Some(&false));
        if taken {
            self.arq.note_worker(self.name, self.now);
        }
        memo.locked.clone_from(locks);
    }

    /// Whether a worker shows a sign of life.
    fn workers(&self, memo: &QueueMemo, sample: &mut QueueSample) -> bool {
        let seen = self.arq.saw_worker(self.name, self.now);
        let health = matches!(memo.health, Some(Some(_)));
        sample.workers.alive = match &memo.health {
            Some(Some(_)) => Some(1),
            Some(None) if !seen => Some(0),
            _ => None,
        };
        // All workers share one key: there is one, and no more can be known.
        sample.workers.at_least = true;
        health || seen
    }

    fn count(
        &self,
        sample: &mut QueueSample,
        total: u64,
        head: &[(JobId, Timestamp)],
        due: Option<u64>,
        moment: Moment,
    ) {
        let mut found: HashMap<StateId, u64> = HashMap::new();
        let (mut new_due, mut new_later) = (0, 0);
        let mut oldest = None;
        for (id, at) in head {
            let lock = self.seen.locks.as_ref().and_then(|locks| locks.get(id));
            let Some(locked) = lock else {
                if *at <= self.now {
                    new_due += 1
                } else {
                    new_later += 1
                }
                oldest = oldest.or((*at <= self.now && self.seen.locks.is_some()).then_some(*at));
                continue;
            };
            let state = open_state(*at, self.seen.starts.get(id).copied(), *locked, moment);
            *found.entry(state).or_default() += 1;
            match state {
                state::RUNNING | state::STALLED => sample.active_ids.push(id.clone()),
                state::WAITING | state::INTERRUPTED => oldest = oldest.or(Some(*at)),
                _ => {}
            }
        }
        let of = |state: StateId| found.get(&state).copied().unwrap_or(0);
        let whole = total <= HEAD as u64;
        let sure = |state: StateId, open: u64| match (open, whole) {
            (0, true) => Count::Exact(of(state)),
            _ if self.seen.locks.is_none() => Count::Unknown,
            (0, false) => Count::Approx { value: of(state), as_of: self.now },
            _ => Count::AtLeast(of(state)),
        };
        for state in [state::RUNNING, state::STALLED, state::INTERRUPTED] {
            sample.set_count(state, sure(state, new_due));
        }
        sample.set_count(state::RETRYING, sure(state::RETRYING, new_later));
        let rest = |all: Option<u64>, known: u64, open: u64| match all {
            Some(all) if open == 0 && whole => Count::Exact(all.saturating_sub(known)),
            Some(_) if self.seen.locks.is_none() => Count::Unknown,
            Some(all) => Count::Approx { value: all.saturating_sub(known), as_of: self.now },
            None => Count::Unknown,
        };
        let taken = of(state::RUNNING) + of(state::STALLED) + of(state::INTERRUPTED);
        // A running job keeps its old time, so that those of the head are all among the due ones.
        sample.set_count(state::WAITING, rest(due, taken, new_due));
        let later = due.map(|due| total.saturating_sub(due));
        sample.set_count(state::DEFERRED, rest(later, of(state::RETRYING), new_later));
        sample.oldest = match (due, oldest) {
            (Some(0), _) => Oldest::Nothing,
            (_, Some(at)) => Oldest::Since(at),
            (Some(_), None) if self.seen.locks.is_some() && whole => Oldest::Nothing,
            _ => Oldest::Unknown,
        };
    }

    /// Jobs that were due a moment ago and are not in the queue any more have ended; what came is what is missing then
    /// in the sum. Jobs that come and go between two looks are in neither.
    fn move_totals(&self, memo: &mut QueueMemo, total: u64, due: Option<u64>) {
        if let (Some((_, before)), Some(still), Some(last)) = (memo.due, self.seen.still_due, memo.total) {
            let ended = before.saturating_sub(still);
            memo.finished += ended;
            memo.added += (total + ended).saturating_sub(last);
        }
        memo.due = match (self.seen.due, due) {
            (Some(counted), _) => Some(counted),
            (None, Some(due)) => Some((self.now, due)),
            (None, None) => None,
        };
    }

    fn warn(&self, memo: &QueueMemo, sample: &mut QueueSample) {
        sample.totals.added = Some(memo.added);
        sample.totals.finished = Some(memo.finished);
        let mut warn = |severity, code, text| sample.warnings.push(Warning { severity, code, text });
        if let Some(undefined) = memo.undefined.filter(|undefined| *undefined > 0) {
            let text = format!("{} without a definition: a worker fails each as \"job expired\"", jobs_of(undefined));
            warn(Severity::Warn, "no_definition", text);
        }
        if let Some(held) = memo.held.filter(|held| *held > 0) {
            let text = format!(
                "{} held back by qtop; ARQ knows no pause, so that new jobs run all the same until the queue is paused again",
                jobs_of(held)
            );
            warn(Severity::Info, "held", text);
        }
        let stalled = sample.count(state::STALLED).value().unwrap_or(0);
        if stalled > 0 {
            let text = format!(
                "{} locked, but no worker shows a sign of life (no key {}): a worker runs them again once \
                 their locks have run out",
                jobs_of(stalled),
                self.arq.show_health(self.name)
            );
            sample.warnings.push(Warning { severity: Severity::Warn, code: "stalled", text });
        }
    }
}

fn jobs_of(count: u64) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{} jobs", text::count(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_ended_between_two_looks_are_not_missed_as_definitions() {
        let asked: Vec<JobId> = vec!["ended".into(), "waits".into(), "lost".into()];
        let head = |ids: &[&str]| ids.iter().map(|id| (JobId::from(*id), Timestamp(1))).collect::<Vec<_>>();
        assert_eq!(undefined(&asked, 1, &head(&["waits", "lost", "new"])), 1);
        assert_eq!(undefined(&asked[..2], 1, &head(&["waits"])), 0);
        assert_eq!(undefined(&asked[..1], 0, &head(&[])), 0);
        assert_eq!(undefined(&asked[..2], 2, &head(&["waits"])), 0, "it was cancelled");
    }
}
