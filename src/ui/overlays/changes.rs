//! Changes of this run: how they stand, how they ended, and what became of each job.

use std::time::Duration;

use ratatui::layout::Rect;

use super::frame;
use crate::app::actions::ActionId;
use crate::app::changes::Made;
use crate::app::preview::plural;
use crate::app::safeguard;
use crate::domain::change::Control;
use crate::domain::ids::{QueueId, Ticket};
use crate::domain::text;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::bar::blocks;
use crate::ui::widgets::empty::wrap;
use crate::ui::widgets::footer::key_name;
use crate::ui::widgets::lines::scrolled;
use crate::ui::widgets::table::first_visible;

/// Jobs of each sort that are listed; the rest is counted.
const LISTED: usize = 500;

/// Draws the list, or the results of one change.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, index: usize, open: Option<(Ticket, usize)>) {
    let changes = &scene.state.changes;
    if let Some((ticket, scroll)) = open {
        if let Some(made) = changes.list.iter().find(|made| made.ticket == ticket) {
            results(scene, canvas, area, made, scroll);
        }
        return;
    }
    let rows = changes.list.len().max(1) as u16 + 1;
    let width = area.width.saturating_sub(6).min(110);
    let inner = frame(scene, canvas, area, (width, rows), "Changes");
    if changes.list.is_empty() {
        canvas.text(inner.x, inner.y, inner.width, Role::Muted, "Nothing was changed since qtop was started.");
    }
    let list = Rect { height: inner.height.saturating_sub(1), ..inner };
    let index = index.min(changes.list.len().saturating_sub(1));
    let top = first_visible(0, index, usize::from(list.height), changes.list.len());
    for (y, (number, made)) in (list.y..list.bottom()).zip(changes.list.iter().enumerate().skip(top)) {
        let at = Rect { y, height: 1, ..list };
        canvas.phrase(at.x, y, at.width, &line(scene, canvas.glyphs(), made, at.width));
        if number == index {
            canvas.tint(at, Role::Selection);
        }
    }
    let hint = hint(scene, canvas.glyphs(), changes.list.get(index));
    canvas.phrase(inner.x, inner.bottom().saturating_sub(1), inner.width, &hint);
}

fn hint(scene: &Scene<'_>, glyphs: &Glyphs, made: Option<&Made>) -> Phrase {
    let Some(made) = made else { return Phrase::of(Role::Muted, "Esc closes") };
    let mut keys = vec![(ActionId::Open, "results")];
    if made.is_running() {
        let word = if made.control == Control::Pause { "go on" } else { "pause" };
        keys.extend([(ActionId::QueuePause, word), (ActionId::JobCancel, "stop")]);
    } else if made.ended.as_ref().is_some_and(|(summary, _)| summary.undo.is_some()) {
        keys.push((ActionId::Undo, "undo it"));
    }
    keys.push((ActionId::Back, "close"));
    let mut line = Phrase::new();
    for (id, word) in keys {
        if let Some(key) = scene.state.keymap.key(id) {
            line.append_apart(Phrase::of(Role::Key, key_name(glyphs, &key)).and(Role::Muted, format!(" {word}")));
        }
    }
    line
}

/// Time left at the rate so far.
pub fn left(made: &Made) -> Option<Duration> {
    let rest = made.progress.requested.saturating_sub(made.dealt());
    (made.progress.rate > 0.0 && rest > 0).then(|| Duration::from_secs_f64(rest as f64 / made.progress.rate))
}

fn name(made: &Made) -> String {
    let queue = made.queue.as_ref().map(QueueId::short_address).unwrap_or_default();
    format!("{} {queue}", made.what.word().replace('_', " "))
}

