//! One function for each headless command.

mod export;
mod health;
mod job;
mod jobs;
mod queues;
mod reports;

pub use export::ExportArgs;
pub use jobs::state_of;

use std::path::Path;

use super::args::{self, Cli, Command, ConfigAction, Options};
use super::change::{self, Counter, TrashCommand, places};
use super::failure::{Exit, Failure};
use super::known::known;
use super::output::Output;
use super::runner;
use super::session::Session;
use crate::config::{self, Config, Environment};

/// Runs a command that looks at a server.
pub async fn headless(
    command: Command,
    options: &Options,
    config: &Config,
    state: Option<&Path>,
    output: &Output,
) -> Result<Exit, Failure> {
    match &command {
        Command::Undo(undo) | Command::Trash { action: TrashCommand::Restore(undo) } => {
            let mut counter = Counter::open(config, state, undo.unlock, output)?;
            return change::undo(&mut counter, undo).await;
        }
        Command::Trash { action } => return change::trash(&places(config, state)?, action, output),
        Command::Audit(wanted) => return change::audit(&places(config, state)?, wanted, output),
        Command::Continue { yes, unlock, json } => {
            let mut counter = Counter::open(config, state, *unlock, output)?;
            return change::go_on(&mut counter, *yes, *json).await;
        }
        _ => {}
    }
    let cargo = match &command {
        Command::Import(args) => Some(change::load(args)?),
        _ => None,
    };
    let only = match &command {
        Command::Export(args) => Some(args.queue.as_str()),
        Command::Import(_) => cargo.as_ref().map(|cargo| cargo.queue.as_str()),
        Command::Jobs { queue, .. } | Command::Job { queue, .. } => Some(queue.as_str()),
        Command::Change(change) => Some(change.queue()),
        _ => None,
    };
    if let Command::Job { raw: true, .. } = &command
        && output.is_terminal()
    {
        return Err(Failure::new(Exit::Usage, "--raw writes bytes that could control the terminal")
            .with_remedy("write into a file or pipe: qtop job QUEUE ID --raw > payload"));
    }
    let opened = Session::open(config, state, options.timeout, only).await;
    if let Command::Health(thresholds) = &command {
        return health::run(opened, thresholds, output).await;
    }
    let session = opened?;
    if let Some(note) = session.incomplete_note() {
        output.note(&note);
    }
    if let (Command::Import(args), Some(cargo)) = (&command, cargo) {
        return change::import(args, cargo, session, config, state, output).await;
    }
    match command {
        Command::Export(args) => export::run(session, &args, output).await,
        Command::Queues { json, rates } => queues::run(session, json, rates, output).await,
        Command::Jobs { queue, state, matching, payloads, limit, cursor, json } => {
            let wanted = jobs::Wanted { state, matching, payloads, limit, cursor };
            jobs::run(session, &queue, wanted, json, output).await
        }
        Command::Job { queue, id, json, raw, payload_limit } => {
            job::run(session, &queue, &id, job::Form::of(json, raw), payload_limit, output).await
        }
        Command::Workers { json, all_clients } => reports::workers(session, json, all_clients, output).await,
        Command::Failures { json, window } => reports::failures(session, json, window, output).await,
        Command::Change(wanted) => change::run(wanted, session, config, state, output).await,
        other => Err(Failure::new(Exit::Usage, format!("{other:?} does not look at a server"))),
    }
}

/// `qtop config …`.
pub fn settings(action: &ConfigAction, cli: &Cli, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let overrides = cli.options.overrides();
    match action {
        ConfigAction::Path => {
            for (name, path, exists) in config::paths(&overrides, environment) {
                let missing = if exists { "" } else { "  (not there)" };
                output.text(&format!("{name:<8}{}{missing}", path.display()))?;
            }
        }
        ConfigAction::Check => {
            let config = config::load(&overrides, environment, &known())?;
            runner::check(&config)?;
            let file = config.origin.file.as_ref().map(|path| path.display().to_string());
            output.text(&format!("{} is good", file.as_deref().unwrap_or("no file: the defaults hold, and that")))?;
        }
        ConfigAction::Recipes { name: None } => {
            for (name, text) in config::RECIPES {
                let about = text.lines().next().unwrap_or_default().trim_start_matches(['#', ' ']);
                output.text(&format!("recipe:{name:<24}{about}"))?;
            }
        }
        ConfigAction::Recipes { name: Some(wanted) } => {
            let plain = wanted.strip_prefix("recipe:").unwrap_or(wanted);
            let Some((_, text)) = config::RECIPES.iter().find(|(name, _)| *name == plain) else {
                return Err(Failure::new(Exit::Usage, format!("there is no recipe {plain:?}"))
                    .with_remedy("qtop config recipes names them all"));
            };
            output.text(text.trim_end())?;
        }
        ConfigAction::Print => output.text(&config::print(&config::load(&overrides, environment, &known())?))?,
    }
    Ok(Exit::Good)
}

/// `qtop completions SHELL`.
pub fn completions(shell: clap_complete::Shell, output: &Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "qtop", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Good)
}

/// `qtop man`.
pub fn manual(output: &Output) -> Result<Exit, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(args::command()).render(&mut page)?;
    output.bytes(&page)?;
    Ok(Exit::Good)
}
