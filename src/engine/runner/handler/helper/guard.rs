//! A process that waits for the end of this one, and then kills what was left running.
//!
//! It is told of every start and every end through a pipe; the end of the pipe is the end of qtop, whatever ended it.
//! A message ends with a NUL, which no path has: `+K FOLDER` before a program is started in a new folder (`K` is `k` if
//! the folder is to be kept), `=PID MARK FOLDER` once it leads a group of its own (`-` for no mark), `-FOLDER` when
//! nothing of it runs any more.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufRead, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

use super::super::program::{Group, Mark, kill_escaped};
use super::GUARD;

/// How often children that left their group are looked for: each look may miss one that was just being made.
const LOOKS: u32 = 10;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The near end of the pipe, and what the process at its far end must know.
#[derive(Debug)]
pub(in super::super) struct Guard {
    program: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pipe: Option<ChildStdin>,
    child: Option<Child>,
    running: BTreeMap<PathBuf, Entry>,
}

/// A program that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    leader: Option<Leader>,
    keep: bool,
}

/// By what everything is found that a program started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leader {
    group: i32,
    mark: Option<Mark>,
}

/// A program that is watched until this is dropped.
#[derive(Debug)]
pub(in super::super) struct Watched {
    guard: Arc<Guard>,
    folder: PathBuf,
}

impl Guard {
    pub(super) fn new(program: PathBuf) -> Self {
        Self { program, state: Mutex::default() }
    }

    /// Watches what is about to be started in a folder of its own.
    pub(in super::super) fn watch(self: &Arc<Self>, folder: &Path, keep: bool) -> Watched {
        let entry = Entry { leader: None, keep };
        let mut state = self.state();
        state.running.insert(folder.to_owned(), entry);
        self.tell(&mut state, &began(folder, entry));
        Watched { guard: Arc::clone(self), folder: folder.to_owned() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a message; starts the process if it is not there, or not there any more.
    fn tell(&self, state: &mut State, message: &[u8]) {
        let told = state.pipe.as_mut().is_some_and(|pipe| pipe.write_all(message).is_ok());
        if told {
            return;
        }
        match self.start() {
            Ok((child, mut pipe)) => {
                if let Some(mut old) = state.child.replace(child) {
                    // It has ended, or nothing could be written to it: this only takes its remains away.
                    drop(old.try_wait());
                }
                for (folder, entry) in &state.running {
                    let grouped = entry.leader.map(|leader| leads(folder, leader)).unwrap_or_default();
                    let all = [began(folder, *entry), grouped].concat();
                    // One that ends at once is noticed with the next message.
                    drop(pipe.write_all(&all));
                }
                state.pipe = Some(pipe);
            }
            Err(error) => {
                state.pipe = None;
                tracing::warn!(%error, "nobody would end the programs of jobs if this process were killed");
            }
        }
    }

    fn start(&self) -> io::Result<(Child, ChildStdin)> {
        let mut command = Command::new(&self.program);
        command.arg0("qtop").arg(GUARD).env_clear().current_dir("/").process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let pipe = child.stdin.take().ok_or_else(|| io::Error::other("the pipe is missing"))?;
        Ok((child, pipe))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(state.pipe.take());
        if let Some(child) = &mut state.child {
            // Nothing is watched any more, so it ends at once.
            drop(child.wait());
        }
    }
}

impl Watched {
    /// The program runs, as the leader of a group.
    pub(in super::super) fn leads(&self, group: &Group) {
        let leader = Leader { group: group.id().as_raw_nonzero().get(), mark: group.mark() };
        let mut state = self.guard.state();
        if let Some(entry) = state.running.get_mut(&self.folder) {
            entry.leader = Some(leader);
        }
        self.guard.tell(&mut state, &leads(&self.folder, leader));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut state = self.guard.state();
        state.running.remove(&self.folder);
        self.guard.tell(&mut state, &[b"-", self.folder.as_os_str().as_bytes(), b"\0"].concat());
    }
}

fn began(folder: &Path, entry: Entry) -> Vec<u8> {
    let mark: &[u8] = if entry.keep { b"+k " } else { b"+r " };
    [mark, folder.as_os_str().as_bytes(), b"\0"].concat()
}

fn leads(folder: &Path, Leader { group, mark }: Leader) -> Vec<u8> {
    let mark = mark.map_or_else(|| "-".to_owned(), |mark| mark.to_string());
    [format!("={group} {mark} ").as_bytes(), folder.as_os_str().as_bytes(), b"\0"].concat()
}

/// The far end: listens until the pipe ends, then ends what still runs.
pub(super) fn watch(mut pipe: impl BufRead) -> u8 {
    // Whoever ends qtop may end its children with it: this one must be the last. Without handlers it ends sooner.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let entered = runtime.as_ref().map(tokio::runtime::Runtime::enter);
    let _deaf = entered.map(|_| {
        [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()].map(signal)
    });
    let mut running = BTreeMap::new();
    let mut message = Vec::new();
    while let Ok(1..) = pipe.read_until(0, &mut message) {
        if message.pop() == Some(0) {
            note(&mut running, &message);
        }
        message.clear();
    }
    for (folder, entry) in running {
        end(&folder, entry);
    }
    0
}

fn note(running: &mut BTreeMap<PathBuf, Entry>, message: &[u8]) {
    let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()));
    match message {
        [b'+', keep, b' ', folder @ ..] => {
            running.insert(path(folder), Entry { leader: None, keep: *keep == b'k' });
        }
        [b'-', folder @ ..] => {
            running.remove(Path::new(OsStr::from_bytes(folder)));
        }
        [b'=', rest @ ..] => {
            let mut parts = rest.splitn(3, |byte| *byte == b' ');
            let [Some(group), Some(mark), Some(folder)] = [parts.next(), parts.next(), parts.next()] else { return };
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
            let leader = text(group).parse().ok().map(|group| Leader { group, mark: text(mark).parse().ok() });
            if let Some(entry) = running.get_mut(&path(folder)) {
                entry.leader = leader;
            }
        }
        _ => {}
    }
}

/// Kills a group and what left it, and removes the folder.
fn end(folder: &Path, entry: Entry) {
    if let Some(group) = entry.leader.and_then(|leader| Pid::from_raw(leader.group)) {
        // Gone already, most likely.
        let _ = kill_process_group(group, Signal::KILL);
    }
    for _ in 0..LOOKS {
        if kill_escaped(folder, entry.leader.and_then(|leader| leader.mark)) == 0 {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    if !entry.keep {
        // What is left of it lies where temporary files lie.
        drop(std::fs::remove_dir_all(folder));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_understood_in_any_order() {
        let mut running = BTreeMap::new();
        let folder = Path::new("/tmp/a b\n=7");
        let entry = Entry { leader: None, keep: true };
        let text = |message: Vec<u8>| message[..message.len() - 1].to_vec();
        note(&mut running, &text(began(folder, entry)));
        assert_eq!(running.get(folder), Some(&entry));
        for leader in [Leader { group: 77, mark: None }, Leader { group: 78, mark: "5000000000".parse().ok() }] {
            note(&mut running, &text(leads(folder, leader)));
            assert_eq!(running.get(folder), Some(&Entry { leader: Some(leader), ..entry }));
        }
        note(&mut running, &text(leads(Path::new("/tmp/other"), Leader { group: 79, mark: None })));
        for nonsense in [&b""[..], b"=", b"=x", b"+", b"?a"] {
            note(&mut running, nonsense);
        }
        assert_eq!(running.len(), 1);
        note(&mut running, &[b"-", folder.as_os_str().as_bytes()].concat());
        assert!(running.is_empty());
    }
}
