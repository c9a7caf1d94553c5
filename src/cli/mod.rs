//! The command line: arguments, the headless commands, what they print and with which exit code they end.
//!
//! Wiring: the facts come from the engine and the adapters, the same the screens show. Nothing here speaks to Redis.

mod address;
mod args;
mod commands;
mod failure;
mod json;
mod known;
mod output;
mod session;
mod table;

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::Parser;

use self::args::{Cli, Command};
use self::failure::{Exit, Failure};
use self::output::Output;
use crate::config::{self, Config, Environment};

pub use args::command;
pub use known::known;

/// Runs qtop with these arguments, the program's name first, and tells the exit code.
pub fn run(arguments: Vec<OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no failures; printing may fail if nobody reads any more.
            drop(error.print());
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let output = Output::new(cli.options.ascii);
    match dispatch(cli, &output) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            output.complain(&failure);
            failure.exit.code()
        }
    }
}

fn dispatch(cli: Cli, output: &Output) -> Result<Exit, Failure> {
    warn_of_password(&cli, output);
    let environment = Environment::of_process();
    match &cli.command {
        Some(Command::Completions { shell }) => return commands::completions(*shell, output),
        Some(Command::Man) => return commands::manual(output),
        Some(Command::Config { action }) => return commands::settings(action, &cli, &environment, output),
        _ => {}
    }
    let config = load(&cli, &environment)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Usage, format!("the runtime could not be started: {error}")))?;
    let state = environment.state.as_deref();
    match cli.command {
        None => screen(config, &environment),
        Some(Command::Demo { yes }) => demo(yes, config, &environment),
        Some(command) => runtime.block_on(commands::headless(command, &cli.options, &config, state, output)),
    }
}

fn load(cli: &Cli, environment: &Environment) -> Result<Config, Failure> {
    config::load(&cli.options.overrides(), environment, &known()).map_err(Failure::from)
}

/// A password among the arguments can be read by everybody on this machine (S8).
fn warn_of_password(cli: &Cli, output: &Output) {
    if let Some(url) = cli.options.url.as_deref().filter(|url| crate::link::has_password(url)) {
        output.note(&format!(
            "the password in --url can be seen by every user of this machine (ps); keep it in QTOP_URL, or in the \
             configuration by url_env or url_file, and use: {}",
            crate::link::safe_url(url)
        ));
    }
}

/// Refuses the screen where there is none (U6).
fn need_a_terminal(environment: &Environment) -> Result<(), Failure> {
    let dumb = environment.variables.get("TERM").is_some_and(|term| term == "dumb");
    if dumb || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let why = if dumb { "TERM=dumb has no screen" } else { "standard input and output are not a terminal" };
        return Err(Failure::new(Exit::Usage, format!("the screens need a terminal: {why}"))
            .with_remedy("without one use: qtop queues --json (or jobs, job, workers, failures, health)"));
    }
    Ok(())
}

fn screen(config: Config, environment: &Environment) -> Result<Exit, Failure> {
    need_a_terminal(environment)?;
    drop(config);
    Ok(Exit::Good)
}

fn demo(yes: bool, config: Config, environment: &Environment) -> Result<Exit, Failure> {
    need_a_terminal(environment)?;
    drop((yes, config));
    Ok(Exit::Good)
}
