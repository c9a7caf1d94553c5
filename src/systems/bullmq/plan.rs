//! Which commands a tick asks of a queue: at most twelve, each on one key and O(1) or O(log n).
//!
//! Lengths are asked in every tick. What remains of the twelve goes to the questions that have waited longest in
//! relation to how fresh their answer should be. Planning and reading call the same function on the same memo, so that
//! replies find their questions.

use crate::domain::ids::Name;
use crate::domain::time::Timestamp;
use crate::link::{Cmd, cmd};
use crate::systems::Instance;

use super::keys::Keys;
use super::memo::{InstanceMemo, Nature, QueueMemo};

/// Most commands for one queue in one tick.
const BUDGET: usize = 12;
/// Most queues of an instance that are looked at for the first time in one tick.
const FIRST_LOOKS: usize = 800;
/// Most foreign keys of an instance that are looked at again in one tick, and after how many ticks.
const SECOND_LOOKS: usize = 50;
const SECOND_LOOK_AFTER: u64 = 60;
/// Most ids of running jobs that are read.
pub const ACTIVE_IDS: u64 = 100;

/// A container whose next job tells how long jobs have waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Tail of `wait`.
    Wait,
    /// Tail of `paused`.
    Paused,
    /// First of `prioritized`.
    Prioritized,
}

impl Place {
    /// How many there are.
    pub const COUNT: usize = 3;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Wait, Self::Paused, Self::Prioritized];
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Fields of `meta`.
    Meta,
    /// Type of `events`, a stream only BullMQ has.
    Events,
    /// Counter of ids.
    Id,
    /// Length of `wait`.
    Wait,
    /// Length of `paused`.
    Paused,
    /// First ids of `active`, which tell its length too if there are fewer than asked for.
    Active,
    /// Length of `active`.
    ActiveLength,
    /// Size of `prioritized`.
    Prioritized,
    /// Size of `delayed`.
    Delayed,
    /// Size of `waiting-children`.
    Children,
    /// Size of `completed`.
    Completed,
    /// Size of `failed`.
    Failed,
    /// Next job of a place.
    Head(Place),
    /// When that job was added.
    Stamp(Place),
    /// First delayed job.
    NextDelayed,
    /// Delayed jobs that are due.
    Overdue,
    /// Jobs completed since the last count.
    EndedWell,
    /// Jobs failed since the last count.
    EndedBadly,
    /// Jobs started in the rate window.
    LimiterUsed,
    /// Rest of the rate window.
    LimiterLeft,
    /// Newest of `completed`.
    LastCompleted,
    /// Newest of `failed`.
    LastFailed,
    /// Completed jobs ever, where a worker keeps metrics.
    MetricsWell,
    /// Failed jobs ever, where a worker keeps metrics.
    MetricsBadly,
    /// Whether the key with this place in [`BULL_ONLY`] is there.
    Bull(usize),
}

impl Ask {
    /// Number of different questions.
    pub const SLOTS: usize = 30;

    /// Its place in [`QueueMemo::asked`].
    pub fn slot(self) -> usize {
        match self {
            Self::Meta => 0,
            Self::Events => 1,
            Self::Id => 2,
            Self::Wait => 3,
            Self::Paused => 4,
            Self::Active => 5,
            Self::ActiveLength => 6,
            Self::Prioritized => 7,
            Self::Delayed => 8,
            Self::Children => 9,
            Self::Completed => 10,
            Self::Failed => 11,
            Self::NextDelayed => 12,
            Self::Overdue => 13,
            Self::EndedWell => 14,
            Self::EndedBadly => 15,
            Self::LimiterUsed => 16,
            Self::LimiterLeft => 17,
            Self::LastCompleted => 18,
            Self::LastFailed => 19,
            Self::Head(place) => 20 + place as usize,
            Self::Stamp(place) => 23 + place as usize,
            Self::MetricsWell => 26,
            Self::MetricsBadly => 27,
            Self::Bull(key) => 28 + key,
        }
    }

