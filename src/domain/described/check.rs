//! What cannot be right in a description, found before it is used.

use std::collections::HashSet;

use strum::IntoEnumIterator;

use super::Described;
use super::field::{Decoder, Paths, TimeField, TimeUnit, decoder, split_path};
use super::list::{DeadLetters, Fields, Heartbeat, HeartbeatKind, ItemKind, ListSpec, Progress, ProgressKind, Record};
use crate::domain::problem::nearest;

/// Something wrong in one description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Index of the table among those of its kind, from 0.
    pub list: usize,
    /// The field inside the table, dotted, for example `record.key` or `heartbeat[1].pattern`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub text: String,
}

impl Described {
    /// Everything that cannot be right, in the order of the file.
    pub fn problems(&self) -> Vec<Problem> {
        let mut names = HashSet::new();
        let mut problems = Vec::new();
        for (index, list) in self.lists.iter().enumerate() {
            let mut found = Found { list: index, problems: &mut problems };
            list.check(&mut found);
            if !list.name.is_empty() && !names.insert(list.name.as_str()) {
                found.add("name", format!("another [[list]] is called {:?} already; names must differ", list.name));
            }
        }
        problems
    }
}

/// Collects what is wrong in one table.
pub(super) struct Found<'a> {
    pub(super) list: usize,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Found<'_> {
    pub(super) fn add(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.problems.push(Problem { list: self.list, field: field.into(), text: text.into() });
    }

    fn key(&mut self, field: &str, key: &str) {
        if key.is_empty() {
            self.add(field, "the key is empty");
        }
    }

    fn template(&mut self, field: &str, key: &str) {
        if !key.contains("{id}") {
            self.add(field, "needs {id} where the item's id stands, for example \"app:job:{id}\"");
        }
    }

    pub(super) fn paths(&mut self, field: &str, paths: &Paths) {
        for path in paths.iter() {
            let steps = split_path(path);
            if steps.iter().any(String::is_empty) {
                self.add(field, format!("the path {path:?} has an empty step; write names joined by dots"));
            }
            if let Some(problem) = unknown_decoder(&steps) {
                self.add(field, problem);
            }
        }
    }

    fn time(&mut self, field: &str, time: &TimeField) {
        self.paths(field, &time.path);
    }

    /// A glob that names keys of one thing: a literal start, so that a scan cannot return the whole keyspace, and a `*`
    /// for what differs.
    fn pattern(&mut self, field: &str, pattern: &str) {
        if literal_prefix(pattern).is_empty() {
            self.add(field, "must begin with fixed text, for example \"app:worker:*\"; it would match too many keys");
        } else if !pattern.contains('*') {
            self.add(field, "needs a * where the worker's name stands, for example \"app:worker:*\"");
        }
    }
}

/// What is wrong with the decoders of a path, for people.
pub(super) fn unknown_decoder(steps: &[String]) -> Option<String> {
    let word = steps.iter().find_map(|step| decoder(step)?.err())?;
    let known: Vec<&'static str> = Decoder::iter().map(Into::into).collect();
    let remedy = match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean |{near}?"),
        None => format!("there are |{}", known.join(", |")),
    };
    Some(format!("there is no decoder |{word}; {remedy} A bar that belongs to a name is written \\|"))
}

/// The start of a glob up to its first wildcard, without the backslashes.
pub fn literal_prefix(pattern: &str) -> String {
    let mut prefix = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => break,
            '\\' => prefix.extend(chars.next()),
            c => prefix.push(c),
        }
    }
    prefix
}

impl ListSpec {
    fn check(&self, found: &mut Found<'_>) {
        if self.name.is_empty() {
            found.add("name", "a list needs a name under which qtop shows it");
        }
        if self.key.is_empty() && self.dead.is_none() {
            found.add("key", "a list needs the key of the Redis list, or of a dead-letter list");
        }
        self.check_keys(found);
        check_item(found, "", self.item, self.record.as_ref(), &self.fields);
        if let Some(pattern) = &self.processing_pattern {
            found.pattern("processing_pattern", pattern);
        }
        if let Some(delayed) = &self.delayed
            && !matches!(delayed.unit, TimeUnit::S | TimeUnit::Ms)
        {
            found.add("delayed.unit", "a score is a number: write \"s\" or \"ms\"");
        }
        if let Some(dead) = &self.dead {
            self.check_dead(found, dead);
        }
        for (index, heartbeat) in self.heartbeat.iter().enumerate() {
            heartbeat.check(found, &format!("heartbeat[{index}]"));
        }
        if let Some(progress) = &self.progress {
            progress.check(found);
            if self.item != ItemKind::Id && self.fields.id.is_empty() {
                found.add("progress.key", "items have no id to put into the key: describe `fields.id`");
            }
        }
    }

