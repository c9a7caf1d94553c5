//! The BullMQ adapter on servers seeded by hand: what it costs, broken queues, moving lists, reasons.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail a test as directly as tests do")]

#[path = "bullmq/cost.rs"]
mod cost;
#[path = "bullmq/faults.rs"]
mod faults;
#[path = "bullmq/paging.rs"]
mod paging;
#[path = "bullmq/rates.rs"]
mod rates;
#[path = "bullmq/seed.rs"]
mod seed;
#[path = "interop/view.rs"]
mod view;
#[path = "bullmq/why.rs"]
mod why;
