//! Failed and dead jobs of all queues, grouped by what their errors have in common.

use std::collections::HashMap;

use super::rows::{total, wanted};
use super::{Asker, Failure, split};
use crate::domain::fetch::{FailureGroup, FailureReport, QueuedRow};
use crate::domain::fingerprint::fingerprint;
use crate::domain::ids::{JobRef, QueueId};
use crate::domain::snapshot::Snapshot;
use crate::domain::state::StateKind;
use crate::link::Link;

/// Job names told of one group at most.
const NAMES: usize = 10;
/// Ended jobs of one queue whose results are judged.
const JUDGED: usize = 100;
/// Those of all queues together.
const JUDGED_IN_ALL: usize = 1_000;
/// Jobs looked at in all, whatever the window of a queue.
const LOOKED_AT: usize = 50_000;

impl Asker {
    /// Groups the newest `window` failures of each queue.
    pub(super) async fn failures(
        &self,
        link: &Link,
        snapshot: &Snapshot,
        window: usize,
    ) -> Result<FailureReport, Failure> {
        let kinds = [StateKind::Failed, StateKind::Dead];
        let mut places = wanted(snapshot, &kinds, window, LOOKED_AT);
        // By a convention a success may be a failure in truth; the newest of each such queue are looked through too.
        let ended = wanted(snapshot, &[StateKind::Completed], window.min(JUDGED), JUDGED_IN_ALL);
        let counted = places.len();
        places.extend(ended.into_iter().filter(|place| {
            self.system(&place.queue).is_ok_and(|system| system.results_may_be_failures(&place.queue))
        }));
        let judged = places.len() > counted;
        let results = self.rows_of(link, places).await;
        let (read, failed) = split(results, "failed jobs", snapshot)?;
        let rows: Vec<QueuedRow> = read
            .into_iter()
            .flat_map(|(queue, rows)| rows.into_iter().map(move |row| QueuedRow { queue: queue.clone(), row }))
            .filter(|queued| queued.row.kind.is_bad())
            .collect();
        Ok(FailureReport {
            looked_at: rows.len() as u64,
            total: if judged { None } else { total(snapshot, &kinds) },
            window,
            groups: group(rows),
            failed,
        })
    }
}

/// Groups jobs by the fingerprint of their error; the largest group first.
fn group(mut rows: Vec<QueuedRow>) -> Vec<FailureGroup> {
    // Newest first; jobs without a time last, in the order they came.
    rows.sort_by_key(|queued| std::cmp::Reverse(queued.row.finished_at));
    let mut order: Vec<String> = Vec::new();
    let mut jobs: HashMap<String, Vec<QueuedRow>> = HashMap::new();
    for queued in rows {
        let print = fingerprint(queued.row.error.as_deref().unwrap_or_default());
        let group = jobs.entry(print.clone()).or_default();
        if group.is_empty() {
            order.push(print);
        }
        group.push(queued);
    }
    let mut groups: Vec<FailureGroup> = order
        .into_iter()
        .filter_map(|print| {
            let jobs = jobs.remove(&print)?;
            let newest = jobs.first()?;
            Some(FailureGroup {
                sample_error: newest.row.error.clone().unwrap_or_default(),
                count: jobs.len() as u64,
                first_seen: jobs.iter().filter_map(|queued| queued.row.finished_at).min(),
                last_seen: jobs.iter().filter_map(|queued| queued.row.finished_at).max(),
                queues: most_frequent(jobs.iter().map(|queued| &queued.queue)),
                job_names: names(&jobs),
                sample: JobRef { queue: newest.queue.clone(), id: newest.row.id.clone() },
                fingerprint: print,
                jobs,
            })
        })
        .collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.count), std::cmp::Reverse(group.last_seen)));
    groups
}

fn most_frequent<'a>(queues: impl Iterator<Item = &'a QueueId>) -> Vec<(QueueId, u64)> {
    let mut counts: HashMap<&QueueId, u64> = HashMap::new();
    for queue in queues {
        *counts.entry(queue).or_default() += 1;
    }
    let mut counts: Vec<(QueueId, u64)> = counts.into_iter().map(|(queue, count)| (queue.clone(), count)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}

fn names(jobs: &[QueuedRow]) -> Vec<String> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for name in jobs.iter().filter_map(|queued| queued.row.name.as_deref()) {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    counts.into_iter().take(NAMES).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::JobRow;
    use crate::domain::state::StateId;
    use crate::domain::time::Timestamp;

    fn failed(queue: &str, id: &str, name: &str, error: Option<&str>, at: i64) -> QueuedRow {
        let mut row = JobRow::bare(id, StateId("failed"), StateKind::Failed);
        row.error = error.map(str::to_owned);
        row.name = Some(name.to_owned());
        row.finished_at = Some(Timestamp(at));
        QueuedRow { queue: QueueId::new("x", "", queue), row }
    }

    #[test]
    fn failures_of_one_cause_are_one_group_over_all_queues() {
        let groups = group(vec![
            failed("a", "1", "mail", Some("timeout after 30ms"), 100),
            failed("b", "2", "pdf", Some("timeout after 900ms"), 300),
            failed("b", "3", "pdf", Some("timeout after 1ms"), 200),
            failed("a", "4", "mail", Some("mailbox full"), 400),
            failed("a", "5", "mail", None, 50),
        ]);
        assert_eq!(groups.len(), 3);
        let first = &groups[0];
        assert_eq!((first.fingerprint.as_str(), first.count), ("timeout after <n>ms", 3));
        assert_eq!(first.sample_error, "timeout after 900ms", "the newest is the sample");
        assert_eq!(first.sample.id.to_text(), "2");
        assert_eq!((first.first_seen, first.last_seen), (Some(Timestamp(100)), Some(Timestamp(300))));
        let queues: Vec<_> = first.queues.iter().map(|(queue, count)| (queue.name.to_text(), *count)).collect();
        assert_eq!(queues, [("b".to_owned(), 2), ("a".to_owned(), 1)]);
        assert_eq!(first.job_names, ["pdf", "mail"]);
        let ids: Vec<_> = first.jobs.iter().map(|queued| queued.row.id.to_text()).collect();
        assert_eq!(ids, ["2", "3", "1"]);
        assert_eq!(groups[1].fingerprint, "mailbox full", "of equal size the later comes first");
        assert_eq!(groups[2].fingerprint, "(no error text)");
    }
}
