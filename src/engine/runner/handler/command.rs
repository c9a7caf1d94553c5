//! A program that is started for every job.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::super::work::{Ending, Event, Failure, Room, Stream, Work};
use super::facts::{Facts, envelope};
use super::lines::{Again, DAMAGED, Lines, Said, plain, read, tells_an_end};
use super::program::{Program, Started};
use super::relay::Relay;
use super::verdict::{Rules, signal_name};
use super::{HandlerError, Surroundings};
use crate::config::{self, Input, Keep};
use crate::domain::template::{self, Template};
use crate::domain::text::first_line;

/// Longest result that is taken, unless configured.
pub(super) const LONGEST_RESULT: u64 = 1 << 20;
/// Lines of standard error that a failure tells.
pub(super) const TAIL: usize = 20;
/// Characters of an answer that cannot be read which are told.
pub(super) const TOLD: usize = 300;
/// How long output may still come after the program and its group have ended: only what left the group can write it.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// By then a helper has become the program, or has given up.
const HELPED: Duration = Duration::from_secs(2);

/// A program with arguments that are filled from the job.
#[derive(Debug)]
pub(super) struct Command {
    program: Program,
    arguments: Vec<Template>,
    /// An argument before says that no options follow.
    ends_options: Vec<bool>,
    input: Input,
    success: Vec<u8>,
    rules: Rules,
    keep: Keep,
    longest: usize,
}

/// Why waiting for a program ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Ended,
    Cancelled,
    TimedOut,
}

/// What a program has said so far that decides how its job ends.
#[derive(Default)]
struct Heard {
    result: Option<Bytes>,
    failed: Option<(String, Vec<String>, Again)>,
    too_long: bool,
    /// An answer that cannot be read.
    unclear: Option<String>,
}

impl Command {
    pub(super) fn build(
        argv: &[String],
        config: &config::Handler,
        surroundings: &Surroundings,
    ) -> Result<Self, HandlerError> {
        let program = Program::build("command", argv, config, surroundings)?;
        let parse = |(index, text): (usize, &String)| {
            let parsed = Template::parse(text, template::ARGUMENT);
            parsed.map_err(|error| HandlerError::new(format!("command[{index}]"), error.to_string(), ""))
        };
        let arguments = argv.iter().enumerate().skip(1).map(parse).collect::<Result<Vec<_>, _>>()?;
        let ends = arguments.iter().scan(false, |ended, argument| {
            let before = *ended;
            *ended |= argument.literal() == Some("--");
            Some(before)
        });
        Ok(Self {
            ends_options: ends.collect(),
            program,
            arguments,
            input: config.input,
            success: config.success_codes.clone().unwrap_or_else(|| vec![0]),
            rules: Rules::of(config),
            keep: config.keep,
            longest: usize::try_from(config.max_result.unwrap_or(LONGEST_RESULT)).unwrap_or(usize::MAX),
        })
    }

    pub(super) async fn handle(&self, work: &Work, room: Room) -> Ending {
        if room.cancel.is_cancelled() {
            return Ending::Cancelled;
        }
        let arguments = match self.fill(work) {
            Ok(arguments) => arguments,
            // The same data would fail the same way again.
            Err(message) => return Ending::Failed(Failure::new(message)),
        };
        let folder = match self.program.folder() {
            Ok(folder) => folder,
            Err(error) => {
                let reason = format!("{}: no working folder could be made: {error}", self.program.path().display());
                return Ending::NotStarted { reason };
            }
        };
        let attempt = work.attempt.to_string();
        let facts: [(&str, &[u8]); 4] = [
            ("QTOP_ID", work.id.as_bytes()),
            ("QTOP_NAME", work.name.as_bytes()),
            ("QTOP_QUEUE", work.address.as_bytes()),
            ("QTOP_ATTEMPT", attempt.as_bytes()),
        ];
        let mut relay = Relay::new(room.events.clone());
        let started = tokio::select! {
            biased;
            () = room.cancel.cancelled() => return Ending::Cancelled,
            started = self.program.start(&arguments, folder.path(), &facts, self.input != Input::None) => started,
        };
        let mut ending = match started {
            Ok(started) => self.attend(started, work, &room, &mut relay, folder.path()).await,
            Err(error) => self.program.not_started(&error),
        };
        self.clear(folder, &mut ending, &mut relay).await;
        ending
    }

