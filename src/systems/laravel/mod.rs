//! Laravel 8 to 13, Redis driver: queues by prefix, their pending, delayed and reserved jobs, failed jobs in the
//! application's database.
//!
//! Observed with Laravel 8.83 (whole application) and the queue of 12.67 on Redis 7.0.15. Laravel keeps no record of a
//! job beside its payload: what is popped and ends is nowhere. A job is known by its `uuid` and acted upon by its exact
//! bytes; the reserved text is the server's own re-encoding of the one that waited.

mod detail;
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

use std::sync::Arc;

use super::{Answer, Instance, Memo, ReadError, ScanPass, Sighting, System, SystemError, SystemSpec, unsupported};
use crate::domain::caps::Caps;
use crate::domain::described::Application;
use crate::domain::ids::{InstanceId, JobId, QueueId, SystemName};
use crate::domain::job::{Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use crate::domain::mutation::{Ability, Mutation, Outcome};
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::{StateId, StateKind, StateSpec};
use crate::domain::worker::Worker;
use crate::link::{Batch, Link, Replies};
use memo::LaravelMemo;

/// Name in addresses and configuration.
pub const NAME: SystemName = "laravel";

const PENDING: StateId = StateId("pending");
const DELAYED: StateId = StateId("delayed");
const RESERVED: StateId = StateId("reserved");
const FAILED: StateId = StateId("failed");

const STATES: &[StateSpec] = &[
    StateSpec::new(PENDING.0, "Pending", StateKind::Waiting, 'P'),
    StateSpec::new(RESERVED.0, "Reserved", StateKind::Active, 'R'),
    StateSpec::new(DELAYED.0, "Delayed", StateKind::Scheduled, 'D'),
    StateSpec::new(FAILED.0, "Failed", StateKind::Failed, 'F'),
];

static SPEC: SystemSpec = SystemSpec {
    name: NAME,
    title: "Laravel",
    states: STATES,
    caps: Caps::LIST.union(Caps::DETAIL).union(Caps::WORKERS),
    scans: &[ScanPass { pattern: "*queues:*", kind: None }],
};

fn state_kind(state: StateId) -> StateKind {
    STATES.iter().find(|spec| spec.id == state).map_or(StateKind::Other, |spec| spec.kind)
}

/// The adapter, set up with what the configuration tells about applications.
pub struct Laravel {
    applications: Arc<[Application]>,
}

impl Laravel {
    /// For these applications; without any, all that Redis tells is shown.
    pub fn new(applications: &[Application]) -> Self {
        Self { applications: applications.into() }
    }

    /// What is described of the application with that prefix.
    fn application(&self, instance: &InstanceId) -> Option<&Application> {
        let prefix = instance.name.as_bytes();
        let exact = self
            .applications
            .iter()
            .find(|application| application.prefix.as_deref().map(str::as_bytes) == Some(prefix));
        exact.or_else(|| self.applications.iter().find(|application| application.holds_for(prefix)))
    }

    fn no_failed_store(&self) -> SystemError {
        SystemError::Unsupported(
            "Laravel keeps failed jobs in the application's database, not in Redis: describe it in a [[laravel]] table \
             of the configuration, with `folder` or `failed`"
                .to_owned(),
        )
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
        let named =
            self.applications.iter().filter_map(|application| Some((application.prefix.as_deref()?, application)));
        named
            .flat_map(|(prefix, application)| {
                application.queues.iter().map(move |queue| QueueId::new(NAME, prefix, queue))
            })
            .collect()
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
        let queues = sample::read(instance, application, memo.own::<LaravelMemo>(), moment, replies)?;
        let caps_reason = Some(self.no_failed_store().to_string());
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
                return Err(self.no_failed_store());
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
        Box::pin(detail::open(link, queue, self.application(&queue.instance), id, payload_limit))
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
                return Err(self.no_failed_store());
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
        Box::pin(workers::workers(link, instance, clients))
    }

    fn schedules<'a>(&'a self, _: &'a Link, _: &'a QueueId, _: PageRequest) -> Answer<'a, Page<Schedule>> {
        unsupported("listing schedules")
    }

    fn why<'a>(&'a self, link: &'a Link, queue: &'a QueueId, job: Option<&'a JobId>) -> Answer<'a, Vec<Reason>> {
        Box::pin(async move {
            let application = self.application(&queue.instance);
            match job {
                Some(id) => why::job(link, queue, application, id).await,
                None => why::queue(link, queue, application).await,
            }
        })
    }

    fn abilities(&self) -> &'static [Ability] {
        mutate::ABILITIES
    }

    fn mutate<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Outcome> {
        Box::pin(mutate::mutate(link, self.application(&mutation.queue.instance), mutation))
    }

    fn locate<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<StateId>>> {
        Box::pin(mutate::locate(link, queue, ids))
    }

    fn record<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        Box::pin(mutate::take(link, queue, ids))
    }

    fn restore<'a>(&'a self, link: &'a Link, queue: &'a QueueId, records: &'a [Record]) -> Answer<'a, Outcome> {
        Box::pin(super::record::restore(link, queue.name.as_bytes(), records, false))
    }
}
