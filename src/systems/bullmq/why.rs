//! Why a queue or a job does not move: statements, each with what was read to know it. Most likely cause first.

use std::time::Duration;

use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::JobRow;
use crate::domain::queue::Severity;
use crate::domain::reason::Reason;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies, cmd};
use crate::systems::{ReadError, SystemError, reply};

use super::facts::{self, Facts};
use super::keys::{self, Keys};
use super::membership::{self, Membership};
use super::memo::BY_HAND;
use super::rows::{self, Found};
use super::state;

/// Children that are named and looked up.
const CHILDREN: u64 = 5;

/// Makes a reason.
pub fn reason(severity: Severity, code: &'static str, text: String, evidence: String, remedy: Option<&str>) -> Reason {
    Reason { severity, code, text, evidence, remedy: remedy.map(str::to_owned) }
}

/// The answer for a queue, or for one job of it.
pub async fn answer(link: &Link, queue: &QueueId, job: Option<&JobId>) -> Result<Vec<Reason>, SystemError> {
    let keys = Keys::of(queue);
    let facts = Facts::read(link, &keys).await?;
    let mut reasons = match job {
        None => of_queue(&keys, &facts),
        Some(id) => of_job(link, &keys, &facts, id).await?,
    };
    if reasons.iter().any(|reason| matches!(reason.code, "no_workers" | "empty" | "no_record")) {
        reasons.extend(facts::other_prefixes(link, queue).await?);
    }
    Ok(reasons)
}

/// What holds the queue as a whole.
fn of_queue(keys: &Keys, facts: &Facts) -> Vec<Reason> {
    let mut reasons = obstacles(keys, facts);
    if !reasons.is_empty() {
        return reasons;
    }
    let show = |suffix: &str| keys.show(suffix);
    if facts.ready() > 0 {
        reasons.push(running_normally(keys, facts));
    } else if let Some(due) = facts.next_due {
        let text = format!(
            "Nothing is ready to run: {} delayed, the next is due in {}.",
            text::count(facts.delayed),
            text::age(due.until(facts.now))
        );
        reasons.push(reason(
            Severity::Info,
            "delayed",
            text,
            format!("ZRANGE {} 0 0: due {}", show("delayed"), when(due)),
            None,
        ));
    } else if facts.children > 0 {
        let text = format!("Nothing is ready to run: {} wait for their children.", text::count(facts.children));
        let evidence = format!("ZCARD {} = {}", show("waiting-children"), facts.children);
        reasons.push(reason(
            Severity::Info,
            "waits_for_children",
            text,
            evidence,
            Some("open one of them to see which"),
        ));
    } else if facts.active.is_empty() {
        let evidence = format!("{}, {} and {} are empty", show("wait"), show("prioritized"), show("delayed"));
        reasons.push(reason(Severity::Info, "empty", "Nothing waits and nothing runs.".to_owned(), evidence, None));
    } else {
        reasons.push(running_normally(keys, facts));
    }
    reasons
}

fn running_normally(keys: &Keys, facts: &Facts) -> Reason {
    let (busy, ready) = (facts.active_total, facts.ready());
    let evidence = format!("LLEN {} = {busy}, {} locks held, {} ready", keys.show("active"), facts.held(), ready);
    if ready > 0 && busy > 0 {
        let text =
            format!("{} run; {} are ready and start as slots become free.", text::count(busy), text::count(ready));
        reason(
            Severity::Info,
            "all_busy",
            text,
            evidence,
            Some("more workers or a higher concurrency would shorten the wait"),
        )
    } else if ready > 0 {
        let text =
            format!("{} are ready and nothing holds them: a worker should take them at once.", text::count(ready));
        reason(Severity::Info, "fine", text, evidence, None)
    } else {
        reason(Severity::Info, "fine", format!("{} run and nothing waits.", text::count(busy)), evidence, None)
    }
}

