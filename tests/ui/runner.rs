//! The Runner screen: pools, what they run, what that writes; and what its keys ask of the runner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use qtop::app::effect::Effect;
use qtop::app::message::{Input, Message};
use qtop::app::screen::Screen;
use qtop::app::state::State;
use qtop::app::update::update;
use qtop::domain::ids::{JobId, JobRef, QueueId};
use qtop::domain::job::Progress;
use qtop::domain::runner::{
    Ended, OutputKind, OutputLine, PoolState, PoolView, ResultView, RunnerCommand, RunnerCounts, RunnerState,
    RunnerView, SlotView, Spread,
};

use super::fixture::{self, ago};
use super::{SIZES, approve, drawn};

fn executions() -> QueueId {
    QueueId::new("bullmq", "bull", "job-execution")
}

fn line(seconds: i64, kind: OutputKind, text: &str) -> OutputLine {
    OutputLine { at: ago(seconds), kind, text: text.to_owned() }
}

fn slot(slot: usize, id: &str, name: &str, percent: Option<f64>, output: Vec<OutputLine>) -> SlotView {
    let progress =
        percent.map(|percent| Progress { percent: Some(percent), text: Some("build".into()), ..Progress::default() });
    SlotView {
        slot,
        id: JobId::from(id),
        name: name.to_owned(),
        attempt: 1,
        attempts: Some(3),
        started: ago(12),
        elapsed: Duration::from_millis(12_400 * slot as u64),
        eta: progress.as_ref().map(|_| Duration::from_secs(5)),
        progress,
        stopping: false,
        storing: false,
        output: output.into(),
    }
}

fn pool(queue: QueueId, state: PoolState, concurrency: usize, slots: Vec<SlotView>, done: u64) -> PoolView {
    PoolView {
        address: queue.short_address(),
        queue,
        state,
        concurrency,
        slots,
        counts: RunnerCounts { taken: done + 20, done, retried: 14, failed: 2, ..RunnerCounts::default() },
        per_second: 4.7,
        history: Arc::new([]),
        mean: Some(Duration::from_millis(1_240)),
        run: Some(Spread { p50: Duration::from_millis(1_200), p99: Duration::from_millis(8_800) }),
        wait: Some(Spread { p50: Duration::from_millis(21), p99: Duration::from_secs(90) }),
        handlers: Arc::new([
            "execute_* → command run-workflow".to_owned(),
            "* → POST https://localhost:8000/deliver".to_owned(),
        ]),
        note: None,
    }
}

fn result(id: &str, ended: Ended, message: &str) -> ResultView {
    ResultView {
        job: JobRef { queue: executions(), id: JobId::from(id) },
        name: "execute_workflow".to_owned(),
        attempt: 2,
        ended,
        at: ago(30),
        took: Duration::from_millis(8_800),
        message: message.to_owned(),
        output: Arc::new([]),
    }
}

/// A runner with three pools and jobs in two of them.
fn state() -> State {
    let mut state = fixture::busy();
    state.server.read_only = None;
    let output = vec![
        line(11, OutputKind::Out, "cloning https://git.example/firmware"),
        line(9, OutputKind::Err, "warning: redirecting to /srv/firmware"),
        line(4, OutputKind::Log, "checked out 4f1c2e"),
        line(1, OutputKind::Out, "extracting system.img  (412 of 580 MB)"),
    ];
    let stopping = SlotView { stopping: true, ..slot(3, "48 230", "cleanup_runner", None, vec![]) };
    let running = vec![
        slot(1, "48213", "execute_workflow", Some(71.0), output),
        slot(2, "48214", "prepare_runner", Some(9.0), vec![]),
        stopping,
    ];
    let mut held = pool(QueueId::new("list", "", "message_queue"), PoolState::Holding, 4, vec![], 10_204);
    held.note = Some("takes no jobs: 212 MB of memory are free, less than min_memory (512 MB)".to_owned());
    let recent = [
        result("48199", Ended::Done, "{\"artifacts\":3}"),
        result("48198", Ended::Retried, "run-workflow ended with exit code 1: no space left on device"),
        result("48190", Ended::Failed, "REPOSITORY_NOT_FOUND"),
        result("48188", Ended::Cancelled, "cancelled here"),
        result("48170", Ended::Lost, "another worker holds its lock"),
    ];
    let view = RunnerView {
        name: "laptop".to_owned(),
        server: "prod-eu".to_owned(),
        state: RunnerState::Running,
        since: ago(7_440),
        at: fixture::NOW,
        pools: vec![
            pool(executions(), PoolState::Consuming, 5, running, 812),
            held,
            pool(QueueId::new("bullmq", "bull", "cleanup"), PoolState::Paused, 3, vec![], 12),
        ],
        recent: Arc::new(recent),
        past: RunnerCounts::default(),
        problem: None,
        metrics: Some("127.0.0.1:9100".to_owned()),
    };
    state.navigation.jump(Screen::Runner);
    update(&mut state, Message::Runner(Arc::new(view)));
    state
}

