//! The pane of the Queues screen below or beside its table: the selected queue with its backlog and movement
//! as charts, and all its counts.

use ratatui::layout::Rect;

use crate::app::rows::QueueRow;
use crate::domain::queue::{Count, Moment};
use crate::domain::text;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::{badge, spark};
use crate::ui::{figures, verdict};

/// Rows it takes below the table.
pub const ROWS: u16 = 12;
/// Columns it takes beside the table.
pub const COLUMNS: u16 = 46;
/// Columns of the list of counts on the right.
const COUNTS: u16 = 32;
/// How many of the facts of [`movement`] have a chart.
const MOVING: usize = 4;
/// Columns of their names and of their values.
const NAMES: u16 = 9;
const VALUES: u16 = 8;
/// With so many columns for each, backlog and movement stand side by side.
const HALF: u16 = 36;

/// Draws the pane as a band over the whole width.
pub fn below(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, row: &QueueRow<'_>) {
    canvas.rule(area.x, area.y, area.width);
    let mut line = Phrase::of(Role::Text, " ");
    line.append(title(row));
    line.push(Role::Text, " ");
    canvas.phrase(area.x + 2, area.y, area.width.saturating_sub(4), &line);
    let inner = Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(2), height: area.height - 1 };
    let left = Rect { width: inner.width.saturating_sub(COUNTS + 2), height: inner.height - 1, ..inner };
    charts(scene, canvas, left, row);
    let right = Rect { x: inner.right().saturating_sub(COUNTS), width: COUNTS, ..left };
    counts(canvas, right, row);
    if scene.stale {
        canvas.tint(inner, Role::Stale);
    }
    warnings(canvas, Rect { y: inner.bottom() - 1, height: 1, ..inner }, row);
}

/// The backlog, and beside it, or below it where that is too narrow, what moves; the last line tells the rest in words.
fn charts(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, row: &QueueRow<'_>) {
    let moving = u16::try_from(MOVING).unwrap_or(u16::MAX);
    let height = area.height.saturating_sub(1);
    let half = area.width.saturating_sub(2) / 2;
    let (backlog, beside) = if half >= HALF {
        let beside = Rect { x: area.x + half + 2, width: half, height, ..area };
        (Rect { width: half, height: height + 1, ..area }, beside)
    } else {
        let above = height.saturating_sub(moving);
        (Rect { height: above + 1, ..area }, Rect { y: area.y + above, height: moving, ..area })
    };
    chart(canvas, backlog, &row.sample.trend.backlog);
    let facts = movement(scene, canvas, row);
    let rows = (beside.height / moving).max(1);
    for ((y, (word, value)), series) in (beside.y..).step_by(rows.into()).zip(&facts).zip(series(row)) {
        canvas.text(beside.x, y, NAMES, Role::Muted, word);
        canvas.phrase(beside.x + NAMES, y, VALUES, value);
        let x = beside.x + NAMES + VALUES + 1;
        let columns = beside.right().saturating_sub(x).min(u16::try_from(series.samples.len()).unwrap_or(u16::MAX));
        for (y, line) in (y..).zip(spark::chart(canvas.glyphs(), &series.samples, columns, rows, series.role)) {
            canvas.phrase(x, y, columns, &line);
        }
    }
    let mut words = Phrase::new();
    for (word, value) in facts.into_iter().skip(MOVING) {
        let mut part = Phrase::of(Role::Muted, format!("{word} "));
        part.append(value);
        words.append_apart(part);
    }
    for (label, text) in &row.sample.facts {
        words.append_apart(Phrase::of(Role::Muted, format!("{label} ")).and(Role::Text, text));
    }
    canvas.phrase(area.x, area.bottom() - 1, area.width, &words);
}

/// One of the charts beside the backlog, newest value last.
struct Series {
    samples: Vec<u64>,
    role: Role,
}

/// What has a chart, in the order of [`movement`]. A chart begins after the last sample that did not know its value.
fn series(row: &QueueRow<'_>) -> [Series; MOVING] {
    let past = &row.sample.trend.past;
    let of = |role: Role, value: fn(&Moment) -> Option<f32>| {
        let known = past.iter().rev().map_while(value);
        // Thousandths: a chart knows whole numbers only, and a failure a minute must not look like none.
        let mut samples: Vec<u64> = known.map(|value| (f64::from(value.max(0.0)) * 1_000.0) as u64).collect();
        samples.reverse();
        Series { samples, role }
    };
    [
        of(Role::ChartIn, |moment| moment.in_per_s),
        of(Role::ChartOut, |moment| moment.out_per_s),
        of(Role::ChartFailed, |moment| moment.failed_per_s),
        of(Role::ChartBacklog, |moment| moment.oldest_seconds),
    ]
}

