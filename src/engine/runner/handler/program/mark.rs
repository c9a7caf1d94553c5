//! A number by which the descendants of one start are known, whatever group, session or environment they make for
//! themselves.
//!
//! Linux has a limit of file locks that has had no effect since version 2.4.25, that every child inherits, and that can
//! be read in /proc: a limit nobody comes near, different for each start, is a mark.

use std::fmt;
use std::str::FromStr;

use rustix::process::Pid;

/// Marks one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Mark(u64);

impl Mark {
    /// Marks a child that was started just now, and with it what it will start; `None` if the system does not let it.
    /// On a busy machine it may have started others before: these are marked too, as long as they are its children.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn put_on(child: Pid) -> Option<Self> {
        use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

        // Below a real limit there may be no room for marks.
        if getrlimit(Resource::Locks).maximum.is_some() {
            return None;
        }
        let mark = fastrand::u64(1 << 32..1 << 62);
        let put = |on| prlimit(Some(on), Resource::Locks, Rlimit { current: Some(mark), maximum: None });
        put(child).ok()?;
        let mut families = vec![child];
        // First the parent, then its children: those it starts in between have the mark from it.
        while let Some(parent) = families.pop() {
            let unmarked = children(parent).into_iter().filter(|one| !Self(mark).is_on(one.as_raw_pid()));
            families.extend(unmarked.filter(|one| put(*one).is_ok()));
        }
        Some(Self(mark))
    }

    #[cfg(not(target_os = "linux"))]
    pub(in super::super) fn put_on(_child: Pid) -> Option<Self> {
        None
    }

    /// True if this process has it.
    #[cfg(target_os = "linux")]
    pub(super) fn is_on(self, pid: i32) -> bool {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max file locks"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()) == Some(self.0)
    }
}

/// Children of a process; none where the system does not list them.
#[cfg(target_os = "linux")]
fn children(of: Pid) -> Vec<Pid> {
    let of = of.as_raw_pid();
    let listed = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Mark {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_a_child_has_started_before_is_marked_too() {
        // In the background its standard input is empty, so the one that stays open has another number.
        let script = "exec 3<&0; setsid sh -c 'echo $$; read -r _ <&3' & wait";
        let mut child = Command::new("sh");
        child.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().expect("it starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("it writes");
        let id = i32::try_from(child.id()).expect("a process id");
        let mark = Mark::put_on(Pid::from_raw(id).expect("not zero")).expect("marked");
        assert!(mark.is_on(line.trim().parse().expect("a process id")), "{line:?}");
        drop(child.stdin.take());
        child.wait().expect("it ends");
    }

    #[test]
    fn a_mark_stays_on_whatever_a_child_becomes() {
        let script = "read -r _; exec env -i setsid sh -c 'read -r _; :'";
        let mut child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().expect("it starts");
        let id = i32::try_from(child.id()).expect("a process id");
        let mark = Mark::put_on(Pid::from_raw(id).expect("not zero")).expect("marked");
        assert!(mark.is_on(id));
        let own = i32::try_from(std::process::id()).expect("a process id");
        assert!(!mark.is_on(own) && !Mark(mark.0 + 1).is_on(id));
        std::io::Write::write_all(child.stdin.as_mut().expect("piped"), b"\n").expect("it reads");
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(mark.is_on(id));
        assert_eq!(mark.to_string().parse(), Ok(mark));
        drop(child.stdin.take());
        child.wait().expect("it ends");
    }
}
