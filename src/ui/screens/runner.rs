//! The Runner screen: pools, the jobs they run here, and what the one under the cursor writes.

use std::time::Duration;

use ratatui::layout::Rect;

use super::Body;
use super::listing::Listing;
use crate::app::columns;
use crate::app::rows::{self, RunnerKey, RunnerLine};
use crate::app::runner;
use crate::domain::runner::{
    Ended, OutputKind, OutputLine, PoolState, PoolView, ResultView, RunnerState, RunnerView, SlotView,
};
use crate::domain::text;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::figures;
use crate::ui::scene::{Scene, span_in};
use crate::ui::widgets::bar::{self, Motion};
use crate::ui::widgets::empty;
use crate::ui::widgets::table::Placed;

/// Fewest lines of the pane below the table.
const LEAST_PANE: u16 = 5;

/// Draws the screen.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    let Some(view) = &scene.state.runner else {
        let lines = [
            "With --run it takes jobs of the queues that the configuration names:".to_owned(),
            "[[runner.pool]] says which, [[runner.pool.handler]] what runs them.".to_owned(),
            "4 shows the workers you have, 2 shows what they run.".to_owned(),
        ];
        empty::draw(canvas, area, Role::Text, "This qtop runs no jobs itself.", &lines);
        return Body::default();
    };
    let inner = area.width.saturating_sub(2);
    canvas.phrase(area.x + 1, area.y, inner, &summary(scene, view));
    let lines = rows::runner(scene.state);
    let wanted = u16::try_from(lines.len() + 1).unwrap_or(u16::MAX);
    let room = area.height.saturating_sub(1);
    let table = Rect { y: area.y + 1, height: wanted.min(room.saturating_sub(LEAST_PANE).max(room / 2)), ..area };
    let glyphs = canvas.glyphs();
    let listing = Listing {
        columns: columns::RUNNER.iter().collect(),
        list: &scene.state.runner_list,
        rows: &lines,
        key: &|line: &RunnerLine<'_>| -> RunnerKey { line.key() },
        sign: Some(&|line: &RunnerLine<'_>| sign(glyphs, line)),
        cell: &|line: &RunnerLine<'_>, placed: &Placed| cell(glyphs, line, placed),
        stale: false,
    };
    let shown = listing.draw(scene, canvas, table);
    let pane = Rect { y: table.bottom(), height: area.bottom().saturating_sub(table.bottom()), ..area };
    match shown.selected.and_then(|index| lines.get(index)) {
        Some(RunnerLine { pool, slot: Some(slot) }) => output(scene, canvas, pane, pool, slot),
        Some(RunnerLine { pool, slot: None }) => results(scene, canvas, pane, pool),
        None => empty::draw(canvas, pane, Role::Text, "No pool is configured.", &[]),
    }
    shown.body
}

/// Who runs here, since when, and how much.
fn summary(scene: &Scene<'_>, view: &RunnerView) -> Phrase {
    let mut line = Phrase::of(Role::Muted, "runner ").and(Role::Title, text::fit_middle(&view.name, 32));
    if let Some(other) = runner::elsewhere(scene.state) {
        line.push(Role::Warn, format!(" on {}", text::fit_middle(other, 24)));
    }
    let (role, words) = match view.state {
        RunnerState::Starting => (Role::Warn, "starting"),
        RunnerState::Running => (Role::Ok, "running"),
        RunnerState::Draining => (Role::Warn, "draining: takes no more jobs"),
        RunnerState::Resting => (Role::Warn, "resting: takes no more jobs"),
        RunnerState::Asleep => (Role::Muted, "asleep"),
        RunnerState::Stopped => (Role::Error, "stopped"),
    };
    line.append_apart(Phrase::of(role, words));
    if let Some(problem) = &view.problem {
        line.append_apart(Phrase::of(Role::Error, text::first_line(problem, 200)));
        return line;
    }
    let up = view.since.age(scene.state.clock.wall);
    line.append_apart(Phrase::of(Role::Muted, format!("up {}", text::age(up))));
    let busy: usize = view.pools.iter().map(|pool| pool.slots.len()).sum();
    let all: usize = view.pools.iter().map(|pool| pool.concurrency).sum();
    line.append_apart(Phrase::of(Role::Text, format!("{busy}/{all} slots")));
    let rate: f64 = view.pools.iter().map(|pool| pool.per_second).sum();
    line.append_apart(Phrase::of(Role::Text, format!("{}/s", text::rate(rate))));
    let cancelled: u64 = view.pools.iter().map(|pool| pool.counts.cancelled).sum();
    if cancelled > 0 {
        line.append_apart(Phrase::of(Role::Text, format!("{} cancelled", text::count(cancelled))));
    }
    let lost: u64 = view.pools.iter().map(|pool| pool.counts.lost).sum();
    if lost > 0 {
        line.append_apart(Phrase::of(Role::Warn, figures::plural(lost, "lease lost", "leases lost")));
    }
    if let Some(metrics) = &view.metrics {
        line.append_apart(Phrase::of(Role::Muted, format!("metrics {metrics}")));
    }
    line
}

