//! Tables: columns of fixed widths that give way by rank when the screen is narrow, never by scrolling sideways.

use ratatui::layout::Rect;

use crate::app::columns::{Align, Column};
use crate::app::list::Sort;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};

/// A column with the place it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The column.
    pub column: &'static Column,
    /// Columns from the left edge of the table.
    pub x: u16,
    /// Width in columns.
    pub width: u16,
}

/// Where the columns of a table lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The columns that are shown, from left to right.
    pub placed: Vec<Placed>,
}

impl Plan {
    /// Fits columns into `width`, leaving `gutter` columns free on the left for marks. The least important columns
    /// give way; what then still fits of them comes back; the rest of the space goes to those that may grow.
    pub fn new(columns: &[&'static Column], width: u16, gutter: u16) -> Self {
        Self::with_wish(columns, width, gutter, None)
    }

    /// As [`Self::new`] with a greater least width for the column of one name: less important ones give way to it.
    pub fn with_wish(columns: &[&'static Column], width: u16, gutter: u16, wish: Option<(&str, u16)>) -> Self {
        let columns: Vec<Wanted> = columns
            .iter()
            .map(|column| {
                let wished = wish.filter(|(name, _)| *name == column.name).map_or(0, |(_, width)| width);
                Wanted { column, least: column.width.max(wished) }
            })
            .collect();
        let columns = columns.as_slice();
        let room = width.saturating_sub(gutter);
        let mut shown: Vec<bool> = vec![true; columns.len()];
        while needed(columns, &shown) > room && shown.iter().filter(|shown| **shown).count() > 1 {
            let worst = (0..columns.len())
                .filter(|index| shown[*index])
                .max_by_key(|index| (columns[*index].column.rank, *index))
                .expect("more than one column is shown");
            shown[worst] = false;
        }
        let mut dropped: Vec<usize> = (0..columns.len()).filter(|index| !shown[*index]).collect();
        dropped.sort_by_key(|index| columns[*index].column.rank);
        for index in dropped {
            shown[index] = true;
            if needed(columns, &shown) > room {
                shown[index] = false;
            }
        }
        let chosen: Vec<Wanted> =
            columns.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(column, _)| *column).collect();
        Self { placed: place(&chosen, room, gutter) }
    }

    /// Width of a column, if it is shown.
    pub fn width_of(&self, name: &str) -> Option<u16> {
        self.placed.iter().find(|placed| placed.column.name == name).map(|placed| placed.width)
    }
}

/// Columns between `left` and `right`: text after a number needs more air than a number after anything.
fn gap(left: &Column, right: &Column) -> u16 {
    if left.align == Align::Right && right.align == Align::Left { 2 } else { 1 }
}

/// A column with the least width it gets here.
#[derive(Clone, Copy)]
struct Wanted {
    column: &'static Column,
    least: u16,
}

fn needed(columns: &[Wanted], shown: &[bool]) -> u16 {
    let mut last: Option<&Column> = None;
    let mut sum = 0;
    for Wanted { column, least } in columns.iter().zip(shown).filter(|(_, shown)| **shown).map(|(column, _)| *column) {
        sum += least + last.map_or(0, |last| gap(last, column));
        last = Some(column);
    }
    sum
}

fn place(columns: &[Wanted], room: u16, gutter: u16) -> Vec<Placed> {
    let all = vec![true; columns.len()];
    let spare = room.saturating_sub(needed(columns, &all));
    let shares: u16 = columns.iter().map(|wanted| wanted.column.grow).sum();
    let mut placed: Vec<Placed> = Vec::with_capacity(columns.len());
    let mut x = gutter;
    let (mut given, mut asked) = (0, 0);
    for Wanted { column, least } in columns.iter().copied() {
        if let Some(last) = placed.last() {
            x += gap(last.column, column);
        }
        asked += column.grow;
        let due = if shares == 0 { 0 } else { u32::from(spare) * u32::from(asked) / u32::from(shares) };
        let due = u16::try_from(due).unwrap_or(u16::MAX);
        let width = (least + due - given).min(room.saturating_sub(x - gutter));
        given = due;
        placed.push(Placed { column, x, width });
        x += width;
    }
    placed
}

/// The heads of the columns; the one the rows are sorted by has the sign of its direction.
pub fn head(canvas: &mut Canvas<'_>, plan: &Plan, at: Rect, sort: Option<Sort>) {
    for placed in &plan.placed {
        canvas.note_column(placed.column.name);
        let mut phrase = Phrase::new();
        let direction = sort
            .filter(|sort| sort.column == placed.column.name)
            .map(|sort| if sort.descending { canvas.glyphs().sort_down } else { canvas.glyphs().sort_up });
        let fits = usize::from(placed.width) > placed.column.title.len();
        match direction {
            Some(sign) if placed.column.align == Align::Left || !fits => {
                let title: String =
                    placed.column.title.chars().take(usize::from(placed.width).saturating_sub(1)).collect();
                phrase.push(Role::Accent, title);
                phrase.push(Role::Accent, sign);
            }
            Some(sign) => {
                phrase.push(Role::Accent, sign);
                phrase.push(Role::Accent, placed.column.title);
            }
            None => phrase.push(Role::Title, placed.column.title),
        }
        cell(canvas, placed, at, &phrase);
    }
}

/// How a row stands out.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowLook {
    /// The cursor is on it.
    pub selected: bool,
    /// It is marked.
    pub marked: bool,
    /// The sample it shows is old.
    pub stale: bool,
}

