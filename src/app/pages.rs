//! A long list of jobs as a window of pages: pages are added ahead of the cursor and dropped behind it, so that a list
//! of a million jobs is scrolled through in bounded memory (F10). Cursors are opaque and lead forward only; the way back is
//! remembered as the cursors that led here.

use std::collections::HashSet;

use super::views::QueueView;
use crate::domain::ids::JobId;
use crate::domain::job::{Cursor, JobRow, Page};

/// Pages that are kept. Rows are a few hundred bytes, so twenty pages of a hundred stay far below a megabyte.
const KEPT: usize = 20;

/// Which pages the loaded rows consist of. A page is named by the cursor it was asked with; the first has none.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Pages {
    /// Pages dropped above the loaded rows, the topmost first: name and number of rows.
    pub above: Vec<(Option<Cursor>, usize)>,
    /// Loaded pages: name and number of rows.
    pub loaded: Vec<(Option<Cursor>, usize)>,
    /// The page whose refresh is under way.
    pub refreshing: Option<Option<Cursor>>,
    /// The page ahead that is under way lies above the loaded rows.
    pub upwards: bool,
}

impl Pages {
    /// Number of jobs above the first loaded row.
    pub fn offset(&self) -> usize {
        self.above.iter().map(|(_, rows)| rows).sum()
    }

    /// Index among the loaded pages of the page that holds a row.
    pub fn page_of(&self, row: usize) -> Option<usize> {
        let mut end = 0;
        self.loaded.iter().position(|(_, rows)| {
            end += rows;
            row < end
        })
    }
}

impl QueueView {
    /// Forgets all rows: another state, or another queue.
    pub fn forget_rows(&mut self) {
        self.rows.clear();
        self.next = None;
        self.total = None;
        self.pages = Pages::default();
        self.list.top = 0;
        self.list.last_index = 0;
    }

    /// Takes a page that was asked for by name: the first one, or the refresh of a loaded one.
    pub fn refreshed(&mut self, name: &Option<Cursor>, page: Page<JobRow>) {
        self.total = page.total;
        let Some(index) = self.pages.loaded.iter().position(|(known, _)| known == name) else {
            if self.pages.loaded.is_empty() && name.is_none() {
                self.pages.loaded.push((None, page.rows.len()));
                self.rows = page.rows;
                self.next = page.next;
            }
            return;
        };
        let start: usize = self.pages.loaded[..index].iter().map(|(_, rows)| rows).sum();
        let end = start + self.pages.loaded[index].1;
        self.pages.loaded[index].1 = page.rows.len();
        let new: HashSet<JobId> = page.rows.iter().map(|row| row.id.clone()).collect();
        self.rows.splice(start..end, page.rows);
        self.forget_copies(index, &new);
        match self.pages.loaded.get_mut(index + 1) {
            // Where lists go on by position the name never changes; where they go on by member it does.
            Some(following) if page.next.is_some() => following.0 = page.next,
            // The list now ends here.
            Some(_) => {
                let kept: usize = self.pages.loaded[..=index].iter().map(|(_, rows)| rows).sum();
                self.pages.loaded.truncate(index + 1);
                self.rows.truncate(kept);
                self.next = None;
            }
            None => self.next = page.next,
        }
    }

    /// Takes the page after the loaded rows.
    pub fn appended(&mut self, page: Page<JobRow>) {
        let name = self.next.take();
        let new: HashSet<JobId> = page.rows.iter().map(|row| row.id.clone()).collect();
        self.pages.loaded.push((name, page.rows.len()));
        self.rows.extend(page.rows);
        self.forget_copies(self.pages.loaded.len() - 1, &new);
        self.next = page.next;
        if page.total.is_some() {
            self.total = page.total;
        }
        if self.pages.loaded.len() > KEPT {
            let (name, rows) = self.pages.loaded.remove(0);
            self.rows.drain(..rows);
            self.list.top = self.list.top.saturating_sub(rows);
            self.list.last_index = self.list.last_index.saturating_sub(rows);
            self.pages.above.push((name, rows));
        }
    }

    /// Takes the page before the loaded rows.
    pub fn prepended(&mut self, page: Page<JobRow>) {
        let Some((name, _)) = self.pages.above.pop() else { return };
        let rows = page.rows.len();
        let new: HashSet<JobId> = page.rows.iter().map(|row| row.id.clone()).collect();
        self.pages.loaded.insert(0, (name, rows));
        self.rows.splice(..0, page.rows);
        self.list.top += rows;
        self.list.last_index += rows;
        self.forget_copies(0, &new);
        if self.pages.loaded.len() > KEPT
            && let Some((name, rows)) = self.pages.loaded.pop()
        {
            self.rows.truncate(self.rows.len().saturating_sub(rows));
            self.next = name;
        }
    }

