//! The engine's tasks against a real server, seen through a proxy that counts and delays.

mod finding;
#[path = "../laravel/horizon_keys.rs"]
mod horizon_keys;
mod mixed;
mod reading;
mod sampling;
mod tiny;

use std::sync::Arc;
use std::time::{Duration, Instant};

use qtop::domain::ids::{QueueId, ServerId};
use qtop::domain::snapshot::Snapshot;
use qtop::engine::scope::Scope;
use qtop::engine::{EngineConfig, EngineHandles, Limits, Pace, Systems, start};
use qtop::link::ConnectOptions;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The tests' own system only.
pub fn systems() -> Systems {
    Arc::new(vec![Arc::new(tiny::Tiny::default())])
}

/// Settings for a URL: every queue, ten ticks a second.
pub fn config(url: &str) -> EngineConfig {
    EngineConfig {
        server: ServerId("test".into()),
        connect: ConnectOptions::new(url),
        systems: systems(),
        scope: Scope::default(),
        limits: Limits::default(),
        pace: Pace { interval: Duration::from_millis(100), ..Pace::default() },
        cache: None,
    }
}

/// A running engine that ends with its value.
pub struct Running {
    /// Its channels.
    pub handles: EngineHandles<u8>,
    cancel: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Starts an engine.
pub fn run(config: EngineConfig) -> Running {
    let cancel = CancellationToken::new();
    Running { handles: start(config, &cancel), cancel }
}

impl Running {
    /// Waits for a snapshot that is as wanted and tells how long that took.
    pub async fn wait_for(&mut self, what: &str, wanted: impl Fn(&Snapshot) -> bool) -> (Arc<Snapshot>, Duration) {
        let started = Instant::now();
        loop {
            let snapshot = self.handles.snapshots.borrow_and_update().clone();
            if wanted(&snapshot) {
                return (snapshot, started.elapsed());
            }
            let left = LIMIT.saturating_sub(started.elapsed());
            let changed = tokio::time::timeout(left, self.handles.snapshots.changed()).await;
            assert!(changed.is_ok(), "waited {LIMIT:?} for {what}; last: {snapshot:#?}");
        }
    }
}

/// Number of queues in a snapshot.
pub fn queues(snapshot: &Snapshot) -> usize {
    snapshot.queues().count()
}

/// A queue of the tests' system.
pub fn queue(name: &str) -> QueueId {
    QueueId::new("tiny", "t", name)
}
