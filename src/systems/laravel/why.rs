//! Why a Laravel queue, or one job of it, does not move.

use super::detail::{Place, find};
use super::jobs::server_time;
use super::keys::Keys;
use super::payload::Payload;
use super::plan::{find_cache, one, pause_all_key, pause_keys};
use super::{DELAYED, PENDING};
use crate::domain::described::Application;
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::queue::Severity;
use crate::domain::reason::Reason;
use crate::domain::text::age;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Reply};
use crate::systems::{SystemError, reply};

/// A worker polls every few seconds; what is due for longer was not seen by any.
const MOVED_WITHIN: i64 = 10;

fn reason(severity: Severity, code: &'static str, text: impl Into<String>, evidence: impl Into<String>) -> Reason {
    Reason { severity, code, text: text.into(), evidence: evidence.into(), remedy: None }
}

fn with(mut reason: Reason, remedy: impl Into<String>) -> Reason {
    reason.remedy = Some(remedy.into());
    reason
}

/// Reasons that hold for the queue as a whole, the most likely first.
pub async fn queue(
    link: &Link,
    queue: &QueueId,
    application: Option<&Application>,
) -> Result<Vec<Reason>, SystemError> {
    let keys = Keys::of(queue);
    let now = server_time(link).await?;
    let second = now.0 / 1_000;
    let until = |key: &[u8], second: i64| {
        let mut command = one("ZCOUNT", key);
        command.arg("-inf").arg(second);
        command
    };
    let mut head = one("LINDEX", &keys.list);
    head.arg(0);
    let mut batch = Batch::new();
    batch
        .ask(one("LLEN", &keys.list))
        .ask(one("ZCARD", &keys.reserved))
        .ask(until(&keys.reserved, second))
        .ask(until(&keys.delayed, second - MOVED_WITHIN))
        .ask(head);
    let replies = link.send(&batch).await?;
    let count = |at: usize| replies.get(at).and_then(|reply: &Reply| reply.as_ref().ok()).and_then(reply::count);
    let (waiting, reserved) = (count(0).unwrap_or(0), count(1).unwrap_or(0));
    let (lost, due) = (count(2).unwrap_or(0), count(3).unwrap_or(0));
    let mut reasons = Vec::new();
    reasons.extend(paused(link, queue, application).await?);
    let name = |key: &[u8]| Name::from(key).to_text();
    if due > 0 {
        let evidence = format!("ZCOUNT {} -inf {} = {due}", name(&keys.delayed), second - MOVED_WITHIN);
        let text = format!("{due} delayed jobs are due for more than {MOVED_WITHIN} s: no worker polls this queue");
        let remedy = format!("start one: php artisan queue:work --queue={}", queue.name);
        reasons.push(with(reason(Severity::Critical, "no_workers", text, evidence), remedy));
    }
    if lost > 0 {
        let evidence = format!("ZCOUNT {} -inf {second} = {lost}", name(&keys.reserved));
        let text = format!("{lost} reservations ran out: workers died, or jobs take longer than retry_after");
        let remedy = "the next poll of any worker makes them ready; `qtop requeue` does it now";
        reasons.push(with(reason(Severity::Warn, "lock_expired", text, evidence), remedy));
    }
    if let Some(Ok(value)) = replies.get(4)
        && let Some((bytes, total)) = reply::sized(value)
        && !Payload::of(bytes, total).is_some_and(|payload| payload.is_job())
    {
        let evidence = format!("LINDEX {} 0 is no JSON object with job, data and attempts", name(&keys.list));
        let text = "the next item is no Laravel payload: the worker that takes it destroys it without a word";
        reasons.push(with(
            reason(Severity::Critical, "undecodable", text, evidence),
            "remove it; a copy goes to the trash",
        ));
    }
    let running = reserved.saturating_sub(lost);
    if reasons.is_empty() {
        let evidence = format!("LLEN {} = {waiting}, {running} reserved", name(&keys.list));
        reasons.push(match (waiting, running) {
            (0, _) => reason(Severity::Info, "fine", "nothing waits", evidence),
            (_, 0) => with(
                reason(
                    Severity::Warn,
                    "no_workers",
                    format!("{waiting} jobs wait and none runs: perhaps no worker takes this queue"),
                    evidence,
                ),
                format!(
                    "Laravel workers leave no trace while idle; start one: php artisan queue:work --queue={}",
                    queue.name
                ),
            ),
            _ => {
                reason(Severity::Info, "all_busy", format!("{running} jobs run, {waiting} wait behind them"), evidence)
            }
        });
    }
    Ok(reasons)
}

