//! The only place where the state changes. Split by what happens: keys, movements, going places, answers.

mod answers;
mod ask;
mod copy;
mod cursor;
mod editing;
mod entry;
mod export;
mod fetch;
mod find;
mod follow;
mod input;
mod leaving;
mod open;
mod overlay;
mod perform;
mod prompt;
mod reports;
mod sorting;

use std::time::Duration;

use super::availability::refused_now;
use super::effect::{Effect, PaceWish};
use super::keymap::Keymap;
use super::message::{Clock, Message};
use super::screen::Screen;
use super::settings::Settings;
use super::state::{Banner, ServerView, State, Toast};
use crate::domain::log_line::LogLine;

/// How long a notice stays.
const TOAST_TIME: Duration = Duration::from_secs(5);
/// Lines of qtop's own log that are kept.
const LOG_LINES: usize = 2_000;

/// Changes the state for what happened, and says what the tasks shall do.
pub fn update(state: &mut State, message: Message) -> Vec<Effect> {
    match message {
        Message::Input(input) => input::input(state, input),
        Message::Clock(clock) => tick(state, clock),
        Message::Sampled(snapshot) => {
            state.steady.note(&snapshot);
            state.snapshot = snapshot;
            if state.frozen.is_some() {
                return Vec::new();
            }
            state.queues.settled |= state.snapshot.discovery.passes > 0;
            settle_refusals(state);
            cursor::settle(state);
            fetch::refresh(state)
        }
        Message::Reported(report) => reports::reported(state, *report),
        Message::Edited(text) => editing::edited(state, text),
        Message::Fetched { ticket, slot, result } => answers::answer(state, ticket, slot, result),
        Message::TaskEnded { task, error } => {
            notice(state, format!("{task} ended and is started again: {error}"), true);
            Vec::new()
        }
        Message::Configured(settings) => configured(state, *settings),
        Message::ConfigBroken(banner) => {
            state.banner = banner;
            Vec::new()
        }
        Message::Server(server) => switched(state, server),
        Message::Runner(view) => {
            view.pools.iter().for_each(|pool| state.runner_sizes.shown(&pool.queue, pool.concurrency));
            state.runner = Some(view);
            if *state.navigation.current() == Screen::Runner {
                cursor::settle(state);
            }
            leaving::seen(state)
        }
        Message::Logged { lines, dropped } => {
            logged(state, lines, dropped);
            Vec::new()
        }
        Message::Notice { text, bad } => {
            notice(state, text, bad);
            Vec::new()
        }
        Message::Drawn(geometry) => {
            let changed = state.geometry.list_rows != geometry.list_rows;
            state.geometry = geometry;
            if changed {
                cursor::settle(state);
            }
            Vec::new()
        }
    }
}

/// Shows a short notice. The same one again only stays longer.
fn notice(state: &mut State, text: impl Into<String>, bad: bool) {
    let text = text.into();
    state.toasts.retain(|toast| toast.text != text);
    state.toasts.push(Toast { text, bad, until: state.clock.mono + TOAST_TIME, refusal: false });
}

/// Likewise for a reason that keeps changes away at this moment.
fn refused(state: &mut State, text: impl Into<String>) {
    notice(state, text, true);
    if let Some(toast) = state.toasts.last_mut() {
        toast.refusal = true;
    }
}

/// What kept changes away is over: nobody shall read of it any more.
fn settle_refusals(state: &mut State) {
    if refused_now(state).is_none() {
        state.toasts.retain(|toast| !toast.refusal);
    }
}

fn tick(state: &mut State, clock: Clock) -> Vec<Effect> {
    state.clock = clock;
    state.toasts.retain(|toast| toast.until > clock.mono);
    let mut effects = pace(state);
    if state.server.unlocked_until.is_some_and(|until| until <= clock.mono) {
        effects.extend(lock(state));
    }
    effects
}

/// Slows down when nobody looks, and speeds up again when somebody does.
fn pace(state: &mut State) -> Vec<Effect> {
    let unattended = state.clock.mono.saturating_duration_since(state.last_input) >= state.settings.idle_after;
    let idle = unattended || !state.focused;
    if idle == state.idle {
        return Vec::new();
    }
    state.idle = idle;
    let mut effects = vec![wish(state)];
    if !idle {
        effects.push(Effect::Refresh);
    }
    effects
}

/// No more changes of a server that was unlocked.
fn lock(state: &mut State) -> Vec<Effect> {
    state.server.unlocked_until = None;
    notice(state, "this server is read-only again", false);
    vec![Effect::Unlock(None)]
}

fn wish(state: &State) -> Effect {
    Effect::Pace(PaceWish { interval: state.interval, idle: state.idle })
}

fn configured(state: &mut State, settings: Settings) -> Vec<Effect> {
    let (keymap, problems) = Keymap::build(&settings.keys);
    state.keymap = keymap;
    state.pending.clear();
    let old = std::mem::replace(&mut state.settings, settings);
    state.banner = problems.first().map(|first| Banner { title: first.clone(), details: problems.join("\n") });
    notice(state, "configuration read", false);
    // What a person has chosen on the screen stays, unless the file says something new about it.
    let mut effects = Vec::new();
    if old.interval != state.settings.interval {
        state.interval = state.settings.interval;
        effects.push(wish(state));
    }
    if old.time_style != state.settings.time_style {
        state.time_style = state.settings.time_style;
    }
    if old.mouse != state.settings.mouse {
        state.mouse = state.settings.mouse;
        effects.push(Effect::Mouse(state.mouse));
    }
    effects
}

/// Another server: nothing that was known of the old one may stay on the screen.
fn switched(state: &mut State, server: ServerView) -> Vec<Effect> {
    if server.name == state.server.name {
        // Its tasks were started anew: what they were asked before will not be answered.
        state.server = server;
        reports::forget_running(state);
        fetch::forget_asked(state);
        let mut effects = vec![wish(state)];
        effects.extend(fetch::now(state));
        return effects;
    }
    let fresh = State::new(server, state.settings.clone(), state.zone.clone(), state.clock);
    let old = std::mem::replace(state, fresh);
    state.size = old.size;
    state.geometry = old.geometry;
    state.logs = old.logs;
    state.runner = old.runner;
    state.runner_list = old.runner_list;
    state.runner_sizes = old.runner_sizes;
    state.leaving = old.leaving;
    state.time_style = old.time_style;
    state.details = old.details;
    state.mouse = old.mouse;
    state.interval = old.interval;
    // Tickets go on counting, so that a late answer of the old server cannot be taken for one of the new.
    state.tickets = old.tickets;
    let name = state.server.name.clone();
    notice(state, format!("watching {name}"), false);
    // The new tasks begin at the configured pace.
    vec![wish(state)]
}

fn logged(state: &mut State, lines: Vec<LogLine>, dropped: u64) {
    let logs = &mut state.logs;
    logs.dropped += dropped;
    let added = lines.len();
    logs.lines.extend(lines);
    let surplus = logs.lines.len().saturating_sub(LOG_LINES);
    logs.lines.drain(..surplus);
    // Somebody who has scrolled up reads on undisturbed.
    if logs.scroll > 0 {
        logs.scroll = (logs.scroll + added).min(logs.lines.len());
    }
}
