//! Lines of the Queues screen: queues, or a tree of groups by the delimiters in their names.

use std::time::Duration;

use super::{arrange, seconds_since};
use crate::app::columns;
use crate::app::filter::{Cell, Cells};
use crate::app::state::State;
use crate::domain::ids::InstanceId;
use crate::domain::queue::{Count, Drain, Oldest, QueueSample};
use crate::domain::snapshot::{InstanceSample, Snapshot};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;

/// A line of the Queues screen.
#[derive(Clone, Debug, PartialEq)]
pub enum QueueLine<'a> {
    /// A group of the tree.
    Group(GroupLine),
    /// A queue.
    Queue(QueueRow<'a>),
}

/// A group of queues whose names begin alike.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupLine {
    /// Identity: system, instance and the parts of the name, with unit separators between.
    pub path: String,
    /// The last part of the name, with its delimiter.
    pub label: String,
    /// Levels above it.
    pub depth: usize,
    /// Its queues are hidden.
    pub folded: bool,
    /// Number of queues in it.
    pub queues: usize,
    /// Sums over them.
    pub sums: Figures,
}

/// A queue with its instance.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueRow<'a> {
    /// Its instance.
    pub instance: &'a InstanceSample,
    /// What the tick learned about it.
    pub sample: &'a QueueSample,
    /// Its counts by shared kinds.
    pub figures: Figures,
    /// Levels above it; 0 outside a tree.
    pub depth: usize,
    /// Bytes of its name that the groups above already say; 0 outside a tree.
    pub skip: usize,
}

/// Figures of a queue, a group or all queues, by shared kinds of states.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Figures {
    /// Ready to be taken; `None`: the system has no such state.
    pub waiting: Option<Count>,
    /// Taken by a worker.
    pub active: Option<Count>,
    /// Scheduled, retrying or blocked.
    pub later: Option<Count>,
    /// Failed or dead.
    pub failed: Option<Count>,
    /// Jobs added per second.
    pub in_per_s: Option<f64>,
    /// Jobs ended per second.
    pub out_per_s: Option<f64>,
    /// Jobs ended badly per second.
    pub failed_per_s: Option<f64>,
    /// When the oldest waiting job was added.
    pub oldest: Option<Timestamp>,
    /// Workers alive; unknown ones make it a least number.
    pub workers: Option<Count>,
}

impl Figures {
    /// True if there are failed or dead jobs, as far as known.
    pub fn has_failures(&self) -> bool {
        self.failed.and_then(Count::value).is_some_and(|failed| failed > 0)
    }

    fn add(&mut self, other: &Self) {
        self.waiting = add_counts(self.waiting, other.waiting);
        self.active = add_counts(self.active, other.active);
        self.later = add_counts(self.later, other.later);
        self.failed = add_counts(self.failed, other.failed);
        self.in_per_s = add_rates(self.in_per_s, other.in_per_s);
        self.out_per_s = add_rates(self.out_per_s, other.out_per_s);
        self.failed_per_s = add_rates(self.failed_per_s, other.failed_per_s);
        self.oldest = match (self.oldest, other.oldest) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.workers = add_counts(self.workers, other.workers);
    }
}

/// A sum over several queues in which something is unknown is at least what is known.
fn add_counts(a: Option<Count>, b: Option<Count>) -> Option<Count> {
    match (a, b) {
        (Some(Count::Unknown), Some(b)) | (Some(b), Some(Count::Unknown)) => {
            Some(b.value().map_or(Count::Unknown, Count::AtLeast))
        }
        (Some(a), Some(b)) => Some(a.plus(b)),
        (a, b) => a.or(b),
    }
}

