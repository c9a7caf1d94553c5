//! Run times and throughput, by queue and by class of job: since Horizon's last snapshot, and in the snapshots it kept.
//!
//! A snapshot moves the figures into a sorted set and begins anew; it is made only where `horizon:snapshot` is
//! scheduled. Failed jobs do not count. The `wait` that 5.22 writes into a queue's snapshot is always 0, because it looks
//! for the queue without its connection; qtop estimates it as Horizon's dashboard does instead.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::lists::place;
use super::{METRICS, key};
use crate::domain::ids::{JobId, Name};
use crate::domain::job::{Cursor, Job, JobRow, KeyFact, Page, PageRequest};
use crate::domain::state::StateKind;
use crate::domain::text::{self, age};
use crate::domain::time::Timestamp;
use crate::link::{Batch, Cmd, Link, Replies};
use crate::systems::laravel::detail;
use crate::systems::laravel::jobs::server_time;
use crate::systems::laravel::plan::one;
use crate::systems::{ReadError, SystemError, reply};

/// Measured queues and classes that are looked at.
const MOST: usize = 1_000;
/// Snapshots that are read of one; Horizon keeps 24.
const SNAPSHOTS: usize = 100;
/// Bytes of one snapshot that are looked at.
const STEP: usize = 500;

/// A queue or a class of job of which Horizon keeps figures.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measured {
    /// A queue, without its connection.
    Queue(Name),
    /// A class of job.
    Class(Name),
}

impl Measured {
    /// Of a row's id: `queue:mail`, `job:App\Jobs\Send`.
    pub fn of_id(id: &JobId) -> Option<Self> {
        let bytes = id.as_bytes();
        let after = |word: &[u8]| bytes.strip_prefix(word).map(Name::from);
        after(b"queue:").map(Self::Queue).or_else(|| after(b"job:").map(Self::Class))
    }

    fn id(&self) -> JobId {
        let (word, name) = self.parts();
        JobId::from([word.as_bytes(), b":", name.as_bytes()].concat())
    }

    fn parts(&self) -> (&'static str, &Name) {
        match self {
            Self::Queue(name) => ("queue", name),
            Self::Class(name) => ("job", name),
        }
    }

    /// Its figures: a hash with `throughput` and `runtime`, the mean in milliseconds.
    pub fn key(&self, prefix: &[u8]) -> Vec<u8> {
        key(prefix, self.id().as_bytes())
    }

    /// The command that reads them.
    pub fn ask(&self, prefix: &[u8]) -> Cmd {
        let mut command = one("HMGET", &self.key(prefix));
        command.arg("throughput").arg("runtime");
        command
    }

    fn snapshots(&self, prefix: &[u8]) -> Vec<u8> {
        [prefix, b"snapshot:", self.id().as_bytes()].concat()
    }
}

/// Seconds until a queue is empty, as Horizon estimates it: jobs ready, times their mean run time, over the processes.
pub fn wait_seconds(ready: u64, runtime_ms: f64, processes: u64) -> u64 {
    (ready as f64 * runtime_ms / processes.max(1) as f64 / 1_000.0).round() as u64
}

/// All that is measured: queues first, each in name order.
async fn measured(link: &Link, prefix: &[u8]) -> Result<Vec<Measured>, SystemError> {
    let mut found = Vec::new();
    for queues in [true, false] {
        let (set, word) = if queues { ("measured_queues", "queue:") } else { ("measured_jobs", "job:") };
        for member in members(link, &key(prefix, set.as_bytes())).await? {
            // Members are whole keys, with Horizon's prefix.
            let own = member.strip_prefix(prefix).unwrap_or(&member);
            let name = Name::from(own.strip_prefix(word.as_bytes()).unwrap_or(own));
            found.push(if queues { Measured::Queue(name) } else { Measured::Class(name) });
        }
    }
    Ok(found)
}

