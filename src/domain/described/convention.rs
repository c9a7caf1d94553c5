//! What an application agrees upon with itself beside its queue system: where progress stands, what a result means,
//! who owns a running job, how a job is called off. Lies over queues of any system.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::field::{Paths, TimeField};
use super::list::Heartbeat;
use crate::domain::address::glob;
use crate::domain::ids::QueueId;
use crate::domain::mutation::Verb;
use crate::domain::state::StateKind;

/// One `[[convention]]` table.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Convention {
    /// Name under which qtop speaks of it, unique among the conventions.
    pub name: String,
    /// Globs over names and addresses of the queues it holds for.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub queues: Paths,
    /// Servers (by their names in the configuration) on which it holds; none: on all.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub servers: Paths,
    /// How many workers there should be. 0 is allowed: nobody is expected to take jobs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_workers: Option<u64>,
    /// Attempts allowed where the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u64>,
    /// Words for priority numbers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub priorities: BTreeMap<String, String>,
    /// Values inside the payload that are shown with an opened job, by the word beside them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, Paths>,
    /// What a result that counts as a success really means. The first rule with a word for it decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outcome: Vec<OutcomeRule>,
    /// Where jobs tell how far they are. The first source that tells something is used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<ProgressSource>,
    /// Who owns a running job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Keys by which workers tell that they live.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heartbeat: Vec<Heartbeat>,
    /// Key by which a running job is asked to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_flag: Option<CancelFlag>,
    /// Keys that hold back a second job of the same kind; shown with an opened job.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub dedup: Paths,
    /// Changes that only this application's own words describe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub change: Vec<Recipe>,
}

impl Convention {
    /// True if it has a way of its own to change jobs.
    pub fn changes(&self) -> bool {
        self.cancel_flag.is_some() || !self.change.is_empty()
    }

    /// True if it holds for the queue.
    pub fn covers(&self, queue: &QueueId) -> bool {
        let texts = [queue.name.to_text(), queue.short_address(), queue.full_address()];
        self.queues.iter().any(|pattern| texts.iter().any(|text| glob(pattern, text)))
    }
}

/// What a word in a result means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meaning {
    /// A success.
    Completed,
    /// A failure, whatever the system thinks.
    Failed,
    /// Given up into the application's own dead letters.
    Dead,
    /// Ended because somebody asked for it.
    Cancelled,
    /// Not ended at all: the job left the rest to another one.
    Active,
}

impl Meaning {
    /// The shared kind of state.
    pub fn kind(self) -> StateKind {
        match self {
            Self::Completed => StateKind::Completed,
            Self::Failed => StateKind::Failed,
            Self::Dead => StateKind::Dead,
            Self::Cancelled => StateKind::Cancelled,
            Self::Active => StateKind::Active,
        }
    }
}

/// A value inside a result and what its words mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeRule {
    /// Where the value is.
    pub path: Paths,
    /// What each word of it means; `true`, `false` and numbers are words too.
    pub means: BTreeMap<String, Meaning>,
    /// Where the error is told.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub error: Paths,
}

/// One place in which a job tells how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressSource {
    /// What it is.
    pub kind: SourceKind,
    /// Key with `{id}` in the place of the job's id; not for `result` and `payload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Regular expression with the named groups percent, step, total, text, for `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Percent done.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub percent: Paths,
    /// Number of the present step.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub step: Paths,
    /// Number of steps.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub total: Paths,
    /// What it is doing, in its own words.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub text: Paths,
}

/// How progress is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A hash of its own.
    Hash,
    /// A JSON document, as a string of its own.
    Json,
    /// A text of its own, read by a regular expression.
    Text,
    /// A string of its own that is the percentage.
    Percent,
    /// Inside the job's result.
    Result,
    /// Inside the job's payload.
    Payload,
}

impl SourceKind {
    /// True if it is a key of its own.
    pub fn has_key(self) -> bool {
        !matches!(self, Self::Result | Self::Payload)
    }
}

/// Groups a progress pattern may name.
pub const PROGRESS_GROUPS: [&str; 4] = ["percent", "step", "total", "text"];

