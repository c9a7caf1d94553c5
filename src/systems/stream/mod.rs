//! Streams with consumer groups: each group of each stream is a queue, `STREAM/GROUP`.
//!
//! Waiting is the group's lag, pending what was delivered and not acknowledged; acknowledged entries stay in the stream
//! until it is trimmed and are history. A stream without a group is shown by its length alone. `NAME:dead` is taken for
//! the place of entries of NAME that were given up. Observed on Redis 7.0.15.

mod add;
mod consume;
mod detail;
mod info;
mod mutate;
mod names;
mod pages;
mod read;
mod records;
mod sample;
mod why;
mod workers;

use super::consume::Consume;
use super::{Answer, Instance, Memo, ReadError, ScanPass, Sighting, System, SystemSpec, unsupported};
use crate::domain::caps::Caps;
use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::{Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use crate::domain::mutation::{Ability, Mutation, Outcome};
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::{StateId, StateKind, StateSpec};
use crate::domain::worker::Worker;
use crate::link::{Batch, Link, Replies};

const WAITING: StateId = StateId("waiting");
const PENDING: StateId = StateId("pending");
const DEAD: StateId = StateId("dead");
const ENTRIES: StateId = StateId("entries");

/// States of a group. Entries are all the stream has, delivered or not.
const STATES: &[StateSpec] = &[
    StateSpec::new(WAITING.0, "Waiting", StateKind::Waiting, 'W'),
    StateSpec::new(PENDING.0, "Pending", StateKind::Active, 'A'),
    StateSpec::new(DEAD.0, "Dead", StateKind::Dead, 'D'),
    StateSpec::new(ENTRIES.0, "Entries", StateKind::Other, 'E'),
];

static SPEC: SystemSpec = SystemSpec {
    name: "stream",
    title: "Stream",
    states: STATES,
    caps: Caps::LIST
        .union(Caps::DETAIL)
        .union(Caps::WORKERS)
        .union(Caps::RETRY)
        .union(Caps::REMOVE)
        .union(Caps::DRAIN)
        .union(Caps::ENQUEUE)
        .union(Caps::CONSUME),
    scans: &[ScanPass { pattern: "*", kind: Some("stream") }],
};

fn state_kind(state: StateId) -> StateKind {
    STATES.iter().find(|spec| spec.id == state).map_or(StateKind::Other, |spec| spec.kind)
}

/// The adapter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stream;

impl System for Stream {
    fn spec(&self) -> &'static SystemSpec {
        &SPEC
    }

    fn recognise(&self, key: &[u8]) -> Option<Sighting> {
        let place = names::Place { stream: key.to_vec(), group: None };
        Some(Sighting::Queue(QueueId::new(SPEC.name, "", place.name())))
    }

    fn plan(&self, instance: &Instance, memo: &Memo, batch: &mut Batch) {
        sample::plan(instance, memo, batch);
    }

    fn read(
        &self,
        instance: &Instance,
        memo: &mut Memo,
        replies: &mut Replies<'_>,
    ) -> Result<InstanceSample, ReadError> {
        sample::read(instance, memo, replies)
    }

    fn jobs<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        page: PageRequest,
    ) -> Answer<'a, Page<JobRow>> {
        Box::pin(async move {
            let found = pages::page(link, queue, state, &page).await?;
            Ok(Page { rows: found.rows, next: found.next, total: found.total })
        })
    }

    fn job<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        id: &'a JobId,
        payload_limit: u64,
    ) -> Answer<'a, Option<Job>> {
        Box::pin(detail::job(link, queue, id, payload_limit))
    }

    fn search<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        search: &'a Search,
        page: PageRequest,
    ) -> Answer<'a, SearchStep> {
        Box::pin(async move { pages::search(link, queue, state, search, &page).await })
    }

    fn workers<'a>(&'a self, link: &'a Link, instance: &'a Instance, _: Option<&'a str>) -> Answer<'a, Vec<Worker>> {
        Box::pin(workers::workers(link, instance))
    }

    fn schedules<'a>(&'a self, _: &'a Link, _: &'a QueueId, _: PageRequest) -> Answer<'a, Page<Schedule>> {
        unsupported("listing schedules")
    }

    fn why<'a>(&'a self, link: &'a Link, queue: &'a QueueId, job: Option<&'a JobId>) -> Answer<'a, Vec<Reason>> {
        Box::pin(async move {
            match job {
                Some(id) => why::job(link, queue, id).await,
                None => why::queue(link, queue).await,
            }
        })
    }

    fn abilities(&self) -> &'static [Ability] {
        mutate::ABILITIES
    }

    fn mutate<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Outcome> {
        Box::pin(mutate::mutate(link, mutation))
    }

    fn locate<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<StateId>>> {
        Box::pin(records::locate(link, queue, ids))
    }

    fn confirm<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Vec<Option<bool>>> {
        Box::pin(records::confirm(link, mutation))
    }

    fn record<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        Box::pin(records::take(link, queue, ids))
    }

    fn only_appends(&self) -> bool {
        true
    }

    fn restore<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        records: &'a [Record],
        again: bool,
    ) -> Answer<'a, Outcome> {
        Box::pin(records::restore(link, queue, records, again))
    }

    fn consumer(&self) -> Option<&dyn Consume> {
        Some(self)
    }
}
