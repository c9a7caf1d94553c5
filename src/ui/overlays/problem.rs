//! A problem with all its lines, for example of the configuration file.

use ratatui::layout::Rect;

use super::frame;
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::lines::scrolled;

/// Draws it. Lines are cut, not broken: pictures of the place in a file need their columns.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, problem: (&str, &str), scroll: usize) {
    let (title, words) = problem;
    let lines: Vec<Phrase> = text::lines(words).map(|line| Phrase::of(Role::Text, line)).collect();
    let widest = lines.iter().map(Phrase::width).max().unwrap_or(0).max(40);
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let width = widest.min(area.width.saturating_sub(6));
    let inner = frame(scene, canvas, area, (width, rows.max(1)), &text::fit(title, usize::from(width)));
    scrolled(canvas, inner, &lines, scroll);
}
