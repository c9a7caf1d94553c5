//! Changes in an application's own words: which commands they are, showing them, running them.

use super::Conventional;
use super::edit::replace;
use super::prepared::{Prepared, key_of, values_of};
use crate::domain::address::parse_full;
use crate::domain::described::{Allowed, CancelFlag, RECIPE_COMMANDS, Recipe, Slots, Values, split_path};
use crate::domain::ids::{JobId, Name, QueueId};
use crate::domain::mutation::{Change, Mutation, NewJob, Outcome, Target, Verb};
use crate::domain::payload::Tree;
use crate::domain::state::StateId;
use crate::domain::text::harmless_bytes;
use crate::domain::time::Timestamp;
use crate::link::{Batch, Link, Script, Value, cmd};
use crate::systems::facts::{json_at, text_at};
use crate::systems::list::detail::server_time;
use crate::systems::{SystemError, reply};

static RUN: Script = Script::new(concat!(include_str!("../forbidden.lua"), include_str!("commands.lua")));

/// Largest payload a recipe reads, and largest value it edits.
const MOST: u64 = 1 << 20;

/// Jobs of a set whose commands are shown.
const SHOWN: usize = 3;

/// A convention's own way to do something.
pub(super) enum Own<'a> {
    Recipe(&'a Recipe),
    Flag(&'a CancelFlag, &'a Slots),
}

/// A JSON text in which values are exchanged.
pub(super) struct Edited {
    pub(super) key: Vec<u8>,
    /// As it was read.
    pub(super) old: Vec<u8>,
    /// As it shall be.
    pub(super) new: Vec<u8>,
    /// Where the exchanged values are.
    pub(super) paths: Vec<String>,
}

/// What is done to one job.
#[derive(Default)]
pub(super) struct Steps {
    add: Option<(QueueId, NewJob)>,
    pub(super) edits: Vec<Edited>,
    /// The first command must find something.
    guarded: bool,
    /// Type of the key, and the words.
    pub(super) commands: Vec<(&'static str, Vec<Vec<u8>>)>,
}

/// What fills the slots of one job.
struct Filling<'a> {
    queue: &'a QueueId,
    id: &'a JobId,
    item: Option<Vec<u8>>,
    tree: Option<Tree>,
    now: Timestamp,
}

impl Filling<'_> {
    fn fill(&self, text: &str) -> Result<Vec<u8>, String> {
        let data = |steps: &[String]| text_at(self.tree.as_ref()?, steps);
        let values = Values {
            id: self.id.as_bytes(),
            queue: self.queue.name.as_bytes(),
            instance: self.queue.instance.name.as_bytes(),
            item: self.item.as_deref(),
            data: &data,
            now: self.now,
        };
        let missing = |slot| format!("its recipe wants {slot}, and it has no such value");
        Slots::parse(text, Allowed::Job)?.fill(&values).map_err(missing)
    }
}

/// Words of a command as they could be typed into redis-cli.
fn typed(words: &[Vec<u8>]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-:./{}#@+=,*[]".contains(byte);
    let words = words.iter().map(|word| match !word.is_empty() && word.iter().all(plain) {
        true => String::from_utf8_lossy(word).into_owned(),
        false => format!("'{}'", harmless_bytes(word).replace('\'', "\\'")),
    });
    words.collect::<Vec<_>>().join(" ")
}

impl Steps {
    fn told(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((queue, job)) = &self.add {
            let id = job.id.as_ref().map(|id| format!(" as {id}")).unwrap_or_default();
            let data = harmless_bytes(&job.data);
            lines.push(format!("first adds {} to {}{id} with {data}", job.name, queue.full_address()));
        }
        let commands = self.commands.iter().enumerate().map(|(index, (_, words))| {
            let condition = if index == 0 && self.guarded { "   (if it finds nothing, nothing is done)" } else { "" };
            format!("{}{condition}", typed(words))
        });
        lines.extend(commands);
        lines.extend(self.edits.iter().map(|edit| {
            let words = [b"SET".to_vec(), edit.key.clone(), edit.new.clone(), b"KEEPTTL".to_vec()];
            format!("{}   (only if it was not changed meanwhile)", typed(&words))
        }));
        lines
    }