/// Presses keys; what they ask for comes back.
fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let key = |c: char| match c {
        '↓' => KeyEvent::new(KeyCode::Down, KeyModifiers::NONE),
        '⏎' => KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE),
        c => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
    };
    keys.chars().flat_map(|c| update(state, Message::Input(Input::Key(key(c))))).collect()
}

fn told(effects: Vec<Effect>) -> Vec<RunnerCommand> {
    let command = |effect| match effect {
        Effect::Runner(command) => Some(command),
        _ => None,
    };
    effects.into_iter().filter_map(command).collect()
}

#[test]
fn runner_shows_pools_and_their_latest() {
    approve("runner_pools", &state(), &SIZES);
}

#[test]
fn the_runner_keeps_its_tab_on_every_screen_while_there_is_one() {
    let mut state = state();
    for screen in Screen::TABS {
        state.navigation.jump(screen);
        for columns in [80, 160] {
            let tabs = drawn(&state, (columns, 24)).lines().nth(1).expect("the tabs").to_owned();
            let word = if columns == 80 { "6 Run " } else { "6 Runner " };
            assert!(tabs.contains(word) && tabs.contains("8 Log"), "{tabs}");
        }
    }
}

#[test]
fn runner_shows_what_a_job_writes() {
    let mut state = state();
    press(&mut state, "↓");
    approve("runner_output", &state, &SIZES);
}

#[test]
fn runner_says_why_a_pool_takes_nothing() {
    let mut state = state();
    press(&mut state, "↓↓↓↓");
    approve("runner_holding", &state, &SIZES[..1]);
}

#[test]
fn runner_asks_before_it_ends_a_job() {
    let mut state = state();
    press(&mut state, "↓C");
    approve("runner_cancel", &state, &SIZES[..1]);
}

#[test]
fn pools_are_paused_and_resized_at_once() {
    let mut state = state();
    assert_eq!(told(press(&mut state, "p")), [RunnerCommand::Pause(executions())]);
    assert_eq!(
        told(press(&mut state, ")(")),
        [RunnerCommand::Resize(executions(), 6), RunnerCommand::Resize(executions(), 5)]
    );
    let cleanup = QueueId::new("bullmq", "bull", "cleanup");
    assert_eq!(told(press(&mut state, "Gp")), [RunnerCommand::Resume(cleanup)]);
}

#[test]
fn s13_ending_a_job_and_draining_are_asked_and_enter_is_no() {
    let mut state = state();
    assert_eq!(told(press(&mut state, "C")), [], "no job is selected");
    assert_eq!(told(press(&mut state, "↓C⏎")), []);
    let job = JobRef { queue: executions(), id: JobId::from("48213") };
    assert_eq!(told(press(&mut state, "Cy")), [RunnerCommand::Cancel(job)]);
    assert_eq!(told(press(&mut state, "Q⏎")), []);
    assert_eq!(told(press(&mut state, "Qy")), [RunnerCommand::Drain]);
}

#[test]
fn the_runner_obeys_although_the_queues_may_only_be_read() {
    let mut state = state();
    state.server.read_only = Some("prod is read-only".to_owned());
    state.clock.mono = Instant::now() + Duration::from_secs(600);
    assert_eq!(told(press(&mut state, "p")), [RunnerCommand::Pause(executions())]);
    assert_eq!(told(press(&mut state, "Qy")), [RunnerCommand::Drain]);
}

#[test]
fn a_copy_of_a_job_runs_here_only_where_a_pool_is() {
    let mut state = state();
    super::reports::open_job(&mut state, super::reports::failed_job(), qtop::app::views::JobTab::Data);
    press(&mut state, "L");
    let shown = drawn(&state, SIZES[0]);
    assert!(shown.contains("no pool of the runner is for"), "{shown}");
    let job = qtop::app::target::job(&state).expect("an open job");
    let view = Arc::make_mut(state.runner.as_mut().expect("a runner"));
    view.pools[0].queue = job.queue.clone();
    assert_eq!(told(press(&mut state, "Ly")), [RunnerCommand::RunCopy(job)]);
    state.runner = None;
    press(&mut state, "L");
    let shown = drawn(&state, SIZES[0]);
    assert!(shown.contains("this qtop runs nothing"), "{shown}");
}

