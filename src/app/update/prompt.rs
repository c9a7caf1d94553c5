//! The line that is typed in the footer: a filter that works as it is typed, or a search on the server.

use crossterm::event::{Event, KeyCode, KeyEvent};
use tui_input::Input as LineInput;
use tui_input::backend::crossterm::EventHandler;

use super::{cursor, fetch, notice};
use crate::app::actions::ActionId;
use crate::app::chord::Chord;
use crate::app::effect::{Effect, Slot};
use crate::app::keymap::Lookup;
use crate::app::screen::Screen;
use crate::app::state::{Loaded, Overlay, Prompt, PromptKind, State};
use crate::app::views::SearchView;
use crate::domain::job::Search;

/// Jobs a search looks at before it asks whether to go on (P20).
pub(super) const SEARCH_BUDGET: u64 = 10_000;
/// Bytes of each payload a deep search looks into.
const DEEP_BYTES: u64 = 16 * 1024;
/// More than that is not typed or pasted into a line.
const LONGEST: usize = 1_000;

/// Opens the filter of the present screen.
pub(super) fn open_filter(state: &mut State) {
    let Some(text) = filter(state).cloned() else { return };
    let at = text.chars().count();
    state.prompt = Some(Prompt { kind: PromptKind::Filter, before: text.clone(), text, at, touched: false });
}

/// Opens the search on the server.
pub(super) fn open_search(state: &mut State, deep: bool) {
    let known = state.queue.as_ref().and_then(|view| view.search.as_ref()).map(|search| search.search.text.clone());
    let text = known.unwrap_or_default();
    let at = text.chars().count();
    state.prompt = Some(Prompt { kind: PromptKind::Search { deep }, before: text.clone(), text, at, touched: false });
}

/// The filter of the present screen, if it has one.
pub(super) fn filter(state: &mut State) -> Option<&mut String> {
    match state.navigation.current() {
        Screen::Queues => Some(&mut state.queues.list.filter),
        Screen::Queue(_) => state.queue.as_mut().map(|view| &mut view.list.filter),
        Screen::Job(_) => state.job.as_mut().map(|view| &mut view.filter),
        Screen::Running => Some(&mut state.running.list.filter),
        Screen::Failures if state.failures.open.is_some() => Some(&mut state.failures.jobs.filter),
        Screen::Failures => Some(&mut state.failures.list.filter),
        Screen::Workers => Some(&mut state.workers.list.filter),
        Screen::Scheduled => Some(&mut state.scheduled.list.filter),
        Screen::Logs => Some(&mut state.logs.filter),
        Screen::Runner => Some(&mut state.runner_list.filter),
        Screen::Server => None,
    }
}

/// A key while a line is typed.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    let on_queue = matches!(state.navigation.current(), Screen::Queue(_));
    let Some(prompt) = &mut state.prompt else { return Vec::new() };
    let again = state.keymap.lookup(&[Chord::from_event(event)]) == Lookup::Action(ActionId::Filter);
    match (event.code, prompt.kind) {
        (KeyCode::Esc, kind) => {
            let before = std::mem::take(&mut prompt.before);
            state.prompt = None;
            if kind == PromptKind::Filter {
                set_filter(state, before);
            }
            Vec::new()
        }
        (KeyCode::Enter, PromptKind::Filter) => {
            state.prompt = None;
            Vec::new()
        }
        (KeyCode::Enter, PromptKind::Search { deep }) => {
            let text = std::mem::take(&mut prompt.text);
            state.prompt = None;
            start(state, text, deep)
        }
        // The filter key pressed twice searches on the server.
        (_, PromptKind::Filter) if again && !prompt.touched && on_queue => {
            prompt.kind = PromptKind::Search { deep: false };
            let text = std::mem::take(&mut prompt.before);
            prompt.touched = true;
            if !text.is_empty() {
                set_filter(state, String::new());
            }
            Vec::new()
        }
        (KeyCode::Tab, PromptKind::Search { deep }) => {
            prompt.kind = PromptKind::Search { deep: !deep };
            Vec::new()
        }
        // The list can be walked through while the filter is open.
        (KeyCode::Down, PromptKind::Filter) => cursor::travel(state, crate::app::list::Motion::Down(1)),
        (KeyCode::Up, PromptKind::Filter) => cursor::travel(state, crate::app::list::Motion::Up(1)),
        _ => {
            edit_line(&mut prompt.text, &mut prompt.at, event);
            changed(state);
            Vec::new()
        }
    }
}

