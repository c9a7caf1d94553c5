//! Why something does not move: what the adapter finds, and what the last tick says.

use super::{Asker, Failure, tried};
use crate::domain::ids::{JobId, QueueId};
use crate::domain::queue::QueueSample;
use crate::domain::reason::Reason;
use crate::domain::snapshot::{InstanceSample, LinkHealth, Snapshot};
use crate::link::Link;

/// Findings of the tick that an adapter says better under a code of its own.
const SAME: &[(&str, &[&str])] = &[
    ("no_workers", &["no_workers", "nobody_listens", "untouched"]),
    ("paused", &["paused_with_backlog"]),
    ("rate_limited", &["rate_limited"]),
];

impl Asker {
    /// Reasons, the adapter's first.
    pub(super) async fn why(
        &self,
        link: &Link,
        snapshot: &Snapshot,
        queue: &QueueId,
        job: Option<&JobId>,
    ) -> Result<Vec<Reason>, Failure> {
        let wrong = |cause| tried("why it does not move", snapshot, queue, cause);
        let mut reasons = self.system(queue).map_err(wrong)?.why(link, queue, job).await.map_err(wrong)?;
        let mut from_tick = Vec::new();
        if let LinkHealth::Down { error, remedy, .. } = &snapshot.link {
            from_tick.push(Reason {
                severity: crate::domain::queue::Severity::Warn,
                code: "stale",
                text: "the figures are old: the refresh gets no answer".to_owned(),
                evidence: error.clone(),
                remedy: remedy.clone(),
            });
        }
        if let Some((instance, sample)) = snapshot.queue(queue) {
            from_tick.extend(findings(instance, sample, &reasons));
        }
        if !from_tick.is_empty() {
            reasons.retain(|reason| reason.code != "fine");
        }
        reasons.extend(from_tick);
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.severity));
        Ok(reasons)
    }
}

/// Findings of the tick about this queue that the adapter has not told already.
fn findings(instance: &InstanceSample, sample: &QueueSample, told: &[Reason]) -> Vec<Reason> {
    let is_told = |code: &str| {
        told.iter().any(|reason| {
            reason.code == code || SAME.iter().any(|(own, same)| reason.code == *own && same.contains(&code))
        })
    };
    let evidence = evidence(instance, sample);
    sample
        .warnings
        .iter()
        .filter(|warning| !is_told(warning.code))
        .map(|warning| Reason {
            severity: warning.severity,
            code: warning.code,
            text: warning.text.clone(),
            evidence: evidence.clone(),
            remedy: remedy(warning.code).map(str::to_owned),
        })
        .collect()
}

/// The counts of the last tick in one line.
fn evidence(instance: &InstanceSample, sample: &QueueSample) -> String {
    let count = |state: &crate::domain::state::StateSpec| {
        sample
            .count(state.id)
            .value()
            .map_or_else(|| format!("{} ?", state.id), |count| format!("{} {count}", state.id))
    };
    let counts: Vec<String> = instance.states.iter().filter(|state| state.kind.is_open()).map(count).collect();
    format!("last refresh: {}", counts.join(", "))
}

fn remedy(code: &str) -> Option<&'static str> {
    Some(match code {
        "no_workers" | "nobody_listens" | "untouched" => "start a worker for this queue, or look why it stopped",
        "growing" => "add workers or slots, or slow the producers down",
        "failing" => "open Failures (!) to see what the errors have in common",
        "old_head" => "open the queue: the first job may be one that no worker takes",
        "nothing_finished" => "open Running: a job may hang or its worker may be gone",
        "overdue" => "whoever moves due jobs may not run: start a worker or scheduler",
        "paused_with_backlog" => "resume the queue if the pause was not meant to last",
        _ => return None,
    })
}
