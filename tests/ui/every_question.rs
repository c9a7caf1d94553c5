//! The question of every action that changes something, as it stands on a small terminal. Made from the table of
//! actions, so that a new one cannot go without.

use std::sync::Arc;

use qtop::app::actions::{ACTIONS, ActionId, ActionSpec, Danger};
use qtop::app::effect::Effect;
use qtop::app::screen::Screen;
use qtop::app::state::{Overlay, State};
use qtop::app::views::QueueView;
use qtop::domain::change::{Frozen, Order, Report};
use qtop::domain::ids::QueueId;
use qtop::domain::job::{Job, JobRow};
use qtop::domain::mutation::{Change, NewJob};
use qtop::domain::queue::{Count, Severity, UNKNOWN_LIBRARY, Warning};
use qtop::domain::state::{StateId, StateKind};

use super::questions::{TERMINAL, failed, frozen, many, open_server, palette, press, reported, type_in, workers};
use super::{approve, drawn, fixture, reports};

/// Opens a queue of any system.
fn open(state: &mut State, queue: QueueId, tab: &'static str, rows: Vec<JobRow>) {
    state.navigation.enter(Screen::Queue(queue.clone()));
    let mut view = QueueView::new(queue, StateId(tab));
    view.page = reports::fresh(state, ());
    view.total = Some(rows.len() as u64);
    view.rows = rows;
    state.queue = Some(view);
}

fn at(tab: &'static str, id: &str, name: &str) -> State {
    let spec = fixture::BULLMQ.iter().find(|spec| spec.id.0 == tab).expect("a state of the fixture");
    let mut state = open_server();
    fixture::open_queue(&mut state, tab, vec![fixture::job(id, name, spec)]);
    state
}

fn bare(id: &str, state: &'static str, kind: StateKind) -> JobRow {
    JobRow { attempts_made: Some(3), ..JobRow::bare(id, StateId(state), kind) }
}

fn dead_item() -> State {
    let mut state = open_server();
    let row = JobRow { error: Some("HTTP 502 from the bridge".into()), ..bare("m-17", "dead", StateKind::Dead) };
    open(&mut state, QueueId::new("list", "", "message_queue"), "dead", vec![row]);
    state
}

fn pending() -> State {
    let mut state = open_server();
    let rows = vec![bare("1795096980000-0", "pending", StateKind::Active)];
    open(&mut state, QueueId::new("stream", "", "events/workers"), "pending", rows);
    state
}

fn at_schedules() -> State {
    let mut state = open_server();
    reports::scheduled(&mut state);
    press(&mut state, "j j j");
    state
}

fn deleted() -> Report {
    let item = super::questions::item("20261119140322-0a1b2c", "remove", "prod-eu");
    Report::Trash(qtop::domain::ids::Ticket(1), Ok(vec![item]))
}

/// True for actions that end in a question, directly or after something was typed.
fn asks(spec: &ActionSpec) -> bool {
    // The runner's own are drawn with its screen; unlocking changes what may be changed.
    spec.danger != Danger::Safe && spec.id != ActionId::JobRunHere || spec.id == ActionId::Unlock
}

/// The state in which an action can be done, on the selection a person would do it to.
fn before(id: ActionId) -> State {
    match id {
        ActionId::JobRetry | ActionId::JobRemove | ActionId::JobDuplicate | ActionId::JobsRetryAll => failed(),
        ActionId::JobCancel | ActionId::JobPriority => at("prioritized", "70001", "reminder"),
        ActionId::JobPromote | ActionId::JobDelay => at("delayed", "70001", "reminder"),
        ActionId::JobEdit => failed(),
        ActionId::JobKill | ActionId::JobClaim | ActionId::JobAck => pending(),
        ActionId::JobRequeueNext => dead_item(),
        ActionId::QueueTrim => pending(),
        ActionId::ScheduleTrigger | ActionId::ScheduleRemove => at_schedules(),
        ActionId::WorkersPause | ActionId::WorkersRestart | ActionId::WorkersTerminate => workers(),
        ActionId::WorkersContinue => {
            let mut state = workers();
            press(&mut state, "j");
            state
        }
        ActionId::Unlock => {
            let mut state = failed();
            state.server.read_only = Some("env = \"prod\" makes a server read-only".into());
            state.server.unlockable = true;
            state
        }
        ActionId::Continue => {
            let mut state = open_server();
            state.changes.interrupted = vec![super::questions::interrupted()];
            state
        }
        ActionId::Undo
        | ActionId::QueuePause
        | ActionId::QueueAdd
        | ActionId::QueueRetryAll
        | ActionId::QueuePromoteAll
        | ActionId::QueueLimit
        | ActionId::QueueClean
        | ActionId::QueueDrain
        | ActionId::QueueObliterate => open_server(),
        other => panic!("{other:?} changes something: say here where it is done, and look at what it asks"),
    }
}

