//! Names and rules the configuration is checked against.

use std::collections::BTreeMap;

use crate::app::columns::{self, Column};
use crate::app::{actions, keymap::Keymap};
use crate::config::{Config, KeyProblem, Known};
use crate::domain::alert;
use crate::domain::described::Described;
use crate::link::{Address, safe_url};
use crate::{systems, theme};

/// Everything a configuration may name.
pub fn known() -> Known {
    let systems = systems::all(&Described::default());
    Known {
        actions: actions::action_names().collect(),
        keys: Some(check_keys),
        systems: systems.iter().map(|system| system.spec().name).collect(),
        states: systems.iter().flat_map(|system| system.spec().states).map(|state| state.id.0).collect(),
        findings: alert::CODES.to_vec(),
        columns: columns::TABLES.iter().map(|(table, columns)| (*table, names(columns))).collect(),
        themes: Some(theme::names),
        url: Some(check_url),
    }
}

fn names(columns: &[Column]) -> Vec<&'static str> {
    columns.iter().map(|column| column.name).collect()
}

/// Tries each binding alone, so that its problem is found at its place, then all together. Unknown actions are told by
/// the configuration itself.
fn check_keys(config: &Config) -> Vec<KeyProblem> {
    let mut problems = Vec::new();
    let all: BTreeMap<String, Vec<String>> = config
        .keys
        .iter()
        .filter(|(action, _)| actions::action_names().any(|known| known == action.as_str()))
        .map(|(action, chords)| (action.clone(), chords.0.clone()))
        .collect();
    for (action, chords) in &all {
        for (index, chord) in chords.iter().enumerate() {
            let alone = BTreeMap::from([(action.clone(), vec![chord.clone()])]);
            // That another action loses its key matters only if it gets no new one.
            let own = format!("keys: {action}: ");
            let messages = Keymap::build(&alone).1;
            problems.extend(messages.iter().filter_map(|message| message.strip_prefix(&own)).map(|message| {
                KeyProblem { action: action.clone(), chord: Some(index), message: message.to_owned(), remedy: None }
            }));
        }
    }
    if problems.is_empty() {
        let named =
            |message: &str| all.keys().find(|action| message.contains(action.as_str())).or(all.keys().next()).cloned();
        problems.extend(Keymap::build(&all).1.into_iter().filter_map(|message| {
            let action = named(&message)?;
            let message = message.trim_start_matches("keys: ").to_owned();
            Some(KeyProblem { action, chord: None, message, remedy: None })
        }));
    }
    problems
}

/// What is wrong with a URL, without repeating its secrets.
fn check_url(url: &str) -> Result<(), String> {
    Address::parse(url).map(drop).map_err(|error| format!("{}: {error}", safe_url(url)))
}
