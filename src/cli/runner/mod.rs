//! `qtop run`: the runner without screens. Signals end it in good order, a changed configuration is taken over while
//! jobs go on.

mod local;

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::args::{Cli, RunArgs};
use super::failure::{Exit, Failure};
use super::known::known;
use super::output::Output;
use crate::config::{self, Config, Environment};
use crate::domain::runner::{PoolState, RunnerView};
use crate::engine::runner::error::RunnerError;
use crate::engine::runner::{Order, RunnerConfig, RunnerHandle, start};
use crate::engine::{self, ConfigEvent};
use crate::link::Remedy;
use crate::run::RunnerPort;

pub use local::Local;

/// Exit code if jobs had to be put back (R8).
const CUT: u8 = 3;
/// Between two looks at what the runner shows.
const LOOK: Duration = Duration::from_millis(200);

/// Runs until a signal ends it.
pub fn run(
    cli: &Cli,
    running: &RunArgs,
    mut config: Config,
    environment: &Environment,
    output: &Output,
) -> Result<u8, Failure> {
    config.runner.allow_eviction |= running.allow_eviction;
    // A service keeps its log; that it cannot must not keep it from its jobs (R13).
    let log = match crate::log::start(config.origin.logs.as_deref(), &config.log.level, config.log.keep_days) {
        Ok((guard, _, problem)) => {
            problem.iter().for_each(|problem| output.note(&problem.to_string()));
            Some(guard)
        }
        Err(problem) => {
            output.note(&problem.to_string());
            None
        }
    };
    let local = if running.local { Some(Local::start(environment)?) } else { None };
    if let Some(local) = &local {
        local.put_into(&mut config);
        output.note(&format!("local server: {}", local.url()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Refused, format!("the runtime could not be started: {error}")))?;
    let handle = begin(&config)?;
    let read = reader(cli, running, environment, local.as_ref().map(Local::url));
    let view = runtime.block_on(attend(&handle, Arc::new(config), read, output))?;
    drop(runtime);
    let end = handle.join().map_err(failure)?;
    output.note(&summary(&view, end.cut));
    drop(local);
    drop(log);
    Ok(if end.cut > 0 { CUT } else { Exit::Good.code() })
}

/// Shows the screens with a runner beside them, and lets it end its jobs when they are left. `show` gives the exit code
/// of the screens.
pub fn beside_screens(
    running: &RunArgs,
    mut config: Config,
    environment: &Environment,
    show: impl FnOnce(Config, RunnerPort) -> Result<u8, Failure>,
) -> Result<u8, Failure> {
    config.runner.allow_eviction |= running.allow_eviction;
    let local = if running.local { Some(Local::start(environment)?) } else { None };
    if let Some(local) = &local {
        local.put_into(&mut config);
    }
    let handle = begin(&config)?;
    let port = RunnerPort { view: handle.view.clone(), orders: handle.orders.clone() };
    let code = show(config, port);
    handle.stop.cancel();
    let output = Output::new(false);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Refused, format!("the runtime could not be started: {error}")))?;
    let view = runtime.block_on(see_off(&handle, &output))?;
    let end = handle.join().map_err(failure)?;
    if view.pools.iter().any(|pool| pool.counts.taken > 0) {
        output.note(&summary(&view, end.cut));
    }
    drop(local);
    Ok(if end.cut > 0 { CUT } else { code? })
}

/// Waits for the last jobs; a further signal puts them back.
async fn see_off(handle: &RunnerHandle, output: &Output) -> Result<Arc<RunnerView>, Failure> {
    let mut signals = Signals::new()?;
    let active: usize = handle.view.borrow().pools.iter().map(|pool| pool.slots.len()).sum();
    if active > 0 {
        output.note(&format!("waiting for {active} jobs to end (Ctrl-C: put them back)"));
    }
    loop {
        tokio::select! {
            () = handle.over.cancelled() => return Ok(Arc::clone(&handle.view.borrow())),
            () = signals.next() => handle.hurry.cancel(),
        }
    }
}

/// Starts the configured runner on the chosen server.
pub fn begin(config: &Config) -> Result<RunnerHandle, Failure> {
    let runner = RunnerConfig::of(config, &config.origin.chosen).map_err(failure)?;
    start(runner).map_err(failure)
}

/// A runner that cannot start, for people.
pub fn failure(error: RunnerError) -> Failure {
    let exit = match error {
        RunnerError::Link(_) => Exit::Unreachable,
        RunnerError::Metrics { .. } | RunnerError::Threads(_) => Exit::Refused,
        _ => Exit::Usage,
    };
    let remedy = error.remedy().map(std::borrow::Cow::into_owned);
    Failure { exit, text: error.to_string(), remedy }
}