fn sign(glyphs: &Glyphs, line: &RunnerLine<'_>) -> (Role, &'static str) {
    match (line.slot, line.pool.state) {
        (Some(slot), _) if slot.stopping || slot.storing => (Role::Warn, glyphs.look),
        (Some(_), _) => (Role::Info, " "),
        (None, PoolState::Consuming) => (Role::Ok, glyphs.fine),
        (None, PoolState::Paused) => (Role::Muted, glyphs.paused),
        (None, PoolState::Connecting | PoolState::Stuck | PoolState::Stopped) => (Role::Error, glyphs.act),
        (None, PoolState::Holding | PoolState::Draining) => (Role::Warn, glyphs.look),
    }
}

fn cell(glyphs: &Glyphs, line: &RunnerLine<'_>, placed: &Placed) -> Phrase {
    match line.slot {
        Some(slot) => slot_cell(glyphs, slot, placed),
        None => pool_cell(glyphs, line.pool, placed),
    }
}

fn pool_cell(glyphs: &Glyphs, pool: &PoolView, placed: &Placed) -> Phrase {
    let width = usize::from(placed.width);
    let number = |value: u64, role: Role| match value {
        0 => Phrase::of(Role::Muted, glyphs.zero),
        value => Phrase::of(role, text::count(value)),
    };
    match placed.column.name {
        "pool" => Phrase::of(Role::Text, text::fit_middle(&pool.address, width)),
        "slots" => Phrase::of(Role::Text, format!("{}/{}", pool.slots.len(), pool.concurrency)),
        "done" => number(pool.counts.done, Role::Text),
        "retried" => number(pool.counts.retried, Role::Warn),
        "failed" => number(pool.counts.failed, Role::Error),
        "cancelled" => number(pool.counts.cancelled, Role::Warn),
        "lost" => number(pool.counts.lost, Role::Warn),
        "rate" => Phrase::of(if pool.per_second > 0.0 { Role::Text } else { Role::Muted }, text::rate(pool.per_second)),
        "run" => span(pool.run.map(|run| run.p50), width),
        "run99" => span(pool.run.map(|run| run.p99), width),
        "wait" => span(pool.wait.map(|wait| wait.p50), width),
        "wait99" => span(pool.wait.map(|wait| wait.p99), width),
        "state" => {
            let state: &str = pool.state.into();
            let role = match pool.state {
                PoolState::Consuming => Role::Ok,
                PoolState::Paused => Role::Muted,
                PoolState::Stopped | PoolState::Connecting | PoolState::Stuck => Role::Error,
                PoolState::Holding | PoolState::Draining => Role::Warn,
            };
            Phrase::of(role, state)
        }
        "handler" => Phrase::of(Role::Muted, pool.handlers.join(", ")),
        _ => Phrase::new(),
    }
}

fn span(span: Option<Duration>, width: usize) -> Phrase {
    Phrase::of(Role::Muted, span.map_or_else(|| "?".to_owned(), |span| short(span, width)))
}

fn slot_cell(glyphs: &Glyphs, slot: &SlotView, placed: &Placed) -> Phrase {
    match placed.column.name {
        "pool" => {
            let id = text::fit_middle(&slot.id.to_text(), 14).into_owned();
            Phrase::of(Role::Muted, format!("{:>3} ", slot.slot))
                .and(Role::Text, id)
                .and(Role::Muted, format!(" {}", slot.name))
        }
        "slots" => match slot.attempts {
            Some(attempts) => Phrase::of(Role::Muted, format!("{}/{attempts}", slot.attempt)),
            None => Phrase::of(Role::Muted, format!("#{}", slot.attempt)),
        },
        "run" => Phrase::of(Role::Text, short(slot.elapsed, usize::from(placed.width))),
        "state" if slot.stopping => Phrase::of(Role::Warn, "is being ended"),
        "state" if slot.storing => Phrase::of(Role::Warn, "storing result"),
        "state" => bar::cell(glyphs, slot.progress.as_ref(), motion(slot), placed.width),
        _ => Phrase::new(),
    }
}

