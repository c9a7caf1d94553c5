//! The vocabulary of qtop: plain data about servers, queues, jobs and workers.
//!
//! Pure: no clock, no network, no terminal. Everything else imports from here; this folder imports nothing of qtop.

pub mod address;
pub mod alarm;
pub mod alert;
pub mod appearance;
pub mod caps;
pub mod change;
pub mod described;
pub mod fetch;
pub mod fingerprint;
pub mod history;
pub mod ids;
pub mod job;
pub mod log_line;
pub mod mutation;
pub mod payload;
pub mod problem;
pub mod queue;
pub mod reason;
pub mod record;
pub mod runner;
pub mod secret;
pub mod snapshot;
pub mod state;
pub mod template;
pub mod text;
pub mod time;
pub mod worker;
