//! Jobs with the same key are run once in a time: a policy of the pool, for queues whose producers cannot see to it.
//!
//! A key's mark is `run RUNNER TURN` while a job with it runs and `done` once one has succeeded, and it always has an
//! end: a crash at any moment blocks the key no longer than its time (R24), and much shorter where the others can see
//! that the runner is dead. What failed was not done: its mark is taken back, and the next job with the key runs.
//!
//! This runner knows the turns of its own jobs. A mark of its own for a turn that nobody here has any more was set by a
//! request without an answer, and blocks nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::handler::{FOREVER, filled};
use super::policy::{Decision, Terms};
use super::pool::Pool;
use super::wire::{Patience, uncertain};
use super::work::Work;
use crate::config::Dedup;
use crate::domain::runner::Ended;
use crate::domain::template::{self, Template};
use crate::engine::sign;
use crate::link::{Link, Script, cmd};
use crate::systems::consume::Verdict;
use crate::systems::{SystemError, reply};

/// Longest wait before a job whose key is busy is looked at again.
const LOOK: Duration = Duration::from_secs(5);

/// Shortest such wait.
const SOON: Duration = Duration::from_millis(200);

/// How long one job waits for the answer that another with its key is about to get.
const ASKING: Duration = Duration::from_millis(10);

/// The same where the server refuses to tell anything of keys.
const REFUSED: Duration = Duration::from_secs(1);

/// KEYS[1]: the mark. ARGV: what it must be, what it becomes, ms. Answers 1 if it was.
static TAKE: Script = Script::new(
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n\
     redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])\n\
     return 1",
);

/// KEYS[1]: the mark. ARGV: what it must be, what it becomes until its end (empty: it goes). Answers 1 if it was.
static END: Script = Script::new(
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n\
     if ARGV[2] == '' then redis.call('DEL', KEYS[1]) return 1 end\n\
     redis.call('SET', KEYS[1], ARGV[2], 'PX', math.max(redis.call('PTTL', KEYS[1]), 1))\n\
     return 1",
);

/// Of the table of a pool or a handler.
#[derive(Debug)]
pub struct Once {
    key: Template,
    /// As it was written: equal values of different fields are no equal keys.
    written: String,
    life: Duration,
    runner: String,
    /// Tells its turns from those of others in this runner, for example of a pool that drains.
    owner: String,
    turns: Arc<Mutex<Turns>>,
}

/// The turns of this runner's jobs.
#[derive(Debug, Default)]
struct Turns {
    /// By mark: the number of the turn, and until when its mark stands; `None`: the server has not told yet whether it has
    /// the turn.
    held: HashMap<String, (u64, Option<Instant>)>,
    last: u64,
}

/// A job's turn. As long as it lives, no other job with the key has one in this runner.
#[derive(Debug)]
pub struct Hold {
    /// Key of the mark.
    mark: String,
    /// What the mark says.
    says: String,
    number: u64,
    turns: Arc<Mutex<Turns>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut turns = lock(&self.turns);
        if turns.held.get(&self.mark).is_some_and(|(number, _)| *number == self.number) {
            turns.held.remove(&self.mark);
        }
    }
}

/// Why a job has not its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// One with its key has succeeded.
    Done,
    /// One with its key runs; look again after that.
    Busy(Duration),
}

/// Whether a job may run.
pub enum Turn {
    /// It has no key.
    Free,
    /// It has its turn, which is to be ended.
    Own(Hold),
    /// The job is to be ended before the server has told whether it has its turn. The mark may be set.
    Unknown(Hold),
    /// It has not its turn; what becomes of it.
    Refused(Decision),
}

impl Turn {
    fn refused(refusal: Refusal) -> Self {
        let (verdict, ended, message) = match refusal {
            Refusal::Done => (Verdict::Done(None), Ended::Done, "not run: a job with the same key has succeeded"),
            Refusal::Busy(wait) => (Verdict::Postpone(wait.max(SOON)), Ended::Returned, "put back: its key is busy"),
        };
        Self::Refused(Decision { verdict, ended, message: message.to_owned() })
    }
}

impl Once {
    /// Of a table that was checked; says what is wrong otherwise. `runner`: the name of its sign of life.
    pub fn of(dedup: &Dedup, runner: &str) -> Result<Self, String> {
        let key = Template::parse(&dedup.key, template::ARGUMENT).map_err(|error| error.to_string())?;
        Ok(Self {
            key,
            written: dedup.key.clone(),
            life: dedup.ttl,
            runner: runner.to_owned(),
            owner: format!("{:08x}", fastrand::u32(..)),
            turns: Arc::default(),
        })
    }

    /// The key of a job's mark; `None`: it lacks what its key is made of, so nothing can be said of it.
    fn mark(&self, work: &Work) -> Option<String> {
        let value = filled(&self.key, work).ok()?;
        let value = [self.written.as_bytes(), b"\0", &value].concat();
        Some(format!("qtop:once:{}:{}", work.address, sha1_smol::Sha1::from(&value).digest()))
    }

    fn life(&self) -> String {
        self.life.as_millis().max(1).to_string()
    }