/// Everything that keeps ready jobs from being taken.
fn obstacles(keys: &Keys, facts: &Facts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let meta = &facts.meta;
    let show = |suffix: &str| keys.show(suffix);
    if meta.paused {
        let text = format!("The queue is paused: {} stay where they are until it is resumed.", jobs(facts.ready()));
        let evidence = format!("HEXISTS {} paused = 1 ({})", show("meta"), meta.version.spoken());
        reasons.push(reason(Severity::Warn, "paused", text, evidence, Some("resume the queue")));
    } else if facts.paused_list > 0 {
        let text = format!(
            "{} lie in the list `paused` although the queue is not paused; no worker looks there.",
            jobs(facts.paused_list)
        );
        let evidence = format!("LLEN {} = {}, no field paused in {}", show("paused"), facts.paused_list, show("meta"));
        reasons.push(reason(
            Severity::Warn,
            "stranded_in_paused",
            text,
            evidence,
            Some("pause and resume the queue with BullMQ 6, which brings them back"),
        ));
    }
    if let Some(limit) = meta.concurrency.filter(|limit| facts.active_total >= *limit && facts.ready() > 0) {
        let text = format!("The global limit of {} at a time is reached.", jobs(limit));
        let evidence =
            format!("HGET {} concurrency = {limit}, LLEN {} = {}", show("meta"), show("active"), facts.active_total);
        reasons.push(reason(
            Severity::Warn,
            "concurrency_limit",
            text,
            evidence,
            Some("raise or remove the queue's global concurrency"),
        ));
    }
    if let Some(reason) = rate_limit(keys, facts) {
        reasons.push(reason);
    }
    let lost: Vec<_> = facts.active.iter().filter(|(_, lock)| !lock.is_held()).collect();
    if let Some((first, _)) = lost.first() {
        let checked = match facts.stalled_check {
            Some(left) => format!("a worker checks again within {}", text::span(left)),
            None => "no worker has checked lately, so nobody returns them".to_owned(),
        };
        let text =
            format!("{} active without a lock: their worker died or lost touch; {checked}.", jobs(lost.len() as u64));
        let evidence =
            format!("PTTL {}:lock = -2, {} {}", keys.show_job(first), show("stalled-check"), facts.check_words());
        reasons.push(reason(
            Severity::Warn,
            "lock_expired",
            text,
            evidence,
            Some("a running worker puts them back in line after two checks"),
        ));
    }
    let overdue = facts.next_due.filter(|due| due.age(facts.now) > Duration::from_secs(11));
    if !facts.worker_seen() && !meta.paused && (facts.ready() > 0 || overdue.is_some()) {
        let waiting = match overdue {
            Some(due) if facts.ready() == 0 => format!("delayed jobs are due since {}", text::age(due.age(facts.now))),
            _ => format!("{} wait", jobs(facts.ready())),
        };
        let text = format!("No worker shows a sign of life and {waiting}.");
        let evidence = format!(
            "no key {}, no lock held in {}, nothing finished in the last minute",
            show("stalled-check"),
            show("active")
        );
        let at = if meta.concurrency.is_none() { 0 } else { reasons.len() };
        let remedy = Some("start a worker for this queue, with the same prefix");
        reasons.insert(at.min(reasons.len()), reason(Severity::Critical, "no_workers", text, evidence, remedy));
    }
    reasons
}

fn rate_limit(keys: &Keys, facts: &Facts) -> Option<Reason> {
    let (left, used) = (facts.limiter_left?, facts.limiter_used?);
    let until = format!("{} ({})", text::span(left), when(facts.now.plus(left)));
    let text = match facts.meta.rate_max {
        _ if facts.ready() == 0 => return None,
        Some(max) if used >= max => {
            format!("The rate limit of {max} per window is used up; it opens again in {until}.")
        }
        Some(_) => return None,
        None if used >= BY_HAND => format!("A worker holds the queue for {until} more."),
        None if facts.active.is_empty() && used > 0 => {
            let started = jobs(used);
            format!("A worker's own rate limit holds it: {started} started in this window, which ends in {until}.")
        }
        None => return None,
    };
    let evidence = format!("GET {} = {used}, PTTL = {} ms", keys.show("limiter"), left.as_millis());
    Some(reason(Severity::Warn, "rate_limited", text, evidence, None))
}

