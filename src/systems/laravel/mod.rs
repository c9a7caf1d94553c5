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

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::consume::Consume;
use super::record::{self, Guard};
use super::{Answer, Instance, Memo, ReadError, ScanPass, Sighting, System, SystemError, SystemSpec, unsupported};
use crate::domain::caps::Caps;
use crate::domain::described::Application;
use crate::domain::ids::{InstanceId, JobId, Name, QueueId, SystemName};
use crate::domain::job::{Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use crate::domain::mutation::{Ability, Mutation, Outcome, Target};
use crate::domain::queue::{Count, QueueSample, Severity, Warning};
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
    /// Prefixes of applications that were met: an empty queue leaves nothing to know them by.
    met: Mutex<BTreeSet<Vec<u8>>>,
}

/// Stands for the prefix of an application that is described without one, until a key of it is met.
const UNKNOWN_PREFIX: &str = "?";

/// Why nothing is known of its queues.
const NO_PREFIX: &str = "no key of it is here under any prefix: it is empty, or it never was; its state is known once a \
                         job comes, or with `prefix` in its [[laravel]] table";

fn is_unknown(instance: &InstanceId) -> bool {
    instance.name.as_bytes() == UNKNOWN_PREFIX.as_bytes()
}

fn no_prefix() -> SystemError {
    SystemError::Unsupported(format!("the prefix of the application's keys is not known: {NO_PREFIX}"))
}

impl Laravel {
    /// For these applications; without any, all that Redis tells is shown.
    pub fn new(applications: &[Application]) -> Self {
        let with_store = |application: &Application| (application.clone(), Failed::of(application));
        Self { applications: applications.iter().map(with_store).collect(), met: Mutex::default() }
    }

    fn met(&self) -> MutexGuard<'_, BTreeSet<Vec<u8>>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prefixes under which queues were met on this server.
    fn prefixes_met(&self) -> Vec<Vec<u8>> {
        self.met().iter().cloned().collect()
    }

    /// True if a description without a prefix has found keys of one of its queues.
    fn is_found(&self, application: &Application) -> bool {
        self.met().iter().any(|prefix| application.holds_for(prefix))
    }

    /// The queues of descriptions without a prefix of which no key was met.
    fn without_prefix(&self) -> Vec<QueueId> {
        let unfound = self.applications.iter().filter(|(one, _)| one.prefix.is_none() && !self.is_found(one));
        let names = unfound.flat_map(|(one, failed)| {
            let counted = failed.as_ref().and_then(|failed| failed.counted().queues).unwrap_or_default();
            one.queues.iter().map(str::to_owned).chain(counted.into_keys()).collect::<Vec<_>>()
        });
        let mut queues: Vec<QueueId> = names.map(|name| QueueId::new(NAME, UNKNOWN_PREFIX, name)).collect();
        queues.sort();
        queues.dedup();
        queues
    }

    /// What a tick tells of them.
    fn read_unknown(&self, instance: &Instance) -> InstanceSample {
        let counts = self.failed(&instance.id).ok().and_then(|failed| failed.counted().queues);
        let mut queues = Vec::new();
        for id in self.without_prefix() {
            let failed = counts.as_ref().map(|counts| counts.get(&id.name.to_text()).copied().unwrap_or(0));
            let mut sample = QueueSample::unknown(id, STATES);
            sample.set_count(FAILED, failed.map_or(Count::Unknown, Count::Exact));
            let text = NO_PREFIX.to_owned();
            sample.warnings.push(Warning { severity: Severity::Info, code: "prefix_unknown", text });
            queues.push(sample);
        }
        InstanceSample {
            id: instance.id.clone(),
            states: STATES,
            caps: Caps::LIST.union(Caps::DETAIL),
            caps_reason: Some(no_prefix().to_string()),
            queues,
            error: None,
        }
    }

    /// What the configuration tells of the applications.
    fn descriptions(&self) -> impl Iterator<Item = &Application> {
        self.applications.iter().map(|(application, _)| application)
    }

