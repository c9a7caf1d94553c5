//! What a tick asks of an application. The same questions in the same order are made from the memo for writing the
//! commands and for reading the replies, so that both cannot drift apart.

use super::horizon;
use super::keys::{Keys, cache_prefixes};
use super::memo::{FOREIGN_FOR, LaravelMemo, Nature};
use crate::domain::described::Application;
use crate::domain::ids::{InstanceId, Name, QueueId};
use crate::domain::time::Timestamp;
use crate::link::{Cmd, cmd};
use crate::systems::Instance;

/// Ticks between two looks for the cache.
const CACHE_EVERY: u64 = 30;

/// Supervisors that a tick reads.
const SUPERVISORS: usize = 10;

/// Key that every restarted application has in its cache.
pub const RESTART: &str = "illuminate:queue:restart";

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Whether the cache with this prefix is in this Redis.
    Cache(Vec<u8>),
    /// Whether a master of Horizon works under this prefix.
    Horizon(Vec<u8>),
    /// Horizon's supervisors and their beats.
    Supervisors(Vec<u8>),
    /// Status and processes of the supervisor of that number in the memo.
    Supervisor(Vec<u8>, usize),
    /// Ready payloads.
    Length,
    /// Delayed payloads.
    Delayed,
    /// Reserved payloads.
    Reserved,
    /// Delayed ones whose time has come, by this unix second.
    Due(i64),
    /// Reserved ones whose reservation has ended.
    Lost(i64),
    /// Bytes of the list, by sampling.
    ListSize,
    /// Bytes of the delayed set, by sampling.
    DelayedSize,
    /// The payload that runs next.
    Head,
    /// The payload that is due first.
    First,
    /// A wake-up token, where there is nothing else to know a queue by.
    Token,
    /// Throughput and mean run time by Horizon, whose keys have this prefix.
    Measured(Vec<u8>),
    /// Whether a pause key exists.
    Paused(Vec<u8>),
}

/// Keys that pause a queue (12.40 and later): one for each connection by which workers may take it.
pub fn pause_keys(cache: &[u8], application: Option<&Application>, queue: &Name) -> Vec<Vec<u8>> {
    let named: Vec<&str> = application.map(|application| application.connections.iter().collect()).unwrap_or_default();
    let connections = if named.is_empty() { vec!["redis"] } else { named };
    let key =
        |connection: &str| [cache, b"illuminate:queue:paused:", connection.as_bytes(), b":", queue.as_bytes()].concat();
    connections.into_iter().map(key).collect()
}

/// The key that pauses all queues of an application (13.25 and later).
pub fn pause_all_key(cache: &[u8]) -> Vec<u8> {
    [cache, b"illuminate:queues:paused"].concat()
}

/// Queues of a tick: those met by the scan, those that were named, and those that were there before.
pub fn queues(instance: &Instance, application: Option<&Application>, memo: Option<&LaravelMemo>) -> Vec<Name> {
    let mut names = instance.queues.clone();
    let named = application.into_iter().flat_map(|application| application.queues.iter()).map(Name::from);
    names.extend(named.filter(|name| !instance.queues.contains(name)));
    if let Some(memo) = memo {
        names.extend(memo.remembered.iter().filter(|name| !instance.queues.contains(name)).cloned());
    }
    names.sort();
    names.dedup();
    names
}

/// Prefixes under which the cache may lie.
pub fn caches(instance: &InstanceId, application: Option<&Application>) -> Vec<Vec<u8>> {
    let prefix = instance.name.as_bytes();
    match application.and_then(|application| application.cache_prefix.as_deref()) {
        Some(cache) => vec![[prefix, cache.as_bytes()].concat()],
        None => cache_prefixes(prefix),
    }
}

/// Questions about the application as a whole.
pub fn about_all(
    instance: &InstanceId,
    application: Option<&Application>,
    memo: Option<&LaravelMemo>,
    tick: u64,
) -> Vec<Ask> {
    // One after the other, so that no tick becomes large.
    let mut asks: Vec<Ask> = match memo.map_or(0, |memo| memo.looked_for(tick)) % CACHE_EVERY {
        1 => caches(instance, application).into_iter().map(Ask::Cache).collect(),
        0 => horizon::candidates(instance, application).into_iter().map(Ask::Horizon).collect(),
        _ => Vec::new(),
    };
    if let Some((memo, prefix)) = memo.and_then(|memo| Some((memo, memo.horizon.as_ref()?))) {
        asks.push(Ask::Supervisors(prefix.clone()));
        let keys = memo.supervisors.iter().map(|(name, _)| [prefix, &b"supervisor:"[..], name].concat());
        asks.extend(keys.enumerate().map(|(index, key)| Ask::Supervisor(key, index)));
    }
    asks
}

