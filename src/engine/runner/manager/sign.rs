//! The runner's own sign of life.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::super::plan;
use super::{Manager, SIGN};
use crate::link::cmd;

impl Manager {
    /// Tells other qtops that this runner is there, as often as is needed for them to believe it.
    pub(super) fn sign(&mut self) {
        if self.signed.is_some_and(|at| at.elapsed() < SIGN.0) {
            return;
        }
        self.signed = Some(Instant::now());
        let wire = Arc::clone(&self.common.wire);
        let now = Instant::now();
        let pools: Vec<_> = self
            .pools
            .iter()
            .map(|running| {
                let view = running.pool.view(now);
                let state: &'static str = view.state.into();
                json!({
                    "queue": view.queue.full_address(),
                    "state": state,
                    "concurrency": view.concurrency,
                    "active": view.slots.len(),
                    "done": view.counts.done,
                    "failed": view.counts.failed,
                })
            })
            .collect();
        let sign = json!({
            "name": self.common.name,
            "host": plan::host(),
            "pid": std::process::id(),
            "since": self.since.0,
            "pools": pools,
        });
        let mut set = cmd("SET");
        set.arg(format!("qtop:runner:{}", self.common.name)).arg(sign.to_string());
        set.arg("PX").arg(SIGN.1.as_millis() as u64);
        tokio::spawn(async move {
            if let Ok(link) = wire.control().await {
                // A sign that is not given is missed by nobody for long.
                drop(link.ask(set).await);
            }
        });
    }
}
