//! Working for a consumer group: an entry is this runner's while it is pending for a consumer of its name, and is
//! acknowledged only together with its outcome. Entries of dead runners are taken over when their sign of life has
//! expired; those of consumers of other makers only if that is asked for, when they have been idle for long enough.
//!
//! qtop's own keys stand beside the stream: `STREAM:qtop:GROUP:later`, `:facts`, `:rate`, `:runners`, `:alive:RUNNER`,
//! `:fired`, `:looked`.
//! Entries that were given up go to `STREAM:dead`, as deployments do by themselves.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::Stream;
use super::names::{EntryId, Place};
use crate::domain::ids::{JobId, QueueId};
use crate::domain::text::first_line;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Script, Value, cmd};
use crate::systems::consume::{Claim, Claimed, Consume, Firing, Limits, Seat, Settled, Tended, Verdict};
use crate::systems::{Answer, ReadError, SystemError, reply};

macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(include_str!("common.lua"), include_str!($file)))
    };
}

static CLAIM: Script = script!("claim.lua");
static SETTLE: Script = script!("settle.lua");
static HELD: Script = script!("held.lua");
static TEND: Script = script!("tend.lua");
static STRAYS: Script = script!("strays.lua");
static LEAVE: Script = script!("leave.lua");
static FIRE: Script = Script::new(include_str!("fire.lua"));

/// Fields that hold the whole payload, if an entry has one of them.
const PAYLOADS: [&str; 4] = ["data", "payload", "body", "message"];
/// Fields that name the kind of work.
const NAMES: [&str; 3] = ["name", "type", "event"];
/// Characters of an error that are kept with a dead entry.
const ERROR_CHARACTERS: usize = 2_000;

/// The keys of one runner at one group.
struct Desk {
    keys: Vec<Vec<u8>>,
    group: Vec<u8>,
    me: Vec<u8>,
    signs: Vec<u8>,
    looked: Vec<u8>,
}

impl Desk {
    fn of(seat: &Seat) -> Result<Self, SystemError> {
        let place = Place::parse(&seat.queue.name);
        let dead = place.dead();
        let Place { stream, group } = place;
        let group = group.ok_or_else(|| SystemError::BadRequest(NO_GROUP.to_owned()))?;
        let own = |part: &str| [&stream, &b":qtop:"[..], &group, part.as_bytes()].concat();
        let keys = vec![stream.clone(), own(":later"), own(":facts"), own(":rate"), own(":runners"), dead];
        Ok(Self { keys, me: seat.worker.as_bytes().to_vec(), signs: own(":alive:"), looked: own(":looked"), group })
    }

    async fn run(&self, script: &Script, link: &Link, more: &[Vec<u8>]) -> Result<Value, SystemError> {
        let mut arguments = vec![self.group.clone(), self.me.clone()];
        arguments.extend(more.iter().cloned());
        Ok(script.run(link, &self.keys, &arguments).await?)
    }
}

const NO_GROUP: &str = "a stream is worked on for a consumer group: write stream:NAME/GROUP";

/// How long a sign of life holds.
fn life(lease: Duration) -> Duration {
    (lease / 2).max(Duration::from_secs(2))
}

impl Consume for Stream {
    fn check(&self, queue: &QueueId) -> Result<(), String> {
        match Place::parse(&queue.name).group {
            Some(group) if !group.is_empty() => Ok(()),
            _ => Err(NO_GROUP.to_owned()),
        }
    }