/// Queues and ids mean something else on another server.
#[test]
fn a_copy_runs_only_of_jobs_of_the_server_that_the_runner_works_on() {
    let mut state = state();
    super::reports::open_job(&mut state, super::reports::failed_job(), qtop::app::views::JobTab::Data);
    let job = qtop::app::target::job(&state).expect("an open job");
    becomes(&mut state, |view| view.pools[0].queue = job.queue.clone());
    becomes(&mut state, |view| view.server = "staging".to_owned());
    assert_eq!(told(press(&mut state, "Ly")), []);
    let shown = drawn(&state, (160, 45));
    assert!(shown.contains("the runner works on staging, this is prod-eu"), "{shown}");
    becomes(&mut state, |view| view.server = "prod-eu".to_owned());
    state.server.moved = true;
    assert_eq!(told(press(&mut state, "Ly")), []);
    let shown = drawn(&state, (160, 45));
    assert!(shown.contains("the runner works on the server that prod-eu was at"), "{shown}");
    state.server.moved = false;
    assert_eq!(told(press(&mut state, "Ly")), [RunnerCommand::RunCopy(job)]);
}

#[test]
fn the_runner_screen_over_another_server_says_whose_jobs_it_shows() {
    let mut state = state();
    assert!(!drawn(&state, SIZES[0]).contains(" on prod-eu"));
    becomes(&mut state, |view| view.server = "staging".to_owned());
    assert!(drawn(&state, SIZES[0]).contains("runner laptop on staging"), "{}", drawn(&state, SIZES[0]));
    // What it is told is about its own server.
    press(&mut state, "↓C");
    let shown = drawn(&state, SIZES[0]);
    let server = shown.lines().find(|line| line.contains("server  ")).unwrap_or_default();
    assert!(server.contains("staging") && !server.contains("prod-eu"), "{shown}");
    let job = JobRef { queue: executions(), id: JobId::from("48213") };
    assert_eq!(told(press(&mut state, "y")), [RunnerCommand::Cancel(job)]);
    // The job of that id on the server that is shown is another one.
    press(&mut state, "⏎");
    assert_eq!(*state.navigation.current(), Screen::Runner);
    assert!(drawn(&state, (160, 45)).contains("the runner works on staging"), "{}", drawn(&state, (160, 45)));
}

#[test]
fn sizes_count_from_what_was_asked_for_last() {
    let mut state = state();
    let resized = |sizes: &[usize]| -> Vec<RunnerCommand> {
        sizes.iter().map(|size| RunnerCommand::Resize(executions(), *size)).collect()
    };
    assert_eq!(told(press(&mut state, "(((")), resized(&[4, 3, 2]));
    becomes(&mut state, |view| view.pools[0].concurrency = 4);
    assert_eq!(told(press(&mut state, "(")), resized(&[1]), "the runner has not heard all of it yet");
    assert_eq!(told(press(&mut state, "(")), [], "one slot is needed");
    becomes(&mut state, |view| view.pools[0].concurrency = 1);
    becomes(&mut state, |view| view.pools[0].concurrency = 6);
    assert_eq!(told(press(&mut state, ")")), resized(&[7]), "somebody else has changed it since");
    state.clock.mono += Duration::from_secs(3);
    assert_eq!(told(press(&mut state, ")")), resized(&[7]), "the runner has not obeyed");
}

#[test]
fn cancelled_jobs_are_counted_on_the_screen() {
    let mut state = state();
    becomes(&mut state, |view| view.pools[0].counts.cancelled = 37);
    let wide = drawn(&state, SIZES[2]);
    let (head, pool) = (wide.lines().nth(3).unwrap_or_default(), wide.lines().nth(4).unwrap_or_default());
    assert!(head.contains("CANCEL") && pool.contains(" 37 "), "{wide}");
    assert!(drawn(&state, SIZES[0]).contains("37 cancelled"), "{}", drawn(&state, SIZES[0]));
}

#[test]
fn the_cursor_stays_on_its_job_while_others_end() {
    let mut state = state();
    press(&mut state, "↓↓");
    let view = Arc::make_mut(state.runner.as_mut().expect("a runner"));
    view.pools[0].slots.remove(0);
    let view = state.runner.clone().expect("a runner");
    update(&mut state, Message::Runner(view));
    assert_eq!(qtop::app::target::job(&state).map(|job| job.id), Some(JobId::from("48214")));
}

#[test]
fn enter_opens_the_job_and_the_queue() {
    let mut state = state();
    press(&mut state, "↓⏎");
    assert!(matches!(state.navigation.current(), Screen::Job(job) if job.id == JobId::from("48213")));
}

