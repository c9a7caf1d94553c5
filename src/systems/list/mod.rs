//! Plain lists, described in the configuration.
//!
//! A list tells nothing by itself, so everything here follows a [`ListSpec`]; what looks like a queue and is not
//! described is offered, never assumed. Items are acted upon by their exact bytes; what a state's
//! rows cost is said in `containers.rs`. A popped item is nowhere, so what runs is unknown unless a list holds it or a
//! heartbeat names it. Observed on Redis 7.0.15.

mod beat;
mod consume;
mod containers;
pub(super) mod detail;
pub(super) mod finder;
pub(super) mod heard;
mod items;
mod keys;
mod memo;
mod mutate;
mod pages;
mod plan;
mod reset;
mod rows;
mod sample;
mod why;
pub(super) mod workers;

use std::sync::Arc;

use self::finder::Finder;
use self::memo::ListMemo;
pub(super) use self::rows::{hash_id, numbered, seen};
use super::consume::Consume;
use super::facts;
use super::record::{self, Guard};
use super::{Answer, Instance, Memo, ReadError, ScanPass, Sighting, System, SystemError, SystemSpec, unsupported};
use crate::domain::caps::Caps;
use crate::domain::described::ListSpec;
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::job::{Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use crate::domain::mutation::{Ability, Mutation, Outcome};
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::{StateId, StateKind, StateSpec};
use crate::domain::worker::Worker;
use crate::link::{Batch, CommandError, Link, Replies};

const WAITING: StateId = StateId("waiting");
const DELAYED: StateId = StateId("delayed");
const PROCESSING: StateId = StateId("processing");
const DEAD: StateId = StateId("dead");
/// In no list: taken, ended or lost. No state of its own, only said of an opened item.
const UNKNOWN: StateId = StateId("unknown");

/// States of a described list.
const STATES: &[StateSpec] = &[
    StateSpec::new(WAITING.0, "Waiting", StateKind::Waiting, 'W').listed(),
    StateSpec::new(PROCESSING.0, "Processing", StateKind::Active, 'A').listed(),
    StateSpec::new(DELAYED.0, "Delayed", StateKind::Scheduled, 'L'),
    StateSpec::new(DEAD.0, "Dead", StateKind::Dead, 'D').listed(),
];

static SPEC: SystemSpec = SystemSpec {
    name: "list",
    title: "List",
    states: STATES,
    caps: Caps::LIST
        .union(Caps::DETAIL)
        .union(Caps::WORKERS)
        .union(Caps::PROGRESS)
        .union(Caps::RETRY)
        .union(Caps::CANCEL)
        .union(Caps::REMOVE)
        .union(Caps::PROMOTE)
        .union(Caps::DRAIN)
        .union(Caps::ENQUEUE)
        .union(Caps::CONSUME),
    scans: &[ScanPass { pattern: "*", kind: Some("list") }],
};

fn state_kind(state: StateId) -> StateKind {
    STATES.iter().find(|spec| spec.id == state).map_or(StateKind::Other, |spec| spec.kind)
}

/// The adapter, set up with the descriptions.
pub struct List {
    specs: Arc<[ListSpec]>,
    finder: Finder,
}

impl List {
    /// For these descriptions; without any it only offers.
    pub fn new(specs: &[ListSpec]) -> Self {
        Self { specs: specs.iter().cloned().map(consume::describe_dead).collect(), finder: Finder::default() }
    }

    fn spec_of(&self, name: &Name) -> Option<&ListSpec> {
        self.specs.iter().find(|spec| spec.name.as_bytes() == name.as_bytes())
    }

    fn wanted(&self, queue: &QueueId) -> Result<&ListSpec, SystemError> {
        self.spec_of(&queue.name).ok_or_else(|| {
            let name = &queue.name;
            SystemError::BadRequest(format!("no [[list]] of the configuration is called {name}: describe it first"))
        })
    }

    /// The described queues of an instance, in its order.
    fn sampled<'a>(&'a self, instance: &'a Instance) -> Vec<(&'a Name, &'a ListSpec)> {
        instance.queues.iter().filter_map(|name| Some((name, self.spec_of(name)?))).collect()
    }

    fn caps(sampled: &[(&Name, &ListSpec)]) -> (Caps, Option<String>) {
        let told = |spec: &ListSpec| !spec.heartbeat.is_empty() || spec.processing_pattern.is_some();
        let moving = |spec: &ListSpec| {
            spec.progress.is_some() || !spec.fields.percent.is_empty() || !spec.fields.step.is_empty()
        };
        let mut caps = SPEC.caps;
        let mut reasons = Vec::new();
        if !sampled.iter().any(|(_, spec)| told(spec)) {
            reasons.push("no heartbeat is described: workers are known only while they wait in a blocking pop");
        }
        if !sampled.iter().any(|(_, spec)| moving(spec)) {
            caps.remove(Caps::PROGRESS);
            reasons.push("no progress is described");
        }
        let queue = |spec: &ListSpec| !spec.key.is_empty();
        if !sampled.iter().any(|(_, spec)| queue(spec)) {
            caps.remove(Caps::CANCEL | Caps::DRAIN | Caps::ENQUEUE);
            reasons.push("no queue is described, only dead letters");
        }
        if !sampled.iter().any(|(_, spec)| queue(spec) && spec.delayed.is_some()) {
            caps.remove(Caps::PROMOTE);
            reasons.push("no place for later items is described");
        }
        let returns =
            |spec: &ListSpec| spec.dead.is_some() || !spec.processing.is_empty() || spec.processing_pattern.is_some();
        if !sampled.iter().any(|(_, spec)| queue(spec) && returns(spec)) {
            caps.remove(Caps::RETRY);
            reasons.push("no dead letters are described with the queue they came from");
        }
        (caps, (!reasons.is_empty()).then(|| reasons.join("; ")))
    }
}

