//! qtop shows every Redis job queue of a server on one live screen.
//!
//! The library exists for the binary and its tests; it promises no stable interface. Layers and what each may import
//! are described in the `mod.rs` of every folder and checked by `tests/layers.rs`.

pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod engine;
pub mod link;
pub mod log;
pub mod run;
pub mod systems;
pub mod term;
pub mod theme;
pub mod ui;