    fn claim<'a>(&'a self, link: &'a Link, seat: &'a Seat, want: usize) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let desk = Desk::of(seat)?;
            let (most, window) = seat.rate.unwrap_or((0, Duration::ZERO));
            let answer = desk.run(&CLAIM, link, &[number(want as u64), number(most), millis(window)]).await?;
            claimed(&answer)
        })
    }

    fn wait<'a>(&'a self, own: &'a Link, seat: &'a Seat, limit: Duration) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let desk = Desk::of(seat)?;
            let mut read = cmd("XREADGROUP");
            read.arg("GROUP").arg(&desk.group).arg(&desk.me).arg("COUNT").arg(1);
            read.arg("BLOCK").arg(limit.as_millis().max(10) as u64).arg("STREAMS").arg(&desk.keys[0]).arg(">");
            let mut batch = Batch::new();
            batch.ask(read).ask(cmd("TIME"));
            let replies = own.send(&batch).await?;
            let [read, time] = replies.as_slice() else { return Err(shape("too few replies").into()) };
            let read = read.as_ref().map_err(|error| ReadError::Command(error.clone()))?;
            let now = time.as_ref().ok().and_then(moment).unwrap_or_default();
            let claims: Vec<Claim> =
                entries(read).into_iter().filter_map(|(id, fields)| claim(id, 0, 0, &fields, now)).collect();
            if let Some((_, window)) = seat.rate.filter(|_| !claims.is_empty()) {
                let mut count = Batch::new();
                // With its end from the start: a count that never expired would stop the group for good.
                count.ask(cmd("SET").arg(&desk.keys[3]).arg(0).arg("PX").arg(millis(window)).arg("NX").to_owned());
                count.ask(cmd("INCRBY").arg(&desk.keys[3]).arg(claims.len()).to_owned());
                // The entries are this runner's already: that they could not be counted must not lose them.
                drop(own.send(&count).await);
            }
            Ok(Claimed { claims, ..Claimed::default() })
        })
    }

    fn extend<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, Vec<bool>> {
        Box::pin(async move {
            let ids: Vec<Vec<u8>> = claims.iter().map(|claim| claim.id.as_bytes().to_vec()).collect();
            let answer = Desk::of(seat)?.run(&HELD, link, &ids).await?;
            let held = reply::list(&answer).ok_or_else(|| shape("no list"))?;
            Ok(held.iter().map(|one| reply::int(one) == Some(1)).collect())
        })
    }

    fn settle<'a>(
        &'a self,
        link: &'a Link,
        seat: &'a Seat,
        claim: &'a Claim,
        verdict: &'a Verdict,
        next: bool,
    ) -> Answer<'a, Settled> {
        Box::pin(async move {
            let (made, deaths) = (claim.attempts_made, claim.deaths);
            let (word, wait, made, deaths, reason) = match verdict {
                Verdict::Done(_) => ("done", Duration::ZERO, made, deaths, ""),
                Verdict::Return => ("return", Duration::ZERO, made, deaths, ""),
                Verdict::Postpone(wait) => ("postpone", *wait, made, deaths, ""),
                Verdict::Retry { message, delay, crashed, .. } => {
                    ("retry", *delay, made + 1, deaths + u32::from(*crashed), message.as_str())
                }
                Verdict::Dead { message, .. } => ("dead", Duration::ZERO, made + 1, deaths, message.as_str()),
            };
            let keep = seat.keep.failed.and_then(|keep| keep.count).map_or_else(|| b"-1".to_vec(), number);
            let (most, window) = seat.rate.unwrap_or((0, Duration::ZERO));
            let arguments = [
                claim.id.as_bytes().to_vec(),
                word.as_bytes().to_vec(),
                millis(wait),
                number(made.into()),
                number(deaths.into()),
                first_line(reason, ERROR_CHARACTERS).into_bytes(),
                keep,
                number(next.into()),
                number(most),
                millis(window),
            ];
            let answer = Desk::of(seat)?.run(&SETTLE, link, &arguments).await?;
            if reply::int(&answer) == Some(0) {
                return Ok(Settled::Lost("another consumer has claimed or acknowledged it".to_owned()));
            }
            Ok(Settled::Stored(claimed(&answer)?.claims.into_iter().next().map(Arc::new)))
        })
    }

    fn tend<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, Tended> {
        Box::pin(async move {
            let desk = Desk::of(seat)?;
            let idle = seat.left_behind.map(|left| left.idle).unwrap_or_default();
            let most = seat.left_behind.map_or(0, |left| left.most_deliveries);
            let looked = desk.looked.clone();
            let arguments = [millis(life(seat.lease)), desk.signs.clone(), millis(idle), number(most.into()), looked];
            let answer = desk.run(&TEND, link, &arguments).await?;
            Ok(Tended { returned: reply::count(&answer).unwrap_or(0), ..Tended::default() })
        })
    }

    fn strays<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, u64> {
        Box::pin(async move {
            let ids: Vec<Vec<u8>> = claims.iter().map(|claim| claim.id.as_bytes().to_vec()).collect();
            let answer = Desk::of(seat)?.run(&STRAYS, link, &ids).await?;
            Ok(reply::count(&answer).unwrap_or(0))
        })
    }

    fn leave<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, ()> {
        Box::pin(async move {
            let desk = Desk::of(seat)?;
            desk.run(&LEAVE, link, std::slice::from_ref(&desk.signs)).await?;
            Ok(())
        })
    }

    fn fire<'a>(&'a self, link: &'a Link, seat: &'a Seat, firing: &'a Firing) -> Answer<'a, bool> {
        Box::pin(async move {
            let Place { stream, group } = Place::parse(&seat.queue.name);
            let group = group.ok_or_else(|| SystemError::BadRequest(NO_GROUP.to_owned()))?;
            let fired = [&stream, &b":qtop:"[..], &group, b":fired"].concat();
            let moment = firing.tick.0.to_string();
            let id = format!("{}:{moment}", firing.schedule);
            // The names under which a job's id, kind and data are found again.
            let arguments: [&[u8]; 9] = [
                firing.schedule.as_bytes(),
                moment.as_bytes(),
                if firing.missed { b"1" } else { b"0" },
                b"id",
                id.as_bytes(),
                NAMES[0].as_bytes(),
                firing.name.as_bytes(),
                PAYLOADS[0].as_bytes(),
                &firing.data,
            ];
            let answer = FIRE.run(link, &[fired, stream], &arguments).await?;
            Ok(reply::int(&answer) == Some(1))
        })
    }
}

