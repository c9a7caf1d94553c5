//! Working on a BullMQ queue beside the library's own workers: the same lists, locks, events and stalled checks, by
//! scripts of qtop's own that serve every version found in the field (4.18, 5.81 and 6.7 were watched).
//!
//! A claim is the job's lock; it is renewed by its token, and no script writes to a job whose lock is another's (R5).

mod iterate;
mod options;
mod rule;
mod settle;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::json;

use self::options::Known;
use super::BullMq;
use super::keys::{self, Keys};
use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::Progress;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Script, Value, cmd};
use crate::systems::consume::{Claim, Claimed, Consume, Firing, Limits, Outcome, Seat, Settled, Tended, Verdict};
use crate::systems::{Answer, ReadError, SystemError, reply};

/// What every script begins with.
macro_rules! opening {
    () => {
        concat!(include_str!("../scripts/queue.lua"), include_str!("opening.lua"))
    };
}

/// What is made when something needs it.
macro_rules! common {
    () => {
        concat!(
            include_str!("worker.lua"),
            "make_common = function()\n",
            include_str!("../scripts/common.lua"),
            include_str!("promote.lua"),
            include_str!("parents.lua"),
            "return {\n",
            "delayed_score = delayed_score, emit = emit, parents = parents, priority_score = priority_score,\n",
            "promote_due = promote_due, release_parent = release_parent, to_wait = to_wait,\n",
            "waiting_list = waiting_list, wake = wake, wake_for_delayed = wake_for_delayed,\n",
            "}\nend\n"
        )
    };
}

/// How jobs are taken.
macro_rules! take {
    () => {
        concat!(
            "local function start(answer, ids, token, lease, worker)\n",
            include_str!("start.lua"),
            "return started, doomed\nend\n",
            include_str!("take.lua")
        )
    };
}

/// A script that takes and stores nothing.
macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(opening!(), common!(), include_str!($file)))
    };
}

static CLAIM: Script = Script::new(concat!(opening!(), common!(), take!(), include_str!("claim.lua")));
static SETTLE: Script = Script::new(concat!(
    opening!(),
    include_str!("plain.lua"),
    include_str!("start.lua"),
    "if started > 0 then\nreturn answer\nend\n",
    common!(),
    take!(),
    "local special_part\nlocal function special()\nif not special_part then\n",
    include_str!("special.lua"),
    include_str!("seldom.lua"),
    include_str!("finish.lua"),
    include_str!("again.lua"),
    include_str!("store.lua"),
    include_str!("tidy.lua"),
    "special_part = { store = store, tell_drained = tell_drained, tidy = tidy }\nend\nreturn special_part\nend\n",
    include_str!("settle.lua")
));
static EXTEND: Script = script!("extend.lua");
static STALLED: Script = script!("stalled.lua");
static TELL: Script = script!("tell.lua");
static ITERATE: Script = script!("iterate.lua");
static FIRE: Script = script!("fire.lua");

/// Most outcomes in one request. On a quiet machine they hold up the server for half a millisecond.
const AT_ONCE: usize = 25;
/// Values a script answers for each job.
const JOB_VALUES: usize = 6;

/// Numbers the requests of this process: the locks of one are alike, those of two never.
static TOKENS: AtomicU64 = AtomicU64::new(0);

impl Consume for BullMq {
    fn check(&self, queue: &QueueId) -> Result<(), String> {
        let odd = queue.name.is_empty() || queue.name.as_bytes().contains(&b':');
        if odd { Err("a BullMQ queue's name has no colon".to_owned()) } else { Ok(()) }
    }

    fn instance(&self) -> &str {
        "bull"
    }