    fn fill(&self, work: &Work) -> Result<Vec<OsString>, String> {
        let facts = Facts::of(work);
        let fill = |(template, ended): (&Template, &bool)| {
            let bytes = facts.fill(template)?;
            let field = template.fields().next().map(ToString::to_string).unwrap_or_default();
            if bytes.contains(&0) {
                return Err(format!("{field}: an argument cannot hold the NUL in this field of the job"));
            }
            let chosen = matches!(template.parts().first(), Some(template::Part::Field(_)));
            let number = std::str::from_utf8(&bytes).is_ok_and(|text| text.parse::<f64>().is_ok());
            if chosen && !ended && bytes.starts_with(b"-") && !number {
                return Err(format!(
                    "{field}: the program could take this value for an option, because it begins with \"-\"; \
                     put \"--\" before it, or write it behind a name: \"--option={field}\""
                ));
            }
            Ok(OsString::from_vec(bytes))
        };
        self.arguments.iter().zip(&self.ends_options).map(fill).collect()
    }

    /// Feeds the program, listens to it and waits until it has ended, one way or the other.
    async fn attend(
        &self,
        mut started: Started,
        work: &Work,
        room: &Room,
        relay: &mut Relay,
        folder: &std::path::Path,
    ) -> Ending {
        let mut helped = !started.is_itself();
        if !helped {
            drop(room.events.try_send(Event::Started));
        }
        let Started { child, group, .. } = &mut started;
        let line;
        let input: &[u8] = match self.input {
            Input::Json => {
                line = [envelope(work), b"\n".to_vec()].concat();
                &line
            }
            Input::Data => &work.payload,
            Input::None => &[],
        };
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut heard = Heard::default();
        let mut tail: Vec<String> = Vec::new();
        let relay = Mutex::new(relay);
        let (cause, status) = {
            let mut talk = pin!(async {
                tokio::join!(
                    feed(stdin, input),
                    listen(stdout.map(|out| Lines::new(out, self.longest)), work, &relay, &mut heard),
                    complaints(stderr.map(|err| Lines::new(err, 0)), &relay, &mut tail),
                )
            });
            let mut silent = false;
            let mut deadline = pin!(sleep(room.timeout.unwrap_or(FOREVER)));
            let mut surely = pin!(sleep(HELPED));
            let cause = {
                let mut ended = pin!(group.ended(child));
                let cause = loop {
                    tokio::select! {
                        _ = &mut talk, if !silent => silent = true,
                        () = &mut ended => break Cause::Ended,
                        () = &mut surely, if helped => {
                            helped = false;
                            drop(room.events.try_send(Event::Started));
                        }
                        () = &mut deadline => break Cause::TimedOut,
                        () = room.cancel.cancelled() => break Cause::Cancelled,
                    }
                };
                if cause != Cause::Ended {
                    group.terminate();
                    deadline.as_mut().reset(Instant::now() + self.program.kill_after);
                    loop {
                        tokio::select! {
                            _ = &mut talk, if !silent => silent = true,
                            () = &mut ended => break,
                            () = &mut deadline => break,
                        }
                    }
                }
                cause
            };
            let status = group.finish(child).await;
            if !silent && timeout(LAST_WORDS, &mut talk).await.is_err() {
                // Somebody else holds its output: a child that left the group.
                group.kill_escaped(folder);
                drop(timeout(LAST_WORDS, &mut talk).await);
            }
            (cause, status)
        };
        if cause != Cause::Ended {
            group.kill_escaped(folder);
        }
        relay.into_inner().flush().await;
        match cause {
            Cause::Cancelled => Ending::Cancelled,
            Cause::TimedOut => {
                let limit = room.timeout.unwrap_or_default();
                let message = format!("{} took longer than {limit:?} and was ended", self.program.path().display());
                Ending::TimedOut(Failure { message, stack: tail, crashed: false })
            }
            Cause::Ended if started.never_was() => {
                let said = tail.pop().unwrap_or_else(|| format!("{} cannot be started", self.program.path().display()));
                Ending::NotStarted { reason: said }
            }
            Cause::Ended => self.verdict(status, heard, tail),
        }
    }

