//! The Job screen: one job with its payload, options, error, log lines, times, family and keys.

use ratatui::layout::Rect;
use strum::IntoEnumIterator;

use super::{Body, job_cells, no_rows};
use crate::app::document::Document;
use crate::app::rows::{self, JobLine};
use crate::app::views::{JobTab, JobView, PayloadView};
use crate::domain::job::{Job, KeyFact, Relative};
use crate::domain::queue::Count;
use crate::domain::state::StateKind;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::tabs::{self, Inner};
use crate::ui::widgets::table::first_visible;
use crate::ui::widgets::{bar, empty, tree};

/// What the line under the header says: which job, in which state, held by whom.
pub fn subject(scene: &Scene<'_>, view: &JobView) -> Phrase {
    let mut line = Phrase::of(Role::Muted, format!("{} ", view.id.queue.instance.system));
    line.push(Role::Text, format!("{} ", text::fit(&view.id.queue.name.to_text(), 24)));
    line.push(Role::Title, text::fit_middle(&view.id.id.to_text(), 40));
    let Some(job) = rows::open_job(scene.state) else { return line };
    let row = &job.row;
    if let Some(name) = &row.name {
        line.push(Role::Text, format!(" {}", text::fit(name, 32)));
    }
    let mut state = Phrase::of(Role::of_state(row.kind), row.state.to_string());
    if let Some(ran) = row.ran(scene.now) {
        let after = if row.kind == StateKind::Active { "" } else { "after " };
        state.push(Role::Text, format!(" {after}{}", text::age(ran)));
    }
    if let Some(worker) = &row.worker {
        state.push(Role::Muted, " on ");
        state.push(Role::Text, text::fit_middle(worker, 24));
    }
    line.append_apart(state);
    match row.lease.as_ref().map(|lease| lease.left) {
        Some(Some(left)) if left.is_zero() => line.append_apart(Phrase::of(Role::Error, "lock has run out")),
        Some(Some(left)) => {
            line.append_apart(Phrase::of(Role::Muted, "lock ").and(Role::Text, text::age(left)));
        }
        Some(None) => line.append_apart(Phrase::of(Role::Muted, "lock without end")),
        None => {}
    }
    if let Some(made) = row.attempts_made {
        let of = row.attempts_max.map_or_else(String::new, |max| format!(" of {max}"));
        line.append_apart(Phrase::of(Role::Muted, "try ").and(Role::Text, format!("{made}{of}")));
    }
    line
}

/// Draws the screen.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    let Some(view) = &scene.state.job else { return Body::default() };
    let Some(job) = rows::open_job(scene.state) else {
        let lines = ["It was removed, or it never was. Esc leads back.".to_owned()];
        let what = format!("Job {}", text::fit_middle(&view.id.id.to_text(), 40));
        no_rows(scene, canvas, area, &view.loaded, &what, ("This job does not exist.", &lines));
        return Body { rows: area.height, top: area.y };
    };
    let mut y = area.y;
    if let Some(line) = second_line(scene, canvas, area.width, view, job) {
        canvas.phrase(area.x + 1, y, area.width.saturating_sub(2), &line);
        y += 1;
    }
    part_tabs(canvas, Rect { y, height: 1, ..area }, view, job);
    y += 1;
    let body = Body { rows: area.bottom().saturating_sub(y + 1), top: y };
    let rest = Rect { y, height: body.rows, ..area };
    draw_lines(scene, canvas, rest, view, job);
    let foot = foot(scene, view, job);
    canvas.phrase(area.x + 1, area.bottom().saturating_sub(1), area.width.saturating_sub(2), &foot);
    body
}

/// Progress of what runs, the error of what failed, the due time of what waits for one.
fn second_line(scene: &Scene<'_>, canvas: &Canvas<'_>, width: u16, view: &JobView, job: &Job) -> Option<Phrase> {
    let row = &job.row;
    if let Some(progress) = row.progress.as_ref().filter(|_| row.error.is_none() || !row.kind.is_bad()) {
        let mut motion = job_cells::motion(view.track.as_ref(), scene.state.clock.mono);
        if row.kind != StateKind::Active {
            motion = bar::Motion::default();
        }
        let line = bar::full(canvas.glyphs(), progress, motion, width);
        if !line.is_empty() {
            return Some(line);
        }
    }
    if let Some(error) = row.error.as_deref().or(job.error.as_deref()) {
        let sign = canvas.glyphs().act;
        return Some(Phrase::of(Role::StateFailed, format!("{sign} {}", text::first_line(error, 500))));
    }
    let at = row.run_at.filter(|at| *at > scene.now)?;
    Some(Phrase::of(Role::Muted, "may run in ").and(Role::StateScheduled, text::age(at.until(scene.now))))
}

