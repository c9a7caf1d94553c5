//! The description of one plain-list queue, as a table of the configuration file.

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize};

use super::field::{Paths, Short, TimeField};

/// One plain-list queue.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListSpec {
    /// Name of the queue in qtop, unique among the described lists.
    pub name: String,
    /// Key of the list, or keys in the order in which workers look at them (the first is the most urgent). May be left
    /// out if there is only a dead-letter list.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub key: Paths,
    /// The end from which workers take: `right` for LPUSH with BRPOP (the usual), `left` for RPUSH with BLPOP.
    pub next: End,
    /// What an item of the list is.
    pub item: ItemKind,
    /// Servers (by their names in the configuration) on which this queue exists; none: on all.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub servers: Paths,
    /// Where the record of an item lies, for `item = "id"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// Where the facts lie inside an item or its record.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub fields: Fields,
    /// Lists that hold items while they are worked on, by exact key.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub processing: Paths,
    /// Glob of such lists where every worker has its own, for example `mail:processing:*`. What the first `*` stands
    /// for is the worker's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_pattern: Option<String>,
    /// Sorted set of items that wait for their time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delayed: Option<Delayed>,
    /// Lists of items that were given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead: Option<DeadLetters>,
    /// Keys by which workers tell that they live.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heartbeat: Vec<Heartbeat>,
    /// Keys in which running items tell how far they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Key by which workers are told to pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Keys with totals that only grow, from which rates are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
    /// How many workers there should be. 0 is allowed: nobody is expected to take items here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_workers: Option<u64>,
    /// Attempts allowed where an item does not say it itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u64>,
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The end of index −1: RPOP, BRPOP, LMOVE … RIGHT.
    #[default]
    Right,
    /// The end of index 0: LPOP, BLPOP, LMOVE … LEFT.
    Left,
}

/// What an item of a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    /// A JSON document with the facts in it.
    #[default]
    Json,
    /// The bare id of a record kept elsewhere.
    Id,
    /// Bytes that qtop does not look into.
    Raw,
}

/// Where the record of an id lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Key with `{id}` in the place of the id, for example `app:job:{id}`.
    pub key: String,
    /// How the record is stored.
    #[serde(default)]
    pub kind: RecordKind,
}

/// How a record is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordKind {
    /// A string that holds a JSON document.
    #[default]
    Json,
    /// A hash; paths are field names.
    Hash,
}

/// Dotted paths of facts inside an item or record; several are tried in order.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fields {
    /// The item's id. Without one an item is known by its bytes.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub id: Paths,
    /// Its name or type.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub name: Paths,
    /// Attempts made.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub attempts: Paths,
    /// Attempts allowed.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub attempts_max: Paths,
    /// When it was made.
    #[serde(skip_serializing_if = "TimeField::is_empty")]
    pub created: TimeField,
    /// When a worker took it.
    #[serde(skip_serializing_if = "TimeField::is_empty")]
    pub started: TimeField,
    /// When it ended or was given up.
    #[serde(skip_serializing_if = "TimeField::is_empty")]
    pub finished: TimeField,
    /// When it may run.
    #[serde(skip_serializing_if = "TimeField::is_empty")]
    pub due: TimeField,
    /// Its last error.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub error: Paths,
    /// Its priority, a whole number.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub priority: Paths,
    /// Who works on it.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub worker: Paths,
    /// The application's own word for its state; shown as a fact.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub status: Paths,
    /// Percent done, where the item or record itself tells.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub percent: Paths,
    /// Number of the present step.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub step: Paths,
    /// Number of steps.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub total: Paths,
    /// What it is doing, in its own words.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub text: Paths,
}

impl Fields {
    /// True if nothing is described.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Sorted set of items that wait for their time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delayed {
    /// Its key.
    pub key: String,
    /// Unit of the score: `s` or `ms`.
    #[serde(default = "seconds")]
    pub unit: super::TimeUnit,
    /// False if nothing moves due items back into the list, so that they rest there for ever.
    #[serde(default = "yes")]
    pub mover: bool,
}

