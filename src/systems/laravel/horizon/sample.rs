//! What a tick asks of a Horizon: the lengths of its lists, its masters and how they are. Thirteen commands.

use super::works::MASTER_SECONDS;
use super::{COMPLETED, FAILED, METRICS, MONITORED, PENDING, RECENT, SILENCED, TAGS, key};
use crate::domain::ids::{Name, QueueId};
use crate::domain::queue::{Count, QueueSample, Severity, Warning};
use crate::domain::state::{StateId, StateSpec};
use crate::domain::text::age;
use crate::domain::time::Timestamp;
use crate::link::{Batch, CommandError, Replies, Value};
use crate::systems::laravel::plan::one;
use crate::systems::{Instance, ReadError, reply};

/// Masters that are looked for; more than one is rare.
const MASTERS: usize = 10;
/// Masters whose status a tick reads.
const ASKED: usize = 2;

/// Lists of jobs with the state each stands for.
const LISTS: [(StateId, &[u8]); 6] = [
    (RECENT, b"recent_jobs"),
    (PENDING, b"pending_jobs"),
    (COMPLETED, b"completed_jobs"),
    (FAILED, b"failed_jobs"),
    (SILENCED, b"silenced_jobs"),
    (MONITORED, b"monitored_jobs"),
];

/// Sets with the state they are counted for.
const SETS: [(StateId, &[u8]); 3] = [(TAGS, b"monitoring"), (METRICS, b"measured_queues"), (METRICS, b"measured_jobs")];

/// What is remembered from one tick to the next.
#[derive(Clone, Default)]
pub struct HorizonMemo {
    /// Masters with their last beats, in unix seconds.
    masters: Vec<(Vec<u8>, f64)>,
}

/// Writes a tick's questions.
pub fn plan(instance: &Instance, memo: Option<&HorizonMemo>, batch: &mut Batch) {
    let prefix = instance.id.name.as_bytes();
    for (_, list) in LISTS {
        batch.ask(one("ZCARD", &key(prefix, list)));
    }
    for (_, set) in SETS {
        batch.ask(one("SCARD", &key(prefix, set)));
    }
    batch.ask(one("GET", &key(prefix, b"last_snapshot_at")));
    let mut masters = one("ZRANGE", &key(prefix, b"masters"));
    batch.ask(masters.arg(0).arg(MASTERS - 1).arg("WITHSCORES").to_owned());
    for (name, _) in asked(memo) {
        batch.ask(one("HMGET", &[prefix, b"master:", name].concat()).arg("status").to_owned());
    }
}

fn asked(memo: Option<&HorizonMemo>) -> &[(Vec<u8>, f64)] {
    let masters = memo.map_or(&[][..], |memo| &memo.masters);
    &masters[..masters.len().min(ASKED)]
}

/// Reads the replies to exactly those.
pub fn read(
    instance: &Instance,
    states: &'static [StateSpec],
    memo: &mut HorizonMemo,
    now: Timestamp,
    replies: &mut Replies<'_>,
) -> Result<Vec<QueueSample>, ReadError> {
    let name = instance.queues.first().cloned().unwrap_or_else(|| Name::from(""));
    let mut sample = QueueSample::unknown(QueueId { instance: instance.id.clone(), name }, states);
    for (state, list) in LISTS.into_iter().chain(SETS) {
        let count = match replies.next() {
            Ok(value) => reply::count(value).map_or(Count::Unknown, Count::Exact),
            Err(CommandError::Missing) => return Err(CommandError::Missing.into()),
            Err(error) => {
                let list = String::from_utf8_lossy(list).into_owned();
                sample.error.get_or_insert_with(|| format!("cannot count {list}: {error}"));
                Count::Unknown
            }
        };
        let both = state == METRICS && list == b"measured_jobs";
        sample.set_count(state, if both { sample.count(state).plus(count) } else { count });
    }
    let snapshot = next(replies)?.and_then(reply::int).map(Timestamp::from_seconds);
    let masters = next(replies)?.and_then(reply::scored).unwrap_or_default();
    let mut words = Vec::new();
    for (_, beat) in asked(Some(memo)) {
        let fields = next(replies)?.and_then(reply::list).unwrap_or(&[]);
        words.extend(fields.first().and_then(reply::text).filter(|_| is_alive(*beat, now)));
    }
    let known = now > Timestamp::default();
    let alive = masters.iter().filter(|(_, beat)| is_alive(*beat, now)).count();
    let paused = !words.is_empty() && words.iter().all(|status| status == "paused");
    if known {
        // The word of Horizon's own `horizon:status`.
        let status = match (alive, paused) {
            (0, _) => "inactive",
            (_, true) => "paused",
            _ => "running",
        };
        sample.facts.push(("status", status.to_owned()));
        sample.facts.push(("masters", alive.to_string()));
        sample.conditions.paused = (alive > 0 && !words.is_empty()).then_some(paused);
        if alive == 0 {
            sample.warnings.push(silent(&masters, now));
        }
        sample.facts.push((
            "snapshot",
            snapshot.map_or_else(
                || "none: horizon:snapshot is not scheduled".to_owned(),
                |at| format!("{} ago", age(at.age(now))),
            ),
        ));
    }
    memo.masters = masters;
    Ok(vec![sample])
}

/// The next reply, if it is none of a refusal; a reply that never came spoils all.
fn next<'a>(replies: &mut Replies<'a>) -> Result<Option<&'a Value>, ReadError> {
    match replies.next() {
        Err(CommandError::Missing) => Err(CommandError::Missing.into()),
        reply => Ok(reply.ok()),
    }
}

fn is_alive(beat: f64, now: Timestamp) -> bool {
    now.0 / 1_000 - beat as i64 <= MASTER_SECONDS
}

fn silent(masters: &[(Vec<u8>, f64)], now: Timestamp) -> Warning {
    let last = masters.iter().map(|(_, beat)| *beat as i64).max();
    let since = last.map_or_else(String::new, |beat| {
        format!("; the last sign was {} ago", age(Timestamp::from_seconds(beat).age(now)))
    });
    Warning {
        severity: Severity::Warn,
        code: "horizon_inactive",
        text: format!("no master of this Horizon is running{since}"),
    }
}
