//! `qtop workers` and `qtop failures`.

use crate::cli::commands::jobs::wrong_answer;
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::{Failures, Workers};
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::cli::table::{Side, Table};
use crate::domain::fetch::{Fetched, Request};
use crate::domain::ids::QueueId;
use crate::domain::text;

/// Prints the workers. `confirmed`: ask for the list of clients whatever their number.
pub async fn workers(mut session: Session, json: bool, confirmed: bool, output: &Output) -> Result<Exit, Failure> {
    let Fetched::Workers(report) = session.ask(Request::Workers { confirmed }).await? else {
        return Err(wrong_answer());
    };
    if json {
        output.json(&Workers::of(&|id| session.address(id), &report))?;
        return Ok(Exit::Good);
    }
    for note in &report.notes {
        output.note(note);
    }
    let mut table = Table::new(&[
        ("SYSTEM", Side::Left),
        ("WORKER", Side::Left),
        ("STATE", Side::Left),
        ("SEEN", Side::Right),
        ("RUNNING", Side::Right),
        ("HOST", Side::Left),
        ("PID", Side::Right),
        ("QUEUES", Side::Left),
        ("KNOWN FROM", Side::Left),
    ]);
    for worker in &report.workers {
        let queues: Vec<String> = worker.queues.iter().map(ToString::to_string).collect();
        table.row([
            worker.instance.system.to_owned(),
            worker.name.to_text(),
            worker.word().to_owned(),
            worker.heartbeat.map(|age| format!("{} ago", text::age(age))).unwrap_or_default(),
            worker.slots().unwrap_or_else(|| worker.running.len().to_string()),
            worker.host.clone().unwrap_or_default(),
            worker.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            queues.join(" "),
            worker.evidence.clone(),
        ]);
    }
    output.text(&table.print())?;
    Ok(Exit::Good)
}

/// Prints failures grouped by their cause.
pub async fn failures(mut session: Session, json: bool, window: usize, output: &Output) -> Result<Exit, Failure> {
    let Fetched::Failures(report) = session.ask(Request::Failures { window }).await? else {
        return Err(wrong_answer());
    };
    let snapshot = session.snapshot();
    if json {
        output.json(&Failures::of(&|id| session.address(id), &report))?;
        return Ok(Exit::Good);
    }
    for (queue, reason) in &report.failed {
        output.note(&format!("{} could not be read: {reason}", session.address(queue)));
    }
    let of = report.total.map_or_else(String::new, |total| format!(" of {total}"));
    output.note(&format!("looked at {}{of} failed jobs, the newest {} of each queue", report.looked_at, report.window));
    let mut table = Table::new(&[
        ("COUNT", Side::Right),
        ("LAST", Side::Right),
        ("FIRST", Side::Right),
        ("QUEUES", Side::Left),
        ("ERROR", Side::Left),
        ("SAMPLE", Side::Left),
    ]);
    let ago = |at: Option<crate::domain::time::Timestamp>| {
        at.map(|at| text::age(at.age(snapshot.taken_at))).unwrap_or_default()
    };
    for group in &report.groups {
        let queues: Vec<&QueueId> = group.queues.iter().map(|(queue, _)| queue).collect();
        let first = queues.first().map(|queue| session.address(queue)).unwrap_or_default();
        let more = if queues.len() > 1 { format!(" +{}", queues.len() - 1) } else { String::new() };
        table.row([
            group.count.to_string(),
            ago(group.last_seen),
            ago(group.first_seen),
            format!("{first}{more}"),
            group.fingerprint.clone(),
            group.sample.id.to_text(),
        ]);
    }
    output.text(&table.print())?;
    Ok(Exit::Good)
}