/// Lists of items that were given up. Written as a key, a list of keys, or a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetters {
    /// Keys of the lists.
    pub key: Paths,
    /// What the keys are.
    pub kind: DeadKind,
    /// The end of a list at which the newest item is: `left` if LPUSH puts them there.
    pub newest: End,
    /// What an item is, if not the same as in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemKind>,
    /// Where the record of an id lies, for `item = "id"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// Where the facts lie, if not as in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Fields>,
}

/// What keeps dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeadKind {
    /// A list.
    #[default]
    List,
    /// A sorted set.
    Zset,
}

/// The long form of [`DeadLetters`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadTable {
    key: Paths,
    #[serde(default)]
    kind: DeadKind,
    #[serde(default = "left")]
    newest: End,
    #[serde(default)]
    item: Option<ItemKind>,
    #[serde(default)]
    record: Option<Record>,
    #[serde(default)]
    fields: Option<Fields>,
}

impl From<Paths> for DeadTable {
    fn from(key: Paths) -> Self {
        Self { key, kind: DeadKind::List, newest: End::Left, item: None, record: None, fields: None }
    }
}

impl<'de> Deserialize<'de> for DeadLetters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table: DeadTable = deserializer.deserialize_any(Short(PhantomData))?;
        let DeadTable { key, kind, newest, item, record, fields } = table;
        Ok(Self { key, kind, newest, item, record, fields })
    }
}

/// Keys by which workers tell that they live. What the first `*` of the pattern stands for is the worker's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Glob of the keys, for example `app:worker:*`.
    pub pattern: String,
    /// What the value is.
    #[serde(default)]
    pub kind: HeartbeatKind,
    /// Time to live that a worker gives the key at each beat, in seconds: the age of the beat is what is gone of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    /// A beat older than so many seconds is stale.
    #[serde(default = "a_minute")]
    pub stale_after: u64,
    /// False if the key is written only when a job is taken: then a missing or old one does not mean a dead worker.
    #[serde(default = "yes")]
    pub renewed: bool,
    /// Moment of the last beat, inside a JSON or hash value.
    #[serde(default, skip_serializing_if = "TimeField::is_empty")]
    pub beat: TimeField,
    /// Id of the item it works on, inside a JSON or hash value.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub item: Paths,
    /// Its host.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub host: Paths,
    /// Its process id.
    #[serde(default, skip_serializing_if = "Paths::is_empty")]
    pub pid: Paths,
    /// When it started.
    #[serde(default, skip_serializing_if = "TimeField::is_empty")]
    pub since: TimeField,
}

/// What the value of a heartbeat key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeartbeatKind {
    /// Nothing of interest: that the key is there is the sign of life.
    #[default]
    Presence,
    /// The id of the item it works on, as a string.
    Id,
    /// A JSON document, as a string.
    Json,
    /// A hash.
    Hash,
}

/// Keys in which running items tell how far they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Key with `{id}` in the place of the item's id.
    pub key: String,
    /// How it is stored.
    #[serde(default)]
    pub kind: ProgressKind,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgressKind {
    /// A hash.
    #[default]
    Hash,
    /// A JSON document, as a string.
    Json,
    /// A string that is the percentage.
    Percent,
}

/// Key by which workers are told to pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// The key.
    pub key: String,
    /// Value that means paused; left out: the key's being there does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Keys with totals that only grow (written with INCR).
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Counters {
    /// Items ever added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added: Option<String>,
    /// Items ever ended, well or badly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// Items ever ended badly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

fn seconds() -> super::TimeUnit {
    super::TimeUnit::S
}

fn yes() -> bool {
    true
}

fn left() -> End {
    End::Left
}

fn a_minute() -> u64 {
    60
}