fn part_tabs(canvas: &mut Canvas<'_>, at: Rect, view: &JobView, job: &Job) {
    let some = |present: bool| (!present).then_some(Count::Exact(0));
    let tabs: Vec<Inner> = JobTab::iter()
        .map(|tab| {
            let family = job.children.len() + usize::from(job.parent.is_some());
            let count = match tab {
                JobTab::Data => some(job.payload.total > 0),
                JobTab::Options => some(job.options.is_some() || !job.facts.is_empty()),
                JobTab::Result => some(job.result.is_some()),
                JobTab::Error => some(job.error.is_some() || !job.stack.is_empty()),
                JobTab::Logs => Some(Count::Exact(job.logs_total.unwrap_or(job.logs.len() as u64))),
                JobTab::Timeline => None,
                JobTab::Family => Some(Count::Exact(family as u64)),
                JobTab::Keys => Some(Count::Exact(job.keys.len() as u64)),
            };
            let role = if tab == JobTab::Error { Role::StateFailed } else { Role::Muted };
            Inner { title: tab.into(), short: short(tab), count, role }
        })
        .collect();
    let open = JobTab::iter().position(|tab| tab == view.tab).unwrap_or(0);
    tabs::inner(canvas, at, &tabs, open);
}

/// A part's title where room is scarce.
fn short(tab: JobTab) -> &'static str {
    match tab {
        JobTab::Options => "Opts",
        JobTab::Timeline => "Times",
        other => other.into(),
    }
}

fn draw_lines(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, view: &JobView, job: &Job) {
    let lines = rows::job_lines(scene.state);
    if lines.is_empty() {
        return empty::draw(canvas, area, Role::Text, nothing(view.tab, job), &[]);
    }
    let rows = usize::from(area.height);
    let cursor = view.line.min(lines.len() - 1);
    let top = first_visible(view.top, cursor, rows, lines.len());
    for (y, index) in (area.y..area.bottom()).zip(top..lines.len()) {
        let Some(line) = lines.get(index) else { break };
        let at = Rect { y, height: 1, ..area };
        let phrase = phrase(scene, canvas, &line);
        canvas.phrase(at.x + 1, at.y, at.width.saturating_sub(2), &phrase);
        if !view.filter.is_empty() && matches_filter(&line, &view.filter) {
            canvas.tint(at, Role::Match);
        }
        if index == cursor {
            canvas.tint(at, Role::Selection);
            canvas.text(at.x, at.y, 1, Role::Accent, canvas.glyphs().cursor);
        }
    }
}

fn matches_filter(line: &JobLine<'_>, filter: &str) -> bool {
    line.plain().to_lowercase().contains(&filter.to_lowercase())
}

fn phrase(scene: &Scene<'_>, canvas: &Canvas<'_>, line: &JobLine<'_>) -> Phrase {
    match line {
        JobLine::Value(value) => tree::line(canvas.glyphs(), value),
        JobLine::Text(words) => Phrase::of(Role::Text, words),
        JobLine::Heading(words) => Phrase::of(Role::Title, words),
        JobLine::Note(words) => Phrase::of(Role::Info, words),
        JobLine::Fact(label, value) => {
            Phrase::of(Role::Muted, text::pad(label, 20)).and(Role::Text, format!(" {value}"))
        }
        JobLine::Moment(label, at) => moment(scene, label, *at),
        JobLine::Event { label, at, after } => {
            let after = after.map_or_else(String::new, |after| format!("+{}", text::span(after)));
            Phrase::of(Role::Muted, scene.exact_time(*at))
                .and(Role::Text, text::pad_start(&after, 10))
                .and(Role::Text, format!("  {label}"))
        }
        JobLine::Parent(relative) => family("parent", relative),
        JobLine::Child(relative) => family("child", relative),
        JobLine::Key(fact) => key(fact),
    }
}

