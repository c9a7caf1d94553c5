//! From the configuration to pools that can be started; everything that cannot work is said before a job is taken.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::RunnerError;
use super::execute::{Entry, Execute, Handlers};
use super::gate::Gate;
use super::once::Once;
use super::policy::{self, Terms};
use super::pool::{Parts, Pool};
use super::schedule::Rule;
use super::slot::wall;
use super::wire::Wire;
use crate::config::{self, Kept, Runner, Timetable, Unmatched};
use crate::domain::address::decode;
use crate::domain::ids::{Name, QueueId};
use crate::engine::Systems;
use crate::link::ConnectOptions;
use crate::systems::System;
use crate::systems::consume::{Allowed, Keep, LeftBehind, Retention, Seat};

/// Makes a handler of its table; the error says which setting cannot be used and why, and what to do.
pub type Build = dyn Fn(&config::Handler) -> Result<Arc<dyn Execute>, (String, Option<String>)> + Send + Sync;

/// What pools share.
pub struct Common {
    /// Name of this runner, unique.
    pub name: String,
    /// Systems by which queues are worked on.
    pub systems: Systems,
    /// Connections.
    pub wire: Arc<Wire>,
    /// Whether the machine has room.
    pub gate: Arc<Gate>,
    /// Makes handlers.
    pub build: Arc<Build>,
}

impl Common {
    /// For a runner of this configuration; connects to nothing.
    pub fn new(connect: ConnectOptions, systems: Systems, runner: &Runner, build: Arc<Build>) -> Self {
        let (name, wire, gate) = (unique(&runner.name), Wire::new(connect), Arc::new(Gate::default()));
        Self { name, systems, wire, gate, build }
    }
}

/// What pools take from the table of the whole runner: another value means another pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// How long a claim holds where it can be renewed.
    pub lease: Duration,
    /// Jobs with more data are given up unseen.
    pub max_payload: u64,
    /// Where jobs get their folders unless a handler says it.
    pub directory: Option<PathBuf>,
}

impl Basis {
    /// As configured.
    pub fn of(runner: &Runner) -> Self {
        Self { lease: runner.lease, max_payload: runner.max_payload, directory: runner.directory.clone() }
    }
}

/// The queue an address names, and its system, which has a consumer.
pub fn find(systems: &Systems, address: &str) -> Result<(QueueId, Arc<dyn System>), RunnerError> {
    let refused = |reason: String| RunnerError::Queue { queue: address.to_owned(), reason };
    let (head, name) = address.split_once(':').ok_or_else(|| refused("it is no SYSTEM:NAME".to_owned()))?;
    let (system, instance) = head.split_once('@').map_or((head, None), |(system, rest)| (system, Some(rest)));
    let system = systems
        .iter()
        .find(|known| known.spec().name == system)
        .ok_or_else(|| refused(format!("there is no queue system {system:?}")))?;
    let consumer =
        system.consumer().ok_or_else(|| refused(format!("the runner cannot take jobs of {}", system.spec().title)))?;
    let instance = instance.map_or_else(|| Name::from(consumer.instance()), |text| Name::from(decode(text)));
    let queue = QueueId::new(system.spec().name, instance, decode(name));
    consumer.check(&queue).map_err(refused)?;
    Ok((queue, Arc::clone(system)))
}

/// Makes all pools of a configuration, or says what is wrong with the first that cannot be made.
pub fn pools(common: &Common, runner: &Runner) -> Result<Vec<Arc<Pool>>, RunnerError> {
    if runner.pools.is_empty() {
        return Err(RunnerError::NothingNamed);
    }
    let (pools, problems) = all(common, runner);
    problems.into_iter().next().map_or(Ok(pools), Err)
}

/// Makes the pools that can be made, and says what is wrong with each of the others.
pub fn all(common: &Common, runner: &Runner) -> (Vec<Arc<Pool>>, Vec<RunnerError>) {
    let (mut pools, mut problems) = (Vec::new(), Vec::new());
    for config in &runner.pools {
        match pool(common, runner, config) {
            Ok(pool) => pools.push(pool),
            Err(error) => problems.push(error),
        }
    }
    (pools, problems)
}

/// Refuses a queue that an earlier pool works on: an address can be written in several ways, and each of two pools would
/// give up the jobs that only the other has a handler for.
fn alone(systems: &Systems, runner: &Runner, config: &config::Pool, queue: &QueueId) -> Result<(), RunnerError> {
    let earlier = runner.pools.iter().map(|other| &other.queue).take_while(|other| **other != config.queue);
    let mut same = earlier.filter(|other| find(systems, other).is_ok_and(|(known, _)| known == *queue));
    match same.next() {
        None => Ok(()),
        Some(other) => Err(RunnerError::Twice { queue: config.queue.clone(), other: other.clone() }),
    }
}

