//! Rows from many queues: running jobs, scheduled jobs, a job looked for everywhere.

use futures_util::{StreamExt, stream};

use super::{AT_ONCE, Asker, Failure, LONGEST_PAGE, PAGE, split};
use crate::domain::caps::Caps;
use crate::domain::fetch::{Many, QueuedRow, ScheduledItem, ScheduledRow};
use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::{JobRow, PageRequest, Schedule};
use crate::domain::queue::Count;
use crate::domain::snapshot::Snapshot;
use crate::domain::state::{StateId, StateKind};
use crate::link::Link;
use crate::systems::SystemError;

/// Schedules read of one queue at most.
const SCHEDULES: usize = 500;

/// A state of a queue with as many of its jobs as are wanted.
pub(super) struct Wanted {
    pub queue: QueueId,
    pub states: Vec<(StateId, usize)>,
}

/// The states of these kinds that hold jobs, or may: at most `each` jobs of a queue, `all` together.
pub(super) fn wanted(snapshot: &Snapshot, kinds: &[StateKind], each: usize, all: usize) -> Vec<Wanted> {
    let mut left = all;
    let mut found = Vec::new();
    for (instance, queue) in snapshot.queues() {
        let mut of_queue = each.min(left);
        let mut states = Vec::new();
        for state in instance.states.iter().filter(|state| kinds.contains(&state.kind)) {
            let many = match queue.count(state.id) {
                // Counted as of a moment ago: a few may have come since.
                Count::Exact(0) => 0,
                Count::Exact(count) => usize::try_from(count).unwrap_or(usize::MAX).saturating_add(PAGE).min(of_queue),
                _ => of_queue,
            };
            if many > 0 {
                states.push((state.id, many));
                let counted = queue.count(state.id).value().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
                of_queue -= counted.min(many);
                left -= counted.min(left);
            }
        }
        if !states.is_empty() {
            found.push(Wanted { queue: queue.id.clone(), states });
        }
    }
    found
}

/// Sum over all queues of the states of these kinds; `None` if one of them is not known exactly.
pub(super) fn total(snapshot: &Snapshot, kinds: &[StateKind]) -> Option<u64> {
    let counts = snapshot.queues().flat_map(|(instance, queue)| {
        instance.states.iter().filter(|state| kinds.contains(&state.kind)).map(|state| queue.count(state.id))
    });
    let mut sum = 0_u64;
    for count in counts {
        let Count::Exact(count) = count else { return None };
        sum = sum.saturating_add(count);
    }
    Some(sum)
}

