//! State of the program and everything that changes it.
//!
//! [`state::State`] is plain data with one owner; `update` is the only thing that changes it and answers with
//! [`effect::Effect`]s for the tasks. Nothing here waits, locks, reads a file or knows Redis.

pub mod actions;
pub mod availability;
pub mod changes;
pub mod chord;
pub mod columns;
pub mod command;
pub mod document;
pub mod effect;
pub mod filter;
pub mod guide;
pub mod intent;
pub mod keymap;
pub mod list;
pub mod message;
pub mod orders;
pub mod pages;
pub mod palette;
pub mod preview;
pub mod question;
pub mod rows;
pub mod runner;
pub mod safeguard;
pub mod screen;
pub mod selection;
pub mod settings;
pub mod state;
pub mod steady;
pub mod target;
pub mod update;
pub mod views;
