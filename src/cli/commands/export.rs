//! `qtop export`: jobs of one state with their payloads, byte for byte.
//!
//! Read page by page and job by job with a rest as long as the reading took, so a large export is slow rather than
//! heavy. What it writes `qtop import` reads.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::value::RawValue;

use super::jobs::{state_of, wrong_answer};
use crate::cli::address;
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::Row;
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::domain::fetch::{Fetched, Request};
use crate::domain::ids::{JobRef, QueueId};
use crate::domain::job::{Blob, Cursor, Job, JobRow, PageRequest, Search};
use crate::domain::state::StateId;

/// Rows read at a time.
const PAGE: usize = 100;
/// Most bytes of one payload.
const PAYLOAD: u64 = 16 << 20;
/// Bytes of each payload a search looks into.
const SEARCHED_PAYLOAD: u64 = 64 * 1024;

/// `qtop export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// SYSTEM:NAME, SYSTEM@INSTANCE:NAME, or the name if only one queue has it.
    pub queue: String,
    /// A state, in the system's own words.
    #[arg(long)]
    pub state: String,
    /// Only jobs with this text in id, name or error.
    #[arg(long = "match", value_name = "TEXT")]
    pub matching: Option<String>,
    /// With --match: look into payloads too.
    #[arg(long, requires = "matching")]
    pub payloads: bool,
    /// At most so many jobs.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub limit: usize,
    /// How it is written; csv cannot be imported again.
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    pub format: Format,
    /// Into a new file, for its owner only; without it to standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One array.
    Json,
    /// One object a line.
    Ndjson,
    /// A header and one line for each job, for spreadsheets.
    Csv,
}

/// One job as it is written.
#[derive(Serialize)]
struct Exported {
    #[serde(flatten)]
    row: Row,
    queue: String,
    payload: Box<RawValue>,
    payload_encoding: &'static str,
    payload_cut: bool,
}

/// Writes the jobs.
pub async fn run(mut session: Session, args: &ExportArgs, output: &Output) -> Result<Exit, Failure> {
    let queue = address::find(&args.queue, session.snapshot())?;
    let state = state_of(&session, &queue, &args.state)?;
    let mut sink = Sink::open(args, output)?;
    let search = args
        .matching
        .as_ref()
        .map(|text| Search { text: text.clone(), payload_bytes: if args.payloads { SEARCHED_PAYLOAD } else { 0 } });
    let (mut written, mut lost, mut cursor) = (0, 0, None);
    loop {
        let begun = Instant::now();
        let (rows, next) = page(&mut session, &queue, state, search.as_ref(), cursor).await?;
        for row in rows {
            if written == args.limit {
                break;
            }
            let job = JobRef { queue: queue.clone(), id: row.id.clone() };
            let Fetched::Job(found) = session.ask(Request::Job { job, payload_limit: PAYLOAD }).await? else {
                return Err(wrong_answer());
            };
            match found {
                Some(found) => {
                    sink.job(&row, &found, &queue)?;
                    written += 1;
                }
                None => lost += 1,
            }
        }
        cursor = next;
        if cursor.is_none() || written == args.limit {
            break;
        }
        tokio::time::sleep(begun.elapsed()).await;
    }
    sink.end()?;
    let more = if cursor.is_some() { format!("; there are more, see --limit {}", args.limit) } else { String::new() };
    let gone = if lost > 0 { format!("; {lost} were gone before they were read") } else { String::new() };
    output.note(&format!("{written} jobs written{gone}{more}"));
    Ok(Exit::Good)
}

async fn page(
    session: &mut Session,
    queue: &QueueId,
    state: StateId,
    search: Option<&Search>,
    cursor: Option<Cursor>,
) -> Result<(Vec<JobRow>, Option<Cursor>), Failure> {
    let page = PageRequest { cursor, limit: PAGE };
    let queue = queue.clone();
    let request = match search {
        Some(search) => Request::Search { queue, state, search: search.clone(), page },
        None => Request::Jobs { queue, state, page },
    };
    match session.ask(request).await? {
        Fetched::Search(step) => Ok((step.hits, step.next)),
        Fetched::Jobs(page) => Ok((page.rows, page.next)),
        _ => Err(wrong_answer()),
    }
}

/// Where the jobs go.
struct Sink<'a> {
    format: Format,
    file: Option<std::fs::File>,
    output: &'a Output,
    first: bool,
}

