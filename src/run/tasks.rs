//! The tasks behind the loop: the engine of the watched server, the configuration, the log.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::changes::{ChangeTasks, export, systems_of};
use super::look::Look;
use super::ui_loop::Tasks;
use super::{ReadConfig, RunnerPort, settings};
use crate::app::effect::{Effect, PaceWish, Slot};
use crate::app::message::Message;
use crate::app::state::{Banner, ServerView};
use crate::config::{Changes, Config, Environment};
use crate::domain::change::{Report, Summary};
use crate::domain::fetch::FetchError;
use crate::domain::log_line::LogLine;
use crate::domain::runner::RunnerView;
use crate::engine::ConfigEvent;
use crate::engine::alerts::Alerts;
use crate::engine::fetcher::Ask;
use crate::engine::runner::Order;
use crate::engine::{self, EngineConfig, EngineHandles, Limits, Pace};
use crate::log::{LogFeed, LogGuard};

/// Log lines taken at once.
const LOG_BURST: usize = 256;

/// Something the tasks tell the loop.
#[derive(Debug)]
pub enum Told {
    /// For the state.
    Message(Message),
    /// Another look.
    Look(Box<Look>),
}

/// The tasks of the watched server and what else tells the screen something.
pub struct EngineTasks {
    config: Arc<Config>,
    environment: Environment,
    server: String,
    handles: EngineHandles<Slot>,
    changes: ChangeTasks,
    /// What short tasks of its own have to say.
    notices: (mpsc::Sender<Message>, mpsc::Receiver<Message>),
    /// Of the watched server's tasks.
    cancel: CancellationToken,
    /// Of the others.
    life: CancellationToken,
    reloads: mpsc::Receiver<ConfigEvent>,
    log: Option<(Arc<LogGuard>, LogFeed)>,
    runner: Option<RunnerPort>,
    /// The configuration by which the runner began; its server stays as it is there.
    begun: Arc<Config>,
    /// Log lines lost so far.
    lost: u64,
    waiting: VecDeque<Told>,
    state_folder: Option<PathBuf>,
    /// Ends the hooks of the present server.
    alerts: CancellationToken,
}

impl EngineTasks {
    /// Starts watching the chosen server and the files of the configuration. Must be called inside a runtime.
    ///
    /// # Errors
    /// If the configuration has no such server, or it has no URL.
    pub fn start(
        config: Arc<Config>,
        environment: Environment,
        read: ReadConfig,
        log: Option<(Arc<LogGuard>, LogFeed)>,
        runner: Option<RunnerPort>,
    ) -> anyhow::Result<Self> {
        let server = config.origin.chosen.clone();
        let state_folder = environment.state.clone();
        let cancel = CancellationToken::new();
        let handles = watch(&config, &server, state_folder.as_deref(), &cancel)?;
        let changes = changer(&config, &server, state_folder.as_deref());
        let notices = mpsc::channel(16);
        let life = CancellationToken::new();
        let reloads = engine::watch(Arc::clone(&config), read, life.clone());
        let mut waiting = VecDeque::new();
        let alerts = life.child_token();
        waiting.extend(tell_alerts(&config, &handles, &alerts));
        let lost = 0;
        Ok(Self {
            begun: Arc::clone(&config),
            config,
            environment,
            server,
            handles,
            changes,
            notices,
            cancel,
            life,
            reloads,
            log,
            runner,
            lost,
            waiting,
            state_folder,
            alerts,
        })
    }

    /// Watches the present server by the present alerts.
    fn watch_alerts(&mut self) {
        let alerts = self.life.child_token();
        std::mem::replace(&mut self.alerts, alerts).cancel();
        self.waiting.extend(tell_alerts(&self.config, &self.handles, &self.alerts));
    }

    /// Lets changes that are under way end their present piece.
    pub async fn end(&mut self) {
        self.changes.end().await;
    }

    /// Watches another server, or the same one anew.
    fn switch(&mut self, name: &str) -> Result<(), String> {
        let cancel = CancellationToken::new();
        let handles =
            watch(&self.config, name, self.state_folder.as_deref(), &cancel).map_err(|error| format!("{error:#}"))?;
        std::mem::replace(&mut self.cancel, cancel).cancel();
        self.handles = handles;
        // Its running changes stop after their present piece; the new one offers to go on with them.
        self.changes = changer(&self.config, name, self.state_folder.as_deref());
        self.server = name.to_owned();
        self.watch_alerts();
        let view = ServerView { moved: self.has_moved(name), ..settings::server_view(&self.config, name) };
        self.waiting.push_back(Told::Message(Message::Server(view)));
        Ok(())
    }

