//! The Queues screen: one row a queue over all systems.

use std::collections::BTreeSet;

use ratatui::layout::Rect;

use super::{Body, detail};
use crate::app::columns::Column;
use crate::app::rows::{self, Figures, GroupLine, QueueLine, QueueRow};
use crate::app::state::Details;
use crate::domain::ids::{Name, SystemName};
use crate::domain::queue::Count;
use crate::domain::snapshot::LinkHealth;
use crate::domain::text;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::{Scene, span_in};
use crate::ui::verdict::{self, Condition};
use crate::ui::widgets::table::{self, Placed, Plan, RowLook};
use crate::ui::widgets::{empty, spark};
use crate::ui::{figures, header};

/// Columns left of the table: cursor or mark, condition, space.
const GUTTER: u16 = 3;
/// From so many body rows on, the selected queue is shown in detail below the table without being asked.
const TALL: u16 = 28;
/// From so many body rows on, it is shown there if somebody asks.
const TALL_ENOUGH: u16 = 21;
/// From so many columns on, there is room for the details beside the table.
const WIDE: u16 = 126;

/// From so many columns on, other columns give way to the names of queues.
const ROOM_FOR_NAMES: u16 = 140;
/// Names longer than that are cut all the same.
const WIDEST_NAME: u16 = 30;

/// Rows or columns taken from the table for the details of the selected queue.
#[derive(Clone, Copy, Default)]
struct Pane {
    below: u16,
    beside: u16,
}

fn pane(scene: &Scene<'_>, area: Rect) -> Pane {
    let least = if scene.state.details == Details::Auto { TALL } else { TALL_ENOUGH };
    match scene.state.details {
        Details::Off => Pane::default(),
        Details::Right if area.width >= WIDE => Pane { below: 0, beside: detail::COLUMNS },
        Details::Auto | Details::Right | Details::Bottom if area.height >= least => {
            Pane { below: detail::ROWS, beside: 0 }
        }
        Details::Auto | Details::Right | Details::Bottom => Pane::default(),
    }
}

/// Draws the screen.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    let lines = rows::queues(scene.state);
    if lines.is_empty() && scene.snapshot.queues().next().is_none() {
        nothing_found(scene, canvas, area);
        return Body { rows: area.height, top: area.y };
    }
    let list = &scene.state.queues.list;
    let selected = rows::queue_index(scene.state, &lines);
    let pane = pane(scene, area);
    let body = Body { rows: area.height.saturating_sub(3 + pane.below), top: area.y + 1 };
    let area_of_table = Rect { width: area.width - pane.beside, ..area };
    let names = Names::of(scene);
    let wish = (area.width >= ROOM_FOR_NAMES).then_some(("queue", names.widest));
    let plan = Plan::with_wish(&shown_columns(scene), area_of_table.width, GUTTER, wish);
    table::head(canvas, &plan, Rect { height: 1, ..area_of_table }, list.sort);
    if lines.is_empty() {
        let filter = if scene.state.queues.only_failures { "with failed jobs " } else { "" };
        let heading = format!("No queue {filter}matches the filter.");
        let hidden = figures::plural(scene.snapshot.queues().count() as u64, "queue is", "queues are");
        let rest = Rect { y: body.top, height: body.rows, ..area };
        empty::draw(canvas, rest, Role::Text, &heading, &[format!("{hidden} hidden by it. Esc clears it.")]);
    }
    let rows = usize::from(body.rows);
    let top = table::first_visible(list.top, selected.unwrap_or(0), rows, lines.len());
    for (y, (index, line)) in (body.top..).zip(lines.iter().enumerate().skip(top).take(rows)) {
        let at = Rect { y, height: 1, ..area_of_table };
        let look = RowLook { selected: Some(index) == selected, stale: scene.stale, marked: is_marked(scene, line) };
        draw_line(scene, canvas, (&plan, &names), at, look, line);
    }
    let bottom = |up: u16| Rect { y: area.bottom().saturating_sub(up), height: 1, ..area };
    totals(scene, canvas, bottom(2));
    if let Some(QueueLine::Queue(row)) = selected.and_then(|index| lines.get(index)) {
        if pane.below > 0 {
            let at = Rect { y: body.top + body.rows, height: pane.below, ..area };
            detail::below(scene, canvas, at, row);
        }
        if pane.beside > 0 {
            let x = area_of_table.right() + 1;
            let at = Rect { x, width: pane.beside - 1, height: area.height.saturating_sub(2), ..area };
            detail::beside(scene, canvas, at, row);
        }
        let name = row.sample.id.name.to_text();
        let line = verdict::line(canvas.glyphs(), &text::fit(&name, 32), row.sample, &row.figures, scene.sampled());
        canvas.phrase(area.x + 1, bottom(1).y, area.width.saturating_sub(2), &line);
    }
    body
}

