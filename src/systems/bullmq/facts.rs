//! What is read about a queue before it is said why it does not move.

use std::time::Duration;

use crate::domain::ids::QueueId;
use crate::domain::job::Lease;
use crate::domain::queue::Severity;
use crate::domain::reason::Reason;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies, Value, cmd};
use crate::systems::{ReadError, SystemError, reply};

use super::keys::{self, Keys};
use super::memo::Meta;
use super::plan::{ACTIVE_IDS, META_FIELDS};
use super::rows::{hmget, lease};
use super::sample::{due, read_meta};
use super::schedules::server_time;
use super::why::reason;

/// A worker that finished something this recently lives.
const LATELY: Duration = Duration::from_secs(60);
/// How much of the keyspace is searched for the queue under another prefix.
const SCAN_STEPS: usize = 5;
const SCAN_COUNT: usize = 1000;

/// One queue at one moment.
#[derive(Debug, Default)]
pub struct Facts {
    /// The server's time.
    pub now: Timestamp,
    /// Settings.
    pub meta: Meta,
    /// Length of `wait`.
    pub wait: u64,
    /// Length of `paused`.
    pub paused_list: u64,
    /// Size of `prioritized`.
    pub prioritized: u64,
    /// Size of `delayed`.
    pub delayed: u64,
    /// Size of `waiting-children`.
    pub children: u64,
    /// Length of `active`.
    pub active_total: u64,
    /// The first running jobs with their locks.
    pub active: Vec<(Vec<u8>, Lock)>,
    /// When the first delayed job is due.
    pub next_due: Option<Timestamp>,
    /// Jobs started in the rate window.
    pub limiter_used: Option<u64>,
    /// Rest of the rate window.
    pub limiter_left: Option<Duration>,
    /// Rest of the time for which a worker's last stalled check counts.
    pub stalled_check: Option<Duration>,
    /// When a job last finished.
    pub last_finished: Option<Timestamp>,
}

/// A running job's lock.
#[derive(Debug)]
pub struct Lock(Lease);

impl Lock {
    /// Somebody holds it.
    pub fn is_held(&self) -> bool {
        self.0.left.is_none_or(|left| !left.is_zero())
    }
}

impl Facts {
    /// Reads them in two turns.
    pub async fn read(link: &Link, keys: &Keys) -> Result<Self, SystemError> {
        let mut batch = Batch::new();
        batch.ask(hmget(keys.key("meta"), META_FIELDS)).ask(cmd("TIME"));
        for (command, suffix) in [
            ("LLEN", "wait"),
            ("LLEN", "paused"),
            ("ZCARD", "prioritized"),
            ("ZCARD", "delayed"),
            ("ZCARD", "waiting-children"),
            ("LLEN", "active"),
            ("GET", "limiter"),
            ("PTTL", "limiter"),
            ("PTTL", "stalled-check"),
        ] {
            batch.ask(cmd(command).arg(keys.key(suffix)).to_owned());
        }
        batch.ask(cmd("LRANGE").arg(keys.key("active")).arg(0).arg(ACTIVE_IDS - 1).to_owned());
        batch.ask(cmd("ZRANGE").arg(keys.key("delayed")).arg(0).arg(0).arg("WITHSCORES").to_owned());
        for set in ["completed", "failed"] {
            batch.ask(cmd("ZREVRANGE").arg(keys.key(set)).arg(0).arg(0).arg("WITHSCORES").to_owned());
        }
        let replies = link.send(&batch).await?;
        let mut replies = Replies::new(&replies);
        // A wrong statement is worse than none: what decides must have been read.
        let mut next = || replies.next().map_err(ReadError::from);
        let meta = read_meta(next()?).unwrap_or_default();
        let now = server_time(next()?).unwrap_or_default();
        let mut number = || next().map(|value| reply::int(value).and_then(|number| u64::try_from(number).ok()));
        let mut facts = Self {
            now,
            meta,
            wait: number()?.unwrap_or(0),
            paused_list: number()?.unwrap_or(0),
            prioritized: number()?.unwrap_or(0),
            delayed: number()?.unwrap_or(0),
            children: number()?.unwrap_or(0),
            active_total: number()?.unwrap_or(0),
            limiter_used: number()?,
            limiter_left: number()?.map(Duration::from_millis),
            stalled_check: number()?.map(Duration::from_millis),
            ..Self::default()
        };
        let active = reply::names(next()?).unwrap_or_default();
        facts.next_due = first_score(next()?).map(due);
        let ends = [first_score(next()?), first_score(next()?)];
        facts.last_finished = ends.into_iter().flatten().map(|score| Timestamp(score as i64)).max();
        facts.read_locks(link, keys, active).await?;
        Ok(facts)
    }

