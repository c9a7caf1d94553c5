//! The runner: every job once, none lost, whatever is killed; judged by the keys themselves and by side effects.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail a test as directly as tests do")]

#[path = "runner/alerts.rs"]
mod alerts;
#[path = "runner/arq.rs"]
mod arq;
#[path = "runner/arq_faults.rs"]
mod arq_faults;
#[allow(dead_code, reason = "shared with the tests of changes, which use all of it")]
#[path = "changes/arq_library.rs"]
mod arq_library;
#[path = "runner/backlog.rs"]
mod backlog;
#[path = "runner/bench.rs"]
mod bench;
#[path = "runner/bullmq.rs"]
mod bullmq;
#[path = "runner/bullmq_ends.rs"]
mod bullmq_ends;
#[path = "runner/bullmq_schedules.rs"]
mod bullmq_schedules;
#[path = "runner/chaos.rs"]
mod chaos;
#[path = "runner/checked.rs"]
mod checked;
#[path = "runner/deliveries.rs"]
mod deliveries;
#[path = "runner/ending.rs"]
mod ending;
#[path = "runner/faults.rs"]
mod faults;
#[path = "runner/figures.rs"]
mod figures;
#[path = "runner/health.rs"]
mod health;
#[path = "runner/killed.rs"]
mod killed;
#[path = "runner/laravel.rs"]
mod laravel;
#[path = "runner/laravel_limits.rs"]
mod laravel_limits;
#[path = "runner/leases.rs"]
mod leases;
#[allow(dead_code, reason = "shared with the tests of changes, which use all of it")]
#[path = "changes/library.rs"]
mod library;
#[path = "runner/list_faults.rs"]
mod list_faults;
#[path = "runner/lists.rs"]
mod lists;
#[path = "runner/once.rs"]
mod once;
#[path = "runner/options.rs"]
mod options;
#[path = "runner/patterns.rs"]
mod patterns;
#[path = "runner/policies.rs"]
mod policies;
#[path = "runner/private.rs"]
mod private;
#[path = "runner/program.rs"]
mod program;
#[path = "runner/refusals.rs"]
mod refusals;
#[path = "runner/reloading.rs"]
mod reloading;
#[path = "runner/scene.rs"]
mod scene;
#[path = "runner/schedules.rs"]
mod schedules;
#[path = "runner/signs.rs"]
mod signs;
#[path = "runner/standstill.rs"]
mod standstill;
#[path = "runner/streams.rs"]
mod streams;
#[path = "runner/together.rs"]
mod together;
#[path = "runner/trouble.rs"]
mod trouble;