/// A running change in one line: what, how far, how fast, how long, what was refused.
pub fn running(glyphs: &Glyphs, made: &Made, width: u16) -> Phrase {
    let progress = &made.progress;
    let mut line = Phrase::of(Role::Text, format!("{} ", text::fit(&name(made), usize::from(width) / 3)));
    if progress.requested > 1 {
        let percent = made.dealt() as f64 * 100.0 / progress.requested as f64;
        line.append(blocks(glyphs, percent, 10, made.control == Control::Pause));
        line.push(Role::Text, format!(" {}", text::percent(percent)));
        let of = format!("  {} of {}", text::count(made.dealt()), text::count(progress.requested));
        line.push(Role::Text, of);
    }
    match made.control {
        Control::Pause => line.push(Role::Warn, "  paused"),
        Control::Stop | Control::Leave => line.push(Role::Warn, "  stopping"),
        Control::Go if progress.rate > 0.0 => {
            line.push(Role::Muted, format!("  {}/s", text::rate(progress.rate)));
            if let Some(left) = left(made) {
                line.push(Role::Muted, format!("  eta {}", text::age(left)));
            }
        }
        Control::Go => line.push(Role::Muted, "  under way"),
    }
    if progress.refused > 0 {
        line.push(Role::Warn, format!("  {} refused", text::count(progress.refused)));
    }
    if progress.unknown > 0 {
        line.push(Role::Error, format!("  {} unknown", text::count(progress.unknown)));
    }
    line
}

fn line(scene: &Scene<'_>, glyphs: &Glyphs, made: &Made, width: u16) -> Phrase {
    let Some((summary, at)) = &made.ended else { return running(glyphs, made, width) };
    let outcome = &summary.outcome;
    let whole = summary.error.is_none() && outcome.refused.is_empty() && outcome.unknown.is_empty();
    let (role, sign) = if whole { (Role::Ok, glyphs.check) } else { (Role::Warn, glyphs.look) };
    let mut line = Phrase::of(role, format!("{sign} "));
    line.push(Role::Text, text::fit(&name(made), usize::from(width) / 2));
    line.push(Role::Text, format!("  {} done", text::count(outcome.done.len() as u64)));
    for (count, word, role) in [
        (outcome.refused.len() as u64, "refused", Role::Warn),
        (outcome.unknown.len() as u64, "unknown", Role::Error),
        (summary.left, "not touched", Role::Warn),
    ] {
        if count > 0 {
            line.push(role, format!("  {} {word}", text::count(count)));
        }
    }
    if let Some(error) = &summary.error {
        line.push(Role::Error, format!("  {}", error.text));
    }
    line.push(Role::Muted, format!("  {} ago", text::age(scene.since(*at))));
    line
}

fn results(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, made: &Made, scroll: usize) {
    let width = area.width.saturating_sub(6).min(110);
    let glyphs = canvas.glyphs();
    let mut lines = vec![line(scene, glyphs, made, width)];
    if let Some((summary, _)) = &made.ended {
        let room = usize::from(width);
        let broken = |role, words: &str| wrap(words, room).into_iter().map(move |line| Phrase::of(role, line));
        if let Some(error) = &summary.error {
            lines.extend(broken(Role::Error, &safeguard::here(&error.text)));
            lines.extend(error.remedy.iter().flat_map(|remedy| broken(Role::Info, remedy)));
        }
        lines.extend(summary.undo.iter().map(|token| Phrase::of(Role::Muted, format!("undo token {token}"))));
        let outcome = &summary.outcome;
        for (id, reason) in outcome.refused.iter().take(LISTED) {
            let id = Phrase::of(Role::Warn, "refused  ").and(Role::Text, format!("{id}  "));
            let reason = safeguard::here(reason);
            if usize::from(id.width()) + text::width(&reason) <= room {
                lines.push(id.and(Role::Muted, reason));
                continue;
            }
            lines.push(id);
            let under = wrap(&reason, room.saturating_sub(9)).into_iter();
            lines.extend(under.map(|line| Phrase::of(Role::Muted, format!("         {line}"))));
        }
        if outcome.refused.len() > LISTED {
            let rest = plural((outcome.refused.len() - LISTED) as u64, "more job");
            lines.push(Phrase::of(Role::Warn, "refused  ").and(Role::Muted, rest));
        }
        for (label, role, ids) in [
            ("unknown  ", Role::Error, &outcome.unknown),
            ("new      ", Role::Ok, &outcome.created),
            ("done     ", Role::Ok, &outcome.done),
        ] {
            lines.extend(ids.iter().take(LISTED).map(|id| Phrase::of(role, label).and(Role::Text, id.to_text())));
            if ids.len() > LISTED {
                let rest = plural((ids.len() - LISTED) as u64, "more job");
                lines.push(Phrase::of(role, label).and(Role::Muted, rest));
            }
        }
    } else {
        lines.push(Phrase::of(Role::Muted, "What became of each job is told at the end."));
    }
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let inner = frame(scene, canvas, area, (width, rows), "Results");
    scrolled(canvas, inner, &lines, scroll);
}