    fn claim<'a>(&'a self, link: &'a Link, seat: &'a Seat, want: usize) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let keys = Keys::of(&seat.queue);
            let takes = taking(seat);
            let mut arguments = vec![want.to_string().into_bytes()];
            arguments.extend(takes.arguments.iter().cloned());
            let answer = CLAIM.run(link, &[keys.base()], &arguments).await?;
            takes.read(reply::list(&answer).ok_or_else(|| shape("no list"))?)
        })
    }

    fn wait<'a>(&'a self, own: &'a Link, seat: &'a Seat, limit: Duration) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let keys = Keys::of(&seat.queue);
            let mut batch = Batch::new();
            // By this name the library, and qtop, know who works on a queue.
            batch.ask(cmd("CLIENT").arg("SETNAME").arg(client_name(seat)).to_owned());
            batch.ask(cmd("BZPOPMIN").arg(keys.key("marker")).arg(Seat::block_seconds(limit)).to_owned());
            let replies = own.send(&batch).await?;
            if let Some(Err(error)) = replies.get(1) {
                return Err(ReadError::Command(error.clone()).into());
            }
            Ok(Claimed::default())
        })
    }

    fn extend<'a>(&'a self, link: &'a Link, seat: &'a Seat, claims: &'a [Claim]) -> Answer<'a, Vec<bool>> {
        Box::pin(async move {
            let keys = Keys::of(&seat.queue);
            let mut held = Vec::with_capacity(claims.len());
            for piece in claims.chunks(100) {
                let mut arguments = vec![seat.lease.as_millis().to_string().into_bytes()];
                for claim in piece {
                    arguments.push(claim.id.as_bytes().to_vec());
                    arguments.push(claim.token.to_vec());
                    arguments.push(started(claim).to_vec());
                }
                let answer = EXTEND.run(link, &[keys.base()], &arguments).await?;
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
            let outcome = [Outcome { claim, verdict, next }];
            let stored = self.settle_all(link, seat, &outcome).await?.pop();
            stored.unwrap_or_else(|| Err(shape("no outcome").into()))
        })
    }

    fn stores_at_once(&self) -> usize {
        AT_ONCE
    }

    fn settle_all<'a>(
        &'a self,
        link: &'a Link,
        seat: &'a Seat,
        outcomes: &'a [Outcome<'a>],
    ) -> Answer<'a, Vec<Result<Settled, SystemError>>> {
        Box::pin(async move {
            let keys = Keys::of(&seat.queue);
            let takes = taking(seat);
            let arguments = settle::write(seat, outcomes, &takes.arguments);
            let answer = SETTLE.run(link, &[keys.base()], &arguments).await?;
            let (lines, rest) =
                reply::list(&answer).and_then(<[Value]>::split_first).ok_or_else(|| shape("no list"))?;
            let claimed = takes.read(rest)?;
            settle::read(outcomes, lines, claimed.claims)
        })
    }

    fn tend<'a>(&'a self, link: &'a Link, seat: &'a Seat) -> Answer<'a, Tended> {
        Box::pin(async move {
            let keys = Keys::of(&seat.queue);
            let arguments = [millis(seat.lease), seat.max_deaths.to_string().into_bytes()];
            let answer = STALLED.run(link, &[keys.base()], &arguments).await?;
            Ok(Tended { returned: reply::count(&answer).unwrap_or(0), ..Tended::default() })
        })
    }

    fn remark(&self, seat: &Seat) -> Option<String> {
        iterate::remark(seat)
    }

    fn prepares(&self, claim: &Claim) -> bool {
        iterate::series_of(&claim.id).is_some()
    }

    fn prepare<'a>(&'a self, link: &'a Link, seat: &'a Seat, claim: &'a Claim) -> Answer<'a, ()> {
        Box::pin(async move { iterate::iterate(link, &Keys::of(&seat.queue), seat, claim).await })
    }

    fn leave<'a>(&'a self, _: &'a Link, seat: &'a Seat) -> Answer<'a, ()> {
        iterate::forget(seat);
        // Workers are known by their connections.
        Box::pin(async { Ok(()) })
    }

    fn tell<'a>(
        &'a self,
        link: &'a Link,
        seat: &'a Seat,
        claim: &'a Claim,
        progress: Option<&'a Progress>,
        lines: &'a [String],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let keys = Keys::of(&seat.queue);
            let progress = progress.map(written).unwrap_or_default();
            let mut arguments: Vec<&[u8]> = vec![claim.id.as_bytes(), &claim.token, progress.as_bytes()];
            arguments.extend(lines.iter().map(String::as_bytes));
            TELL.run(link, &[keys.base()], &arguments).await?;
            Ok(())
        })
    }

    fn fire<'a>(&'a self, link: &'a Link, seat: &'a Seat, firing: &'a Firing) -> Answer<'a, bool> {
        Box::pin(async move {
            let keys = Keys::of(&seat.queue);
            // Not among the queue's own keys, where a job of that name would lie.
            let fired = [b"qtop:fired:", keys.base()].concat();
            let tick = firing.tick.0.to_string();
            let missed: &[u8] = if firing.missed { b"1" } else { b"0" };
            let arguments: [&[u8]; 5] =
                [firing.schedule.as_bytes(), tick.as_bytes(), firing.name.as_bytes(), &firing.data, missed];
            let answer = FIRE.run(link, &[keys.base(), &fired], &arguments).await?;
            Ok(reply::int(&answer) == Some(1))
        })
    }
}

