//! A bug must not cost a person the terminal: the real loop on a real pseudo-terminal, with a panic in it.
//!
//! The built program has nothing in it that panics on demand. These tests therefore start themselves once more, inside
//! a pseudo-terminal: the second process is the loop with the program's own console and panic hook, and a view or a task
//! that panics when it is told to.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use qtop::app::effect::Effect;
use qtop::app::message::{Clock, Geometry, Message};
use qtop::app::settings::Settings;
use qtop::app::state::{ServerView, State};
use qtop::domain::time::Timestamp;
use qtop::run::{FramePace, Look, Tasks, Told, run_loop};
use qtop::term::{TerminalConsole, install_panic_hook};
use qtop::theme::{Builtin, Level, UNICODE};
use qtop_testkit::Terminal;

use super::LIMIT;
use super::ending::assert_restored;

/// Names where the second process is to panic; what it is not set for is an ordinary run of the tests.
const WHERE: &str = "QTOP_TEST_PANIC";
/// When what panics does so: the test has seen by then what was on the screen before, also on a busy machine.
const AFTER: Duration = Duration::from_millis(1_500);

/// The test that is the second process.
const CHILD: &str = "pty::panics::loop_for_the_other_tests";

/// Tasks that tell nothing.
struct Silent;

impl Tasks for Silent {
    async fn next(&mut self) -> Told {
        std::future::pending::<Infallible>().await;
        unreachable!("what is pending for ever does not come")
    }

    fn carry_out(&mut self, _: Effect) -> Option<Message> {
        None
    }
}

/// Tasks of which the first thing asked panics on the thread of the loop.
struct Broken {
    at: tokio::time::Instant,
}

impl Tasks for Broken {
    async fn next(&mut self) -> Told {
        // The loop asks anew whenever something else comes first.
        tokio::time::sleep_until(self.at).await;
        panic!("the tasks are broken")
    }

    fn carry_out(&mut self, _: Effect) -> Option<Message> {
        None
    }
}

#[test]
fn loop_for_the_other_tests() {
    let Ok(place) = std::env::var(WHERE) else { return };
    install_panic_hook();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be started");
    let clock = || Clock { mono: Instant::now(), wall: Timestamp(0) };
    let server = ServerView { name: "a test".to_owned(), ..ServerView::default() };
    let mut state = State::new(server, Settings::default(), jiff::tz::TimeZone::UTC, clock());
    let mut look = Look::builtin(Builtin::Dark, Level::True, &UNICODE);
    let pace = FramePace::of(false);
    let from = Instant::now();
    let in_view = place == "view";
    let view = |state: &State, theme: &qtop::theme::Theme, frame: &mut ratatui::Frame<'_>| -> Geometry {
        let geometry = qtop::ui::view(state, theme, frame);
        assert!(!in_view || from.elapsed() < AFTER, "the view is broken");
        geometry
    };
    runtime.block_on(async {
        let mut console = TerminalConsole::enter(false, true).expect("a terminal");
        if place == "task" {
            tokio::spawn(async {
                tokio::time::sleep(AFTER).await;
                panic!("the task is broken")
            });
        }
        let mut broken = Broken { at: tokio::time::Instant::now() + AFTER };
        let ended = match place.as_str() {
            "tasks" => run_loop(&mut state, &mut console, &mut broken, &mut look, pace, view, clock).await,
            _ => run_loop(&mut state, &mut console, &mut Silent, &mut look, pace, view, clock).await,
        };
        console.leave().expect("the terminal can be given back");
        drop(ended);
    });
    println!("left as asked");
}

fn started(place: &str) -> Terminal {
    let program = std::env::current_exe().expect("this test has a program");
    let terminal = Terminal::builder(program).args(["--exact", CHILD, "--nocapture"]).env(WHERE, place).spawn();
    terminal.wait_for_text("Connecting", LIMIT);
    assert!(terminal.screen(vt100::Screen::alternate_screen));
    assert_ne!(terminal.settings(), terminal.settings_before(), "raw mode is visible in the settings");
    terminal
}

#[test]
fn u3_a_panic_on_the_thread_of_the_screen_gives_the_terminal_back_and_is_told() {
    for (place, words) in [("view", "the view is broken"), ("tasks", "the tasks are broken")] {
        let mut terminal = started(place);
        std::thread::sleep(AFTER);
        // Nothing is drawn where nothing changes.
        terminal.send("?");
        let exit = terminal.wait_exit(LIMIT);
        assert_ne!(exit.code, 0, "{place}");
        terminal.wait_for_quiet(Duration::from_millis(50), LIMIT);
        assert_restored(&terminal, &format!("a panic in the {place}"));
        let text = terminal.text();
        assert!(text.contains("a bug") && text.contains(words), "what happened is readable:\n{text}");
    }
}

#[test]
fn u3_a_panic_in_a_task_leaves_the_screen_alone() {
    let mut terminal = started("task");
    std::thread::sleep(AFTER * 2);
    assert!(terminal.screen(vt100::Screen::alternate_screen), "the screen goes on");
    assert!(!terminal.text().contains("broken"), "nothing is printed over it:\n{}", terminal.text());
    terminal.send("q");
    terminal.wait_for_text("left as asked", LIMIT);
    terminal.wait_exit(LIMIT);
    terminal.wait_for_quiet(Duration::from_millis(50), LIMIT);
    assert_restored(&terminal, "q after a panic in a task");
}