    /// Runs everything but the added job; the script's word.
    pub(super) async fn run(&self, link: &Link) -> Result<Value, SystemError> {
        let mut arguments: Vec<Vec<u8>> = vec![self.edits.len().to_string().into_bytes()];
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for Edited { key, old, new, .. } in &self.edits {
            keys.push(key.clone());
            arguments.extend([key.clone(), old.clone(), new.clone()]);
        }
        arguments.push(if self.guarded { b"1".to_vec() } else { b"0".to_vec() });
        for (kind, words) in &self.commands {
            keys.push(words[1].clone());
            arguments.push(words.len().to_string().into_bytes());
            arguments.push(kind.as_bytes().to_vec());
            arguments.extend(words.iter().cloned());
        }
        Ok(RUN.run(link, &keys, &arguments).await?)
    }
}

/// A command with everything in its place. Numbers are tested here, because a script that stops half-way is not undone.
fn command(words: &[String], filling: &Filling<'_>) -> Result<(&'static str, Vec<Vec<u8>>), String> {
    let (name, _, _, kind) = RECIPE_COMMANDS
        .iter()
        .find(|(known, ..)| words.first().is_some_and(|name| known.eq_ignore_ascii_case(name)))
        .ok_or_else(|| "its recipe has a command that is not allowed".to_owned())?;
    let mut filled = vec![name.as_bytes().to_vec()];
    for word in &words[1..] {
        filled.push(filling.fill(word)?);
    }
    if filled.len() < 2 {
        return Err(format!("its recipe has a {name} without a key"));
    }
    let number = match *name {
        "LREM" | "EXPIRE" | "PEXPIRE" => filled.get(2),
        "ZADD" => filled.len().checked_sub(2).and_then(|place| filled.get(place)),
        "SET" => filled
            .iter()
            .position(|word| word.eq_ignore_ascii_case(b"EX") || word.eq_ignore_ascii_case(b"PX"))
            .filter(|place| *place > 2)
            .and_then(|place| filled.get(place + 1)),
        _ => None,
    };
    if let Some(number) = number {
        let text = String::from_utf8_lossy(number);
        let fits = if *name == "ZADD" { text.parse::<f64>().is_ok() } else { text.parse::<i64>().is_ok() };
        if !fits {
            return Err(format!("its recipe has a {name} with {text:?} where a number stands"));
        }
    }
    Ok((kind, filled))
}

