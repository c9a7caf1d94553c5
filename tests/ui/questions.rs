//! Questions before changes, and the lists of changes, as a person sees them.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use qtop::app::changes::{Made, What};
use qtop::app::effect::Effect;
use qtop::app::message::{Input, Message};
use qtop::app::screen::Screen;
use qtop::app::state::{Overlay, State};
use qtop::app::update::update;
use qtop::domain::caps::Caps;
use qtop::domain::change::{AuditLine, Control, Frozen, Order, Plan, Progress, Report, Scope, Summary, TrashItem};
use qtop::domain::described::Described;
use qtop::domain::fetch::FetchError;
use qtop::domain::ids::{QueueId, Ticket};
use qtop::domain::mutation::{Change, Outcome, Verb};
use qtop::domain::queue::QueueSample;
use qtop::domain::snapshot::InstanceSample;
use qtop::domain::state::StateId;
use qtop::domain::worker::WorkerOrder;

use super::{approve, drawn, fixture, reports};

pub const TERMINAL: (u16, u16) = (80, 24);
const FAILED: StateId = StateId("failed");

/// A server that may be changed, with what the real systems can do.
pub fn open_server() -> State {
    let mut state = fixture::busy();
    state.server.read_only = None;
    let systems = qtop::systems::all(&Described::default());
    state.server.abilities = systems.iter().map(|system| (system.spec().name, system.abilities())).collect();
    state
}

pub fn failed() -> State {
    let mut state = open_server();
    fixture::open_queue(&mut state, "failed", fixture::failed_jobs());
    state
}

pub fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let chords = qtop::app::chord::parse_sequence(keys).expect("keys of this test");
    let key =
        |state: &mut State, code, modifiers| update(state, Message::Input(Input::Key(KeyEvent::new(code, modifiers))));
    chords.into_iter().flat_map(|chord| key(state, chord.code, chord.modifiers)).collect()
}

pub fn type_in(state: &mut State, text: &str) {
    for c in text.chars() {
        update(state, Message::Input(Input::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE))));
    }
}

/// Does an action by its name.
pub fn palette(state: &mut State, name: &str) -> Vec<Effect> {
    press(state, ":");
    type_in(state, name);
    press(state, "enter")
}

pub fn reported(state: &mut State, report: Report) {
    update(state, Message::Reported(Box::new(report)));
}

/// Answers what is being read for the open question.
pub fn frozen(state: &mut State, effects: &[Effect], frozen: Frozen) {
    let ticket = effects.iter().find_map(|effect| match effect {
        Effect::Change(Order::Freeze { ticket, .. }) => Some(*ticket),
        _ => None,
    });
    reported(state, Report::Frozen(ticket.expect("something is read"), Ok(frozen)));
}

pub fn many(count: u64) -> Frozen {
    let ids = (0..count).map(|id| (90_000 + id).to_string().into()).collect();
    Frozen {
        groups: vec![(FAILED, ids)],
        looked_at: count + 3,
        names: [("build_pdf".to_owned(), count - 32), ("invoice".to_owned(), 30), ("digest".to_owned(), 2)].into(),
        samples: fixture::failed_jobs(),
        not_eligible: [("its record is gone".to_owned(), 3)].into(),
        commands: Vec::new(),
    }
}

/// The Workers screen with the cursor on a master of Horizon's, its supervisor below.
pub fn workers() -> State {
    let mut state = open_server();
    reports::workers(&mut state);
    let mut snapshot = (*state.snapshot).clone();
    let queue = QueueId::new("laravel", "", "downloads");
    snapshot.instances.push(InstanceSample {
        id: queue.instance.clone(),
        states: &[],
        caps: Caps::all(),
        caps_reason: None,
        queues: vec![QueueSample::unknown(queue, &[])],
        error: None,
    });
    state.snapshot = Arc::new(snapshot);
    press(&mut state, "j j");
    state
}

#[test]
fn workers_are_told_to_pause_or_to_end_and_no_is_the_default() {
    let mut state = workers();
    press(&mut state, "W p");
    assert!(press(&mut state, "enter").is_empty(), "Enter is no");
    press(&mut state, "W p");
    let told = press(&mut state, "y");
    let Some(Effect::Change(Order::Run { plan, .. })) = told.first() else { panic!("{told:?}") };
    let workers = vec!["web-1-5rtB".into()];
    assert_eq!(plan.change, Change::Signal { order: WorkerOrder::Pause, workers });
    assert_eq!((plan.queue.instance.system, &plan.scope), ("laravel", &Scope::Queue));
    press(&mut state, "W T");
    assert!(drawn(&state, TERMINAL).contains("type web-1-5rtB for yes:"), "the worst is asked twice");
    press(&mut state, "y esc");
    press(&mut state, "g g space j space W c");
    assert!(drawn(&state, TERMINAL).contains("bullmq has no way to tell its workers"), "{}", drawn(&state, TERMINAL));
}