    /// True if a server of this name is not the one the runner works on any more.
    fn has_moved(&self, name: &str) -> bool {
        let of_runner = self.runner.is_some() && self.begun.origin.chosen == name;
        of_runner && self.config.servers.get(name) != self.begun.servers.get(name)
    }

    /// Decides who hears of a new configuration. A broken one changes nothing but the banner.
    fn reloaded(&mut self, event: ConfigEvent) {
        let config = match event {
            ConfigEvent::Changed(config) => config,
            ConfigEvent::Broken(problems) => {
                let banner = Banner { title: problems.summary(), details: problems.to_string() };
                return self.waiting.push_back(Told::Message(Message::ConfigBroken(Some(banner))));
            }
        };
        let changes = Changes::between(&self.config, &config);
        let of_runner = self.config.runner.words_of_change(&config.runner);
        self.config = config;
        let (look, problem) = Look::of(&self.config, &self.environment);
        self.waiting.push_back(Told::Look(Box::new(look)));
        let settings = settings::settings(&self.config);
        self.waiting.push_back(Told::Message(Message::Configured(Box::new(settings))));
        if let Some(problem) = problem {
            let title = problem.lines().next().unwrap_or_default().to_owned();
            let banner = Banner { title, details: problem };
            self.waiting.push_back(Told::Message(Message::ConfigBroken(Some(banner))));
        }
        if changes.log
            && let Some((guard, _)) = &self.log
            && let Err(error) = guard.set_level(&self.config.log.level)
        {
            self.waiting.push_back(Told::Message(Message::Notice { text: error.to_string(), bad: true }));
        }
        if changes.alerts {
            self.watch_alerts();
        }
        if changes.runner && self.runner.is_some() {
            let order = Order::Reload(Box::new(self.config.runner.clone()));
            let notice = self.tell_runner(order).unwrap_or(Message::Notice { text: of_runner, bad: false });
            self.waiting.push_back(Told::Message(notice));
        }
        if self.has_moved(&self.begun.origin.chosen) && changes.servers.contains(&self.begun.origin.chosen) {
            let text = "the runner goes on with the server it began with; another takes effect at the next start";
            self.waiting.push_back(Told::Message(Message::Notice { text: text.to_owned(), bad: false }));
        }
        if changes.refresh {
            // The tasks go on with what they know; the interval follows from the screen.
            self.handles.limits.send_replace(Limits::of(&self.config));
        }
        if changes.concerns_server(&self.server) {
            let name = if self.config.servers.contains_key(&self.server) {
                self.server.clone()
            } else {
                self.config.origin.chosen.clone()
            };
            if let Err(text) = self.switch(&name) {
                self.waiting.push_back(Told::Message(Message::Notice { text, bad: true }));
            }
        }
    }

    /// The line that came and those behind it; they come in bursts.
    fn logged(&mut self, first: LogLine) -> Message {
        let mut lines = vec![first];
        let mut dropped = 0;
        if let Some((_, feed)) = &mut self.log {
            lines.extend(std::iter::from_fn(|| feed.try_recv()).take(LOG_BURST));
            dropped = feed.dropped() - self.lost;
            self.lost = feed.dropped();
        }
        Message::Logged { lines, dropped }
    }

    /// A queue may have come to be by the change that has ended: undone, added to, moved into.
    fn announce(&self, report: &Report) {
        if let Report::Finished(_, Summary { queue: Some(queue), outcome, .. }) = report
            && !outcome.done.is_empty()
            && self.handles.snapshots.borrow().queue(queue).is_none()
        {
            // Nobody listens only while the sampler is started anew; then it searches.
            drop(self.handles.announced.send(queue.clone()));
        }
    }

    fn tell_runner(&self, order: Order) -> Option<Message> {
        let text = match &self.runner {
            None => "this qtop runs nothing: start it with --run".to_owned(),
            Some(port) => match port.orders.try_send(order) {
                Ok(()) => return None,
                Err(error) => format!("the runner does not listen now: {error}"),
            },
        };
        Some(Message::Notice { text, bad: true })
    }

    fn ask(&self, ask: Ask<Slot>) -> bool {
        self.handles.asks.try_send(ask).is_ok()
    }
}

/// What the runner shows now, when it has changed; never again once the runner has gone.
async fn next_view(runner: &mut Option<RunnerPort>) -> Option<Arc<RunnerView>> {
    let port = runner.as_mut()?;
    match port.view.changed().await {
        Ok(()) => Some(Arc::clone(&port.view.borrow_and_update())),
        Err(_) => {
            *runner = None;
            None
        }
    }
}

async fn next_line(log: &mut Option<(Arc<LogGuard>, LogFeed)>) -> Option<LogLine> {
    match log {
        Some((_, feed)) => feed.recv().await,
        None => None,
    }
}

