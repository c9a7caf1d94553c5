//! Without a terminal there is no screen, but a good word and exit code 2.

use std::process::{Command, Stdio};

use super::{LIMIT, qtop, seeded};

#[test]
fn u6_without_a_terminal_it_says_what_works() {
    let output = Command::new(env!("CARGO_BIN_EXE_qtop"))
        .args(["--url", "redis://127.0.0.1:1"])
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("qtop queues"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn u6_a_dumb_terminal_is_none() {
    let server = seeded();
    let mut terminal = qtop(&server.url()).env("TERM", "dumb").spawn();
    let exit = terminal.wait_exit(LIMIT);
    assert_eq!(exit.code, 2, "{}", terminal.text());
    assert!(terminal.text().contains("qtop queues"), "{}", terminal.text());
}
