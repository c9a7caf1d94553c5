//! Laravel 8 to 13, Redis driver: queues by prefix, their pending, delayed and reserved jobs, failed jobs in the
//! application's database.
//!
//! Observed with Laravel 8.83 (whole application) and the queue of 12.67 on Redis 7.0.15. Laravel keeps no record of a
//! job beside its payload: what is popped and ends is nowhere. A job is known by its `uuid` and acted upon by its exact
//! bytes; the reserved text is the server's own re-encoding of the one that waited.

mod consume;
mod detail;
mod failed;
pub mod horizon;
mod items;
mod jobs;
mod keys;
mod memo;
mod mutate;
mod payload;
mod plan;
mod sample;
mod why;
mod workers;

use futures_util::future::BoxFuture;

use super::consume::Consume;
use super::record::{self, Guard};
use super::{Answer, Instance, Memo, ReadError, ScanPass, Sighting, System, SystemError, SystemSpec, unsupported};
use crate::domain::caps::Caps;
use crate::domain::described::Application;
use crate::domain::ids::{InstanceId, JobId, QueueId, SystemName};
use crate::domain::job::{Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use crate::domain::mutation::{Ability, Mutation, Outcome, Target};
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::{StateId, StateKind, StateSpec};
use crate::domain::worker::Worker;
use crate::link::{Batch, Link, Replies};
use failed::Failed;
use memo::LaravelMemo;

/// Name in addresses and configuration.
pub const NAME: SystemName = "laravel";

const PENDING: StateId = StateId("pending");
const DELAYED: StateId = StateId("delayed");
const RESERVED: StateId = StateId("reserved");
const FAILED: StateId = StateId("failed");

const STATES: &[StateSpec] = &[
    StateSpec::new(PENDING.0, "Pending", StateKind::Waiting, 'P').listed(),
    StateSpec::new(RESERVED.0, "Reserved", StateKind::Active, 'R'),
    StateSpec::new(DELAYED.0, "Delayed", StateKind::Scheduled, 'D'),
    StateSpec::new(FAILED.0, "Failed", StateKind::Failed, 'F'),
];

static SPEC: SystemSpec = SystemSpec {
    name: NAME,
    title: "Laravel",
    states: STATES,
    caps: Caps::LIST.union(Caps::DETAIL).union(Caps::WORKERS).union(Caps::CHANGES).union(Caps::CONSUME),
    scans: &[ScanPass { pattern: "*queues:*", kind: None }],
};

const NO_FAILED_STORE: &str = "Laravel keeps failed jobs in the application's database, not in Redis: describe it in a \
                               [[laravel]] table of the configuration, with `folder` or `failed`";

fn state_kind(state: StateId) -> StateKind {
    STATES.iter().find(|spec| spec.id == state).map_or(StateKind::Other, |spec| spec.kind)
}

/// The adapter, set up with what the configuration tells about applications.
pub struct Laravel {
    applications: Vec<(Application, Option<Failed>)>,
}

impl Laravel {
    /// For these applications; without any, all that Redis tells is shown.
    pub fn new(applications: &[Application]) -> Self {
        let with_store = |application: &Application| (application.clone(), Failed::of(application));
        Self { applications: applications.iter().map(with_store).collect() }
    }

    /// What is described of the application with that prefix; a description that names it goes before others.
    fn described_as(&self, instance: &InstanceId) -> Option<&(Application, Option<Failed>)> {
        let prefix = instance.name.as_bytes();
        let named = |application: &Application| application.prefix.as_deref().map(str::as_bytes) == Some(prefix);
        let exact = self.applications.iter().find(|(application, _)| named(application));
        exact.or_else(|| self.applications.iter().find(|(application, _)| application.holds_for(prefix)))
    }

    fn application(&self, instance: &InstanceId) -> Option<&Application> {
        self.described_as(instance).map(|(application, _)| application)
    }

    /// The application's failed jobs.
    fn failed(&self, instance: &InstanceId) -> Result<&Failed, SystemError> {
        self.described_as(instance)
            .and_then(|(_, failed)| failed.as_ref())
            .ok_or_else(|| SystemError::Unsupported(NO_FAILED_STORE.to_owned()))
    }
}

impl System for Laravel {
    fn spec(&self) -> &'static SystemSpec {
        &SPEC
    }

    fn recognise(&self, key: &[u8]) -> Option<Sighting> {
        keys::queue_of(key).map(Sighting::Queue)
    }

    fn described(&self) -> Vec<QueueId> {
        let mut queues = Vec::new();
        for (application, failed) in &self.applications {
            let Some(prefix) = application.prefix.as_deref() else { continue };
            let counted = failed.as_ref().and_then(|failed| failed.counted().queues).unwrap_or_default();
            let names = application.queues.iter().map(str::to_owned).chain(counted.into_keys());
            queues.extend(names.map(|name| QueueId::new(NAME, prefix, name)));
        }
        queues
    }

    fn is_settled(&self, memo: &Memo) -> bool {
        memo.peek::<LaravelMemo>().is_none_or(|own| own.is_settled(memo.tick))
    }

    fn plan(&self, instance: &Instance, memo: &Memo, batch: &mut Batch) {
        let application = self.application(&instance.id);
        let own = memo.peek::<LaravelMemo>();
        sample::plan(instance, application, own, (memo.tick, memo.server_time), batch);
    }

    fn read(
        &self,
        instance: &Instance,
        memo: &mut Memo,
        replies: &mut Replies<'_>,
    ) -> Result<InstanceSample, ReadError> {
        let application = self.application(&instance.id);
        let moment = (memo.tick, memo.server_time);
        let counted = self.failed(&instance.id).map(Failed::counted);
        let (counts, caps_reason) = match counted {
            Ok(counted) => (counted.queues, counted.error),
            Err(error) => (None, Some(error.to_string())),
        };
        let queues = sample::read(instance, application, counts.as_ref(), memo.own::<LaravelMemo>(), moment, replies)?;
        Ok(InstanceSample {
            id: instance.id.clone(),
            states: STATES,
            caps: SPEC.caps,
            caps_reason,
            queues,
            error: None,
        })
    }

    fn jobs<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        page: PageRequest,
    ) -> Answer<'a, Page<JobRow>> {
        Box::pin(async move {
            if state == FAILED {
                return failed::page(self.failed(&queue.instance)?, queue, &page).await;
            }
            jobs::page(link, queue, self.application(&queue.instance), state, &page).await
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
            let found = detail::open(link, queue, self.application(&queue.instance), id, payload_limit).await;
            match (found, self.failed(&queue.instance)) {
                // A job that is in Redis, or may be, is shown from there even if a row of an earlier failure is left.
                (Ok(None), Ok(failed)) => failed::open(failed, queue, id, payload_limit).await,
                (found, _) => found,
            }
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
            if state == FAILED {
                return failed::search(self.failed(&queue.instance)?, queue, search, &page).await;
            }
            jobs::search(link, queue, self.application(&queue.instance), state, search, &page).await
        })
    }

    fn workers<'a>(
        &'a self,
        link: &'a Link,
        instance: &'a Instance,
        clients: Option<&'a str>,
    ) -> Answer<'a, Vec<Worker>> {
        Box::pin(async move {
            let horizon = horizon::find(link, &instance.id, self.application(&instance.id)).await?;
            let mut found = match &horizon {
                Some(prefix) => horizon::workers(link, prefix, &instance.id).await?,
                None => Vec::new(),
            };
            // Where Horizon tells who works, connections need not be guessed from.
            let clients = clients.filter(|_| found.is_empty());
            found.extend(workers::workers(link, instance, clients).await?);
            Ok(found)
        })
    }

    fn schedules<'a>(&'a self, _: &'a Link, _: &'a QueueId, _: PageRequest) -> Answer<'a, Page<Schedule>> {
        unsupported("listing schedules")
    }

    fn why<'a>(&'a self, link: &'a Link, queue: &'a QueueId, job: Option<&'a JobId>) -> Answer<'a, Vec<Reason>> {
        Box::pin(async move {
            let application = self.application(&queue.instance);
            match job {
                Some(id) => {
                    let failed = self.failed(&queue.instance).ok();
                    let mut reasons = why::job(link, queue, application, id).await?;
                    if let (Some(failed), [only]) = (failed, reasons.as_mut_slice())
                        && only.code == "in_no_list"
                        && let Some(job) = failed::open(failed, queue, id, 0).await?
                    {
                        *only = why::failed(&job);
                    }
                    Ok(reasons)
                }
                None => why::queue(link, queue, application).await,
            }
        })
    }

    fn abilities(&self) -> &'static [Ability] {
        mutate::ABILITIES
    }

    fn mutate<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let instance = &mutation.queue.instance;
            match &mutation.target {
                Target::Jobs { state: FAILED, .. } => {
                    let horizon = horizon::find(link, instance, self.application(instance)).await?;
                    failed::mutate(self.failed(instance)?, link, horizon.as_deref(), mutation).await
                }
                _ => mutate::mutate(link, self.application(instance), mutation).await,
            }
        })
    }

    fn locate<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<StateId>>> {
        Box::pin(async move {
            let mut states = mutate::locate(link, queue, ids).await?;
            if let Ok(failed) = self.failed(&queue.instance) {
                for (id, state) in ids.iter().zip(&mut states).filter(|(_, state)| state.is_none()) {
                    *state = failed::open(failed, queue, id, 0).await?.map(|_| FAILED);
                }
            }
            Ok(states)
        })
    }

    fn record<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        Box::pin(async move {
            let mut records = mutate::take(link, queue, ids).await?;
            if let Ok(failed) = self.failed(&queue.instance) {
                records.extend(failed::take(failed, queue, ids).await?);
            }
            Ok(records)
        })
    }

    fn restore<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        records: &'a [Record],
        again: bool,
    ) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let (rows, own): (Vec<&Record>, Vec<&Record>) =
                records.iter().partition(|record| record.state == Some(FAILED));
            let own: Vec<Record> = own.into_iter().cloned().collect();
            let mut outcome = Outcome::default();
            if !own.is_empty() {
                outcome = record::restore(link, queue.name.as_bytes(), &own, Guard::without_key(again)).await?;
            }
            if !rows.is_empty() {
                outcome.absorb(failed::restore(self.failed(&queue.instance)?, &rows).await?);
            }
            Ok(outcome)
        })
    }

    fn consumer(&self) -> Option<&dyn Consume> {
        Some(self)
    }

    fn beside(&self) -> Option<BoxFuture<'_, ()>> {
        let stores: Vec<&Failed> = self.applications.iter().filter_map(|(_, failed)| failed.as_ref()).collect();
        if stores.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            futures_util::future::join_all(stores.into_iter().map(Failed::keep_counting)).await;
        }))
    }

    fn is_ready(&self) -> bool {
        self.applications.iter().filter_map(|(_, failed)| failed.as_ref()).all(Failed::is_counted)
    }
}
