//! Why a Bull queue or one of its jobs does not move, each statement with what was read to know it.

use std::time::Duration;

use crate::domain::ids::{JobId, QueueId};
use crate::domain::queue::Severity;
use crate::domain::reason::Reason;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies, cmd};
use crate::systems::bullmq::keys::Keys;
use crate::systems::bullmq::membership;
use crate::systems::bullmq::rows::{self, Found};
use crate::systems::bullmq::sample::due;
use crate::systems::bullmq::schedules::server_time;
use crate::systems::{ReadError, SystemError, reply};

use super::state;

/// Running jobs whose locks are looked at.
const LOCKS: usize = 100;

fn reason(severity: Severity, code: &'static str, text: String, evidence: String, remedy: Option<&str>) -> Reason {
    Reason { severity, code, text, evidence, remedy: remedy.map(str::to_owned) }
}

/// One queue at one moment.
struct Facts {
    now: Timestamp,
    paused: bool,
    waiting: u64,
    in_paused: u64,
    active: u64,
    /// Running jobs that nobody holds a lock of, and how many were looked at.
    lost: Vec<Vec<u8>>,
    looked: usize,
    delayed: u64,
    held: u64,
    limiter: Option<Duration>,
    next_due: Option<Timestamp>,
    checked: Option<Duration>,
}

impl Facts {
    async fn read(link: &Link, keys: &Keys) -> Result<Self, SystemError> {
        let mut batch = Batch::new();
        batch.ask(cmd("TIME"));
        for (command, suffix) in [
            ("EXISTS", "meta-paused"),
            ("LLEN", "wait"),
            ("LLEN", "paused"),
            ("LLEN", "active"),
            ("ZCARD", "delayed"),
            ("SCARD", "limiter:limited"),
            ("PTTL", "limiter"),
            ("PTTL", "stalled-check"),
        ] {
            batch.ask(cmd(command).arg(keys.key(suffix)).to_owned());
        }
        batch.ask(cmd("ZRANGE").arg(keys.key("delayed")).arg(0).arg(0).arg("WITHSCORES").to_owned());
        batch.ask(cmd("LRANGE").arg(keys.key("active")).arg(0).arg(LOCKS - 1).to_owned());
        let replies = link.send(&batch).await?;
        let mut replies = Replies::new(&replies);
        let now = server_time(replies.next().map_err(ReadError::from)?).unwrap_or_default();
        let mut next = || replies.next().map(|value| reply::count(value).unwrap_or(0)).map_err(ReadError::from);
        let counts = [next()?, next()?, next()?, next()?, next()?, next()?];
        let mut left = || Some(Duration::from_millis(replies.next().ok().and_then(reply::count)?));
        let (limiter, checked) = (left(), left());
        let first = replies.next().ok().and_then(reply::scored).unwrap_or_default();
        let running = replies.next().ok().and_then(reply::names).unwrap_or_default();
        let mut batch = Batch::new();
        for id in &running {
            batch.ask(cmd("EXISTS").arg(keys.part(id, "lock")).to_owned());
        }
        let replies = link.send(&batch).await?;
        let mut replies = Replies::new(&replies);
        let looked = running.len();
        let lost = running.into_iter().filter(|_| replies.next().ok().and_then(reply::int) == Some(0)).collect();
        let [paused, waiting, in_paused, active, delayed, held] = counts;
        Ok(Self {
            now,
            paused: paused > 0,
            waiting,
            in_paused,
            active,
            lost,
            looked,
            delayed,
            held,
            limiter,
            next_due: first.first().map(|(_, score)| due(*score)),
            checked,
        })
    }
}

