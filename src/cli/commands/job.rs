//! `qtop job`.

use crate::cli::address;
use crate::cli::commands::jobs::wrong_answer;
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::JobShape;
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::domain::fetch::{Fetched, Request};
use crate::domain::ids::JobRef;
use crate::domain::job::{Blob, Job, Relative};
use crate::domain::payload::{Folds, Format, Limits, Payload};
use crate::domain::snapshot::Snapshot;
use crate::domain::text;
use crate::domain::time::Timestamp;

/// Values of one payload that are printed for people; `--json` has all.
const MOST_LINES: usize = 2_000;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// Everything.
    Json,
    /// The payload's bytes alone.
    Raw,
}

impl Form {
    /// From the two switches, which exclude each other.
    pub fn of(json: bool, raw: bool) -> Self {
        match (json, raw) {
            (_, true) => Self::Raw,
            (true, false) => Self::Json,
            (false, false) => Self::Text,
        }
    }
}

/// Prints one job.
pub async fn run(
    mut session: Session,
    queue: &str,
    id: &str,
    form: Form,
    payload_limit: u64,
    output: &Output,
) -> Result<Exit, Failure> {
    let queue = address::find(queue, session.snapshot())?;
    let job = JobRef { queue: queue.clone(), id: id.into() };
    let Fetched::Job(found) = session.ask(Request::Job { job, payload_limit }).await? else {
        return Err(wrong_answer());
    };
    let snapshot = session.snapshot();
    let Some(job) = found else {
        return Err(Failure::new(Exit::Refused, format!("{} has no job {id}", session.address(&queue))));
    };
    match form {
        Form::Json => output.json(&JobShape::of(&|id| session.address(id), &queue, &job))?,
        Form::Text => output.text(&lines(snapshot, &session.address(&queue), &job))?,
        Form::Raw => {
            output.bytes(&job.payload.bytes)?;
            if job.payload.is_cut() {
                let (read, total) = (job.payload.bytes.len(), job.payload.total);
                output.note(&format!("only {read} of {total} bytes were read; see --payload-limit"));
            }
        }
    }
    Ok(Exit::Good)
}

fn lines(snapshot: &Snapshot, address: &str, job: &Job) -> String {
    let mut out = Lines(String::new());
    let row = &job.row;
    out.fact("queue", Some(address.to_owned()));
    out.fact("id", Some(row.id.to_text()));
    out.fact("name", row.name.clone());
    out.fact("state", Some(row.state.to_string()));
    out.fact(
        "progress",
        row.progress.as_ref().map(|progress| {
            let percent = progress.percent.map(text::percent);
            let steps = progress.step.map(|step| match progress.total {
                Some(total) => format!("{step}/{total}"),
                None => step.to_string(),
            });
            [percent, steps, progress.text.clone()].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }),
    );
    out.fact(
        "attempts",
        row.attempts_made.map(|made| match row.attempts_max {
            Some(max) => format!("{made} of {max}"),
            None => made.to_string(),
        }),
    );
    out.fact("priority", row.priority.map(|priority| priority.to_string()));
    for (label, at) in [
        ("created", row.created_at),
        ("runs at", row.run_at),
        ("started", row.started_at),
        ("finished", row.finished_at),
    ] {
        out.fact(label, at.map(|at| moment(at, snapshot.taken_at)));
    }
    out.fact("worker", row.worker.clone());
    out.fact(
        "lock",
        row.lease.as_ref().map(|lease| lease.left.map_or_else(|| "held without an end".to_owned(), text::span)),
    );
    for (label, value) in &job.facts {
        out.fact(label, Some(value.clone()));
    }
    out.fact("parent", job.parent.as_ref().map(relative));
    for child in &job.children {
        out.fact("child", Some(relative(child)));
    }
    for key in &job.keys {
        out.fact("key", Some(format!("{} ({})", key.key, key.kind)));
    }
    out.block("error", job.error.as_deref());
    out.block("stack", Some(job.stack.join("\n\n").as_str()));
    out.block("options", job.options.as_ref().map(shown).as_deref());
    out.block("payload", Some(&shown(&job.payload)));
    out.block("result", job.result.as_ref().map(shown).as_deref());
    out.block("logs", Some(job.logs.join("\n").as_str()));
    out.0
}

struct Lines(String);

impl Lines {
    fn fact(&mut self, label: &str, value: Option<String>) {
        if let Some(value) = value {
            self.0.push_str(&format!("{label:<10} {}\n", text::harmless(&value)));
        }
    }

    fn block(&mut self, label: &str, body: Option<&str>) {
        let Some(body) = body.filter(|body| !body.is_empty()) else { return };
        self.0.push_str(&format!("\n{label}\n"));
        for line in text::lines(body) {
            self.0.push_str(&format!("  {line}\n"));
        }
    }
}

fn moment(at: Timestamp, now: Timestamp) -> String {
    let written = at.rfc3339().unwrap_or_else(|| at.0.to_string());
    if at > now {
        format!("{written} (in {})", text::age(at.until(now)))
    } else {
        format!("{written} ({} ago)", text::age(at.age(now)))
    }
}

fn relative(relative: &Relative) -> String {
    let state = relative.state.as_ref().map_or_else(String::new, |state| format!(" ({state})"));
    format!("{}{state}", relative.label)
}

/// Text as it is; what Python or MessagePack wrote as its values; other bytes as hexadecimal escapes.
fn shown(blob: &Blob) -> String {
    let payload = Payload::read(blob, &Limits::default());
    let packed = matches!(payload.format, Format::Msgpack | Format::Pickle);
    if let Some(tree) = payload.tree.as_ref().filter(|_| packed) {
        let folds = Folds::open_to(usize::MAX);
        let lines = tree.lines(&folds).map(|line| {
            let key = line.key.map(|key| format!("{key}: ")).unwrap_or_default();
            format!("{}{key}{}", "  ".repeat(line.depth), line.text)
        });
        let cut = payload.cut.then(|| format!("… {} of {} bytes", blob.bytes.len(), blob.total));
        return lines.take(MOST_LINES).chain(cut).collect::<Vec<_>>().join("\n");
    }
    let mut shown = match std::str::from_utf8(&blob.bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => text::harmless_bytes(&blob.bytes).into_owned(),
    };
    if blob.is_cut() {
        shown.push_str(&format!("\n… {} of {} bytes", blob.bytes.len(), blob.total));
    }
    shown
}
