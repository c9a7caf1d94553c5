//! The filter that is typed after `/`: words that must or must not occur, and fields that must match.
//!
//! `mail` occurs in any text, `!mail` does not, `name:invoice` looks into one column, `waiting:>100` compares.

use super::columns::Column;

/// What a column says about a row, for filtering and sorting.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Not known, or the row has no such thing. Sorts last and matches nothing.
    Unknown,
    /// A number; times are given in seconds.
    Number(f64),
    /// Text.
    Text(String),
}

impl Cell {
    /// A number if there is one.
    pub fn number(value: Option<f64>) -> Self {
        value.map_or(Self::Unknown, Self::Number)
    }

    /// Text if there is some.
    pub fn text(value: Option<impl Into<String>>) -> Self {
        value.map_or(Self::Unknown, |text| Self::Text(text.into()))
    }
}

/// A row that can say what stands in its columns.
pub trait Cells {
    /// The cell of the column of that name, see [`super::columns`].
    fn cell(&self, column: &str) -> Cell;
}

/// A filter as it was understood.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq)]
struct Term {
    wanted: bool,
    what: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Anywhere(String),
    In { column: &'static str, text: String },
    Above { column: &'static str, limit: f64 },
    Below { column: &'static str, limit: f64 },
}

impl Filter {
    /// Reads a filter. A word before a colon is a field only if `columns` has it: names of queues contain colons too.
    pub fn parse(text: &str, columns: &'static [Column]) -> Self {
        Self { terms: text.split_whitespace().filter_map(|word| Term::parse(word, columns)).collect() }
    }

    /// True if nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// True if a row passes.
    pub fn admits(&self, row: &impl Cells, columns: &'static [Column]) -> bool {
        self.terms.iter().all(|term| term.what.holds(row, columns) == term.wanted)
    }

    /// True if a line of plain text passes.
    pub fn admits_text(&self, line: &str) -> bool {
        let line = line.to_lowercase();
        self.terms.iter().all(|term| match &term.what {
            Test::Anywhere(word) => line.contains(word) == term.wanted,
            Test::In { .. } | Test::Above { .. } | Test::Below { .. } => false,
        })
    }
}

impl Term {
    fn parse(word: &str, columns: &'static [Column]) -> Option<Self> {
        let (wanted, word) = match word.strip_prefix('!') {
            Some(rest) => (false, rest),
            None => (true, word),
        };
        if word.is_empty() {
            return None;
        }
        let field = word.split_once(':').and_then(|(name, value)| {
            let column = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))?;
            Some((column.name, value))
        });
        let what = match field {
            None => Test::Anywhere(word.to_lowercase()),
            // A field whose value is still being typed filters nothing out.
            Some((_, "" | ">" | "<")) => return None,
            Some((column, value)) => {
                let above = value.strip_prefix('>').and_then(quantity);
                let below = value.strip_prefix('<').and_then(quantity);
                match (above, below) {
                    (Some(limit), _) => Test::Above { column, limit },
                    (_, Some(limit)) => Test::Below { column, limit },
                    (None, None) => Test::In { column, text: value.to_lowercase() },
                }
            }
        };
        Some(Self { wanted, what })
    }
}

/// A number with an optional unit: `5k`, `2m` (minutes), `1h`, `30s`.
fn quantity(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "k" => 1_000.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "M" => 1_000_000.0,
        _ => return None,
    };
    digits.parse::<f64>().ok().map(|number| number * factor)
}

impl Test {
    fn holds(&self, row: &impl Cells, columns: &'static [Column]) -> bool {
        match self {
            Self::Anywhere(word) => columns.iter().any(|column| match row.cell(column.name) {
                Cell::Text(text) => text.to_lowercase().contains(word),
                Cell::Number(_) | Cell::Unknown => false,
            }),
            Self::In { column, text } => match row.cell(column) {
                Cell::Text(cell) => cell.to_lowercase().contains(text),
                Cell::Number(number) => text.parse::<f64>().is_ok_and(|wanted| (number - wanted).abs() < 0.5),
                Cell::Unknown => text == "?",
            },
            Self::Above { column, limit } => matches!(row.cell(column), Cell::Number(number) if number > *limit),
            Self::Below { column, limit } => matches!(row.cell(column), Cell::Number(number) if number < *limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::columns::QUEUES;

    struct Row;

    impl Cells for Row {
        fn cell(&self, column: &str) -> Cell {
            match column {
                "system" => Cell::Text("arq".into()),
                "queue" => Cell::Text("arq:Queue".into()),
                "waiting" => Cell::Number(1_204.0),
                "oldest" => Cell::Number(90.0),
                _ => Cell::Unknown,
            }
        }
    }

    fn admits(filter: &str) -> bool {
        Filter::parse(filter, QUEUES).admits(&Row, QUEUES)
    }

    #[test]
    fn words_fields_and_comparisons_all_have_to_hold() {
        for (filter, expected) in [
            ("", true),
            ("queue", true),
            ("mail", false),
            ("!mail", true),
            ("!queue", false),
            ("arq:queue", true),
            ("system:arq", true),
            ("system:bull", false),
            ("!system:bull", true),
            ("system:", true),
            ("waiting:>1k", true),
            ("waiting:>2k", false),
            ("waiting:<2k", true),
            ("waiting:1204", true),
            ("oldest:>1m", true),
            ("oldest:>2m", false),
            ("active:>0", false),
            ("active:?", true),
            ("queue !mail system:arq", true),
            ("queue mail", false),
        ] {
            assert_eq!(admits(filter), expected, "{filter:?}");
        }
    }
}
