//! Answers to "why does it not move?": statements with the evidence they rest on.

use super::queue::Severity;

/// One statement. Several may hold at once; the first is the most likely cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// How much it matters.
    pub severity: Severity,
    /// Stable code for JSON and tests: `paused`, `no_workers`, `all_busy`, `rate_limited`, `delayed`,
    /// `waits_for_children`, `lock_expired`, `in_no_list`, `other_prefix`, `fine`.
    pub code: &'static str,
    /// What is the case, one sentence.
    pub text: String,
    /// What was read to know it, for example `HEXISTS bull:mail:meta paused = 1`.
    pub evidence: String,
    /// What a person can do.
    pub remedy: Option<String>,
}
