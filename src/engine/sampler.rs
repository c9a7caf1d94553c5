//! The task that watches one server: connect, tick, publish, connect again.
//!
//! One connection, one batch under way (P5). While the first walk over the keyspace lasts, its SCANs go over the same
//! connection beside the ticks, spread in time so that no client of the server waits behind a row of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::cache;
use super::discovery::{Call, Discovery};
use super::scope::Scope;
use super::tick::{Plan, Ticker, Timing};
use super::{Clients, Dialer, Limits, Pace, Systems};
use crate::domain::ids::{QueueId, ServerId};
use crate::domain::snapshot::{LinkHealth, Snapshot};
use crate::link::{Backoff, Batch, Link, LinkError, Purpose, Remedy, Reply};

/// Ticks that follow each other at once, because queues were just found, are at least this far apart.
const SHORTEST_PAUSE: Duration = Duration::from_millis(150);
/// What the sampler is told once.
pub struct SamplerConfig {
    /// The server's name.
    pub server: ServerId,
    /// Its URL without secrets.
    pub url: Arc<str>,
    /// Makes connections.
    pub dial: Arc<Dialer>,
    /// Every system to look for.
    pub systems: Systems,
    /// What to show.
    pub scope: Scope,
    /// File that keeps the found queues for the next start.
    pub cache: Option<PathBuf>,
}

/// What the sampler hears and says while it runs.
#[derive(Clone)]
pub struct SamplerChannels {
    /// Newest snapshot.
    pub snapshots: Arc<watch::Sender<Arc<Snapshot>>>,
    /// How fast.
    pub pace: watch::Receiver<Pace>,
    /// What it may cost.
    pub limits: watch::Receiver<Limits>,
    /// Sample now.
    pub refresh: Arc<Notify>,
    /// Search the whole keyspace again now.
    pub rescan: Arc<Notify>,
    /// Queues into which something was put just now, by whoever did it. A search would find them later.
    pub announced: broadcast::Sender<QueueId>,
    /// Names of clients, when the Workers screen has asked for them.
    pub clients: watch::Receiver<Option<Clients>>,
}

/// Runs until cancelled.
pub async fn run(config: &SamplerConfig, mut channels: SamplerChannels, cancel: CancellationToken) {
    let known = match &config.cache {
        Some(path) => cache::load(path, &config.url, &config.systems).await,
        None => Vec::new(),
    };
    let (known, elsewhere): (Vec<_>, Vec<_>) = known.into_iter().partition(|id| config.scope.admits(id));
    let limits = *channels.limits.borrow_and_update();
    let discovery = Discovery::new(Arc::clone(&config.systems), config.scope.clone(), limits, known);
    let ticker =
        Ticker::new(config.server.clone(), Arc::clone(&config.url), Arc::clone(&config.systems), discovery, limits);
    let mut sampler = Sampler { config, ticker, walked: false, elsewhere, kept: None };
    let mut announced = channels.announced.subscribe();
    let mut back_off = Backoff::new();
    let mut down_since: Option<Instant> = None;
    while !cancel.is_cancelled() {
        let connected = tokio::select! {
            () = cancel.cancelled() => return,
            link = config.dial.dial(Purpose::Sample) => link,
        };
        let seq = sampler.ticker.last().seq;
        let error = match connected {
            Ok(link) => tokio::select! {
                () = cancel.cancelled() => return,
                error = sampler.serve(link, &mut channels, &mut announced) => error,
            },
            Err(error) => error,
        };
        sampler.ticker.discovery.interrupted();
        if sampler.ticker.last().seq > seq {
            back_off.reset();
            down_since = None;
        }
        tracing::warn!(server = %config.server, %error, "the connection is down");
        let since = *down_since.get_or_insert_with(Instant::now);
        channels.snapshots.send_replace(sampler.ticker.without_link(health(since, &error, sampler.ticker.last().seq)));
        tokio::select! {
            () = cancel.cancelled() => return,
            () = channels.refresh.notified() => {}
            () = tokio::time::sleep(back_off.failed()) => {}
        }
    }
}

fn health(since: Instant, error: &LinkError, seq: u64) -> LinkHealth {
    let remedy = error.remedy().map(std::borrow::Cow::into_owned);
    if seq == 0 {
        let text = match remedy {
            Some(remedy) => format!("{error}. {remedy}"),
            None => error.to_string(),
        };
        LinkHealth::Connecting { last_error: Some(text) }
    } else {
        LinkHealth::Down { since, error: error.to_string(), remedy }
    }
}

struct Sampler<'a> {
    config: &'a SamplerConfig,
    ticker: Ticker,
    /// The first walk has been started.
    walked: bool,
    /// Queues found earlier that this run does not look at; kept on the disk as they are.
    elsewhere: Vec<QueueId>,
    /// Queues that are on the disk since this start.
    kept: Option<BTreeSet<QueueId>>,
}

type Sent = (Plan, Timing, Result<Vec<Reply>, LinkError>, u64);
type Scanned = (Call, Result<Reply, LinkError>);

