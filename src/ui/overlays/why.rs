//! Why something does not move: reasons with the evidence they rest on and what to do.

use ratatui::layout::Rect;

use super::frame;
use crate::app::state::Loaded;
use crate::domain::ids::{JobId, QueueId};
use crate::domain::reason::Reason;
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::badge;
use crate::ui::widgets::empty::wrap;
use crate::ui::widgets::lines::scrolled;

/// What was asked, and what came back.
pub struct Question<'a> {
    /// Of which queue.
    pub queue: &'a QueueId,
    /// Of which job of it.
    pub job: Option<&'a JobId>,
    /// The answer.
    pub loaded: &'a Loaded<Vec<Reason>>,
    /// Scrolled down by so many lines.
    pub scroll: usize,
}

/// Draws the answer.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, question: &Question<'_>) {
    let width = area.width.saturating_sub(8).min(96);
    let columns = usize::from(width);
    let name = text::fit(&question.queue.name.to_text(), 24).into_owned();
    let title = match question.job {
        Some(job) => format!("Why does {} of {name} not move?", text::fit_middle(&job.to_text(), 20)),
        None => format!("Why does {name} not move?"),
    };
    let lines = lines(scene, canvas, question.loaded, columns);
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let inner = frame(scene, canvas, area, (width, rows.max(3)), &title);
    scrolled(canvas, inner, &lines, question.scroll);
}

fn lines(scene: &Scene<'_>, canvas: &Canvas<'_>, loaded: &Loaded<Vec<Reason>>, columns: usize) -> Vec<Phrase> {
    let mut lines = Vec::new();
    let mut paragraph = |role: Role, indent: &str, words: &str| {
        let room = columns.saturating_sub(text::width(indent));
        lines.extend(wrap(words, room).into_iter().map(|line| Phrase::of(Role::Text, indent).and(role, line)));
    };
    if let Some(error) = &loaded.error {
        paragraph(Role::Error, "", &error.text);
        if let Some(remedy) = &error.remedy {
            paragraph(Role::Muted, "", remedy);
        }
    }
    let Some(reasons) = &loaded.data else {
        if loaded.error.is_none() {
            paragraph(Role::Muted, "", "Looking …");
        }
        return lines;
    };
    if reasons.is_empty() {
        paragraph(Role::Text, "", "Nothing was found that would hold it up.");
    }
    let glyphs = canvas.glyphs();
    for (number, reason) in reasons.iter().enumerate() {
        if number > 0 {
            lines.push(Phrase::new());
        }
        let (role, sign) = badge::severity(glyphs, reason.severity);
        for (index, line) in wrap(&reason.text, columns.saturating_sub(2)).into_iter().enumerate() {
            let lead = if index == 0 { sign } else { " " };
            lines.push(Phrase::of(role, format!("{lead} ")).and(Role::Text, line));
        }
        for (label, words, role) in [
            ("  seen  ", Some(reason.evidence.as_str()), Role::Muted),
            ("  do    ", reason.remedy.as_deref(), Role::Info),
        ] {
            let room = columns.saturating_sub(label.len());
            for (index, line) in wrap(words.unwrap_or_default(), room).into_iter().enumerate() {
                if line.is_empty() {
                    continue;
                }
                let lead = if index == 0 { label } else { "        " };
                lines.push(Phrase::of(Role::Title, lead).and(role, line));
            }
        }
    }
    if let Some(age) = loaded.age(scene.state.clock.mono).filter(|age| age.as_secs() >= 5) {
        lines.push(Phrase::new());
        lines.push(Phrase::of(Role::Muted, format!("looked at {} ago", text::age(age))));
    }
    lines
}