fn add_rates(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

/// Workers of a queue that are counted at no other. Where nothing can run there is nothing to be known of them.
fn workers(instance: &InstanceSample, sample: &QueueSample) -> Option<Count> {
    let count = &sample.workers;
    let own = |alive: u64| alive.saturating_sub(count.shared);
    match count.alive {
        Some(alive) if count.at_least && alive > 0 => Some(Count::AtLeast(own(alive))),
        Some(alive) => Some(Count::Exact(own(alive))),
        None => instance.states.iter().any(|state| state.kind == StateKind::Active).then_some(Count::Unknown),
    }
}

/// Figures of one queue. One pass over its counts: a thousand queues are summed up in every frame (F12).
pub fn figures(instance: &InstanceSample, sample: &QueueSample) -> Figures {
    let mut figures = Figures {
        in_per_s: sample.trend.in_per_s,
        out_per_s: sample.trend.out_per_s,
        failed_per_s: sample.trend.failed_per_s,
        oldest: match sample.oldest {
            Oldest::Since(moment) => Some(moment),
            Oldest::Nothing | Oldest::Unknown => None,
        },
        workers: workers(instance, sample),
        ..Figures::default()
    };
    for (index, state) in instance.states.iter().enumerate() {
        let sum = match state.kind {
            StateKind::Waiting => &mut figures.waiting,
            StateKind::Active => &mut figures.active,
            StateKind::Scheduled | StateKind::Retrying | StateKind::Blocked => &mut figures.later,
            StateKind::Failed | StateKind::Dead => &mut figures.failed,
            StateKind::Completed | StateKind::Cancelled | StateKind::Other => continue,
        };
        // Counts stand in the order of the states; looking one up by name is for the odd sample that differs.
        let in_place = sample.counts.get(index).filter(|(id, _)| *id == state.id).map(|(_, count)| *count);
        let count = in_place.unwrap_or_else(|| sample.count(state.id));
        *sum = Some(sum.map_or(count, |sum| sum.plus(count)));
    }
    figures
}

/// Lines of the Queues screen in the order they are drawn.
pub fn queues(state: &State) -> Vec<QueueLine<'_>> {
    let rows: Vec<QueueRow<'_>> = admitted(state);
    if state.queues.tree { tree(state, rows) } else { rows.into_iter().map(QueueLine::Queue).collect() }
}

/// Sums over the queues that pass the filter, and how many they are.
pub fn totals(state: &State) -> (usize, Figures) {
    let rows = admitted(state);
    let mut sums = Figures::default();
    rows.iter().for_each(|row| sums.add(&row.figures));
    (rows.len(), sums)
}

/// Sums over all queues of a sample, for the tab line.
pub fn sums(snapshot: &Snapshot) -> Figures {
    let mut sums = Figures::default();
    snapshot.queues().for_each(|(instance, sample)| sums.add(&figures(instance, sample)));
    sums
}

/// Index of the line under the cursor.
pub fn queue_index(state: &State, lines: &[QueueLine<'_>]) -> Option<usize> {
    if lines.is_empty() {
        return None;
    }
    let view = &state.queues;
    let found = match &view.group {
        Some(path) => lines.iter().position(|line| matches!(line, QueueLine::Group(group) if group.path == *path)),
        None => view.list.cursor.as_ref().and_then(|cursor| {
            lines.iter().position(|line| matches!(line, QueueLine::Queue(row) if row.sample.id == *cursor))
        }),
    };
    Some(found.unwrap_or_else(|| view.list.last_index.min(lines.len() - 1)))
}

fn admitted(state: &State) -> Vec<QueueRow<'_>> {
    let view = &state.queues;
    let now = state.server_now();
    let rows = state
        .shown()
        .queues()
        .map(|(instance, sample)| QueueRow { figures: figures(instance, sample), instance, sample, depth: 0, skip: 0 })
        .filter(|row| !view.only_failures || row.figures.has_failures())
        .map(|row| QueueCells { row, now });
    arrange(rows, columns::QUEUES, &view.list.filter, view.list.sort).map(|cells| cells.row).collect()
}

struct QueueCells<'a> {
    row: QueueRow<'a>,
    now: Timestamp,
}

impl Cells for QueueCells<'_> {
    fn cell(&self, column: &str) -> Cell {
        let QueueRow { instance, sample, figures, .. } = &self.row;
        match column {
            "system" => Cell::Text(instance.id.system.to_owned()),
            "queue" => Cell::Text(sample.id.name.to_text()),
            "instance" => Cell::Text(instance.id.name.to_text()),
            "version" => Cell::text(sample.library_version.as_deref()),
            "waiting" => count(figures.waiting),
            "active" => count(figures.active),
            "later" => count(figures.later),
            "failed" => count(figures.failed),
            "in" => Cell::number(figures.in_per_s),
            "out" => Cell::number(figures.out_per_s),
            "failed_rate" => Cell::number(figures.failed_per_s),
            "oldest" => Cell::number(seconds_since(figures.oldest, self.now)),
            "drain" => Cell::number(match sample.trend.drain {
                Drain::Empty => Some(0.0),
                Drain::In(span) => Some(span.as_secs_f64()),
                Drain::Never { .. } => Some(Duration::MAX.as_secs_f64()),
                Drain::Unknown => None,
            }),
            "workers" => Cell::number(figures.workers.and_then(Count::value).map(|alive| alive as f64)),
            "backlog" => count(figures.waiting),
            "verdict" => {
                let worst = sample.warnings.iter().max_by_key(|warning| warning.severity);
                Cell::text(sample.error.as_deref().or(worst.map(|warning| warning.text.as_str())))
            }
            _ => Cell::Unknown,
        }
    }
}

