//! Payloads from files, standard input and `$EDITOR`.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;

use super::Counter;
use super::how::{How, plan};
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::domain::change::Scope;
use crate::domain::fetch::{Fetched, Request};
use crate::domain::ids::{JobRef, QueueId};
use crate::domain::mutation::{Change, without_added_newline};
use crate::domain::state::StateKind;

/// Largest payload that is edited.
const MOST: u64 = 16 << 20;

/// A file's bytes, or those of standard input for `-`.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    result.map_err(|error| Failure::new(Exit::Usage, format!("cannot read {}: {error}", path.display())))
}

/// Replaces a job's payload.
pub async fn edit(
    counter: &mut Counter<'_>,
    mut session: Session,
    queue: &QueueId,
    id: &str,
    data: Option<&Path>,
    retry: bool,
    how: &How,
) -> Result<Exit, Failure> {
    let job = JobRef { queue: queue.clone(), id: id.into() };
    let answer = session.ask(Request::Job { job: job.clone(), payload_limit: MOST }).await?;
    let Fetched::Job(Some(found)) = answer else {
        return Err(Failure::new(Exit::Refused, format!("{} has no job {id}", queue.full_address())));
    };
    if found.payload.is_cut() {
        let text = format!("its payload of {} bytes is too large to be edited", found.payload.total);
        return Err(Failure::new(Exit::Refused, text));
    }
    let old = found.payload.bytes.clone();
    let new = match data {
        Some(path) => Bytes::from(read(path)?),
        None => without_added_newline(&old, in_editor(&old)?.into()),
    };
    if new == old {
        return Err(Failure::new(Exit::Refused, "nothing was changed: the payload is the same"));
    }
    let was_json = serde_json::from_slice::<&serde_json::value::RawValue>(&old).is_ok();
    if was_json && let Err(error) = serde_json::from_slice::<&serde_json::value::RawValue>(&new) {
        return Err(Failure::new(Exit::Refused, format!("nothing was changed: the new payload is no JSON: {error}"))
            .with_remedy("the old payload is JSON; correct the text and try again"));
    }
    let state = found.row.state;
    let scope = || Scope::Jobs(vec![(state, vec![job.id.clone()])]);
    let change = Change::Edit { old, new };
    let exit = counter.ask_and_carry_out(plan(&counter.server, queue, change, scope(), how), &[], how).await?;
    let ended = matches!(found.row.kind, StateKind::Failed | StateKind::Completed);
    if retry && ended && exit == Exit::Good && !how.dry_run {
        let how = How { yes: true, ..how.clone() };
        let again = plan(&counter.server, queue, Change::Retry { reset_attempts: false }, scope(), &how);
        return counter.ask_and_carry_out(again, &[], &how).await;
    }
    Ok(exit)
}

/// The bytes as a person leaves them in `$EDITOR`. The file is the owner's only, and goes away with this call.
fn in_editor(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR")).unwrap_or_else(|_| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let file = tempfile::Builder::new().prefix("qtop-").suffix(".json").tempfile()?;
    std::fs::write(file.path(), bytes)?;
    let status = std::process::Command::new(program).args(words).arg(file.path()).status();
    match status {
        Ok(status) if status.success() => Ok(std::fs::read(file.path())?),
        Ok(status) => Err(Failure::new(Exit::Refused, format!("nothing was changed: {program} ended with {status}"))),
        Err(error) => Err(Failure::new(Exit::Usage, format!("cannot start {program}: {error}"))
            .with_remedy("set EDITOR, or give the new payload with --data FILE")),
    }
}
