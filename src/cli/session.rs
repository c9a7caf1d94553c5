//! One headless look at a server: connect, find all queues, ask, leave.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::failure::{Exit, Failure};
use crate::config::Config;
use crate::domain::address;
use crate::domain::fetch::{Fetched, Request};
use crate::domain::ids::{QueueId, Ticket};
use crate::domain::queue::Oldest;
use crate::domain::snapshot::{LinkHealth, Snapshot};
use crate::engine::fetcher::Ask;
use crate::engine::{EngineConfig, EngineHandles, start};
use crate::systems::{self, System};

/// Further ticks after the first complete one, at most.
const SECOND_LOOKS: usize = 3;

/// How long a command waits for what is counted beside the ticks, and how often it looks.
const BESIDE: Duration = Duration::from_secs(5);
const BESIDE_STEP: Duration = Duration::from_millis(20);

/// A running engine and the snapshot its command works with.
pub struct Session {
    handles: EngineHandles<()>,
    cancel: CancellationToken,
    snapshot: Arc<Snapshot>,
    complete: bool,
    narrowed: bool,
    tickets: u64,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Session {
    /// Connects and waits until every queue is found and read, at most `limit`.
    ///
    /// `only`: the queue the command is about, if it is about one; a full address then needs no search.
    pub async fn open(
        config: &Config,
        state: Option<&Path>,
        limit: Duration,
        only: Option<&str>,
    ) -> Result<Self, Failure> {
        let until = Instant::now() + limit;
        let name = &config.origin.chosen;
        let systems = Arc::new(systems::all(&config.described().for_server(name)));
        let mut engine = EngineConfig::of(config, name, Arc::clone(&systems), state)
            .ok_or_else(|| Failure::new(Exit::Usage, format!("server {name} has no URL")))?;
        let names: Vec<_> = systems.iter().map(|system| system.spec().name).collect();
        if let Some(text) = only.filter(|text| address::parse_full(text, &names).is_some()) {
            engine.scope.queues = vec![text.to_owned()];
        }
        let narrowed = !engine.scope.queues.is_empty();
        let cancel = CancellationToken::new();
        let handles = start(engine, &cancel);
        let snapshot = handles.snapshots.borrow().clone();
        let mut session = Self { handles, cancel, snapshot, complete: false, narrowed, tickets: 0 };
        session.complete = session.wait(until, |snapshot| snapshot.discovery.passes > 0).await?;
        session.wait_beside(&systems, until).await?;
        session.settle(until).await?;
        // A search that was refused has an end, but has not seen everything.
        session.complete &= session.snapshot.warnings.iter().all(|warning| warning.code != "scan_refused");
        if session.snapshot.seq == 0 {
            let text = format!("{} did not answer within {limit:?}", session.snapshot.url);
            return Err(Failure::new(Exit::Unreachable, text).with_remedy("is it reachable from here? See --timeout"));
        }
        Ok(session)
    }

    /// What is counted beside the ticks may take longer than they do; then one more tick shows it.
    async fn wait_beside(&mut self, systems: &[Arc<dyn System>], until: Instant) -> Result<(), Failure> {
        if systems.iter().all(|system| system.beside().is_none()) {
            return Ok(());
        }
        let until = until.min(Instant::now() + BESIDE);
        while Instant::now() < until && !systems.iter().all(|system| system.is_ready()) {
            tokio::time::sleep(BESIDE_STEP).await;
        }
        // A tick may be under way that was planned before; the one behind it was not.
        for _ in 0..2 {
            let seq = self.snapshot.seq;
            self.handles.refresh.notify_one();
            self.wait(until + BESIDE, |snapshot| snapshot.seq > seq).await?;
        }
        Ok(())
    }

    /// Some facts take a second look: an adapter asks for the age of the oldest job once it knows which job that is.
    async fn settle(&mut self, until: Instant) -> Result<(), Failure> {
        let unknown =
            |snapshot: &Snapshot| snapshot.queues().filter(|(_, queue)| queue.oldest == Oldest::Unknown).count();
        let mut before = usize::MAX;
        for _ in 0..SECOND_LOOKS {
            let (seq, now) = (self.snapshot.seq, unknown(&self.snapshot));
            // What a look did not make fewer, no look will.
            if seq == 0 || now == 0 || now >= before {
                break;
            }
            before = now;
            self.handles.refresh.notify_one();
            if !self.wait(until, |snapshot| snapshot.seq > seq).await? {
                break;
            }
        }
        Ok(())
    }

    /// Waits for a snapshot; false if the time ran out, an error if the server cannot be reached.
    async fn wait(&mut self, until: Instant, ready: impl Fn(&Snapshot) -> bool) -> Result<bool, Failure> {
        loop {
            self.snapshot = self.handles.snapshots.borrow_and_update().clone();
            match &self.snapshot.link {
                LinkHealth::Connecting { last_error: Some(error) } => {
                    return Err(Failure::new(Exit::Unreachable, error.clone()));
                }
                LinkHealth::Down { error, remedy, .. } => {
                    let mut failure = Failure::new(Exit::Unreachable, error.clone());
                    failure.remedy.clone_from(remedy);
                    return Err(failure);
                }
                _ => {}
            }
            if self.snapshot.seq > 0 && ready(&self.snapshot) {
                return Ok(true);
            }
            match timeout_at(until, self.handles.snapshots.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Failure::new(Exit::Unreachable, "the sampler has ended (a bug)")),
                Err(_) => return Ok(false),
            }
        }
    }

    /// Watches for a while, so that rates can be told.
    pub async fn watch(&mut self, span: Duration) -> Result<(), Failure> {
        let until = Instant::now() + span;
        while self.wait(until, |_| false).await? {}
        // The last sample is to be from the end of the span.
        let seq = self.snapshot.seq;
        self.handles.refresh.notify_one();
        self.wait(Instant::now() + Duration::from_secs(10), |snapshot| snapshot.seq > seq).await?;
        Ok(())
    }

    /// What is known.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The shortest address that is exact on the whole server. Where only some queues are looked at, others may have
    /// the same short one.
    pub fn address(&self, id: &QueueId) -> String {
        if self.narrowed { id.full_address() } else { self.snapshot.address(id) }
    }

    /// False if the time ran out before the whole keyspace had been looked at.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// A remark for people if not everything was looked at.
    pub fn incomplete_note(&self) -> Option<String> {
        (!self.complete).then(|| {
            format!(
                "the time was up after {:.0} % of the keyspace: queues may be missing (see --timeout)",
                self.snapshot.discovery.share * 100.0
            )
        })
    }

    /// Makes one deeper read.
    pub async fn ask(&mut self, request: Request) -> Result<Fetched, Failure> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let ended = || Failure::new(Exit::Unreachable, "the fetcher has ended (a bug)");
        self.handles.asks.send(Ask::Fetch { ticket, slot: (), request }).await.map_err(|_| ended())?;
        loop {
            let answer = self.handles.answers.recv().await.ok_or_else(ended)?;
            if answer.ticket == ticket {
                return answer.result.map_err(Failure::from);
            }
        }
    }
}
