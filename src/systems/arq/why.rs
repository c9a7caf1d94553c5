//! Why a queue or a job does not move: statements, each with what was read to know it. Most likely cause first.

use std::time::Duration;

use crate::domain::ids::{JobId, QueueId};
use crate::domain::queue::Severity;
use crate::domain::reason::Reason;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies, cmd};
use crate::systems::{ReadError, SystemError, reply};

use super::health::Health;
use super::keys::{self, Keys};
use super::standing::{self, Moment, Standing};
use super::{Arq, state};

fn reason(severity: Severity, code: &'static str, text: String, evidence: String, remedy: Option<&str>) -> Reason {
    Reason { severity, code, text, evidence, remedy: remedy.map(str::to_owned) }
}

/// The answer for a queue, or for one job of it.
pub async fn answer(arq: &Arq, link: &Link, queue: &QueueId, job: Option<&JobId>) -> Result<Vec<Reason>, SystemError> {
    let facts = Facts::read(arq, link, queue).await?;
    let Some(id) = job else { return Ok(facts.of_queue()) };
    let (found, moment) = standing::look(arq, link, queue, std::slice::from_ref(id)).await?;
    let standing = found.into_iter().next();
    Ok(standing.map(|standing| facts.of_job(id, &standing, moment)).unwrap_or_default())
}

/// What is known of the queue.
struct Facts {
    keys: Keys,
    moment: Moment,
    total: u64,
    due: u64,
    held: u64,
    next: Option<Timestamp>,
    health_key: String,
    health: Option<Health>,
    health_left: Option<Duration>,
}

impl Facts {
    async fn read(arq: &Arq, link: &Link, queue: &QueueId) -> Result<Self, SystemError> {
        let keys = Keys::of(queue);
        let moment = standing::moment(arq, link, queue).await?;
        let mut batch = Batch::new();
        batch
            .ask(cmd("ZCARD").arg(&keys.queue).to_owned())
            .ask(cmd("ZCOUNT").arg(&keys.queue).arg("-inf").arg(moment.now.0).to_owned())
            .ask(cmd("ZCARD").arg(keys.held()).to_owned())
            .ask(cmd("GET").arg(arq.health(&queue.name)).to_owned())
            .ask(cmd("PTTL").arg(arq.health(&queue.name)).to_owned());
        let mut next = cmd("ZRANGEBYSCORE");
        next.arg(&keys.queue)
            .arg(format!("({}", moment.now.0))
            .arg("+inf")
            .arg("WITHSCORES")
            .arg("LIMIT")
            .arg(0)
            .arg(1);
        batch.ask(next);
        let answers = link.send(&batch).await?;
        let mut replies = Replies::new(&answers);
        let mut count =
            || -> Result<u64, SystemError> { Ok(reply::count(replies.next().map_err(ReadError::from)?).unwrap_or(0)) };
        let (total, due, held) = (count()?, count()?, count()?);
        let health = replies.next().ok().and_then(reply::text).as_deref().and_then(Health::parse);
        let health_left = replies.next().ok().and_then(reply::count).map(Duration::from_millis);
        let next = replies.next().ok().and_then(reply::scored);
        let next = next.and_then(|next| next.first().map(|(_, score)| Timestamp(*score as i64)));
        Ok(Self { keys, moment, total, due, held, next, health_key: arq.show_health(&queue.name), health, health_left })
    }

    fn of_queue(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let show = self.keys.show();
        if self.held > 0 {
            let text = format!("{} held back by qtop; they wait until the queue is resumed.", jobs(self.held));
            let evidence = format!("ZCARD {} = {}", String::from_utf8_lossy(&self.keys.held()), self.held);
            reasons.push(reason(Severity::Warn, "paused", text, evidence, Some("resume the queue")));
        }
        if self.due > 0 {
            reasons.extend(self.no_workers());
        }
        if !reasons.is_empty() {
            return reasons;
        }
        let evidence = format!("ZCARD {show} = {}, ZCOUNT {show} -inf now = {}", self.total, self.due);
        reasons.push(match self.next {
            _ if self.due > 0 => {
                let text = format!("{} due or running; a worker takes them as its slots become free.", jobs(self.due));
                let health = self.health_words();
                reason(Severity::Info, "fine", text, format!("{evidence}; {health}"), None)
            }
            Some(next) => {
                let in_time = text::age(next.until(self.moment.now));
                let text = format!("Nothing is due: {} deferred, the next in {in_time}.", text::count(self.total));
                reason(Severity::Info, "delayed", text, evidence, Some("promote a job to run it now"))
            }
            None => reason(Severity::Info, "empty", "Nothing waits and nothing runs.".to_owned(), evidence, None),
        });
        reasons
    }

    fn no_workers(&self) -> Option<Reason> {
        if self.moment.worker {
            return None;
        }
        let text = format!("No worker shows a sign of life and {} due.", jobs(self.due));
        let remedy = "start a worker for this queue; one that writes another health_check_key does not show here";
        Some(reason(Severity::Critical, "no_workers", text, self.health_words(), Some(remedy)))
    }

