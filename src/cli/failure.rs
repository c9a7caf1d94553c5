//! How a command ends.

use crate::config::ConfigProblems;
use crate::domain::fetch::FetchError;

/// Exit codes. `health` has its own meaning for the same numbers: healthy, warning, critical, unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0.
    Good,
    /// 1: refused, or not found; `health`: warning.
    Refused,
    /// 2: usage or configuration; `health`: critical.
    Usage,
    /// 3: Redis cannot be reached; `health`: unknown.
    Unreachable,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
        }
    }
}

/// A command that could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How to end.
    pub exit: Exit,
    /// What was tried and what happened; may have several lines.
    pub text: String,
    /// What to do.
    pub remedy: Option<String>,
}

impl Failure {
    /// Without a remedy.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), remedy: None }
    }

    /// With what to do about it.
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl From<ConfigProblems> for Failure {
    fn from(problems: ConfigProblems) -> Self {
        Self::new(Exit::Usage, problems.to_string())
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self { exit: Exit::Refused, text: error.text, remedy: error.remedy }
    }
}

/// Writing to standard output failed. Somebody who stopped reading (`| head`) is no failure.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::new(Exit::Good, ""),
            _ => Self::new(Exit::Refused, format!("writing the output failed: {error}")),
        }
    }
}
