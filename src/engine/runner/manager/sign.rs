//! The runner's own sign of life.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::plan;
use super::Manager;
use crate::domain::runner::PoolState;
use crate::engine::sign::{self, IDLE, PoolSign, SIGN, Sign};
use crate::link::client_name;

/// Until the next sign while a pool is not connected yet: the first ones are given before the pools are.
const SOON: Duration = Duration::from_secs(1);
/// For the runner's own goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

impl Manager {
    /// Tells other qtops that this runner is there, as often as is needed for them to believe it.
    pub(super) fn sign(&mut self) {
        let now = Instant::now();
        if self.signed.as_ref().is_some_and(|(next, _)| now < *next) {
            return;
        }
        let views: Vec<_> = self.pools.iter().map(|running| (&running.pool, running.pool.view(now))).collect();
        let next = match () {
            () if views.iter().any(|(_, view)| view.state == PoolState::Connecting) => SOON,
            () if views.iter().any(|(_, view)| !view.slots.is_empty()) => SIGN.0,
            () => IDLE,
        };
        let pools = views.iter().map(|(pool, view)| PoolSign {
            queue: view.queue.full_address(),
            worker: pool.parts.seat.worker.to_text(),
            state: view.state.into(),
            concurrency: view.concurrency,
            active: view.slots.len(),
            done: view.counts.done,
            failed: view.counts.failed,
        });
        let pools = pools.collect();
        let (wire, name, since) = (Arc::clone(&self.common.wire), self.common.name.clone(), self.since.0);
        let giving = tokio::spawn(async move {
            let (host, pid, client) = (plan::host(), std::process::id(), client_name());
            if let Ok(link) = wire.control().await {
                // A sign that is not given is missed by nobody for long.
                drop(sign::give(&link, Sign { name: &name, host, pid, client, since, pools }).await);
            }
        });
        self.signed = Some((now + next, giving));
    }

    /// Takes the sign back, after the last one has been given.
    pub(super) async fn say_goodbye(&mut self) {
        let last = self.signed.take();
        let goodbye = async {
            if let Some((_, giving)) = last {
                drop(giving.await);
            }
            if let Ok(link) = self.common.wire.control().await {
                drop(sign::take_back(&link, &self.common.name).await);
            }
        };
        drop(tokio::time::timeout(GOODBYE, goodbye).await);
    }
}
