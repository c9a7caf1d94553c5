//! Cron jobs, by the traces they leave: ARQ keeps their rules in the worker's code and nowhere in Redis.
//!
//! A run's id is `cron:<function>:<ms of its time>`; for a minute after it ended its lock stays, longer its result if
//! results of it are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::ids::{Name, QueueId};
use crate::domain::job::{Page, PageRequest, Schedule};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::link::{Link, cmd};
use crate::systems::{ReadError, SystemError, reply};

use super::keys::Keys;

/// Steps over the keyspace, and keys that each looks at.
const STEPS: usize = 40;
const STEP: u64 = 1_000;

/// Cron functions with the times of their runs that are still seen; all on one page.
pub async fn page(link: &Link, queue: &QueueId, request: &PageRequest) -> Result<Page<Schedule>, SystemError> {
    if let Some(cursor) = &request.cursor {
        return Err(SystemError::BadRequest(format!("not a cursor of ARQ's cron jobs: {}", cursor.0)));
    }
    let mut runs: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let (mut cursor, mut whole) = (0, false);
    for _ in 0..STEPS {
        let mut step = cmd("SCAN");
        step.arg(cursor).arg("MATCH").arg("arq:*:cron:*").arg("COUNT").arg(STEP);
        let (next, found) = reply::scan(&link.ask(step).await?)
            .ok_or_else(|| ReadError::Shape { command: "SCAN", what: "no cursor and keys".to_owned() })?;
        for (function, at) in found.iter().filter_map(|key| run(key)) {
            runs.entry(function).or_default().push(at);
        }
        cursor = next;
        whole = cursor == 0;
        if whole {
            break;
        }
    }
    let members = link.ask(cmd("ZRANGE").arg(Keys::of(queue).queue).arg(0).arg(499).to_owned()).await?;
    let waiting: Vec<(String, i64)> =
        reply::names(&members).unwrap_or_default().iter().filter_map(|id| id_of(id)).collect();
    let rows = runs.into_iter().map(|(function, times)| schedule(function, times, &waiting));
    let mut rows: Vec<Schedule> = rows.collect();
    rows.truncate(request.limit.clamp(1, 500));
    Ok(Page { total: whole.then_some(rows.len() as u64), rows, next: None })
}

/// Function and time of a run, from one of its keys.
fn run(key: &[u8]) -> Option<(String, i64)> {
    let text = std::str::from_utf8(key).ok()?;
    let id = text.split_once(":cron:").map(|(_, rest)| rest)?;
    split(id)
}

fn id_of(id: &[u8]) -> Option<(String, i64)> {
    split(std::str::from_utf8(id).ok()?.strip_prefix("cron:")?)
}

fn split(rest: &str) -> Option<(String, i64)> {
    let (function, at) = rest.rsplit_once(':')?;
    Some((function.to_owned(), at.parse().ok()?))
}

fn schedule(function: String, mut times: Vec<i64>, waiting: &[(String, i64)]) -> Schedule {
    times.sort_unstable();
    times.dedup();
    let steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let even = steps.first().filter(|first| steps.len() >= 2 && steps.iter().all(|step| step == *first));
    let rule = match even.and_then(|step| u64::try_from(*step).ok()) {
        Some(step) => format!("every {}, as seen", text::span(Duration::from_millis(step))),
        None => "unknown".to_owned(),
    };
    let last = times.last().and_then(|at| Timestamp(*at).rfc3339()).unwrap_or_default();
    let next = waiting.iter().filter(|(of, _)| *of == function).map(|(_, at)| Timestamp(*at)).min();
    Schedule {
        id: Name::from(function.as_str()),
        name: Some(function.trim_start_matches("cron:").to_owned()),
        rule,
        zone: None,
        next_run: next,
        fired: Some(times.len() as u64),
        note: Some(format!(
            "last seen to run at {last}; the rule is in the worker's code, so that only runs still seen are counted"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cron_function_is_known_by_its_runs() {
        assert_eq!(run(b"arq:in-progress:cron:cron:tidy:1700000000123"), Some(("cron:tidy".into(), 1_700_000_000_123)));
        assert_eq!(run(b"arq:result:cron:tidy:17"), Some(("tidy".into(), 17)));
        assert_eq!(run(b"arq:result:cron:tidy"), None);
        let shown = schedule("cron:tidy".into(), vec![180_000, 60_000, 120_000], &[]);
        assert_eq!(
            (shown.rule.as_str(), shown.fired, shown.name.as_deref()),
            ("every 1m, as seen", Some(3), Some("tidy"))
        );
        assert_eq!(schedule("x".into(), vec![5], &[]).rule, "unknown");
    }
}