/// Makes one pool.
pub fn pool(common: &Common, runner: &Runner, config: &config::Pool) -> Result<Arc<Pool>, RunnerError> {
    let (queue, system) = find(&common.systems, &config.queue)?;
    alone(&common.systems, runner, config, &queue)?;
    let consumer = system.consumer().expect("an address is only found in a system with a consumer");
    runner.schedules.iter().filter(|timetable| timetable.queue == config.queue).try_for_each(fires)?;
    let everything = config.handlers.iter().any(|handler| handler.takes(""));
    if !everything && config.unmatched.is_none() && !consumer.picks_by_name() {
        let patterns = config.handlers.iter().flat_map(|handler| handler.matches.iter()).collect::<Vec<_>>().join(", ");
        return Err(RunnerError::Unmatched { queue: config.queue.clone(), patterns });
    }
    let fixed = consumer.fixed_lease(&queue);
    if let Some(lease) = fixed {
        config.handlers.iter().try_for_each(|handler| fits(config, handler, lease))?;
    }
    let basis = Basis::of(runner);
    let terms = terms(common, config, None, &config::Handler::default())?;
    let entry = |handler| entry(common, config, &basis, terms.once.as_ref(), handler);
    let handlers = config.handlers.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    let said = |terms: &Terms| terms.retry.as_ref().and_then(policy::said);
    let by_name = config.handlers.iter().zip(&handlers);
    let by_name = by_name.map(|(handler, entry)| (handler.globs().collect(), said(&entry.terms))).collect();
    let crashes = handlers.iter().map(|entry| entry.terms.max_crashes).max();
    let keep = |kept: Option<Kept>| kept.map(|kept| Keep { count: kept.count, age: kept.age });
    let seat = Seat {
        queue,
        // A pool that is set up anew while its predecessor drains must not be taken for it.
        worker: Name::from(format!("{}-{:04x}", common.name, fastrand::u16(..))),
        process: std::process::id(),
        host: Arc::from(host().as_str()),
        lease: fixed.unwrap_or(basis.lease),
        rate: config.rate.map(|rate| (rate.jobs, rate.per)),
        max_deaths: crashes.unwrap_or(config.max_crashes),
        keep: Retention { done: keep(config.keep_done), failed: keep(config.keep_failed) },
        names: if consumer.picks_by_name() { names(config) } else { Arc::default() },
        attempts: Allowed { by_name, others: said(&terms) },
        left_behind: config.claim_idle.map(|idle| LeftBehind { idle, most_deliveries: config.max_deliveries }),
    };
    Ok(Pool::new(Parts {
        address: config.queue.clone(),
        system,
        seat,
        wire: Arc::clone(&common.wire),
        handlers: Handlers(handlers),
        config: config.clone(),
        terms: Arc::new(terms),
        basis,
        gate: Arc::clone(&common.gate),
    }))
}

fn entry(
    common: &Common,
    pool: &config::Pool,
    basis: &Basis,
    once: Option<&Arc<Once>>,
    handler: &config::Handler,
) -> Result<Entry, RunnerError> {
    let scratch = handler.scratch.clone().or_else(|| basis.directory.clone());
    let handler = &config::Handler { scratch, ..handler.clone() };
    let pattern = pattern(handler);
    let execute = (common.build)(handler).map_err(|(reason, remedy)| RunnerError::Handler {
        queue: pool.queue.clone(),
        handler: pattern.clone(),
        reason,
        remedy,
    })?;
    let takes = handler.clone();
    Ok(Entry {
        takes: Arc::new(move |name| takes.takes(name)),
        label: format!("{pattern} → {}", handler.label()),
        execute,
        terms: Arc::new(terms(common, pool, once, handler)?),
    })
}

/// Refuses a schedule that never fires.
fn fires(timetable: &Timetable) -> Result<(), RunnerError> {
    let refused = |reason: String| {
        let (queue, name) = (timetable.queue.clone(), timetable.name.clone());
        RunnerError::Schedule { queue, name, reason }
    };
    let next = Rule::of(timetable).map_err(refused)?.after(wall());
    next.map(drop).ok_or_else(|| refused("no moment to come matches it".to_owned()))
}

/// What holds for the jobs of a handler. `once`: the pool's, which its handlers share.
fn terms(
    common: &Common,
    pool: &config::Pool,
    once: Option<&Arc<Once>>,
    handler: &config::Handler,
) -> Result<Terms, RunnerError> {
    let dedup = handler.dedup.as_ref().or(pool.dedup.as_ref().filter(|_| once.is_none()));
    let own = dedup.map(|dedup| Once::of(dedup, &common.name).map(Arc::new)).transpose();
    let own = own.map_err(|reason| RunnerError::Queue { queue: pool.queue.clone(), reason })?;
    Ok(Terms {
        timeout: handler.timeout.or(pool.timeout),
        retry: handler.retry.clone().or_else(|| pool.retry.clone()),
        max_crashes: handler.max_crashes.unwrap_or(pool.max_crashes),
        once: own.or_else(|| once.cloned()),
    })
}

/// Refuses jobs that could outlast a claim which cannot be renewed (R14).
fn fits(pool: &config::Pool, handler: &config::Handler, lease: Duration) -> Result<(), RunnerError> {
    let timeout = handler.timeout.or(pool.timeout);
    if timeout.is_some_and(|timeout| timeout < lease) {
        return Ok(());
    }
    let queue = match handler.timeout {
        Some(_) => format!("{}, jobs named {}", pool.queue, pattern(handler)),
        None => pool.queue.clone(),
    };
    let timeout = timeout.map_or_else(|| "any time (no timeout)".to_owned(), |time| format!("{time:?}"));
    Err(RunnerError::Lease { queue, timeout, lease: format!("{lease:?}") })
}

fn pattern(handler: &config::Handler) -> String {
    handler.matches.iter().collect::<Vec<_>>().join(", ")
}

/// What jobs may be called that are taken from a queue which is shared with others; empty: anything.
fn names(config: &config::Pool) -> Arc<[String]> {
    let all = config.unmatched == Some(Unmatched::Fail) || config.handlers.iter().any(|handler| handler.takes(""));
    if all {
        return Arc::default();
    }
    config.handlers.iter().flat_map(config::Handler::globs).collect()
}

/// This machine's name; empty if it tells none.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// A unique name for one start of a runner.
pub fn unique(name: &str) -> String {
    format!("{name}-{:08x}", fastrand::u32(..))
}
