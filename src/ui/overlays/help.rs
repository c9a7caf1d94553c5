//! The help: what can be done on this screen first, then everything else.

use ratatui::layout::Rect;

use super::frame;
use crate::app::actions::Danger;
use crate::app::guide::{self, HelpEntry, HelpSection};
use crate::domain::text;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::footer::key_name;
use crate::ui::widgets::lines::scrolled;

/// Columns of the keys.
const KEYS: usize = 18;
/// Columns of one half; two stand side by side where there is room.
const HALF: u16 = 62;

/// Draws the help.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, scroll: usize) {
    let glyphs = canvas.glyphs();
    let lines = lines(glyphs, &guide::help(scene.state));
    let side_by_side = area.width >= 2 * HALF + 8;
    let width = if side_by_side { 2 * HALF } else { area.width.saturating_sub(4).min(76) };
    let title = format!("Help, Esc closes it  {} changes a queue", glyphs.act);
    if side_by_side {
        let half = lines.len().div_ceil(2);
        let rows = u16::try_from(half).unwrap_or(u16::MAX);
        let inner = frame(scene, canvas, area, (width, rows), &title);
        let (left, right) = lines.split_at(half);
        let column = Rect { width: inner.width / 2 - 1, ..inner };
        scrolled(canvas, column, left, scroll);
        scrolled(canvas, Rect { x: inner.x + inner.width / 2, ..column }, right, scroll);
        return;
    }
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let inner = frame(scene, canvas, area, (width, rows), &title);
    scrolled(canvas, inner, &lines, scroll);
}

fn lines(glyphs: &Glyphs, sections: &[HelpSection]) -> Vec<Phrase> {
    let mut lines = Vec::new();
    for section in sections {
        if !lines.is_empty() {
            lines.push(Phrase::new());
        }
        let mut title = Phrase::of(if section.here { Role::Accent } else { Role::Title }, section.title);
        if !section.here {
            title.push(Role::Muted, "  elsewhere");
        }
        lines.push(title);
        lines.extend(section.entries.iter().map(|entry| line(glyphs, entry)));
    }
    lines
}

fn line(glyphs: &Glyphs, entry: &HelpEntry) -> Phrase {
    let keys: Vec<String> = entry.keys.iter().map(|key| key_name(glyphs, key)).collect();
    let mut line = Phrase::of(Role::Key, text::pad(&keys.join(" "), KEYS));
    match entry.danger {
        Danger::Safe => line.push(Role::Text, "  "),
        Danger::Changes => line.push(Role::Warn, format!("{} ", glyphs.act)),
        Danger::Destroys => line.push(Role::Error, format!("{} ", glyphs.act)),
    }
    line.and(Role::Text, entry.title)
}