async fn paused(
    link: &Link,
    queue: &QueueId,
    application: Option<&Application>,
) -> Result<Option<Reason>, SystemError> {
    let Some(cache) = find_cache(link, queue, application).await? else { return Ok(None) };
    for key in pause_keys(&cache, application, &queue.name).into_iter().chain([pause_all_key(&cache)]) {
        if reply::count(&link.ask(one("EXISTS", &key)).await?) == Some(1) {
            let paused = reason(
                Severity::Warn,
                "paused",
                "the queue is paused, for workers of Laravel 12.40 and later",
                format!("EXISTS {} = 1", Name::from(key)),
            );
            return Ok(Some(with(paused, "resume it")));
        }
    }
    Ok(None)
}

/// Reasons for one job.
pub async fn job(
    link: &Link,
    queue_id: &QueueId,
    application: Option<&Application>,
    id: &JobId,
) -> Result<Vec<Reason>, SystemError> {
    let now = server_time(link).await?;
    let Place { container, item } = match find(link, queue_id, id).await? {
        Ok(Some(place)) => place,
        Ok(None) => {
            let evidence = "it is in none of the queue's three keys";
            let text = "it is nowhere in Redis: it has ended, or failed, or was removed; Laravel keeps no record";
            return Ok(vec![reason(Severity::Info, "in_no_list", text, evidence)]);
        }
        Err(text) => return Ok(vec![reason(Severity::Info, "not_found", text, "the first jobs of each state")]),
    };
    let key = Name::from(container.key.as_slice());
    let moment = Timestamp((item.score.unwrap_or_default() * 1_000.0) as i64);
    let evidence = format!("ZSCORE {key} = {}", item.score.unwrap_or_default());
    Ok(match container.state {
        PENDING => {
            let mut reasons = queue(link, queue_id, application).await?;
            reasons.retain(|reason| reason.code != "fine");
            let text = match item.place {
                0 => "it is the next to be taken".to_owned(),
                ahead => format!("{ahead} jobs are taken before it"),
            };
            reasons.push(reason(Severity::Info, "waiting", text, format!("index {} of {key}", item.place)));
            reasons.extend(exhausted(&item.bytes, now));
            reasons
        }
        DELAYED if moment > now => {
            let text = format!("it is delayed for {} more", age(moment.until(now)));
            vec![reason(Severity::Info, "delayed", text, evidence)]
        }
        DELAYED => {
            let text = format!("it is due since {}, and no worker moved it", age(moment.age(now)));
            let due = reason(Severity::Warn, "overdue", text, evidence);
            vec![with(due, format!("start a worker for this queue: php artisan queue:work --queue={}", queue_id.name))]
        }
        _ if moment > now => {
            let text = format!("a worker took it; its reservation holds for {} more", age(moment.until(now)));
            vec![reason(Severity::Info, "running", text, evidence)]
        }
        _ => {
            let text = format!(
                "its reservation ran out {} ago: the worker died, or it runs longer than retry_after",
                age(moment.age(now))
            );
            vec![with(
                reason(Severity::Critical, "lock_expired", text, evidence),
                "requeue it; any worker's next poll does so too",
            )]
        }
    })
}

/// The reason for a job that is among the failed ones.
pub fn failed(job: &crate::domain::job::Job) -> Reason {
    let error = job.row.error.as_deref().unwrap_or("no error was kept");
    let row = job.facts.iter().find(|(name, _)| name == "row").map_or("", |(_, row)| row.as_str());
    let text = format!("it failed for good: {error}");
    with(
        reason(Severity::Warn, "failed", text, format!("row {row} of the failed jobs")),
        "retry it once the cause is gone",
    )
}

/// A payload without attempts left fails at its next pop, and its handler never runs.
fn exhausted(bytes: &[u8], now: Timestamp) -> Option<Reason> {
    let payload = Payload::read(bytes)?;
    payload.is_exhausted(now).then(|| {
        let evidence = format!(
            "attempts {}, maxTries {}, retryUntil {}",
            payload.text("attempts").unwrap_or_default(),
            payload.raw("maxTries").unwrap_or("null"),
            payload.raw("retryUntil").unwrap_or("null")
        );
        let text = "it has no attempt left: the next worker fails it without running it";
        reason(Severity::Warn, "exhausted", text, evidence)
    })
}