/// The members of a set, a bounded number of them.
pub async fn members(link: &Link, set: &[u8]) -> Result<Vec<Vec<u8>>, SystemError> {
    let (mut cursor, mut found) = (0, Vec::new());
    loop {
        let mut step = one("SSCAN", set);
        let value = link.ask(step.arg(cursor).arg("COUNT").arg(STEP).to_owned()).await?;
        let Some((next, names)) = reply::scan(&value) else {
            let what = "no cursor with members".to_owned();
            return Err(ReadError::Shape { command: "SSCAN", what }.into());
        };
        found.extend(names);
        cursor = next;
        if cursor == 0 || found.len() >= MOST {
            found.sort_unstable();
            found.dedup();
            found.truncate(MOST);
            return Ok(found);
        }
    }
}

/// Throughput and mean run time in milliseconds.
pub fn figures(reply: Option<&crate::link::Value>) -> Option<(u64, f64)> {
    let fields: Vec<Option<String>> = reply.and_then(reply::list)?.iter().map(reply::text).collect();
    let number = |at: usize| fields.get(at)?.as_ref()?.parse::<f64>().ok().filter(|number| number.is_finite());
    Some((number(0)?.max(0.0) as u64, number(1)?.max(0.0)))
}

/// One page of what is measured.
pub async fn page(link: &Link, prefix: &[u8], page: &PageRequest) -> Result<Page<JobRow>, SystemError> {
    let start = place(page)? as usize;
    let all = measured(link, prefix).await?;
    let total = all.len();
    let shown: Vec<Measured> = all.into_iter().skip(start).take(page.limit.max(1)).collect();
    let mut batch = Batch::new();
    for measured in &shown {
        batch.ask(measured.ask(prefix));
        batch.ask(one("ZRANGE", &measured.snapshots(prefix)).arg(-1).arg(-1).to_owned());
    }
    let replies = if batch.is_empty() { Vec::new() } else { link.send(&batch).await? };
    let mut replies = Replies::new(&replies);
    let end = start + shown.len();
    let rows = shown
        .into_iter()
        .map(|measured| {
            let now = figures(replies.next().ok());
            let last = replies.next().ok().and_then(reply::names).unwrap_or_default();
            let last = last.first().and_then(|text| Snapshot::read(text));
            row(&measured, now, last.as_ref())
        })
        .collect();
    Ok(Page { rows, next: (end < total).then(|| Cursor(end.to_string())), total: Some(total as u64) })
}

fn row(measured: &Measured, now: Option<(u64, f64)>, last: Option<&Snapshot>) -> JobRow {
    let mut row = JobRow::bare(measured.id(), METRICS, StateKind::Other);
    let mut words = vec![match now {
        Some((jobs, mean)) => format!("{} now, mean {}", text::count(jobs), milliseconds(mean)),
        None => "none now".to_owned(),
    }];
    words.extend(
        last.map(|last| format!("snapshot {}, mean {}", text::count(last.throughput), milliseconds(last.runtime))),
    );
    row.name = Some(words.join("; "));
    row.created_at = last.map(|last| last.at);
    row
}

/// `20.0 s`, `7.5 ms`.
pub fn milliseconds(mean: f64) -> String {
    match mean {
        mean if mean >= 10_000.0 => text::span(std::time::Duration::from_secs_f64((mean / 1_000.0).min(1e9))),
        mean if mean >= 1_000.0 => format!("{:.1}s", mean / 1_000.0),
        mean if mean >= 10.0 => format!("{mean:.0}ms"),
        mean => format!("{mean:.1}ms"),
    }
}

/// One snapshot; its numbers are written as texts.
struct Snapshot {
    throughput: u64,
    runtime: f64,
    wait: Option<f64>,
    at: Timestamp,
}

impl Snapshot {
    fn read(text: &[u8]) -> Option<Self> {
        let fields: BTreeMap<String, Json> = serde_json::from_slice(text).ok()?;
        let number = |name: &str| match fields.get(name)? {
            Json::String(text) => text.parse::<f64>().ok(),
            other => other.as_f64(),
        };
        Some(Self {
            throughput: number("throughput").unwrap_or(0.0).max(0.0) as u64,
            runtime: number("runtime").unwrap_or(0.0).max(0.0),
            wait: number("wait").filter(|wait| *wait > 0.0),
            at: Timestamp::from_seconds(number("time")? as i64),
        })
    }

