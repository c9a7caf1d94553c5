//! Why a described list, or one item of it, does not move.

use super::containers::{containers, walk};
use super::detail::{Place, seek, server_time};
use super::facts::document;
use super::finder::Finder;
use super::plan::{one, start_of};
use super::sample::due;
use super::workers::{Heard, listen};
use super::{DEAD, DELAYED, PROCESSING, WAITING};
use crate::domain::described::{DeadKind, End, ItemKind, ListSpec};
use crate::domain::ids::JobId;
use crate::domain::queue::Severity;
use crate::domain::reason::Reason;
use crate::domain::text::age;
use crate::domain::worker::Liveness;
use crate::link::{Batch, Link};
use crate::systems::{SystemError, reply};

/// Items at the consuming end that are looked at.
const LOOKED_AT: usize = 50;

fn reason(severity: Severity, code: &'static str, text: impl Into<String>, evidence: impl Into<String>) -> Reason {
    Reason { severity, code, text: text.into(), evidence: evidence.into(), remedy: None }
}

fn with(mut reason: Reason, remedy: impl Into<String>) -> Reason {
    reason.remedy = Some(remedy.into());
    reason
}

/// Reasons that hold for the queue as a whole, the most likely first.
pub async fn queue(spec: &ListSpec, link: &Link, finder: &Finder) -> Result<Vec<Reason>, SystemError> {
    let mut reasons = types(spec, link).await?;
    if !reasons.is_empty() {
        return Ok(reasons);
    }
    reasons.extend(paused(spec, link).await?);
    let waiting = containers(spec, WAITING, link, finder).await?;
    let head = walk(link, &waiting, None, LOOKED_AT, 256 * 1024).await?;
    let heard = listen(spec, link, finder).await?;
    reasons.extend(no_workers(spec, &heard, head.total));
    reasons.extend(delayed(spec, link).await?);
    let unreadable = head
        .items
        .iter()
        .filter(|raw| spec.item == ItemKind::Json && document(&raw.bytes, raw.total).is_none())
        .count();
    if unreadable > 0 {
        let text =
            format!("{unreadable} of the next {} items are no JSON; a worker may stop at them", head.items.len());
        reasons.push(reason(Severity::Warn, "undecodable", text, range(spec, head.items.len())));
    }
    let rows = super::rows::rows(link, spec, &waiting, &head.items).await?;
    let lost = rows.iter().filter(|row| !row.record_exists).count();
    if lost > 0 {
        let text = format!("the records of {lost} of the next {} ids are gone; workers drop such items", rows.len());
        reasons.push(reason(Severity::Warn, "record_gone", text, range(spec, rows.len())));
    }
    let tried = rows.iter().filter(|row| row.attempts_made.unwrap_or(0) > 0).count();
    if rows.len() >= 5 && tried * 2 > rows.len() {
        let text =
            format!("{tried} of the next {} items have failed before: the backlog is retries, not load", rows.len());
        let mut retries = reason(Severity::Warn, "retrying", text, range(spec, rows.len()));
        retries.remedy = Some("open one of them and read its error".to_owned());
        reasons.push(retries);
    }
    if reasons.is_empty() {
        reasons.push(fine(spec, head.total));
    }
    Ok(reasons)
}

fn range(spec: &ListSpec, count: usize) -> String {
    let key = spec.key.iter().next().unwrap_or_default();
    match spec.next {
        End::Right => format!("LRANGE {key} -{count} -1"),
        End::Left => format!("LRANGE {key} 0 {}", count.saturating_sub(1)),
    }
}

fn fine(spec: &ListSpec, waiting: u64) -> Reason {
    let lengths: Vec<String> = spec.key.iter().map(|key| format!("LLEN {key}")).collect();
    let evidence = format!("{} = {waiting}", lengths.join(" + "));
    if waiting == 0 {
        return reason(Severity::Info, "fine", "nothing waits", evidence);
    }
    let (text, remedy) = if spec.heartbeat.is_empty() {
        let text =
            "nothing speaks against it, but workers of a plain list cannot be seen unless they leave heartbeat keys";
        (text, Some("describe `heartbeat`, or look for connections in brpop on the Workers screen".to_owned()))
    } else {
        ("nothing speaks against it: workers live", None)
    };
    Reason { remedy, ..reason(Severity::Info, "fine", text, evidence) }
}

