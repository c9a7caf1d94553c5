//! What a program writes: lines, some of which are meant for qtop. The protocol is told in assets/handlers/README.md.

mod answer;

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::domain::job::Progress;
use crate::domain::text;

pub(super) use answer::tells_an_end;

/// Longest line of plain output that is kept, in bytes.
const LONGEST_OUTPUT: usize = 8 << 10;

/// What is said of a result that was no UTF-8.
pub(super) const DAMAGED: &str = "the result held bytes that are no UTF-8; each was replaced by U+FFFD";

/// One line of a stream, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) bytes: Bytes,
    /// The end was cut off: it was too long.
    pub(super) cut: bool,
}

/// Cuts a stream into lines at `\n` and `\r`, in bounded memory. Reading on after a dropped [`Lines::next`] loses nothing.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    /// Bytes of the buffer that hold no line end.
    seen: usize,
    /// Inside a line of which the beginning was handed out already.
    skipping: bool,
    /// Longest line that is meant for qtop.
    longest: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, longest: usize) -> Self {
        Self { reader, buffer: BytesMut::new(), seen: 0, skipping: false, longest: longest.max(LONGEST_OUTPUT) }
    }

    /// The next line that is not empty; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(Some(line));
            }
            self.buffer.reserve(LONGEST_OUTPUT);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                let rest = self.buffer.split().freeze();
                self.seen = 0;
                let whole = !std::mem::take(&mut self.skipping) && !rest.is_empty();
                return Ok(whole.then(|| self.limited(rest)));
            }
        }
    }

    /// A line that is here already.
    fn buffered(&mut self) -> Option<Line> {
        loop {
            let end = self.buffer[self.seen..].iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let Some(end) = end.map(|end| self.seen + end) else {
                self.seen = self.buffer.len();
                if self.skipping {
                    self.buffer.clear();
                    self.seen = 0;
                } else if self.seen > limit(&self.buffer, self.longest) {
                    self.skipping = true;
                    self.seen = 0;
                    let head = self.buffer.split().freeze();
                    return Some(self.limited(head));
                }
                return None;
            };
            let line = self.buffer.split_to(end).freeze();
            self.buffer.advance(1);
            self.seen = 0;
            if !std::mem::take(&mut self.skipping) && !line.is_empty() {
                return Some(self.limited(line));
            }
        }
    }

    fn limited(&self, line: Bytes) -> Line {
        let limit = limit(&line, self.longest);
        match line.len() > limit {
            true => Line { bytes: line.slice(..limit), cut: true },
            false => Line { bytes: line, cut: false },
        }
    }
}

/// How much of a line is kept: results may be long, chatter may not.
fn limit(line: &[u8], longest: usize) -> usize {
    if line.starts_with(b"::") || line.starts_with(b"{") { longest } else { LONGEST_OUTPUT }
}

/// What a line of standard output means.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Progress(Progress),
    Log(String),
    /// The end of the job, by its own account; JSON.
    Result {
        id: Option<String>,
        json: Option<Bytes>,
        /// It was no UTF-8, and what could not be read was replaced.
        damaged: bool,
    },
    /// The job says that it failed.
    Failed {
        id: Option<String>,
        message: String,
        stack: Vec<String>,
        again: Again,
    },
    /// A process is ready for its first job.
    Ready,
    /// Meant to tell how a job ended, and not to be understood.
    Unclear {
        id: Option<String>,
        text: String,
    },
    /// None of these.
    Output(String),
}

/// What a job that failed wants to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Again {
    /// What the configuration says.
    #[default]
    AsConfigured,
    /// Try again, after so long if it says so.
    Yes(Option<Duration>),
    /// Do not.
    Never,
}

/// Reads a line of standard output.
pub(super) fn read(line: &Line) -> Said {
    let text = String::from_utf8_lossy(&line.bytes);
    let is_json = text.starts_with('{') && !line.cut;
    let meant = match text.strip_prefix("::") {
        _ if line.cut => None,
        Some(rest) => directive(rest),
        None if is_json => serde_json::from_str::<JsonLine<'_>>(&text).ok().and_then(JsonLine::meaning),
        None => None,
    };
    match meant {
        Some(Said::Result { id, json, .. }) => Said::Result { id, json, damaged: matches!(text, Cow::Owned(_)) },
        Some(said) => said,
        None if is_json => match answer::unclear(&text) {
            Some(id) => Said::Unclear { id, text: plain(line) },
            None => Said::Output(plain(line)),
        },
        None => Said::Output(plain(line)),
    }
}