fn motion(slot: &SlotView) -> Motion {
    Motion { eta: slot.eta, ..Motion::default() }
}

/// `21ms`, `1.2s` and from a minute on as everywhere.
fn short(span: Duration, columns: usize) -> String {
    match span.as_millis() {
        millis @ ..1_000 => format!("{millis}ms"),
        millis @ ..10_000 => format!("{}.{}s", millis / 1000, millis % 1000 / 100),
        _ => span_in(span, columns.max(4)),
    }
}

/// The heading of the pane below the table.
fn heading(canvas: &mut Canvas<'_>, area: Rect, title: &Phrase) {
    canvas.rule(area.x, area.y, area.width);
    let mut line = Phrase::of(Role::Text, " ");
    line.append(title.clone());
    line.push(Role::Text, " ");
    canvas.phrase(area.x + 2, area.y, area.width.saturating_sub(4), &line);
}

/// What a running job writes; the newest lines.
fn output(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, pool: &PoolView, slot: &SlotView) {
    let mut title = Phrase::of(Role::Muted, format!("output of slot {}  ", slot.slot));
    title.push(Role::Text, text::fit_middle(&slot.id.to_text(), 24));
    title.push(Role::Text, format!(" {}", slot.name));
    if let Some(words) = slot.progress.as_ref().and_then(|progress| progress.text.as_deref()) {
        title.push(Role::Accent, format!("  {words}"));
    }
    if let Some(eta) = slot.eta {
        title.push(Role::Muted, format!("  eta {}", text::age(eta)));
    }
    heading(canvas, area, &title);
    let rest = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if slot.output.is_empty() {
        let words = format!("It has written nothing so far. It is run by: {}", pool.handlers.join(", "));
        canvas.text(rest.x + 1, rest.y, rest.width.saturating_sub(2), Role::Muted, &words);
        return;
    }
    written(scene, canvas, rest, &slot.output);
}

fn written(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, lines: &[OutputLine]) {
    let first = lines.len().saturating_sub(usize::from(area.height));
    for (y, line) in (area.y..area.bottom()).zip(&lines[first..]) {
        let role = match line.kind {
            OutputKind::Out => Role::Text,
            OutputKind::Err => Role::Warn,
            OutputKind::Log => Role::Info,
        };
        let mut phrase = Phrase::of(Role::Muted, format!("{} ", scene.time_of_day(line.at, 8)));
        phrase.push(role, &line.text);
        canvas.phrase(area.x + 1, y, area.width.saturating_sub(2), &phrase);
    }
}

/// What became of the last jobs of a pool.
fn results(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, pool: &PoolView) {
    let title = Phrase::of(Role::Muted, "latest of ").and(Role::Text, text::fit_middle(&pool.address, 40));
    heading(canvas, area, &title);
    let mut y = area.y + 1;
    let inner = area.width.saturating_sub(2);
    if let Some(note) = &pool.note {
        canvas.text(area.x + 1, y, inner, Role::Warn, &text::first_line(note, 500));
        y += 1;
    }
    let glyphs = canvas.glyphs();
    let mut any = false;
    for (y, result) in (y..area.bottom()).zip(rows::results(scene.state, pool)) {
        canvas.phrase(area.x + 1, y, inner, &ended(scene, glyphs, result));
        any = true;
    }
    if !any && y < area.bottom() {
        let words = format!("No job has ended here yet. They are run by: {}", pool.handlers.join(", "));
        canvas.text(area.x + 1, y, inner, Role::Muted, &words);
    }
}

fn ended(scene: &Scene<'_>, glyphs: &Glyphs, result: &ResultView) -> Phrase {
    let (role, sign) = match result.ended {
        Ended::Done => (Role::Ok, glyphs.fine),
        Ended::Retried | Ended::Returned => (Role::Warn, glyphs.look),
        Ended::Failed | Ended::Lost => (Role::Error, glyphs.act),
        Ended::Cancelled => (Role::Muted, glyphs.paused),
    };
    let word: &str = result.ended.into();
    let mut line = Phrase::of(Role::Muted, format!("{} ", scene.time_of_day(result.at, 8)));
    line.push(role, format!("{sign} {} ", text::pad(word, 9)));
    line.push(Role::Text, format!("{} ", text::fit_middle(&result.job.id.to_text(), 18)));
    line.push(Role::Muted, format!("{} ", result.name));
    line.push(Role::Muted, format!("try {}  {}  ", result.attempt, short(result.took, 7)));
    line.push(if result.ended == Ended::Done { Role::Muted } else { Role::Text }, &result.message);
    line
}
