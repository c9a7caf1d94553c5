//! Two helpers that are this program started once more: one sets limits before a handler's program begins, where the
//! system's shell cannot; the other sees to it that no program outlives a qtop that was killed.
//!
//! Between fork and exec only code that cannot be checked for safety could do the first, and the kernel's own signal for
//! the second is bound to a thread and reaches one process only.

mod guard;
mod limits;
mod shell;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use guard::{Guard, Watched};
pub(super) use limits::{Limits, no_core_files};

/// First argument of the helper that watches.
const GUARD: &str = "child-guard";
/// First argument of the helper that limits.
const START: &str = "child-start";
/// The program of the process that looks.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// This program, which can help.
#[derive(Clone, Debug)]
pub struct Helper {
    program: PathBuf,
    pub(super) guard: Arc<Guard>,
}

impl Helper {
    /// The built qtop at this path.
    pub fn new(program: PathBuf) -> Self {
        Self { guard: Arc::new(Guard::new(program.clone())), program }
    }

    /// The program of this process, also after its file was replaced.
    pub fn of_process() -> Option<Self> {
        if cfg!(target_os = "linux") {
            return Some(Self::new(PathBuf::from(OWN_PROGRAM)));
        }
        std::env::current_exe().ok().map(Self::new)
    }

    /// A command that starts `program` with these limits, in an environment with these variables. If the program cannot be
    /// started, there is a file of the name for `report` in the working folder.
    pub(super) fn limited<'a>(
        &self,
        program: &Path,
        limits: Limits,
        report: u64,
        variables: impl Iterator<Item = &'a OsString>,
    ) -> tokio::process::Command {
        if let Some(shell) = shell::carrying(variables) {
            return shell::limited(shell, &self.seen_from_elsewhere(), program, limits, report);
        }
        let mut command = tokio::process::Command::new(&self.program);
        command.arg0("qtop").arg(START).arg(report.to_string()).args(limits.words()).arg(program);
        command
    }

    /// The path by which another process finds this program.
    fn seen_from_elsewhere(&self) -> PathBuf {
        match self.program == Path::new(OWN_PROGRAM) {
            true => PathBuf::from(format!("/proc/{}/exe", std::process::id())),
            false => self.program.clone(),
        }
    }
}

/// The file by which the helper that limits tells that it could not become the program. Its number is known to nobody who
/// could write a file there for a job.
pub(super) fn report_name(report: u64) -> String {
    format!(".not-started-{report}")
}

/// Does what a helper is to do, if these are the arguments of one; tells its exit code.
pub fn help(arguments: &[OsString]) -> Option<u8> {
    match arguments.get(1)?.to_str()? {
        GUARD if arguments.len() == 2 => Some(guard::watch(std::io::stdin().lock())),
        START => Some(limits::start(arguments.get(2..)?)),
        _ => None,
    }
}
