//! The `[[alert]]` tables: whom to tell when something is wrong with a queue or the server.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::handler::Handler;
use super::values;
use crate::domain::alarm::Rule;
use crate::domain::described::Paths;
use crate::domain::queue::Severity;

/// One condition and one hook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alert {
    /// Its name, which the hook is told.
    pub name: String,
    /// Globs over names and addresses of queues; empty: every queue, and the server itself.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub queues: Paths,
    /// Codes of findings; empty: all that are urgent enough, unless there is a threshold.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub when: Paths,
    /// How urgent a finding must be that is not named.
    pub least: Least,
    /// More jobs wait than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
    /// More jobs have failed than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
    /// The oldest waiting job is older than this.
    #[serde(with = "values::optional_time", skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Duration>,
    /// The condition must last so long before it is told.
    #[serde(with = "values::time")]
    pub lasting: Duration,
    /// Tell again after so long, while it lasts; `None`: once.
    #[serde(with = "values::optional_time", skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Duration>,
    /// How long the hook may take.
    #[serde(with = "values::time")]
    pub timeout: Duration,
    /// What is run: a `command`, which reads the alert as JSON on its standard input, or an `http` delivery of it.
    pub hook: Handler,
}

impl Default for Alert {
    fn default() -> Self {
        Self {
            name: String::new(),
            queues: Paths::default(),
            when: Paths::default(),
            least: Least::default(),
            waiting: None,
            failed: None,
            oldest: None,
            lasting: Duration::ZERO,
            repeat: None,
            timeout: Duration::from_secs(30),
            hook: Handler::default(),
        }
    }
}

/// How urgent a finding must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Least {
    /// All findings.
    Info,
    /// Those that are worth a look.
    #[default]
    Warning,
    /// Those that want somebody at once.
    Critical,
}

impl Alert {
    /// The condition alone.
    pub fn rule(&self) -> Rule {
        let texts = |paths: &Paths| paths.iter().map(str::to_owned).collect();
        Rule {
            queues: texts(&self.queues),
            codes: texts(&self.when),
            least: Some(match self.least {
                Least::Info => Severity::Info,
                Least::Warning => Severity::Warn,
                Least::Critical => Severity::Critical,
            }),
            waiting: self.waiting,
            failed: self.failed,
            oldest: self.oldest,
            lasting: self.lasting,
            repeat: self.repeat,
        }
    }
}
