//! Why there is no demo, and what to do then.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use crate::link::Remedy;

/// The demo could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No server on PATH, and building one was not wanted.
    #[error("no valkey-server or redis-server on PATH, and none was to be built")]
    NoServer,
    /// No server on PATH and no cargo to build one with.
    #[error("no valkey-server, redis-server or cargo on PATH")]
    NoCargo,
    /// Building the server failed.
    #[error("`{command}` failed: {cause}")]
    Build {
        /// The command as one would type it.
        command: String,
        /// Exit status, or why it could not be started.
        cause: String,
    },
    /// The server did not start.
    #[error("{} did not start in {}: {cause}", program.display(), directory.display())]
    Start {
        /// Which server.
        program: PathBuf,
        /// Its temporary directory.
        directory: PathBuf,
        /// What it said.
        cause: String,
    },
    /// No thread for the demo's workers.
    #[error("no thread for the demo's workers: {0}")]
    Runtime(std::io::Error),
    /// The server refused what a queue needs.
    #[error("the demo's {what} could not be set up: {cause}")]
    Seed {
        /// Which part.
        what: &'static str,
        /// What the server or the library said.
        cause: String,
    },
    /// Seeding took too long.
    #[error("the demo's server took longer than {limit:?} to be filled")]
    Slow {
        /// The limit.
        limit: Duration,
    },
}

impl Remedy for DemoError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(match self {
            Self::NoServer => "install one, or run `qtop demo --yes` to build a small development server with cargo",
            Self::NoCargo => "install redis-server, valkey-server or the Rust toolchain",
            Self::Build { .. } => "see the output above; installing redis-server or valkey-server avoids the build",
            Self::Start { .. } => "check that the temporary directory is writable (TMPDIR chooses another)",
            Self::Runtime(_) => return None,
            Self::Seed { .. } | Self::Slow { .. } => "put a redis-server of version 6.2 or newer first on PATH",
        }))
    }
}

impl DemoError {
    /// For `map_err`: a failure while setting up or running this part.
    pub(super) fn seed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> Self {
        move |cause| Self::Seed { what, cause: cause.to_string() }
    }
}
