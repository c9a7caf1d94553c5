//! What a system can do together with the recipes that lie over it.

use std::sync::{Mutex, PoisonError};

use crate::domain::described::Convention;
use crate::domain::mutation::{Ability, Verb};
use crate::domain::state::{StateId, StateSpec};
use crate::systems::System;

/// Said of what only a recipe does.
const BY_RECIPE: &str =
    "Done by the recipe of a [[convention]]: exactly the commands that --dry-run prints, as a whole or not at all.";

/// Tables that were made once. Each distinct one is kept for the life of the program: there are as many as there are
/// distinct configurations in it, a few hundred bytes each.
static TABLES: Mutex<Vec<&'static [Ability]>> = Mutex::new(Vec::new());

/// Verbs and states of a convention's own changes, as a system with these states knows them.
fn own(convention: &Convention, states: &[StateSpec]) -> Vec<(Verb, Vec<StateId>, Option<String>)> {
    let known = |names: &crate::domain::described::Paths| -> Vec<StateId> {
        states.iter().map(|state| state.id).filter(|state| names.iter().any(|name| name == state.0)).collect()
    };
    let recipes =
        convention.change.iter().map(|recipe| (recipe.verb.verb(), known(&recipe.states), recipe.says.clone()));
    let flag = convention.cancel_flag.iter().map(|flag| {
        let first = if flag.after_own { "first as the system itself does, then " } else { "" };
        let says = format!(
            "Asks the job to stop: {first}the flag {} is set; whether and when it stops is up to the job.",
            flag.key
        );
        (Verb::Cancel, known(&flag.states), Some(says))
    });
    recipes.chain(flag).filter(|(_, states, _)| !states.is_empty()).collect()
}

/// A convention's own changes as abilities; only verbs and states are of interest.
pub fn of(convention: &Convention, states: &'static [StateSpec]) -> Vec<Ability> {
    own(convention, states)
        .into_iter()
        .flat_map(|(verb, named, _)| {
            let one = move |state: &'static StateSpec| Ability {
                verb,
                states: std::slice::from_ref(&state.id),
                says: BY_RECIPE,
                nanos_per_listed: 0,
                resets: false,
            };
            states.iter().filter(move |state| named.contains(&state.id)).map(one)
        })
        .collect()
}

/// An ability that is being put together: verb, states, words, and what does not come from a recipe.
type Wanted = (Verb, Vec<StateId>, String, (u64, bool));

/// The system's own abilities, widened by every recipe that may apply to its queues.
pub fn with_recipes(system: &dyn System, conventions: &[Convention]) -> &'static [Ability] {
    let spec = system.spec();
    let base = system.abilities();
    // Of a convention that names another system's queues nothing can apply here.
    let other = |pattern: &str| {
        pattern.split_once([':', '@']).is_some_and(|(name, _)| !name.contains(['*', '?', '[']) && name != spec.name)
    };
    let rest = |ability: &Ability| (ability.nanos_per_listed, ability.resets);
    let mut wanted: Vec<Wanted> = base
        .iter()
        .map(|ability| (ability.verb, ability.states.to_vec(), ability.says.to_owned(), rest(ability)))
        .collect();
    for convention in conventions.iter().filter(|convention| !convention.queues.iter().all(other)) {
        for (verb, states, says) in own(convention, spec.states) {
            let said = says.map_or_else(|| BY_RECIPE.to_owned(), |says| format!("{says} ({})", convention.name));
            match wanted.iter_mut().find(|(known, ..)| *known == verb) {
                Some((_, known, text, _)) => {
                    known.extend(states.iter().filter(|state| !known.contains(state)).copied().collect::<Vec<_>>());
                    if !text.contains(&said) {
                        text.push_str(&format!(" Where a convention says so: {said}"));
                    }
                }
                None => wanted.push((verb, states, said, (0, false))),
            }
        }
    }
    let same = |table: &[Ability]| {
        table.len() == wanted.len()
            && table.iter().zip(&wanted).all(|(known, (verb, states, says, others))| {
                known.verb == *verb && known.states == states && known.says == says && rest(known) == *others
            })
    };
    if same(base) {
        return base;
    }
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = tables.iter().find(|table| same(table)) {
        return known;
    }
    let table: Vec<Ability> = wanted
        .into_iter()
        .map(|(verb, states, says, (nanos_per_listed, resets))| Ability {
            verb,
            states: states.leak(),
            says: says.leak(),
            nanos_per_listed,
            resets,
        })
        .collect();
    let table: &'static [Ability] = table.leak();
    tables.push(table);
    table
}