/// Keys of another type than described.
async fn types(spec: &ListSpec, link: &Link) -> Result<Vec<Reason>, SystemError> {
    let mut keys: Vec<(&str, &str)> = spec.key.iter().chain(spec.processing.iter()).map(|key| (key, "list")).collect();
    if let Some(dead) = &spec.dead {
        let kind = if dead.kind == DeadKind::Zset { "zset" } else { "list" };
        keys.extend(dead.key.iter().map(|key| (key, kind)));
    }
    keys.extend(spec.delayed.iter().map(|delayed| (&*delayed.key, "zset")));
    let mut batch = Batch::new();
    for (key, _) in &keys {
        batch.ask(one("TYPE", key.as_bytes()));
    }
    let replies = link.send(&batch).await?;
    Ok(keys
        .into_iter()
        .zip(replies)
        .filter_map(|((key, wanted), reply)| {
            let found = reply::text(&reply.ok()?)?;
            (found != "none" && found != wanted).then(|| {
                let text = format!("{key} is a {found}, the description says {wanted}");
                let wrong = reason(Severity::Critical, "wrong_type", text, format!("TYPE {key} = {found}"));
                with(wrong, format!("correct the key in the description of {}", spec.name))
            })
        })
        .collect())
}

async fn paused(spec: &ListSpec, link: &Link) -> Result<Option<Reason>, SystemError> {
    let Some(pause) = &spec.pause else { return Ok(None) };
    let mut batch = Batch::new();
    batch.ask(one("EXISTS", pause.key.as_bytes())).ask(start_of(pause.key.as_bytes(), 256));
    let replies = link.send(&batch).await?;
    let exists = replies[0].as_ref().ok().and_then(reply::count) == Some(1);
    let value = replies[1].as_ref().ok().and_then(reply::text).unwrap_or_default();
    let set = exists && pause.value.as_ref().is_none_or(|wanted| *wanted == value);
    Ok(set.then(|| {
        let evidence = format!("{} = {value}", pause.key);
        with(reason(Severity::Warn, "paused", "the queue is paused", evidence), format!("remove {}", pause.key))
    }))
}

fn no_workers(spec: &ListSpec, heard: &[(usize, Heard)], waiting: u64) -> Option<Reason> {
    let renewed = spec.heartbeat.iter().filter(|heartbeat| heartbeat.renewed);
    let patterns: Vec<&str> = renewed.map(|heartbeat| heartbeat.pattern.as_str()).collect();
    if patterns.is_empty() {
        return None;
    }
    let alive = heard.iter().filter(|(_, heard)| heard.liveness == Liveness::Live).count();
    let evidence = format!("{alive} live keys match {}", patterns.join(", "));
    if alive == 0 && waiting > 0 && spec.expected_workers != Some(0) {
        let text = "no worker gives a sign of life";
        return Some(with(reason(Severity::Critical, "no_workers", text, evidence), "start a worker"));
    }
    let tells =
        heard.iter().filter_map(|(index, heard)| heard.reading.busy(&spec.heartbeat[*index])).collect::<Vec<_>>();
    let all_busy = !tells.is_empty() && tells.len() == alive && tells.iter().all(|busy| *busy);
    (all_busy && waiting > 0).then(|| {
        let text = format!("all {alive} workers are busy, {waiting} items wait");
        reason(Severity::Info, "all_busy", text, evidence)
    })
}

async fn delayed(spec: &ListSpec, link: &Link) -> Result<Option<Reason>, SystemError> {
    let Some(delayed) = &spec.delayed else { return Ok(None) };
    let now = server_time(link).await?;
    let score = if delayed.unit == crate::domain::described::TimeUnit::Ms { now.0 } else { now.0 / 1_000 };
    let mut command = one("ZCOUNT", delayed.key.as_bytes());
    command.arg("-inf").arg(score);
    let overdue = link.ask(command).await.ok().as_ref().and_then(reply::count).unwrap_or(0);
    if overdue == 0 {
        return Ok(None);
    }
    let text = if delayed.mover {
        format!("{overdue} delayed items are due and were not moved: the mover may be dead")
    } else {
        format!("{overdue} delayed items are due, and nothing moves them back: they rest there for ever")
    };
    let evidence = format!("ZCOUNT {} -inf {score} = {overdue}", delayed.key);
    Ok(Some(reason(Severity::Warn, "overdue", text, evidence)))
}