    /// Command and key suffix, for messages.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Meta => ("HMGET", "meta"),
            Self::Events => ("TYPE", "events"),
            Self::Id => ("GET", "id"),
            Self::Wait => ("LLEN", "wait"),
            Self::Paused => ("LLEN", "paused"),
            Self::Active => ("LRANGE", "active"),
            Self::ActiveLength => ("LLEN", "active"),
            Self::Prioritized => ("ZCARD", "prioritized"),
            Self::Delayed => ("ZCARD", "delayed"),
            Self::Children => ("ZCARD", "waiting-children"),
            Self::Completed => ("ZCARD", "completed"),
            Self::Failed => ("ZCARD", "failed"),
            Self::Head(Place::Wait) => ("LINDEX", "wait"),
            Self::Head(Place::Paused) => ("LINDEX", "paused"),
            Self::Head(Place::Prioritized) => ("ZRANGE", "prioritized"),
            Self::Stamp(_) => ("HGET", "<job>"),
            Self::NextDelayed => ("ZRANGE", "delayed"),
            Self::Overdue => ("ZCOUNT", "delayed"),
            Self::EndedWell => ("ZCOUNT", "completed"),
            Self::EndedBadly => ("ZCOUNT", "failed"),
            Self::LimiterUsed => ("GET", "limiter"),
            Self::LimiterLeft => ("PTTL", "limiter"),
            Self::LastCompleted => ("ZREVRANGE", "completed"),
            Self::LastFailed => ("ZREVRANGE", "failed"),
            Self::MetricsWell => ("HGET", "metrics:completed"),
            Self::MetricsBadly => ("HGET", "metrics:failed"),
            Self::Bull(key) => ("EXISTS", BULL_ONLY[key]),
        }
    }

    /// The command itself. `now`: server time of the tick before.
    pub fn command(self, keys: &Keys, memo: &QueueMemo, now: Timestamp) -> Cmd {
        let (word, suffix) = self.words();
        let mut command = cmd(word);
        if let Self::Stamp(place) = self {
            let id = memo.heads[place as usize].id.as_ref().map(Name::as_bytes).unwrap_or_default();
            command.arg(keys.job(id)).arg("timestamp");
            return command;
        }
        command.arg(keys.key(suffix));
        match self {
            Self::Meta => {
                command.arg(META_FIELDS);
            }
            Self::Active => {
                command.arg(0).arg(ACTIVE_IDS - 1);
            }
            Self::Head(Place::Prioritized) => {
                command.arg(0).arg(0);
            }
            Self::Head(_) => {
                command.arg(-1);
            }
            Self::NextDelayed | Self::LastCompleted | Self::LastFailed => {
                command.arg(0).arg(0).arg("WITHSCORES");
            }
            Self::Overdue => {
                command.arg("-inf").arg(format!("({}", now.0.saturating_mul(DELAYED_STEP)));
            }
            Self::EndedWell | Self::EndedBadly => {
                let from = memo.totals.counted_to[usize::from(self == Self::EndedBadly)].unwrap_or(now);
                command.arg(format!("({}", from.0)).arg(now.0);
            }
            Self::MetricsWell | Self::MetricsBadly => {
                command.arg("count");
            }
            _ => {}
        }
        command
    }
}

/// Fields asked of `meta`; [`super::sample`] reads them in this order.
pub const META_FIELDS: &[&str] = &["version", "paused", "concurrency", "max", "duration", "opts.maxLenEvents"];

/// Keys that only Bull writes, or a BullMQ older than 4: what is done to the queue's jobs in the way of one library may
/// be lost for the workers of the other.
pub const BULL_ONLY: [&str; 2] = ["meta-paused", "priority"];

/// The score of a delayed job is its due time in milliseconds times this, plus a number of arrival.
pub const DELAYED_STEP: i64 = 4096;

/// Everything, for a queue not met before.
const FIRST: [Ask; BUDGET] = [
    Ask::Meta,
    Ask::Events,
    Ask::Id,
    Ask::Wait,
    Ask::Paused,
    Ask::Active,
    Ask::Prioritized,
    Ask::Delayed,
    Ask::Children,
    Ask::Completed,
    Ask::Failed,
    Ask::Head(Place::Wait),
];

/// Asked in every tick.
const ALWAYS: [Ask; 8] =
    [Ask::Id, Ask::Wait, Ask::Active, Ask::Prioritized, Ask::Delayed, Ask::Children, Ask::Completed, Ask::Failed];

/// The questions of one tick, for each queue of the instance in its order.
pub fn questions(instance: &Instance, memo: Option<&InstanceMemo>, tick: u64, now: Timestamp) -> Vec<Vec<Ask>> {
    let (mut first_looks, mut second_looks) = (FIRST_LOOKS, SECOND_LOOKS);
    let of_queue = |name: &Name| {
        let queue = memo.and_then(|memo| memo.queues.get(name));
        match queue.map_or(Nature::Unknown, |queue| queue.nature) {
            Nature::Unknown if first_looks > 0 => {
                first_looks -= 1;
                FIRST.to_vec()
            }
            Nature::Foreign { since } if tick.saturating_sub(since) >= SECOND_LOOK_AFTER && second_looks > 0 => {
                second_looks -= 1;
                vec![Ask::Meta, Ask::Events]
            }
            Nature::Queue => queue.map(|queue| of_known(queue, tick, now)).unwrap_or_default(),
            Nature::Unknown | Nature::Foreign { .. } => Vec::new(),
        }
    };
    instance.queues.iter().map(of_queue).collect()
}