/// Pasted text goes into the open line, without its line breaks.
pub(super) fn paste(state: &mut State, text: &str) {
    let text: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if let Some(Overlay::Palette(view)) = &mut state.overlay {
        view.input.push_str(&text);
        view.index = 0;
    } else if let Some(Overlay::Ask(question)) = &mut state.overlay {
        // Pasted text is typed where a line is open; it never answers a question.
        match (&mut question.value, &mut question.name) {
            (Some(entry), _) => insert(&mut entry.text, &mut entry.at, &text),
            (None, Some(name)) => insert(&mut name.text, &mut name.at, &text),
            (None, None) => {}
        }
    } else if let Some(prompt) = &mut state.prompt {
        insert(&mut prompt.text, &mut prompt.at, &text);
        changed(state);
    }
}

fn insert(line: &mut String, at: &mut usize, text: &str) {
    let byte = line.char_indices().nth(*at).map_or(line.len(), |(byte, _)| byte);
    line.insert_str(byte, text);
    *at += text.chars().count();
}

fn changed(state: &mut State) {
    let Some(prompt) = &mut state.prompt else { return };
    prompt.touched = true;
    if prompt.kind == PromptKind::Filter {
        let text = prompt.text.clone();
        set_filter(state, text);
    }
}

fn set_filter(state: &mut State, text: String) {
    if let Some(filter) = filter(state) {
        *filter = text;
    }
    cursor::settle(state);
}

/// Lets a key change a line of text.
pub(super) fn edit_line(text: &mut String, at: &mut usize, event: KeyEvent) {
    if text.len() >= LONGEST && matches!(event.code, KeyCode::Char(_)) {
        return;
    }
    let mut line = LineInput::new(std::mem::take(text)).with_cursor(*at);
    line.handle_event(&Event::Key(event));
    *at = line.cursor();
    *text = line.value().to_owned();
}

fn start(state: &mut State, text: String, deep: bool) -> Vec<Effect> {
    let Some(view) = &mut state.queue else { return Vec::new() };
    if text.trim().is_empty() {
        view.search = None;
        cursor::settle(state);
        return fetch::now(state);
    }
    let payload_bytes = if deep { DEEP_BYTES } else { 0 };
    view.search = Some(SearchView {
        search: Search { text: text.trim().to_owned(), payload_bytes },
        hits: Vec::new(),
        scanned: 0,
        total: view.total,
        next: None,
        budget: SEARCH_BUDGET,
        running: true,
        stopped: false,
        step: Loaded::default(),
    });
    view.list.top = 0;
    view.list.last_index = 0;
    fetch::search(state)
}

/// Stops the running search, or leaves a finished one; `None` if there is none.
pub(super) fn leave_search(state: &mut State) -> Option<Vec<Effect>> {
    let view = state.queue.as_mut()?;
    let search = view.search.as_mut()?;
    if search.running {
        search.running = false;
        search.stopped = true;
        search.step.awaiting = None;
        return Some(vec![Effect::Abandon(Slot::Search)]);
    }
    view.search = None;
    cursor::settle(state);
    Some(fetch::now(state))
}

/// Goes on with a search that paused or was stopped.
pub(super) fn more(state: &mut State) -> Vec<Effect> {
    let search = state.queue.as_mut().and_then(|view| view.search.as_mut());
    match search {
        Some(search) if !search.running && search.next.is_some() => {
            search.budget = search.scanned + SEARCH_BUDGET;
            search.running = true;
            search.stopped = false;
            fetch::search(state)
        }
        _ => {
            notice(state, "there is nothing more to look at", false);
            Vec::new()
        }
    }
}