/// A moment among the facts: how far away it is, which is what matters, and the time itself beside it.
fn moment(scene: &Scene<'_>, label: &str, at: Timestamp) -> Phrase {
    let away = if at > scene.now {
        format!("in {}", text::age(at.until(scene.now)))
    } else {
        format!("{} ago", text::age(at.age(scene.now)))
    };
    Phrase::of(Role::Muted, text::pad(label, 20))
        .and(Role::Text, format!(" {away}"))
        .and(Role::Muted, format!("  {}", scene.exact_time(at)))
}

fn family(what: &str, relative: &Relative) -> Phrase {
    let mut line = Phrase::of(Role::Muted, text::pad(what, 8));
    match &relative.job {
        Some(job) => {
            line.push(Role::Text, format!("{} ", job.queue.name));
            line.push(Role::Title, job.id.to_text());
        }
        None => line.push(Role::Text, &relative.label),
    }
    if let Some(state) = &relative.state {
        line.push(Role::Muted, format!("  {state}"));
    }
    line
}

fn key(fact: &KeyFact) -> Phrase {
    let length = fact.length.map_or_else(|| "?".to_owned(), text::count);
    let expires = match fact.expires_in {
        Some(left) => format!("expires in {}", text::age(left)),
        None => "stays".to_owned(),
    };
    Phrase::of(Role::Muted, text::pad(&fact.kind, 7))
        .and(Role::Text, text::pad_start(&length, 8))
        .and(Role::Muted, format!("  {}", text::pad(&expires, 18)))
        .and(Role::Text, format!(" {}", fact.key))
}

/// Why a part has no lines.
fn nothing(tab: JobTab, job: &Job) -> &'static str {
    match tab {
        JobTab::Data => "The payload is empty.",
        JobTab::Options => "No options are kept.",
        JobTab::Result if job.row.kind.is_open() => "No result yet: the job has not ended.",
        JobTab::Result => "No result is kept.",
        JobTab::Error => "No error.",
        JobTab::Logs => "The job has written no log lines.",
        JobTab::Timeline => "No time of this job is known.",
        JobTab::Family => "It has no parent and no children.",
        JobTab::Keys => "No key of this job was found.",
    }
}

/// The last line: how the payload is shown, and the times in short.
fn foot(scene: &Scene<'_>, view: &JobView, job: &Job) -> Phrase {
    let mut line = Phrase::new();
    if !view.filter.is_empty() {
        line.append_apart(Phrase::of(Role::Accent, format!("/{}", text::fit(&view.filter, 24))));
    }
    let document = match view.tab {
        JobTab::Data => view.documents.payload.as_ref(),
        JobTab::Options => view.documents.options.as_ref(),
        JobTab::Result => view.documents.result.as_ref(),
        _ => None,
    };
    if let Some(document) = document {
        line.append_apart(described(document, view.payload));
    }
    if view.tab == JobTab::Logs && view.follow {
        line.append_apart(Phrase::of(Role::Muted, "follows the end"));
    }
    let row = &job.row;
    let mut add = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            line.append_apart(Phrase::of(Role::Muted, format!("{label} ")).and(Role::Text, value));
        }
    };
    add("added", row.created_at.map(|at| format!("{} ago", text::age(at.age(scene.now)))));
    add("waited", row.waited(scene.now).map(text::span));
    add("ran", row.ran(scene.now).map(text::span));
    add("ended", row.finished_at.map(|at| format!("{} ago", text::age(at.age(scene.now)))));
    add("priority", row.priority.filter(|priority| *priority != 0).map(|priority| priority.to_string()));
    line.append_apart(super::refreshed(scene, &view.loaded));
    line
}

fn described(document: &Document, view: PayloadView) -> Phrase {
    let mode = match view {
        PayloadView::Tree if document.payload.tree.is_some() => "tree",
        PayloadView::Tree | PayloadView::Raw => "as stored",
        PayloadView::Hex => "bytes",
    };
    Phrase::of(Role::Text, text::size(document.source.total))
        .and(Role::Muted, format!(" {}, {mode}", document.payload.encoding()))
}
