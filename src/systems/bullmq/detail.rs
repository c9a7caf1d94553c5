//! One job, opened: everything its keys tell.
//!
//! A field of a hash cannot be read in part without a script, and reading must work for users who may run none. So a
//! large field is fetched only up to [`FETCH`] bytes, or up to what the caller explicitly asks for; beyond that its size
//! is told and its bytes are left out.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::{Blob, Job, JobRow, KeyFact};
use crate::domain::text;
use crate::link::{Batch, Link, Replies, Value, cmd};
use crate::systems::{SystemError, reply};

use super::family::{self, Family};
use super::keys::Keys;
use super::membership;
use super::rows::{self, Found, hmget};

/// Most bytes of one field that are fetched without being asked for.
const FETCH: u64 = 1 << 20;
/// Most log lines that are fetched.
const LOG_LINES: i64 = 500;
/// Fields that may be large.
const LARGE: [&str; 5] = ["data", "opts", "returnvalue", "failedReason", "stacktrace"];
/// Fields told as facts, with their labels.
const FACTS: &[(&str, &str)] = &[
    ("priority", "priority"),
    ("delay", "delay"),
    ("ats", "attempts started"),
    ("stc", "times stalled"),
    // Before 5.49.
    ("stalledCounter", "times stalled"),
    ("rjk", "scheduler"),
    ("deid", "deduplication id"),
    ("defa", "will fail when taken"),
    ("nrjid", "next job of its scheduler"),
];
/// Keys of a job beside its hash.
const PARTS: [&str; 6] = ["lock", "logs", "dependencies", "processed", "failed", "unsuccessful"];

/// Opens a job; `None` if it has no record and no list names it.
pub async fn open(link: &Link, queue: &QueueId, id: &JobId, limit: u64) -> Result<Option<Job>, SystemError> {
    let keys = Keys::of(queue);
    let membership = membership::find(link, &keys, id.as_bytes()).await?;
    let found = Found { id: id.clone(), state: membership.state, score: membership.score };
    let Some(row) = rows::read(link, &keys, &[found]).await?.pop() else { return Ok(None) };
    if !row.record_exists && !membership.certain && row.error.is_none() {
        return Ok(None);
    }
    let sizes = Sizes::read(link, &keys, id).await?;
    let fields = Fields::read(link, &keys, id, &sizes, limit).await?;
    let family = family::read(link, &keys, id, &sizes.family, &fields.parent, &fields.parent_key).await?;
    Ok(Some(assemble(row, &keys, membership.note, sizes, fields, family)))
}

/// First look: how large everything is, and what keys there are.
struct Sizes {
    large: [u64; LARGE.len()],
    keys: Vec<KeyFact>,
    logs: Option<u64>,
    family: family::Sizes,
}

