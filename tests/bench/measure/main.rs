//! Measures what README promises, on the built program: cost of a refresh, start, keys, silence, memory.
//!
//! Run by `tests/bench/run.sh`. Everything is measured from outside: a proxy counts what goes to Redis, Redis itself
//! tells how long its commands took, a pseudo-terminal counts what is written to the screen, `/proc` tells memory and
//! processor time. Prints Markdown.

#![expect(clippy::print_stdout, reason = "its figures are for standard output")]

mod changes;
#[path = "../../ui/fixture.rs"]
#[expect(dead_code, reason = "the drawn tests use all of it")]
mod fixture;
#[path = "../../ui/full.rs"]
mod full;
mod handlers;
mod machine;
mod picture;
mod render;
#[path = "../../ui/reports.rs"]
#[expect(dead_code, reason = "the drawn tests use all of it")]
mod reports;
mod runner;
mod screen;
mod seed;
mod server;

use std::process::Command;

/// The built program.
const QTOP: &str = env!("CARGO_BIN_EXE_qtop");

/// Stands before the one section that is measured in this process.
const ALONE: &str = "alone";

const SECTIONS: [(&str, fn()); 15] = [
    ("refresh", server::refresh),
    ("link", server::slow_link),
    ("start", screen::start),
    ("render", render::render),
    ("keys", screen::keys),
    ("idle", screen::idle),
    ("memory", screen::memory),
    ("large", screen::large_queue),
    ("bullmq", runner::bullmq),
    ("arq", runner::arq),
    ("laravel", runner::laravel),
    ("plain", runner::plain),
    ("wake", runner::wake),
    ("changes", changes::changes),
    ("handlers", handlers::handlers),
];

fn main() {
    // Cargo adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [picture, file] = wanted.as_slice()
        && picture == "picture"
    {
        return picture::draw(std::path::Path::new(file));
    }
    if let [alone, name] = wanted.as_slice()
        && alone == ALONE
        && let Some((_, measure)) = SECTIONS.iter().find(|(section, _)| section == name)
    {
        return measure();
    }
    if let Some(unknown) = wanted.iter().find(|name| SECTIONS.iter().all(|(section, _)| section != name)) {
        eprintln!("no section {unknown:?}; there are: {}", SECTIONS.map(|(name, _)| name).join(", "));
        std::process::exit(2);
    }
    machine::print();
    for (name, _) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|one| one == name) {
            // In a process of its own: what one section leaves in memory would slow down what the next one starts.
            let own = std::env::current_exe().and_then(|program| Command::new(program).args([ALONE, name]).status());
            if !own.is_ok_and(|status| status.success()) {
                std::process::exit(1);
            }
        }
    }
}
