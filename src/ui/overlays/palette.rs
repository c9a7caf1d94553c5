//! The palette: what is typed, and everything it could mean.

use ratatui::layout::{Position, Rect};

use super::frame;
use crate::app::palette::{self, COMMANDS, Choice, Entry};
use crate::app::state::PaletteView;
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::footer::key_name;
use crate::ui::widgets::table::first_visible;

/// Draws the palette; returns where the terminal's cursor belongs.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, view: &PaletteView) -> Position {
    let entries = palette::entries(scene.state);
    let height = area.height.saturating_sub(4).clamp(4, 20);
    let inner = frame(scene, canvas, area, (area.width.saturating_sub(8).min(84), height), "Go to");
    canvas.text(inner.x, inner.y, 1, Role::Accent, ":");
    let typed = view.input.trim_start_matches(':');
    let room = usize::from(inner.width.saturating_sub(3));
    let shown = text::fit_end(typed, room);
    let used = canvas.text(inner.x + 1, inner.y, inner.width - 1, Role::Text, &shown);
    if typed.is_empty() {
        let names: Vec<&str> = COMMANDS.iter().map(|(name, _)| *name).filter(|name| *name != "ctx").collect();
        let hint = format!("type part of a name, or {}", names.join(", "));
        canvas.text(inner.x + 2, inner.y, inner.width.saturating_sub(2), Role::Muted, &hint);
    }
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    if entries.is_empty() {
        canvas.text(list.x, list.y, list.width, Role::Muted, "Nothing of that name.");
    }
    let rows = usize::from(list.height);
    let index = view.index.min(entries.len().saturating_sub(1));
    let top = first_visible(0, index, rows, entries.len());
    for (y, (number, entry)) in (list.y..list.bottom()).zip(entries.iter().enumerate().skip(top)) {
        let at = Rect { y, height: 1, ..list };
        draw_entry(canvas, at, entry);
        if number == index {
            canvas.tint(at, Role::Selection);
        }
    }
    Position { x: (inner.x + 1 + used).min(inner.right() - 1), y: inner.y }
}

/// Label with what matched lit, and the detail at the right.
fn draw_entry(canvas: &mut Canvas<'_>, at: Rect, entry: &Entry) {
    let is_key = entry.enabled && matches!(entry.choice, Choice::Action(_));
    let detail = if is_key { key_name(canvas.glyphs(), &entry.detail) } else { entry.detail.clone() };
    let detail = text::fit(&detail, usize::from(at.width / 2)).into_owned();
    let width = text::width(&detail) as u16;
    let plain = if entry.enabled { Role::Text } else { Role::Muted };
    let label = lit(entry, plain);
    canvas.phrase(at.x, at.y, at.width.saturating_sub(width + 2), &label);
    canvas.phrase_right(at.x, at.y, at.width, &Phrase::of(Role::Muted, detail));
}

/// The label in runs: a mark on a letter must stay in the same piece as the letter.
fn lit(entry: &Entry, plain: Role) -> Phrase {
    let mut phrase = Phrase::new();
    let mut run = (plain, String::new());
    for (number, c) in (0u32..).zip(entry.label.chars()) {
        let matched = entry.matched.binary_search(&number).is_ok();
        let role = if matched { Role::Match } else { plain };
        if role != run.0 && text::width(c.encode_utf8(&mut [0; 4])) > 0 {
            phrase.push(run.0, &run.1);
            run = (role, String::new());
        }
        run.1.push(c);
    }
    phrase.push(run.0, &run.1);
    phrase
}
