//! The JSON of the headless commands, as `assets/json.md` writes it down.
//!
//! Names are snake case, moments RFC 3339 in UTC, what is unknown is null, 64-bit integers are exact. Names that are
//! not UTF-8 are shown with U+FFFD; the address is always exact.

mod jobs;

pub use jobs::{JobShape, Jobs, Row};

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::domain::fetch::{FailureGroup, FailureReport, WorkerReport};
use crate::domain::ids::QueueId;
use crate::domain::queue::{Count, Drain, Oldest, QueueSample, Severity, Warning};
use crate::domain::snapshot::{InstanceSample, Snapshot};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::domain::worker::Worker;

/// How a queue is named.
pub type Address<'a> = &'a dyn Fn(&QueueId) -> String;

/// `qtop queues --json`.
#[derive(Serialize)]
pub struct Queues {
    taken_at: Option<String>,
    complete: bool,
    server: Server,
    warnings: Vec<Finding>,
    queues: Vec<Queue>,
    cost: Cost,
}

#[derive(Serialize)]
struct Server {
    name: String,
    url: String,
    version: Option<String>,
    mode: Option<String>,
    rtt_ms: f64,
}

#[derive(Serialize)]
struct Cost {
    round_trips: u64,
    commands: u64,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Serialize)]
struct Queue {
    address: String,
    system: &'static str,
    instance: String,
    queue: String,
    library_version: Option<String>,
    paused: Option<bool>,
    rate_limited: bool,
    counts: serde_json::Map<String, serde_json::Value>,
    kinds: Kinds,
    oldest_waiting_seconds: Option<f64>,
    rates: Option<Rates>,
    drain_seconds: Option<f64>,
    workers: Option<u64>,
    facts: BTreeMap<&'static str, String>,
    warnings: Vec<Finding>,
}

#[derive(Serialize)]
struct Kinds {
    waiting: Option<u64>,
    active: Option<u64>,
    scheduled: Option<u64>,
    retrying: Option<u64>,
    blocked: Option<u64>,
    completed: Option<u64>,
    failed: Option<u64>,
    dead: Option<u64>,
}

#[derive(Serialize)]
struct Rates {
    in_per_s: Option<f64>,
    out_per_s: Option<f64>,
    failed_per_s: Option<f64>,
}

/// A finding about a queue or server.
#[derive(Serialize)]
pub struct Finding {
    severity: &'static str,
    code: &'static str,
    text: String,
}

impl Finding {
    fn of(warning: &Warning) -> Self {
        Self { severity: severity(warning.severity), code: warning.code, text: warning.text.clone() }
    }
}

/// The word for a severity.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warn => "warning",
        Severity::Critical => "critical",
    }
}

impl Queues {
    /// `rates`: the sampler watched long enough to tell them.
    pub fn of(snapshot: &Snapshot, address: Address<'_>, complete: bool, rates: bool) -> Self {
        let totals = snapshot.cost.totals;
        Self {
            taken_at: snapshot.taken_at.rfc3339(),
            complete,
            server: Server {
                name: snapshot.server.to_string(),
                url: snapshot.url.to_string(),
                version: snapshot.facts.version.clone(),
                mode: snapshot.facts.mode.clone(),
                rtt_ms: millis(snapshot.rtt),
            },
            warnings: snapshot.warnings.iter().map(Finding::of).collect(),
            queues: snapshot
                .queues()
                .map(|(instance, queue)| Queue::of(snapshot, address, instance, queue, rates))
                .collect(),
            cost: Cost {
                round_trips: totals.round_trips,
                commands: totals.commands,
                bytes_in: totals.bytes_in,
                bytes_out: totals.bytes_out,
            },
        }
    }
}

impl Queue {
    fn of(
        snapshot: &Snapshot,
        address: Address<'_>,
        instance: &InstanceSample,
        queue: &QueueSample,
        rates: bool,
    ) -> Self {
        let kind = |kind| queue.kind(instance.states, kind).and_then(Count::value);
        let counts = queue.counts.iter().map(|(state, count)| (state.0.to_owned(), count.value().into())).collect();
        let mut warnings: Vec<Finding> = queue.warnings.iter().map(Finding::of).collect();
        warnings.extend(queue.counts.iter().filter_map(|(state, count)| inexact(state.0, *count)));
        warnings.extend(queue.error.iter().map(|error| Finding {
            severity: "warning",
            code: "unreadable",
            text: format!("this queue could not be read: {error}"),
        }));
        Self {
            address: address(&queue.id),
            system: queue.id.instance.system,
            instance: queue.id.instance.name.to_text(),
            queue: queue.id.name.to_text(),
            library_version: queue.library_version.as_deref().map(str::to_owned),
            paused: queue.conditions.paused,
            rate_limited: queue.conditions.rate_limited_until.is_some_and(|until| until > snapshot.taken_at),
            counts,
            kinds: Kinds {
                waiting: kind(StateKind::Waiting),
                active: kind(StateKind::Active),
                scheduled: kind(StateKind::Scheduled),
                retrying: kind(StateKind::Retrying),
                blocked: kind(StateKind::Blocked),
                completed: kind(StateKind::Completed),
                failed: kind(StateKind::Failed),
                dead: kind(StateKind::Dead),
            },
            oldest_waiting_seconds: match queue.oldest {
                Oldest::Since(since) => Some(seconds(since.age(snapshot.taken_at))),
                Oldest::Nothing => Some(0.0),
                Oldest::Unknown => None,
            },
            rates: rates.then_some(Rates {
                in_per_s: queue.trend.in_per_s,
                out_per_s: queue.trend.out_per_s,
                failed_per_s: queue.trend.failed_per_s,
            }),
            drain_seconds: match queue.trend.drain {
                Drain::Empty => Some(0.0),
                Drain::In(left) if rates => Some(seconds(left)),
                _ => None,
            },
            workers: queue.workers.alive,
            facts: queue.facts.iter().cloned().collect(),
            warnings,
        }
    }
}

