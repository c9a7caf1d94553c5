//! Heartbeats in the ticks of other systems, whose queues have them by a convention: the same walk, the same budget and
//! the same reading as those of described lists.

use super::memo::ListMemo;
use super::{plan, sample};
use crate::domain::described::ListSpec;
use crate::domain::queue::WorkerCount;
use crate::domain::time::Timestamp;
use crate::link::{Batch, CommandError, Replies};
use crate::systems::{Instance, ReadError};

/// Ticks after which workers that are still not counted are not waited for by a first look.
const PATIENCE: u64 = 10;

/// What is remembered of them from tick to tick.
#[derive(Clone, Default)]
pub struct Beats {
    memo: ListMemo,
    /// Ticks in which something was still to be looked at.
    open: u64,
}

impl Beats {
    /// False while the first look at the keys goes on.
    pub fn is_settled(&self) -> bool {
        self.open == 0 || self.open > PATIENCE
    }
}

/// Adds their commands. Each of `specs` has the name of a queue and its heartbeats, nothing else.
pub fn ask(specs: &[ListSpec], memo: Option<&Beats>, tick: u64, now: Timestamp, batch: &mut Batch) {
    let memo = memo.map(|beats| &beats.memo);
    let all: Vec<&ListSpec> = specs.iter().collect();
    if let Some(ask) = plan::scan(&all, memo, now) {
        batch.ask(ask.command());
    }
    for ask in specs.iter().flat_map(|spec| plan::questions(spec, memo, tick, now)) {
        batch.ask(ask.command());
    }
}

/// Reads the replies: the workers of each of `specs`.
pub fn count(
    specs: &[ListSpec],
    instance: &Instance,
    memo: &mut Beats,
    (tick, now): (u64, Timestamp),
    replies: &mut Replies<'_>,
) -> Result<Vec<WorkerCount>, ReadError> {
    // The questions are made again from the memo as it was, while the answers change it.
    let before = memo.memo.clone();
    let all: Vec<&ListSpec> = specs.iter().collect();
    if let Some(ask) = plan::scan(&all, Some(&before), now) {
        let reply = replies.next();
        if matches!(reply, Err(CommandError::Missing)) {
            return Err(CommandError::Missing.into());
        }
        sample::read_scan(&ask, reply, &mut memo.memo, now);
    }
    let mut counts = Vec::with_capacity(specs.len());
    for spec in specs {
        let asks = plan::questions(spec, Some(&before), tick, now);
        let id = instance.queue(&spec.name.as_str().into());
        counts.push(sample::read_queue(spec, id, &asks, replies, &mut memo.memo, (tick, now))?.workers);
    }
    // Where a missing key is no sign of death nobody can count all.
    let renewed = |spec: &ListSpec| spec.heartbeat.iter().all(|heartbeat| heartbeat.renewed);
    let is_open = specs.iter().zip(&counts).any(|(spec, count)| renewed(spec) && count.alive.is_none());
    memo.open = if is_open && memo.open <= PATIENCE {
        memo.open + 1
    } else if is_open {
        memo.open
    } else {
        0
    };
    Ok(counts)
}
