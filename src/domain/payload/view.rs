//! A tree as lines with folds, for a screen that shows a few dozen of perhaps a million.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::tree::{Key, Kind, NodeRef, Tree};
use crate::domain::text::{harmless, width};

/// Bytes of a value's text that a line looks at.
const LINE_BYTES: usize = 4_096;

/// Columns that a folded container may take to show what is in it.
const PREVIEW_COLUMNS: usize = 60;

/// Containers with more values than this are closed until somebody opens them.
const OPEN_CHILDREN: usize = 500;

/// Which containers are open: those above a depth, but for the toggled ones. Survives a reload of the same payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folds {
    open_depth: usize,
    toggled: BTreeSet<usize>,
}

impl Default for Folds {
    /// Two levels are open.
    fn default() -> Self {
        Self::open_to(2)
    }
}

impl Folds {
    /// Containers of a depth below `levels` are open; `usize::MAX` opens all, 0 closes all.
    pub fn open_to(levels: usize) -> Self {
        Self { open_depth: levels, toggled: BTreeSet::new() }
    }

    /// Opens what is closed and the other way round.
    pub fn toggle(&mut self, node: usize) {
        if !self.toggled.remove(&node) {
            self.toggled.insert(node);
        }
    }

    /// Opens or closes one container.
    pub fn set_open(&mut self, node: NodeRef<'_>, open: bool) {
        if self.is_open(node) != open {
            self.toggle(node.index());
        }
    }

    /// True if the values inside are shown.
    pub fn is_open(&self, node: NodeRef<'_>) -> bool {
        let all = self.open_depth == usize::MAX;
        let open = all || (node.depth() < self.open_depth && node.child_count() <= OPEN_CHILDREN);
        open != self.toggled.contains(&node.index())
    }
}

/// One line of a tree. Key and text are harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The value's number, for folding and selecting.
    pub node: usize,
    /// Levels of indentation.
    pub depth: usize,
    /// Name, or number inside a sequence; `None` for the outermost value.
    pub key: Option<Cow<'a, str>>,
    /// What the value is.
    pub kind: Kind,
    /// The value: strings in quotes, containers as `{ 3 }` or, closed, with what is in them if it is short.
    pub text: Cow<'a, str>,
    /// Values directly inside.
    pub children: usize,
    /// `None` if there is nothing to fold.
    pub open: Option<bool>,
}

impl Tree {
    /// Numbers of the values that have a line, in order. A screen keeps this and asks [`Self::line`] for what it draws.
    pub fn visible(&self, folds: &Folds) -> Vec<usize> {
        let mut visible = Vec::new();
        let mut next = 0;
        while let Some(node) = self.node(next) {
            visible.push(next);
            next += if node.is_container() && !folds.is_open(node) { 1 + node.below() } else { 1 };
        }
        visible
    }

    /// All lines. Lazy: only those that are taken are made.
    pub fn lines<'a>(&'a self, folds: &'a Folds) -> impl Iterator<Item = Line<'a>> {
        self.visible(folds).into_iter().filter_map(|index| self.line(index, folds))
    }

    /// The line of one value.
    pub fn line(&self, index: usize, folds: &Folds) -> Option<Line<'_>> {
        let node = self.node(index)?;
        let key = match node.key() {
            Key::Root => None,
            Key::Index(place) => Some(Cow::Owned(place.to_string())),
            Key::Name(name) => Some(owned_harmless(name)),
        };
        let folding = node.is_container() && node.child_count() > 0;
        let open = folding.then(|| folds.is_open(node));
        let text = match (node.is_container(), open) {
            (true, Some(false)) => preview(node).map_or_else(|| summary(node), Cow::Owned),
            (true, _) => summary(node),
            (false, _) => scalar(node),
        };
        Some(Line {
            node: index,
            depth: node.depth(),
            key,
            kind: node.kind(),
            text,
            children: node.child_count(),
            open,
        })
    }
}

fn owned_harmless(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => harmless(text),
        Cow::Owned(text) => Cow::Owned(harmless(&text).into_owned()),
    }
}

fn scalar(node: NodeRef<'_>) -> Cow<'_, str> {
    let (text, whole) = node.text_start(LINE_BYTES);
    let text = owned_harmless(text);
    let end = if whole { "" } else { "…" };
    match node.kind() {
        Kind::String => Cow::Owned(format!("\"{text}{}", if whole { "\"" } else { end })),
        _ if whole => text,
        _ => Cow::Owned(format!("{text}{end}")),
    }
}

fn summary(node: NodeRef<'_>) -> Cow<'_, str> {
    match (node.kind(), node.child_count()) {
        (Kind::Map, 0) => Cow::Borrowed("{}"),
        (Kind::Map, children) => Cow::Owned(format!("{{ {children} }}")),
        (_, 0) => Cow::Borrowed("[]"),
        (_, children) => Cow::Owned(format!("[ {children} ]")),
    }
}

/// The whole inside on one line, if it is short and nothing in it has an inside of its own.
fn preview(node: NodeRef<'_>) -> Option<String> {
    let map = node.kind() == Kind::Map;
    let mut out = String::from(if map { "{" } else { "[" });
    for (place, (key, child)) in node.children().enumerate() {
        if child.is_container() && child.child_count() > 0 {
            return None;
        }
        if place > 0 {
            out.push_str(", ");
        }
        if let Key::Name(name) = key {
            out.push_str(&harmless(&name));
            out.push_str(": ");
        }
        out.push_str(&if child.is_container() { summary(child) } else { scalar(child) });
        if width(&out) >= PREVIEW_COLUMNS {
            return None;
        }
    }
    out.push(if map { '}' } else { ']' });
    Some(out)
}
