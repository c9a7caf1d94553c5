//! Adding many jobs: one add after the other, with one pair of audit lines for all. What was added is written down as it
//! goes, so that an import that was killed goes on where it stopped.

use std::time::Instant;

use crate::domain::change::Plan;
use crate::domain::ids::JobId;
use crate::domain::mutation::{Change, Mutation, NewJob, Outcome, Target};
use crate::systems::{System, SystemError};

use super::audit::{Audit, Counts, Entry, NAMED, operator};
use super::import_log::ImportLog;
use super::piece::{Desk, perform};
use super::run::new_run;
use super::{ChangeError, Finished, Places};

/// Jobs added before a rest as long as they took.
const PIECE: usize = 50;

/// A job to be added, with the id it had where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its place in the file, counted from 0.
    pub place: usize,
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
    mut guests: Vec<Guest>,
    mut log: ImportLog,
) -> Finished {
    // Another run of the same import may have added some while a person was asked.
    guests.retain(|guest| !log.known.added.contains(&guest.place));
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
        Ok(()) => add_all(desk, system, plan, &guests, &mut log, &mut outcome).await,
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
    let over = error.is_none() && left == 0 && outcome.unknown.is_empty();
    let error = error.or_else(|| if over { log.end().err() } else { None });
    let error = error.or_else(|| audit.write(&closing).err());
    Finished { outcome, left, undo: None, error }
}

async fn add_all(
    desk: &mut Desk,
    system: &dyn System,
    plan: &Plan,
    guests: &[Guest],
    log: &mut ImportLog,
    outcome: &mut Outcome,
) -> Result<(), ChangeError> {
    for piece in guests.chunks(PIECE) {
        let begun = Instant::now();
        let places: Vec<usize> = piece.iter().map(|guest| guest.place).collect();
        log.sending(&places)?;
        for guest in piece {
            let mutation = Mutation {
                queue: plan.queue.clone(),
                change: Change::Add(guest.job.clone()),
                target: Target::Queue,
                force: plan.force,
            };
            match perform(desk, system, &mutation).await {
                Ok(told) if !told.done.is_empty() => {
                    log.added(guest.place)?;
                    outcome.done.push(guest.old.clone());
                    outcome.created.extend(told.created);
                }
                Ok(told) => match told.refused.into_iter().next() {
                    Some((_, reason)) => {
                        log.refused(guest.place)?;
                        outcome.refused.push((guest.old.clone(), reason));
                    }
                    None => {
                        log.unknown(guest.place)?;
                        outcome.unknown.push(guest.old.clone());
                    }
                },
                // What is wrong with one job is not wrong with the others.
                Err(SystemError::BadRequest(reason)) => {
                    log.refused(guest.place)?;
                    outcome.refused.push((guest.old.clone(), reason));
                }
                Err(error) => {
                    log.stopped()?;
                    return Err(error.into());
                }
            }
        }
        tokio::time::sleep(begun.elapsed()).await;
    }
    Ok(())
}
