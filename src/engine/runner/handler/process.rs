//! A program that is started once and takes many jobs, one after the other, as lines of JSON. There are as many children
//! as jobs at once; they are started when they are needed.

mod worker;

use std::ffi::OsString;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::TaskTracker;

use super::super::work::{Ending, Event, Failure, Room, Stream, Work};
use super::command::{FOREVER, LONGEST_RESULT};
use super::facts::envelope;
use super::lines::{Again, Said};
use super::program::Program;
use super::relay::Relay;
use super::verdict::Rules;
use super::{HandlerError, Surroundings};
use crate::config;
use worker::{Heard, Worker};

/// First wait before a child is started again after one died; doubles with each death in a row.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Shortest time for which a child is looked at in doubt.
const SHORTEST_DOUBT: Duration = Duration::from_secs(1);

/// Children of one program.
#[derive(Debug)]
pub(super) struct Process {
    program: Program,
    arguments: Vec<OsString>,
    rules: Rules,
    longest: usize,
    max_jobs: Option<u64>,
    max_time: Option<Duration>,
    max_memory: Option<u64>,
    keeper: Mutex<Keeper>,
    /// Children on their way out.
    leaving: TaskTracker,
}

#[derive(Debug, Default)]
struct Keeper {
    idle: Vec<Worker>,
    /// Deaths in a row, without a job that ended.
    deaths: u32,
    /// No child is started before.
    not_before: Option<Instant>,
    /// A child has ended before it was ready: for so long the next one is looked at before it gets a job.
    doubt: Option<Duration>,
    /// Children that are older are replaced.
    renewed: Option<Instant>,
    closed: bool,
}

/// How a job ended, as far as the child is concerned.
enum Reply {
    Done(Option<bytes::Bytes>),
    Failed {
        message: String,
        stack: Vec<String>,
        again: Again,
    },
    /// The child is of no use any more.
    Lost(Loss),
}

enum Loss {
    Died,
    Confused(String),
    Cancelled,
    TimedOut,
    TooLong,
}

impl Process {
    pub(super) fn build(
        argv: &[String],
        config: &config::Handler,
        surroundings: &Surroundings,
    ) -> Result<Self, HandlerError> {
        Ok(Self {
            program: Program::build("process", argv, config, surroundings)?,
            arguments: argv.iter().skip(1).map(OsString::from).collect(),
            rules: Rules::of(config),
            longest: usize::try_from(config.max_result.unwrap_or(LONGEST_RESULT)).unwrap_or(usize::MAX),
            max_jobs: config.max_jobs,
            max_time: config.max_time,
            max_memory: config.max_memory,
            keeper: Mutex::default(),
            leaving: TaskTracker::new(),
        })
    }

