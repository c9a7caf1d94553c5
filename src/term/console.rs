//! The terminal as the loop sees it: events in, frames out.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use ratatui::{Frame, Terminal};
use tokio::process::Child;

use super::clip;
use super::external::{self, ExternalError};
use super::frame::FrameBackend;
use super::front::{self, Front};
use super::guard::{self, Modes, TerminalError};
use super::input::{Hangup, InputStream};
use super::output::{Output, Progress};
use super::signal::{self, Came, Signal, Signals};
use crate::app::message::Input;

/// Longest wait for the terminal to take the last bytes when leaving.
const LEAVE_LIMIT: Duration = Duration::from_millis(60);
/// After asking to be stopped, qtop is or never will be within that time.
const STOP_LIMIT: Duration = Duration::from_millis(200);

/// Something came from the terminal.
#[derive(Debug)]
pub enum Event {
    /// A key, a resize.
    Input(Input),
    /// The last frame is written; the next may be drawn.
    Written,
    /// qtop was stopped by somebody else and goes on.
    Continued,
    /// A signal asks qtop to end.
    Ended(Signal),
    /// The terminal is gone.
    Gone,
}

/// A terminal. The loop is generic over it, so that tests run the same loop.
pub trait Console {
    /// The next event. Can be dropped without losing one.
    fn next(&mut self) -> impl Future<Output = Event>;
    /// True if a frame can be drawn without waiting for the one before.
    fn is_ready(&self) -> bool;
    /// Columns and rows.
    ///
    /// # Errors
    /// If the terminal does not tell.
    fn size(&self) -> io::Result<(u16, u16)>;
    /// Draws one frame.
    ///
    /// # Errors
    /// If the terminal is gone.
    fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()>;
    /// Draws everything anew the next time.
    ///
    /// # Errors
    /// If the terminal is gone.
    fn repaint(&mut self) -> io::Result<()>;
    /// Catches the mouse, or lets it go.
    ///
    /// # Errors
    /// If the terminal is gone.
    fn mouse(&mut self, on: bool) -> io::Result<()>;
    /// Puts text on the clipboard.
    ///
    /// # Errors
    /// If the terminal is gone.
    fn copy(&mut self, text: &str) -> io::Result<()>;
    /// Stops like a shell job; returns when it goes on.
    ///
    /// # Errors
    /// If the terminal cannot be given back or taken again.
    fn suspend(&mut self) -> impl Future<Output = io::Result<()>>;
    /// Lets the shell have the terminal while this process goes on; returns when it has the terminal again, or is to
    /// end.
    ///
    /// # Errors
    /// If the terminal cannot be given back or taken again.
    fn step_back(&mut self) -> impl Future<Output = io::Result<()>>;
    /// Shows text in another program; returns when it has ended.
    ///
    /// # Errors
    /// If the terminal cannot be taken again; what goes wrong with the program is the inner error.
    fn show(&mut self, ending: &str, text: &str) -> impl Future<Output = io::Result<Result<(), ExternalError>>>;
    /// Lets a text be edited in another program; returns it as it is when that has ended.
    ///
    /// # Errors
    /// If the terminal cannot be taken again; what goes wrong with the program or its file is the inner error.
    fn edit(&mut self, ending: &str, bytes: &[u8]) -> impl Future<Output = io::Result<Result<Vec<u8>, ExternalError>>>;
}

/// The terminal qtop was started in.
pub struct TerminalConsole {
    terminal: Terminal<FrameBackend<Output>>,
    output: Arc<Progress>,
    /// `None` while another program has the terminal.
    input: Option<InputStream>,
    signals: Signals,
    hangup: Hangup,
    modes: Modes,
    entered: bool,
    /// A signal that came while another program had the terminal.
    ended: Option<Signal>,
    /// What a shell stops in the place of this process.
    front: Option<Front>,
}

impl TerminalConsole {
    /// Takes the terminal. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// If the terminal refuses.
    pub fn enter(synchronized: bool, mouse: bool) -> Result<Self, TerminalError> {
        let signals = Signals::listen()?;
        let output = Output::to_stdout()?;
        let progress = output.progress();
        let terminal = Terminal::new(FrameBackend::new(output, synchronized))?;
        let hangup = Hangup::watch()?;
        let mut console = Self {
            terminal,
            output: progress,
            input: None,
            signals,
            hangup,
            modes: Modes { mouse, focus: false },
            entered: false,
            ended: None,
            front: None,
        };
        console.take()?;
        Ok(console)
    }

    /// Stands behind another process, which a shell may stop.
    pub fn behind(mut self, front: Option<Front>) -> Self {
        self.front = front;
        self
    }

    fn take(&mut self) -> io::Result<()> {
        self.entered = true;
        let modes = self.modes;
        guard::enter(self.terminal.backend_mut(), modes)?;
        self.terminal.backend_mut().forget();
        self.input = Some(InputStream::open());
        self.terminal.clear()
    }

