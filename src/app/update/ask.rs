//! Questions: opening them, answering them, and ordering what was said yes to.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::prompt::edit_line;
use super::{copy, entry, fetch, leaving, notice, refused, settle_refusals};
use crate::app::actions::ActionId;
use crate::app::availability::refused_now;
use crate::app::changes::{Made, What};
use crate::app::effect::Effect;
use crate::app::intent;
use crate::app::list::Motion;
use crate::app::question::{Deed, Draft, Part, Question};
use crate::app::safeguard;
use crate::app::state::{LEAST, Overlay, State};
use crate::domain::change::{Control, Order, Plan, Progress, Scope, TrashItem};
use crate::domain::mutation::Change;
use crate::domain::runner::RunnerCommand;

/// How long an unlocked server stays so.
const UNLOCKED: std::time::Duration = std::time::Duration::from_secs(600);
/// So many jobs are done before anybody could look for them.
const QUICK: usize = 50;
/// Rates that can be chosen, jobs per second.
const RATES: [u32; 10] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

/// Asks what an action asks.
pub(super) fn open(state: &mut State, id: ActionId) -> Vec<Effect> {
    match intent::question(state, id) {
        Ok(question) => show(state, question),
        Err(reason) => {
            notice(state, reason, true);
            Vec::new()
        }
    }
}

/// Puts a question on the screen, and begins to read what it needs.
pub(super) fn show(state: &mut State, question: Question) -> Vec<Effect> {
    state.pending.clear();
    state.overlay = Some(Overlay::Ask(Box::new(question)));
    let mut effects = begin_reading(state);
    effects.extend(read_own_words(state));
    effects.extend(fetch::asked(state, true));
    effects
}

/// Reads the exact commands of a change of chosen jobs, where an application may have its own way to do it. Ids that are
/// read by a filter come with theirs.
fn read_own_words(state: &mut State) -> Vec<Effect> {
    let Some(Overlay::Ask(question)) = &state.overlay else { return Vec::new() };
    let Some(draft) = question.draft().filter(|draft| draft.reading.is_none()) else { return Vec::new() };
    let ways = &state.server.own_ways;
    let own = draft.parts.iter().filter(|part| ways.iter().any(|way| way.covers(&part.queue)));
    let parts: Vec<_> = own
        .filter_map(|part| match &part.scope {
            Scope::Jobs(groups) => Some((part.queue.clone(), part.change.verb(), groups.clone())),
            Scope::Queue | Scope::Schedules(_) => None,
        })
        .collect();
    let mut orders = Vec::new();
    for (queue, verb, groups) in parts {
        let ticket = state.next_ticket();
        orders.push(Order::Preview { ticket, queue, verb, groups });
    }
    if let Some(Overlay::Ask(question)) = &mut state.overlay
        && let Some(draft) = question.draft_mut()
    {
        draft.own.awaited = orders.iter().map(Order::ticket).collect();
    }
    orders.into_iter().map(Effect::Change).collect()
}

/// Reads the ids a question is about, once everything that selects them is known.
pub(super) fn begin_reading(state: &mut State) -> Vec<Effect> {
    let ticket = state.next_ticket();
    let Some(Overlay::Ask(question)) = &mut state.overlay else { return Vec::new() };
    if question.value.is_some() {
        return Vec::new();
    }
    let Some(draft) = question.draft_mut() else { return Vec::new() };
    let (Some(reading), Some(part)) = (&mut draft.reading, draft.parts.first()) else { return Vec::new() };
    reading.ticket = ticket;
    let (queue, verb, filter) = (part.queue.clone(), part.change.verb(), reading.filter.clone());
    vec![Effect::Change(Order::Freeze { ticket, queue, verb, filter })]
}

