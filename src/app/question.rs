//! Questions: what would be done, on exactly what, and how it is answered. Everything in one was captured when its key
//! was pressed; nothing that happens afterwards changes it (S13).

use std::collections::BTreeMap;

use super::state::Loaded;
use crate::domain::change::{Filter, Plan, Scope, TrashItem};
use crate::domain::fetch::FetchError;
use crate::domain::ids::{JobRef, QueueId, Ticket};
use crate::domain::job::{Job, JobRow};
use crate::domain::mutation::Change;
use crate::domain::runner::RunnerCommand;

/// What is typed after a name to force a change; on the command line the option of that name.
pub const FORCE: &str = "--force";

/// A question that waits for a yes. The answer that is always given by Enter and Esc is no.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What a yes does.
    pub deed: Deed,
    /// A value that must be typed before the question is complete.
    pub value: Option<Entry>,
    /// A name that must be typed for a yes, because this is among the worst.
    pub name: Option<Name>,
    /// Scrolled down by so many lines.
    pub scroll: usize,
}

/// What a yes does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Changes a queue or jobs.
    Change(Box<Draft>),
    /// Puts back what a change deleted.
    Undo(TrashItem),
    /// Goes on with the first of these, which were interrupted.
    Resume(Vec<Plan>),
    /// Allows changes for some minutes.
    Unlock,
    /// Ends qtop although changes are under way.
    Quit,
    /// Tells the runner of this qtop something.
    Runner(RunnerCommand),
    /// Leaves the screens while jobs run here (U2).
    Leave(Way),
}

/// How the screens are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As a shell job that is stopped.
    Stop,
    /// For good.
    Quit,
}

/// A change that is being asked about.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Draft {
    /// What is done where, in the order of the screen.
    pub parts: Vec<Part>,
    /// Selected jobs that it cannot be done to, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Marked jobs that are not among the rows on the screen.
    pub out_of_sight: u64,
    /// Names of the jobs, with counts.
    pub names: BTreeMap<String, u64>,
    /// The first few of them.
    pub samples: Vec<JobRow>,
    /// The error they have in common, for a group of failures.
    pub group: Option<String>,
    /// The ids are read from the server by this filter.
    pub reading: Option<Reading>,
    /// The only job, read again while the question is open.
    pub one: Option<One>,
    /// The exact commands, where it may be done in an application's own words.
    pub own: OwnWords,
    /// Also where it is refused otherwise: a library qtop does not know (R23), a job that somebody may still hold.
    pub force: bool,
    /// Jobs per second at most.
    pub rate: Option<u32>,
    /// Begin with 1, then 10, then the rest.
    pub ramp: bool,
    /// Retry the job once the change is done.
    pub then_retry: bool,
    /// The queue is paused already.
    pub was_paused: bool,
    /// The subcommand with its options, where it is not the one of the change.
    pub command: Option<(&'static str, String)>,
}

/// A change of one queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Which queue.
    pub queue: QueueId,
    /// What is done.
    pub change: Change,
    /// On what.
    pub scope: Scope,
}

/// Ids that are read from the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Of the order.
    pub ticket: Ticket,
    /// What is read.
    pub filter: Filter,
    /// Jobs looked at by now.
    pub looked_at: u64,
    /// All were read.
    pub done: bool,
    /// Why they could not be.
    pub error: Option<FetchError>,
}

/// What a change really is where an application has its own way to do it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct OwnWords {
    /// Orders that read it and were not answered yet.
    pub awaited: Vec<Ticket>,
    /// What happens in one sentence, then the exact commands; empty where the system does it by itself.
    pub lines: Vec<String>,
    /// Why it could not be read.
    pub error: Option<FetchError>,
}

/// The only job of a question (U21).
#[derive(Clone, Debug, PartialEq)]
pub struct One {
    /// Which.
    pub job: JobRef,
    /// As it was when the key was pressed.
    pub seen: JobRow,
    /// As it is now; `Some(None)`: it is gone.
    pub now: Loaded<Option<Box<Job>>>,
}

/// A line that is typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What is asked for.
    pub kind: EntryKind,
    /// The text.
    pub text: String,
    /// Cursor, in characters from the start.
    pub at: usize,
    /// What is wrong with it.
    pub problem: Option<String>,
}

