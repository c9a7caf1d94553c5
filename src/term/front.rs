//! The process a shell knows while jobs run behind the screens.
//!
//! A stopped process renews nothing, so the one that runs jobs must never be the one a shell stops (U2). With a runner
//! the screens therefore run in a child of a small process that only waits and passes signals on: that one can be
//! stopped, or end, and the jobs go on.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal as Raw, getpid, getppid, kill_process};
use rustix::termios::{OptionalActions, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::guard::{self, Modes};

/// Names the process in front to the one behind it.
const NAME: &str = "QTOP_FRONT";
/// Asks the process in front to be stopped.
const STOP: Raw = Raw::USR1;
/// Asks it to end.
const END: Raw = Raw::USR2;

/// The process in front of this one.
#[derive(Clone, Copy, Debug)]
pub struct Front(Pid);

impl Front {
    /// The process that started this one to stand behind it; `None`: nobody did.
    pub fn find() -> Option<Self> {
        let named = std::env::var(NAME).ok()?.parse().ok().and_then(Pid::from_raw)?;
        if getppid() != Some(named) {
            return None;
        }
        // If it is killed, this one ends as if the terminal were gone: the shell has that again.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_parent_process_death_signal(Some(Raw::HUP));
        Some(Self(named))
    }

    /// Lets the shell have the terminal: the process in front is stopped and this one is not. SIGCONT comes when the
    /// shell gives the terminal back, or cannot stop anything.
    pub(super) fn stop(self) -> io::Result<()> {
        Ok(kill_process(self.0, STOP)?)
    }

    /// Ends the process in front. This one belongs to no terminal from now on.
    ///
    /// # Errors
    /// If it is gone already, or this process leads a group.
    pub fn release(self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(None)?;
        rustix::process::setsid()?;
        Ok(kill_process(self.0, END)?)
    }
}

/// True if the terminal listens to this process at present.
pub(super) fn has_terminal() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Starts this program once more, with the same arguments, and stands in front of it until it ends. Returns its exit
/// code. Must be called outside a runtime.
///
/// # Errors
/// If it cannot be started.
pub fn stand_in_front() -> io::Result<u8> {
    let settings = tcgetattr(io::stdin());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let mut arguments = std::env::args_os();
        let mut command = Command::new(std::env::current_exe()?);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        let mut child = command.args(arguments).env(NAME, getpid().as_raw_nonzero().to_string()).spawn()?;
        let behind = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        loop {
            let came = tokio::select! {
                status = child.wait() => return status.map(Some),
                came = signals.next() => came,
            };
            match came {
                END => return Ok(None),
                STOP => {
                    // Returns when this process goes on, or at once where no shell could make it go on.
                    let _ = kill_process(getpid(), Raw::TSTP);
                    pass_on(behind, Raw::CONT);
                }
                signal => pass_on(behind, signal),
            }
        }
    });
    let Some(status): Option<ExitStatus> = status? else { return Ok(0) };
    let Some(signal) = status.signal() else {
        return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
    };
    // It could not give the terminal back itself.
    drop(guard::leave_screen(&mut io::stdout(), Modes { mouse: true, focus: true }));
    if let Ok(settings) = settings {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &settings);
    }
    drop(io::Write::write_all(
        &mut io::stderr(),
        format!("qtop: was killed by signal {signal}; jobs that ran are given back when their claims end\n").as_bytes(),
    ));
    Ok(128 + u8::try_from(signal).unwrap_or(0))
}

fn pass_on(behind: Option<Pid>, signal: Raw) {
    if let Some(behind) = behind {
        // Gone already: its end is noticed next.
        let _ = kill_process(behind, signal);
    }
}

struct Signals([(Raw, Signal); 7]);

impl Signals {
    fn listen() -> io::Result<Self> {
        let on = |raw: Raw| signal(SignalKind::from_raw(raw.as_raw())).map(|stream| (raw, stream));
        Ok(Self([on(END)?, on(STOP)?, on(Raw::CONT)?, on(Raw::TERM)?, on(Raw::INT)?, on(Raw::HUP)?, on(Raw::QUIT)?]))
    }

    async fn next(&mut self) -> Raw {
        let waiting = self.0.iter_mut().map(|(raw, stream)| {
            Box::pin(async move {
                stream.recv().await;
                *raw
            })
        });
        futures_util::future::select_all(waiting).await.0
    }
}
