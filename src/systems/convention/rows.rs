//! Rows of a page with what conventions know of them: one more round trip for what runs, one for results.

use super::Conventional;
use super::prepared::{Prepared, owner_command, read_owner, values_of};
use crate::domain::described::SourceKind;
use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::{Blob, JobRow};
use crate::domain::state::StateKind;
use crate::domain::text::first_line;
use crate::link::{Batch, Link};
use crate::systems::SystemError;
use crate::systems::facts::Source;

/// Characters of an error that a row carries.
const ERROR_CHARACTERS: usize = 500;

/// What one command of the round trip asks about which row.
enum Asked {
    Progress { row: usize, convention: usize, source: usize },
    Owner { row: usize, convention: usize },
}

impl Conventional {
    /// Adds to rows what the conventions over their queue tell.
    pub(super) async fn overlay(&self, link: &Link, queue: &QueueId, rows: &mut [JobRow]) -> Result<(), SystemError> {
        let conventions = self.over(queue);
        if conventions.is_empty() || rows.is_empty() {
            return Ok(());
        }
        self.overlay_running(link, queue, &conventions, rows).await?;
        let wants_results = conventions.iter().any(|convention| {
            let inside = convention.progress.iter().any(|source| source.kind() == SourceKind::Result);
            inside || !convention.spec.outcome.is_empty()
        });
        let ended: Vec<usize> = (0..rows.len()).filter(|index| self.is_success(&rows[*index], None)).collect();
        if !wants_results || ended.is_empty() {
            return Ok(());
        }
        let ids: Vec<JobId> = ended.iter().map(|index| rows[*index].id.clone()).collect();
        let results = self.inner.results(link, queue, &ids).await?;
        for (index, result) in ended.into_iter().zip(results) {
            if let Some(result) = result {
                judge(&conventions, &result, &mut rows[index]);
            }
        }
        Ok(())
    }

    /// True if the system itself calls the job a success, whatever its state says by a convention.
    pub(super) fn is_success(&self, row: &JobRow, error: Option<&str>) -> bool {
        match row.kind {
            StateKind::Completed => true,
            // Of its own failures a system knows the error; of those by a convention it does not.
            StateKind::Failed | StateKind::Cancelled => {
                self.inner.judges_results() && row.error.is_none() && error.is_none()
            }
            _ => false,
        }
    }

    /// Progress and owners of what runs.
    pub(super) async fn overlay_running(
        &self,
        link: &Link,
        queue: &QueueId,
        conventions: &[&Prepared],
        rows: &mut [JobRow],
    ) -> Result<(), SystemError> {
        let mut batch = Batch::new();
        let mut asked = Vec::new();
        for (row, job) in rows.iter_mut().enumerate() {
            for (convention, prepared) in conventions.iter().enumerate() {
                job.attempts_max = job.attempts_max.or(prepared.spec.max_attempts);
                if job.kind != StateKind::Active {
                    continue;
                }
                for (source, prepared) in prepared.progress.iter().enumerate() {
                    if let Some(command) = prepared.command(queue, &job.id) {
                        batch.ask(command);
                        asked.push(Asked::Progress { row, convention, source });
                    }
                }
                if let Some(command) = prepared.owner.as_ref().and_then(|owner| owner_command(owner, queue, &job.id)) {
                    batch.ask(command);
                    asked.push(Asked::Owner { row, convention });
                }
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let mut told = vec![false; rows.len()];
        for (asked, reply) in asked.into_iter().zip(link.send(&batch).await?) {
            match asked {
                Asked::Progress { row, convention, source } => {
                    // The first source that tells something is used, and it is worth more than the system's own word.
                    if !told[row]
                        && let Some(progress) = conventions[convention].progress[source].read(&reply)
                    {
                        rows[row].progress = Some(progress);
                        told[row] = true;
                    }
                }
                Asked::Owner { row, convention } => {
                    let owner = conventions[convention].owner.as_ref().map(|(_, owner)| owner);
                    if let Some(Some(owned)) = owner.and_then(|owner| read_owner(owner, &reply)) {
                        let row = &mut rows[row];
                        row.worker = Some(owned.told()).filter(|told| !told.is_empty()).or(row.worker.take());
                        row.started_at = row.started_at.or(owned.since);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Why a result means what it does, and the whole error it tells.
pub(super) struct Judged {
    /// For people.
    pub(super) said: String,
    /// The error, unless it is a success.
    pub(super) error: Option<String>,
}

/// What a stored result says of its job.
pub(super) fn judge(conventions: &[&Prepared], result: &Blob, row: &mut JobRow) -> Option<Judged> {
    let tree = values_of(result)?;
    for source in conventions.iter().flat_map(|convention| &convention.progress) {
        if source.kind() == SourceKind::Result
            && let Some(progress) = source.inside(&Source::Document(&tree))
        {
            row.progress = Some(progress);
            break;
        }
    }
    let verdict = conventions.iter().find_map(|convention| convention.judge(&tree))?;
    let kind = verdict.meaning.kind();
    let error = verdict.error.filter(|_| kind != StateKind::Completed);
    if kind != StateKind::Completed {
        row.kind = kind;
        row.error = error.as_ref().map(|error| first_line(error, ERROR_CHARACTERS)).or(row.error.take());
    }
    let path = verdict.rule.path.iter().next().unwrap_or_default();
    Some(Judged { said: format!("{}: its result says {path} = {}", kind.word(), verdict.word), error })
}
