//! An opened job with what conventions know of it, and why it does not move.

use std::time::Duration;

use super::Conventional;
use super::prepared::{Prepared, key_of, owner_command, read_owner, values_of};
use super::rows::judge;
use crate::domain::described::{Absence, SourceKind, Values};
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::job::Job;
use crate::domain::payload::Tree;
use crate::domain::queue::Severity;
use crate::domain::reason::Reason;
use crate::domain::state::StateKind;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Cmd, Link, Reply, cmd};
use crate::systems::facts::{Source, text_at};
use crate::systems::{SystemError, reply};

/// Whether a key is there, and how long it will be.
enum There {
    No,
    Yes(Option<Duration>),
    Unknown,
}

fn ttl(key: &[u8]) -> Cmd {
    let mut command = cmd("PTTL");
    command.arg(key);
    command
}

fn there(reply: Option<&Reply>) -> There {
    match reply.and_then(|reply| reply.as_ref().ok()).and_then(reply::int) {
        Some(-2) => There::No,
        Some(-1) => There::Yes(None),
        Some(left) => There::Yes(Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))),
        None => There::Unknown,
    }
}

impl There {
    fn told(&self, key: &[u8]) -> String {
        let key = Name::from(key);
        match self {
            Self::No => format!("{key} is not there"),
            Self::Yes(None) => format!("{key}, without an end"),
            Self::Yes(Some(left)) => format!("{key}, for {} more", text::age(*left)),
            Self::Unknown => format!("{key} could not be read"),
        }
    }
}

/// What is read beside an opened job.
struct Beside<'a> {
    flags: Vec<Vec<u8>>,
    dedup: Vec<Vec<u8>>,
    owners: Vec<&'a Prepared>,
}

impl Conventional {
    /// Adds to an opened job what the conventions over its queue tell.
    pub(super) async fn overlay_job(&self, link: &Link, queue: &QueueId, job: &mut Job) -> Result<(), SystemError> {
        let conventions = self.over(queue);
        if conventions.is_empty() {
            return Ok(());
        }
        self.overlay_running(link, queue, &conventions, std::slice::from_mut(&mut job.row)).await?;
        if let Some(result) = job.result.as_ref().filter(|_| self.is_success(&job.row, job.error.as_deref()))
            && let Some(judged) = judge(&conventions, result, &mut job.row)
        {
            job.facts.push(("meaning".to_owned(), judged.said));
            job.error = job.error.take().or(judged.error);
        }
        let payload = values_of(&job.payload);
        if let Some(payload) = &payload {
            from_payload(&conventions, payload, job);
        }
        let word = job.row.priority.map(|priority| priority.to_string());
        let word = word.and_then(|number| conventions.iter().find_map(|one| one.spec.priorities.get(&number)));
        job.facts.extend(word.map(|word| ("priority".to_owned(), word.clone())));
        self.look_beside(link, queue, &conventions, payload.as_ref(), job).await
    }