/// Says of a count that it is not exact.
fn inexact(state: &str, count: Count) -> Option<Finding> {
    let text = match count {
        Count::AtLeast(value) => format!("{state}: there are at least {value}; counting stopped there"),
        Count::Approx { value, as_of } => {
            format!("{state}: about {value}, as of {}", as_of.rfc3339().unwrap_or_default())
        }
        Count::Exact(_) | Count::Unknown => return None,
    };
    Some(Finding { severity: "info", code: "inexact_count", text })
}

/// `qtop workers --json`.
#[derive(Serialize)]
pub struct Workers {
    workers: Vec<WorkerShape>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct WorkerShape {
    system: &'static str,
    instance: String,
    name: String,
    queues: Vec<String>,
    state: &'static str,
    paused: Option<bool>,
    heartbeat_seconds: Option<f64>,
    running: Vec<JobAt>,
    host: Option<String>,
    pid: Option<u64>,
    since: Option<String>,
    runner: Option<RunnerShape>,
    evidence: String,
}

#[derive(Serialize)]
struct RunnerShape {
    name: String,
    state: Option<&'static str>,
    slots: Option<u64>,
    busy: Option<u64>,
}

#[derive(Serialize)]
struct JobAt {
    queue: String,
    id: String,
}

impl Workers {
    /// As the adapters give them.
    pub fn of(address: Address<'_>, report: &WorkerReport) -> Self {
        let worker = |worker: &Worker| WorkerShape {
            system: worker.instance.system,
            instance: worker.instance.name.to_text(),
            name: worker.name.to_text(),
            queues: worker
                .queues
                .iter()
                .map(|name| address(&QueueId { instance: worker.instance.clone(), name: name.clone() }))
                .collect(),
            state: worker.state.into(),
            paused: worker.paused,
            heartbeat_seconds: worker.heartbeat.map(seconds),
            running: worker
                .running
                .iter()
                .map(|job| JobAt { queue: address(&job.queue), id: job.id.to_text() })
                .collect(),
            host: worker.host.clone(),
            pid: worker.pid,
            since: worker.since.and_then(Timestamp::rfc3339),
            runner: worker.pool.as_ref().map(|pool| RunnerShape {
                name: pool.runner.clone(),
                state: pool.state.map(Into::into),
                slots: pool.slots,
                busy: pool.busy,
            }),
            evidence: worker.evidence.clone(),
        };
        Self { workers: report.workers.iter().map(worker).collect(), notes: report.notes.clone() }
    }
}

/// `qtop failures --json`.
#[derive(Serialize)]
pub struct Failures {
    window: Window,
    groups: Vec<GroupShape>,
    unreadable: Vec<Unreadable>,
}

#[derive(Serialize)]
struct Window {
    newest_of_each_queue: usize,
    looked_at: u64,
    total: Option<u64>,
}

#[derive(Serialize)]
struct GroupShape {
    fingerprint: String,
    sample_error: String,
    count: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
    queues: Vec<String>,
    job_names: Vec<String>,
    sample: JobAt,
}

#[derive(Serialize)]
struct Unreadable {
    queue: String,
    reason: String,
}

impl Failures {
    /// As the engine grouped them.
    pub fn of(address: Address<'_>, report: &FailureReport) -> Self {
        let group = |group: &FailureGroup| GroupShape {
            fingerprint: group.fingerprint.clone(),
            sample_error: group.sample_error.clone(),
            count: group.count,
            first_seen: group.first_seen.and_then(Timestamp::rfc3339),
            last_seen: group.last_seen.and_then(Timestamp::rfc3339),
            queues: group.queues.iter().map(|(queue, _)| address(queue)).collect(),
            job_names: group.job_names.clone(),
            sample: JobAt { queue: address(&group.sample.queue), id: group.sample.id.to_text() },
        };
        Self {
            window: Window { newest_of_each_queue: report.window, looked_at: report.looked_at, total: report.total },
            groups: report.groups.iter().map(group).collect(),
            unreadable: report
                .failed
                .iter()
                .map(|(queue, reason)| Unreadable { queue: address(queue), reason: reason.clone() })
                .collect(),
        }
    }
}

/// Seconds with milliseconds.
pub fn seconds(span: Duration) -> f64 {
    span.as_millis() as f64 / 1000.0
}

fn millis(span: Duration) -> f64 {
    span.as_micros() as f64 / 1000.0
}
