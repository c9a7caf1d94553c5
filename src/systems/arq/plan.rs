//! Which commands a tick asks. Planning and reading make the same list from the same memo, so that replies find their
//! questions.
//!
//! A queue's sorted set is asked for its length and its first members; what their own keys say is asked in the next
//! tick, all in one `MGET`. Slower facts take turns.

use std::collections::BTreeSet;

use crate::domain::ids::{JobId, Name};
use crate::domain::time::Timestamp;
use crate::link::{Cmd, cmd};
use crate::systems::Instance;

use super::Arq;
use super::keys::{self, Keys};
use super::memo::{InstanceMemo, Nature, QueueMemo};

/// Members of a queue that are looked at in each tick. Workers take jobs from this end, so that those that run are here.
pub const HEAD: usize = 100;
/// Members by which a sorted set is told to be a queue.
const PEEK: u64 = 5;
/// Names looked at for the first time in one tick, and again, and after how many ticks.
const FIRST_LOOKS: usize = 500;
const SECOND_LOOKS: usize = 50;
const SECOND_LOOK_AFTER: u64 = 30;
/// Keys that one step of the walk over results looks at.
const SCAN_COUNT: u64 = 1_000;
/// Bytes of a result that tell nearly always how it ended.
pub const RESULT_BYTES: u64 = 16 * 1024;
/// Last bytes of a result: when it started and ended, and in which queue.
const RESULT_TAIL: i64 = 320;

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The server's clock.
    Time,
    /// Abort requests.
    Aborts,
    /// A step of the walk over results.
    Scan(u64),
    /// The first so many bytes of a result.
    Result(JobId, u64),
    /// The last bytes of a result that was read before.
    Again(JobId),
    /// Some members, of what may be a queue or of what is held back of it.
    Peek(Name, bool),
    /// Which of these are jobs with a definition: how many.
    Defined(Name, Vec<Vec<u8>>),
    /// Length.
    Total(Name),
    /// First members with scores.
    Head(Name),
    /// Jobs due at a moment.
    Due(Name, Timestamp),
    /// Jobs that were due at the moment of the tick before and are still there.
    StillDue(Name, Timestamp),
    /// First job after a moment.
    Next(Name, Timestamp),
    /// Locks of the first members.
    Locks(Name, Vec<JobId>),
    /// How often they were started.
    Starts(Name, Vec<JobId>),
    /// What a worker wrote, in this key.
    Health(Name, Vec<u8>),
    /// Jobs held back.
    Held(Name),
}

impl Ask {
    /// The command.
    pub fn command(&self) -> Cmd {
        let of = |name: &Name| Keys { queue: name.as_bytes().to_vec() };
        let named = |word: &str, keys: Vec<Vec<u8>>| {
            let mut command = cmd(word);
            keys.into_iter().for_each(|key| {
                command.arg(key);
            });
            command
        };
        let mut command = match self {
            Self::Time => return cmd("TIME"),
            Self::Aborts => return cmd("ZCARD").arg(keys::ABORT).to_owned(),
            Self::Scan(cursor) => {
                let mut command = cmd("SCAN");
                command.arg(*cursor).arg("MATCH").arg("arq:result:*").arg("COUNT").arg(SCAN_COUNT);
                return command;
            }
            Self::Result(id, bytes) => {
                let mut command = cmd("GETRANGE");
                command.arg(keys::result(id.as_bytes())).arg(0).arg(bytes - 1);
                return command;
            }
            Self::Again(id) => {
                let mut command = cmd("GETRANGE");
                command.arg(keys::result(id.as_bytes())).arg(-RESULT_TAIL).arg(-1);
                return command;
            }
            Self::Peek(name, held) => {
                let key = if *held { of(name).held() } else { of(name).queue };
                return cmd("ZRANGE").arg(key).arg(0).arg(PEEK - 1).to_owned();
            }
            Self::Defined(_, ids) => return named("EXISTS", ids.iter().map(|id| keys::job(id)).collect()),
            Self::Locks(_, ids) => {
                return named("MGET", ids.iter().map(|id| keys::in_progress(id.as_bytes())).collect());
            }
            Self::Starts(_, ids) => return named("MGET", ids.iter().map(|id| keys::retry(id.as_bytes())).collect()),
            Self::Health(_, key) => return cmd("GET").arg(key).to_owned(),
            Self::Held(name) => return cmd("ZCARD").arg(of(name).held()).to_owned(),
            Self::Total(_) => cmd("ZCARD"),
            Self::Head(_) => cmd("ZRANGE"),
            Self::Due(..) | Self::StillDue(..) => cmd("ZCOUNT"),
            Self::Next(..) => cmd("ZRANGEBYSCORE"),
        };
        if let Some(name) = self.name() {
            command.arg(name.as_bytes());
        }
        match self {
            Self::Head(_) => command.arg(0).arg(HEAD - 1).arg("WITHSCORES"),
            Self::Due(_, at) | Self::StillDue(_, at) => command.arg("-inf").arg(at.0),
            Self::Next(_, at) => {
                command.arg(format!("({}", at.0)).arg("+inf").arg("WITHSCORES").arg("LIMIT").arg(0).arg(1)
            }
            _ => &mut command,
        };
        command
    }

