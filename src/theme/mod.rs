//! What qtop looks like: roles that widgets ask for, theme files, colour levels, signs.
//!
//! Knows nothing of screens. Colours appear in theme files only; a widget that wants a look asks for its [`Role`].

mod file;
mod glyph;
mod resolve;
mod role;
#[cfg(test)]
mod tests;

pub use file::{Builtin, ThemeSpec, load, names, parse};
pub use glyph::{ASCII, Glyphs, LocaleFacts, UNICODE, glyphs_for, state_letter};
pub use resolve::{ColourFacts, Level, Theme, level_for};
pub use role::Role;
