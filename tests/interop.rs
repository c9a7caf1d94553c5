//! What qtop shows of BullMQ, judged by BullMQ itself: the real library (4, 5 and 6) fills a Redis, says what it sees,
//! and qtop has to see the same.
//!
//! Needs Node and `npm ci --prefix tests/interop`; `tests/run.sh` sees to both.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail a test as directly as tests do")]

#[path = "interop/judged.rs"]
mod judged;
#[path = "interop/library.rs"]
mod library;
#[path = "interop/polite.rs"]
mod polite;
#[path = "interop/totals.rs"]
mod totals;
#[path = "interop/view.rs"]
mod view;
