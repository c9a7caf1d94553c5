//! Horizon: Laravel's own keeper of workers, with what it notes of jobs, tags and run times under a prefix of its own.
//!
//! Observed with Horizon 5.22.1 on Laravel 8.83 (whole application), read for 5.29. What it notes is an overlay of the
//! application's queues, and it forgets: pending jobs after an hour, failed ones after a week. Counts of waiting jobs
//! are therefore the queues' own, and here nothing is counted as waiting or running a second time. Failed jobs count
//! as failed only where no database of the application is described that tells of the same ones.

mod lists;
mod metrics;
mod notes;
mod retry;
mod sample;
mod tags;
mod why;
mod works;

use std::sync::Arc;

use crate::domain::caps::Caps;
use crate::domain::described::Application;
use crate::domain::ids::{InstanceId, JobId, Name, QueueId, SystemName};
use crate::domain::job::{Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use crate::domain::mutation::{Ability, Change, Mutation, Outcome, Target, Verb};
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::{StateId, StateKind, StateSpec};
use crate::domain::worker::{Worker, WorkerOrder};
use crate::link::{Batch, Link, Replies};
use crate::systems::record::Guard;
use crate::systems::{
    Answer, Instance, Memo, ReadError, ScanPass, Sighting, System, SystemError, SystemSpec, record, unsupported,
};

use super::Laravel;
use super::keys::horizon_prefixes;

pub use metrics::{Measured, figures, milliseconds, wait_seconds};
pub use notes::{is_retried, pushed, removed};
pub use retry::names_by_uuid;
pub use works::{SUPERVISOR_SECONDS, candidates, find, order, pools, workers};

/// Name in addresses and configuration.
pub const NAME: SystemName = "horizon";

const RECENT: StateId = StateId("recent");
const PENDING: StateId = StateId("pending");
const COMPLETED: StateId = StateId("completed");
const FAILED: StateId = StateId("failed");
const SILENCED: StateId = StateId("silenced");
const MONITORED: StateId = StateId("monitored");
const TAGS: StateId = StateId("tags");
const METRICS: StateId = StateId("metrics");

/// Its states where nothing else tells of failed jobs.
const STATES: &[StateSpec] = &states(StateKind::Failed);
/// Likewise where the application's database tells of the same ones.
const BESIDE_A_DATABASE: &[StateSpec] = &states(StateKind::Other);

const fn states(failed: StateKind) -> [StateSpec; 8] {
    [
        StateSpec::new(RECENT.0, "Recent", StateKind::Other, 'R'),
        StateSpec::new(PENDING.0, "Pending", StateKind::Other, 'P'),
        StateSpec::new(COMPLETED.0, "Completed", StateKind::Completed, 'C').or_short("Done"),
        StateSpec::new(FAILED.0, "Failed", failed, 'F'),
        StateSpec::new(SILENCED.0, "Silenced", StateKind::Completed, 'S').or_short("Silent"),
        StateSpec::new(MONITORED.0, "Monitored", StateKind::Other, 'O').or_short("Monitor"),
        StateSpec::new(TAGS.0, "Tags", StateKind::Other, 'T'),
        StateSpec::new(METRICS.0, "Metrics", StateKind::Other, 'M'),
    ]
}

static SPEC: SystemSpec = SystemSpec {
    name: NAME,
    title: "Horizon",
    states: STATES,
    caps: Caps::LIST.union(Caps::DETAIL).union(Caps::WORKERS).union(Caps::REMOVE).union(Caps::RETRY).union(Caps::PAUSE),
    // Another system makes this pass anyway, and the names are told apart here.
    scans: &[ScanPass { pattern: "*", kind: Some("zset") }],
};

/// Sorted sets by which a Horizon is recognised.
const SIGHTS: [&[u8]; 6] =
    [b"masters", b"supervisors", b"recent_jobs", b"completed_jobs", b"failed_jobs", b"pending_jobs"];

/// How Horizon's prefix ends unless somebody gave it another.
const ENDING: &[u8] = b"horizon:";

const fn ability(verb: Verb, states: &'static [StateId], says: &'static str) -> Ability {
    Ability { verb, states, says, nanos_per_listed: 0, resets: false }
}

static ABILITIES: &[Ability] = &[
    ability(
        Verb::Retry,
        &[FAILED],
        "Runs again in the application's queue. Where its row in the application's failed_jobs is found, that is claimed first, so that it never runs twice; else it gets a new id as by Horizon's own dashboard, which keeps a note of it.",
    ),
    ability(
        Verb::Remove,
        &[FAILED],
        "Horizon forgets the failed job, as its own `horizon:forget` does. A row in the application's failed_jobs stays.",
    ),
    ability(
        Verb::Pause,
        &[],
        "Every master finds the order in its list within a second or two, and its supervisors take no further job; running ones end.",
    ),
    ability(Verb::Resume, &[], "Every master finds the order in its list, and its supervisors take jobs again."),
    ability(
        Verb::Signal,
        &[],
        "Masters or supervisors find the order in their lists within a second or two. A master that is terminated comes back only by its process manager.",
    ),
];

/// The adapter, set up with what the configuration tells about applications.
pub struct Horizon {
    laravel: Arc<Laravel>,
}

impl Horizon {
    /// Beside the queues of the applications.
    pub fn new(laravel: Arc<Laravel>) -> Self {
        Self { laravel }
    }

    /// The state table of an instance: with a database described, failed jobs are counted there.
    fn states(&self, instance: &InstanceId) -> &'static [StateSpec] {
        let prefix = instance.name.as_bytes();
        let is_its = |application: &&Application| match (&application.horizon_prefix, &application.prefix) {
            (Some(own), _) => own.as_bytes() == prefix,
            (None, Some(other)) => horizon_prefixes(other.as_bytes()).iter().any(|likely| likely == prefix),
            (None, None) => true,
        };
        let described =
            self.laravel.descriptions().find(is_its).is_some_and(|application| application.failed.is_some());
        if described { BESIDE_A_DATABASE } else { STATES }
    }

    fn kind(&self, queue: &QueueId, state: StateId) -> StateKind {
        self.states(&queue.instance).iter().find(|spec| spec.id == state).map_or(StateKind::Other, |spec| spec.kind)
    }
}

