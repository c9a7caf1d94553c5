//! A job's own options.

use std::time::Duration;

use serde_json::Value;

use crate::systems::consume::{Keep, OwnBackoff};

/// What the runner needs of the options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Attempts in all; 0 and 1 both mean one.
    pub attempts: u32,
    /// The wait between attempts.
    pub backoff: Option<OwnBackoff>,
    /// Wait before the first attempt.
    pub delay: Duration,
    /// Succeeded jobs to keep.
    pub keep_done: Option<Keep>,
    /// Failed jobs to keep.
    pub keep_failed: Option<Keep>,
}

impl Options {
    /// Reads them leniently: any client may have left out anything.
    pub fn read(bytes: &[u8]) -> Self {
        let Ok(Value::Object(options)) = serde_json::from_slice(bytes) else { return Self::default() };
        let of = |name: &str| options.get(name).unwrap_or(&Value::Null);
        Self {
            attempts: number(of("attempts")).map_or(0, |attempts| attempts as u32),
            backoff: backoff(of("backoff")),
            delay: number(of("delay")).map(millis).unwrap_or_default(),
            keep_done: keep(of("removeOnComplete")),
            keep_failed: keep(of("removeOnFail")),
        }
    }
}

/// Options as they were read last: most jobs of a queue have the same.
#[derive(Default)]
pub(super) struct Known<'a>(Option<(&'a [u8], Options)>);

impl<'a> Known<'a> {
    /// [`Options::read`], once for all that have the same bytes and follow each other.
    pub(super) fn read(&mut self, bytes: &'a [u8]) -> &Options {
        if self.0.as_ref().is_none_or(|(last, _)| *last != bytes) {
            self.0 = None;
        }
        &self.0.get_or_insert_with(|| (bytes, Options::read(bytes))).1
    }
}

fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

fn millis(number: f64) -> Duration {
    Duration::try_from_secs_f64(number / 1000.0).unwrap_or_default()
}

/// A bare number means fixed.
fn backoff(value: &Value) -> Option<OwnBackoff> {
    if let Some(wait) = number(value) {
        return Some(OwnBackoff::Fixed(millis(wait)));
    }
    let kind = value.get("type")?.as_str()?;
    let base = value.get("delay").and_then(number).map(millis).unwrap_or_default();
    let jitter = value.get("jitter").and_then(number).unwrap_or(0.0).min(1.0);
    Some(match kind {
        "fixed" => OwnBackoff::Fixed(base),
        "exponential" => OwnBackoff::Exponential { base, jitter },
        other => OwnBackoff::Foreign(other.to_owned()),
    })
}

/// `true`: none; `false`: all; a number: so many; an object: by count and age.
fn keep(value: &Value) -> Option<Keep> {
    match value {
        Value::Bool(true) => Some(Keep { count: Some(0), age: None }),
        Value::Bool(false) => Some(Keep::default()),
        Value::Number(_) => number(value).map(|count| Keep { count: Some(count as u64), age: None }),
        Value::Object(object) => Some(Keep {
            count: object.get("count").and_then(number).map(|count| count as u64),
            age: object.get("age").and_then(number).and_then(|age| Duration::try_from_secs_f64(age).ok()),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_all_their_forms() {
        let options = Options::read(
            br#"{"attempts":5,"backoff":{"type":"exponential","delay":1000,"jitter":0.5},
            "removeOnComplete":true,"removeOnFail":{"count":10,"age":3600},"delay":250}"#,
        );
        assert_eq!(options.attempts, 5);
        assert_eq!(options.backoff, Some(OwnBackoff::Exponential { base: Duration::from_secs(1), jitter: 0.5 }));
        assert_eq!(options.keep_done, Some(Keep { count: Some(0), age: None }));
        assert_eq!(options.keep_failed, Some(Keep { count: Some(10), age: Some(Duration::from_secs(3600)) }));
        assert_eq!(options.delay, Duration::from_millis(250));
        let bare = Options::read(br#"{"attempts":"3","backoff":500,"removeOnComplete":100,"removeOnFail":false}"#);
        assert_eq!((bare.attempts, bare.backoff), (3, Some(OwnBackoff::Fixed(Duration::from_millis(500)))));
        assert_eq!(
            (bare.keep_done, bare.keep_failed),
            (Some(Keep { count: Some(100), age: None }), Some(Keep::default()))
        );
        let foreign = Options::read(br#"{"backoff":{"type":"mine","delay":1}}"#);
        assert_eq!(foreign.backoff, Some(OwnBackoff::Foreign("mine".to_owned())));
        assert_eq!(Options::read(b"no json"), Options::default());
    }

    #[test]
    fn what_was_read_last_counts_for_the_same_bytes_only() {
        let mut known = Known::default();
        let texts: [&[u8]; 4] = [br#"{"attempts":5}"#, br#"{"attempts":5}"#, br#"{"attempts":6}"#, b""];
        let attempts = texts.map(|text| known.read(text).attempts);
        assert_eq!(attempts, [5, 5, 6, 0]);
    }
}