impl<'a> Sink<'a> {
    fn open(args: &ExportArgs, output: &'a Output) -> Result<Self, Failure> {
        let file = args.output.as_ref().map(|path| {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt;
                options.mode(0o600);
            }
            options.open(path).map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot create {}: {error}", path.display()))
                    .with_remedy("an export never writes over a file: give another name")
            })
        });
        let sink = Self { format: args.format, file: file.transpose()?, output, first: true };
        Ok(sink)
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        match &mut self.file {
            Some(file) => Ok(file.write_all(text.as_bytes())?),
            None => Ok(self.output.bytes(text.as_bytes())?),
        }
    }

    fn job(&mut self, row: &JobRow, job: &Job, queue: &QueueId) -> Result<(), Failure> {
        let mut row = row.clone();
        row.error = job.error.clone().or(row.error);
        // A list is read from few fields; what the opened job tells besides is worth keeping.
        row.run_at = row.run_at.or(job.row.run_at);
        row.priority = row.priority.or(job.row.priority);
        row.attempts_max = row.attempts_max.or(job.row.attempts_max);
        let (payload, payload_encoding) = exact(&job.payload);
        let exported = Exported {
            row: Row::of(&row),
            queue: queue.full_address(),
            payload_cut: job.payload.is_cut(),
            payload,
            payload_encoding,
        };
        let begins = std::mem::take(&mut self.first);
        let text = match self.format {
            Format::Json => {
                let object = serde_json::to_string(&exported).map_err(std::io::Error::from)?;
                format!("{}{object}", if begins { "[\n" } else { ",\n" })
            }
            Format::Ndjson => format!("{}\n", serde_json::to_string(&exported).map_err(std::io::Error::from)?),
            Format::Csv => csv(&row, &exported, begins),
        };
        self.write(&text)
    }

    fn end(mut self) -> Result<(), Failure> {
        match self.format {
            Format::Json if self.first => self.write("[]\n")?,
            Format::Json => self.write("\n]\n")?,
            _ => {}
        }
        match &self.file {
            Some(file) => Ok(file.sync_all()?),
            None => Ok(()),
        }
    }
}

/// A payload from which its bytes can be had again exactly: as JSON only where that stands on one line and without
/// blanks around it, else as a string, else as base64.
fn exact(blob: &Blob) -> (Box<RawValue>, &'static str) {
    let quoted = |text: &str| {
        let json = serde_json::Value::from(text).to_string();
        RawValue::from_string(json).expect("a string is JSON")
    };
    let Ok(text) = std::str::from_utf8(&blob.bytes) else { return (quoted(&STANDARD.encode(&blob.bytes)), "base64") };
    match serde_json::from_str::<Box<RawValue>>(text) {
        Ok(raw) if raw.get() == text && !text.contains(['\n', '\r']) => (raw, "json"),
        _ => (quoted(text), "text"),
    }
}

fn csv(row: &JobRow, exported: &Exported, begins: bool) -> String {
    let mut line = String::new();
    if begins {
        line.push_str(
            "id,name,state,created_at,finished_at,attempts_made,attempts_max,priority,error,payload_encoding,payload\n",
        );
    }
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    let count = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
    let moment = |at: Option<crate::domain::time::Timestamp>| at.and_then(|at| at.rfc3339()).unwrap_or_default();
    let payload = match exported.payload_encoding {
        "json" => exported.payload.get().to_owned(),
        _ => serde_json::from_str(exported.payload.get()).unwrap_or_default(),
    };
    let cells = [
        row.id.to_text(),
        row.name.clone().unwrap_or_default(),
        row.state.0.to_owned(),
        moment(row.created_at),
        moment(row.finished_at),
        count(row.attempts_made),
        count(row.attempts_max),
        number(row.priority),
        row.error.clone().unwrap_or_default(),
        exported.payload_encoding.to_owned(),
        payload,
    ];
    for (index, cell) in cells.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(line, "{comma}{}", cell_text(cell)).expect("writing to a String cannot fail");
    }
    line.push('\n');
    line
}

/// Quoted as RFC 4180 wants it; what a spreadsheet would take for a formula gets an apostrophe in front.
fn cell_text(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    let guarded = if formula { format!("'{cell}") } else { cell.to_owned() };
    if guarded.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r22_every_payload_can_be_had_again() {
        let table: [(&[u8], &str); 6] = [
            (br#"{"n":18446744073709551616,"a":1,"a":2}"#, "json"),
            (b"{\"a\":\n1}", "text"),
            (b" 1", "text"),
            (b"no json", "text"),
            (b"", "text"),
            (b"\xff\x00", "base64"),
        ];
        for (bytes, encoding) in table {
            let (raw, found) = exact(&Blob::whole(bytes.to_vec()));
            assert_eq!(found, encoding);
            assert_eq!(crate::cli::change::payload(&raw, found).unwrap(), bytes);
        }
    }

    #[test]
    fn cells_are_quoted_and_no_formulas() {
        assert_eq!(cell_text("a\"b,c"), "\"a\"\"b,c\"");
        assert_eq!(cell_text("=1+1"), "'=1+1");
        assert_eq!(cell_text("-5"), "-5");
    }
}
