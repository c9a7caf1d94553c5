//! Cutting text to columns. A column is what `unicode-width` says of a grapheme cluster, the measure the screen's own
//! cells are filled by.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::harmless;

const ELLIPSIS: char = '…';

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// `text` harmless and at most `columns` wide; what is cut off at the end is told by `…`.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    // A name of a few megabytes need not be looked at whole to know that it does not fit.
    let part = bounded(text, columns);
    let safe = harmless(part);
    if part.len() == text.len() && width(&safe) <= columns {
        return safe;
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    let (end, _) = prefix(&safe, columns - 1);
    let mut out = String::with_capacity(end + ELLIPSIS.len_utf8());
    out.push_str(&safe[..end]);
    out.push(ELLIPSIS);
    Cow::Owned(out)
}

/// As [`fit`], but the end is kept and the start is cut: for paths and keys.
pub fn fit_end(text: &str, columns: usize) -> Cow<'_, str> {
    let safe = harmless(text);
    if width(&safe) <= columns {
        return safe;
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    let start = suffix(&safe, columns - 1);
    Cow::Owned(format!("{ELLIPSIS}{}", &safe[start..]))
}

/// As [`fit`], but both ends are kept: for ids that differ at either.
pub fn fit_middle(text: &str, columns: usize) -> Cow<'_, str> {
    let safe = harmless(text);
    if width(&safe) <= columns {
        return safe;
    }
    if columns == 0 {
        return Cow::Borrowed("");
    }
    let (end, used) = prefix(&safe, columns.div_ceil(2) - usize::from(columns % 2 == 1));
    let start = suffix(&safe, columns - 1 - used).max(end);
    Cow::Owned(format!("{}{ELLIPSIS}{}", &safe[..end], &safe[start..]))
}

/// [`fit`], then filled with spaces behind to exactly `columns`.
pub fn pad(text: &str, columns: usize) -> String {
    let mut out = fit(text, columns).into_owned();
    let missing = columns.saturating_sub(width(&out));
    out.extend(std::iter::repeat_n(' ', missing));
    out
}

/// [`fit`], then filled with spaces before to exactly `columns`: for numbers.
pub fn pad_start(text: &str, columns: usize) -> String {
    let fitted = fit(text, columns);
    let missing = columns.saturating_sub(width(&fitted));
    let mut out = " ".repeat(missing);
    out.push_str(&fitted);
    out
}

/// `text` in printable ASCII only, of the same width (U12): spaces stay spaces, `…` becomes `~`, `µ` becomes
/// `u`, the rest `?`.
pub fn ascii(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let safe = harmless(text);
    let mut out = String::with_capacity(safe.len());
    for cluster in safe.graphemes(true) {
        let columns = cluster.width();
        let mut chars = cluster.chars();
        match (chars.next(), chars.next()) {
            (Some(c @ ' '..='~'), _) if columns == 1 => out.push(c),
            (Some(c), None) if c.is_whitespace() => out.extend(std::iter::repeat_n(' ', columns)),
            (Some(ELLIPSIS), None) => out.push('~'),
            (Some('µ'), None) => out.push('u'),
            _ => out.extend(std::iter::repeat_n('?', columns)),
        }
    }
    Cow::Owned(out)
}

/// The part of `text` that can matter for `columns` columns. Every cluster that is drawn takes at least a column, and a
/// harmless one has a base and few marks.
fn bounded(text: &str, columns: usize) -> &str {
    let most = columns.saturating_add(2).saturating_mul(64);
    if text.len() <= most {
        return text;
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// Byte end and width of the longest run of whole clusters at the start that takes at most `columns`.
fn prefix(text: &str, columns: usize) -> (usize, usize) {
    let mut used = 0;
    for (start, cluster) in text.grapheme_indices(true) {
        let next = used + cluster.width();
        if next > columns {
            return (start, used);
        }
        used = next;
    }
    (text.len(), used)
}

/// Byte start of the longest run of whole clusters at the end that takes at most `columns`.
fn suffix(text: &str, columns: usize) -> usize {
    let mut used = 0;
    let mut begin = text.len();
    for (start, cluster) in text.grapheme_indices(true).rev() {
        used += cluster.width();
        if used > columns {
            break;
        }
        begin = start;
    }
    begin
}
