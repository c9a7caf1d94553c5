//! What jobs report as progress. BullMQ stores any JSON value: commonly a number from 0 to 100, or an object of the
//! program's own making, of which the usual field names are understood.

use serde_json::{Map, Value};

use crate::domain::job::Progress;

const PERCENT: &[&str] = &["percent", "percentage", "pct", "progress"];
const STEP: &[&str] = &["step", "current", "done", "completed", "processed", "index"];
const TOTAL: &[&str] = &["total", "max", "steps", "of", "totalSteps", "count"];
const TEXT: &[&str] = &["text", "message", "stage", "phase", "status", "label", "step", "current", "description"];

/// Reads the field `progress`; `None` for nothing reported or no JSON.
pub fn parse(json: &[u8]) -> Option<Progress> {
    match serde_json::from_slice(json).ok()? {
        Value::Number(number) => number.as_f64().map(of_number),
        Value::Object(fields) => Some(of_object(&fields)),
        Value::String(text) => Some(Progress { text: Some(text), ..Progress::default() }),
        Value::Bool(done) => Some(Progress { text: Some(done.to_string()), ..Progress::default() }),
        Value::Array(items) => Some(Progress { text: serde_json::to_string(&items).ok(), ..Progress::default() }),
        Value::Null => None,
    }
}

/// A bare number is a share of a hundred, unless it cannot be one: then it is a count without a known end.
fn of_number(number: f64) -> Progress {
    match share(number) {
        Some(percent) => Progress { percent: Some(percent), ..Progress::default() },
        None if number > 0.0 && number.fract() == 0.0 => Progress { step: Some(number as u64), ..Progress::default() },
        None => Progress { text: Some(number.to_string()), ..Progress::default() },
    }
}

fn of_object(fields: &Map<String, Value>) -> Progress {
    let number = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)?.as_f64());
    let whole = |names: &[&str]| {
        names.iter().find_map(|name| {
            let number = fields.get(*name)?.as_f64()?;
            (number >= 0.0).then_some(number as u64)
        })
    };
    let (step, total) = (whole(STEP), whole(TOTAL));
    let counted = match (step, total) {
        (Some(step), Some(total)) if total > 0 => share(step as f64 * 100.0 / total as f64),
        _ => None,
    };
    let text = TEXT.iter().find_map(|name| fields.get(*name)?.as_str().map(str::to_owned));
    let percent = number(PERCENT).and_then(share).or(counted);
    if percent.is_none() && step.is_none() && text.is_none() {
        // Nothing familiar: its own words are better than nothing.
        return Progress { total, text: serde_json::to_string(fields).ok(), ..Progress::default() };
    }
    Progress { percent, step, total, text }
}

fn share(number: f64) -> Option<f64> {
    (0.0..=100.0).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(percent: Option<f64>, step: Option<u64>, total: Option<u64>, text: Option<&str>) -> Option<Progress> {
        Some(Progress { percent, step, total, text: text.map(str::to_owned) })
    }

    #[test]
    fn numbers_are_shares_and_objects_are_read_by_their_usual_fields() {
        assert_eq!(parse(b"42.5"), progress(Some(42.5), None, None, None));
        assert_eq!(parse(b"1200"), progress(None, Some(1200), None, None));
        assert_eq!(parse(b"-1"), progress(None, None, None, Some("-1")));
        assert_eq!(
            parse(br#"{"step":15,"total":25,"stage":"extract"}"#),
            progress(Some(60.0), Some(15), Some(25), Some("extract"))
        );
        assert_eq!(parse(br#"{"percent":7,"step":"unpack"}"#), progress(Some(7.0), None, None, Some("unpack")));
        assert_eq!(parse(br#"{"a":1}"#), progress(None, None, None, Some(r#"{"a":1}"#)));
        assert_eq!(parse(br#""halfway""#), progress(None, None, None, Some("halfway")));
        assert_eq!(parse(b"null"), None);
        assert_eq!(parse(b"{broken"), None);
    }

    #[test]
    fn a_step_beyond_the_total_is_no_share() {
        assert_eq!(parse(br#"{"step":30,"total":25}"#), progress(None, Some(30), Some(25), None));
        assert_eq!(parse(br#"{"step":0,"total":0}"#), progress(None, Some(0), Some(0), None));
    }
}
