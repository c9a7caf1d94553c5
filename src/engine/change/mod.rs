//! Changing queues: freezing what a filter matches, working through it in small pieces, keeping a copy of what is
//! deleted, and writing down what was done.
//!
//! Every change goes this way, one job or a million. The order is fixed: the frozen ids are on disk, the copy is on
//! disk, the audit line is on disk, and only then is a command sent.

pub mod audit;
pub mod freeze;
mod hold;
pub mod import;
pub mod import_log;
pub mod journal;
pub mod obliterate;
pub mod pace;
pub mod piece;
pub mod run;
pub mod trash;
pub mod undo;

use std::path::{Path, PathBuf};

use crate::domain::mutation::Outcome;

/// Why a change did not happen, or stopped half-way; what was done until then is told beside it.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The queue's system or the server refused.
    #[error(transparent)]
    System(#[from] crate::systems::SystemError),
    /// A local file could not be written, so nothing was sent.
    #[error("{what} {path}: {cause}", path = path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A local file does not hold what it should.
    #[error("{path} cannot be read: {what}", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another process is at work on it.
    #[error("{path} is being carried out by another qtop on this machine: wait for it, or stop it there", path = .0.display())]
    Held(PathBuf),
    /// The trash is full.
    #[error(
        "the copy needs about {needed} bytes, but the trash may hold {cap} and has {used}: \
         make room with `qtop trash empty`, or raise trash.cap in the configuration"
    )]
    TrashFull {
        /// Bytes wanted.
        needed: u64,
        /// Bytes in it.
        used: u64,
        /// Bytes allowed.
        cap: u64,
    },
    /// There is no such undo token.
    #[error("there is nothing in the trash under {0:?}; `qtop trash list` shows what there is")]
    NoToken(String),
}

/// Adds the file to an input/output error.
fn file_error(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ChangeError {
    let path = path.to_owned();
    move |cause| ChangeError::File { what, path, cause }
}

/// How a change ended.
#[derive(Debug)]
pub struct Finished {
    /// What became of each id.
    pub outcome: Outcome,
    /// Ids that were never sent, because it was stopped.
    pub left: u64,
    /// What undoes it, if anything was deleted.
    pub undo: Option<String>,
    /// Why it stopped early.
    pub error: Option<ChangeError>,
}

/// Directories for what changes leave on disk; all files are made for the owner only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// qtop's state directory.
    pub state: PathBuf,
    /// Bytes the trash may hold.
    pub trash_cap: u64,
}

/// Creates a directory that only its owner can enter.
fn private_directory(path: &Path) -> Result<(), ChangeError> {
    #[cfg(unix)]
    let made = {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    };
    #[cfg(not(unix))]
    let made = std::fs::create_dir_all(path);
    made.map_err(file_error("cannot create", path))
}

/// Options that make a file readable by its owner only (S17).
fn private_file() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}
