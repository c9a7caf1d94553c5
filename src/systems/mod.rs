//! Queue systems. One folder and one line in [`all`] each; nothing outside knows which systems there are.
//!
//! Adapters are stateless and spawn nothing. Sampling writes commands into a shared [`Batch`] and later reads exactly
//! the replies to them; deeper reads take several steps over a [`Link`].

pub mod arq;
pub mod bull;
pub mod bullmq;
pub mod consume;
mod convention;
mod facts;
pub mod laravel;
pub mod list;
mod look;
mod members;
pub mod record;
pub mod reply;
pub mod stream;

use std::any::Any;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::domain::caps::Caps;
use crate::domain::described::Described;
use crate::domain::ids::{InstanceId, JobId, Name, QueueId, SystemName};
use crate::domain::job::{Blob, Job, JobRow, Page, PageRequest, Schedule, Search, SearchStep};
use crate::domain::mutation::{Ability, Mutation, Outcome, Target, Verb};
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::snapshot::{InstanceSample, Offer};
use crate::domain::state::{StateId, StateSpec};
use crate::domain::time::Timestamp;
use crate::domain::worker::Worker;
use crate::link::{Batch, Link, LinkError, Replies};

/// What a system is, independent of any server.
#[derive(Debug)]
pub struct SystemSpec {
    /// Name in addresses and configuration: `bullmq`, `list`, `stream`.
    pub name: SystemName,
    /// Name for people: `BullMQ`.
    pub title: &'static str,
    /// Its states in display order.
    pub states: &'static [StateSpec],
    /// All it can ever do.
    pub caps: Caps,
    /// Passes over the keyspace that find its queues; equal passes of several systems are made once.
    pub scans: &'static [ScanPass],
}

/// One server-side filter of the shared scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScanPass {
    /// Glob for `SCAN … MATCH`.
    pub pattern: &'static str,
    /// `SCAN … TYPE`, if only one type is of interest.
    pub kind: Option<&'static str>,
}

/// What a key met by the scan tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// A queue; the adapter may still find on reading that it is none.
    Queue(QueueId),
    /// Something that may be a queue if a person says so.
    Offer(Offer),
}

/// An instance with the queues known of it, in name order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Which.
    pub id: InstanceId,
    /// Its queues.
    pub queues: Vec<Name>,
}

impl Instance {
    /// The full id of one of its queues.
    pub fn queue(&self, name: &Name) -> QueueId {
        QueueId { instance: self.id.clone(), name: name.clone() }
    }
}

/// What an adapter wants to remember about an instance from one tick to the next. Owned by the sampler.
#[derive(Default)]
pub struct Memo {
    /// Number of the tick that is being planned or read, from 1.
    pub tick: u64,
    /// Server time of the previous tick; zero before the first.
    pub server_time: Timestamp,
    /// Names of connected clients, if the sampler has a list younger than 30 s (P8).
    pub client_names: Option<Arc<[Name]>>,
    /// The runner of this process works on the queues: each is one, even while no key of it tells so.
    pub served: bool,
    /// One part of each type.
    own: Vec<Box<dyn Any + Send>>,
}

impl Memo {
    /// The adapter's own part, made on first use.
    pub fn own<T: Any + Send + Default>(&mut self) -> &mut T {
        let place = self.own.iter().position(|own| own.is::<T>()).unwrap_or_else(|| {
            self.own.push(Box::<T>::default());
            self.own.len() - 1
        });
        self.own[place].downcast_mut().expect("the part was found or made as a T")
    }

    /// The adapter's own part, if it was ever made.
    pub fn peek<T: Any>(&self) -> Option<&T> {
        self.own.iter().find_map(|own| own.downcast_ref())
    }
}

/// A section that could not be read as what the adapter asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The server refused a command the whole section depends on.
    #[error("{0}")]
    Command(#[from] crate::link::CommandError),
    /// A reply of a shape the command never has: a bug, or a foreign server.
    #[error("unexpected reply to {command}: {what}")]
    Shape {
        /// The command.
        command: &'static str,
        /// What came.
        what: String,
    },
}

/// Why a deeper read or a change did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SystemError {
    /// The connection or the server.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A reply could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The system, or this version of it, cannot do that.
    #[error("{0}")]
    Unsupported(String),
    /// The request makes no sense here (unknown state, bad cursor).
    #[error("{0}")]
    BadRequest(String),
    /// Jobs were taken that can be neither run nor put back now: nobody knows of them until they are looked for.
    #[error("{0}")]
    Astray(String),
}