/// Questions about one queue. What was found of the application is in its memo: the prefixes of cache and Horizon, if
/// their keys are in this Redis.
pub fn about(
    name: &Name,
    memo: Option<&LaravelMemo>,
    application: Option<&Application>,
    tick: u64,
    now: Timestamp,
) -> Vec<Ask> {
    let queue = memo.and_then(|memo| memo.queues.get(name));
    let nature = queue.map(|queue| queue.nature).unwrap_or_default();
    if matches!(nature, Nature::Foreign { since } if tick < since + FOREIGN_FOR) {
        return Vec::new();
    }
    let mut asks = vec![Ask::Length, Ask::Delayed, Ask::Reserved];
    if now > Timestamp::default() {
        asks.extend([Ask::Due(now.0 / 1_000), Ask::Lost(now.0 / 1_000)]);
    }
    if nature != Nature::Queue {
        asks.push(Ask::Token);
    }
    for (head, size, look) in [
        (queue.map(|queue| &queue.head), Ask::ListSize, Ask::Head),
        (queue.map(|queue| &queue.first), Ask::DelayedSize, Ask::First),
    ] {
        match head {
            Some(head) if head.look.is_due(tick) => asks.push(look),
            Some(head) if head.look.expected.is_some() => {}
            _ => asks.push(size),
        }
    }
    asks.extend(memo.and_then(|memo| memo.horizon.clone()).map(Ask::Measured));
    if let Some(cache) = memo.and_then(|memo| memo.cache.as_deref()) {
        asks.extend(pause_keys(cache, application, name).into_iter().map(Ask::Paused));
        asks.push(Ask::Paused(pause_all_key(cache)));
    }
    asks
}

impl Ask {
    /// True if it is asked once for the application, whatever its queues.
    pub fn is_about_all(&self) -> bool {
        matches!(self, Self::Cache(_) | Self::Horizon(_) | Self::Supervisors(_) | Self::Supervisor(..))
    }

    /// The command, about a queue's keys.
    pub fn command(&self, name: &Name, keys: &Keys) -> Cmd {
        match self {
            Self::Cache(prefix) => one("EXISTS", &[prefix, RESTART.as_bytes()].concat()),
            Self::Horizon(prefix) => one("EXISTS", &[prefix, &b"masters"[..]].concat()),
            Self::Supervisors(prefix) => {
                let mut command = one("ZRANGE", &[prefix, &b"supervisors"[..]].concat());
                command.arg(0).arg(SUPERVISORS - 1).arg("WITHSCORES");
                command
            }
            Self::Supervisor(key, _) => {
                let mut command = one("HMGET", key);
                command.arg("status").arg("processes");
                command
            }
            Self::Length => one("LLEN", &keys.list),
            Self::Delayed => one("ZCARD", &keys.delayed),
            Self::Reserved => one("ZCARD", &keys.reserved),
            Self::Due(now) => until("ZCOUNT", &keys.delayed, *now),
            Self::Lost(now) => until("ZCOUNT", &keys.reserved, *now),
            Self::ListSize => memory(&keys.list),
            Self::DelayedSize => memory(&keys.delayed),
            Self::Head => {
                let mut command = one("LINDEX", &keys.list);
                command.arg(0);
                command
            }
            Self::First => {
                let mut command = one("ZRANGE", &keys.delayed);
                command.arg(0).arg(0).arg("WITHSCORES");
                command
            }
            Self::Token => {
                let mut command = one("LINDEX", &keys.notify);
                command.arg(0);
                command
            }
            Self::Measured(prefix) => horizon::Measured::Queue(name.clone()).ask(prefix),
            Self::Paused(key) => one("EXISTS", key),
        }
    }
}

/// A command on one key.
pub fn one(name: &str, key: &[u8]) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

/// `MEMORY USAGE` by a sample of five.
pub fn memory(key: &[u8]) -> Cmd {
    let mut command = cmd("MEMORY");
    command.arg("USAGE").arg(key).arg("SAMPLES").arg(5);
    command
}

fn until(name: &str, key: &[u8], now: i64) -> Cmd {
    let mut command = one(name, key);
    command.arg("-inf").arg(now);
    command
}

/// The cache's prefix, looked for over a link: where the application was restarted once it left a key there.
pub async fn find_cache(
    link: &crate::link::Link,
    queue: &QueueId,
    application: Option<&Application>,
) -> Result<Option<Vec<u8>>, crate::systems::SystemError> {
    let candidates = caches(&queue.instance, application);
    if application.is_some_and(|application| application.cache_prefix.is_some()) {
        return Ok(candidates.into_iter().next());
    }
    let mut batch = crate::link::Batch::new();
    for prefix in &candidates {
        batch.ask(one("EXISTS", &[prefix, RESTART.as_bytes()].concat()));
    }
    let replies = link.send(&batch).await?;
    let there = |reply: &crate::link::Reply| reply.as_ref().ok().and_then(crate::systems::reply::count) == Some(1);
    Ok(candidates.into_iter().zip(&replies).find(|(_, reply)| there(reply)).map(|(prefix, _)| prefix))
}
