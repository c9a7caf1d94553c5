//! A terminal that draws into memory, tasks that record what they are asked, and a script to run the loop with.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use qtop::app::chord::parse_sequence;
use qtop::app::effect::{Effect, Slot};
use qtop::app::message::{Clock, Input, Message};
use qtop::app::settings::Settings;
use qtop::app::state::{ServerView, State};
use qtop::domain::caps::Caps;
use qtop::domain::fetch::{Fetched, Request};
use qtop::domain::ids::{InstanceId, QueueId, ServerId, Ticket};
use qtop::domain::job::{Cursor, Job, JobRow, Page, PageRequest};
use qtop::domain::queue::{Count, QueueSample};
use qtop::domain::snapshot::{InstanceSample, LinkHealth, Snapshot};
use qtop::domain::state::{StateId, StateKind, StateSpec};
use qtop::domain::time::Timestamp;
use qtop::run::{Ended, FramePace, Look, Tasks, Told, run_loop};
use qtop::term::{Console, Event, ExternalError};
use qtop::theme::{Builtin, Level, UNICODE};
use ratatui::backend::TestBackend;
use ratatui::{Frame, Terminal};

/// A run must not take longer.
const LIMIT: Duration = Duration::from_secs(10);

pub const STATES: &[StateSpec] = &[
    StateSpec::new("waiting", "Waiting", StateKind::Waiting, 'W'),
    StateSpec::new("active", "Active", StateKind::Active, 'A'),
    StateSpec::new("failed", "Failed", StateKind::Failed, 'F'),
];

type WishCheck = Box<dyn FnOnce(&[Effect])>;

/// What the script does next.
enum Step {
    Event(Event),
    Told(Box<Message>),
    /// Looks at the screen once everything before has been drawn.
    Look(Box<dyn FnOnce(&str)>),
    /// Looks at the wishes so far, and takes them away.
    Wishes(WishCheck),
}

#[derive(Default)]
struct Shared {
    steps: VecDeque<Step>,
    wishes: Vec<Effect>,
    /// Jobs of each state, by which pages are answered.
    lists: Vec<(StateId, Vec<u32>)>,
    frames: usize,
    drawn: bool,
    editor: Option<Editor>,
    /// Answers to reads of a job.
    job: Option<Box<Job>>,
}

/// A script for the loop. Ends by pressing `Ctrl-C`.
pub struct Desk {
    pub state: State,
    shared: Rc<RefCell<Shared>>,
    size: (u16, u16),
    now: Instant,
}

/// The sample of a server with these queues: name and waiting, active, failed jobs.
pub fn snapshot(seq: u64, now: Instant, queues: &[(&str, [u64; 3])]) -> Arc<Snapshot> {
    let id = InstanceId { system: "bullmq", name: "bull".into() };
    let sample = |(name, counts): &(&str, [u64; 3])| {
        let mut sample = QueueSample::unknown(queue(name), STATES);
        for (spec, count) in STATES.iter().zip(counts) {
            sample.set_count(spec.id, Count::Exact(*count));
        }
        sample
    };
    let mut snapshot = Snapshot::empty(ServerId("test".into()), "redis://test".into(), now);
    snapshot.seq = seq;
    snapshot.link = LinkHealth::Up;
    snapshot.taken_at = Timestamp(1_800_000_000_000);
    snapshot.discovery.passes = 1;
    snapshot.instances.push(InstanceSample {
        id,
        states: STATES,
        caps: Caps::all(),
        caps_reason: None,
        queues: queues.iter().map(sample).collect(),
        error: None,
    });
    Arc::new(snapshot)
}

pub fn queue(name: &str) -> QueueId {
    QueueId::new("bullmq", "bull", name)
}

/// A page of a list by position.
pub fn page(list: &[u32], state: StateId, request: &PageRequest) -> Page<JobRow> {
    let from: usize = request.cursor.as_ref().map_or(0, |cursor| cursor.0.parse().expect("made below"));
    let end = (from + request.limit).min(list.len());
    let row = |id: &u32| JobRow {
        name: Some(format!("job-{id}")),
        ..JobRow::bare(id.to_string(), state, StateKind::Waiting)
    };
    Page {
        rows: list[from.min(end)..end].iter().map(row).collect(),
        next: (end < list.len()).then(|| Cursor(end.to_string())),
        total: Some(list.len() as u64),
    }
}

