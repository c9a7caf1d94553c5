//! The terminal: entering and leaving it, frames, events, signals, the clipboard, other programs.
//!
//! Knows nothing of queues or screens. Whatever happens to qtop, the terminal is as it was before (U3).

mod clip;
mod console;
mod external;
mod frame;
mod front;
mod guard;
mod input;
mod output;
mod signal;

pub use console::{Console, Event, TerminalConsole};
pub use external::ExternalError;
pub use frame::FrameBackend;
pub use front::{Front, stand_in_front};
pub use guard::{TerminalError, install_panic_hook, require};
pub use signal::Signal;
