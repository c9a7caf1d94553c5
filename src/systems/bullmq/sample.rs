//! Reading the replies of a tick into samples.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::queue::{Count, Oldest, QueueSample};
use crate::domain::snapshot::InstanceSample;
use crate::domain::time::Timestamp;
use crate::link::{CommandError, Replies, Value};
use crate::systems::{Instance, Memo, ReadError, reply};

use super::keys::{self, Keys};
use super::memo::{Connected, InstanceMemo, Lengths, Meta, Nature, QueueMemo};
use super::plan::{self, Ask, BULL_ONLY, DELAYED_STEP, Place};
use super::version::{Version, is_mark};
use super::{CAPS, STATES, state, tally, warnings};

/// How many ticks a timestamp read at an end of a list is still shown while the jobs there keep changing.
const SHOWN_TICKS: u64 = 3;

/// Reads all queues of an instance.
pub fn read(instance: &Instance, memo: &mut Memo, replies: &mut Replies<'_>) -> Result<InstanceSample, ReadError> {
    let (tick, now, clients) = (memo.tick, memo.server_time, memo.client_names.clone());
    let own = memo.own::<InstanceMemo>();
    let questions = plan::questions(instance, Some(own), tick, now);
    own.queues.retain(|name, _| instance.queues.binary_search(name).is_ok());
    if let Some(clients) = clients
        && own.workers.as_ref().is_none_or(|connected| !Arc::ptr_eq(&connected.clients, &clients))
    {
        let by_queue = workers_by_queue(instance, &clients);
        own.workers = Some(Connected { clients, by_queue });
    }
    let mut queues = Vec::with_capacity(instance.queues.len());
    for (name, asks) in instance.queues.iter().zip(questions) {
        if asks.is_empty() {
            continue;
        }
        let id = instance.queue(name);
        let seen = Seen::read(&Keys::of(&id), &asks, &mut replies.take(asks.len()))?;
        let queue = own.queues.entry(name.clone()).or_default();
        if let Some(mut sample) = seen.settle(id, queue, tick, now) {
            if let Some(connected) = &own.workers {
                sample.workers.alive = told_workers(connected.by_queue.get(name).copied(), &sample);
            }
            queues.push(sample);
        }
    }
    Ok(InstanceSample { id: instance.id.clone(), states: STATES, caps: CAPS, caps_reason: None, queues, error: None })
}

/// Worker connections of each queue of an instance.
fn workers_by_queue(instance: &Instance, clients: &[Name]) -> HashMap<Name, u64> {
    let mut counted = HashMap::new();
    for worker in clients.iter().filter_map(|name| keys::worker_of(name.as_bytes())) {
        if worker.queue.instance == instance.id {
            *counted.entry(worker.queue.name).or_default() += 1;
        }
    }
    counted
}

/// A queue whose jobs run has workers even if none is connected under the usual name (clients in other languages,
/// servers that forbid naming): then nothing is known.
fn told_workers(found: Option<u64>, sample: &QueueSample) -> Option<u64> {
    let runs = sample.count(state::ACTIVE).value() != Some(0);
    found.or_else(|| (!runs).then_some(0))
}

/// Answers to the questions of one tick about one queue.
#[derive(Debug, Default)]
struct Seen {
    asked: Vec<Ask>,
    answered: Vec<Ask>,
    meta: Option<Meta>,
    has_events: Option<bool>,
    lengths: Lengths,
    active_ids: Option<Vec<JobId>>,
    heads: [Option<Option<JobId>>; Place::COUNT],
    stamps: [Option<Option<Timestamp>>; Place::COUNT],
    next_due: Option<Option<Timestamp>>,
    overdue: Option<u64>,
    ended: [Option<u64>; 2],
    metrics: [Option<Option<u64>>; 2],
    limiter_used: Option<Option<u64>>,
    limiter_left: Option<Duration>,
    bull: [Option<bool>; BULL_ONLY.len()],
    last_ends: Vec<Timestamp>,
    /// The key itself may not be read, or is of another kind, or has another reason to be no queue.
    foreign_keys: u64,
    error: Option<String>,
}

impl Seen {
    fn read(keys: &Keys, asks: &[Ask], replies: &mut Replies<'_>) -> Result<Self, ReadError> {
        let mut seen = Self { asked: asks.to_vec(), ..Self::default() };
        for ask in asks {
            match replies.next() {
                Ok(value) => match seen.take(*ask, value) {
                    Some(()) => seen.answered.push(*ask),
                    None => seen.fail(keys, *ask, &format!("unexpected reply {value:?}")),
                },
                Err(CommandError::Missing) => return Err(CommandError::Missing.into()),
                Err(CommandError::Refused { code, detail }) => seen.refused(keys, *ask, &code, &detail),
            }
        }
        Ok(seen)
    }