impl Desk {
    pub fn new(columns: u16, rows: u16) -> Self {
        let now = Instant::now();
        let clock = Clock { mono: now, wall: Timestamp(1_800_000_000_000) };
        let server = ServerView { name: "test".to_owned(), ..ServerView::default() };
        let state = State::new(server, Settings::default(), jiff::tz::TimeZone::UTC, clock);
        Self { state, shared: Rc::default(), size: (columns, rows), now }
    }

    /// Pages of this state are answered from this list.
    pub fn list(&mut self, state: &'static str, jobs: impl IntoIterator<Item = u32>) -> &mut Self {
        self.shared.borrow_mut().lists.push((StateId(state), jobs.into_iter().collect()));
        self
    }

    /// Texts are edited like this.
    pub fn editor(&mut self, edit: impl FnMut(&[u8]) -> Vec<u8> + 'static) -> &mut Self {
        self.shared.borrow_mut().editor = Some(Box::new(edit));
        self
    }

    /// Every read of a job gives this one.
    pub fn job(&mut self, job: Job) -> &mut Self {
        self.shared.borrow_mut().job = Some(Box::new(job));
        self
    }

    /// Presses keys, for example `j j enter`.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        for chord in parse_sequence(keys).expect("keys of this test") {
            let event = KeyEvent::new(chord.code, chord.modifiers);
            self.step(Step::Event(Event::Input(Input::Key(event))));
        }
        self
    }

    /// Types text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            let event = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
            self.step(Step::Event(Event::Input(Input::Key(event))));
        }
        self
    }

    pub fn event(&mut self, event: Event) -> &mut Self {
        self.step(Step::Event(event))
    }

    pub fn message(&mut self, message: Message) -> &mut Self {
        self.step(Step::Told(Box::new(message)))
    }

    pub fn sampled(&mut self, seq: u64, queues: &[(&str, [u64; 3])]) -> &mut Self {
        let snapshot = snapshot(seq, self.now, queues);
        self.message(Message::Sampled(snapshot))
    }

    /// Looks at the screen.
    pub fn look(&mut self, check: impl FnOnce(&str) + 'static) -> &mut Self {
        self.step(Step::Look(Box::new(check)))
    }

    /// Expects this text on the screen.
    pub fn sees(&mut self, text: &'static str) -> &mut Self {
        self.look(move |screen| assert!(screen.contains(text), "{text:?} is not on the screen:\n{screen}"))
    }

    /// Looks at what was asked of the tasks since the last look.
    pub fn wishes(&mut self, check: impl FnOnce(&[Effect]) + 'static) -> &mut Self {
        self.step(Step::Wishes(Box::new(check)))
    }

    fn step(&mut self, step: Step) -> &mut Self {
        self.shared.borrow_mut().steps.push_back(step);
        self
    }

    /// Runs the loop over the script; returns why it ended.
    pub fn run(&mut self) -> Ended {
        let backend = TestBackend::new(self.size.0, self.size.1);
        let mut console = FakeConsole {
            terminal: Terminal::new(backend).expect("memory is a terminal"),
            shared: Rc::clone(&self.shared),
        };
        let mut tasks = FakeTasks { shared: Rc::clone(&self.shared), answers: VecDeque::new() };
        let mut look = Look::builtin(Builtin::Dark, Level::None, &UNICODE);
        let now = self.now;
        let clock = move || Clock { mono: now, wall: Timestamp(1_800_000_000_000) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let pace = FramePace { gap: Duration::ZERO };
        runtime.block_on(async {
            let looped = run_loop(&mut self.state, &mut console, &mut tasks, &mut look, pace, qtop::ui::view, clock);
            let ended = tokio::time::timeout(LIMIT, looped).await;
            ended.unwrap_or_else(|_| panic!("the loop did not end within {LIMIT:?}"))
        })
    }

    pub fn frames(&self) -> usize {
        self.shared.borrow().frames
    }
}

struct FakeConsole {
    terminal: Terminal<TestBackend>,
    shared: Rc<RefCell<Shared>>,
}

impl FakeConsole {
    fn screen(&self) -> String {
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let symbols: Vec<&str> = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        symbols.chunks(width).map(|line| line.concat() + "\n").collect()
    }
}

