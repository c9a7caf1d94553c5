//! A table of rows with a cursor, as most screens have one.

use ratatui::layout::Rect;

use super::Body;
use crate::app::columns::Column;
use crate::app::list::ListState;
use crate::theme::Role;
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::table::{self, Placed, Plan, RowLook};

/// A sign before a row, with its role.
pub type Sign = (Role, &'static str);

/// Rows and how to draw them.
pub struct Listing<'a, R, K: Ord> {
    /// Columns that may be shown.
    pub columns: Vec<&'static Column>,
    /// Cursor, marks, order.
    pub list: &'a ListState<K>,
    /// All rows.
    pub rows: &'a [R],
    /// What identifies a row.
    pub key: &'a dyn Fn(&R) -> K,
    /// The sign before a row; `None`: rows have no sign.
    pub sign: Option<&'a dyn Fn(&R) -> Sign>,
    /// What a row says in a column.
    pub cell: &'a dyn Fn(&R, &Placed) -> Phrase,
    /// The rows are older than they should be.
    pub stale: bool,
}

/// What was drawn.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Where the rows are.
    pub body: Body,
    /// Index of the row under the cursor.
    pub selected: Option<usize>,
    /// Index of the first row on the screen.
    pub top: usize,
}

impl<R, K: Ord + Clone> Listing<'_, R, K> {
    /// Draws heads and rows into the area.
    pub fn draw(&self, scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Shown {
        let gutter = if self.sign.is_some() { 3 } else { 2 };
        let plan = Plan::new(&self.columns, area.width.saturating_sub(1), gutter);
        table::head(canvas, &plan, Rect { height: 1, ..area }, self.list.sort);
        let body = Body { rows: area.height.saturating_sub(1), top: area.y + 1 };
        let rows = usize::from(body.rows);
        let keys: Vec<K> = self.rows.iter().map(self.key).collect();
        let selected = self.list.index(&keys);
        let anchor = self.list.anchor.as_ref().and_then(|anchor| keys.iter().position(|key| key == anchor));
        let top = table::first_visible(self.list.top, selected.unwrap_or(0), rows, self.rows.len());
        for (y, (index, row)) in (body.top..).zip(self.rows.iter().enumerate().skip(top).take(rows)) {
            let at = Rect { y, height: 1, ..area };
            let in_range = anchor.zip(selected).is_some_and(|(a, b)| (a.min(b)..=a.max(b)).contains(&index));
            let look = RowLook {
                selected: Some(index) == selected,
                marked: in_range || self.list.marks.contains(&keys[index]),
                stale: self.stale || scene.stale,
            };
            if let Some(sign) = self.sign {
                let (role, sign) = sign(row);
                canvas.text(at.x + 1, at.y, 1, role, sign);
            }
            table::row(canvas, &plan, at, look, |placed| (self.cell)(row, placed));
        }
        Shown { body, selected, top }
    }
}
