//! Changes to queues, judged by the real libraries that own them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail a test as directly as tests do")]

#[path = "changes/arq.rs"]
mod arq;
#[path = "changes/arq_library.rs"]
mod arq_library;
#[path = "changes/arq_queue.rs"]
mod arq_queue;
#[path = "changes/bad_elsewhere.rs"]
mod bad_elsewhere;
#[path = "changes/bad_input.rs"]
mod bad_input;
#[path = "changes/bulk.rs"]
mod bulk;
#[path = "changes/bull.rs"]
mod bull;
#[path = "changes/bull_queue.rs"]
mod bull_queue;
#[path = "changes/bull_repeat.rs"]
mod bull_repeat;
#[path = "changes/bullmq.rs"]
mod bullmq;
#[path = "changes/bullmq_queue.rs"]
mod bullmq_queue;
#[path = "changes/bytes.rs"]
mod bytes;
#[path = "changes/command_line.rs"]
mod command_line;
#[path = "changes/cuts.rs"]
mod cuts;
#[path = "changes/editing.rs"]
mod editing;
#[path = "changes/exports.rs"]
mod exports;
#[path = "changes/fuzz.rs"]
mod fuzz;
#[path = "changes/hub.rs"]
mod hub;
#[path = "changes/laravel.rs"]
mod laravel;
#[path = "changes/library.rs"]
mod library;
#[path = "changes/lists.rs"]
mod lists;
#[path = "changes/load.rs"]
mod load;
#[path = "changes/more_scenes.rs"]
mod more_scenes;
#[path = "changes/office.rs"]
mod office;
#[path = "changes/operators.rs"]
mod operators;
#[path = "changes/scenes.rs"]
mod scenes;
#[path = "changes/streams.rs"]
mod streams;
#[path = "changes/tables.rs"]
mod tables;
#[path = "changes/undo.rs"]
mod undo;
#[path = "changes/undo_cuts.rs"]
mod undo_cuts;
#[path = "changes/walks.rs"]
mod walks;
