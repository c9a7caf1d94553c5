//! What a tick asks of a Bull queue, and what the replies say: at most twelve commands, each on one key.
//!
//! BullMQ has the same keys and more, so a base key is looked at in two steps: one for BullMQ's signs, then, if there
//! are none, one for jobs and for what an emptied queue leaves. Only what passes both is sampled from then on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::queue::{Count, Oldest, QueueSample, Severity, Totals, Warning};
use crate::domain::snapshot::InstanceSample;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Cmd, CommandError, Replies, Value, cmd};
use crate::systems::bullmq::keys::{self, Keys};
use crate::systems::bullmq::plan::ACTIVE_IDS;
use crate::systems::bullmq::sample::due;
use crate::systems::{Instance, Memo, ReadError, reply};

use super::{CAPS, STATES, state};

/// Most base keys of an instance that are looked at for the first time in one tick.
const FIRST_LOOKS: usize = 800;
/// Most that turned out to be something else and are looked at again in one tick, and after how many ticks.
const SECOND_LOOKS: usize = 50;
const SECOND_LOOK_AFTER: u64 = 60;

/// Whether a base key is a queue of Bull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Nature {
    /// Not asked yet.
    #[default]
    Unknown,
    /// Not BullMQ's; whether there are jobs or traces of any is asked next.
    Suspect,
    /// It is one.
    Queue,
    /// BullMQ, or a foreign program's.
    Foreign { since: u64 },
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// Fields of `meta`: two that only BullMQ writes, and Bull's note for BullMQ that the queue is paused.
    Meta,
    /// Types of `events` and `marker`, which only BullMQ has.
    Events,
    Marker,
    /// Counter of ids.
    Id,
    /// The flag that Bull's scripts go by.
    Flag,
    Wait,
    Paused,
    Active,
    ActiveLength,
    Delayed,
    Completed,
    Failed,
    /// Next job of `wait`, or of `paused`.
    Head,
    /// When it was added.
    Stamp,
    NextDelayed,
    /// How many of the waiting have a priority, about.
    Priority,
    /// Rest of the rate window.
    Limiter,
    /// Jobs that a rate limit holds among the delayed ones.
    Held,
    /// What an emptied queue may still have: repeatables, a worker's last check, a worker's counts.
    Repeat,
    Checked,
    Metrics,
}

const SIGNS: [Ask; 3] = [Ask::Meta, Ask::Events, Ask::Marker];
const ALWAYS: [Ask; 8] =
    [Ask::Id, Ask::Flag, Ask::Wait, Ask::Paused, Ask::Active, Ask::Delayed, Ask::Completed, Ask::Failed];
const TRACES: [Ask; 3] = [Ask::Repeat, Ask::Checked, Ask::Metrics];

/// The library's own prefix, under which a counter of ids is a queue's also where nothing else is left of it.
const OWN_PREFIX: &[u8] = b"bull";

impl Ask {
    /// Command and key suffix.
    fn words(self, memo: &QueueMemo) -> (&'static str, &'static str) {
        match self {
            Self::Meta => ("HMGET", "meta"),
            Self::Events => ("TYPE", "events"),
            Self::Marker => ("TYPE", "marker"),
            Self::Id => ("GET", "id"),
            Self::Flag => ("EXISTS", "meta-paused"),
            Self::Wait => ("LLEN", "wait"),
            Self::Paused => ("LLEN", "paused"),
            Self::Active => ("LRANGE", "active"),
            Self::ActiveLength => ("LLEN", "active"),
            Self::Delayed => ("ZCARD", "delayed"),
            Self::Completed => ("ZCARD", "completed"),
            Self::Failed => ("ZCARD", "failed"),
            Self::Head => ("LINDEX", if memo.paused { "paused" } else { "wait" }),
            Self::Stamp => ("HGET", "<job>"),
            Self::NextDelayed => ("ZRANGE", "delayed"),
            Self::Priority => ("ZCARD", "priority"),
            Self::Limiter => ("PTTL", "limiter"),
            Self::Held => ("SCARD", "limiter:limited"),
            Self::Repeat => ("EXISTS", "repeat"),
            Self::Checked => ("EXISTS", "stalled-check"),
            Self::Metrics => ("EXISTS", "metrics:completed"),
        }
    }

