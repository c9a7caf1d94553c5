//! From words on the command line to a frozen set of ids.

use std::io::BufRead;

use super::how::{How, Which, plan};
use super::{Counter, report};
use crate::cli::commands::state_of;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::domain::change::{Filter, Frozen, Scope};
use crate::domain::ids::{JobId, QueueId};
use crate::domain::job::Search;
use crate::domain::mutation::{Change, Outcome};
use crate::domain::state::{StateId, StateKind};
use crate::domain::time::Timestamp;
use crate::engine::change::Finished;
use crate::engine::change::freeze::freeze;
use crate::engine::executor::told;

/// Bytes of each payload a search looks into.
const SEARCHED_PAYLOAD: u64 = 64 * 1024;

/// Changes jobs: those named, or all that match.
///
/// `later`: without a state the scheduled ones are meant, too (drain).
pub async fn jobs(
    counter: &mut Counter<'_>,
    session: &Session,
    queue: &QueueId,
    change: Change,
    which: &Which,
    later: bool,
    how: &How,
) -> Result<Exit, Failure> {
    let system = counter.system(queue)?;
    let states = match &which.state {
        Some(state) => vec![state_of(session, queue, state)?],
        None => states_of(&*system, |kind| kind == StateKind::Waiting || (later && kind == StateKind::Scheduled)),
    };
    if which.all {
        let filter = Filter {
            states,
            search: which.matching.as_ref().map(|text| Search {
                text: text.clone(),
                payload_bytes: if which.payloads { SEARCHED_PAYLOAD } else { 0 },
            }),
            before: which.older_than.map(|span| {
                Timestamp(session.snapshot().taken_at.0 - i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
            }),
            limit: which.limit,
        };
        let link = counter.desk.link().await.map_err(|error| told(&error.into()))?;
        let frozen = freeze(&link, &*system, queue, change.verb(), &filter, |_| true).await;
        let frozen = frozen.map_err(|error| Failure::from(told(&error)))?;
        let lines = preview(&frozen);
        let plan = plan(&counter.server, queue, change, Scope::Jobs(frozen.groups), how);
        return counter.ask_and_carry_out(plan, &lines, how).await;
    }
    let ids = named(&which.ids)?;
    let state = which.state.as_ref().map(|_| states[0]);
    let (groups, lost) = sort(counter, queue, &ids, state).await?;
    let plan = plan(&counter.server, queue, change, Scope::Jobs(groups), how);
    if plan.scope.is_empty() {
        let outcome = Outcome { refused: lost, ..Outcome::default() };
        let finished = Finished { outcome, left: 0, undo: None, error: None };
        return report::print(counter, &plan, &finished, how.json);
    }
    let lines: Vec<String> = lost.iter().map(|(id, reason)| format!("left out {id}: {reason}")).collect();
    let Some(mut finished) = counter.ask_and_do(&plan, &lines, how).await? else { return Ok(Exit::Good) };
    finished.outcome.refused.extend(lost);
    report::print(counter, &plan, &finished, how.json)
}

/// Ids from the command line, or from standard input for `-`.
fn named(words: &[String]) -> Result<Vec<JobId>, Failure> {
    let mut ids = Vec::new();
    for word in words {
        if word != "-" {
            ids.push(JobId::from(word.as_str()));
            continue;
        }
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            if !line.trim().is_empty() {
                ids.push(JobId::from(line.trim()));
            }
        }
    }
    if ids.is_empty() {
        return Err(Failure::new(Exit::Usage, "no id was given"));
    }
    Ok(ids)
}

type Groups = Vec<(StateId, Vec<JobId>)>;

/// Named ids by the state they are in now; those that are in none, with the reason.
async fn sort(
    counter: &mut Counter<'_>,
    queue: &QueueId,
    ids: &[JobId],
    state: Option<StateId>,
) -> Result<(Groups, Vec<(JobId, String)>), Failure> {
    if let Some(state) = state {
        return Ok((vec![(state, ids.to_vec())], Vec::new()));
    }
    let system = counter.system(queue)?;
    let link = counter.desk.link().await.map_err(|error| told(&error.into()))?;
    let mut groups: Groups = Vec::new();
    let mut lost = Vec::new();
    for piece in ids.chunks(50) {
        let found = system.locate(&link, queue, piece).await.map_err(|error| told(&error))?;
        for (id, state) in piece.iter().zip(found) {
            match state {
                None => lost.push((id.clone(), "there is no such job in any state".to_owned())),
                Some(state) => match groups.iter_mut().find(|(known, _)| *known == state) {
                    Some((_, ids)) => ids.push(id.clone()),
                    None => groups.push((state, vec![id.clone()])),
                },
            }
        }
    }
    Ok((groups, lost))
}

/// States whose kind is wanted.
pub(super) fn states_of(system: &dyn crate::systems::System, wanted: impl Fn(StateKind) -> bool) -> Vec<StateId> {
    system.spec().states.iter().filter(|state| wanted(state.kind)).map(|state| state.id).collect()
}

fn preview(frozen: &Frozen) -> Vec<String> {
    let mut lines = vec![format!("looked at {} jobs", frozen.looked_at)];
    for (state, ids) in &frozen.groups {
        lines.push(format!("{}: {}", state, ids.len()));
    }
    let mut names: Vec<_> = frozen.names.iter().filter(|(name, _)| !name.is_empty()).collect();
    names.sort_by(|a, b| b.1.cmp(a.1));
    lines.extend(names.iter().take(5).map(|(name, count)| format!("  {count} {name}")));
    lines.extend(frozen.samples.iter().map(|row| {
        let name = row.name.as_deref().unwrap_or_default();
        format!("  for example {} {name} {}", row.id, row.error.as_deref().unwrap_or_default())
    }));
    lines.extend(frozen.not_eligible.iter().map(|(reason, count)| format!("not eligible {count}: {reason}")));
    lines
}
