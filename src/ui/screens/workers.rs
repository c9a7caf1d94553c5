//! The Workers screen: who works, as far as each system lets it be known.

use ratatui::layout::Rect;

use super::listing::Listing;
use super::{Body, no_rows};
use crate::app::rows;
use crate::domain::queue::Count;
use crate::domain::text;
use crate::domain::worker::{Liveness, Worker};
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::{Scene, span_in};
use crate::ui::widgets::badge;
use crate::ui::widgets::table::Placed;

/// Draws the screen.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    let view = &scene.state.workers;
    let workers = rows::workers(scene.state);
    let glyphs = canvas.glyphs();
    let listing = Listing {
        columns: scene.state.settings.columns_of("workers"),
        list: &view.list,
        rows: &workers,
        key: &|worker: &&Worker| rows::worker_key(worker),
        sign: None,
        cell: &|worker: &&Worker, placed: &Placed| cell(glyphs, worker, placed),
        stale: false,
    };
    let notes = view.loaded.data.as_ref().map_or(&[][..], |report| &report.notes);
    let below = u16::try_from(notes.len()).unwrap_or(3).min(3) + 2;
    let shown = listing.draw(scene, canvas, Rect { height: area.height.saturating_sub(below), ..area });
    if workers.is_empty() {
        let rest = Rect { y: shown.body.top, height: shown.body.rows, ..area };
        let all = view.loaded.data.as_ref().map_or(0, |report| report.workers.len());
        let nothing: (&str, &[String]) = if all > 0 {
            ("No worker matches the filter.", &["Esc clears it.".to_owned()])
        } else {
            (
                "No worker is known.",
                &["Either none runs, or the systems here leave no trace of theirs in Redis.".to_owned()],
            )
        };
        no_rows(scene, canvas, rest, &view.loaded, "Workers", nothing);
    }
    let mut y = area.bottom().saturating_sub(below);
    if let Some(worker) = shown.selected.and_then(|index| workers.get(index)) {
        canvas.phrase(area.x + 1, y, area.width.saturating_sub(2), &who(scene, worker));
    }
    y += 1;
    for note in notes.iter().take(3) {
        let line = Phrase::of(Role::Info, format!("{} ", glyphs.dot)).and(Role::Muted, note);
        canvas.phrase(area.x + 1, y, area.width.saturating_sub(2), &line);
        y += 1;
    }
    canvas.phrase(area.x + 1, y, area.width.saturating_sub(2), &summary(scene, &workers));
    shown.body
}

fn cell(glyphs: &Glyphs, worker: &Worker, placed: &Placed) -> Phrase {
    let columns = usize::from(placed.width);
    let optional = |value: Option<&str>| match value {
        Some(value) => Phrase::of(Role::Text, value),
        None => Phrase::of(Role::Muted, "?"),
    };
    match placed.column.name {
        "system" => Phrase::of(Role::Muted, worker.instance.system),
        "name" => Phrase::of(Role::Text, text::fit_middle(&worker.name.to_text(), columns)),
        "state" => badge::liveness(glyphs, worker),
        "heartbeat" => match worker.heartbeat {
            Some(age) => {
                let role = if worker.state == Liveness::Stale { Role::Warn } else { Role::Text };
                Phrase::of(role, span_in(age, columns))
            }
            None => Phrase::of(Role::Muted, "?"),
        },
        "queues" => {
            let names: Vec<String> = worker.queues.iter().map(ToString::to_string).collect();
            Phrase::of(Role::Text, names.join(" "))
        }
        "running" => {
            let ids: Vec<String> = worker.running.iter().take(20).map(|job| job.id.to_text()).collect();
            let ids = ids.join(" ");
            match (worker.slots(), worker.running.len()) {
                (None, 0) => Phrase::of(Role::Muted, glyphs.zero),
                (None, 1) => Phrase::of(Role::StateActive, ids),
                (None, count) => Phrase::of(Role::Muted, format!("{count}: ")).and(Role::StateActive, ids),
                (Some(slots), _) => Phrase::of(Role::Text, format!("{slots} ")).and(Role::StateActive, ids),
            }
        }
        "host" => optional(worker.host.as_deref()),
        "pid" => optional(worker.pid.map(|pid| pid.to_string()).as_deref()),
        "evidence" => Phrase::of(Role::Muted, &worker.evidence),
        _ => Phrase::new(),
    }
}

/// Where the worker under the cursor runs, since when, and how it is known: most screens are too narrow to tell it in
/// columns.
fn who(scene: &Scene<'_>, worker: &Worker) -> Phrase {
    let mut line = Phrase::new();
    let mut add = |title: &str, value: Option<String>| {
        let piece = Phrase::of(Role::Muted, format!("{title} "));
        line.append_apart(match value {
            Some(value) => piece.and(Role::Text, value),
            None => piece.and(Role::Muted, "?"),
        });
    };
    add("host", worker.host.clone());
    add("pid", worker.pid.map(|pid| pid.to_string()));
    if let Some(since) = worker.since {
        add("started", Some(format!("{} ago", text::age(since.age(scene.state.server_now())))));
    }
    line.append_apart(Phrase::of(Role::Muted, &worker.evidence));
    line
}

fn summary(scene: &Scene<'_>, workers: &[&Worker]) -> Phrase {
    let view = &scene.state.workers;
    let mut line = Phrase::new();
    if !view.list.filter.is_empty() {
        line.append_apart(Phrase::of(Role::Accent, format!("/{}", text::fit(&view.list.filter, 24))));
    }
    if !workers.is_empty() {
        // The number of the tab: a supervisor counts for its processes, and what only keeps others for none.
        let living = rows::living(workers.iter().copied());
        let word = if living == Count::Exact(1) { "worker lives" } else { "workers live" };
        line.append_apart(Phrase::of(Role::Ok, format!("{} {word}", text::counted(living))));
        for (state, word, role) in [
            (Liveness::Stale, "stale", Role::Warn),
            (Liveness::Gone, "gone", Role::Error),
            (Liveness::Unknown, "unknown", Role::Muted),
        ] {
            let count = workers.iter().filter(|worker| worker.state == state).count();
            if count > 0 {
                line.append_apart(Phrase::of(role, format!("{count} {word}")));
            }
        }
        let busy = workers.iter().filter(|worker| worker.is_busy()).count();
        line.append_apart(Phrase::of(Role::Muted, format!("{busy} busy")));
    }
    line.append_apart(super::refreshed(scene, &view.loaded));
    line
}
