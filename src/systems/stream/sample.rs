//! A tick over streams: what is asked and what the answers say.

use std::collections::BTreeMap;
use std::time::Duration;

use super::info::{self, Consumer, Group};
use super::names::Place;
use super::{DEAD, ENTRIES, PENDING, SPEC, STATES, WAITING};
use crate::domain::ids::Name;
use crate::domain::queue::{Count, Oldest, QueueSample, Severity, Totals, Warning, WorkerCount};
use crate::domain::snapshot::InstanceSample;
use crate::domain::text::age;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Cmd, CommandError, Replies, Value, cmd};
use crate::systems::look::Look;
use crate::systems::{Instance, Memo, ReadError, reply};

/// Entries counted where the server cannot tell how many wait.
const COUNTED: u64 = 500;
/// Bytes that such counting should move.
const COUNTED_BYTES: u64 = 64 * 1024;
/// Groups of one stream whose consumers and backlog are looked at.
const GROUPS: usize = 50;
/// A stream that looks like another system's events and has no group is looked at again after so many ticks.
const EVENTS_EVERY: u64 = 60;
/// A consumer that spoke within this time lives.
pub const LIVE: Duration = Duration::from_secs(60);
/// A living consumer without work takes an entry within this time.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// Entries held by a consumer that was silent for so long are likely lost.
pub const STUCK: Duration = Duration::from_secs(600);

/// What is remembered.
#[derive(Clone, Default)]
pub struct StreamMemo {
    streams: BTreeMap<Vec<u8>, Known>,
}

#[derive(Clone, Default)]
struct Known {
    groups: BTreeMap<Vec<u8>, GroupMemo>,
    /// Set for streams of other systems: not asked before this tick.
    skip_until: u64,
    /// How large an entry is, by a sample of the server's.
    entry_bytes: Option<u64>,
}

#[derive(Clone, Default)]
struct GroupMemo {
    look: Look,
    /// The position when it was last asked.
    group: Option<Group>,
    /// Moment of the first entry that waits.
    oldest: Option<Timestamp>,
    /// What was counted where the server does not know, with the position that holds for.
    counted: Count,
}

/// One question.
#[derive(Clone, Debug, PartialEq)]
enum Ask {
    Length,
    Groups,
    DeadLength,
    Memory,
    Consumers(Vec<u8>),
    /// The first entries that wait: one for its age, more if they must be counted.
    First(Vec<u8>, String, u64),
}

/// Streams of an instance, each with the groups that are wanted; none: all.
fn streams(instance: &Instance) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let places: Vec<Place> = instance.queues.iter().map(Place::parse).collect();
    let mut streams: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    for place in &places {
        let groups = streams.entry(place.stream.clone()).or_default();
        groups.extend(place.group.clone());
    }
    for place in places.iter().filter(|place| place.group.is_none()) {
        streams.insert(place.stream.clone(), Vec::new());
    }
    // `NAME:dead` is shown as a state of NAME.
    let dead: Vec<_> = streams.keys().map(|key| [key, &b":dead"[..]].concat()).collect();
    for key in dead {
        if streams.get(&key).is_some_and(Vec::is_empty) {
            streams.remove(&key);
        }
    }
    streams
}

fn questions(known: Option<&Known>, wanted: &[Vec<u8>], tick: u64) -> Vec<Ask> {
    if known.is_some_and(|known| tick < known.skip_until) {
        return Vec::new();
    }
    let mut asks = vec![Ask::Length, Ask::Groups, Ask::DeadLength];
    let Some(known) = known.filter(|known| !known.groups.is_empty()) else { return asks };
    if known.entry_bytes.is_none() {
        asks.push(Ask::Memory);
    }
    let shown = known.groups.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    for (name, memo) in shown.take(GROUPS) {
        asks.push(Ask::Consumers(name.clone()));
        let (Some(group), Some(bytes)) = (&memo.group, known.entry_bytes) else { continue };
        let count = match group.lag {
            Some(0) => continue,
            Some(_) => 1,
            None => (COUNTED_BYTES / bytes.max(1)).clamp(1, COUNTED),
        };
        if memo.look.is_due(tick) {
            asks.push(Ask::First(name.clone(), group.last_delivered.after().to_string(), count));
        }
    }
    asks
}

