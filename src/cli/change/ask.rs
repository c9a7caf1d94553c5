//! The question before a change.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};

use crate::cli::failure::{Exit, Failure};

/// The terminal of this process, whatever its standard input is.
const TERMINAL: &str = if cfg!(windows) { "CONIN$" } else { "/dev/tty" };

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
    let nobody = || {
        Failure::new(Exit::Usage, "nothing was changed: there is no terminal to ask on")
            .with_remedy("look with --dry-run first, then say --yes")
    };
    if !std::io::stderr().is_terminal() {
        return Err(nobody());
    }
    // Ids or a payload may have come over standard input; the person still sits at the terminal.
    let mut answers: Box<dyn BufRead> = match std::io::stdin().is_terminal() {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(TERMINAL).map_err(|_| nobody())?)),
    };
    let mut stderr = std::io::stderr().lock();
    for line in lines {
        writeln!(stderr, "{}", crate::domain::text::harmless(line))?;
    }
    write!(stderr, "{}", crate::domain::text::harmless(question))?;
    stderr.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(answer)
}
