//! Deleting a whole queue: it is paused, emptied by way of the trash, and only then do its own keys go. Each step is a
//! change of its own with its copy and its audit lines, so whatever ends it early leaves nothing that cannot be undone.

use futures_util::future::BoxFuture;

use crate::domain::caps::Caps;
use crate::domain::change::{Filter, Plan, Scope, Whole};
use crate::domain::ids::{Name, QueueId};
use crate::domain::job::PageRequest;
use crate::domain::mutation::{Change, Outcome};
use crate::link::Link;
use crate::systems::{System, SystemError};

use super::Finished;
use super::freeze::freeze;
use super::run::new_run;

/// Schedules read by one call.
const PAGE: usize = 500;

/// Whoever carries out the steps, and tells of them in a way of its own.
pub trait Steps: Send + Sync {
    /// Carries out one of them.
    fn carry_out(&mut self, plan: Plan) -> BoxFuture<'_, Finished>;

    /// A connection to read by.
    fn link(&mut self) -> BoxFuture<'_, Result<Link, SystemError>>;

    /// False once somebody wants it to end.
    fn go_on(&self) -> bool;
}

/// Deletes the queue of a plan with everything in it. A queue that is not deleted in the end is left as it was found,
/// but for what went. One undo token stands for all of it.
pub async fn obliterate(steps: &mut dyn Steps, system: &dyn System, mut plan: Plan, was_paused: bool) -> Finished {
    plan.part_of = Some(Whole { token: new_run(), action: plan.change.verb().word().to_owned() });
    let whole = |change, force| Plan { change, scope: Scope::Queue, force, ..plan.clone() };
    let mut paused_here = false;
    if !was_paused {
        let paused = steps.carry_out(whole(Change::Pause, plan.force)).await;
        if paused.error.is_some() {
            return paused;
        }
        // Refused: somebody else has paused it since it was looked at, and may want it to stay so.
        paused_here = paused.outcome.refused.is_empty();
    }
    let mut undo = None;
    let mut finished = match emptied(steps, system, &plan, &mut undo).await {
        Ok(finished) => finished,
        Err(error) => Finished { outcome: Outcome::default(), left: 1, undo: None, error: Some(error.into()) },
    };
    let outcome = &finished.outcome;
    let is_empty =
        finished.error.is_none() && finished.left == 0 && outcome.refused.is_empty() && outcome.unknown.is_empty();
    if paused_here {
        // A queue that is not deleted must not stay paused, and one that is must not come back paused. Deleting checks
        // by itself that nothing was added since.
        let resumed = steps.carry_out(whole(Change::Resume, plan.force)).await;
        finished.error = finished.error.or(resumed.error);
    }
    if is_empty && finished.error.is_none() {
        finished = steps.carry_out(whole(Change::Obliterate, plan.force || paused_here)).await;
    }
    finished.undo = finished.undo.or(undo);
    finished
}

/// Removes every schedule, then every job: the next run of a schedule cannot go before it.
async fn emptied(
    steps: &mut dyn Steps,
    system: &dyn System,
    plan: &Plan,
    undo: &mut Option<String>,
) -> Result<Finished, SystemError> {
    let link = steps.link().await?;
    let schedules = schedules(&link, system, &plan.queue).await?;
    if !schedules.is_empty() {
        let unschedule = Plan { change: Change::Unschedule, scope: Scope::Schedules(schedules), ..plan.clone() };
        let mut removed = steps.carry_out(unschedule).await;
        *undo = removed.undo.take();
        if removed.error.is_some() || removed.left > 0 {
            return Ok(removed);
        }
    }
    let states = system.spec().states.iter().map(|state| state.id).collect();
    let remove = Change::Remove { children: false };
    let filter = Filter { states, ..Filter::default() };
    let frozen = freeze(&link, system, &plan.queue, remove.verb(), &filter, |_| steps.go_on()).await?;
    if !steps.go_on() {
        return Ok(Finished { outcome: Outcome::default(), left: 1, undo: None, error: None });
    }
    let mut removed = steps.carry_out(Plan { change: remove, scope: Scope::Jobs(frozen.groups), ..plan.clone() }).await;
    *undo = removed.undo.take().or(undo.take());
    Ok(removed)
}

/// Ids of every schedule.
async fn schedules(link: &Link, system: &dyn System, queue: &QueueId) -> Result<Vec<Name>, SystemError> {
    let mut ids = Vec::new();
    if !system.spec().caps.contains(Caps::SCHEDULES) {
        return Ok(ids);
    }
    let mut page = PageRequest { cursor: None, limit: PAGE };
    loop {
        let found = system.schedules(link, queue, page).await?;
        ids.extend(found.rows.into_iter().map(|schedule| schedule.id));
        match found.next {
            Some(cursor) => page = PageRequest { cursor: Some(cursor), limit: PAGE },
            None => return Ok(ids),
        }
    }
}
