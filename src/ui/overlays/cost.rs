//! What qtop costs the server, over any screen.

use ratatui::layout::Rect;

use super::frame;
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::screens;
use crate::ui::widgets::lines::scrolled;

/// Draws it.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) {
    let mut lines = screens::cost(scene);
    lines.push(Phrase::new());
    let address = text::fit(&scene.snapshot.url, 56).into_owned();
    lines.push(Phrase::of(Role::Muted, "connected to    ").and(Role::Text, address));
    if let Some(reason) = &scene.state.server.read_only {
        lines.push(Phrase::of(Role::Muted, "read-only       ").and(Role::Text, reason));
    }
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let inner = frame(scene, canvas, area, (72, rows), "Cost and connection, Esc closes it");
    scrolled(canvas, inner, &lines, 0);
}
