//! Carries out changes for the screens: freezing, running, undoing. In order for each queue, side by side otherwise.
//!
//! Nothing here is ever merged or dropped: an order that cannot be taken is said aloud by the sender's full channel.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::change::audit::{Audit, Entry};
use super::change::freeze::freeze;
use super::change::journal;
use super::change::obliterate::{Steps, obliterate};
use super::change::piece::Desk;
use super::change::run::{Room, resume, run};
use super::change::trash::Trash;
use super::change::undo::undo;
use super::change::{ChangeError, Finished, Places};
use super::{Dialer, Systems};
use crate::domain::change::{
    AuditLine, Control, Filter, Frozen, Gate, Order, Plan, Progress, Report, Summary, TrashItem,
};
use crate::domain::fetch::FetchError;
use crate::domain::ids::{JobId, QueueId, Ticket};
use crate::domain::mutation::{Outcome, Verb};
use crate::domain::state::StateId;
use crate::link::{ConnectOptions, Link, Mode, Purpose, Remedy};
use crate::systems::{System, SystemError};

/// Lines of the audit file that are read for its screen.
const AUDIT_LINES: usize = 500;
/// Jobs looked at between two reports of a freeze.
const FREEZE_STEP: u64 = 5_000;

/// Everything the executor needs.
pub struct Executor {
    /// How to connect. The mode in it is not used: the gate decides.
    pub connect: ConnectOptions,
    /// Whether changes may leave. While it is shut, connections are made that let no write through (S1).
    pub gate: watch::Receiver<Gate>,
    /// Every system.
    pub systems: Systems,
    /// Configured name of the server.
    pub server: String,
    /// qtop's state directory and the trash's size.
    pub places: Places,
}

/// One order that takes several changes.
struct Ordered<'a> {
    bench: &'a Bench,
    ticket: Ticket,
    control: watch::Receiver<Control>,
}

impl Steps for Ordered<'_> {
    fn carry_out(&mut self, plan: Plan) -> BoxFuture<'_, Finished> {
        Box::pin(self.bench.run(self.ticket, plan, None, self.control.clone()))
    }

    fn link(&mut self) -> BoxFuture<'_, Result<Link, SystemError>> {
        Box::pin(async { Ok(self.bench.reading.dial(Purpose::Fetch).await?) })
    }

    fn go_on(&self) -> bool {
        !matches!(*self.control.borrow(), Control::Stop | Control::Leave)
    }
}

struct Bench {
    executor: Executor,
    reading: Arc<Dialer>,
    writing: Arc<Dialer>,
    reports: mpsc::Sender<Report>,
    queues: Mutex<HashMap<QueueId, Arc<Mutex<()>>>>,
    controls: Mutex<HashMap<Ticket, watch::Sender<Control>>>,
}

/// Takes orders until `cancel`; then every running change ends after its present piece, and only then this returns.
pub async fn serve(
    executor: Executor,
    mut orders: mpsc::Receiver<Order>,
    reports: mpsc::Sender<Report>,
    cancel: CancellationToken,
) {
    let dialer = |mode| Arc::new(Dialer::new(ConnectOptions { mode, ..executor.connect.clone() }));
    let (reading, writing) = (dialer(Mode::ReadOnly), dialer(Mode::ReadWrite));
    let bench = Bench { executor, reading, writing, reports, queues: Mutex::default(), controls: Mutex::default() };
    let bench = Arc::new(bench);
    bench.tell_interrupted().await;
    let tasks = TaskTracker::new();
    loop {
        let order = tokio::select! {
            () = cancel.cancelled() => break,
            order = orders.recv() => order,
        };
        match order {
            None => break,
            Some(Order::Control(ticket, control)) => bench.control(ticket, control).await,
            Some(order) => {
                // Registered before it runs, so that a wish to stop it that comes next finds it.
                let control = bench.register(order.ticket()).await;
                let bench = Arc::clone(&bench);
                tasks.spawn(async move {
                    let ticket = order.ticket();
                    bench.carry_out(order, control).await;
                    bench.controls.lock().await.remove(&ticket);
                });
            }
        }
    }
    for control in bench.controls.lock().await.values() {
        control.send_replace(Control::Leave);
    }
    tasks.close();
    tasks.wait().await;
}