impl Ask {
    fn command(&self, stream: &[u8]) -> Cmd {
        let mut command;
        match self {
            Self::Length => {
                command = cmd("XLEN");
                command.arg(stream);
            }
            Self::DeadLength => {
                command = cmd("XLEN");
                command.arg([stream, b":dead"].concat());
            }
            Self::Groups => {
                command = cmd("XINFO");
                command.arg("GROUPS").arg(stream);
            }
            Self::Memory => {
                command = cmd("MEMORY");
                command.arg("USAGE").arg(stream).arg("SAMPLES").arg(5);
            }
            Self::Consumers(group) => {
                command = cmd("XINFO");
                command.arg("CONSUMERS").arg(stream).arg(group.as_slice());
            }
            Self::First(_, start, count) => {
                command = cmd("XRANGE");
                command.arg(stream).arg(start).arg("+").arg("COUNT").arg(*count);
            }
        }
        command
    }
}

/// Writes a tick's questions.
pub fn plan(instance: &Instance, memo: &Memo, batch: &mut Batch) {
    let own = memo.peek::<StreamMemo>();
    for (stream, wanted) in streams(instance) {
        for ask in questions(own.and_then(|own| own.streams.get(&stream)), &wanted, memo.tick) {
            batch.ask(ask.command(&stream));
        }
    }
}

/// Reads the answers.
pub fn read(instance: &Instance, memo: &mut Memo, replies: &mut Replies<'_>) -> Result<InstanceSample, ReadError> {
    let (tick, now) = (memo.tick, memo.server_time);
    let own = memo.own::<StreamMemo>();
    let before = own.clone();
    let streams = streams(instance);
    own.streams.retain(|stream, _| streams.contains_key(stream));
    let mut queues = Vec::new();
    for (stream, wanted) in &streams {
        let asks = questions(before.streams.get(stream), wanted, tick);
        let mut part = replies.take(asks.len());
        if part.left() < asks.len() {
            return Err(CommandError::Missing.into());
        }
        let known = own.streams.entry(stream.clone()).or_default();
        let reader = Reader { instance, stream, wanted, known, tick, now };
        queues.extend(reader.read(&asks, &mut part)?);
    }
    queues.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(InstanceSample {
        id: instance.id.clone(),
        states: STATES,
        caps: SPEC.caps,
        caps_reason: None,
        queues,
        error: None,
    })
}

struct Reader<'a> {
    instance: &'a Instance,
    stream: &'a [u8],
    wanted: &'a [Vec<u8>],
    known: &'a mut Known,
    tick: u64,
    now: Timestamp,
}

