//! One child that takes jobs.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::super::super::work::{Event, Stream};
use super::super::command::TAIL;
use super::super::lines::{Lines, Said, plain, read};
use super::super::program::{Program, Started};
use super::super::verdict::signal_name;

/// How long the last lines of standard error may take after the child has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A child. Dropping it kills its group.
#[derive(Debug)]
pub(super) struct Worker {
    started: Started,
    pub(super) stdin: ChildStdin,
    pub(super) lines: Lines<ChildStdout>,
    errors: Arc<Mutex<Errors>>,
    reader: JoinHandle<()>,
    folder: TempDir,
    /// Id of the job it ended last.
    pub(super) last: Option<String>,
    /// Jobs it has ended.
    pub(super) jobs: u64,
    pub(super) born: Instant,
    /// It said that it is ready.
    pub(super) ready: bool,
    /// It was looked at for a while and did not end.
    stayed: bool,
}

/// What it writes to standard error, which may come at any time.
#[derive(Debug, Default)]
struct Errors {
    tail: VecDeque<String>,
    events: Option<Sender<Event>>,
}

/// What comes next from a child.
pub(super) enum Heard {
    Said(Said),
    /// A result that is longer than allowed.
    TooLong,
    /// It has closed its output.
    End,
}

/// The next thing a child says. Loses nothing when it is dropped.
pub(super) async fn hear(lines: &mut Lines<ChildStdout>) -> Heard {
    match lines.next().await {
        Ok(Some(line)) if line.cut && (line.bytes.starts_with(b"::") || line.bytes.starts_with(b"{")) => Heard::TooLong,
        Ok(Some(line)) => Heard::Said(read(&line)),
        Ok(None) | Err(_) => Heard::End,
    }
}

/// How much of a job was handed over; all but the whole means that the child does not read any more.
pub(super) enum Written {
    Whole,
    Part,
    Nothing,
}

/// Hands over a job.
pub(super) async fn write(stdin: &mut ChildStdin, line: &[u8]) -> Written {
    let mut rest = line;
    while !rest.is_empty() {
        match stdin.write(rest).await {
            Ok(count @ 1..) => rest = &rest[count..],
            _ if rest.len() == line.len() => return Written::Nothing,
            _ => return Written::Part,
        }
    }
    match stdin.flush().await {
        Ok(()) => Written::Whole,
        Err(_) => Written::Part,
    }
}

/// How a child ended.
pub(super) struct End {
    /// By itself, with exit code 0.
    pub(super) success: bool,
    /// In words.
    pub(super) how: String,
}

impl Worker {
    pub(super) async fn start(program: &Program, arguments: &[OsString], longest: usize) -> io::Result<Self> {
        let folder = program.folder()?;
        let mut started = program.start(arguments, folder.path(), &[], true).await?;
        let missing = || io::Error::other("a standard stream is missing");
        let stdin = started.child.stdin.take().ok_or_else(missing)?;
        let stdout = started.child.stdout.take().ok_or_else(missing)?;
        let stderr = started.child.stderr.take().ok_or_else(missing)?;
        let errors = Arc::new(Mutex::new(Errors::default()));
        let reader = tokio::spawn(read_errors(stderr, Arc::clone(&errors)));
        let lines = Lines::new(stdout, longest);
        Ok(Self {
            started,
            stdin,
            lines,
            errors,
            reader,
            folder,
            last: None,
            jobs: 0,
            born: Instant::now(),
            ready: false,
            stayed: false,
        })
    }

    /// True if it has shown that it can live: what ends it now is the job it has.
    pub(super) fn is_seasoned(&self) -> bool {
        self.ready || self.stayed || self.jobs > 0
    }

    /// Looks at it while it has no job: false if it ends by itself, true if it says that it is ready or lives for so long.
    pub(super) async fn stays(&mut self, limit: Duration) -> bool {
        let (lines, ready) = (&mut self.lines, &mut self.ready);
        let look = async {
            loop {
                match hear(lines).await {
                    Heard::Said(Said::Ready) => {
                        *ready = true;
                        break true;
                    }
                    Heard::End => break false,
                    // Nobody has asked it anything yet.
                    Heard::Said(_) | Heard::TooLong => {}
                }
            }
        };
        self.stayed = timeout(limit, look).await.unwrap_or(true);
        self.stayed
    }

