//! Keys of a runner's place at a list, its signs of life, and what goes to and fro between items and facts.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::super::keys::fill;
use super::super::rows::hash_id;
use super::item::{Told, told, told_by_hash};
use super::take::Item;
use crate::domain::described::{
    DeadKind, End, Heartbeat, HeartbeatKind, ItemKind, ListSpec, RecordKind, TimeField, TimeUnit, split_path,
};
use crate::domain::ids::JobId;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Cmd, Link, LinkError, Script, Value, cmd};
use crate::systems::consume::{Claim, Firing, Seat};
use crate::systems::{SystemError, reply};

/// How long a sign of life holds: half the lease, so that the items of a dead runner are back within one lease.
pub fn life(lease: Duration) -> Duration {
    (lease / 2).max(Duration::from_secs(2))
}

/// Says why a described list cannot be worked on.
pub fn check(spec: &ListSpec) -> Result<(), String> {
    let Some(key) = spec.key.iter().next() else {
        return Err(format!("the list {:?} has no key to take items from: add key = \"…\"", spec.name));
    };
    if spec.dead.as_ref().is_none_or(|dead| dead.key.is_empty()) {
        return Err(format!(
            "the list {:?} has no place for jobs that are given up: add dead = \"{key}:dead\" to its [[list]]",
            spec.name
        ));
    }
    if spec.dead.as_ref().is_some_and(|dead| dead.kind == DeadKind::Zset) {
        return Err(format!(
            "the dead letters of the list {:?} are a sorted set, and the runner adds to a list only: leave out kind = \
             \"zset\" and name a list",
            spec.name
        ));
    }
    if spec.delayed.is_none() {
        return Err(format!(
            "the list {:?} has no place for jobs that wait for another attempt: add delayed = {{ key = \"{key}:delayed\", \
             unit = \"ms\" }} to its [[list]]",
            spec.name
        ));
    }
    if spec.delayed.as_ref().is_some_and(|delayed| delayed.unit == TimeUnit::Iso) {
        return Err(format!("the scores of the delayed items of {:?} must be s or ms", spec.name));
    }
    if let Some(pattern) = &spec.processing_pattern
        && (pattern.matches('*').count() != 1 || pattern.contains(['?', '[', ']', '\\']))
    {
        return Err(format!("processing_pattern {pattern:?} of {:?} needs exactly one * and no other sign", spec.name));
    }
    Ok(())
}

/// The keys of one runner at one list.
pub struct Place<'a> {
    /// The description.
    pub spec: &'a ListSpec,
    /// How many lists the queue has.
    pub lists: usize,
    keys: Vec<Vec<u8>>,
    opening: Vec<Vec<u8>>,
}

impl<'a> Place<'a> {
    /// For a description that passed [`check`].
    pub fn of(spec: &'a ListSpec, seat: &Seat) -> Self {
        let base = spec.key.iter().next().unwrap_or_default();
        let own = |part: &str| format!("{base}:qtop:{part}").into_bytes();
        let (start, end) = parts(spec, base);
        let text = |key: Option<&str>| key.unwrap_or_default().as_bytes().to_vec();
        let mut keys = vec![
            [&start, seat.worker.as_bytes(), &end].concat(),
            text(spec.delayed.as_ref().map(|delayed| delayed.key.as_str())),
            own("facts"),
            own("rate"),
            own("runners"),
            text(spec.dead.as_ref().and_then(|dead| dead.key.iter().next())),
            own("twins"),
        ];
        keys.extend(spec.key.iter().map(|key| key.as_bytes().to_vec()));
        let mut place = Self { spec, lists: keys.len() - 7, keys, opening: Vec::new() };
        place.opening = place.opening(seat);
        place
    }

    /// What every script is told first, in the order `common.lua` wants.
    fn opening(&self, seat: &Seat) -> Vec<Vec<u8>> {
        let (most, window) = seat.rate.unwrap_or((0, Duration::ZERO));
        let counters = self.spec.counters.as_ref();
        let pause = self.spec.pause.as_ref();
        let wanted = pause.and_then(|pause| pause.value.as_ref());
        let counter = |name: Option<&String>| name.cloned().unwrap_or_default().into_bytes();
        vec![
            self.side().into(),
            self.unit().to_string().into(),
            most.to_string().into(),
            window.as_millis().to_string().into(),
            counter(counters.and_then(|counters| counters.finished.as_ref())),
            counter(counters.and_then(|counters| counters.failed.as_ref())),
            pause.map(|pause| pause.key.clone()).unwrap_or_default().into(),
            wanted.map_or_else(Vec::new, |_| b"value".to_vec()),
            wanted.cloned().unwrap_or_default().into(),
        ]
    }

    /// Runs a script that begins with `common.lua`; `own`: what it is told beside that.
    pub async fn run<A: AsRef<[u8]>>(&self, script: &Script, link: &Link, own: &[A]) -> Result<Value, LinkError> {
        let opening = self.opening.iter().map(Vec::as_slice);
        let arguments: Vec<&[u8]> = opening.chain(own.iter().map(AsRef::as_ref)).collect();
        script.run(link, &self.keys, &arguments).await
    }

