//! The first line: where am I, is it production, is the data fresh, what do I cost.

use ratatui::layout::Rect;

use super::canvas::{Canvas, Phrase};
use super::scene::Scene;
use crate::domain::snapshot::LinkHealth;
use crate::domain::text;
use crate::theme::Role;

/// From so many columns on, figures have a word before them.
const LABELLED: u16 = 110;

/// A part of the line. Higher ranks give way first; rank 0 always stays.
struct Part {
    rank: u8,
    phrase: Phrase,
}

/// Draws the line.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, at: Rect) {
    let mut left = facts(scene, at.width >= LABELLED);
    let mut right = badges(scene);
    let room = at.width.saturating_sub(2);
    while total(&left) + total(&right) + 2 > room {
        let worst = left.iter().chain(&right).map(|part| part.rank).max().unwrap_or(0);
        if worst == 0 {
            break;
        }
        let drop = |parts: &mut Vec<Part>| {
            let index = parts.iter().rposition(|part| part.rank == worst);
            index.map(|index| parts.remove(index)).is_some()
        };
        if !drop(&mut left) {
            drop(&mut right);
        }
    }
    let right = joined(right);
    let width = right.width();
    canvas.phrase(at.x + 1, at.y, room.saturating_sub(width + 2), &joined(left));
    canvas.phrase_right(at.x + 1, at.y, room, &right);
}

fn total(parts: &[Part]) -> u16 {
    parts.iter().map(|part| part.phrase.width().saturating_add(2)).fold(0, u16::saturating_add).saturating_sub(2)
}

fn joined(parts: Vec<Part>) -> Phrase {
    let mut line = Phrase::new();
    parts.into_iter().for_each(|part| line.append_apart(part.phrase));
    line
}

/// What stands on the left; with words before the figures if there is room for them.
fn facts(scene: &Scene<'_>, labelled: bool) -> Vec<Part> {
    let (state, snapshot) = (scene.state, scene.snapshot);
    let mut parts = vec![Part { rank: 9, phrase: Phrase::of(Role::Accent, "qtop") }];
    let mut name = Phrase::of(Role::Text, text::fit(&state.server.name, 24));
    if let Some(environment) = &state.server.environment {
        let role = if state.server.is_production() { Role::Prod } else { Role::Info };
        name.push(Role::Text, " ");
        name.push(role, text::fit(&environment.to_uppercase(), 16));
    }
    parts.push(Part { rank: 0, phrase: name });
    let facts = &snapshot.facts;
    if snapshot.seq > 0 {
        let product = facts.product.as_deref().unwrap_or("redis");
        let version = facts.version.as_deref().map(|version| short_version(version, 2)).unwrap_or_else(|| "?".into());
        let mut words = format!("{product} {version}");
        let mode = facts.mode.as_deref().filter(|mode| *mode != "standalone");
        for fact in [mode, facts.role.as_deref()].into_iter().flatten() {
            words.push(' ');
            words.push_str(fact);
        }
        parts.push(Part { rank: 8, phrase: Phrase::of(Role::Muted, text::fit(&words, 36)) });
    }
    if snapshot.link == LinkHealth::Up {
        let figures = state.steady.figures(snapshot);
        let rtt = figures.rtt.as_secs_f64() * 1_000.0;
        let rtt = if rtt < 10.0 { format!("{rtt:.1}") } else { format!("{rtt:.0}") };
        parts.push(Part { rank: 7, phrase: Phrase::of(Role::Muted, "rtt ").and(Role::Text, format!("{rtt:>3}ms")) });
        let bytes = text::size(figures.bytes_per_second.max(0.0) as u64).replace(' ', "");
        // What qtop costs, on every screen (P11): what else this line tells stands on the Server screen, too.
        let mut words = format!("{}cmd/s {bytes}/s", text::count(figures.commands_per_second.max(0.0).round() as u64));
        if let Some(millis) = figures.server_ms_per_second {
            words.push_str(&format!(" {}ms/s", text::rate(millis)));
        }
        let label = |word: &str| Phrase::of(Role::Muted, if labelled { word } else { "" });
        parts.push(Part { rank: 3, phrase: label("cost ").and(Role::Text, words) });
        if let Some((command, mean)) = &figures.slowest {
            let words = format!("{command} {}", text::micros(*mean).replace(' ', ""));
            parts.push(Part { rank: 5, phrase: label("slowest ").and(Role::Muted, words) });
        }
    }
    parts
}

fn badges(scene: &Scene<'_>) -> Vec<Part> {
    let (state, snapshot) = (scene.state, scene.snapshot);
    let mut parts = Vec::new();
    match (&state.server.read_only, state.server.unlocked_until) {
        (Some(_), Some(until)) if until > state.clock.mono => {
            // In whole minutes, rounded up: a figure that changes every second would redraw an idle screen (F5).
            let left = until.saturating_duration_since(state.clock.mono).as_secs().div_ceil(60);
            parts.push(Part { rank: 0, phrase: Phrase::of(Role::Warn, format!("UNLOCKED {left}m")) });
        }
        (Some(_), _) => parts.push(Part { rank: 6, phrase: Phrase::of(Role::Muted, "read-only") }),
        (None, _) => {}
    }
    if state.frozen.is_some() {
        parts.push(Part { rank: 0, phrase: Phrase::of(Role::Warn, format!("FROZEN {}", text::age(state.age()))) });
    } else if scene.stale {
        parts.push(Part { rank: 0, phrase: Phrase::of(Role::Warn, format!("STALE {}", text::age(state.age()))) });
    }
    match &snapshot.link {
        LinkHealth::Up => {}
        LinkHealth::Connecting { .. } => {
            parts.push(Part { rank: 0, phrase: Phrase::of(Role::Warn, "connecting") });
        }
        LinkHealth::Down { since, .. } => {
            let words = format!("DOWN {}", text::age(scene.since(*since)));
            parts.push(Part { rank: 0, phrase: Phrase::of(Role::Error, words) });
        }
    }
    if state.settings.show_clock {
        parts.push(Part { rank: 1, phrase: Phrase::of(Role::Muted, scene.clock()) });
    }
    parts
}

/// The first parts of a version: `7.2.11` as `7.2`.
pub fn short_version(version: &str, parts: usize) -> String {
    version.split('.').take(parts).collect::<Vec<_>>().join(".")
}