    /// Removes rows from the other pages that the page at `index` now has: the list has moved under the window.
    fn forget_copies(&mut self, index: usize, ids: &HashSet<JobId>) {
        let mut page = 0;
        let mut left = self.pages.loaded.first().map_or(0, |(_, rows)| *rows);
        let mut sizes: Vec<usize> = self.pages.loaded.iter().map(|(_, rows)| *rows).collect();
        self.rows.retain(|row| {
            while left == 0 && page + 1 < sizes.len() {
                page += 1;
                left = self.pages.loaded[page].1;
            }
            left = left.saturating_sub(1);
            let keep = page == index || !ids.contains(&row.id);
            if !keep {
                sizes[page] -= 1;
            }
            keep
        });
        self.pages.loaded.iter_mut().zip(sizes).for_each(|((_, rows), size)| *rows = size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::QueueId;
    use crate::domain::state::{StateId, StateKind};

    const STATE: StateId = StateId("wait");

    fn view() -> QueueView {
        QueueView::new(QueueId::new("bullmq", "bull", "mail"), STATE)
    }

    /// Part of a list by position, as most systems page.
    fn page(list: &[u32], from: usize, rows: usize) -> Page<JobRow> {
        let end = (from + rows).min(list.len());
        let row = |id: &u32| JobRow::bare(id.to_string(), STATE, StateKind::Waiting);
        Page {
            rows: list[from.min(end)..end].iter().map(row).collect(),
            next: (end < list.len()).then(|| Cursor(end.to_string())),
            total: Some(list.len() as u64),
        }
    }

    fn position(name: &Option<Cursor>) -> usize {
        name.as_ref().map_or(0, |cursor| cursor.0.parse().unwrap())
    }

    fn ids(view: &QueueView) -> Vec<u32> {
        view.rows.iter().map(|row| row.id.to_text().parse().unwrap()).collect()
    }

    #[test]
    fn f10_a_million_jobs_are_scrolled_through_in_a_bounded_window_and_back() {
        let list: Vec<u32> = (0..1_000_000).collect();
        let mut view = view();
        view.refreshed(&None, page(&list, 0, 500));
        let mut most = 0;
        for _ in 0..100 {
            let from = position(&view.next);
            view.appended(page(&list, from, 500));
            most = most.max(view.rows.len());
        }
        assert_eq!(most, KEPT * 500);
        assert_eq!(view.pages.offset() + view.rows.len(), 101 * 500);
        assert_eq!(ids(&view)[0] as usize, view.pages.offset());
        while let Some((name, _)) = view.pages.above.last().cloned() {
            view.prepended(page(&list, position(&name), 500));
        }
        assert_eq!(ids(&view), (0..(KEPT as u32) * 500).collect::<Vec<_>>());
        assert_eq!(position(&view.next), KEPT * 500);
    }

    #[test]
    fn a_list_that_moves_between_refreshes_never_shows_a_job_twice() {
        let mut list: Vec<u32> = (0..1_000).collect();
        let mut view = view();
        view.refreshed(&None, page(&list, 0, 100));
        view.appended(page(&list, 100, 100));
        view.appended(page(&list, 200, 100));
        list.drain(..30);
        view.refreshed(&None, page(&list, 0, 100));
        let shown = ids(&view);
        let distinct: HashSet<_> = shown.iter().collect();
        assert_eq!(distinct.len(), shown.len());
        assert_eq!(view.pages.loaded.iter().map(|(_, rows)| rows).sum::<usize>(), shown.len());
        view.refreshed(&Some(Cursor("100".into())), page(&list, 100, 100));
        view.refreshed(&Some(Cursor("200".into())), page(&list, 200, 100));
        assert_eq!(ids(&view), (30..330).collect::<Vec<_>>());
    }

    #[test]
    fn a_list_that_became_shorter_loses_the_pages_behind_its_end() {
        let list: Vec<u32> = (0..250).collect();
        let mut view = view();
        view.refreshed(&None, page(&list, 0, 100));
        view.appended(page(&list, 100, 100));
        view.refreshed(&None, page(&list[..40], 0, 100));
        assert_eq!(ids(&view), (0..40).collect::<Vec<_>>());
        assert_eq!((view.next, view.total), (None, Some(40)));
    }
}
