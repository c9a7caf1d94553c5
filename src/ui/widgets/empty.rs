//! What stands where rows would be: why there are none, and what to do.

use ratatui::layout::Rect;

use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::Canvas;

/// A heading and lines under it, set in the upper third of the area and broken at words.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, role: Role, heading: &str, lines: &[String]) {
    if area.height == 0 || area.width < 8 {
        return;
    }
    let x = area.x + 3;
    let width = area.width.saturating_sub(6).min(100);
    let mut y = area.y + (area.height / 6).min(3);
    let paragraphs = std::iter::once((role, heading)).chain(lines.iter().map(|line| (Role::Muted, line.as_str())));
    for (role, paragraph) in paragraphs {
        for line in wrap(paragraph, usize::from(width)) {
            if y >= area.bottom() {
                return;
            }
            canvas.text(x, y, width, role, &line);
            y += 1;
        }
    }
}

/// Breaks text at spaces into lines of at most `columns`; a word that is longer is broken where it must.
pub fn wrap(words: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let safe = text::harmless(words);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in safe.split(' ') {
        let mut word = word;
        let joined = text::width(&line) + usize::from(!line.is_empty()) + text::width(word);
        if !line.is_empty() && joined > columns {
            lines.push(std::mem::take(&mut line));
        }
        while text::width(word) > columns {
            let mut end = 0;
            for (start, c) in word.char_indices() {
                let next = start + c.len_utf8();
                if text::width(&word[..next]) > columns {
                    break;
                }
                end = next;
            }
            // A single character wider than the line still has to go somewhere.
            let end = if end == 0 { word.chars().next().map_or(word.len(), char::len_utf8) } else { end };
            lines.push(word[..end].to_owned());
            word = &word[end..];
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_breaks_at_words_and_long_words_where_they_must() {
        assert_eq!(wrap("no queue was found yet", 9), ["no queue", "was found", "yet"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("漢字漢字", 1).len(), 4);
    }
}