impl Conventional {
    /// The convention's own way, if one holds for these jobs.
    pub(super) fn own(&self, queue: &QueueId, verb: Verb, state: StateId) -> Option<Own<'_>> {
        self.over(queue).into_iter().find_map(|convention: &Prepared| {
            let named = |states: &crate::domain::described::Paths| states.iter().any(|name| name == state.0);
            let recipe =
                convention.spec.change.iter().find(|recipe| recipe.verb.verb() == verb && named(&recipe.states));
            recipe.map(Own::Recipe).or_else(|| {
                let flag = convention.spec.cancel_flag.as_ref().filter(|flag| named(&flag.states))?;
                (verb == Verb::Cancel).then_some(Own::Flag(flag, convention.flag.as_ref()?))
            })
        })
    }

    fn own_of(&self, mutation: &Mutation) -> Option<(Own<'_>, StateId)> {
        let Target::Jobs { state, .. } = mutation.target else { return None };
        Some((self.own(&mutation.queue, mutation.change.verb(), state)?, state))
    }

    /// Changes in the application's own way where there is one.
    pub(super) async fn change(&self, link: &Link, mutation: &Mutation) -> Result<Outcome, SystemError> {
        let Some((own, state)) = self.own_of(mutation) else { return self.inner.mutate(link, mutation).await };
        let Target::Jobs { ids, .. } = &mutation.target else { return self.inner.mutate(link, mutation).await };
        if let Own::Flag(flag, _) = own
            && flag.after_own
            && self.inner.abilities().iter().any(|one| one.verb == Verb::Cancel && one.states.contains(&state))
        {
            // The system may wait for its workers' answer, and meanwhile the job would run on: the flag goes right behind
            // the system's own request.
            let (own_way, outcome) =
                tokio::join!(self.inner.mutate(link, mutation), self.each(link, mutation, ids, &own, state));
            own_way?;
            return outcome;
        }
        self.each(link, mutation, ids, &own, state).await
    }

    /// Does it to each of the jobs.
    async fn each(
        &self,
        link: &Link,
        mutation: &Mutation,
        ids: &[JobId],
        own: &Own<'_>,
        state: StateId,
    ) -> Result<Outcome, SystemError> {
        let now = server_time(link).await?;
        let mut outcome = Outcome::default();
        for id in ids {
            let gone = || format!("it is not {state} any more");
            let steps = match self.steps(link, &mutation.queue, id, own, state, now).await? {
                Ok(steps) => steps,
                Err(reason) => {
                    outcome.refused.push((id.clone(), reason));
                    continue;
                }
            };
            if let Some((queue, job)) = &steps.add {
                match self.add(link, queue, job, mutation.force).await? {
                    Ok(created) => outcome.created.extend(created),
                    Err(reason) => {
                        outcome.refused.push((id.clone(), reason));
                        continue;
                    }
                }
            }
            match steps.run(link).await? {
                Value::Int(1) => outcome.done.push(id.clone()),
                Value::Int(-3) => outcome.refused.push((id.clone(), gone())),
                Value::Int(-41) => {
                    let reason = "its record was changed meanwhile; look at it again".to_owned();
                    outcome.refused.push((id.clone(), reason));
                }
                _ => outcome.unknown.push(id.clone()),
            }
        }
        Ok(outcome)
    }

    /// The commands for the first few of these jobs, as they would be sent.
    pub(super) async fn commands_of(
        &self,
        link: &Link,
        queue: &QueueId,
        verb: Verb,
        state: StateId,
        ids: &[JobId],
    ) -> Result<Vec<String>, SystemError> {
        let Some(own) = self.own(queue, verb, state) else {
            return self.inner.preview(link, queue, verb, state, ids).await;
        };
        let title = self.inner.spec().title;
        let says = match own {
            Own::Recipe(recipe) => {
                recipe.says.clone().unwrap_or_else(|| "Done by a recipe of the configuration.".into())
            }
            Own::Flag(flag, _) if flag.after_own => {
                format!("First what {title} itself does to cancel, then a flag; whether it stops is up to the job.")
            }
            Own::Flag(..) => "Sets a flag; whether and when it stops is up to the job.".to_owned(),
        };
        let mut lines = vec![says, "exact commands, those of one job as one script:".to_owned()];
        let now = server_time(link).await?;
        for id in ids.iter().take(SHOWN) {
            match self.steps(link, queue, id, &own, state, now).await? {
                Ok(steps) => lines.extend(steps.told()),
                Err(reason) => lines.push(format!("nothing for {id}: {reason}")),
            }
        }
        if ids.len() > SHOWN {
            lines.push(format!("and likewise for {} more", ids.len() - SHOWN));
        }
        Ok(lines)
    }

    pub(super) async fn steps(
        &self,
        link: &Link,
        queue: &QueueId,
        id: &JobId,
        own: &Own<'_>,
        state: StateId,
        now: Timestamp,
    ) -> Result<Result<Steps, String>, SystemError> {
        let recipe = match own {
            Own::Recipe(recipe) => recipe,
            Own::Flag(flag, key) => {
                let found = self.inner.locate(link, queue, std::slice::from_ref(id)).await?;
                if found.first() != Some(&Some(state)) {
                    return Ok(Err(format!("it is not {state} any more")));
                }
                let Some(key) = key_of(key, queue, id) else { return Ok(Err("its flag has no key".to_owned())) };
                let mut words = vec![b"SET".to_vec(), key, flag.value.clone().into_bytes()];
                if let Some(ttl) = flag.ttl {
                    words.extend([b"EX".to_vec(), ttl.to_string().into_bytes()]);
                }
                return Ok(Ok(Steps { commands: vec![("string", words)], ..Steps::default() }));
            }
        };
        let mut filling = Filling { queue, id, item: None, tree: None, now };
        if needs_payload(recipe) {
            let Some(job) = self.inner.job(link, queue, id, MOST).await? else {
                return Ok(Err(format!("it is not {state} any more")));
            };
            if job.payload.is_cut() {
                return Ok(Err(format!("its payload of {} bytes is too large for a recipe", job.payload.total)));
            }
            filling.tree = values_of(&job.payload);
            filling.item = Some(job.payload.bytes.to_vec());
        }
        self.recipe_steps(link, recipe, &filling).await
    }

    async fn recipe_steps(
        &self,
        link: &Link,
        recipe: &Recipe,
        filling: &Filling<'_>,
    ) -> Result<Result<Steps, String>, SystemError> {
        let mut steps = Steps { guarded: !recipe.guard.is_empty(), ..Steps::default() };
        for words in Some(&recipe.guard).filter(|guard| !guard.is_empty()).into_iter().chain(&recipe.commands) {
            match command(words, filling) {
                Ok(command) => steps.commands.push(command),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        for edit in &recipe.edit {
            let filled = filling.fill(&edit.key).and_then(|key| Ok((key, filling.fill(&edit.to)?)));
            let (key, to) = match filled {
                Ok(filled) => filled,
                Err(reason) => return Ok(Err(reason)),
            };
            // Several edits of one key are one value in the end.
            let place = match steps.edits.iter().position(|known| known.key == key) {
                Some(place) => place,
                None => {
                    let Some(old) = value_of(link, &key).await? else {
                        return Ok(Err(format!("{} is not there or too large", Name::from(key))));
                    };
                    steps.edits.push(Edited { key, new: old.clone(), old, paths: Vec::new() });
                    steps.edits.len() - 1
                }
            };
            let edited = &mut steps.edits[place];
            match replace(&edited.new, &edit.path, &String::from_utf8_lossy(&to)) {
                Ok(new) => edited.new = new,
                Err(reason) => return Ok(Err(format!("{}: {reason}", Name::from(&*edited.key)))),
            }
            edited.paths.push(edit.path.clone());
        }
        if let Some(add) = &recipe.add {
            match self.new_job(add, filling) {
                Ok(add) => steps.add = Some(add),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(steps))
    }

    fn new_job(
        &self,
        add: &crate::domain::described::AddJob,
        filling: &Filling<'_>,
    ) -> Result<(QueueId, NewJob), String> {
        let systems: Vec<_> = self.all.iter().map(|system| system.spec().name).collect();
        let queue = parse_full(&add.queue, &systems)
            .ok_or_else(|| format!("{} is the address of no queue system qtop knows", add.queue))?;
        let path = add.arguments.as_deref().map(split_path).unwrap_or_default();
        let tree = filling.tree.as_ref().ok_or_else(|| "its payload cannot be read".to_owned())?;
        let data = json_at(tree, &path, &add.except)
            .ok_or_else(|| format!("it has no arguments at {}", add.arguments.as_deref().unwrap_or_default()))?;
        let name = String::from_utf8_lossy(&filling.fill(&add.name)?).into_owned();
        let id = JobId::from(filling.fill(&add.id)?);
        Ok((queue, NewJob { id: Some(id), name, data: data.into_bytes().into(), ..NewJob::default() }))
    }

    async fn add(
        &self,
        link: &Link,
        queue: &QueueId,
        job: &NewJob,
        force: bool,
    ) -> Result<Result<Vec<JobId>, String>, SystemError> {
        let name = queue.instance.system;
        let Some(system) = self.all.iter().find(|system| system.spec().name == name) else {
            return Ok(Err(format!("there is no system {name}")));
        };
        let change = Change::Add(job.clone());
        let mutation = Mutation { queue: queue.clone(), change, target: Target::Queue, force };
        let mut outcome = system.mutate(link, &mutation).await?;
        Ok(match outcome.refused.pop() {
            Some((_, reason)) => Err(format!("it could not be added to {}: {reason}", queue.full_address())),
            None => Ok(outcome.created),
        })
    }

    /// For a cancel flag: whether it is set for each of the jobs. `None`: the change was no flag.
    pub(super) async fn flags_set(
        &self,
        link: &Link,
        mutation: &Mutation,
    ) -> Result<Option<Vec<Option<bool>>>, SystemError> {
        let Some((Own::Flag(_, slots), _)) = self.own_of(mutation) else { return Ok(None) };
        let Target::Jobs { ids, .. } = &mutation.target else { return Ok(None) };
        let mut batch = Batch::new();
        for id in ids {
            batch.ask(cmd("EXISTS").arg(key_of(slots, &mutation.queue, id).unwrap_or_default()).to_owned());
        }
        let replies = link.send(&batch).await?;
        let set = |reply: &crate::link::Reply| reply.as_ref().ok().and_then(reply::count).map(|found| found > 0);
        Ok(Some(replies.iter().map(set).collect()))
    }
}

fn needs_payload(recipe: &Recipe) -> bool {
    let words = recipe.guard.iter().chain(recipe.commands.iter().flatten());
    let edits = recipe.edit.iter().flat_map(|edit| [&edit.key, &edit.to]);
    let needs = |text: &String| Slots::parse(text, Allowed::Job).is_ok_and(|slots| slots.needs_payload());
    recipe.add.is_some() || words.chain(edits).any(needs)
}

/// The whole value of a string; `None` if there is none, or it is too large.
pub(super) async fn value_of(link: &Link, key: &[u8]) -> Result<Option<Vec<u8>>, SystemError> {
    let length = reply::count(&link.ask(cmd("STRLEN").arg(key).to_owned()).await?).unwrap_or(0);
    if length == 0 || length > MOST {
        return Ok(None);
    }
    Ok(reply::bytes(&link.ask(cmd("GET").arg(key).to_owned()).await?).map(<[u8]>::to_vec))
}