/// What the names of all queues ask of the table.
struct Names<'a> {
    /// Columns of the widest, up to a limit.
    widest: u16,
    /// System and name of queues that several instances have.
    ambiguous: BTreeSet<(SystemName, &'a Name)>,
}

impl<'a> Names<'a> {
    fn of(scene: &Scene<'a>) -> Self {
        let (mut widest, mut seen, mut ambiguous) = (0, BTreeSet::new(), BTreeSet::new());
        for instance in &scene.snapshot.instances {
            let several = scene.snapshot.has_several(instance.id.system);
            for sample in &instance.queues {
                widest = widest.max(sample.id.name.as_bytes().len());
                let key = (instance.id.system, &sample.id.name);
                if several && !seen.insert(key) {
                    ambiguous.insert(key);
                }
            }
        }
        Self { widest: u16::try_from(widest).unwrap_or(u16::MAX).min(WIDEST_NAME), ambiguous }
    }

    fn is_ambiguous(&self, row: &QueueRow<'_>) -> bool {
        self.ambiguous.contains(&(row.instance.id.system, &row.sample.id.name))
    }
}

/// The columns worth a place: those a person chose, or all; without the instance where each system has only one.
fn shown_columns(scene: &Scene<'_>) -> Vec<&'static Column> {
    let settings = &scene.state.settings;
    let several = || scene.snapshot.instances.iter().any(|instance| scene.snapshot.has_several(instance.id.system));
    let mut columns = settings.columns_of("queues");
    if !settings.columns.contains_key("queues") && !several() {
        columns.retain(|column| column.name != "instance");
    }
    columns
}

fn is_marked(scene: &Scene<'_>, line: &QueueLine<'_>) -> bool {
    matches!(line, QueueLine::Queue(row) if scene.state.queues.list.marks.contains(&row.sample.id))
}

fn draw_line(
    scene: &Scene<'_>,
    canvas: &mut Canvas<'_>,
    (plan, names): (&Plan, &Names<'_>),
    at: Rect,
    look: RowLook,
    line: &QueueLine<'_>,
) {
    let glyphs = canvas.glyphs();
    match line {
        QueueLine::Queue(row) => {
            let (role, sign) = Condition::of(row.sample).mark(glyphs);
            canvas.text(at.x + 1, at.y, 1, role, sign);
            let tells = plan.width_of("instance").is_none() && names.is_ambiguous(row);
            table::row(canvas, plan, at, look, |placed| queue_cell(scene, glyphs, row, placed, tells));
        }
        QueueLine::Group(group) => {
            let sign = if group.folded { glyphs.closed } else { glyphs.open };
            canvas.text(at.x + 1, at.y, 1, Role::Accent, sign);
            table::row(canvas, plan, at, look, |placed| group_cell(scene, glyphs, group, placed));
        }
    }
}

fn queue_cell(scene: &Scene<'_>, glyphs: &Glyphs, row: &QueueRow<'_>, placed: &Placed, tells_instance: bool) -> Phrase {
    let sample = row.sample;
    match placed.column.name {
        "system" => Phrase::of(Role::Muted, row.instance.id.system),
        "queue" => {
            let name = sample.id.name.to_text();
            let short = name.get(row.skip..).filter(|short| !short.is_empty()).unwrap_or(&name);
            let indent = "  ".repeat(row.depth);
            let room = usize::from(placed.width).saturating_sub(indent.len());
            let fitted = if tells_instance { text::fit(short, room) } else { text::fit_middle(short, room) };
            let mut phrase = Phrase::of(Role::Text, indent).and(Role::Text, fitted);
            if name.is_empty() {
                phrase.push(Role::Muted, "(no name)");
            }
            if tells_instance {
                phrase.push(Role::Muted, format!(" @{}", row.instance.id.name));
            }
            phrase
        }
        "instance" => Phrase::of(Role::Muted, row.instance.id.name.to_text()),
        "version" => sample
            .library_version
            .as_deref()
            .map_or_else(Phrase::new, |version| Phrase::of(Role::Muted, header::short_version(version, 3))),
        "oldest" => verdict::oldest(glyphs, sample.oldest, scene.sampled(), placed.width),
        "drain" => verdict::clear(sample, placed.width),
        "workers" => verdict::workers(sample),
        "backlog" => spark::line(glyphs, &sample.trend.backlog, placed.width, Role::ChartBacklog),
        "verdict" => {
            let role = match Condition::of(sample) {
                Condition::Act => Role::Error,
                Condition::Look => Role::Warn,
                Condition::Paused | Condition::Unknown | Condition::Fine => Role::Muted,
            };
            Phrase::of(role, verdict::words(sample, scene.now))
        }
        other => figure_cell(glyphs, &row.figures, other, placed.width),
    }
}

fn group_cell(scene: &Scene<'_>, glyphs: &Glyphs, group: &GroupLine, placed: &Placed) -> Phrase {
    match placed.column.name {
        "system" => Phrase::of(Role::Muted, group.path.split('\u{1f}').next().unwrap_or_default()),
        "queue" => Phrase::of(Role::Text, "  ".repeat(group.depth))
            .and(Role::Accent, &group.label)
            .and(Role::Muted, format!(" {}", group.queues)),
        "oldest" => group.sums.oldest.map_or_else(Phrase::new, |moment| {
            Phrase::of(Role::Text, span_in(moment.age(scene.sampled()), usize::from(placed.width)))
        }),
        "workers" => match group.sums.workers {
            None => Phrase::new(),
            Some(Count::Unknown) => Phrase::of(Role::Muted, "?"),
            Some(alive) => Phrase::of(Role::Text, text::counted(alive)),
        },
        other => figure_cell(glyphs, &group.sums, other, placed.width),
    }
}

fn figure_cell(glyphs: &Glyphs, sums: &Figures, column: &str, width: u16) -> Phrase {
    match column {
        "waiting" => figures::count(glyphs, sums.waiting, width, Role::StateWaiting),
        "active" => figures::count(glyphs, sums.active, width, Role::StateActive),
        "later" => figures::count(glyphs, sums.later, width, Role::StateScheduled),
        "failed" => figures::count(glyphs, sums.failed, width, Role::StateFailed),
        "in" => figures::rate(glyphs, sums.in_per_s, Role::Text),
        "out" => figures::rate(glyphs, sums.out_per_s, Role::Text),
        "failed_rate" => figures::rate(glyphs, sums.failed_per_s, Role::StateFailed),
        _ => Phrase::new(),
    }
}

/// ` 8 queues  20.6k waiting  22 active …`
fn totals(scene: &Scene<'_>, canvas: &mut Canvas<'_>, at: Rect) {
    let view = &scene.state.queues;
    let all = scene.snapshot.queues().count();
    let filtered = view.only_failures || !view.list.filter.is_empty();
    let (count, sums) = if filtered { rows::totals(scene.state) } else { (all, scene.sums.clone()) };
    let mut line = Phrase::new();
    if !view.list.filter.is_empty() {
        line.append_apart(Phrase::of(Role::Accent, format!("/{}", text::fit(&view.list.filter, 24))));
    }
    if view.only_failures {
        line.append_apart(Phrase::of(Role::StateFailed, "only with failures"));
    }
    if !view.list.marks.is_empty() {
        line.append_apart(Phrase::of(Role::Accent, format!("{} marked", view.list.marks.len())));
    }
    let queues = if count == all {
        figures::plural(count as u64, "queue", "queues")
    } else {
        format!("{} of {} queues", text::count(count as u64), text::count(all as u64))
    };
    line.append_apart(Phrase::of(Role::Text, queues));
    for (count, word, role) in [
        (sums.waiting, "waiting", Role::StateWaiting),
        (sums.active, "active", Role::StateActive),
        (sums.later, "later", Role::StateScheduled),
        (sums.failed, "failed", Role::StateFailed),
    ] {
        if let Some(count) = count {
            let role = if count == Count::Exact(0) { Role::Muted } else { role };
            line.append_apart(Phrase::of(role, text::counted(count)).and(Role::Muted, format!(" {word}")));
        }
    }
    for (rate, word) in [(sums.in_per_s, "in"), (sums.out_per_s, "out")] {
        if let Some(rate) = rate {
            let words = format!("{}/s", text::rate(rate));
            line.append_apart(Phrase::of(Role::Muted, format!("{word} ")).and(Role::Text, words));
        }
    }
    if scene.snapshot.discovery.passes == 0 && scene.snapshot.seq > 0 {
        let share = text::percent((scene.snapshot.discovery.share * 100.0).clamp(0.0, 99.0));
        line.append_apart(Phrase::of(Role::Info, format!("looking for more: {share}")));
    }
    let offers = scene.snapshot.discovery.offers.len() as u64;
    if offers > 0 {
        let words = format!("{} may be a queue (7)", figures::plural(offers, "key", "keys"));
        line.append_apart(Phrase::of(Role::Info, words));
    }
    canvas.phrase(at.x + 1, at.y, at.width.saturating_sub(2), &line);
    if scene.stale {
        canvas.tint(at, Role::Stale);
    }
}

/// Why there is no queue at all, and what to do.
fn nothing_found(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) {
    let snapshot = scene.snapshot;
    let url = &snapshot.url;
    match &snapshot.link {
        LinkHealth::Connecting { last_error } => {
            let heading = format!("Connecting to {url} …");
            let lines: Vec<String> = last_error.iter().cloned().collect();
            empty::draw(canvas, area, if lines.is_empty() { Role::Muted } else { Role::Warn }, &heading, &lines);
        }
        LinkHealth::Down { error, remedy, .. } => {
            let mut lines = vec![error.clone()];
            lines.extend(remedy.clone());
            lines.push("qtop keeps trying; q quits.".to_owned());
            empty::draw(canvas, area, Role::Error, &format!("No connection to {url}."), &lines);
        }
        LinkHealth::Up if snapshot.discovery.passes == 0 => {
            let share = text::percent((snapshot.discovery.share * 100.0).clamp(0.0, 99.0));
            let scanned = text::count(snapshot.discovery.scanned);
            let line = format!("{scanned} keys looked at, {share} of the keyspace. Queues appear as they are met.");
            empty::draw(canvas, area, Role::Muted, "Looking for queues …", &[line]);
        }
        LinkHealth::Up => {
            let mut lines = vec![format!("qtop looked at all keys of {url} and met no queue of a system it knows.")];
            let offers = &snapshot.discovery.offers;
            if offers.is_empty() {
                lines
                    .push("Is it the right database? The last part of the URL names another one, as in …/1".to_owned());
            } else {
                lines.push("These keys may be queues; say so in the configuration with a [[list]] table:".to_owned());
            }
            lines.extend(offers.iter().take(10).map(|offer| {
                let length = offer.length.map_or_else(String::new, |length| format!(", {} items", text::count(length)));
                format!("{} {} ({}{length})", canvas.glyphs().dot, offer.key, offer.kind)
            }));
            empty::draw(canvas, area, Role::Text, "No queues here.", &lines);
        }
    }
}
