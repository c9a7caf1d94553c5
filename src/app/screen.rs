//! Which screen is shown, and the way back.

use crate::domain::ids::{JobRef, QueueId};

/// A screen. The first eight are reached by number keys in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Screen {
    /// All queues of all systems.
    Queues,
    /// All active jobs.
    Running,
    /// Failures of all queues, grouped.
    Failures,
    /// All workers.
    Workers,
    /// Delayed jobs and repeatables.
    Scheduled,
    /// The embedded runner.
    Runner,
    /// The Redis server and what qtop costs it.
    Server,
    /// qtop's own log.
    Logs,
    /// One queue.
    Queue(QueueId),
    /// One job.
    Job(JobRef),
}

impl Screen {
    /// Screens of the tab line, in the order of their number keys from `1`.
    pub const TABS: [Screen; 8] = [
        Screen::Queues,
        Screen::Running,
        Screen::Failures,
        Screen::Workers,
        Screen::Scheduled,
        Screen::Runner,
        Screen::Server,
        Screen::Logs,
    ];

    /// Title in the tab line.
    pub fn title(&self) -> &'static str {
        match self {
            Screen::Queues => "Queues",
            Screen::Running => "Running",
            Screen::Failures => "Failures",
            Screen::Workers => "Workers",
            Screen::Scheduled => "Sched",
            Screen::Runner => "Run",
            Screen::Server => "Srv",
            Screen::Logs => "Log",
            Screen::Queue(_) => "Queue",
            Screen::Job(_) => "Job",
        }
    }
}

/// The way from a top-level screen down to the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Navigation {
    /// Never empty; the last is shown.
    stack: Vec<Screen>,
    /// The stack before the last jump, for `-`.
    previous: Option<Vec<Screen>>,
}

impl Default for Navigation {
    fn default() -> Self {
        Self { stack: vec![Screen::Queues], previous: None }
    }
}

impl Navigation {
    /// The screen that is shown.
    pub fn current(&self) -> &Screen {
        self.stack.last().expect("the stack starts with one screen and `back` leaves one")
    }

    /// The top-level screen under it, which is the lit tab.
    pub fn root(&self) -> &Screen {
        self.stack.first().expect("the stack starts with one screen and `back` leaves one")
    }

    /// All screens from the top level down, for the breadcrumb.
    pub fn path(&self) -> &[Screen] {
        &self.stack
    }

    /// Leaves everything and shows a top-level screen.
    pub fn jump(&mut self, screen: Screen) {
        if self.stack.as_slice() != std::slice::from_ref(&screen) {
            self.previous = Some(std::mem::replace(&mut self.stack, vec![screen]));
        }
    }

    /// Goes one level deeper.
    pub fn enter(&mut self, screen: Screen) {
        if *self.current() != screen {
            self.previous = Some(self.stack.clone());
            self.stack.push(screen);
        }
    }

    /// Goes one level up; false if there is none.
    pub fn back(&mut self) -> bool {
        let deeper = self.stack.len() > 1;
        if deeper {
            self.previous = Some(self.stack.clone());
            self.stack.pop();
        }
        deeper
    }

    /// Changes places with the view before the last jump.
    pub fn swap(&mut self) {
        if let Some(previous) = self.previous.take() {
            self.previous = Some(std::mem::replace(&mut self.stack, previous));
        }
    }
}
