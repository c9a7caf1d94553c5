//! Lines of text that may be more than fit.

use ratatui::layout::Rect;

use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};

/// Draws lines from `scroll` on; if they do not fit, the last row says how many are hidden.
pub fn scrolled(canvas: &mut Canvas<'_>, area: Rect, lines: &[Phrase], scroll: usize) {
    let rows = usize::from(area.height);
    if lines.len() <= rows {
        for (y, line) in (area.y..area.bottom()).zip(lines) {
            canvas.phrase(area.x, y, area.width, line);
        }
        return;
    }
    let room = rows.saturating_sub(1);
    let first = scroll.min(lines.len() - room);
    for (y, line) in (area.y..area.bottom() - 1).zip(&lines[first..]) {
        canvas.phrase(area.x, y, area.width, line);
    }
    let left = lines.len() - room - first;
    let words = match left {
        0 => "end".to_owned(),
        left => format!("{left} more below"),
    };
    canvas.phrase_right(area.x, area.bottom() - 1, area.width, &Phrase::of(Role::Muted, words));
}
