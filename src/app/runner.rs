//! What can be asked of the runner of this qtop, and why something cannot. These change the runner, not a queue, so
//! they do not need fresh data or a server that may be changed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::actions::ActionId;
use super::availability::Availability;
use super::question::{Deed, Question};
use super::rows;
use super::screen::Screen;
use super::state::State;
use super::target;
use crate::domain::ids::QueueId;
use crate::domain::runner::{PoolState, RunnerCommand, RunnerState};

/// A size that the runner has not taken over by then it never will.
const RESIZED: Duration = Duration::from_secs(2);

/// Sizes of pools that were asked for and that the runner does not show yet: a key that is pressed quickly counts from
/// these.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sizes(BTreeMap<QueueId, (usize, Instant)>);

impl Sizes {
    /// Remembers what is asked for.
    pub(super) fn ask(&mut self, command: &RunnerCommand, now: Instant) {
        if let RunnerCommand::Resize(queue, size) = command {
            self.0.insert(queue.clone(), (*size, now));
        }
    }

    /// The size a pool has or will have.
    fn of(&self, queue: &QueueId, shown: usize, now: Instant) -> usize {
        let asked = self.0.get(queue).filter(|(_, at)| now.saturating_duration_since(*at) < RESIZED);
        asked.map_or(shown, |(size, _)| *size)
    }

    /// Forgets what the runner shows by now.
    pub(super) fn shown(&mut self, queue: &QueueId, size: usize) {
        if self.0.get(queue).is_some_and(|(asked, _)| *asked == size) {
            self.0.remove(queue);
        }
    }
}

/// Leaving the screens while jobs run here (U2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Leaving {
    /// Another process can be stopped in the place of this one, so that jobs go on in the background.
    pub background: bool,
    /// qtop is to be stopped as soon as the runner sleeps.
    pub resting: bool,
    /// qtop is to be ended as soon as the runner has said that it holds no job and takes none.
    pub quitting: bool,
    /// A person was asked about the jobs that run.
    pub asked: bool,
    /// The jobs are a show that ends with qtop: nobody need be asked about them.
    pub show: bool,
}

/// What an action asks of the runner.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// Tell it at once.
    Tell(RunnerCommand),
    /// Ask first.
    Ask(Question),
}

/// What an action means for the runner; `None`: it is not about the runner here.
pub fn wish(state: &State, id: ActionId) -> Option<Result<Wish, String>> {
    let on_screen = matches!(state.navigation.current(), Screen::Runner);
    match id {
        ActionId::JobRunHere => Some(run_here(state)),
        ActionId::RunnerMore | ActionId::RunnerFewer | ActionId::RunnerDrain => Some(of_runner(state, id)),
        ActionId::QueuePause | ActionId::JobCancel if on_screen => Some(of_runner(state, id)),
        _ => None,
    }
}

/// Whether an action about the runner can be done; `None`: it is not about the runner here.
pub(super) fn availability(state: &State, id: ActionId) -> Option<Availability> {
    let on_screen = matches!(state.navigation.current(), Screen::Runner);
    let of_screen = matches!(id, ActionId::QueuePause | ActionId::JobCancel) && on_screen;
    if !of_screen && !id.spec().scope.covers(state.navigation.current()) {
        return None;
    }
    // A copy that passes is pushed back, which is a change like any other.
    if id == ActionId::JobRunHere {
        return run_here(state).err().map(Availability::Disabled);
    }
    Some(wish(state, id)?.err().map_or(Availability::Ready, Availability::Disabled))
}

fn of_runner(state: &State, id: ActionId) -> Result<Wish, String> {
    alive(state)?;
    if id == ActionId::RunnerDrain {
        return Ok(Wish::Ask(Question::new(Deed::Runner(RunnerCommand::Drain))));
    }
    let line = rows::runner_line(state).ok_or("no pool is selected")?;
    let queue = line.pool.queue.clone();
    let present = state.runner_sizes.of(&queue, line.pool.concurrency, state.clock.mono);
    match id {
        ActionId::RunnerMore => Ok(Wish::Tell(RunnerCommand::Resize(queue, present.saturating_add(1)))),
        ActionId::RunnerFewer if present <= 1 => Err("a pool needs one slot; the pause key stops it".to_owned()),
        ActionId::RunnerFewer => Ok(Wish::Tell(RunnerCommand::Resize(queue, present - 1))),
        ActionId::QueuePause if line.pool.state == PoolState::Paused => Ok(Wish::Tell(RunnerCommand::Resume(queue))),
        ActionId::QueuePause => Ok(Wish::Tell(RunnerCommand::Pause(queue))),
        _ => {
            let job = line.job().ok_or("no running job is selected; they stand below their pool")?;
            Ok(Wish::Ask(Question::new(Deed::Runner(RunnerCommand::Cancel(job)))))
        }
    }
}

fn run_here(state: &State) -> Result<Wish, String> {
    alive(state)?;
    let job = target::job(state).ok_or("no job is selected")?;
    here(state)?;
    let pools = state.runner.iter().flat_map(|view| &view.pools);
    if pools.into_iter().all(|pool| pool.queue != job.queue) {
        return Err(format!("no pool of the runner is for {}", job.queue.short_address()));
    }
    Ok(Wish::Ask(Question::new(Deed::Runner(RunnerCommand::RunCopy(job)))))
}

/// The server the runner works on, if it is not the one that is shown.
pub fn elsewhere(state: &State) -> Option<&str> {
    let view = state.runner.as_ref()?;
    // Before it says anything it names none.
    (!view.server.is_empty() && view.server != state.server.name).then_some(&*view.server)
}

/// Whether the server that is shown is the one the runner works on: queues and ids mean something else on others.
pub(super) fn here(state: &State) -> Result<(), String> {
    let shown = &state.server.name;
    if let Some(other) = elsewhere(state) {
        return Err(format!("the runner works on {other}, this is {shown}: `:server {other}` goes there"));
    }
    if state.server.moved {
        return Err(format!("the runner works on the server that {shown} was at its start: start qtop anew"));
    }
    Ok(())
}

fn alive(state: &State) -> Result<(), String> {
    match &state.runner {
        None => Err("this qtop runs nothing: start it with --run".to_owned()),
        Some(view) if view.state == RunnerState::Stopped => Err("the runner has ended".to_owned()),
        Some(_) => Ok(()),
    }
}
