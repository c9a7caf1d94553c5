//! How many jobs wait in the queues of the pools, for the metrics. A pool learns only of jobs that it takes: a queue from
//! which nothing is taken would look as if nothing waited there. The systems' own samples tell it, asked for seldom, one
//! queue after the other and without walks, so that no claim and no renewal waits behind them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::metrics::Pools;
use super::slot::wall;
use super::wire::{Wire, of_server};
use crate::domain::ids::QueueId;
use crate::domain::queue::{Oldest, QueueSample};
use crate::domain::state::{StateKind, StateSpec};
use crate::domain::time::Timestamp;
use crate::engine::facts::reply_time;
use crate::link::{Batch, Cmd, CommandError, Link, LinkError, Replies, Reply, cmd};
use crate::systems::{Instance, Memo, System, SystemError};

/// Between two looks: as often as a scraper comes.
const EVERY: Duration = Duration::from_secs(15);
/// The same while nothing waits, nothing runs, and what comes is taken at once: an idle runner hardly speaks, and what it
/// may take it does not leave waiting.
const CALM: Duration = Duration::from_secs(300);
/// How often it is seen, without asking the server, whether the next look must not wait any longer.
const STEP: Duration = Duration::from_secs(3);
/// What was seen so long ago is not told any more.
const OLD: Duration = Duration::from_secs(360);
/// Most ticks of one look: the first tells what the queue is and how many wait, the others the age of the oldest.
const TICKS: u64 = 4;
/// How the refusal of a step of a walk begins, which no server says.
const WALK: &str = "WALK";

/// What waits in one queue; what is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Jobs that could run now.
    pub waiting: Option<u64>,
    /// How long the oldest of them has waited; zero if none waits.
    pub oldest: Option<Duration>,
}

impl Backlog {
    /// By a sample of the queue at this moment of the server's clock. In a paused queue no job could run now.
    fn of(sample: &QueueSample, states: &[StateSpec], now: Timestamp) -> Self {
        if sample.conditions.paused == Some(true) {
            return Self { waiting: Some(0), oldest: Some(Duration::ZERO) };
        }
        let waiting = sample.kind(states, StateKind::Waiting).and_then(|count| count.value());
        let oldest = match (waiting, sample.oldest) {
            (Some(0), _) | (_, Oldest::Nothing) => Some(Duration::ZERO),
            (_, Oldest::Since(since)) => Some(since.age(now)),
            (_, Oldest::Unknown) => None,
        };
        Self { waiting, oldest: waiting.and(oldest) }
    }

    /// True if a further tick would tell no more.
    fn is_whole(self) -> bool {
        self.waiting.is_some() && self.oldest.is_some()
    }
}

/// What waits in each queue, as last seen.
#[derive(Clone, Debug, Default)]
pub struct Backlogs(Arc<Mutex<BTreeMap<QueueId, (Backlog, Instant)>>>);

impl Backlogs {
    /// In one queue. Between two looks the oldest job grows older.
    pub fn of(&self, queue: &QueueId) -> Backlog {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(queue).copied();
        let Some((backlog, ago)) = seen.map(|(backlog, at)| (backlog, at.elapsed())).filter(|(_, ago)| *ago < OLD)
        else {
            return Backlog::default();
        };
        let waits = backlog.waiting > Some(0);
        Backlog { oldest: backlog.oldest.map(|oldest| if waits { oldest + ago } else { oldest }), ..backlog }
    }

    /// Takes what was seen; true if nothing waits. Where nothing could be seen, nothing is known.
    fn take(&self, seen: Result<BTreeMap<QueueId, (Backlog, Instant)>, SystemError>) -> bool {
        let seen = seen.unwrap_or_else(|error| {
            tracing::debug!(%error, "nobody knows how many jobs wait");
            BTreeMap::new()
        });
        let calm = !seen.is_empty() && seen.values().all(|(backlog, _)| backlog.waiting == Some(0));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        calm
    }
}

/// Looks until cancelled.
pub async fn watch(pools: Pools, wire: Arc<Wire>, backlogs: Backlogs, over: CancellationToken) {
    let looks = async {
        loop {
            let calm = backlogs.take(look(&pools, &wire).await);
            rest(&pools, &wire, calm).await;
        }
    };
    over.run_until_cancelled(looks).await;
}

/// Waits until the next look is due; at once if the server has gone, so that nothing is told of it any more.
async fn rest(pools: &Pools, wire: &Wire, calm: bool) {
    let start = Instant::now();
    loop {
        tokio::time::sleep(STEP).await;
        let calm = calm && pools().iter().all(|pool| pool.is_idle());
        let wait = if calm { CALM } else { EVERY };
        if start.elapsed() >= wait || !wire.stands().await {
            return;
        }
    }
}

/// Looks at all queues.
async fn look(pools: &Pools, wire: &Wire) -> Result<BTreeMap<QueueId, (Backlog, Instant)>, SystemError> {
    let link = wire.control().await?;
    // A server that does not tell its time to this user is taken to have this machine's.
    let now = match link.ask(cmd("TIME")).await {
        Ok(time) => reply_time(&time).unwrap_or_else(wall),
        Err(LinkError::Command(_)) => wall(),
        Err(error) => return Err(error.into()),
    };
    let at = Instant::now();
    let mut seen = BTreeMap::new();
    for pool in pools() {
        let queue = &pool.parts.seat.queue;
        // While its configuration changes, a queue has several pools.
        if seen.contains_key(queue) {
            continue;
        }
        match of_queue(&link, pool.parts.system.as_ref(), queue, now).await {
            Ok(backlog) => drop(seen.insert(queue.clone(), (backlog, at))),
            Err(error) if of_server(&error) => return Err(error),
            Err(error) => tracing::debug!(queue = pool.parts.address, %error, "nobody knows how many jobs wait"),
        }
    }
    Ok(seen)
}

