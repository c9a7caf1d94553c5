//! The Runner screen of a version that runs nothing.

use ratatui::layout::Rect;

use super::Body;
use crate::theme::Role;
use crate::ui::canvas::Canvas;
use crate::ui::scene::Scene;
use crate::ui::widgets::empty;

/// Draws the screen.
pub fn draw(_scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    let lines = ["It watches the workers you have: 4 shows them, 2 shows what they run.".to_owned()];
    empty::draw(canvas, area, Role::Text, "This version of qtop runs no jobs itself.", &lines);
    Body::default()
}
