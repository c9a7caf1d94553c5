//! A panic of the screens while jobs run behind them (R4). As in `panics`, the second process is this test started once
//! more: the program's own runner, loop and console, with a view that panics.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use qtop::app::effect::Effect;
use qtop::app::message::{Clock, Geometry, Message};
use qtop::app::settings::Settings;
use qtop::app::state::{ServerView, State};
use qtop::config::{Config, Environment, Overrides};
use qtop::domain::time::Timestamp;
use qtop::engine::runner::execute::builder;
use qtop::engine::runner::handler::Surroundings;
use qtop::engine::runner::{RunnerConfig, start};
use qtop::run::{FramePace, Look, Tasks, Told, run_loop};
use qtop::term::{TerminalConsole, install_panic_hook};
use qtop::theme::{Builtin, Level, UNICODE};
use qtop_testkit::{Terminal, TestServer, wait_until};

use super::LIMIT;
use super::ending::assert_restored;
use super::running::{Home, fill, held};

/// Names the configuration to the second process.
const CONFIG: &str = "QTOP_TEST_BROKEN_SCREEN";
/// The test that is the second process.
const CHILD: &str = "pty::broken_screen::loop_beside_a_runner";

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

fn config(path: &str) -> Config {
    let overrides = Overrides { config: Some(path.into()), ..Overrides::default() };
    qtop::config::load(&overrides, &Environment::of_process(), &qtop::cli::known()).expect("a sound configuration")
}

#[test]
fn loop_beside_a_runner() {
    let Ok(path) = std::env::var(CONFIG) else { return };
    install_panic_hook();
    let config = config(&path);
    let runner = RunnerConfig::of(&config, "test").expect("a runner");
    // Without the helpers, which are other arguments of the program: this is another program.
    let handle = start(RunnerConfig { build: builder(Surroundings::of_process()), ..runner }).expect("a runner");
    handle.beside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let clock = || Clock { mono: Instant::now(), wall: Timestamp(0) };
        let server = ServerView { name: "a test".to_owned(), ..ServerView::default() };
        let mut state = State::new(server, Settings::default(), jiff::tz::TimeZone::UTC, clock());
        let mut look = Look::builtin(Builtin::Dark, Level::True, &UNICODE);
        let from = Instant::now();
        let view = |state: &State, theme: &qtop::theme::Theme, frame: &mut ratatui::Frame<'_>| -> Geometry {
            let geometry = qtop::ui::view(state, theme, frame);
            assert!(from.elapsed() < Duration::from_secs(1), "the view is broken");
            geometry
        };
        let pace = FramePace::of(false);
        runtime.block_on(async {
            let mut console = TerminalConsole::enter(false, false).expect("a terminal");
            run_loop(&mut state, &mut console, &mut Silent, &mut look, pace, view, clock).await
        })
    });
}

#[test]
fn r4_a_panic_of_the_screens_lets_running_jobs_end_first() {
    let server = TestServer::start();
    fill(&server, 0..4);
    let home = Home::new(&server, "sleep 4", 2, "");
    let program = std::env::current_exe().expect("this test has a program");
    let path = home.config().display().to_string();
    let mut terminal = Terminal::builder(program).args(["--exact", CHILD, "--nocapture"]).env(CONFIG, &path).spawn();
    home.until_ran(2);
    terminal.wait_for_text("the view is broken", LIMIT);
    wait_until("the jobs that ran to be settled", LIMIT, || held(&server) == 0);
    assert_ne!(terminal.wait_exit(LIMIT).code, 0);
    terminal.wait_for_quiet(Duration::from_millis(50), LIMIT);
    assert_restored(&terminal, "a panic beside a runner");
    home.assert_once(2);
    assert_eq!(server.int("LLEN mail"), 2, "no more were taken, and none was put back");
}
