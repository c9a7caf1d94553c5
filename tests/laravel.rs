//! What qtop shows of Laravel and changes there, judged by Laravel itself: a real application fills a Redis and a
//! database, its worker runs what is in them, and its own commands say what became of it.
//!
//! Needs PHP with the extensions redis, sqlite3, mysql and pgsql, Debian's php-laravel-framework, PostgreSQL and
//! MariaDB; `tests/run.sh` sees to all of them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail a test as directly as tests do")]

#[path = "laravel/app.rs"]
mod app;
#[path = "laravel/databases.rs"]
mod databases;
#[path = "laravel/everyday.rs"]
mod everyday;
#[path = "laravel/horizon.rs"]
mod horizon;
#[path = "laravel/horizon_keys.rs"]
mod horizon_keys;
#[path = "laravel/horizon_retry.rs"]
mod horizon_retry;
#[path = "laravel/jobs.rs"]
mod jobs;
#[path = "laravel/recipe.rs"]
mod recipe;
#[path = "laravel/runner.rs"]
mod runner;
#[path = "laravel/stores.rs"]
mod stores;
