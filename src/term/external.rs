//! Showing a text in the person's pager or editor, and letting one be edited.

use std::io::{self, Write};

use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

/// A text could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// The temporary file.
    #[error("a temporary file cannot be written: {0}")]
    File(#[source] io::Error),
    /// The edited file.
    #[error("what was edited cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The editor said that it failed, so what is in the file is not to be used.
    #[error("the editor ended with {0}")]
    Failed(std::process::ExitStatus),
    /// The program.
    #[error("`{program}` cannot be started: {error}; set PAGER and EDITOR to programs that can")]
    Start {
        /// As set.
        program: String,
        /// What happened.
        #[source]
        error: io::Error,
    },
}

/// A program that has a text. The file goes when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    file: NamedTempFile,
}

impl Running {
    /// What is in the file once the program has ended well.
    pub(super) async fn read(&mut self) -> Result<Vec<u8>, ExternalError> {
        let status = self.child.wait().await.map_err(ExternalError::Read)?;
        if !status.success() {
            return Err(ExternalError::Failed(status));
        }
        // By its name: editors save by putting another file in its place.
        tokio::fs::read(self.file.path()).await.map_err(ExternalError::Read)
    }
}

/// Starts the program that shows a text.
pub(super) fn start(ending: &str, text: &str) -> Result<Running, ExternalError> {
    run(ending, text.as_bytes(), &["PAGER", "VISUAL", "EDITOR"], "less")
}

/// Starts the program that edits a text.
pub(super) fn edit(ending: &str, bytes: &[u8]) -> Result<Running, ExternalError> {
    run(ending, bytes, &["VISUAL", "EDITOR"], "vi")
}

/// The program is run directly, never through a shell, so nothing in the text or its name can be a command.
fn run(ending: &str, bytes: &[u8], variables: &[&str], default: &str) -> Result<Running, ExternalError> {
    // Readable by this user only; in the user's own run-time folder where there is one.
    let mut builder = tempfile::Builder::new();
    let suffix = format!(".{ending}");
    builder.prefix("qtop-").suffix(&suffix);
    let file = match std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => builder.tempfile_in(folder).or_else(|_| builder.tempfile()),
        None => builder.tempfile(),
    };
    let mut file = file.map_err(ExternalError::File)?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(ExternalError::File)?;
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let program = variables.iter().find_map(set).unwrap_or_else(|| default.to_owned());
    let mut words = program.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or(default));
    let child =
        command.args(words).arg(file.path()).spawn().map_err(|error| ExternalError::Start { program, error })?;
    Ok(Running { child, file })
}
