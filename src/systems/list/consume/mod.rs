//! Working on a plain list: an item moves into a processing list of this runner and leaves it only together with its
//! outcome. Two runners know of each other by signs of life that expire; workers of other makers are left alone.
//!
//! qtop's own keys stand beside the list: `KEY:qtop:facts`, `KEY:qtop:runners`, `KEY:qtop:alive:RUNNER`,
//! `KEY:qtop:rate`, `KEY:qtop:fired`, and `KEY:qtop:twins` for what is identical to an item that waits for its time
//! already. The processing list follows the description where it names a pattern.

mod item;
mod outcome;
mod place;
mod records;
mod take;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

pub(super) use self::outcome::describe_dead;
use self::outcome::{Outgoing, outgoing};
use self::place::Place;
use self::take::{Item, Taken, claimed, put_back, small, taken};
use super::List;
use super::keys::fill;
use crate::domain::described::{End, Paths, ProgressKind};
use crate::domain::ids::QueueId;
use crate::domain::job::Progress;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Script, Value, cmd};
use crate::systems::consume::{Claim, Claimed, Consume, Firing, Seat, Settled, Tended, Verdict};
use crate::systems::{Answer, ReadError, SystemError, reply};

/// A script that writes more than once and must not stop half way.
macro_rules! careful {
    ($file:literal) => {
        Script::new(concat!(include_str!("common.lua"), include_str!("../../forbidden.lua"), include_str!($file)))
    };
}

static CLAIM: Script = Script::new(concat!(include_str!("common.lua"), include_str!("claim.lua")));
static SETTLE: Script = careful!("settle.lua");
static TEND: Script = Script::new(concat!(include_str!("common.lua"), include_str!("tend.lua")));
static HELD: Script = Script::new(concat!(include_str!("common.lua"), include_str!("held.lua")));
static STRAYS: Script = careful!("strays.lua");
static FIRE: Script = Script::new(include_str!("fire.lua"));

/// Longest wait at the first of several lists: the others cannot be waited for at the same time.
const SEVERAL: Duration = Duration::from_secs(1);
impl Consume for List {
    fn check(&self, queue: &QueueId) -> Result<(), String> {
        let spec = self.spec_of(&queue.name).ok_or_else(|| {
            format!("no [[list]] of the configuration is called {}: describe the list first", queue.name)
        })?;
        place::check(spec)
    }

