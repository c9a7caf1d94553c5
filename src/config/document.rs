//! A TOML text read into a type with *all* its problems, not only the first.
//!
//! serde stops at the first error. So the offending entry is taken out of the parsed tree and the rest is read again,
//! until nothing is wrong any more: every problem keeps its place in the text, and what is right stays usable for the
//! checks that follow.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::error::{explain, explain_syntax};
use crate::domain::problem::{Problem, TextFile};

/// More problems than this in one file are not worth telling.
const MOST_PROBLEMS: usize = 50;

/// One step from a table or list to something inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Entry of a table.
    Key(String),
    /// Element of a list, from 0.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The parsed text, from which places are looked up.
pub(super) struct Document<'a> {
    file: &'a TextFile,
    tree: Spanned<DeTable<'a>>,
    /// Places that are known to be wrong; a second complaint about one of them is an echo of the first.
    damaged: Vec<Range<usize>>,
    /// What had to be taken out; that it is missing now is no further problem.
    taken: Vec<Vec<Step>>,
}

impl<'a> Document<'a> {
    /// Reads a text. The value holds everything that was right.
    pub(super) fn read<T: DeserializeOwned + Default>(file: &'a TextFile) -> (T, Self, Vec<Problem>) {
        let (tree, errors) = DeTable::parse_recoverable(&file.text);
        let mut problems: Vec<Problem> = Vec::new();
        let mut document = Document { file, tree, damaged: Vec::new(), taken: Vec::new() };
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            // After one slip the parser often stumbles again over the same line.
            if !document.damaged.iter().any(|damaged| touches(damaged, &span)) {
                problems.push(explain_syntax(file, span.clone(), error.message()));
            }
            document.damaged.push(line_around(&file.text, &span));
        }
        loop {
            match T::deserialize(Deserializer::from(document.tree.clone())) {
                Ok(value) => return (value, document, problems),
                Err(error) => {
                    let span = error.span();
                    let known = span
                        .as_ref()
                        .is_some_and(|span| document.is_damaged(span) || document.is_echo(error.message(), span));
                    if !known {
                        problems.push(explain(file, span.clone().unwrap_or(0..0), error.message()));
                    }
                    let taken = span.is_some_and(|span| document.take_out(&span));
                    if !taken || problems.len() >= MOST_PROBLEMS {
                        return (T::default(), document, problems);
                    }
                }
            }
        }
    }

    /// Place of the entry at a path: of its value, or of the nearest table around it if it was not written.
    pub(super) fn place(&self, path: &[Step]) -> Range<usize> {
        let mut place = 0..0;
        let mut table = Some(self.tree.get_ref());
        let mut value: Option<&Spanned<DeValue<'_>>> = None;
        for step in path {
            value = match step {
                Step::Key(key) => table.and_then(|table| table.get(key.as_str())),
                Step::Index(index) => value.and_then(|value| value.get_ref().as_array()?.get(*index)),
            };
            let Some(found) = value else { break };
            place = found.span();
            table = found.get_ref().as_table();
        }
        place
    }

    /// Place of the name of the entry at a path of names.
    pub(super) fn name_place(&self, path: &[&str]) -> Range<usize> {
        let steps: Vec<Step> = path.iter().copied().map(Step::from).collect();
        let Some((last, tables)) = path.split_last() else { return 0..0 };
        let mut table = Some(self.tree.get_ref());
        for name in tables {
            table = table.and_then(|table| table.get(*name)?.get_ref().as_table());
        }
        let entry = table.and_then(|table| table.get_key_value(*last));
        entry.map_or_else(|| self.place(&steps), |(name, _)| name.span())
    }

    /// Names of the entries of a table; none if there is no such table.
    pub(super) fn names(&self, path: &[&str]) -> Vec<String> {
        let mut table = Some(self.tree.get_ref());
        for name in path {
            table = table.and_then(|table| table.get(*name)?.get_ref().as_table());
        }
        table.map_or_else(Vec::new, |table| table.keys().map(|name| name.get_ref().to_string()).collect())
    }

    /// True if something inside the entry at this path was wrong and is told already.
    pub(super) fn is_broken(&self, path: &[Step]) -> bool {
        self.taken.iter().any(|taken| taken.starts_with(path))
    }

    /// True if an entry had to be taken out of just this table.
    pub(super) fn lost_from(&self, table: &[Step]) -> bool {
        self.taken.iter().any(|taken| taken.split_last().is_some_and(|(_, around)| around == table))
    }

    /// True if this place is known to be wrong.
    pub(super) fn is_damaged(&self, span: &Range<usize>) -> bool {
        self.damaged.iter().any(|damaged| touches(damaged, span))
    }

    /// The text it was read from.
    pub(super) fn file(&self) -> &TextFile {
        self.file
    }

    fn take_out(&mut self, span: &Range<usize>) -> bool {
        self.damaged.push(span.clone());
        let mut path = Vec::new();
        let taken = take_from_table(self.tree.get_mut(), span, &mut path);
        if taken {
            path.reverse();
            self.renumber(&path);
            self.taken.push(path);
        }
        taken
    }

    /// True if something is missed only because it was wrong and had to be taken out.
    fn is_echo(&self, message: &str, table: &Range<usize>) -> bool {
        let Some(name) = message.trim_end().strip_prefix("missing field ") else { return false };
        let name = Step::from(name.trim_matches('`'));
        self.taken
            .iter()
            .any(|taken| taken.split_last().is_some_and(|(last, around)| *last == name && self.place(around) == *table))
    }

    /// The elements behind one that is taken out of a list move up.
    fn renumber(&mut self, gone: &[Step]) {
        let Some((Step::Index(index), list)) = gone.split_last() else { return };
        self.taken.retain(|taken| !taken.starts_with(gone));
        for taken in &mut self.taken {
            if taken.starts_with(list)
                && let Some(Step::Index(later)) = taken.get_mut(list.len())
                && *later > *index
            {
                *later -= 1;
            }
        }
    }
}