/// What a person types before the question is complete; `None`: nothing.
fn value(id: ActionId) -> Option<&'static str> {
    match id {
        ActionId::JobPriority => Some("7"),
        ActionId::QueueLimit => Some("concurrency=5 rate=100/1s"),
        ActionId::JobDelay | ActionId::JobClaim | ActionId::QueueTrim | ActionId::QueueClean => Some(""),
        _ => None,
    }
}

fn payload() -> Job {
    let row = fixture::failed_jobs().remove(0);
    Job { row, payload: reports::full_job().payload, ..reports::full_job() }
}

/// Opens the question of an action and answers whatever it waits for.
fn asked(id: ActionId) -> State {
    let mut state = before(id);
    if id == ActionId::QueueAdd || id == ActionId::JobEdit {
        edited(&mut state, id);
        return state;
    }
    let mut effects = palette(&mut state, id.name());
    if id == ActionId::Undo {
        let ticket = state.changes.trash.awaiting.expect("the trash is read");
        let Report::Trash(_, items) = deleted() else { unreachable!("it is made above") };
        reported(&mut state, Report::Trash(ticket, items));
    }
    if let Some(words) = value(id) {
        approve(&format!("typing_{}", id.name().replace('.', "_")), &state, &[TERMINAL]);
        type_in(&mut state, words);
        effects = press(&mut state, "enter");
    }
    let reading = |effect: &Effect| matches!(effect, Effect::Change(Order::Freeze { .. }));
    if effects.iter().any(reading) {
        let groups = match id {
            ActionId::QueueDrain => {
                vec![(StateId("waiting"), (0..1_201_u32).map(|id| id.to_string().into()).collect())]
            }
            ActionId::QueuePromoteAll => {
                vec![(StateId("delayed"), (0..312_u32).map(|id| id.to_string().into()).collect())]
            }
            ActionId::QueueClean => {
                vec![(StateId("completed"), (0..4_811_u32).map(|id| id.to_string().into()).collect())]
            }
            _ => many(37).groups,
        };
        let looked_at = groups.iter().map(|(_, ids)| ids.len() as u64).sum();
        let samples = match id {
            ActionId::QueueRetryAll | ActionId::JobsRetryAll => fixture::failed_jobs(),
            _ => fixture::waiting_jobs(3),
        };
        frozen(&mut state, &effects, Frozen { groups, looked_at, samples, ..Frozen::default() });
    }
    state
}

/// Goes through the editor.
fn edited(state: &mut State, id: ActionId) {
    use qtop::app::message::Message;
    use qtop::app::update::update;
    let effects = palette(state, id.name());
    if let Some(Effect::Fetch { ticket, slot, .. }) = effects.first() {
        let result = Ok(qtop::domain::fetch::Fetched::Job(Some(Box::new(payload()))));
        update(state, Message::Fetched { ticket: *ticket, slot: *slot, result });
    }
    let text = r#"{"name": "welcome", "data": {"to": "ada@example.com", "n": 1e400}, "delay": "90s", "attempts": 3}"#;
    update(state, Message::Edited(Ok(text.as_bytes().to_vec().into())));
}

#[test]
fn every_action_that_changes_something_has_its_drawing() {
    for spec in ACTIONS.iter().filter(|spec| asks(spec)) {
        let state = asked(spec.id);
        assert!(matches!(state.overlay, Some(Overlay::Ask(_))), "{:?} asks nothing: {:?}", spec.id, state.toasts);
        let screen = drawn(&state, TERMINAL);
        // U18: the server and its environment in words, in the frame and among the facts.
        assert!(screen.contains("server     prod-eu PROD"), "{:?}\n{screen}", spec.id);
        assert!(screen.contains("prod-eu PROD ─┐"), "{:?}\n{screen}", spec.id);
        assert!(
            (screen.contains("same as") && screen.contains("qtop ")) || spec.cli.is_none(),
            "{:?}\n{screen}",
            spec.id
        );
        // S13: no is the default; the worst takes a name.
        assert!(screen.contains("[ No ]") || screen.contains(" for yes:"), "{:?}\n{screen}", spec.id);
        assert!(!screen.contains("more below"), "{:?} does not fit\n{screen}", spec.id);
        approve(&format!("question_{}", spec.id.name().replace('.', "_")), &state, &[TERMINAL]);
    }
}

