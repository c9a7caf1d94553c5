//! `qtop queues`.

use std::time::Duration;

use crate::cli::failure::{Exit, Failure};
use crate::cli::json::Queues;
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::cli::table::{Side, Table};
use crate::domain::alert;
use crate::domain::queue::{Count, Drain, Oldest, QueueSample};
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::StateKind;
use crate::domain::text;

const COLUMNS: [(&str, Side); 13] = [
    ("QUEUE", Side::Left),
    ("WAITING", Side::Right),
    ("ACTIVE", Side::Right),
    ("LATER", Side::Right),
    ("BLOCKED", Side::Right),
    ("COMPLETED", Side::Right),
    ("FAILED", Side::Right),
    ("IN/s", Side::Right),
    ("OUT/s", Side::Right),
    ("OLDEST", Side::Right),
    ("CLEAR", Side::Right),
    ("WORKERS", Side::Right),
    ("CONDITION", Side::Left),
];

/// Prints every queue. `rates`: watch for so long first.
pub async fn run(mut session: Session, json: bool, rates: Option<Duration>, output: &Output) -> Result<Exit, Failure> {
    if let Some(span) = rates {
        session.watch(span).await?;
    }
    let snapshot = session.snapshot();
    if json {
        output.json(&Queues::of(snapshot, &|id| session.address(id), session.is_complete(), rates.is_some()))?;
    } else {
        for warning in &snapshot.warnings {
            output.note(&warning.text);
        }
        if snapshot.queues().next().is_none() {
            output.note("no queues were found");
        }
        output.text(&table(&session, rates.is_some()).print())?;
    }
    Ok(Exit::Good)
}

fn table(session: &Session, rates: bool) -> Table {
    let mut table = Table::new(&COLUMNS);
    for (instance, queue) in session.snapshot().queues() {
        table.row(cells(session, instance, queue, rates));
    }
    table
}

fn cells(session: &Session, instance: &InstanceSample, queue: &QueueSample, rates: bool) -> [String; 13] {
    let kinds = |kinds: &[StateKind]| {
        let sum = kinds.iter().filter_map(|kind| queue.kind(instance.states, *kind)).reduce(Count::plus);
        sum.map_or_else(String::new, exact)
    };
    let rate = |rate: Option<f64>| rate.filter(|_| rates).map_or_else(|| "?".to_owned(), |rate| format!("{rate:.1}"));
    [
        session.address(&queue.id),
        kinds(&[StateKind::Waiting]),
        kinds(&[StateKind::Active]),
        kinds(&[StateKind::Scheduled, StateKind::Retrying]),
        kinds(&[StateKind::Blocked]),
        kinds(&[StateKind::Completed]),
        kinds(&[StateKind::Failed, StateKind::Dead]),
        rate(queue.trend.in_per_s),
        rate(queue.trend.out_per_s),
        match queue.oldest {
            Oldest::Since(since) => text::age(since.age(session.snapshot().taken_at)),
            Oldest::Nothing => String::new(),
            Oldest::Unknown => "?".to_owned(),
        },
        match queue.trend.drain {
            Drain::Empty => String::new(),
            Drain::In(left) if rates => text::age(left),
            Drain::Never { .. } if rates => "never".to_owned(),
            _ => "?".to_owned(),
        },
        queue.workers.alive.map_or_else(|| "?".to_owned(), |alive| alive.to_string()),
        alert::verdict(queue, instance.states).text,
    ]
}

/// A count in full digits, for programs that read columns.
fn exact(count: Count) -> String {
    match count {
        Count::Exact(value) => value.to_string(),
        Count::AtLeast(value) => format!("{value}+"),
        Count::Approx { value, .. } => format!("~{value}"),
        Count::Unknown => "?".to_owned(),
    }
}