impl Reader<'_> {
    fn read(mut self, asks: &[Ask], replies: &mut Replies<'_>) -> Result<Vec<QueueSample>, ReadError> {
        let mut length = Count::Unknown;
        let mut dead = Count::Unknown;
        let mut groups: Result<Vec<Group>, CommandError> = Ok(Vec::new());
        let mut consumers: BTreeMap<&[u8], Vec<Consumer>> = BTreeMap::new();
        if asks.is_empty() {
            return Ok(Vec::new());
        }
        for ask in asks {
            let reply = replies.next();
            match ask {
                Ask::Length => length = exact(reply),
                Ask::DeadLength => dead = exact(reply),
                Ask::Groups => groups = self.groups(reply)?,
                Ask::Memory => {
                    let entries = length.value().unwrap_or(0).max(1);
                    self.known.entry_bytes = Some(reply.ok().and_then(reply::count).unwrap_or(0) / entries);
                }
                Ask::Consumers(name) => {
                    // A group may have been destroyed since; it is then not shown.
                    consumers.insert(name, reply.ok().and_then(info::consumers).unwrap_or_default());
                }
                Ask::First(name, _, count) => self.first(name, *count, reply.ok()),
            }
        }
        let groups = match groups {
            Ok(groups) => groups,
            Err(CommandError::Refused { code, .. }) if matches!(code.as_str(), "ERR" | "WRONGTYPE") => {
                // No such key, or it is no stream any more.
                *self.known = Known::default();
                return Ok(Vec::new());
            }
            Err(error) => return Ok(self.refused(&error, length, dead)),
        };
        Ok(self.samples(groups, length, dead, &consumers))
    }

    fn groups(&self, reply: Result<&Value, CommandError>) -> Result<Result<Vec<Group>, CommandError>, ReadError> {
        match reply {
            Ok(value) => info::groups(value).map(Ok).ok_or_else(|| ReadError::Shape {
                command: "XINFO GROUPS",
                what: "something that is no list".to_owned(),
            }),
            Err(error) => Ok(Err(error)),
        }
    }

    fn first(&mut self, name: &[u8], asked: u64, reply: Option<&Value>) {
        let Some(memo) = self.known.groups.get_mut(name) else { return };
        let entries = reply.and_then(info::entries).unwrap_or_default();
        let bytes = entries.iter().map(info::Entry::bytes).sum();
        memo.look.was_read(bytes, self.tick);
        memo.oldest = entries.first().and_then(|entry| entry.id.moment());
        let found = entries.len() as u64;
        memo.counted = match reply {
            Some(_) if found < asked => Count::Exact(found),
            Some(_) => Count::AtLeast(found),
            None => Count::Unknown,
        };
    }

    fn sample(&self, group: Option<&[u8]>, length: Count, dead: Count) -> QueueSample {
        let place = Place { stream: self.stream.to_vec(), group: group.map(<[u8]>::to_vec) };
        let mut sample = QueueSample::unknown(self.instance.queue(&place.name()), STATES);
        sample.set_count(ENTRIES, length);
        sample.set_count(DEAD, dead);
        sample
    }

    /// Every queue that is known of the stream, with the reason why nothing more is.
    fn refused(&self, error: &CommandError, length: Count, dead: Count) -> Vec<QueueSample> {
        let names: Vec<Option<&[u8]>> = match (self.known.groups.is_empty(), self.wanted) {
            (true, []) => vec![None],
            (true, wanted) => wanted.iter().map(|name| Some(name.as_slice())).collect(),
            (false, _) => self.known.groups.keys().map(|name| Some(name.as_slice())).collect(),
        };
        let refused = |name| {
            let mut sample = self.sample(name, length, dead);
            sample.error = Some(format!("cannot read the groups of {}: {error}", Name::from(self.stream)));
            sample
        };
        names.into_iter().map(refused).collect()
    }

    fn samples(
        self,
        groups: Vec<Group>,
        length: Count,
        dead: Count,
        consumers: &BTreeMap<&[u8], Vec<Consumer>>,
    ) -> Vec<QueueSample> {
        if groups.is_empty() {
            self.known.groups.clear();
            if is_others(self.stream) {
                self.known.skip_until = self.tick + EVENTS_EVERY;
                return Vec::new();
            }
            return if self.wanted.is_empty() { vec![self.sample(None, length, dead)] } else { Vec::new() };
        }
        let mut samples = Vec::new();
        self.known.groups.retain(|name, _| groups.iter().any(|group| group.name == *name));
        for group in groups {
            if self.wanted.is_empty() || self.wanted.contains(&group.name) {
                let mut sample = self.sample(Some(&group.name), length, dead);
                let memo = self.known.groups.get(&group.name).cloned().unwrap_or_default();
                fill(&mut sample, &group, &memo, consumers.get(group.name.as_slice()), self.now);
                samples.push(sample);
            }
            let bytes = self.known.entry_bytes;
            let memo = self.known.groups.entry(group.name.clone()).or_default();
            if memo.look.expected.is_none()
                && let Some(bytes) = bytes
            {
                memo.look.expect(bytes, self.tick);
            }
            let moved = memo.group.as_ref().is_none_or(|before| before.last_delivered != group.last_delivered);
            if moved {
                // What was counted and seen held for the old position.
                (memo.oldest, memo.counted) = (None, Count::Unknown);
            }
            memo.group = Some(group);
        }
        samples
    }
}

