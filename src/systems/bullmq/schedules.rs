//! Job schedulers (5.x and later) and the legacy repeatables of 4.x and 5.x, both in the zset `repeat`.

use std::time::Duration;

use crate::domain::ids::{Name, QueueId};
use crate::domain::job::{Cursor, Page, PageRequest, Schedule};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies, Value, cmd};
use crate::systems::{ReadError, SystemError, reply};

use super::jobs::SPAN;
use super::keys::Keys;
use super::rows::hmget;

const FIELDS: &[&str] = &["name", "pattern", "every", "tz", "ic", "limit", "endDate"];

/// A page of the zset `repeat`: what both libraries keep of their schedules.
pub struct Members {
    /// Ids with the moment of their next run in milliseconds, soonest first.
    pub members: Vec<(Vec<u8>, f64)>,
    /// The server's clock.
    pub now: Option<Timestamp>,
    start: u64,
    total: Option<u64>,
}

impl Members {
    /// Reads it. The cursor is the rank.
    ///
    /// # Errors
    /// The server's, or a cursor of something else.
    pub async fn read(link: &Link, keys: &Keys, request: &PageRequest) -> Result<Self, SystemError> {
        let limit = request.limit.clamp(1, SPAN) as u64;
        let bad = |cursor: &Cursor| SystemError::BadRequest(format!("not a cursor of schedules: {}", cursor.0));
        let start: u64 = request.cursor.as_ref().map_or(Ok(0), |cursor| cursor.0.parse().map_err(|_| bad(cursor)))?;
        let mut batch = Batch::new();
        let key = keys.key("repeat");
        batch.ask(cmd("ZCARD").arg(&key).to_owned());
        batch.ask(cmd("ZRANGE").arg(&key).arg(start).arg(start.saturating_add(limit - 1)).arg("WITHSCORES").to_owned());
        batch.ask(cmd("TIME"));
        let replies = link.send(&batch).await?;
        let mut replies = Replies::new(&replies);
        let total = reply::count(replies.next().map_err(ReadError::from)?);
        let members = reply::scored(replies.next().map_err(ReadError::from)?).unwrap_or_default();
        let now = replies.next().ok().and_then(server_time);
        Ok(Self { members, now, start, total })
    }

    /// The page with these rows, one for each member.
    pub fn page(&self, rows: Vec<Schedule>) -> Page<Schedule> {
        let offset = self.start + rows.len() as u64;
        let more = !rows.is_empty() && self.total.is_some_and(|total| offset < total);
        Page { rows, next: more.then(|| Cursor(offset.to_string())), total: self.total }
    }
}