#[test]
fn marked_jobs_are_deleted_in_production() {
    let mut state = failed();
    press(&mut state, "* D");
    approve("ask_delete", &state, &[TERMINAL]);
    type_in(&mut state, "mai");
    assert!(drawn(&state, TERMINAL).contains("type mail for yes: mai"));
}

#[test]
fn everything_that_matches_is_retried() {
    let mut state = failed();
    let effects = press(&mut state, "R");
    approve("ask_retry_reading", &state, &[TERMINAL]);
    frozen(&mut state, &effects, many(1_420));
    press(&mut state, "r - - -");
    approve("ask_retry_all", &state, &[TERMINAL, (160, 45), (60, 15)]);
}

#[test]
fn a_running_job_cannot_be_cancelled_and_it_is_said_why() {
    let mut state = open_server();
    fixture::open_queue(&mut state, "active", fixture::active_jobs());
    press(&mut state, "C");
    approve("cancel_running", &state, &[TERMINAL]);
}

#[test]
fn a_group_of_failures_is_retried() {
    let mut state = open_server();
    reports::failures(&mut state);
    press(&mut state, "r");
    approve("ask_group", &state, &[TERMINAL]);
}

#[test]
fn p15_taking_a_job_out_of_a_long_list_says_how_long_that_blocks() {
    let mut state = open_server();
    fixture::open_queue(&mut state, "waiting", vec![fixture::job("70001", "reminder", &fixture::BULLMQ[0])]);
    let snapshot = std::sync::Arc::make_mut(&mut state.snapshot);
    snapshot.instances[0].queues[0].set_count(StateId("waiting"), qtop::domain::queue::Count::Exact(1_000_000));
    press(&mut state, "C");
    let screen = drawn(&state, TERMINAL);
    assert!(screen.contains("26 ms a job"), "{screen}");
    approve("ask_cancel_waiting", &state, &[TERMINAL]);
}

#[test]
fn u21_a_job_that_changed_meanwhile() {
    let mut state = failed();
    press(&mut state, "D");
    if let Some(Overlay::Ask(question)) = &mut state.overlay
        && let Some(one) = question.draft_mut().and_then(|draft| draft.one.as_mut())
    {
        one.now.data = Some(None);
    }
    approve("ask_meanwhile", &state, &[TERMINAL]);
}

#[test]
fn the_worst_changes_of_a_queue() {
    let mut state = failed();
    press(&mut state, "X");
    approve("queue_menu", &state, &[TERMINAL]);
    press(&mut state, "G k enter");
    approve("ask_drain_reading", &state, &[TERMINAL]);
}

#[test]
fn a_value_that_is_none_says_so_and_can_be_corrected() {
    let mut state = open_server();
    fixture::open_queue(&mut state, "delayed", vec![fixture::job("70001", "reminder", &fixture::BULLMQ[3])]);
    palette(&mut state, "job.delay");
    type_in(&mut state, "x");
    press(&mut state, "enter");
    assert!(drawn(&state, TERMINAL).contains("is no time"), "{}", drawn(&state, TERMINAL));
    press(&mut state, "backspace enter");
    assert!(drawn(&state, TERMINAL).contains("runs in 10m"), "{}", drawn(&state, TERMINAL));
    press(&mut state, "esc");
    palette(&mut state, "job.delay");
    press(&mut state, "ctrl-u");
    type_in(&mut state, "0s");
    press(&mut state, "enter");
    assert!(drawn(&state, TERMINAL).contains("runs at once"), "{}", drawn(&state, TERMINAL));
}

#[test]
fn production_is_unlocked() {
    let mut state = failed();
    state.server.read_only = Some("env = \"prod\" makes a server read-only".into());
    state.server.unlockable = true;
    palette(&mut state, "server.unlock");
    type_in(&mut state, "prod-eu");
    press(&mut state, "enter");
    state.clock.mono += Duration::from_millis(500);
    assert!(drawn(&state, TERMINAL).contains("UNLOCKED 10m"), "{}", drawn(&state, TERMINAL));
}

fn mail() -> QueueId {
    QueueId::new("bullmq", "bull", "mail")
}

/// A change that an earlier run did not end.
pub fn interrupted() -> Plan {
    Plan {
        server: "prod-eu".into(),
        queue: mail(),
        change: Change::Retry { reset_attempts: false },
        scope: Scope::Jobs(vec![(FAILED, (0..812_u32).map(|id| id.to_string().into()).collect())]),
        force: false,
        rate: None,
        ramp: false,
        part_of: None,
    }
}

#[test]
fn what_was_interrupted_is_offered() {
    let mut state = open_server();
    reported(&mut state, Report::Interrupted(vec![interrupted()]));
    assert!(drawn(&state, TERMINAL).contains("Go on with an interrupted change"));
}

pub fn item(token: &str, action: &str, server: &str) -> TrashItem {
    TrashItem {
        token: token.into(),
        time: "2026-11-19T14:03:22.123Z".into(),
        server: server.into(),
        queue: "bullmq@bull:mail".into(),
        action: action.into(),
        bytes: 20_480,
    }
}

