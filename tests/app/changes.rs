//! Changing queues from the keyboard: what is asked, what a yes orders, and what never leaves.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use qtop::app::actions::{ACTIONS, ActionId, Danger};
use qtop::app::effect::Effect;
use qtop::app::message::{Clock, Input, Message};
use qtop::app::preview;
use qtop::app::question::Question;
use qtop::app::state::{Overlay, State};
use qtop::app::update::update;
use qtop::domain::change::{Control, Frozen, Order, Plan, Progress, Report, Scope, Summary};
use qtop::domain::described::Described;
use qtop::domain::fetch::{FailureGroup, FailureReport, Fetched, QueuedRow};
use qtop::domain::ids::{JobId, JobRef, Ticket};
use qtop::domain::job::{Blob, Job, JobRow};
use qtop::domain::mutation::{Change, Outcome};
use qtop::domain::state::{StateId, StateKind};

use super::desk::{Desk, queue, snapshot};

const QUEUES: &[(&str, [u64; 3])] = &[("mail", [0, 0, 5]), ("reports", [4, 0, 3])];
const FAILED: StateId = StateId("failed");

/// A desk with the `mail` queue open at its five failed jobs.
fn opened() -> Desk {
    let mut desk = Desk::new(80, 24);
    able(&mut desk.state);
    desk.list("failed", 1..=5).sampled(1, QUEUES).keys("enter");
    desk
}

/// What the real systems can do.
pub fn able(state: &mut State) {
    let systems = qtop::systems::all(&Described::default());
    state.server.abilities = systems.iter().map(|system| (system.spec().name, system.abilities())).collect();
}

pub fn orders(effects: &[Effect]) -> Vec<Order> {
    let order = |effect: &Effect| match effect {
        Effect::Change(order) => Some(order.clone()),
        _ => None,
    };
    effects.iter().filter_map(order).collect()
}

pub fn plans(effects: &[Effect]) -> Vec<Plan> {
    let plan = |order: Order| match order {
        Order::Run { plan, .. } | Order::Obliterate { plan, .. } => Some(plan),
        _ => None,
    };
    orders(effects).into_iter().filter_map(plan).collect()
}

fn ids(plan: &Plan) -> Vec<String> {
    let Scope::Jobs(groups) = &plan.scope else { panic!("{plan:?} is not about jobs") };
    groups.iter().flat_map(|(_, ids)| ids).map(JobId::to_text).collect()
}

pub fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let chords = qtop::app::chord::parse_sequence(keys).expect("keys of this test");
    let press =
        |state: &mut State, code, modifiers| update(state, Message::Input(Input::Key(KeyEvent::new(code, modifiers))));
    chords.into_iter().flat_map(|chord| press(state, chord.code, chord.modifiers)).collect()
}

pub fn type_in(state: &mut State, text: &str) {
    for c in text.chars() {
        update(state, Message::Input(Input::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE))));
    }
}

pub fn question(state: &State) -> &Question {
    match &state.overlay {
        Some(Overlay::Ask(question)) => question,
        other => panic!("no question is open but {other:?}"),
    }
}

/// The opened desk after its script, to go on with by hand.
pub fn settled() -> State {
    let mut desk = opened();
    desk.sees("job-1");
    desk.run();
    desk.state
}

#[test]
fn s13_enter_escape_and_n_are_no_and_y_is_yes() {
    for no in ["enter", "esc", "n", "N", "q", "space", "x"] {
        let mut state = settled();
        press(&mut state, "r");
        assert!(preview::heading(question(&state)).contains("Retry failed job 1"));
        let effects = press(&mut state, no);
        assert_eq!(plans(&effects), [], "{no}");
    }
    let mut state = settled();
    press(&mut state, "r");
    let plans = plans(&press(&mut state, "y"));
    assert_eq!(plans.len(), 1);
    assert_eq!((&plans[0].queue, ids(&plans[0])), (&queue("mail"), vec!["1".to_owned()]));
    assert_eq!(plans[0].change, Change::Retry { reset_attempts: false });
}

