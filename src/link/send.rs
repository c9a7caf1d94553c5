//! Sending a batch as one pipeline and taking the replies apart again.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};

use super::batch::{Batch, Reply};
use super::error::{CommandError, LinkError};

/// One connection to one server, cheap to clone.
#[derive(Clone)]
pub struct Link {
    connection: MultiplexedConnection,
    target: String,
    limit: Duration,
}

impl Link {
    /// Connects to a URL.
    pub async fn connect(url: &str, limit: Duration) -> Result<Self, LinkError> {
        let failed = |cause: redis::RedisError| LinkError::Connect { target: url.to_owned(), cause: cause.to_string() };
        let client = redis::Client::open(url).map_err(failed)?;
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(limit));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?;
        Ok(Self { connection, target: url.to_owned(), limit })
    }

    /// Sends all commands in one write and returns one reply each, in order.
    pub async fn send(&self, batch: &Batch) -> Result<Vec<Reply>, LinkError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::with_capacity(batch.len());
        for command in batch.commands() {
            pipeline.add_command(command.clone());
        }
        let mut connection = self.connection.clone();
        let values: Vec<Value> = pipeline
            .ignore_errors()
            .query_async(&mut connection)
            .await
            .map_err(|error| LinkError::Lost { target: self.target.clone(), cause: error.to_string() })?;
        Ok(values.into_iter().map(into_reply).collect())
    }

    /// Sends one command. An error reply becomes [`LinkError::Command`].
    pub async fn ask(&self, command: Cmd) -> Result<Value, LinkError> {
        let mut batch = Batch::new();
        batch.ask(command);
        let mut replies = self.send(&batch).await?;
        Ok(replies.pop().unwrap_or(Err(CommandError::Missing))?)
    }

    /// Time limit for a reply.
    pub fn limit(&self) -> Duration {
        self.limit
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
