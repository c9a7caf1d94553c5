//! Starting a program: which file, with which environment and limits, in a process group of its own.

pub(super) mod busy;
mod escaped;
mod group;
mod mark;
mod niceness;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::super::work::{Ending, Failure};
use super::helper::{self, Helper, Limits, Watched};
use super::{HandlerError, Surroundings};
use crate::config;

pub(super) use escaped::kill_escaped;
pub(super) use group::Group;
pub(super) use mark::Mark;

/// Variables that a program has from qtop's environment, if they are set (S9): where things are, which language, which
/// time. None of them holds a login.
const ALLOWED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_NUMERIC",
    "LC_TIME",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What programs are searched in if qtop itself has no PATH.
const STANDARD_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Time between asking a program to end and killing it, unless configured.
const KILL_AFTER: Duration = Duration::from_secs(5);

/// A program that can be started.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    environment: BTreeMap<OsString, OsString>,
    memory: Option<u64>,
    cpu: Option<Duration>,
    nice: Option<u8>,
    scratch: PathBuf,
    keep: bool,
    helper: Option<Helper>,
    /// Time between asking it to end and killing it.
    pub(super) kill_after: Duration,
}

/// A program that runs. Dropping it kills its whole group.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) group: Group,
    /// Where a helper leaves word that it could not become the program; `None`: it is the program.
    report: Option<PathBuf>,
    /// Ends it if this process is killed. Dropped after the group, so that the end is told when it is one.
    _watched: Option<Watched>,
}

impl Program {
    /// Finds the program and puts its environment together.
    pub(super) fn build(
        setting: &str,
        argv: &[String],
        config: &config::Handler,
        surroundings: &Surroundings,
    ) -> Result<Self, HandlerError> {
        let name = argv.first().map(String::as_str).unwrap_or_default();
        let path = surroundings.variables.get(OsStr::new("PATH"));
        let path = path.map_or_else(|| OsString::from(STANDARD_PATH), Clone::clone);
        let found = find(name, &path).map_err(|message| {
            let remedy = match name.contains('/') {
                true => "a relative path starts at the folder of the configuration; give it, and make it executable",
                false => "install it, or write its whole path",
            };
            HandlerError::new(format!("{setting}[0]"), message, remedy)
        })?;
        let limited = config.memory.is_some() || config.cpu.is_some() || config.nice.is_some();
        if limited && surroundings.helper.is_none() {
            let message = "limits are set by this program itself, and its file was not found";
            return Err(HandlerError::new("memory", message, "start qtop by its path"));
        }
        let scratch = config.scratch.clone().unwrap_or_else(std::env::temp_dir);
        if !scratch.is_dir() {
            let message = format!("{} is no folder", scratch.display());
            return Err(HandlerError::new("scratch", message, "make it, or name another one"));
        }
        let passed = ALLOWED.iter().copied().chain(config.pass_env.iter().map(String::as_str));
        let mut environment: BTreeMap<OsString, OsString> = passed
            .filter_map(|name| surroundings.variables.get_key_value(OsStr::new(name)))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        environment.entry("PATH".into()).or_insert(path);
        environment.extend(config.env.iter().map(|(name, value)| (name.into(), value.into())));
        // It runs in a folder of its own, where a relative path would lead elsewhere.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let (found, scratch) = (absolute(found), absolute(scratch));
        Ok(Self {
            path: found,
            environment,
            memory: config.memory,
            cpu: config.cpu,
            nice: config.nice,
            scratch,
            keep: config.keep != config::Keep::Never,
            helper: surroundings.helper.clone(),
            kill_after: config.kill_after.unwrap_or(KILL_AFTER),
        })
    }

    /// Its path, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A new folder that nobody else can enter.
    pub(super) fn folder(&self) -> io::Result<tempfile::TempDir> {
        let private = std::fs::Permissions::from_mode(0o700);
        tempfile::Builder::new().prefix("qtop-job-").permissions(private).tempdir_in(&self.scratch)
    }

