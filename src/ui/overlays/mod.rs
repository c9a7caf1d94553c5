//! What lies over a screen: the only things with a frame around them.
//!
//! An overlay takes its words from the action table or from the state, draws them over whatever is below, and changes
//! nothing.

mod ask;
pub mod changes;
mod cost;
mod help;
mod menu;
mod palette;
mod problem;
mod records;
mod which_key;
mod why;

use ratatui::layout::{Position, Rect};

use super::canvas::{Canvas, Phrase};
use super::scene::Scene;
use crate::app::guide;
use crate::app::state::Overlay;
use crate::app::target;
use crate::domain::text;
use crate::theme::Role;

/// Draws what lies over the screen; returns where the terminal's cursor belongs, if somebody types.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    match &scene.state.overlay {
        Some(Overlay::Help { scroll }) => help::draw(scene, canvas, area, *scroll),
        Some(Overlay::Palette(view)) => return Some(palette::draw(scene, canvas, area, view)),
        Some(Overlay::Why { queue, job, loaded, scroll }) => {
            why::draw(scene, canvas, area, &why::Question { queue, job: job.as_ref(), loaded, scroll: *scroll });
        }
        Some(Overlay::Cost) => cost::draw(scene, canvas, area),
        Some(Overlay::Ask(question)) => return ask::draw(scene, canvas, area, question),
        Some(Overlay::Menu { index }) => {
            menu::draw(scene, canvas, area, ("What can be done here", &guide::menu(scene.state)), *index);
        }
        Some(Overlay::QueueMenu { index }) => {
            let queue = target::queue(scene.state).map(|queue| scene.snapshot.address(&queue)).unwrap_or_default();
            let title = format!("Change {}", text::fit(&queue, 40));
            menu::draw(scene, canvas, area, (&title, &guide::queue_menu(scene.state)), *index);
        }
        Some(Overlay::Changes { index, open }) => changes::draw(scene, canvas, area, *index, *open),
        Some(Overlay::Trash { index }) => records::trash(scene, canvas, area, *index),
        Some(Overlay::Audit { index }) => records::audit(scene, canvas, area, *index),
        Some(Overlay::Problem { title, text, scroll }) => problem::draw(scene, canvas, area, (title, text), *scroll),
        None => which_key::draw(scene, canvas, area),
    }
    None
}

/// A frame around wiped space in the middle of the area, with a title at the upper left and the environment at the
/// upper right (U18). Returns the space inside, one column away from the sides.
fn frame(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, size: (u16, u16), title: &str) -> Rect {
    let width = size.0.saturating_add(4).min(area.width);
    let height = size.1.saturating_add(2).min(area.height);
    let at = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    canvas.wipe(at);
    let border = canvas.glyphs().border;
    let across = usize::from(width.saturating_sub(2));
    let top = format!("{}{}{}", border.top_left, border.horizontal_top.repeat(across), border.top_right);
    let low = format!("{}{}{}", border.bottom_left, border.horizontal_bottom.repeat(across), border.bottom_right);
    canvas.text(at.x, at.y, width, Role::Border, &top);
    canvas.text(at.x, at.bottom() - 1, width, Role::Border, &low);
    for y in at.y + 1..at.bottom() - 1 {
        canvas.text(at.x, y, 1, Role::Border, border.vertical_left);
        canvas.text(at.right() - 1, y, 1, Role::Border, border.vertical_right);
    }
    let mut place = Phrase::of(Role::Muted, format!(" {}", text::fit(&scene.state.server.name, 20)));
    if let Some(environment) = &scene.state.server.environment {
        place.push(Role::Prod, format!(" {}", text::fit(&environment.to_uppercase(), 12)));
    }
    place.push(Role::Muted, " ");
    let inside = width.saturating_sub(4);
    // The place is said whatever the title; ids make titles long.
    let room = usize::from(inside.saturating_sub(place.width() + 4));
    let title = Phrase::of(Role::Title, format!(" {} ", text::fit(title, room)));
    canvas.phrase_right(at.x + 2, at.y, inside, &place);
    canvas.phrase(at.x + 2, at.y, inside, &title);
    Rect { x: at.x + 2, y: at.y + 1, width: inside, height: height.saturating_sub(2) }
}
