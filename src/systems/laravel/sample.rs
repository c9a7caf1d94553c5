//! Reading a tick's replies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::failed::Summary;
use super::horizon;
use super::keys::Keys;
use super::memo::{LaravelMemo, Nature, QueueMemo};
use super::payload::Payload;
use super::plan::{self, Ask};
use super::{DELAYED, FAILED, PENDING, RESERVED, STATES};
use crate::domain::described::Application;
use crate::domain::ids::{Name, QueueId};
use crate::domain::queue::{Count, Oldest, QueueSample, Severity, Warning};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::link::{Batch, CommandError, Replies, Value};
use crate::systems::{Instance, ReadError, reply};

/// Writes a tick's questions.
pub fn plan(
    instance: &Instance,
    application: Option<&Application>,
    memo: Option<&LaravelMemo>,
    (tick, now): (u64, Timestamp),
    batch: &mut Batch,
) {
    for (queue, asks) in questions(instance, application, memo, tick, now) {
        let keys = Keys::of(&queue);
        for ask in asks {
            batch.ask(ask.command(&queue.name, &keys));
        }
    }
}

/// All questions, those about the application as a whole with the first queue.
fn questions(
    instance: &Instance,
    application: Option<&Application>,
    memo: Option<&LaravelMemo>,
    tick: u64,
    now: Timestamp,
) -> Vec<(QueueId, Vec<Ask>)> {
    let mut all = plan::about_all(&instance.id, application, memo, tick);
    plan::queues(instance, application, memo)
        .into_iter()
        .map(|name| {
            let mut asks = std::mem::take(&mut all);
            asks.extend(plan::about(&name, memo, application, tick, now));
            (instance.queue(&name), asks)
        })
        .collect()
}

/// Reads the replies to exactly those. Names that turn out to be no queue are left out.
pub fn read(
    instance: &Instance,
    application: Option<&Application>,
    failed: Option<&Summary>,
    memo: &mut LaravelMemo,
    (tick, now): (u64, Timestamp),
    replies: &mut Replies<'_>,
) -> Result<Vec<QueueSample>, ReadError> {
    let before = memo.clone();
    if memo.since == 0 {
        memo.since = tick;
    }
    let mut samples = Vec::new();
    let mut caches = Vec::new();
    let mut masters = Vec::new();
    let mut works = Works::default();
    for (id, asks) in questions(instance, application, Some(&before), tick, now) {
        let name = id.name.clone();
        let foreign = asks.iter().all(Ask::is_about_all);
        let mut reader = Reader::new(id, tick, memo.queues.remove(&name).unwrap_or_default());
        for ask in &asks {
            let reply = replies.next();
            if matches!(reply, Err(CommandError::Missing)) {
                return Err(CommandError::Missing.into());
            }
            match ask {
                Ask::Cache(prefix) => {
                    caches.push((prefix.clone(), reply.ok().and_then(reply::count) == Some(1)));
                }
                Ask::Horizon(prefix) => {
                    masters.push((prefix.clone(), reply.ok().and_then(reply::count) == Some(1)));
                }
                Ask::Supervisors(_) => memo.supervisors = reply.ok().and_then(reply::scored).unwrap_or_default(),
                Ask::Supervisor(_, index) => works.add(before.supervisors.get(*index), reply.ok(), now),
                ask => reader.take(ask, reply),
            }
        }
        let named = |application: &Application| application.queues.iter().any(|known| name == Name::from(known));
        let (sample, mut queue) = reader.finish(memo.remembered.contains(&name) || application.is_some_and(named));
        // Counted beside the ticks a few seconds ago: exact then.
        let count = failed.map(|failed| failed.get(&name.to_text()).copied().unwrap_or(0));
        if let (Some(before), Some(now)) = (queue.failures, count) {
            queue.failed += now.saturating_sub(before);
        }
        queue.failures = count.or(queue.failures);
        if let Some(mut sample) = sample.filter(|_| !foreign) {
            sample.set_count(FAILED, count.map_or(Count::Unknown, Count::Exact));
            sample.totals.failed = queue.failures.map(|_| queue.failed);
            // Horizon counts what ended well; what failed ended too.
            sample.totals.finished = sample.totals.finished.map(|well| well + queue.failed);
            samples.push(sample);
        }
        memo.queues.insert(name.clone(), queue);
    }
    if !caches.is_empty() {
        let named = application.is_some_and(|application| application.cache_prefix.is_some());
        let found = caches.into_iter().find(|(_, there)| *there || named);
        memo.cache = found.map(|(prefix, _)| prefix);
    }
    // Once seen, a Horizon that is gone is no worker at all, and that is to be said.
    memo.horizon = masters.into_iter().find(|(_, there)| *there).map(|(prefix, _)| prefix).or(memo.horizon.take());
    if before.horizon.is_some() && (!before.supervisors.is_empty() || memo.supervisors.is_empty()) {
        for sample in &mut samples {
            let measured = memo.queues.get(&sample.id.name).and_then(|queue| queue.measured);
            works.tell(sample, measured);
        }
    }
    let queues = &memo.queues;
    let mut known: BTreeSet<Name> =
        queues.iter().filter(|(_, queue)| queue.nature == Nature::Queue).map(|(name, _)| name.clone()).collect();
    // A queue of which only failures are left.
    known.extend(failed.into_iter().flat_map(Summary::keys).map(|name| Name::from(name.as_str())));
    // Queues that a living supervisor serves, although nothing was ever seen in them.
    known.extend(works.0.keys().map(|name| Name::from(name.as_str())));
    memo.remembered = known;
    Ok(samples)
}

