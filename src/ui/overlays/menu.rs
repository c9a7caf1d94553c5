//! The menu: everything that makes sense here, with why-not for what cannot be done.

use ratatui::layout::Rect;

use super::frame;
use crate::app::availability::Availability;
use crate::app::guide::MenuEntry;
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::footer::key_name;
use crate::ui::widgets::table::first_visible;

/// Draws the menu.
pub fn draw(
    scene: &Scene<'_>,
    canvas: &mut Canvas<'_>,
    area: Rect,
    (title, entries): (&str, &[MenuEntry]),
    index: usize,
) {
    // One more for the reason of the entry under the cursor, which rarely fits beside it.
    let rows = u16::try_from(entries.len() + 1).unwrap_or(u16::MAX);
    let inner = frame(scene, canvas, area, (area.width.saturating_sub(8).min(84), rows), title);
    let index = index.min(entries.len().saturating_sub(1));
    if let Some(Availability::Disabled(reason)) = entries.get(index).map(|entry| &entry.availability) {
        canvas.text(inner.x, inner.bottom() - 1, inner.width, Role::Warn, reason);
    }
    let inner = Rect { height: inner.height - 1, ..inner };
    let top = first_visible(0, index, usize::from(inner.height), entries.len());
    for (y, (number, entry)) in (inner.y..inner.bottom()).zip(entries.iter().enumerate().skip(top)) {
        let at = Rect { y, height: 1, ..inner };
        let key = entry.key.as_deref().map(|key| key_name(canvas.glyphs(), key)).unwrap_or_default();
        let ready = entry.availability == Availability::Ready;
        let line = Phrase::of(Role::Key, text::pad(&key, 10))
            .and(if ready { Role::Text } else { Role::Muted }, entry.spec.title);
        let used = canvas.phrase(at.x, y, at.width, &line);
        if let Availability::Disabled(reason) = &entry.availability {
            let room = at.width.saturating_sub(used + 2);
            canvas.phrase_right(
                at.x + used + 2,
                y,
                room,
                &Phrase::of(Role::Warn, text::fit(reason, usize::from(room))),
            );
        }
        if number == index {
            canvas.tint(at, Role::Selection);
        }
    }
}