impl Console for FakeConsole {
    async fn next(&mut self) -> Event {
        enum Now {
            Event(Event),
            Look(Box<dyn FnOnce(&str)>),
            Wishes(WishCheck),
            End,
            Wait,
        }
        loop {
            let now = {
                let mut shared = self.shared.borrow_mut();
                let drawn = shared.drawn;
                match shared.steps.front() {
                    // A look waits for the frame that shows what came before it.
                    Some(Step::Look(_) | Step::Wishes(_)) if !drawn => Now::Wait,
                    Some(Step::Told(_)) => Now::Wait,
                    None if !drawn => Now::Wait,
                    None => Now::End,
                    Some(_) => match shared.steps.pop_front() {
                        Some(Step::Event(event)) => {
                            shared.drawn = false;
                            Now::Event(event)
                        }
                        Some(Step::Look(check)) => Now::Look(check),
                        Some(Step::Wishes(check)) => Now::Wishes(check),
                        Some(Step::Told(_)) | None => Now::Wait,
                    },
                }
            };
            match now {
                Now::Event(event) => return event,
                Now::Look(check) => check(&self.screen()),
                Now::Wishes(check) => {
                    let wishes = std::mem::take(&mut self.shared.borrow_mut().wishes);
                    check(&wishes);
                }
                Now::End => {
                    return Event::Input(Input::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
                }
                Now::Wait => return std::future::pending().await,
            }
        }
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn size(&self) -> std::io::Result<(u16, u16)> {
        let area = self.terminal.backend().buffer().area;
        Ok((area.width, area.height))
    }

    fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> std::io::Result<()> {
        let Ok(_) = self.terminal.draw(view);
        let mut shared = self.shared.borrow_mut();
        shared.frames += 1;
        shared.drawn = true;
        Ok(())
    }

    fn repaint(&mut self) -> std::io::Result<()> {
        let Ok(()) = self.terminal.clear();
        Ok(())
    }

    fn mouse(&mut self, on: bool) -> std::io::Result<()> {
        self.shared.borrow_mut().wishes.push(Effect::Mouse(on));
        Ok(())
    }

    fn copy(&mut self, text: &str) -> std::io::Result<()> {
        self.shared.borrow_mut().wishes.push(Effect::Copy(text.to_owned()));
        Ok(())
    }

    async fn step_back(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    async fn suspend(&mut self) -> std::io::Result<()> {
        self.shared.borrow_mut().wishes.push(Effect::Suspend);
        Ok(())
    }

    async fn show(&mut self, ending: &str, text: &str) -> std::io::Result<Result<(), ExternalError>> {
        assert_eq!(ending, "json");
        self.shared.borrow_mut().wishes.push(Effect::Open { ending: "json", text: text.to_owned() });
        Ok(Ok(()))
    }

    async fn edit(&mut self, ending: &str, bytes: &[u8]) -> std::io::Result<Result<Vec<u8>, ExternalError>> {
        assert_eq!(ending, "json");
        let mut shared = self.shared.borrow_mut();
        let editor = shared.editor.as_mut().expect("this script has no editor");
        Ok(Ok(editor(bytes)))
    }
}

/// What the editor of the script makes of a text.
type Editor = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

struct FakeTasks {
    shared: Rc<RefCell<Shared>>,
    answers: VecDeque<(Ticket, Slot, Fetched)>,
}

impl FakeTasks {
    /// The script's next step, if it is the tasks' turn.
    fn told(&mut self) -> Option<Message> {
        let mut shared = self.shared.borrow_mut();
        let message = match shared.steps.pop_front() {
            Some(Step::Told(message)) => *message,
            other => {
                other.into_iter().for_each(|step| shared.steps.push_front(step));
                return None;
            }
        };
        shared.drawn = false;
        Some(message)
    }
}

impl Tasks for FakeTasks {
    async fn next(&mut self) -> Told {
        if let Some((ticket, slot, fetched)) = self.answers.pop_front() {
            return Told::Message(Message::Fetched { ticket, slot, result: Ok(fetched) });
        }
        match self.told() {
            Some(message) => Told::Message(message),
            None => std::future::pending().await,
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Message> {
        if let Effect::Fetch { ticket, slot, request: Request::Job { .. } } = &effect
            && let Some(job) = &self.shared.borrow().job
        {
            self.answers.push_back((*ticket, *slot, Fetched::Job(Some(job.clone()))));
        }
        if let Effect::Fetch { ticket, slot, request: Request::Jobs { state, page: wanted, .. } } = &effect {
            let shared = self.shared.borrow();
            if let Some((_, list)) = shared.lists.iter().find(|(known, _)| known == state) {
                self.answers.push_back((*ticket, *slot, Fetched::Jobs(page(list, *state, wanted))));
            }
        }
        self.shared.borrow_mut().wishes.push(effect);
        None
    }
}
