//! Keys while something lies over the screen.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::prompt::edit_line;
use super::{copy, find, input, notice, open, perform, reports};
use crate::app::actions::ActionId;
use crate::app::columns;
use crate::app::effect::Effect;
use crate::app::guide;
use crate::app::list::Motion;
use crate::app::palette::{self, Choice};
use crate::app::state::{Overlay, PaletteView, State};

/// Lines an overlay can be scrolled down by; the drawing stops at its end.
const MOST_LINES: usize = 2_000;

/// Handles an action while an overlay is open; `None` if it is meant for the screen below after all.
pub(super) fn act(state: &mut State, id: ActionId) -> Option<Vec<Effect>> {
    let page = usize::from(state.size.1.saturating_sub(6)).max(1);
    if reports::takes(state, id) {
        return Some(reports::act(state, id));
    }
    let motion = match id {
        ActionId::Down => Motion::Down(1),
        ActionId::Up => Motion::Up(1),
        ActionId::PageDown => Motion::Down(page),
        ActionId::PageUp => Motion::Up(page),
        ActionId::HalfDown => Motion::Down(page / 2),
        ActionId::HalfUp => Motion::Up(page / 2),
        ActionId::Top => Motion::Top,
        ActionId::Bottom => Motion::Bottom,
        ActionId::Back | ActionId::Quit => {
            state.overlay = None;
            return Some(Vec::new());
        }
        ActionId::Open => return Some(enter(state)),
        ActionId::CopyCommand if matches!(state.overlay, Some(Overlay::Menu { .. } | Overlay::QueueMenu { .. })) => {
            return Some(copy_of_entry(state));
        }
        // Asking for what is open closes it.
        ActionId::Help if matches!(state.overlay, Some(Overlay::Help { .. })) => return Some(close(state)),
        ActionId::Why if matches!(state.overlay, Some(Overlay::Why { .. })) => return Some(close(state)),
        ActionId::Cost if matches!(state.overlay, Some(Overlay::Cost)) => return Some(close(state)),
        ActionId::Changes if matches!(state.overlay, Some(Overlay::Changes { .. })) => return Some(close(state)),
        ActionId::QueueMenu if matches!(state.overlay, Some(Overlay::QueueMenu { .. })) => return Some(close(state)),
        ActionId::Menu if matches!(state.overlay, Some(Overlay::Menu { .. })) => return Some(close(state)),
        ActionId::Problem if matches!(state.overlay, Some(Overlay::Problem { .. })) => return Some(close(state)),
        // These leave the overlay where it is.
        ActionId::QuitNow | ActionId::Suspend | ActionId::Repaint | ActionId::Refresh | ActionId::TimeStyle => {
            return None;
        }
        ActionId::CopyValue | ActionId::CopyCommand => return None,
        _ => {
            state.overlay = None;
            return None;
        }
    };
    scroll(state, motion);
    Some(Vec::new())
}

fn close(state: &mut State) -> Vec<Effect> {
    state.overlay = None;
    Vec::new()
}

/// Moves inside the open overlay; false if there is none.
pub(super) fn scroll(state: &mut State, motion: Motion) -> bool {
    let entries = match &state.overlay {
        Some(Overlay::Palette(_)) => palette::entries(state).len(),
        Some(Overlay::Menu { .. }) => guide::menu(state).len(),
        Some(Overlay::QueueMenu { .. }) => guide::queue_menu(state).len(),
        Some(Overlay::Changes { .. }) => state.changes.list.len(),
        Some(Overlay::Trash { .. }) => state.changes.trash.data.as_ref().map_or(0, Vec::len),
        Some(Overlay::Audit { .. }) => state.changes.audit.data.as_ref().map_or(0, Vec::len),
        _ => 0,
    };
    let step = |index: usize, count: usize| if count == 0 { 0 } else { motion.from(index.min(count - 1), count) };
    match &mut state.overlay {
        None => return false,
        Some(Overlay::Help { scroll } | Overlay::Why { scroll, .. } | Overlay::Problem { scroll, .. }) => {
            *scroll = step(*scroll, MOST_LINES);
        }
        Some(Overlay::Palette(view)) => view.index = step(view.index, entries),
        Some(Overlay::Changes { open: Some((_, scroll)), .. }) => *scroll = step(*scroll, MOST_LINES),
        Some(
            Overlay::Menu { index }
            | Overlay::QueueMenu { index }
            | Overlay::Changes { index, .. }
            | Overlay::Trash { index }
            | Overlay::Audit { index },
        ) => *index = step(*index, entries),
        Some(Overlay::Ask(question)) => question.scroll = step(question.scroll, MOST_LINES),
        Some(Overlay::Cost) => {}
    }
    true
}

