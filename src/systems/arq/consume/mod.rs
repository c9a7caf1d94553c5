//! Working on ARQ queues beside Python's workers: the same steps on the same keys, so that neither side can tell who took
//! a job. A job stays in the queue while it runs; its lock is what makes it this runner's.
//!
//! The lock's value is the runner's own, which the library never reads, so that a lost lock is noticed (R5) and a held one
//! can be renewed. A definition is looked at before the job is locked: a worker that takes a job it has no function for
//! must fail it, so such jobs are left alone. qtop's own keys are `QUEUE:qtop:rate`, `QUEUE:qtop:fired` and
//! `qtop:arq:begun:ID`.

mod definition;
mod exchange;
mod outcome;
mod shift;

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value as Json;

use self::definition::{Definition, MOST_BYTES};
use self::exchange::{JOB_VALUES, OFFERS, Step, Taken, Taking, claim_moment, ending, lock_start, own, wall};
use self::outcome::{Outcome, Returned};
use self::shift::Candidate;
pub use self::shift::Shift;
use super::blob::Serializer;
use super::keys::{self, Keys};
use super::{Arq, encode, mutate};
use crate::domain::address::glob;
use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::Progress;
use crate::domain::text::first_line;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Script, Value, cmd};
use crate::systems::consume::{
    Claim, Claimed, Consume, Fate, Firing, Limits, OwnBackoff, Seat, Settled, Tended, Verdict,
};
use crate::systems::{Answer, ReadError, SystemError, reply};

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
/// How long results are kept unless the pool says otherwise: the library's own time.
const KEEP: Duration = Duration::from_secs(3_600);
/// How long the lock of a finished cron job stays, so that nobody adds the same moment once more.
const CRON_LOCK: Duration = Duration::from_secs(60);
/// Start of the functions of cron jobs; their results are not kept unless somebody says so.
const CRON: &str = "cron:";
/// How often abort requests are looked at, as the library's workers do.
const HEED: Duration = Duration::from_millis(500);
/// How long the sign of life holds; it is renewed every few seconds.
const SIGN_LIFE: Duration = Duration::from_secs(20);
/// Jobs looked at by one script, how many such steps one request may make, and bytes of each definition that are read.
const PAGE: u64 = 200;
const PAGES: usize = 5;
const HEAD: u64 = 512;
/// Wait between two requests that only looked at jobs of others.
const ON: Duration = Duration::from_millis(20);
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

    fn wait<'a>(&'a self, _: &'a Link, seat: &'a Seat, limit: Duration) -> Answer<'a, Claimed> {
        Box::pin(async move {
            // Nothing in Redis tells that a sorted set has grown without taking from it: so it is looked at again, as the
            // library does.
            let wait = self.shift(seat, Shift::wait);
            tokio::time::sleep(wait.min(limit)).await;
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
            Ok(Settled::Stored(claims.into_iter().next().map(Box::new)))
        })
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

    fn tell<'a>(
        &'a self,
        _: &'a Link,
        _: &'a Seat,
        _: &'a Claim,
        _: Option<&'a Progress>,
        _: &'a [String],
    ) -> Answer<'a, ()> {
        // ARQ has no place for progress.
        Box::pin(async { Ok(()) })
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

/// True if the seat's handlers take jobs of this function.
fn wanted(seat: &Seat, function: &str) -> bool {
    seat.names.is_empty() || seat.names.iter().any(|pattern| glob(pattern, function))
}

impl Arq {
    /// Works with a seat's memory; held for moments only.
    fn shift<T>(&self, seat: &Seat, work: impl FnOnce(&mut Shift) -> T) -> T {
        work(self.shifts().entry(seat.worker.clone()).or_default())
    }

    /// Looks for jobs that may be taken. Answers how long to wait at most before the next look.
    async fn look(&self, link: &Link, seat: &Seat) -> Result<Option<Duration>, SystemError> {
        let keys = Keys::of(&seat.queue);
        for _ in 0..PAGES {
            let (floor, rank) = self.shift(seat, Shift::place);
            let [rank, page, head] = [rank, PAGE, HEAD].map(|number| number.to_string());
            let floor = floor.map_or_else(|| "-inf".to_owned(), |floor| floor.0.to_string());
            let arguments = [&rank, &page, &page, &head, &floor];
            let answer = LOOK.run(link, &[&keys.queue], &arguments).await?;
            let values = reply::list(&answer).filter(|values| values.len() >= 3).ok_or_else(|| shape("no list"))?;
            let now = Timestamp(reply::int(&values[0]).unwrap_or_default());
            let looked = reply::count(&values[1]).unwrap_or(0);
            let later = reply::count(&values[2]).map(Duration::from_millis);
            let (jobs, _) = values[3..].as_chunks::<3>();
            let candidates = self.shift(seat, |shift| {
                if shift.is_at_front() {
                    shift.forget_left();
                }
                jobs.iter().filter_map(|[id, bytes, head]| candidate(shift, seat, id, bytes, head)).collect::<Vec<_>>()
            });
            let some = !candidates.is_empty();
            let end = looked < PAGE;
            self.shift(seat, |shift| {
                shift.saw(candidates);
                match (some, end) {
                    (true, _) => {}
                    (false, true) => shift.swept(now),
                    (false, false) => shift.pass(looked),
                }
            });
            if some || end {
                return Ok(later);
            }
        }
        // There is more to look at.
        Ok(Some(ON))
    }

