//! The next job of a scheduler (5.x and later) or of a repeatable (4.x and 5.x): who takes the present one makes it.
//!
//! The ids of their jobs are `repeat:<series>:<ms>`. A scheduler's series is its id, and its record says what its jobs
//! are. A repeatable's series is a checksum that never changes, its member of `repeat` spells out its rule
//! (`name:id:end:zone:rule`), and all there is to know about it goes from job to job in `opts.repeat`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value as Json};

use super::rule::{self, Pattern};
use super::{ITERATE, shape, stored_options};
use crate::domain::ids::{JobId, Name, QueueId};
use crate::link::{Batch, Link, Replies, Value, cmd};
use crate::systems::bullmq::keys::Keys;
use crate::systems::consume::{Claim, Seat};
use crate::systems::{ReadError, SystemError, reply};

/// What is asked of a scheduler's record.
const FIELDS: [&str; 8] = ["every", "pattern", "tz", "offset", "startDate", "endDate", "limit", "ic"];

/// Reasons by schedule.
type Reasons = BTreeMap<Vec<u8>, String>;

/// Why schedules end with the jobs taken here, by runner and queue: a person must be told.
static ENDING: Mutex<BTreeMap<(Name, QueueId), Reasons>> = Mutex::new(BTreeMap::new());

fn ending() -> MutexGuard<'static, BTreeMap<(Name, QueueId), Reasons>> {
    ENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a person should know of the schedules of a queue.
pub(super) fn remark(seat: &Seat) -> Option<String> {
    let ending = ending();
    let (member, reason) = ending.get(&(seat.worker.clone(), seat.queue.clone()))?.first_key_value()?;
    Some(format!("schedule {} ends here: {reason}", String::from_utf8_lossy(member)))
}

/// Forgets what was told of a seat.
pub(super) fn forget(seat: &Seat) {
    ending().remove(&(seat.worker.clone(), seat.queue.clone()));
}

/// The series of a scheduled job: `repeat:<series>:<ms>`.
pub(super) fn series_of(id: &JobId) -> Option<(&[u8], i64)> {
    let rest = id.as_bytes().strip_prefix(b"repeat:")?;
    let colon = rest.iter().rposition(|byte| *byte == b':')?;
    Some((&rest[..colon], reply::int_of(&rest[colon + 1..])?))
}

/// Makes the next job of the schedule to which this one belongs, unless it is over or gone. To repeat it is harmless.
///
/// # Errors
/// The server's. A rule that cannot be followed is none: trying again would not help, so a person is told.
pub(super) async fn iterate(link: &Link, keys: &Keys, seat: &Seat, claim: &Claim) -> Result<(), SystemError> {
    let Some((series, _)) = series_of(&claim.id) else { return Ok(()) };
    let mut batch = Batch::new();
    batch.ask(cmd("HGET").arg(keys.job(claim.id.as_bytes())).arg("rjk").to_owned());
    batch.ask(cmd("HMGET").arg(keys.scheduler(series)).arg(FIELDS.as_slice()).to_owned());
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let member = reply::bytes(replies.next().map_err(ReadError::from)?).map(<[u8]>::to_vec);
    let record = Record::read(replies.next().map_err(ReadError::from)?)?;
    let Some(member) = member.or_else(|| record.exists().then(|| series.to_vec())) else { return Ok(()) };
    let repeatable = member != series;
    let next = match next(claim, &record, repeatable) {
        Ok(next) => next,
        Err(reason) => {
            let schedule = String::from_utf8_lossy(&member).into_owned();
            tracing::warn!(queue = %seat.queue.name, job = %claim.id, schedule, reason, "no next job can be made");
            ending().entry((seat.worker.clone(), seat.queue.clone())).or_default().insert(member, reason);
            return Ok(());
        }
    };
    if let Some(Next { due, runs_at, options }) = next {
        let (due, runs_at) = (due.to_string(), runs_at.to_string());
        let kind: &[u8] = if repeatable { b"1" } else { b"0" };
        let arguments: [&[u8]; 7] =
            [&member, series, claim.id.as_bytes(), due.as_bytes(), runs_at.as_bytes(), &options, kind];
        ITERATE.run(link, &[keys.base()], &arguments).await?;
    }
    if let Some(schedules) = ending().get_mut(&(seat.worker.clone(), seat.queue.clone())) {
        schedules.remove(&member);
    }
    Ok(())
}

