//! What a tick asks of the described lists. The same questions in the same order are made from description and memo for
//! writing the commands and for reading the replies, so that both cannot drift apart.

use super::keys::fill;
use super::memo::{Head, ListMemo};
use crate::domain::described::{DeadKind, End, Heartbeat, HeartbeatKind, ItemKind, ListSpec, RecordKind};
use crate::domain::ids::Name;
use crate::domain::time::Timestamp;
use crate::link::{Cmd, cmd};

/// Keys that one step of a walk looks at.
const SCAN_COUNT: u64 = 1_000;

/// Bytes of a record or heartbeat that are read; what tells about a job stands at its start or is not found.
pub const RECORD_BYTES: u64 = 8 * 1024;

/// Lists of workers whose lengths one tick asks for each queue.
pub const PROCESSING_LISTS: usize = 50;

/// Heartbeat keys that one tick looks at for each queue; the others take turns.
const BEATS: usize = 2;

/// One question of a tick.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask<'a> {
    /// A step of the walk for a glob.
    Scan { pattern: &'a str, kind: Option<&'static str>, cursor: u64 },
    /// Length of a list of waiting items.
    Waiting(&'a str),
    /// Length of a list of items being worked on.
    Processing(&'a [u8]),
    /// Length of a list of given-up items.
    Dead(&'a str),
    /// Members of a sorted set of given-up items.
    DeadMembers(&'a str),
    /// Members of the delayed set.
    Delayed(&'a str),
    /// Members of it that are due.
    Overdue(&'a str, i64),
    /// Bytes that the list takes, by sampling five of its parts.
    ItemSize(&'a str),
    /// Bytes that the delayed set takes.
    MemberSize(&'a str),
    /// The item that is taken next.
    Head(&'a str, End),
    /// The member that is due first.
    FirstDue(&'a str),
    /// Start of the record of the item that is taken next.
    HeadRecord { list: &'a str, key: Vec<u8>, fields: Option<Vec<&'a str>> },
    /// Start of the value of the pause key.
    Paused(&'a str),
    /// Whether the pause key is there.
    PausedAtAll(&'a str),
    /// A counter.
    Counter(Total, &'a str),
    /// Time to live of a heartbeat key.
    BeatTtl(&'a Heartbeat, &'a Name),
    /// Value of a heartbeat key, right behind its time to live.
    BeatValue(&'a Heartbeat, &'a Name),
}

/// Which total a counter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    Added,
    Finished,
    Failed,
}

/// The one step of a walk that this tick takes, if one is due. Walks under way come first.
pub fn scan<'a>(specs: &[&'a ListSpec], memo: Option<&ListMemo>, now: Timestamp) -> Option<Ask<'a>> {
    let patterns = specs.iter().flat_map(|spec| {
        let lists = spec.processing_pattern.iter().map(|pattern| (pattern.as_str(), Some("list")));
        lists.chain(spec.heartbeat.iter().map(|heartbeat| (heartbeat.pattern.as_str(), None)))
    });
    let mut due: Vec<_> = patterns
        .filter_map(|(pattern, kind)| {
            let find = memo.and_then(|memo| memo.finds.get(pattern));
            let cursor = find.map_or(0, |find| find.cursor);
            let rested = find.is_none_or(|find| now >= find.due);
            (cursor != 0 || rested).then_some(Ask::Scan { pattern, kind, cursor })
        })
        .collect();
    due.sort_by_key(|ask| matches!(ask, Ask::Scan { cursor: 0, .. }));
    due.into_iter().next()
}

/// Everything this tick asks about one queue.
pub fn questions<'a>(spec: &'a ListSpec, memo: Option<&'a ListMemo>, tick: u64, now: Timestamp) -> Vec<Ask<'a>> {
    let queue = memo.and_then(|memo| memo.queues.get(&spec.name));
    let mut asks = Vec::new();
    for key in spec.key.iter() {
        asks.push(Ask::Waiting(key));
        head(&mut asks, spec, key, queue.and_then(|queue| queue.heads.get(key)), tick);
    }
    asks.extend(spec.processing.iter().map(|key| Ask::Processing(key.as_bytes())));
    if let Some(find) = spec.processing_pattern.as_ref().and_then(|pattern| memo?.finds.get(pattern)) {
        asks.extend(find.known().iter().take(PROCESSING_LISTS).map(|key| Ask::Processing(key.as_bytes())));
    }
    if let Some(dead) = &spec.dead {
        let ask = if dead.kind == DeadKind::Zset { Ask::DeadMembers } else { Ask::Dead };
        asks.extend(dead.key.iter().map(ask));
    }
    if let Some(delayed) = &spec.delayed {
        asks.push(Ask::Delayed(&delayed.key));
        if now > Timestamp::default() {
            let score = if delayed.unit == crate::domain::described::TimeUnit::Ms { now.0 } else { now.0 / 1000 };
            asks.push(Ask::Overdue(&delayed.key, score));
        }
        match queue.map(|queue| &queue.first_due) {
            Some(first) if first.look.is_due(tick) => asks.push(Ask::FirstDue(&delayed.key)),
            Some(first) if first.look.expected.is_some() => {}
            _ => asks.push(Ask::MemberSize(&delayed.key)),
        }
    }
    if let Some(pause) = &spec.pause {
        asks.push(if pause.value.is_some() { Ask::Paused(&pause.key) } else { Ask::PausedAtAll(&pause.key) });
    }
    if let Some(counters) = &spec.counters {
        let all =
            [(Total::Added, &counters.added), (Total::Finished, &counters.finished), (Total::Failed, &counters.failed)];
        asks.extend(all.into_iter().filter_map(|(total, key)| Some(Ask::Counter(total, key.as_deref()?))));
    }
    if let Some(memo) = memo {
        beats(&mut asks, spec, memo);
    }
    asks
}

/// The next item, and what tells its age. Only the age is of interest, so that nothing is asked if it is not described.
fn head<'a>(asks: &mut Vec<Ask<'a>>, spec: &'a ListSpec, key: &'a str, head: Option<&Head>, tick: u64) {
    if spec.fields.created.is_empty() {
        return;
    }
    match head {
        Some(head) if head.look.is_due(tick) => asks.push(Ask::Head(key, spec.next)),
        Some(head) if head.look.expected.is_some() => {}
        _ => asks.push(Ask::ItemSize(key)),
    }
    if let (Some(record), Some(id)) = (&spec.record, head.and_then(|head| head.id.as_ref()))
        && spec.item == ItemKind::Id
    {
        let fields = (record.kind == RecordKind::Hash).then(|| spec.fields.created.path.iter().collect());
        asks.push(Ask::HeadRecord { list: key, key: fill(&record.key, id), fields });
    }
}

/// Those heartbeat keys that were looked at longest ago.
fn beats<'a>(asks: &mut Vec<Ask<'a>>, spec: &'a ListSpec, memo: &'a ListMemo) {
    let known = memo.queues.get(&spec.name).map(|queue| &queue.beats);
    let mut keys: Vec<(u64, &Heartbeat, &Name)> = spec
        .heartbeat
        .iter()
        .filter_map(|heartbeat| Some((heartbeat, memo.finds.get(&heartbeat.pattern)?)))
        .flat_map(|(heartbeat, find)| find.known().iter().map(move |key| (heartbeat, key)))
        .map(|(heartbeat, key)| {
            let last = known.and_then(|beats| beats.get(key)).map_or(0, |beat| beat.tick);
            (last, heartbeat, key)
        })
        .collect();
    keys.sort_by_key(|(last, ..)| *last);
    for (_, heartbeat, key) in keys.into_iter().take(BEATS) {
        asks.push(Ask::BeatTtl(heartbeat, key));
        if heartbeat.kind != HeartbeatKind::Presence {
            asks.push(Ask::BeatValue(heartbeat, key));
        }
    }
}

impl Ask<'_> {
    /// The command that asks it.
    pub fn command(&self) -> Cmd {
        match self {
            Self::Scan { pattern, kind, cursor } => scan_command(pattern, *kind, *cursor),
            Self::Waiting(key) | Self::Dead(key) => one("LLEN", key.as_bytes()),
            Self::Processing(key) => one("LLEN", key),
            Self::Delayed(key) | Self::DeadMembers(key) => one("ZCARD", key.as_bytes()),
            Self::Overdue(key, now) => {
                let mut command = one("ZCOUNT", key.as_bytes());
                command.arg("-inf").arg(*now);
                command
            }
            Self::ItemSize(key) | Self::MemberSize(key) => memory(key.as_bytes()),
            Self::Head(key, end) => {
                let mut command = one("LINDEX", key.as_bytes());
                command.arg(if *end == End::Right { -1 } else { 0 });
                command
            }
            Self::FirstDue(key) => {
                let mut command = one("ZRANGE", key.as_bytes());
                command.arg(0).arg(0).arg("WITHSCORES");
                command
            }
            Self::HeadRecord { key, fields: None, .. } => start_of(key, RECORD_BYTES),
            Self::HeadRecord { key, fields: Some(fields), .. } => {
                let mut command = one("HMGET", key);
                command.arg(fields);
                command
            }
            Self::Paused(key) => start_of(key.as_bytes(), 256),
            Self::PausedAtAll(key) => one("EXISTS", key.as_bytes()),
            Self::Counter(_, key) => start_of(key.as_bytes(), 64),
            Self::BeatTtl(_, key) => one("PTTL", key.as_bytes()),
            Self::BeatValue(heartbeat, key) => beat_value(heartbeat, key.as_bytes()),
        }
    }
}

/// A command with one argument, a key.
pub fn one(name: &'static str, key: &[u8]) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

/// The start of a string; an empty string if there is no such key.
pub fn start_of(key: &[u8], bytes: u64) -> Cmd {
    let mut command = one("GETRANGE", key);
    command.arg(0).arg(bytes - 1);
    command
}

/// Bytes a key takes, from a small sample of its elements.
pub fn memory(key: &[u8]) -> Cmd {
    let mut command = cmd("MEMORY");
    command.arg("USAGE").arg(key).arg("SAMPLES").arg(5);
    command
}

/// One step of a walk over the keyspace.
pub fn scan_command(pattern: &str, kind: Option<&str>, cursor: u64) -> Cmd {
    let mut command = cmd("SCAN");
    command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN_COUNT);
    if let Some(kind) = kind {
        command.arg("TYPE").arg(kind);
    }
    command
}

/// The value of a heartbeat key, or of its described fields.
pub fn beat_value(heartbeat: &Heartbeat, key: &[u8]) -> Cmd {
    match heartbeat.kind {
        HeartbeatKind::Hash => {
            let mut command = one("HMGET", key);
            command.arg(beat_fields(heartbeat));
            command
        }
        HeartbeatKind::Presence | HeartbeatKind::Id | HeartbeatKind::Json => start_of(key, RECORD_BYTES),
    }
}

/// Names of a heartbeat hash's fields that are of interest; never none, since HMGET needs one.
pub fn beat_fields(heartbeat: &Heartbeat) -> Vec<&str> {
    let Heartbeat { beat, item, host, pid, since, .. } = heartbeat;
    let mut fields: Vec<&str> =
        [&beat.path, item, host, pid, &since.path].into_iter().flat_map(|paths| paths.iter()).collect();
    if fields.is_empty() {
        fields.push("");
    }
    fields
}