impl Sizes {
    async fn read(link: &Link, keys: &Keys, id: &JobId) -> Result<Self, SystemError> {
        let id = id.as_bytes();
        let mut batch = Batch::new();
        let hash = keys.job(id);
        for field in LARGE {
            batch.ask(cmd("HSTRLEN").arg(&hash).arg(field).to_owned());
        }
        batch.ask(cmd("HLEN").arg(&hash).to_owned()).ask(cmd("PTTL").arg(&hash).to_owned());
        for part in PARTS {
            let key = keys.part(id, part);
            let length = match part {
                "lock" => "STRLEN",
                "logs" => "LLEN",
                "dependencies" => "SCARD",
                "unsuccessful" => "ZCARD",
                _ => "HLEN",
            };
            batch.ask(cmd(length).arg(&key).to_owned()).ask(cmd("PTTL").arg(&key).to_owned());
        }
        for part in ["processed", "failed"] {
            batch.ask(cmd("MEMORY").arg("USAGE").arg(keys.part(id, part)).arg("SAMPLES").arg(20).to_owned());
        }
        let replies = link.send(&batch).await?;
        let mut replies = Replies::new(&replies);
        let mut next = || replies.next().ok().and_then(reply::int);
        let large = [(); LARGE.len()].map(|()| next().and_then(|size| u64::try_from(size).ok()).unwrap_or(0));
        let mut found = Vec::new();
        let mut lengths = [None; PARTS.len()];
        let mut add = |key: Vec<u8>, kind: &str, length: Option<i64>, left: Option<i64>| {
            let length = length.and_then(|length| u64::try_from(length).ok());
            if length.is_some_and(|length| length > 0) {
                let expires_in = left.and_then(|left| u64::try_from(left).ok()).map(Duration::from_millis);
                found.push(KeyFact { key: key.into(), kind: kind.to_owned(), length, expires_in });
            }
            length
        };
        add(hash, "hash", next(), next());
        for (part, slot) in PARTS.into_iter().zip(&mut lengths) {
            let kind = match part {
                "lock" => "string",
                "logs" => "list",
                "dependencies" => "set",
                "unsuccessful" => "zset",
                _ => "hash",
            };
            *slot = add(keys.part(id, part), kind, next(), next());
        }
        let [_, logs, dependencies, processed, failed, unsuccessful] = lengths;
        let values = [next(), next()].map(|bytes| bytes.and_then(|bytes| u64::try_from(bytes).ok()));
        let family = family::Sizes { dependencies, processed, failed, unsuccessful, values };
        Ok(Self { large, keys: found, logs, family })
    }
}

/// Second look: the contents.
#[derive(Default)]
struct Fields {
    large: [Option<Bytes>; LARGE.len()],
    facts: Vec<(String, String)>,
    parent: Option<Vec<u8>>,
    parent_key: Option<Vec<u8>>,
    logs: Vec<String>,
}

impl Fields {
    async fn read(link: &Link, keys: &Keys, id: &JobId, sizes: &Sizes, limit: u64) -> Result<Self, SystemError> {
        let hash = keys.job(id.as_bytes());
        let affordable = |size: u64| (1..=FETCH.max(limit)).contains(&size);
        let wanted: Vec<&str> =
            LARGE.into_iter().zip(sizes.large).filter(|(_, size)| affordable(*size)).map(|(field, _)| field).collect();
        let mut batch = Batch::new();
        let names: Vec<&str> = FACTS.iter().map(|(field, _)| *field).chain(["parent", "parentKey"]).collect();
        batch.ask(hmget(hash.clone(), &names));
        batch.ask(cmd("LRANGE").arg(keys.part(id.as_bytes(), "logs")).arg(-LOG_LINES).arg(-1).to_owned());
        for field in &wanted {
            batch.ask(cmd("HGET").arg(&hash).arg(*field).to_owned());
        }
        let replies = link.send(&batch).await?;
        let mut replies = Replies::new(&replies);
        let mut fields = Self::default();
        let small = replies.next().ok().and_then(reply::list).unwrap_or_default();
        let logs = replies.next().ok().and_then(reply::list).unwrap_or_default();
        fields.logs = logs.iter().filter_map(reply::text).collect();
        for (slot, field) in fields.large.iter_mut().zip(LARGE) {
            if wanted.contains(&field) {
                *slot = replies.next().ok().and_then(reply::bytes).map(Bytes::copy_from_slice);
            }
        }
        for ((field, label), value) in FACTS.iter().zip(small) {
            if let Some(value) = reply::text(value) {
                fields.facts.push(((*label).to_owned(), spoken(field, value)));
            }
        }
        fields.parent = small.get(FACTS.len()).and_then(reply::bytes).map(<[u8]>::to_vec);
        fields.parent_key = small.get(FACTS.len() + 1).and_then(reply::bytes).map(<[u8]>::to_vec);
        if let Some(owner) = fields.dedup_owner(link, keys, id, small).await? {
            fields.facts.push(owner);
        }
        Ok(fields)
    }