/// A scheduler's record; a repeatable has none.
#[derive(Default)]
struct Record(Vec<Option<String>>);

impl Record {
    fn read(value: &Value) -> Result<Self, ReadError> {
        Ok(Self(reply::list(value).ok_or_else(|| shape("no list"))?.iter().map(reply::text).collect()))
    }

    fn exists(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    fn text(&self, field: &str) -> Option<&str> {
        let at = FIELDS.iter().position(|known| *known == field)?;
        self.0.get(at)?.as_deref().filter(|text| !text.is_empty())
    }

    fn number(&self, field: &str) -> Option<i64> {
        reply::int_of(self.text(field)?.as_bytes())
    }
}

/// A job to be made.
#[derive(Debug, PartialEq)]
struct Next {
    /// The moment it stands for, in ms; part of its id.
    due: i64,
    /// When it is to run.
    runs_at: i64,
    /// Its options as JSON.
    options: Vec<u8>,
}

/// The next job; none if the schedule is over. An error says why qtop cannot tell.
fn next(claim: &Claim, record: &Record, repeatable: bool) -> Result<Option<Next>, String> {
    let Some((series, last)) = series_of(&claim.id) else { return Ok(None) };
    let mut options = match serde_json::from_slice(stored_options(claim)) {
        Ok(Json::Object(options)) => options,
        _ => Map::new(),
    };
    let now = claim.claimed_at.0;
    let none = Map::new();
    let told = options.get("repeat").and_then(Json::as_object);
    let repeat = told.unwrap_or(&none);
    let made = rule::number(repeat.get("count")).unwrap_or(0);
    let over = match (told, rule::number(repeat.get("limit"))) {
        (Some(_), limit) => limit.is_some_and(|limit| made >= limit),
        // Only clients in other languages leave that out.
        (None, _) => record.number("limit").is_some_and(|limit| record.number("ic").unwrap_or(0) >= limit),
    };
    let ends = match repeat.get("endDate").filter(|end| !end.is_null()) {
        Some(end) => Some(rule::moment(end).ok_or_else(|| format!("its end {end} cannot be read"))?),
        None => record.number("endDate"),
    };
    if over || ends.is_some_and(|ends| now > ends) {
        return Ok(None);
    }
    let offset = rule::number(repeat.get("offset"));
    let every = record.number("every").or_else(|| rule::number(repeat.get("every"))).filter(|every| *every > 0);
    let text = |name: &str| repeat.get(name).and_then(Json::as_str).or_else(|| record.text(name));
    let from = now.max(last);
    let due = match every {
        Some(every) if repeatable => from.div_euclid(every) * every + every,
        Some(every) => in_step(last, every, record.number("offset").or(offset).unwrap_or(0), now),
        None => {
            let pattern = text("pattern").or_else(|| text("cron")).ok_or("it has no rule")?;
            let zone = if repeat.get("utc") == Some(&Json::Bool(true)) { Some("utc") } else { text("tz") };
            let start = repeat.get("startDate").and_then(rule::moment).or_else(|| record.number("startDate"));
            let due = Pattern::new(pattern, zone)?.after(start.map_or(from, |start| from.max(start)));
            match due.filter(|due| ends.is_none_or(|ends| *due <= ends)) {
                Some(due) => due,
                None => return Ok(None),
            }
        }
    };
    let runs_at = if repeatable { due.saturating_add(offset.unwrap_or(0)) } else { due };
    let by_pattern = every.is_none();
    if let Some(Json::Object(repeat)) = options.get_mut("repeat") {
        repeat.insert("count".to_owned(), (made + 1).into());
    }
    options.insert("delay".to_owned(), (runs_at - now).max(0).into());
    options.insert("timestamp".to_owned(), now.into());
    options.insert("jobId".to_owned(), format!("repeat:{}:{due}", String::from_utf8_lossy(series)).into());
    if repeatable || by_pattern {
        options.insert("prevMillis".to_owned(), due.into());
    } else {
        options.remove("prevMillis");
    }
    if !repeatable {
        options.insert("repeatJobKey".to_owned(), String::from_utf8_lossy(series).into());
    }
    let options = serde_json::to_vec(&options).map_err(|error| error.to_string())?;
    Ok(Some(Next { due, runs_at, options }))
}

/// The moment after `last`. Missed ones are not made up for: then the next one in step with the others counts.
fn in_step(last: i64, every: i64, offset: i64, now: i64) -> i64 {
    let next = last.saturating_add(every);
    if next >= now {
        return next;
    }
    let aligned = now.div_euclid(every) * every + offset;
    if aligned <= now { aligned + every } else { aligned }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::domain::time::Timestamp;
    use crate::systems::consume::Limits;

    fn claim(id: &str, options: &Json, now: i64) -> Claim {
        Claim {
            id: id.into(),
            name: "tick".into(),
            payload: Bytes::new(),
            attempts_made: 0,
            attempts: Some(1),
            backoff: None,
            created_at: None,
            ready_at: None,
            claimed_at: Timestamp(now),
            deaths: 0,
            limits: Limits::default(),
            doomed: None,
            token: Bytes::new(),
            receipt: Bytes::from([b"1\0".as_slice(), options.to_string().as_bytes()].concat()),
        }
    }

    fn record(fields: &[(&str, &str)]) -> Record {
        let of = |name: &&str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| (*value).to_owned());
        Record(FIELDS.iter().map(of).collect())
    }

