//! What qtop's tests share: [`TestServer`], a throw-away Redis; [`Proxy`], which delays, cuts, counts and records what
//! goes to it; [`Terminal`], the built binary on a screen.
//!
//! A package of its own only so that it is compiled once for all test binaries and nothing in it is "unused" in one of
//! them. Everything blocks (plain threads): use it from synchronous and asynchronous tests alike. Every wait has a
//! limit and says what it waited for.

mod proxy;
mod resp;
mod server;
mod terminal;

use std::time::{Duration, Instant};

pub use proxy::{Proxy, Sent, Traffic, TurnTime};
pub use server::{ServerBuilder, TestServer, free_port};
pub use terminal::{Exit, Terminal, TerminalBuilder};

/// How often something is repeated: the number the requirement names if the variable `QTOP_TEST_FULL` is set, else one
/// that lets the whole suite end in time.
pub fn repeated(usually: usize, required: usize) -> usize {
    if std::env::var_os("QTOP_TEST_FULL").is_some() { required } else { usually }
}

/// Asks `ready` every few milliseconds until it is true; panics after `limit` naming `what`.
pub fn wait_until(what: &str, limit: Duration, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal by name (`TERM`, `STOP`, `CONT`, `KILL`, …) to a process; false if there was none.
pub fn signal(pid: u32, name: &str) -> bool {
    std::process::Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// True while a process with this id exists and is no zombie.
pub fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z')))
}
