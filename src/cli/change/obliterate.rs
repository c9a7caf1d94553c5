//! Deleting a whole queue.

use super::args::{How, plan};
use super::select::states_of;
use super::{Counter, ask, report};
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::domain::caps::Caps;
use crate::domain::change::{Filter, Plan, Scope};
use crate::domain::ids::{Name, QueueId};
use crate::domain::job::PageRequest;
use crate::domain::mutation::Change;
use crate::engine::change::Finished;
use crate::engine::change::freeze::freeze;
use crate::engine::executor::told;
use crate::systems::System;

/// Schedules read by one call.
const PAGE: usize = 500;

/// Deletes a queue with everything in it: pauses it, empties it by way of the trash, then deletes its own keys.
pub async fn obliterate(
    counter: &mut Counter<'_>,
    session: &Session,
    queue: &QueueId,
    confirm: Option<&str>,
    how: &How,
) -> Result<Exit, Failure> {
    let system = counter.system(queue)?;
    let name = queue.name.to_text();
    let whole = plan(&counter.server, queue, Change::Obliterate, Scope::Queue, how);
    let mut lines = counter.describe(&whole, &[])?;
    if let Some((instance, sample)) = session.snapshot().queue(queue) {
        for state in instance.states {
            if let Some(count) = sample.count(state.id).value().filter(|count| *count > 0) {
                lines.push(format!("{}: {count}", state.id));
            }
        }
    }
    if how.dry_run {
        counter.output.text(&lines.join("\n"))?;
        return Ok(Exit::Good);
    }
    match confirm {
        Some(typed) if typed == name => {}
        Some(_) => return Err(Failure::new(Exit::Refused, format!("nothing was changed: --confirm is not {name}"))),
        None if how.yes => {
            return Err(Failure::new(Exit::Usage, "nothing was changed: --yes alone does not delete a queue")
                .with_remedy(format!("add --confirm {name}")));
        }
        None => ask::name(&lines, &name)?,
    }
    let was_paused = session.snapshot().queue(queue).is_some_and(|(_, sample)| sample.conditions.paused == Some(true));
    if !was_paused {
        let pause = plan(&counter.server, queue, Change::Pause, Scope::Queue, how);
        counter.carry_out(pause, None).await?;
    }
    let schedules = schedules(counter, &*system, queue).await?;
    let mut tokens = Vec::new();
    if !schedules.is_empty() {
        let unschedule = plan(&counter.server, queue, Change::Unschedule, Scope::Schedules(schedules), how);
        tokens.extend(counter.carry_out(unschedule, None).await?.undo);
    }
    let filter = Filter { states: states_of(&*system, |_| true), ..Filter::default() };
    let link = counter.desk.link().await.map_err(|error| told(&error.into()))?;
    let remove = Change::Remove { children: false };
    let frozen =
        freeze(&link, &*system, queue, remove.verb(), &filter, |_| true).await.map_err(|error| told(&error))?;
    let empty = plan(&counter.server, queue, remove, Scope::Jobs(frozen.groups), how);
    let emptied = counter.carry_out(empty.clone(), None).await?;
    tokens.extend(emptied.undo.clone());
    let is_empty = emptied.error.is_none() && emptied.outcome.refused.is_empty() && emptied.outcome.unknown.is_empty();
    if !was_paused {
        // Left as it was found: a queue that is not deleted must not stay paused, and one that is deleted must not come
        // back paused. Deleting checks by itself that nothing was added since.
        let resume = plan(&counter.server, queue, Change::Resume, Scope::Queue, how);
        counter.carry_out(resume, None).await?;
    }
    let mut finished = if is_empty {
        counter.carry_out(Plan { force: how.force || !was_paused, ..whole.clone() }, None).await?
    } else {
        Finished { undo: None, ..emptied }
    };
    // The queue's own keys come back first, then its schedules and jobs.
    tokens.splice(0..0, finished.undo.take());
    finished.undo = (!tokens.is_empty()).then(|| tokens.join(" "));
    report::print(counter, &whole, &finished, how.json)
}

/// Ids of every schedule.
async fn schedules(counter: &mut Counter<'_>, system: &dyn System, queue: &QueueId) -> Result<Vec<Name>, Failure> {
    let mut ids = Vec::new();
    if !system.spec().caps.contains(Caps::SCHEDULES) {
        return Ok(ids);
    }
    let link = counter.desk.link().await.map_err(|error| told(&error.into()))?;
    let mut page = PageRequest { cursor: None, limit: PAGE };
    loop {
        let found = system.schedules(&link, queue, page).await.map_err(|error| told(&error))?;
        ids.extend(found.rows.into_iter().map(|schedule| schedule.id));
        match found.next {
            Some(cursor) => page = PageRequest { cursor: Some(cursor), limit: PAGE },
            None => return Ok(ids),
        }
    }
}