impl Bench {
    async fn carry_out(&self, order: Order, control: watch::Receiver<Control>) {
        match order {
            Order::Freeze { ticket, queue, verb, filter } => {
                let result = self.freeze(ticket, &queue, verb, &filter, control).await.map_err(|error| told(&error));
                self.report(Report::Frozen(ticket, result)).await;
            }
            Order::Preview { ticket, queue, verb, groups } => {
                let lines = self.preview(&queue, verb, &groups).await.map_err(|error| told(&error));
                self.report(Report::Previewed(ticket, lines)).await;
            }
            Order::Run { ticket, plan } => {
                let turn = self.turn(&plan.queue).await;
                let _held = turn.lock().await;
                let queue = plan.queue.clone();
                let finished = self.run(ticket, plan, None, control).await;
                self.finish(ticket, Some(queue), finished).await;
            }
            Order::Obliterate { ticket, plan, was_paused } => {
                let turn = self.turn(&plan.queue).await;
                let _held = turn.lock().await;
                let queue = plan.queue.clone();
                let finished = self.obliterate(ticket, plan, was_paused, control).await;
                self.finish(ticket, Some(queue), finished).await;
            }
            Order::Undo { ticket, token } => {
                let summary = match self.undo(token.as_deref()).await {
                    Ok(summary) => summary,
                    Err(error) => failed(&error),
                };
                self.report(Report::Finished(ticket, summary)).await;
            }
            Order::Resume { ticket } => match self.interrupted() {
                Ok(mut runs) if !runs.is_empty() => {
                    let interrupted = runs.remove(0);
                    let queue = interrupted.plan.queue.clone();
                    let turn = self.turn(&queue).await;
                    let _held = turn.lock().await;
                    let finished = self.run(ticket, interrupted.plan.clone(), Some(interrupted), control).await;
                    self.finish(ticket, Some(queue), finished).await;
                }
                Ok(_) => self.report(Report::Finished(ticket, nothing("no change was interrupted"))).await,
                Err(error) => self.report(Report::Finished(ticket, failed(&error))).await,
            },
            Order::Trash { ticket } => {
                let items = self.off_thread(|places| Trash::new(&places).list()).await;
                let items = items.map(|items| items.into_iter().map(trash_item).collect());
                self.report(Report::Trash(ticket, items)).await;
            }
            Order::Audit { ticket } => {
                let lines = self.off_thread(|places| Audit::new(&places).last(AUDIT_LINES)).await;
                let lines = lines.map(|(entries, _)| in_short(entries));
                self.report(Report::Audit(ticket, lines)).await;
            }
            Order::Control(ticket, control) => self.control(ticket, control).await,
        }
    }

    /// The connections changes are made over; those that let no write through while the gate is shut.
    fn dialer(&self) -> Arc<Dialer> {
        Arc::clone(if self.is_open() { &self.writing } else { &self.reading })
    }

    fn is_open(&self) -> bool {
        self.executor.gate.borrow().is_open(Instant::now())
    }

    async fn freeze(
        &self,
        ticket: Ticket,
        queue: &QueueId,
        verb: Verb,
        filter: &Filter,
        control: watch::Receiver<Control>,
    ) -> Result<Frozen, SystemError> {
        let system = self.system(queue)?;
        let link = self.reading.dial(Purpose::Fetch).await?;
        let mut told = 0;
        freeze(&link, &*system, queue, verb, filter, |looked_at| {
            if looked_at >= told + FREEZE_STEP {
                told = looked_at;
                // A screen that lags behind misses a number, never the end.
                drop(self.reports.try_send(Report::Freezing(ticket, looked_at)));
            }
            !matches!(*control.borrow(), Control::Stop | Control::Leave)
        })
        .await
    }

    /// What a change of these jobs really is, in an application's own words.
    async fn preview(
        &self,
        queue: &QueueId,
        verb: Verb,
        groups: &[(StateId, Vec<JobId>)],
    ) -> Result<Vec<String>, SystemError> {
        let system = self.system(queue)?;
        let link = self.reading.dial(Purpose::Fetch).await?;
        let mut lines = Vec::new();
        for (state, ids) in groups {
            lines.extend(system.preview(&link, queue, verb, *state, ids).await?);
        }
        Ok(lines)
    }

    async fn run(
        &self,
        ticket: Ticket,
        plan: Plan,
        interrupted: Option<journal::Interrupted>,
        control: watch::Receiver<Control>,
    ) -> Finished {
        let left = plan.scope.len() as u64;
        let refused =
            |error: SystemError| Finished { outcome: Outcome::default(), left, undo: None, error: Some(error.into()) };
        if !self.is_open() {
            return refused(SystemError::Unsupported("nothing was changed: this server is read-only".to_owned()));
        }
        let system = match self.system(&plan.queue) {
            Ok(system) => system,
            Err(error) => return refused(error),
        };
        let mut desk = Desk::new(self.dialer());
        let reports = self.reports.clone();
        // A screen that lags behind misses a step of the bar, never the end.
        let report = move |progress: &Progress| drop(reports.try_send(Report::Progress(ticket, progress.clone())));
        let room = Room { desk: &mut desk, system: &*system, places: &self.executor.places, control, report: &report };
        match interrupted {
            Some(interrupted) => resume(room, interrupted).await,
            None => run(room, plan).await,
        }
    }

    /// Deletes a queue with everything in it.
    async fn obliterate(
        &self,
        ticket: Ticket,
        plan: Plan,
        was_paused: bool,
        control: watch::Receiver<Control>,
    ) -> Finished {
        let system = match self.system(&plan.queue) {
            Ok(system) => system,
            Err(error) => {
                return Finished { outcome: Outcome::default(), left: 1, undo: None, error: Some(error.into()) };
            }
        };
        obliterate(&mut Ordered { bench: self, ticket, control }, &*system, plan, was_paused).await
    }

