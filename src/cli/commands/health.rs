//! `qtop health`: one verdict for monitoring.

use serde::Serialize;

use crate::cli::args::HealthArgs;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::domain::caps::Caps;
use crate::domain::fetch::{Fetched, Request, WorkerReport};
use crate::domain::queue::{Count, Oldest, QueueSample, Severity};
use crate::domain::snapshot::{InstanceSample, Snapshot};
use crate::domain::state::StateKind;
use crate::domain::text;
use crate::domain::worker::Liveness;

/// How bad it is, the better first. Critical outweighs warning, both outweigh unknown: what is known to be wrong is
/// said even if something else could not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Healthy,
    Unknown,
    Warning,
    Critical,
}

impl Status {
    fn exit(self) -> Exit {
        match self {
            Self::Healthy => Exit::Good,
            Self::Warning => Exit::Refused,
            Self::Critical => Exit::Usage,
            Self::Unknown => Exit::Unreachable,
        }
    }
}

/// `qtop health --json`.
#[derive(Serialize)]
struct Health {
    status: Status,
    server: Option<String>,
    queues: usize,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    status: Status,
    code: &'static str,
    queue: Option<String>,
    text: String,
}

/// Prints the verdict. A server that cannot be reached is one, too.
pub async fn run(opened: Result<Session, Failure>, thresholds: &HealthArgs, output: &Output) -> Result<Exit, Failure> {
    let health = match opened {
        Ok(session) => look(session, thresholds).await?,
        Err(failure) if failure.exit == Exit::Unreachable => Health {
            status: Status::Unknown,
            server: None,
            queues: 0,
            checks: vec![Check { status: Status::Unknown, code: "unreachable", queue: None, text: failure.text }],
        },
        Err(failure) => return Err(failure),
    };
    if thresholds.json {
        output.json(&health)?;
    } else {
        output.text(&lines(&health))?;
    }
    Ok(health.status.exit())
}

async fn look(mut session: Session, thresholds: &HealthArgs) -> Result<Health, Failure> {
    let mut checks = Vec::new();
    let report = match thresholds.min_workers {
        Some(_) => match session.ask(Request::Workers { confirmed: false }).await? {
            Fetched::Workers(report) => Some(report),
            _ => None,
        },
        None => None,
    };
    let snapshot = session.snapshot();
    if let Some(text) = session.incomplete_note() {
        checks.push(Check { status: Status::Unknown, code: "incomplete", queue: None, text });
    }
    checks.extend(snapshot.warnings.iter().filter_map(|warning| {
        let status = status_of(warning.severity)?;
        Some(Check { status, code: warning.code, queue: None, text: warning.text.clone() })
    }));
    for (instance, queue) in snapshot.queues() {
        let mut found = Vec::new();
        own_findings(queue, &mut found);
        limits(snapshot, instance, queue, thresholds, &mut found);
        if let (Some(least), Some(report)) = (thresholds.min_workers, &report) {
            found.extend(workers(instance, queue, report, least));
        }
        let address = session.address(&queue.id);
        checks.extend(found.into_iter().map(|(status, code, text)| Check {
            status,
            code,
            queue: Some(address.clone()),
            text,
        }));
    }
    checks.sort_by_key(|check| std::cmp::Reverse(check.status));
    Ok(Health {
        status: checks.first().map_or(Status::Healthy, |check| check.status),
        server: Some(snapshot.server.to_string()),
        queues: snapshot.queues().count(),
        checks,
    })
}

type Finding = (Status, &'static str, String);

fn status_of(severity: Severity) -> Option<Status> {
    match severity {
        Severity::Info => None,
        Severity::Warn => Some(Status::Warning),
        Severity::Critical => Some(Status::Critical),
    }
}

fn own_findings(queue: &QueueSample, found: &mut Vec<Finding>) {
    if let Some(error) = &queue.error {
        found.push((Status::Unknown, "unreadable", format!("could not be read: {error}")));
    }
    found.extend(queue.warnings.iter().filter_map(|w| Some((status_of(w.severity)?, w.code, w.text.clone()))));
}

fn limits(
    snapshot: &Snapshot,
    instance: &InstanceSample,
    queue: &QueueSample,
    thresholds: &HealthArgs,
    found: &mut Vec<Finding>,
) {
    let sum =
        |kinds: &[StateKind]| kinds.iter().filter_map(|kind| queue.kind(instance.states, *kind)).reduce(Count::plus);
    let mut most = |code, what: &str, count: Option<Count>, limit: Option<u64>| {
        let (Some(count), Some(limit)) = (count, limit) else { return };
        match count.value() {
            Some(value) if value > limit => {
                found.push((Status::Critical, code, format!("{value} {what}, more than {limit}")))
            }
            Some(_) if !matches!(count, Count::AtLeast(_)) => {}
            _ => found.push((Status::Unknown, code, format!("it is not known how many jobs are {what}"))),
        }
    };
    most("max_waiting", "waiting", sum(&[StateKind::Waiting]), thresholds.max_waiting);
    most("max_failed", "failed", sum(&[StateKind::Failed, StateKind::Dead]), thresholds.max_failed);
    if let Some(limit) = thresholds.max_age {
        match queue.oldest {
            Oldest::Since(since) if since.age(snapshot.taken_at) > limit => {
                let age = text::age(since.age(snapshot.taken_at));
                found.push((
                    Status::Critical,
                    "max_age",
                    format!("the oldest job has waited {age}, longer than {}", text::age(limit)),
                ));
            }
            Oldest::Unknown => {
                found.push((
                    Status::Unknown,
                    "max_age",
                    "it is not known how long the oldest job has waited".to_owned(),
                ));
            }
            _ => {}
        }
    }
}

fn workers(instance: &InstanceSample, queue: &QueueSample, report: &WorkerReport, least: u64) -> Option<Finding> {
    let serving = report.workers.iter().filter(|worker| {
        worker.instance == instance.id && worker.state == Liveness::Live && worker.queues.contains(&queue.id.name)
    });
    let alive = serving.count() as u64;
    if alive >= least {
        return None;
    }
    // Zero is only zero where everything that tells of workers could be asked.
    if !instance.caps.contains(Caps::WORKERS) || !report.notes.is_empty() {
        return Some((Status::Unknown, "min_workers", "it is not known how many workers are alive".to_owned()));
    }
    if alive > 0 && queue.workers.at_least {
        let text = format!("{alive} or more workers are alive: they show it together and cannot be counted");
        return Some((Status::Unknown, "min_workers", text));
    }
    Some((Status::Critical, "min_workers", format!("{alive} workers are alive, fewer than {least}")))
}

fn lines(health: &Health) -> String {
    let word = |status: Status| match status {
        Status::Healthy => "HEALTHY",
        Status::Unknown => "UNKNOWN",
        Status::Warning => "WARNING",
        Status::Critical => "CRITICAL",
    };
    let mut out = format!("{}: {} queues, {} findings\n", word(health.status), health.queues, health.checks.len());
    for check in &health.checks {
        let queue = check.queue.as_ref().map_or_else(String::new, |queue| format!("{}: ", text::harmless(queue)));
        out.push_str(&format!("{:<8} {queue}{}\n", word(check.status), text::harmless(&check.text)));
    }
    out
}
