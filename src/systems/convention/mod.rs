//! What applications agree upon, laid over any system: an adapter that asks the system's own first and adds to its
//! answers what the `[[convention]]` tables say.
//!
//! Progress, outcome and owner are read beside a page or an opened job, from single keys, in one more round trip. What
//! changes something is one script of exactly the commands that were shown before. Knows no system by name.

mod abilities;
mod change;
mod detail;
mod edit;
mod outcomes;
mod prepared;
mod rows;
mod undo;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use self::outcomes::Outcomes;
use self::prepared::Prepared;
use super::list::finder::Finder;
use super::list::heard::{self, Beats};
use super::{Answer, Instance, Memo, ReadError, Sighting, System, SystemSpec};
use crate::domain::alert::{NONE_EXPECTED, OF_WORKERS};
use crate::domain::caps::Caps;
use crate::domain::described::{Convention, ListSpec};
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::job::{Blob, Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use crate::domain::mutation::{Ability, Mutation, Outcome, Verb};
use crate::domain::queue::{QueueSample, Severity, Warning};
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::StateId;
use crate::domain::worker::Worker;
use crate::link::{Batch, Link, Replies};

/// A system with conventions over it.
pub struct Conventional {
    inner: Arc<dyn System>,
    /// All systems as they are without conventions: a recipe may add a job to a queue of another one.
    all: Arc<[Arc<dyn System>]>,
    conventions: Arc<[Prepared]>,
    abilities: &'static [Ability],
    finder: Finder,
}

/// Lays conventions over systems; without any the systems stay as they are.
pub fn lay_over(systems: Vec<Arc<dyn System>>, conventions: &[Convention]) -> Vec<Arc<dyn System>> {
    if conventions.is_empty() {
        return systems;
    }
    let prepared: Arc<[Prepared]> = conventions.iter().map(Prepared::new).collect();
    let all: Arc<[Arc<dyn System>]> = systems.clone().into();
    systems
        .into_iter()
        .map(|inner| -> Arc<dyn System> {
            let abilities = abilities::with_recipes(&*inner, conventions);
            let (all, conventions) = (Arc::clone(&all), Arc::clone(&prepared));
            Arc::new(Conventional { inner, all, conventions, abilities, finder: Finder::default() })
        })
        .collect()
}

impl Conventional {
    /// The conventions that hold for a queue, in their order.
    fn over(&self, queue: &QueueId) -> Vec<&Prepared> {
        self.conventions.iter().filter(|convention| convention.spec.covers(queue)).collect()
    }

    /// The queues of an instance that have heartbeats by a convention, each with its own.
    fn heartbeats(&self, instance: &Instance) -> Vec<ListSpec> {
        if self.conventions.iter().all(|convention| convention.spec.heartbeat.is_empty()) {
            return Vec::new();
        }
        let of_queue = |name: &Name| {
            let over = self.over(&instance.queue(name));
            let heartbeat = over.iter().flat_map(|convention| convention.spec.heartbeat.clone()).collect();
            ListSpec { name: name.to_text(), heartbeat, ..ListSpec::default() }
        };
        let specs = instance.queues.iter().map(of_queue);
        specs.filter(|spec| !spec.heartbeat.is_empty()).collect()
    }

    fn judge(&self, sample: &mut QueueSample) {
        for convention in self.conventions.iter().filter(|convention| convention.spec.covers(&sample.id)) {
            let (Some(expected), alive) = (convention.spec.expected_workers, sample.workers.alive) else { continue };
            if expected == 0 {
                sample.warnings.retain(|warning| !OF_WORKERS.contains(&warning.code));
                if alive.unwrap_or(0) == 0 {
                    let text = "no worker, and none is expected here".to_owned();
                    sample.warnings.push(Warning { severity: Severity::Info, code: NONE_EXPECTED, text });
                }
            } else if let Some(alive) = alive.filter(|alive| *alive < expected)
                && (alive == 0 || !sample.workers.at_least)
            {
                let severity = if alive == 0 { Severity::Critical } else { Severity::Warn };
                let text = format!("{alive} of {expected} expected workers give a sign of life");
                sample.warnings.push(Warning { severity, code: "workers_missing", text });
            }
        }
    }
}

impl System for Conventional {
    fn spec(&self) -> &'static SystemSpec {
        self.inner.spec()
    }

    fn recognise(&self, key: &[u8]) -> Option<Sighting> {
        self.inner.recognise(key)
    }

    fn described(&self) -> Vec<QueueId> {
        self.inner.described()
    }

    fn scans_only_offer(&self) -> bool {
        self.inner.scans_only_offer()
    }

    fn beside(&self) -> Option<BoxFuture<'_, ()>> {
        self.inner.beside()
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    fn is_settled(&self, memo: &Memo) -> bool {
        self.inner.is_settled(memo) && memo.peek::<Beats>().is_none_or(Beats::is_settled)
    }

    fn plan(&self, instance: &Instance, memo: &Memo, batch: &mut Batch) {
        self.inner.plan(instance, memo, batch);
        heard::ask(&self.heartbeats(instance), memo.peek::<Beats>(), memo.tick, memo.server_time, batch);
    }

    fn read(
        &self,
        instance: &Instance,
        memo: &mut Memo,
        replies: &mut Replies<'_>,
    ) -> Result<InstanceSample, ReadError> {
        let mut sample = self.inner.read(instance, memo, replies)?;
        let specs = self.heartbeats(instance);
        let moment = (memo.tick, memo.server_time);
        let counts = heard::count(&specs, instance, memo.own::<Beats>(), moment, replies)?;
        for (spec, count) in specs.iter().zip(counts) {
            let told = sample.queues.iter_mut().find(|queue| queue.id.name.as_bytes() == spec.name.as_bytes());
            if let Some(queue) = told {
                // Both may miss some: connections without a name, keys that are written when a job is taken.
                queue.workers.alive = queue.workers.alive.max(count.alive);
                queue.workers.busy = queue.workers.busy.max(count.busy);
            }
        }
        sample.queues.iter_mut().for_each(|queue| self.judge(queue));
        for queue in &sample.queues {
            for convention in self.over(&queue.id) {
                sample.caps |= Caps::of_changes(&abilities::of(&convention.spec, sample.states), sample.states);
                if !convention.progress.is_empty() {
                    sample.caps |= Caps::PROGRESS;
                }
            }
        }
        Ok(sample)
    }

    fn jobs<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        page: PageRequest,
    ) -> Answer<'a, Page<JobRow>> {
        Box::pin(async move {
            let mut page = self.inner.jobs(link, queue, state, page).await?;
            self.overlay(link, queue, &mut page.rows).await?;
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
            let Some(mut job) = self.inner.job(link, queue, id, payload_limit).await? else { return Ok(None) };
            self.overlay_job(link, queue, &mut job).await?;
            Ok(Some(job))
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
            let mut step = self.inner.search(link, queue, state, search, page).await?;
            self.overlay(link, queue, &mut step.hits).await?;
            Ok(step)
        })
    }

    fn results<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<Blob>>> {
        self.inner.results(link, queue, ids)
    }

    fn results_may_be_failures(&self, queue: &QueueId) -> bool {
        !self.inner.judges_results() && self.over(queue).iter().any(|convention| !convention.spec.outcome.is_empty())
    }

    fn judges_results(&self) -> bool {
        self.inner.judges_results()
    }

    fn workers<'a>(
        &'a self,
        link: &'a Link,
        instance: &'a Instance,
        clients: Option<&'a str>,
    ) -> Answer<'a, Vec<Worker>> {
        Box::pin(async move {
            let mut workers = self.inner.workers(link, instance, clients).await?;
            let specs = self.heartbeats(instance);
            if !specs.is_empty() {
                let specs: Vec<&ListSpec> = specs.iter().collect();
                workers.extend(super::list::workers::workers(&specs, &instance.id, link, &self.finder, None).await?);
            }
            Ok(workers)
        })
    }

    fn schedules<'a>(&'a self, link: &'a Link, queue: &'a QueueId, page: PageRequest) -> Answer<'a, Page<Schedule>> {
        self.inner.schedules(link, queue, page)
    }

    fn why<'a>(&'a self, link: &'a Link, queue: &'a QueueId, job: Option<&'a JobId>) -> Answer<'a, Vec<Reason>> {
        Box::pin(async move {
            let mut reasons = self.inner.why(link, queue, job).await?;
            if let Some(id) = job {
                reasons.extend(self.why_job(link, queue, id).await?);
            }
            Ok(reasons)
        })
    }

    fn abilities(&self) -> &'static [Ability] {
        self.abilities
    }

    fn mutate<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Outcome> {
        Box::pin(self.change(link, mutation))
    }

    fn preview<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        verb: Verb,
        state: StateId,
        ids: &'a [JobId],
    ) -> Answer<'a, Vec<String>> {
        Box::pin(self.commands_of(link, queue, verb, state, ids))
    }

    fn locate<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<StateId>>> {
        self.inner.locate(link, queue, ids)
    }

    fn confirm<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Vec<Option<bool>>> {
        Box::pin(async move {
            match self.flags_set(link, mutation).await? {
                Some(found) => Ok(found),
                None => self.inner.confirm(link, mutation).await,
            }
        })
    }

    fn record<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        Box::pin(async move {
            let mut records = self.inner.record(link, queue, ids).await?;
            self.copy_own_keys(link, queue, &mut records).await?;
            Ok(records)
        })
    }

    fn record_queue<'a>(&'a self, link: &'a Link, queue: &'a QueueId) -> Answer<'a, Option<Record>> {
        self.inner.record_queue(link, queue)
    }

    fn record_family<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        Box::pin(async move {
            let mut records = self.inner.record_family(link, queue, ids).await?;
            self.copy_own_keys(link, queue, &mut records).await?;
            Ok(records)
        })
    }

    fn record_schedules<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [Name]) -> Answer<'a, Vec<Record>> {
        self.inner.record_schedules(link, queue, ids)
    }

    fn restore<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        records: &'a [Record],
        again: bool,
    ) -> Answer<'a, Outcome> {
        Box::pin(self.put_back(link, queue, records, again))
    }

    fn only_appends(&self) -> bool {
        self.inner.only_appends()
    }

    fn consumer(&self) -> Option<&dyn super::consume::Consume> {
        self.inner.consumer()
    }
}

#[cfg(test)]
mod tests {
    /// Names of the functions declared in a text at this indentation.
    fn functions(text: &str) -> Vec<&str> {
        let heads = text.lines().filter_map(|line| line.strip_prefix("    fn "));
        heads.filter_map(|head| head.split(['<', '(']).next()).collect()
    }

    /// The part of a text from a line on, to the end of that block.
    fn block<'a>(text: &'a str, start: &str) -> &'a str {
        let begin = text.find(start).expect("the block is there");
        let end = text[begin..].find("\n}").expect("the block ends");
        &text[begin..begin + end]
    }

    #[test]
    fn every_function_of_a_system_is_handed_on() {
        let wanted = functions(block(include_str!("../mod.rs"), "pub trait System"));
        let own = functions(block(include_str!("mod.rs"), "impl System for Conventional"));
        assert!(wanted.len() > 20, "{wanted:?}");
        let forgotten: Vec<_> = wanted.iter().filter(|name| !own.contains(name)).collect();
        assert!(forgotten.is_empty(), "a system with a convention over it would lose {forgotten:?}");
    }
}
