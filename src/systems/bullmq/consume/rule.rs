//! Cron patterns, time zones and moments as the library's schedules write them.

use std::str::FromStr;

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use serde_json::Value;

/// A pattern in a time zone.
pub(super) struct Pattern {
    cron: Box<croner::Cron>,
    zone: TimeZone,
}

impl Pattern {
    /// Says what is wrong with it otherwise. Without a zone it means that of this machine, as in the library.
    pub(super) fn new(pattern: &str, name: Option<&str>) -> Result<Self, String> {
        let cron = croner::Cron::from_str(&spelled_out(pattern)).map_err(|error| format!("{pattern:?}: {error}"))?;
        let zone = name.map_or_else(|| Some(TimeZone::system()), zone);
        let zone = zone.ok_or_else(|| format!("{:?} is no time zone that qtop knows", name.unwrap_or_default()))?;
        Ok(Self { cron: Box::new(cron), zone })
    }

    /// The first moment after this one, both in ms; none if there is none.
    pub(super) fn after(&self, from: i64) -> Option<i64> {
        let from = jiff::Timestamp::from_millisecond(from).ok()?.to_zoned(self.zone.clone());
        Some(self.cron.find_next_occurrence(&from, false).ok()?.timestamp().as_millisecond())
    }
}

/// The library has names for some patterns, and takes fewer than five fields for the last ones.
fn spelled_out(pattern: &str) -> String {
    let fields: Vec<&str> = pattern.split_whitespace().collect();
    match fields.as_slice() {
        ["@secondly"] => "* * * * * *".to_owned(),
        ["@minutely"] => "* * * * *".to_owned(),
        ["@weekdays"] => "0 0 * * 1-5".to_owned(),
        ["@weekends"] => "0 0 * * 0,6".to_owned(),
        [name] if name.starts_with('@') => (*name).to_owned(),
        few if few.len() < 5 => {
            let missing = 5 - few.len();
            [vec!["*"; missing], fields].concat().join(" ")
        }
        _ => fields.join(" "),
    }
}

/// Names of the IANA database, this machine's zone by the words for it, and offsets such as `UTC+5:30`.
fn zone(name: &str) -> Option<TimeZone> {
    let name = name.trim();
    let small = name.to_ascii_lowercase();
    match small.as_str() {
        "" => None,
        "local" | "system" | "default" => Some(TimeZone::system()),
        "utc" | "gmt" => Some(TimeZone::UTC),
        _ => {
            let offset = small.strip_prefix("utc").unwrap_or(&small);
            if offset.starts_with(['+', '-']) { fixed(offset) } else { TimeZone::get(name).ok() }
        }
    }
}

/// `+3`, `-03`, `+05:30`.
fn fixed(text: &str) -> Option<TimeZone> {
    let (hours, minutes) = text[1..].split_once(':').unwrap_or((&text[1..], "00"));
    let digits =
        |part: &str, few: usize| (few..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours, 1) || !digits(minutes, 2) {
        return None;
    }
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    let signed = if text.starts_with('-') { -seconds } else { seconds };
    Some(TimeZone::fixed(Offset::from_seconds(signed).ok()?))
}

/// A number, perhaps as text; none for anything else.
pub(super) fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A moment in ms: so many since 1970, or a date as JSON has it. One without a time of day begins in UTC, one without a
/// zone is meant in this machine's.
pub(super) fn moment(value: &Value) -> Option<i64> {
    let Value::String(text) = value else { return number(Some(value)) };
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(moment.as_millisecond());
    }
    if let (10, Ok(day)) = (text.len(), text.parse::<civil::Date>()) {
        return Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond());
    }
    let local = text.parse::<civil::DateTime>().ok()?.to_zoned(TimeZone::system()).ok()?;
    Some(local.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(pattern: &str, zone: &str, from: &str) -> String {
        let from = from.parse::<jiff::Timestamp>().expect("a moment").as_millisecond();
        let found = Pattern::new(pattern, Some(zone)).expect("a pattern").after(from).expect("a moment");
        jiff::Timestamp::from_millisecond(found).expect("a moment").to_string()
    }

    #[test]
    fn zones_are_named_as_the_library_takes_them() {
        let noon = |zone| after("0 12 * * *", zone, "2026-01-15T00:00:00Z");
        assert_eq!(noon("utc"), "2026-01-15T12:00:00Z");
        assert_eq!(noon("UTC+3"), "2026-01-15T09:00:00Z");
        assert_eq!(noon("UTC-05:30"), "2026-01-15T17:30:00Z");
        assert_eq!(noon("+02:00"), "2026-01-15T10:00:00Z");
        assert_eq!(noon("Europe/Berlin"), "2026-01-15T11:00:00Z");
        assert_eq!(noon("europe/berlin"), "2026-01-15T11:00:00Z");
        for wrong in ["Mars/Base", "UTC+", "UTC+3:5", "UTC+99", "+a", "UTC+é"] {
            assert!(Pattern::new("0 12 * * *", Some(wrong)).is_err(), "{wrong}");
        }
        assert!(Pattern::new("0 12 * * *", None).is_ok());
    }

    #[test]
    fn patterns_may_be_short_or_have_names() {
        let next = |pattern| after(pattern, "UTC", "2026-01-15T10:20:30Z");
        assert_eq!(next("*/5 * * * * *"), "2026-01-15T10:20:35Z");
        assert_eq!(next("@minutely"), "2026-01-15T10:21:00Z");
        assert_eq!(next("@daily"), "2026-01-16T00:00:00Z");
        assert_eq!(next("@weekends"), "2026-01-17T00:00:00Z");
        assert_eq!(next("1 * *"), "2026-02-01T00:00:00Z");
        assert_eq!(next("0 0 1 * 5"), "2026-01-16T00:00:00Z", "either day will do");
        assert_eq!(next("0  0 * * 7"), "2026-01-18T00:00:00Z");
    }

    #[test]
    fn moments_are_read_in_all_their_forms() {
        assert_eq!(moment(&json!(1_700_000_000_000_i64)), Some(1_700_000_000_000));
        assert_eq!(moment(&json!("2026-01-01T00:00:00.500Z")), Some(1_767_225_600_500));
        assert_eq!(moment(&json!("2026-01-01")), Some(1_767_225_600_000));
        assert_eq!(moment(&json!("soon")), None);
        assert_eq!(moment(&json!({})), None);
    }
}