    /// What to ask to know whether the application has paused the queue, if it can do that.
    pub fn pause(&self) -> Option<Cmd> {
        let pause = self.spec.pause.as_ref()?;
        Some(cmd(if pause.value.is_some() { "GET" } else { "EXISTS" }).arg(&pause.key).to_owned())
    }

    /// True if this answer to it says so.
    pub fn is_paused(&self, answer: &Value) -> bool {
        match self.spec.pause.as_ref().and_then(|pause| pause.value.as_ref()) {
            Some(wanted) => reply::bytes(answer) == Some(wanted.as_bytes()),
            None => reply::count(answer) == Some(1),
        }
    }

    /// Puts an item back as if it had not been taken.
    pub async fn put_back(&self, link: &Link, item: &Item) -> Result<(), LinkError> {
        let (made, deaths) = (item.made.to_string(), item.deaths.to_string());
        let (made, deaths, list) = (made.as_bytes(), deaths.as_bytes(), item.list.to_string());
        let same: &[u8] = &item.bytes;
        let own = [same, b"return", same, b"0", made, deaths, b"", b"-1", b"", b"0", list.as_bytes()];
        self.run(&super::SETTLE, link, &own).await.map(drop)
    }

    /// The processing list.
    pub fn processing(&self) -> &[u8] {
        &self.keys[0]
    }

    /// The hash of facts.
    pub fn facts(&self) -> &[u8] {
        &self.keys[2]
    }

    /// The rate limit.
    pub fn rate(&self) -> &[u8] {
        &self.keys[3]
    }

    /// The registry of runners.
    pub fn registry(&self) -> &[u8] {
        &self.keys[4]
    }

    /// The list that is looked at first.
    pub fn first(&self) -> &[u8] {
        &self.keys[7]
    }

    /// A key of qtop's own beside the list.
    pub fn own(&self, part: &str) -> Vec<u8> {
        [self.first(), b":qtop:", part.as_bytes()].concat()
    }

    /// Start of the keys that are signs of life.
    pub fn sign_start(&self) -> Vec<u8> {
        self.own("alive:")
    }

    /// What stands before and after a runner's name in the key of its processing list.
    pub fn processing_parts(&self) -> (Vec<u8>, Vec<u8>) {
        parts(self.spec, self.spec.key.iter().next().unwrap_or_default())
    }

    /// The end from which items are taken.
    pub fn side(&self) -> &'static str {
        word(self.spec.next)
    }

    /// The end of the newest dead letter.
    pub fn newest(&self) -> &'static str {
        word(self.spec.dead.as_ref().map_or(End::Left, |dead| dead.newest))
    }

    /// Milliseconds in one step of the delayed scores.
    pub fn unit(&self) -> u32 {
        let unit = self.spec.delayed.as_ref().map(|delayed| delayed.unit);
        if unit == Some(TimeUnit::Ms) { 1 } else { 1000 }
    }

    /// Writes the described heartbeats, as the fleet's own workers do.
    pub async fn beat(&self, link: &Link, seat: &Seat, claims: &[Claim]) -> Result<(), SystemError> {
        let mut batch = Batch::new();
        for heartbeat in &self.spec.heartbeat {
            let Some(key) = starred_key(heartbeat, seat) else { continue };
            let life = heartbeat.ttl.map_or(life(seat.lease).as_millis() as u64, |seconds| seconds * 1000);
            let item = claims.first().map(|claim| claim.id.to_text());
            let moment = Timestamp(jiff::Timestamp::now().as_millisecond());
            let mut facts: Vec<(String, serde_json::Value)> = Vec::new();
            let name = |paths: &crate::domain::described::Paths| paths.iter().next().map(str::to_owned);
            facts.extend(name(&heartbeat.beat.path).map(|name| (name, self::moment(&heartbeat.beat, moment))));
            facts.extend(name(&heartbeat.item).zip(item.clone()).map(|(name, item)| (name, json!(item))));
            facts.extend(name(&heartbeat.pid).map(|name| (name, json!(seat.process))));
            match heartbeat.kind {
                HeartbeatKind::Presence => {
                    batch.ask(cmd("SET").arg(&key).arg("1").arg("PX").arg(life).to_owned());
                }
                HeartbeatKind::Id => {
                    batch.ask(cmd("SET").arg(&key).arg(item.unwrap_or_default()).arg("PX").arg(life).to_owned());
                }
                HeartbeatKind::Json => {
                    let object: serde_json::Map<_, _> = facts.into_iter().collect();
                    batch.ask(cmd("SET").arg(&key).arg(json!(object).to_string()).arg("PX").arg(life).to_owned());
                }
                HeartbeatKind::Hash => {
                    let mut set = cmd("HSET");
                    set.arg(&key).arg("runner").arg(seat.worker.as_bytes());
                    for (name, value) in &facts {
                        set.arg(name).arg(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                    }
                    batch.ask(set).ask(cmd("PEXPIRE").arg(&key).arg(life).to_owned());
                }
            }
        }
        if !batch.is_empty() {
            link.send(&batch).await?;
        }
        Ok(())
    }

    /// Takes the described heartbeats back.
    pub async fn silence(&self, link: &Link, seat: &Seat) -> Result<(), SystemError> {
        let mut batch = Batch::new();
        for key in self.spec.heartbeat.iter().filter_map(|heartbeat| starred_key(heartbeat, seat)) {
            batch.ask(cmd("DEL").arg(key).to_owned());
        }
        if !batch.is_empty() {
            link.send(&batch).await?;
        }
        Ok(())
    }
}

