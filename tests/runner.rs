//! The runner: every job once, none lost, whatever is killed; judged by the keys themselves and by side effects.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail a test as directly as tests do")]

#[path = "runner/bench.rs"]
mod bench;
#[path = "runner/faults.rs"]
mod faults;
#[path = "runner/lists.rs"]
mod lists;
#[path = "runner/refusals.rs"]
mod refusals;
