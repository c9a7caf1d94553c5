//! Arguments of the commands that change queues.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use strum::IntoEnumIterator;

use super::how::{How, Which, Whole};
use crate::cli::args::duration;
use crate::domain::mutation::{Change, End};
use crate::domain::worker::WorkerOrder;

/// Commands that change queues.
#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// Queue failed or completed jobs again.
    Retry {
        #[command(flatten)]
        which: Which,
        /// Forget the attempts made, where the system counts them.
        #[arg(long)]
        reset_attempts: bool,
        #[command(flatten)]
        how: How,
    },
    /// Call jobs off that have not begun.
    Cancel {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: How,
    },
    /// Make later jobs run now.
    Promote {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: How,
    },
    /// Give later jobs another time.
    Delay {
        #[command(flatten)]
        which: Which,
        /// From now, for example 10m.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        by: Duration,
        #[command(flatten)]
        how: How,
    },
    /// Give waiting jobs another priority.
    Prioritize {
        #[command(flatten)]
        which: Which,
        /// The system's own number.
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        to: i64,
        #[command(flatten)]
        how: How,
    },
    /// Delete jobs; a copy goes to the local trash first.
    Remove {
        #[command(flatten)]
        which: Which,
        /// Their children go too, and come back with them.
        #[arg(long)]
        children: bool,
        #[command(flatten)]
        how: How,
    },
    /// Move jobs to the dead letters.
    Kill {
        #[command(flatten)]
        which: Which,
        /// Recorded with each job.
        #[arg(long, default_value = "moved by hand")]
        reason: String,
        #[command(flatten)]
        how: How,
    },
    /// Add the same jobs once more, under new ids.
    Duplicate {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: How,
    },
    /// Take dead letters back into their queue.
    Requeue {
        #[command(flatten)]
        which: Which,
        /// Run them next instead of last.
        #[arg(long)]
        next: bool,
        /// Count attempts from zero again and forget the error, as far as the queue's description names the fields.
        #[arg(long)]
        reset_attempts: bool,
        #[command(flatten)]
        how: How,
    },
    /// Give delivered entries of a stream to another consumer.
    Claim {
        #[command(flatten)]
        which: Which,
        /// The consumer that gets them.
        #[arg(long, value_name = "NAME")]
        consumer: String,
        /// Only what its present consumer has had at least so long; keep it above the longest run.
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0")]
        min_idle: Duration,
        #[command(flatten)]
        how: How,
    },
    /// Settle delivered entries of a stream without running them.
    Ack {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: How,
    },
    /// Delete all that waits in a queue.
    Drain {
        /// SYSTEM:NAME, SYSTEM@INSTANCE:NAME, or the name if only one queue has it.
        queue: String,
        /// What is scheduled for later goes too.
        #[arg(long)]
        delayed: bool,
        #[command(flatten)]
        how: How,
    },
    /// Delete jobs of one state that are older than some time.
    Clean {
        /// SYSTEM:NAME, SYSTEM@INSTANCE:NAME, or the name if only one queue has it.
        queue: String,
        /// A state, in the system's own words.
        #[arg(long)]
        state: String,
        /// Ended (or if not ended: added) longer ago than this, for example 7d.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        older_than: Duration,
        #[command(flatten)]
        how: How,
    },
    /// Stop workers from taking jobs of a queue.
    Pause {
        #[command(flatten)]
        whole: Whole,
    },
    /// Let workers take jobs again.
    Resume {
        #[command(flatten)]
        whole: Whole,
    },
    /// Set or lift a queue's global limits; 0 lifts one.
    Limit {
        #[command(flatten)]
        whole: Whole,
        /// Jobs active at once on all workers.
        #[arg(long, value_name = "N")]
        concurrency: Option<u64>,
        /// Jobs per --per.
        #[arg(long, value_name = "N", requires = "per")]
        max: Option<u64>,
        /// The span --max is for, for example 1s.
        #[arg(long, value_name = "TIME", value_parser = duration, requires = "max")]
        per: Option<Duration>,
    },
    /// Delete a queue with everything in it.
    Obliterate {
        #[command(flatten)]
        whole: Whole,
        /// The queue's name once more; needed with --yes.
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Cut what a stream keeps; never entries that some group has not had.
    Trim {
        #[command(flatten)]
        whole: Whole,
        /// Keep about so many of the newest entries.
        #[arg(long, value_name = "N")]
        keep: u64,
    },
    /// Tell workers to pause, continue, restart or terminate, where the system has a way (Laravel, Horizon).
    Signal {
        /// One of pause, continue, restart, terminate.
        #[arg(value_parser = order)]
        order: WorkerOrder,
        /// A queue they serve: SYSTEM:NAME, SYSTEM@INSTANCE:NAME, or the name if only one queue has it.
        queue: String,
        /// Names of workers as `qtop workers` shows them; none: all.
        workers: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Run a schedule's job once, now.
    Trigger {
        /// The queue.
        queue: String,
        /// Ids of schedules.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Remove schedules.
    Unschedule {
        /// The queue.
        queue: String,
        /// Ids of schedules.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Add a job.
    Add {
        /// The queue.
        queue: String,
        /// Name or type of the job.
        name: String,
        /// File with the payload, - for standard input; without it the payload is {}.
        #[arg(long, value_name = "FILE")]
        data: Option<PathBuf>,
        /// Its own id.
        #[arg(long)]
        id: Option<String>,
        /// Not before so long from now.
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0")]
        delay: Duration,
        /// The system's own number.
        #[arg(long, default_value_t = 0)]
        priority: i64,
        /// Attempts allowed.
        #[arg(long)]
        attempts: Option<u64>,
        /// Held back while another job has the same deduplication id.
        #[arg(long, value_name = "ID")]
        dedup: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Replace a job's payload, in $EDITOR or from a file; the rest stays as it is.
    Edit {
        /// The queue.
        queue: String,
        /// The job.
        id: String,
        /// File with the new payload, - for standard input; without it $EDITOR opens.
        #[arg(long, value_name = "FILE")]
        data: Option<PathBuf>,
        /// Queue the job again afterwards, if it failed or completed.
        #[arg(long)]
        retry: bool,
        #[command(flatten)]
        how: How,
    },
}

fn order(text: &str) -> Result<WorkerOrder, String> {
    text.parse().map_err(|_| {
        let words: Vec<&str> = WorkerOrder::iter().map(WorkerOrder::word).collect();
        format!("not an order to workers: {text:?}; write one of {}", words.join(", "))
    })
}

impl ChangeCommand {
    /// The queue's address as it was typed.
    pub fn queue(&self) -> &str {
        match self {
            Self::Retry { which, .. }
            | Self::Cancel { which, .. }
            | Self::Promote { which, .. }
            | Self::Delay { which, .. }
            | Self::Prioritize { which, .. }
            | Self::Remove { which, .. }
            | Self::Kill { which, .. }
            | Self::Duplicate { which, .. }
            | Self::Requeue { which, .. }
            | Self::Claim { which, .. }
            | Self::Ack { which, .. } => &which.queue,
            Self::Pause { whole }
            | Self::Resume { whole }
            | Self::Limit { whole, .. }
            | Self::Obliterate { whole, .. }
            | Self::Trim { whole, .. } => &whole.queue,
            Self::Drain { queue, .. }
            | Self::Clean { queue, .. }
            | Self::Signal { queue, .. }
            | Self::Trigger { queue, .. }
            | Self::Unschedule { queue, .. }
            | Self::Add { queue, .. }
            | Self::Edit { queue, .. } => queue,
        }
    }

    /// How it is done.
    pub fn how(&self) -> &How {
        match self {
            Self::Retry { how, .. }
            | Self::Cancel { how, .. }
            | Self::Promote { how, .. }
            | Self::Delay { how, .. }
            | Self::Prioritize { how, .. }
            | Self::Remove { how, .. }
            | Self::Kill { how, .. }
            | Self::Duplicate { how, .. }
            | Self::Requeue { how, .. }
            | Self::Claim { how, .. }
            | Self::Ack { how, .. }
            | Self::Drain { how, .. }
            | Self::Clean { how, .. }
            | Self::Signal { how, .. }
            | Self::Trigger { how, .. }
            | Self::Unschedule { how, .. }
            | Self::Add { how, .. }
            | Self::Edit { how, .. } => how,
            Self::Pause { whole }
            | Self::Resume { whole }
            | Self::Limit { whole, .. }
            | Self::Obliterate { whole, .. }
            | Self::Trim { whole, .. } => &whole.how,
        }
    }

    /// The change of jobs it stands for, with the jobs it is about; `None` for changes of a queue as a whole, of
    /// schedules, and those that read something first.
    pub fn of_jobs(&self) -> Option<(Change, Which)> {
        let whole_state = |queue: &String, state: Option<&String>, older_than: Option<Duration>| Which {
            queue: queue.clone(),
            ids: Vec::new(),
            all: true,
            state: state.cloned(),
            matching: None,
            payloads: false,
            older_than,
            limit: None,
        };
        Some(match self {
            Self::Retry { which, reset_attempts, .. } => {
                (Change::Retry { reset_attempts: *reset_attempts }, which.clone())
            }
            Self::Cancel { which, .. } => (Change::Cancel, which.clone()),
            Self::Promote { which, .. } => (Change::Promote, which.clone()),
            Self::Delay { which, by, .. } => (Change::Delay { by: *by }, which.clone()),
            Self::Prioritize { which, to, .. } => (Change::Prioritize { priority: *to }, which.clone()),
            Self::Remove { which, children, .. } => (Change::Remove { children: *children }, which.clone()),
            Self::Kill { which, reason, .. } => (Change::Kill { reason: reason.clone() }, which.clone()),
            Self::Duplicate { which, .. } => (Change::Duplicate, which.clone()),
            Self::Requeue { which, next, reset_attempts, .. } => {
                let end = if *next { End::Next } else { End::Last };
                (Change::Requeue { end, reset_attempts: *reset_attempts }, which.clone())
            }
            Self::Claim { which, consumer, min_idle, .. } => {
                (Change::Claim { consumer: consumer.as_str().into(), min_idle: *min_idle }, which.clone())
            }
            Self::Ack { which, .. } => (Change::Acknowledge, which.clone()),
            Self::Drain { queue, .. } => (Change::Remove { children: false }, whole_state(queue, None, None)),
            Self::Clean { queue, state, older_than, .. } => {
                (Change::Remove { children: false }, whole_state(queue, Some(state), Some(*older_than)))
            }
            _ => return None,
        })
    }
}
