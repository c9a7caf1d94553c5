//! A program that is started once and takes many jobs, one after the other, as lines of JSON. There are as many children
//! as jobs at once; they are started when they are needed.

mod worker;

use std::ffi::OsString;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::task::TaskTracker;

use super::super::work::{Ending, Event, Failure, Room, Stream, Work};
use super::command::{FOREVER, LONGEST_RESULT, TOLD};
use super::facts::envelope;
use super::lines::{Again, DAMAGED, Said};
use super::program::Program;
use super::relay::Relay;
use super::verdict::Rules;
use super::{HandlerError, Surroundings};
use crate::config;
use crate::domain::text::first_line;
use worker::{End, Heard, Worker, Written};

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
    /// Jobs at once, if that has changed: no more children need wait for jobs.
    most: Option<usize>,
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
    /// The child has closed its output, or does not read any more.
    Died(Share),
    /// The child is of no use any more.
    Lost(Loss),
}

enum Loss {
    Confused(String),
    Cancelled,
    TimedOut,
    TooLong,
}

/// What a child that died had to do with the job it was given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    /// Nothing of the job could be written to it.
    Unread,
    /// It has told nothing of the job.
    Silent,
    /// It has told something of it.
    Begun,
}

/// True if a child had ended its last job and was about to end by itself, as some do after a number of jobs: then it had
/// no share in the next, which was written to it before the system knew of its end.
fn left_before(worker: &Worker, share: Share, end: &End) -> bool {
    let by_itself = match share {
        Share::Unread => true,
        Share::Silent => end.success,
        Share::Begun => false,
    };
    by_itself && worker.jobs > 0
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
        let mut relay = Relay::new(room.events.clone());
        let line = [envelope(work), b"\n".to_vec()].concat();
        let mut anew = false;
        loop {
            let worker = tokio::select! {
                biased;
                () = room.cancel.cancelled() => return Ending::Cancelled,
                () = &mut deadline => return self.not_ready(&room),
                worker = self.worker(anew, room.timeout) => worker,
            };
            let mut worker = match worker {
                Ok(worker) => worker,
                Err(ending) => return ending,
            };
            drop(room.events.try_send(Event::Started));
            worker.begin(&room.events);
            let reply = self.talk(&mut worker, work, &line, &room, deadline.as_mut(), &mut relay).await;
            relay.flush().await;
            match reply {
                Reply::Done(result) => {
                    self.give_back(worker, work);
                    return Ending::Done { result };
                }
                Reply::Failed { message, stack, again } => {
                    self.give_back(worker, work);
                    return self.rules.judge(None, Failure { message, stack, crashed: false }, again);
                }
                Reply::Died(share) => {
                    let age = worker.born.elapsed();
                    let end = worker.end_of_life(self.program.kill_after).await;
                    if anew || !left_before(&worker, share, &end) {
                        return self.dead(worker, age, &end.how).await;
                    }
                    // A child that was started for this job does not end by itself before it.
                    anew = true;
                }
                Reply::Lost(loss) => return self.lost(worker, loss, &room).await,
            }
        }
    }

    /// Hands over a job and listens until it is answered, or never will be.
    async fn talk(
        &self,
        worker: &mut Worker,
        work: &Work,
        line: &[u8],
        room: &Room,
        mut deadline: Pin<&mut Sleep>,
        relay: &mut Relay,
    ) -> Reply {
        let Worker { stdin, lines, ready, last, .. } = worker;
        let id = String::from_utf8_lossy(work.id.as_bytes());
        let mut writing = pin!(worker::write(stdin, line));
        let mut written = false;
        let mut share = Share::Silent;
        loop {
            let heard = tokio::select! {
                biased;
                sent = &mut writing, if !written => {
                    written = true;
                    match sent {
                        Written::Whole => continue,
                        Written::Part => return Reply::Died(share),
                        Written::Nothing => return Reply::Died(Share::Unread),
                    }
                }
                () = deadline.as_mut() => return Reply::Lost(Loss::TimedOut),
                () = room.cancel.cancelled() => return Reply::Lost(Loss::Cancelled),
                heard = worker::hear(lines) => heard,
            };
            let said = match heard {
                Heard::Said(said) => said,
                Heard::TooLong => return Reply::Lost(Loss::TooLong),
                Heard::End => return Reply::Died(share),
            };
            // What tells of its job has begun it.
            *ready |= matches!(said, Said::Ready | Said::Progress(_) | Said::Log(_));
            let confused = |what: String| Reply::Lost(Loss::Confused(what));
            match said {
                Said::Progress(progress) => {
                    share = Share::Begun;
                    relay.progress(progress);
                }
                Said::Log(text) => {
                    share = Share::Begun;
                    relay.log(text).await;
                }
                Said::Output(text) => relay.output(Stream::Out, text).await,
                Said::Ready => {}
                Said::Unclear { id: Some(other), text } if other != id => relay.output(Stream::Out, text).await,
                Said::Unclear { text, .. } => {
                    return confused(format!("its answer cannot be read: {}", first_line(&text, TOLD)));
                }
                Said::Result { id: Some(other), .. } | Said::Failed { id: Some(other), .. }
                    if other != id && last.as_ref() == Some(&other) =>
                {
                    tracing::warn!(program = %self.program.path().display(), "a job was answered twice");
                }
                Said::Result { id: Some(other), .. } | Said::Failed { id: Some(other), .. } if other != id => {
                    return confused(format!("it answered job {other:?} while it had job {id:?}"));
                }
                Said::Result { .. } | Said::Failed { .. } if !written => {
                    return confused("it answered before it had read the job".to_owned());
                }
                Said::Result { json, damaged, .. } => {
                    if damaged {
                        relay.log(DAMAGED.to_owned()).await;
                    }
                    return Reply::Done(json);
                }
                Said::Failed { message, stack, again, .. } => return Reply::Failed { message, stack, again },
            }
        }
    }

    /// Ends a child that is of no use any more, and says what that means for its job.
    async fn lost(&self, mut worker: Worker, loss: Loss, room: &Room) -> Ending {
        let path = self.program.path().display();
        worker.stop(self.program.kill_after).await;
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
        }
    }

    /// What the death of a child means for the job that it had.
    async fn dead(&self, mut worker: Worker, age: Duration, how: &str) -> Ending {
        let stack = worker.tail().await;
        // A program that cannot even start must not make its jobs look dangerous.
        if !worker.is_seasoned() {
            return self.stillborn(age, how, &stack);
        }
        self.died();
        let message = format!("{} died in the middle of the job: {how}", self.program.path().display());
        Ending::Retry { failure: Failure { message, stack, crashed: true }, after: None }
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

    /// A child without a job: one that waits, unless it must be a new one, or a new one. `limit`: the time the job may take.
    async fn worker(&self, anew: bool, limit: Option<Duration>) -> Result<Worker, Ending> {
        loop {
            let (idle, not_before) = {
                let mut keeper = self.keeper();
                (keeper.idle.pop_if(|_| !anew), keeper.not_before)
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
            let end = worker.end_of_life(self.program.kill_after).await;
            return Err(self.stillborn(age, &end.how, &worker.tail().await));
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
        let spare = keeper.most.is_some_and(|most| keeper.idle.len() >= most);
        if worn || spare || keeper.closed {
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

    pub(super) fn resize(&self, most: usize) {
        let spare = {
            let mut keeper = self.keeper();
            keeper.most = Some(most);
            let kept = keeper.idle.len().min(most);
            keeper.idle.split_off(kept)
        };
        spare.into_iter().for_each(|worker| self.retire(worker));
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
