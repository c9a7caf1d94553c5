//! Working on ARQ queues beside Python's workers: the same steps on the same keys, so that neither side can tell who took
//! a job. A job stays in the queue while it runs; its lock is what makes it this runner's.
//!
//! The lock's value is the runner's own, which the library never reads, so that a lost lock is noticed (R5) and a held one
//! can be renewed. A definition is looked at before the job is locked: a worker that takes a job it has no function for
//! must fail it, so such jobs are left alone. qtop's own keys are `QUEUE:qtop:rate`, `QUEUE:qtop:fired` and
//! `qtop:arq:begun:ID`.

mod definition;
mod ending;
mod exchange;
mod listen;
mod look;
mod outcome;
mod shift;
mod take;

use std::sync::Arc;
use std::time::Duration;

use self::definition::{Definition, MOST_BYTES};
pub(super) use self::exchange::holder;
use self::exchange::{OFFERS, Taking, lock_start, own};
pub use self::shift::Shift;
use super::health::MARK;
use super::keys::{self, Keys};
use super::{Arq, encode, mutate};
use crate::domain::ids::QueueId;
use crate::link::{Batch, Link, Script, Value, cmd};
use crate::systems::consume::{Claim, Claimed, Consume, Firing, Seat, Settled, Tended, Verdict};
use crate::systems::{Answer, ReadError, SystemError, reply};
use bytes::Bytes;

macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(include_str!("common.lua"), include_str!($file)))
    };
}

static CLAIM: Script = script!("claim.lua");
static SETTLE: Script = script!("settle.lua");
static STRAYS: Script = script!("strays.lua");
static LOOK: Script = Script::new(include_str!("look.lua"));
static EXTEND: Script = Script::new(include_str!("extend.lua"));
static SIGN: Script = Script::new(include_str!("sign.lua"));
static FIRE: Script = Script::new(include_str!("fire.lua"));

/// Starts of a job, as the library's workers allow them unless told otherwise.
const MAX_TRIES: u32 = 5;
/// Start of the functions of cron jobs; their results are not kept unless somebody says so.
const CRON: &str = "cron:";
/// How often abort requests are looked at, as the library's workers do.
const HEED: Duration = Duration::from_millis(500);
/// How long the sign of life holds; it is renewed every few seconds.
const SIGN_LIFE: Duration = Duration::from_secs(20);
/// Requests that may follow one another because others were quicker.
const TURNS: usize = 3;
/// Characters of a function's name that are told.
const FUNCTION: usize = 80;
/// Why a job is not run: somebody asked for its end before.
const ABORTED: &str = "aborted before it started";
const EXPIRED: &str = "job expired";

impl Consume for Arq {
    fn check(&self, queue: &QueueId) -> Result<(), String> {
        match keys::queue_of(queue.name.as_bytes()) {
            Some(found) if found.name == queue.name => Ok(()),
            _ => {
                Err("that is a key of ARQ itself; a queue is the name of its sorted set, such as arq:queue".to_owned())
            }
        }
    }

    fn picks_by_name(&self) -> bool {
        true
    }

    fn handed(&self, stored: &Bytes) -> Result<Bytes, String> {
        let read = Definition::read(stored).map_err(|reason| format!("its definition cannot be read: {reason}"))?;
        Ok(read.handed)
    }

    fn remark(&self, seat: &Seat) -> Option<String> {
        self.shifts().get(&seat.worker).and_then(Shift::remark)
    }

    fn heeds_every(&self) -> Option<Duration> {
        Some(HEED)
    }

