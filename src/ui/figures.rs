//! Numbers in cells: zero steps back, what is unknown says so, and what is too long for its column gets shorter.

use crate::domain::queue::Count;
use crate::domain::text;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::Phrase;

/// A count in at most `columns` columns; `None`: there is no such thing here.
pub fn count(glyphs: &Glyphs, count: Option<Count>, columns: u16, role: Role) -> Phrase {
    match count {
        None => Phrase::new(),
        Some(Count::Exact(0)) => Phrase::of(Role::Muted, glyphs.zero),
        Some(Count::Unknown) => Phrase::of(Role::Muted, "?"),
        Some(known) => Phrase::of(role, count_in(known, columns)),
    }
}

/// A count as short as it must be: `1 204`, `1.2k`, `1k`.
pub fn count_in(count: Count, columns: u16) -> String {
    let columns = usize::from(columns);
    let full = text::counted(count);
    if text::width(&full) <= columns {
        return full;
    }
    let Some(value) = count.value() else { return full };
    let (before, after) = match count {
        Count::Approx { .. } => ("~", ""),
        Count::AtLeast(_) => ("", "+"),
        Count::Exact(_) | Count::Unknown => ("", ""),
    };
    let short = format!("{before}{}{after}", short(value, false));
    if text::width(&short) <= columns {
        return short;
    }
    format!("{before}{}{after}", self::short(value, true))
}

/// At most four columns: `999`, `1.2k`, `12k`, `3.1M`. Cut, never rounded up.
fn short(value: u64, whole: bool) -> String {
    const UNITS: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    let (mut scale, mut index) = (1u64, 0);
    while value / scale >= 1_000 && index + 1 < UNITS.len() {
        scale *= 1_000;
        index += 1;
    }
    let units = value / scale;
    if index == 0 || units >= 10 || whole {
        return format!("{units}{}", UNITS[index]);
    }
    format!("{units}.{}{}", value % scale / (scale / 10), UNITS[index])
}

/// Something per second.
pub fn rate(glyphs: &Glyphs, rate: Option<f64>, role: Role) -> Phrase {
    match rate {
        None => Phrase::of(Role::Muted, "?"),
        Some(0.0) => Phrase::of(Role::Muted, glyphs.zero),
        Some(rate) => Phrase::of(role, text::rate(rate)),
    }
}

/// `1 job`, `2 jobs`, `? jobs`.
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", text::count(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_gets_shorter_before_it_leaves_its_column() {
        assert_eq!(count_in(Count::Exact(1_204), 6), "1\u{2009}204");
        assert_eq!(count_in(Count::Exact(1_204), 4), "1.2k");
        assert_eq!(count_in(Count::Exact(1_999), 3), "1k");
        assert_eq!(count_in(Count::Exact(12_345), 4), "12k");
        assert_eq!(count_in(Count::AtLeast(9_999), 5), "9.9k+");
        assert_eq!(count_in(Count::Unknown, 1), "?");
        assert_eq!(count_in(Count::Exact(u64::MAX), 4), "18E");
    }
}