/// Looks at one queue, for so many ticks as it takes. Nothing is remembered: the ages of an earlier look are of jobs that
/// may be gone.
async fn of_queue(link: &Link, system: &dyn System, queue: &QueueId, now: Timestamp) -> Result<Backlog, SystemError> {
    let instance = Instance { id: queue.instance.clone(), queues: vec![queue.name.clone()] };
    let mut memo = Memo::default();
    (memo.served, memo.server_time) = (true, now);
    let mut backlog = Backlog::default();
    for tick in 1..=TICKS {
        memo.tick = tick;
        let mut batch = Batch::new();
        system.plan(&instance, &memo, &mut batch);
        let replies = ask(link, &batch).await?;
        let sample = system.read(&instance, &mut memo, &mut Replies::new(&replies))?;
        let own = sample.queues.iter().find(|sample| sample.id == *queue);
        backlog = own.map(|own| Backlog::of(own, sample.states, now)).unwrap_or_default();
        if backlog.is_whole() {
            break;
        }
    }
    Ok(backlog)
}

/// Sends all but steps of walks over the keyspace, which cost much and say nothing of what waits: those look refused.
async fn ask(link: &Link, batch: &Batch) -> Result<Vec<Reply>, LinkError> {
    let mut sent = Batch::new();
    batch.commands().iter().filter(|command| !is_walk(command)).for_each(|command| {
        sent.ask(command.clone());
    });
    let mut replies = if sent.is_empty() { Vec::new() } else { link.send(&sent).await? }.into_iter();
    let refused = || CommandError::Refused { code: WALK.to_owned(), detail: "is not made by the runner".to_owned() };
    let reply = |command| {
        if is_walk(command) { Err(refused()) } else { replies.next().unwrap_or(Err(CommandError::Missing)) }
    };
    Ok(batch.commands().iter().map(reply).collect())
}

fn is_walk(command: &Cmd) -> bool {
    matches!(command.args_iter().next(), Some(redis::Arg::Simple(b"SCAN")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::queue::Count;
    use crate::domain::state::StateId;

    const STATES: &[StateSpec] = &[
        StateSpec::new("wait", "Wait", StateKind::Waiting, 'W'),
        StateSpec::new("prioritized", "Prioritized", StateKind::Waiting, 'P'),
        StateSpec::new("delayed", "Delayed", StateKind::Scheduled, 'D'),
    ];

    fn sample(counts: [Count; 3], oldest: Oldest) -> QueueSample {
        let mut sample = QueueSample::unknown(QueueId::new("x", "", "q"), STATES);
        STATES.iter().zip(counts).for_each(|(state, count)| sample.set_count(StateId(state.id.0), count));
        QueueSample { oldest, ..sample }
    }

    #[test]
    fn what_is_delayed_or_paused_does_not_wait_and_what_is_unknown_stays_so() {
        let now = Timestamp(90_000);
        let of = |counts, oldest| Backlog::of(&sample(counts, oldest), STATES, now);
        let exact = [2, 3, 7].map(Count::Exact);
        let known = |waiting, seconds| Backlog { waiting: Some(waiting), oldest: Some(Duration::from_secs(seconds)) };
        assert_eq!(of(exact, Oldest::Since(Timestamp(60_000))), known(5, 30));
        assert_eq!(of(exact, Oldest::Unknown), Backlog { waiting: Some(5), oldest: None });
        assert_eq!(of([0, 0, 7].map(Count::Exact), Oldest::Unknown), known(0, 0));
        let unknown = [Count::Exact(2), Count::Unknown, Count::Exact(7)];
        assert_eq!(of(unknown, Oldest::Since(Timestamp(60_000))), Backlog::default());
        let mut paused = sample(exact, Oldest::Since(Timestamp(60_000)));
        paused.conditions.paused = Some(true);
        assert_eq!(Backlog::of(&paused, STATES, now), known(0, 0));
    }

    #[test]
    fn the_oldest_grows_older_between_two_looks_and_what_was_seen_long_ago_is_not_told() {
        let backlogs = Backlogs::default();
        let queue = |name: &str| QueueId::new("x", "", name);
        let seen = |name: &str, waiting, seconds, ago| {
            let at = Instant::now().checked_sub(Duration::from_secs(ago)).expect("the machine runs for longer");
            (queue(name), (Backlog { waiting: Some(waiting), oldest: Some(Duration::from_secs(seconds)) }, at))
        };
        assert!(!backlogs.take(Ok([seen("a", 1, 5, 10), seen("b", 0, 0, 10), seen("c", 1, 5, 361)].into())));
        assert_eq!(backlogs.of(&queue("a")).oldest.map(|oldest| oldest.as_secs()), Some(15));
        assert_eq!(backlogs.of(&queue("b")).oldest, Some(Duration::ZERO));
        assert_eq!(backlogs.of(&queue("c")), Backlog::default());
        assert!(backlogs.take(Ok([seen("b", 0, 0, 0)].into())));
        assert!(!backlogs.take(Err(SystemError::Unsupported(String::new()))));
        assert_eq!(backlogs.of(&queue("b")), Backlog::default(), "nothing could be seen");
    }
}
