//! ARQ: Python's asyncio queue. One sorted set for each queue holds every unfinished job, running ones too; everything
//! else lies in keys of the job, whose names are constants of the library. One instance for each database, therefore.
//!
//! There is no index of results, no register of workers and no pause: results are tallied by a walk in the background,
//! workers are judged by the one text key they share, and a pause is qtop's own emulation. Since keys of one job share
//! no hash tag, ARQ cannot run on a Cluster; so a tick may ask for keys of several jobs in one `MGET`. Observed with
//! arq 0.28.

mod blob;
mod consume;
mod detail;
mod encode;
mod health;
mod jobs;
mod keys;
mod memo;
mod mutate;
mod plan;
mod records;
mod rows;
mod sample;
mod schedules;
mod standing;
mod tally;
mod why;
mod workers;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::caps::Caps;
use crate::domain::described::ArqQueue;
use crate::domain::ids::{JobId, Name, QueueId, SystemName};
use crate::domain::job::{Blob, Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use crate::domain::mutation::{Ability, Mutation, Outcome};
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::{StateId, StateKind, StateSpec};
use crate::domain::time::Timestamp;
use crate::domain::worker::Worker;
use crate::link::{Batch, Link, Replies};

use self::blob::Facts;
use self::keys::Keys;
use super::consume::Consume;
use super::convention::Outcomes;
use super::record::{self, Guard};
use super::{Answer, Instance, Memo, RESULT_BYTES, ReadError, ScanPass, Sighting, System, SystemSpec};

/// Name in addresses and configuration.
pub const NAME: SystemName = "arq";

/// States. ARQ itself knows deferred, queued, in progress and complete; the others refine these.
pub mod state {
    use crate::domain::state::StateId;

    /// Due, and no worker has taken it yet.
    pub const WAITING: StateId = StateId("waiting");
    /// A worker holds its lock.
    pub const RUNNING: StateId = StateId("running");
    /// Its lock is there, but no worker shows a sign of life.
    pub const STALLED: StateId = StateId("stalled");
    /// Due again after its worker stopped while it ran.
    pub const INTERRUPTED: StateId = StateId("interrupted");
    /// Waits for its time.
    pub const DEFERRED: StateId = StateId("deferred");
    /// Waits for its next try.
    pub const RETRYING: StateId = StateId("retrying");
    /// Taken out of the queue by qtop until it is resumed.
    pub const HELD: StateId = StateId("held");
    /// Ended well.
    pub const COMPLETE: StateId = StateId("complete");
    /// Ended with an exception.
    pub const FAILED: StateId = StateId("failed");
    /// Ended because somebody asked for it.
    pub const ABORTED: StateId = StateId("aborted");
}

const STATES: &[StateSpec] = &[
    StateSpec::new(state::WAITING.0, "Waiting", StateKind::Waiting, 'W').or_short("Wait"),
    StateSpec::new(state::INTERRUPTED.0, "Interrupted", StateKind::Waiting, 'I').or_short("Halted"),
    StateSpec::new(state::RUNNING.0, "Running", StateKind::Active, 'A').or_short("Run"),
    StateSpec::new(state::STALLED.0, "Stalled", StateKind::Active, 'S').or_short("Stall"),
    StateSpec::new(state::DEFERRED.0, "Deferred", StateKind::Scheduled, 'D').or_short("Later"),
    StateSpec::new(state::RETRYING.0, "Retrying", StateKind::Retrying, 'R').or_short("Retry"),
    StateSpec::new(state::HELD.0, "Held", StateKind::Blocked, 'H'),
    StateSpec::new(state::COMPLETE.0, "Complete", StateKind::Completed, 'C').or_short("Done"),
    StateSpec::new(state::FAILED.0, "Failed", StateKind::Failed, 'F').or_short("Fail"),
    StateSpec::new(state::ABORTED.0, "Aborted", StateKind::Cancelled, 'X').or_short("Abort"),
];

const CAPS: Caps = Caps::LIST.union(Caps::DETAIL).union(Caps::WORKERS).union(Caps::SCHEDULES).union(Caps::CHANGES);

static SPEC: SystemSpec = SystemSpec {
    name: NAME,
    title: "ARQ",
    states: STATES,
    caps: CAPS,
    scans: &[ScanPass { pattern: "*", kind: Some("zset") }, ScanPass { pattern: "*:health-check", kind: None }],
};

/// What a state means.
pub fn kind_of(state: StateId) -> StateKind {
    STATES.iter().find(|spec| spec.id == state).map_or(StateKind::Other, |spec| spec.kind)
}

/// A lock taken while no health key was there proves a worker for so long.
const SIGN_LASTS: Duration = Duration::from_secs(600);

/// The adapter.
#[derive(Default)]
pub struct Arq {
    /// Keys that are queues, each with the moment when a worker was last seen to take a job of it.
    ///
    /// An empty queue has no key, so that what was found once must be remembered; and a worker that stops takes away
    /// the health key that others share, so that a lock taken since is the better sign.
    met: Mutex<HashMap<Name, Timestamp>>,
    /// Queues that the configuration describes, each with the key of its health check.
    described: HashMap<Name, Option<Vec<u8>>>,
    /// What results mean by the conventions.
    outcomes: Outcomes,
    /// What runners of this process remember of their work, by their names.
    shifts: Mutex<HashMap<Name, consume::Shift>>,
}

impl Arq {
    fn met(&self) -> MutexGuard<'_, HashMap<Name, Timestamp>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With what the configuration says.
    pub fn new(described: &[ArqQueue], outcomes: Outcomes) -> Self {
        let health = |queue: &ArqQueue| queue.health_check_key.as_ref().map(|key| key.as_bytes().to_vec());
        let described = described.iter().map(|queue| (Name::from(queue.queue.as_str()), health(queue))).collect();
        Self { described, outcomes, ..Self::default() }
    }

    /// The queue of a result. Older versions write no name: then it is the only one there is.
    fn queue_of(&self, named: Option<&str>) -> Option<QueueId> {
        let name = match named {
            Some(named) => Name::from(named),
            None => {
                let met = self.met();
                met.keys().next().filter(|_| met.len() == 1)?.clone()
            }
        };
        Some(QueueId::new(NAME, "", name))
    }

    /// What the first and last bytes of a result tell, with what a success means by the conventions over its queue.
    fn facts(&self, head: &[u8], total: u64, tail: &[u8]) -> Facts {
        let (mut facts, tree) = Facts::with_tree(head, total, tail);
        if let (Some(true), Some(tree)) = (facts.success, tree)
            && let Some(queue) = self.queue_of(facts.queue.as_deref())
        {
            facts.meaning = self.outcomes.meaning(&queue, &tree);
        }
        facts
    }

    /// True if the meaning of a success may stand in a part of its result that was not read.
    fn may_mean_more(&self, facts: &Facts) -> bool {
        let queue = || self.queue_of(facts.queue.as_deref());
        facts.success == Some(true)
            && facts.meaning.is_none()
            && queue().is_some_and(|queue| self.outcomes.hold_for(&queue))
    }

    /// Bytes of a result that a row of the queue needs.
    fn result_head(&self, queue: &QueueId) -> u64 {
        if self.outcomes.hold_for(queue) { plan::RESULT_BYTES } else { rows::RESULT_HEAD }
    }

    /// True if the configuration says that this key is a queue.
    fn is_described(&self, queue: &Name) -> bool {
        self.described.contains_key(queue)
    }

    fn shifts(&self) -> MutexGuard<'_, HashMap<Name, consume::Shift>> {
        self.shifts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key in which a queue's workers show that they live.
    fn health(&self, queue: &Name) -> Vec<u8> {
        let own = self.described.get(queue).and_then(Clone::clone);
        own.unwrap_or_else(|| Keys { queue: queue.as_bytes().to_vec() }.health())
    }

    /// That key for people.
    fn show_health(&self, queue: &Name) -> String {
        String::from_utf8_lossy(&self.health(queue)).into_owned()
    }

    /// Notes that a key is a queue.
    fn confirm(&self, queue: &Name) {
        let mut met = self.met();
        if !met.contains_key(queue) {
            met.insert(queue.clone(), Timestamp::default());
        }
    }

    /// Whether a result belongs to a queue. Older versions write no name: then it does if there is no other queue.
    fn owns(&self, queue: &Name, named: Option<&str>) -> bool {
        match named {
            Some(named) => named.as_bytes() == queue.as_bytes(),
            None => self.is_alone(queue),
        }
    }

    /// True if no other queue was ever met.
    fn is_alone(&self, queue: &Name) -> bool {
        self.met().keys().all(|other| other == queue)
    }

    /// Notes that a worker took a job.
    fn note_worker(&self, queue: &Name, now: Timestamp) {
        self.met().insert(queue.clone(), now);
    }

    /// Whether a worker was seen to take a job lately.
    fn saw_worker(&self, queue: &Name, now: Timestamp) -> bool {
        self.met().get(queue).is_some_and(|seen| seen.age(now) < SIGN_LASTS)
    }
}

impl System for Arq {
    fn spec(&self) -> &'static SystemSpec {
        &SPEC
    }

    fn recognise(&self, key: &[u8]) -> Option<Sighting> {
        keys::queue_of(key).map(Sighting::Queue)
    }

    fn described(&self) -> Vec<QueueId> {
        let mut names: Vec<Name> = self.met().keys().chain(self.described.keys()).cloned().collect();
        names.sort();
        names.dedup();
        names.into_iter().map(|name| QueueId::new(NAME, "", name)).collect()
    }

    fn is_settled(&self, memo: &Memo) -> bool {
        memo.peek::<memo::InstanceMemo>().is_none_or(|own| own.is_settled(memo.tick))
    }

    fn plan(&self, instance: &Instance, memo: &Memo, batch: &mut Batch) {
        for ask in plan::questions(self, instance, memo.peek(), memo.tick) {
            batch.ask(ask.command());
        }
    }

    fn read(
        &self,
        instance: &Instance,
        memo: &mut Memo,
        replies: &mut Replies<'_>,
    ) -> Result<InstanceSample, ReadError> {
        sample::read(self, instance, memo, replies)
    }

    fn jobs<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        page: PageRequest,
    ) -> Answer<'a, Page<JobRow>> {
        Box::pin(async move { jobs::page(self, link, queue, state, &page).await })
    }

    fn job<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        id: &'a JobId,
        payload_limit: u64,
    ) -> Answer<'a, Option<Job>> {
        Box::pin(detail::open(self, link, queue, id, payload_limit))
    }

    fn results<'a>(&'a self, link: &'a Link, _: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<Blob>>> {
        Box::pin(rows::blobs(link, ids, RESULT_BYTES))
    }

    fn judges_results(&self) -> bool {
        true
    }

    fn search<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        search: &'a Search,
        page: PageRequest,
    ) -> Answer<'a, SearchStep> {
        Box::pin(async move { jobs::search(self, link, queue, state, search, &page).await })
    }

    fn workers<'a>(
        &'a self,
        link: &'a Link,
        instance: &'a Instance,
        _clients: Option<&'a str>,
    ) -> Answer<'a, Vec<Worker>> {
        Box::pin(workers::list(self, link, instance))
    }

    fn schedules<'a>(&'a self, link: &'a Link, queue: &'a QueueId, page: PageRequest) -> Answer<'a, Page<Schedule>> {
        Box::pin(async move { schedules::page(link, queue, &page).await })
    }

    fn why<'a>(&'a self, link: &'a Link, queue: &'a QueueId, job: Option<&'a JobId>) -> Answer<'a, Vec<Reason>> {
        Box::pin(why::answer(self, link, queue, job))
    }

    fn abilities(&self) -> &'static [Ability] {
        mutate::ABILITIES
    }

    fn mutate<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Outcome> {
        Box::pin(mutate::mutate(self, link, mutation))
    }

    fn locate<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<StateId>>> {
        Box::pin(async move {
            let (found, _) = standing::look(self, link, queue, ids).await?;
            Ok(found.into_iter().map(|standing| standing.state).collect())
        })
    }

    fn record<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        Box::pin(records::take(self, link, queue, ids))
    }

    fn consumer(&self) -> Option<&dyn Consume> {
        Some(self)
    }

    fn restore<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        records: &'a [Record],
        _again: bool,
    ) -> Answer<'a, Outcome> {
        Box::pin(record::restore(link, queue.name.as_bytes(), records, Guard::OwnKey))
    }
}
