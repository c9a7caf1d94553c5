//! The Running screen: every active job of every queue.

use ratatui::layout::Rect;

use super::listing::Listing;
use super::{Body, failed_queues, job_cells, no_rows};
use crate::app::rows;
use crate::app::views::ProgressTrack;
use crate::domain::fetch::QueuedRow;
use crate::domain::job::JobRow;
use crate::domain::text;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::figures;
use crate::ui::scene::Scene;
use crate::ui::widgets::bar::Motion;
use crate::ui::widgets::table::Placed;

/// Draws the screen.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    let view = &scene.state.running;
    let jobs = rows::running(scene.state);
    let glyphs = canvas.glyphs();
    let track = |row: &QueuedRow| view.seen.get(&rows::queued_key(row));
    let motion = |row: &QueuedRow| job_cells::motion(track(row), scene.state.clock.mono);
    let listing = Listing {
        columns: scene.state.settings.columns_of("running"),
        list: &view.list,
        rows: &jobs,
        key: &|row: &&QueuedRow| rows::queued_key(row),
        sign: Some(&|row: &&QueuedRow| sign(glyphs, &row.row, motion(row))),
        cell: &|row: &&QueuedRow, placed: &Placed| cell(scene, glyphs, row, motion(row), placed),
        stale: false,
    };
    let table = Rect { height: area.height.saturating_sub(2), ..area };
    let shown = listing.draw(scene, canvas, table);
    if jobs.is_empty() {
        let rest = Rect { y: shown.body.top, height: shown.body.rows, ..area };
        let all = view.loaded.data.as_ref().map_or(0, |many| many.rows.len());
        let nothing: (&str, &[String]) = if all > 0 {
            ("No running job matches the filter.", &["Esc clears it.".to_owned()])
        } else {
            ("No job runs right now.", &["As soon as a worker takes one it appears here.".to_owned()])
        };
        no_rows(scene, canvas, rest, &view.loaded, "Running jobs", nothing);
    }
    let bottom = area.bottom().saturating_sub(2);
    canvas.phrase(area.x + 1, bottom, area.width.saturating_sub(2), &summary(scene, &jobs));
    if let Some(row) = shown.selected.and_then(|index| jobs.get(index)) {
        let line = remark(scene, glyphs, &row.row, motion(row), track(row));
        canvas.phrase(area.x + 1, bottom + 1, area.width.saturating_sub(2), &line);
    }
    shown.body
}

fn lost(job: &JobRow) -> bool {
    job.lease.as_ref().and_then(|lease| lease.left).is_some_and(|left| left.is_zero())
}

fn sign(glyphs: &Glyphs, job: &JobRow, motion: Motion) -> (Role, &'static str) {
    if lost(job) || !job.record_exists {
        (Role::Error, glyphs.act)
    } else if motion.stuck().is_some() {
        (Role::Warn, glyphs.look)
    } else {
        (Role::Ok, glyphs.fine)
    }
}

fn cell(scene: &Scene<'_>, glyphs: &Glyphs, row: &QueuedRow, motion: Motion, placed: &Placed) -> Phrase {
    match placed.column.name {
        "queue" => Phrase::of(Role::Text, row.queue.name.to_text()),
        _ => job_cells::cell(scene, glyphs, &row.row, motion, placed),
    }
}

fn summary(scene: &Scene<'_>, jobs: &[&QueuedRow]) -> Phrase {
    let view = &scene.state.running;
    let mut queues: Vec<_> = jobs.iter().map(|row| &row.queue).collect();
    queues.sort();
    queues.dedup();
    let mut line = Phrase::new();
    if !view.list.filter.is_empty() {
        line.append_apart(Phrase::of(Role::Accent, format!("/{}", text::fit(&view.list.filter, 24))));
    }
    if !jobs.is_empty() {
        let many = view.loaded.data.as_ref();
        let cut = many.and_then(|many| many.total.filter(|total| *total > many.rows.len() as u64));
        let shown = match cut {
            Some(total) => format!("{} of {}", text::count(jobs.len() as u64), figures::plural(total, "job", "jobs")),
            None => figures::plural(jobs.len() as u64, "job", "jobs"),
        };
        let words = format!("{shown} in {}", figures::plural(queues.len() as u64, "queue", "queues"));
        line.append_apart(Phrase::of(Role::Text, words));
    }
    line.append_apart(super::refreshed(scene, &view.loaded));
    line.append_apart(failed_queues(view.loaded.data.as_ref().map_or(&[], |many| &many.failed)));
    line
}

/// What is to be said about the job under the cursor.
fn remark(scene: &Scene<'_>, glyphs: &Glyphs, job: &JobRow, motion: Motion, track: Option<&ProgressTrack>) -> Phrase {
    let (role, sign) = sign(glyphs, job, motion);
    let mut line = Phrase::of(role, format!("{sign} ")).and(Role::Text, text::fit_middle(&job.id.to_text(), 24));
    line.push(Role::Text, ": ");
    let words = if !job.record_exists {
        "a worker should run it, but its record is gone".to_owned()
    } else if lost(job) {
        "its lock has run out: the worker is gone or blocked, and another may take the job".to_owned()
    } else if let Some(still) = motion.stuck() {
        format!("has not moved for {}, as far as qtop has watched", text::age(still))
    } else if let Some(rate) = track.and_then(ProgressTrack::rate) {
        let eta = motion.eta.map_or_else(String::new, |eta| format!(", done in about {}", text::age(eta)));
        format!("{}% a second{eta}", text::rate(rate))
    } else if job.progress.is_none() {
        "reports no progress".to_owned()
    } else {
        "its pace is not known yet".to_owned()
    };
    line.push(if role == Role::Ok { Role::Muted } else { role }, words);
    if let Some(ran) = job.ran(scene.now) {
        line.push(Role::Muted, format!("  runs for {}", text::age(ran)));
    }
    line
}
