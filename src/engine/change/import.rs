//! Adding many jobs: one add after the other, with one pair of audit lines for all.

use std::time::Instant;

use crate::domain::change::Plan;
use crate::domain::ids::JobId;
use crate::domain::mutation::{Change, Mutation, NewJob, Outcome, Target};
use crate::systems::System;

use super::audit::{Audit, Counts, Entry, NAMED, operator};
use super::piece::{Desk, perform};
use super::run::new_run;
use super::{ChangeError, Finished, Places};

/// Jobs added before a rest as long as they took.
const PIECE: usize = 50;

/// A job to be added, with the id it had where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its id in the file, by which the outcome names it.
    pub old: JobId,
    /// What is added.
    pub job: NewJob,
}

/// Adds them all. One that the system refuses does not keep the others away; a lost server does.
pub async fn import(
    desk: &mut Desk,
    system: &dyn System,
    places: &Places,
    plan: &Plan,
    guests: Vec<Guest>,
) -> Finished {
    let audit = Audit::new(places);
    let (operator, host) = operator();
    let begun = Entry {
        run: new_run(),
        time: jiff::Timestamp::now().to_string(),
        phase: "begun".to_owned(),
        operator,
        host,
        server: plan.server.clone(),
        queue: plan.queue.full_address(),
        action: "import".to_owned(),
        ids: guests.iter().take(NAMED).map(|guest| guest.old.to_text()).collect(),
        count: guests.len() as u64,
        outcome: None,
        undo: None,
        error: None,
    };
    let mut outcome = Outcome::default();
    let total = guests.len();
    let result = match audit.write(&begun) {
        Ok(()) => add_all(desk, system, plan, guests, &mut outcome).await,
        Err(error) => Err(error),
    };
    let left = (total - outcome.done.len() - outcome.refused.len() - outcome.unknown.len()) as u64;
    let error = result.err();
    let closing = Entry {
        time: jiff::Timestamp::now().to_string(),
        phase: if error.is_some() { "failed" } else { "done" }.to_owned(),
        outcome: Some(Counts {
            done: outcome.done.len() as u64,
            refused: outcome.refused.len() as u64,
            unknown: outcome.unknown.len() as u64,
        }),
        error: error.as_ref().map(ToString::to_string),
        ..begun
    };
    let error = error.or_else(|| audit.write(&closing).err());
    Finished { outcome, left, undo: None, error }
}

async fn add_all(
    desk: &mut Desk,
    system: &dyn System,
    plan: &Plan,
    guests: Vec<Guest>,
    outcome: &mut Outcome,
) -> Result<(), ChangeError> {
    let mut begun = Instant::now();
    for (index, guest) in guests.into_iter().enumerate() {
        let mutation = Mutation {
            queue: plan.queue.clone(),
            change: Change::Add(guest.job),
            target: Target::Queue,
            force: plan.force,
        };
        match perform(desk, system, &mutation).await {
            Ok(told) if !told.done.is_empty() => {
                outcome.done.push(guest.old);
                outcome.created.extend(told.created);
            }
            Ok(told) => match told.refused.into_iter().next() {
                Some((_, reason)) => outcome.refused.push((guest.old, reason)),
                None => outcome.unknown.push(guest.old),
            },
            // What is wrong with one job is not wrong with the others.
            Err(crate::systems::SystemError::BadRequest(reason)) => outcome.refused.push((guest.old, reason)),
            Err(error) => return Err(error.into()),
        }
        if (index + 1) % PIECE == 0 {
            tokio::time::sleep(begun.elapsed()).await;
            begun = Instant::now();
        }
    }
    Ok(())
}
