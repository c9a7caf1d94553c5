//! From the command line to the screens: over the chosen server, or over a demo.

use std::io::IsTerminal;
use std::sync::Arc;

use serde::Deserialize;

use super::args::Cli;
use super::failure::{Exit, Failure};
use super::known::known;
use super::runner;
use crate::config::{self, Config, Environment, Server};
use crate::demo::{self, Demo, DemoOptions};
use crate::domain::described::Described;
use crate::link::Remedy;
use crate::log::{self, LogFeed, LogGuard};
use crate::run::{self, RunOptions, RunnerPort};
use crate::term::TerminalError;

/// Name of the demo's server in the header.
const DEMO: &str = "demo";

/// Refuses the screens where there is none (U6).
fn need_a_terminal(environment: &Environment) -> Result<(), Failure> {
    let dumb = environment.variables.get("TERM").is_some_and(|term| term == "dumb");
    if dumb || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let why = if dumb { "TERM=dumb has none" } else { "standard input and output are no terminal" };
        return Err(Failure::new(Exit::Usage, format!("the screens need a terminal: {why}"))
            .with_remedy("without one use: qtop queues --json (or jobs, job, workers, failures, health)"));
    }
    Ok(())
}

/// Shows the screens over the chosen server. Returns the exit code.
pub fn show(cli: &Cli, config: Config, environment: Environment) -> Result<u8, Failure> {
    if !(cli.runner || config.runner.enabled) {
        if let Some(name) = cli.running.given().next() {
            return Err(Failure::new(Exit::Usage, format!("{name} means nothing here: no runner starts"))
                .with_remedy(format!("with screens: qtop --run {name}; without: qtop run {name}")));
        }
        need_a_terminal(&environment)?;
        let runtime = runtime()?;
        let log = Log::start(&config);
        return leave(run::run(options(cli, config, environment, log, None), runtime)).map(|exit| exit.code());
    }
    need_a_terminal(&environment)?;
    runner::beside_screens(cli, config, &environment.clone(), |config, log, port, read| {
        let runtime = runtime()?;
        // The server of the runner stays the chosen one whenever the file is read again.
        let mut options = RunOptions { read, ..options(cli, config, environment, log, None) };
        options.runner = Some(port);
        leave(run::run(options, runtime))
    })
}

/// Shows the screens over a private, throw-away Redis in which queues live.
pub fn show_demo(cli: &Cli, yes: bool, config: Config, environment: Environment) -> Result<u8, Failure> {
    need_a_terminal(&environment)?;
    let runtime = runtime()?;
    let demo = runtime.block_on(demo::start(DemoOptions::from_environment(yes))).map_err(|error| {
        let remedy = error.remedy().map(std::borrow::Cow::into_owned);
        Failure { exit: Exit::Refused, text: error.to_string(), remedy }
    })?;
    let stage = Stage::of(&demo)?;
    // Trash and audit file of a server that will be gone go with it, and no interrupted change is offered later.
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::new(Exit::Refused, format!("a temporary folder cannot be made: {error}")))?;
    let environment = Environment { state: Some(folder.path().to_owned()), ..environment };
    let config = stage.over(config);
    let log = Log::start(&config);
    let runner = runner::begin(&config)?;
    let mut options = options(cli, config, environment, log, Some(stage));
    options.notes.extend(demo.notes().iter().cloned());
    options.runner =
        Some(RunnerPort { view: runner.view.clone(), orders: runner.orders.clone(), front: None, show: true });
    let exit = runner.beside(|| leave(run::run(options, runtime)));
    // Its jobs end with their server.
    runner.hurry.cancel();
    runner.join().map_err(runner::failure)?;
    drop(demo);
    exit.map(|exit| exit.code())
}

/// What a demo puts in the place of the configured servers and lists.
#[derive(Clone)]
struct Stage {
    url: String,
    described: Described,
    runner: config::Runner,
}

impl Stage {
    fn of(demo: &Demo) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct File {
            runner: config::Runner,
        }
        let File { runner } = toml::from_str(demo.pool())
            .map_err(|error| Failure::new(Exit::Refused, format!("the demo's pool cannot be read: {error}")))?;
        Ok(Self { url: demo.url().to_owned(), described: demo.described().clone(), runner })
    }

    fn over(&self, mut config: Config) -> Config {
        config.servers.insert(DEMO.to_owned(), Server::at(self.url.clone()));
        DEMO.clone_into(&mut config.origin.chosen);
        config.lists.clone_from(&self.described.lists);
        config.runner.clone_from(&self.runner);
        // Nobody need be told of what is made up.
        config.alerts.clear();
        config
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    super::runtime()
}

/// qtop's own log while there are screens.
pub struct Log {
    kept: Option<(Arc<LogGuard>, LogFeed)>,
    problem: Option<String>,
}

impl Log {
    /// Begins it; that it cannot be kept is told on the screens.
    pub fn start(config: &Config) -> Self {
        match log::start(config.origin.logs.as_deref(), &config.log.level, config.log.keep_days) {
            Ok((guard, feed, problem)) => {
                Self { kept: Some((Arc::new(guard), feed)), problem: problem.map(|problem| problem.to_string()) }
            }
            Err(problem) => Self { kept: None, problem: Some(problem.to_string()) },
        }
    }

    /// Keeps it alive when the screens are gone.
    pub fn guard(&self) -> Option<Arc<LogGuard>> {
        self.kept.as_ref().map(|(guard, _)| Arc::clone(guard))
    }
}

fn options(cli: &Cli, config: Config, environment: Environment, log: Log, stage: Option<Stage>) -> RunOptions {
    let Log { kept: log, problem } = log;
    let notes = problem.into_iter().collect();
    let overrides = super::overrides(cli, &environment);
    let surroundings = environment.clone();
    let read = Box::new(move || {
        let config = config::load(&overrides, &surroundings, &known())?;
        Ok(stage.as_ref().map_or_else(|| config.clone(), |stage| stage.over(config.clone())))
    });
    RunOptions { config, environment, read, log, notes, runner: None }
}

/// How the screens were left; a signal is told by the code and, if there was one, the last error (U4).
fn leave(result: anyhow::Result<run::Exit>) -> Result<run::Exit, Failure> {
    match result {
        Ok(exit) => {
            if let run::Exit::Signal(_, Some(last)) = &exit {
                super::output::Output::new(false).note(last);
            }
            Ok(exit)
        }
        Err(error) => {
            let exit = if error.is::<TerminalError>() { Exit::Usage } else { Exit::Refused };
            Err(Failure::new(exit, format!("{error:#}")))
        }
    }
}
