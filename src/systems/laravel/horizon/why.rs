//! Why Horizon does or does not work, and what became of one job it noted.

use super::works::workers;
use super::{key, metrics, tags};
use crate::domain::ids::{InstanceId, JobId, Name};
use crate::domain::queue::Severity;
use crate::domain::reason::Reason;
use crate::domain::worker::Liveness;
use crate::link::Link;
use crate::systems::laravel::plan::one;
use crate::systems::{SystemError, reply};

fn reason(severity: Severity, code: &'static str, text: impl Into<String>, evidence: impl Into<String>) -> Reason {
    Reason { severity, code, text: text.into(), evidence: evidence.into(), remedy: None }
}

/// Of Horizon as a whole: whether masters and supervisors beat, and whether they are paused.
pub async fn whole(link: &Link, prefix: &[u8]) -> Result<Vec<Reason>, SystemError> {
    let instance = InstanceId { system: super::NAME, name: Name::from(prefix) };
    let found = workers(link, prefix, &instance).await?;
    let masters = Name::from(key(prefix, b"masters"));
    let alive: Vec<_> = found.iter().filter(|worker| worker.state == Liveness::Live).collect();
    if alive.is_empty() {
        let evidence = format!("{} names with a beat that is too old in {masters} and supervisors", found.len());
        let mut gone =
            reason(Severity::Critical, "no_workers", "no master or supervisor of Horizon is running", evidence);
        gone.remedy = Some("start it: php artisan horizon, usually by a process manager".to_owned());
        return Ok(vec![gone]);
    }
    let mut reasons: Vec<Reason> = alive
        .iter()
        .filter(|worker| worker.paused == Some(true))
        .map(|worker| {
            let evidence = format!("status paused of {}", worker.name);
            let mut paused = reason(Severity::Warn, "paused", format!("{} is paused", worker.name), evidence);
            paused.remedy = Some("let it continue: qtop signal continue, or php artisan horizon:continue".to_owned());
            paused
        })
        .collect();
    if reasons.is_empty() {
        let words = format!("{} masters and supervisors run", alive.len());
        reasons.push(reason(Severity::Info, "fine", words, format!("beats in {masters} and supervisors are fresh")));
    }
    Ok(reasons)
}

/// Of one job.
pub async fn job(link: &Link, prefix: &[u8], id: &JobId) -> Result<Vec<Reason>, SystemError> {
    if tags::of_id(id).is_some() || metrics::Measured::of_id(id).is_some() {
        let words = "this is no job: Horizon's own figures about jobs";
        return Ok(vec![reason(Severity::Info, "fine", words, format!("the id {id}"))]);
    }
    let hash = key(prefix, id.as_bytes());
    let mut ask = one("HMGET", &hash);
    let value = link.ask(ask.arg("status").arg("queue").arg("retried_by").to_owned()).await?;
    let fields: Vec<Option<String>> = reply::list(&value).unwrap_or(&[]).iter().map(reply::text).collect();
    let field = |at: usize| fields.get(at).cloned().flatten();
    let shown = Name::from(hash);
    let Some(status) = field(0) else {
        let text = "Horizon has forgotten this job: it keeps what waits or is completed for an hour";
        return Ok(vec![reason(Severity::Info, "in_no_list", text, format!("{shown} does not exist"))]);
    };
    let queue = field(1).unwrap_or_else(|| "?".to_owned());
    let evidence = format!("HGET {shown} status = {status}");
    Ok(vec![match status.as_str() {
        "failed" => {
            let again = field(2).is_some_and(|text| text.contains("pending"));
            let words = if again { "; a retry of it waits" } else { "" };
            reason(Severity::Warn, "failed", format!("it failed on the queue {queue}{words}"), evidence)
        }
        "completed" => reason(Severity::Info, "fine", format!("it ended well on the queue {queue}"), evidence),
        "reserved" => reason(Severity::Info, "running", format!("a worker of the queue {queue} runs it"), evidence),
        _ => {
            let text = format!("it waits in the queue {queue}; ask there what holds it up");
            reason(Severity::Info, "waiting", text, evidence)
        }
    }])
}
