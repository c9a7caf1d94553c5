//! Taking the terminal and giving it back.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossterm::QueueableCommand;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableFocusChange, DisableMouseCapture, EnableFocusChange, EnableMouseCapture};
use crossterm::style::ResetColor;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

use crate::domain::text::harmless;

/// The terminal is in qtop's hands. A static, because the panic hook has to know it.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Why there is no screen to draw on.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// Input or output is a file or pipe.
    #[error("{0} is no terminal; without one, try `qtop queues` or `qtop queues --json`")]
    NoTerminal(&'static str),
    /// `TERM=dumb` or none.
    #[error("TERM is {0}, which cannot draw a screen; try `qtop queues` or `qtop queues --json`")]
    Dumb(String),
    /// The terminal refused.
    #[error("the terminal cannot be used: {0}")]
    Refused(#[from] io::Error),
}

/// Makes sure that there is a terminal that can draw a screen (U6).
///
/// # Errors
/// Says what is missing and which command works without.
pub fn require(term: Option<&str>) -> Result<(), TerminalError> {
    if !io::stdin().is_terminal() {
        return Err(TerminalError::NoTerminal("the standard input"));
    }
    if !io::stdout().is_terminal() {
        return Err(TerminalError::NoTerminal("the standard output"));
    }
    match term {
        None | Some("") => Err(TerminalError::Dumb("not set".to_owned())),
        Some("dumb") => Err(TerminalError::Dumb("dumb".to_owned())),
        Some(_) => Ok(()),
    }
}

/// Modes beyond the plain screen. All are off by default, so that text can be selected and little is left behind if
/// qtop is killed (U16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Modes {
    pub(super) mouse: bool,
    pub(super) focus: bool,
}

/// Takes the terminal: raw input, a screen of its own.
pub(super) fn enter(writer: &mut impl Write, modes: Modes) -> io::Result<()> {
    TAKEN.store(true, Ordering::Release);
    enable_raw_mode()?;
    writer.queue(EnterAlternateScreen)?.queue(Hide)?;
    set_modes(writer, modes)?;
    writer.flush()
}

/// Switches the modes that are on.
pub(super) fn set_modes(writer: &mut impl Write, modes: Modes) -> io::Result<()> {
    if modes.mouse {
        writer.queue(EnableMouseCapture)?;
    }
    if modes.focus {
        writer.queue(EnableFocusChange)?;
    }
    Ok(())
}

/// Switches the modes off again.
pub(super) fn clear_modes(writer: &mut impl Write, modes: Modes) -> io::Result<()> {
    if modes.mouse {
        writer.queue(DisableMouseCapture)?;
    }
    if modes.focus {
        writer.queue(DisableFocusChange)?;
    }
    Ok(())
}

/// Writes what gives the screen back; the terminal's line settings follow with [`leave_raw`].
pub(super) fn leave_screen(writer: &mut impl Write, modes: Modes) -> io::Result<()> {
    clear_modes(writer, modes)?;
    writer.queue(ResetColor)?.queue(LeaveAlternateScreen)?.queue(Show)?;
    writer.flush()
}

/// Gives back the terminal's line settings. Works also when nothing can be written any more.
pub(super) fn leave_raw() -> io::Result<()> {
    TAKEN.store(false, Ordering::Release);
    disable_raw_mode()
}

/// True while the terminal is in qtop's hands.
pub(super) fn is_taken() -> bool {
    TAKEN.load(Ordering::Acquire)
}

/// Installs a hook that gives the terminal back when this thread panics, and prints nothing over the screen when another
/// one does: those are tasks, which are logged and started again.
pub fn install_panic_hook() {
    let ui = thread::current().id();
    panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        let message = harmless(&text.unwrap_or("no message").replace('\n', " ")).into_owned();
        let place = info.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
        tracing::error!(%message, %place, thread = thread::current().name().unwrap_or("?"), "panic");
        let taken = TAKEN.load(Ordering::Acquire);
        if thread::current().id() == ui && taken {
            // Both mice and focus are switched off even if they were never on: this must not depend on state.
            let everything = Modes { mouse: true, focus: true };
            drop(leave_screen(&mut io::stdout(), everything));
            drop(leave_raw());
        }
        if thread::current().id() == ui || !taken {
            drop(writeln!(
                io::stderr(),
                "qtop: a bug: {message} at {place}\nThe terminal was restored; `reset` helps if it was not."
            ));
        }
    }));
}
