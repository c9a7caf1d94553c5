//! Bull 3 and 4, the library before BullMQ: queues and jobs of Node programs.
//!
//! Its keys lie like BullMQ's, so rows, pages, single jobs, searches and records are read by that adapter's code. What
//! differs is here: which base keys are Bull's, prioritized jobs inside `wait`, the flag `meta-paused`, and every
//! change, because scripts made for BullMQ would put jobs where Bull's workers do not look.
//!
//! Facts come from watching Bull 3.29 and 4.16 on live servers.

mod mutate;
mod repeatables;
mod sample;
mod why;

use crate::domain::caps::Caps;
use crate::domain::ids::{JobId, Name, QueueId, SystemName};
use crate::domain::job::{Blob, Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use crate::domain::mutation::{Ability, Mutation, Outcome};
use crate::domain::reason::Reason;
use crate::domain::record::{Place, Record};
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::{StateId, StateKind, StateSpec};
use crate::domain::worker::Worker;
use crate::link::{Batch, Link, Replies, cmd};

use super::bullmq::confirm::{self, Signs};
use super::bullmq::{detail, jobs, keys, records, rows, search, workers};
use super::{Answer, Instance, Memo, ReadError, ScanPass, Sighting, System, SystemError, SystemSpec, record, reply};
use keys::Keys;

/// Name in addresses and configuration.
pub const NAME: SystemName = "bull";

/// States by Bull's own words; "paused" is a condition of the queue here.
pub mod state {
    use crate::domain::state::StateId;

    /// `wait`, and `paused` while the queue is paused; prioritized jobs stand among the others, in order.
    pub const WAITING: StateId = StateId("waiting");
    /// Running.
    pub const ACTIVE: StateId = StateId("active");
    /// Scheduled for later: delayed, in back-off, or held by a rate limit.
    pub const DELAYED: StateId = StateId("delayed");
    /// Ended well.
    pub const COMPLETED: StateId = StateId("completed");
    /// Ended badly.
    pub const FAILED: StateId = StateId("failed");
}

const STATES: &[StateSpec] = &[
    StateSpec::new(state::WAITING.0, "Waiting", StateKind::Waiting, 'W').or_short("Wait").listed(),
    StateSpec::new(state::ACTIVE.0, "Active", StateKind::Active, 'A').listed(),
    StateSpec::new(state::DELAYED.0, "Delayed", StateKind::Scheduled, 'D').or_short("Delay"),
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
    .union(Caps::ENQUEUE);

static SPEC: SystemSpec = SystemSpec {
    name: NAME,
    title: "Bull",
    states: STATES,
    caps: CAPS,
    // The pass that BullMQ asks for, too: it meets `:id` and `:meta-paused`.
    scans: &[ScanPass { pattern: "*:[mi][ed]*", kind: None }],
};

static SIGNS: Signs = Signs { alive: "id", paused: |keys| cmd("EXISTS").arg(keys.key("meta-paused")).to_owned() };

/// Keys of a queue itself. `id` comes first: as long as it exists the queue does, and nothing is put over it.
const OWN: [&str; 13] = [
    "id",
    "meta-paused",
    "meta",
    "priority",
    "repeat",
    "stalled",
    "limiter",
    "limiter:limited",
    "limiter:index",
    "metrics:completed",
    "metrics:completed:data",
    "metrics:failed",
    "metrics:failed:data",
];

/// The adapter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bull;

/// Bull counts an attempt when it has ended; the one under way is counted here.
fn count_present(row: &mut JobRow) {
    if row.state == state::ACTIVE {
        row.attempts_made = row.attempts_made.map(|made| made + 1);
    }
}

/// Refuses states that only BullMQ has.
fn known(state: StateId) -> Result<(), SystemError> {
    if STATES.iter().any(|spec| spec.id == state) {
        return Ok(());
    }
    let names: Vec<_> = STATES.iter().map(|spec| spec.id.0).collect();
    Err(SystemError::BadRequest(format!("Bull has no state {state}; it has {}", names.join(", "))))
}

impl System for Bull {
    fn spec(&self) -> &'static SystemSpec {
        &SPEC
    }

    fn recognise(&self, key: &[u8]) -> Option<Sighting> {
        let base = key.strip_suffix(b":id").or_else(|| key.strip_suffix(b":meta-paused"))?;
        let queue = keys::split_base(base)?;
        Some(Sighting::Queue(QueueId::new(NAME, queue.instance.name, queue.name)))
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
            known(state)?;
            let mut page = jobs::page(link, queue, state, &page).await?;
            page.rows.iter_mut().for_each(count_present);
            Ok(page)
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
            let mut job = detail::open(link, queue, id, payload_limit).await?;
            job.iter_mut().for_each(|job| count_present(&mut job.row));
            Ok(job)
        })
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
        Box::pin(async move {
            known(state)?;
            let mut step = search::step(link, queue, state, search, &page).await?;
            step.hits.iter_mut().for_each(count_present);
            Ok(step)
        })
    }

    fn workers<'a>(
        &'a self,
        link: &'a Link,
        instance: &'a Instance,
        clients: Option<&'a str>,
    ) -> Answer<'a, Vec<Worker>> {
        Box::pin(async move {
            // Bull names one connection of a process and queue, the one that waits with BRPOPLPUSH.
            let own = clients.map(|clients| {
                let lines = clients.lines().filter(|line| line.contains(" cmd=brpoplpush"));
                lines.collect::<Vec<_>>().join("\n")
            });
            workers::list(link, instance, own.as_deref()).await
        })
    }

    fn schedules<'a>(&'a self, link: &'a Link, queue: &'a QueueId, page: PageRequest) -> Answer<'a, Page<Schedule>> {
        Box::pin(async move { repeatables::page(link, queue, &page).await })
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

    fn confirm<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Vec<Option<bool>>> {
        Box::pin(confirm::confirm(self, &SIGNS, link, mutation))
    }

    fn locate<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<StateId>>> {
        Box::pin(records::locate(link, queue, ids))
    }

    fn record<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        Box::pin(async move {
            let mut records = records::take(link, queue, ids).await?;
            let key = Keys::of(queue).key("priority");
            let mut batch = Batch::new();
            for record in &records {
                batch.ask(cmd("ZSCORE").arg(&key).arg(record.id.as_bytes()).to_owned());
            }
            let replies = link.send(&batch).await?;
            let mut replies = Replies::new(&replies);
            for record in &mut records {
                if let Some(score) = reply::text(replies.next().map_err(ReadError::from)?) {
                    let key = key.as_slice().into();
                    record.places.push(Place::Sorted { key, member: record.id.clone(), score });
                }
            }
            Ok(records)
        })
    }

    fn record_schedules<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [Name]) -> Answer<'a, Vec<Record>> {
        Box::pin(repeatables::take(link, queue, ids))
    }

    fn record_queue<'a>(&'a self, link: &'a Link, queue: &'a QueueId) -> Answer<'a, Option<Record>> {
        Box::pin(records::take_queue(link, queue, &OWN))
    }

    fn restore<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        records: &'a [Record],
        _again: bool,
    ) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let keys = Keys::of(queue);
            let mut records = records.to_vec();
            to_present_list(link, &keys, &mut records).await?;
            // A push into `wait` wakes a worker by itself.
            record::restore(link, keys.base(), &records, record::Guard::OwnKey).await
        })
    }
}

/// Jobs that wait come back to the list in which jobs wait now: a pause or resume since then moved the others.
async fn to_present_list(link: &Link, keys: &Keys, records: &mut [Record]) -> Result<(), SystemError> {
    let paused = reply::int(&link.ask(cmd("EXISTS").arg(keys.key("meta-paused")).to_owned()).await?) == Some(1);
    let lists = ["wait", "paused"].map(|list| Name::from(keys.key(list)));
    for place in records.iter_mut().flat_map(|record| &mut record.places) {
        if let Place::List { key, .. } = place
            && lists.contains(key)
        {
            key.clone_from(&lists[usize::from(paused)]);
        }
    }
    Ok(())
}