    /// Gives the terminal back as it was.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn leave(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.entered) {
            return Ok(());
        }
        self.input = None;
        // The panic hook has done it: a second time would move the cursor back over what was said about the panic.
        if !guard::is_taken() {
            return Ok(());
        }
        let modes = self.modes;
        let left = guard::leave_screen(self.terminal.backend_mut(), modes);
        self.output.drain(LEAVE_LIMIT);
        left.and(guard::leave_raw())
    }
}

impl Drop for TerminalConsole {
    fn drop(&mut self) {
        // Where leaving fails there is no terminal left to tell it to.
        drop(self.leave());
    }
}

impl Console for TerminalConsole {
    async fn next(&mut self) -> Event {
        if let Some(signal) = self.ended.take() {
            return Event::Ended(signal);
        }
        let Self { output, input, signals, hangup, .. } = self;
        let keys = async {
            match input {
                Some(input) => input.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            came = signals.next() => match came {
                Came::End(signal) => Event::Ended(signal),
                Came::Continued => Event::Continued,
            },
            () = hangup.happened() => Event::Gone,
            key = keys => match key {
                Some(Ok(input)) => Event::Input(input),
                Some(Err(_)) | None => Event::Gone,
            },
            () = output.written() => if output.failure().is_some() { Event::Gone } else { Event::Written },
        }
    }

    fn is_ready(&self) -> bool {
        self.output.is_idle()
    }

    fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|size| (size.width, size.height))
    }

    fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(view).map(|_| ())
    }

    fn repaint(&mut self) -> io::Result<()> {
        self.terminal.backend_mut().forget();
        self.terminal.clear()
    }

    fn mouse(&mut self, on: bool) -> io::Result<()> {
        let output = self.terminal.backend_mut();
        let mouse = Modes { mouse: true, focus: false };
        if on {
            guard::set_modes(output, mouse)?
        } else {
            guard::clear_modes(output, mouse)?
        }
        self.modes.mouse = on;
        io::Write::flush(self.terminal.backend_mut())
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        clip::copy(self.terminal.backend_mut(), text)
    }

    async fn suspend(&mut self) -> io::Result<()> {
        // A continuation that came before is not the one that follows this stop.
        self.leave()?;
        signal::stop()?;
        // The stop arrives when it arrives; taking the terminal before it would leave it taken while stopped.
        let continued = async { while self.signals.next().await != Came::Continued {} };
        drop(tokio::time::timeout(STOP_LIMIT, continued).await);
        self.take()
    }

    async fn step_back(&mut self) -> io::Result<()> {
        let Some(front) = self.front else { return Ok(()) };
        self.leave()?;
        let pid = std::process::id();
        let words = format!(
            "qtop: jobs go on in the background (process {pid}); fg brings the screens back, kill -TERM {pid} ends it\n"
        );
        // A terminal that is gone is noticed below.
        drop(io::Write::write_all(&mut io::stderr(), words.as_bytes()));
        front.stop()?;
        loop {
            tokio::select! {
                came = self.signals.next() => match came {
                    Came::End(signal) => {
                        self.ended = Some(signal);
                        return Ok(());
                    }
                    // In the background the terminal is somebody else's: taking it would stop this process.
                    Came::Continued if front::has_terminal() => return self.take(),
                    Came::Continued => {}
                },
                () = self.hangup.happened() => {
                    self.ended = Some(Signal::Hangup);
                    return Ok(());
                }
            }
        }
    }

    async fn show(&mut self, ending: &str, text: &str) -> io::Result<Result<(), ExternalError>> {
        self.leave()?;
        let shown = match external::start(ending, text) {
            Ok(mut running) => {
                self.ended = until_ended(&mut running.child, &mut self.signals).await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        self.take()?;
        Ok(shown)
    }

    async fn edit(&mut self, ending: &str, bytes: &[u8]) -> io::Result<Result<Vec<u8>, ExternalError>> {
        self.leave()?;
        let edited = match external::edit(ending, bytes) {
            Ok(mut running) => {
                self.ended = until_ended(&mut running.child, &mut self.signals).await;
                running.read().await
            }
            Err(error) => Err(error),
        };
        self.take()?;
        Ok(edited)
    }
}

/// Waits for a program that has the terminal; how it ends is between the person and it. Ctrl-C there is meant for that
/// program, though qtop hears of it too. What is meant for qtop ends both.
async fn until_ended(child: &mut Child, signals: &mut Signals) -> Option<Signal> {
    let mut ended = None;
    loop {
        tokio::select! {
            _ = child.wait() => return ended,
            came = signals.next() => {
                if let Came::End(signal @ (Signal::Hangup | Signal::Terminate)) = came {
                    ended = Some(signal);
                    // It may have ended in this moment, which is all that is wanted.
                    drop(child.start_kill());
                }
            }
        }
    }
}