    /// Makes claims of what a script took. What cannot be read, or is another function's by now, goes back at once.
    async fn taken(
        &self,
        link: &Link,
        seat: &Seat,
        takes: &Taking,
        answer: &Value,
    ) -> Result<(Vec<Claim>, Hold), SystemError> {
        let values = reply::list(answer).filter(|values| values.len() >= 2).ok_or_else(|| shape("no list"))?;
        let now = Timestamp(reply::int(&values[0]).unwrap_or_default());
        let hold =
            reply::count(&values[1]).map(|left| (Duration::from_millis(left), "the rate limit is reached".to_owned()));
        let (jobs, _) = values[2..].as_chunks::<JOB_VALUES>();
        let mut claims = Vec::with_capacity(jobs.len());
        for job in jobs {
            let Some(job) = Taken::read(job) else { continue };
            match self.claim_of(seat, job, now) {
                Ok(claim) => claims.push(claim),
                Err((job, reason)) => {
                    let id = JobId::from(job.id.clone());
                    tracing::warn!(queue = %seat.queue.name, job = %id, reason, "left for other workers");
                    self.shift(seat, |shift| {
                        shift.note_unreadable(&job.id);
                        shift.leave(reason);
                    });
                    let mut back = takes.arguments[..6].to_vec();
                    back[3] = b"0".to_vec();
                    back.extend(ending(&job.id, &job.lock, Step { word: "unseen", ..Step::default() }));
                    SETTLE.run(link, &takes.keys, &back).await?;
                }
            }
        }
        self.shift(seat, |shift| {
            if !claims.is_empty() {
                shift.found(claims.len() as u64);
            }
        });
        Ok((claims, hold))
    }

    fn claim_of(&self, seat: &Seat, job: Taken, now: Timestamp) -> Result<Claim, (Taken, String)> {
        let most = seat.attempts.unwrap_or(MAX_TRIES);
        let read = match &job.definition {
            None => None,
            Some(stored) => match Definition::read(stored) {
                Ok(read) if !wanted(seat, &read.function) => {
                    let reason = format!("function {}", first_line(&read.function, FUNCTION));
                    return Err((job, reason));
                }
                Ok(read) => Some(read),
                Err(reason) => return Err((job, format!("a job whose definition cannot be read: {reason}"))),
            },
        };
        if let Some(read) = &read {
            self.shift(seat, |shift| shift.serializer = Some(read.serializer));
        }
        let doomed = match &read {
            None => Some(EXPIRED.to_owned()),
            Some(_) if job.aborted => Some(ABORTED.to_owned()),
            Some(_) if job.starts > most => Some(format!("max {most} retries exceeded")),
            Some(_) => None,
        };
        let (function, enqueued, handed) = match read {
            Some(read) => (read.function, read.enqueued, read.handed),
            None => (String::new(), None, Bytes::new()),
        };
        Ok(Claim {
            id: JobId::from(job.id),
            name: function,
            payload: handed,
            attempts_made: job.starts.saturating_sub(1),
            attempts: Some(MAX_TRIES),
            backoff: Some(OwnBackoff::OnRequest),
            created_at: enqueued,
            ready_at: Some(Timestamp(job.score)),
            claimed_at: now,
            deaths: job.deaths,
            limits: Limits::default(),
            doomed,
            token: Bytes::from(job.lock),
            receipt: Bytes::from(job.definition.unwrap_or_default()),
        })
    }

