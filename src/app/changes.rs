//! Changes under way and done, as far as this run of qtop has made them.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::state::Loaded;
use crate::domain::change::{AuditLine, Control, Plan, Progress, Summary, TrashItem};
use crate::domain::ids::{JobId, JobRef, QueueId, Ticket};
use crate::domain::job::JobRow;
use crate::domain::mutation::Verb;

/// Changes that are remembered after their end.
const REMEMBERED: usize = 50;

/// All changes of this run, and what was read about older ones.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The newest first.
    pub list: VecDeque<Made>,
    /// Changes that an earlier run of qtop did not end.
    pub interrupted: Vec<Plan>,
    /// What can be undone, newest first.
    pub trash: Loaded<Vec<TrashItem>>,
    /// Open the question of undoing the newest once the trash is read.
    pub undo_newest: bool,
    /// The audit file, newest first.
    pub audit: Loaded<Vec<AuditLine>>,
    /// A payload that is read for editing.
    pub editing: Loaded<JobRef>,
    /// What is in the editor.
    pub editor: Option<Editing>,
    /// The text that could not be used and lies in the editor once more.
    pub again: Option<Bytes>,
    /// A text that could not be used: of which queue, which job (`None`: a new one), the text.
    pub kept: Option<(QueueId, Option<JobId>, Bytes)>,
}

/// What is in the editor.
#[derive(Clone, Debug, PartialEq)]
pub enum Editing {
    /// The payload of a job.
    Payload {
        /// Which.
        job: JobRef,
        /// The payload and the job as they were read.
        old: Option<Box<(Bytes, JobRow)>>,
    },
    /// A new job.
    NewJob {
        /// Where it is added.
        queue: QueueId,
    },
}

/// A change that was ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Of the order.
    pub ticket: Ticket,
    /// What is done.
    pub what: What,
    /// Which queue; an undo knows it at its end.
    pub queue: Option<QueueId>,
    /// The plan to be ordered when this one is done in full.
    pub then: Option<Plan>,
    /// How it stands.
    pub progress: Progress,
    /// What a person wants of it.
    pub control: Control,
    /// When it was ordered.
    pub begun: Instant,
    /// How it ended, and when.
    pub ended: Option<(Summary, Instant)>,
}

/// What a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// That.
    Verb(Verb),
    /// Puts back what was deleted.
    Undo,
}

impl What {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Verb(verb) => verb.word(),
            Self::Undo => "undo",
        }
    }
}

impl Made {
    /// True while it is under way.
    pub fn is_running(&self) -> bool {
        self.ended.is_none()
    }

    /// Things dealt with by now.
    pub fn dealt(&self) -> u64 {
        self.progress.done + self.progress.refused + self.progress.unknown
    }
}

impl Changes {
    /// Notes a change that was ordered.
    pub fn begin(&mut self, made: Made) {
        self.list.push_front(made);
        while self.list.len() > REMEMBERED
            && let Some(oldest) = self.list.iter().rposition(|made| !made.is_running())
        {
            self.list.remove(oldest);
        }
    }

    /// Changes under way, the newest first.
    pub fn running(&self) -> impl Iterator<Item = &Made> {
        self.list.iter().filter(|made| made.is_running())
    }

    /// The change of a ticket.
    pub fn of_mut(&mut self, ticket: Ticket) -> Option<&mut Made> {
        self.list.iter_mut().find(|made| made.ticket == ticket)
    }
}