/// The key of this runner's heartbeat, if the pattern has one plain star.
fn starred_key(heartbeat: &Heartbeat, seat: &Seat) -> Option<Vec<u8>> {
    let (start, end) = heartbeat.pattern.split_once('*')?;
    let plain = !end.contains(['*', '?', '[', ']', '\\']) && !start.contains(['?', '[', ']', '\\']);
    plain.then(|| [start.as_bytes(), seat.worker.as_bytes(), end.as_bytes()].concat())
}

fn parts(spec: &ListSpec, base: &str) -> (Vec<u8>, Vec<u8>) {
    match spec.processing_pattern.as_deref().and_then(|pattern| pattern.split_once('*')) {
        Some((start, end)) => (start.as_bytes().to_vec(), end.as_bytes().to_vec()),
        None => (format!("{base}:qtop:processing:").into_bytes(), Vec::new()),
    }
}

fn word(end: End) -> &'static str {
    match end {
        End::Left => "left",
        End::Right => "right",
    }
}

/// The id by which an item is known on the screens.
pub fn id(spec: &ListSpec, item: &Bytes) -> JobId {
    match spec.item {
        ItemKind::Id => JobId::from(item.as_ref()),
        ItemKind::Raw => hash_id(item, item.len() as u64),
        ItemKind::Json => {
            let tree = super::super::facts::document(item, item.len() as u64);
            let source = tree.as_ref().map(super::super::facts::Source::Document);
            let id = source.and_then(|source| source.text(&spec.fields.id));
            id.filter(|id| !id.is_empty()).map_or_else(|| hash_id(item, item.len() as u64), JobId::from)
        }
    }
}

/// Payload and facts of a record; why the job cannot run if it has none.
pub fn record(spec: &ListSpec, value: &Value, item: &Bytes) -> (Bytes, Told, Option<String>) {
    let kind = spec.record.as_ref().map(|record| record.kind).unwrap_or_default();
    let gone = || {
        let key = spec.record.as_ref().map(|record| fill(&record.key, item)).unwrap_or_default();
        Some(format!("its record {} is gone", String::from_utf8_lossy(&key)))
    };
    match kind {
        RecordKind::Json => match reply::bytes(value) {
            Some(bytes) => {
                let bytes = Bytes::copy_from_slice(bytes);
                (bytes.clone(), told(spec, &bytes), None)
            }
            None => (Bytes::new(), Told::default(), gone()),
        },
        RecordKind::Hash => {
            let fields = pairs(value);
            if fields.is_empty() {
                return (Bytes::new(), Told::default(), gone());
            }
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let object: serde_json::Map<String, serde_json::Value> =
                fields.iter().map(|(name, value)| (text(name), text(value).into())).collect();
            (Bytes::from(json!(object).to_string()), told_by_hash(spec, &fields), None)
        }
    }
}

/// Fields and values of a hash, in both protocol forms.
fn pairs(value: &Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = |value: &Value| reply::bytes(value).map(<[u8]>::to_vec);
    match value {
        Value::Map(pairs) => pairs.iter().filter_map(|(name, value)| Some((bytes(name)?, bytes(value)?))).collect(),
        value => {
            let (pairs, _) = reply::list(value).unwrap_or(&[]).as_chunks::<2>();
            pairs.iter().filter_map(|[name, value]| Some((bytes(name)?, bytes(value)?))).collect()
        }
    }
}

/// A moment as the description writes it.
pub fn moment(field: &TimeField, at: Timestamp) -> serde_json::Value {
    match field.unit {
        TimeUnit::S => json!(at.0 as f64 / 1000.0),
        TimeUnit::Iso => json!(at.rfc3339()),
        TimeUnit::Ms | TimeUnit::Auto => json!(at.0),
    }
}

/// The item a schedule adds: its data with id, name and moment where the description has a place for them.
pub fn scheduled(spec: &ListSpec, firing: &Firing, id: &str) -> Vec<u8> {
    let data: serde_json::Value = serde_json::from_slice(&firing.data).unwrap_or_default();
    let mut object = match data {
        serde_json::Value::Object(object) => object,
        serde_json::Value::Null => serde_json::Map::new(),
        other => serde_json::Map::from_iter([("data".to_owned(), other)]),
    };
    let mut put = |path: Option<&str>, value: serde_json::Value| {
        if let Some([name]) = path.map(split_path).as_deref() {
            object.insert(name.clone(), value);
        }
    };
    put(Some(spec.fields.id.iter().next().unwrap_or("id")), json!(id));
    put(spec.fields.name.iter().next(), json!(firing.name));
    put(spec.fields.created.path.iter().next(), moment(&spec.fields.created, firing.tick));
    json!(object).to_string().into_bytes()
}