    /// The queue it is about.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::Time | Self::Aborts | Self::Scan(_) | Self::Result(..) | Self::Again(_) => None,
            Self::Peek(name, _)
            | Self::Defined(name, _)
            | Self::Total(name)
            | Self::Head(name)
            | Self::Due(name, _)
            | Self::StillDue(name, _)
            | Self::Next(name, _)
            | Self::Locks(name, _)
            | Self::Starts(name, _)
            | Self::Health(name, _)
            | Self::Held(name) => Some(name),
        }
    }
}

/// All names that are looked at: those that were found, those that results name, and queues that are only empty.
pub fn names(instance: &Instance, own: Option<&InstanceMemo>) -> BTreeSet<Name> {
    let mut names: BTreeSet<Name> = instance.queues.iter().cloned().collect();
    if let Some(own) = own {
        names.extend(own.tally.queues().cloned());
        names.extend(own.queues.iter().filter(|(_, memo)| memo.nature == Nature::Queue).map(|(name, _)| name.clone()));
    }
    names
}

/// The questions of one tick.
pub fn questions(arq: &Arq, instance: &Instance, own: Option<&InstanceMemo>, tick: u64) -> Vec<Ask> {
    let mut asks = vec![Ask::Time];
    let (mut first, mut second) = (FIRST_LOOKS, SECOND_LOOKS);
    let mut queues = 0;
    for name in names(instance, own) {
        let memo = own.and_then(|own| own.queues.get(&name));
        match memo.map_or(&Nature::Unknown, |memo| &memo.nature) {
            Nature::Unknown if first > 0 => {
                first -= 1;
                let health = arq.health(&name);
                let peeks = [Ask::Peek(name.clone(), false), Ask::Peek(name.clone(), true)];
                asks.extend(peeks.into_iter().chain([Ask::Health(name, health)]));
            }
            Nature::Foreign { since } if tick.saturating_sub(*since) >= SECOND_LOOK_AFTER && second > 0 => {
                second -= 1;
                let health = arq.health(&name);
                asks.extend([Ask::Peek(name.clone(), false), Ask::Health(name, health)]);
            }
            Nature::Candidate(ids) => asks.push(Ask::Defined(name.clone(), ids.clone())),
            Nature::Queue => {
                queues += 1;
                if let (Some(memo), Some(own)) = (memo, own) {
                    asks.extend(of_queue(arq, &name, memo, own, tick));
                }
            }
            Nature::Unknown | Nature::Foreign { .. } => {}
        }
    }
    if let Some(own) = own.filter(|_| queues > 0) {
        if tick % 8 == 1 || own.aborts.is_none() {
            asks.push(Ask::Aborts);
        }
        asks.extend(own.tally.step(tick).map(Ask::Scan));
        let room = (12 * queues + 1usize).saturating_sub(asks.len());
        asks.extend(own.tally.wanted(room, tick).into_iter().map(|(id, bytes)| Ask::Result(id, bytes)));
        asks.extend(own.tally.again(room).into_iter().map(Ask::Again));
    }
    asks
}

fn of_queue(arq: &Arq, name: &Name, memo: &QueueMemo, own: &InstanceMemo, tick: u64) -> Vec<Ask> {
    let mut asks = Vec::new();
    // Before the head, so that a job that ends in between is in neither.
    if !memo.head.is_empty() && (!tick.is_multiple_of(2) || memo.held.is_none()) {
        asks.push(Ask::Defined(name.clone(), memo.head.iter().map(|id| id.as_bytes().to_vec()).collect()));
    }
    asks.extend([Ask::Total(name.clone()), Ask::Head(name.clone())]);
    if !memo.head.is_empty() {
        asks.push(Ask::Locks(name.clone(), memo.head.clone()));
        asks.push(Ask::Starts(name.clone(), memo.head.clone()));
    }
    if let Some((then, _)) = memo.due {
        asks.push(Ask::StillDue(name.clone(), then));
    }
    let large = memo.total.is_some_and(|total| total >= HEAD as u64);
    if large {
        let expected = own.now.plus(own.interval);
        asks.push(Ask::Due(name.clone(), expected));
        if tick.is_multiple_of(4) || memo.next_due.is_none() {
            asks.push(Ask::Next(name.clone(), expected));
        }
    }
    if tick.is_multiple_of(2) || memo.health.is_none() {
        asks.push(Ask::Health(name.clone(), arq.health(name)));
    }
    if !tick.is_multiple_of(2) || memo.held.is_none() {
        asks.push(Ask::Held(name.clone()));
    }
    asks
}