    fn verdict(&self, status: io::Result<ExitStatus>, heard: Heard, tail: Vec<String>) -> Ending {
        let program = self.program.path().display();
        let status = match status {
            Ok(status) => status,
            Err(error) => {
                let failure = Failure::new(format!("nobody knows how {program} ended: {error}"));
                return Ending::Retry { failure, after: None };
            }
        };
        if let Some(signal) = status.signal() {
            let hint = match signal {
                libc::SIGXCPU => ": it used more processor time than `cpu` allows",
                libc::SIGKILL => ": perhaps the system ran out of memory",
                _ => "",
            };
            let message = format!("{program} was killed by {}{hint}", signal_name(signal));
            return Ending::Retry { failure: Failure { message, stack: tail, crashed: true }, after: None };
        }
        let code = status.code().unwrap_or_default();
        let succeeded = u8::try_from(code).is_ok_and(|code| self.success.contains(&code));
        let code = u16::try_from(code).ok();
        if let Some((message, stack, again)) = heard.failed {
            let stack = if stack.is_empty() { tail } else { stack };
            return self.rules.judge(code, Failure { message, stack, crashed: false }, again);
        }
        if !succeeded {
            let last = tail.last().map(|line| format!(": {line}")).unwrap_or_default();
            let message = format!("{program} ended with exit code {}{last}", code.unwrap_or_default());
            return self.rules.judge(code, Failure { message, stack: tail, crashed: false }, Again::AsConfigured);
        }
        if heard.too_long {
            let message = format!(
                "the answer of {program} is longer than {} bytes; raise max_result, or store it elsewhere and return \
                 where it is",
                self.longest
            );
            return Ending::Failed(Failure::new(message));
        }
        if let Some(line) = heard.unclear.filter(|_| heard.result.is_none()) {
            let message = format!("the answer of {program} cannot be read: {}", first_line(&line, TOLD));
            return self.rules.judge(code, Failure { message, stack: tail, crashed: false }, Again::AsConfigured);
        }
        Ending::Done { result: heard.result }
    }

    /// Removes the working folder, or tells where it is.
    async fn clear(&self, folder: tempfile::TempDir, ending: &mut Ending, relay: &mut Relay) {
        let keep = match self.keep {
            Keep::Never => false,
            // Nothing has been in it.
            _ if matches!(ending, Ending::NotStarted { .. }) => false,
            Keep::OnFailure => !matches!(ending, Ending::Done { .. }),
            Keep::Always => true,
        };
        if keep {
            let path = folder.keep();
            relay.log(format!("the working folder was kept: {}", path.display())).await;
            return;
        }
        // Nearly always there is nothing in it, and then it takes no thread to remove it.
        if std::fs::remove_dir(folder.path()).is_ok() {
            drop(folder.keep());
            return;
        }
        let path = folder.path().to_owned();
        let removed = tokio::task::spawn_blocking(move || folder.close()).await;
        if !matches!(removed, Ok(Ok(()))) {
            tracing::warn!(folder = %path.display(), "the working folder of a job could not be removed");
        }
    }
}

/// Longer than any machine runs.
pub(in super::super) const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Writes the job. A program that does not read it, or ends before, is free to.
async fn feed<W: AsyncWrite + Unpin>(stdin: Option<W>, input: &[u8]) {
    if let Some(mut stdin) = stdin
        && stdin.write_all(input).await.is_ok()
    {
        drop(stdin.shutdown().await);
    }
}

/// Reads standard output to its end.
async fn listen<R: tokio::io::AsyncRead + Unpin>(
    lines: Option<Lines<R>>,
    work: &Work,
    relay: &Mutex<&mut Relay>,
    heard: &mut Heard,
) {
    let Some(mut lines) = lines else { return };
    while let Ok(Some(line)) = lines.next().await {
        match read(&line) {
            Said::Progress(progress) => relay.lock().await.progress(progress),
            Said::Log(text) => relay.lock().await.log(text).await,
            Said::Result { json, damaged, .. } => {
                heard.result = json;
                if damaged {
                    relay.lock().await.log(DAMAGED.to_owned()).await;
                }
            }
            Said::Failed { message, stack, again, .. } => heard.failed = Some((message, stack, again)),
            Said::Ready => {}
            Said::Unclear { id, text } => {
                if id.is_none_or(|id| id.as_bytes() == work.id.as_bytes()) {
                    heard.unclear = Some(text.clone());
                }
                relay.lock().await.output(Stream::Out, text).await;
            }
            Said::Output(text) => {
                heard.too_long |= line.cut && tells_an_end(&line);
                relay.lock().await.output(Stream::Out, text).await;
            }
        }
    }
}

/// Reads standard error to its end and keeps its last lines.
async fn complaints<R: tokio::io::AsyncRead + Unpin>(
    lines: Option<Lines<R>>,
    relay: &Mutex<&mut Relay>,
    tail: &mut Vec<String>,
) {
    let Some(mut lines) = lines else { return };
    while let Ok(Some(line)) = lines.next().await {
        let text = plain(&line);
        if tail.len() == TAIL {
            tail.remove(0);
        }
        tail.push(text.chars().take(1000).collect());
        relay.lock().await.output(Stream::Err, text).await;
    }
}
