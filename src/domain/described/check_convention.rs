//! What cannot be right in a convention, found before it is used.

use std::collections::HashSet;

use regex::RegexBuilder;

use super::Described;
use super::check::{Found, Problem};
use super::convention::{
    AddJob, CancelFlag, Convention, Edit, Owner, OwnerKind, PROGRESS_GROUPS, ProgressSource, RECIPE_COMMANDS, Recipe,
    SourceKind,
};
use super::field::Paths;
use super::slots::{Allowed, Slot, Slots};
use crate::domain::problem::nearest;

/// Memory a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

impl Described {
    /// Everything that cannot be right in the conventions, in the order of the file.
    pub fn convention_problems(&self) -> Vec<Problem> {
        let mut names = HashSet::new();
        let mut problems = Vec::new();
        for (index, convention) in self.conventions.iter().enumerate() {
            let mut found = Found { list: index, problems: &mut problems };
            convention.check(&mut found);
            if !convention.name.is_empty() && !names.insert(convention.name.as_str()) {
                let text = format!("another [[convention]] is called {:?} already; names must differ", convention.name);
                found.add("name", text);
            }
        }
        problems
    }
}

impl Convention {
    fn check(&self, found: &mut Found<'_>) {
        if self.name.is_empty() {
            found.add("name", "a convention needs a name by which qtop can speak of it");
        }
        if self.queues.is_empty() {
            found.add("queues", "say for which queues it holds, for example \"arq:mail*\"");
        }
        for (index, pattern) in self.queues.iter().enumerate() {
            if pattern.is_empty() {
                found.add(format!("queues[{index}]"), "an empty glob matches no queue; \"*\" matches all");
            }
        }
        for word in self.priorities.keys() {
            if word.parse::<i64>().is_err() {
                found.add(format!("priorities.{word}"), format!("{word:?} is no priority: write whole numbers"));
            }
        }
        for (label, paths) in &self.facts {
            found.paths(&format!("facts.{label}"), paths);
        }
        for (index, rule) in self.outcome.iter().enumerate() {
            found.paths(&format!("outcome[{index}].path"), &rule.path);
            found.paths(&format!("outcome[{index}].error"), &rule.error);
            if rule.means.is_empty() {
                let text = "say what its words mean, for example { \"false\" = \"failed\" }";
                found.add(format!("outcome[{index}].means"), text);
            }
        }
        for (index, source) in self.progress.iter().enumerate() {
            source.check(found, &format!("progress[{index}]"));
        }
        if let Some(owner) = &self.owner {
            owner.check(found);
        }
        for (index, heartbeat) in self.heartbeat.iter().enumerate() {
            heartbeat.check(found, &format!("heartbeat[{index}]"));
        }
        if let Some(flag) = &self.cancel_flag {
            flag.check(found);
        }
        for (index, key) in self.dedup.iter().enumerate() {
            template(found, &format!("dedup[{index}]"), key, Allowed::Job);
        }
        let mut kinds = HashSet::new();
        for (index, recipe) in self.change.iter().enumerate() {
            recipe.check(found, &format!("change[{index}]"));
            for state in recipe.states.iter() {
                if !kinds.insert((recipe.verb.verb(), state)) {
                    let text = format!("{state:?} jobs have another recipe for this already");
                    found.add(format!("change[{index}].states"), text);
                }
            }
        }
    }
}

/// Parses a text with slots; what is wrong with it becomes a problem.
fn template(found: &mut Found<'_>, field: &str, text: &str, allowed: Allowed) -> Option<Slots> {
    match Slots::parse(text, allowed) {
        Ok(slots) => Some(slots),
        Err(problem) => {
            found.add(field, problem);
            None
        }
    }
}

/// A key that must differ from job to job.
fn key_of_job(found: &mut Found<'_>, field: &str, key: &str) {
    if let Some(slots) = template(found, field, key, Allowed::Row)
        && !slots.names(&Slot::Id)
    {
        found.add(field, "needs {id} where the job's id stands, for example \"app:job:{id}\"");
    }
}

impl ProgressSource {
    fn check(&self, found: &mut Found<'_>, at: &str) {
        match (&self.key, self.kind.has_key()) {
            (Some(key), true) => key_of_job(found, &format!("{at}.key"), key),
            (None, true) => {
                found.add(format!("{at}.key"), "say in which key it stands, for example \"app:progress:{id}\"")
            }
            (Some(_), false) => {
                found.add(format!("{at}.key"), "a result or payload is no key of its own: leave `key` out")
            }
            (None, false) => {}
        }
        let all = [("percent", &self.percent), ("step", &self.step), ("total", &self.total), ("text", &self.text)];
        for (name, paths) in all {
            found.paths(&format!("{at}.{name}"), paths);
        }
        let told = all.iter().any(|(_, paths)| !paths.is_empty());
        match self.kind {
            SourceKind::Percent | SourceKind::Text if told => {
                found.add(format!("{at}.kind"), "only documents and hashes have fields: write \"json\" or \"hash\"");
            }
            SourceKind::Hash | SourceKind::Json | SourceKind::Result | SourceKind::Payload if !told => {
                found.add(at, "say where in it the progress is: percent, step, total or text");
            }
            _ => {}
        }
        match (&self.pattern, self.kind) {
            (Some(pattern), SourceKind::Text) => check_pattern(found, &format!("{at}.pattern"), pattern),
            (None, SourceKind::Text) => {
                found.add(format!("{at}.pattern"), "a text is read by a pattern, for example '(?<percent>\\d+)%'");
            }
            (Some(_), _) => found.add(format!("{at}.pattern"), "only a \"text\" is read by a pattern"),
            (None, _) => {}
        }
    }

