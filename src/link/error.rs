//! What can go wrong between qtop and Redis, each with what to do about it.

use std::borrow::Cow;

/// An error that knows what to do next.
pub trait Remedy {
    /// One sentence, or nothing if there is nothing useful to say.
    fn remedy(&self) -> Option<Cow<'_, str>>;
}

/// The server refused one command; the others of the batch are not affected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// An error reply, for example `WRONGTYPE`.
    #[error("{code} {detail}")]
    Refused {
        /// First word of the reply.
        code: String,
        /// The rest.
        detail: String,
    },
    /// Fewer replies than commands: a bug, or a foreign server.
    #[error("the server sent no reply to this command")]
    Missing,
}

/// A whole batch could not be sent or answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// No connection could be made.
    #[error("cannot connect to {target}: {cause}")]
    Connect {
        /// Host and port, or path; without secrets.
        target: String,
        /// What the system said.
        cause: String,
    },
    /// The connection broke while waiting for the replies.
    #[error("the connection to {target} was lost: {cause}")]
    Lost {
        /// Host and port, or path.
        target: String,
        /// What the system said.
        cause: String,
    },
    /// No reply within the limit.
    #[error("no reply from {target} within {limit:?}")]
    Timeout {
        /// Host and port, or path.
        target: String,
        /// The limit for this purpose.
        limit: std::time::Duration,
    },
    /// The server refused a command on which everything else depends.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The gate let a command not pass. Always a bug of qtop or the effect of read-only mode.
    #[error("{command} was not sent: {reason}")]
    Gate {
        /// The command's name.
        command: String,
        /// Why.
        reason: String,
    },
}
