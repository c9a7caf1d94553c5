//! Leaving the screens while jobs run in this qtop (U2): what is asked, and what follows from the answer. A process that
//! is stopped renews nothing, so it is only stopped once its runner holds no job and asks for none.

use crossterm::event::KeyCode;

use super::{ask, notice};
use crate::app::effect::Effect;
use crate::app::question::{Deed, Question, Way};
use crate::app::state::{Overlay, State};
use crate::domain::runner::{RunnerCommand, RunnerState};

/// The key that stops a shell job.
pub(super) fn stop(state: &mut State) -> Vec<Effect> {
    if !state.runs_jobs() || state.leaving.show {
        return vec![Effect::Suspend];
    }
    if state.running_here() == 0 && !state.leaving.resting {
        state.leaving.asked = false;
        return rest(state, false);
    }
    ask_first(state)
}

fn ask_first(state: &mut State) -> Vec<Effect> {
    state.leaving.asked = true;
    ask::show(state, Question::new(Deed::Leave(Way::Stop)))
}

/// The key that ends qtop, when nothing else holds it up. What the screen shows is a moment old: a runner that seems
/// idle is first told to take no more jobs, and what it shows then is how it stays. Pressed again, the key waits for
/// nothing.
pub(super) fn quit(state: &mut State) -> Vec<Effect> {
    let word = state.runner.as_ref().map_or(RunnerState::Stopped, |view| view.state);
    if state.leaving.show || word == RunnerState::Stopped || std::mem::take(&mut state.leaving.quitting) {
        return vec![Effect::Quit];
    }
    if state.running_here() > 0 {
        return ask::show(state, Question::new(Deed::Leave(Way::Quit)));
    }
    if word == RunnerState::Draining {
        return vec![Effect::Quit];
    }
    state.leaving.quitting = true;
    state.leaving.resting = true;
    vec![Effect::Runner(RunnerCommand::Rest { put_back: false })]
}

/// The answer to it.
fn seen_quitting(state: &mut State) -> Vec<Effect> {
    let word = state.runner.as_ref().map_or(RunnerState::Stopped, |view| view.state);
    if matches!(word, RunnerState::Starting | RunnerState::Running) {
        return Vec::new();
    }
    state.leaving.quitting = false;
    if state.running_here() == 0 {
        return vec![Effect::Quit];
    }
    state.leaving.asked = true;
    ask::show(state, Question::new(Deed::Leave(Way::Quit)))
}

/// An answer. Whatever is none of them stays.
pub(super) fn key(state: &mut State, way: Way, key: KeyCode) -> Vec<Effect> {
    match (key, way) {
        (KeyCode::Char('d'), Way::Stop) => {
            state.overlay = None;
            rest(state, false)
        }
        (KeyCode::Char('d'), Way::Quit) => vec![Effect::Quit],
        (KeyCode::Char('r'), Way::Stop) => {
            state.overlay = None;
            rest(state, true)
        }
        (KeyCode::Char('r'), Way::Quit) => vec![Effect::Runner(RunnerCommand::PutBack), Effect::Quit],
        (KeyCode::Char('b'), Way::Stop) if state.leaving.background => {
            state.overlay = None;
            let mut effects = wake(state);
            effects.push(Effect::StepBack);
            effects
        }
        (KeyCode::Char('b'), Way::Quit) if state.leaving.background => {
            let mut effects = wake(state);
            effects.push(Effect::Detach);
            effects
        }
        (KeyCode::Esc | KeyCode::Enter | KeyCode::Char('n' | 'N' | 'q'), _) => {
            state.overlay = None;
            wake(state)
        }
        _ => Vec::new(),
    }
}

/// Lets the runner fall asleep; [`seen`] notices when it has.
fn rest(state: &mut State, put_back: bool) -> Vec<Effect> {
    state.leaving.resting = true;
    let running = state.running_here();
    if running > 0 {
        let what = if put_back { "go back to their queues" } else { "have ended" };
        notice(state, format!("qtop stops when the {running} running jobs {what}; the same key asks again"), false);
    }
    vec![Effect::Runner(RunnerCommand::Rest { put_back })]
}

/// Whatever rest was asked for is over.
fn wake(state: &mut State) -> Vec<Effect> {
    if !std::mem::take(&mut state.leaving.resting) {
        return Vec::new();
    }
    vec![Effect::Runner(RunnerCommand::Wake)]
}

/// The runner shows something new: if it sleeps as wanted, qtop is stopped, and wakes it when it goes on.
pub(super) fn seen(state: &mut State) -> Vec<Effect> {
    if state.leaving.quitting {
        return seen_quitting(state);
    }
    if matches!(&state.overlay, Some(Overlay::Ask(question)) if question.deed == Deed::Leave(Way::Quit)) {
        // The runner rests only for as long as the answer takes.
        return Vec::new();
    }
    let asleep = state.runner.as_ref().is_some_and(|view| view.state == RunnerState::Asleep) || !state.runs_jobs();
    if !state.leaving.resting {
        return Vec::new();
    }
    // A job was taken just before the key was pressed.
    if !asleep && !state.leaving.asked && state.running_here() > 0 {
        return ask_first(state);
    }
    if !asleep {
        return Vec::new();
    }
    if matches!(&state.overlay, Some(Overlay::Ask(question)) if matches!(question.deed, Deed::Leave(_))) {
        state.overlay = None;
    }
    let mut effects = vec![Effect::Suspend];
    effects.extend(wake(state));
    effects
}
