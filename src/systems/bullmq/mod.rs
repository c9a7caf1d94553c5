//! BullMQ 4, 5 and 6: queues, jobs, flows and schedulers of the Node, Python, Elixir, PHP and Rust libraries.
//!
//! Facts come from watching the library on live servers; where versions differ, reading is right for all of them at
//! once, because nothing in Redis tells which version the workers run. Changes are own scripts, one for each transition.
//! What reads keys that Bull lays out alike serves [`super::bull`], too.

pub(super) mod calls;
pub(super) mod confirm;
mod consume;
pub(super) mod detail;
mod facts;
mod family;
pub(super) mod jobs;
pub(super) mod keys;
mod kin;
pub(super) mod membership;
mod memo;
mod mutate;
pub(super) mod plan;
mod progress;
pub(super) mod records;
pub(super) mod rows;
pub(super) mod sample;
pub(super) mod schedules;
pub(super) mod search;
mod tally;
mod version;
mod warnings;
mod why;
pub(super) mod workers;

use crate::domain::caps::Caps;
use crate::domain::ids::{JobId, Name, QueueId, SystemName};
use crate::domain::job::{Blob, Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use crate::domain::mutation::{Ability, Mutation, Outcome};
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::{StateId, StateKind, StateSpec};
use crate::domain::worker::Worker;
use crate::link::{Batch, Link, Replies, cmd};

use super::consume::Consume;
use super::{Answer, Instance, Memo, ReadError, ScanPass, Sighting, System, SystemSpec};
use confirm::Signs;
use keys::Keys;

/// Name in addresses and configuration.
pub const NAME: SystemName = "bullmq";

/// States by BullMQ's own words.
pub mod state {
    use crate::domain::state::StateId;

    /// `wait`, and `paused` where a pause moved the jobs there.
    pub const WAITING: StateId = StateId("waiting");
    /// Waiting with a priority; taken after all that wait without one.
    pub const PRIORITIZED: StateId = StateId("prioritized");
    /// Running.
    pub const ACTIVE: StateId = StateId("active");
    /// Scheduled for later; also failed jobs in back-off.
    pub const DELAYED: StateId = StateId("delayed");
    /// Parents of a flow whose children are not finished.
    pub const WAITING_CHILDREN: StateId = StateId("waiting-children");
    /// Ended well.
    pub const COMPLETED: StateId = StateId("completed");
    /// Ended badly.
    pub const FAILED: StateId = StateId("failed");
    /// In none of the above: an orphaned record, or a job that moved while it was looked for.
    pub const UNKNOWN: StateId = StateId("unknown");
}

const STATES: &[StateSpec] = &[
    StateSpec::new(state::WAITING.0, "Waiting", StateKind::Waiting, 'W').or_short("Wait").listed(),
    StateSpec::new(state::PRIORITIZED.0, "Prioritized", StateKind::Waiting, 'P').or_short("Prio"),
    StateSpec::new(state::ACTIVE.0, "Active", StateKind::Active, 'A').listed(),
    StateSpec::new(state::DELAYED.0, "Delayed", StateKind::Scheduled, 'D').or_short("Delay"),
    StateSpec::new(state::WAITING_CHILDREN.0, "Waiting for children", StateKind::Blocked, 'B').or_short("Children"),
    StateSpec::new(state::COMPLETED.0, "Completed", StateKind::Completed, 'C').or_short("Done"),
    StateSpec::new(state::FAILED.0, "Failed", StateKind::Failed, 'F').or_short("Fail"),
];

const CAPS: Caps = Caps::LIST
    .union(Caps::DETAIL)
    .union(Caps::LOGS)
    .union(Caps::WORKERS)
    .union(Caps::SCHEDULES)
    .union(Caps::PROGRESS)
    .union(Caps::RETRY)
    .union(Caps::CANCEL)
    .union(Caps::REMOVE)
    .union(Caps::PROMOTE)
    .union(Caps::PAUSE)
    .union(Caps::DRAIN)
    .union(Caps::ENQUEUE)
    .union(Caps::CONSUME);

static SPEC: SystemSpec = SystemSpec {
    name: NAME,
    title: "BullMQ",
    states: STATES,
    caps: CAPS,
    // One pass for `:meta` and `:id`: two passes would cost the server twice.
    scans: &[ScanPass { pattern: "*:[mi][ed]*", kind: None }],
};

static SIGNS: Signs =
    Signs { alive: "meta", paused: |keys| cmd("HEXISTS").arg(keys.key("meta")).arg("paused").to_owned() };

/// The adapter.
#[derive(Clone, Copy, Debug, Default)]
pub struct BullMq;

impl System for BullMq {
    fn spec(&self) -> &'static SystemSpec {
        &SPEC
    }

    fn recognise(&self, key: &[u8]) -> Option<Sighting> {
        keys::queue_of(key).map(Sighting::Queue)
    }

    fn plan(&self, instance: &Instance, memo: &Memo, batch: &mut Batch) {
        let own = memo.peek::<memo::InstanceMemo>();
        let fresh = memo::QueueMemo::default();
        let questions = plan::questions(instance, own, memo.tick, memo.server_time);
        for (name, asks) in instance.queues.iter().zip(questions) {
            let keys = Keys::of(&instance.queue(name));
            let queue = own.and_then(|own| own.queues.get(name)).unwrap_or(&fresh);
            for ask in asks {
                batch.ask(ask.command(&keys, queue, memo.server_time));
            }
        }
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
        Box::pin(async move { jobs::page(link, queue, state, &page).await })
    }

    fn job<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        id: &'a JobId,
        payload_limit: u64,
    ) -> Answer<'a, Option<Job>> {
        Box::pin(detail::open(link, queue, id, payload_limit))
    }

    fn results<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<Blob>>> {
        Box::pin(rows::results(link, queue, ids))
    }

    fn search<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        search: &'a Search,
        page: PageRequest,
    ) -> Answer<'a, SearchStep> {
        Box::pin(async move { search::step(link, queue, state, search, &page).await })
    }

    fn workers<'a>(
        &'a self,
        link: &'a Link,
        instance: &'a Instance,
        clients: Option<&'a str>,
    ) -> Answer<'a, Vec<Worker>> {
        Box::pin(workers::list(link, instance, clients))
    }

    fn schedules<'a>(&'a self, link: &'a Link, queue: &'a QueueId, page: PageRequest) -> Answer<'a, Page<Schedule>> {
        Box::pin(async move { schedules::page(link, queue, &page).await })
    }

    fn why<'a>(&'a self, link: &'a Link, queue: &'a QueueId, job: Option<&'a JobId>) -> Answer<'a, Vec<Reason>> {
        Box::pin(why::answer(link, queue, job))
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
        Box::pin(confirm::confirm(self, &SIGNS, link, mutation))
    }

    fn record_family<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        Box::pin(kin::take(link, queue, ids))
    }

    fn record_schedules<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [Name]) -> Answer<'a, Vec<Record>> {
        Box::pin(records::take_schedules(link, queue, ids))
    }

    fn record<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        Box::pin(records::take(link, queue, ids))
    }

    fn record_queue<'a>(&'a self, link: &'a Link, queue: &'a QueueId) -> Answer<'a, Option<Record>> {
        Box::pin(records::take_queue(link, queue, &records::OWN))
    }

    fn restore<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        records: &'a [Record],
        _again: bool,
    ) -> Answer<'a, Outcome> {
        Box::pin(records::restore(link, queue, records))
    }

    fn consumer(&self) -> Option<&dyn Consume> {
        Some(self)
    }
}
