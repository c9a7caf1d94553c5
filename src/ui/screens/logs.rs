//! The Logs screen: what qtop itself has to say.

use ratatui::layout::Rect;

use super::Body;
use crate::app::rows;
use crate::domain::log_line::LogLine;
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::figures;
use crate::ui::scene::Scene;
use crate::ui::widgets::empty;

/// Draws the screen.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    let view = &scene.state.logs;
    let lines = rows::logs(scene.state);
    let body = Body { rows: area.height.saturating_sub(1), top: area.y };
    let rows = usize::from(body.rows);
    let end = lines.len().saturating_sub(view.scroll.min(lines.len().saturating_sub(rows)));
    let start = end.saturating_sub(rows);
    for (y, line) in (body.top..).zip(&lines[start..end]) {
        canvas.phrase(area.x + 1, y, area.width.saturating_sub(2), &phrase(scene, area.width, line));
    }
    if lines.is_empty() {
        let (heading, hint) = if view.lines.is_empty() {
            ("Nothing was logged yet.", "--log-level or the configuration's log level decide what is.")
        } else {
            ("No line matches the filter.", "Esc clears it.")
        };
        empty::draw(canvas, Rect { height: body.rows, ..area }, Role::Text, heading, &[hint.to_owned()]);
    }
    let mut line = Phrase::new();
    if !view.filter.is_empty() {
        line.append_apart(Phrase::of(Role::Accent, format!("/{}", text::fit(&view.filter, 24))));
    }
    if !lines.is_empty() {
        let words = format!("{}–{} of {}", start + 1, end, text::count(lines.len() as u64));
        line.append_apart(Phrase::of(Role::Muted, words));
        let follows = if end == lines.len() { "follows the end" } else { "scrolled up" };
        line.append_apart(Phrase::of(Role::Muted, follows));
    }
    if view.dropped > 0 {
        let words = format!("{} lost, too many at once", figures::plural(view.dropped, "line", "lines"));
        line.append_apart(Phrase::of(Role::Warn, words));
    }
    canvas.phrase(area.x + 1, area.bottom().saturating_sub(1), area.width.saturating_sub(2), &line);
    body
}

fn phrase(scene: &Scene<'_>, width: u16, line: &LogLine) -> Phrase {
    let role = match line.level {
        "ERROR" => Role::Error,
        "WARN" => Role::Warn,
        "INFO" => Role::Info,
        _ => Role::Muted,
    };
    let mut phrase = Phrase::of(Role::Muted, format!("{} ", scene.time_of_day(line.time, 8)));
    phrase.push(role, format!("{:<5} ", line.level));
    if width >= 100 {
        let target = line.target.strip_prefix("qtop::").unwrap_or(&line.target);
        phrase.push(Role::Muted, format!("{} ", text::pad(target, 20)));
    }
    phrase.and(Role::Text, &line.text)
}
