//! Bull's repeatables: members of the zset `repeat`, each with the job it has made for its next run.
//!
//! A repeatable lives on that job alone: the next one is made when a worker takes it. Its id holds a hash of the key,
//! `repeat:<hash>:<ms>`, so it is found by its moment and the key in its options.

use serde_json::Value as Json;

use crate::domain::ids::{Name, QueueId};
use crate::domain::job::{Page, PageRequest, Schedule};
use crate::domain::record::{Place, Record};
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Replies, cmd};
use crate::systems::bullmq::keys::Keys;
use crate::systems::bullmq::records;
use crate::systems::bullmq::schedules::{Members, bounds, every, next_run_note};
use crate::systems::{ReadError, SystemError, reply};

use super::state;

/// Runs due in the same millisecond among which one is looked for.
const SAME_MOMENT: u64 = 100;

/// The job made for the next run of a repeatable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NextRun {
    /// Its id; it stands in `delayed`.
    pub id: Name,
    /// What its options say under `repeat`.
    rule: Json,
}

/// Finds the next runs of repeatables, each given by its key and the moment in milliseconds.
pub async fn next_runs(
    link: &Link,
    keys: &Keys,
    members: &[(Vec<u8>, f64)],
) -> Result<Vec<Option<NextRun>>, SystemError> {
    let mut batch = Batch::new();
    for (_, moment) in members {
        let mut ask = cmd("ZRANGEBYSCORE");
        ask.arg(keys.key("delayed")).arg(moment * 4096.0).arg(moment * 4096.0 + 4095.0);
        batch.ask(ask.arg("LIMIT").arg(0).arg(SAME_MOMENT).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let mut found = Vec::new();
    let mut batch = Batch::new();
    for (place, (_, moment)) in members.iter().enumerate() {
        let due = reply::names(replies.next().map_err(ReadError::from)?).unwrap_or_default();
        let end = format!(":{moment}").into_bytes();
        for id in due.into_iter().filter(|id| id.starts_with(b"repeat:") && id.ends_with(&end)) {
            batch.ask(cmd("HMGET").arg(keys.job(&id)).arg(&["opts", "name"]).to_owned());
            found.push((place, id));
        }
    }
    let mut runs = vec![None; members.len()];
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    for (place, id) in found {
        let fields = reply::list(replies.next().map_err(ReadError::from)?).unwrap_or(&[]);
        let field = |at: usize| fields.get(at).and_then(reply::bytes).unwrap_or_default();
        let options: Json = serde_json::from_slice(field(0)).unwrap_or_default();
        if is_run_of(&options["repeat"], field(1), &members[place].0) {
            runs[place] = Some(NextRun { id: Name::from(id), rule: options["repeat"].clone() });
        }
    }
    Ok(runs)
}

/// As in `scripts/common.lua`: versions before 3.18 wrote no key into the options, but it begins with the job's name.
fn is_run_of(rule: &Json, name: &[u8], key: &[u8]) -> bool {
    match rule["key"].as_str() {
        Some(told) => told.as_bytes() == key,
        None => key.strip_prefix(name).is_some_and(|rest| rest.starts_with(b":")),
    }
}

/// A page of repeatables, soonest first. The cursor is the rank.
pub async fn page(link: &Link, queue: &QueueId, request: &PageRequest) -> Result<Page<Schedule>, SystemError> {
    let keys = Keys::of(queue);
    let found = Members::read(link, &keys, request).await?;
    let runs = next_runs(link, &keys, &found.members).await?;
    let rows = found.members.iter().zip(&runs).map(|((key, moment), run)| row(key, *moment, run.as_ref(), found.now));
    Ok(found.page(rows.collect()))
}

fn row(key: &[u8], moment: f64, run: Option<&NextRun>, now: Option<Timestamp>) -> Schedule {
    let next_run = Timestamp(moment as i64);
    let told = Told::parse(&String::from_utf8_lossy(key));
    let rule = run.map(|run| &run.rule);
    let mut notes: Vec<String> = next_run_note(next_run, run.is_some(), now).into_iter().collect();
    notes.extend(bounds(rule.and_then(|rule| rule["limit"].as_u64()), told.end));
    Schedule {
        id: Name::from(key),
        name: Some(told.name),
        rule: told.rule,
        zone: told.zone,
        next_run: Some(next_run),
        // The run that is to come counts itself.
        fired: rule.and_then(|rule| rule["count"].as_u64()).map(|count| count.saturating_sub(1)),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

/// What a key says: `name:id:end:zone:cron`, or `name:id:end:milliseconds`. Names and ids may hold colons themselves, so
/// it is read from its end.
struct Told {
    name: String,
    end: Option<i64>,
    zone: Option<String>,
    rule: String,
}

impl Told {
    fn parse(key: &str) -> Self {
        let filled = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        let (rest, last) = key.rsplit_once(':').unwrap_or(("", key));
        let (rest, zone, rule) = match last.parse() {
            Ok(millis) => (rest, None, every(millis)),
            Err(_) => {
                let (rest, zone) = rest.rsplit_once(':').unwrap_or(("", rest));
                (rest, filled(zone), last.to_owned())
            }
        };
        let (rest, end) = rest.rsplit_once(':').unwrap_or((rest, ""));
        // The library's own reading: the name ends at the first colon.
        let name = rest.split(':').next().unwrap_or(rest).to_owned();
        Self { name, end: end.parse().ok(), zone, rule }
    }
}

/// Repeatables with their place, each with the job for its next run.
pub async fn take(link: &Link, queue: &QueueId, ids: &[Name]) -> Result<Vec<Record>, SystemError> {
    let keys = Keys::of(queue);
    let mut found = Vec::new();
    let mut records = Vec::new();
    for id in ids {
        let score = link.ask(cmd("ZSCORE").arg(keys.key("repeat")).arg(id.as_bytes()).to_owned()).await?;
        let (Some(moment), Some(text)) = (reply::float(&score), reply::text(&score)) else { continue };
        let place = Place::Sorted { key: keys.key("repeat").into(), member: id.clone(), score: text };
        records.push(Record { id: id.clone(), state: None, keys: Vec::new(), places: vec![place] });
        found.push((id.as_bytes().to_vec(), moment));
    }
    let runs: Vec<Name> = next_runs(link, &keys, &found).await?.into_iter().flatten().map(|run| run.id).collect();
    let pending = records::take(link, queue, &runs).await?;
    records.extend(pending.into_iter().filter(|record| record.state == Some(state::DELAYED)));
    Ok(records)
}

/// Options of a repeatable's run without what makes it one, so that a copy is a job like any other.
pub fn plain_options(options: Vec<u8>) -> Vec<u8> {
    match serde_json::from_slice(&options) {
        Ok(Json::Object(mut members)) if members.contains_key("repeat") => {
            for name in ["repeat", "jobId", "prevMillis", "delay", "timestamp"] {
                members.shift_remove(name);
            }
            Json::Object(members).to_string().into_bytes()
        }
        _ => options,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_name_rule_zone_and_end() {
        let told = Told::parse("mail:::1000");
        assert_eq!((told.name.as_str(), told.rule.as_str(), told.zone, told.end), ("mail", "every 1.0s", None, None));
        let told = Told::parse("mail:id:1700000000000:Europe/Oslo:0 8 * * *");
        assert_eq!((told.name.as_str(), told.rule.as_str()), ("mail", "0 8 * * *"));
        assert_eq!((told.zone.as_deref(), told.end), (Some("Europe/Oslo"), Some(1_700_000_000_000)));
        let told = Told::parse("__default__::::*/5 * * * * *");
        assert_eq!((told.name.as_str(), told.rule.as_str()), ("__default__", "*/5 * * * * *"));
        assert_eq!((told.zone, told.end), (None, None));
        assert_eq!(Told::parse("odd").rule, "odd");
    }

    #[test]
    fn a_run_belongs_to_the_key_in_its_options() {
        let rule = serde_json::json!({ "key": "mail:::1000" });
        assert!(is_run_of(&rule, b"mail", b"mail:::1000"));
        assert!(!is_run_of(&rule, b"mail", b"mail:::2000"));
        assert!(is_run_of(&Json::Null, b"mail", b"mail:::2000"));
        assert!(!is_run_of(&Json::Null, b"mai", b"mail:::2000"));
    }

    #[test]
    fn a_copy_of_a_run_does_not_repeat() {
        let options = br#"{"repeat":{"count":3},"jobId":"repeat:x:1","attempts":2,"delay":5,"prevMillis":1}"#.to_vec();
        assert_eq!(plain_options(options), br#"{"attempts":2}"#);
        let plain = br#"{ "attempts": 2, "jobId": "a" }"#.to_vec();
        assert_eq!(plain_options(plain.clone()), plain);
    }
}
