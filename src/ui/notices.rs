//! Lines that are not always there: too small, banners, toasts, the line that is being typed.

use ratatui::layout::{Position, Rect};

use super::canvas::{Canvas, Phrase};
use super::overlays::changes;
use super::scene::Scene;
use crate::app::actions::ActionId;
use crate::app::state::{Overlay, Prompt, PromptKind, State, Toast};
use crate::domain::snapshot::LinkHealth;
use crate::domain::text;
use crate::theme::Role;
use crate::ui::widgets::empty::wrap;

/// Most toasts shown at once.
const TOASTS: usize = 3;
/// Lines of one toast; what is longer is cut.
const LINES: usize = 3;

/// What stands on a screen that is too small for anything else. Keys work all the same.
pub fn too_small(state: &State, canvas: &mut Canvas<'_>, area: Rect, least: (u16, u16)) {
    let mut lines = vec![
        (Role::Warn, "qtop needs more room".to_owned()),
        (Role::Text, format!("at least {}x{}, this is {}x{}", least.0, least.1, area.width, area.height)),
    ];
    // A question that cannot be read cannot be answered with yes.
    lines.push(match state.overlay {
        Some(Overlay::Ask(_)) => (Role::Warn, "a question waits; Esc is no".to_owned()),
        _ => (Role::Muted, "q quits".to_owned()),
    });
    let top = area.y + area.height.saturating_sub(lines.len() as u16) / 2;
    for (y, (role, words)) in (top..area.bottom()).zip(lines) {
        let missing = area.width.saturating_sub(text::width(&words) as u16) / 2;
        canvas.text(area.x + missing, y, area.width - missing, role, &words);
    }
}

/// Lasting problems, one line each; returns how many lines they took.
pub fn banners(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> u16 {
    let glyphs = canvas.glyphs();
    let mut lines = Vec::new();
    if let LinkHealth::Down { error, remedy, since } = &scene.snapshot.link {
        let mut line = Phrase::of(Role::Error, format!("{} ", glyphs.act));
        line.push(Role::Error, format!("no answer for {}: ", text::age(scene.since(*since))));
        line.push(Role::Text, error);
        let remedy = remedy.as_deref().map_or_else(Phrase::new, |remedy| Phrase::of(Role::Muted, remedy));
        if line.width() + 2 + remedy.width() <= area.width.saturating_sub(2) {
            line.append_apart(remedy);
            lines.push(line);
        } else {
            lines.push(line);
            lines.extend((!remedy.is_empty()).then(|| {
                let mut indented = Phrase::of(Role::Muted, "  ");
                indented.append(remedy);
                indented
            }));
        }
    }
    if let Some(banner) = &scene.state.banner {
        let line = Phrase::of(Role::Warn, format!("{} {}", glyphs.look, banner.title));
        lines.push(line);
    }
    if scene.state.server.insecure {
        let words =
            format!("{} certificates are not checked: anybody on the way can read and change this", glyphs.look);
        lines.push(Phrase::of(Role::Warn, words));
    }
    // A change under way is in sight wherever one goes meanwhile.
    let running: Vec<_> = scene.state.changes.running().collect();
    if let Some(made) = running.first() {
        let mut line = Phrase::of(Role::Info, format!("{} ", glyphs.arrow));
        line.append(changes::running(glyphs, made, area.width));
        if running.len() > 1 {
            line.push(Role::Muted, format!("  and {} more", running.len() - 1));
        }
        if let Some(key) = scene.state.keymap.key(ActionId::Changes) {
            let hint = Phrase::of(Role::Key, key).and(Role::Muted, " shows");
            if line.width() + 2 + hint.width() <= area.width.saturating_sub(2) {
                line.append_apart(hint);
            }
        }
        lines.insert(0, line);
    }
    let mut used = 0;
    for (y, line) in (area.y..area.bottom()).zip(&lines) {
        canvas.phrase(area.x + 1, y, area.width.saturating_sub(2), line);
        used += 1;
    }
    used
}

/// Short notices over the last lines of the body, newest lowest. Long ones are broken, for their end says what to do.
pub fn toasts(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) {
    let toasts = &scene.state.toasts;
    let shown = &toasts[toasts.len().saturating_sub(TOASTS)..];
    let room = usize::from(area.width.saturating_sub(4));
    let mut lines = Vec::new();
    for toast in shown {
        let (role, sign) = look_of(canvas, toast);
        let mut broken = wrap(&toast.text, room);
        if broken.len() > LINES {
            broken.truncate(LINES);
            if let Some(last) = broken.last_mut() {
                *last = format!("{} …", text::fit(last, room.saturating_sub(2)));
            }
        }
        let lead = |number: usize| if number == 0 { format!("{sign} ") } else { "  ".to_owned() };
        let phrases = broken.iter().enumerate();
        lines.extend(phrases.map(|(number, words)| Phrase::of(role, lead(number)).and(role, words)));
    }
    for (line, y) in lines.iter().rev().zip((area.y..area.bottom()).rev()) {
        let at = Rect { y, height: 1, ..area };
        canvas.wipe(at);
        canvas.phrase(at.x + 1, at.y, at.width.saturating_sub(2), line);
    }
}

/// The footer under a question: none of the screen's keys works now, and a notice must not be hidden by the question.
pub fn under_question(scene: &Scene<'_>, canvas: &mut Canvas<'_>, at: Rect) {
    let line = match scene.state.toasts.last() {
        Some(toast) => {
            let (role, sign) = look_of(canvas, toast);
            Phrase::of(role, format!("{sign} ")).and(role, &toast.text)
        }
        None => Phrase::of(Role::Muted, "a question waits; Esc is no"),
    };
    canvas.phrase(at.x + 1, at.y, at.width.saturating_sub(2), &line);
}

fn look_of(canvas: &Canvas<'_>, toast: &Toast) -> (Role, &'static str) {
    let glyphs = canvas.glyphs();
    if toast.bad { (Role::Error, glyphs.act) } else { (Role::Info, glyphs.arrow) }
}

/// The line that is being typed, in the footer's place; returns where the terminal's cursor belongs.
pub fn prompt(canvas: &mut Canvas<'_>, at: Rect, prompt: &Prompt) -> Position {
    let (sign, hint) = match prompt.kind {
        PromptKind::Filter => ("/", "Enter keeps  Esc clears  !word excludes  column:word"),
        PromptKind::Search { deep: false } => ("search server: ", "Enter searches id, name, error  Esc"),
        PromptKind::Search { deep: true } => ("search payloads: ", "Enter searches payloads too  Esc"),
    };
    let used = canvas.text(at.x + 1, at.y, at.width.saturating_sub(2), Role::Accent, sign) + 1;
    let room = at.width.saturating_sub(used + 1);
    let before: String = prompt.text.chars().take(prompt.at).collect();
    let offset = text::width(&text::harmless(&before));
    let room_wide = usize::from(room.saturating_sub(1));
    // A line longer than its place shows its end, where the typing happens.
    let line = if offset > room_wide { text::fit_end(&before, room_wide) } else { text::harmless(&prompt.text) };
    let written = canvas.text(at.x + used, at.y, room, Role::Text, &line);
    let hint_width = text::width(hint) as u16;
    if written + hint_width + 4 <= room {
        canvas.phrase_right(at.x + used, at.y, room, &Phrase::of(Role::Muted, hint));
    }
    let cursor = at.x + used + (offset.min(room_wide) as u16);
    Position { x: cursor.min(at.right().saturating_sub(1)), y: at.y }
}