/// A key while a question is open. None of them reaches the screen below.
pub(super) fn key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    let page = usize::from(state.size.1.saturating_sub(8)).max(1);
    let Some(Overlay::Ask(question)) = &mut state.overlay else { return Vec::new() };
    match event.code {
        KeyCode::Esc if !matches!(question.deed, Deed::Leave(_)) => return close(state),
        KeyCode::Down => return scroll(question, Motion::Down(1)),
        KeyCode::Up => return scroll(question, Motion::Up(1)),
        KeyCode::PageDown => return scroll(question, Motion::Down(page)),
        KeyCode::PageUp => return scroll(question, Motion::Up(page)),
        _ => {}
    }
    if question.value.is_some() {
        return entry::key(state, event);
    }
    if let Some(name) = &mut question.name {
        if event.code != KeyCode::Enter {
            edit_line(&mut name.text, &mut name.at, event);
            return Vec::new();
        }
        if name.is_typed() {
            return yes(state);
        }
        let words = format!("nothing was done: type {} for a yes, Esc is no", name.expected);
        notice(state, words, true);
        return Vec::new();
    }
    if event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
        return Vec::new();
    }
    if let Deed::Leave(way) = question.deed {
        return leaving::key(state, way, event.code);
    }
    match event.code {
        KeyCode::Char('y') => yes(state),
        KeyCode::Char('Y') => {
            let command = copy::question(state);
            super::perform::copied(state, command)
        }
        KeyCode::Char('n' | 'N' | 'q') | KeyCode::Enter => close(state),
        KeyCode::Char('j') => scroll(question, Motion::Down(1)),
        KeyCode::Char('k') => scroll(question, Motion::Up(1)),
        KeyCode::Char('r') => {
            if let Some(draft) = question.draft_mut().filter(|draft| draft.is_of_jobs()) {
                draft.ramp = !draft.ramp;
            }
            Vec::new()
        }
        KeyCode::Char('a') => attempts(question),
        KeyCode::Char('F') => force(state),
        KeyCode::Char('+') => pace(question, true),
        KeyCode::Char('-' | '_') => pace(question, false),
        _ => Vec::new(),
    }
}

fn scroll(question: &mut Question, motion: Motion) -> Vec<Effect> {
    question.scroll = motion.from(question.scroll, 200);
    Vec::new()
}

/// The same, forced: what a yes takes then has to be typed.
fn force(state: &mut State) -> Vec<Effect> {
    let Some(Overlay::Ask(question)) = &state.overlay else { return Vec::new() };
    let mut forced = (**question).clone();
    safeguard::force(state, &mut forced);
    state.overlay = Some(Overlay::Ask(Box::new(forced)));
    Vec::new()
}

/// Attempts made are kept, or counted from zero again.
fn attempts(question: &mut Question) -> Vec<Effect> {
    for part in question.draft_mut().into_iter().flat_map(|draft| &mut draft.parts) {
        if let Change::Retry { reset_attempts } | Change::Requeue { reset_attempts, .. } = &mut part.change {
            *reset_attempts = !*reset_attempts;
        }
    }
    Vec::new()
}

/// Faster or slower, one step of the list; above its end there is no limit.
fn pace(question: &mut Question, faster: bool) -> Vec<Effect> {
    if let Some(draft) = question.draft_mut().filter(|draft| draft.is_of_jobs()) {
        draft.rate = match (draft.rate, faster) {
            (None, true) => None,
            (None, false) => RATES.last().copied(),
            (Some(rate), true) => RATES.iter().copied().find(|known| *known > rate),
            (Some(rate), false) => RATES.iter().rev().copied().find(|known| *known < rate).or(Some(rate)),
        };
    }
    Vec::new()
}

/// No. What is still being read for the question is given up.
pub(super) fn close(state: &mut State) -> Vec<Effect> {
    let Some(Overlay::Ask(question)) = state.overlay.take() else { return Vec::new() };
    let reading = question.draft().and_then(|draft| draft.reading.as_ref()).filter(|reading| !reading.done);
    reading.map(|reading| Effect::Change(Order::Control(reading.ticket, Control::Stop))).into_iter().collect()
}

