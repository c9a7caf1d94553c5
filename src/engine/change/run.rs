//! A change from beginning to end.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::domain::change::{Control, Plan, Progress, Scope};
use crate::domain::ids::{JobId, Name};
use crate::domain::mutation::{Change, Mutation, Outcome, Target};
use crate::domain::state::StateId;
use crate::link::cmd;
use crate::systems::System;

use super::audit::{Audit, Counts, Entry, NAMED, operator};
use super::journal::Journal;
use super::pace::Pace;
use super::piece::{Desk, perform};
use super::trash::{Header, Trash, Writer};
use super::{ChangeError, Finished, Places};

/// Everything a run needs besides its plan.
pub struct Room<'a> {
    /// The connection.
    pub desk: &'a mut Desk,
    /// The queue's system.
    pub system: &'a dyn System,
    /// Where files go.
    pub places: &'a Places,
    /// What a person wants.
    pub control: watch::Receiver<Control>,
    /// Is told how it stands after each piece.
    pub report: &'a (dyn Fn(&Progress) + Send + Sync),
}

/// Name of a run, which is also its undo token: the time to the millisecond, then a few letters. Sorts by time.
pub fn new_run() -> String {
    let now = jiff::Timestamp::now();
    let letters: String = uuid_letters();
    format!("{}-{letters}", now.strftime("%Y%m%d%H%M%S%3f"))
}

fn uuid_letters() -> String {
    use std::hash::{BuildHasher, Hasher};
    // A fresh `RandomState` is seeded by the system: enough to keep two runs of one second apart.
    let number = std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{:06x}", number & 0x00ff_ffff)
}

/// Carries a plan out. Returns what became of each id, also when it ended early.
pub async fn run(room: Room<'_>, plan: Plan) -> Finished {
    let name = new_run();
    begin(room, plan, name, None).await
}

/// Goes on with an interrupted run; its copy goes on in a trash file of its own.
pub async fn resume(room: Room<'_>, interrupted: super::journal::Interrupted) -> Finished {
    match Journal::again(room.places, &interrupted.run) {
        Ok(journal) => begin(room, interrupted.plan, new_run(), Some(journal)).await,
        Err(error) => Finished {
            outcome: Outcome::default(),
            left: interrupted.plan.scope.len() as u64,
            undo: None,
            error: Some(error),
        },
    }
}

async fn begin(room: Room<'_>, plan: Plan, name: String, older: Option<Journal>) -> Finished {
    let audit = Audit::new(room.places);
    let mut work = Work { outcome: Outcome::default(), sent: 0, begun: Instant::now(), undo: None };
    let entry = entry_of(&plan, &name);
    let places = room.places.clone();
    let wishes = room.control.clone();
    let total = plan.scope.len() as u64;
    let result = async {
        audit.write(&entry)?;
        let journal = match older {
            Some(journal) => Some(journal),
            None => Journal::begin(&places, &name, &plan)?,
        };
        pieces(room, &plan, &name, &mut work, journal.as_ref()).await?;
        if work.outcome.done.is_empty() && work.outcome.unknown.is_empty() {
            // Copies of what was not deleted would undo nothing.
            if work.undo.take().is_some() {
                Trash::new(&places).discard_file(&name)?;
            }
        }
        // What qtop leaves because it ends is gone on with later.
        if let Some(journal) = journal.filter(|_| *wishes.borrow() != Control::Leave || work.sent >= total) {
            journal.end()?;
        }
        Ok::<(), ChangeError>(())
    }
    .await;
    let left = total.saturating_sub(work.sent);
    let error = result.err();
    let phase = match (&error, left) {
        (Some(_), _) => "failed",
        (None, 0) => "done",
        (None, _) => "stopped",
    };
    let closing = Entry {
        time: jiff::Timestamp::now().to_string(),
        phase: phase.to_owned(),
        outcome: Some(Counts {
            done: work.outcome.done.len() as u64,
            refused: work.outcome.refused.len() as u64,
            unknown: work.outcome.unknown.len() as u64,
        }),
        undo: work.undo.clone(),
        error: error.as_ref().map(ToString::to_string),
        ..entry
    };
    // R13: what was done is done; an audit file that cannot be written now is told, not made into a failure.
    let error = error.or_else(|| audit.write(&closing).err());
    Finished { outcome: work.outcome, left, undo: work.undo, error }
}