    /// Who owns the deduplication id, and for how long.
    async fn dedup_owner(
        &self,
        link: &Link,
        keys: &Keys,
        id: &JobId,
        small: &[Value],
    ) -> Result<Option<(String, String)>, SystemError> {
        let at = FACTS.iter().position(|(field, _)| *field == "deid");
        let Some(dedup) = at.and_then(|at| small.get(at)).and_then(reply::bytes) else { return Ok(None) };
        let key = keys.job(&[b"de:", dedup].concat());
        let mut batch = Batch::new();
        batch.ask(cmd("GET").arg(&key).to_owned()).ask(cmd("PTTL").arg(&key).to_owned());
        let replies = link.send(&batch).await?;
        let mut replies = Replies::new(&replies);
        let owner = replies.next().ok().and_then(reply::bytes).map(<[u8]>::to_vec);
        let left = replies.next().ok().and_then(reply::count).map(Duration::from_millis);
        let whose = match owner {
            None => "nobody: a new job with this id may be added".to_owned(),
            Some(owner) if owner == id.as_bytes() => "this job".to_owned(),
            Some(owner) => format!("job {}", String::from_utf8_lossy(&owner)),
        };
        let until = left.map_or(String::new(), |left| format!(", for {}", text::span(left)));
        Ok(Some(("deduplication held by".to_owned(), format!("{whose}{until}"))))
    }
}

/// A fact's value for people.
fn spoken(field: &str, value: String) -> String {
    match field {
        "delay" => match value.parse() {
            Ok(millis) => text::span(Duration::from_millis(millis)),
            Err(_) => value,
        },
        _ => value,
    }
}

fn assemble(mut row: JobRow, keys: &Keys, note: Option<String>, sizes: Sizes, fields: Fields, family: Family) -> Job {
    let Fields { large, mut facts, logs, .. } = fields;
    facts.extend(note.map(|note| ("state".to_owned(), note)));
    facts.extend(family.facts);
    for (field, (bytes, size)) in LARGE.into_iter().zip(large.iter().zip(sizes.large)) {
        if bytes.is_none() && size > 0 {
            facts.push((field.to_owned(), format!("{}, too large to fetch unasked", text::size(size))));
        }
    }
    if let Some(lease) = &row.lease {
        let holder = lease.holder.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
        facts.push(("lock held by".to_owned(), holder));
    }
    if !row.record_exists {
        facts.push(("record".to_owned(), format!("{} does not exist", keys.show_job(row.id.as_bytes()))));
    }
    let [data, opts, result, error, stack] = large;
    let blob = |bytes: Option<Bytes>, total: u64| Blob { bytes: bytes.unwrap_or_default(), total };
    let error_text = error.map(|error| String::from_utf8_lossy(&error).into_owned());
    if let Some(opts) = &opts {
        row.attempts_max = rows::attempts_of(opts).or(row.attempts_max);
    }
    if let Some(error) = &error_text {
        row.error = Some(text::first_line(error, 500));
    }
    Job {
        row,
        payload: blob(data, sizes.large[0]),
        options: (sizes.large[1] > 0).then(|| blob(opts, sizes.large[1])),
        result: (sizes.large[2] > 0).then(|| blob(result, sizes.large[2])),
        error: error_text,
        stack: stack.map(|stack| traces(&stack)).unwrap_or_default(),
        logs,
        logs_total: sizes.logs,
        parent: family.parent,
        children: family.children,
        keys: sizes.keys,
        facts,
    }
}

/// Stack traces: a JSON array of strings; anything else is shown as it stands.
fn traces(stored: &[u8]) -> Vec<String> {
    match serde_json::from_slice::<Vec<serde_json::Value>>(stored) {
        Ok(traces) => {
            traces.into_iter().map(|trace| trace.as_str().map_or_else(|| trace.to_string(), str::to_owned)).collect()
        }
        Err(_) => vec![String::from_utf8_lossy(stored).into_owned()],
    }
}