#[test]
fn s13_a_thousand_refreshes_neither_close_nor_change_a_question() {
    let mut state = settled();
    press(&mut state, "space space j space");
    press(&mut state, "D");
    let before = question(&state).clone();
    assert_eq!(before.draft().map(|draft| draft.count()), Some(3));
    for seq in 2..1_002 {
        let queues: &[(&str, [u64; 3])] = if seq % 2 == 0 { &[("mail", [9, 9, 9])] } else { QUEUES };
        state.clock.mono += Duration::from_secs(1);
        let sample = snapshot(seq, state.clock.mono, queues);
        let effects = update(&mut state, Message::Sampled(sample));
        for effect in effects {
            // The list below moves: other jobs stand where the marked ones stood.
            if let Effect::Fetch { ticket, slot, .. } = effect {
                let row = |id: u64| JobRow::bare((seq * 10 + id).to_string(), FAILED, StateKind::Failed);
                let page = qtop::domain::job::Page::whole((0..5).map(row).collect());
                update(&mut state, Message::Fetched { ticket, slot, result: Ok(Fetched::Jobs(page)) });
            }
        }
        assert_eq!(question(&state), &before, "after refresh {seq}");
    }
    let plans = plans(&press(&mut state, "y"));
    assert_eq!(ids(&plans[0]), ["1", "2", "4"]);
}