struct Work {
    outcome: Outcome,
    sent: u64,
    begun: Instant,
    undo: Option<String>,
}

fn entry_of(plan: &Plan, run: &str) -> Entry {
    let (operator, host) = operator();
    let ids: Vec<String> = match &plan.scope {
        Scope::Queue => Vec::new(),
        Scope::Jobs(groups) => groups.iter().flat_map(|(_, ids)| ids).take(NAMED).map(Name::to_text).collect(),
        Scope::Schedules(ids) => ids.iter().take(NAMED).map(Name::to_text).collect(),
    };
    Entry {
        run: run.to_owned(),
        time: jiff::Timestamp::now().to_string(),
        phase: "begun".to_owned(),
        operator,
        host,
        server: plan.server.clone(),
        queue: plan.queue.full_address(),
        action: plan.change.verb().word().to_owned(),
        ids,
        count: plan.scope.len() as u64,
        outcome: None,
        undo: None,
        error: None,
    }
}

async fn pieces(
    mut room: Room<'_>,
    plan: &Plan,
    name: &str,
    work: &mut Work,
    journal: Option<&Journal>,
) -> Result<(), ChangeError> {
    let groups: Vec<(Option<StateId>, &[JobId])> = match &plan.scope {
        Scope::Queue => vec![(None, std::slice::from_ref(&plan.queue.name))],
        Scope::Jobs(groups) => groups.iter().map(|(state, ids)| (Some(*state), ids.as_slice())).collect(),
        Scope::Schedules(ids) => vec![(None, ids.as_slice())],
    };
    let mut pace = Pace::new(plan.rate, plan.ramp, !blocks(room.system, plan, 1).is_zero());
    let mut copy = Copy { writer: None };
    for (state, ids) in groups {
        let mut rest = ids;
        while !rest.is_empty() {
            if !may_go_on(&mut room.control, &room.report, plan, work).await {
                return Ok(());
            }
            ping(&mut room, &mut pace).await?;
            let ramping = pace.is_ramping();
            let (piece, after) = rest.split_at(pace.next_piece().min(rest.len()));
            rest = after;
            let target = match (&plan.scope, state) {
                (Scope::Jobs(_), Some(state)) => Target::Jobs { state, ids: piece.to_vec() },
                (Scope::Schedules(_), _) => Target::Schedules(piece.to_vec()),
                _ => Target::Queue,
            };
            if plan.change.verb().destroys() && copy.take(&mut room, plan, name, &target).await? {
                work.undo = Some(plan.part_of.as_ref().map_or(name, |whole| &whole.token).to_owned());
            }
            let mutation =
                Mutation { queue: plan.queue.clone(), change: plan.change.clone(), target, force: plan.force };
            let sent = Instant::now();
            let outcome = perform(room.desk, room.system, &mutation).await?;
            let pause = pace.measured(piece.len(), sent.elapsed());
            work.outcome.absorb(outcome);
            work.sent += piece.len() as u64;
            if let Some(journal) = journal {
                journal.reached(work.sent)?;
            }
            (room.report)(&progress(plan, work, false));
            if ramping && failed_again(&mut room, plan, piece).await? {
                return Ok(());
            }
            if !rest.is_empty() {
                tokio::time::sleep(pause).await;
            }
        }
    }
    Ok(())
}

/// How long taking out one job holds up the server where so many stand in its state (P15); zero where no list is walked.
pub fn blocks(system: &dyn System, plan: &Plan, jobs: u64) -> Duration {
    let Scope::Jobs(groups) = &plan.scope else { return Duration::ZERO };
    let verb = plan.change.verb();
    let Some(ability) = system.abilities().iter().find(|ability| ability.verb == verb) else { return Duration::ZERO };
    let touched = system.spec().states.iter().filter(|spec| groups.iter().any(|(state, _)| *state == spec.id));
    touched.map(|spec| ability.blocks(spec, jobs)).max().unwrap_or_default()
}