/// Reasons for one item.
pub async fn job(spec: &ListSpec, link: &Link, finder: &Finder, id: &JobId) -> Result<Vec<Reason>, SystemError> {
    let sought = seek(spec, link, finder, id).await?;
    let Some(Place { container, raw }) = sought.place else {
        let evidence = format!("{} items of all its lists were looked at", sought.looked_at);
        if !sought.all {
            let text = "it is not among the items that were looked at; there are more";
            return Ok(vec![reason(Severity::Info, "not_found", text, evidence)]);
        }
        let text = "it lies in no list: a worker took it, or it has ended, or it was lost with a worker";
        return Ok(vec![reason(Severity::Warn, "in_no_list", text, evidence)]);
    };
    let key = &container.key;
    Ok(match container.state {
        WAITING => {
            let mut reasons = queue(spec, link, finder).await?;
            reasons.retain(|reason| reason.code != "fine");
            let text = match raw.place {
                0 => "it is the next to be taken".to_owned(),
                ahead => format!("{ahead} items are taken before it"),
            };
            reasons.push(reason(Severity::Info, "waiting", text, format!("place {} of {key}", raw.place)));
            reasons
        }
        PROCESSING => processing(spec, link, finder, &container, id).await?,
        DELAYED => {
            let now = server_time(link).await?;
            let moment = raw.score.and_then(|score| due(spec, score));
            let evidence = format!("ZSCORE {key} = {}", raw.score.unwrap_or_default());
            match moment {
                Some(moment) if moment > now => {
                    let text = format!("it is delayed for {} more", age(moment.until(now)));
                    vec![reason(Severity::Info, "delayed", text, evidence)]
                }
                Some(moment) => {
                    let mover = spec.delayed.as_ref().is_some_and(|delayed| delayed.mover);
                    let who = if mover { "its mover may be dead" } else { "nothing moves it back" };
                    let text = format!("it was due {} ago and still lies there: {who}", age(moment.age(now)));
                    vec![reason(Severity::Warn, "overdue", text, evidence)]
                }
                None => vec![reason(Severity::Info, "delayed", "it waits for a time that cannot be read", evidence)],
            }
        }
        DEAD => {
            let text = "it was given up: nobody takes it from there by itself";
            vec![reason(Severity::Warn, "dead", text, format!("place {} of {key}", raw.place))]
        }
        _ => Vec::new(),
    })
}

async fn processing(
    spec: &ListSpec,
    link: &Link,
    finder: &Finder,
    container: &super::containers::Container<'_>,
    id: &JobId,
) -> Result<Vec<Reason>, SystemError> {
    let heard = listen(spec, link, finder).await?;
    let named = heard.iter().find(|(_, heard)| {
        let owns = container.worker.as_ref() == Some(&heard.worker);
        owns || heard.reading.item.as_deref().map(str::as_bytes) == Some(id.as_bytes())
    });
    let key = &container.key;
    Ok(vec![match (named, &container.worker) {
        (Some((_, heard)), _) if heard.liveness == Liveness::Live => {
            let text = format!("worker {} works on it", heard.worker);
            reason(Severity::Info, "running", text, format!("heartbeat key {}", heard.key))
        }
        (Some((_, heard)), _) => {
            let text = format!("worker {} has it and gives no sign of life", heard.worker);
            reason(Severity::Critical, "worker_gone", text, format!("heartbeat key {} is old", heard.key))
        }
        (None, Some(worker)) if spec.heartbeat.iter().any(|heartbeat| heartbeat.renewed) => {
            let text = format!("worker {worker} had it and is gone: nobody will finish it by itself");
            let gone = reason(Severity::Critical, "worker_gone", text, format!("it lies in {key}, no heartbeat key"));
            with(gone, "move it back to the consuming end of the queue")
        }
        _ => {
            let text = "a worker took it; whether that worker lives is not known";
            reason(Severity::Info, "running", text, format!("it lies in {key}"))
        }
    }])
}