type Read = Box<dyn Fn() -> Result<Config, config::ConfigProblems> + Send + Sync>;

fn reader(cli: &Cli, running: &RunArgs, environment: &Environment, url: Option<String>) -> Read {
    let overrides = cli.options.overrides();
    let (surroundings, allow_eviction) = (environment.clone(), running.allow_eviction);
    Box::new(move || {
        let mut config = config::load(&overrides, &surroundings, &known())?;
        config.runner.allow_eviction |= allow_eviction;
        if let Some(url) = &url {
            local::put_into(&mut config, url);
        }
        Ok(config)
    })
}

struct Signals {
    ends: [Signal; 3],
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let ends = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let [term, int, hup] = ends.map(signal);
        Ok(Self { ends: [term?, int?, hup?] })
    }

    async fn next(&mut self) {
        let [term, int, hup] = &mut self.ends;
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            _ = hup.recv() => {}
        }
    }
}

/// Passes on signals and configurations and says what a person should know, until the runner has ended.
async fn attend(
    handle: &RunnerHandle,
    config: Arc<Config>,
    read: Read,
    output: &Output,
) -> Result<Arc<RunnerView>, Failure> {
    let life = CancellationToken::new();
    let _ends = life.clone().drop_guard();
    let mut signals = Signals::new()?;
    let mut reloads = engine::watch(Arc::clone(&config), read, life);
    let mut current = config;
    let mut said = Said::default();
    loop {
        tokio::select! {
            () = handle.over.cancelled() => return Ok(Arc::clone(&handle.view.borrow())),
            () = signals.next() => {
                if handle.stop.is_cancelled() {
                    output.note("ending now: running jobs are put back");
                    handle.hurry.cancel();
                } else {
                    let active: usize = handle.view.borrow().pools.iter().map(|pool| pool.slots.len()).sum();
                    output.note(&format!("taking no more jobs; waiting for {active} (again: end now)"));
                    handle.stop.cancel();
                }
            }
            Some(event) = reloads.recv() => match event {
                ConfigEvent::Broken(problems) => output.note(&problems.to_string()),
                ConfigEvent::Changed(changed) => {
                    if changed.lists != current.lists || changed.origin.chosen != current.origin.chosen {
                        output.note("another server or other [[list]] tables take effect at the next start");
                    }
                    if changed.runner != current.runner {
                        output.note("the runner takes over its new configuration");
                        // Full: the runner is busy ending.
                        drop(handle.orders.try_send(Order::Reload(Box::new(changed.runner.clone()))));
                    }
                    current = changed;
                }
            },
            () = tokio::time::sleep(LOOK) => said.look(&handle.view.borrow().clone(), output),
        }
    }
}

/// What was said already.
#[derive(Default)]
struct Said {
    began: bool,
    problem: Option<String>,
    pools: Vec<(String, PoolState)>,
}

impl Said {
    fn look(&mut self, view: &RunnerView, output: &Output) {
        if view.problem != self.problem {
            if let Some(problem) = &view.problem {
                output.note(problem);
            }
            self.problem.clone_from(&view.problem);
        }
        if !self.began && !view.pools.is_empty() {
            self.began = true;
            output.note(&format!("{} works on {}", view.name, view.server));
            if let Some(metrics) = &view.metrics {
                output.note(&format!("metrics: http://{metrics}/metrics"));
            }
        }
        let now: Vec<_> = view.pools.iter().map(|pool| (pool.address.clone(), pool.state)).collect();
        for (pool, view) in now.iter().zip(&view.pools) {
            if !self.pools.contains(pool) {
                let word: &'static str = pool.1.into();
                let why = view.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
                output.note(&format!("{} ({} at once): {word}{why}", pool.0, view.concurrency));
            }
        }
        self.pools = now;
    }
}

fn summary(view: &RunnerView, cut: u64) -> String {
    let sum = |of: fn(&crate::domain::runner::RunnerCounts) -> u64| -> u64 {
        view.pools.iter().map(|pool| of(&pool.counts)).sum()
    };
    format!(
        "ended: {} done, {} failed, {} to be tried again, {} lost, {cut} put back unfinished",
        sum(|counts| counts.done),
        sum(|counts| counts.failed + counts.cancelled),
        sum(|counts| counts.retried),
        sum(|counts| counts.lost),
    )
}
