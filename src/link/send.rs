//! Sending a batch as one pipeline and taking the replies apart again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};
use tokio::task::AbortHandle;

use super::batch::{Batch, Reply};
use super::commands::COMMANDS;
use super::connect::Raw;
use super::error::{CommandError, LinkError};
use super::gate::{self, Mode};
use super::meter::Meter;
use super::news::News;
use super::options::{ConnectOptions, Purpose};
use super::socket::{End, EndNote};

/// Most commands in one write; a larger batch is cut, so that neither side has to hold all of it.
const MAX_PIPELINE: usize = 10_000;

/// One connection to one server, cheap to clone. It does not reconnect: after [`LinkError::Lost`] or
/// [`LinkError::Timeout`] it refuses everything, and the owner connects again with a [`super::Backoff`].
#[derive(Clone)]
pub struct Link {
    connection: MultiplexedConnection,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    safe_url: String,
    purpose: Purpose,
    limit: Duration,
    mode: Mode,
    lenient: bool,
    insecure: bool,
    meter: Arc<Meter>,
    end: EndNote,
    news: News,
    /// A reply did not come in time. Later ones would come after it, so nobody may wait for them here.
    late: AtomicBool,
    driver: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shared { target, purpose, mode, .. } = &*self.shared;
        formatter.debug_struct("Link").field("target", target).field("purpose", purpose).field("mode", mode).finish()
    }
}

impl Link {
    pub(super) fn new(raw: Raw, target: String, safe_url: String, options: &ConnectOptions, purpose: Purpose) -> Self {
        let Raw { connection, driver, end, news, meter } = raw;
        let shared = Shared {
            target,
            insecure: options.tls.insecure && safe_url.starts_with("rediss"),
            safe_url,
            purpose,
            limit: options.limits.reply(purpose),
            mode: options.mode,
            lenient: options.lenient_gate,
            meter,
            end,
            news,
            late: AtomicBool::new(false),
            driver,
        };
        Self { connection, shared: Arc::new(shared) }
    }

    /// Sends all commands in one write (one for each 10,000) and returns one reply each, in order.
    ///
    /// # Errors
    ///
    /// [`LinkError::Gate`] before anything is sent if one of the commands may not leave; in debug builds it panics if
    /// that is a bug rather than read-only mode. [`LinkError::Lost`] and [`LinkError::Timeout`] make the link unusable.
    pub async fn send(&self, batch: &Batch) -> Result<Vec<Reply>, LinkError> {
        self.send_within(batch, self.shared.limit).await
    }

    /// [`Link::send`] with another limit than that of the purpose.
    pub(super) async fn send_within(&self, batch: &Batch, limit: Duration) -> Result<Vec<Reply>, LinkError> {
        let mut indices = Vec::with_capacity(batch.len());
        for command in batch.commands() {
            indices.push(self.pass(command)?);
        }
        let mut replies = Vec::with_capacity(batch.len());
        for (commands, indices) in batch.commands().chunks(MAX_PIPELINE).zip(indices.chunks(MAX_PIPELINE)) {
            let values = self.exchange(commands, indices, limit).await?;
            replies.extend(values.into_iter().map(into_reply));
        }
        Ok(replies)
    }

    /// Sends one command. An error reply becomes [`LinkError::Command`].
    pub async fn ask(&self, command: Cmd) -> Result<Value, LinkError> {
        let mut batch = Batch::new();
        batch.ask(command);
        let mut replies = self.send(&batch).await?;
        Ok(replies.pop().unwrap_or(Err(CommandError::Missing))?)
    }

    /// Host and port, or path; without secrets.
    pub fn target(&self) -> &str {
        &self.shared.target
    }

    /// The URL without secrets.
    pub fn safe_url(&self) -> &str {
        &self.shared.safe_url
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.shared.purpose
    }

    /// Time limit for a reply.
    pub fn limit(&self) -> Duration {
        self.shared.limit
    }

    /// What may leave.
    pub fn mode(&self) -> Mode {
        self.shared.mode
    }

    /// Its counters, or those it shares with others.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.shared.meter
    }

    /// What the server tells unasked.
    pub fn news(&self) -> &News {
        &self.shared.news
    }

    /// True if the server's certificate was not verified (S16).
    pub fn is_insecure(&self) -> bool {
        self.shared.insecure
    }

    /// False once the connection is known to be gone or late. True is no promise.
    pub fn is_usable(&self) -> bool {
        !self.shared.late.load(Relaxed) && self.shared.end.read().is_none()
    }

    pub(super) fn end(&self) -> Option<End> {
        self.shared.end.read()
    }

    fn pass(&self, command: &Cmd) -> Result<usize, LinkError> {
        let checked = gate::check(command, self.shared.mode).and_then(|index| {
            let spec = &COMMANDS[index];
            let alone = !spec.blocking || self.shared.purpose == Purpose::Claim;
            let reason = || "it would hold up everybody else on this connection".to_owned();
            if alone { Ok(index) } else { Err(gate::Breach { command: spec.title(), reason: reason(), bug: true }) }
        });
        checked.map_err(|breach| {
            debug_assert!(self.shared.lenient || !breach.bug, "{} must not leave: {}", breach.command, breach.reason);
            tracing::warn!(command = breach.command, reason = breach.reason, "the gate stopped a command");
            LinkError::Gate { command: breach.command, reason: breach.reason }
        })
    }

    async fn exchange(&self, commands: &[Cmd], indices: &[usize], limit: Duration) -> Result<Vec<Value>, LinkError> {
        if !self.is_usable() {
            return Err(self.lost("an earlier reply did not come in time"));
        }
        // Counted when sent: the server has the work whether or not its replies arrive.
        self.shared.meter.count_round_trip(indices);
        let mut connection = self.connection.clone();
        let sending = async {
            // One command, which may carry a huge value, is not copied into a pipeline first.
            if let [command] = commands {
                return connection.send_packed_command(command).await.map(|value| vec![value]);
            }
            let mut pipeline = Pipeline::with_capacity(commands.len());
            for command in commands {
                pipeline.add_command(command.clone());
            }
            connection.send_packed_commands(&pipeline, 0, commands.len()).await
        };
        let values = match tokio::time::timeout(limit, sending).await {
            Ok(Ok(values)) => values,
            Ok(Err(error)) => return Err(self.lost(&error.to_string())),
            Err(_) => {
                self.shared.late.store(true, Relaxed);
                return Err(LinkError::Timeout { target: self.shared.target.clone(), limit });
            }
        };
        if values.len() != commands.len() {
            self.shared.late.store(true, Relaxed);
            return Err(self.lost(&format!("{} replies came to {} commands", values.len(), commands.len())));
        }
        Ok(values)
    }

    /// The multiplexer only knows that the connection is closed; the socket knows why.
    fn lost(&self, otherwise: &str) -> LinkError {
        let cause = match self.shared.end.read() {
            Some(End::Closed) => "the server closed it".to_owned(),
            Some(End::Reset) => "it was reset".to_owned(),
            Some(End::Tls(failure)) => failure.to_string(),
            Some(End::Broken(cause)) => cause,
            None => otherwise.to_owned(),
        };
        LinkError::Lost { target: self.shared.target.clone(), cause }
    }
}

fn into_reply(value: Value) -> Reply {
    match value {
        Value::ServerError(error) => Err(CommandError::Refused {
            code: error.code().to_owned(),
            detail: error.details().unwrap_or_default().to_owned(),
        }),
        value => Ok(value),
    }
}
