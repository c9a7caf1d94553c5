//! Columns, declared once: their names in the configuration, titles, widths, and which give way on a narrow screen.

use super::screen::Screen;
use crate::domain::state::StateKind;

/// How a cell lies in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// One column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name in the configuration and for sorting.
    pub name: &'static str,
    /// Heading, upper case.
    pub title: &'static str,
    /// Least width in cells.
    pub width: u16,
    /// Share of the space that is left over; 0: does not grow.
    pub grow: u16,
    /// Columns with a higher number are dropped first when the screen is narrow.
    pub rank: u8,
    /// Alignment.
    pub align: Align,
}

const fn text(name: &'static str, title: &'static str, width: u16, grow: u16, rank: u8) -> Column {
    Column { name, title, width, grow, rank, align: Align::Left }
}

const fn number(name: &'static str, title: &'static str, width: u16, rank: u8) -> Column {
    Column { name, title, width, grow: 0, rank, align: Align::Right }
}

/// Columns of the Queues screen.
pub const QUEUES: &[Column] = &[
    text("system", "SYSTEM", 7, 0, 0),
    text("queue", "QUEUE", 13, 4, 0),
    text("instance", "INSTANCE", 8, 1, 8),
    text("version", "VERSION", 7, 0, 9),
    number("waiting", "WAIT", 6, 0),
    number("active", "ACT", 4, 0),
    number("later", "LATER", 6, 1),
    number("failed", "FAIL", 6, 0),
    number("in", "IN/s", 6, 1),
    number("out", "OUT/s", 6, 1),
    number("failed_rate", "FAIL/s", 6, 5),
    number("oldest", "OLDEST", 6, 1),
    number("drain", "CLEAR", 7, 2),
    number("workers", "WORKERS", 8, 4),
    text("backlog", "BACKLOG", 20, 1, 6),
    text("verdict", "WHY", 20, 3, 7),
];

/// Columns of a queue's job table; [`jobs`] says which of them a state needs.
pub const JOBS: &[Column] = &[
    text("id", "ID", 10, 1, 0),
    text("name", "NAME", 12, 2, 0),
    text("progress", "PROGRESS", 16, 1, 2),
    number("attempts", "TRY", 5, 1),
    number("due", "DUE", 7, 0),
    number("ended", "ENDED", 7, 0),
    number("age", "AGE", 7, 0),
    number("wait", "WAIT", 7, 5),
    number("run", "RUN", 7, 3),
    text("worker", "WORKER", 10, 1, 4),
    number("priority", "PRIO", 5, 7),
    number("size", "SIZE", 8, 6),
    text("error", "ERROR", 30, 4, 0),
];

/// Every table by its name in the configuration (`[ui.columns]`).
pub const TABLES: [(&str, &[Column]); 7] = [
    ("queues", QUEUES),
    ("jobs", JOBS),
    ("running", RUNNING),
    ("failures", FAILURES),
    ("failure_jobs", FAILURE_JOBS),
    ("workers", WORKERS),
    ("scheduled", SCHEDULED),
];

/// The table of a screen, by its name; a group of failures shows its jobs when it is `open`.
pub fn table_of(screen: &Screen, open: bool) -> Option<&'static str> {
    match screen {
        Screen::Queues => Some("queues"),
        Screen::Queue(_) => Some("jobs"),
        Screen::Running => Some("running"),
        Screen::Failures if open => Some("failure_jobs"),
        Screen::Failures => Some("failures"),
        Screen::Workers => Some("workers"),
        Screen::Scheduled => Some("scheduled"),
        Screen::Job(_) | Screen::Runner | Screen::Server | Screen::Logs => None,
    }
}

/// All columns of a table; none if there is no such table.
pub fn all(table: &str) -> &'static [Column] {
    TABLES.iter().find(|(name, _)| *name == table).map_or(&[], |(_, columns)| columns)
}