    fn take(&mut self, ask: Ask, value: &Value) -> Option<()> {
        match ask {
            Ask::Meta => self.meta = Some(read_meta(value)?),
            Ask::Events => self.has_events = Some(reply::bytes(value)? == b"stream"),
            Ask::Id if *value == Value::Nil => self.lengths.id = Some(0),
            Ask::Id => self.lengths.id = Some(reply::count(value)?),
            Ask::Wait => self.lengths.wait = Some(reply::count(value)?),
            Ask::Paused => self.lengths.paused = Some(reply::count(value)?),
            Ask::Active => {
                let ids: Vec<JobId> = reply::names(value)?.into_iter().map(JobId::from).collect();
                let length = ids.len() as u64;
                self.active_ids = Some(ids);
                // An exact length, where it was asked too, comes after this one.
                self.lengths.active = Some(length);
            }
            Ask::ActiveLength => self.lengths.active = Some(reply::count(value)?),
            Ask::Prioritized => self.lengths.prioritized = Some(reply::count(value)?),
            Ask::Delayed => self.lengths.delayed = Some(reply::count(value)?),
            Ask::Children => self.lengths.children = Some(reply::count(value)?),
            Ask::Completed => self.lengths.completed = Some(reply::count(value)?),
            Ask::Failed => self.lengths.failed = Some(reply::count(value)?),
            Ask::Head(Place::Prioritized) => {
                self.heads[Place::Prioritized as usize] =
                    Some(reply::names(value)?.into_iter().next().map(JobId::from));
            }
            Ask::Head(place) => self.heads[place as usize] = Some(reply::bytes(value).map(JobId::from)),
            Ask::Stamp(place) => self.stamps[place as usize] = Some(reply::int(value).map(Timestamp)),
            Ask::NextDelayed => {
                let first = reply::scored(value)?.into_iter().next();
                self.next_due = Some(first.map(|(_, score)| due(score)));
            }
            Ask::Overdue => self.overdue = Some(reply::count(value)?),
            Ask::EndedWell => self.ended[0] = Some(reply::count(value)?),
            Ask::EndedBadly => self.ended[1] = Some(reply::count(value)?),
            Ask::MetricsWell => self.metrics[0] = Some(reply::count(value)),
            Ask::MetricsBadly => self.metrics[1] = Some(reply::count(value)),
            Ask::LimiterUsed => self.limiter_used = Some(reply::count(value)),
            Ask::LimiterLeft => self.limiter_left = reply::count(value).map(Duration::from_millis),
            Ask::Bull(key) => self.bull[key] = Some(reply::int(value)? > 0),
            Ask::LastCompleted | Ask::LastFailed => {
                self.last_ends.extend(reply::scored(value)?.first().map(|(_, score)| Timestamp(*score as i64)));
            }
        }
        Some(())
    }

    fn refused(&mut self, keys: &Keys, ask: Ask, code: &str, detail: &str) {
        // "No permissions to access a key" and its older form: nothing says that the key is a queue's.
        let hidden = code == "NOPERM" && detail.contains("key");
        if matches!(ask, Ask::Meta | Ask::Events) && (hidden || code == "WRONGTYPE") {
            self.foreign_keys += 1;
        }
        let (command, suffix) = ask.words();
        let advice = if code == "NOPERM" {
            format!("; the user needs +{} and read access to {}*", command.to_lowercase(), keys.show(""))
        } else if code == "WRONGTYPE" {
            format!("; {} is not of the type BullMQ uses, another program may have written it", keys.show(suffix))
        } else {
            String::new()
        };
        self.fail(keys, ask, &format!("{code} {detail}{advice}"));
    }

    fn fail(&mut self, keys: &Keys, ask: Ask, what: &str) {
        let (command, suffix) = ask.words();
        self.error.get_or_insert_with(|| format!("{command} {}: {what}", keys.show(suffix)));
    }

    /// What this tick tells about whether the queue is one of BullMQ.
    fn nature(&self, before: Nature, tick: u64) -> Nature {
        let signs = self.meta.as_ref().is_some_and(|meta| meta.is_bullmq) || self.has_events == Some(true);
        let silent = u64::from(self.meta.is_some()) + u64::from(self.has_events.is_some()) + self.foreign_keys == 2;
        match before {
            Nature::Queue if self.is_gone() => Nature::Unknown,
            Nature::Queue => Nature::Queue,
            _ if signs => Nature::Queue,
            _ if silent => Nature::Foreign { since: tick },
            _ => Nature::Unknown,
        }
    }