    fn command(self, keys: &Keys, memo: &QueueMemo) -> Cmd {
        let (word, suffix) = self.words(memo);
        let mut command = cmd(word);
        if self == Self::Stamp {
            let id = memo.head.as_ref().map(Name::as_bytes).unwrap_or_default();
            command.arg(keys.job(id)).arg("timestamp");
            return command;
        }
        command.arg(keys.key(suffix));
        match self {
            Self::Meta => _ = command.arg(&["version", "opts.maxLenEvents", "paused"]),
            Self::Active => _ = command.arg(0).arg(ACTIVE_IDS - 1),
            Self::Head => _ = command.arg(-1),
            Self::NextDelayed => _ = command.arg(0).arg(0).arg("WITHSCORES"),
            _ => {}
        }
        command
    }
}

/// What is remembered of one queue.
#[derive(Clone, Debug, Default)]
struct QueueMemo {
    nature: Nature,
    paused: bool,
    said_paused: bool,
    held: u64,
    waiting: Option<u64>,
    active: Option<u64>,
    delayed: Option<u64>,
    failed: Option<u64>,
    failed_ever: u64,
    head: Option<JobId>,
    /// The head's time of addition, once it was asked; `None` inside: its record does not tell.
    stamp: Option<Option<Timestamp>>,
    next_due: Option<Timestamp>,
    prioritized: u64,
    limited_until: Option<Timestamp>,
    /// Nothing but the counter of ids was there when it was first looked at, and nothing else was seen since.
    only_counter: bool,
}

/// What is remembered of an instance.
#[derive(Debug, Default)]
struct InstanceMemo {
    queues: HashMap<Name, QueueMemo>,
}

/// The questions of a tick, for each queue of the instance in its order. Planning and reading call it with the same
/// memo, so that replies find their questions.
fn questions(instance: &Instance, memo: Option<&InstanceMemo>, tick: u64) -> Vec<Vec<Ask>> {
    let (mut first_looks, mut second_looks) = (FIRST_LOOKS, SECOND_LOOKS);
    let of_queue = |name: &Name| {
        let queue = memo.and_then(|memo| memo.queues.get(name));
        match queue.map_or(Nature::Unknown, |queue| queue.nature) {
            Nature::Unknown if first_looks > 0 => {
                first_looks -= 1;
                SIGNS.to_vec()
            }
            Nature::Foreign { since } if tick.saturating_sub(since) >= SECOND_LOOK_AFTER && second_looks > 0 => {
                second_looks -= 1;
                SIGNS.to_vec()
            }
            Nature::Suspect => [ALWAYS.as_slice(), &TRACES].concat(),
            Nature::Queue => queue.map(|queue| of_known(queue, tick)).unwrap_or_default(),
            Nature::Unknown | Nature::Foreign { .. } => Vec::new(),
        }
    };
    instance.queues.iter().map(of_queue).collect()
}

fn of_known(memo: &QueueMemo, tick: u64) -> Vec<Ask> {
    let mut asks = ALWAYS.to_vec();
    if memo.waiting != Some(0) {
        asks.push(Ask::Head);
        if memo.head.is_some() && memo.stamp.is_none() {
            asks.push(Ask::Stamp);
        }
    }
    if memo.delayed != Some(0) {
        asks.push(Ask::NextDelayed);
    }
    asks.push(match tick % 4 {
        _ if memo.active.is_some_and(|active| active >= ACTIVE_IDS) => Ask::ActiveLength,
        0 => Ask::Meta,
        1 => Ask::Priority,
        2 => Ask::Held,
        _ => Ask::Limiter,
    });
    asks
}

