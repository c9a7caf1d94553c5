//! The link against real servers: connecting, login, batches, time limits, the gate, the ACL made from the table.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail a test as directly as tests do")]

#[path = "link/connect.rs"]
mod connect;
#[path = "link/document.rs"]
mod document;
#[path = "link/gate.rs"]
mod gate;
#[path = "link/refusals.rs"]
mod refusals;
#[path = "link/send.rs"]
mod send;
#[path = "link/sentinel.rs"]
mod sentinel;
#[path = "link/tls.rs"]
mod tls;