    /// Nothing of the queue is left: obliterated, or the database was flushed.
    fn is_gone(&self) -> bool {
        let lengths = &self.lengths;
        let finished = [lengths.id, lengths.completed, lengths.failed, lengths.open()];
        self.meta.as_ref().is_some_and(|meta| !meta.is_bullmq) && finished == [Some(0); 4]
    }

    /// Brings the memo up to date and makes the sample; `None` if this is no queue of BullMQ.
    fn settle(mut self, id: QueueId, memo: &mut QueueMemo, tick: u64, now: Timestamp) -> Option<QueueSample> {
        let was_paused = memo.meta.paused;
        // A length that was not asked is taken from before, so that sums can be made.
        let paused_asked = self.asked.contains(&Ask::Paused);
        if !paused_asked {
            self.lengths.paused = memo.last.paused;
        }
        let before = memo.nature;
        memo.nature = self.nature(before, tick);
        match memo.nature {
            Nature::Foreign { .. } => return None,
            Nature::Unknown if before == Nature::Queue || self.error.is_none() => {
                *memo = QueueMemo::default();
                return None;
            }
            // A second look that found signs: the whole set is asked on the next tick.
            Nature::Queue if matches!(before, Nature::Foreign { .. }) => {
                memo.nature = Nature::Unknown;
                return None;
            }
            Nature::Unknown | Nature::Queue => {}
        }
        for ask in &self.answered {
            memo.asked[ask.slot()] = tick;
        }
        if let Some(meta) = self.meta.take() {
            memo.meta = meta;
        }
        for (known, found) in memo.bull.iter_mut().zip(self.bull) {
            *known = found.or(*known);
        }
        self.settle_heads(memo, tick);
        let counts = tally::Counts { by_time: self.ended, metered: self.settle_metrics(memo) };
        tally::count(&mut memo.totals, &memo.last, &self.lengths, counts, tick, now);
        if tick > memo.totals.by_time_until {
            // The sets tell again; what they told must not be counted once more from an old reading.
            memo.metrics = [None; 2];
        }
        self.settle_times(memo, now);
        memo.last = self.lengths;

        let mut sample = QueueSample::unknown(id, STATES);
        sample.library_version = memo.meta.version.text.clone();
        self.set_counts(&mut sample, memo);
        if memo.meta.paused && !was_paused && before == Nature::Queue && !paused_asked {
            // A pause of 5.x has just moved the jobs to a list that was not looked at in this tick.
            let value = sample.count(state::WAITING).value().unwrap_or_default();
            sample.set_count(state::WAITING, Count::AtLeast(value));
        }
        sample.conditions.paused = memo.asked[Ask::Meta.slot()].gt(&0).then_some(memo.meta.paused);
        sample.conditions.rate_limited_until = memo.limited_until;
        sample.conditions.concurrency = memo.meta.concurrency;
        sample.conditions.rate_limit = memo.meta.rate_max.zip(memo.meta.rate_window);
        sample.oldest = oldest(memo, tick);
        sample.next_due = memo.next_due;
        sample.overdue = memo.overdue;
        sample.active_ids = self.active_ids.unwrap_or_default();
        sample.totals = memo.totals.told(memo.last.completed.zip(memo.last.failed).is_some());
        sample.last_finished = memo.last_finished;
        sample.error = self.error;
        sample.warnings = warnings::of(&sample, memo, now);
        Some(sample)
    }

    fn settle_heads(&mut self, memo: &mut QueueMemo, tick: u64) {
        for place in Place::ALL {
            let head = &mut memo.heads[place as usize];
            if let Some(stamp) = self.stamps[place as usize].take() {
                head.stamped = true;
                head.since = stamp.map(|stamp| (stamp, tick)).or(head.since);
            }
            if let Some(id) = self.heads[place as usize].take() {
                let mark = id.as_ref().is_some_and(|id| is_mark(id.as_bytes()));
                memo.marks |= mark;
                let id = id.filter(|_| !mark);
                if id != head.id {
                    head.stamped = false;
                    head.id = id;
                } else if let Some((_, seen)) = &mut head.since {
                    *seen = tick;
                }
                if mark {
                    self.subtract_mark(place);
                }
            }
        }
    }

    /// What the metrics grew by since they were last read; `None` where there are none, or no earlier count. Not asked
    /// in this tick means nothing yet: the next answer has it.
    fn settle_metrics(&self, memo: &mut QueueMemo) -> [Option<u64>; 2] {
        [0, 1].map(|side| {
            let Some(now) = self.metrics[side] else { return memo.metrics[side].map(|_| 0) };
            let before = std::mem::replace(&mut memo.metrics[side], now);
            Some(now?.saturating_sub(before?))
        })
    }