    fn asked_to_end<'a>(&'a self, link: &'a Link, _: &'a Seat, claims: &'a [Claim]) -> Answer<'a, Vec<bool>> {
        Box::pin(async move {
            let requests = link.ask(cmd("ZCARD").arg(keys::ABORT).to_owned()).await?;
            if reply::count(&requests) == Some(0) {
                return Ok(vec![false; claims.len()]);
            }
            let mut batch = Batch::new();
            for claim in claims {
                batch.ask(cmd("ZSCORE").arg(keys::ABORT).arg(claim.id.as_bytes()).to_owned());
            }
            let answers = link.send(&batch).await?;
            let asked: Vec<bool> = answers.iter().map(|one| matches!(one, Ok(value) if *value != Value::Nil)).collect();
            let mut read = cmd("ZREM");
            read.arg(keys::ABORT);
            for (claim, _) in claims.iter().zip(&asked).filter(|(_, asked)| **asked) {
                read.arg(claim.id.as_bytes());
            }
            if asked.contains(&true) {
                link.ask(read).await?;
            }
            Ok(asked)
        })
    }

    fn claim<'a>(&'a self, link: &'a Link, seat: &'a Seat, want: usize) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let mut found = Claimed::default();
            for _ in 0..TURNS {
                let missing = want - found.claims.len();
                let mut offered = self.shift(seat, |shift| shift.next(missing * OFFERS, MOST_BYTES));
                if offered.is_empty() {
                    found.patience = self.look(link, seat).await?;
                    offered = self.shift(seat, |shift| shift.next(missing * OFFERS, MOST_BYTES));
                }
                if offered.is_empty() {
                    break;
                }
                let takes = Taking::of(seat, missing, &offered);
                let answer = CLAIM.run(link, &takes.keys, &takes.arguments).await;
                let answer = answer.inspect_err(|_| self.shift(seat, |shift| shift.suspect(&offered)))?;
                let (claims, hold) = self.taken(link, seat, &takes, &answer).await?;
                // What was offered and not needed may be taken next.
                let tried = claims.len().min(offered.len());
                if tried == missing || hold.is_some() {
                    let skip = if hold.is_some() { 0 } else { takes.reach(&claims, &offered) };
                    self.shift(seat, |shift| shift.untried(offered.into_iter().skip(skip)));
                }
                found.claims.extend(claims);
                found.hold = hold;
                if found.claims.len() >= want || found.hold.is_some() {
                    break;
                }
            }
            Ok(found)
        })
    }

    fn wait<'a>(&'a self, own: &'a Link, seat: &'a Seat, limit: Duration) -> Answer<'a, Claimed> {
        Box::pin(async move {
            self.listen(own, seat, limit).await?;
            Ok(Claimed::default())
        })
    }

    fn extend<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, Vec<bool>> {
        Box::pin(async move {
            let life = seat.lease.as_millis().to_string();
            let mut held = Vec::with_capacity(claims.len());
            for piece in claims.chunks(100) {
                let mut arguments: Vec<&[u8]> = vec![life.as_bytes()];
                for claim in piece {
                    arguments.extend([claim.id.as_bytes(), claim.token.as_ref()]);
                }
                let answer = EXTEND.run::<&[u8], _>(link, &[], &arguments).await?;
                let answer = reply::list(&answer).ok_or_else(|| shape("no list"))?;
                held.extend(answer.iter().map(|one| reply::int(one) == Some(1)));
            }
            Ok(held)
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
            let offered = if next { self.shift(seat, |shift| shift.next(OFFERS, MOST_BYTES)) } else { Vec::new() };
            let mut takes = Taking::of(seat, usize::from(!offered.is_empty()), &[]);
            takes.arguments.extend(self.ending(seat, claim, verdict));
            takes.offer(&offered);
            let answer = SETTLE.run(link, &takes.keys, &takes.arguments).await;
            let answer = answer.inspect_err(|_| {
                self.shift(seat, |shift| shift.suspect(&offered));
            })?;
            if reply::int(&answer) == Some(0) {
                self.shift(seat, |shift| {
                    shift.ended();
                    shift.untried(offered.into_iter());
                });
                return Ok(Settled::Lost("another worker has its lock, or the lock has run out".to_owned()));
            }
            self.shift(seat, |shift| {
                shift.ended();
                match verdict {
                    Verdict::Done(_) => shift.complete += 1,
                    Verdict::Dead { .. } => shift.failed += 1,
                    Verdict::Retry { .. } => shift.retried += 1,
                    Verdict::Return | Verdict::Postpone(_) => {}
                }
            });
            let (claims, hold) = self.taken(link, seat, &takes, &answer).await?;
            let skip = if hold.is_some() { 0 } else { takes.reach(&claims, &offered) };
            if !claims.is_empty() || hold.is_some() {
                self.shift(seat, |shift| shift.untried(offered.into_iter().skip(skip)));
            }
            Ok(Settled::Stored(claims.into_iter().next().map(Arc::new)))
        })
    }

    /// What is returned has been started, for the library; what is postponed has not.
    fn unbegun(&self) -> Verdict {
        Verdict::Postpone(Duration::ZERO)
    }

    fn tend<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, Tended> {
        Box::pin(async move {
            self.sign(link, seat, SIGN_LIFE).await?;
            // Locks of dead workers run out by themselves.
            Ok(Tended::default())
        })
    }

    fn strays<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, u64> {
        Box::pin(async move {
            let suspects = self.shift(seat, |shift| shift.suspects());
            let strange = suspects.iter().filter(|id| claims.iter().all(|claim| claim.id.as_bytes() != id.as_slice()));
            let mut arguments = vec![lock_start(seat).into_bytes()];
            arguments.extend(strange.cloned());
            let answer = STRAYS.run::<&[u8], _>(link, &[], &arguments).await?;
            self.shift(seat, |shift| shift.cleared(&suspects));
            Ok(reply::count(&answer).unwrap_or(0))
        })
    }

    fn leave<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, ()> {
        Box::pin(async move {
            self.sign(link, seat, Duration::ZERO).await?;
            self.shifts().remove(&seat.worker);
            Ok(())
        })
    }

    fn fire<'a>(&'a self, link: &'a Link, seat: &'a Seat, firing: &'a Firing) -> Answer<'a, bool> {
        Box::pin(async move {
            let keys = Keys::of(&seat.queue);
            let data = if firing.data.is_empty() { b"{}" } else { firing.data.as_ref() };
            let (args, kwargs) = encode::arguments(data).map_err(SystemError::BadRequest)?;
            let serializer = mutate::serializer(link, &keys).await?;
            let tick = firing.tick.0;
            let definition = encode::write(serializer, &firing.name, &args, &kwargs, tick);
            let definition = definition.map_err(SystemError::BadRequest)?;
            let id = format!("{CRON}{}:{tick}", firing.schedule).into_bytes();
            let named = [own(&keys, "fired"), keys.queue.clone(), keys::job(&id), keys::result(&id)];
            let missed: &[u8] = if firing.missed { b"1" } else { b"0" };
            let tick = tick.to_string();
            let arguments: [&[u8]; 5] = [firing.schedule.as_bytes(), tick.as_bytes(), &id, &definition, missed];
            let answer = FIRE.run(link, &named, &arguments).await?;
            Ok(reply::int(&answer) == Some(1))
        })
    }
}

impl Arq {
    /// Works with a seat's memory; held for moments only.
    fn shift<T>(&self, seat: &Seat, work: impl FnOnce(&mut Shift) -> T) -> T {
        work(self.shifts().entry(seat.worker.clone()).or_default())
    }

    async fn sign(&self, link: &Link, seat: &Seat, life: Duration) -> Result<(), SystemError> {
        let keys = Keys::of(&seat.queue);
        let (complete, failed, retried, ongoing) =
            self.shift(seat, |shift| (shift.complete, shift.failed, shift.retried, shift.ongoing));
        let moment = jiff::Zoned::now().strftime("%b-%d %H:%M:%S").to_string();
        let text =
            format!("{moment} j_complete={complete} j_failed={failed} j_retried={retried} j_ongoing={ongoing} queued=");
        let mark = format!("{MARK}{}", seat.worker);
        let life = life.as_millis().to_string();
        let arguments = [mark.as_str(), &text, &life];
        SIGN.run(link, &[self.health(&seat.queue.name), keys.queue], &arguments).await?;
        Ok(())
    }
}

fn shape(what: &str) -> ReadError {
    ReadError::Shape { command: "EVALSHA", what: what.to_owned() }
}
