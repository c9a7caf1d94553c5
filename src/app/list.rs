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

    /// Puts the cursor on a row and keeps it in sight.
    pub fn go(&mut self, keys: &[K], index: usize, visible: usize) {
        let Some(key) = keys.get(index) else { return };
        if let Some(anchor) = self.anchor.as_ref().and_then(|anchor| keys.iter().position(|key| key == anchor)) {
            self.marks.extend(keys[anchor.min(index)..=anchor.max(index)].iter().cloned());
        }
        self.cursor = Some(key.clone());
        self.last_index = index;
        self.show(index, keys.len(), visible);
    }

    /// Follows the row under the cursor after a reload. If it is gone, the row that took its place is next.
    pub fn settle(&mut self, keys: &[K], visible: usize) {
        let Some(index) = self.index(keys) else { return };
        // A row that moved takes the lines around it along, so that the eye need not search; at the top of a list the
        // top stays.
        if self.top > 0 && self.cursor.as_ref() == Some(&keys[index]) {
            self.top = (self.top + index).saturating_sub(self.last_index);
        }
        self.cursor = Some(keys[index].clone());
        self.last_index = index;
        self.show(index, keys.len(), visible);
    }

    /// Marks or unmarks the row under the cursor.
    pub fn toggle_mark(&mut self, keys: &[K]) {
        if let Some(index) = self.index(keys)
            && !self.marks.remove(&keys[index])
        {
            self.marks.insert(keys[index].clone());
        }
    }

    /// Starts a range at the cursor, or ends the one that was started.
    pub fn toggle_range(&mut self, keys: &[K]) {
        self.anchor = match self.anchor.take() {
            Some(_) => None,
            None => self.index(keys).map(|index| keys[index].clone()),
        };
        self.marks.extend(self.anchor.clone());
    }

    /// Forgets all marks and a started range; true if there were any.
    pub fn clear_marks(&mut self) -> bool {
        let any = !self.marks.is_empty() || self.anchor.is_some();
        self.marks.clear();
        self.anchor = None;
        any
    }

    /// Moves the first visible row as little as possible so that `index` is in sight and no line stays empty.
    fn show(&mut self, index: usize, rows: usize, visible: usize) {
        self.top = scroll_to(self.top, index, rows, visible);
    }
}

/// The first visible row that shows `index`, near to `top`.
pub fn scroll_to(top: usize, index: usize, rows: usize, visible: usize) -> usize {
    let visible = visible.max(1);
    let top = top.clamp((index + 1).saturating_sub(visible), index);
    top.min(rows.saturating_sub(visible))
}

/// A movement of a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// So many rows down, stopping at the end.
    Down(usize),
    /// So many rows up, stopping at the start.
    Up(usize),
    /// To the first row.
    Top,
    /// To the last row.
    Bottom,
    /// To that row.
    To(usize),
    /// To the next row, from the last to the first.
    Next,
    /// To the row before, from the first to the last.
    Before,
}

impl Motion {
    /// Where it leads from `index` among `rows`; `rows` is not zero.
    pub fn from(self, index: usize, rows: usize) -> usize {
        let last = rows - 1;
        match self {
            Self::Down(lines) => (index + lines).min(last),
            Self::Up(lines) => index.saturating_sub(lines),
            Self::Top => 0,
            Self::Bottom => last,
            Self::To(row) => row.min(last),
            Self::Next => {
                if index >= last {
                    0
                } else {
                    index + 1
                }
            }
            Self::Before => {
                if index == 0 {
                    last
                } else {
                    index - 1
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_cursor_follows_its_row_through_any_reload(
            loads in prop::collection::vec(prop::collection::btree_set(0_u32..60, 0..40), 1..20),
            moves in prop::collection::vec(0_usize..40, 1..20),
            visible in 1_usize..30,
            reversed in any::<bool>(),
        ) {
            let mut list = ListState::<u32>::default();
            for (load, step) in loads.iter().zip(moves.iter().cycle()) {
                let mut keys: Vec<u32> = load.iter().copied().collect();
                if reversed { keys.reverse(); }
                let before = list.cursor;
                list.settle(&keys, visible);
                match before {
                    Some(before) if keys.contains(&before) => prop_assert_eq!(list.cursor, Some(before)),
                    _ if keys.is_empty() => prop_assert_eq!(list.cursor, before),
                    _ => prop_assert!(list.cursor.is_some_and(|cursor| keys.contains(&cursor))),
                }
                if let Some(index) = list.index(&keys) {
                    prop_assert!(list.top <= index && index < list.top + visible);
                    prop_assert!(list.top == 0 || list.top + visible <= keys.len());
                    list.go(&keys, Motion::Down(*step).from(index, keys.len()), visible);
                }
            }
        }
    }

    #[test]
    fn the_row_that_takes_the_place_of_a_lost_one_is_next() {
        let mut list = ListState::default();
        list.go(&[1, 2, 3, 4], 2, 10);
        list.settle(&[1, 2, 4], 10);
        assert_eq!(list.cursor, Some(4));
        list.settle(&[1, 2], 10);
        assert_eq!(list.cursor, Some(2));
    }

    #[test]
    fn a_range_marks_what_the_cursor_passes() {
        let keys = [1, 2, 3, 4, 5];
        let mut list = ListState::default();
        list.go(&keys, 1, 10);
        list.toggle_range(&keys);
        list.go(&keys, 3, 10);
        list.toggle_range(&keys);
        list.go(&keys, 4, 10);
        assert_eq!(list.marks.iter().copied().collect::<Vec<_>>(), [2, 3, 4]);
        assert!(list.clear_marks() && !list.clear_marks());
    }
}