impl Asker {
    /// Pages of one state until `limit` rows or the end.
    pub(super) async fn pages(
        &self,
        link: &Link,
        queue: &QueueId,
        state: StateId,
        limit: usize,
    ) -> Result<Vec<JobRow>, SystemError> {
        let system = self.system(queue)?;
        let mut rows = Vec::new();
        let mut cursor = None;
        while rows.len() < limit {
            let page = PageRequest { cursor, limit: (limit - rows.len()).min(PAGE) };
            let page = system.jobs(link, queue, state, page).await?;
            rows.extend(page.rows);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        rows.truncate(limit);
        Ok(rows)
    }

    /// All wanted states, several queues at a time.
    pub(super) async fn rows_of(
        &self,
        link: &Link,
        wanted: Vec<Wanted>,
    ) -> Vec<(QueueId, Result<Vec<JobRow>, SystemError>)> {
        stream::iter(wanted)
            .map(|Wanted { queue, states }| async move {
                let mut rows = Vec::new();
                for (state, limit) in states {
                    match self.pages(link, &queue, state, limit).await {
                        Ok(more) => rows.extend(more),
                        Err(error) => return (queue, Err(error)),
                    }
                }
                (queue, Ok(rows))
            })
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    /// Active jobs of all queues, the longest running first.
    pub(super) async fn running(
        &self,
        link: &Link,
        snapshot: &Snapshot,
        limit: usize,
    ) -> Result<Many<QueuedRow>, Failure> {
        let kinds = [StateKind::Active];
        let results = self.rows_of(link, wanted(snapshot, &kinds, limit, limit)).await;
        let (read, failed) = split(results, "active jobs", snapshot)?;
        let mut rows: Vec<QueuedRow> = read
            .into_iter()
            .flat_map(|(queue, rows)| rows.into_iter().map(move |row| QueuedRow { queue: queue.clone(), row }))
            .collect();
        rows.sort_by_key(|queued| (queued.row.started_at.is_none(), queued.row.started_at));
        rows.truncate(limit);
        Ok(Many { rows, total: total(snapshot, &kinds), failed })
    }

    /// Jobs with a time and rules that make jobs, soonest first.
    pub(super) async fn scheduled(
        &self,
        link: &Link,
        snapshot: &Snapshot,
        limit: usize,
    ) -> Result<Many<ScheduledRow>, Failure> {
        let kinds = [StateKind::Scheduled, StateKind::Retrying];
        let results = self.rows_of(link, wanted(snapshot, &kinds, limit, usize::MAX)).await;
        let (read, mut failed) = split(results, "scheduled jobs", snapshot)?;
        let with_rules: Vec<QueueId> = snapshot
            .queues()
            .filter(|(instance, _)| instance.caps.contains(Caps::SCHEDULES))
            .map(|(_, queue)| queue.id.clone())
            .collect();
        let results = stream::iter(with_rules)
            .map(|queue| async move {
                let schedules = self.schedules(link, &queue).await;
                (queue, schedules)
            })
            .buffered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let (schedules, failed_too) = split(results, "schedules", snapshot)?;
        for (queue, reason) in failed_too {
            if failed.iter().all(|(known, _)| *known != queue) {
                failed.push((queue, reason));
            }
        }
        let rules = schedules.iter().map(|(_, rules)| rules.len() as u64).sum::<u64>();
        let jobs = read.into_iter().flat_map(|(queue, rows)| {
            rows.into_iter().map(move |row| ScheduledRow { queue: queue.clone(), item: ScheduledItem::Job(row) })
        });
        let rules_rows = schedules.into_iter().flat_map(|(queue, rules)| {
            rules
                .into_iter()
                .map(move |rule| ScheduledRow { queue: queue.clone(), item: ScheduledItem::Schedule(rule) })
        });
        let mut rows: Vec<ScheduledRow> = jobs.chain(rules_rows).collect();
        rows.sort_by_key(|row| (row.next_run().is_none(), row.next_run()));
        Ok(Many { rows, total: total(snapshot, &kinds).map(|jobs| jobs + rules), failed })
    }

    async fn schedules(&self, link: &Link, queue: &QueueId) -> Result<Vec<Schedule>, SystemError> {
        let system = self.system(queue)?;
        let mut rules = Vec::new();
        let mut cursor = None;
        while rows_left(&rules) {
            let page = system.schedules(link, queue, PageRequest { cursor, limit: PAGE.min(LONGEST_PAGE) }).await?;
            rules.extend(page.rows);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(rules)
    }

    /// A job of that id in any queue.
    pub(super) async fn find(&self, link: &Link, snapshot: &Snapshot, id: &JobId) -> Result<Vec<QueuedRow>, Failure> {
        let queues: Vec<QueueId> = snapshot
            .queues()
            .filter(|(instance, _)| instance.caps.contains(Caps::DETAIL))
            .map(|(_, queue)| queue.id.clone())
            .collect();
        let results = stream::iter(queues)
            .map(|queue| async move {
                let found = match self.system(&queue) {
                    Ok(system) => system.job(link, &queue, id, 0).await,
                    Err(error) => Err(error),
                };
                (queue, found)
            })
            .buffered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        // A queue that cannot be searched is no reason to hide a job found elsewhere.
        let (read, _) = split(results, &format!("job {id}"), snapshot)?;
        Ok(read.into_iter().filter_map(|(queue, job)| Some(QueuedRow { queue, row: job?.row })).collect())
    }
}

fn rows_left(rules: &[Schedule]) -> bool {
    rules.len() < SCHEDULES
}