/// A request for jobs: its arguments behind how many are wanted, and what its answer is read with.
struct Taking {
    arguments: Vec<Vec<u8>>,
    token: Bytes,
}

fn taking(seat: &Seat) -> Taking {
    let number = TOKENS.fetch_add(1, Ordering::Relaxed);
    let token = format!("{}:{number}", seat.worker.to_text()).into_bytes();
    let (most, window) = seat.rate.unwrap_or((0, Duration::ZERO));
    let worker = seat.worker.as_bytes().to_vec();
    let arguments = vec![token.clone(), millis(seat.lease), worker, most.to_string().into_bytes(), millis(window)];
    Taking { arguments, token: Bytes::from(token) }
}

impl Taking {
    fn read(&self, values: &[Value]) -> Result<Claimed, SystemError> {
        if values.len() < 3 {
            return Err(shape("too short a list").into());
        }
        let now = Timestamp(reply::int(&values[0]).unwrap_or_default());
        let span = |value: &Value| reply::count(value).map(Duration::from_millis);
        let (jobs, _) = values[3..].as_chunks::<JOB_VALUES>();
        let mut known = Known::default();
        let claims = jobs.iter().filter_map(|job| self.claim(job, now, &mut known)).collect();
        let hold = span(&values[2]).map(|left| (left, "the queue's rate limit is reached".to_owned()));
        Ok(Claimed { claims, patience: span(&values[1]), hold })
    }

    fn claim<'a>(&self, job: &'a [Value; JOB_VALUES], now: Timestamp, known: &mut Known<'a>) -> Option<Claim> {
        let [id, name, data, opts, created, past] = job;
        let text = |value: &Value| reply::text(value).unwrap_or_default();
        let past = text(past);
        let mut past = past.splitn(4, ' ');
        let mut count = || past.next().unwrap_or_default().parse().unwrap_or(0_u32);
        let (made, deaths, started) = (count(), count(), count().max(1));
        let doomed = past.next().filter(|reason| !reason.is_empty()).map(str::to_owned);
        let opts = reply::bytes(opts).unwrap_or_default();
        let options = known.read(opts);
        let created_at = reply::int(created).map(Timestamp);
        let ready_at = created_at.map(|created| created.plus(options.delay));
        let mut receipt = started.to_string().into_bytes();
        receipt.push(0);
        receipt.extend_from_slice(opts);
        Some(Claim {
            id: JobId::from(reply::bytes(id)?),
            name: text(name),
            payload: Bytes::copy_from_slice(reply::bytes(data).unwrap_or_default()),
            attempts_made: made,
            attempts: Some(options.attempts.max(1)),
            backoff: options.backoff.clone(),
            created_at,
            ready_at,
            claimed_at: now,
            deaths,
            limits: Limits::default(),
            doomed,
            token: self.token.clone(),
            receipt: Bytes::from(receipt),
        })
    }
}

/// How often the job was started, when it was taken: nobody else has started it while the number is the same.
fn started(claim: &Claim) -> &[u8] {
    claim.receipt.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The job's options as stored.
fn stored_options(claim: &Claim) -> &[u8] {
    claim.receipt.iter().position(|byte| *byte == 0).map_or(&[], |at| &claim.receipt[at + 1..])
}

fn millis(span: Duration) -> Vec<u8> {
    span.as_millis().to_string().into_bytes()
}

/// Progress as JSON: the plain percentage if that is all, else an object.
fn written(progress: &Progress) -> String {
    match progress {
        Progress { percent: Some(percent), step: None, total: None, text: None } => json!(percent).to_string(),
        Progress { percent, step, total, text } => {
            let mut object = serde_json::Map::new();
            let mut put = |name: &str, value: Option<serde_json::Value>| {
                object.extend(value.map(|value| (name.to_owned(), value)));
            };
            put("percent", percent.map(|percent| json!(percent)));
            put("step", step.map(|step| json!(step)));
            put("total", total.map(|total| json!(total)));
            put("text", text.as_ref().map(|text| json!(text)));
            json!(object).to_string()
        }
    }
}

/// `<prefix>:<base64 of the queue>:w:<worker>`.
fn client_name(seat: &Seat) -> Vec<u8> {
    let queue = BASE64_STANDARD.encode(seat.queue.name.as_bytes());
    let worker = keys::client_worker(&seat.worker);
    [seat.queue.instance.name.as_bytes(), b":", queue.as_bytes(), b":w:", worker.as_bytes()].concat()
}

fn shape(what: &str) -> ReadError {
    ReadError::Shape { command: "EVALSHA", what: what.to_owned() }
}