    async fn read_locks(&mut self, link: &Link, keys: &Keys, active: Vec<Vec<u8>>) -> Result<(), SystemError> {
        let mut batch = Batch::new();
        for id in &active {
            batch.ask(cmd("PTTL").arg(keys.part(id, "lock")).to_owned());
        }
        let replies = link.send(&batch).await?;
        let mut replies = Replies::new(&replies);
        for id in active {
            if let Some(lease) = lease(replies.next().ok(), None) {
                self.active.push((id, Lock(lease)));
            }
        }
        Ok(())
    }

    /// Jobs that could run now.
    pub fn ready(&self) -> u64 {
        self.wait + self.paused_list + self.prioritized
    }

    /// Locks that are held.
    pub fn held(&self) -> usize {
        self.active.iter().filter(|(_, lock)| lock.is_held()).count()
    }

    /// Any sign that a worker of this queue lives: it checked for stalled jobs, holds a lock, or has just finished one.
    pub fn worker_seen(&self) -> bool {
        let lately = self.last_finished.is_some_and(|at| at.age(self.now) < LATELY);
        self.stalled_check.is_some() || self.held() > 0 || lately
    }

    /// The last stalled check, for evidence.
    pub fn check_words(&self) -> &'static str {
        if self.stalled_check.is_some() { "exists" } else { "does not exist" }
    }
}

fn first_score(value: &Value) -> Option<f64> {
    reply::scored(value)?.first().map(|(_, score)| *score)
}

/// The same queue under other prefixes, if a short look over the keyspace finds one: a producer and its workers that
/// use different prefixes never meet.
pub async fn other_prefixes(link: &Link, queue: &QueueId) -> Result<Vec<Reason>, SystemError> {
    let pattern = [b"*:".as_slice(), &escape(queue.name.as_bytes()), b":meta"].concat();
    let mut found: Vec<QueueId> = Vec::new();
    let mut cursor = 0;
    for _ in 0..SCAN_STEPS {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
        let Some((next, names)) = reply::scan(&link.ask(scan).await?) else { break };
        found.extend(names.iter().filter_map(|key| keys::queue_of(key)).filter(|other| other != queue));
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let mut reasons = Vec::new();
    for other in found.iter().take(3) {
        let keys = Keys::of(other);
        let facts = Facts::read(link, &keys).await?;
        if !facts.meta.is_bullmq {
            continue;
        }
        let workers = if facts.worker_seen() { "a worker serves it" } else { "no worker is seen there either" };
        let text = format!(
            "A queue of the same name exists under the prefix {}: {} ready there, {workers}.",
            other.instance.name,
            facts.ready()
        );
        let evidence = format!("{} exists; {} {}", keys.show("meta"), keys.show("stalled-check"), facts.check_words());
        let remedy = Some("use one prefix for producers and workers");
        reasons.push(reason(Severity::Warn, "other_prefix", text, evidence, remedy));
    }
    Ok(reasons)
}

/// A name as a glob that matches only itself.
fn escape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    for byte in name {
        if b"*?[]\\^".contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s15_names_are_escaped_in_patterns() {
        assert_eq!(escape(b"{billing}"), b"{billing}");
        assert_eq!(escape(br"a*b?[c]\"), br"a\*b\?\[c\]\\");
    }
}