/// The one queue of a Horizon, named by the word its prefix begins with: `shop` of `shop_horizon:`.
fn queue_of(prefix: &[u8]) -> QueueId {
    let bare = prefix.strip_suffix(ENDING).filter(|word| !word.is_empty()).unwrap_or(prefix);
    let end = bare.iter().rposition(|byte| !b"_-:{}".contains(byte)).map_or(bare.len(), |at| at + 1);
    let start = bare[..end].iter().position(|byte| *byte != b'{').unwrap_or(0);
    QueueId::new(NAME, Name::from(prefix), Name::from(&bare[start..end]))
}

fn key(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    [prefix, name].concat()
}

impl System for Horizon {
    fn spec(&self) -> &'static SystemSpec {
        &SPEC
    }

    fn recognise(&self, key: &[u8]) -> Option<Sighting> {
        let prefix = SIGHTS.iter().find_map(|name| key.strip_suffix(*name))?;
        let described =
            |application: &Application| application.horizon_prefix.as_ref().is_some_and(|own| own.as_bytes() == prefix);
        let known = prefix.ends_with(ENDING) || self.laravel.descriptions().any(described);
        known.then(|| Sighting::Queue(queue_of(prefix)))
    }

    fn plan(&self, instance: &Instance, memo: &Memo, batch: &mut Batch) {
        sample::plan(instance, memo.peek(), batch);
    }

    fn read(
        &self,
        instance: &Instance,
        memo: &mut Memo,
        replies: &mut Replies<'_>,
    ) -> Result<InstanceSample, ReadError> {
        let states = self.states(&instance.id);
        let now = memo.server_time;
        let queues = sample::read(instance, states, memo.own(), now, replies)?;
        Ok(InstanceSample { id: instance.id.clone(), states, caps: SPEC.caps, caps_reason: None, queues, error: None })
    }

    fn jobs<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        page: PageRequest,
    ) -> Answer<'a, Page<JobRow>> {
        Box::pin(async move {
            let prefix = queue.instance.name.as_bytes();
            let kind = |state| self.kind(queue, state);
            match state {
                TAGS => tags::page(link, prefix, &page).await,
                METRICS => metrics::page(link, prefix, &page).await,
                _ => lists::page(link, prefix, state, &kind, &page).await,
            }
        })
    }

    fn job<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        id: &'a JobId,
        payload_limit: u64,
    ) -> Answer<'a, Option<Job>> {
        Box::pin(async move {
            let prefix = queue.instance.name.as_bytes();
            if let Some(tag) = tags::of_id(id) {
                return tags::open(link, prefix, id, tag, payload_limit).await;
            }
            if let Some(measured) = Measured::of_id(id) {
                return metrics::open(link, prefix, id, &measured, payload_limit).await;
            }
            lists::open(link, prefix, &|state| self.kind(queue, state), id, payload_limit).await
        })
    }

    fn search<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        search: &'a Search,
        page: PageRequest,
    ) -> Answer<'a, SearchStep> {
        Box::pin(async move {
            let prefix = queue.instance.name.as_bytes();
            let whole = match state {
                TAGS => tags::page(link, prefix, &page).await?,
                METRICS => metrics::page(link, prefix, &page).await?,
                _ => return lists::search(link, prefix, state, &|state| self.kind(queue, state), search, &page).await,
            };
            let scanned = whole.rows.len() as u64;
            let hits = whole.rows.into_iter().filter(|row| super::jobs::matches(row, &[], search)).collect();
            Ok(SearchStep { hits, scanned, next: whole.next, total: whole.total })
        })
    }

    fn workers<'a>(&'a self, link: &'a Link, instance: &'a Instance, _: Option<&'a str>) -> Answer<'a, Vec<Worker>> {
        Box::pin(async move {
            let mut found = workers(link, instance.id.name.as_bytes(), &instance.id).await?;
            // The queues they serve are the application's, not Horizon's; the evidence names them.
            found.iter_mut().for_each(|worker| worker.queues.clear());
            Ok(found)
        })
    }

    fn schedules<'a>(&'a self, _: &'a Link, _: &'a QueueId, _: PageRequest) -> Answer<'a, Page<Schedule>> {
        unsupported("listing schedules")
    }

    fn why<'a>(&'a self, link: &'a Link, queue: &'a QueueId, job: Option<&'a JobId>) -> Answer<'a, Vec<Reason>> {
        Box::pin(async move {
            let prefix = queue.instance.name.as_bytes();
            match job {
                Some(id) => why::job(link, prefix, id).await,
                None => why::whole(link, prefix).await,
            }
        })
    }

    fn abilities(&self) -> &'static [Ability] {
        ABILITIES
    }

    fn mutate<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let prefix = mutation.queue.instance.name.as_bytes();
            let told = |order| works::order(link, prefix, order, &[]);
            match (&mutation.change, &mutation.target) {
                (Change::Remove { .. }, Target::Jobs { state: FAILED, ids }) => notes::forget(link, prefix, ids).await,
                (Change::Retry { .. }, Target::Jobs { state: FAILED, ids }) => {
                    retry::retry(&self.laravel, link, prefix, ids, mutation.force).await
                }
                (Change::Pause, Target::Queue) => whole(mutation, told(WorkerOrder::Pause).await?),
                (Change::Resume, Target::Queue) => whole(mutation, told(WorkerOrder::Continue).await?),
                (Change::Signal { order, workers }, Target::Queue) => works::order(link, prefix, *order, workers).await,
                (change, _) => Err(SystemError::Unsupported(format!(
                    "{} is not possible for what Horizon notes; look for the job in its Laravel queue",
                    change.verb().word()
                ))),
            }
        })
    }

    fn locate<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<StateId>>> {
        Box::pin(lists::locate(link, queue.instance.name.as_bytes(), ids))
    }

    fn record<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        Box::pin(notes::take(link, queue.instance.name.as_bytes(), ids))
    }

    fn restore<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        records: &'a [Record],
        again: bool,
    ) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let base = key(queue.instance.name.as_bytes(), b"failed_jobs");
            // A job whose hash had expired when it was deleted has no key to go by.
            let whole = records.iter().all(|record| !record.keys.is_empty());
            let guard = if whole { Guard::OwnKey } else { Guard::without_key(again) };
            record::restore(link, &base, records, guard).await
        })
    }
}

