//! The runner: takes jobs from queues and runs them on this machine.
//!
//! One pool engine for all systems: the protocol of taking a job is the adapter's, everything else (slots, limits,
//! retries, dead letters, schedules) is here, once. Must not know a system by name, nor any screen. It lives on threads
//! of its own, so that nothing that draws or waits for a terminal holds up the renewal of a claim (R4).

mod backlog;
mod copy;
pub mod error;
pub mod execute;
mod gate;
pub mod handler;
mod keep;
mod manager;
mod metrics;
mod once;
mod outbox;
mod plan;
mod policy;
mod pool;
mod prepare;
mod schedule;
mod slot;
mod standing;
mod standstill;
mod stats;
mod succession;
mod waiting;
mod wire;
mod words;
pub mod work;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::error::RunnerError;
use self::handler::Surroundings;
use crate::config::{self, Config, Runner};
use crate::domain::runner::{RunnerCommand, RunnerView};
use crate::engine::{Systems, connect_options};
use crate::link::{ConnectOptions, Mode};
use crate::systems;

pub use plan::Build;

/// Most threads that run the pools; handlers are processes and deliveries, which need few.
const THREADS: usize = 2;

/// Everything a runner needs.
pub struct RunnerConfig {
    /// How to connect, with leave to write.
    pub connect: ConnectOptions,
    /// The server's name.
    pub server: String,
    /// Queue systems.
    pub systems: Systems,
    /// The `[runner]` table.
    pub runner: Runner,
    /// Makes handlers.
    pub build: Arc<Build>,
}

impl RunnerConfig {
    /// As configured, for one of the configured servers.
    ///
    /// # Errors
    /// If the server may not be changed, or has no URL.
    pub fn of(config: &Config, name: &str) -> Result<Self, RunnerError> {
        let reason = config.servers.get(name).and_then(config::Server::read_only_reason);
        match reason {
            Some(reason) => Err(RunnerError::ReadOnly(format!("{name}: {reason}"))),
            None => Self::unguarded(config, name),
        }
    }

    /// The same for a server that may perhaps not be changed.
    fn unguarded(config: &Config, name: &str) -> Result<Self, RunnerError> {
        let refused = |reason: &str| RunnerError::ReadOnly(format!("{name}: {reason}"));
        let server = config.servers.get(name).ok_or_else(|| refused("it is not described"))?;
        let mut connect = connect_options(server).ok_or_else(|| refused("it has no URL"))?;
        connect.mode = Mode::ReadWrite;
        Ok(Self {
            connect,
            server: name.to_owned(),
            systems: Arc::new(systems::all(&config.described().for_server(name))),
            build: execute::builder(Surroundings::of_process().with_helper()),
            runner: config.runner.clone(),
        })
    }
}

/// What keeps the configured pools from being started, as far as that can be told without a server. Whether the server may
/// be changed is left out: another may be named when the runner is started.
///
/// # Errors
/// If the machine has no runtime to give.
pub fn check(config: &Config, name: &str) -> Result<Vec<RunnerError>, RunnerError> {
    let RunnerConfig { connect, systems, runner, build, .. } = match RunnerConfig::unguarded(config, name) {
        Ok(config) => config,
        Err(error) => return Ok(vec![error]),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunnerError::Threads(error.to_string()))?;
    let _inside = runtime.enter();
    Ok(plan::all(&plan::Common::new(connect, systems, &runner, build), &runner).1)
}

/// How a runner ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RunnerEnd {
    /// Jobs that were put back unfinished because the grace time was over or a person wanted it, and those of which
    /// nothing could be stored any more.
    pub cut: u64,
}

/// What can be asked of a running runner.
#[derive(Clone, Debug)]
pub enum Order {
    /// A person's wish.
    Command(RunnerCommand),
    /// Another configuration: pools are added, resized or drained; running jobs go on.
    Reload(Box<Runner>),
}

/// A running runner. Dropping it stops nothing: cancel `stop` and wait.
pub struct RunnerHandle {
    /// What it does, several times a second.
    pub view: watch::Receiver<Arc<RunnerView>>,
    /// What it is asked; full means that it is far behind.
    pub orders: mpsc::Sender<Order>,
    /// Take no more jobs and end when the last has ended, however long that takes.
    pub drain: CancellationToken,
    /// Take no more jobs and end when the last has ended, within the grace time.
    pub stop: CancellationToken,
    /// End now: what runs goes back.
    pub hurry: CancellationToken,
    /// Cancelled when the runner has ended.
    pub over: CancellationToken,
    thread: JoinHandle<Result<RunnerEnd, RunnerError>>,
}

impl RunnerHandle {
    /// Does something beside the runner, on this thread. If it panics, the runner lets its jobs end first (R4).
    pub fn beside<T>(&self, show: impl FnOnce() -> T) -> T {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(show)) {
            Ok(shown) => shown,
            Err(panic) => {
                self.stop.cancel();
                while !self.thread.is_finished() {
                    std::thread::sleep(Duration::from_millis(10));
                }
                std::panic::resume_unwind(panic)
            }
        }
    }

    /// Waits for the end; blocks.
    ///
    /// # Errors
    /// Why it could not start.
    pub fn join(self) -> Result<RunnerEnd, RunnerError> {
        self.thread.join().unwrap_or_else(|_| Err(RunnerError::Threads("the runner's thread broke".to_owned())))
    }
}

/// One processor is left to others: a server on the same machine would wait for it with every answer.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).clamp(1, THREADS)
}

/// Starts a runner on threads of its own. What can be checked without the server is checked before.
///
/// # Errors
/// What must be put right first: no queue named, a queue that cannot be worked on, a handler that cannot run.
pub fn start(config: RunnerConfig) -> Result<RunnerHandle, RunnerError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads())
        .thread_name("qtop-runner")
        .enable_all()
        .build()
        .map_err(|error| RunnerError::Threads(error.to_string()))?;
    let manager = {
        let _inside = runtime.enter();
        manager::Manager::new(config)?
    };
    let (view_sender, view) = watch::channel(Arc::new(RunnerView::default()));
    let (orders, order_receiver) = mpsc::channel(16);
    let [drain, stop, hurry, over] = std::array::from_fn(|_| CancellationToken::new());
    let ends = over.clone().drop_guard();
    let told = manager::Told {
        view: view_sender,
        orders: order_receiver,
        drain: drain.clone(),
        stop: stop.clone(),
        hurry: hurry.clone(),
    };
    let thread = std::thread::Builder::new()
        .name("qtop-runner".to_owned())
        .spawn(move || {
            let _ends = ends;
            let end = runtime.block_on(manager.run(told));
            // What still runs here hangs on a server that does not answer; the claims end by themselves.
            runtime.shutdown_background();
            end
        })
        .map_err(|error| RunnerError::Threads(error.to_string()))?;
    Ok(RunnerHandle { view, orders, drain, stop, hurry, over, thread })
}
