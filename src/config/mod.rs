//! The configuration: one TOML file, laid over shipped defaults, with environment and arguments on top.
//!
//! Finds, reads, checks and compares; every problem of a file is told together, each with place and remedy. Knows no
//! action, no system and no URL syntax by itself: who loads it says what is [`Known`]. It watches nothing and applies
//! nothing.

mod alert;
mod change;
mod check;
mod convention;
mod document;
mod error;
mod handler;
mod keys;
mod laravel;
mod load;
mod overlay;
mod runner;
mod schema;
mod server;
mod show;
#[cfg(test)]
mod tests;
mod trusted;
mod values;

pub use alert::{Alert, Least};
pub use change::Changes;
pub use check::{Known, ThemeNames, UrlTest};
pub use convention::RECIPES;
pub use error::ConfigProblems;
pub use handler::{Handler, HandlerProblem, Headers, Http, Input, Keep, Sign, StatusCall, StatusClass, check_handler};
pub use keys::{Chords, KeyProblem};
pub use load::{Environment, load, parse};
pub use overlay::Overrides;
pub use runner::{Backoff, Dedup, Hangup, Kept, Missed, Pool, RateLimit, Retry, Runner, Timetable, Unmatched};
pub use schema::{Budget, Config, Discovery, Limits, Log, Origin, Refresh, Systems, TimeStyle, Ui};
pub use server::{Server, ServerUrl};
pub use show::{paths, print};

/// The shipped example: every setting with its default and what it means.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");