    /// Keeps the turn from all other jobs of this runner, or tells how long another may have it.
    fn hold(&self, mark: String) -> Result<Hold, Duration> {
        let now = Instant::now();
        let mut turns = lock(&self.turns);
        match turns.held.get(&mark) {
            Some((_, None)) => return Err(Duration::ZERO),
            Some((_, Some(end))) if *end > now => return Err(*end - now),
            _ => {}
        }
        turns.last += 1;
        let number = turns.last;
        turns.held.insert(mark.clone(), (number, None));
        let says = format!("run {} {}.{number}", self.runner, self.owner);
        Ok(Hold { mark, says, number, turns: Arc::clone(&self.turns) })
    }

    /// Notes that the job has its turn.
    fn keep(&self, hold: &Hold) {
        let now = Instant::now();
        // A time that is longer than any clock tells is the longest there is.
        let end = now.checked_add(self.life).unwrap_or_else(|| now + FOREVER);
        lock(&self.turns).held.insert(hold.mark.clone(), (hold.number, Some(end)));
    }

    /// Takes the turn, if the job has it; else why it has not.
    async fn begin(&self, link: &Link, hold: &Hold) -> Result<Option<Refusal>, SystemError> {
        let mut set = cmd("SET");
        set.arg(&hold.mark).arg(&hold.says).arg("PX").arg(self.life()).arg("NX");
        if reply::text(&link.ask(set).await?).is_some() {
            return Ok(None);
        }
        let seen = link.ask(cmd("GET").arg(&hold.mark).to_owned()).await?;
        let Some(seen) = reply::text(&seen) else { return Ok(Some(Refusal::Busy(Duration::ZERO))) };
        if seen == "done" {
            return Ok(Some(Refusal::Done));
        }
        if seen == hold.says {
            return Ok(None);
        }
        let mut words = seen.split(' ').skip(1);
        let (other, turn) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let left_behind = other == self.runner && turn.split('.').next() == Some(&self.owner);
        if left_behind || (other != self.runner && self.is_dead(link, other).await?) {
            let taken = TAKE.run(link, &[&hold.mark], &[&seen, &hold.says, &self.life()]).await?;
            return Ok((reply::int(&taken) != Some(1)).then_some(Refusal::Busy(Duration::ZERO)));
        }
        let left = reply::count(&link.ask(cmd("PTTL").arg(&hold.mark).to_owned()).await?).unwrap_or(0);
        Ok(Some(Refusal::Busy(look(Duration::from_millis(left)))))
    }

    async fn is_dead(&self, link: &Link, runner: &str) -> Result<bool, SystemError> {
        let alive = cmd("EXISTS").arg(sign::key(runner)).to_owned();
        Ok(reply::int(&link.ask(alive).await?) == Some(0))
    }
}

impl Pool {
    /// Whether a job may run, by its key. Without an answer it may not. A request that may have been carried out is
    /// repeated until there is an answer, because nobody else could tell whose the mark is.
    pub(super) async fn turn(&self, work: &Work, terms: &Terms, cancel: &CancellationToken) -> Turn {
        let Some(once) = &terms.once else { return Turn::Free };
        let Some(mark) = once.mark(work) else { return Turn::Free };
        let hold = loop {
            match once.hold(mark.clone()) {
                Ok(hold) => break hold,
                // Another asks just now, and soon knows.
                Err(Duration::ZERO) if !cancel.is_cancelled() => tokio::time::sleep(ASKING).await,
                Err(left) => return Turn::refused(Refusal::Busy(look(left))),
            }
        };
        let mut patience = Patience::default();
        let mut unsure = false;
        loop {
            let seen = async {
                let link = self.parts.wire.control().await?;
                once.begin(&link, &hold).await
            };
            let error = match seen.await {
                Ok(None) => {
                    once.keep(&hold);
                    return Turn::Own(hold);
                }
                Ok(Some(refusal)) => return Turn::refused(refusal),
                Err(error) => error,
            };
            tracing::warn!(queue = self.parts.address, job = %work.id, %error, "its key could not be looked at");
            self.parts.wire.learn(&error).await;
            unsure |= uncertain(&error);
            if !unsure {
                return Turn::refused(Refusal::Busy(REFUSED));
            }
            tokio::select! {
                () = cancel.cancelled() => return Turn::Unknown(hold),
                () = tokio::time::sleep(patience.failed()) => {}
            }
        }
    }

    /// Ends a turn, before the outcome is stored: a crash in between must not run again what has succeeded. Repeated
    /// until there is an answer, because what stayed would block the key.
    pub(super) async fn end_turn(&self, number: usize, hold: Hold, succeeded: bool) {
        let next = if succeeded { "done" } else { "" };
        let mut patience = Patience::default();
        loop {
            let ended: Result<_, SystemError> = async {
                let link = self.parts.wire.control().await?;
                Ok(END.run(&link, &[&hold.mark], &[hold.says.as_str(), next]).await?)
            }
            .await;
            let Err(error) = ended else { return };
            tracing::warn!(queue = self.parts.address, %error, "the mark of a key waits to be ended");
            self.parts.wire.learn(&error).await;
            self.waits_to_be_stored(number);
            tokio::select! {
                () = tokio::time::sleep(patience.failed()) => {}
                // The others see that this runner is gone.
                () = self.cut.cancelled() => return,
            }
        }
    }
}

/// When to look again at a mark that ends after so long: before its end, after which it would tell nothing of a success.
fn look(left: Duration) -> Duration {
    (left / 2).min(LOOK)
}

fn lock(turns: &Mutex<Turns>) -> MutexGuard<'_, Turns> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}