/// Yes, if it may be said at this moment.
fn yes(state: &mut State) -> Vec<Effect> {
    if state.size.0 < LEAST.0 || state.size.1 < LEAST.1 {
        // Nobody may say yes to what is not on the screen.
        notice(state, "make the window larger to see what you are asked", true);
        return Vec::new();
    }
    let Some(Overlay::Ask(question)) = &state.overlay else { return Vec::new() };
    // Of what the runner is told, only a copy that is pushed back changes a queue.
    let copies = matches!(question.deed, Deed::Runner(RunnerCommand::RunCopy(_)));
    let changes = copies || !matches!(question.deed, Deed::Unlock | Deed::Quit | Deed::Leave(_) | Deed::Runner(_));
    let refusal = question.incomplete().or_else(|| refused_now(state).filter(|_| changes));
    if let Some(reason) = refusal {
        let for_now = refused_now(state).as_ref() == Some(&reason);
        let words = format!("nothing was done: {reason}");
        if for_now {
            refused(state, words)
        } else {
            notice(state, words, true)
        }
        return Vec::new();
    }
    let Some(Overlay::Ask(question)) = state.overlay.take() else { return Vec::new() };
    match question.deed {
        Deed::Change(draft) => order(state, *draft),
        Deed::Undo(item) => undo(state, &item),
        Deed::Resume(_) => resume(state),
        Deed::Unlock => {
            let until = state.clock.mono + UNLOCKED;
            state.server.unlocked_until = Some(until);
            settle_refusals(state);
            notice(state, "changes are allowed here for ten minutes", false);
            vec![Effect::Unlock(Some(until))]
        }
        Deed::Quit => leaving::quit(state),
        // Answered by other keys than yes.
        Deed::Leave(_) => Vec::new(),
        Deed::Runner(command) => vec![Effect::Runner(command)],
    }
}

/// Orders a change, one plan for each queue.
fn order(state: &mut State, draft: Draft) -> Vec<Effect> {
    super::cursor::clear_marks(state);
    let Draft { parts, rate, ramp, then_retry, was_paused, force, .. } = draft;
    let many = parts.iter().map(|part| part.scope.len()).sum::<usize>() > QUICK;
    let mut effects = Vec::new();
    for Part { queue, change, scope } in parts {
        let server = state.server.name.clone();
        let plan = Plan { server, queue, change, scope, force, rate, ramp, part_of: None };
        let then = then_retry.then(|| Plan { change: Change::Retry { reset_attempts: false }, ..plan.clone() });
        effects.push(send(state, plan, then, was_paused));
    }
    if many {
        let key = state.keymap.key(ActionId::Changes).unwrap_or_default();
        notice(state, format!("under way; {key} shows it, pauses and stops it"), false);
    }
    effects
}

/// Orders one plan, and remembers it.
pub(super) fn send(state: &mut State, plan: Plan, then: Option<Plan>, was_paused: bool) -> Effect {
    let ticket = state.next_ticket();
    state.changes.begin(Made {
        ticket,
        what: What::Verb(plan.change.verb()),
        queue: Some(plan.queue.clone()),
        then,
        progress: Progress { requested: plan.scope.len() as u64, ..Progress::default() },
        control: Control::Go,
        begun: state.clock.mono,
        ended: None,
    });
    Effect::Change(match plan.change {
        Change::Obliterate if plan.scope == Scope::Queue => Order::Obliterate { ticket, plan, was_paused },
        _ => Order::Run { ticket, plan },
    })
}

fn undo(state: &mut State, item: &TrashItem) -> Vec<Effect> {
    let ticket = begin(state, What::Undo, None, 0);
    vec![Effect::Change(Order::Undo { ticket, token: Some(item.token.clone()) })]
}

fn resume(state: &mut State) -> Vec<Effect> {
    if state.changes.interrupted.is_empty() {
        return Vec::new();
    }
    let plan = state.changes.interrupted.remove(0);
    let what = What::Verb(plan.change.verb());
    let ticket = begin(state, what, Some(plan.queue.clone()), plan.scope.len() as u64);
    vec![Effect::Change(Order::Resume { ticket })]
}

fn begin(
    state: &mut State,
    what: What,
    queue: Option<crate::domain::ids::QueueId>,
    requested: u64,
) -> crate::domain::ids::Ticket {
    let ticket = state.next_ticket();
    let progress = Progress { requested, ..Progress::default() };
    let (begun, control) = (state.clock.mono, Control::Go);
    state.changes.begin(Made { ticket, what, queue, then: None, progress, control, begun, ended: None });
    ticket
}