    pub(super) async fn handle(&self, work: &Work, room: Room) -> Ending {
        let mut deadline = pin!(sleep(room.timeout.unwrap_or(FOREVER)));
        let worker = tokio::select! {
            biased;
            () = room.cancel.cancelled() => return Ending::Cancelled,
            () = &mut deadline => return self.not_ready(&room),
            worker = self.worker(room.timeout) => worker,
        };
        let mut worker = match worker {
            Ok(worker) => worker,
            Err(ending) => return ending,
        };
        drop(room.events.try_send(Event::Started));
        worker.begin(&room.events);
        let mut relay = Relay::new(room.events.clone());
        let reply = {
            let line = [envelope(work), b"\n".to_vec()].concat();
            let Worker { stdin, lines, ready, last, .. } = &mut worker;
            let mut writing = pin!(worker::write(stdin, &line));
            let mut written = false;
            loop {
                let heard = tokio::select! {
                    done = &mut writing, if !written => {
                        written = true;
                        if done { continue }
                        break Reply::Lost(Loss::Died);
                    }
                    heard = worker::hear(lines) => heard,
                    () = &mut deadline => break Reply::Lost(Loss::TimedOut),
                    () = room.cancel.cancelled() => break Reply::Lost(Loss::Cancelled),
                };
                let (said, id) = match heard {
                    Heard::Said(said) => (said, String::from_utf8_lossy(work.id.as_bytes())),
                    Heard::TooLong => break Reply::Lost(Loss::TooLong),
                    Heard::End => break Reply::Lost(Loss::Died),
                };
                // What tells of its job has begun it.
                *ready |= matches!(said, Said::Ready | Said::Progress(_) | Said::Log(_));
                match said {
                    Said::Progress(progress) => relay.progress(progress),
                    Said::Log(text) => relay.log(text).await,
                    Said::Output(text) => relay.output(Stream::Out, text).await,
                    Said::Ready => {}
                    Said::Result { id: Some(other), .. } | Said::Failed { id: Some(other), .. }
                        if other != id && last.as_ref() == Some(&other) =>
                    {
                        tracing::warn!(program = %self.program.path().display(), "a job was answered twice");
                    }
                    Said::Result { id: Some(other), .. } | Said::Failed { id: Some(other), .. } if other != id => {
                        break Reply::Lost(Loss::Confused(format!(
                            "it answered job {other:?} while it had job {id:?}"
                        )));
                    }
                    Said::Result { .. } | Said::Failed { .. } if !written => {
                        break Reply::Lost(Loss::Confused("it answered before it had read the job".to_owned()));
                    }
                    Said::Result { json, .. } => break Reply::Done(json),
                    Said::Failed { message, stack, again, .. } => break Reply::Failed { message, stack, again },
                }
            }
        };
        relay.flush().await;
        match reply {
            Reply::Done(result) => {
                self.give_back(worker, work);
                Ending::Done { result }
            }
            Reply::Failed { message, stack, again } => {
                self.give_back(worker, work);
                self.rules.judge(None, Failure { message, stack, crashed: false }, again)
            }
            Reply::Lost(loss) => self.lost(worker, loss, &room).await,
        }
    }

    /// Ends a child that is of no use any more, and says what that means for its job.
    async fn lost(&self, mut worker: Worker, loss: Loss, room: &Room) -> Ending {
        let path = self.program.path().display();
        let (seasoned, age) = (worker.is_seasoned(), worker.born.elapsed());
        let how = match loss {
            // It has closed its output, so it is about to end by itself; its own status says most.
            Loss::Died => worker.end_of_life(self.program.kill_after).await,
            _ => {
                worker.stop(self.program.kill_after).await;
                String::new()
            }
        };
        let stack = worker.tail().await;
        match loss {
            Loss::Cancelled => Ending::Cancelled,
            Loss::TimedOut => self.timed_out(room, stack),
            Loss::TooLong => {
                let message = format!("the result of {path} is longer than {} bytes; raise max_result", self.longest);
                Ending::Failed(Failure::new(message))
            }
            Loss::Confused(what) => {
                let failure = Failure { message: format!("{path} was replaced: {what}"), stack, crashed: false };
                Ending::Retry { failure, after: None }
            }
            // A program that cannot even start must not make its jobs look dangerous.
            Loss::Died if !seasoned => self.stillborn(age, &how, &stack),
            Loss::Died => {
                self.died();
                let message = format!("{path} died in the middle of the job: {how}");
                Ending::Retry { failure: Failure { message, stack, crashed: true }, after: None }
            }
        }
    }

    /// A child has ended before it was ready.
    fn stillborn(&self, age: Duration, how: &str, stack: &[String]) -> Ending {
        self.died();
        self.keeper().doubt = Some((age * 2).clamp(SHORTEST_DOUBT, LONGEST_WAIT));
        let last = stack.last().map(|line| format!(": {line}")).unwrap_or_default();
        let path = self.program.path().display();
        Ending::NotStarted { reason: format!("{path} ended before it answered its first job: {how}{last}") }
    }

    fn not_ready(&self, room: &Room) -> Ending {
        let (path, limit) = (self.program.path().display(), room.timeout.unwrap_or_default());
        Ending::NotStarted { reason: format!("no child of {path} was ready within {limit:?}") }
    }

