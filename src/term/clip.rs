//! The clipboard through the terminal (OSC 52), which also works over SSH and inside tmux.

use std::io::{self, Write};

use crossterm::QueueableCommand;
use crossterm::clipboard::CopyToClipboard;

/// Asks the terminal to put a text on the clipboard. Terminals do not say whether they did.
pub(super) fn copy(writer: &mut impl Write, text: &str) -> io::Result<()> {
    writer.queue(CopyToClipboard::to_clipboard_from(text))?;
    writer.flush()
}
