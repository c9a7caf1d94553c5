//! Keys that may follow those pressed so far.

use ratatui::layout::Rect;

use crate::app::guide;
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::footer::key_name;

/// Draws them over the last lines of the body, if keys are pending.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) {
    let hints = guide::which_key(scene.state);
    if hints.is_empty() {
        return;
    }
    let rows = u16::try_from(hints.len()).unwrap_or(u16::MAX).min(area.height);
    let at = Rect { y: area.bottom() - rows, height: rows, ..area };
    canvas.wipe(at);
    for (y, hint) in (at.y..at.bottom()).zip(&hints) {
        let key = key_name(canvas.glyphs(), &hint.key);
        let line = Phrase::of(Role::Key, text::pad(&key, 10)).and(Role::Text, hint.word);
        canvas.phrase(at.x + 1, y, at.width.saturating_sub(2), &line);
    }
}