impl Entry {
    /// With a suggestion that can be changed.
    pub fn new(kind: EntryKind, text: &str) -> Self {
        Self { kind, text: text.to_owned(), at: text.chars().count(), problem: None }
    }
}

/// What is asked for before a question is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A time from now.
    Delay,
    /// The system's own number.
    Priority,
    /// Name of a consumer.
    Consumer,
    /// A state and an age.
    Clean,
    /// Entries to keep.
    Keep,
    /// Global limits of a queue.
    Limits,
}

impl EntryKind {
    /// What is asked, and an example.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Delay => ("run in", "a time from now, for example 90s, 10m, 2h, 1d"),
            Self::Priority => ("priority", "a whole number; which of them runs first stands above"),
            Self::Consumer => ("consumer", "a name, then how long the present one must have had it: worker-2 1m"),
            Self::Clean => ("delete", "a state and an age, for example: completed 7d"),
            Self::Keep => ("keep", "about so many of the newest entries"),
            Self::Limits => ("limits", "concurrency=5 rate=100/1s; a value of 0 lifts a limit"),
        }
    }
}

/// A name that must be typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// What has to be typed.
    pub expected: String,
    /// What is typed.
    pub text: String,
    /// Cursor, in characters from the start.
    pub at: usize,
}

impl Name {
    /// Nothing is typed yet.
    pub fn new(expected: String) -> Self {
        Self { expected, text: String::new(), at: 0 }
    }

    /// True once it is typed.
    pub fn is_typed(&self) -> bool {
        self.text == self.expected
    }
}

impl Question {
    /// Of a change, with nothing to be typed.
    pub fn of(draft: Draft) -> Self {
        Self::new(Deed::Change(Box::new(draft)))
    }

    /// With nothing to be typed.
    pub fn new(deed: Deed) -> Self {
        Self { deed, value: None, name: None, scroll: 0 }
    }

    /// From now on the change is forced, which takes the queue's name and the word for it to be typed.
    pub fn force(&mut self, name: &str) {
        let Some(draft) = self.draft_mut() else { return };
        draft.force = true;
        self.name = Some(Name::new(format!("{name} {FORCE}")));
    }

    /// The change, if it is one.
    pub fn draft(&self) -> Option<&Draft> {
        match &self.deed {
            Deed::Change(draft) => Some(draft),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn draft_mut(&mut self) -> Option<&mut Draft> {
        match &mut self.deed {
            Deed::Change(draft) => Some(draft),
            _ => None,
        }
    }

    /// Why yes cannot be said yet.
    pub fn incomplete(&self) -> Option<String> {
        if self.value.is_some() {
            return Some("first the value".to_owned());
        }
        let draft = self.draft()?;
        match &draft.reading {
            Some(Reading { error: Some(_), .. }) => return Some("the jobs could not be read".to_owned()),
            Some(reading) if !reading.done => return Some("the jobs are still being read".to_owned()),
            _ => {}
        }
        if draft.own.error.is_some() {
            return Some("its exact commands could not be read".to_owned());
        }
        if !draft.own.awaited.is_empty() {
            return Some("its exact commands are still being read".to_owned());
        }
        draft.is_empty().then(|| "there is nothing it could be done to".to_owned())
    }
}

impl Draft {
    /// Of one change of one queue.
    pub fn of(queue: QueueId, change: Change, scope: Scope) -> Self {
        Self { parts: vec![Part { queue, change, scope }], ..Self::default() }
    }

    /// Number of things it is done to.
    pub fn count(&self) -> usize {
        self.parts.iter().map(|part| part.scope.len()).sum()
    }

    /// True if it names nothing.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Its first change; all others are of the same sort.
    pub fn change(&self) -> Option<&Change> {
        self.parts.first().map(|part| &part.change)
    }

    /// True if it takes away what only the trash can give back.
    pub fn destroys(&self) -> bool {
        self.parts.iter().any(|part| part.change.verb().destroys())
    }

    /// True if it is about jobs, not queues or schedules.
    pub fn is_of_jobs(&self) -> bool {
        self.parts.iter().all(|part| matches!(part.scope, Scope::Jobs(_)))
    }
}