fn watch(
    config: &Config,
    name: &str,
    state: Option<&std::path::Path>,
    cancel: &CancellationToken,
) -> anyhow::Result<EngineHandles<Slot>> {
    if let Some(missing) = config.servers.get(name).and_then(|server| server.missing.as_ref()) {
        anyhow::bail!("server {name}: {missing}");
    }
    let systems = systems_of(config, name);
    let engine = EngineConfig::of(config, name, systems, state)
        .ok_or_else(|| anyhow::anyhow!("the configuration has no server `{name}` with a URL"))?;
    Ok(engine::start(engine, cancel))
}

/// Starts the hooks of the configuration; says which cannot be run.
fn tell_alerts(config: &Config, handles: &EngineHandles<Slot>, over: &CancellationToken) -> Option<Told> {
    if config.alerts.is_empty() {
        return None;
    }
    match Alerts::build(&config.alerts) {
        Ok(alerts) => {
            tokio::spawn(alerts.watch(handles.snapshots.clone(), over.clone()));
            None
        }
        Err((name, error)) => {
            let text = format!("nobody is told by the alert {name}: {error}");
            Some(Told::Message(Message::Notice { text, bad: true }))
        }
    }
}

fn changer(config: &Config, name: &str, state: Option<&std::path::Path>) -> ChangeTasks {
    ChangeTasks::start(config, name, systems_of(config, name), state)
}

impl Drop for EngineTasks {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.life.cancel();
    }
}

impl Tasks for EngineTasks {
    async fn next(&mut self) -> Told {
        loop {
            if let Some(told) = self.waiting.pop_front() {
                return told;
            }
            let message = tokio::select! {
                Ok(()) = self.handles.snapshots.changed() => {
                    Message::Sampled(Arc::clone(&self.handles.snapshots.borrow_and_update()))
                }
                Some(answer) = self.handles.answers.recv() => {
                    Message::Fetched { ticket: answer.ticket, slot: answer.slot, result: answer.result }
                }
                Some(report) = self.changes.next() => {
                    self.announce(&report);
                    Message::Reported(Box::new(report))
                }
                Some(notice) = self.notices.1.recv() => notice,
                Some(ended) = self.handles.ended.recv() => Message::TaskEnded { task: ended.task, error: ended.error },
                Some(event) = self.reloads.recv() => {
                    self.reloaded(event);
                    continue;
                }
                Some(line) = next_line(&mut self.log) => self.logged(line),
                Some(view) = next_view(&mut self.runner) => Message::Runner(view),
                else => return std::future::pending().await,
            };
            return Told::Message(message);
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Message> {
        match effect {
            Effect::Fetch { ticket, slot, request } => {
                let sent = self.ask(Ask::Fetch { ticket, slot, request });
                let error = || FetchError {
                    text: "the reader is busy with earlier requests".to_owned(),
                    remedy: Some("it is asked again with the next refresh".to_owned()),
                };
                (!sent).then(|| Message::Fetched { ticket, slot, result: Err(error()) })
            }
            Effect::Abandon(slot) => {
                // A full channel means that older wishes wait; the answer will be ignored by its ticket.
                self.ask(Ask::Abandon(slot));
                None
            }
            Effect::Refresh => {
                self.handles.refresh.notify_one();
                None
            }
            Effect::Pace(PaceWish { interval, idle }) => {
                self.handles.pace.send_replace(Pace { interval, paused: false, idle });
                None
            }
            Effect::SwitchServer(name) => self.switch(&name).err().map(|text| Message::Notice { text, bad: true }),
            Effect::Change(order) => self.changes.order(order).map(|report| Message::Reported(Box::new(report))),
            Effect::Unlock(until) => {
                self.changes.unlock(until);
                None
            }
            Effect::Export { name, lines } => {
                let (folder, tell) = (self.state_folder.clone(), self.notices.0.clone());
                tokio::task::spawn_blocking(move || {
                    let written = export(folder, &name, &lines);
                    let bad = written.is_err();
                    // Nobody listens any more only while qtop ends.
                    drop(tell.blocking_send(Message::Notice { text: written.unwrap_or_else(|error| error), bad }));
                });
                None
            }
            Effect::Runner(command) => self.tell_runner(Order::Command(command)),
            // The rest is the loop's own.
            Effect::Copy(_)
            | Effect::Open { .. }
            | Effect::Edit { .. }
            | Effect::Repaint
            | Effect::Mouse(_)
            | Effect::Theme(_)
            | Effect::Suspend
            | Effect::StepBack
            | Effect::Detach
            | Effect::Quit => None,
        }
    }
}
