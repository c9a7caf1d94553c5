//! Carries out changes for the screens: freezing, running, undoing. In order for each queue, side by side otherwise.
//!
//! Nothing here is ever merged or dropped: an order that cannot be taken is said aloud by the sender's full channel.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::change::freeze::freeze;
use super::change::journal;
use super::change::piece::Desk;
use super::change::run::{Room, resume, run};
use super::change::undo::undo;
use super::change::{ChangeError, Finished, Places};
use super::{Dialer, Systems};
use crate::domain::change::{Control, Filter, Frozen, Order, Plan, Progress, Report, Summary};
use crate::domain::fetch::FetchError;
use crate::domain::ids::{QueueId, Ticket};
use crate::domain::mutation::{Outcome, Verb};
use crate::link::{Purpose, Remedy};
use crate::systems::{System, SystemError};

/// Everything the executor needs.
pub struct Executor {
    /// Makes connections that may write.
    pub dialer: Arc<Dialer>,
    /// Every system.
    pub systems: Systems,
    /// Configured name of the server.
    pub server: String,
    /// qtop's state directory and the trash's size.
    pub places: Places,
}

struct Bench {
    executor: Executor,
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
    let bench = Arc::new(Bench { executor, reports, queues: Mutex::default(), controls: Mutex::default() });
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
                let bench = Arc::clone(&bench);
                tasks.spawn(async move { bench.carry_out(order).await });
            }
        }
    }
    for control in bench.controls.lock().await.values() {
        control.send_replace(Control::Stop);
    }
    tasks.close();
    tasks.wait().await;
}

impl Bench {
    async fn carry_out(&self, order: Order) {
        match order {
            Order::Freeze { ticket, queue, verb, filter } => {
                let result = self.freeze(&queue, verb, &filter).await.map_err(|error| told(&error));
                self.report(Report::Frozen(ticket, result)).await;
            }
            Order::Run { ticket, plan } => {
                let turn = self.turn(&plan.queue).await;
                let _held = turn.lock().await;
                let finished = self.run(ticket, plan.clone(), None).await;
                self.finish(ticket, Some(plan.queue), finished).await;
            }
            Order::Undo { ticket, token } => {
                let mut desk = Desk::new(Arc::clone(&self.executor.dialer));
                let Executor { systems, places, server, .. } = &self.executor;
                let summary = match undo(&mut desk, systems, places, server, token.as_deref()).await {
                    Ok(undone) => {
                        Summary { queue: Some(undone.queue), outcome: undone.outcome, left: 0, undo: None, error: None }
                    }
                    Err(error) => failed(None, &error),
                };
                self.report(Report::Finished(ticket, summary)).await;
            }
            Order::Resume { ticket } => match self.interrupted() {
                Ok(mut runs) if !runs.is_empty() => {
                    let interrupted = runs.remove(0);
                    let queue = interrupted.plan.queue.clone();
                    let turn = self.turn(&queue).await;
                    let _held = turn.lock().await;
                    let finished = self.run(ticket, interrupted.plan.clone(), Some(interrupted)).await;
                    self.finish(ticket, Some(queue), finished).await;
                }
                Ok(_) => self.report(Report::Finished(ticket, nothing("no change was interrupted"))).await,
                Err(error) => self.report(Report::Finished(ticket, failed(None, &error))).await,
            },
            Order::Control(ticket, control) => self.control(ticket, control).await,
        }
    }

    async fn freeze(&self, queue: &QueueId, verb: Verb, filter: &Filter) -> Result<Frozen, SystemError> {
        let system = self.system(queue)?;
        let link = self.executor.dialer.dial(Purpose::Fetch).await?;
        freeze(&link, &*system, queue, verb, filter, |_| true).await
    }

    async fn run(&self, ticket: Ticket, plan: Plan, interrupted: Option<journal::Interrupted>) -> Finished {
        let system = match self.system(&plan.queue) {
            Ok(system) => system,
            Err(error) => {
                let left = plan.scope.len() as u64;
                return Finished { outcome: Outcome::default(), left, undo: None, error: Some(error.into()) };
            }
        };
        let (sender, control) = watch::channel(Control::Go);
        self.controls.lock().await.insert(ticket, sender);
        let mut desk = Desk::new(Arc::clone(&self.executor.dialer));
        let reports = self.reports.clone();
        // A screen that lags behind misses a step of the bar, never the end.
        let report = move |progress: &Progress| drop(reports.try_send(Report::Progress(ticket, progress.clone())));
        let room = Room { desk: &mut desk, system: &*system, places: &self.executor.places, control, report: &report };
        let finished = match interrupted {
            Some(interrupted) => resume(room, interrupted).await,
            None => run(room, plan).await,
        };
        self.controls.lock().await.remove(&ticket);
        finished
    }

    async fn finish(&self, ticket: Ticket, queue: Option<QueueId>, finished: Finished) {
        let Finished { outcome, left, undo, error } = finished;
        let error = error.map(|error| told_change(&error));
        self.report(Report::Finished(ticket, Summary { queue, outcome, left, undo, error })).await;
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

    async fn report(&self, report: Report) {
        // Nobody listens any more only while qtop ends; the audit file has the outcome.
        drop(self.reports.send(report).await);
    }
}

fn nothing(text: &str) -> Summary {
    let error = FetchError { text: text.to_owned(), remedy: None };
    Summary { queue: None, outcome: Outcome::default(), left: 0, undo: None, error: Some(error) }
}

fn failed(queue: Option<QueueId>, error: &ChangeError) -> Summary {
    Summary { queue, outcome: Outcome::default(), left: 0, undo: None, error: Some(told_change(error)) }
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