/// Why one job does not move.
async fn of_job(link: &Link, keys: &Keys, facts: &Facts, id: &JobId) -> Result<Vec<Reason>, SystemError> {
    let membership = membership::find(link, keys, id.as_bytes()).await?;
    let found = Found { id: id.clone(), state: membership.state, score: membership.score };
    let Some(row) = rows::read(link, keys, &[found]).await?.pop() else { return Ok(Vec::new()) };
    let job = keys.show_job(id.as_bytes());
    let mut reasons = Vec::new();
    if !row.record_exists {
        let (code, text, remedy) = if !membership.certain {
            (
                "no_record",
                format!("There is no job {id} here."),
                "it may have finished and been removed, or live under another prefix",
            )
        } else {
            (
                "no_record",
                format!("The list of {} jobs names {id}, but its record is gone.", membership.state),
                "remove the id; a worker that takes it fails",
            )
        };
        reasons.push(reason(Severity::Warn, code, text, format!("EXISTS {job} = 0"), Some(remedy)));
        return Ok(reasons);
    }
    let deferred = reply::text(&link.ask(cmd("HGET").arg(keys.job(id.as_bytes())).arg("defa").to_owned()).await?);
    if let Some(deferred) = deferred {
        let text = format!("It fails as soon as a worker takes it: {}", text::first_line(&deferred, 300));
        reasons.push(reason(Severity::Warn, "fails_when_taken", text, format!("HGET {job} defa"), None));
    }
    match membership.state {
        state::COMPLETED | state::FAILED => reasons.push(finished(&row, &job)),
        state::ACTIVE => reasons.push(active(keys, facts, &row)),
        state::DELAYED => reasons.extend(delayed(keys, facts, &row)),
        state::WAITING_CHILDREN => reasons.extend(children(link, keys, id).await?),
        state::WAITING | state::PRIORITIZED => reasons.extend(waiting(link, keys, facts, &membership, id).await?),
        _ => {
            let text = membership.note.unwrap_or_else(|| "in no list and no set".to_owned());
            let text = format!("No list of the queue names it: {text}.");
            let evidence = format!("EXISTS {job} = 1; ZSCORE and LPOS in all states: none");
            let remedy = "add it anew from its payload, then remove the orphaned record";
            reasons.push(reason(Severity::Critical, "in_no_list", text, evidence, Some(remedy)));
        }
    }
    Ok(reasons)
}

fn finished(row: &JobRow, job: &str) -> Reason {
    let at = row.finished_at.map_or_else(String::new, |at| format!(" at {}", when(at)));
    if row.state == state::COMPLETED {
        return reason(
            Severity::Info,
            "fine",
            format!("It completed{at}."),
            format!("ZSCORE of {job} in completed"),
            None,
        );
    }
    let made = row.attempts_made.unwrap_or(0);
    let of = row.attempts_max.map_or_else(String::new, |max| format!(" of {max}"));
    let why = row.error.as_deref().map_or_else(String::new, |error| format!(": {error}"));
    let text = format!("It failed{at} after {made}{of} attempts{why}");
    reason(
        Severity::Warn,
        "failed",
        text,
        format!("ZSCORE of {job} in failed"),
        Some("retry it once the cause is gone"),
    )
}

fn active(keys: &Keys, facts: &Facts, row: &JobRow) -> Reason {
    let lock = format!("{}:lock", keys.show_job(row.id.as_bytes()));
    let ran =
        row.ran(facts.now).map_or_else(|| "for an unknown time".to_owned(), |ran| format!("for {}", text::span(ran)));
    let worker = row.worker.as_deref().map_or_else(String::new, |worker| format!(" on {worker}"));
    match row.lease.as_ref().and_then(|lease| lease.left) {
        Some(left) if !left.is_zero() => reason(
            Severity::Info,
            "fine",
            format!("It runs {ran}{worker}; the lock is held and renewed."),
            format!("PTTL {lock} = {} ms", left.as_millis()),
            None,
        ),
        _ => {
            let next = if facts.stalled_check.is_some() {
                "a worker's stalled check puts it back in line"
            } else {
                "no worker checks for stalled jobs, so it stays until one is started"
            };
            reason(
                Severity::Critical,
                "lock_expired",
                format!(
                    "It is active {ran}{worker}, but nobody holds its lock: the worker died or lost touch; {next}."
                ),
                format!("PTTL {lock} = -2, {} {}", keys.show("stalled-check"), facts.check_words()),
                Some("start a worker for this queue; the job runs again after two checks"),
            )
        }
    }
}