fn enter(state: &mut State) -> Vec<Effect> {
    let Some(chosen) = chosen(state) else { return close(state) };
    state.overlay = None;
    input::act(state, chosen)
}

/// The action under the cursor of an open menu.
fn chosen(state: &State) -> Option<ActionId> {
    let (entries, index) = match state.overlay {
        Some(Overlay::Menu { index }) => (guide::menu(state), index),
        Some(Overlay::QueueMenu { index }) => (guide::queue_menu(state), index),
        _ => return None,
    };
    entries.get(index).map(|entry| entry.spec.id)
}

/// Copies the command that does what the entry under the cursor does.
fn copy_of_entry(state: &mut State) -> Vec<Effect> {
    let command = chosen(state).and_then(|id| copy::of_action(state, id));
    perform::copied(state, command)
}

/// A key while the palette is open: most are typed into it.
pub(super) fn palette_key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let motion = match event.code {
        KeyCode::Down => Some(Motion::Next),
        KeyCode::Up => Some(Motion::Before),
        KeyCode::Char('n') if control => Some(Motion::Next),
        KeyCode::Char('p') if control => Some(Motion::Before),
        KeyCode::PageDown => Some(Motion::Down(10)),
        KeyCode::PageUp => Some(Motion::Up(10)),
        _ => None,
    };
    if let Some(motion) = motion {
        scroll(state, motion);
        return Vec::new();
    }
    match event.code {
        KeyCode::Esc => close(state),
        KeyCode::Enter => choose(state),
        KeyCode::Tab => {
            complete(state);
            Vec::new()
        }
        _ => {
            if let Some(Overlay::Palette(view)) = &mut state.overlay {
                // Deleting from nothing leaves, as in other palettes.
                if view.input.is_empty() && event.code == KeyCode::Backspace {
                    return close(state);
                }
                let mut at = view.input.chars().count();
                edit_line(&mut view.input, &mut at, event);
                view.index = 0;
                view.found.clear();
            }
            Vec::new()
        }
    }
}

/// Writes the chosen entry into the input, so that it can be seen or changed before it is done.
fn complete(state: &mut State) {
    let entries = palette::entries(state);
    let Some(Overlay::Palette(view)) = &mut state.overlay else { return };
    if let Some(entry) = entries.get(view.index) {
        view.input = match &entry.choice {
            Choice::Queue(_) => format!("q {}", entry.label),
            Choice::Action(id) => id.name().to_owned(),
            Choice::Column(_, name) => format!("columns {name}"),
            Choice::Job(_) | Choice::FindJob(_) | Choice::Server(_) | Choice::Theme(_) => entry.label.clone(),
        };
        view.index = 0;
    }
}

fn choose(state: &mut State) -> Vec<Effect> {
    let entries = palette::entries(state);
    let Some(Overlay::Palette(PaletteView { index, .. })) = &state.overlay else { return Vec::new() };
    let Some(entry) = entries.into_iter().nth(*index) else {
        notice(state, "nothing matches", true);
        return Vec::new();
    };
    state.overlay = None;
    if !entry.enabled {
        notice(state, if entry.detail.is_empty() { "not possible now".to_owned() } else { entry.detail }, true);
        return Vec::new();
    }
    match entry.choice {
        Choice::Action(id) => input::act(state, id),
        Choice::Queue(id) => open::queue(state, id),
        Choice::Job(id) => open::job(state, id),
        Choice::FindJob(id) => find::find(state, &id),
        // Its tasks would be ended in the middle of their work.
        Choice::Server(_) if state.changes.running().next().is_some() => {
            notice(state, "changes are under way here; wait for them, or stop them first", true);
            Vec::new()
        }
        Choice::Server(name) => vec![Effect::SwitchServer(name)],
        Choice::Theme(name) => {
            state.settings.theme = name.clone();
            vec![Effect::Theme(name)]
        }
        Choice::Column(table, name) => {
            toggle_column(state, table, name);
            Vec::new()
        }
    }
}

/// Shows or hides a column of a table, in the order of the declaration.
fn toggle_column(state: &mut State, table: &'static str, name: &'static str) {
    let all = columns::all(table);
    let usual = || all.iter().map(|column| column.name.to_owned()).collect();
    let chosen = state.settings.columns.entry(table.to_owned()).or_insert_with(usual);
    match chosen.iter().position(|known| known == name) {
        // The last one stays: a table without columns shows nothing.
        Some(_) if chosen.len() == 1 => {}
        Some(index) => _ = chosen.remove(index),
        None => {
            let place = |name: &str| all.iter().position(|column| column.name == name);
            let before = chosen.iter().position(|known| place(known) > place(name)).unwrap_or(chosen.len());
            chosen.insert(before, name.to_owned());
        }
    }
}
