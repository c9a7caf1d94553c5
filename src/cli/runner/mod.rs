//! `qtop run`: the runner without screens. Signals end it in good order, a changed configuration is taken over while
//! jobs go on.

mod beside;
mod local;

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::args::Cli;
use super::failure::{Exit, Failure};
use super::known::known;
use super::output::Output;
use crate::config::{self, Changes, Config, Environment, Hangup};
use crate::domain::runner::{PoolState, RunnerView};
use crate::engine::alerts::Alerts;
use crate::engine::runner::error::RunnerError;
use crate::engine::runner::{Order, RunnerConfig, RunnerHandle, start};
use crate::engine::{self, ConfigEvent, EngineConfig};
use crate::link::Remedy;
use crate::log::LogGuard;

pub use beside::beside_screens;
pub use local::Local;

/// Exit code if jobs had to be put back (R8).
const CUT: u8 = 3;
/// Between two looks at what the runner shows.
const LOOK: Duration = Duration::from_millis(200);

/// Runs until a signal ends it.
pub fn run(cli: &Cli, mut config: Config, environment: &Environment, output: &Output) -> Result<u8, Failure> {
    config.runner.allow_eviction |= cli.running.allow_eviction;
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
    let local = if cli.running.local { Some(Local::start(environment)?) } else { None };
    if let Some(local) = &local {
        output.note(&format!("local server: {}", local.url().safe()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Refused, format!("the runtime could not be started: {error}")))?;
    hooks(&config)?;
    let handle = begin(&config)?;
    let read = reader(cli, environment);
    let view = runtime.block_on(attend(&handle, Arc::new(config), read, log.as_ref(), output))?;
    drop(runtime);
    let end = handle.join().map_err(failure)?;
    let afterwards = local.map(Local::end);
    output.note(&summary(&view, end.cut, afterwards));
    drop(log);
    Ok(if end.cut > 0 { CUT } else { Exit::Good.code() })
}

/// Starts the configured runner on the chosen server.
pub fn begin(config: &Config) -> Result<RunnerHandle, Failure> {
    let runner = RunnerConfig::of(config, &config.origin.chosen).map_err(failure)?;
    start(runner).map_err(failure)
}

/// Says all that would keep a runner of this configuration from starting, without asking any server.
pub fn check(config: &Config) -> Result<(), Failure> {
    let mut problems = Vec::new();
    if !config.runner.pools.is_empty() {
        let found = crate::engine::runner::check(config, &config.origin.chosen).map_err(failure)?;
        problems.extend(found.into_iter().map(failure));
    }
    problems.extend(hooks(config).err());
    let told = problems.into_iter().map(|problem| match problem.remedy {
        Some(remedy) => format!("{}\n  {remedy}", problem.text),
        None => problem.text,
    });
    let told = told.collect::<Vec<_>>().join("\n\n");
    if told.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Usage, told)) }
}

/// A runner that cannot start, for people.
pub fn failure(error: RunnerError) -> Failure {
    let exit = match error {
        RunnerError::Metrics { .. } | RunnerError::Threads(_) => Exit::Refused,
        _ => Exit::Usage,
    };
    let remedy = error.remedy().map(std::borrow::Cow::into_owned);
    Failure { exit, text: error.to_string(), remedy }
}

/// The hooks of the configured alerts, if there are any.
fn hooks(config: &Config) -> Result<Option<Alerts>, Failure> {
    let wrong = |(name, error): (String, crate::engine::runner::handler::HandlerError)| {
        let remedy = error.remedy().map(std::borrow::Cow::into_owned);
        Failure { exit: Exit::Usage, text: format!("the hook of the alert {name:?} cannot be run: {error}"), remedy }
    };
    if config.alerts.is_empty() { Ok(None) } else { Alerts::build(&config.alerts).map(Some).map_err(wrong) }
}

/// Watches the server for the configured alerts, until dropped; says which hook cannot be run.
fn watch_alerts(config: &Config, output: &Output) -> Option<DropGuard> {
    let alerts = hooks(config).unwrap_or_else(|failure| {
        output.complain(&failure);
        None
    })?;
    let name = &config.origin.chosen;
    let systems = Arc::new(crate::systems::all(&config.described().for_server(name)));
    let engine = EngineConfig::of(config, name, systems, None)?;
    let over = CancellationToken::new();
    let snapshots = engine::start::<()>(engine, &over).snapshots;
    tokio::spawn(alerts.watch(snapshots, over.clone()));
    Some(over.drop_guard())
}

type Read = Box<dyn Fn() -> Result<Config, config::ConfigProblems> + Send + Sync>;

/// Reads the configuration again, and lays over it what the command line laid over it at the start.
fn reader(cli: &Cli, environment: &Environment) -> Read {
    let overrides = crate::cli::overrides(cli, environment);
    let (surroundings, allow_eviction) = (environment.clone(), cli.running.allow_eviction);
    Box::new(move || {
        let mut config = config::load(&overrides, &surroundings, &known())?;
        config.runner.allow_eviction |= allow_eviction;
        Ok(config)
    })
}

