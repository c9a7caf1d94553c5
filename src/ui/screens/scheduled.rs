//! The Scheduled screen: what will run later, soonest first.

use ratatui::layout::Rect;

use super::listing::Listing;
use super::{Body, failed_queues, no_rows};
use crate::app::rows;
use crate::domain::fetch::{ScheduledItem, ScheduledRow};
use crate::domain::text;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::figures;
use crate::ui::scene::Scene;
use crate::ui::widgets::table::Placed;

/// Draws the screen.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    let view = &scene.state.scheduled;
    let items = rows::scheduled(scene.state);
    let glyphs = canvas.glyphs();
    let listing = Listing {
        columns: scene.state.settings.columns_of("scheduled"),
        list: &view.list,
        rows: &items,
        key: &|row: &&ScheduledRow| rows::scheduled_key(row),
        sign: None,
        cell: &|row: &&ScheduledRow, placed: &Placed| cell(scene, glyphs, row, placed),
        stale: false,
    };
    let shown = listing.draw(scene, canvas, Rect { height: area.height.saturating_sub(1), ..area });
    if items.is_empty() {
        let rest = Rect { y: shown.body.top, height: shown.body.rows, ..area };
        let all = view.loaded.data.as_ref().map_or(0, |many| many.rows.len());
        let nothing: (&str, &[String]) = if all > 0 {
            ("Nothing scheduled matches the filter.", &["Esc clears it.".to_owned()])
        } else {
            ("Nothing is put off to a later time.", &["Delayed jobs and repeating rules appear here.".to_owned()])
        };
        no_rows(scene, canvas, rest, &view.loaded, "What is scheduled", nothing);
    }
    canvas.phrase(area.x + 1, area.bottom().saturating_sub(1), area.width.saturating_sub(2), &summary(scene, &items));
    shown.body
}

fn cell(scene: &Scene<'_>, glyphs: &Glyphs, row: &ScheduledRow, placed: &Placed) -> Phrase {
    let columns = usize::from(placed.width);
    let optional = |value: Option<&str>| match value {
        Some(value) => Phrase::of(Role::Text, value),
        None => Phrase::of(Role::Muted, glyphs.zero),
    };
    match (placed.column.name, &row.item) {
        ("next", _) => match row.next_run() {
            Some(at) if at <= scene.now => Phrase::of(Role::Warn, "due"),
            Some(at) => Phrase::of(Role::StateScheduled, scene.future(at, columns)),
            None => Phrase::of(Role::Muted, "?"),
        },
        ("queue", _) => Phrase::of(Role::Text, row.queue.name.to_text()),
        ("kind", ScheduledItem::Job(job)) => Phrase::of(Role::of_state(job.kind), kind_word(job.kind)),
        ("kind", ScheduledItem::Schedule(_)) => Phrase::of(Role::Info, "repeat"),
        ("id", ScheduledItem::Job(job)) => Phrase::of(Role::Text, text::fit_middle(&job.id.to_text(), columns)),
        ("id", ScheduledItem::Schedule(schedule)) => {
            Phrase::of(Role::Text, text::fit_middle(&schedule.id.to_text(), columns))
        }
        ("name", ScheduledItem::Job(job)) => optional(job.name.as_deref()),
        ("name", ScheduledItem::Schedule(schedule)) => optional(schedule.name.as_deref()),
        ("rule", ScheduledItem::Schedule(schedule)) => {
            let zone = schedule.zone.as_deref().map_or_else(String::new, |zone| format!(" {zone}"));
            Phrase::of(Role::Text, &schedule.rule).and(Role::Muted, zone)
        }
        ("fired", ScheduledItem::Schedule(schedule)) => match schedule.fired {
            Some(fired) => Phrase::of(Role::Text, text::count(fired)),
            None => Phrase::of(Role::Muted, "?"),
        },
        ("note", ScheduledItem::Schedule(schedule)) => {
            schedule.note.as_deref().map_or_else(Phrase::new, |note| Phrase::of(Role::Warn, note))
        }
        ("note", ScheduledItem::Job(job)) => {
            job.error.as_deref().map_or_else(Phrase::new, |error| Phrase::of(Role::StateRetrying, error))
        }
        _ => Phrase::new(),
    }
}

fn kind_word(kind: crate::domain::state::StateKind) -> &'static str {
    match kind {
        crate::domain::state::StateKind::Retrying => "retry",
        _ => "job",
    }
}

fn summary(scene: &Scene<'_>, items: &[&ScheduledRow]) -> Phrase {
    let view = &scene.state.scheduled;
    let mut line = Phrase::new();
    if !view.list.filter.is_empty() {
        line.append_apart(Phrase::of(Role::Accent, format!("/{}", text::fit(&view.list.filter, 24))));
    }
    if !items.is_empty() {
        let rules = items.iter().filter(|row| matches!(row.item, ScheduledItem::Schedule(_))).count() as u64;
        let jobs = items.len() as u64 - rules;
        line.append_apart(Phrase::of(Role::Text, figures::plural(jobs, "job", "jobs")));
        line.append_apart(Phrase::of(Role::Text, figures::plural(rules, "repeating rule", "repeating rules")));
        let total = view.loaded.data.as_ref().and_then(|many| many.total);
        if let Some(total) = total.filter(|total| *total > items.len() as u64) {
            let words = format!("the soonest of {}", text::count(total));
            line.append_apart(Phrase::of(Role::Muted, words));
        }
    }
    line.append_apart(super::refreshed(scene, &view.loaded));
    line.append_apart(failed_queues(view.loaded.data.as_ref().map_or(&[], |many| &many.failed)));
    line
}
