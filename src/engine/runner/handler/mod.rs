//! Running one job: a command, a long-lived process, or a delivery over HTTP.
//!
//! A handler is given one attempt and tells how it ended; what follows from that (retries, dead letters, storing) is the
//! pool's. It must not know Redis: nothing of the login reaches a program (S9).

mod command;
mod facts;
mod helper;
mod http;
mod lines;
mod process;
mod program;
mod relay;
mod verdict;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::Arc;

use super::work::{Ending, Room, Work};
use crate::config;
use crate::link::Remedy;

pub(super) use command::FOREVER;
pub use helper::{Helper, help};
pub use http::{Lookup, SystemLookup};

/// Why a handler cannot be used; found at the start, before a job is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {message}")]
pub struct HandlerError {
    /// The setting that cannot be used, for example `command[0]` or `http.cert`.
    pub setting: String,
    /// What was tried, on what, and what happened.
    pub message: String,
    remedy: Option<String>,
}

impl HandlerError {
    fn new(setting: impl Into<String>, message: impl Into<String>, remedy: &str) -> Self {
        let remedy = (!remedy.is_empty()).then(|| remedy.to_owned());
        Self { setting: setting.into(), message: message.into(), remedy }
    }
}

impl Remedy for HandlerError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        self.remedy.as_deref().map(Cow::Borrowed)
    }
}

/// A text filled from a job.
pub(super) fn filled(template: &crate::domain::template::Template, work: &Work) -> Result<Vec<u8>, String> {
    facts::Facts::of(work).fill(template)
}

/// What handlers take from the surroundings of qtop.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// qtop's own environment; of it only allowed names reach a program.
    pub variables: HashMap<OsString, OsString>,
    /// Finds the addresses of hosts.
    pub lookup: Arc<dyn Lookup>,
    /// Sets limits before programs begin, and ends them if this process is killed; `None`: neither is done.
    pub helper: Option<Helper>,
}

impl Surroundings {
    /// Of this process.
    pub fn of_process() -> Self {
        Self { variables: std::env::vars_os().collect(), lookup: Arc::new(SystemLookup), helper: None }
    }

    /// The same, with the help of this program itself.
    pub fn with_helper(self) -> Self {
        helper::no_core_files();
        Self { helper: Helper::of_process(), ..self }
    }
}

/// What runs the jobs of a pool whose names match. Shared by all slots of the pool.
#[derive(Debug)]
pub struct Handler {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Command(command::Command),
    Process(process::Process),
    Http(Box<http::Http>),
}

impl Handler {
    /// Makes a handler ready: programs are looked for, certificates are read. Nothing is started and nothing is sent.
    ///
    /// # Errors
    /// Says which setting cannot be used, why, and what to do.
    pub fn build(config: &config::Handler, surroundings: &Surroundings) -> Result<Self, HandlerError> {
        let kind = match (&config.command, &config.process, &config.http) {
            (Some(argv), _, _) => Kind::Command(command::Command::build(argv, config, surroundings)?),
            (_, Some(argv), _) => Kind::Process(process::Process::build(argv, config, surroundings)?),
            (_, _, Some(http)) => Kind::Http(Box::new(http::Http::build(http, config, surroundings)?)),
            _ => {
                let remedy = "give it a `command`, a `process` or `http`";
                return Err(HandlerError::new("handler", "it runs nothing", remedy));
            }
        };
        Ok(Self { kind })
    }

    /// Runs one attempt to its end. When this returns, or is dropped, nothing of it runs any more.
    pub async fn handle(&self, work: &Work, room: Room) -> Ending {
        match &self.kind {
            Kind::Command(command) => command.handle(work, room).await,
            Kind::Process(process) => process.handle(work, room).await,
            Kind::Http(http) => http.handle(work, room).await,
        }
    }

    /// Programs that were started before now are started anew, each after its present job.
    pub fn renew(&self) {
        match &self.kind {
            Kind::Command(_) | Kind::Http(_) => {}
            Kind::Process(process) => process.renew(),
        }
    }

    /// No more jobs than this come at once from now on: what waits for more is ended.
    pub fn resize(&self, most: usize) {
        match &self.kind {
            Kind::Command(_) | Kind::Http(_) => {}
            Kind::Process(process) => process.resize(most),
        }
    }

    /// Ends what waits for jobs. Attempts that still run are not touched.
    pub async fn close(&self) {
        match &self.kind {
            Kind::Command(_) | Kind::Http(_) => {}
            Kind::Process(process) => process.close().await,
        }
    }
}

/// A job for tests.
#[cfg(test)]
fn sample(payload: &str) -> Work {
    use crate::domain::ids::{JobId, QueueId};
    use crate::domain::time::Timestamp;
    Work {
        queue: QueueId::new("list", "", "mail"),
        address: "list:mail".to_owned(),
        id: JobId::from("7"),
        name: "send".to_owned(),
        payload: bytes::Bytes::copy_from_slice(payload.as_bytes()),
        attempt: 2,
        attempts: Some(3),
        created_at: None,
        claimed_at: Timestamp(0),
    }
}