/// Writes the questions.
pub fn plan(instance: &Instance, memo: &Memo, batch: &mut Batch) {
    let own = memo.peek::<InstanceMemo>();
    let fresh = QueueMemo::default();
    for (name, asks) in instance.queues.iter().zip(questions(instance, own, memo.tick)) {
        let keys = Keys::of(&instance.queue(name));
        let queue = own.and_then(|own| own.queues.get(name)).unwrap_or(&fresh);
        for ask in asks {
            batch.ask(ask.command(&keys, queue));
        }
    }
}

/// Reads the answers.
pub fn read(instance: &Instance, memo: &mut Memo, replies: &mut Replies<'_>) -> Result<InstanceSample, ReadError> {
    let (tick, now, clients) = (memo.tick, memo.server_time, memo.client_names.clone());
    let own = memo.own::<InstanceMemo>();
    let questions = questions(instance, Some(own), tick);
    own.queues.retain(|name, _| instance.queues.binary_search(name).is_ok());
    let mut queues = Vec::new();
    for (name, asks) in instance.queues.iter().zip(questions) {
        if asks.is_empty() {
            continue;
        }
        let id = instance.queue(name);
        let connected = clients.as_ref().map(|clients| connected(instance, name, clients));
        let queue = own.queues.entry(name.clone()).or_default();
        let mut seen = Seen::read(&Keys::of(&id), &asks, queue, &mut replies.take(asks.len()))?;
        seen.traces |= connected > Some(0);
        seen.own_prefix = is_own_prefix(instance);
        if let Some(mut sample) = seen.settle(id, queue, tick, now) {
            // Where jobs run and none is connected under the usual name, nothing is known.
            let idle = sample.count(state::ACTIVE).value() == Some(0);
            sample.workers.alive = connected.filter(|found| *found > 0 || idle);
            queues.push(sample);
        }
    }
    Ok(InstanceSample { id: instance.id.clone(), states: STATES, caps: CAPS, caps_reason: None, queues, error: None })
}

/// Worker connections of a queue.
fn connected(instance: &Instance, queue: &Name, clients: &Arc<[Name]>) -> u64 {
    let is_own = |name: &&Name| {
        let worker = keys::worker_of(name.as_bytes()).filter(|worker| worker.name.is_none());
        worker.is_some_and(|worker| worker.queue.instance.name == instance.id.name && worker.queue.name == *queue)
    };
    clients.iter().filter(is_own).count() as u64
}

fn is_own_prefix(instance: &Instance) -> bool {
    let name = instance.id.name.as_bytes();
    let tagged = name.strip_prefix(b"{").and_then(|name| name.strip_suffix(b"}"));
    tagged.unwrap_or(name) == OWN_PREFIX
}

/// The answers about one queue in one tick.
#[derive(Default)]
struct Seen {
    is_bullmq: bool,
    signs: usize,
    said_paused: Option<bool>,
    id: Option<Option<u64>>,
    flag: Option<bool>,
    wait: Option<u64>,
    paused: Option<u64>,
    active_ids: Option<Vec<JobId>>,
    active: Option<u64>,
    delayed: Option<u64>,
    completed: Option<u64>,
    failed: Option<u64>,
    head: Option<Option<JobId>>,
    stamp: Option<Option<Timestamp>>,
    next_due: Option<Option<Timestamp>>,
    prioritized: Option<u64>,
    limiter: Option<Option<Duration>>,
    held: Option<u64>,
    /// Something says that this was a queue although it may have no job.
    traces: bool,
    /// It lies under the prefix of the library's own.
    own_prefix: bool,
    /// A key is of a type that Bull's never has.
    foreign: bool,
    error: Option<String>,
}

impl Seen {
    fn read(keys: &Keys, asks: &[Ask], memo: &QueueMemo, replies: &mut Replies<'_>) -> Result<Self, ReadError> {
        let mut seen = Self::default();
        for ask in asks {
            let (command, suffix) = ask.words(memo);
            let mut fail = |what: String| {
                seen.error.get_or_insert_with(|| format!("{command} {}: {what}", keys.show(suffix)));
            };
            match replies.next() {
                Ok(value) => {
                    if seen.take(*ask, value).is_none() {
                        seen.error.get_or_insert_with(|| format!("{command} {}: unexpected reply", keys.show(suffix)));
                    }
                }
                Err(CommandError::Missing) => return Err(CommandError::Missing.into()),
                Err(CommandError::Refused { code, detail }) if code == "NOPERM" => {
                    let rule = command.to_lowercase();
                    fail(format!("{code} {detail}; the user needs +{rule} and read access to {}*", keys.show("")));
                }
                Err(CommandError::Refused { code, detail }) => {
                    fail(format!("{code} {detail}"));
                    seen.foreign |= code == "WRONGTYPE";
                }
            }
        }
        Ok(seen)
    }