#[test]
fn the_trash_and_an_undo() {
    let mut state = open_server();
    palette(&mut state, "app.trash");
    let ticket = state.changes.trash.awaiting.expect("it is read");
    let items = vec![item("20261119140322-0a1b2c", "remove", "prod-eu"), item("20261118-1", "obliterate", "staging")];
    reported(&mut state, Report::Trash(ticket, Ok(items)));
    approve("trash", &state, &[TERMINAL]);
    press(&mut state, "enter");
    assert!(drawn(&state, TERMINAL).contains("Undo: remove"));
}

#[test]
fn the_audit_file() {
    let mut state = open_server();
    palette(&mut state, "app.audit");
    let ticket = state.changes.audit.awaiting.expect("it is read");
    let line = |phase: &str, outcome| AuditLine {
        time: "2026-11-19T14:03:22.123Z".into(),
        phase: phase.into(),
        operator: "ada@laptop".into(),
        server: "prod-eu".into(),
        queue: "bullmq@bull:mail".into(),
        action: "retry".into(),
        ids: vec!["91822".into(), "91817".into()],
        count: 2,
        outcome,
        error: None,
    };
    let lines = vec![line("done", Some([1, 1, 0])), line("begun", None)];
    reported(&mut state, Report::Audit(ticket, Ok(lines)));
    approve("audit", &state, &[TERMINAL]);
}

fn made(state: &State, ticket: u64, verb: Verb, progress: Progress) -> Made {
    Made {
        ticket: Ticket(ticket),
        what: What::Verb(verb),
        queue: Some(mail()),
        then: None,
        progress,
        control: Control::Go,
        begun: state.clock.mono,
        ended: None,
    }
}

/// One that runs, one that ended in part, one that could not begin.
fn changing() -> State {
    let mut state = open_server();
    let now = state.clock.mono;
    let mut denied = made(&state, 1, Verb::Pause, Progress::default());
    let error = FetchError {
        text: "EVALSHA on prod-eu: NOPERM this user has no permissions".into(),
        remedy: Some("allow it: ACL SETUSER … +@scripting".into()),
    };
    let nothing = Summary { queue: None, outcome: Outcome::default(), left: 0, undo: None, error: Some(error) };
    denied.ended = Some((nothing, now));
    let mut partly = made(&state, 2, Verb::Remove, Progress { requested: 3, ..Progress::default() });
    let outcome = Outcome {
        done: vec!["91822".into()],
        refused: vec![("91817".into(), "a worker holds it".into())],
        unknown: vec!["91533".into()],
        ..Outcome::default()
    };
    let token = Some("20261119140322-0a1b2c".into());
    partly.ended = Some((Summary { queue: Some(mail()), outcome, left: 4, undo: token, error: None }, now));
    let running = Progress { requested: 1_420, done: 560, refused: 3, unknown: 0, rate: 198.0, paused: false };
    let running = made(&state, 3, Verb::Retry, running);
    for made in [denied, partly, running] {
        state.changes.begin(made);
    }
    state
}

#[test]
fn changes_under_way_are_in_sight_on_every_screen() {
    let mut state = changing();
    approve("strip", &state, &[TERMINAL]);
    for screen in Screen::TABS {
        state.navigation.jump(screen.clone());
        let screen_text = drawn(&state, TERMINAL);
        assert!(screen_text.contains("563 of 1") && screen_text.contains("eta 4s"), "{screen:?}\n{screen_text}");
    }
}

#[test]
fn changes_and_their_results() {
    let mut state = changing();
    press(&mut state, "s");
    approve("changes", &state, &[TERMINAL]);
    press(&mut state, "j enter");
    approve("results", &state, &[TERMINAL]);
    press(&mut state, "esc j enter");
    assert!(drawn(&state, TERMINAL).contains("allow it: ACL SETUSER"));
}

#[test]
fn u18_every_question_names_server_and_environment_in_words() {
    for keys in ["r", "D", "* D", "R", "p", "X G enter"] {
        let mut state = failed();
        press(&mut state, keys);
        assert!(matches!(state.overlay, Some(Overlay::Ask(_))), "{keys}");
        let screen = drawn(&state, TERMINAL);
        assert!(screen.contains("server     prod-eu PROD"), "{keys}\n{screen}");
    }
}

#[test]
fn u8_a_question_on_a_screen_that_is_too_small() {
    let mut state = failed();
    press(&mut state, "D");
    approve("ask_too_small", &state, &[(40, 12)]);
}

#[test]
fn s3_hostile_names_are_harmless_in_questions() {
    let mut state = failed();
    if let Some(view) = &mut state.queue {
        view.rows[0].id = "\u{1b}[31m\u{202e}1".into();
        view.rows[0].name = Some("a\u{1b}]0;title\u{7}b".into());
        view.rows[0].error = Some("line\nbreak\u{9b}31m".into());
    }
    press(&mut state, "D");
    let screen = drawn(&state, TERMINAL);
    assert!(!screen.chars().any(|c| c.is_control() && c != '\n'), "{screen:?}");
}
