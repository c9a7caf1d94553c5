//! Working on a Laravel queue beside the application's own workers: the same keys, the same moves, each in one script.
//!
//! What is taken lies among the reserved for as long as the connection's `retry_after` says and cannot be renewed there:
//! any worker makes it ready again when that is over. Taking counts an attempt, inside the payload and in no other byte
//! of it. A job for which there is no handler is never taken: it stays where it is for the application. A job that is
//! given up becomes a row of the application's failed jobs before it leaves Redis, so that `queue:retry` knows it.

mod job;
mod place;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use self::job::{Bounds, bounds};
use self::place::Place;
use super::Laravel;
use super::failed::Failure;
use super::payload::{Payload, new_uuid, wrapped};
use super::plan::{find_cache, one};
use crate::domain::described::Application;
use crate::domain::ids::QueueId;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, LinkError, RefusalKind, Reply, Script, Value, cmd};
use crate::systems::consume::{Claim, Claimed, Consume, Firing, Seat, Settled, Tended, Verdict};
use crate::systems::{Answer, ReadError, SystemError, reply};

pub use place::{held, runners};

static CLAIM: Script = Script::new(concat!(include_str!("common.lua"), include_str!("claim.lua")));
static SETTLE: Script = Script::new(concat!(include_str!("common.lua"), include_str!("settle.lua")));
static STRAYS: Script = Script::new(concat!(include_str!("common.lua"), include_str!("strays.lua")));
static TEND: Script = Script::new(include_str!("tend.lua"));
static FIRE: Script = Script::new(include_str!("fire.lua"));

/// Between two looks at a queue where it cannot be waited for a token.
const WITHOUT_TOKENS: Duration = Duration::from_secs(1);
/// Laravel's own name of the queue connection, where the description names none.
const CONNECTION: &str = "redis";

impl Consume for Laravel {
    fn check(&self, queue: &QueueId) -> Result<(), String> {
        let prefix = queue.instance.name.to_text();
        let Some((application, failed)) = self.described_as(&queue.instance) else {
            return Err(format!(
                "no [[laravel]] of the configuration describes the application with the prefix {prefix:?}: its retry_after \
                 and its failed jobs must be known"
            ));
        };
        let name = &application.name;
        if application.retry_after.unwrap_or(0) == 0 {
            return Err(format!(
                "nothing tells how long a reservation of {name:?} holds: write retry_after = 90, or what its connection in \
                 config/queue.php has, into its [[laravel]]"
            ));
        }
        match failed {
            Some(failed) => failed.usable().map_err(|why| format!("the failed jobs of {name:?} cannot be kept: {why}")),
            None => Err(format!(
                "jobs of {name:?} that are given up would have no place: write [laravel.failed] with the database of \
                 its failed jobs, or `folder`, into its [[laravel]]"
            )),
        }
    }

    fn instance(&self) -> &str {
        match self.applications.as_slice() {
            [(only, _)] => only.prefix.as_deref().unwrap_or_default(),
            _ => "",
        }
    }

    fn fixed_lease(&self, queue: &QueueId) -> Option<Duration> {
        self.application(&queue.instance).and_then(|application| application.retry_after).map(Duration::from_secs)
    }

    fn picks_by_name(&self) -> bool {
        true
    }

