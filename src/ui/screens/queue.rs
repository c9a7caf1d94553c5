//! The Queue screen: the states of one queue as tabs, the jobs of the open one as a table.

use ratatui::layout::Rect;

use super::listing::Listing;
use super::{Body, job_cells, no_rows};
use crate::app::actions::ActionId;
use crate::app::rows;
use crate::app::views::{QueueView, SearchView};
use crate::domain::job::JobRow;
use crate::domain::queue::Count;
use crate::domain::state::{StateKind, StateSpec};
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::tabs::{self, Inner};
use crate::ui::verdict::{self, Condition};
use crate::ui::widgets::empty;
use crate::ui::widgets::table::Placed;
use crate::ui::{figures, header};

/// What the line under the header says: which queue, how it is, who works on it.
pub fn subject(scene: &Scene<'_>, canvas: &Canvas<'_>, view: &QueueView) -> Phrase {
    let mut line = Phrase::of(Role::Muted, format!("{} ", view.id.instance.system));
    line.push(Role::Title, text::fit(&view.id.name.to_text(), 40));
    let Some((instance, sample)) = scene.snapshot.queue(&view.id) else {
        line.append_apart(Phrase::of(Role::Warn, "not among the queues of the last sample"));
        return line;
    };
    if scene.snapshot.has_several(instance.id.system) {
        line.push(Role::Muted, format!(" @{}", text::fit(&instance.id.name.to_text(), 20)));
    }
    let (role, sign) = Condition::of(sample).mark(canvas.glyphs());
    line.append_apart(Phrase::of(role, format!("{sign} {}", verdict::words(sample, scene.now)).trim_end()));
    if let Some(alive) = sample.workers.alive {
        let mut part = Phrase::of(Role::Text, figures::plural(alive, "worker", "workers"));
        if let Some(busy) = sample.workers.busy {
            part.push(Role::Muted, format!(", {} busy", text::count(busy)));
        }
        line.append_apart(part);
    }
    for (label, text) in sample.facts.iter().filter(|(label, _)| *label != "status") {
        line.append_apart(Phrase::of(Role::Muted, format!("{label} ")).and(Role::Text, text));
    }
    if let Some(version) = &sample.library_version {
        line.append_apart(Phrase::of(Role::Muted, header::short_version(version, 3)));
    }
    if let Some(reason) = &instance.caps_reason {
        line.append_apart(Phrase::of(Role::Muted, reason));
    }
    line
}

/// Draws the screen.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    let Some(view) = &scene.state.queue else { return Body::default() };
    let states = scene.snapshot.queue(&view.id).map_or(&[][..], |(instance, _)| instance.states);
    state_tabs(scene, canvas, Rect { height: 1, ..area }, view, states);
    let kind = states.iter().find(|state| state.id == view.tab).map_or(StateKind::Other, |state| state.kind);
    let jobs = rows::jobs(scene.state);
    let glyphs = canvas.glyphs();
    let mut columns = scene.state.settings.columns_of_jobs(kind);
    if kind == StateKind::Other && !jobs.is_empty() {
        columns.retain(|column| jobs.iter().any(|job| says_something(job, column.name)));
    }
    let motion = |job: &JobRow| job_cells::motion(view.seen.get(&job.id), scene.state.clock.mono);
    let listing = Listing {
        columns,
        list: &view.list,
        rows: &jobs,
        key: &|job: &&JobRow| job.id.clone(),
        sign: None,
        cell: &|job: &&JobRow, placed: &Placed| job_cells::cell(scene, glyphs, job, motion(job), placed),
        stale: false,
    };
    let shown = listing.draw(scene, canvas, Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area });
    let (body, top, rows) = (shown.body, shown.top, usize::from(shown.body.rows));
    if jobs.is_empty() {
        nothing(scene, canvas, Rect { y: body.top, height: body.rows, ..area }, view, kind);
    }
    let more = scene.state.keymap.key(ActionId::More).unwrap_or_default();
    let line = status(view, &more, jobs.len(), top, rows);
    canvas.phrase(area.x + 1, area.bottom().saturating_sub(1), area.width.saturating_sub(2), &line);
    body
}

/// True unless a column is about something that is not known of a job.
fn says_something(job: &JobRow, column: &str) -> bool {
    match column {
        "attempts" => job.attempts_made.is_some(),
        "worker" => job.worker.is_some(),
        "priority" => job.priority.is_some(),
        "size" => job.payload_bytes.is_some(),
        _ => true,
    }
}

fn state_tabs(scene: &Scene<'_>, canvas: &mut Canvas<'_>, at: Rect, view: &QueueView, states: &[StateSpec]) {
    let sample = scene.snapshot.queue(&view.id).map(|(_, sample)| sample);
    let tabs: Vec<Inner> = states
        .iter()
        .map(|state| Inner {
            title: state.title,
            short: state.short,
            count: Some(sample.map_or(Count::Unknown, |sample| sample.count(state.id))),
            role: Role::of_state(state.kind),
        })
        .collect();
    let open = states.iter().position(|state| state.id == view.tab).unwrap_or(0);
    tabs::inner(canvas, at, &tabs, open);
}

