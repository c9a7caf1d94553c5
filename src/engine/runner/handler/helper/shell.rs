//! Limits set by a small shell, which starts in half a millisecond: a quarter of what this program takes.
//!
//! The shell is told numbers only. The program and its arguments, which may come from a job, are its arguments and are
//! never part of what it reads as a script (S5).

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::LazyLock;

use super::START;
use super::limits::Limits;

/// A shell that is small, and known to leave the environment as it was. Bash is neither.
static SHELL: LazyLock<Option<&'static str>> = LazyLock::new(|| {
    let known = |path: &&str| {
        let program = std::fs::canonicalize(path).ok();
        let name = program.as_deref().and_then(Path::file_name).and_then(OsStr::to_str);
        matches!(name, Some("dash" | "busybox"))
    };
    ["/bin/sh", "/bin/dash", "/usr/bin/dash"].into_iter().find(known)
});

/// Variables that shells set, read or refuse to take over.
const OWN: &[&str] = &[
    "ENV",
    "EUID",
    "GROUPS",
    "IFS",
    "LINENO",
    "OLDPWD",
    "OPTIND",
    "POSIXLY_CORRECT",
    "PPID",
    "PWD",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SHLVL",
    "UID",
    "_",
];

/// The shell, if there is one that hands a program these variables and no others. It loses what is no name to it, and
/// has a few of its own.
pub(super) fn carrying<'a>(mut names: impl Iterator<Item = &'a OsString>) -> Option<&'static str> {
    SHELL.filter(|_| names.all(|name| is_plain(name)))
}

fn is_plain(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    !name.is_empty()
        && name.bytes().all(word)
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.starts_with("BASH")
        && !OWN.contains(&name)
}

/// A command that becomes `program` once the limits hold. If the shell cannot do one or the other, `helper` does both,
/// or says why it cannot.
pub(super) fn limited(
    shell: &str,
    helper: &Path,
    program: &Path,
    limits: Limits,
    report: u64,
) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(shell);
    command.arg("-c").arg(script(limits, report)).arg(helper).arg(program);
    command
}

fn script(limits: Limits, report: u64) -> String {
    let words = limits.words().join(" ");
    let limits = limits.within_own();
    let mut steps = vec!["ulimit -c 0".to_owned()];
    if let Some((soft, hard)) = limits.cpu {
        steps.push(format!("ulimit -S -t {soft} && ulimit -H -t {hard}"));
    }
    if let Some(memory) = limits.memory {
        // In KiB. Last, because it holds for the shell too.
        steps.push(format!("ulimit -d {}", memory / 1024));
    }
    let steps = steps.join(" && ");
    format!("trap 'exec \"$0\" {START} {report} {words} \"$@\"' EXIT; unset PWD OLDPWD SHLVL; {steps} && exec \"$@\"")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::*;

    /// `None` where there is no such shell.
    fn run(script: &str, helper: &str, program: &[&str]) -> Option<Output> {
        let mut command = Command::new((*SHELL)?);
        command.arg("-c").arg(script).arg(helper).args(program).env_clear().env("PATH", "/usr/bin:/bin");
        Some(command.output().expect("the shell starts"))
    }

    #[test]
    fn the_shell_adds_nothing_and_hands_arguments_over_as_they_are() {
        let script = script(Limits { memory: Some(1 << 30), cpu: Some((7, 12)), nice: None }, 3);
        let Some(output) = run(&script, "/bin/false", &["/usr/bin/env"]) else { return };
        assert_eq!(output.stdout, b"PATH=/usr/bin:/bin\n");
        let hostile = ["$(id)", "`id`", "a b", "';id;'", "-n", "*", ""];
        let output = run(&script, "/bin/false", &[&["/usr/bin/printf", "%s\n"], &hostile[..]].concat());
        assert_eq!(output.map(|output| output.stdout), Some((hostile.join("\n") + "\n").into_bytes()));
    }

    #[test]
    fn what_the_shell_cannot_do_is_left_to_the_helper() {
        let script = script(Limits { memory: Some(1 << 30), cpu: Some((7, 12)), nice: None }, 3);
        for (script, program) in
            [(script.clone(), "/no/such"), (script.replace("-H -t 12", "-H -t twelve"), "/bin/true")]
        {
            let Some(output) = run(&script, "/bin/echo", &[program, "a b"]) else { return };
            let told = String::from_utf8_lossy(&output.stdout);
            assert_eq!(told, format!("{START} 3 1073741824 7 12 - {program} a b\n"));
        }
    }

    #[test]
    fn variables_that_a_shell_would_lose_or_change_are_known() {
        for name in ["PATH", "LC_ALL", "_A9", "tmp"] {
            assert!(is_plain(OsStr::new(name)), "{name:?}");
        }
        for name in ["a.b", "9A", "", "PWD", "IFS", "BASH_ENV", "É"] {
            assert!(!is_plain(OsStr::new(name)), "{name:?}");
        }
    }
}
