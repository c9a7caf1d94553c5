//! Showing a text in the person's pager or editor.

use std::io::{self, Write};

use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

/// A text could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// The temporary file.
    #[error("a temporary file cannot be written: {0}")]
    File(#[source] io::Error),
    /// The program.
    #[error("`{program}` cannot be started: {error}; set PAGER or EDITOR to one that can")]
    Start {
        /// As set.
        program: String,
        /// What happened.
        #[source]
        error: io::Error,
    },
}

/// A program that shows a text. The file goes when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    _file: NamedTempFile,
}

/// Starts the program. It is run directly, never through a shell, so nothing in the text or its name can be a command.
pub(super) fn start(ending: &str, text: &str) -> Result<Running, ExternalError> {
    // Readable by this user only; in the user's own run-time folder where there is one.
    let mut builder = tempfile::Builder::new();
    let suffix = format!(".{ending}");
    builder.prefix("qtop-").suffix(&suffix);
    let file = match std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => builder.tempfile_in(folder).or_else(|_| builder.tempfile()),
        None => builder.tempfile(),
    };
    let mut file = file.map_err(ExternalError::File)?;
    file.write_all(text.as_bytes()).and_then(|()| file.flush()).map_err(ExternalError::File)?;
    let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let program = set("PAGER").or_else(|| set("VISUAL")).or_else(|| set("EDITOR")).unwrap_or_else(|| "less".to_owned());
    let mut words = program.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("less"));
    let child =
        command.args(words).arg(file.path()).spawn().map_err(|error| ExternalError::Start { program, error })?;
    Ok(Running { child, _file: file })
}
