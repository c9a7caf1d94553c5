//! Keys, paste, mouse, resize.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{ask, cursor, fetch, notice, open, overlay, pace, perform, prompt, refused};
use crate::app::actions::ActionId;
use crate::app::availability::{Availability, availability, refused_now};
use crate::app::chord::Chord;
use crate::app::effect::Effect;
use crate::app::keymap::Lookup;
use crate::app::list::Motion;
use crate::app::message::Input;
use crate::app::screen::Screen;
use crate::app::state::{Overlay, State};

/// Lines a turn of the wheel moves.
const WHEEL_LINES: usize = 3;
/// Characters in a line of what is shown over a screen of the least width.
const LINE: usize = 52;

pub(super) fn input(state: &mut State, input: Input) -> Vec<Effect> {
    match input {
        Input::Focus(focused) => state.focused = focused,
        // Whoever types is there, whatever the terminal said of its focus.
        Input::Key(_) | Input::Paste(_) | Input::Click(..) | Input::Scroll(_) => {
            state.focused = true;
            state.last_input = state.clock.mono;
            state.queues.settled = true;
        }
        Input::Resize(..) => {}
    }
    let mut effects = pace(state);
    effects.extend(match input {
        Input::Key(event) => key(state, event),
        Input::Paste(text) => {
            prompt::paste(state, &text);
            Vec::new()
        }
        Input::Resize(columns, rows) => {
            state.size = (columns, rows);
            Vec::new()
        }
        Input::Focus(_) => Vec::new(),
        Input::Click(column, row) => click(state, column, row),
        Input::Scroll(lines) => {
            let distance = usize::from(lines.unsigned_abs()) * WHEEL_LINES;
            let motion = if lines < 0 { Motion::Up(distance) } else { Motion::Down(distance) };
            if overlay::scroll(state, motion) {
                return effects;
            }
            cursor::travel(state, motion)
        }
    });
    effects
}

fn key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    // Whatever the configuration says and whatever is open: this always ends qtop.
    if event.code == KeyCode::Char('c') && event.modifiers.contains(KeyModifiers::CONTROL) {
        return vec![Effect::Quit];
    }
    // These are about the terminal and work while something is typed too.
    let alone = state.keymap.lookup(&[Chord::from_event(event)]);
    if let Lookup::Action(id @ (ActionId::Suspend | ActionId::Repaint)) = alone
        && event.modifiers.contains(KeyModifiers::CONTROL)
    {
        return perform::perform(state, id);
    }
    match state.overlay {
        Some(Overlay::Palette(_)) => return overlay::palette_key(state, event),
        Some(Overlay::Ask(_)) => return ask::key(state, event),
        _ => {}
    }
    if state.prompt.is_some() {
        return prompt::key(state, event);
    }
    state.pending.push(Chord::from_event(event));
    match state.keymap.lookup(&state.pending) {
        Lookup::Pending(_) => Vec::new(),
        Lookup::Action(id) => {
            state.pending.clear();
            act(state, id)
        }
        Lookup::Nothing => {
            // The key that broke a sequence off still means what it means alone.
            let broken = state.pending.len() > 1;
            state.pending.clear();
            if broken { key(state, event) } else { Vec::new() }
        }
    }
}

/// Does an action if it can be done, and says why not if it cannot.
pub(super) fn act(state: &mut State, id: ActionId) -> Vec<Effect> {
    if state.overlay.is_some()
        && let Some(effects) = overlay::act(state, id)
    {
        return effects;
    }
    match availability(id.spec(), state) {
        Availability::Ready => perform::perform(state, id),
        Availability::Disabled(reason) => {
            refuse(state, id, reason);
            Vec::new()
        }
        Availability::Hidden => Vec::new(),
    }
}

/// Says why an action cannot be done; what is too long for one line is shown whole.
fn refuse(state: &mut State, id: ActionId, reason: String) {
    let for_now = refused_now(state).as_ref() == Some(&reason);
    let reason = match word(id).filter(|_| reason.starts_with("not possible")) {
        Some(word) => format!("{word} is {reason}"),
        None => reason,
    };
    if reason.chars().count() + 4 <= usize::from(state.size.0) {
        return if for_now { refused(state, reason) } else { notice(state, reason, true) };
    }
    let title = format!("Not possible: {}", id.spec().title);
    state.overlay = Some(Overlay::Problem { title, text: broken(&reason), scroll: 0 });
}

/// What an action is called in a sentence: as in the footer, or as on the command line.
fn word(id: ActionId) -> Option<&'static str> {
    let spec = id.spec();
    let hint = spec.footer.map(|(_, word)| word);
    hint.or_else(|| spec.cli?.strip_prefix("qtop "))
}

/// Words in lines that fit the narrowest screen: a problem is drawn line by line, as it is.
pub(super) fn broken(words: &str) -> String {
    let mut lines = Vec::new();
    for paragraph in words.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > LINE {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.join("\n")
}

fn click(state: &mut State, column: u16, row: u16) -> Vec<Effect> {
    if state.overlay.is_some() {
        return Vec::new();
    }
    let geometry = &state.geometry;
    let tab = geometry.tabs.iter().position(|(start, end)| (*start..*end).contains(&column));
    if row + 1 == geometry.list_top || row == 1 {
        return match (tab, state.navigation.current().clone()) {
            (Some(tab), Screen::Queue(_) | Screen::Job(_)) => open::tab(state, tab),
            (Some(tab), _) if tab < Screen::TABS.len() => open::jump(state, Screen::TABS[tab].clone()),
            _ => Vec::new(),
        };
    }
    if row >= geometry.list_top && row < geometry.list_top + geometry.list_rows {
        let line = usize::from(row - geometry.list_top) + cursor::top(state);
        let effects = cursor::travel(state, Motion::To(line));
        return if effects.is_empty() { fetch::ahead(state) } else { effects };
    }
    Vec::new()
}