/// Processes of Horizon's living supervisors by queue.
#[derive(Default)]
struct Works(BTreeMap<String, Processes>);

#[derive(Clone, Copy, Default)]
struct Processes {
    all: u64,
    paused: u64,
    /// Those that serve another queue first, and are counted there.
    shared: u64,
}

impl Works {
    fn add(&mut self, supervisor: Option<&(Vec<u8>, f64)>, reply: Option<&Value>, now: Timestamp) {
        let Some((_, beat)) = supervisor else { return };
        if now.0 / 1_000 - *beat as i64 > horizon::SUPERVISOR_SECONDS {
            return;
        }
        let fields: Vec<Option<String>> = reply.and_then(reply::list).unwrap_or(&[]).iter().map(reply::text).collect();
        let [Some(status), Some(processes)] = fields.as_slice() else { return };
        for (queues, count) in horizon::pools(processes) {
            for (place, queue) in queues.into_iter().enumerate() {
                let processes = self.0.entry(queue).or_default();
                processes.all += count;
                processes.paused += if status == "paused" { count } else { 0 };
                processes.shared += if place > 0 { count } else { 0 };
            }
        }
    }

    fn tell(&self, sample: &mut QueueSample, measured: Option<(u64, f64)>) {
        let Processes { all: alive, paused, shared } =
            self.0.get(&sample.id.name.to_text()).copied().unwrap_or_default();
        sample.workers.alive = Some(alive);
        sample.workers.shared = shared;
        if alive > 0 && alive == paused {
            sample.conditions.paused = Some(true);
        }
        let Some((jobs, mean)) = measured else { return };
        if let Some(ready) = sample.count(PENDING).value() {
            let wait = Duration::from_secs(horizon::wait_seconds(ready, mean, alive));
            sample.facts.push(("wait", text::age(wait)));
        }
        sample.facts.push(("runtime", horizon::milliseconds(mean)));
        sample.facts.push(("throughput", format!("{} since Horizon's snapshot", text::count(jobs))));
    }
}

/// Adds up the answers about one queue.
struct Reader {
    sample: QueueSample,
    memo: QueueMemo,
    tick: u64,
    length: Option<u64>,
    delayed: Option<u64>,
    reserved: Option<u64>,
    lost: Option<u64>,
    token: bool,
    /// What was read of a payload in this tick says that it is one, or that it is none.
    confirmed: Option<bool>,
    paused: Option<bool>,
    wrong_type: bool,
}

impl Reader {
    fn new(id: QueueId, tick: u64, memo: QueueMemo) -> Self {
        Self {
            sample: QueueSample::unknown(id, STATES),
            memo,
            tick,
            length: None,
            delayed: None,
            reserved: None,
            lost: None,
            token: false,
            confirmed: None,
            paused: None,
            wrong_type: false,
        }
    }