    fn claim<'a>(&'a self, link: &'a Link, seat: &'a Seat, want: usize) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let answer = CLAIM.run(link, &self.place(seat)?.keys(), &taking(seat, want)).await?;
            claimed(&answer)
        })
    }

    fn wait<'a>(&'a self, own: &'a Link, seat: &'a Seat, limit: Duration) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let notify = self.place(seat)?.queue.notify;
            // The token only wakes: it stays for whoever takes the job, and goes with it.
            let mut block = cmd("BLMOVE");
            block.arg(&notify).arg(&notify).arg("LEFT").arg("RIGHT").arg(Seat::block_seconds(limit));
            match own.ask(block).await {
                // Before 6.2, or where this user may not: then the queue is looked at now and then.
                Err(LinkError::Command(error))
                    if matches!(error.kind(), RefusalKind::Command | RefusalKind::Permission) =>
                {
                    tokio::time::sleep(limit.min(WITHOUT_TOKENS)).await;
                }
                result => drop(result?),
            }
            Ok(Claimed::default())
        })
    }

    fn extend<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, Vec<bool>> {
        Box::pin(async move {
            let reserved = self.place(seat)?.queue.reserved;
            let mut batch = Batch::new();
            for claim in claims {
                batch.ask(one("ZSCORE", &reserved).arg(claim.token.as_ref()).to_owned());
            }
            let replies = link.send(&batch).await?;
            let held = |reply: Reply| match reply {
                Ok(value) => Ok(reply::float(&value).is_some()),
                Err(error) => Err(SystemError::Read(ReadError::Command(error))),
            };
            replies.into_iter().map(held).collect()
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
            let bounds = bounds(&claim.payload);
            let failure = match verdict {
                Verdict::Dead { message, stack, .. } => Some(self.failure(seat, claim, message, stack)),
                _ => None,
            };
            if let Some(failure) = &failure {
                // The row comes first: between the two the job is in both places, never in none.
                if !self.extend(link, seat, std::slice::from_ref(claim)).await?.into_iter().all(|held| held) {
                    return Ok(gone());
                }
                self.failed(&seat.queue.instance)?.log(failure).await?;
            }
            let settled = self.write(link, seat, claim, verdict, &bounds, next).await?;
            if let (Settled::Lost(_), Some(failure)) = (&settled, &failure) {
                self.failed(&seat.queue.instance)?.take_back(failure).await?;
            }
            Ok(settled)
        })
    }

    fn tend<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, Tended> {
        Box::pin(async move {
            let instance = &seat.queue.instance;
            let mut keys = vec![runners(instance)];
            keys.extend(place::restarts(instance, self.described(seat)?));
            let told = json!({ "queue": seat.queue.name.to_text(), "pid": seat.process, "host": *seat.host });
            let arguments = [seat.worker.as_bytes().to_vec(), told.to_string().into_bytes()];
            let answer = TEND.run(link, &keys, &arguments).await?;
            let generation = reply::text(&answer).and_then(|moment| moment.trim().parse().ok());
            Ok(Tended { generation, ..Tended::default() })
        })
    }

    fn strays<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, u64> {
        Box::pin(async move {
            let known: Vec<String> =
                claims.iter().map(|claim| sha1_smol::Sha1::from(&claim.token).digest().to_string()).collect();
            let answer = STRAYS.run(link, &self.place(seat)?.keys(), &known).await?;
            Ok(reply::count(&answer).unwrap_or(0))
        })
    }

    fn leave<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, ()> {
        Box::pin(async move {
            link.ask(one("HDEL", &runners(&seat.queue.instance)).arg(seat.worker.as_bytes()).to_owned()).await?;
            Ok(())
        })
    }

    fn fire<'a>(&'a self, link: &'a Link, seat: &'a Seat, firing: &'a Firing) -> Answer<'a, bool> {
        Box::pin(async move {
            let queue = self.place(seat)?.queue;
            let data = if firing.data.is_empty() { &b"{}"[..] } else { &firing.data };
            let payload = wrapped(&firing.name, &String::from_utf8_lossy(data), None, &new_uuid());
            let arguments: [&[u8]; 4] = [
                firing.schedule.as_bytes(),
                &firing.tick.0.to_string().into_bytes(),
                &payload,
                if firing.missed { b"1" } else { b"0" },
            ];
            let fired = place::fired(&seat.queue);
            let answer = FIRE.run(link, &[&fired, &queue.list, &queue.notify], &arguments).await?;
            Ok(reply::int(&answer) == Some(1))
        })
    }
}

impl Laravel {
    fn described(&self, seat: &Seat) -> Result<&Application, SystemError> {
        let missing = || {
            SystemError::BadRequest(format!(
                "no [[laravel]] describes the application of {}",
                seat.queue.short_address()
            ))
        };
        self.application(&seat.queue.instance).ok_or_else(missing)
    }

    fn place(&self, seat: &Seat) -> Result<Place, SystemError> {
        Ok(Place::of(seat, self.described(seat)?))
    }

    fn failure(&self, seat: &Seat, claim: &Claim, message: &str, stack: &[String]) -> Failure {
        let connections = self.application(&seat.queue.instance).map(|application| &application.connections);
        let connection = connections.and_then(|connections| connections.iter().next()).unwrap_or(CONNECTION);
        let mut exception = message.to_owned();
        if !stack.is_empty() {
            exception.push_str("\nStack trace:");
            exception.extend(stack.iter().map(|line| format!("\n{line}")));
        }
        exception.push_str(&format!("\n(given up by the runner {} of qtop)", seat.worker));
        let payload = String::from_utf8_lossy(&claim.payload).into_owned();
        let uuid = Payload::read(&claim.payload).and_then(|payload| payload.id()).unwrap_or_else(new_uuid);
        Failure { uuid, connection: connection.to_owned(), queue: seat.queue.name.to_text(), payload, exception }
    }