    /// Prefixes of the applications that are described as having this Horizon, or are named like it.
    fn prefixes_described_for(&self, horizon: &[u8]) -> Vec<Vec<u8>> {
        let prefix = |application: &Application| application.prefix.as_ref().map(|own| own.as_bytes().to_vec());
        let exact = |application: &&Application| {
            application.horizon_prefix.as_ref().is_some_and(|own| own.as_bytes() == horizon)
        };
        let mut found: Vec<Vec<u8>> = self.descriptions().filter(exact).filter_map(prefix).collect();
        if found.is_empty() {
            let unsaid = self.descriptions().filter(|application| application.horizon_prefix.is_none());
            let named_like = |own: &Vec<u8>| keys::horizon_prefixes(own).iter().any(|likely| likely == horizon);
            found = unsaid.filter_map(prefix).filter(named_like).collect();
        }
        found.sort();
        found.dedup();
        found
    }

    /// The application's failed jobs, if they are found there by the jobs' own ids.
    fn rows_by_uuid(&self, instance: &InstanceId) -> Option<&Failed> {
        let (application, failed) = self.described_as(instance)?;
        let driver = application.failed.as_ref()?.driver;
        failed.as_ref().filter(|_| horizon::names_by_uuid(driver))
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
        let queue = keys::queue_of(key)?;
        // What the scan meets is read with the next tick; a described queue of that name is no unknown one from now on.
        let name = |one: &Application| one.queues.iter().any(|known| queue.name == Name::from(known));
        if self.descriptions().any(|one| one.prefix.is_none() && name(one)) {
            self.met().insert(queue.instance.name.as_bytes().to_vec());
        }
        Some(Sighting::Queue(queue))
    }

    fn described(&self) -> Vec<QueueId> {
        let mut queues = Vec::new();
        for (application, failed) in &self.applications {
            let Some(prefix) = application.prefix.as_deref() else { continue };
            let counted = failed.as_ref().and_then(|failed| failed.counted().queues).unwrap_or_default();
            let names = application.queues.iter().map(str::to_owned).chain(counted.into_keys());
            queues.extend(names.map(|name| QueueId::new(NAME, prefix, name)));
        }
        queues.extend(self.without_prefix());
        queues
    }

    fn is_settled(&self, memo: &Memo) -> bool {
        memo.peek::<LaravelMemo>().is_none_or(|own| own.is_settled(memo.tick))
    }

    fn plan(&self, instance: &Instance, memo: &Memo, batch: &mut Batch) {
        if is_unknown(&instance.id) {
            return;
        }
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
        if is_unknown(&instance.id) {
            return Ok(self.read_unknown(instance));
        }
        let application = self.application(&instance.id);
        let moment = (memo.tick, memo.server_time);
        let counted = self.failed(&instance.id).map(Failed::counted);
        let (counts, caps_reason) = match counted {
            Ok(counted) => (counted.queues, counted.error),
            Err(error) => (None, Some(error.to_string())),
        };
        let served = memo.served;
        let own = memo.own::<LaravelMemo>();
        if served {
            own.remembered.extend(instance.queues.iter().cloned());
        }
        let queues = sample::read(instance, application, counts.as_ref(), own, moment, replies)?;
        if !queues.is_empty() {
            self.met().insert(instance.id.name.as_bytes().to_vec());
        }
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
            if is_unknown(&queue.instance) {
                return Err(no_prefix());
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
            if is_unknown(&instance.id) {
                return Ok(Vec::new());
            }
            let horizon = horizon::find(link, &instance.id, self.application(&instance.id)).await?;
            let mut found = match &horizon {
                Some(prefix) => horizon::workers(link, prefix, &instance.id).await?,
                None => Vec::new(),
            };
            // Where Horizon tells who works, connections need not be guessed from.
            let clients = clients.filter(|_| found.is_empty());
            let beside = workers::workers(link, instance, &mut found, clients).await?;
            found.extend(beside);
            Ok(found)
        })
    }

    fn schedules<'a>(&'a self, _: &'a Link, _: &'a QueueId, _: PageRequest) -> Answer<'a, Page<Schedule>> {
        unsupported("listing schedules")
    }

    fn why<'a>(&'a self, link: &'a Link, queue: &'a QueueId, job: Option<&'a JobId>) -> Answer<'a, Vec<Reason>> {
        Box::pin(async move {
            let application = self.application(&queue.instance);
            if is_unknown(&queue.instance) {
                let text = "Nothing of it is in this Redis.".to_owned();
                let evidence = NO_PREFIX.to_owned();
                return Ok(vec![Reason { severity: Severity::Info, code: "empty", text, evidence, remedy: None }]);
            }
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
            if is_unknown(instance) {
                return Err(no_prefix());
            }
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