    /// Starts it. Its limits hold from its first instruction on. A file that is just being written is waited for a
    /// moment. Dropping this starts nothing, or kills what was started.
    pub(super) async fn start(
        &self,
        arguments: &[OsString],
        folder: &Path,
        facts: &[(&str, &[u8])],
        input: bool,
    ) -> io::Result<Started> {
        let mut pauses = busy::pauses();
        loop {
            let report = fastrand::u64(..);
            let (command, helped) = self.command(arguments, folder, facts, input, report);
            let report = helped.then(|| folder.join(helper::report_name(report)));
            let watched = self.helper.as_ref().map(|helper| helper.guard.watch(folder, self.keep));
            let started = match self.nice {
                None => begin(command, report, watched),
                Some(niceness) => niceness::start_at(niceness, move || begin(command, report, watched)).await,
            };
            match started {
                Err(error) if busy::is(&error) => match pauses.next() {
                    Some(pause) => sleep(pause).await,
                    None => return Err(error),
                },
                result => return result,
            }
        }
    }

    /// The command, and whether it is a helper's that becomes the program.
    fn command(
        &self,
        arguments: &[OsString],
        folder: &Path,
        facts: &[(&str, &[u8])],
        input: bool,
        report: u64,
    ) -> (Command, bool) {
        let limits = self.limits();
        let helper = self.helper.as_ref().filter(|_| limits != Limits::default());
        let mut command = match helper {
            Some(helper) => {
                let facts = facts.iter().map(|(name, _)| OsString::from(name)).collect::<Vec<_>>();
                helper.limited(&self.path, limits, report, self.environment.keys().chain(&facts))
            }
            None => Command::new(&self.path),
        };
        command.args(arguments).env_clear().envs(&self.environment);
        for (name, value) in facts.iter().filter(|(_, value)| !value.contains(&0)) {
            command.env(name, OsStr::from_bytes(value));
        }
        // Unique for each start: by it children that left the group are found again.
        command.env("TMPDIR", folder).current_dir(folder);
        command.stdin(if input { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        (command, helper.is_some())
    }

    fn limits(&self) -> Limits {
        let cpu = self.cpu.map(|cpu| {
            let soft = cpu.as_secs().max(1);
            (soft, soft + self.kill_after.as_secs().max(1))
        });
        // On Linux it has been set before.
        Limits { memory: self.memory, cpu, nice: self.nice.filter(|_| !cfg!(target_os = "linux")) }
    }

    /// What it means that it could not be started. The file was there when the runner started, so most causes pass, and
    /// none but one is the job's.
    pub(super) fn not_started(&self, error: &io::Error) -> Ending {
        let path = self.path.display();
        if error.kind() == io::ErrorKind::ArgumentListTooLong {
            let message = format!(
                "{path} cannot be started: an argument filled from the job is longer than the system allows; \
                 let the program read the job on its standard input"
            );
            return Ending::Failed(Failure::new(message));
        }
        let message = match busy::is(error) {
            true => busy::message(path),
            false => format!("{path} cannot be started: {error}"),
        };
        Ending::NotStarted { reason: message }
    }
}

impl Started {
    /// True if it is the program itself, not a helper that is about to become it.
    pub(super) fn is_itself(&self) -> bool {
        self.report.is_none()
    }

    /// After its end: true if a helper could not become the program. An exit code alone may be the program's own.
    pub(super) fn never_was(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.exists())
    }
}

fn begin(mut command: Command, report: Option<PathBuf>, watched: Option<Watched>) -> io::Result<Started> {
    let child = command.spawn()?;
    let group = Group::of(&child)?;
    if let Some(watched) = &watched {
        watched.leads(&group);
    }
    Ok(Started { child, group, report, _watched: watched })
}

/// The file of a program; the error says what was found instead.
fn find(name: &str, path: &OsStr) -> Result<PathBuf, String> {
    let program = |path: &Path| {
        let facts = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
        match facts.is_file() && facts.permissions().mode() & 0o111 != 0 {
            true => Ok(()),
            false => Err(format!("{} is no executable file", path.display())),
        }
    };
    if name.contains('/') {
        let path = PathBuf::from(name);
        return program(&path).map(|()| path).map_err(|error| format!("the program cannot be run: {error}"));
    }
    let found = std::env::split_paths(path).map(|folder| folder.join(name)).find(|path| program(path).is_ok());
    found.ok_or_else(|| format!("there is no program {name:?} in PATH ({})", path.display()))
}
