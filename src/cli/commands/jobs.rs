//! `qtop jobs`.

use crate::cli::address;
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::{Jobs, Row};
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::cli::table::{Side, Table};
use crate::domain::fetch::{Fetched, Request};
use crate::domain::ids::QueueId;
use crate::domain::job::{Cursor, JobRow, PageRequest, Search};
use crate::domain::snapshot::Snapshot;
use crate::domain::state::{StateId, StateSpec};
use crate::domain::text;

/// Rows asked for at a time (P3 allows 500).
const PAGE: usize = 200;
/// Bytes of each payload a search looks into.
const SEARCHED_PAYLOAD: u64 = 64 * 1024;

/// What to list.
pub struct Wanted {
    /// The state's name as it was typed.
    pub state: String,
    /// Text to look for.
    pub matching: Option<String>,
    /// Look into payloads too.
    pub payloads: bool,
    /// At most so many jobs.
    pub limit: usize,
    /// Where to begin.
    pub cursor: Option<String>,
}

/// Prints the jobs of a state.
pub async fn run(
    mut session: Session,
    queue: &str,
    wanted: Wanted,
    json: bool,
    output: &Output,
) -> Result<Exit, Failure> {
    let queue = address::find(queue, session.snapshot())?;
    let state = state_of(&session, &queue, &wanted.state)?;
    let found = match &wanted.matching {
        None => list(&mut session, &queue, state, &wanted).await?,
        Some(text) => search(&mut session, &queue, state, text, &wanted).await?,
    };
    let snapshot = session.snapshot();
    if json {
        output.json(&Jobs {
            queue: session.address(&queue),
            state: state.0.to_owned(),
            total: found.total,
            next_cursor: found.next.map(|cursor| cursor.0),
            scanned: found.scanned,
            jobs: found.rows.iter().map(Row::of).collect(),
        })?;
        return Ok(Exit::Good);
    }
    output.text(&table(snapshot, &found.rows).print())?;
    if let Some(scanned) = found.scanned {
        let of = found.total.map_or_else(String::new, |total| format!(" of {total}"));
        output.note(&format!("scanned {scanned}{of}"));
    }
    if let Some(cursor) = found.next {
        let total = found.total.map_or_else(String::new, |total| format!(" of {total}"));
        output.note(&format!("{} shown{total}; more with --cursor {}", found.rows.len(), cursor.0));
    }
    Ok(Exit::Good)
}

struct Found {
    rows: Vec<JobRow>,
    next: Option<Cursor>,
    total: Option<u64>,
    scanned: Option<u64>,
}

async fn list(session: &mut Session, queue: &QueueId, state: StateId, wanted: &Wanted) -> Result<Found, Failure> {
    let mut found = Found { rows: Vec::new(), next: wanted.cursor.clone().map(Cursor), total: None, scanned: None };
    loop {
        let limit = wanted.limit.saturating_sub(found.rows.len()).min(PAGE);
        if limit == 0 {
            return Ok(found);
        }
        let page = PageRequest { cursor: found.next.take(), limit };
        let Fetched::Jobs(page) = session.ask(Request::Jobs { queue: queue.clone(), state, page }).await? else {
            return Err(wrong_answer());
        };
        found.rows.extend(page.rows);
        found.total = page.total.or(found.total);
        found.next = page.next;
        if found.next.is_none() {
            return Ok(found);
        }
    }
}

async fn search(
    session: &mut Session,
    queue: &QueueId,
    state: StateId,
    text: &str,
    wanted: &Wanted,
) -> Result<Found, Failure> {
    let search = Search { text: text.to_owned(), payload_bytes: if wanted.payloads { SEARCHED_PAYLOAD } else { 0 } };
    let mut found = Found { rows: Vec::new(), next: wanted.cursor.clone().map(Cursor), total: None, scanned: Some(0) };
    loop {
        let page = PageRequest { cursor: found.next.take(), limit: PAGE };
        let request = Request::Search { queue: queue.clone(), state, search: search.clone(), page };
        let Fetched::Search(step) = session.ask(request).await? else { return Err(wrong_answer()) };
        found.rows.extend(step.hits);
        found.total = step.total.or(found.total);
        found.scanned = found.scanned.map(|scanned| scanned + step.scanned);
        found.next = step.next;
        // A step is never cut: its cursor stands behind all of it.
        if found.next.is_none() || found.rows.len() >= wanted.limit {
            return Ok(found);
        }
    }
}

/// An answer to another question than the one that was asked.
pub fn wrong_answer() -> Failure {
    Failure::new(Exit::Refused, "the fetcher gave an answer of the wrong kind (a bug)")
}

/// The state a person means: its own word, whatever the case, or the common word if only one state has it.
pub fn state_of(session: &Session, queue: &QueueId, text: &str) -> Result<StateId, Failure> {
    let states: &[StateSpec] = session.snapshot().queue(queue).map_or(&[], |(instance, _)| instance.states);
    if let Some(state) = states.iter().find(|state| state.id.0.eq_ignore_ascii_case(text)) {
        return Ok(state.id);
    }
    let same_kind: Vec<_> = states.iter().filter(|state| state.kind.word().eq_ignore_ascii_case(text)).collect();
    if let [state] = same_kind.as_slice() {
        return Ok(state.id);
    }
    let names: Vec<&str> = states.iter().map(|state| state.id.0).collect();
    Err(Failure::new(Exit::Usage, format!("{} has no state {text}", session.address(queue)))
        .with_remedy(format!("its states are: {}", names.join(", "))))
}

fn table(snapshot: &Snapshot, rows: &[JobRow]) -> Table {
    let mut table = Table::new(&[
        ("ID", Side::Left),
        ("NAME", Side::Left),
        ("PROGRESS", Side::Right),
        ("TRY", Side::Right),
        ("AGE", Side::Right),
        ("RUN", Side::Right),
        ("WORKER", Side::Left),
        ("SIZE", Side::Right),
        ("ERROR", Side::Left),
    ]);
    let now = snapshot.taken_at;
    for row in rows {
        let attempts = match (row.attempts_made, row.attempts_max) {
            (Some(made), Some(max)) => format!("{made}/{max}"),
            (Some(made), None) => made.to_string(),
            _ => String::new(),
        };
        table.row([
            row.id.to_text(),
            row.name.clone().unwrap_or_default(),
            row.progress.as_ref().and_then(|progress| progress.percent).map(text::percent).unwrap_or_default(),
            attempts,
            row.created_at.map(|at| text::age(at.age(now))).unwrap_or_default(),
            row.ran(now).map(text::span).unwrap_or_default(),
            row.worker.clone().unwrap_or_default(),
            row.payload_bytes.map(text::size).unwrap_or_default(),
            row.error.clone().unwrap_or_default(),
        ]);
    }
    table
}
