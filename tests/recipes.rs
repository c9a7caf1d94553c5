//! The shipped recipes, each with the keys of its deployment: what qtop shows of them and what it does with them.
//!
//! The keys are written as the notes on each deployment say; pickled definitions and results were made by Python's own
//! pickle.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail a test as directly as tests do")]

#[path = "recipes/dumpyarabot.rs"]
mod dumpyarabot;
#[path = "recipes/files.rs"]
mod files;
#[path = "recipes/live.rs"]
mod live;
#[path = "recipes/others.rs"]
mod others;
#[path = "recipes/shell.rs"]
mod shell;
#[path = "recipes/whatsapp.rs"]
mod whatsapp;
#[path = "recipes/words.rs"]
mod words;
