//! The question before a change.

use std::io::{BufRead, IsTerminal, Write};

use crate::cli::failure::{Exit, Failure};

/// Asks on the terminal; the default is no. Without a terminal to ask on it is a mistake of usage (exit code 2).
pub fn yes(lines: &[String], question: &str) -> Result<(), Failure> {
    let answer = prompt(lines, &format!("{question} [y/N] "))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, "nothing was changed"))
}

/// Asks for a name to be typed.
pub fn name(lines: &[String], name: &str) -> Result<(), Failure> {
    let answer = prompt(lines, &format!("type {name} to go on: "))?;
    if answer.trim_end_matches(['\r', '\n']) == name {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, "nothing was changed: that is not its name"))
}

fn prompt(lines: &[String], question: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::new(Exit::Usage, "nothing was changed: there is no terminal to ask on")
            .with_remedy("look with --dry-run first, then say --yes"));
    }
    let mut stderr = std::io::stderr().lock();
    for line in lines {
        writeln!(stderr, "{}", crate::domain::text::harmless(line))?;
    }
    write!(stderr, "{}", crate::domain::text::harmless(question))?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
}
