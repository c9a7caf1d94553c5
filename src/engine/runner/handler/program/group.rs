//! The process group of a program: everything it started, as long as that did not leave the group on purpose.

use std::io;
use std::path::Path;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use super::{Mark, kill_escaped};

/// A group led by a child of qtop. Dropping it kills what is left of it.
#[derive(Debug)]
pub(in super::super) struct Group {
    id: Pid,
    mark: Option<Mark>,
    over: bool,
}

impl Group {
    /// Of a child that was just started as the leader of its group.
    pub(in super::super) fn of(child: &Child) -> io::Result<Self> {
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let id = id.ok_or_else(|| io::Error::other("the program has no process id"))?;
        Ok(Self { id, mark: Mark::put_on(id), over: false })
    }

    pub(in super::super) fn id(&self) -> Pid {
        self.id
    }

    pub(in super::super) fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// Kills what left the group; the folder is the one it was started in.
    pub(in super::super) fn kill_escaped(&self, folder: &Path) {
        kill_escaped(folder, self.mark);
    }

    /// True if the leader has ended. It is not reaped: until then no other process and no other group can have its
    /// number, so what is left of the group can be killed without hitting somebody else.
    pub(in super::super) fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.id), options), Ok(None))
    }

    /// Waits until the leader has ended.
    pub(in super::super) async fn ended(&self, child: &mut Child) {
        match signal(SignalKind::child()) {
            Ok(mut children) => while !self.has_ended() && children.recv().await.is_some() {},
            // Reaps it, which is better than not knowing. An error means that it is nobody's child any more.
            Err(_) => drop(child.wait().await),
        }
    }

    /// Asks everything in the group to end.
    pub(in super::super) fn terminate(&self) {
        self.signal(Signal::TERM);
        // What is stopped cannot end.
        self.signal(Signal::CONT);
    }

    /// Kills everything that is left in the group, and reaps the leader.
    pub(in super::super) async fn finish(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        self.over = true;
        child.wait().await
    }

    fn signal(&self, signal: Signal) {
        if !self.over {
            // Fails only when there is nobody left.
            let _ = kill_process_group(self.id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
