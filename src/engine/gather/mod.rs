//! Answers to deeper reads: one function for each kind of request, the same for screens and command line.
//!
//! Knows queues only through snapshots and adapters. Whatever reads many queues goes on when one of them fails.

mod failures;
mod rows;
mod runners;
mod why;
mod workers;

use std::sync::Arc;

use tokio::sync::watch;

use super::{Clients, Systems};
use crate::domain::fetch::{FetchError, Fetched, Request};
use crate::domain::ids::QueueId;
use crate::domain::job::PageRequest;
use crate::domain::snapshot::Snapshot;
use crate::link::{Link, LinkError, Remedy};
use crate::systems::{System, SystemError};

/// Queues read at the same time when all of them are asked.
const AT_ONCE: usize = 6;
/// Rows of one page when pages are joined.
const PAGE: usize = 100;
/// Longest page (P3).
const LONGEST_PAGE: usize = 500;

/// Answers deeper reads of one server.
pub struct Asker {
    systems: Systems,
    clients: watch::Sender<Option<Clients>>,
}

/// A read that failed.
#[derive(Debug)]
pub struct Failure {
    tried: String,
    cause: SystemError,
}

impl Failure {
    /// The connection should be made anew.
    pub fn link_is_broken(&self) -> bool {
        matches!(&self.cause, SystemError::Link(LinkError::Lost { .. } | LinkError::Timeout { .. }))
    }

    /// The connection broke, perhaps long ago; asking again over a new one may work at once.
    pub fn was_lost(&self) -> bool {
        matches!(&self.cause, SystemError::Link(LinkError::Lost { .. }))
    }

    /// As it is shown.
    pub fn into_error(self) -> FetchError {
        let remedy = match &self.cause {
            SystemError::Link(error) => error.remedy().map(std::borrow::Cow::into_owned),
            _ => None,
        };
        FetchError { text: format!("{}: {}", self.tried, self.cause), remedy }
    }
}

/// A connection that could not be made, as it is shown.
pub fn link_error(error: &LinkError) -> FetchError {
    FetchError { text: error.to_string(), remedy: error.remedy().map(std::borrow::Cow::into_owned) }
}

/// A failure to read something of a queue.
fn tried(what: &str, snapshot: &Snapshot, queue: &QueueId, cause: SystemError) -> Failure {
    Failure { tried: format!("reading {what} of {}", snapshot.address(queue)), cause }
}

impl Asker {
    /// `clients` is told the names of clients whenever `CLIENT LIST` was asked.
    pub fn new(systems: Systems, clients: watch::Sender<Option<Clients>>) -> Self {
        Self { systems, clients }
    }

    fn system(&self, queue: &QueueId) -> Result<&Arc<dyn System>, SystemError> {
        let name = queue.instance.system;
        let found = self.systems.iter().find(|system| system.spec().name == name);
        found.ok_or_else(|| SystemError::BadRequest(format!("there is no system named {name}")))
    }

    /// Answers one request. `snapshot` says which queues there are.
    pub async fn ask(&self, link: &Link, snapshot: &Snapshot, request: &Request) -> Result<Fetched, Failure> {
        match request {
            Request::Jobs { queue, state, page } => {
                let wrong = |cause| tried(&format!("{state} jobs"), snapshot, queue, cause);
                let system = self.system(queue).map_err(wrong)?;
                system.jobs(link, queue, *state, bounded(page)).await.map(Fetched::Jobs).map_err(wrong)
            }
            Request::Search { queue, state, search, page } => {
                let wrong = |cause| tried(&format!("{state} jobs for a search"), snapshot, queue, cause);
                let system = self.system(queue).map_err(wrong)?;
                system.search(link, queue, *state, search, bounded(page)).await.map(Fetched::Search).map_err(wrong)
            }
            Request::Job { job, payload_limit } => {
                let wrong = |cause| tried("a job", snapshot, &job.queue, cause);
                let system = self.system(&job.queue).map_err(wrong)?;
                let found = system.job(link, &job.queue, &job.id, *payload_limit).await.map_err(wrong)?;
                Ok(Fetched::Job(found.map(Box::new)))
            }
            Request::Find { id } => self.find(link, snapshot, id).await.map(Fetched::Find),
            Request::Running { limit } => self.running(link, snapshot, *limit).await.map(Fetched::Running),
            Request::Failures { window } => self.failures(link, snapshot, *window).await.map(Fetched::Failures),
            Request::Workers { confirmed } => self.workers(link, snapshot, *confirmed).await.map(Fetched::Workers),
            Request::Scheduled { limit } => self.scheduled(link, snapshot, *limit).await.map(Fetched::Scheduled),
            Request::Why { queue, job } => self.why(link, snapshot, queue, job.as_ref()).await.map(Fetched::Why),
        }
    }
}

fn bounded(page: &PageRequest) -> PageRequest {
    PageRequest { cursor: page.cursor.clone(), limit: page.limit.clamp(1, LONGEST_PAGE) }
}

/// What was read of each queue, and why the others could not be.
type Split<T> = (Vec<(QueueId, T)>, Vec<(QueueId, String)>);

/// Failures of single queues are told beside the rest; a connection that broke fails the whole read.
fn split<T>(
    results: Vec<(QueueId, Result<T, SystemError>)>,
    what: &str,
    snapshot: &Snapshot,
) -> Result<Split<T>, Failure> {
    let mut read = Vec::with_capacity(results.len());
    let mut failed = Vec::new();
    for (queue, result) in results {
        match result {
            Ok(value) => read.push((queue, value)),
            Err(
                cause @ SystemError::Link(
                    LinkError::Lost { .. } | LinkError::Timeout { .. } | LinkError::Connect { .. },
                ),
            ) => {
                return Err(tried(what, snapshot, &queue, cause));
            }
            Err(cause) => failed.push((queue, cause.to_string())),
        }
    }
    Ok((read, failed))
}
