//! What can be undone, and what was changed before: lists read from local files.

use ratatui::layout::Rect;

use super::frame;
use crate::app::state::Loaded;
use crate::domain::change::{AuditLine, TrashItem};
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::table::first_visible;

/// Draws what can be undone.
pub fn trash(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, index: usize) {
    let loaded = &scene.state.changes.trash;
    let line = |item: &TrashItem| {
        let here = item.server == scene.state.server.name;
        let role = if here { Role::Text } else { Role::Muted };
        Phrase::of(Role::Muted, format!("{}  ", time(&item.time)))
            .and(role, text::pad(&item.action, 10))
            .and(role, format!(" {}  ", item.queue))
            .and(Role::Muted, text::size(item.bytes))
            .and(Role::Muted, if here { String::new() } else { format!("  on {}", item.server) })
    };
    let words = (
        "What can be undone",
        "Nothing is in the local trash.",
        "Enter puts it back, asks first  times in UTC  Esc closes",
    );
    list(scene, canvas, area, (loaded, index), words, line, |_| None);
}

/// Draws what was changed, when, by whom.
pub fn audit(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, index: usize) {
    let loaded = &scene.state.changes.audit;
    let line = |entry: &AuditLine| {
        let role = match entry.phase.as_str() {
            "done" => Role::Ok,
            "begun" => Role::Muted,
            _ => Role::Warn,
        };
        let mut line = Phrase::of(Role::Muted, format!("{}  ", time(&entry.time)));
        line.push(role, format!("{} ", text::pad(&entry.phase, 7)));
        line.push(Role::Text, format!("{} {}", entry.action, entry.queue));
        match entry.outcome {
            Some([done, refused, unknown]) => {
                line.push(Role::Text, format!("  {done} done"));
                for (count, word) in [(refused, "refused"), (unknown, "unknown")] {
                    if count > 0 {
                        line.push(Role::Warn, format!("  {count} {word}"));
                    }
                }
            }
            None => line.push(Role::Muted, format!("  {} asked for", entry.count)),
        }
        line
    };
    let more = |entry: &AuditLine| {
        let ids = if entry.ids.is_empty() { String::new() } else { format!("  ids {}", entry.ids.join(" ")) };
        let error = entry.error.as_ref().map(|error| format!("  {error}")).unwrap_or_default();
        Some(format!("{} on {}{error}{ids}", entry.operator, entry.server))
    };
    let words = ("What was changed", "Nothing was changed yet.", "newest first, times in UTC  Esc closes");
    list(scene, canvas, area, (loaded, index), words, line, more);
}

/// A list under a cursor; the last two lines tell more about the row under it, and the keys.
fn list<T>(
    scene: &Scene<'_>,
    canvas: &mut Canvas<'_>,
    area: Rect,
    (loaded, index): (&Loaded<Vec<T>>, usize),
    (title, nothing, keys): (&str, &str, &str),
    line: impl Fn(&T) -> Phrase,
    more: impl Fn(&T) -> Option<String>,
) {
    let rows: &[T] = loaded.data.as_deref().unwrap_or_default();
    let width = area.width.saturating_sub(6).min(110);
    let height = (rows.len() as u16).clamp(1, area.height) + 2;
    let inner = frame(scene, canvas, area, (width, height), title);
    let body = Rect { height: inner.height.saturating_sub(2), ..inner };
    if rows.is_empty() {
        let (role, words) = match &loaded.error {
            Some(error) => (Role::Error, error.text.as_str()),
            None if loaded.data.is_none() => (Role::Muted, "Reading …"),
            None => (Role::Muted, nothing),
        };
        canvas.text(body.x, body.y, body.width, role, words);
    }
    let index = index.min(rows.len().saturating_sub(1));
    let top = first_visible(0, index, usize::from(body.height), rows.len());
    for (y, (number, row)) in (body.y..body.bottom()).zip(rows.iter().enumerate().skip(top)) {
        let at = Rect { y, height: 1, ..body };
        canvas.phrase(at.x, y, at.width, &line(row));
        if number == index {
            canvas.tint(at, Role::Selection);
        }
    }
    if let Some(words) = rows.get(index).and_then(more) {
        canvas.text(inner.x, inner.bottom().saturating_sub(2), inner.width, Role::Muted, &words);
    }
    canvas.text(inner.x, inner.bottom().saturating_sub(1), inner.width, Role::Muted, keys);
}

/// `2026-01-02 03:04:05` of a time in RFC 3339.
fn time(rfc3339: &str) -> String {
    let seconds: String = rfc3339.chars().take(19).collect();
    seconds.replace('T', " ")
}