#[test]
fn r23_a_queue_of_an_unknown_library_is_changed_only_by_its_name_and_the_word_for_it() {
    let mut state = failed();
    let text = "written by BullMQ 9.1.0, which qtop does not know: it reads this queue and changes it only by force";
    let snapshot = Arc::make_mut(&mut state.snapshot);
    let warning = Warning { severity: Severity::Info, code: UNKNOWN_LIBRARY, text: text.into() };
    snapshot.instances[0].queues[0].warnings.push(warning);
    press(&mut state, "r");
    approve("question_forced", &state, &[TERMINAL]);
    for typed in ["y", "mail"] {
        type_in(&mut state, typed);
        assert_eq!(plans(&press(&mut state, "enter")), [], "{typed} is no yes");
        press(&mut state, "ctrl-u");
    }
    type_in(&mut state, "mail --force");
    let plans = plans(&press(&mut state, "enter"));
    assert!(matches!(plans.as_slice(), [plan] if plan.force), "{plans:?}");
}

fn plans(effects: &[Effect]) -> Vec<qtop::domain::change::Plan> {
    let plan = |effect: &Effect| match effect {
        Effect::Change(Order::Run { plan, .. }) => Some(plan.clone()),
        _ => None,
    };
    effects.iter().filter_map(plan).collect()
}

#[test]
fn r23_what_was_refused_can_be_forced_and_the_refusal_says_how() {
    let mut state = pending();
    press(&mut state, "r");
    let ordered = plans(&press(&mut state, "y"));
    assert!(!ordered[0].force);
    let refused = "the stream has other groups, and each would get it again: claim it instead, or say --force";
    let outcome = qtop::domain::mutation::Outcome {
        refused: vec![("1795096980000-0".into(), refused.into())],
        ..Default::default()
    };
    let ticket = state.changes.list[0].ticket;
    let summary = qtop::domain::change::Summary { queue: None, outcome, left: 0, undo: None, error: None };
    reported(&mut state, Report::Finished(ticket, summary));
    let screen = drawn(&state, TERMINAL);
    assert!(screen.contains("press F in the") && !screen.contains("--force"), "{screen}");
    press(&mut state, "r");
    press(&mut state, "F");
    let screen = drawn(&state, TERMINAL);
    assert!(screen.contains("--force for yes:"), "{screen}");
    type_in(&mut state, "events/workers --force");
    assert!(plans(&press(&mut state, "enter"))[0].force);
}

#[test]
fn p15_a_change_in_a_long_list_tells_how_long_it_blocks_and_no_other_does() {
    for (tab, blocks) in [("waiting", true), ("prioritized", false)] {
        let mut state = at(tab, "70001", "reminder");
        let snapshot = Arc::make_mut(&mut state.snapshot);
        let listed = snapshot.instances[0].queues[0].id.clone();
        assert_eq!(listed.instance.system, "bullmq");
        snapshot.instances[0].queues[0].set_count(StateId(tab), Count::Exact(1_000_000));
        for action in ["job.cancel", "job.remove"] {
            palette(&mut state, action);
            let screen = drawn(&state, TERMINAL);
            assert_eq!(screen.contains("blocks     Redis for up to 26 ms a job"), blocks, "{action} {tab}\n{screen}");
            press(&mut state, "esc");
        }
    }
}

#[test]
fn the_command_of_a_new_job_hands_its_data_over() {
    let mut state = open_server();
    edited(&mut state, ActionId::QueueAdd);
    let Some(Overlay::Ask(question)) = &state.overlay else { panic!("{:?}", state.overlay) };
    let command = qtop::app::command::of_question(&state, question).expect("there is one");
    let data = r#"printf %s '{"to": "ada@example.com", "n": 1e400}' | "#;
    assert!(command.starts_with(data), "{command}");
    let draft = question.draft().and_then(|draft| draft.change()).expect("a change");
    assert!(matches!(draft, Change::Add(NewJob { attempts: Some(3), .. })), "{draft:?}");
}