    /// The compiled pattern; `None` if there is none or it cannot be right.
    pub fn compiled(&self) -> Option<regex::Regex> {
        compile(self.pattern.as_deref()?).ok()
    }
}

fn compile(pattern: &str) -> Result<regex::Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build()
}

fn check_pattern(found: &mut Found<'_>, field: &str, pattern: &str) {
    let pattern = match compile(pattern) {
        Ok(pattern) => pattern,
        Err(error) => {
            // The last line says it; the ones before draw the pattern again.
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            found.add(field, format!("this is no regular expression: {last}"));
            return;
        }
    };
    let groups: Vec<&str> = pattern.capture_names().flatten().collect();
    for group in &groups {
        if !PROGRESS_GROUPS.contains(group) {
            let remedy = match nearest(group, PROGRESS_GROUPS) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("there are {}", PROGRESS_GROUPS.join(", ")),
            };
            found.add(field, format!("there is no group {group:?} of progress; {remedy}"));
        }
    }
    if groups.is_empty() {
        let text =
            format!("name what it finds by groups such as (?<percent>\\d+); there are {}", PROGRESS_GROUPS.join(", "));
        found.add(field, text);
    }
}

impl Owner {
    fn check(&self, found: &mut Found<'_>) {
        key_of_job(found, "owner.key", &self.key);
        let all = [("worker", &self.worker), ("host", &self.host), ("pid", &self.pid), ("since", &self.since.path)];
        for (name, paths) in all {
            found.paths(&format!("owner.{name}"), paths);
        }
        let told = all.iter().any(|(_, paths)| !paths.is_empty());
        match self.kind {
            OwnerKind::Text if told => {
                found.add("owner.kind", "only documents and hashes have fields: write \"json\" or \"hash\"");
            }
            OwnerKind::Json | OwnerKind::Hash if !told => {
                found.add("owner", "say where in it the owner is: worker, host or pid");
            }
            _ => {}
        }
    }
}

impl CancelFlag {
    fn check(&self, found: &mut Found<'_>) {
        key_of_job(found, "cancel_flag.key", &self.key);
        if self.states.is_empty() {
            found.add("cancel_flag.states", "say in which states a job looks at it, for example [\"active\"]");
        }
        if self.ttl == Some(0) {
            found.add("cancel_flag.ttl", "a flag that expires at once is never seen: write seconds, at least 1");
        }
    }
}

impl Recipe {
    fn check(&self, found: &mut Found<'_>, at: &str) {
        if self.states.is_empty() {
            found.add(format!("{at}.states"), "say for jobs of which states it is, for example [\"dead\"]");
        }
        if self.add.is_none() && self.commands.is_empty() && self.guard.is_empty() && self.edit.is_empty() {
            found.add(at, "it does nothing: give `guard`, `commands`, `edit` or `add`");
        }
        if !self.guard.is_empty() {
            check_command(found, &format!("{at}.guard"), &self.guard);
        }
        for (index, command) in self.commands.iter().enumerate() {
            check_command(found, &format!("{at}.commands[{index}]"), command);
        }
        for (index, edit) in self.edit.iter().enumerate() {
            edit.check(found, &format!("{at}.edit[{index}]"));
        }
        if let Some(add) = &self.add {
            add.check(found, &format!("{at}.add"));
        }
    }
}

fn check_command(found: &mut Found<'_>, at: &str, words: &[String]) {
    let Some((name, rest)) = words.split_first() else {
        found.add(at, "an empty command; write its words, for example [\"DEL\", \"app:job:{id}\"]");
        return;
    };
    let Some((known, fewest, most, _)) = RECIPE_COMMANDS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))
    else {
        let names: Vec<&str> = RECIPE_COMMANDS.iter().map(|(known, ..)| *known).collect();
        let remedy = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are {}", names.join(", ")),
        };
        found.add(format!("{at}[0]"), format!("{name:?} is no command a recipe may have; {remedy}"));
        return;
    };
    if rest.is_empty() {
        found.add(at, format!("{known} needs a key, for example [\"{known}\", \"app:job:{{id}}\"]"));
        return;
    }
    let count = rest.len() - 1;
    if !(*fewest..=*most).contains(&count) {
        let wanted = if fewest == most { format!("{fewest}") } else { format!("{fewest} to {most}") };
        found.add(at, format!("{known} takes a key and {wanted} words behind it, here are {count}"));
    }
    for (index, word) in rest.iter().enumerate() {
        template(found, &format!("{at}[{}]", index + 1), word, Allowed::Job);
    }
}

impl Edit {
    fn check(&self, found: &mut Found<'_>, at: &str) {
        template(found, &format!("{at}.key"), &self.key, Allowed::Job);
        template(found, &format!("{at}.to"), &self.to, Allowed::Job);
        found.paths(&format!("{at}.path"), &Paths::from(self.path.as_str()));
    }
}

impl AddJob {
    fn check(&self, found: &mut Found<'_>, at: &str) {
        let full = self.queue.split_once(':').is_some_and(|(system, name)| system.contains('@') && !name.is_empty());
        if !full {
            let text = format!(
                "{:?} is no full address: write SYSTEM@INSTANCE:NAME as `qtop queues --json` prints it",
                self.queue
            );
            found.add(format!("{at}.queue"), text);
        }
        template(found, &format!("{at}.name"), &self.name, Allowed::Job);
        if let Some(slots) = template(found, &format!("{at}.id"), &self.id, Allowed::Job)
            && slots == Slots::default()
        {
            found
                .add(format!("{at}.id"), "without an id the job could be added twice: write one, for example \"{id}\"");
        }
        if let Some(path) = &self.arguments {
            found.paths(&format!("{at}.arguments"), &Paths::from(path.as_str()));
        }
    }
}