/// The future every deeper read returns.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, SystemError>>;

/// The answer of a system to something it cannot do.
pub fn unsupported<'a, T: Send + 'a>(what: &str) -> Answer<'a, T> {
    let error = SystemError::Unsupported(format!("{what} is not possible for this queue system"));
    Box::pin(async move { Err(error) })
}

/// Bytes of a result in which its meaning is looked for: enough for the history of some dozen steps.
pub const RESULT_BYTES: u64 = 16 * 1024;

/// A kind of queue software.
pub trait System: Send + Sync {
    /// Name, states, capabilities, scans.
    fn spec(&self) -> &'static SystemSpec;

    /// A key met by one of this system's scans. Several systems may look at the same key.
    fn recognise(&self, key: &[u8]) -> Option<Sighting>;

    /// True if what its scans meet is offered to a person and never a queue by itself: nobody waits for it (P10).
    fn scans_only_offer(&self) -> bool {
        false
    }

    /// Queues that are known without a scan: from the configuration, or because they were met before and have no key
    /// while they are empty.
    fn described(&self) -> Vec<QueueId> {
        Vec::new()
    }

    /// Work that goes on beside the ticks and touches no Redis, for example counting in a database. The engine keeps it
    /// running as a task of its own; it never ends by itself.
    fn beside(&self) -> Option<BoxFuture<'_, ()>> {
        None
    }

    /// False while that work has not yet brought what a first look should have.
    fn is_ready(&self) -> bool {
        true
    }

    /// False while keys met by a scan were not yet looked at closely enough to know whether they are queues.
    fn is_settled(&self, memo: &Memo) -> bool {
        let _ = memo;
        true
    }

    /// Add this instance's commands: registry reads and counts. Each names one key and is O(1) or O(log n).
    fn plan(&self, instance: &Instance, memo: &Memo, batch: &mut Batch);

    /// Read the replies to exactly those. A queue that turns out to be none is left out of the sample.
    fn read(
        &self,
        instance: &Instance,
        memo: &mut Memo,
        replies: &mut Replies<'_>,
    ) -> Result<InstanceSample, ReadError>;

    /// A page of a state's jobs.
    fn jobs<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        page: PageRequest,
    ) -> Answer<'a, Page<JobRow>>;

    /// One job. `payload_limit` bytes of payload, result and options are read.
    fn job<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        id: &'a JobId,
        payload_limit: u64,
    ) -> Answer<'a, Option<Job>>;

    /// The first bytes of finished jobs' results, where a row alone does not tell what a result means. Read for one page
    /// at most, and only where a convention asks for it.
    fn results<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<Blob>>> {
        Box::pin(async move {
            let mut results = Vec::with_capacity(ids.len());
            for id in ids {
                results.push(self.job(link, queue, id, RESULT_BYTES).await?.and_then(|job| job.result));
            }
            Ok(results)
        })
    }

    /// True if the states of ended jobs follow already what the conventions say that their results mean.
    fn judges_results(&self) -> bool {
        false
    }

    /// True if what ended well may turn out to be a failure by a convention.
    fn results_may_be_failures(&self, queue: &QueueId) -> bool {
        let _ = queue;
        false
    }

    /// One bounded step of a search through a state.
    fn search<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        state: StateId,
        search: &'a Search,
        page: PageRequest,
    ) -> Answer<'a, SearchStep>;

    /// Workers of an instance. `clients`: the reply of `CLIENT LIST` as lines, if it may be asked (P8).
    fn workers<'a>(
        &'a self,
        link: &'a Link,
        instance: &'a Instance,
        clients: Option<&'a str>,
    ) -> Answer<'a, Vec<Worker>>;

    /// Repeatable jobs or schedulers of a queue.
    fn schedules<'a>(&'a self, link: &'a Link, queue: &'a QueueId, page: PageRequest) -> Answer<'a, Page<Schedule>>;

    /// Why a queue, or one job of it, does not move.
    fn why<'a>(&'a self, link: &'a Link, queue: &'a QueueId, job: Option<&'a JobId>) -> Answer<'a, Vec<Reason>>;

    /// What can be changed here, in which states, and what really happens.
    fn abilities(&self) -> &'static [Ability] {
        &[]
    }

    /// Change something: one piece, small enough for one call of a few milliseconds.
    fn mutate<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Outcome>;

    /// What a change in an application's own words really does: one sentence, then the exact commands for the first few
    /// of these jobs. Empty where the system does it by a procedure of its own.
    fn preview<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        verb: Verb,
        state: StateId,
        ids: &'a [JobId],
    ) -> Answer<'a, Vec<String>> {
        let _ = (link, queue, verb, state, ids);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// The states jobs are in right now; `None`: in no list. Used to tell the truth after a reply was lost (R9).
    fn locate<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Option<StateId>>> {
        let _ = (link, queue, ids);
        unsupported("reading back a job's state")
    }

    /// Whether a piece whose answer was lost was carried out (R9): one word for each id, one for a queue as a whole;
    /// `None`: nobody can tell. Never sends the change again.
    fn confirm<'a>(&'a self, link: &'a Link, mutation: &'a Mutation) -> Answer<'a, Vec<Option<bool>>> {
        Box::pin(moved(self, link, mutation))
    }

    /// Everything that belongs to jobs, byte for byte, for the trash. A job that is gone is left out.
    fn record<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        let _ = (link, queue, ids);
        unsupported("taking a copy of a job")
    }

    /// Likewise with everything below each job that would go with it; its own record comes first.
    fn record_family<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [JobId]) -> Answer<'a, Vec<Record>> {
        self.record(link, queue, ids)
    }

    /// Everything that belongs to schedules. One that is gone is left out.
    fn record_schedules<'a>(&'a self, link: &'a Link, queue: &'a QueueId, ids: &'a [Name]) -> Answer<'a, Vec<Record>> {
        let _ = (link, queue, ids);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// The queue's own keys, byte for byte, for the trash before it is obliterated; `None`: it has none of its own.
    fn record_queue<'a>(&'a self, link: &'a Link, queue: &'a QueueId) -> Answer<'a, Option<Record>> {
        let _ = (link, queue);
        Box::pin(async { Ok(None) })
    }

    /// True where what comes back can only be added behind all that is there: then copies go back in the order in which
    /// they were taken.
    fn only_appends(&self) -> bool {
        false
    }

    /// Puts records back in state and order. A job whose id was taken since is refused. `again`: an earlier call with
    /// the same records was sent and its answer is not known, so they may be back already; nothing is put back twice.
    fn restore<'a>(
        &'a self,
        link: &'a Link,
        queue: &'a QueueId,
        records: &'a [Record],
        again: bool,
    ) -> Answer<'a, Outcome> {
        let _ = (link, queue, records, again);
        unsupported("putting a job back")
    }

    /// Present when the runner may take jobs here.
    fn consumer(&self) -> Option<&dyn consume::Consume> {
        None
    }
}

