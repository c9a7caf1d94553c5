//! Workers of all instances, and the one place that may ask `CLIENT LIST` (P8).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Asker, Clients, Failure, runners};
use crate::domain::fetch::WorkerReport;
use crate::domain::ids::Name;
use crate::domain::snapshot::Snapshot;
use crate::domain::worker::Worker;
use crate::engine::facts::reply_text;
use crate::engine::sign;
use crate::link::{Link, LinkError, cmd};
use crate::systems::{Instance, SystemError};

/// With more clients the list costs too much to be asked without a confirmation.
const CLIENTS: u64 = 1000;
/// The list is asked again after this long at the earliest.
const CLIENT_LIST_EVERY: Duration = Duration::from_secs(30);

impl Asker {
    /// Workers as far as they can be known. `confirmed`: a person has seen what the list of clients costs.
    pub(super) async fn workers(
        &self,
        link: &Link,
        snapshot: &Snapshot,
        confirmed: bool,
    ) -> Result<WorkerReport, Failure> {
        let mut report = WorkerReport::default();
        let systems: Vec<_> = self.systems.iter().map(|system| system.spec().name).collect();
        let (clients, signs) =
            tokio::join!(self.client_list(link, snapshot, confirmed, &mut report.notes), sign::read(link, &systems));
        let (clients, signs) = (clients?, signs.map_err(|error| signs_failed(error.into()))?);
        for sample in &snapshot.instances {
            let Some(system) = self.systems.iter().find(|system| system.spec().name == sample.id.system) else {
                continue;
            };
            let queues = sample.queues.iter().map(|queue| queue.id.name.clone()).collect();
            let instance = Instance { id: sample.id.clone(), queues };
            match system.workers(link, &instance, clients.as_deref()).await {
                Ok(workers) => report.workers.extend(workers),
                Err(SystemError::Unsupported(reason)) => report.notes.push(reason),
                Err(cause @ SystemError::Link(LinkError::Lost { .. } | LinkError::Timeout { .. })) => {
                    return Err(Failure { tried: format!("reading workers of {}", sample.id.system), cause });
                }
                Err(error) => report.notes.push(format!("{} {}: {error}", sample.id.system, sample.id.name)),
            }
        }
        once(&mut report.workers);
        runners::join(&mut report.workers, &signs);
        report.notes.dedup();
        Ok(report)
    }

    /// The lines of `CLIENT LIST`, if it may be asked or was asked a moment ago.
    async fn client_list(
        &self,
        link: &Link,
        snapshot: &Snapshot,
        confirmed: bool,
        notes: &mut Vec<String>,
    ) -> Result<Option<Arc<str>>, Failure> {
        let known = self.clients.borrow().clone();
        if let Some(clients) = known.filter(|clients| clients.at.elapsed() < CLIENT_LIST_EVERY) {
            return Ok(Some(clients.lines));
        }
        match snapshot.facts.clients {
            Some(clients) if clients > CLIENTS && !confirmed => {
                // About 350 bytes a line; a millisecond of server time for a few hundred of them.
                let kib = clients * 350 / 1024;
                notes.push(format!(
                    "{clients} clients are connected: CLIENT LIST would move about {kib} KiB and was not asked without a confirmation"
                ));
                return Ok(None);
            }
            None if !confirmed => {
                notes.push(
                    "the number of clients is not known (INFO is refused), so CLIENT LIST was not asked".to_owned(),
                );
                return Ok(None);
            }
            _ => {}
        }
        let mut command = cmd("CLIENT");
        command.arg("LIST");
        match link.ask(command).await {
            Ok(value) => {
                let lines: Arc<str> = reply_text(&value).unwrap_or_default().into();
                let names = client_names(&lines);
                self.clients.send_replace(Some(Clients { at: Instant::now(), names, lines: Arc::clone(&lines) }));
                Ok(Some(lines))
            }
            Err(LinkError::Command(error)) => {
                notes.push(format!("CLIENT LIST is refused ({error}): workers that only show as connections are unknown; the ACL needs +client|list"));
                Ok(None)
            }
            Err(LinkError::Gate { reason, .. }) => {
                notes.push(format!("CLIENT LIST was not sent: {reason}"));
                Ok(None)
            }
            Err(error) => Err(Failure { tried: "reading the list of clients".to_owned(), cause: error.into() }),
        }
    }
}

/// The signs of runners could not be asked for.
fn signs_failed(cause: SystemError) -> Failure {
    Failure { tried: "reading which runners there are".to_owned(), cause }
}

/// A process that two systems know by the same name and number, as Laravel and its Horizon do, is told once: by the first.
fn once(workers: &mut Vec<Worker>) {
    let mut seen: HashSet<(Name, u64)> = HashSet::new();
    workers.retain(|worker| worker.pid.is_none_or(|pid| seen.insert((worker.name.clone(), pid))));
}

/// The names in a list of clients; clients without a name are left out.
fn client_names(lines: &str) -> Arc<[Name]> {
    let name = |line: &str| {
        line.split(' ').find_map(|field| field.strip_prefix("name=")).filter(|name| !name.is_empty()).map(Name::from)
    };
    lines.lines().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_a_list_of_clients() {
        let lines = "id=3 addr=127.0.0.1:1 laddr=127.0.0.1:2 fd=8 name=bull:bWFpbA== age=1 idle=0 flags=b\n\
                     id=4 addr=127.0.0.1:3 fd=9 name= age=1\n";
        assert_eq!(&*client_names(lines), [Name::from("bull:bWFpbA==")]);
    }
}
