//! Commands that change queues: what they match, what they ask before, what they print, and the trash.

pub mod args;
mod ask;
mod carry_out;
mod how;
mod import;
mod obliterate;
mod report;
mod select;
mod text;
mod trash;

use std::path::Path;
use std::sync::Arc;

use crate::cli::address;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::config::Config;
use crate::domain::change::Scope;
use crate::domain::ids::QueueId;
use crate::domain::mutation::{Change, Limits, NewJob};
use crate::engine::change::Places;
use crate::engine::change::piece::Desk;
use crate::engine::{Dialer, connect_options};
use crate::link::Mode;
use crate::systems::System;

use args::ChangeCommand;
use how::{How, plan};
#[cfg(test)]
pub use import::payload;
pub use import::{ImportArgs, load, run as import};
pub use trash::{AuditArgs, TrashCommand, UndoArgs, audit, go_on, trash, undo};

/// Everything a change needs.
pub struct Counter<'a> {
    pub(super) output: &'a Output,
    pub(super) desk: Desk,
    pub(super) systems: Vec<Arc<dyn System>>,
    pub(super) places: Places,
    pub(super) server: String,
    pub(super) environment: Option<String>,
}

impl<'a> Counter<'a> {
    /// For the chosen server. Fails where it is read-only, or where there is no folder for trash and audit.
    pub fn open(config: &Config, state: Option<&Path>, unlock: bool, output: &'a Output) -> Result<Self, Failure> {
        let name = &config.origin.chosen;
        let server = config.servers.get(name);
        let server = server.ok_or_else(|| Failure::new(Exit::Usage, format!("there is no server {name}")))?;
        if let Some(reason) = server.read_only_reason() {
            // A lock that was set by hand is not opened by a flag.
            let locked = server.read_only == Some(true);
            if locked || !unlock {
                let failure = Failure::new(Exit::Refused, format!("nothing was changed: {reason}"));
                let remedy = "add --unlock to change it this once";
                return Err(if locked { failure } else { failure.with_remedy(remedy) });
            }
        }
        let mut options =
            connect_options(server).ok_or_else(|| Failure::new(Exit::Usage, format!("server {name} has no URL")))?;
        options.mode = Mode::ReadWrite;
        Ok(Self {
            output,
            desk: Desk::new(Arc::new(Dialer::new(options))),
            systems: crate::systems::all(&config.described().for_server(name)),
            places: places(config, state)?,
            server: name.clone(),
            environment: server.env.clone(),
        })
    }

    pub(super) fn system(&self, queue: &QueueId) -> Result<Arc<dyn System>, Failure> {
        let found = self.systems.iter().find(|system| system.spec().name == queue.instance.system);
        found.cloned().ok_or_else(|| Failure::new(Exit::Refused, format!("{} is not known", queue.instance.system)))
    }
}

/// Where trash and audit file lie.
pub fn places(config: &Config, state: Option<&Path>) -> Result<Places, Failure> {
    let state = state.ok_or_else(|| {
        Failure::new(Exit::Usage, "there is no folder for the trash and the audit file")
            .with_remedy("set XDG_STATE_HOME or HOME")
    })?;
    Ok(Places { state: state.to_owned(), trash_cap: config.trash.cap })
}

/// Runs a command that changes a queue.
pub async fn run(
    command: ChangeCommand,
    session: Session,
    config: &Config,
    state: Option<&Path>,
    output: &Output,
) -> Result<Exit, Failure> {
    let how = command.how().clone();
    let queue = address::find(command.queue(), session.snapshot())?;
    let mut counter = Counter::open(config, state, how.unlock, output)?;
    if let Some((change, which)) = command.of_jobs() {
        let extra = matches!(command, ChangeCommand::Drain { delayed: true, .. });
        return select::jobs(&mut counter, &session, &queue, change, &which, extra, &how).await;
    }
    match command {
        ChangeCommand::Pause { .. } => counter.whole(&queue, Change::Pause, &how).await,
        ChangeCommand::Resume { .. } => counter.whole(&queue, Change::Resume, &how).await,
        ChangeCommand::Trim { keep, .. } => counter.whole(&queue, Change::Trim { keep }, &how).await,
        ChangeCommand::Limit { concurrency, max, per, .. } => {
            let lifted = |number: u64| (number > 0).then_some(number);
            let rate = max.zip(per).map(|(max, per)| lifted(max).map(|max| (max, per)));
            let limits = Limits { concurrency: concurrency.map(lifted), rate };
            if limits == Limits::default() {
                return Err(Failure::new(Exit::Usage, "no limit was given")
                    .with_remedy("use --concurrency N, or --max N --per TIME; 0 lifts a limit"));
            }
            counter.whole(&queue, Change::Limit(limits), &how).await
        }
        ChangeCommand::Obliterate { confirm, .. } => {
            obliterate::obliterate(&mut counter, &session, &queue, confirm.as_deref(), &how).await
        }
        ChangeCommand::Signal { order, workers, .. } => {
            let workers = workers.iter().map(|name| name.as_str().into()).collect();
            counter.whole(&queue, Change::Signal { order, workers }, &how).await
        }
        ChangeCommand::Trigger { ids, .. } => counter.schedules(&queue, Change::Trigger, &ids, &how).await,
        ChangeCommand::Unschedule { ids, .. } => counter.schedules(&queue, Change::Unschedule, &ids, &how).await,
        ChangeCommand::Add { name, data, id, delay, priority, attempts, dedup, .. } => {
            let data = match data {
                Some(path) => text::read(&path)?,
                None => b"{}".to_vec(),
            };
            let job = NewJob {
                id: id.map(Into::into),
                name,
                data: data.into(),
                delay,
                priority,
                attempts,
                dedup,
                ..NewJob::default()
            };
            counter.whole(&queue, Change::Add(job), &how).await
        }
        ChangeCommand::Edit { id, data, retry, .. } => {
            text::edit(&mut counter, session, &queue, &id, data.as_deref(), retry, &how).await
        }
        other => Err(Failure::new(Exit::Usage, format!("{other:?} changes no queue (a bug)"))),
    }
}

impl Counter<'_> {
    async fn whole(&mut self, queue: &QueueId, change: Change, how: &How) -> Result<Exit, Failure> {
        let plan = plan(&self.server, queue, change, Scope::Queue, how);
        self.ask_and_carry_out(plan, &[], how).await
    }

    async fn schedules(&mut self, queue: &QueueId, change: Change, ids: &[String], how: &How) -> Result<Exit, Failure> {
        let ids = ids.iter().map(|id| id.as_str().into()).collect();
        let plan = plan(&self.server, queue, change, Scope::Schedules(ids), how);
        self.ask_and_carry_out(plan, &[], how).await
    }
}