fn directive(rest: &str) -> Option<Said> {
    let (word, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let value = value.trim();
    let failed = |message: &str, again| {
        let message = if message.is_empty() { "the job gave up without a word" } else { message };
        Some(Said::Failed { id: None, message: message.to_owned(), stack: Vec::new(), again })
    };
    match word {
        "progress" => progress(value).map(Said::Progress),
        "log" => Some(Said::Log(value.to_owned())),
        "result" => Some(Said::Result { id: None, json: Some(as_result(value)), damaged: false }),
        "done" if value.is_empty() => Some(Said::Result { id: None, json: None, damaged: false }),
        "error" => failed(value, Again::AsConfigured),
        "fail" => failed(value, Again::Never),
        "retry" => {
            let (first, message) = value.split_once(' ').unwrap_or((value, ""));
            match time(first) {
                Some(after) => failed(message.trim(), Again::Yes(Some(after))),
                None => failed(value, Again::Yes(None)),
            }
        }
        "ready" if value.is_empty() => Some(Said::Ready),
        _ => None,
    }
}

/// `40`, `40%`, `40.5 words` or `3/10 words`.
fn progress(value: &str) -> Option<Progress> {
    let (figure, words) = value.split_once(' ').unwrap_or((value, ""));
    let text = Some(words.trim()).filter(|words| !words.is_empty()).map(str::to_owned);
    if let Some((step, total)) = figure.split_once('/') {
        return Some(steps(step.parse().ok()?, Some(total.parse().ok()?), text));
    }
    let percent = figure.trim_end_matches('%').parse::<f64>().ok().and_then(share)?;
    Some(Progress { percent: Some(percent), text, ..Progress::default() })
}

fn steps(step: u64, total: Option<u64>, text: Option<String>) -> Progress {
    let percent = total.filter(|total| *total > 0).map(|total| (step as f64 / total as f64 * 100.0).min(100.0));
    Progress { percent, step: Some(step), total, text }
}

fn share(percent: f64) -> Option<f64> {
    percent.is_finite().then(|| percent.clamp(0.0, 100.0))
}

fn time(text: &str) -> Option<Duration> {
    let span: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(span).ok()
}

/// A result as JSON: taken as it is if it is JSON, as a text otherwise.
fn as_result(value: &str) -> Bytes {
    match serde_json::from_str::<&RawValue>(value) {
        Ok(_) => Bytes::copy_from_slice(value.as_bytes()),
        Err(_) => Bytes::from(serde_json::Value::from(value).to_string()),
    }
}

/// The same words as JSON. A line with any other name in it is output; values of another kind than they should be are
/// read as far as they can be, because an end that was told must not be overheard.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine<'a> {
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    progress: Option<&'a RawValue>,
    #[serde(default, borrow)]
    step: Option<&'a RawValue>,
    #[serde(default, borrow)]
    total: Option<&'a RawValue>,
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
    #[serde(default, borrow)]
    log: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    done: Option<&'a RawValue>,
    #[serde(default, borrow)]
    ready: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    stack: Option<&'a RawValue>,
    #[serde(default, borrow)]
    retry: Option<&'a RawValue>,
}

/// Tells `"result": null` from no result.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A stack trace as one text or as lines.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stack {
    Text(String),
    Lines(Vec<String>),
}

impl JsonLine<'_> {
    fn meaning(self) -> Option<Said> {
        let id = self.id.map(as_text);
        let text = |raw: Option<&RawValue>| serde_json::from_str::<String>(raw?.get()).ok();
        let number = |raw: Option<&RawValue>| raw?.get().parse::<u64>().ok();
        let holds = |raw: Option<&RawValue>| raw.is_some_and(|raw| raw.get() == "true");
        if let Some(message) = self.error.filter(|raw| raw.get() != "false") {
            let stack = match self.stack.and_then(|raw| serde_json::from_str(raw.get()).ok()) {
                Some(Stack::Text(text)) => text.lines().map(str::to_owned).collect(),
                Some(Stack::Lines(lines)) => lines,
                None => Vec::new(),
            };
            let again = self.retry.and_then(|raw| again(raw.get())).unwrap_or_default();
            return Some(Said::Failed { id, message: as_text(message), stack, again });
        }
        if let Some(raw) = self.result {
            let json = Some(Bytes::copy_from_slice(raw.get().as_bytes()));
            return Some(Said::Result { id, json, damaged: false });
        }
        if holds(self.done) {
            return Some(Said::Result { id, json: None, damaged: false });
        }
        if let Some(line) = text(self.log) {
            return Some(Said::Log(line));
        }
        if holds(self.ready) {
            return Some(Said::Ready);
        }
        let percent = self.progress.map(|raw| raw.get().parse::<f64>()).transpose().ok()?;
        let (step, total) = (number(self.step), number(self.total));
        let text = text(self.step).or_else(|| text(self.text));
        match (percent, step) {
            (Some(percent), step) => Some(Said::Progress(Progress { percent: share(percent), step, total, text })),
            (None, Some(step)) => Some(Said::Progress(steps(step, total, text))),
            (None, None) => None,
        }
    }
}

/// A text as it is meant, anything else as it is written.
fn as_text(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}

/// `true`, `false`, seconds, or a time such as `"30s"`.
fn again(raw: &str) -> Option<Again> {
    match raw {
        "true" => Some(Again::Yes(None)),
        "false" => Some(Again::Never),
        "null" => Some(Again::AsConfigured),
        _ => {
            let seconds = raw.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let written = || time(&serde_json::from_str::<String>(raw).ok()?);
            seconds.or_else(written).map(|after| Again::Yes(Some(after)))
        }
    }
}

/// A line as it can be shown: colours and cursor movements taken out, everything else harmless (S3).
pub(super) fn plain(line: &Line) -> String {
    let text = without_escapes(&String::from_utf8_lossy(&line.bytes));
    let mut shown = text::lines(&text).next().map(Cow::into_owned).unwrap_or_default();
    if line.cut {
        shown.push_str(" … (cut)");
    }
    shown
}

/// Takes out terminal sequences: `ESC [ … letter`, `ESC ] … BEL`, and the other kinds of them.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let kind = match c {
            '\x1b' => chars.next(),
            '\u{9b}' => Some('['),
            c => {
                out.push(c);
                continue;
            }
        };
        match kind {
            Some('[') => {
                // Parameters, then one final character.
                for c in chars.by_ref() {
                    if ('@'..='~').contains(&c) {
                        break;
                    }
                }
            }
            Some(']' | 'P' | 'X' | '^' | '_') => {
                // A text up to BEL or ESC \.
                while let Some(c) = chars.next() {
                    if c == '\x07' || (c == '\x1b' && chars.next_if_eq(&'\\').is_some()) {
                        break;
                    }
                }
            }
            Some(' '..='/') => drop(chars.next()),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests;
