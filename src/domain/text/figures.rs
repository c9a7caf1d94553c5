//! Numbers short enough for a column: at most four significant digits, at most two units of time.

use std::time::Duration;

use crate::domain::queue::Count;

/// Between groups of three digits.
const THIN_SPACE: char = '\u{2009}';

const TIME_UNITS: [(u64, &str); 5] = [(31_557_600, "y"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

/// Whole seconds in at most two neighbouring units: `38s`, `2h 5m`, `1d 2h`, `3y 40d`.
pub fn age(span: Duration) -> String {
    let (first, second) = parts(span);
    second.map_or_else(|| first.clone(), |second| format!("{first} {second}"))
}

/// As [`age`] in at most `columns` columns: the smaller unit goes first, then `>` stands for all that is too long.
pub fn age_in(span: Duration, columns: usize) -> String {
    let (first, second) = parts(span);
    if let Some(second) = second
        && first.len() + 1 + second.len() <= columns
    {
        return format!("{first} {second}");
    }
    if first.len() <= columns { first } else { ">".repeat(columns.min(1)) }
}

/// A duration that may be short: `350ms`, `4.2s`, from ten seconds on as [`age`].
pub fn span(span: Duration) -> String {
    match span.as_millis() {
        millis @ 0..1_000 => format!("{millis}ms"),
        millis @ 1_000..10_000 => format!("{}.{}s", millis / 1_000, millis % 1_000 / 100),
        _ => age(span),
    }
}

/// Reads a duration as people write it: `90s`, `1h 30m`, `7d`, `250ms`; a bare number is seconds. `None` for anything
/// else. Months and years have no fixed length and are not read.
pub fn span_of(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 6] =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
    let compact: String = text.split_whitespace().collect();
    if let Ok(seconds) = compact.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let mut rest = compact.as_str();
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..letters])?;
        millis = millis.checked_add(number.checked_mul(*unit)?)?;
        rest = &rest[letters..];
    }
    (!compact.is_empty()).then(|| Duration::from_millis(millis))
}

/// A very short duration: `38 µs`, `4.2 ms`, from a tenth of a second on as [`span`].
pub fn micros(span: Duration) -> String {
    match span.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros @ 1_000..100_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => self::span(span),
    }
}

fn parts(span: Duration) -> (String, Option<String>) {
    let seconds = span.as_secs();
    for (index, (length, unit)) in TIME_UNITS.iter().enumerate() {
        let whole = seconds / length;
        if whole == 0 {
            continue;
        }
        let second = TIME_UNITS.get(index + 1).and_then(|(smaller, name)| {
            let rest = seconds % length / smaller;
            (rest > 0).then(|| format!("{rest}{name}"))
        });
        return (format!("{whole}{unit}"), second);
    }
    ("0s".to_owned(), None)
}

/// A number of things: `7`, `1 204` (thin space), `12.4k`, `155k`, `3.1M`. Cut, never rounded up: 9 999 999 is `9.9M`.
pub fn count(value: u64) -> String {
    if value < 1_000 {
        return value.to_string();
    }
    if value < 10_000 {
        return format!("{}{THIN_SPACE}{:03}", value / 1_000, value % 1_000);
    }
    scaled(value, &["k", "M", "G", "T", "P", "E"])
}

/// A count with how far it can be trusted: `12`, `500+`, `~40`, `?`.
pub fn counted(value: Count) -> String {
    match value {
        Count::Exact(value) => count(value),
        Count::AtLeast(value) => format!("{}+", count(value)),
        Count::Approx { value, .. } => format!("~{}", count(value)),
        Count::Unknown => "?".to_owned(),
    }
}

/// Bytes in powers of 1000: `0 B`, `512 B`, `1.2 KB`, `64.0 MB`.
pub fn size(bytes: u64) -> String {
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    scaled(bytes, &[" KB", " MB", " GB", " TB", " PB", " EB"])
}

/// One digit behind the point below a hundred, none above; `value` is at least 1000.
fn scaled(value: u64, units: &[&str]) -> String {
    let mut unit = 1_000;
    let mut index = 0;
    while index + 1 < units.len() && value / unit >= 1_000 {
        unit *= 1_000;
        index += 1;
    }
    let whole = value / unit;
    if whole >= 100 {
        return format!("{whole}{}", units[index]);
    }
    format!("{whole}.{}{}", value % unit / (unit / 10), units[index])
}

/// Something per second: `0.04`, `0.2`, `12.0`, `155`, `1 204`, `12.4k`; `?` for what is no number.
pub fn rate(per_second: f64) -> String {
    if !per_second.is_finite() {
        return "?".to_owned();
    }
    let sign = if per_second < 0.0 { "-" } else { "" };
    let value = per_second.abs();
    match value {
        0.0 => "0.0".to_owned(),
        value if value < 0.01 => format!("{}0.01", if per_second < 0.0 { ">-" } else { "<" }),
        value if value < 0.095 => format!("{sign}{value:.2}"),
        value if value < 99.95 => format!("{sign}{value:.1}"),
        // Far above any real rate, and still inside the range of u64.
        value => format!("{sign}{}", count(value.round().min(9e18) as u64)),
    }
}

/// A share of a hundred: `0.4%`, `2.1%`, `40%`; `?` for what is no number. 100 is only said of 100.
pub fn percent(value: f64) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    if value.abs() < 9.95 && value.fract().abs() >= 0.05 {
        return format!("{value:.1}%");
    }
    let rounded = if value < 100.0 { value.round().min(99.0) } else { value.round() };
    format!("{rounded:.0}%")
}