/// What the network takes for itself is asked beside the work, so that a far server is not taken for a slow one.
async fn ping(room: &mut Room<'_>, pace: &mut Pace) -> Result<(), ChangeError> {
    let link = room.desk.link().await.map_err(crate::systems::SystemError::from)?;
    let begun = Instant::now();
    match link.ask(cmd("PING")).await {
        Ok(_) => pace.measured_ping(begun.elapsed()),
        // Nothing was sent yet, so a broken connection is simply made anew.
        Err(_) => room.desk.broken(),
    }
    Ok(())
}

fn progress(plan: &Plan, work: &Work, paused: bool) -> Progress {
    let seconds = work.begun.elapsed().as_secs_f64();
    Progress {
        requested: plan.scope.len() as u64,
        done: work.outcome.done.len() as u64,
        refused: work.outcome.refused.len() as u64,
        unknown: work.outcome.unknown.len() as u64,
        rate: if seconds > 0.0 { work.sent as f64 / seconds } else { 0.0 },
        paused,
    }
}

async fn may_go_on(
    control: &mut watch::Receiver<Control>,
    report: &(dyn Fn(&Progress) + Send + Sync),
    plan: &Plan,
    work: &Work,
) -> bool {
    loop {
        let wish = *control.borrow_and_update();
        match wish {
            Control::Go => return true,
            Control::Stop | Control::Leave => return false,
            Control::Pause => {
                report(&progress(plan, work, true));
                if control.changed().await.is_err() {
                    return false;
                }
            }
        }
    }
}

/// Time for the workers to try the first jobs of a careful start.
const RAMP_WAIT: Duration = Duration::from_secs(5);

/// After the first pieces of a careful start: whether most of those jobs are back where they came from.
async fn failed_again(room: &mut Room<'_>, plan: &Plan, piece: &[JobId]) -> Result<bool, ChangeError> {
    let Scope::Jobs(groups) = &plan.scope else { return Ok(false) };
    tokio::time::sleep(RAMP_WAIT).await;
    let link = room.desk.link().await.map_err(crate::systems::SystemError::from)?;
    let now = room.system.locate(&link, &plan.queue, piece).await?;
    let from: Vec<StateId> = groups.iter().map(|(state, _)| *state).collect();
    let back = now.iter().filter(|state| state.is_some_and(|state| from.contains(&state))).count();
    Ok(back * 2 > piece.len())
}

/// The copy of what is deleted.
struct Copy {
    writer: Option<Writer>,
}

impl Copy {
    /// Writes down what is about to go; false if there is nothing that could be put back.
    async fn take(
        &mut self,
        room: &mut Room<'_>,
        plan: &Plan,
        name: &str,
        target: &Target,
    ) -> Result<bool, ChangeError> {
        let link = room.desk.link().await.map_err(crate::systems::SystemError::from)?;
        let records = match target {
            Target::Jobs { ids, .. } if matches!(plan.change, Change::Remove { children: true }) => {
                room.system.record_family(&link, &plan.queue, ids).await?
            }
            Target::Jobs { ids, .. } => room.system.record(&link, &plan.queue, ids).await?,
            Target::Queue => room.system.record_queue(&link, &plan.queue).await?.into_iter().collect(),
            Target::Schedules(ids) => room.system.record_schedules(&link, &plan.queue, ids).await?,
        };
        if records.is_empty() {
            return Ok(false);
        }
        let places = room.places.clone();
        let header = Header::new(jiff::Timestamp::now().to_string(), plan);
        let (writer, name) = (self.writer.take(), name.to_owned());
        // Compressing and waiting for the disk would hold up other tasks.
        let written = tokio::task::spawn_blocking(move || {
            let mut writer = match writer {
                Some(writer) => writer,
                None => Trash::new(&places).begin(&name, &header)?,
            };
            writer.append(&records)?;
            Ok::<Writer, ChangeError>(writer)
        });
        self.writer = Some(written.await.map_err(|cause| ChangeError::Damaged {
            path: room.places.state.join("trash"),
            what: format!("writing the copy ended in a fault: {cause}"),
        })??);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_names_that_sort_by_time() {
        let (a, b) = (new_run(), new_run());
        assert_ne!(a, b);
        assert_eq!(a.len(), 24);
        assert!(a[..17].chars().all(|c| c.is_ascii_digit()));
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(new_run() > a, "the newest is told also within one second");
    }
}
