//! A payload as the runner sees it: name, limits and waits that the job itself asks for.

use std::time::Duration;

use bytes::Bytes;

use super::super::payload::Payload;
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;
use crate::systems::consume::{Claim, Limits, OwnBackoff};
use crate::systems::list::hash_id;

/// What a job says about when it is not to be tried again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Not after this unix second.
    pub until: Option<u64>,
    /// Not after so many exceptions.
    pub exceptions: Option<u64>,
    /// Its uuid, by which exceptions are counted.
    pub uuid: Option<String>,
}

/// The bounds in a payload.
pub fn bounds(bytes: &[u8]) -> Bounds {
    let Some(payload) = Payload::read(bytes) else { return Bounds::default() };
    Bounds {
        until: until(&payload),
        exceptions: payload.count("maxExceptions").filter(|most| *most > 0),
        uuid: payload.text("uuid"),
    }
}

/// Laravel before 8 called it otherwise.
fn until(payload: &Payload<'_>) -> Option<u64> {
    payload.count("retryUntil").or_else(|| payload.count("timeoutAt"))
}

/// A job that was reserved just now. `place`: first and last byte of its number of attempts, from 1.
pub fn claim(text: Bytes, place: (usize, usize), deaths: u32, now: Timestamp) -> Option<Claim> {
    let digits = place.0.checked_sub(1)?..place.1;
    let made: u32 = std::str::from_utf8(text.get(digits.clone())?).ok()?.parse().ok()?;
    let counted = (u64::from(made) + 1).to_string();
    let reserved = [&text[..digits.start], counted.as_bytes(), &text[digits.end..]].concat();
    let bare = Claim {
        id: hash_id(&text, text.len() as u64),
        name: String::new(),
        payload: text.clone(),
        attempts_made: made,
        attempts: None,
        backoff: None,
        created_at: None,
        ready_at: None,
        claimed_at: now,
        deaths,
        limits: Limits { counted_at_start: true, ..Limits::default() },
        doomed: None,
        token: reserved.into(),
        receipt: Bytes::new(),
    };
    let Some(payload) = Payload::read(&text) else {
        return Some(Claim { doomed: Some("its payload is no UTF-8 text, which JSON needs".to_owned()), ..bare });
    };
    let until =
        until(&payload).map(|second| Timestamp::from_seconds(i64::try_from(second).unwrap_or(i64::MAX / 1_000)));
    let over = until.is_some_and(|until| until.0 / 1_000 < now.0 / 1_000);
    let created_at = payload.created_at();
    Some(Claim {
        id: payload.id().map_or(bare.id, JobId::from),
        name: payload.name().unwrap_or_default(),
        // With a time until which it may be tried the number of attempts does not matter; 0 is "as often as you like".
        attempts: match payload.count("maxTries") {
            _ if until.is_some() => Some(u32::MAX),
            Some(0) => Some(u32::MAX),
            most => most.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
        },
        backoff: waits(&payload).map(OwnBackoff::Listed),
        created_at,
        ready_at: created_at
            .filter(|_| made == 0)
            .map(|created| created.plus(Duration::from_secs(payload.count("delay").unwrap_or(0)))),
        limits: Limits {
            timeout: payload.count("timeout").filter(|seconds| *seconds > 0).map(Duration::from_secs),
            fail_on_timeout: payload.raw("failOnTimeout") == Some("true"),
            counted_at_start: true,
        },
        doomed: over.then(|| "the time in which it could be tried is over (retryUntil)".to_owned()),
        ..bare
    })
}

/// `10`, `"10,30"` or, from other hands, `[10, 30]`: seconds before each further attempt. Without it Laravel takes the
/// delay with which the job was pushed.
fn waits(payload: &Payload<'_>) -> Option<Vec<Duration>> {
    let field = if payload.raw("backoff").is_some() { "backoff" } else { "delay" };
    let raw = payload.raw(field)?;
    let listed = raw.trim_matches(['"', '[', ']']);
    let waits: Option<Vec<Duration>> = listed
        .split(',')
        .map(|part| Duration::try_from_secs_f64(part.trim().trim_matches('"').parse::<f64>().ok()?).ok())
        .collect();
    waits.filter(|waits| !waits.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Claim {
        let first = text.find("\"attempts\":").expect("a count") + "\"attempts\":".len() + 1;
        let digits = text[first - 1..].chars().take_while(char::is_ascii_digit).count();
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        claim(bytes, (first, first + digits - 1), 0, Timestamp(1_700_000_000_500)).expect("a job")
    }

    fn seconds(claim: &Claim) -> Vec<u64> {
        match &claim.backoff {
            Some(OwnBackoff::Listed(waits)) => waits.iter().map(Duration::as_secs).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_payload_tells_its_own_limits() {
        let text = r#"{"uuid":"u","displayName":"App\\Jobs\\Send","maxTries":3,"failOnTimeout":true,"timeout":30,"backoff":"10,30","attempts":9,"createdAt":1699999990}"#;
        let job = read(text);
        assert_eq!((job.id.to_text(), job.name.as_str()), ("u".to_owned(), r"App\Jobs\Send"));
        assert_eq!((job.attempts_made, job.attempts), (9, Some(3)));
        assert_eq!(job.token, text.replace("\"attempts\":9", "\"attempts\":10").into_bytes(), "R22");
        assert_eq!(job.payload, text.as_bytes());
        assert_eq!(job.limits.timeout, Some(Duration::from_secs(30)));
        assert!(job.limits.fail_on_timeout && job.limits.counted_at_start);
        assert_eq!(seconds(&job), [10, 30]);
        assert_eq!((job.created_at, job.ready_at), (Some(Timestamp(1_699_999_990_000)), None));
    }

    #[test]
    fn every_way_to_write_a_backoff_is_read() {
        for (written, expected) in [("5", vec![5]), ("\"5\"", vec![5]), ("\"1, 2\"", vec![1, 2]), ("[1,2]", vec![1, 2])]
        {
            assert_eq!(seconds(&read(&format!(r#"{{"attempts":0,"backoff":{written}}}"#))), expected);
        }
        assert_eq!(seconds(&read(r#"{"attempts":0,"backoff":null,"delay":7}"#)), [7]);
        assert_eq!(read(r#"{"attempts":0,"backoff":"soon"}"#).backoff, None);
        assert_eq!(read(r#"{"attempts":0,"backoff":null}"#).backoff, None);
    }

    #[test]
    fn a_time_limit_goes_before_the_number_of_attempts() {
        let ahead = read(r#"{"attempts":7,"maxTries":2,"retryUntil":1700000000}"#);
        assert_eq!((ahead.attempts, ahead.doomed), (Some(u32::MAX), None), "this second still counts");
        assert!(read(r#"{"attempts":0,"retryUntil":1699999999}"#).doomed.is_some());
        assert_eq!(read(r#"{"attempts":0,"maxTries":0}"#).attempts, Some(u32::MAX));
        assert_eq!(read(r#"{"attempts":0,"maxTries":null}"#).attempts, None);
        let bounds = bounds(br#"{"uuid":"u","maxExceptions":2,"timeoutAt":5}"#);
        assert_eq!(bounds, Bounds { until: Some(5), exceptions: Some(2), uuid: Some("u".to_owned()) });
    }
}
