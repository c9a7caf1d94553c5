//! The Failures screen: failed and dead jobs of all queues, grouped by what their errors have in common.

use ratatui::layout::Rect;

use super::listing::Listing;
use super::{Body, failed_queues, job_cells, no_rows};
use crate::app::rows;
use crate::domain::fetch::{FailureGroup, QueuedRow};
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::figures;
use crate::ui::scene::Scene;
use crate::ui::widgets::bar::Motion;
use crate::ui::widgets::empty::wrap;
use crate::ui::widgets::table::Placed;

/// From so many columns on, the line above the table has room for whole sentences.
const WORDY: u16 = 110;
/// Rows of the pane with the sample.
const SAMPLE: u16 = 5;

/// Draws the screen.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    match rows::open_failure(scene.state) {
        Some(group) => draw_group(scene, canvas, area, group),
        None => draw_groups(scene, canvas, area),
    }
}

fn draw_groups(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    let view = &scene.state.failures;
    let groups = rows::failures(scene.state);
    canvas.phrase(area.x + 1, area.y, area.width.saturating_sub(2), &window(scene, groups.len(), area.width));
    let listing = Listing {
        columns: scene.state.settings.columns_of("failures"),
        list: &view.list,
        rows: &groups,
        key: &|group: &&FailureGroup| group.fingerprint.clone(),
        sign: None,
        cell: &|group: &&FailureGroup, placed: &Placed| group_cell(scene, group, placed),
        stale: false,
    };
    let table = Rect { y: area.y + 1, height: area.height.saturating_sub(1 + SAMPLE), ..area };
    let shown = listing.draw(scene, canvas, table);
    if groups.is_empty() {
        let rest = Rect { y: shown.body.top, height: shown.body.rows, ..area };
        let all = view.loaded.data.as_ref().map_or(0, |report| report.groups.len());
        let nothing: (&str, &[String]) = if all > 0 {
            ("No group matches the filter.", &["Esc clears it.".to_owned()])
        } else {
            ("No failed and no dead job in any queue. Good.", &[])
        };
        no_rows(scene, canvas, rest, &view.loaded, "Failures", nothing);
    }
    if let Some(group) = shown.selected.and_then(|index| groups.get(index)) {
        let at = Rect { y: area.bottom().saturating_sub(SAMPLE), height: SAMPLE, ..area };
        sample(scene, canvas, at, group);
    }
    shown.body
}

/// Which window was looked at: the numbers below are no more than that.
fn window(scene: &Scene<'_>, groups: usize, width: u16) -> Phrase {
    let view = &scene.state.failures;
    let narrow = width < WORDY;
    let mut line = Phrase::of(Role::Title, if narrow { "Failures" } else { "Failures of all queues" });
    if let Some(report) = &view.loaded.data {
        let looked = text::count(report.looked_at);
        let words = match report.total {
            Some(total) if total > report.looked_at => format!("newest {looked} of {}", text::count(total)),
            Some(_) => format!("all {looked}"),
            None if narrow => format!("{looked} looked at of ?"),
            None => format!("{looked} looked at of an unknown number"),
        };
        line.append_apart(Phrase::of(Role::Text, words));
        line.append_apart(Phrase::of(Role::Text, figures::plural(groups as u64, "cause", "causes")));
        if !view.list.filter.is_empty() {
            line.append_apart(Phrase::of(Role::Accent, format!("/{}", text::fit(&view.list.filter, 24))));
        }
        // What is missing goes before what is only a limit: without it the numbers would claim to be all.
        line.append_apart(match report.failed.len() {
            many if narrow && many > 0 => {
                let many = figures::plural(many as u64, "queue", "queues");
                Phrase::of(Role::Error, format!("not read: {many}"))
            }
            _ => failed_queues(&report.failed),
        });
        let per_queue = format!("at most {} a queue", text::count(report.window as u64));
        line.append_apart(Phrase::of(Role::Muted, per_queue));
    }
    line.append_apart(super::refreshed(scene, &view.loaded));
    line
}

