//! Carries out changes as qtop does, on a server of the test's own.

use std::path::Path;
use std::sync::Arc;

use qtop::domain::change::{Control, Plan, Scope};
use qtop::domain::described::Described;
use qtop::domain::ids::{JobId, QueueId};
use qtop::domain::mutation::{Change, Outcome};
use qtop::domain::state::StateId;
use qtop::engine::Dialer;
use qtop::engine::change::piece::Desk;
use qtop::engine::change::run::{Room, run};
use qtop::engine::change::undo::{Undone, undo};
use qtop::engine::change::{ChangeError, Finished, Places};
use qtop::link::{ConnectOptions, Mode};
use qtop::systems::System;
use tokio::sync::watch;

/// A desk with connection and files.
pub struct Office {
    /// Runs the futures.
    pub runtime: tokio::runtime::Runtime,
    /// Every system.
    pub systems: Vec<Arc<dyn System>>,
    /// Where files go.
    pub places: Places,
    dialer: Arc<Dialer>,
    _directory: tempfile::TempDir,
}

/// Name of the server in audit lines and trash.
pub const SERVER: &str = "test";

impl Office {
    /// For the server at this URL.
    pub fn at(url: &str) -> Self {
        Self::with(url, Described::default())
    }

    /// With queues that only a description makes known.
    pub fn with(url: &str, described: Described) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let options = ConnectOptions { mode: Mode::ReadWrite, ..ConnectOptions::new(url) };
        Self {
            runtime: tokio::runtime::Runtime::new().expect("a runtime can be made"),
            systems: qtop::systems::all(&described),
            places: Places { state: directory.path().join("state"), trash_cap: 1 << 30 },
            dialer: Arc::new(Dialer::new(options)),
            _directory: directory,
        }
    }

    /// The system of a queue.
    pub fn system(&self, queue: &QueueId) -> Arc<dyn System> {
        let found = self.systems.iter().find(|system| system.spec().name == queue.instance.system);
        Arc::clone(found.expect("the system is registered"))
    }

    /// Carries out a plan.
    pub fn carry_out(&self, plan: Plan) -> Finished {
        let (_control, wishes) = watch::channel(Control::Go);
        let system = self.system(&plan.queue);
        self.runtime.block_on(async {
            let mut desk = Desk::new(Arc::clone(&self.dialer));
            let room =
                Room { desk: &mut desk, system: &*system, places: &self.places, control: wishes, report: &|_| {} };
            run(room, plan).await
        })
    }

    /// Changes jobs seen in a state.
    pub fn jobs(&self, queue: &QueueId, state: &'static str, ids: &[String], change: Change) -> Finished {
        let ids: Vec<JobId> = ids.iter().map(|id| id.as_str().into()).collect();
        self.carry_out(plan(queue, change, Scope::Jobs(vec![(StateId(state), ids)])))
    }

    /// Changes jobs and expects that each was done.
    pub fn all(&self, queue: &QueueId, state: &'static str, ids: &[String], change: Change) -> Finished {
        let finished = self.jobs(queue, state, ids, change);
        assert!(finished.error.is_none(), "{:?}", finished.error);
        assert_eq!(finished.outcome.done.len(), ids.len(), "{:?}", finished.outcome);
        finished
    }

    /// Changes a queue as a whole.
    pub fn queue(&self, queue: &QueueId, change: Change) -> Outcome {
        let finished = self.carry_out(plan(queue, change, Scope::Queue));
        assert!(finished.error.is_none(), "{:?}", finished.error);
        finished.outcome
    }

    /// Undoes the newest change.
    pub fn undo(&self) -> Undone {
        self.try_undo().expect("there is something to undo")
    }

    /// Tries to undo the newest change.
    pub fn try_undo(&self) -> Result<Undone, ChangeError> {
        self.runtime.block_on(async {
            let mut desk = Desk::new(Arc::clone(&self.dialer));
            undo(&mut desk, &self.systems, &self.places, SERVER, None).await
        })
    }

    /// Where files go, for looking at them.
    pub fn state(&self) -> &Path {
        &self.places.state
    }
}

/// A plan without limits.
pub fn plan(queue: &QueueId, change: Change, scope: Scope) -> Plan {
    let (server, queue) = (SERVER.to_owned(), queue.clone());
    Plan { server, queue, change, scope, force: false, rate: None, ramp: false, part_of: None }
}
