//! The command line: arguments, the headless commands, what they print and with which exit code they end.
//!
//! Wiring: the facts come from the engine and the adapters, the same the screens show. Nothing here speaks to Redis.

mod address;
mod args;
mod change;
mod commands;
mod failure;
mod json;
mod known;
mod output;
mod runner;
mod screen;
mod session;
mod table;

use std::ffi::OsString;

use clap::Parser;

use self::args::{Cli, Command};
use self::failure::{Exit, Failure};
use self::output::Output;
use crate::config::{self, Config, Environment, Overrides};

pub use args::command;
pub use known::known;

/// Runs qtop with these arguments, the program's name first, and tells the exit code.
pub fn run(arguments: Vec<OsString>) -> u8 {
    if let Some(code) = crate::engine::runner::handler::help(&arguments) {
        return code;
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no failures; printing may fail if nobody reads any more.
            drop(error.print());
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let output = Output::new(cli.options.ascii);
    dispatch(cli, &output).unwrap_or_else(|failure| {
        output.complain(&failure);
        failure.exit.code()
    })
}

fn dispatch(mut cli: Cli, output: &Output) -> Result<u8, Failure> {
    warn_of_password(&cli, output);
    settle_running(&mut cli)?;
    let environment = Environment::of_process();
    let command = match cli.command.take() {
        Some(Command::Completions { shell }) => return commands::completions(shell, output).map(Exit::code),
        Some(Command::Man) => return commands::manual(output).map(Exit::code),
        Some(Command::Config { action }) => {
            return commands::settings(&action, &cli, &environment, output).map(Exit::code);
        }
        command => command,
    };
    let config = load(&cli, &environment)?;
    match command {
        None => screen::show(&cli, config, environment),
        Some(Command::Run(_)) => runner::run(&cli, config, &environment, output),
        Some(Command::Demo { yes }) => screen::show_demo(&cli, yes, config, environment),
        Some(command) => {
            let state = environment.state.as_deref();
            // Kept until the end; a headless command logs only when asked to.
            let _log = cli.options.log_level.as_ref().and_then(|_| {
                crate::log::start(config.origin.logs.as_deref(), &config.log.level, config.log.keep_days).ok()
            });
            let headless = commands::headless(command, &cli.options, &config, state, output);
            runtime()?.block_on(headless).map(Exit::code)
        }
    }
}

/// The options of the runner count before and behind `run`. Where they would mean nothing they are refused: whoever wrote
/// them would otherwise work on another server than meant.
fn settle_running(cli: &mut Cli) -> Result<(), Failure> {
    let of_run = "they are for `qtop run` and `qtop --run`";
    match &cli.command {
        None => {}
        Some(Command::Run(behind)) => {
            cli.running = cli.running.or(behind);
            if cli.runner {
                let text = "--run opens the screens with a runner beside them, `run` is a runner without screens";
                return Err(Failure::new(Exit::Usage, text).with_remedy("keep one of them"));
            }
        }
        Some(command) => {
            // The demo has a runner of its own.
            let screens = (cli.runner && !matches!(command, Command::Demo { .. })).then_some("--run");
            if let Some(name) = cli.running.given().chain(screens).next() {
                let text = format!("{name} means nothing here: this command starts no runner that could be told so");
                return Err(Failure::new(Exit::Usage, text).with_remedy(of_run));
            }
        }
    }
    let elsewhere = [("--url", cli.options.url.is_some()), ("--server", cli.options.server.is_some())];
    if cli.running.local
        && let Some((name, _)) = elsewhere.into_iter().find(|(_, given)| *given)
    {
        let text = format!("--local is a private server of this machine, {name} names another");
        return Err(Failure::new(Exit::Usage, text).with_remedy("keep one of them"));
    }
    Ok(())
}

fn load(cli: &Cli, environment: &Environment) -> Result<Config, Failure> {
    config::load(&overrides(cli, environment), environment, &known()).map_err(Failure::from)
}

/// All that the command line lays over the configuration, also whenever that is read again.
fn overrides(cli: &Cli, environment: &Environment) -> Overrides {
    let local = cli.running.local.then(|| runner::Local::url_in(environment)).flatten();
    Overrides { local, ..cli.options.overrides() }
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

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Refused, format!("the runtime could not be started: {error}")))
}