    async fn look_beside(
        &self,
        link: &Link,
        queue: &QueueId,
        conventions: &[&Prepared],
        payload: Option<&Tree>,
        job: &mut Job,
    ) -> Result<(), SystemError> {
        let running = job.row.kind == StateKind::Active;
        let data = |steps: &[String]| text_at(payload?, steps);
        let values = Values {
            id: job.row.id.as_bytes(),
            queue: queue.name.as_bytes(),
            instance: queue.instance.name.as_bytes(),
            item: Some(&job.payload.bytes),
            data: &data,
            now: Timestamp::default(),
        };
        let flags = conventions.iter().filter(|_| running).filter_map(|one| one.flag.as_ref());
        let beside = Beside {
            flags: flags.filter_map(|flag| key_of(flag, queue, &job.row.id)).collect(),
            dedup: conventions.iter().flat_map(|one| &one.dedup).filter_map(|key| key.fill(&values).ok()).collect(),
            owners: conventions.iter().copied().filter(|one| running && one.owner.is_some()).collect(),
        };
        let mut batch = Batch::new();
        for key in beside.flags.iter().chain(&beside.dedup) {
            batch.ask(ttl(key));
        }
        let owners: Vec<_> = beside
            .owners
            .iter()
            .filter_map(|one| {
                let owner = one.owner.as_ref()?;
                Some((&owner.1, owner_command(owner, queue, &job.row.id)?))
            })
            .collect();
        for (_, command) in &owners {
            batch.ask(command.clone());
        }
        if batch.is_empty() {
            return Ok(());
        }
        let replies = link.send(&batch).await?;
        let mut replies = replies.iter();
        for key in &beside.flags {
            if let found @ There::Yes(_) = there(replies.next()) {
                job.facts.push(("asked to stop".to_owned(), found.told(key)));
            }
        }
        for key in &beside.dedup {
            job.facts.push(("held back by".to_owned(), there(replies.next()).told(key)));
        }
        for ((owner, _), reply) in owners.into_iter().zip(replies) {
            let told = match read_owner(owner, reply) {
                Some(Some(owned)) => owned.told(),
                Some(None) if owner.absent == Absence::Lost => "none: nobody works on it any more".to_owned(),
                Some(None) => "no record".to_owned(),
                None => "its record could not be read".to_owned(),
            };
            job.facts.push(("owner".to_owned(), told));
        }
        Ok(())
    }

    /// Reasons of the application's own for one job.
    pub(super) async fn why_job(&self, link: &Link, queue: &QueueId, id: &JobId) -> Result<Vec<Reason>, SystemError> {
        let conventions = self.over(queue);
        let of_interest = conventions.iter().any(|one| one.owner.is_some() || one.flag.is_some());
        if !of_interest {
            return Ok(Vec::new());
        }
        // A system that cannot tell where a job is says nothing here; that is no failure.
        let state = self.inner.locate(link, queue, std::slice::from_ref(id)).await.ok().and_then(|found| found[0]);
        let kind = state.and_then(|state| self.inner.spec().states.iter().find(|spec| spec.id == state));
        if kind.is_none_or(|kind| kind.kind != StateKind::Active) {
            return Ok(Vec::new());
        }
        let mut reasons = Vec::new();
        for convention in conventions {
            if let Some(owner) = &convention.owner
                && let Some(command) = owner_command(owner, queue, id)
            {
                let reply = link.send(Batch::new().ask(command)).await?;
                let key = Name::from(key_of(&owner.0, queue, id).unwrap_or_default());
                reasons.extend(reply.first().and_then(|reply| owner_reason(&owner.1, reply, &key)));
            }
            if let Some(key) = convention.flag.as_ref().and_then(|flag| key_of(flag, queue, id)) {
                let reply = link.send(Batch::new().ask(ttl(&key))).await?;
                let found = there(reply.first());
                if matches!(found, There::Yes(_)) {
                    let text = "it was asked to stop; it ends when it next looks at its flag".to_owned();
                    let (severity, code) = (Severity::Info, "asked_to_stop");
                    reasons.push(Reason { severity, code, text, evidence: found.told(&key), remedy: None });
                }
            }
        }
        Ok(reasons)
    }
}

fn owner_reason(owner: &crate::domain::described::Owner, reply: &Reply, key: &Name) -> Option<Reason> {
    let (severity, code, text) = match read_owner(owner, reply)? {
        Some(owned) => (Severity::Info, "owned", format!("{} works on it", owned.told())),
        None if owner.absent == Absence::Lost => {
            (Severity::Critical, "worker_gone", "nobody works on it any more: it has no owner".to_owned())
        }
        None => return None,
    };
    Some(Reason { severity, code, text, evidence: format!("owner record {key}"), remedy: None })
}

/// Facts and progress inside the payload.
fn from_payload(conventions: &[&Prepared], payload: &Tree, job: &mut Job) {
    let source = Source::Document(payload);
    for convention in conventions {
        for (label, paths) in &convention.spec.facts {
            job.facts.extend(source.text(paths).map(|value| (label.clone(), value)));
        }
        for inside in convention.progress.iter().filter(|inside| inside.kind() == SourceKind::Payload) {
            if job.row.progress.is_none() {
                job.row.progress = inside.inside(&source);
            }
        }
    }
}
