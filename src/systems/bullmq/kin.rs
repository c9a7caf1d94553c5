//! Copies of jobs together with everything below them, for the trash before a family is removed.
//!
//! Follows the same keys as `scripts/remove.lua` and stops at the same limits: a larger family is refused there.

use std::collections::HashSet;

use crate::domain::ids::{JobId, JobRef, QueueId};
use crate::domain::record::Record;
use crate::link::{Batch, Cmd, Link, MAX_SPAN, Replies, cmd};
use crate::systems::{ReadError, SystemError, reply};

use super::keys::{Keys, job_of};
use super::records;

/// Generations below a job.
const DEPTH: usize = 20;
/// Elements of one scan step.
const STEP: u64 = 500;

/// Records of jobs and of all below them, each job before its children.
pub async fn take(link: &Link, queue: &QueueId, ids: &[JobId]) -> Result<Vec<Record>, SystemError> {
    let mut known: HashSet<(QueueId, JobId)> = HashSet::new();
    let mut generation: Vec<JobRef> = ids.iter().map(|id| JobRef { queue: queue.clone(), id: id.clone() }).collect();
    let mut found = Vec::new();
    for _ in 0..DEPTH {
        generation.retain(|job| known.insert((job.queue.clone(), job.id.clone())));
        if generation.is_empty() {
            break;
        }
        let mut next = Vec::new();
        for job in &generation {
            next.extend(children(link, job).await?);
        }
        // One look for each queue of this generation.
        let mut rest = generation;
        while let Some(first) = rest.first() {
            let queue = first.queue.clone();
            let (same, others): (Vec<JobRef>, Vec<JobRef>) = rest.into_iter().partition(|job| job.queue == queue);
            let ids: Vec<JobId> = same.into_iter().map(|job| job.id).collect();
            found.extend(records::take(link, &queue, &ids).await?);
            rest = others;
        }
        generation = next;
    }
    Ok(found)
}

/// Children of one job, of every kind.
async fn children(link: &Link, job: &JobRef) -> Result<Vec<JobRef>, SystemError> {
    let keys = Keys::of(&job.queue);
    let part = |part: &str| keys.part(job.id.as_bytes(), part);
    let mut names: Vec<Vec<u8>> = Vec::new();
    for (command, key, each) in
        [("SSCAN", part("dependencies"), 1), ("HSCAN", part("processed"), 2), ("HSCAN", part("failed"), 2)]
    {
        names.extend(scan(link, command, &key, each).await?);
    }
    let mut batch = Batch::new();
    batch.ask(cmd("ZRANGE").arg(part("unsuccessful")).arg(0).arg(MAX_SPAN - 1).to_owned());
    let answers = link.send(&batch).await?;
    let unsuccessful = Replies::new(&answers).next().map_err(ReadError::from)?.clone();
    names.extend(reply::names(&unsuccessful).unwrap_or_default());
    names.sort();
    names.dedup();
    Ok(names.iter().filter_map(|name| job_of(name)).collect())
}

async fn scan(link: &Link, command: &'static str, key: &[u8], each: usize) -> Result<Vec<Vec<u8>>, SystemError> {
    let mut found = Vec::new();
    let mut cursor = 0;
    loop {
        let mut ask: Cmd = cmd(command);
        ask.arg(key).arg(cursor).arg("COUNT").arg(STEP);
        let answer = link.ask(ask).await?;
        let (next, items) =
            reply::scan(&answer).ok_or_else(|| ReadError::Shape { command, what: format!("{answer:?}") })?;
        found.extend(items.into_iter().step_by(each));
        cursor = next;
        if cursor == 0 {
            return Ok(found);
        }
    }
}