fn delayed(keys: &Keys, facts: &Facts, row: &JobRow) -> Vec<Reason> {
    let Some(due) = row.run_at else { return Vec::new() };
    let evidence = format!("ZSCORE {} {} / 4096 = {}", keys.show("delayed"), row.id, when(due));
    let retry = match (row.attempts_made.unwrap_or(0), row.attempts_max) {
        (0, _) => String::new(),
        (made, Some(max)) => format!(" It waits after failed attempt {made} of {max}."),
        (made, None) => format!(" It waits after failed attempt {made}."),
    };
    if due > facts.now {
        let text = format!("It is delayed until {}, {} from now.{retry}", when(due), text::age(due.until(facts.now)));
        return vec![reason(Severity::Info, "delayed", text, evidence, Some("promote it to run it now"))];
    }
    let text = format!("It was due {} ago and no worker has taken it up.{retry}", text::age(due.age(facts.now)));
    let mut reasons = obstacles(keys, facts);
    reasons.push(reason(Severity::Warn, "delayed", text, evidence, None));
    reasons
}

async fn children(link: &Link, keys: &Keys, id: &JobId) -> Result<Vec<Reason>, SystemError> {
    let key = keys.part(id.as_bytes(), "dependencies");
    let mut batch = Batch::new();
    batch.ask(cmd("SCARD").arg(&key).to_owned());
    batch.ask(cmd("SSCAN").arg(&key).arg(0).arg("COUNT").arg(CHILDREN).to_owned());
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let total = reply::count(replies.next().map_err(ReadError::from)?).unwrap_or(0);
    let names = replies.next().ok().and_then(reply::scan).map(|(_, names)| names).unwrap_or_default();
    let evidence = format!("SCARD {} = {total}", String::from_utf8_lossy(&key));
    if total == 0 {
        let text = "It waits for children, but none is left unfinished: it should have been released.".to_owned();
        return Ok(vec![reason(Severity::Critical, "waits_for_children", text, evidence, None)]);
    }
    let mut told = Vec::new();
    for child in names.iter().take(CHILDREN as usize) {
        let label = String::from_utf8_lossy(child).into_owned();
        let place = match keys::job_of(child) {
            Some(job) => membership::find(link, &Keys::of(&job.queue), job.id.as_bytes()).await?.state,
            None => state::UNKNOWN,
        };
        told.push(format!("{label} ({place})"));
    }
    let more = total.saturating_sub(told.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let text = format!("It waits for {}: {}{more}.", children_words(total), told.join(", "));
    Ok(vec![reason(Severity::Info, "waits_for_children", text, evidence, Some("see why those do not finish"))])
}

fn children_words(total: u64) -> String {
    if total == 1 { "one child".to_owned() } else { format!("{} children", text::count(total)) }
}

async fn waiting(
    link: &Link,
    keys: &Keys,
    facts: &Facts,
    membership: &Membership,
    id: &JobId,
) -> Result<Vec<Reason>, SystemError> {
    let mut reasons = obstacles(keys, facts);
    let (text, evidence) = if membership.state == state::PRIORITIZED {
        let key = keys.key("prioritized");
        let rank = reply::count(&link.ask(cmd("ZRANK").arg(&key).arg(id.as_bytes()).to_owned()).await?).unwrap_or(0);
        let plain = facts.wait;
        let text = format!(
            "{} without a priority and {} with a more urgent one run before it.",
            text::count(plain),
            text::count(rank)
        );
        (text, format!("ZRANK {} = {rank}, LLEN {} = {plain}", keys.show("prioritized"), keys.show("wait")))
    } else {
        let ahead = membership.note.clone().unwrap_or_else(|| "its place in line is not known".to_owned());
        (format!("It is in line: {ahead}."), format!("LPOS {} {id}", keys.show("wait")))
    };
    reasons.push(reason(Severity::Info, "in_line", text, evidence, None));
    if reasons.len() == 1 {
        reasons.push(running_normally(keys, facts));
    }
    Ok(reasons)
}

fn jobs(count: u64) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{} jobs", text::count(count)) }
}

fn when(time: Timestamp) -> String {
    time.rfc3339().unwrap_or_else(|| format!("{} ms", time.0))
}
