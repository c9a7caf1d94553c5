//! What every registered system must hold, against a real server: claimed capabilities work, the others refuse, counts
//! are what was seeded, nothing is changed by looking, replies are read exactly, pages have an end.
//!
//! A system takes part by a function that seeds a server and says what is there; see `conformance/seeds.rs`.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail a test as directly as tests do")]

#[path = "conformance/arq.rs"]
mod arq;
#[path = "conformance/bench.rs"]
mod bench;
#[path = "conformance/changes.rs"]
mod changes;
#[path = "conformance/faults.rs"]
mod faults;
#[path = "laravel/horizon_keys.rs"]
mod horizon_keys;
#[path = "conformance/laravel.rs"]
mod laravel;
#[path = "conformance/lists.rs"]
mod lists;
#[path = "conformance/rules.rs"]
mod rules;
#[path = "conformance/seeds.rs"]
mod seeds;
#[path = "conformance/streams.rs"]
mod streams;