    fn take(&mut self, ask: &Ask, reply: Result<&Value, CommandError>) {
        let tick = self.tick;
        match ask {
            Ask::Cache(_) | Ask::Horizon(_) | Ask::Supervisors(_) | Ask::Supervisor(..) => {}
            Ask::Measured(_) => self.measured(horizon::figures(reply.ok())),
            Ask::Length => self.length = self.counted("list", reply),
            Ask::Delayed => self.delayed = self.counted("delayed set", reply),
            Ask::Reserved => self.reserved = self.counted("reserved set", reply),
            Ask::Due(_) => self.sample.overdue = reply.ok().and_then(reply::count),
            Ask::Lost(_) => self.lost = reply.ok().and_then(reply::count),
            Ask::ListSize => {
                let bytes = reply.ok().and_then(reply::count).unwrap_or(0) / self.length.unwrap_or(0).max(1);
                self.memo.head.look.expect(bytes, tick);
            }
            Ask::DelayedSize => {
                let bytes = reply.ok().and_then(reply::count).unwrap_or(0) / self.delayed.unwrap_or(0).max(1);
                self.memo.first.look.expect(bytes, tick);
            }
            Ask::Head => {
                let item = reply.ok().and_then(reply::sized);
                let head = &mut self.memo.head;
                head.look.was_read(item.map_or(0, |(_, total)| total), tick);
                let payload = item.map(|(bytes, total)| Payload::of(bytes, total));
                head.undecodable = matches!(payload, Some(None));
                head.moment = payload.as_ref().and_then(|payload| payload.as_ref()?.created_at());
                if let Some(payload) = payload {
                    self.confirmed = Some(payload.is_some_and(|payload| payload.is_job()));
                }
            }
            Ask::First => {
                let members = reply.ok().and_then(reply::scored_sized).unwrap_or_default();
                let first = members.first();
                let memo = &mut self.memo.first;
                memo.look.was_read(first.map_or(0, |(_, total, _)| *total), tick);
                memo.moment = first.map(|(.., score)| Timestamp((score * 1_000.0) as i64));
                if let Some((member, total, _)) = first {
                    let is_job = Payload::of(member, *total).is_some_and(|payload| payload.is_job());
                    self.confirmed = Some(is_job || self.confirmed == Some(true));
                }
            }
            Ask::Token => self.token = reply.ok().and_then(reply::bytes) == Some(b"1"),
            Ask::Paused(_) => {
                let here = reply.ok().and_then(reply::count).map(|count| count > 0);
                self.paused = match (self.paused, here) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (_, here) => here,
                };
            }
        }
    }

    /// A snapshot of Horizon's begins the figures anew; what ended between the last look and it is not seen.
    fn measured(&mut self, now: Option<(u64, f64)>) {
        let jobs = now.map_or(0, |(jobs, _)| jobs);
        let before = self.memo.measured.map_or(0, |(jobs, _)| jobs);
        self.memo.ended += if jobs >= before { jobs - before } else { jobs };
        self.memo.measured = now;
        self.sample.totals.finished = Some(self.memo.ended);
    }

    /// A length; a key of another type is no part of a Laravel queue.
    fn counted(&mut self, what: &str, reply: Result<&Value, CommandError>) -> Option<u64> {
        match reply {
            Ok(value) => reply::count(value),
            Err(CommandError::Refused { code, .. }) if code == "WRONGTYPE" => {
                self.wrong_type = true;
                self.sample.error.get_or_insert_with(|| format!("the {what} is a key of another type"));
                None
            }
            Err(error) => {
                self.sample.error.get_or_insert_with(|| format!("cannot count the {what}: {error}"));
                None
            }
        }
    }

    fn finish(mut self, known: bool) -> (Option<QueueSample>, QueueMemo) {
        self.judge();
        let exact = |count: Option<u64>| count.map_or(Count::Unknown, Count::Exact);
        self.sample.set_count(PENDING, exact(self.length));
        self.sample.set_count(DELAYED, exact(self.delayed));
        self.sample.set_count(RESERVED, exact(self.reserved));
        self.sample.conditions.paused = self.paused;
        if self.length == Some(0) {
            (self.memo.head.moment, self.memo.head.undecodable) = (None, false);
        }
        if self.delayed == Some(0) {
            self.memo.first.moment = None;
        }
        self.sample.oldest = match (self.length, self.memo.head.moment) {
            (Some(0), _) => Oldest::Nothing,
            (Some(_), Some(moment)) => Oldest::Since(moment),
            _ => Oldest::Unknown,
        };
        self.sample.next_due = self.memo.first.moment;
        if let (Some(reserved), Some(lost)) = (self.reserved, self.lost) {
            self.sample.workers.busy = Some(reserved.saturating_sub(lost));
        }
        self.warn();
        let empty = [self.length, self.delayed, self.reserved] == [Some(0); 3];
        let shown = match self.memo.nature {
            Nature::Queue => true,
            // Named by hand or met while it had something: shown until a look says what it is.
            Nature::Unknown => known || !empty || self.token || self.sample.error.is_some(),
            Nature::Foreign { .. } => false,
        };
        if self.memo.nature == Nature::Unknown && shown && !empty {
            self.sample.oldest = Oldest::Unknown;
        }
        (shown.then_some(self.sample), self.memo)
    }

    /// Whether this is a queue of Laravel's at all.
    fn judge(&mut self) {
        let nature = &mut self.memo.nature;
        match (self.confirmed, *nature) {
            (Some(true), _) => *nature = Nature::Queue,
            // Something that cannot be decoded in a queue known to be one is a fault, no reason to hide the queue.
            (_, Nature::Queue) => {}
            (Some(false), _) if !self.token => *nature = Nature::Foreign { since: self.tick },
            (None, Nature::Foreign { .. }) => *nature = Nature::Unknown,
            (None, Nature::Unknown) if self.wrong_type => *nature = Nature::Foreign { since: self.tick },
            _ if self.token => *nature = Nature::Queue,
            _ => {}
        }
    }

    fn warn(&mut self) {
        let mut add = |severity, code, text: String| self.sample.warnings.push(Warning { severity, code, text });
        if self.memo.head.undecodable {
            let text = "the next item is no Laravel payload: the worker that takes it destroys it without a word";
            add(Severity::Critical, "undecodable", text.to_owned());
        }
        if let Some(lost @ 1..) = self.lost {
            let text = format!(
                "{lost} reservation{} ran out: the worker died, or the job takes longer than retry_after",
                if lost == 1 { "" } else { "s" }
            );
            add(Severity::Warn, "lost_reservations", text);
        }
    }
}