    fn health_words(&self) -> String {
        let key = &self.health_key;
        match (&self.health, self.health_left) {
            (Some(health), Some(left)) => {
                format!(
                    "GET {key}: {} ongoing, {} queued, valid for {}",
                    health.ongoing,
                    health.queued,
                    text::span(left)
                )
            }
            (Some(health), None) => format!("GET {key}: {} ongoing, {} queued", health.ongoing, health.queued),
            (None, _) if self.moment.worker => format!("no key {key}, but a lock was taken lately"),
            (None, _) => format!("no key {key}, and no lock was taken while qtop looked on"),
        }
    }

    fn of_job(&self, id: &JobId, standing: &Standing, moment: Moment) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let key = |key: Vec<u8>| String::from_utf8_lossy(&key).into_owned();
        let lock = key(keys::in_progress(id.as_bytes()));
        let show = self.keys.show();
        let Some(state) = standing.state else {
            let text = format!("There is no job {id} here.");
            let evidence = format!("ZSCORE {show} {id}: none; EXISTS {} = 0", key(keys::result(id.as_bytes())));
            let remedy = "it may have finished and its result expired";
            return vec![reason(Severity::Warn, "no_record", text, evidence, Some(remedy))];
        };
        let open = !matches!(state, state::COMPLETE | state::FAILED | state::ABORTED);
        if open && standing.definition_bytes == 0 && !matches!(state, state::RUNNING | state::STALLED) {
            let text = "Its definition is gone: a worker fails it as \"job expired\" as soon as it is due.".to_owned();
            let evidence = format!("EXISTS {} = 0", key(keys::job(id.as_bytes())));
            reasons.push(reason(Severity::Warn, "no_record", text, evidence, Some("remove it")));
        }
        let due = standing.due.unwrap_or_default();
        let at = format!("ZSCORE {show} {id} = {}", when(due));
        let starts = standing.starts.unwrap_or(0);
        match state {
            state::WAITING | state::INTERRUPTED => {
                reasons.extend(self.no_workers());
                let again = if state == state::INTERRUPTED {
                    format!(" Its worker stopped while it ran; it was started {starts} times.")
                } else {
                    String::new()
                };
                let text = format!("It is due since {} and in line.{again}", text::age(due.age(moment.now)));
                reasons.push(reason(Severity::Info, "in_line", text, format!("{at}; {}", self.health_words()), None));
            }
            state::DEFERRED => {
                let text =
                    format!("It is deferred until {}, {} from now.", when(due), text::age(due.until(moment.now)));
                reasons.push(reason(Severity::Info, "delayed", text, at, Some("promote it to run it now")));
            }
            state::RETRYING => {
                let left = text::age(due.until(moment.now));
                let text = format!("It waits for its next try in {left}, after {starts} starts.");
                reasons.push(reason(Severity::Info, "delayed", text, at, Some("promote it to run it now")));
            }
            state::HELD => {
                let text = "qtop holds it back: it waits until the queue is resumed.".to_owned();
                reasons.push(reason(Severity::Warn, "paused", text, at, Some("resume the queue")));
            }
            state::RUNNING => {
                let left = text::span(standing.lock.unwrap_or_default());
                let text = format!("It runs; its lock is good for another {left}.");
                reasons.push(reason(Severity::Info, "fine", text, format!("PTTL {lock} = {left}"), None));
            }
            state::STALLED => {
                let left = text::span(standing.lock.unwrap_or_default());
                let text = format!(
                    "Its lock is there, but no worker shows a sign of life. The lock runs out in {left}; then it runs again."
                );
                let evidence = format!("PTTL {lock} = {left}; {}", self.health_words());
                let remedy = "start a worker; or retry it to take the lock now, if its worker is surely gone";
                reasons.push(reason(Severity::Critical, "lock_expired", text, evidence, Some(remedy)));
            }
            _ => {
                let result = standing.result.clone().unwrap_or_default();
                let at = result.finished.map_or_else(String::new, |at| format!(" at {}", when(at)));
                let evidence = format!("GET {}", key(keys::result(id.as_bytes())));
                let (severity, code, text) = match state {
                    state::COMPLETE => (Severity::Info, "fine", format!("It completed{at}.")),
                    state::ABORTED => (Severity::Info, "aborted", format!("It was aborted{at}.")),
                    _ => {
                        let error = result.error.unwrap_or_default();
                        (Severity::Warn, "failed", format!("It failed{at}: {error}"))
                    }
                };
                let remedy = (state == state::FAILED).then_some("retry it once the cause is gone");
                reasons.push(reason(severity, code, text, evidence, remedy));
            }
        }
        reasons
    }
}

fn jobs(count: u64) -> String {
    if count == 1 { "1 job is".to_owned() } else { format!("{} jobs are", text::count(count)) }
}

fn when(time: Timestamp) -> String {
    time.rfc3339().unwrap_or_else(|| format!("{} ms", time.0))
}