/// The questions to a queue that is known to be one.
fn of_known(memo: &QueueMemo, tick: u64, now: Timestamp) -> Vec<Ask> {
    let mut asks = ALWAYS.to_vec();
    if memo.last.active.is_some_and(|active| active >= ACTIVE_IDS) {
        asks.push(Ask::ActiveLength);
    }
    // Without the mark at its tail the length of a 4.x list is one too many.
    let marked = memo.marks || memo.meta.version.marks_in_wait();
    if marked {
        asks.push(Ask::Head(Place::Wait));
    }
    let mut open: Vec<(Ask, u64)> =
        wishes(memo, tick, now).into_iter().filter(|(ask, _)| !asks.contains(ask)).collect();
    let waited = |(ask, period): &(Ask, u64)| tick.saturating_sub(memo.asked[ask.slot()]) as f64 / *period as f64;
    open.retain(|wish| waited(wish) >= 1.0);
    open.sort_by(|a, b| waited(b).total_cmp(&waited(a)));
    asks.extend(open.into_iter().map(|(ask, _)| ask).take(BUDGET - asks.len()));
    asks
}

/// What is worth asking, with the number of ticks after which an answer is old; the more important first.
fn wishes(memo: &QueueMemo, tick: u64, now: Timestamp) -> Vec<(Ask, u64)> {
    let last = &memo.last;
    let some = |length: Option<u64>| length.is_some_and(|length| length > 0);
    let mut wishes = vec![(Ask::Meta, 1)];
    let jobs_move_on_pause = memo.meta.paused && memo.meta.version.moves_jobs_on_pause();
    wishes.push((Ask::Paused, if some(last.paused) || jobs_move_on_pause { 1 } else { 8 }));
    wishes.extend(ends(memo, tick, now));
    for (place, length) in Place::ALL.into_iter().zip([last.wait, last.paused, last.prioritized]) {
        let head = &memo.heads[place as usize];
        if some(length) {
            wishes.push((Ask::Head(place), if place == Place::Wait { 1 } else { 2 }));
            wishes.extend((head.id.is_some() && !head.stamped).then_some((Ask::Stamp(place), 1)));
        }
    }
    if some(last.delayed) {
        let due = memo.next_due.is_some_and(|due| due < now);
        wishes.push((Ask::NextDelayed, 1));
        wishes.extend(due.then_some((Ask::Overdue, 1)));
    }
    for (key, found) in memo.bull.iter().enumerate() {
        wishes.push((Ask::Bull(key), if found.is_none() { 1 } else { 16 }));
    }
    let watch_limit = memo.meta.rate_max.is_some() || memo.limiter_used.is_some();
    wishes.push((Ask::LimiterUsed, if watch_limit { 1 } else { 8 }));
    wishes.extend(memo.limiter_is_full().then_some((Ask::LimiterLeft, 1)));
    if memo.finished_since || memo.last_finished.is_none() {
        for (ask, length) in [(Ask::LastCompleted, last.completed), (Ask::LastFailed, last.failed)] {
            wishes.extend(some(length).then_some((ask, 4)));
        }
    }
    wishes
}

/// How ends are counted while the finished sets do not tell: by metrics where a worker keeps them, else by time.
fn ends(memo: &QueueMemo, tick: u64, now: Timestamp) -> Vec<(Ask, u64)> {
    if tick > memo.totals.by_time_until {
        return Vec::new();
    }
    let [well, badly] = memo.metrics.map(|count| if count.is_some() { 1 } else { 16 });
    let mut wishes = vec![(Ask::MetricsWell, well), (Ask::MetricsBadly, badly)];
    let [from_well, from_badly] = memo.totals.counted_to;
    for (ask, length, from, metrics) in [
        (Ask::EndedWell, memo.last.completed, from_well, memo.metrics[0]),
        (Ask::EndedBadly, memo.last.failed, from_badly, memo.metrics[1]),
    ] {
        let by_time = metrics.is_none() && length > Some(0) && from.is_some_and(|from| from < now);
        wishes.extend(by_time.then_some((ask, 1)));
    }
    wishes
}
