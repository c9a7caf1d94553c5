//! A question before something is changed: what, where, on how many, what really happens, and the command that does the
//! same. The answer stands in the last line; No is the default.

use ratatui::layout::{Position, Rect};

use super::frame;
use crate::app::preview::{self, Fact, Tone};
use crate::app::question::{Deed, Question};
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::empty::wrap;
use crate::ui::widgets::lines::scrolled;

/// Columns of the labels.
const LABELS: usize = 11;
/// Lines of a single fact that are shown; a command with many ids is longer than anybody reads.
const MOST: usize = 4;

/// Draws the question; returns where the terminal's cursor belongs, if something is typed.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, question: &Question) -> Option<Position> {
    let width = area.width.saturating_sub(8).min(92);
    let lines = lines(scene, question, usize::from(width));
    let foot = 2 + u16::from(question.value.is_some()) * 2;
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(foot);
    let title = text::fit(&preview::heading(question), usize::from(width)).into_owned();
    let inner = frame(scene, canvas, area, (width, rows), &title);
    let body = Rect { height: inner.height.saturating_sub(foot), ..inner };
    scrolled(canvas, body, &lines, question.scroll);
    let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
    if let Some(entry) = &question.value {
        let (label, example) = entry.kind.words();
        let hint = entry.problem.as_deref().unwrap_or(example);
        let role = if entry.problem.is_some() { Role::Error } else { Role::Muted };
        canvas.text(last.x, last.y - 1, last.width, role, hint);
        canvas.phrase_right(last.x, last.y, last.width, &Phrase::of(Role::Muted, "Enter goes on  Esc no"));
        return Some(typed(canvas, Rect { y: last.y - 2, ..last }, label, &entry.text, entry.at));
    }
    if let Some(name) = &question.name {
        canvas.phrase_right(last.x, last.y, last.width, &Phrase::of(Role::Muted, "Enter: yes if it is right  Esc no"));
        let label = format!("type {} for yes:", text::fit(&name.expected, 30));
        return Some(typed(canvas, Rect { y: last.y - 1, ..last }, &label, &name.text, name.at));
    }
    answers(canvas, last, question);
    None
}

fn lines(scene: &Scene<'_>, question: &Question, columns: usize) -> Vec<Phrase> {
    let room = columns.saturating_sub(LABELS);
    let mut lines = Vec::new();
    for Fact { label, text, tone } in preview::facts(scene.state, question) {
        let role = match tone {
            Tone::Plain => Role::Text,
            Tone::Muted => Role::Muted,
            Tone::Warn => Role::Warn,
            Tone::Bad => Role::Error,
        };
        let mut wrapped = wrap(&text, room);
        if wrapped.len() > MOST {
            wrapped.truncate(MOST);
            if let Some(last) = wrapped.last_mut() {
                *last = format!("{} …", text::fit(last, room.saturating_sub(2)));
            }
        }
        for (number, line) in wrapped.into_iter().enumerate() {
            let lead = if number == 0 { label } else { "" };
            lines.push(Phrase::of(Role::Title, text::pad(lead, LABELS)).and(role, line));
        }
    }
    lines
}

/// A line that is typed, with its label before it.
fn typed(canvas: &mut Canvas<'_>, at: Rect, label: &str, words: &str, cursor: usize) -> Position {
    let used = canvas.text(at.x, at.y, at.width, Role::Accent, label) + 1;
    let room = usize::from(at.width.saturating_sub(used + 1));
    let before: String = words.chars().take(cursor).collect();
    let offset = text::width(&text::harmless(&before));
    let shown = if offset > room { text::fit_end(&before, room) } else { text::harmless(words) };
    canvas.text(at.x + used, at.y, at.width.saturating_sub(used), Role::Text, &shown);
    Position { x: at.x + used + offset.min(room) as u16, y: at.y }
}

/// `[ No ]  Yes (type y)`, and the keys that change how it is done.
fn answers(canvas: &mut Canvas<'_>, at: Rect, question: &Question) {
    let mut keys = Phrase::new();
    let bulk =
        question.draft().is_some_and(|draft| draft.is_of_jobs() && (draft.count() > 1 || draft.reading.is_some()));
    let more: &[(&str, &str)] = if bulk { &[("r", "ramp"), ("+ -", "pace"), ("Y", "copy")] } else { &[("Y", "copy")] };
    if question.draft().is_some() {
        for (key, word) in more {
            keys.append_apart(Phrase::of(Role::Key, *key).and(Role::Muted, format!(" {word}")));
        }
    }
    canvas.phrase(at.x, at.y, at.width, &keys);
    if let Deed::Leave(_) = question.deed {
        let answer = Phrase::of(Role::Accent, "[ Stay ]").and(Role::Text, "   or one of the letters above");
        canvas.phrase_right(at.x, at.y, at.width, &answer);
        return;
    }
    let possible = question.incomplete().is_none();
    let mut answer = Phrase::of(Role::Accent, "[ No ]");
    answer.push(if possible { Role::Text } else { Role::Muted }, "   Yes (type ");
    answer.push(if possible { Role::Key } else { Role::Muted }, "y");
    answer.push(if possible { Role::Text } else { Role::Muted }, ")");
    canvas.phrase_right(at.x, at.y, at.width, &answer);
}