/// A page of schedules, soonest first.
pub async fn page(link: &Link, queue: &QueueId, request: &PageRequest) -> Result<Page<Schedule>, SystemError> {
    let keys = Keys::of(queue);
    let found = Members::read(link, &keys, request).await?;
    let mut batch = Batch::new();
    for (id, score) in &found.members {
        batch.ask(hmget(keys.scheduler(id), FIELDS));
        batch.ask(cmd("ZSCORE").arg(keys.key("delayed")).arg(iteration(id, *score)).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let mut rows = Vec::with_capacity(found.members.len());
    for (id, score) in &found.members {
        let (fields, queued) = (replies.next(), replies.next());
        let fields = fields.ok().and_then(reply::list).unwrap_or_default();
        let queued = queued.is_ok_and(|value| *value != Value::Nil);
        rows.push(schedule(id.clone(), *score, fields, queued, found.now));
    }
    Ok(found.page(rows))
}

/// Id of the job a scheduler makes for one moment.
fn iteration(scheduler: &[u8], millis: f64) -> Vec<u8> {
    [b"repeat:", scheduler, format!(":{millis}").as_bytes()].concat()
}

/// Reply of `TIME`.
pub fn server_time(value: &Value) -> Option<Timestamp> {
    let [seconds, micros] = reply::list(value)? else { return None };
    Some(Timestamp(reply::int(seconds)? * 1000 + reply::int(micros)? / 1000))
}

fn schedule(id: Vec<u8>, score: f64, fields: &[Value], queued: bool, now: Option<Timestamp>) -> Schedule {
    let field = |at: usize| fields.get(at).and_then(reply::text);
    let number = |at: usize| fields.get(at).and_then(reply::count);
    let next_run = Timestamp(score as i64);
    let fired = number(4);
    let mut notes = Vec::new();
    let mut rule = field(1).or_else(|| number(2).map(every));
    let mut name = field(0);
    let mut zone = field(3);
    if fired.is_none() {
        notes.push("legacy repeatable of BullMQ 4 or 5; 6 no longer serves it".to_owned());
        if rule.is_none()
            && let Some(legacy) = Legacy::parse(&id)
        {
            (name, zone, rule) = (Some(legacy.name), legacy.zone, Some(legacy.rule));
        }
    }
    notes.extend(next_run_note(next_run, queued, now));
    notes.extend(bounds(number(5), fields.get(6).and_then(reply::int)));
    Schedule {
        id: Name::from(id),
        name,
        rule: rule.unwrap_or_else(|| "unknown".to_owned()),
        zone,
        next_run: Some(next_run),
        fired,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

/// What is wrong with a next run. `queued`: a job for it stands in `delayed`.
pub fn next_run_note(next_run: Timestamp, queued: bool, now: Option<Timestamp>) -> Option<String> {
    if now.is_some_and(|now| next_run.age(now) > Duration::from_secs(11)) {
        return Some("due and not taken up: only a worker makes the next job".to_owned());
    }
    let missing = !queued && now.is_some_and(|now| next_run > now);
    missing.then(|| "the job for its next run is not in `delayed`".to_owned())
}

/// Where a schedule ends: after so many runs, at a moment in milliseconds.
pub fn bounds(limit: Option<u64>, end: Option<i64>) -> Vec<String> {
    let runs = limit.map(|limit| format!("at most {limit} runs"));
    let end = end.and_then(|end| Timestamp(end).rfc3339()).map(|end| format!("ends {end}"));
    runs.into_iter().chain(end).collect()
}

/// A rule by its span in milliseconds.
pub fn every(millis: u64) -> String {
    format!("every {}", text::span(Duration::from_millis(millis)))
}

/// What a legacy member `name:id:endDate:tz:rule` tells; later ones are a hash of that and tell nothing.
struct Legacy {
    name: String,
    zone: Option<String>,
    rule: String,
}

impl Legacy {
    fn parse(member: &[u8]) -> Option<Self> {
        let member = std::str::from_utf8(member).ok()?;
        let mut parts = member.splitn(5, ':');
        let (name, _id, _end, zone, rule) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let rule = rule.parse().map_or_else(|_| rule.to_owned(), every);
        Some(Self { name: name.to_owned(), zone: (!zone.is_empty()).then(|| zone.to_owned()), rule })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_scheduler_tells_its_rule_and_runs() {
        let fields = [
            string("digest"),
            string("0 8 * * *"),
            Value::Nil,
            string("Europe/Oslo"),
            string("12"),
            Value::Nil,
            Value::Nil,
        ];
        let read = schedule(b"daily".to_vec(), 2_000_000.0, &fields, true, Some(Timestamp(1_000_000)));
        assert_eq!(
            (read.rule.as_str(), read.zone.as_deref(), read.fired),
            ("0 8 * * *", Some("Europe/Oslo"), Some(12))
        );
        assert_eq!(read.note, None);
    }

    #[test]
    fn a_legacy_member_is_read_from_its_name() {
        let read = schedule(b"mail:::UTC:300000".to_vec(), 5.0, &[], true, None);
        assert_eq!(
            (read.name.as_deref(), read.rule.as_str(), read.zone.as_deref()),
            (Some("mail"), "every 5m", Some("UTC"))
        );
        assert!(read.note.is_some_and(|note| note.contains("legacy")));
    }

    #[test]
    fn a_schedule_nobody_advances_is_told() {
        let fields = [string("x"), Value::Nil, string("1000"), Value::Nil, string("1"), Value::Nil, Value::Nil];
        let read = schedule(b"s".to_vec(), 1000.0, &fields, false, Some(Timestamp(60_000)));
        assert!(read.note.is_some_and(|note| note.contains("only a worker")));
        assert_eq!(read.rule, "every 1.0s");
    }
}
