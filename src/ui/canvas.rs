//! The one way onto the screen: everything that is drawn passes [`Canvas`], which makes text harmless, cuts it to its
//! place and reduces it to ASCII where the terminal shows nothing else.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::domain::text;
use crate::theme::{Glyphs, Role, Theme};

/// Pieces of text with the role each plays, harmless from the moment they are added (S3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phrase {
    pieces: Vec<(Role, String)>,
}

impl Phrase {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One piece.
    pub fn of(role: Role, words: impl AsRef<str>) -> Self {
        Self::new().and(role, words)
    }

    /// With one piece more.
    pub fn and(mut self, role: Role, words: impl AsRef<str>) -> Self {
        self.push(role, words);
        self
    }

    /// Adds a piece.
    pub fn push(&mut self, role: Role, words: impl AsRef<str>) {
        let words = words.as_ref();
        if !words.is_empty() {
            self.pieces.push((role, text::harmless(words).into_owned()));
        }
    }

    /// Adds all pieces of another phrase.
    pub fn append(&mut self, other: Phrase) {
        self.pieces.extend(other.pieces);
    }

    /// Adds another phrase, with two spaces between if there is something on both sides.
    pub fn append_apart(&mut self, other: Phrase) {
        if !self.is_empty() && !other.is_empty() {
            self.push(Role::Text, "  ");
        }
        self.append(other);
    }

    /// Columns it takes if nothing is cut.
    pub fn width(&self) -> u16 {
        let columns: usize = self.pieces.iter().map(|(_, words)| text::width(words)).sum();
        u16::try_from(columns).unwrap_or(u16::MAX)
    }

    /// True if there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The pieces with their roles.
    pub fn pieces(&self) -> &[(Role, String)] {
        &self.pieces
    }
}

/// The screen that is being drawn.
pub struct Canvas<'a> {
    buffer: &'a mut Buffer,
    theme: &'a Theme,
    columns: Vec<&'static str>,
}

impl<'a> Canvas<'a> {
    /// Over a buffer, with the looks of a theme.
    pub fn new(buffer: &'a mut Buffer, theme: &'a Theme) -> Self {
        Self { buffer, theme, columns: Vec::new() }
    }

    /// Notes that a column of the main table has a place on the screen.
    pub fn note_column(&mut self, name: &'static str) {
        self.columns.push(name);
    }

    /// The columns noted so far.
    pub fn columns(&self) -> Vec<&'static str> {
        self.columns.clone()
    }

    /// The signs to draw with.
    pub fn glyphs(&self) -> &'static Glyphs {
        self.theme.glyphs()
    }

    /// Writes at most `width` columns; what is cut is told by an ellipsis. Returns the columns used.
    pub fn text(&mut self, x: u16, y: u16, width: u16, role: Role, words: &str) -> u16 {
        let style = self.theme.style(role);
        self.write(x, y, width, style, words)
    }

    /// Writes a phrase into at most `width` columns. Returns the columns used.
    pub fn phrase(&mut self, x: u16, y: u16, width: u16, phrase: &Phrase) -> u16 {
        let mut used = 0;
        let mut left_over = phrase.width();
        for (role, words) in phrase.pieces() {
            let room = width - used;
            let columns = u16::try_from(text::width(words)).unwrap_or(u16::MAX);
            // A piece that fits to the last column must still show that more was to come.
            let cut = left_over > room && columns >= room;
            left_over = left_over.saturating_sub(columns);
            let style = self.theme.style(*role);
            if cut {
                let words =
                    if columns == room { Cow::Owned(format!("{words}…")) } else { Cow::Borrowed(words.as_str()) };
                return used + self.write(x.saturating_add(used), y, room, style, &words);
            }
            used += self.write(x.saturating_add(used), y, room, style, words);
        }
        used
    }

    /// Writes a phrase so that it ends at the right edge of `width` columns.
    pub fn phrase_right(&mut self, x: u16, y: u16, width: u16, phrase: &Phrase) -> u16 {
        let missing = width.saturating_sub(phrase.width());
        self.phrase(x.saturating_add(missing), y, width - missing, phrase)
    }

    /// Lays a role's style over what is drawn already.
    pub fn tint(&mut self, area: Rect, role: Role) {
        let area = area.intersection(self.buffer.area);
        self.buffer.set_style(area, self.theme.style(role));
    }

    /// Wipes an area, as before the first stroke.
    pub fn wipe(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        // A wide character that reaches into the area from the left would be drawn over its first column.
        if area.x > 0 {
            for y in area.top()..area.bottom() {
                let cell = &mut self.buffer[(area.x - 1, y)];
                if text::width(cell.symbol()) > 1 {
                    cell.set_symbol(" ");
                }
            }
        }
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].reset();
            }
        }
        self.buffer.set_style(area, self.theme.style(Role::Screen));
    }

    /// A horizontal line.
    pub fn rule(&mut self, x: u16, y: u16, width: u16) {
        let rule = self.glyphs().rule.repeat(usize::from(width));
        self.text(x, y, width, Role::Border, &rule);
    }

    fn write(&mut self, x: u16, y: u16, width: u16, style: Style, words: &str) -> u16 {
        let area = self.buffer.area;
        if x >= area.right() || y >= area.bottom() || x < area.left() || y < area.top() {
            return 0;
        }
        let room = usize::from(width.min(area.right() - x));
        let fitted = text::fit(words, room);
        let fitted = if self.glyphs().ascii { Cow::Owned(text::ascii(&fitted).into_owned()) } else { fitted };
        let (end, _) = self.buffer.set_stringn(x, y, fitted.as_ref(), room, style);
        end - x
    }
}