/// A heading and the backlog below it; the last line of the area stays free.
fn chart(canvas: &mut Canvas<'_>, area: Rect, backlog: &[u64]) {
    let heading = match backlog.iter().copied().max() {
        Some(highest) => Phrase::of(Role::Muted, "waiting, last ")
            .and(Role::Text, figures::plural(backlog.len() as u64, "sample", "samples"))
            .and(Role::Muted, ", highest ")
            .and(Role::Text, text::count(highest)),
        None => Phrase::of(Role::Muted, "no samples of the backlog yet"),
    };
    canvas.phrase(area.x, area.y, area.width, &heading);
    // Every sample two columns wide while that fits: one column each looks lost on a wide screen.
    let wide = usize::from(area.width) >= backlog.len() * 2;
    let samples: Vec<u64> =
        backlog.iter().flat_map(|value| std::iter::repeat_n(*value, if wide { 2 } else { 1 })).collect();
    let columns = u16::try_from(samples.len()).unwrap_or(u16::MAX).min(area.width);
    let rows = area.height.saturating_sub(2);
    let lines = spark::chart(canvas.glyphs(), &samples, columns, rows, Role::ChartBacklog);
    for (y, line) in (area.y + 1..).zip(lines) {
        canvas.phrase(area.x, y, area.width, &line);
    }
}

/// Draws the pane as a column of its own.
pub fn beside(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect, row: &QueueRow<'_>) {
    for y in area.top()..area.bottom() {
        canvas.text(area.x, y, 1, Role::Border, canvas.glyphs().pipe);
    }
    let inner = Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area };
    canvas.phrase(inner.x, inner.y, inner.width, &title(row));
    let states = u16::try_from(row.instance.states.len()).unwrap_or(0);
    counts(canvas, Rect { y: inner.y + 1, height: states.min(inner.height - 1), ..inner }, row);
    let mut y = inner.y + 2 + states;
    let mut series = series(row).into_iter();
    for (word, value) in movement(scene, canvas, row) {
        if y >= inner.bottom() {
            return;
        }
        canvas.text(inner.x, y, 12, Role::Muted, word);
        let used = canvas.phrase(inner.x + 12, y, inner.width.saturating_sub(12), &value);
        if let Some(Series { samples, role }) = series.next().filter(|_| used <= VALUES) {
            let x = inner.x + 12 + VALUES + 1;
            let line = spark::line(canvas.glyphs(), &samples, inner.right().saturating_sub(x), role);
            canvas.phrase(x, y, inner.right().saturating_sub(x), &line);
        }
        y += 1;
    }
    for (label, text) in &row.sample.facts {
        if y >= inner.bottom() {
            return;
        }
        canvas.text(inner.x, y, 12, Role::Muted, label);
        canvas.text(inner.x + 12, y, inner.width.saturating_sub(12), Role::Text, text);
        y += 1;
    }
    let rest = inner.bottom().saturating_sub(y + 1);
    if rest >= 4 {
        chart(canvas, Rect { y: y + 1, height: rest.min(10), ..inner }, &row.sample.trend.backlog);
    }
    if scene.stale {
        canvas.tint(inner, Role::Stale);
    }
}

fn title(row: &QueueRow<'_>) -> Phrase {
    Phrase::of(Role::Muted, format!("{} ", row.instance.id.system))
        .and(Role::Title, text::fit(&row.sample.id.name.to_text(), 60))
}

fn movement(scene: &Scene<'_>, canvas: &Canvas<'_>, row: &QueueRow<'_>) -> [(&'static str, Phrase); 6] {
    let glyphs = canvas.glyphs();
    let trend = &row.sample.trend;
    [
        ("in/s", figures::rate(glyphs, trend.in_per_s, Role::ChartIn)),
        ("out/s", figures::rate(glyphs, trend.out_per_s, Role::ChartOut)),
        ("failed/s", figures::rate(glyphs, trend.failed_per_s, Role::ChartFailed)),
        ("oldest", verdict::oldest(glyphs, row.sample.oldest, scene.sampled(), 9)),
        ("clear", verdict::clear(row.sample, 9)),
        ("workers", verdict::workers(row.sample)),
    ]
}

/// Every state of the system with its letter and its count.
fn counts(canvas: &mut Canvas<'_>, area: Rect, row: &QueueRow<'_>) {
    let glyphs = canvas.glyphs();
    let counts = row.instance.states.iter().map(|state| (state, row.sample.count(state.id)));
    for (y, (state, count)) in (area.y..area.bottom()).zip(counts) {
        let role = Role::of_state(state.kind);
        let quiet = matches!(count, Count::Exact(0) | Count::Unknown);
        canvas.text(area.x, y, 1, if quiet { Role::Muted } else { role }, &state.letter.to_string());
        canvas.text(area.x + 2, y, 20, if quiet { Role::Muted } else { Role::Text }, state.title);
        let number = figures::count(glyphs, Some(count), 9, role);
        canvas.phrase_right(area.x + 22, y, 9, &number);
    }
}

/// The warnings, if there are more than the one that the verdict line tells.
fn warnings(canvas: &mut Canvas<'_>, at: Rect, row: &QueueRow<'_>) {
    let mut line = Phrase::new();
    for warning in row.sample.warnings.iter().filter(|_| row.sample.warnings.len() > 1) {
        let (role, sign) = badge::severity(canvas.glyphs(), warning.severity);
        line.append_apart(Phrase::of(role, format!("{sign} {}", warning.text)));
    }
    canvas.phrase(at.x, at.y, at.width, &line);
}