/// The record by which a worker owns a running job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// Key with `{id}` in the place of the job's id.
    pub key: String,
    /// How it is stored.
    #[serde(default)]
    pub kind: OwnerKind,
    /// Name of the worker, inside a document or hash.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub worker: Paths,
    /// Its host.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub host: Paths,
    /// Its process id.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub pid: Paths,
    /// When it took the job.
    #[serde(default, skip_serializing_if = "TimeField::is_empty")]
    pub since: TimeField,
    /// What it means for a running job that there is no record.
    #[serde(default)]
    pub absent: Absence,
}

/// How an owner record is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnerKind {
    /// A JSON document, as a string.
    #[default]
    Json,
    /// A hash.
    Hash,
    /// A string that is the worker's name.
    Text,
}

/// What a missing key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Absence {
    /// Nothing is known.
    #[default]
    Unknown,
    /// Nobody works on the job any more.
    Lost,
}

/// Key by which a running job is asked to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelFlag {
    /// Key with `{id}` in the place of the job's id.
    pub key: String,
    /// What is written there.
    #[serde(default = "one")]
    pub value: String,
    /// Time to live in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    /// States in which a job looks at it, in the system's own words.
    pub states: Paths,
    /// First do what the system itself does to cancel, where it can.
    #[serde(default)]
    pub after_own: bool,
}

/// One change that only the application's own words describe, done as a whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What it is for qtop.
    pub verb: RecipeVerb,
    /// States whose jobs it is for, in the system's own words.
    pub states: Paths,
    /// What really happens, one sentence, shown before it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// A new job, added before anything else. Its id keeps a second one from being added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<AddJob>,
    /// A command that must find something (reply above 0), else nothing is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guard: Vec<String>,
    /// Values replaced inside JSON strings; their other bytes stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edit: Vec<Edit>,
    /// Commands in their order, each a list of words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Vec<String>>,
}

/// What a recipe is for qtop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecipeVerb {
    /// Take a dead letter back.
    Requeue,
    /// Call a job off.
    Cancel,
    /// Delete a job.
    Remove,
    /// Queue a finished job again.
    Retry,
    /// Move a job to the dead letters.
    Kill,
}

impl RecipeVerb {
    /// The verb of a change.
    pub fn verb(self) -> Verb {
        match self {
            Self::Requeue => Verb::Requeue,
            Self::Cancel => Verb::Cancel,
            Self::Remove => Verb::Remove,
            Self::Retry => Verb::Retry,
            Self::Kill => Verb::Kill,
        }
    }
}

/// A job that a recipe adds to a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddJob {
    /// Full address of the queue, for example `arq@:arq:queue`.
    pub queue: String,
    /// Its name or function, with slots.
    pub name: String,
    /// Path of the arguments inside the payload; the whole payload if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// Names that are left out of the arguments.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub except: Paths,
    /// Its id, with slots.
    pub id: String,
}

/// A value replaced inside a JSON string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The key, with slots.
    pub key: String,
    /// Where the value is.
    pub path: String,
    /// The new value as JSON, with slots: `"\"cancelled\""`, `"0"`, `"null"`.
    pub to: String,
}

/// Commands a recipe may have: name, fewest and most words behind the key, and the type of the key (empty: any).
pub const RECIPE_COMMANDS: &[(&str, usize, usize, &str)] = &[
    ("DEL", 0, 0, ""),
    ("UNLINK", 0, 0, ""),
    ("SET", 1, 4, "string"),
    ("EXPIRE", 1, 1, ""),
    ("PEXPIRE", 1, 1, ""),
    ("PERSIST", 0, 0, ""),
    ("LPUSH", 1, 1, "list"),
    ("RPUSH", 1, 1, "list"),
    ("LREM", 2, 2, "list"),
    ("ZADD", 2, 3, "zset"),
    ("ZREM", 1, 1, "zset"),
    ("SADD", 1, 1, "set"),
    ("SREM", 1, 1, "set"),
    ("HSET", 2, 20, "hash"),
    ("HDEL", 1, 1, "hash"),
];

fn one() -> String {
    "1".to_owned()
}