fn fill(sample: &mut QueueSample, group: &Group, memo: &GroupMemo, consumers: Option<&Vec<Consumer>>, now: Timestamp) {
    // What was read in this tick was asked from the position of the tick before.
    let same = memo.group.as_ref().is_some_and(|before| before.last_delivered == group.last_delivered);
    let waiting = match group.lag {
        Some(lag) => Count::Exact(lag),
        None if same => memo.counted,
        None => Count::Unknown,
    };
    sample.set_count(WAITING, waiting);
    sample.set_count(PENDING, Count::Exact(group.pending));
    sample.oldest = match waiting {
        Count::Exact(0) => Oldest::Nothing,
        _ if same => memo.oldest.map_or(Oldest::Unknown, Oldest::Since),
        _ => Oldest::Unknown,
    };
    sample.totals = Totals {
        added: group.entries_read.zip(group.lag).map(|(read, lag)| read + lag),
        finished: group.entries_read.map(|read| read.saturating_sub(group.pending)),
        failed: None,
    };
    if let Some(consumers) = consumers {
        let unattended = matches!(sample.oldest, Oldest::Since(moment) if moment.age(now) > TAKEN_WITHIN);
        sample.workers = workers(consumers, unattended);
        warn(sample, consumers);
    }
}

/// How many consumers live. Where an empty read leaves no trace (before 7.2) a consumer without work looks like a dead
/// one, and one that never got anything is not even listed. Then silence proves something only while entries have waited
/// for longer than a living consumer without work would let them.
pub fn workers(consumers: &[Consumer], unattended: bool) -> WorkerCount {
    let live = consumers.iter().filter(|consumer| consumer.idle < LIVE).count() as u64;
    let mut silent = consumers.iter().filter(|consumer| consumer.idle >= LIVE);
    let telling = consumers.iter().all(|consumer| consumer.every_read_counts);
    let sure = match (consumers.is_empty(), live == consumers.len() as u64 || telling) {
        (false, true) => true,
        _ => unattended && silent.all(|consumer| consumer.pending == 0),
    };
    WorkerCount {
        alive: sure.then_some(live),
        at_least: false,
        shared: 0,
        busy: Some(consumers.iter().filter(|consumer| consumer.pending > 0 && consumer.idle < STUCK).count() as u64),
    }
}

fn warn(sample: &mut QueueSample, consumers: &[Consumer]) {
    let stuck = || consumers.iter().filter(|consumer| consumer.pending > 0 && consumer.idle >= STUCK);
    let held: u64 = stuck().map(|consumer| consumer.pending).sum();
    if let Some(longest) = stuck().map(|consumer| consumer.idle).max() {
        let text = format!(
            "{held} delivered entries are held by {} silent consumers, the longest for {}",
            stuck().count(),
            age(longest)
        );
        sample.warnings.push(Warning { severity: Severity::Warn, code: "stuck_pending", text });
    }
}

fn exact(reply: Result<&Value, CommandError>) -> Count {
    reply.ok().and_then(reply::count).map_or(Count::Unknown, Count::Exact)
}

/// BullMQ keeps a stream of events beside every queue, which nobody reads through a group.
pub fn is_others(stream: &[u8]) -> bool {
    stream.ends_with(b":events") && stream.iter().filter(|byte| **byte == b':').count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(idle: u64, pending: u64, every_read_counts: bool) -> Consumer {
        Consumer { name: b"c".to_vec(), pending, idle: Duration::from_secs(idle), every_read_counts }
    }

    #[test]
    fn silent_consumers_are_dead_only_where_that_is_proved() {
        let alive = |consumers: &[Consumer], unattended| workers(consumers, unattended).alive;
        assert_eq!(alive(&[consumer(1, 0, false)], false), Some(1));
        assert_eq!(alive(&[consumer(900, 0, false)], false), None, "it may wait for work");
        assert_eq!(alive(&[consumer(900, 0, false)], true), Some(0), "it would have taken what waits");
        assert_eq!(alive(&[consumer(900, 3, false)], true), None, "it may be busy");
        assert_eq!(alive(&[consumer(900, 0, true), consumer(2, 0, true)], false), Some(1));
        assert_eq!(alive(&[], false), None, "one that never got anything is not listed");
        assert_eq!(alive(&[], true), Some(0));
        assert_eq!(workers(&[consumer(900, 3, false), consumer(5, 1, false)], false).busy, Some(1));
    }
}