    /// Every key is named once: the same list cannot hold waiting and dead items.
    fn check_keys(&self, found: &mut Found<'_>) {
        let mut keys: Vec<(&str, &str)> = Vec::new();
        keys.extend(self.key.iter().map(|key| ("key", key)));
        keys.extend(self.processing.iter().map(|key| ("processing", key)));
        keys.extend(self.delayed.iter().map(|delayed| ("delayed.key", delayed.key.as_str())));
        keys.extend(self.dead.iter().flat_map(|dead| dead.key.iter()).map(|key| ("dead.key", key)));
        keys.extend(self.pause.iter().map(|pause| ("pause.key", pause.key.as_str())));
        if let Some(counters) = &self.counters {
            let named = [
                ("counters.added", &counters.added),
                ("counters.finished", &counters.finished),
                ("counters.failed", &counters.failed),
            ];
            keys.extend(named.into_iter().filter_map(|(field, key)| Some((field, key.as_deref()?))));
        }
        let mut seen = HashSet::new();
        for (field, key) in keys {
            found.key(field, key);
            if !key.is_empty() && !seen.insert(key) {
                found.add(field, format!("the key {key:?} is named twice in this description"));
            }
        }
    }

    fn check_dead(&self, found: &mut Found<'_>, dead: &DeadLetters) {
        if dead.key.is_empty() {
            found.add("dead.key", "the key of the dead-letter list is missing");
        }
        if dead.item.is_some() || dead.record.is_some() || dead.fields.is_some() {
            let item = dead.item.unwrap_or(self.item);
            let fields = dead.fields.as_ref().unwrap_or(&self.fields);
            check_item(found, "dead.", item, dead.record.as_ref(), fields);
        }
    }
}

fn check_item(found: &mut Found<'_>, at: &str, item: ItemKind, record: Option<&Record>, fields: &Fields) {
    match (item, record) {
        (ItemKind::Id, Some(record)) => found.template(&format!("{at}record.key"), &record.key),
        (ItemKind::Json | ItemKind::Raw, Some(_)) => {
            found.add(format!("{at}record"), "only items that are ids have a record: write `item = \"id\"`");
        }
        (ItemKind::Id, None) if !fields.is_empty() => {
            found.add(format!("{at}fields"), "an id has no fields of its own: describe `record`");
        }
        (_, None) => {}
    }
    if item == ItemKind::Raw && !fields.is_empty() {
        found.add(format!("{at}fields"), "qtop does not look into raw items: write `item = \"json\"`");
    }
    let paths = [
        ("id", &fields.id),
        ("name", &fields.name),
        ("attempts", &fields.attempts),
        ("attempts_max", &fields.attempts_max),
        ("created", &fields.created.path),
        ("started", &fields.started.path),
        ("finished", &fields.finished.path),
        ("due", &fields.due.path),
        ("error", &fields.error),
        ("priority", &fields.priority),
        ("worker", &fields.worker),
        ("status", &fields.status),
        ("percent", &fields.percent),
        ("step", &fields.step),
        ("total", &fields.total),
        ("text", &fields.text),
    ];
    for (name, path) in paths {
        found.paths(&format!("{at}fields.{name}"), path);
    }
}

impl Heartbeat {
    pub(super) fn check(&self, found: &mut Found<'_>, at: &str) {
        found.pattern(&format!("{at}.pattern"), &self.pattern);
        if self.stale_after == 0 {
            found.add(format!("{at}.stale_after"), "every beat would be stale at once: write seconds, at least 1");
        }
        if self.ttl == Some(0) {
            found.add(format!("{at}.ttl"), "a key with no time to live is never seen: write seconds, at least 1");
        }
        let inside = !self.beat.is_empty()
            || !self.item.is_empty()
            || !self.host.is_empty()
            || !self.pid.is_empty()
            || !self.since.is_empty();
        if inside && !matches!(self.kind, HeartbeatKind::Json | HeartbeatKind::Hash) {
            found.add(format!("{at}.kind"), "fields lie only inside a \"json\" or \"hash\" value");
        }
        for (name, paths) in [("item", &self.item), ("host", &self.host), ("pid", &self.pid)] {
            found.paths(&format!("{at}.{name}"), paths);
        }
        found.time(&format!("{at}.beat"), &self.beat);
        found.time(&format!("{at}.since"), &self.since);
    }
}

impl Progress {
    fn check(&self, found: &mut Found<'_>) {
        found.template("progress.key", &self.key);
        let all = [("percent", &self.percent), ("step", &self.step), ("total", &self.total), ("text", &self.text)];
        for (name, paths) in all {
            found.paths(&format!("progress.{name}"), paths);
        }
        let told = all.iter().any(|(_, paths)| !paths.is_empty());
        match self.kind {
            ProgressKind::Percent if told => {
                found.add("progress.kind", "a \"percent\" value has no fields: write \"hash\" or \"json\"");
            }
            ProgressKind::Hash | ProgressKind::Json if !told => {
                found.add("progress", "say where in the value it is: percent, step, total or text");
            }
            _ => {}
        }
    }
}