/// An order to all masters is one change of the whole; without a master nobody takes it.
fn whole(mutation: &Mutation, told: Outcome) -> Result<Outcome, SystemError> {
    if told.done.is_empty() {
        return Err(SystemError::Unsupported("no master of this Horizon is running that could take the order".into()));
    }
    Ok(Outcome { done: vec![mutation.queue.name.clone()], ..Outcome::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn horizon(applications: &[Application]) -> Horizon {
        Horizon::new(Arc::new(Laravel::new(applications)))
    }

    #[test]
    fn a_horizon_is_recognised_by_its_lists_and_named_after_its_application() {
        let horizon = horizon(&[Application { horizon_prefix: Some("desk:".to_owned()), ..Default::default() }]);
        let named = |key: &str| match horizon.recognise(key.as_bytes()) {
            Some(Sighting::Queue(queue)) => Some((queue.instance.name.to_text(), queue.name.to_text())),
            _ => None,
        };
        let is = |prefix: &str, name: &str| Some((prefix.to_owned(), name.to_owned()));
        assert_eq!(named("shop_horizon:masters"), is("shop_horizon:", "shop"));
        assert_eq!(named("shop-horizon:recent_jobs"), is("shop-horizon:", "shop"));
        assert_eq!(named("horizon:failed_jobs"), is("horizon:", "horizon"));
        assert_eq!(named("{shop}_horizon:masters"), is("{shop}_horizon:", "shop"));
        assert_eq!(named("desk:supervisors"), is("desk:", "desk"));
        for other in ["app:failed_jobs", "shop_horizon:user:7", "shop_horizon:monitored", "masters"] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn failed_jobs_count_once_where_a_database_tells_of_them() {
        let instance = |prefix: &str| InstanceId { system: NAME, name: prefix.into() };
        let failed = |horizon: &Horizon, prefix: &str| {
            horizon.states(&instance(prefix)).iter().find(|spec| spec.id == FAILED).map(|spec| spec.kind)
        };
        let with_store = Application {
            prefix: Some("shop_database_".to_owned()),
            failed: Some(Default::default()),
            ..Default::default()
        };
        let described = horizon(&[with_store]);
        assert_eq!(failed(&described, "shop_horizon:"), Some(StateKind::Other));
        assert_eq!(failed(&described, "desk_horizon:"), Some(StateKind::Failed));
        assert_eq!(failed(&horizon(&[]), "shop_horizon:"), Some(StateKind::Failed));
    }
}