/// Where in the list this is, what filters it, what a search has done.
fn status(view: &QueueView, more: &str, jobs: usize, top: usize, rows: usize) -> Phrase {
    let mut line = Phrase::new();
    if let Some(search) = &view.search {
        line.append_apart(search_words(search, more));
    }
    let filtered = !view.list.filter.is_empty();
    if filtered {
        line.append_apart(Phrase::of(Role::Accent, format!("/{}", text::fit(&view.list.filter, 24))));
    }
    if jobs > 0 {
        // Pages above the loaded rows were dropped, but they still count.
        let offset = if view.search.is_none() && !filtered { view.pages.offset() } else { 0 };
        let (first, last) = (offset + top + 1, offset + (top + rows).min(jobs));
        let loaded = text::count(jobs as u64);
        let of = match (&view.search, view.total) {
            (Some(_), _) => format!("{loaded} hits"),
            (None, _) if filtered => format!("{loaded} matching, {} loaded", text::count(view.rows.len() as u64)),
            (None, Some(total)) => text::count(total),
            (None, None) if view.next.is_some() => format!("{loaded} loaded, more follow"),
            (None, None) => loaded,
        };
        let words = format!("{}–{} of {of}", text::count(first as u64), text::count(last as u64));
        line.append_apart(Phrase::of(Role::Muted, words));
    }
    if let Some(followed) = &view.follow {
        let words = format!("following {}", text::fit_middle(&followed.id.to_text(), 24));
        line.append_apart(Phrase::of(Role::Accent, words));
    }
    if !view.list.marks.is_empty() {
        line.append_apart(Phrase::of(Role::Accent, format!("{} marked", text::count(view.list.marks.len() as u64))));
    }
    if let Some(error) = view.ahead.error.as_ref().or(view.page.error.as_ref().filter(|_| jobs > 0)) {
        line.append_apart(Phrase::of(Role::Error, format!("not refreshed: {}", error.text)));
    } else if view.ahead.awaiting.is_some() {
        line.append_apart(Phrase::of(Role::Muted, "reading on …"));
    }
    line
}

fn search_words(search: &SearchView, more: &str) -> Phrase {
    let place = if search.search.payload_bytes > 0 { " in payloads too" } else { "" };
    let mut line = Phrase::of(Role::Accent, format!("search \"{}\"{place}", text::fit(&search.search.text, 24)));
    let total = search.total.map_or_else(String::new, |total| format!(" of {}", text::count(total)));
    let hits = figures::plural(search.hits.len() as u64, "hit", "hits");
    line.push(Role::Text, format!("  scanned {}{total}, {hits}", text::count(search.scanned)));
    if let Some(error) = &search.step.error {
        line.push(Role::Error, format!("  {}", error.text));
    } else if search.running {
        line.push(Role::Muted, "  Esc stops");
    } else if search.stopped {
        line.push(Role::Warn, "  stopped before the end");
    } else if search.next.is_none() {
        line.push(Role::Muted, "  all looked at");
    } else {
        line.push(Role::Info, format!("  paused, {more} goes on"));
    }
    line
}

fn nothing(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, view: &QueueView, kind: StateKind) {
    if let Some(search) = &view.search {
        let heading = if search.running { "Searching …" } else { "Nothing found." };
        let payload = if search.search.payload_bytes > 0 { ", and at its payload" } else { "" };
        let line = format!("The search looks at id, name and error of each job on the server{payload}.");
        return empty::draw(canvas, area, Role::Text, heading, &[line]);
    }
    if !view.list.filter.is_empty() && !view.rows.is_empty() {
        let line = "Esc clears it. A second / searches the whole list on the server.".to_owned();
        return empty::draw(canvas, area, Role::Text, "No loaded row matches the filter.", &[line]);
    }
    let what = format!("The {} jobs of {}", view.tab, text::fit(&view.id.name.to_text(), 40));
    let heading = match kind {
        StateKind::Waiting => "Nothing waits.",
        StateKind::Active => "Nothing runs right now.",
        StateKind::Scheduled | StateKind::Retrying => "Nothing is put off to a later time.",
        StateKind::Blocked => "No job waits for another.",
        StateKind::Completed => "No finished job is kept here.",
        StateKind::Failed | StateKind::Dead => "No failed job. Good.",
        StateKind::Cancelled => "No job was called off.",
        StateKind::Other => "No job in this state.",
    };
    no_rows(scene, canvas, area, &view.page, &what, (heading, &["Tab shows the next state.".to_owned()]));
}
