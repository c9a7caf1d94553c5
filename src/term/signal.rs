//! Signals that end qtop, and the one that follows a stop.

use std::io;

use rustix::process::{self, Signal as Raw};
use tokio::signal::unix::{self, SignalKind};

/// A signal that ends qtop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The terminal was closed.
    Hangup,
    /// Sent by a person or program.
    Interrupt,
    /// Ctrl-\.
    Quit,
    /// Asked to end.
    Terminate,
}

impl Signal {
    /// Exit code by convention: 128 and the signal's number.
    pub fn exit_code(self) -> u8 {
        128 + match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::Terminate => 15,
        }
    }
}

/// Listens for signals.
#[derive(Debug)]
pub(super) struct Signals {
    hangup: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    terminate: unix::Signal,
    resumed: unix::Signal,
}

/// A signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// End now.
    End(Signal),
    /// qtop was stopped and goes on.
    Continued,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: unix::signal(SignalKind::hangup())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            quit: unix::signal(SignalKind::quit())?,
            terminate: unix::signal(SignalKind::terminate())?,
            resumed: unix::signal(SignalKind::from_raw(Raw::CONT.as_raw()))?,
        })
    }

    /// The next signal. Can be dropped without losing one.
    pub(super) async fn next(&mut self) -> Came {
        tokio::select! {
            _ = self.hangup.recv() => Came::End(Signal::Hangup),
            _ = self.interrupt.recv() => Came::End(Signal::Interrupt),
            _ = self.quit.recv() => Came::End(Signal::Quit),
            _ = self.terminate.recv() => Came::End(Signal::Terminate),
            _ = self.resumed.recv() => Came::Continued,
        }
    }
}

/// Stops this process and those it runs with, as the shell's job control expects of `Ctrl-Z`.
pub(super) fn stop() -> io::Result<()> {
    Ok(process::kill_current_process_group(Raw::TSTP)?)
}
