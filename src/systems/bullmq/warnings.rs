//! What a tick's sample of a queue says against it, in words.

use std::time::Duration;

use crate::domain::queue::{QueueSample, Severity, UNKNOWN_LIBRARY, Warning};
use crate::domain::text;
use crate::domain::time::Timestamp;

use super::memo::QueueMemo;
use super::plan::BULL_ONLY;

/// A worker that is alive takes up a delayed job within moments; ten seconds are its longest sleep.
const OVERDUE_AFTER: Duration = Duration::from_secs(11);

/// Findings about one queue.
pub fn of(sample: &QueueSample, memo: &QueueMemo, now: Timestamp) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |severity, code, text| warnings.push(Warning { severity, code, text });
    if let (Some(overdue), Some(due)) = (sample.overdue, sample.next_due)
        && overdue > 0
        && due.age(now) > OVERDUE_AFTER
    {
        let late = text::age(due.age(now));
        let jobs = jobs(overdue);
        warn(
            Severity::Warn,
            "delayed_overdue",
            format!("{jobs} due for up to {late} and not taken up: no worker seems to serve this queue"),
        );
    }
    let foreign: Vec<&str> =
        BULL_ONLY.into_iter().zip(memo.bull).filter(|(_, found)| *found == Some(true)).map(|(key, _)| key).collect();
    if !foreign.is_empty() {
        warn(
            Severity::Warn,
            "mixed_libraries",
            format!(
                "Bull uses this queue's name, too (it has the key {}): workers of one library do not see all jobs of the \
                 other, and qtop changes nothing here without --force",
                foreign.join(" and ")
            ),
        );
    }
    let stranded = memo.last.paused.unwrap_or(0);
    let wait = memo.last.wait.unwrap_or(0);
    if stranded > 0 && !memo.meta.paused {
        warn(
            Severity::Warn,
            "stranded_in_paused",
            format!(
                "{} in the list `paused` of a queue that is not paused; no worker looks there until a resume",
                jobs(stranded)
            ),
        );
    } else if stranded > 0 && wait > 0 {
        warn(
            Severity::Warn,
            "two_waiting_lists",
            format!(
                "paused with jobs in `wait` and in `paused`; a resume by BullMQ 4 or 5 would lose the {} in `wait`",
                jobs(wait)
            ),
        );
    }
    if !memo.meta.version.is_known() {
        let version = memo.meta.version.spoken();
        let text =
            format!("written by {version}, which qtop does not know: it reads this queue and changes it only by force");
        warnings.push(Warning { severity: Severity::Info, code: UNKNOWN_LIBRARY, text });
    }
    warnings
}

/// `1 job is` / `3 jobs are` would need grammar; `1 job` and `3 jobs` fit every sentence here.
fn jobs(count: u64) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{} jobs", text::count(count)) }
}