    fn json(&self) -> Json {
        let mut shown = json!({
            "time": self.at.rfc3339(),
            "throughput": self.throughput,
            "runtime_ms": (self.runtime * 1_000.0).round() / 1_000.0,
        });
        if let (Some(wait), Some(fields)) = (self.wait, shown.as_object_mut()) {
            fields.insert("wait_seconds".to_owned(), json!(wait));
        }
        shown
    }
}

/// Opens one: all its snapshots, newest first.
pub async fn open(
    link: &Link,
    prefix: &[u8],
    id: &JobId,
    measured: &Measured,
    payload_limit: u64,
) -> Result<Option<Job>, SystemError> {
    let (figures_key, snapshots_key) = (measured.key(prefix), measured.snapshots(prefix));
    let now = server_time(link).await?;
    let mut batch = Batch::new();
    batch.ask(measured.ask(prefix));
    batch.ask(one("ZRANGE", &snapshots_key).arg(-(SNAPSHOTS as i64)).arg(-1).to_owned());
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let present = figures(replies.next().ok());
    let snapshots = replies.next().ok().and_then(reply::names).unwrap_or_default();
    let length = snapshots.len() as u64;
    let snapshots: Vec<Snapshot> = snapshots.iter().rev().filter_map(|text| Snapshot::read(text)).collect();
    if present.is_none() && snapshots.is_empty() && !is_measured(link, prefix, measured).await? {
        return Ok(None);
    }
    let shown = json!({
        "since_last_snapshot": present.map(|(jobs, mean)| json!({"throughput": jobs, "runtime_ms": mean})),
        "snapshots": snapshots.iter().map(Snapshot::json).collect::<Vec<_>>(),
    });
    let mut job = detail::blank(
        JobRow { id: id.clone(), ..row(measured, present, snapshots.first()) },
        &Bytes::from(shown.to_string().into_bytes()),
        payload_limit,
    );
    let (word, name) = measured.parts();
    job.facts.push((word.to_owned(), name.to_text()));
    if let Some((jobs, mean)) = present {
        job.facts.push(("throughput".to_owned(), format!("{} since the last snapshot", text::count(jobs))));
        job.facts.push(("runtime".to_owned(), format!("{} on average", milliseconds(mean))));
    }
    if let Some(last) = snapshots.first() {
        job.facts.push(("snapshot".to_owned(), format!("{} ago", age(last.at.age(now)))));
    }
    for (key, kind, length) in [(figures_key, "hash", None), (snapshots_key, "zset", Some(length))] {
        job.keys.push(KeyFact { key: Name::from(key), kind: kind.to_owned(), length, expires_in: None });
    }
    Ok(Some(job))
}

/// A class that did not run since the last snapshot has neither figures nor, perhaps, snapshots; its name is kept.
async fn is_measured(link: &Link, prefix: &[u8], wanted: &Measured) -> Result<bool, SystemError> {
    Ok(measured(link, prefix).await?.contains(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_the_one_horizon_tells() {
        // Horizon 5.22.1 said 160 of 8 jobs of 20,001.08 ms with one process.
        assert_eq!(wait_seconds(8, 20_001.08, 1), 160);
        assert_eq!(wait_seconds(8, 20_001.08, 0), 160, "without a process it does not divide");
        assert_eq!(wait_seconds(9, 1_000.0, 4), 2);
    }

    #[test]
    fn a_snapshot_is_read_as_it_is_written() {
        let text = br#"{"throughput":"8","runtime":"7501.4424999999983","wait":0,"time":1795322400}"#;
        let snapshot = Snapshot::read(text).unwrap();
        assert_eq!((snapshot.throughput, snapshot.wait), (8, None));
        assert_eq!(snapshot.json()["runtime_ms"], 7501.442);
        let idle = br#"{"throughput":null,"runtime":null,"time":1795322400}"#;
        assert_eq!(Snapshot::read(idle).map(|idle| idle.throughput), Some(0));
        assert!(Snapshot::read(b"[]").is_none());
        assert_eq!(milliseconds(20_001.0), "20s");
        assert_eq!(milliseconds(1_234.5), "1.2s");
        assert_eq!((milliseconds(152.3), milliseconds(0.76)), ("152ms".to_owned(), "0.8ms".to_owned()));
    }
}