    #[test]
    fn the_series_is_what_stands_before_the_moment() {
        assert_eq!(series_of(&"repeat:nightly:a:1700000000000".into()), Some((&b"nightly:a"[..], 1_700_000_000_000)));
        assert_eq!(series_of(&"17".into()), None);
    }

    #[test]
    fn a_repeatable_goes_on_by_what_its_job_says() {
        let options = json!({ "repeat": { "every": 700, "count": 2, "limit": 4, "offset": 30 }, "jobId": "x" });
        let made = next(&claim("repeat:abc:1400", &options, 1500), &record(&[]), true).unwrap().unwrap();
        assert_eq!((made.due, made.runs_at), (2100, 2130));
        let written: Json = serde_json::from_slice(&made.options).unwrap();
        assert_eq!(written["repeat"]["count"], 3);
        assert_eq!((&written["jobId"], &written["delay"]), (&json!("repeat:abc:2100"), &json!(630)));
        let last = json!({ "repeat": { "every": 700, "count": 4, "limit": 4 } });
        assert_eq!(next(&claim("repeat:abc:1400", &last, 1500), &record(&[]), true), Ok(None));
        let over = json!({ "repeat": { "every": 700, "endDate": "1970-01-01T00:00:01.000Z" } });
        assert_eq!(next(&claim("repeat:abc:1400", &over, 1500), &record(&[]), true), Ok(None));
    }

    #[test]
    fn a_scheduler_keeps_in_step_and_its_record_comes_first() {
        let options = json!({ "repeat": { "every": 700, "count": 1 } });
        let fields = record(&[("every", "1000"), ("offset", "250"), ("limit", "1"), ("ic", "9")]);
        let due = |now| next(&claim("repeat:s:1250", &options, now), &fields, false).unwrap().map(|next| next.due);
        assert_eq!(due(1300), Some(2250));
        assert_eq!(due(5100), Some(5250), "missed turns are not made up for");
        assert_eq!(due(5300), Some(6250));
        let bare = record(&[("every", "1000"), ("limit", "3"), ("ic", "3")]);
        assert_eq!(next(&claim("repeat:s:1250", &json!({}), 1300), &bare, false), Ok(None));
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        let of = |repeat: Json| next(&claim("repeat:s:1", &json!({ "repeat": repeat }), 2), &record(&[]), false);
        assert!(of(json!({ "pattern": "* * * * *", "tz": "Mars/Base" })).unwrap_err().contains("Mars/Base"));
        assert!(of(json!({ "pattern": "now and then" })).unwrap_err().contains("now and then"));
        assert!(of(json!({})).unwrap_err().contains("no rule"));
        assert_eq!(of(json!({ "every": 10 })).unwrap().map(|next| next.due), Some(11));
    }
}