    fn take(&mut self, ask: Ask, value: &Value) -> Option<()> {
        match ask {
            Ask::Meta => {
                let [version, events, paused] = reply::list(value)? else { return None };
                self.is_bullmq |= *version != Value::Nil || *events != Value::Nil;
                self.said_paused = Some(*paused != Value::Nil);
                self.signs += 1;
            }
            Ask::Events => {
                self.is_bullmq |= reply::bytes(value)? == b"stream";
                self.signs += 1;
            }
            Ask::Marker => {
                self.is_bullmq |= reply::bytes(value)? != b"none";
                self.signs += 1;
            }
            Ask::Id => self.id = Some(reply::count(value)),
            Ask::Flag => self.flag = Some(reply::int(value)? > 0),
            Ask::Wait => self.wait = Some(reply::count(value)?),
            Ask::Paused => self.paused = Some(reply::count(value)?),
            Ask::Active => {
                let ids: Vec<JobId> = reply::names(value)?.into_iter().map(JobId::from).collect();
                self.active = Some(ids.len() as u64);
                self.active_ids = Some(ids);
            }
            Ask::ActiveLength => self.active = Some(reply::count(value)?),
            Ask::Delayed => self.delayed = Some(reply::count(value)?),
            Ask::Completed => self.completed = Some(reply::count(value)?),
            Ask::Failed => self.failed = Some(reply::count(value)?),
            Ask::Head => self.head = Some(reply::bytes(value).map(JobId::from)),
            Ask::Stamp => self.stamp = Some(reply::int(value).map(Timestamp)),
            Ask::NextDelayed => {
                self.next_due = Some(reply::scored(value)?.into_iter().next().map(|(_, score)| due(score)));
            }
            Ask::Priority => self.prioritized = Some(reply::count(value)?),
            Ask::Limiter => self.limiter = Some(reply::count(value).map(Duration::from_millis)),
            Ask::Held => self.held = Some(reply::count(value)?),
            Ask::Repeat | Ask::Checked | Ask::Metrics => self.traces |= reply::int(value)? > 0,
        }
        Some(())
    }

    /// Jobs of any state; `None` if a part was not read.
    fn jobs(&self) -> Option<u64> {
        let parts = [self.wait, self.paused, self.active, self.delayed, self.completed, self.failed];
        parts.into_iter().sum()
    }

    /// Whether this is a queue, after this tick.
    fn nature(&self, before: Nature, tick: u64) -> Nature {
        let foreign = Nature::Foreign { since: tick };
        let has_jobs = self.flag == Some(true) || self.jobs() > Some(0);
        match before {
            _ if self.is_bullmq => foreign,
            Nature::Unknown | Nature::Foreign { .. } if self.foreign => foreign,
            Nature::Unknown | Nature::Foreign { .. } if self.signs == SIGNS.len() => Nature::Suspect,
            Nature::Unknown | Nature::Foreign { .. } => before,
            // A counter that is no number is somebody else's `…:id`.
            Nature::Suspect if self.foreign || self.id == Some(None) && self.flag != Some(true) => foreign,
            Nature::Suspect if has_jobs || self.traces || self.own_prefix => Nature::Queue,
            Nature::Suspect => foreign,
            // Emptied by hand, or the database was flushed.
            Nature::Queue if self.id == Some(None) && self.flag == Some(false) && self.jobs() == Some(0) => {
                Nature::Unknown
            }
            Nature::Queue => Nature::Queue,
        }
    }

