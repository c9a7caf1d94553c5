//! Starting the tasks of one server and handing out their channels.

use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Mutex, Notify, broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::fetcher::{self, Answer, Ask, LazyLink};
use super::gather::Asker;
use super::sampler::{self, SamplerChannels, SamplerConfig};
use super::scope::Scope;
use super::supervise::{self, TaskEnded};
use super::{Dialer, Limits, Pace, Systems};
use crate::config::{Config, Server};
use crate::domain::ids::{QueueId, ServerId};
use crate::domain::snapshot::Snapshot;
use crate::link::{ConnectOptions, TlsOptions};

/// Announced queues that may wait while the server is away; of more, the first are found by a search.
const ANNOUNCED: usize = 256;

/// Everything the tasks of one server need.
pub struct EngineConfig {
    /// The server's name.
    pub server: ServerId,
    /// How to connect to it.
    pub connect: ConnectOptions,
    /// Every system to look for.
    pub systems: Systems,
    /// What to show.
    pub scope: Scope,
    /// What it may cost.
    pub limits: Limits,
    /// How fast to begin with.
    pub pace: Pace,
    /// File that keeps the found queues for the next start ([`super::cache_path`]); none: do not keep them.
    pub cache: Option<PathBuf>,
}

impl EngineConfig {
    /// As configured, for one of the configured servers; found queues are kept in the state folder, if there is one.
    ///
    /// `None` if the configuration has no server of that name, or the server no URL.
    pub fn of(config: &Config, name: &str, systems: Systems, state: Option<&Path>) -> Option<Self> {
        let server = config.servers.get(name)?;
        let connect = connect_options(server)?;
        let cache = state.map(|state| super::cache_path(state, &connect.safe_url()));
        Some(Self {
            server: ServerId(name.into()),
            connect,
            scope: Scope {
                queues: config.discovery.queues.clone(),
                ignore: config.discovery.ignore.clone(),
                systems: systems
                    .iter()
                    .map(|s| s.spec().name)
                    .filter(|name| config.systems.admits(name))
                    .map(str::to_owned)
                    .collect(),
            },
            systems,
            limits: Limits::of(config),
            pace: Pace { interval: config.refresh.interval, ..Pace::default() },
            cache,
        })
    }
}

/// How to connect to a configured server; reading only. `None` without a URL.
pub fn connect_options(server: &Server) -> Option<ConnectOptions> {
    let mut options = ConnectOptions::new(server.url.as_ref()?.expose());
    options.username.clone_from(&server.username);
    options.password.clone_from(&server.password);
    options.db = server.db;
    options.tls = TlsOptions {
        authorities: server.ca.clone(),
        certificate: server.cert.clone(),
        key: server.key.clone(),
        server_name: server.server_name.clone(),
        insecure: server.insecure,
    };
    Some(options)
}

/// The other ends of the tasks' channels. Dropping them stops nothing; cancel the token.
pub struct EngineHandles<S> {
    /// The newest snapshot.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Deeper reads to make. Full means that the fetcher is far behind; say so instead of waiting.
    pub asks: mpsc::Sender<Ask<S>>,
    /// Their answers.
    pub answers: mpsc::Receiver<Answer<S>>,
    /// How fast to sample.
    pub pace: watch::Sender<Pace>,
    /// What it may cost; what is searched for, and how, stays as it was at the start.
    pub limits: watch::Sender<Limits>,
    /// Sample now.
    pub refresh: Arc<Notify>,
    /// Search the whole keyspace again now.
    pub rescan: Arc<Notify>,
    /// Queues into which something was put just now, so that nobody waits until they are found.
    pub announced: broadcast::Sender<QueueId>,
    /// Tasks that ended and were started again.
    pub ended: mpsc::Receiver<TaskEnded>,
}

/// Starts the tasks of one server. They end when `cancel` is cancelled. Must be called inside a tokio runtime.
pub fn start<S>(config: EngineConfig, cancel: &CancellationToken) -> EngineHandles<S>
where
    S: Copy + Eq + Hash + Send + 'static,
{
    let EngineConfig { server, connect, systems, scope, limits, pace, cache } = config;
    let url: Arc<str> = connect.safe_url().into();
    let dial = Arc::new(Dialer::new(connect));
    let first = Arc::new(Snapshot::empty(server.clone(), Arc::clone(&url), Instant::now()));
    let (snapshot_sender, snapshots) = watch::channel(first);
    let (pace_sender, pace) = watch::channel(pace);
    let (limit_sender, limits) = watch::channel(limits);
    let (client_sender, clients) = watch::channel(None);
    let (ask_sender, asks) = mpsc::channel(16);
    let (answer_sender, answers) = mpsc::channel(64);
    let (ended_sender, ended) = mpsc::channel(16);
    let (announced, _) = broadcast::channel(ANNOUNCED);
    let refresh = Arc::new(Notify::new());
    let rescan = Arc::new(Notify::new());

    let channels = SamplerChannels {
        snapshots: Arc::new(snapshot_sender),
        pace,
        limits,
        refresh: Arc::clone(&refresh),
        rescan: Arc::clone(&rescan),
        announced: announced.clone(),
        clients,
    };
    let sampler =
        Arc::new(SamplerConfig { server, url, dial: Arc::clone(&dial), systems: Arc::clone(&systems), scope, cache });
    supervise::keep("sampler", cancel.clone(), ended_sender.clone(), move |cancel| {
        let (config, channels) = (Arc::clone(&sampler), channels.clone());
        async move { sampler::run(&config, channels, cancel).await }
    });

    for (index, _) in systems.iter().enumerate().filter(|(_, system)| system.beside().is_some()) {
        let systems = Arc::clone(&systems);
        supervise::keep("counting beside the ticks", cancel.clone(), ended_sender.clone(), move |cancel| {
            let systems = Arc::clone(&systems);
            async move {
                let Some(work) = systems[index].beside() else { return };
                tokio::select! {
                    () = cancel.cancelled() => {}
                    () = work => {}
                }
            }
        });
    }
    let asker = Arc::new(Asker::new(systems, client_sender));
    let asks = Arc::new(Mutex::new(asks));
    let known = snapshots.clone();
    let lazy = Arc::new(LazyLink::new(dial));
    supervise::keep("fetcher", cancel.clone(), ended_sender, move |cancel| {
        let (lazy, asker, known) = (Arc::clone(&lazy), Arc::clone(&asker), known.clone());
        let (asks, answers) = (Arc::clone(&asks), answer_sender.clone());
        fetcher::run(lazy, asker, known, asks, answers, cancel)
    });

    EngineHandles {
        snapshots,
        asks: ask_sender,
        answers,
        pace: pace_sender,
        limits: limit_sender,
        refresh,
        rescan,
        announced,
        ended,
    }
}
