//! Limits that hold from a program's first instruction on.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setpriority_pgrp, setrlimit};

use super::super::program::busy;
use super::report_name;

/// Exit code of a program that could not be started, as shells have it.
const NOT_STARTED: u8 = 127;

/// What a program may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Limits {
    /// Bytes of data segment and anonymous memory.
    pub(in super::super) memory: Option<u64>,
    /// Seconds of processor time: when it is told, and when it is killed.
    pub(in super::super) cpu: Option<(u64, u64)>,
    /// Niceness.
    pub(in super::super) nice: Option<u8>,
}

impl Limits {
    /// As arguments; `-` is no limit.
    pub(super) fn words(self) -> [String; 4] {
        let word = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let (soft, hard) = self.cpu.unzip();
        [word(self.memory), word(soft), word(hard), word(self.nice.map(u64::from))]
    }

    /// No more than this process may have itself.
    pub(super) fn within_own(self) -> Self {
        let within = |resource, value: u64| value.min(getrlimit(resource).maximum.unwrap_or(u64::MAX));
        Self {
            memory: self.memory.map(|memory| within(Resource::Data, memory)),
            cpu: self.cpu.map(|(soft, hard)| (within(Resource::Cpu, soft), within(Resource::Cpu, hard))),
            nice: self.nice,
        }
    }

    fn of(words: &[OsString]) -> Option<Self> {
        let [memory, soft, hard, nice] = words else { return None };
        let read = |word: &OsString| match word.to_str()? {
            "-" => Some(None),
            text => text.parse::<u64>().ok().map(Some),
        };
        Some(Self {
            memory: read(memory)?,
            cpu: read(soft)?.zip(read(hard)?),
            nice: match read(nice)? {
                Some(nice) => Some(u8::try_from(nice).ok()?),
                None => None,
            },
        })
    }

    fn set(self) -> io::Result<()> {
        limit(Resource::Core, 0, 0)?;
        if let Some(memory) = self.memory {
            // Not the address space: run-times reserve much of it that they never use.
            limit(Resource::Data, memory, memory)?;
        }
        if let Some((soft, hard)) = self.cpu {
            limit(Resource::Cpu, soft, hard)?;
        }
        if let Some(nice) = self.nice {
            setpriority_pgrp(None, i32::from(nice))?;
        }
        Ok(())
    }
}

/// Limits this process; what it may not exceed already, stays.
fn limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    Ok(setrlimit(resource, Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) })?)
}

/// Keeps core files, which would hold data of jobs, from being written by this process and by what it starts (S10).
pub(in super::super) fn no_core_files() {
    if let Err(error) = limit(Resource::Core, 0, 0) {
        tracing::warn!(%error, "core files cannot be switched off");
    }
}

/// Becomes the program behind the limits.
pub(super) fn start(words: &[OsString]) -> u8 {
    let report = words.first().and_then(|word| word.to_str()?.parse().ok());
    let (limits, rest) = words.get(1..).and_then(|words| words.split_at_checked(4)).unwrap_or_default();
    let (Some(report), Some(limits), Some((program, arguments))) = (report, Limits::of(limits), rest.split_first())
    else {
        drop(writeln!(io::stderr(), "qtop: this is a helper of the runner"));
        return 2;
    };
    let program = Path::new(program);
    let error = match limits.set() {
        Ok(()) => become_program(Command::new(program).args(arguments)),
        Err(error) => error,
    };
    let message = match busy::is(&error) {
        true => busy::message(program.display()),
        false => format!("{} cannot be started: {error}", program.display()),
    };
    drop(writeln!(io::stderr(), "{message}"));
    // Too many arguments are a fault of the job.
    if error.kind() != io::ErrorKind::ArgumentListTooLong {
        drop(std::fs::File::create(report_name(report)));
    }
    NOT_STARTED
}

/// Comes back only if it cannot.
fn become_program(command: &mut Command) -> io::Error {
    let mut error = command.exec();
    for pause in busy::pauses() {
        if !busy::is(&error) {
            break;
        }
        std::thread::sleep(pause);
        error = command.exec();
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_survive_being_written_as_arguments() {
        for limits in [
            Limits::default(),
            Limits { memory: Some(1 << 30), cpu: Some((1, 6)), nice: Some(19) },
            Limits { memory: None, cpu: Some((60, 65)), nice: None },
        ] {
            let words: Vec<OsString> = limits.words().iter().map(OsString::from).collect();
            assert_eq!(Limits::of(&words), Some(limits));
        }
        assert_eq!(Limits::of(&["a", "-", "-", "-"].map(OsString::from)), None);
    }
}