fn count(count: Option<Count>) -> Cell {
    Cell::number(count.and_then(Count::value).map(|value| value as f64))
}

/// A level of the tree while it is built. Children keep the order in which the sorted queues brought them.
#[derive(Default)]
struct Node<'a> {
    children: Vec<Child<'a>>,
}

enum Child<'a> {
    Group { label: String, skip: usize, node: Node<'a> },
    Queue(QueueRow<'a>),
}

fn tree<'a>(state: &State, rows: Vec<QueueRow<'a>>) -> Vec<QueueLine<'a>> {
    // Names of different instances never share a group: equal words there mean nothing to each other.
    let delimiters: Vec<char> = state.settings.tree_delimiter.chars().collect();
    let mut roots: Vec<(&'a InstanceId, Node<'a>)> = Vec::new();
    for row in rows {
        let id = &row.instance.id;
        let index = roots.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
            roots.push((id, Node::default()));
            roots.len() - 1
        });
        let name = row.sample.id.name.to_text();
        roots[index].1.insert(&name, 0, &delimiters, row);
    }
    let mut lines = Vec::new();
    for (id, node) in roots {
        let path = format!("{}\u{1f}{}", id.system, id.name);
        node.write(state, &path, 0, &mut lines);
    }
    lines
}

impl<'a> Node<'a> {
    fn insert(&mut self, name: &str, from: usize, delimiters: &[char], mut row: QueueRow<'a>) {
        let Some(at) = name[from..].find(delimiters).filter(|at| from + at + 1 < name.len()) else {
            row.skip = from;
            self.children.push(Child::Queue(row));
            return;
        };
        let (part, next) = (&name[from..=from + at], from + at + 1);
        let known = self.children.iter_mut().find_map(|child| match child {
            Child::Group { label, node, .. } if label == part => Some(node),
            _ => None,
        });
        match known {
            Some(node) => node.insert(name, next, delimiters, row),
            None => {
                let mut node = Node::default();
                node.insert(name, next, delimiters, row);
                self.children.push(Child::Group { label: part.to_owned(), skip: from, node });
            }
        }
    }

    fn queues(&self) -> usize {
        self.children.iter().map(|child| if let Child::Group { node, .. } = child { node.queues() } else { 1 }).sum()
    }

    fn sums(&self, sums: &mut Figures) {
        for child in &self.children {
            match child {
                Child::Group { node, .. } => node.sums(sums),
                Child::Queue(row) => sums.add(&row.figures),
            }
        }
    }

    fn write(self, state: &State, path: &str, depth: usize, lines: &mut Vec<QueueLine<'a>>) {
        for child in self.children {
            match child {
                Child::Queue(row) => lines.push(QueueLine::Queue(QueueRow { depth, ..row })),
                // A group of one queue would only take a line away.
                Child::Group { skip, node, .. } if node.queues() == 1 => {
                    if let Some(row) = node.single() {
                        lines.push(QueueLine::Queue(QueueRow { depth, skip, ..row }));
                    }
                }
                Child::Group { label, node, .. } => {
                    let path = format!("{path}\u{1f}{label}");
                    let folded = state.queues.folded.contains(&path);
                    let mut sums = Figures::default();
                    node.sums(&mut sums);
                    let group = GroupLine { path: path.clone(), label, depth, folded, queues: node.queues(), sums };
                    lines.push(QueueLine::Group(group));
                    if !folded {
                        node.write(state, &path, depth + 1, lines);
                    }
                }
            }
        }
    }

    fn single(self) -> Option<QueueRow<'a>> {
        self.children.into_iter().find_map(|child| match child {
            Child::Queue(row) => Some(row),
            Child::Group { node, .. } => node.single(),
        })
    }
}