    async fn write(
        &self,
        link: &Link,
        seat: &Seat,
        claim: &Claim,
        verdict: &Verdict,
        bounds: &Bounds,
        next: bool,
    ) -> Result<Settled, SystemError> {
        let (word, stored, wait, crashed) = match verdict {
            Verdict::Done(_) => ("done", &claim.token, Duration::ZERO, false),
            Verdict::Dead { .. } => ("dead", &claim.token, Duration::ZERO, false),
            Verdict::Retry { delay, crashed, .. } => ("retry", &claim.token, *delay, *crashed),
            Verdict::Return => ("return", &claim.payload, Duration::ZERO, false),
            Verdict::Postpone(wait) => ("postpone", &claim.payload, *wait, false),
        };
        let counted = match (verdict, &bounds.uuid, bounds.exceptions) {
            (Verdict::Retry { .. } | Verdict::Dead { .. }, Some(uuid), Some(most)) => {
                let cache = find_cache(link, &seat.queue, Some(self.described(seat)?)).await?;
                (place::exceptions(&seat.queue, cache.as_deref(), uuid), most.to_string())
            }
            _ => (Vec::new(), "0".to_owned()),
        };
        let mut arguments: Vec<Vec<u8>> = vec![
            claim.token.to_vec(),
            word.into(),
            stored.to_vec(),
            wait.as_millis().to_string().into(),
            claim.id.as_bytes().to_vec(),
            u8::from(crashed).to_string().into(),
            counted.0,
            counted.1.into(),
            bounds.until.map(|until| until.to_string()).unwrap_or_default().into(),
            u8::from(next).to_string().into(),
        ];
        arguments.extend(taking(seat, 1));
        let answer = SETTLE.run(link, &self.place(seat)?.keys(), &arguments).await?;
        let last = |why: &str| match verdict {
            Verdict::Retry { message, .. } => Settled::Refused(format!("{message} (the last attempt: {why})")),
            _ => gone(),
        };
        Ok(match reply::int(&answer) {
            Some(0) => gone(),
            Some(-1) => last("it has failed as often as its maxExceptions allow"),
            Some(-2) => last("the time until which it could be tried is over, its retryUntil"),
            _ => Settled::Stored(claimed(&answer)?.claims.into_iter().next().map(Arc::new)),
        })
    }
}

fn gone() -> Settled {
    Settled::Lost("its reservation ran out, or somebody removed it".to_owned())
}

/// Arguments of the scripts that take jobs.
fn taking(seat: &Seat, want: usize) -> Vec<Vec<u8>> {
    let (most, window) = seat.rate.unwrap_or((0, Duration::ZERO));
    let numbers = [want as u64, seat.lease.as_secs(), most, window.as_millis() as u64, u64::from(fastrand::u16(..))];
    let names = seat.names.iter().map(|glob| glob.clone().into_bytes());
    numbers.into_iter().map(|number| number.to_string().into_bytes()).chain(names).collect()
}

/// Reads what a script that takes jobs answers.
fn claimed(answer: &Value) -> Result<Claimed, SystemError> {
    let shape = || ReadError::Shape { command: "EVALSHA", what: "something that is no list of jobs".to_owned() };
    let values = reply::list(answer).filter(|values| values.len() >= 4).ok_or_else(shape)?;
    let now = Timestamp(reply::int(&values[0]).unwrap_or_default());
    let span = |value: &Value| reply::count(value).map(Duration::from_millis);
    let small = |value: &Value| reply::count(value).map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX));
    let (jobs, _) = values[4..].as_chunks::<4>();
    let claims = jobs
        .iter()
        .filter_map(|[text, first, last, deaths]| {
            let text = Bytes::copy_from_slice(reply::bytes(text)?);
            job::claim(text, (small(first), small(last)), u32::try_from(small(deaths)).unwrap_or(u32::MAX), now)
        })
        .collect();
    let why = match reply::text(&values[3]).as_deref() {
        Some("paused") => "the application has paused the queue",
        Some("rate") => "the rate limit is reached",
        // Jobs for others are no trouble; they are only no reason to wait for a token.
        _ => "",
    };
    let hold = span(&values[2]).map(|left| (left, why.to_owned()));
    Ok(Claimed { claims, patience: span(&values[1]), hold })
}

/// How long it was since a runner's last sign of life, in seconds, and what it told; `None`: the record cannot be read.
pub fn sign(value: &[u8], now: Timestamp) -> Option<(u64, serde_json::Value)> {
    let (moment, told) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    let at = Timestamp::from_seconds(moment.parse().ok()?);
    Some((at.age(now).as_secs(), serde_json::from_str(told).ok()?))
}
