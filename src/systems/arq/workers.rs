//! Workers, as far as ARQ lets them be known: one text key for all workers of a queue, and locks without names.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::ids::{JobId, JobRef, Name, QueueId};
use crate::domain::queue::Count;
use crate::domain::text;
use crate::domain::worker::{Liveness, Worker};
use crate::link::{Batch, Link, Replies, Value, cmd};
use crate::systems::{Instance, ReadError, SystemError, reply};

use super::Arq;
use super::consume::holder;
use super::health::Health;
use super::keys::{self, Keys};
use super::plan::HEAD;
use super::standing::time;

/// The library's own interval, at which the key lives a second longer.
const USUAL_LIFE: Duration = Duration::from_secs(3_601);

/// One entry for each queue that shows any sign of the library's workers: how many there are cannot be known. Runners of
/// qtop say in locks and health check who they are, so that each has its own.
pub async fn list(arq: &Arq, link: &Link, instance: &Instance) -> Result<Vec<Worker>, SystemError> {
    let mut batch = Batch::new();
    batch.ask(cmd("TIME"));
    for name in &instance.queues {
        let keys = Keys { queue: name.as_bytes().to_vec() };
        batch
            .ask(cmd("GET").arg(arq.health(name)).to_owned())
            .ask(cmd("PTTL").arg(arq.health(name)).to_owned())
            .ask(cmd("ZRANGE").arg(&keys.queue).arg(0).arg(HEAD - 1).to_owned());
    }
    let answers = link.send(&batch).await?;
    let mut replies = Replies::new(&answers);
    let now = time(replies.next().map_err(ReadError::from)?);
    let mut seen = Vec::with_capacity(instance.queues.len());
    let mut batch = Batch::new();
    for name in &instance.queues {
        let health = replies.next().ok().and_then(reply::text).as_deref().and_then(Health::parse);
        let left = replies.next().ok().and_then(reply::count).map(Duration::from_millis);
        let members = replies.next().ok().and_then(reply::names).unwrap_or_default();
        let section = batch.section(|batch| {
            if !members.is_empty() {
                let mut command = cmd("MGET");
                members.iter().for_each(|id| {
                    command.arg(keys::in_progress(id));
                });
                batch.ask(command);
            }
        });
        seen.push((name, health, left, members, section));
    }
    let answers = link.send(&batch).await?;
    let mut workers = Vec::new();
    for (name, health, left, members, section) in seen {
        let locks = Replies::section(&answers, &section).next().ok().and_then(reply::list).unwrap_or_default();
        let queue = instance.queue(name);
        let mut runners: BTreeMap<String, Vec<JobRef>> = BTreeMap::new();
        let mut running = Vec::new();
        for (id, lock) in members.into_iter().zip(locks).filter(|(_, lock)| **lock != Value::Nil) {
            match reply::bytes(lock).and_then(holder) {
                Some(runner) => runners.entry(runner.to_owned()).or_default(),
                None => &mut running,
            }
            .push(JobRef { queue: queue.clone(), id: JobId::from(id) });
        }
        if let Some(own) = health.as_ref().and_then(|health| health.runner.clone()) {
            runners.entry(own).or_default();
        }
        let taking = arq.saw_worker(name, now) && (runners.is_empty() || !running.is_empty());
        for (runner, running) in runners {
            let own = health.as_ref().filter(|health| health.runner.as_ref() == Some(&runner));
            let evidence = own.map_or_else(|| "job locks".to_owned(), |health| told(health, left));
            workers.push(Worker { running, evidence, ..live(&queue, runner) });
        }
        // Nobody writes over what a worker of the library has written while it holds.
        let health = health.filter(|health| health.runner.is_none());
        let (state, evidence) = match &health {
            Some(health) => (Liveness::Live, evidence(health, left)),
            None if taking => {
                let text = "job locks: one was taken while qtop looked on; there is no health key";
                (Liveness::Live, text.to_owned())
            }
            None if !running.is_empty() => {
                let text =
                    format!("no key {}, but jobs are locked: the worker stopped or was killed", arq.show_health(name));
                (Liveness::Gone, text)
            }
            None => continue,
        };
        workers.push(Worker {
            state,
            heartbeat: left.filter(|left| *left <= USUAL_LIFE && health.is_some()).and_then(written_ago),
            running,
            stands_for: Count::AtLeast(1),
            evidence,
            ..live(&queue, format!("workers of {name}"))
        });
    }
    Ok(workers)
}

/// A worker that lives, of which no more is known.
fn live(queue: &QueueId, name: String) -> Worker {
    Worker {
        instance: queue.instance.clone(),
        name: Name::from(name),
        queues: vec![queue.name.clone()],
        state: Liveness::Live,
        paused: None,
        heartbeat: None,
        running: Vec::new(),
        host: None,
        pid: None,
        stands_for: Count::Exact(1),
        since: None,
        pool: None,
        evidence: String::new(),
    }
}

/// The age of the last write, where the time left is so near to the library's own interval that it must be that.
fn written_ago(left: Duration) -> Option<Duration> {
    // An interval of a minute leaves the same trace as one of an hour written long ago.
    (left > Duration::from_secs(1_800)).then(|| USUAL_LIFE.saturating_sub(left))
}

fn evidence(health: &Health, left: Option<Duration>) -> String {
    let told = told(health, left);
    format!("{told}; all workers of the queue share it, so that their number is not known")
}

fn told(health: &Health, left: Option<Duration>) -> String {
    let left = left.map_or_else(|| "without end".to_owned(), |left| format!("valid for {}", text::span(left)));
    format!(
        "health-check key, {left}: the last to write it had {} complete, {} failed, {} retried, {} ongoing, {} queued",
        health.complete, health.failed, health.retried, health.ongoing, health.queued
    )
}