/// The answer for a queue, or for one job of it.
pub async fn answer(link: &Link, queue: &QueueId, job: Option<&JobId>) -> Result<Vec<Reason>, SystemError> {
    let keys = Keys::of(queue);
    let facts = Facts::read(link, &keys).await?;
    let Some(id) = job else { return Ok(of_queue(&keys, &facts)) };
    let place = membership::find(link, &keys, id.as_bytes()).await?;
    let found = Found { id: id.clone(), state: place.state, score: place.score };
    let row = rows::read(link, &keys, &[found]).await?.pop();
    let hash = keys.show_job(id.as_bytes());
    if row.as_ref().is_none_or(|row| !row.record_exists) {
        let text = "Its record is gone: nothing says what to do, and a worker that takes it will fail.".to_owned();
        return Ok(vec![reason(Severity::Critical, "no_record", text, format!("EXISTS {hash} = 0"), None)]);
    }
    let place_words = place.note.clone().unwrap_or_else(|| format!("found in {}", keys.show(place.state.0)));
    Ok(match place.state {
        state::WAITING => {
            let text = format!("It waits. {place_words}.");
            let evidence = format!("LPOS {} {id}", keys.show(if facts.paused { "paused" } else { "wait" }));
            let mut reasons = vec![reason(Severity::Info, "waiting", text, evidence, None)];
            reasons.extend(of_queue(&keys, &facts));
            reasons
        }
        state::ACTIVE if facts.lost.iter().any(|lost| lost == id.as_bytes()) => {
            vec![lost(&keys, &facts, id.as_bytes())]
        }
        state::ACTIVE => {
            let evidence = format!("EXISTS {hash}:lock = 1");
            vec![reason(Severity::Info, "fine", "A worker runs it and holds its lock.".to_owned(), evidence, None)]
        }
        state::DELAYED => {
            let at = place.score.map(due).unwrap_or_default();
            let evidence = format!("ZSCORE {} {id}: due {}", keys.show("delayed"), at.rfc3339().unwrap_or_default());
            let text = format!("It is to run in {}.", text::age(at.until(facts.now)));
            vec![reason(Severity::Info, "delayed", text, evidence, Some("promote it to run it now"))]
        }
        state::COMPLETED | state::FAILED => {
            let evidence = format!("ZSCORE {} {id}", keys.show(place.state.0));
            let remedy = (place.state == state::FAILED).then_some("retry it");
            vec![reason(Severity::Info, "ended", format!("It has ended: {}.", place.state), evidence, remedy)]
        }
        _ => {
            let text = format!("No list and no set names it: Bull calls it stuck. {place_words}.");
            let evidence = format!("not in wait, paused, active, delayed, completed, failed of {}", keys.show(""));
            vec![reason(Severity::Critical, "in_no_list", text, evidence, None)]
        }
    })
}

fn lost(keys: &Keys, facts: &Facts, id: &[u8]) -> Reason {
    let checks = match facts.checked {
        Some(left) => format!("a worker checks again within {}", text::span(left)),
        None => "no worker has checked lately, so nobody returns it".to_owned(),
    };
    let text = format!("It is active, but nobody holds its lock: its worker is gone or blocked; {checks}.");
    let evidence = format!("EXISTS {}:lock = 0", keys.show_job(id));
    reason(Severity::Warn, "lock_expired", text, evidence, Some("start a worker: its stalled check puts the job back"))
}

fn of_queue(keys: &Keys, facts: &Facts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let ready = facts.waiting + facts.in_paused;
    if facts.paused {
        let text = format!("The queue is paused: {} stay where they are until it is resumed.", text::count(ready));
        let evidence = format!("EXISTS {} = 1", keys.show("meta-paused"));
        reasons.push(reason(Severity::Warn, "paused", text, evidence, Some("resume the queue")));
    } else if facts.in_paused > 0 {
        let text = format!(
            "{} lie in the list `paused` although the queue is not paused; no worker looks there.",
            text::count(facts.in_paused)
        );
        let evidence = format!("LLEN {} = {}", keys.show("paused"), facts.in_paused);
        reasons.push(reason(Severity::Warn, "stranded_in_paused", text, evidence, Some("pause and resume the queue")));
    }
    if let Some(left) = facts.limiter.filter(|_| facts.held > 0) {
        let text = format!("A rate limit holds {} for another {}.", text::count(facts.held), text::span(left));
        let evidence = format!("SCARD {} = {}", keys.show("limiter:limited"), facts.held);
        reasons.push(reason(Severity::Info, "rate_limited", text, evidence, None));
    }
    if let Some(first) = facts.lost.first() {
        reasons.push(lost(keys, facts, first));
    }
    if !reasons.is_empty() {
        return reasons;
    }
    let counts = format!("LLEN {} = {}, LLEN {} = {}", keys.show("wait"), ready, keys.show("active"), facts.active);
    let evidence = format!("{counts}, {} locks looked at", facts.looked);
    let (severity, code, text) = match (ready, facts.active, facts.next_due) {
        (0, 0, Some(at)) => {
            let (delayed, wait) = (text::count(facts.delayed), text::age(at.until(facts.now)));
            (Severity::Info, "delayed", format!("Nothing is ready: {delayed} delayed, the next is due in {wait}."))
        }
        (0, 0, None) => (Severity::Info, "empty", "Nothing waits and nothing runs.".to_owned()),
        (0, active, _) => (Severity::Info, "fine", format!("{} run and nothing waits.", text::count(active))),
        (ready, 0, _) if facts.checked.is_none() => {
            let text = format!("{} wait and no worker has looked after the queue lately.", text::count(ready));
            (Severity::Critical, "no_workers", text)
        }
        (ready, 0, _) => (Severity::Info, "fine", format!("{} are ready to be taken.", text::count(ready))),
        (ready, active, _) => {
            let text = format!("{} run; {} start as slots become free.", text::count(active), text::count(ready));
            (Severity::Info, "all_busy", text)
        }
    };
    vec![reason(severity, code, text, evidence, None)]
}
