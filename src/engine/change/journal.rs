//! What a long change still has to do, on disk, so that it can go on after qtop was killed.
//!
//! One file for each run: a line of JSON that says what the change is, then the frozen ids, one base64 word a line, a
//! state's name with `@` before its ids. How many are done stands in a small file beside it, replaced after each piece.
//! Going on from a slightly old number is harmless: every piece checks the state it expects.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::domain::change::{Plan, Scope, Whole};
use crate::domain::ids::{JobId, QueueId};
use crate::domain::mutation::{Change, End};
use crate::domain::state::StateId;
use crate::systems::System;

use super::hold::Hold;
use super::{ChangeError, Places, file_error, private_directory, private_file};

/// The first line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    server: String,
    system: String,
    instance: String,
    queue: String,
    change: Kept,
    force: bool,
    rate: Option<u32>,
    #[serde(default)]
    part_of: Option<Whole>,
}

/// Changes that can be long enough to be interrupted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Retry { reset_attempts: bool },
    Cancel,
    Promote,
    DelayMs(u64),
    Prioritize(i64),
    Remove { children: bool },
    Kill(String),
    Requeue { next: bool, reset_attempts: bool },
    Claim { consumer: String, min_idle_ms: u64 },
    Acknowledge,
}

impl Kept {
    fn of(change: &Change) -> Option<Self> {
        Some(match change {
            Change::Retry { reset_attempts } => Self::Retry { reset_attempts: *reset_attempts },
            Change::Cancel => Self::Cancel,
            Change::Promote => Self::Promote,
            Change::Delay { by } => Self::DelayMs(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)),
            Change::Prioritize { priority } => Self::Prioritize(*priority),
            Change::Remove { children } => Self::Remove { children: *children },
            Change::Kill { reason } => Self::Kill(reason.clone()),
            // Not to be gone on with blindly: a second run would make second copies.
            Change::Duplicate => return None,
            Change::Requeue { end, reset_attempts } => {
                Self::Requeue { next: *end == End::Next, reset_attempts: *reset_attempts }
            }
            Change::Claim { consumer, min_idle } => Self::Claim {
                consumer: BASE64_STANDARD.encode(consumer.as_bytes()),
                min_idle_ms: u64::try_from(min_idle.as_millis()).unwrap_or(u64::MAX),
            },
            Change::Acknowledge => Self::Acknowledge,
            _ => return None,
        })
    }

    fn change(self) -> Option<Change> {
        Some(match self {
            Self::Retry { reset_attempts } => Change::Retry { reset_attempts },
            Self::Cancel => Change::Cancel,
            Self::Promote => Change::Promote,
            Self::DelayMs(by) => Change::Delay { by: Duration::from_millis(by) },
            Self::Prioritize(priority) => Change::Prioritize { priority },
            Self::Remove { children } => Change::Remove { children },
            Self::Kill(reason) => Change::Kill { reason },
            Self::Requeue { next, reset_attempts } => {
                Change::Requeue { end: if next { End::Next } else { End::Last }, reset_attempts }
            }
            Self::Claim { consumer, min_idle_ms } => Change::Claim {
                consumer: BASE64_STANDARD.decode(consumer).ok()?.into(),
                min_idle: Duration::from_millis(min_idle_ms),
            },
            Self::Acknowledge => Change::Acknowledge,
        })
    }
}

/// A run that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// Its name.
    pub run: String,
    /// What was left to do.
    pub plan: Plan,
    /// Ids that were dealt with before.
    pub before: u64,
}

/// The journal of one run. Its file is locked as long as somebody carries the run out, so that another qtop on this
/// machine does not take it for an interrupted one; the lock ends with the process, however that ends.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    _hold: Hold,
}

const ENDING: &str = "plan";

impl Journal {
    /// Writes the plan and waits until it is on disk. `None` for changes that are over in one call or must not be
    /// repeated.
    pub fn begin(places: &Places, run: &str, plan: &Plan) -> Result<Option<Self>, ChangeError> {
        let (Some(change), Scope::Jobs(groups)) = (Kept::of(&plan.change), &plan.scope) else {
            return Ok(None);
        };
        let directory = places.state.join("bulk");
        private_directory(&directory)?;
        let path = directory.join(format!("{run}.{ENDING}"));
        let head = Head {
            server: plan.server.clone(),
            system: plan.queue.instance.system.to_owned(),
            instance: BASE64_STANDARD.encode(plan.queue.instance.name.as_bytes()),
            queue: BASE64_STANDARD.encode(plan.queue.name.as_bytes()),
            change,
            force: plan.force,
            rate: plan.rate,
            part_of: plan.part_of.clone(),
        };
        let mut text = serde_json::to_string(&head).expect("a head is made of strings and numbers");
        text.push('\n');
        for (state, ids) in groups {
            text.push('@');
            text.push_str(state.0);
            text.push('\n');
            for id in ids {
                BASE64_STANDARD.encode_string(id.as_bytes(), &mut text);
                text.push('\n');
            }
        }
        let hold = write_new(&path, text.as_bytes())?;
        Ok(Some(Self { path, _hold: hold }))
    }

