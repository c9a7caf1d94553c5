//! The task that carries out changes, and the files it leaves.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Server};
use crate::domain::change::{Gate, Order, Report, Summary};
use crate::domain::fetch::FetchError;
use crate::domain::mutation::Outcome;
use crate::engine::change::Places;
use crate::engine::executor::{Executor, serve};
use crate::engine::{Systems, connect_options};

/// Orders and reports that may wait.
const WAITING: usize = 64;
/// A change that is under way when qtop ends may finish its present piece for so long.
const LAST_PIECE: Duration = Duration::from_secs(3);

/// The executor of one server.
pub(super) struct ChangeTasks {
    orders: mpsc::Sender<Order>,
    reports: mpsc::Receiver<Report>,
    gate: watch::Sender<Gate>,
    cancel: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl ChangeTasks {
    /// Starts it. Must be called inside a runtime. Without a folder for trash and audit file nothing can be changed.
    pub(super) fn start(config: &Config, name: &str, systems: Systems, state: Option<&Path>) -> Self {
        let (orders, taken) = mpsc::channel(WAITING);
        let (reporter, reports) = mpsc::channel(WAITING);
        let server = config.servers.get(name);
        let (gate, gate_seen) = watch::channel(server.map_or(Gate::Shut, gate_of));
        let cancel = CancellationToken::new();
        let task = server.and_then(connect_options).zip(state).map(|(connect, state)| {
            let places = Places { state: state.to_owned(), trash_cap: config.trash.cap };
            let executor = Executor { connect, gate: gate_seen, systems, server: name.to_owned(), places };
            tokio::spawn(serve(executor, taken, reporter, cancel.clone()))
        });
        Self { orders, reports, gate, cancel, task }
    }

    /// Hands an order on; what cannot be taken is answered at once.
    pub(super) fn order(&self, order: Order) -> Option<Report> {
        if self.task.is_none() {
            let text = "there is no folder for the trash and the audit file";
            return Some(refused(&order, text, "set XDG_STATE_HOME or HOME"));
        }
        match self.orders.try_send(order) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(order)) => {
                Some(refused(&order, "too many changes are waiting", "try again when some of them are done"))
            }
            Err(mpsc::error::TrySendError::Closed(order)) => {
                Some(refused(&order, "the task that changes queues has ended (a bug)", "start qtop again"))
            }
        }
    }

    /// The next report. Can be dropped without losing one.
    pub(super) async fn next(&mut self) -> Option<Report> {
        self.reports.recv().await
    }

    /// Lets changes leave until then, or locks again.
    pub(super) fn unlock(&self, until: Option<Instant>) {
        self.gate.send_replace(until.map_or(Gate::Shut, Gate::Until));
    }

    /// Lets running changes end their present piece.
    pub(super) async fn end(&mut self) {
        self.cancel.cancel();
        // Reports are taken until the end: a full channel would hold up the piece.
        let drained = async {
            while self.reports.recv().await.is_some() {}
            if let Some(task) = self.task.take()
                && let Err(error) = task.await
            {
                tracing::error!(%error, "the task that changes queues ended in a fault");
            }
        };
        if tokio::time::timeout(LAST_PIECE, drained).await.is_err() {
            tracing::warn!("a change did not end in time; the next start offers to go on with it");
        }
    }
}

impl Drop for ChangeTasks {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

fn gate_of(server: &Server) -> Gate {
    if server.read_only_reason().is_some() { Gate::Shut } else { Gate::Open }
}

/// The report of an order that was not taken.
fn refused(order: &Order, text: &str, remedy: &str) -> Report {
    let error = FetchError { text: text.to_owned(), remedy: Some(remedy.to_owned()) };
    match order {
        Order::Freeze { ticket, .. } => Report::Frozen(*ticket, Err(error)),
        Order::Preview { ticket, .. } => Report::Previewed(*ticket, Err(error)),
        Order::Trash { ticket } => Report::Trash(*ticket, Err(error)),
        Order::Audit { ticket } => Report::Audit(*ticket, Err(error)),
        Order::Run { ticket, .. }
        | Order::Undo { ticket, .. }
        | Order::Resume { ticket }
        | Order::Obliterate { ticket, .. }
        | Order::Control(ticket, _) => {
            let summary = Summary { queue: None, outcome: Outcome::default(), left: 0, undo: None, error: Some(error) };
            Report::Finished(*ticket, summary)
        }
    }
}

/// Writes lines to a new file for the owner only; says where it is, or what went wrong.
pub(super) fn export(folder: Option<PathBuf>, name: &str, lines: &[String]) -> Result<String, String> {
    let folder = folder.ok_or("there is no folder to export to; set XDG_STATE_HOME or HOME")?.join("exports");
    let safe: String = name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    let safe: String = safe.trim_start_matches('.').chars().take(60).collect();
    let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let path = folder.join(format!("{}-{time}.jsonl", if safe.is_empty() { "jobs" } else { &safe }));
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(&folder)?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(&path)?;
        for line in lines {
            file.write_all(line.as_bytes())?;
            file.write_all(b"\n")?;
        }
        file.sync_all()
    };
    write().map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(format!("{} lines in {}", lines.len(), path.display()))
}

/// Every system, set up with what is described for a server.
pub(super) fn systems_of(config: &Config, name: &str) -> Systems {
    Arc::new(crate::systems::all(&config.described().for_server(name)))
}
