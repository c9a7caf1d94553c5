//! What the rows of each list say in their columns.

use std::time::Duration;

use super::seconds_since;
use crate::app::filter::{Cell, Cells};
use crate::domain::fetch::{FailureGroup, QueuedRow, ScheduledItem, ScheduledRow};
use crate::domain::job::{JobRow, Lease};
use crate::domain::time::Timestamp;
use crate::domain::worker::Worker;

pub(super) struct JobCells<'a> {
    pub(super) row: &'a JobRow,
    pub(super) now: Timestamp,
}

impl Cells for JobCells<'_> {
    fn cell(&self, column: &str) -> Cell {
        let Self { row, now } = *self;
        match column {
            "id" => Cell::Text(row.id.to_text()),
            "name" => Cell::text(row.name.as_deref()),
            "progress" => Cell::number(row.progress.as_ref().and_then(|progress| progress.percent)),
            "attempts" => Cell::number(row.attempts_made.map(|made| made as f64)),
            "age" => Cell::number(seconds_since(row.created_at, now)),
            "due" => Cell::number(seconds_since(row.run_at, now).map(|since| -since)),
            "ended" => Cell::number(seconds_since(row.finished_at, now)),
            "wait" => seconds(row.waited(now)),
            "run" => seconds(row.ran(now)),
            "worker" => Cell::text(row.worker.as_deref()),
            "priority" => Cell::number(row.priority.map(|priority| priority as f64)),
            "size" => Cell::number(row.payload_bytes.map(|bytes| bytes as f64)),
            "error" => Cell::text(row.error.as_deref()),
            "lock" => seconds(row.lease.as_ref().and_then(|Lease { left, .. }| *left)),
            _ => Cell::Unknown,
        }
    }
}

pub(super) struct RunningCells<'a> {
    pub(super) row: &'a QueuedRow,
    pub(super) now: Timestamp,
}

impl Cells for RunningCells<'_> {
    fn cell(&self, column: &str) -> Cell {
        match column {
            "system" => Cell::Text(self.row.queue.instance.system.to_owned()),
            "queue" => Cell::Text(self.row.queue.name.to_text()),
            other => JobCells { row: &self.row.row, now: self.now }.cell(other),
        }
    }
}

pub(super) struct FailureCells<'a> {
    pub(super) group: &'a FailureGroup,
    pub(super) now: Timestamp,
}

impl Cells for FailureCells<'_> {
    fn cell(&self, column: &str) -> Cell {
        let Self { group, now } = *self;
        match column {
            "count" => Cell::Number(group.count as f64),
            "last" => Cell::number(seconds_since(group.last_seen, now)),
            "first" => Cell::number(seconds_since(group.first_seen, now)),
            "queues" => Cell::Text(words(group.queues.iter().map(|(queue, _)| queue.name.to_text()))),
            "error" => Cell::Text(format!("{} {}", group.fingerprint, group.sample_error)),
            _ => Cell::Unknown,
        }
    }
}

pub(super) struct WorkerCells<'a> {
    pub(super) worker: &'a Worker,
}

impl Cells for WorkerCells<'_> {
    fn cell(&self, column: &str) -> Cell {
        let worker = self.worker;
        match column {
            "system" => Cell::Text(worker.instance.system.to_owned()),
            "name" => Cell::Text(worker.name.to_text()),
            "state" => Cell::Text(worker.word().to_owned()),
            "heartbeat" => seconds(worker.heartbeat),
            "queues" => Cell::Text(words(worker.queues.iter().map(ToString::to_string))),
            "running" => Cell::Text(words(worker.running.iter().map(|job| job.id.to_text()))),
            "host" => Cell::text(worker.host.as_deref()),
            "pid" => Cell::number(worker.pid.map(|pid| pid as f64)),
            "evidence" => Cell::Text(worker.evidence.clone()),
            _ => Cell::Unknown,
        }
    }
}

pub(super) struct ScheduledCells<'a> {
    pub(super) row: &'a ScheduledRow,
    pub(super) now: Timestamp,
}

impl Cells for ScheduledCells<'_> {
    fn cell(&self, column: &str) -> Cell {
        let item = &self.row.item;
        match (column, item) {
            ("next", _) => Cell::number(seconds_since(self.row.next_run(), self.now).map(|since| -since)),
            ("queue", _) => Cell::Text(self.row.queue.name.to_text()),
            ("kind", ScheduledItem::Job(_)) => Cell::Text("job".to_owned()),
            ("kind", ScheduledItem::Schedule(_)) => Cell::Text("repeat".to_owned()),
            ("id", ScheduledItem::Job(job)) => Cell::Text(job.id.to_text()),
            ("id", ScheduledItem::Schedule(schedule)) => Cell::Text(schedule.id.to_text()),
            ("name", ScheduledItem::Job(job)) => Cell::text(job.name.as_deref()),
            ("name", ScheduledItem::Schedule(schedule)) => Cell::text(schedule.name.as_deref()),
            ("rule", ScheduledItem::Schedule(schedule)) => Cell::Text(schedule.rule.clone()),
            ("fired", ScheduledItem::Schedule(schedule)) => Cell::number(schedule.fired.map(|fired| fired as f64)),
            ("note", ScheduledItem::Schedule(schedule)) => Cell::text(schedule.note.as_deref()),
            _ => Cell::Unknown,
        }
    }
}

/// A span as a cell.
fn seconds(span: Option<Duration>) -> Cell {
    Cell::number(span.map(|span| span.as_secs_f64()))
}

fn words(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" ")
}
