//! Standard output and standard error. Text is made harmless here, whatever it came from (S3, S4).

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::failure::Failure;
use crate::domain::text;

/// Where a command writes to.
pub struct Output {
    ascii: bool,
}

impl Output {
    /// `ascii`: only bytes 0x20 to 0x7e and line ends.
    pub fn new(ascii: bool) -> Self {
        Self { ascii }
    }

    /// One value as JSON, indented, with a line end.
    pub fn json(&self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Text for people, a line at a time; every line is made harmless.
    pub fn text(&self, text: &str) -> io::Result<()> {
        let mut out = String::with_capacity(text.len() + 1);
        for line in text.lines() {
            out.push_str(&self.safe(line));
            out.push('\n');
        }
        self.bytes(out.as_bytes())
    }

    /// Bytes as they are. For JSON, which escapes by itself, and for `--raw`.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// True if a person reads standard output.
    pub fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// A remark on standard error.
    pub fn note(&self, text: &str) {
        self.error_lines(text);
    }

    /// A failure with its remedy on standard error.
    pub fn complain(&self, failure: &Failure) {
        if !failure.text.is_empty() {
            self.error_lines(&failure.text);
        }
        if let Some(remedy) = &failure.remedy {
            self.error_lines(remedy);
        }
    }

    fn error_lines(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        for (index, line) in text.lines().enumerate() {
            let prefix = if index == 0 { "qtop: " } else { "" };
            // Nothing can be done if even standard error is gone.
            drop(writeln!(stderr, "{prefix}{}", self.safe(line)));
        }
    }

    fn safe(&self, line: &str) -> String {
        let harmless = text::harmless(line);
        if self.ascii { text::ascii(&harmless).into_owned() } else { harmless.into_owned() }
    }
}
