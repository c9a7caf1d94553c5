//! ratatui's way to the terminal, less what is written in vain: an unchanged frame is no byte at all (F5).

use std::io::{self, Write};

use crossterm::QueueableCommand;
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

use crate::domain::text;

/// Frames below that size appear at once anyway (U15).
const WORTH_SYNCHRONIZING: usize = 64;

/// A backend that writes changes only.
#[derive(Debug)]
pub struct FrameBackend<W: Write> {
    inner: CrosstermBackend<W>,
    /// Whether the cursor is shown; `None`: not known.
    cursor: Option<bool>,
    position: Option<Position>,
    /// Frames are bracketed, so that none is shown half drawn.
    synchronized: bool,
}

impl<W: Write> FrameBackend<W> {
    /// Over a writer; `synchronized`: large frames are bracketed so that the terminal shows them at once.
    pub fn new(writer: W, synchronized: bool) -> Self {
        Self { inner: CrosstermBackend::new(writer), cursor: None, position: None, synchronized }
    }

    /// Forgets what the terminal shows, after another program had it.
    pub(super) fn forget(&mut self) {
        self.cursor = None;
        self.position = None;
    }
}

/// For what is no frame: modes, the clipboard.
impl<W: Write> Write for FrameBackend<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(&mut self.inner)
    }
}

impl<W: Write> Backend for FrameBackend<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let cells = by_look(content.collect());
        if cells.is_empty() {
            return Ok(());
        }
        // Writing moves the cursor.
        self.position = None;
        let bracket = self.synchronized && cells.len() >= WORTH_SYNCHRONIZING;
        if bracket {
            self.inner.queue(BeginSynchronizedUpdate)?;
        }
        self.inner.draw(cells.into_iter())?;
        if bracket {
            self.inner.queue(EndSynchronizedUpdate)?;
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if self.cursor != Some(false) {
            self.inner.queue(crossterm::cursor::Hide)?;
            self.cursor = Some(false);
        }
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        if self.cursor != Some(true) {
            self.inner.queue(crossterm::cursor::Show)?;
            self.cursor = Some(true);
        }
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        // Asking the terminal would wait for its answer among the keys; qtop draws whole screens and need not know.
        Ok(self.position.unwrap_or_default())
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let position = position.into();
        if self.position != Some(position) {
            self.inner.queue(crossterm::cursor::MoveTo(position.x, position.y))?;
            self.position = Some(position);
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        use crossterm::terminal::{Clear, ClearType as Part};
        let part = match clear_type {
            ClearType::All => Part::All,
            ClearType::AfterCursor => Part::FromCursorDown,
            ClearType::BeforeCursor => Part::FromCursorUp,
            ClearType::CurrentLine => Part::CurrentLine,
            ClearType::UntilNewLine => Part::UntilNewLine,
        };
        self.inner.queue(Clear(part)).map(|_| ())
    }

    fn size(&self) -> io::Result<Size> {
        self.inner.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(&mut self.inner)
    }
}

/// Cells of one look together, in their order on the screen: a change of colour takes up to 38 bytes, a jump of the
/// cursor eight, so a frame in which many figures moved gets about half as long (U9).
fn by_look(mut cells: Vec<(u16, u16, &Cell)>) -> Vec<(u16, u16, &Cell)> {
    // A wide character and the cell it covers must be written in their own order.
    if cells.iter().any(|(_, _, cell)| text::width(cell.symbol()) != 1) {
        return cells;
    }
    let mut looks = Vec::new();
    cells.sort_by_cached_key(|(_, _, cell)| {
        let look = (cell.fg, cell.bg, cell.modifier);
        looks.iter().position(|known| *known == look).unwrap_or_else(|| {
            looks.push(look);
            looks.len() - 1
        })
    });
    cells
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Bytes that were written, seen from outside.
    #[derive(Clone, Default)]
    struct Written(Rc<RefCell<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn f5_an_unchanged_frame_writes_nothing() {
        let written = Written::default();
        let mut backend = FrameBackend::new(written.clone(), true);
        let cell = Cell::new("x");
        for round in 0..3 {
            let changed = [(0, 0, &cell)];
            let content = if round == 0 { &changed[..] } else { &[] };
            backend.draw(content.iter().copied()).unwrap();
            backend.hide_cursor().unwrap();
            if round == 0 {
                assert!(!written.0.borrow().is_empty());
                written.0.borrow_mut().clear();
            }
        }
        assert!(written.0.borrow().is_empty());
    }

    #[test]
    fn u9_cells_of_one_look_are_written_together() {
        let (mut red, plain, mut wide) = (Cell::new("r"), Cell::new("p"), Cell::new("漢"));
        red.set_fg(ratatui::style::Color::Red);
        wide.set_fg(ratatui::style::Color::Red);
        let order = |cells: Vec<_>| by_look(cells).iter().map(|(x, _, _)| *x).collect::<Vec<_>>();
        assert_eq!(order(vec![(0, 0, &plain), (1, 0, &red), (2, 0, &plain), (3, 0, &red)]), [0, 2, 1, 3]);
        assert_eq!(order(vec![(0, 0, &plain), (1, 0, &wide), (3, 0, &plain)]), [0, 1, 3]);
    }

    #[test]
    fn u15_only_large_frames_are_bracketed_and_only_if_asked() {
        let cell = Cell::new("x");
        for (synchronized, cells, expected) in [(true, 200, true), (true, 3, false), (false, 200, false)] {
            let written = Written::default();
            let mut backend = FrameBackend::new(written.clone(), synchronized);
            backend.draw((0..cells).map(|x| (x, 0, &cell))).unwrap();
            let text = String::from_utf8_lossy(&written.0.borrow()).into_owned();
            assert_eq!(text.contains("\x1b[?2026h"), expected);
            assert_eq!(text.contains("\x1b[?2026l"), expected);
        }
    }
}