    fn subtract_mark(&mut self, place: Place) {
        let length = if place == Place::Paused { &mut self.lengths.paused } else { &mut self.lengths.wait };
        *length = length.map(|length| length.saturating_sub(1));
    }

    fn settle_times(&self, memo: &mut QueueMemo, now: Timestamp) {
        if let Some(next_due) = self.next_due {
            memo.next_due = next_due;
        }
        if self.lengths.delayed == Some(0) {
            memo.next_due = None;
        }
        memo.overdue = match memo.next_due {
            _ if now == Timestamp::default() || self.lengths.delayed.is_none() => None,
            Some(due) if due < now => self.overdue.or(memo.overdue),
            Some(_) => Some(0),
            None => (self.lengths.delayed == Some(0)).then_some(0),
        };
        if let Some(used) = self.limiter_used {
            memo.limiter_used = used;
        }
        memo.limited_until = match self.limiter_left {
            Some(left) if memo.limiter_is_full() => Some(now.plus(left)),
            _ => memo.limited_until.filter(|until| memo.limiter_is_full() && *until > now),
        };
        let grew = |of: fn(&Lengths) -> Option<u64>| of(&self.lengths) > of(&memo.last);
        if self.ended.iter().flatten().any(|ended| *ended > 0) || grew(|l| l.completed) || grew(|l| l.failed) {
            memo.finished_since = true;
        }
        if let Some(last) = self.last_ends.iter().max() {
            memo.last_finished = memo.last_finished.max(Some(*last));
            memo.finished_since = false;
        }
    }

    fn set_counts(&self, sample: &mut QueueSample, memo: &QueueMemo) {
        let exact = |length: Option<u64>| length.map_or(Count::Unknown, Count::Exact);
        let lengths = &self.lengths;
        sample.set_count(state::WAITING, exact(lengths.wait).plus(exact(lengths.paused)));
        sample.set_count(state::PRIORITIZED, exact(lengths.prioritized));
        let cut = self.active_ids.as_ref().is_some_and(|ids| ids.len() as u64 == plan::ACTIVE_IDS);
        let active = match lengths.active {
            Some(length) if cut && !self.answered.contains(&Ask::ActiveLength) => Count::AtLeast(length),
            length => exact(length),
        };
        sample.set_count(state::ACTIVE, active);
        sample.set_count(state::DELAYED, exact(lengths.delayed));
        sample.set_count(state::WAITING_CHILDREN, exact(lengths.children));
        sample.set_count(state::COMPLETED, exact(lengths.completed));
        sample.set_count(state::FAILED, exact(lengths.failed));
        if memo.nature == Nature::Unknown {
            // Refused in part, and nothing said yet that it is a queue: what was read is not to be relied on.
            STATES.iter().for_each(|state| sample.set_count(state.id, Count::Unknown));
        }
    }
}

/// Due time of a delayed job.
pub fn due(score: f64) -> Timestamp {
    // Scores stay below 2^53 until the year 2039, so the division loses nothing.
    Timestamp((score / DELAYED_STEP as f64).floor() as i64)
}

/// The fields of `meta`, in the order of [`plan::META_FIELDS`].
pub fn read_meta(value: &Value) -> Option<Meta> {
    let [version, paused, concurrency, max, duration, events] = reply::list(value)? else { return None };
    let is_bullmq = [version, concurrency, max, events].into_iter().any(|field| *field != Value::Nil);
    Some(Meta {
        version: reply::bytes(version).map(Version::parse).unwrap_or_default(),
        // The field's existence is the test; its value does not matter.
        paused: *paused != Value::Nil,
        concurrency: reply::count(concurrency),
        rate_max: reply::count(max),
        rate_window: reply::count(duration).map(Duration::from_millis),
        is_bullmq,
    })
}

fn oldest(memo: &QueueMemo, tick: u64) -> Oldest {
    let last = &memo.last;
    let places = [last.wait, last.paused, last.prioritized];
    if places.contains(&None) {
        return Oldest::Unknown;
    }
    if places == [Some(0); Place::COUNT] {
        return Oldest::Nothing;
    }
    let fresh = |(since, seen): (Timestamp, u64)| (tick.saturating_sub(seen) <= SHOWN_TICKS).then_some(since);
    let known = Place::ALL.into_iter().zip(places).filter(|(_, length)| *length > Some(0));
    known
        .filter_map(|(place, _)| memo.heads[place as usize].since.and_then(fresh))
        .min()
        .map_or(Oldest::Unknown, Oldest::Since)
}

#[cfg(test)]
mod tests;
