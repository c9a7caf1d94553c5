//! What can go wrong between qtop and Redis. What to do about each is in [`super::remedy`].

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use super::address::AddressError;

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

/// What kind of refusal an error reply is, as far as it decides what qtop does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// The server cannot now and will later: `LOADING`, `BUSY`, `OOM`, `MISCONF`, `NOREPLICAS`, `CLUSTERDOWN`,
    /// `MASTERDOWN`, `TRYAGAIN`.
    Passing,
    /// This node is not the one for it: `READONLY`, `MOVED`, `ASK`, `UNBLOCKED`. Look up the roles again.
    WrongNode,
    /// The user may not: `NOPERM`.
    Permission,
    /// Not logged in: `NOAUTH`, `WRONGPASS`, `DENIED`.
    Login,
    /// The key is not what was expected: `WRONGTYPE`, `NOGROUP`.
    Data,
    /// The command itself: unknown, wrong arguments, keys of two slots, script errors.
    Command,
}

impl CommandError {
    /// First word of the reply; empty if there was none.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Missing => "",
        }
    }

    /// What to make of it.
    pub fn kind(&self) -> RefusalKind {
        match self.code() {
            "LOADING" | "BUSY" | "OOM" | "MISCONF" | "NOREPLICAS" | "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" => {
                RefusalKind::Passing
            }
            "READONLY" | "MOVED" | "ASK" | "UNBLOCKED" => RefusalKind::WrongNode,
            "NOPERM" => RefusalKind::Permission,
            "NOAUTH" | "WRONGPASS" | "DENIED" => RefusalKind::Login,
            "WRONGTYPE" | "NOGROUP" => RefusalKind::Data,
            _ => RefusalKind::Command,
        }
    }
}

/// No connection, or none any more, or a command that could not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The URL is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No connection could be made.
    #[error("cannot connect to {target}: {failure}")]
    Connect {
        /// Host and port, or path; without secrets.
        target: String,
        /// What happened.
        failure: ConnectFailure,
    },
    /// The connection broke while waiting for the replies, or before.
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
        limit: Duration,
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

/// Steps on the way to a connection, for saying which one took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display)]
pub enum ConnectStep {
    /// Host name to addresses.
    #[strum(serialize = "looking up the host name")]
    Lookup,
    /// TCP or the unix socket.
    #[strum(serialize = "opening the connection")]
    Open,
    /// The TLS handshake.
    #[strum(serialize = "the TLS handshake")]
    Tls,
    /// User and password, database, name of the connection.
    #[strum(serialize = "the login")]
    Login,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    /// The host name leads nowhere.
    #[error("the host name cannot be resolved ({0})")]
    Lookup(String),
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The network says no.
    #[error("{0}")]
    Unreachable(String),
    /// No such unix socket.
    #[error("there is no such socket")]
    NoSocket,
    /// The unix socket may not be opened.
    #[error("permission denied")]
    SocketPermission,
    /// It took too long.
    #[error("{step} took longer than {limit:?}")]
    Timeout {
        /// What was going on.
        step: ConnectStep,
        /// The limit for connecting.
        limit: Duration,
    },
    /// The other side closed the connection before the login was done.
    #[error("the server closed the connection during the login")]
    Closed,
    /// TLS.
    #[error("{0}")]
    Tls(TlsFailure),
    /// A certificate or key file.
    #[error("the {what} file {} cannot be used: {cause}", path.display())]
    File {
        /// What it should hold.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// User, password or database refused.
    #[error("the login was refused: {0}")]
    Login(CommandError),
    /// No Sentinel named a primary.
    #[error("{0}")]
    Sentinel(String),
    /// Anything else, in the system's words.
    #[error("{0}")]
    Other(String),
}

/// Why TLS failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFailure {
    /// The server's certificate is too old.
    #[error("the server's certificate has expired")]
    Expired,
    /// The server's certificate is too new, or a clock is wrong.
    #[error("the server's certificate is not valid yet")]
    NotValidYet,
    /// Signed by nobody who is trusted.
    #[error("the server's certificate is signed by an unknown authority")]
    UnknownIssuer,
    /// For another host.
    #[error("the server's certificate is for another name{}", listed(names))]
    WrongName {
        /// Names in the certificate, if known.
        names: Vec<String>,
    },
    /// Called back.
    #[error("the server's certificate has been revoked")]
    Revoked,
    /// The server wants a client certificate.
    #[error("the server asks for a client certificate")]
    ClientCertificateMissing,
    /// The server does not want this client certificate.
    #[error("the server refused the client certificate ({0})")]
    ClientCertificateRefused(String),
    /// What answered does not speak TLS.
    #[error("the server does not speak TLS on this port")]
    NotTls,
    /// Anything else, in the library's words.
    #[error("TLS failed: {0}")]
    Other(String),
}

fn listed(names: &[String]) -> String {
    match names.is_empty() {
        true => String::new(),
        false => format!(" ({})", names.join(", ")),
    }
}

impl LinkError {
    /// True if the way to the server is the matter, not a command: connect again, with back-off.
    pub fn needs_reconnect(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Lost { .. } | Self::Timeout { .. })
    }

    /// True if the command was sent and may have been carried out although no answer came (R9).
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Timeout { .. })
    }

    /// True if trying again cannot help until a person changes the configuration: the URL, a file, a login, a
    /// certificate.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Address(_) => true,
            Self::Connect { failure, .. } => match failure {
                ConnectFailure::File { .. } | ConnectFailure::Tls(_) | ConnectFailure::SocketPermission => true,
                ConnectFailure::Login(refusal) => refusal.kind() != RefusalKind::Passing,
                _ => false,
            },
            _ => false,
        }
    }
}