    /// Arguments that say what becomes of a job.
    fn ending(&self, seat: &Seat, claim: &Claim, verdict: &Verdict) -> Vec<Vec<u8>> {
        let cron = claim.name.starts_with(CRON);
        let usual = if cron { Duration::ZERO } else { KEEP };
        let keep = |bound: Option<crate::systems::consume::Keep>| bound.and_then(|keep| keep.age).unwrap_or(usual);
        let left = if cron { CRON_LOCK } else { Duration::ZERO };
        let done = |returned, keep: Duration| {
            let result = if keep.is_zero() { Vec::new() } else { self.result(seat, claim, returned) };
            Step { word: "done", result, keep, lock: left, ..Step::default() }
        };
        let step = match verdict {
            Verdict::Done(result) => {
                let value = result.as_ref().map_or(Ok(Json::Null), |result| serde_json::from_slice(result));
                let value = value.unwrap_or_else(|_| {
                    result.as_ref().map_or(Json::Null, |result| String::from_utf8_lossy(result).into())
                });
                done(Returned::Value(value), keep(seat.keep.done))
            }
            Verdict::Dead { message, fate, .. } => {
                let returned = match (claim.doomed.as_deref(), fate) {
                    (Some(ABORTED), _) | (None, Fate::Cancelled) => {
                        Returned::Raised("asyncio.exceptions", "CancelledError", None)
                    }
                    (Some(_), _) => Returned::Raised("arq.worker", "JobExecutionFailed", Some(message.clone())),
                    (None, Fate::TimedOut) => Returned::Raised("builtins", "TimeoutError", Some(message.clone())),
                    (None, Fate::Failed) => Returned::Raised("builtins", "RuntimeError", Some(message.clone())),
                };
                done(returned, keep(seat.keep.failed))
            }
            Verdict::Retry { delay, crashed, .. } => {
                Step { word: "retry", wait: *delay, crashed: *crashed, ..Step::default() }
            }
            // As the library's worker does when it stops: the start counts.
            Verdict::Return => Step { word: "return", ..Step::default() },
            Verdict::Postpone(wait) => Step { word: "postpone", wait: *wait, ..Step::default() },
        };
        ending(claim.id.as_bytes(), &claim.token, step)
    }

    fn result(&self, seat: &Seat, claim: &Claim, returned: Returned) -> Vec<u8> {
        let known = Serializer::of(&claim.receipt).or_else(|| self.shift(seat, |shift| shift.serializer));
        let started = claim.claimed_at.0;
        // By the server's clock, as far as this machine can tell: since the job was taken it went on as ours did.
        let took = claim_moment(&claim.token).map_or(0, |taken| wall().saturating_sub(taken).max(0));
        let outcome = Outcome {
            tries: claim.attempts_made + 1,
            returned,
            started,
            finished: started.saturating_add(took),
            queue: &seat.queue.name.to_text(),
            id: &claim.id.to_text(),
        };
        outcome.write(known.unwrap_or(Serializer::Pickle), &claim.receipt)
    }

    async fn sign(&self, link: &Link, seat: &Seat, life: Duration) -> Result<(), SystemError> {
        let keys = Keys::of(&seat.queue);
        let (complete, failed, retried, ongoing) =
            self.shift(seat, |shift| (shift.complete, shift.failed, shift.retried, shift.ongoing));
        let moment = jiff::Zoned::now().strftime("%b-%d %H:%M:%S").to_string();
        let text =
            format!("{moment} j_complete={complete} j_failed={failed} j_retried={retried} j_ongoing={ongoing} queued=");
        let mark = format!(" qtop={}", seat.worker);
        let life = life.as_millis().to_string();
        let arguments = [mark.as_str(), &text, &life];
        SIGN.run(link, &[self.health(&seat.queue.name), keys.queue], &arguments).await?;
        Ok(())
    }
}

type Hold = Option<(Duration, String)>;

/// A job that may be tried, or a note of why it is left.
fn candidate(shift: &mut Shift, seat: &Seat, id: &Value, bytes: &Value, head: &Value) -> Option<Candidate> {
    let (id, head) = (reply::bytes(id)?.to_vec(), reply::bytes(head).unwrap_or_default());
    let bytes = reply::count(bytes).unwrap_or(0);
    if bytes == 0 {
        // Nobody can run it any more. A worker for everything ends it, as the library does.
        let ours = seat.names.is_empty();
        if !ours {
            shift.leave("a job without a definition".to_owned());
        }
        return ours.then_some(Candidate { id, tries: 0, bytes });
    }
    let reason = match definition::start(head, bytes) {
        _ if bytes > MOST_BYTES => format!("a job whose definition has {bytes} bytes"),
        _ if shift.is_unreadable(&id) => "a job whose definition cannot be read".to_owned(),
        None => "a job whose definition cannot be read: it is no pickle, MessagePack or JSON of ARQ".to_owned(),
        Some((function, tries)) if wanted(seat, &function) => return Some(Candidate { id, tries, bytes }),
        Some((function, _)) => format!("function {}", first_line(&function, FUNCTION)),
    };
    if shift.leave(reason.clone()) {
        let id = JobId::from(id);
        tracing::warn!(queue = %seat.queue.name, job = %id, reason, "left for other workers");
    }
    None
}

fn shape(what: &str) -> ReadError {
    ReadError::Shape { command: "EVALSHA", what: what.to_owned() }
}