/// The columns that say something about jobs in a state of this kind.
pub fn jobs(kind: StateKind) -> impl Iterator<Item = &'static Column> {
    let names: &[&str] = match kind {
        StateKind::Waiting => &["id", "name", "attempts", "age", "priority", "size"],
        // Whatever it is; the screen leaves out what none of its rows knows.
        StateKind::Other => &["id", "name", "attempts", "age", "worker", "priority", "size"],
        StateKind::Active => {
            &["id", "name", "progress", "attempts", "age", "wait", "run", "worker", "priority", "size"]
        }
        StateKind::Scheduled => &["id", "name", "due", "attempts", "age", "priority", "size"],
        StateKind::Retrying => &["id", "name", "due", "attempts", "age", "error"],
        StateKind::Blocked => &["id", "name", "age", "priority", "size"],
        StateKind::Completed => &["id", "name", "attempts", "ended", "wait", "run", "worker", "size"],
        StateKind::Failed | StateKind::Dead | StateKind::Cancelled => {
            &["id", "name", "attempts", "ended", "run", "worker", "size", "error"]
        }
    };
    JOBS.iter().filter(move |column| names.contains(&column.name))
}

/// Columns of the Running screen.
pub const RUNNING: &[Column] = &[
    text("queue", "QUEUE", 12, 1, 0),
    text("id", "JOB", 10, 1, 0),
    text("name", "NAME", 12, 2, 1),
    text("progress", "PROGRESS", 24, 2, 0),
    number("run", "RUN", 7, 0),
    number("lock", "LOCK", 6, 3),
    text("worker", "WORKER", 10, 1, 2),
];

/// Columns of the Workers screen.
pub const WORKERS: &[Column] = &[
    text("system", "SYSTEM", 8, 0, 1),
    text("name", "WORKER", 16, 2, 0),
    text("state", "STATE", 10, 0, 0),
    number("heartbeat", "BEAT", 6, 0),
    text("queues", "QUEUES", 14, 2, 2),
    text("running", "RUNS NOW", 14, 2, 0),
    text("host", "HOST", 12, 1, 5),
    number("pid", "PID", 7, 6),
    text("evidence", "KNOWN FROM", 14, 1, 7),
];

/// Columns of the Failures screen.
pub const FAILURES: &[Column] = &[
    number("count", "COUNT", 6, 0),
    number("last", "LAST", 6, 0),
    number("first", "FIRST", 6, 1),
    text("queues", "QUEUES", 14, 1, 0),
    text("error", "ERROR", 24, 5, 0),
];

/// Columns of the jobs of one group of failures.
pub const FAILURE_JOBS: &[Column] = &[
    text("queue", "QUEUE", 12, 1, 0),
    text("id", "JOB", 10, 1, 0),
    text("name", "NAME", 12, 2, 1),
    number("ended", "ENDED", 7, 0),
    number("attempts", "TRY", 5, 2),
    number("run", "RUN", 7, 4),
    text("error", "ERROR", 20, 5, 0),
];

/// Columns of the Scheduled screen.
pub const SCHEDULED: &[Column] = &[
    number("next", "NEXT", 8, 0),
    text("queue", "QUEUE", 14, 1, 0),
    text("kind", "KIND", 8, 0, 1),
    text("id", "ID", 12, 1, 0),
    text("name", "NAME", 12, 1, 1),
    text("rule", "RULE", 16, 2, 2),
    number("fired", "FIRED", 6, 4),
    text("note", "NOTE", 12, 2, 5),
];

/// Columns of the Runner screen. A job stands in the column of its pool, and its progress in that of the state.
pub const RUNNER: &[Column] = &[
    text("pool", "POOL", 22, 2, 0),
    number("slots", "SLOTS", 6, 0),
    number("done", "DONE", 7, 0),
    number("retried", "RETRY", 6, 1),
    number("failed", "FAIL", 5, 0),
    number("cancelled", "CANCEL", 6, 6),
    number("lost", "LOST", 5, 4),
    number("rate", "DONE/s", 6, 3),
    number("run", "P50", 6, 0),
    number("run99", "P99", 6, 1),
    number("wait", "WAIT50", 6, 4),
    number("wait99", "WAIT99", 6, 5),
    text("state", "STATE", 17, 3, 0),
    text("handler", "RUNS", 16, 2, 5),
];