fn group_cell(scene: &Scene<'_>, group: &FailureGroup, placed: &Placed) -> Phrase {
    let columns = usize::from(placed.width);
    let moment = |moment| match moment {
        Some(moment) => Phrase::of(Role::Text, scene.past(moment, columns)),
        None => Phrase::of(Role::Muted, "?"),
    };
    match placed.column.name {
        "count" => Phrase::of(Role::StateFailed, text::count(group.count)),
        "last" => moment(group.last_seen),
        "first" => moment(group.first_seen),
        "queues" => match group.queues.split_first() {
            Some(((first, _), others)) => {
                let more = if others.is_empty() { String::new() } else { format!(" +{}", others.len()) };
                let room = columns.saturating_sub(more.len());
                Phrase::of(Role::Text, text::fit(&first.name.to_text(), room)).and(Role::Muted, more)
            }
            None => Phrase::new(),
        },
        "error" => Phrase::of(Role::Text, &group.fingerprint),
        _ => Phrase::new(),
    }
}

fn sample(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, group: &FailureGroup) {
    canvas.rule(area.x, area.y, area.width);
    canvas.phrase(area.x + 2, area.y, 20, &Phrase::of(Role::Title, " newest of them "));
    let row = group.jobs.iter().find(|row| row.queue == group.sample.queue && row.row.id == group.sample.id);
    let mut line = Phrase::of(Role::Muted, format!("{} ", group.sample.queue.instance.system));
    line.push(Role::Text, format!("{} ", text::fit(&group.sample.queue.name.to_text(), 24)));
    line.push(Role::Text, text::fit_middle(&group.sample.id.to_text(), 24));
    if let Some(row) = row.map(|row| &row.row) {
        if let Some(name) = &row.name {
            line.push(Role::Text, format!(" {name}"));
        }
        if let (Some(made), Some(max)) = (row.attempts_made, row.attempts_max) {
            line.append_apart(Phrase::of(Role::Muted, format!("try {made} of {max}")));
        }
        if let Some(bytes) = row.payload_bytes {
            line.append_apart(Phrase::of(Role::Muted, format!("payload {}", text::size(bytes))));
        }
        if let Some(ended) = row.finished_at {
            line.append_apart(Phrase::of(Role::Muted, format!("{} ago", text::age(ended.age(scene.now)))));
        }
    }
    let width = area.width.saturating_sub(2);
    canvas.phrase(area.x + 1, area.y + 1, width, &line);
    let error = text::first_line(&group.sample_error, 2_000);
    let lines = wrap(&error, usize::from(width));
    for (y, line) in (area.y + 2..area.bottom() - 1).zip(&lines) {
        canvas.text(area.x + 1, y, width, Role::StateFailed, line);
    }
    let names: Vec<String> =
        group.queues.iter().map(|(queue, count)| format!("{} {}", queue.name, text::count(*count))).collect();
    let line = Phrase::of(Role::Muted, "in ").and(Role::Text, names.join("  "));
    canvas.phrase(area.x + 1, area.bottom() - 1, width, &line);
}

fn draw_group(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, group: &FailureGroup) -> Body {
    let view = &scene.state.failures;
    let jobs = rows::failure_jobs(scene.state);
    let mut line = Phrase::of(Role::StateFailed, text::count(group.count));
    line.push(Role::Title, format!(" {}", group.fingerprint));
    canvas.phrase(area.x + 1, area.y, area.width.saturating_sub(2), &line);
    let glyphs = canvas.glyphs();
    let listing = Listing {
        columns: scene.state.settings.columns_of("failure_jobs"),
        list: &view.jobs,
        rows: &jobs,
        key: &|row: &&QueuedRow| rows::queued_key(row),
        sign: None,
        cell: &|row: &&QueuedRow, placed: &Placed| match placed.column.name {
            "queue" => Phrase::of(Role::Text, row.queue.name.to_text()),
            _ => job_cells::cell(scene, glyphs, &row.row, Motion::default(), placed),
        },
        stale: false,
    };
    let table = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
    let shown = listing.draw(scene, canvas, table);
    let mut line =
        Phrase::of(Role::Muted, format!("{} jobs of this cause in the window", text::count(jobs.len() as u64)));
    if !view.jobs.filter.is_empty() {
        line.append_apart(Phrase::of(Role::Accent, format!("/{}", text::fit(&view.jobs.filter, 24))));
    }
    line.append_apart(Phrase::of(Role::Muted, "Esc leads back to all causes"));
    canvas.phrase(area.x + 1, area.bottom().saturating_sub(1), area.width.saturating_sub(2), &line);
    shown.body
}
