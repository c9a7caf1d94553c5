//! The runner: takes jobs from queues and runs them on this machine.
//!
//! One pool engine for all systems: the protocol of taking a job is the adapter's, everything else (slots, limits,
//! retries, dead letters, schedules) is here, once. Must not know a system by name, nor any screen.

pub mod handler;
pub mod work;
