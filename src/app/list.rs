//! A list under a cursor that is an identity, not a row number: a reload never moves it to another job.

use std::collections::BTreeSet;

/// Cursor, marks, sort order and filter of one list. `K` identifies a row.
#[derive(Clone, Debug, PartialEq)]
pub struct ListState<K: Ord> {
    /// The row under the cursor. `None`: the first row, whatever it is.
    pub cursor: Option<K>,
    /// Where the cursor's row stood when it was last seen; used if the row goes away.
    pub last_index: usize,
    /// First visible row, kept so that the list does not jump under the eye.
    pub top: usize,
    /// Marked rows.
    pub marks: BTreeSet<K>,
    /// Start of a range selection (`v`).
    pub anchor: Option<K>,
    /// Sort column; `None`: the list's natural order.
    pub sort: Option<Sort>,
    /// Filter text as typed.
    pub filter: String,
}

/// A chosen order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// Column name from [`super::columns`].
    pub column: &'static str,
    /// Largest first.
    pub descending: bool,
}

impl<K: Ord> Default for ListState<K> {
    fn default() -> Self {
        Self {
            cursor: None,
            last_index: 0,
            top: 0,
            marks: BTreeSet::new(),
            anchor: None,
            sort: None,
            filter: String::new(),
        }
    }
}

impl<K: Ord + Clone> ListState<K> {
    /// Index of the cursor among `keys`. If its row is gone, the row that took its place.
    pub fn index(&self, keys: &[K]) -> Option<usize> {
        if keys.is_empty() {
            return None;
        }
        let found = self.cursor.as_ref().and_then(|cursor| keys.iter().position(|key| key == cursor));
        Some(found.unwrap_or_else(|| self.last_index.min(keys.len() - 1)))
    }
}
