//! Conventions of applications: their checks, and files that are read into the configuration.

use std::path::Path;

use super::check::{Check, Known, check, steps};
use super::document::{Document, Step};
use super::error::ConfigProblems;
use super::load::{Environment, absolute};
use super::schema::Config;
use super::trusted::read_trusted;
use crate::domain::described::Convention;
use crate::domain::problem::{Place, Problem, TextFile, nearest};

/// Ready files for known applications, by the name behind `recipe:`.
pub const RECIPES: &[(&str, &str)] = &[
    ("dumpyarabot-arq", include_str!("../../assets/recipes/dumpyarabot-arq.toml")),
    ("dumpyarabot-lists", include_str!("../../assets/recipes/dumpyarabot-lists.toml")),
    ("laravel-download-bot", include_str!("../../assets/recipes/laravel-download-bot.toml")),
    ("message-queue", include_str!("../../assets/recipes/message-queue.toml")),
    ("runnerhub", include_str!("../../assets/recipes/runnerhub.toml")),
    ("whatsapp", include_str!("../../assets/recipes/whatsapp.toml")),
];

/// What an included file may hold.
const INCLUDED: &[&str] = &["list", "convention", "arq", "laravel", "discovery"];

impl Check<'_> {
    pub(super) fn conventions(&mut self, config: &Config) {
        for problem in config.described().convention_problems() {
            let mut path: Vec<Step> = vec!["convention".into(), problem.list.into()];
            path.extend(steps(&problem.field));
            // Something beside it was misspelled, perhaps what is missed here.
            if path.split_last().is_some_and(|(_, table)| self.document.lost_from(table)) {
                continue;
            }
            self.add(&path, problem.text, None, None);
        }
        let states = self.known.states.clone();
        let names: Vec<&str> = config.servers.keys().map(String::as_str).collect();
        for (convention, spec) in config.conventions.iter().enumerate() {
            let at = |rest: &str| {
                let mut path: Vec<Step> = vec!["convention".into(), convention.into()];
                path.extend(steps(rest));
                path
            };
            for (field, state) in named_states(spec) {
                self.one_of(&at(&field), "state", &state, &states);
            }
            for (index, server) in spec.servers.iter().enumerate() {
                self.one_of(&at(&format!("servers[{index}]")), "server", server, &names);
            }
        }
        for (index, pattern) in config.discovery.ignore.iter().enumerate() {
            if pattern.trim_matches('*').is_empty() {
                let path = ["discovery".into(), "ignore".into(), index.into()];
                let remedy = "write a glob such as \"app:state:*\"".to_owned();
                self.add(&path, "this would hide everything", None, Some(remedy));
            }
        }
    }
}

/// States a convention names, with the field in which it does.
fn named_states(convention: &Convention) -> Vec<(String, String)> {
    let mut named = Vec::new();
    for (index, recipe) in convention.change.iter().enumerate() {
        let states = recipe.states.iter().enumerate();
        named.extend(states.map(|(state, name)| (format!("change[{index}].states[{state}]"), name.to_owned())));
    }
    if let Some(flag) = &convention.cancel_flag {
        let states = flag.states.iter().enumerate();
        named.extend(states.map(|(state, name)| (format!("cancel_flag.states[{state}]"), name.to_owned())));
    }
    named
}

/// Reads the files named by `include` into the configuration. `folder`: of the configuration file.
///
/// # Errors
/// Everything that is wrong with them, each at its place in its own file.
pub(super) fn include(
    config: &mut Config,
    file: &TextFile,
    folder: &Path,
    environment: &Environment,
    known: &Known,
) -> Result<(), ConfigProblems> {
    let mut problems = Vec::new();
    for (index, name) in config.include.clone().into_iter().enumerate() {
        let text = match name.strip_prefix("recipe:") {
            Some(recipe) => match RECIPES.iter().find(|(known, _)| *known == recipe) {
                Some((_, text)) => (*text).to_owned(),
                None => {
                    let names = RECIPES.iter().map(|(name, _)| *name);
                    let remedy = match nearest(recipe, names.clone()) {
                        Some(near) => format!("did you mean \"recipe:{near}\"?"),
                        None => format!("there are: {}", names.collect::<Vec<_>>().join(", ")),
                    };
                    let (_, document, _) = Document::read::<Config>(file);
                    let place = document.place(&["include".into(), index.into()]);
                    let message = format!("there is no recipe \"{recipe}\"");
                    problems.push(Problem::build(file, place, message, None, Some(remedy)));
                    continue;
                }
            },
            None => {
                let path = absolute(Path::new(&name), folder, environment);
                config.origin.sources.push(path.clone());
                match read_trusted(&path) {
                    Ok(text) => text,
                    Err(untrusted) => {
                        problems.push(untrusted.problem(&path));
                        continue;
                    }
                }
            }
        };
        let (included, found) = read(&TextFile::new(name.as_str(), text), known);
        problems.extend(found);
        let before = (config.lists.len(), config.conventions.len());
        config.lists.extend(included.lists);
        config.conventions.extend(included.conventions);
        config.arq.extend(included.arq);
        config.laravel.extend(included.laravel);
        config.discovery.ignore.extend(included.discovery.ignore);
        problems.extend(taken_names(config, before, &name));
    }
    ConfigProblems::new(problems).map_or(Ok(()), Err)
}

fn read(file: &TextFile, known: &Known) -> (Config, Vec<Problem>) {
    let (config, document, mut problems) = Document::read::<Config>(file);
    problems.extend(check(&config, &document, known));
    let inside = document.names(&["discovery"]).into_iter().filter(|name| name != "ignore");
    let foreign = document.names(&[]).into_iter().filter(|name| !INCLUDED.contains(&name.as_str()));
    for path in foreign.map(|name| vec![name]).chain(inside.map(|name| vec!["discovery".to_owned(), name])) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let place = document.name_place(&path);
        let message = format!("`{}` cannot be set by an included file", path.join("."));
        let remedy = "move it into the configuration file itself; an included file describes queues only".to_owned();
        problems.push(Problem::build(file, place, message, None, Some(remedy)));
    }
    problems.sort_by_key(|problem| match problem.place {
        Place::File { line, column, .. } => (line, column),
        _ => (0, 0),
    });
    (config, problems)
}

/// Names of an included file that were taken before it was read.
fn taken_names(config: &Config, before: (usize, usize), file: &str) -> Vec<Problem> {
    let (old, new) = config.lists.split_at(before.0);
    let lists = new.iter().map(|list| &list.name).filter(|name| old.iter().any(|known| known.name == **name));
    let (old, new) = config.conventions.split_at(before.1);
    let conventions = new.iter().map(|one| &one.name).filter(|name| old.iter().any(|known| known.name == **name));
    lists
        .map(|name| ("list", name))
        .chain(conventions.map(|name| ("convention", name)))
        .map(|(table, name)| {
            let place = Place::WholeFile { name: file.to_owned() };
            Problem::of(place, format!("another [[{table}]] is called {name:?} already"))
                .with_remedy("rename one of them: names must differ over all files")
        })
        .collect()
}