impl Sampler<'_> {
    /// Ticks over one connection until it fails.
    async fn serve(
        &mut self,
        link: Link,
        channels: &mut SamplerChannels,
        announced: &mut broadcast::Receiver<QueueId>,
    ) -> LinkError {
        let mut tick: Option<BoxFuture<'static, Sent>> = None;
        let mut scans: FuturesUnordered<BoxFuture<'static, Scanned>> = FuturesUnordered::new();
        let mut next_tick = Some(Instant::now());
        let mut pacer = self.ticker.discovery.pacer(Instant::now());
        let mut started = Instant::now();
        // Somebody asked for a tick, or the walk ended, while one was under way; that one may have been read too early.
        let mut again = false;
        loop {
            let idle = tick.is_none();
            let scan_call = self.ticker.discovery.can_go_fast();
            tokio::select! {
                sent = wait_for(&mut tick) => {
                    tick = None;
                    let (plan, timing, result, bytes) = sent;
                    match result {
                        Ok(replies) => self.publish(&plan, &replies, timing, bytes, channels),
                        Err(error) => return error,
                    }
                    if !self.walked {
                        // Only now is it known how large the keyspace is and whether it can be split.
                        self.walked = true;
                        self.ticker.discovery.start_fast();
                        pacer = self.ticker.discovery.pacer(Instant::now());
                    }
                    let pace = *channels.pace.borrow();
                    let interval = self.ticker.cost.interval(pace.interval, pace.idle);
                    next_tick = if std::mem::take(&mut again) {
                        Some(Instant::now())
                    } else if self.ticker.is_behind() {
                        Some(started + self.pause())
                    } else {
                        (!pace.paused).then_some(started + interval)
                    };
                }
                Some((call, result)) = scans.next() => {
                    match result {
                        Ok(reply) => {
                            let found = self.ticker.scanned(call, &reply, Instant::now());
                            if found.walk_done {
                                again |= !idle;
                                next_tick = Some(Instant::now());
                                self.remember();
                            } else if found.new {
                                next_tick = Some(started + self.pause());
                            }
                        }
                        Err(error) => return error,
                    }
                }
                () = sleep_until(pacer.next().into()), if scan_call => {
                    if let Some(call) = self.ticker.discovery.next_fast() {
                        self.ticker.note_scan(&call);
                        scans.push(Box::pin(scan(link.clone(), call)));
                        pacer.left(Instant::now(), self.ticker.discovery.gap());
                    }
                }
                () = sleep_until(next_tick.unwrap_or(started).into()), if idle && next_tick.is_some() => {
                    started = Instant::now();
                    let clients = channels.clients.borrow().as_ref().and_then(|clients| clients.young(started));
                    let plan = self.ticker.plan(started, clients.as_ref());
                    tick = Some(Box::pin(send(link.clone(), plan, Arc::clone(&self.config.dial))));
                    next_tick = None;
                }
                () = channels.refresh.notified() => {
                    again = !idle;
                    next_tick = Some(Instant::now());
                }
                Ok(queue) = announced.recv() => {
                    if self.ticker.discovery.announce(&queue) {
                        again |= !idle;
                        next_tick = Some(Instant::now());
                    }
                }
                () = channels.rescan.notified() => {
                    self.ticker.discovery.start_fast();
                    pacer = self.ticker.discovery.pacer(Instant::now());
                }
                Ok(()) = channels.limits.changed() => {
                    self.ticker.cost.limit(*channels.limits.borrow_and_update());
                    let pace = *channels.pace.borrow();
                    let interval = self.ticker.cost.interval(pace.interval, pace.idle);
                    next_tick = (!pace.paused && idle).then_some(started + interval).or(next_tick);
                }
                Ok(()) = channels.pace.changed() => {
                    let pace = *channels.pace.borrow_and_update();
                    let interval = self.ticker.cost.interval(pace.interval, pace.idle);
                    next_tick = (!pace.paused).then_some(started + interval);
                }
            }
        }
    }

    /// How long a tick that follows at once waits after the one before began. Nobody who sees no queue yet is made to
    /// wait for the first (F1).
    fn pause(&self) -> Duration {
        if self.ticker.asks_for_nothing() { Duration::ZERO } else { SHORTEST_PAUSE }
    }

    fn publish(&mut self, plan: &Plan, replies: &[Reply], timing: Timing, bytes: u64, channels: &SamplerChannels) {
        let walks = self.ticker.discovery.passes();
        let snapshot = self.ticker.read(plan, replies, timing, self.config.dial.meter(), bytes);
        channels.snapshots.send_replace(snapshot);
        if self.ticker.discovery.passes() > walks {
            self.remember();
        }
    }

    /// Keeps the found queues for the next start, without waiting for the disk.
    fn remember(&mut self) {
        let queues = self.ticker.discovery.known();
        if let Some(path) = self.config.cache.as_ref().filter(|_| self.kept.as_ref() != Some(queues)) {
            let mut queues = queues.clone();
            self.kept = Some(queues.clone());
            queues.extend(self.elsewhere.iter().cloned());
            tokio::task::spawn_blocking({
                let (path, url) = (path.clone(), Arc::clone(&self.config.url));
                move || {
                    if let Err(error) = cache::store(&path, &url, &queues) {
                        tracing::warn!(path = %path.display(), %error, "the list of queues could not be kept");
                    }
                }
            });
        }
    }
}

async fn wait_for(tick: &mut Option<BoxFuture<'static, Sent>>) -> Sent {
    match tick {
        Some(tick) => tick.await,
        None => std::future::pending().await,
    }
}

async fn send(link: Link, plan: Plan, dial: Arc<Dialer>) -> Sent {
    let before = dial.meter().totals();
    let sent = Instant::now();
    let result = link.send(&plan.batch).await;
    let timing = Timing { sent, received: Instant::now() };
    let moved = dial.meter().totals().since(&before);
    let bytes = moved.bytes_in + moved.bytes_out;
    (plan, timing, result, bytes)
}

async fn scan(link: Link, call: Call) -> Scanned {
    let mut batch = Batch::new();
    batch.ask(call.command());
    let result = link.send(&batch).await;
    (call, result.map(|mut replies| replies.pop().unwrap_or(Err(crate::link::CommandError::Missing))))
}
