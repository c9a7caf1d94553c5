//! Building the small development server `meebis` with cargo, for machines that have nothing but the Rust toolchain.
//!
//! It is a disposable in-memory server that runs BullMQ's scripts; it has no consumer groups and no `BLMOVE`.

use std::ffi::OsStr;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::DemoError;
use super::{DemoOptions, server};

/// The version the demo was tried with.
const VERSION: &str = "0.15.0";

/// Where a built server is kept below qtop's data directory. The version is in the path, so a newer qtop builds anew.
pub(super) fn built(data_directory: &Path) -> PathBuf {
    root(data_directory).join("bin").join("meebis")
}

fn root(data_directory: &Path) -> PathBuf {
    data_directory.join(format!("meebis-{VERSION}"))
}

/// True for the server built here: it takes other arguments than Redis does.
pub(super) fn is_meebis(program: &Path) -> bool {
    program.file_name() == Some(OsStr::new("meebis"))
}

/// Builds it, after asking unless `yes`; cargo's output goes to standard error.
pub(super) fn install(options: &DemoOptions) -> Result<PathBuf, DemoError> {
    let cargo = server::which("cargo", &options.search_path).ok_or(DemoError::NoCargo)?;
    let root = root(&options.data_directory);
    let arguments = ["install", "meebis", "--version", VERSION, "--locked", "--root"];
    let command = format!("cargo {} {}", arguments.join(" "), root.display());
    eprintln!("There is no {} on PATH.", server::PROGRAMS.join(" or "));
    eprintln!("qtop can build meebis, a small Redis-compatible development server, for its demo (about a minute):");
    eprintln!("  {command}");
    if !options.yes && !agreed() {
        return Err(DemoError::NoServer);
    }
    let status = Command::new(cargo).args(arguments).arg(&root).stdin(Stdio::null()).stdout(Stdio::null()).status();
    let failed = |cause: String| DemoError::Build { command: command.clone(), cause };
    match status {
        Ok(status) if status.success() => Ok(built(&options.data_directory)),
        Ok(status) => Err(failed(status.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Asks on the terminal; without one the answer is no.
fn agreed() -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    eprint!("Build it? [y/N] ");
    let mut answer = String::new();
    let asked = std::io::stderr().flush().and_then(|()| std::io::stdin().lock().read_line(&mut answer));
    asked.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