    /// So many ids, from the first, are dealt with.
    pub fn reached(&self, done: u64) -> Result<(), ChangeError> {
        let mark = mark_of(&self.path);
        let draft = mark.with_extension("draft");
        std::fs::write(&draft, done.to_string()).map_err(file_error("cannot write", &draft))?;
        std::fs::rename(&draft, &mark).map_err(file_error("cannot write", &mark))
    }

    /// The run is over.
    pub fn end(self) -> Result<(), ChangeError> {
        let mark = mark_of(&self.path);
        if mark.exists() {
            std::fs::remove_file(&mark).map_err(file_error("cannot delete", &mark))?;
        }
        std::fs::remove_file(&self.path).map_err(file_error("cannot delete", &self.path))
    }

    /// Takes up the journal of an interrupted run; refused if another qtop was faster.
    pub fn again(places: &Places, run: &str) -> Result<Self, ChangeError> {
        let path = places.state.join("bulk").join(format!("{run}.{ENDING}"));
        let file = File::open(&path).map_err(file_error("cannot read", &path))?;
        let hold = Hold::of(&file, &path)?;
        Ok(Self { path, _hold: hold })
    }
}

/// Runs that were interrupted, oldest first; those that another qtop is carrying out are none. `systems` gives the
/// names back their meaning.
pub fn interrupted(places: &Places, systems: &[std::sync::Arc<dyn System>]) -> Result<Vec<Interrupted>, ChangeError> {
    let directory = places.state.join("bulk");
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(file_error("cannot read", &directory)(cause)),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == ENDING) && !is_carried_out(path))
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path, systems)).collect()
}

fn is_carried_out(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn read(path: &Path, systems: &[std::sync::Arc<dyn System>]) -> Result<Interrupted, ChangeError> {
    let damaged = |what: &str| ChangeError::Damaged { path: path.to_owned(), what: what.to_owned() };
    let text = std::fs::read_to_string(path).map_err(file_error("cannot read", path))?;
    let mut lines = text.lines();
    let head: Head = lines
        .next()
        .and_then(|line| serde_json::from_str(line).ok())
        .ok_or_else(|| damaged("its first line is not a plan"))?;
    let spec = systems
        .iter()
        .map(|system| system.spec())
        .find(|spec| spec.name == head.system)
        .ok_or_else(|| damaged("it names a queue system that this qtop does not know"))?;
    let bytes = |word: &str| BASE64_STANDARD.decode(word).map_err(|_| damaged("a name in it is not base64"));
    let mut groups: Vec<(StateId, Vec<JobId>)> = Vec::new();
    let before = std::fs::read_to_string(mark_of(path)).ok().and_then(|done| done.trim().parse().ok()).unwrap_or(0);
    let mut number = 0;
    for line in lines {
        if let Some(word) = line.strip_prefix('@') {
            let state = spec.states.iter().find(|state| state.id.0 == word);
            groups.push((state.ok_or_else(|| damaged("it names an unknown state"))?.id, Vec::new()));
        } else {
            number += 1;
            let group = groups.last_mut().ok_or_else(|| damaged("an id comes before any state"))?;
            if number > before {
                group.1.push(bytes(line)?.into());
            }
        }
    }
    groups.retain(|(_, ids)| !ids.is_empty());
    Ok(Interrupted {
        run: path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
        plan: Plan {
            server: head.server,
            queue: QueueId::new(spec.name, bytes(&head.instance)?, bytes(&head.queue)?),
            change: head.change.change().ok_or_else(|| damaged("a name in it is not base64"))?,
            scope: Scope::Jobs(groups),
            force: head.force,
            rate: head.rate,
            ramp: false,
            part_of: head.part_of,
        },
        before,
    })
}

fn mark_of(path: &Path) -> PathBuf {
    path.with_extension("done")
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<Hold, ChangeError> {
    let mut file = private_file().write(true).create_new(true).open(path).map_err(file_error("cannot create", path))?;
    let hold = Hold::of(&file, path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(file_error("cannot write", path))?;
    Ok(hold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_counts_as_interrupted_only_when_nobody_carries_it_out() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let places = Places { state: home.path().to_owned(), trash_cap: 1 << 20 };
        let systems = crate::systems::all(&Default::default());
        let state = systems[0].spec().states[0].id;
        let plan = Plan {
            server: "local".into(),
            queue: QueueId::new(systems[0].spec().name, "bull", "mail"),
            change: Change::Promote,
            scope: Scope::Jobs(vec![(state, vec![JobId::from("1")])]),
            force: false,
            rate: None,
            ramp: false,
            part_of: None,
        };
        let journal = Journal::begin(&places, "run", &plan).expect("written").expect("long enough to be kept");
        assert_eq!(interrupted(&places, &systems).expect("read").len(), 0, "it is being carried out");
        assert!(matches!(Journal::again(&places, "run"), Err(ChangeError::Held(_))));
        drop(journal);
        assert_eq!(interrupted(&places, &systems).expect("read").len(), 1, "whoever carried it out is gone");
        let again = Journal::again(&places, "run").expect("free");
        again.end().expect("ended");
        assert_eq!(interrupted(&places, &systems).expect("read").len(), 0);
    }
}
