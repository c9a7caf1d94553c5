//! What workers are told: from the selected rows of the Workers screen to a change that can be asked about.

use super::question::{Draft, Part};
use super::selection;
use super::state::State;
use crate::domain::change::Scope;
use crate::domain::ids::{Name, QueueId};
use crate::domain::mutation::{Change, Verb};
use crate::domain::worker::{Worker, WorkerOrder};

/// The change that tells the selected workers something; those that cannot be told are left out with the reason.
pub fn draft(state: &State, order: WorkerOrder) -> Result<Draft, String> {
    let selection = selection::workers(state);
    let mut draft = Draft { out_of_sight: selection.out_of_sight, ..Draft::default() };
    let mut first = None;
    for worker in selection.workers {
        match told(state, worker, order) {
            Ok((queue, name)) => add(&mut draft, queue, order, name),
            Err(reason) => {
                *draft.left_out.entry(reason.clone()).or_default() += 1;
                first = first.or(Some(reason));
            }
        }
    }
    if draft.parts.is_empty() {
        return Err(first.unwrap_or_else(|| "no worker is selected".to_owned()));
    }
    Ok(draft)
}

/// By which queue a worker is told, and its name; `None` stands for all that serve the queue.
fn told(state: &State, worker: &Worker, order: WorkerOrder) -> Result<(QueueId, Option<Name>), String> {
    let system = worker.instance.system;
    if state.server.ability(system, Verb::Signal).is_none() {
        return Err(format!("{system} has no way to tell its workers to {}", order.word()));
    }
    let instance = state.shown().instances.iter().find(|instance| instance.id == worker.instance);
    let queue = instance.and_then(|instance| instance.queues.first()).map(|sample| sample.id.clone());
    let queue = queue.ok_or_else(|| "no queue of its instance is known any more".to_owned())?;
    match (worker.paused, order) {
        // What is shown of workers is some seconds old, and to be told twice does no harm.
        (Some(_), _) => Ok((queue, Some(worker.name.clone()))),
        // Nobody knows who it is, so only all of them can be told.
        (None, WorkerOrder::Restart) => Ok((queue, None)),
        (None, _) => {
            Err("only Horizon's masters and supervisors can be told that; restart is for all others".to_owned())
        }
    }
}

fn add(draft: &mut Draft, queue: QueueId, order: WorkerOrder, name: Option<Name>) {
    for part in &mut draft.parts {
        if let Change::Signal { workers, .. } = &mut part.change
            && part.queue == queue
            && workers.is_empty() == name.is_none()
        {
            workers.extend(name);
            return;
        }
    }
    let change = Change::Signal { order, workers: name.into_iter().collect() };
    draft.parts.push(Part { queue, change, scope: Scope::Queue });
}

/// The only worker that is named.
pub fn named(draft: &Draft) -> Option<&Name> {
    match draft.parts.as_slice() {
        [Part { change: Change::Signal { workers, .. }, .. }] => match workers.as_slice() {
            [only] => Some(only),
            _ => None,
        },
        _ => None,
    }
}

/// All workers that are named, in the order of the screen.
pub fn all_named(draft: &Draft) -> Vec<&Name> {
    let mut names = Vec::new();
    for part in &draft.parts {
        if let Change::Signal { workers, .. } = &part.change {
            names.extend(workers);
        }
    }
    names
}

/// What they are told, as the beginning of a heading.
pub fn doing(order: WorkerOrder) -> &'static str {
    match order {
        WorkerOrder::Pause => "Pause",
        WorkerOrder::Continue => "Let go on:",
        WorkerOrder::Restart => "Restart",
        WorkerOrder::Terminate => "End for good:",
    }
}