#[test]
fn u21_a_question_says_that_its_job_has_changed() {
    let mut state = settled();
    let effects = press(&mut state, "r");
    let [Effect::Fetch { ticket, slot, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let job = job(JobRow::bare("1", StateId("completed"), StateKind::Completed), b"{}");
    update(
        &mut state,
        Message::Fetched { ticket: *ticket, slot: *slot, result: Ok(Fetched::Job(Some(Box::new(job)))) },
    );
    let facts = preview::facts(&state, question(&state));
    let said = facts.iter().find(|fact| fact.label == "meanwhile").map(|fact| fact.text.clone());
    assert_eq!(said.as_deref(), Some("it is completed by now, not failed as when you pressed the key"));
}

fn job(row: JobRow, payload: &'static [u8]) -> Job {
    let payload = Blob { bytes: payload.into(), total: payload.len() as u64 };
    Job {
        row,
        payload,
        options: None,
        result: None,
        error: None,
        stack: Vec::new(),
        logs: Vec::new(),
        logs_total: None,
        parent: None,
        children: Vec::new(),
        keys: Vec::new(),
        facts: Vec::new(),
    }
}

#[test]
fn s1_where_qtop_may_only_read_nothing_is_asked_and_nothing_is_ordered() {
    for spec in ACTIONS.iter().filter(|spec| spec.danger != Danger::Safe) {
        let mut state = settled();
        state.server.read_only = Some("this server is set to read_only".to_owned());
        for keys in spec.keys {
            let effects = press(&mut state, keys);
            assert_eq!(orders(&effects), [], "{:?}", spec.id);
            assert!(!matches!(state.overlay, Some(Overlay::Ask(_))), "{:?}", spec.id);
        }
        // By its name in the palette, too.
        press(&mut state, ":");
        type_in(&mut state, spec.id.name());
        let effects = press(&mut state, "enter y enter");
        assert_eq!(plans(&effects), [], "{:?}", spec.id);
    }
}

#[test]
fn s1_a_lock_that_falls_while_a_question_is_open_holds() {
    let mut state = settled();
    press(&mut state, "r");
    state.server.read_only = Some("locked again".to_owned());
    assert_eq!(orders(&press(&mut state, "y")), []);
    assert!(matches!(state.overlay, Some(Overlay::Ask(_))), "the question stays");
}

#[test]
fn u17_old_data_is_not_acted_on() {
    let mut state = settled();
    press(&mut state, "r");
    state.clock.mono += Duration::from_secs(12);
    assert_eq!(orders(&press(&mut state, "y")), []);
    press(&mut state, "esc");
    assert_eq!(press(&mut state, "D"), []);
    assert!(state.toasts.iter().any(|toast| toast.text.contains("12 s old")), "{:?}", state.toasts);
}

#[test]
fn u8_yes_cannot_be_said_on_a_screen_that_is_too_small_to_read_the_question() {
    let mut state = settled();
    press(&mut state, "r");
    update(&mut state, Message::Input(Input::Resize(40, 12)));
    assert_eq!(orders(&press(&mut state, "y")), []);
    update(&mut state, Message::Input(Input::Resize(80, 24)));
    assert_eq!(plans(&press(&mut state, "y")).len(), 1);
}

#[test]
fn s13_the_worst_needs_the_queues_name() {
    let mut state = settled();
    press(&mut state, "X");
    let Some(Overlay::QueueMenu { .. }) = state.overlay else { panic!("{:?}", state.overlay) };
    press(&mut state, "G enter");
    assert!(preview::heading(question(&state)).starts_with("Delete with everything in it"));
    type_in(&mut state, "mai");
    assert_eq!(orders(&press(&mut state, "enter")), []);
    type_in(&mut state, "l");
    let ordered = orders(&press(&mut state, "enter"));
    let [Order::Obliterate { plan, was_paused: false, .. }] = ordered.as_slice() else { panic!("{ordered:?}") };
    assert_eq!((&plan.queue, &plan.scope), (&queue("mail"), &Scope::Queue));
}

#[test]
fn s13_many_deletions_in_production_need_the_queues_name() {
    let mut state = settled();
    state.server.environment = Some("production".to_owned());
    press(&mut state, "* D");
    assert_eq!(question(&state).name.as_ref().map(|name| name.expected.as_str()), Some("mail"));
    assert_eq!(orders(&press(&mut state, "y enter")), []);
}

#[test]
fn everything_that_matches_is_read_once_and_exactly_that_is_changed() {
    let mut state = settled();
    let effects = press(&mut state, "R");
    let ordered = orders(&effects);
    let [Order::Freeze { ticket, filter, .. }] = ordered.as_slice() else { panic!("{ordered:?}") };
    assert_eq!((filter.states.as_slice(), &filter.search), (&[FAILED][..], &None));
    assert_eq!(orders(&press(&mut state, "y")), [], "the ids are still being read");
    update(&mut state, Message::Reported(Box::new(Report::Freezing(*ticket, 5_000))));
    let groups = vec![(FAILED, vec!["7".into(), "8".into()])];
    let frozen = Frozen { groups, looked_at: 9, ..Frozen::default() };
    update(&mut state, Message::Reported(Box::new(Report::Frozen(*ticket, Ok(frozen)))));
    press(&mut state, "r - -");
    let plans = plans(&press(&mut state, "y"));
    assert_eq!(ids(&plans[0]), ["7", "8"]);
    assert_eq!((plans[0].ramp, plans[0].rate), (true, Some(500)));
}

#[test]
fn a_filter_the_server_cannot_follow_is_not_acted_on_as_if_there_were_none() {
    for (filter, matching) in [("boom", Some("boom")), ("try:>2", None), ("!boom", None), ("two words", None)] {
        let mut state = settled();
        press(&mut state, "/");
        type_in(&mut state, filter);
        press(&mut state, "enter");
        let ordered = orders(&press(&mut state, "R"));
        let searched = ordered.iter().find_map(|order| match order {
            Order::Freeze { filter, .. } => filter.search.as_ref().map(|search| search.text.as_str()),
            _ => None,
        });
        assert_eq!(searched, matching, "{filter}: {ordered:?}");
        assert_eq!(ordered.is_empty(), matching.is_none(), "{filter}");
    }
}

#[test]
fn a_closed_question_stops_reading_for_it() {
    let mut state = settled();
    let ordered = orders(&press(&mut state, "R"));
    let [Order::Freeze { ticket, .. }] = ordered.as_slice() else { panic!("{ordered:?}") };
    assert_eq!(orders(&press(&mut state, "esc")), [Order::Control(*ticket, Control::Stop)]);
}

fn failures() -> FailureReport {
    let row = |queue_name: &str, id: u64| QueuedRow {
        queue: queue(queue_name),
        row: JobRow { error: Some(format!("boom {id}")), ..JobRow::bare(id.to_string(), FAILED, StateKind::Failed) },
    };
    let group = |fingerprint: &str, jobs: Vec<QueuedRow>| FailureGroup {
        fingerprint: fingerprint.to_owned(),
        sample_error: "boom 1".to_owned(),
        count: jobs.len() as u64,
        first_seen: None,
        last_seen: None,
        queues: vec![(queue("mail"), jobs.len() as u64)],
        job_names: Vec::new(),
        sample: JobRef { queue: queue("mail"), id: jobs[0].row.id.clone() },
        jobs,
    };
    let first = vec![row("mail", 1), row("reports", 2), row("mail", 3)];
    FailureReport {
        looked_at: 4,
        total: Some(400),
        window: 4,
        groups: vec![group("boom <n>", first), group("other", vec![row("mail", 4)])],
        failed: Vec::new(),
    }
}

#[test]
fn a_group_of_failures_is_exactly_the_jobs_of_its_window() {
    for key in ["r", "R"] {
        let mut state = settled();
        let effects = press(&mut state, "!");
        let Some(Effect::Fetch { ticket, slot, .. }) = effects.first() else { panic!("{effects:?}") };
        let result = Ok(Fetched::Failures(failures()));
        update(&mut state, Message::Fetched { ticket: *ticket, slot: *slot, result });
        press(&mut state, key);
        let facts = preview::facts(&state, question(&state));
        assert!(facts.iter().any(|fact| fact.label == "group" && fact.text == "boom <n>"), "{facts:?}");
        let plans = plans(&press(&mut state, "y"));
        let changed: Vec<_> = plans.iter().map(|plan| (plan.queue.name.to_text(), ids(plan))).collect();
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(changed, [("mail".to_owned(), text(&["1", "3"])), ("reports".to_owned(), text(&["2"]))]);
    }
}

#[test]
fn u21_the_end_of_a_change_is_followed_by_a_refresh() {
    let mut state = settled();
    press(&mut state, "r");
    let ordered = orders(&press(&mut state, "y"));
    let ticket = ordered[0].ticket();
    update(
        &mut state,
        Message::Reported(Box::new(Report::Progress(ticket, Progress { done: 1, ..Progress::default() }))),
    );
    let refused = vec![("1".into(), "a worker holds it".to_owned())];
    let outcome = Outcome { refused, ..Outcome::default() };
    let summary = Summary { queue: Some(queue("mail")), outcome, left: 0, undo: None, error: None };
    let effects = update(&mut state, Message::Reported(Box::new(Report::Finished(ticket, summary))));
    assert!(effects.contains(&Effect::Refresh), "{effects:?}");
    assert!(state.toasts.iter().any(|toast| toast.bad && toast.text.contains("a worker holds it")));
}

#[test]
fn p1_a_running_change_is_paused_and_stopped_from_the_list_of_changes() {
    let mut state = settled();
    press(&mut state, "* D");
    let ticket = orders(&press(&mut state, "y"))[0].ticket();
    press(&mut state, "s");
    assert_eq!(orders(&press(&mut state, "p")), [Order::Control(ticket, Control::Pause)]);
    assert_eq!(orders(&press(&mut state, "p")), [Order::Control(ticket, Control::Go)]);
    assert_eq!(orders(&press(&mut state, "C")), [Order::Control(ticket, Control::Stop)]);
    press(&mut state, "esc 1 q");
    assert!(preview::heading(question(&state)).starts_with("Quit while"), "quitting asks while something runs");
    assert_eq!(press(&mut state, "y"), [Effect::Quit]);
}

#[test]
fn production_is_unlocked_by_its_name_and_locks_itself() {
    let mut state = settled();
    state.server.read_only = Some("env = \"prod\" makes a server read-only".to_owned());
    state.server.unlockable = true;
    assert_eq!(orders(&press(&mut state, "r")), []);
    press(&mut state, ":");
    type_in(&mut state, ActionId::Unlock.name());
    press(&mut state, "enter");
    assert_eq!(press(&mut state, "y enter"), [], "y is not its name");
    press(&mut state, "backspace");
    type_in(&mut state, "test");
    let effects = press(&mut state, "enter");
    let [Effect::Unlock(Some(until))] = effects.as_slice() else { panic!("{effects:?}") };
    press(&mut state, "r");
    assert_eq!(plans(&press(&mut state, "y")).len(), 1);
    let later = Clock { mono: *until, ..state.clock };
    let effects = update(&mut state, Message::Clock(later));
    assert!(effects.contains(&Effect::Unlock(None)), "{effects:?}");
    assert!(state.server.locked(later.mono).is_some());
}

#[test]
fn what_an_earlier_run_did_not_end_is_offered_once() {
    let mut state = settled();
    let plan = Plan {
        server: "test".to_owned(),
        queue: queue("mail"),
        change: Change::Retry { reset_attempts: false },
        scope: Scope::Jobs(vec![(FAILED, vec!["1".into()])]),
        force: false,
        rate: None,
        ramp: false,
        part_of: None,
    };
    update(&mut state, Message::Reported(Box::new(Report::Interrupted(vec![plan]))));
    let ordered = orders(&press(&mut state, "y"));
    assert!(matches!(ordered.as_slice(), [Order::Resume { .. }]), "{ordered:?}");
    assert!(state.changes.interrupted.is_empty());
}

fn edited(edit: impl FnMut(&[u8]) -> Vec<u8> + 'static, keys: &str) -> (State, Vec<Effect>) {
    let mut desk = opened();
    desk.job(job(JobRow::bare("1", FAILED, StateKind::Failed), br#"{"n": 1e400}"#)).editor(edit);
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let copy = std::rc::Rc::clone(&seen);
    desk.sees("job-1").keys("E").look(|_| ()).keys(keys);
    desk.wishes(move |wishes| copy.borrow_mut().extend(wishes.to_vec()));
    desk.run();
    let effects = seen.borrow().clone();
    (desk.state, effects)
}

#[test]
fn r22_an_edited_payload_is_sent_as_it_was_typed_and_then_retried() {
    let (mut state, effects) = edited(|_| br#"{"n": 1e401}"#.to_vec(), "y");
    let plans = plans(&effects);
    let [Plan { change: Change::Edit { old, new }, .. }] = plans.as_slice() else { panic!("{plans:?}") };
    assert_eq!((&old[..], &new[..]), (&br#"{"n": 1e400}"#[..], &br#"{"n": 1e401}"#[..]));
    let ticket = orders(&effects)[0].ticket();
    let outcome = Outcome { done: vec!["1".into()], ..Outcome::default() };
    let summary = Summary { queue: Some(queue("mail")), outcome, left: 0, undo: None, error: None };
    let effects = update(&mut state, Message::Reported(Box::new(Report::Finished(ticket, summary))));
    assert!(effects.iter().any(|effect| matches!(
        effect,
        Effect::Change(Order::Run { plan: Plan { change: Change::Retry { .. }, .. }, .. })
    )));
}

#[test]
fn malformed_json_changes_nothing_and_is_not_lost() {
    let mut times = 0;
    let (state, effects) = edited(
        move |shown| {
            times += 1;
            if times == 2 {
                assert_eq!(shown, b"{oops", "what was typed is there again");
            }
            b"{oops"[..6 - times].to_vec()
        },
        "esc E",
    );
    assert_eq!(orders(&effects), []);
    assert!(matches!(&state.overlay, Some(Overlay::Problem { text, .. }) if text.contains("is kept")));
}

#[test]
fn a_malformed_text_left_as_it_is_is_given_up() {
    let mut times = 0;
    let (state, effects) = edited(
        move |shown| {
            times += 1;
            // The second time as an editor leaves it that ends the last line.
            if times == 1 { b"{oops".to_vec() } else { [shown, b"\n"].concat() }
        },
        "esc E",
    );
    assert_eq!(orders(&effects), []);
    assert_eq!(state.changes.kept, None);
    assert!(state.toasts.iter().any(|toast| toast.text.contains("is given up")), "{:?}", state.toasts);
}

#[test]
fn a_report_of_an_unknown_ticket_changes_nothing() {
    let mut state = settled();
    let summary = Summary { queue: None, outcome: Outcome::default(), left: 0, undo: None, error: None };
    assert_eq!(update(&mut state, Message::Reported(Box::new(Report::Finished(Ticket(99), summary)))), []);
    assert!(state.changes.list.is_empty());
}