    /// Brings the memo up to date and makes the sample; `None` if this is no queue of Bull.
    fn settle(self, id: QueueId, memo: &mut QueueMemo, tick: u64, now: Timestamp) -> Option<QueueSample> {
        let nature = self.nature(memo.nature, tick);
        if nature != Nature::Queue {
            *memo = QueueMemo { nature, ..QueueMemo::default() };
            return None;
        }
        let empty = self.jobs() == Some(0) && self.flag != Some(true) && !self.traces;
        memo.only_counter = empty && (memo.only_counter || memo.nature == Nature::Suspect);
        memo.nature = nature;
        let waiting = self.wait.zip(self.paused).map(|(wait, paused)| wait + paused);
        memo.paused = self.flag.unwrap_or(memo.paused);
        memo.said_paused = self.said_paused.unwrap_or(memo.said_paused);
        memo.prioritized = self.prioritized.unwrap_or(memo.prioritized);
        memo.held = self.held.unwrap_or(memo.held);
        if let (Some(before), Some(after)) = (memo.failed, self.failed) {
            memo.failed_ever += after.saturating_sub(before);
        }
        (memo.waiting, memo.active, memo.delayed) = (waiting, self.active, self.delayed);
        memo.failed = self.failed.or(memo.failed);
        if let Some(stamp) = self.stamp {
            memo.stamp = Some(stamp);
        }
        if let Some(head) = self.head.clone()
            && head != memo.head
        {
            (memo.head, memo.stamp) = (head, None);
        }
        memo.next_due = if self.delayed == Some(0) { None } else { self.next_due.unwrap_or(memo.next_due) };
        if let Some(left) = self.limiter {
            memo.limited_until = left.map(|left| now.plus(left));
        }
        Some(self.sample(id, memo, now))
    }

    fn sample(self, id: QueueId, memo: &QueueMemo, now: Timestamp) -> QueueSample {
        let exact = |length: Option<u64>| length.map_or(Count::Unknown, Count::Exact);
        let mut sample = QueueSample::unknown(id, STATES);
        sample.set_count(state::WAITING, exact(memo.waiting));
        let cut = self.active_ids.as_ref().is_some_and(|ids| ids.len() as u64 == ACTIVE_IDS);
        let active = match self.active {
            Some(ACTIVE_IDS) if cut => Count::AtLeast(ACTIVE_IDS),
            length => exact(length),
        };
        sample.set_count(state::ACTIVE, active);
        sample.set_count(state::DELAYED, exact(self.delayed));
        sample.set_count(state::COMPLETED, exact(self.completed));
        sample.set_count(state::FAILED, exact(self.failed));
        sample.conditions.paused = Some(memo.paused);
        // The window alone holds nobody; it does where jobs are parked because of it.
        sample.conditions.rate_limited_until = memo.limited_until.filter(|until| memo.held > 0 && *until > now);
        sample.oldest = match (memo.waiting, memo.stamp) {
            (Some(0), _) => Oldest::Nothing,
            // The tail is the oldest only where nobody was let in before others.
            (Some(_), Some(Some(since))) if memo.prioritized == 0 => Oldest::Since(since),
            _ => Oldest::Unknown,
        };
        sample.next_due = memo.next_due;
        sample.active_ids = self.active_ids.unwrap_or_default();
        // Finished sets are trimmed; what left follows from what was added and what is still there.
        sample.totals = Totals { added: self.id.flatten(), finished: None, failed: Some(memo.failed_ever) };
        sample.error = self.error;
        if memo.only_counter {
            let text =
                "only a counter of ids is left of it: no job, no pause, no repeatable and no trace of a worker; \
                        obliterate it if nobody uses it any more"
                    .to_owned();
            sample.warnings.push(Warning { severity: Severity::Info, code: "only_counter", text });
        }
        // `empty` of the library takes the flag away and leaves the field: the program is told "paused" while jobs run.
        if memo.said_paused && !memo.paused {
            let text = "the library reports it as paused, but its workers take jobs; pause and resume it".to_owned();
            sample.warnings.push(Warning { severity: Severity::Warn, code: "paused_disagrees", text });
        }
        sample
    }
}
