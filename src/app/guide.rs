//! What the footer, the help, the menu and the which-key hint say. All of it comes from the action table.

use super::actions::{ACTIONS, ActionId, ActionSpec, Danger, Scope};
use super::availability::{Availability, availability};
use super::keymap::Lookup;
use super::state::State;

/// A key and a word in the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The key as printed.
    pub key: String,
    /// What it does.
    pub word: &'static str,
}

/// Hints for the footer, the most useful first. Only what can be done now.
pub fn footer(state: &State) -> Vec<Hint> {
    let ready = |spec: &&ActionSpec| availability(spec, state) == Availability::Ready;
    let mut hints: Vec<(u8, Hint)> = ACTIONS
        .iter()
        .filter(ready)
        .filter_map(|spec| {
            let (place, word) = spec.footer?;
            Some((place, Hint { key: state.keymap.key(spec.id)?, word }))
        })
        .collect();
    hints.sort_by_key(|(place, _)| *place);
    hints.into_iter().map(|(_, hint)| hint).collect()
}

/// Keys that may follow those pressed so far, with what they lead to. Empty if nothing is pending.
pub fn which_key(state: &State) -> Vec<Hint> {
    match state.keymap.lookup(&state.pending) {
        Lookup::Pending(next) if !state.pending.is_empty() => next
            .into_iter()
            .map(|(chord, action)| Hint { key: chord.to_string(), word: action.map_or("…", |id| id.spec().title) })
            .collect(),
        _ => Vec::new(),
    }
}

/// A part of the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelpSection {
    /// Heading.
    pub title: &'static str,
    /// Actions that apply on the present screen; false: the rest, for reference.
    pub here: bool,
    /// Its lines.
    pub entries: Vec<HelpEntry>,
}

/// A line of the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelpEntry {
    /// All keys of the action.
    pub keys: Vec<String>,
    /// What it does.
    pub title: &'static str,
    /// What it can do to a queue; marked in the help (U23).
    pub danger: Danger,
}

/// The help: what can be done on this screen first, from the special to the general, then everything else.
pub fn help(state: &State) -> Vec<HelpSection> {
    use strum::IntoEnumIterator;
    let section = |scope: Scope, here: bool| {
        let entries: Vec<HelpEntry> = ACTIONS
            .iter()
            .filter(|spec| spec.scope == scope)
            .map(|spec| HelpEntry { keys: state.keymap.keys(spec.id), title: spec.title, danger: spec.danger })
            .filter(|entry| !entry.keys.is_empty())
            .collect();
        (!entries.is_empty()).then_some(HelpSection { title: scope.title(), here, entries })
    };
    let screen = state.navigation.current();
    let mut scopes: Vec<Scope> = Scope::iter().collect();
    scopes.reverse();
    let (here, elsewhere): (Vec<Scope>, Vec<Scope>) = scopes.into_iter().partition(|scope| scope.covers(screen));
    let here = here.into_iter().filter_map(|scope| section(scope, true));
    here.chain(elsewhere.into_iter().filter_map(|scope| section(scope, false))).collect()
}

/// A line of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuEntry {
    /// Which action.
    pub spec: &'static ActionSpec,
    /// Its key, if it has one.
    pub key: Option<String>,
    /// Whether it can be done, and why not.
    pub availability: Availability,
}

/// Everything that can be done with what is under the cursor, with why-not for what cannot. Moving about and what works
/// everywhere is left out.
pub fn menu(state: &State) -> Vec<MenuEntry> {
    let about_it = |spec: &&ActionSpec| match spec.scope {
        Scope::Queues | Scope::Queue | Scope::Job | Scope::Workers | Scope::Target | Scope::Tail => true,
        Scope::Jobs | Scope::Schedules | Scope::Runner => true,
        Scope::Global => matches!(
            spec.id,
            ActionId::CopyValue
                | ActionId::CopyCommand
                | ActionId::Freeze
                | ActionId::Undo
                | ActionId::Changes
                | ActionId::Continue
                | ActionId::Trash
                | ActionId::Audit
                | ActionId::Unlock
        ),
        Scope::Lines => matches!(spec.id, ActionId::Open | ActionId::Filter | ActionId::More),
        Scope::Table | Scope::Tree => false,
    };
    entries(state, about_it)
}

/// What changes a whole queue, the worst last.
pub fn queue_menu(state: &State) -> Vec<MenuEntry> {
    entries(state, |spec| {
        matches!(
            spec.id,
            ActionId::QueuePause
                | ActionId::QueueAdd
                | ActionId::QueueRetryAll
                | ActionId::QueuePromoteAll
                | ActionId::QueueLimit
                | ActionId::QueueTrim
                | ActionId::QueueClean
                | ActionId::QueueDrain
                | ActionId::QueueObliterate
        )
    })
}

fn entries(state: &State, wanted: impl FnMut(&&'static ActionSpec) -> bool) -> Vec<MenuEntry> {
    ACTIONS
        .iter()
        .filter(wanted)
        .map(|spec| MenuEntry { spec, key: state.keymap.key(spec.id), availability: availability(spec, state) })
        .filter(|entry| entry.availability != Availability::Hidden)
        .collect()
}