impl System for List {
    fn spec(&self) -> &'static SystemSpec {
        &SPEC
    }

    fn recognise(&self, key: &[u8]) -> Option<Sighting> {
        if keys::is_described(&self.specs, key) {
            return None;
        }
        keys::offer(key).map(Sighting::Offer)
    }

    fn scans_only_offer(&self) -> bool {
        true
    }

    fn described(&self) -> Vec<QueueId> {
        self.specs.iter().map(|spec| QueueId::new(SPEC.name, "", spec.name.as_str())).collect()
    }

    fn plan(&self, instance: &Instance, memo: &Memo, batch: &mut Batch) {
        let own = memo.peek::<ListMemo>();
        let sampled = self.sampled(instance);
        let specs: Vec<_> = sampled.iter().map(|(_, spec)| *spec).collect();
        if let Some(ask) = plan::scan(&specs, own, memo.server_time) {
            batch.ask(ask.command());
        }
        for spec in specs {
            for ask in plan::questions(spec, own, memo.tick, memo.server_time) {
                batch.ask(ask.command());
            }
        }
    }

    fn read(
        &self,
        instance: &Instance,
        memo: &mut Memo,
        replies: &mut Replies<'_>,
    ) -> Result<InstanceSample, ReadError> {
        let (tick, now) = (memo.tick, memo.server_time);
        let own = memo.own::<ListMemo>();
        // The questions are made again from the memo as it was, while the answers change it.
        let before = own.clone();
        let sampled = self.sampled(instance);
        let specs: Vec<_> = sampled.iter().map(|(_, spec)| *spec).collect();
        if let Some(ask) = plan::scan(&specs, Some(&before), now) {
            let reply = replies.next();
            if matches!(reply, Err(CommandError::Missing)) {
                return Err(CommandError::Missing.into());
            }
            sample::read_scan(&ask, reply, own, now);
        }
        let mut queues = Vec::with_capacity(sampled.len());
        for (name, spec) in &sampled {
            let asks = plan::questions(spec, Some(&before), tick, now);
            queues.push(sample::read_queue(spec, instance.queue(name), &asks, replies, own, (tick, now))?);
        }
        let (caps, caps_reason) = Self::caps(&sampled);
        Ok(InstanceSample { id: instance.id.clone(), states: STATES, caps, caps_reason, queues, error: None })
    }

    fn jobs<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        page: PageRequest,
    ) -> Answer<'a, Page<JobRow>> {
        Box::pin(async move { pages::jobs(self.wanted(queue)?, link, &self.finder, state, &page).await })
    }

    fn job<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        id: &'a JobId,
        payload_limit: u64,
    ) -> Answer<'a, Option<Job>> {
        Box::pin(async move { detail::job(self.wanted(queue)?, link, &self.finder, id, payload_limit).await })
    }

    fn search<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        search: &'a Search,
        page: PageRequest,
    ) -> Answer<'a, SearchStep> {
        Box::pin(async move { pages::search(self.wanted(queue)?, link, &self.finder, state, search, &page).await })
    }

    fn workers<'a>(
        &'a self,
        link: &'a Link,
        instance: &'a Instance,
        clients: Option<&'a str>,
    ) -> Answer<'a, Vec<Worker>> {
        Box::pin(async move {
            let specs: Vec<_> = self.sampled(instance).into_iter().map(|(_, spec)| spec).collect();
            workers::workers(&specs, &instance.id, link, &self.finder, clients).await
        })
    }

    fn schedules<'a>(&'a self, _: &'a Link, _: &'a QueueId, _: PageRequest) -> Answer<'a, Page<Schedule>> {
        unsupported("listing schedules")
    }

    fn why<'a>(&'a self, link: &'a Link, queue: &'a QueueId, job: Option<&'a JobId>) -> Answer<'a, Vec<Reason>> {
        Box::pin(async move {
            let spec = self.wanted(queue)?;
            match job {
                Some(id) => why::job(spec, link, &self.finder, id).await,
                None => why::queue(spec, link, &self.finder).await,
            }
        })
    }

    fn abilities(&self) -> &'static [Ability] {
        mutate::ABILITIES
    }

    fn mutate<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Outcome> {
        Box::pin(async move { mutate::mutate(self.wanted(&mutation.queue)?, link, &self.finder, mutation).await })
    }

    fn locate<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<StateId>>> {
        Box::pin(async move { items::locate(self.wanted(queue)?, link, &self.finder, ids).await })
    }

    fn record<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        Box::pin(async move { items::take(self.wanted(queue)?, link, &self.finder, ids).await })
    }

    fn restore<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        records: &'a [Record],
        again: bool,
    ) -> Answer<'a, Outcome> {
        Box::pin(record::restore(link, queue.name.as_bytes(), records, Guard::without_key(again)))
    }

    fn consumer(&self) -> Option<&dyn Consume> {
        Some(self)
    }
}