    /// From now on its complaints belong to this job.
    pub(super) fn begin(&self, events: &Sender<Event>) {
        let mut errors = self.errors();
        errors.tail.clear();
        errors.events = Some(events.clone());
    }

    pub(super) fn finish_job(&mut self, id: String) {
        self.jobs += 1;
        self.last = Some(id);
        self.errors().events = None;
    }

    /// False if it has ended while it waited, or says things nobody asked for: then its next answer may not be one to
    /// its next job.
    pub(super) fn is_fit(&mut self) -> bool {
        if self.started.group.has_ended() {
            return false;
        }
        while let Some(heard) = hear(&mut self.lines).now_or_never() {
            match heard {
                Heard::Said(Said::Output(line) | Said::Unclear { text: line, .. }) => {
                    tracing::debug!(line, "said between two jobs")
                }
                Heard::Said(Said::Ready) => self.ready = true,
                Heard::Said(Said::Progress(_) | Said::Log(_)) => {}
                Heard::Said(Said::Result { .. } | Said::Failed { .. }) | Heard::TooLong | Heard::End => return false,
            }
        }
        true
    }

    /// Bytes of resident memory; `None` where it cannot be told.
    pub(super) fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.started.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    }

    /// Waits for the end of a child that closed its output, and says how it ended.
    pub(super) async fn end_of_life(&mut self, limit: Duration) -> End {
        let Started { child, group, .. } = &mut self.started;
        let by_itself = timeout(limit, group.ended(child)).await.is_ok();
        let status = group.finish(child).await;
        group.kill_escaped(self.folder.path());
        let success = by_itself && status.as_ref().is_ok_and(ExitStatus::success);
        let how = match status {
            _ if !by_itself => "it closed its output and went on".to_owned(),
            Ok(status) => ending(status),
            Err(error) => format!("nobody knows how: {error}"),
        };
        End { success, how }
    }

    /// Ends it now: asks, waits, kills.
    pub(super) async fn stop(&mut self, limit: Duration) {
        let Started { child, group, .. } = &mut self.started;
        group.terminate();
        drop(timeout(limit, group.ended(child)).await);
        drop(group.finish(child).await);
        group.kill_escaped(self.folder.path());
    }

    /// Lets it end by itself: there are no more jobs. Takes at most twice the limit.
    pub(super) async fn leave(mut self, limit: Duration) {
        drop(self.stdin);
        let Started { child, group, .. } = &mut self.started;
        if timeout(limit, group.ended(child)).await.is_err() {
            group.terminate();
            drop(timeout(limit, group.ended(child)).await);
        }
        drop(group.finish(child).await);
        group.kill_escaped(self.folder.path());
        drop(timeout(LAST_WORDS, &mut self.reader).await);
    }

    /// The last lines of its standard error during this job.
    pub(super) async fn tail(&mut self) -> Vec<String> {
        drop(timeout(LAST_WORDS, &mut self.reader).await);
        self.errors().tail.drain(..).collect()
    }

    fn errors(&self) -> MutexGuard<'_, Errors> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by {}", signal_name(signal)),
        (None, code) => format!("exit code {}", code.unwrap_or_default()),
    }
}

async fn read_errors(stderr: ChildStderr, errors: Arc<Mutex<Errors>>) {
    let mut lines = Lines::new(stderr, 0);
    while let Ok(Some(line)) = lines.next().await {
        let text = plain(&line);
        let mut errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.tail.len() == TAIL {
            errors.tail.pop_front();
        }
        errors.tail.push_back(text.chars().take(1000).collect());
        match &errors.events {
            // A reader without room loses the line: standard error must never block the child.
            Some(events) => drop(events.try_send(Event::Output { stream: Stream::Err, line: text })),
            None => tracing::debug!(line = text, "complained between two jobs"),
        }
    }
}