/// What a script that takes entries answers.
fn claimed(answer: &Value) -> Result<Claimed, SystemError> {
    let values = reply::list(answer).filter(|values| values.len() >= 3).ok_or_else(|| shape("no list"))?;
    let now = Timestamp(reply::int(&values[0]).unwrap_or_default());
    let span = |value: &Value| reply::count(value).map(Duration::from_millis);
    let small = |value: &Value| reply::count(value).map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX));
    let (found, _) = values[3..].as_chunks::<5>();
    let claims = found
        .iter()
        .filter_map(|[id, made, deaths, deliveries, fields]| {
            let claim = claim(reply::bytes(id)?.to_vec(), small(made), small(deaths), &pairs(fields), now)?;
            let doomed = Some(small(deliveries)).filter(|times| *times > 0);
            let doomed = doomed.map(|times| format!("it was delivered {times} times and never acknowledged"));
            Some(Claim { doomed, ..claim })
        })
        .collect();
    let hold = span(&values[2]).map(|left| (left, "the rate limit is reached".to_owned()));
    Ok(Claimed { claims, patience: span(&values[1]), hold })
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn claim(id: Vec<u8>, made: u32, deaths: u32, fields: &Fields, now: Timestamp) -> Option<Claim> {
    let field = |names: &[&str]| {
        names.iter().find_map(|name| fields.iter().find(|(known, _)| known == name.as_bytes())).map(|(_, value)| value)
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let payload = field(&PAYLOADS).cloned().unwrap_or_else(|| {
        let object: serde_json::Map<_, _> =
            fields.iter().map(|(name, value)| (text(name), json!(text(value)))).collect();
        json!(object).to_string().into_bytes()
    });
    let created_at = EntryId::parse(&id).and_then(EntryId::moment);
    Some(Claim {
        token: Bytes::copy_from_slice(&id),
        id: JobId::from(id),
        name: field(&NAMES).map(|name| text(name)).unwrap_or_default(),
        payload: Bytes::from(payload),
        attempts_made: made,
        attempts: None,
        backoff: None,
        created_at,
        ready_at: created_at,
        claimed_at: now,
        deaths,
        limits: Limits::default(),
        doomed: None,
        receipt: Bytes::new(),
    })
}

fn pairs(value: &Value) -> Fields {
    let bytes = |value: &Value| reply::bytes(value).map(<[u8]>::to_vec);
    if let Value::Map(map) = value {
        return map.iter().filter_map(|(name, value)| Some((bytes(name)?, bytes(value)?))).collect();
    }
    let (pairs, _) = reply::list(value).unwrap_or(&[]).as_chunks::<2>();
    pairs.iter().filter_map(|[name, value]| Some((bytes(name)?, bytes(value)?))).collect()
}

/// Entries of a reply to `XREADGROUP` on one stream, in both protocol forms; none for nil.
fn entries(value: &Value) -> Vec<(Vec<u8>, Fields)> {
    let list = match value {
        Value::Map(streams) => streams.first().map(|(_, entries)| entries),
        value => reply::list(value).and_then(<[Value]>::first).and_then(reply::list).and_then(|stream| stream.get(1)),
    };
    let entries = list.and_then(reply::list).unwrap_or(&[]);
    entries
        .iter()
        .filter_map(|entry| match reply::list(entry)? {
            [id, fields] => Some((reply::bytes(id)?.to_vec(), pairs(fields))),
            _ => None,
        })
        .collect()
}

fn moment(value: &Value) -> Option<Timestamp> {
    match reply::list(value)? {
        [seconds, micros] => Some(Timestamp(reply::int(seconds)? * 1000 + reply::int(micros)? / 1000)),
        _ => None,
    }
}

fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn millis(span: Duration) -> Vec<u8> {
    span.as_millis().to_string().into_bytes()
}

fn shape(what: &str) -> ReadError {
    ReadError::Shape { command: "EVALSHA", what: what.to_owned() }
}
