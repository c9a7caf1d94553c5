//! What qtop draws: the state in, a frame out.
//!
//! [`view`] reads [`State`] through shared references only and decides nothing that `update` should know: the rows of
//! lists come from [`crate::app::rows`], keys and titles from the action table, looks from [`Theme`]. Nothing here
//! waits, reads a file, or knows Redis or a queue system. Every character goes through [`canvas::Canvas`].

mod canvas;
mod figures;
mod header;
mod notices;
mod overlays;
mod scene;
mod screens;
mod tabs;
mod verdict;
mod widgets;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use crate::app::guide;
use crate::app::message::Geometry;
use crate::app::state::{LEAST, Overlay, State};
use crate::theme::{Role, Theme};
use canvas::Canvas;
use scene::Scene;
use widgets::footer;

/// Lines that lasting notices may take from the body.
const MOST_BANNERS: u16 = 3;

/// Draws one frame; tells where things lie on it.
pub fn view(state: &State, theme: &Theme, frame: &mut Frame<'_>) -> Geometry {
    let area = frame.area();
    let (geometry, cursor) = draw(state, &mut Canvas::new(frame.buffer_mut(), theme), area);
    if let Some(position) = cursor {
        frame.set_cursor_position(position);
    }
    geometry
}

fn draw(state: &State, canvas: &mut Canvas<'_>, area: Rect) -> (Geometry, Option<Position>) {
    canvas.tint(area, Role::Screen);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        notices::too_small(state, canvas, area, LEAST);
        return (Geometry::default(), None);
    }
    let scene = Scene::new(state);
    let line = |y: u16| Rect { y, height: 1, ..area };
    header::draw(&scene, canvas, line(area.y));
    let tabs = second_line(&scene, canvas, line(area.y + 1));
    let banners = notices::banners(&scene, canvas, Rect { y: area.y + 2, height: MOST_BANNERS, ..area });
    let top = area.y + 2 + banners;
    let bottom = area.bottom() - 1;
    let body = screens::draw(&scene, canvas, Rect { y: top, height: bottom - top, ..area });
    let asked = matches!(state.overlay, Some(Overlay::Ask(_)));
    if !asked {
        notices::toasts(&scene, canvas, Rect { y: top, height: bottom - top, ..area });
    }
    let cursor = match &state.prompt {
        Some(prompt) => Some(notices::prompt(canvas, line(bottom), prompt)),
        None if asked => {
            notices::under_question(&scene, canvas, line(bottom));
            None
        }
        None => {
            footer::draw(canvas, line(bottom), &guide::footer(state));
            None
        }
    };
    let over = overlays::draw(&scene, canvas, Rect { y: area.y + 1, height: bottom - area.y - 1, ..area });
    let cursor = over.or(cursor);
    (Geometry { list_rows: body.rows, list_top: body.top, columns: canvas.columns(), tabs }, cursor)
}

/// The tabs, or below the top level what is being looked at.
fn second_line(scene: &Scene<'_>, canvas: &mut Canvas<'_>, at: Rect) -> Vec<(u16, u16)> {
    match screens::subject(scene, canvas) {
        Some(line) => {
            canvas.phrase(at.x + 1, at.y, at.width.saturating_sub(2), &line);
            Vec::new()
        }
        None => tabs::draw(scene, canvas, at),
    }
}