fn touches(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end.max(b.start + 1) && b.start < a.end.max(a.start + 1)
}

fn line_around(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = text.get(span.end..).and_then(|after| after.find('\n')).map_or(text.len(), |at| span.end + at);
    start..end + 1
}

/// Takes the entry that lies at `span` out of the tree: the innermost one whose name or value it is. `path` becomes the
/// way to it, backwards.
fn take_from_table(table: &mut DeTable<'_>, span: &Range<usize>, path: &mut Vec<Step>) -> bool {
    let mut found = None;
    for (name, value) in table.iter_mut() {
        if name.span() == *span {
            found = Some(name.get_ref().to_string());
            break;
        }
        if take_from_value(value, span, path) {
            path.push(Step::Key(name.get_ref().to_string()));
            return true;
        }
        if covers(&value.span(), span) {
            found = Some(name.get_ref().to_string());
        }
    }
    let Some(name) = found else { return false };
    table.remove(name.as_str());
    path.push(Step::Key(name));
    true
}

fn take_from_value(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>, path: &mut Vec<Step>) -> bool {
    match value.get_mut() {
        DeValue::Table(table) => take_from_table(table, span, path),
        DeValue::Array(list) => {
            for (index, item) in list.iter_mut().enumerate() {
                if take_from_value(item, span, path) {
                    path.push(Step::Index(index));
                    return true;
                }
            }
            let Some(gone) = list.iter().position(|item| covers(&item.span(), span)) else { return false };
            let kept = std::mem::replace(list, DeArray::new()).into_iter().enumerate();
            *list = kept.filter(|(index, _)| *index != gone).map(|(_, item)| item).collect();
            path.push(Step::Index(gone));
            true
        }
        _ => false,
    }
}

fn covers(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