struct Signals {
    ends: [Signal; 3],
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// To end; a second time: now.
    End,
    /// Nothing: the terminal is gone. It may be told several times, by the kernel and by the shell.
    Hangup,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let ends = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let [term, int, hup] = ends.map(signal);
        Ok(Self { ends: [term?, int?, hup?] })
    }

    async fn next(&mut self) -> Asked {
        let [term, int, hup] = &mut self.ends;
        tokio::select! {
            _ = term.recv() => Asked::End,
            _ = int.recv() => Asked::End,
            _ = hup.recv() => Asked::Hangup,
        }
    }
}

/// Does what the configuration wants when the terminal is closed.
fn hang_up(handle: &RunnerHandle, wanted: Hangup) {
    match wanted {
        Hangup::Background => {}
        Hangup::Drain => handle.stop.cancel(),
        Hangup::Return => handle.hurry.cancel(),
    }
}

/// Passes on signals and configurations and says what a person should know, until the runner has ended.
async fn attend(
    handle: &RunnerHandle,
    config: Arc<Config>,
    read: Read,
    log: Option<&LogGuard>,
    output: &Output,
) -> Result<Arc<RunnerView>, Failure> {
    let life = CancellationToken::new();
    let _ends = life.clone().drop_guard();
    let mut signals = Signals::new()?;
    let mut reloads = engine::watch(Arc::clone(&config), read, life);
    let begun = Arc::clone(&config);
    let mut current = config;
    let mut alerts = watch_alerts(&current, output);
    let mut said = Said::default();
    loop {
        tokio::select! {
            () = handle.over.cancelled() => return Ok(Arc::clone(&handle.view.borrow())),
            asked = signals.next() => {
                if asked == Asked::Hangup {
                    hang_up(handle, current.runner.hangup);
                } else if handle.stop.is_cancelled() {
                    output.note("ending now: running jobs are put back");
                    handle.hurry.cancel();
                } else {
                    let active: usize = handle.view.borrow().pools.iter().map(|pool| pool.slots.len()).sum();
                    match active {
                        0 => output.note("taking no more jobs"),
                        active => output.note(&format!("taking no more jobs; waiting for {active} (again: end now)")),
                    }
                    handle.stop.cancel();
                }
            }
            Some(event) = reloads.recv() => match event {
                ConfigEvent::Broken(problems) => output.note(&problems.to_string()),
                ConfigEvent::Changed(changed) => {
                    let changes = Changes::between(&current, &changed);
                    later(&changes, &begun, &changed, output);
                    if changes.log {
                        say_more(log, &changed, output);
                    }
                    if changes.runner {
                        output.note(&current.runner.words_of_change(&changed.runner));
                        // Full: the runner is busy ending.
                        drop(handle.orders.try_send(Order::Reload(Box::new(changed.runner.clone()))));
                    }
                    if changes.alerts {
                        drop(alerts.take());
                        alerts = watch_alerts(&changed, output);
                    }
                    current = changed;
                }
            },
            () = tokio::time::sleep(LOOK) => said.look(&handle.view.borrow().clone(), output),
        }
    }
}

/// Says what a changed configuration means only to a runner that is started with it.
fn later(changes: &Changes, begun: &Config, changed: &Config, output: &Output) {
    let name = &begun.origin.chosen;
    let since = Changes::between(begun, changed);
    if (changes.servers.contains(name) && since.servers.contains(name)) || (changes.chosen && since.chosen) {
        output.note("the runner goes on with the server it began with; the other takes effect at the next start");
    }
    if changes.lists && since.lists {
        let tables = "[[list]], [[arq]], [[laravel]] and [[convention]]";
        output.note(&format!("changed {tables} tables take effect at the next start"));
    }
}

/// The log follows the configuration in its level, not in its place.
fn say_more(log: Option<&LogGuard>, changed: &Config, output: &Output) {
    match log.map(|log| log.set_level(&changed.log.level)) {
        Some(Ok(())) => output.note(&format!("the level of the log is {} now", changed.log.level)),
        Some(Err(error)) => output.note(&error.to_string()),
        None => output.note("a changed [log] takes effect at the next start"),
    }
}

/// What was said already.
#[derive(Default)]
struct Said {
    began: bool,
    problem: Option<String>,
    /// Queue, state and size of each.
    pools: Vec<(String, PoolState, usize)>,
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
        let now: Vec<_> = view.pools.iter().map(|pool| (pool.address.clone(), pool.state, pool.concurrency)).collect();
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

/// The last line: what happened. `afterwards`: what became of a private server.
fn summary(view: &RunnerView, cut: u64, afterwards: Option<String>) -> String {
    let sum = |of: fn(&crate::domain::runner::RunnerCounts) -> u64| -> u64 {
        view.pools.iter().map(|pool| of(&pool.counts)).sum::<u64>() + of(&view.past)
    };
    let after = crate::domain::text::age(view.since.age(view.at));
    let (taken, afterwards) = (sum(|counts| counts.taken), afterwards.map(|text| format!("; {text}")));
    let afterwards = afterwards.unwrap_or_default();
    if taken == 0 && cut == 0 {
        return format!("the runner ended after {after}: no job was taken{afterwards}");
    }
    format!(
        "the runner ended after {after}: {} done, {} failed, {} to be tried again, {} lost, {cut} put back \
         unfinished{afterwards}",
        sum(|counts| counts.done),
        sum(|counts| counts.failed + counts.cancelled),
        sum(|counts| counts.retried),
        sum(|counts| counts.lost),
    )
}
