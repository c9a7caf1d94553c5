//! Jobs with the same key are run once in a time: a policy of the pool, for queues whose producers cannot see to it.
//!
//! A key's mark is `run RUNNER` while a job with it runs and `done` once one has succeeded, and it always has an end: a
//! crash at any moment blocks the key no longer than its time (R24), and much shorter where the others can see that the
//! runner is dead. What failed was not done: its mark is taken back, and the next job with the key runs.

use std::time::Duration;

use super::handler::filled;
use super::policy::Decision;
use super::pool::Pool;
use super::work::Work;
use crate::config::Dedup;
use crate::domain::runner::Ended;
use crate::domain::template::{self, Template};
use crate::link::{Link, Script, cmd};
use crate::systems::consume::Verdict;
use crate::systems::{SystemError, reply};

/// Longest wait before a job whose key is busy is looked at again.
const LOOK: Duration = Duration::from_secs(5);

/// Shortest such wait.
const SOON: Duration = Duration::from_millis(200);

/// KEYS[1]: the mark. ARGV: what it must be, what it becomes (empty: it goes), ms. Answers 1 if it was.
static SWAP: Script = Script::new(
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n\
     if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end\n\
     return 1",
);

/// Of a pool's table.
#[derive(Debug)]
pub struct Once {
    key: Template,
    life: Duration,
    runner: String,
}

/// What the mark of a job's key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may run; its key is marked.
    Run,
    /// One with its key has succeeded.
    Done,
    /// One with its key runs; look again after that.
    Busy(Duration),
}

impl Turn {
    /// What becomes of a job that has not its turn.
    pub fn refusal(self) -> Option<Decision> {
        let (verdict, ended, message) = match self {
            Self::Run => return None,
            Self::Done => (Verdict::Done(None), Ended::Done, "not run: a job with the same key has succeeded"),
            Self::Busy(wait) => (Verdict::Postpone(wait.max(SOON)), Ended::Returned, "put back: its key is busy"),
        };
        Some(Decision { verdict, ended, message: message.to_owned() })
    }
}

impl Once {
    /// Of a table that was checked; says what is wrong otherwise. `runner`: the name of its sign of life.
    pub fn of(dedup: &Dedup, runner: &str) -> Result<Self, String> {
        let key = Template::parse(&dedup.key, template::ARGUMENT).map_err(|error| error.to_string())?;
        Ok(Self { key, life: dedup.ttl, runner: runner.to_owned() })
    }

    /// The key of a job's mark; `None`: it lacks what its key is made of, so nothing can be said of it.
    pub fn mark(&self, work: &Work) -> Option<String> {
        let value = filled(&self.key, work).ok()?;
        Some(format!("qtop:once:{}:{}", work.address, sha1_smol::Sha1::from(&value).digest()))
    }

    fn running(&self) -> String {
        format!("run {}", self.runner)
    }

    fn life(&self) -> String {
        self.life.as_millis().max(1).to_string()
    }

    /// Takes the turn of a job, if it has it.
    pub async fn begin(&self, link: &Link, mark: &str) -> Result<Turn, SystemError> {
        let mut set = cmd("SET");
        set.arg(mark).arg(self.running()).arg("PX").arg(self.life()).arg("NX");
        if reply::text(&link.ask(set).await?).is_some() {
            return Ok(Turn::Run);
        }
        let seen = link.ask(cmd("GET").arg(mark).to_owned()).await?;
        let Some(seen) = reply::text(&seen) else { return Ok(Turn::Busy(Duration::ZERO)) };
        if seen == "done" {
            return Ok(Turn::Done);
        }
        let other = seen.strip_prefix("run ").unwrap_or_default();
        let alive = cmd("EXISTS").arg(format!("qtop:runner:{other}")).to_owned();
        if other != self.runner && reply::int(&link.ask(alive).await?) == Some(0) {
            let taken = SWAP.run(link, &[mark], &[&seen, &self.running(), &self.life()]).await?;
            return Ok(if reply::int(&taken) == Some(1) { Turn::Run } else { Turn::Busy(Duration::ZERO) });
        }
        let left = reply::count(&link.ask(cmd("PTTL").arg(mark).to_owned()).await?).unwrap_or(0);
        Ok(Turn::Busy(Duration::from_millis(left).min(LOOK)))
    }

    /// Ends the turn. Before the outcome is stored: a crash in between must not run again what has succeeded.
    async fn end(&self, link: &Link, mark: &str, succeeded: bool) -> Result<(), SystemError> {
        let next = if succeeded { "done" } else { "" };
        SWAP.run(link, &[mark], &[self.running().as_str(), next, self.life().as_str()]).await?;
        Ok(())
    }
}

impl Pool {
    /// Whether a job may run, by its key. Without an answer it may not: it is looked at again soon.
    pub(super) async fn turn(&self, work: &Work) -> Option<(String, Turn)> {
        let once = self.parts.once.as_ref()?;
        let mark = once.mark(work)?;
        let turn = async {
            let link = self.parts.wire.control().await?;
            once.begin(&link, &mark).await
        };
        match turn.await {
            Ok(turn) => Some((mark, turn)),
            Err(error) => {
                tracing::warn!(queue = self.parts.address, job = %work.id, %error, "its key could not be looked at");
                Some((mark, Turn::Busy(Duration::from_secs(1))))
            }
        }
    }

    /// Ends a turn as well as it can: a mark that stays ends by itself.
    pub(super) async fn end_turn(&self, mark: &str, succeeded: bool) {
        let Some(once) = &self.parts.once else { return };
        let ended = async {
            let link = self.parts.wire.control().await?;
            once.end(&link, mark, succeeded).await
        };
        if let Err(error) = ended.await {
            tracing::warn!(queue = self.parts.address, %error, "the mark of a key stays until it expires");
        }
    }
}