    fn timed_out(&self, room: &Room, stack: Vec<String>) -> Ending {
        let limit = room.timeout.unwrap_or_default();
        let message = format!("{} took longer than {limit:?} and was ended", self.program.path().display());
        Ending::TimedOut(Failure { message, stack, crashed: false })
    }

    /// A child without a job: one that waits, or a new one. `limit`: the time the job may take.
    async fn worker(&self, limit: Option<Duration>) -> Result<Worker, Ending> {
        loop {
            let (idle, not_before) = {
                let mut keeper = self.keeper();
                (keeper.idle.pop(), keeper.not_before)
            };
            match idle {
                Some(mut worker) => match worker.is_fit() {
                    true => return Ok(worker),
                    false => self.retire(worker),
                },
                None => {
                    if let Some(moment) = not_before.filter(|moment| *moment > Instant::now()) {
                        sleep_until(moment).await;
                        continue;
                    }
                    return self.new_worker(limit).await;
                }
            }
        }
    }

    /// A new child. If others ended before they were ready, it shows first that it does not end by itself: what kills it
    /// afterwards is its job.
    async fn new_worker(&self, limit: Option<Duration>) -> Result<Worker, Ending> {
        let mut worker = match Worker::start(&self.program, &self.arguments, self.longest).await {
            Ok(worker) => worker,
            Err(error) => {
                self.died();
                return Err(self.program.not_started(&error));
            }
        };
        let doubt = self.keeper().doubt;
        if let Some(doubt) = doubt
            && !worker.stays(limit.map_or(doubt, |limit| doubt.min(limit / 2))).await
        {
            let age = worker.born.elapsed();
            let how = worker.end_of_life(self.program.kill_after).await;
            return Err(self.stillborn(age, &how, &worker.tail().await));
        }
        Ok(worker)
    }

    /// Takes a child back after a job; a worn one is replaced.
    fn give_back(&self, mut worker: Worker, work: &Work) {
        worker.finish_job(String::from_utf8_lossy(work.id.as_bytes()).into_owned());
        let worn = self.max_jobs.is_some_and(|most| worker.jobs >= most)
            || self.max_time.is_some_and(|most| worker.born.elapsed() >= most)
            || self.max_memory.is_some_and(|most| worker.memory().is_some_and(|memory| memory > most));
        let mut keeper = self.keeper();
        keeper.deaths = 0;
        keeper.not_before = None;
        keeper.doubt = None;
        let worn = worn || keeper.renewed.is_some_and(|renewed| worker.born < renewed);
        if worn || keeper.closed {
            drop(keeper);
            self.retire(worker);
        } else {
            keeper.idle.push(worker);
        }
    }

    fn retire(&self, worker: Worker) {
        self.leaving.spawn(worker.leave(self.program.kill_after));
    }

    fn died(&self) {
        let (mut keeper, now) = (self.keeper(), Instant::now());
        // Children that were started together die together.
        if keeper.not_before.is_some_and(|moment| moment > now) {
            return;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << keeper.deaths.min(10)).min(LONGEST_WAIT);
        keeper.deaths = keeper.deaths.saturating_add(1);
        keeper.not_before = Some(now + wait);
    }

    pub(super) fn renew(&self) {
        let idle = {
            let mut keeper = self.keeper();
            keeper.renewed = Some(Instant::now());
            std::mem::take(&mut keeper.idle)
        };
        idle.into_iter().for_each(|worker| self.retire(worker));
    }

    pub(super) async fn close(&self) {
        let idle = {
            let mut keeper = self.keeper();
            keeper.closed = true;
            std::mem::take(&mut keeper.idle)
        };
        join_all(idle.into_iter().map(|worker| worker.leave(self.program.kill_after))).await;
        self.leaving.close();
        self.leaving.wait().await;
        // Jobs that still run give their children back later.
        self.leaving.reopen();
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