    /// Puts back what a token stands for.
    async fn undo(&self, token: Option<&str>) -> Result<Summary, ChangeError> {
        if !self.is_open() {
            let text = "nothing was put back: this server is read-only".to_owned();
            return Err(SystemError::Unsupported(text).into());
        }
        let mut desk = Desk::new(self.dialer());
        let Executor { systems, places, server, .. } = &self.executor;
        let undone = undo(&mut desk, systems, places, server, token).await?;
        Ok(Summary { queue: Some(undone.queue), outcome: undone.outcome, left: 0, undo: None, error: None })
    }

    async fn finish(&self, ticket: Ticket, queue: Option<QueueId>, finished: Finished) {
        let Finished { outcome, left, undo, error } = finished;
        let error = error.map(|error| told_change(&error));
        self.report(Report::Finished(ticket, Summary { queue, outcome, left, undo, error })).await;
    }

    async fn register(&self, ticket: Ticket) -> watch::Receiver<Control> {
        let (sender, control) = watch::channel(Control::Go);
        self.controls.lock().await.insert(ticket, sender);
        control
    }

    async fn control(&self, ticket: Ticket, control: Control) {
        if let Some(sender) = self.controls.lock().await.get(&ticket) {
            sender.send_replace(control);
        }
    }

    /// The turn of a queue: whoever holds it changes the queue.
    async fn turn(&self, queue: &QueueId) -> Arc<Mutex<()>> {
        Arc::clone(self.queues.lock().await.entry(queue.clone()).or_default())
    }

    fn system(&self, queue: &QueueId) -> Result<Arc<dyn System>, SystemError> {
        let name = queue.instance.system;
        let found = self.executor.systems.iter().find(|system| system.spec().name == name);
        found.cloned().ok_or_else(|| SystemError::Unsupported(format!("no queue system is called {name}")))
    }

    fn interrupted(&self) -> Result<Vec<journal::Interrupted>, ChangeError> {
        let mut runs = journal::interrupted(&self.executor.places, &self.executor.systems)?;
        runs.retain(|run| run.plan.server == self.executor.server);
        Ok(runs)
    }

    async fn tell_interrupted(&self) {
        match self.interrupted() {
            Ok(runs) if runs.is_empty() => {}
            Ok(runs) => self.report(Report::Interrupted(runs.into_iter().map(|run| run.plan).collect())).await,
            Err(error) => tracing::warn!(%error, "interrupted changes cannot be read"),
        }
    }

    /// Reads local files where waiting for the disk holds up nobody.
    async fn off_thread<T: Send + 'static>(
        &self,
        read: impl FnOnce(Places) -> Result<T, ChangeError> + Send + 'static,
    ) -> Result<T, FetchError> {
        let places = self.executor.places.clone();
        match tokio::task::spawn_blocking(move || read(places)).await {
            Ok(result) => result.map_err(|error| told_change(&error)),
            Err(error) => Err(FetchError { text: format!("reading ended in a fault: {error}"), remedy: None }),
        }
    }

    async fn report(&self, report: Report) {
        // Nobody listens any more only while qtop ends; the audit file has the outcome.
        drop(self.reports.send(report).await);
    }
}

fn trash_item(item: super::change::trash::Item) -> TrashItem {
    let header = item.header;
    TrashItem {
        token: item.token,
        time: header.time,
        server: header.server,
        queue: header.address,
        action: header.action,
        bytes: item.bytes,
    }
}

/// The newest first; of a change that has ended only the line of its end.
fn in_short(entries: Vec<Entry>) -> Vec<AuditLine> {
    let ended = |entry: &Entry| entry.outcome.is_some();
    let over: HashSet<String> = entries.iter().filter(|entry| ended(entry)).map(|entry| entry.run.clone()).collect();
    let shown = entries.into_iter().rev().filter(|entry| ended(entry) || !over.contains(&entry.run));
    shown.map(audit_line).collect()
}

fn audit_line(entry: Entry) -> AuditLine {
    AuditLine {
        time: entry.time,
        phase: entry.phase,
        operator: format!("{}@{}", entry.operator, entry.host),
        server: entry.server,
        queue: entry.queue,
        action: entry.action,
        ids: entry.ids,
        count: entry.count,
        outcome: entry.outcome.map(|counts| [counts.done, counts.refused, counts.unknown]),
        error: entry.error,
    }
}

fn nothing(text: &str) -> Summary {
    let error = FetchError { text: text.to_owned(), remedy: None };
    Summary { queue: None, outcome: Outcome::default(), left: 0, undo: None, error: Some(error) }
}

fn failed(error: &ChangeError) -> Summary {
    let error = Some(told_change(error));
    Summary { queue: None, outcome: Outcome::default(), left: 0, undo: None, error }
}

/// An error with its remedy, as text.
pub fn told(error: &SystemError) -> FetchError {
    let remedy = match error {
        SystemError::Link(link) => link.remedy().map(|remedy| remedy.into_owned()),
        _ => None,
    };
    FetchError { text: error.to_string(), remedy }
}

/// Likewise for a change.
pub fn told_change(error: &ChangeError) -> FetchError {
    match error {
        ChangeError::System(error) => told(error),
        error => FetchError { text: error.to_string(), remedy: None },
    }
}
