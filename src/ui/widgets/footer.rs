//! The last line: the keys that work now.

use ratatui::layout::Rect;

use crate::app::guide::Hint;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::{Canvas, Phrase};

/// Hints that always stay: help and the way out, the last of the list.
const PINNED: usize = 2;

/// The hints in their order, as many as fit beside the pinned ones.
pub fn draw(canvas: &mut Canvas<'_>, at: Rect, hints: &[Hint]) {
    let (others, pinned) = hints.split_at(hints.len().saturating_sub(PINNED));
    let mut end = Phrase::new();
    pinned.iter().for_each(|hint| end.append_apart(phrase(canvas, hint)));
    let room = at.width.saturating_sub(2);
    let mut line = Phrase::new();
    for hint in others {
        let next = phrase(canvas, hint);
        if line.width() + next.width() + end.width() + 4 <= room {
            line.append_apart(next);
        }
    }
    line.append_apart(end);
    canvas.phrase(at.x + 1, at.y, room, &line);
}

fn phrase(canvas: &Canvas<'_>, hint: &Hint) -> Phrase {
    Phrase::of(Role::Key, key_name(canvas.glyphs(), &hint.key)).and(Role::Muted, format!(" {}", hint.word))
}

/// A key as people write it: `⏎`, `Tab`, `Ctrl-R`; letters stay as they are, because case matters there.
pub fn key_name(glyphs: &Glyphs, key: &str) -> String {
    if key == "enter" {
        return glyphs.enter.to_owned();
    }
    let part = |part: &str| match part.chars().next() {
        Some(first) if part.chars().count() > 1 => first.to_uppercase().chain(part.chars().skip(1)).collect::<String>(),
        _ => part.to_owned(),
    };
    match key.split_once('-') {
        Some((modifier, rest)) if !modifier.is_empty() && !rest.is_empty() => {
            format!("{}-{}", part(modifier), part(rest))
        }
        _ => key.split(' ').map(part).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::UNICODE;

    #[test]
    fn keys_are_written_as_people_write_them() {
        let names = ["enter", "tab", "ctrl-r", "g g", "G", "-", "|", "f10", "shift-tab"];
        let written: Vec<String> = names.iter().map(|key| key_name(&UNICODE, key)).collect();
        assert_eq!(written, ["⏎", "Tab", "Ctrl-r", "g g", "G", "-", "|", "F10", "Shift-Tab"]);
    }
}