    fn claim<'a>(&'a self, link: &'a Link, seat: &'a Seat, want: usize) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let place = self.place(seat)?;
            let answer = place.run(&CLAIM, link, &[want.to_string()]).await?;
            claimed(link, &place, taken(&answer)?).await
        })
    }

    fn wait<'a>(&'a self, own: &'a Link, seat: &'a Seat, limit: Duration) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let place = self.place(seat)?;
            let limit = if place.lists > 1 { limit.min(SEVERAL) } else { limit };
            let from = if place.spec.next == End::Right { "RIGHT" } else { "LEFT" };
            let mut block = cmd("BLMOVE");
            block.arg(place.first()).arg(place.processing()).arg(from).arg("LEFT").arg(Seat::block_seconds(limit));
            let mut batch = Batch::new();
            batch.ask(block).ask(cmd("TIME"));
            let replies = own.send(&batch).await?;
            let [moved, time] = replies.as_slice() else { return Err(shape("BLMOVE", "too few replies").into()) };
            let moved = moved.as_ref().map_err(|error| ReadError::Command(error.clone()))?;
            let Some(item) = reply::bytes(moved) else { return Ok(Claimed::default()) };
            let item = Bytes::copy_from_slice(item);
            let now = time.as_ref().ok().and_then(server_time).unwrap_or_default();
            let sum = sha1_smol::Sha1::from(&item).digest().to_string();
            let mut batch = Batch::new();
            batch.ask(cmd("HMGET").arg(place.facts()).arg(format!("a{sum}")).arg(format!("d{sum}")).to_owned());
            if place.lists > 1 {
                batch.ask(cmd("HDEL").arg(place.facts()).arg(format!("l{sum}")).to_owned());
            }
            let pause_at = 1 + usize::from(place.lists > 1);
            let asks_pause = place.pause().map(|ask| batch.ask(ask)).is_some();
            if let Some((_, window)) = seat.rate {
                // With its end from the start: a count that never expired would stop the queue for good.
                let window = window.as_millis() as u64;
                batch.ask(cmd("SET").arg(place.rate()).arg(0).arg("PX").arg(window).arg("NX").to_owned());
                batch.ask(cmd("INCRBY").arg(place.rate()).arg(1).to_owned());
            }
            // The item is this runner's already: what it cannot tell about itself must not lose it.
            let replies: Vec<_> = own.send(&batch).await.unwrap_or_default().into_iter().map(Result::ok).collect();
            let told = |at: usize| replies.get(at).and_then(Option::as_ref);
            let facts = told(0).and_then(reply::list).unwrap_or(&[]);
            let small = |at: usize| facts.get(at).map_or(0, small);
            let item = Item { bytes: item, made: small(0), deaths: small(1), list: 1 };
            if asks_pause && told(pause_at).is_some_and(|answer| place.is_paused(answer)) {
                // The wait had begun before.
                return match put_back(own, &place, &[item]).await {
                    Some(error) => Err(error),
                    None => Ok(Claimed::default()),
                };
            }
            claimed(own, &place, Taken { now, items: vec![item], ..Taken::default() }).await
        })
    }

    fn extend<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, Vec<bool>> {
        Box::pin(async move {
            let place = self.place(seat)?;
            let life = place::life(seat.lease).as_millis().to_string();
            let start = place.sign_start();
            let mut arguments: Vec<&[u8]> = vec![seat.worker.as_bytes(), life.as_bytes(), &start];
            arguments.extend(claims.iter().map(|claim| claim.token.as_ref()));
            let answer = place.run(&HELD, link, &arguments).await?;
            place.beat(link, seat, claims).await?;
            let held = reply::list(&answer).ok_or_else(|| shape("EVALSHA", "no list"))?;
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
            let place = self.place(seat)?;
            let spec = place.spec;
            let Outgoing { word, stored, wait, attempts, deaths } = outgoing(spec, claim, verdict);
            let kept = seat.keep.failed.and_then(|keep| keep.count);
            let progress = spec.progress.as_ref().map(|told| fill(&told.key, claim.id.as_bytes())).unwrap_or_default();
            let arguments: [Vec<u8>; 11] = [
                claim.token.to_vec(),
                word.into(),
                stored,
                wait.as_millis().to_string().into(),
                attempts.to_string().into(),
                deaths.to_string().into(),
                place.newest().into(),
                kept.map_or_else(|| "-1".to_owned(), |count| count.to_string()).into(),
                progress,
                u8::from(next).to_string().into(),
                claim.receipt.to_vec(),
            ];
            let answer = place.run(&SETTLE, link, &arguments).await?;
            if reply::int(&answer) == Some(0) {
                return Ok(Settled::Lost("another runner took it back, or somebody removed it".to_owned()));
            }
            match claimed(link, &place, taken(&answer)?).await {
                Ok(claimed) => Ok(Settled::Stored(claimed.claims.into_iter().next().map(Arc::new))),
                Err(error @ (SystemError::Link(_) | SystemError::Astray(_))) => Err(error),
                // The outcome is stored, and the next item is back: whoever asks for items is told why.
                Err(_) => Ok(Settled::Stored(None)),
            }
        })
    }

    fn tend<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, Tended> {
        Box::pin(async move {
            let place = self.place(seat)?;
            let (start, end) = place.processing_parts();
            let arguments: [&[u8]; 5] = [
                seat.worker.as_bytes(),
                &place::life(seat.lease).as_millis().to_string().into_bytes(),
                &place.sign_start(),
                &start,
                &end,
            ];
            let answer = place.run(&TEND, link, &arguments).await?;
            place.beat(link, seat, &[]).await?;
            Ok(Tended { returned: reply::count(&answer).unwrap_or(0), ..Tended::default() })
        })
    }

    fn strays<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, u64> {
        Box::pin(async move {
            let place = self.place(seat)?;
            let known: Vec<&[u8]> = claims.iter().map(|claim| claim.token.as_ref()).collect();
            let answer = place.run(&STRAYS, link, &known).await?;
            Ok(reply::count(&answer).unwrap_or(0))
        })
    }

    fn leave<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, ()> {
        Box::pin(async move {
            let place = self.place(seat)?;
            let mut batch = Batch::new();
            let mut sign = place.sign_start();
            sign.extend_from_slice(seat.worker.as_bytes());
            batch.ask(cmd("DEL").arg(sign).to_owned());
            // The registry keeps a runner that still holds items, so that others find them.
            batch.ask(cmd("LLEN").arg(place.processing()).to_owned());
            let replies = link.send(&batch).await?;
            if replies.get(1).is_some_and(|length| matches!(length, Ok(value) if reply::count(value) == Some(0))) {
                link.ask(cmd("ZREM").arg(place.registry()).arg(seat.worker.as_bytes()).to_owned()).await?;
            }
            place.silence(link, seat).await
        })
    }

    fn tell<'a>(
        &'a self,
        link: &'a Link,
        seat: &'a Seat,
        claim: &'a Claim,
        progress: Option<&'a Progress>,
        _: &'a [String],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let spec = self.place(seat)?.spec;
            let (Some(told), Some(progress)) = (&spec.progress, progress) else { return Ok(()) };
            let key = fill(&told.key, claim.id.as_bytes());
            let named = |paths: &Paths, otherwise: &str| paths.iter().next().unwrap_or(otherwise).to_owned();
            let mut facts: Vec<(String, serde_json::Value)> = Vec::new();
            let mut say =
                |name: String, value: Option<serde_json::Value>| facts.extend(value.map(|value| (name, value)));
            say(named(&told.percent, "percent"), progress.percent.map(|percent| json!(percent)));
            say(named(&told.step, "step"), progress.step.map(|step| json!(step)));
            say(named(&told.total, "total"), progress.total.map(|total| json!(total)));
            say(named(&told.text, "text"), progress.text.as_ref().map(|text| json!(text)));
            if facts.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            match told.kind {
                ProgressKind::Hash => {
                    let mut set = cmd("HSET");
                    set.arg(&key);
                    for (name, value) in &facts {
                        set.arg(name).arg(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                    }
                    batch.ask(set);
                }
                ProgressKind::Json => {
                    let object: serde_json::Map<_, _> = facts.into_iter().collect();
                    batch.ask(cmd("SET").arg(&key).arg(json!(object).to_string()).to_owned());
                }
                ProgressKind::Percent => {
                    batch.ask(cmd("SET").arg(&key).arg(progress.percent.unwrap_or(0.0)).to_owned());
                }
            }
            // A day after the last word of a job nobody asks for it any more.
            batch.ask(cmd("PEXPIRE").arg(&key).arg(86_400_000).to_owned());
            link.send(&batch).await?;
            Ok(())
        })
    }

    fn fire<'a>(&'a self, link: &'a Link, seat: &'a Seat, firing: &'a Firing) -> Answer<'a, bool> {
        Box::pin(async move {
            let place = self.place(seat)?;
            let id = format!("{}:{}", firing.schedule, firing.tick.0);
            let item = place::scheduled(place.spec, firing, &id);
            let fired = place.own("fired");
            let arguments: [&[u8]; 5] = [
                firing.schedule.as_bytes(),
                &firing.tick.0.to_string().into_bytes(),
                if place.spec.next == End::Right { b"left" } else { b"right" },
                &item,
                if firing.missed { b"1" } else { b"0" },
            ];
            let answer = FIRE.run(link, &[fired.as_slice(), place.first()], &arguments).await?;
            Ok(reply::int(&answer) == Some(1))
        })
    }
}

impl List {
    fn place<'a>(&'a self, seat: &Seat) -> Result<Place<'a>, SystemError> {
        Ok(Place::of(self.wanted(&seat.queue)?, seat))
    }
}

fn server_time(value: &Value) -> Option<Timestamp> {
    match reply::list(value)? {
        [seconds, micros] => Some(Timestamp(reply::int(seconds)? * 1000 + reply::int(micros)? / 1000)),
        _ => None,
    }
}

fn shape(command: &'static str, what: &str) -> ReadError {
    ReadError::Shape { command, what: what.to_owned() }
}
