//! Freezing what a filter matches: the ids are read once, and the change applies to exactly those.

use std::collections::HashSet;
use std::time::Instant;

use crate::domain::change::{Filter, Frozen};
use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::{JobRow, PageRequest};
use crate::domain::mutation::Verb;
use crate::domain::time::Timestamp;
use crate::link::Link;
use crate::systems::{System, SystemError};

/// Jobs read by one call.
const PAGE: usize = 500;
/// Jobs shown in a preview.
const SAMPLES: usize = 5;

/// Reads the ids that match, page by page, resting between pages as long as a page took.
///
/// `seen` is told how many were looked at so far and answers whether to go on.
pub async fn freeze(
    link: &Link,
    system: &dyn System,
    queue: &QueueId,
    verb: Verb,
    filter: &Filter,
    mut seen: impl FnMut(u64) -> bool,
) -> Result<Frozen, SystemError> {
    let abilities = system.abilities();
    let ability = abilities
        .iter()
        .find(|ability| ability.verb == verb)
        .ok_or_else(|| SystemError::Unsupported(format!("{} cannot {} jobs", system.spec().title, verb.word())))?;
    let mut frozen = Frozen::default();
    // Jobs move between pages while they are read; nobody is to be named twice.
    let mut known: HashSet<JobId> = HashSet::new();
    for state in &filter.states {
        let mut ids = Vec::new();
        let mut page = PageRequest { cursor: None, limit: PAGE };
        loop {
            let begun = Instant::now();
            let (rows, looked, next) = match &filter.search {
                Some(search) => {
                    let step = system.search(link, queue, *state, search, page).await?;
                    (step.hits, step.scanned, step.next)
                }
                None => {
                    let answer = system.jobs(link, queue, *state, page).await?;
                    let looked = answer.rows.len() as u64;
                    (answer.rows, looked, answer.next)
                }
            };
            frozen.looked_at += looked;
            for row in rows {
                if filter.before.is_some_and(|before| !is_before(&row, before)) || !known.insert(row.id.clone()) {
                    continue;
                }
                if let Some(reason) = ability.refuses(&row) {
                    *frozen.not_eligible.entry(reason).or_default() += 1;
                    continue;
                }
                *frozen.names.entry(row.name.clone().unwrap_or_default()).or_default() += 1;
                ids.push(row.id.clone());
                if frozen.samples.len() < SAMPLES {
                    frozen.samples.push(row);
                }
            }
            let enough = filter.limit.is_some_and(|limit| frozen.len() + ids.len() >= limit);
            let Some(cursor) = next else { break };
            if enough || !seen(frozen.looked_at) {
                break;
            }
            page = PageRequest { cursor: Some(cursor), limit: PAGE };
            tokio::time::sleep(begun.elapsed()).await;
        }
        if let Some(limit) = filter.limit {
            ids.truncate(limit - frozen.len().min(limit));
        }
        if !ids.is_empty() {
            frozen.commands.extend(system.preview(link, queue, verb, *state, &ids).await?);
            frozen.groups.push((*state, ids));
        }
    }
    Ok(frozen)
}

/// Whether the job ended, or if it has not ended was added, before a moment. Unknown times do not match: an age limit
/// is there to spare the young.
fn is_before(row: &JobRow, before: Timestamp) -> bool {
    row.finished_at.or(row.created_at).is_some_and(|time| time < before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::state::{StateId, StateKind};

    #[test]
    fn an_age_limit_spares_jobs_of_unknown_age() {
        let mut row = JobRow::bare("1", StateId("failed"), StateKind::Failed);
        assert!(!is_before(&row, Timestamp(10)));
        row.created_at = Some(Timestamp(5));
        assert!(is_before(&row, Timestamp(10)));
        row.finished_at = Some(Timestamp(10));
        assert!(!is_before(&row, Timestamp(10)));
    }
}
