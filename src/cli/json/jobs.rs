//! Jobs: a list of them, and one with everything that is known of it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Address, seconds};
use crate::domain::ids::QueueId;
use crate::domain::job::{Blob, Job, JobRow, KeyFact, Progress, Relative};
use crate::domain::payload::{Format, Limits as PayloadLimits, Payload};
use crate::domain::time::Timestamp;

/// `qtop jobs --json`.
#[derive(Serialize)]
pub struct Jobs {
    /// Address.
    pub queue: String,
    /// The system's own word.
    pub state: String,
    /// How many there are in that state, or to search in.
    pub total: Option<u64>,
    /// Where it goes on.
    pub next_cursor: Option<String>,
    /// With `--match`: how many jobs were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanned: Option<u64>,
    /// The jobs.
    pub jobs: Vec<Row>,
}

/// One job in a list.
#[derive(Serialize)]
pub struct Row {
    id: String,
    name: Option<String>,
    state: String,
    kind: &'static str,
    progress: Option<ProgressShape>,
    attempts_made: Option<u64>,
    attempts_max: Option<u64>,
    priority: Option<i64>,
    created_at: Option<String>,
    run_at: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
    worker: Option<String>,
    error: Option<String>,
    payload_bytes: Option<u64>,
}

#[derive(Serialize)]
struct ProgressShape {
    percent: Option<f64>,
    step: Option<u64>,
    total: Option<u64>,
    text: Option<String>,
}

impl ProgressShape {
    fn of(progress: &Progress) -> Self {
        Self { percent: progress.percent, step: progress.step, total: progress.total, text: progress.text.clone() }
    }
}

impl Row {
    /// A row as the adapters give it.
    pub fn of(row: &JobRow) -> Self {
        let moment = |at: Option<Timestamp>| at.and_then(Timestamp::rfc3339);
        Self {
            id: row.id.to_text(),
            name: row.name.clone(),
            state: row.state.0.to_owned(),
            kind: row.kind.word(),
            progress: row.progress.as_ref().map(ProgressShape::of),
            attempts_made: row.attempts_made,
            attempts_max: row.attempts_max,
            priority: row.priority,
            created_at: moment(row.created_at),
            run_at: moment(row.run_at),
            started_at: moment(row.started_at),
            finished_at: moment(row.finished_at),
            worker: row.worker.clone(),
            error: row.error.clone(),
            payload_bytes: row.payload_bytes,
        }
    }
}

/// `qtop job --json`.
#[derive(Serialize)]
pub struct JobShape {
    #[serde(flatten)]
    row: Row,
    queue: String,
    payload: Box<RawValue>,
    payload_encoding: &'static str,
    payload_cut: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_decoded: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_decoded: Option<Box<RawValue>>,
    options: Option<Box<RawValue>>,
    result: Option<Box<RawValue>>,
    stack: Vec<String>,
    logs: Vec<String>,
    logs_total: Option<u64>,
    parent: Option<RelativeShape>,
    children: Vec<RelativeShape>,
    lock_seconds: Option<f64>,
    keys: Vec<KeyShape>,
    facts: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct RelativeShape {
    queue: Option<String>,
    id: Option<String>,
    key: String,
    state: Option<String>,
}

#[derive(Serialize)]
struct KeyShape {
    key: String,
    #[serde(rename = "type")]
    kind: String,
    length: Option<u64>,
    expires_seconds: Option<f64>,
}

impl JobShape {
    /// A job as the adapters give it.
    pub fn of(address: Address<'_>, queue: &QueueId, job: &Job) -> Self {
        let (payload, payload_encoding) = embed(&job.payload);
        let relative = |relative: &Relative| RelativeShape {
            queue: relative.job.as_ref().map(|job| address(&job.queue)),
            id: relative.job.as_ref().map(|job| job.id.to_text()),
            key: relative.label.clone(),
            state: relative.state.clone(),
        };
        let key = |fact: &KeyFact| KeyShape {
            key: fact.key.to_text(),
            kind: fact.kind.clone(),
            length: fact.length,
            expires_seconds: fact.expires_in.map(seconds),
        };
        let mut row = Row::of(&job.row);
        row.error = job.error.clone().or(row.error);
        Self {
            row,
            queue: address(queue),
            payload,
            payload_encoding,
            payload_cut: job.payload.is_cut(),
            payload_decoded: decoded(&job.payload),
            result_decoded: job.result.as_ref().and_then(decoded),
            options: job.options.as_ref().map(|blob| embed(blob).0),
            result: job.result.as_ref().map(|blob| embed(blob).0),
            stack: job.stack.clone(),
            logs: job.logs.clone(),
            logs_total: job.logs_total,
            parent: job.parent.as_ref().map(relative),
            children: job.children.iter().map(relative).collect(),
            lock_seconds: job.row.lease.as_ref().and_then(|lease| lease.left).map(seconds),
            keys: job.keys.iter().map(key).collect(),
            facts: job.facts.iter().cloned().collect(),
        }
    }
}

/// Bytes as a JSON value: JSON stays what it is, digit for digit; other text is a string; the rest is base64.
fn embed(blob: &Blob) -> (Box<RawValue>, &'static str) {
    let string = |text: &str| {
        let json = serde_json::to_string(text).expect("every text has a form in JSON");
        RawValue::from_string(json).expect("it was just written")
    };
    match std::str::from_utf8(&blob.bytes) {
        Ok(text) => match serde_json::from_str::<Box<RawValue>>(text) {
            Ok(raw) if !blob.is_cut() => (raw, "json"),
            _ => (string(text), "text"),
        },
        Err(_) => (string(&STANDARD.encode(&blob.bytes)), "base64"),
    }
}

/// What formats hold that JSON cannot embed as they are.
fn decoded(blob: &Blob) -> Option<Box<RawValue>> {
    let payload = Payload::read(blob, &PayloadLimits::default());
    let tree = payload.tree.filter(|_| matches!(payload.format, Format::Msgpack | Format::Pickle))?;
    RawValue::from_string(tree.to_json()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded(bytes: &[u8]) -> (String, &'static str) {
        let (raw, encoding) = embed(&Blob::whole(bytes.to_vec()));
        (raw.get().to_owned(), encoding)
    }

    #[test]
    fn r22_payloads_keep_every_digit() {
        let exact = r#"{"n":9223372036854775808,"x":1e400,"a":1,"a":2}"#;
        assert_eq!(embedded(exact.as_bytes()), (exact.to_owned(), "json"));
        assert_eq!(embedded(b"plain \x1b[2J"), (r#""plain \u001b[2J""#.to_owned(), "text"));
        assert_eq!(embedded(b"\xff\x00"), (r#""/wA=""#.to_owned(), "base64"));
        let cut = Blob { bytes: b"12"[..].into(), total: 5 };
        assert_eq!(embed(&cut).1, "text", "the start of a number is not the number");
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(embedded(deep.as_bytes()).1, "json");
    }
}
