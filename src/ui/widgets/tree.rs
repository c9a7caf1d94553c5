//! A line of a payload's tree.

use crate::domain::payload::{Kind, Line};
use crate::domain::text;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::Phrase;

/// Columns to which short names are padded, so that their values stand in one line.
const NAME: usize = 14;

/// Indentation, fold sign, name, value.
pub fn line(glyphs: &Glyphs, line: &Line<'_>) -> Phrase {
    let sign = match line.open {
        Some(true) => glyphs.open,
        Some(false) => glyphs.closed,
        None => " ",
    };
    let mut phrase = Phrase::of(Role::JsonPunctuation, format!("{}{sign} ", "  ".repeat(line.depth.min(20))));
    if let Some(key) = &line.key {
        let padded = if text::width(key) <= NAME { text::pad(key, NAME) } else { key.to_string() };
        phrase.push(Role::JsonKey, padded);
        phrase.push(Role::JsonPunctuation, "  ");
    }
    let role = match line.kind {
        Kind::Null => Role::JsonNull,
        Kind::Bool => Role::JsonBool,
        Kind::Number => Role::JsonNumber,
        Kind::String => Role::JsonString,
        Kind::Bytes | Kind::Extension => Role::Text,
        Kind::Seq | Kind::Map => Role::JsonPunctuation,
    };
    phrase.and(role, &line.text)
}
