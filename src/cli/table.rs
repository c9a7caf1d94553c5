//! Aligned columns of plain text.

use crate::domain::text::{harmless, width};

/// Which side of a column its cells stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Names, words.
    Left,
    /// Numbers.
    Right,
}

/// A table that is as wide as its widest cells; nothing is cut, so that a program can read it too.
pub struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these headings.
    pub fn new(columns: &[(&'static str, Side)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; one cell a column. Cells are made harmless and one line.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells =
            cells.into_iter().map(|cell| if cell.is_empty() { "-".to_owned() } else { harmless(&cell).into_owned() });
        self.rows.push(cells.collect());
    }

    /// The lines, headings first, without spaces at their ends.
    pub fn print(&self) -> String {
        let headings: Vec<String> = self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let mut widths: Vec<usize> = headings.iter().map(|title| width(title)).collect();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                widths[column] = widths[column].max(width(cell));
            }
        }
        let mut out = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                if column > 0 {
                    line.push_str("  ");
                }
                let space = " ".repeat(widths[column] - width(cell));
                match self.columns[column].1 {
                    Side::Left => line.extend([cell.as_str(), &space]),
                    Side::Right => line.extend([&space, cell.as_str()]),
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_cells_hold() {
        let mut table = Table::new(&[("QUEUE", Side::Left), ("WAIT", Side::Right), ("ERROR", Side::Left)]);
        table.row(["mail".to_owned(), "1204".to_owned(), String::new()]);
        table.row(["日本".to_owned(), "3".to_owned(), "a\nb\u{1b}[2J".to_owned()]);
        assert_eq!(table.print(), "QUEUE  WAIT  ERROR\nmail   1204  -\n日本      3  a␊b␛[2J\n");
    }
}