/// One row: cursor and mark signs in the gutter's first column, then the cells.
pub fn row(canvas: &mut Canvas<'_>, plan: &Plan, at: Rect, look: RowLook, cells: impl Fn(&Placed) -> Phrase) {
    for placed in &plan.placed {
        cell(canvas, placed, at, &cells(placed));
    }
    if look.stale {
        canvas.tint(at, Role::Stale);
    }
    if look.marked {
        canvas.tint(at, Role::Mark);
        canvas.text(at.x, at.y, 1, Role::Mark, canvas.glyphs().mark);
    }
    if look.selected {
        canvas.tint(at, Role::Selection);
        if !look.marked {
            canvas.text(at.x, at.y, 1, Role::Accent, canvas.glyphs().cursor);
        }
    }
}

fn cell(canvas: &mut Canvas<'_>, placed: &Placed, at: Rect, phrase: &Phrase) {
    let x = at.x.saturating_add(placed.x);
    match placed.column.align {
        Align::Left => canvas.phrase(x, at.y, placed.width, phrase),
        Align::Right => canvas.phrase_right(x, at.y, placed.width, phrase),
    };
}

/// First row to show so that the one under the cursor is visible and the list moves as little as possible.
pub fn first_visible(top: usize, cursor: usize, rows: usize, length: usize) -> usize {
    let rows = rows.max(1);
    let top = top.min(length.saturating_sub(rows));
    top.clamp((cursor + 1).saturating_sub(rows), cursor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::columns;

    fn names(columns: &'static [Column], width: u16) -> Vec<&'static str> {
        let all: Vec<&'static Column> = columns.iter().collect();
        Plan::new(&all, width, 3).placed.iter().map(|placed| placed.column.name).collect()
    }

    #[test]
    fn u8_the_queue_table_is_complete_at_80() {
        let shown = names(columns::QUEUES, 80);
        for name in ["system", "queue", "waiting", "active", "later", "failed", "in", "out", "oldest", "drain"] {
            assert!(shown.contains(&name), "{name} is missing: {shown:?}");
        }
    }

    #[test]
    fn columns_never_leave_the_table_and_never_touch() {
        for columns in [columns::QUEUES, columns::JOBS, columns::RUNNING, columns::WORKERS, columns::FAILURES] {
            let all: Vec<&'static Column> = columns.iter().collect();
            for width in 0..300 {
                let plan = Plan::new(&all, width, 3);
                for pair in plan.placed.windows(2) {
                    assert!(pair[0].x + pair[0].width < pair[1].x, "width {width}");
                }
                let last = plan.placed.last().expect("one column always stays");
                assert!(last.width == 0 || last.x + last.width <= width, "width {width}");
            }
        }
    }

    #[test]
    fn more_width_fills_the_line() {
        let all: Vec<&'static Column> = columns::QUEUES.iter().collect();
        let plan = Plan::new(&all, 200, 3);
        assert_eq!(plan.placed.len(), all.len());
        let last = plan.placed.last().expect("columns");
        assert_eq!(last.x + last.width, 200);
    }

    #[test]
    fn the_window_follows_the_cursor_and_no_more() {
        assert_eq!(first_visible(0, 5, 10, 100), 0);
        assert_eq!(first_visible(0, 10, 10, 100), 1);
        assert_eq!(first_visible(50, 20, 10, 100), 20);
        assert_eq!(first_visible(95, 99, 10, 100), 90);
        assert_eq!(first_visible(5, 2, 10, 3), 0);
        assert_eq!(first_visible(0, 0, 0, 0), 0);
    }
}