/// Tells by where jobs are now whether a change that moves them was made: one that left the state it was seen in was
/// changed, one that is still there was not.
pub async fn moved<S: System + ?Sized>(
    system: &S,
    link: &Link,
    mutation: &Mutation,
) -> Result<Vec<Option<bool>>, SystemError> {
    let Target::Jobs { state, ids } = &mutation.target else { return Ok(vec![None]) };
    if mutation.change.verb().stays() {
        return Ok(vec![None; ids.len()]);
    }
    let now = system.locate(link, &mutation.queue, ids).await?;
    Ok(now.into_iter().map(|now| Some(now != Some(*state))).collect())
}

/// Every system qtop knows, in display order, set up with what the configuration describes.
pub fn all(described: &Described) -> Vec<Arc<dyn System>> {
    let laravel = Arc::new(self::laravel::Laravel::new(&described.laravel));
    let horizon = self::laravel::horizon::Horizon::new(Arc::clone(&laravel));
    let systems: Vec<Arc<dyn System>> = vec![
        Arc::new(self::bullmq::BullMq),
        Arc::new(self::bull::Bull),
        laravel,
        Arc::new(horizon),
        Arc::new(self::arq::Arq::new(&described.arq, convention::Outcomes::new(&described.conventions))),
        Arc::new(self::list::List::new(&described.lists)),
        Arc::new(self::stream::Stream),
    ];
    convention::lay_over(systems, &described.conventions)
}