#[test]
fn u2_q_asks_about_a_job_that_was_taken_just_before() {
    let mut state = state();
    becomes(&mut state, idle);
    press(&mut state, "q");
    let taken = |view: &mut RunnerView| {
        view.state = RunnerState::Resting;
        view.pools[0].slots = vec![slot(1, "48213", "execute_workflow", None, vec![])];
    };
    assert_eq!(becomes(&mut state, taken), []);
    assert!(state.overlay.is_some());
    assert_eq!(becomes(&mut state, |view| view.pools[0].slots.clear()), [], "the question stays");
    assert_eq!(press(&mut state, "⏎"), [Effect::Runner(RunnerCommand::Wake)], "whoever stays wakes it");
    assert!(state.overlay.is_none());
}

fn ctrl_z(state: &mut State) -> Vec<Effect> {
    update(state, Message::Input(Input::Key(KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL))))
}

/// The runner's next view, changed like this.
fn becomes(state: &mut State, change: impl FnOnce(&mut RunnerView)) -> Vec<Effect> {
    let mut view = RunnerView::clone(state.runner.as_deref().expect("a runner"));
    change(&mut view);
    update(state, Message::Runner(Arc::new(view)))
}

fn idle(view: &mut RunnerView) {
    view.pools.iter_mut().for_each(|pool| pool.slots.clear());
}

#[test]
fn u2_leaving_while_jobs_run_is_asked_and_enter_stays() {
    let mut state = state();
    state.leaving.background = true;
    ctrl_z(&mut state);
    approve("runner_leave", &state, &SIZES[..1]);
    assert_eq!(press(&mut state, "⏎"), []);
    assert!(state.overlay.is_none());
    assert_eq!(press(&mut state, "qn"), []);
    assert_eq!(press(&mut state, "qd"), [Effect::Quit]);
    assert_eq!(press(&mut state, "r"), [Effect::Runner(RunnerCommand::PutBack), Effect::Quit]);
    assert_eq!(press(&mut state, "b"), [Effect::Detach]);
}

#[test]
fn u2_qtop_is_only_stopped_once_its_runner_sleeps() {
    let mut state = state();
    assert_eq!(ctrl_z(&mut state), []);
    assert_eq!(press(&mut state, "b"), [], "without a process in front there is no background");
    assert_eq!(press(&mut state, "d"), [Effect::Runner(RunnerCommand::Rest { put_back: false })]);
    assert_eq!(becomes(&mut state, |view| view.state = RunnerState::Resting), []);
    // The same key asks again; another answer replaces the first.
    ctrl_z(&mut state);
    assert_eq!(press(&mut state, "r"), [Effect::Runner(RunnerCommand::Rest { put_back: true })]);
    let asleep = |view: &mut RunnerView| {
        idle(view);
        view.state = RunnerState::Asleep;
    };
    assert_eq!(becomes(&mut state, asleep), [Effect::Suspend, Effect::Runner(RunnerCommand::Wake)]);
    // Whoever stays after all wakes it.
    becomes(&mut state, |view| view.state = RunnerState::Running);
    assert_eq!(ctrl_z(&mut state), [Effect::Runner(RunnerCommand::Rest { put_back: false })], "nothing runs");
    // A job had just been taken when the key was pressed: that is asked about.
    let slots = vec![slot(1, "48213", "execute_workflow", None, vec![])];
    assert_eq!(becomes(&mut state, |view| view.pools[0].slots = slots), []);
    assert!(state.overlay.is_some());
    assert_eq!(press(&mut state, "⏎"), [Effect::Runner(RunnerCommand::Wake)]);
    assert_eq!(becomes(&mut state, asleep), [], "nobody wants it to stop any more");
}

#[test]
fn u2_nothing_is_asked_without_running_jobs() {
    let mut state = state();
    becomes(&mut state, idle);
    let rest = [Effect::Runner(RunnerCommand::Rest { put_back: false })];
    assert_eq!(press(&mut state, "q"), rest, "what is shown is a moment old");
    assert_eq!(becomes(&mut state, |view| view.state = RunnerState::Running), [], "not the answer yet");
    assert_eq!(becomes(&mut state, |view| view.state = RunnerState::Resting), [Effect::Quit]);
    becomes(&mut state, |view| view.state = RunnerState::Running);
    assert_eq!(press(&mut state, "q"), rest);
    assert_eq!(press(&mut state, "q"), [Effect::Quit], "a second time it waits for nobody");
    becomes(&mut state, |view| view.state = RunnerState::Stopped);
    assert_eq!(ctrl_z(&mut state), [Effect::Suspend]);
}
