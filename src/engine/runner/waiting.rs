//! How a pool waits for jobs: by a blocking read on a connection of its own, which is never given up half way (R3).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pool::{BLOCK, Pool};
use crate::link::{Link, cmd};
use crate::systems::SystemError;
use crate::systems::consume::Claimed;

/// Between two requests to end a read, while it lasts.
const AGAIN: Duration = Duration::from_millis(200);

/// The connection on which a pool waits.
pub(super) struct Waiting {
    link: Link,
    /// By which the server can be told to end the wait.
    id: Option<i64>,
}

impl Pool {
    /// Waits for jobs on the pool's own connection.
    pub(super) async fn wait(
        self: &Arc<Self>,
        own: &mut Option<Waiting>,
        limit: Duration,
    ) -> Result<Claimed, SystemError> {
        let waiting = match own.take().filter(|waiting| waiting.link.is_usable()) {
            Some(waiting) => waiting,
            None => {
                let (link, id) = self.parts.wire.waiting().await?;
                Waiting { link, id }
            }
        };
        let (pool, link) = (Arc::clone(self), waiting.link.clone());
        let mut read = tokio::spawn(async move { pool.consumer().wait(&link, &pool.parts.seat, limit).await });
        let mut told = false;
        let result = loop {
            tokio::select! {
                result = &mut read => break result,
                () = self.interrupted(), if !told => {
                    told = true;
                    self.unblock(waiting.id).await;
                }
                // Another connection carries the word: it may have overtaken the read it is to end.
                () = tokio::time::sleep(AGAIN), if told => self.unblock(waiting.id).await,
            }
        };
        let result =
            result.unwrap_or_else(|panic| Err(SystemError::BadRequest(format!("waiting for jobs broke: {panic}"))));
        // One that was refused may lead to the wrong place, and nothing but its end would tell (R11).
        if result.is_ok() {
            *own = Some(waiting);
        }
        result
    }

    /// Until no job must be taken any more, or one is due that nothing else tells of.
    async fn interrupted(&self) {
        loop {
            let changed = self.changed.notified();
            if !self.may_take() {
                return;
            }
            let due = self.state().due;
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = changed => {}
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                    self.state().due = None;
                    return;
                }
            }
        }
    }

    /// Notes that a job was put off for so long.
    pub(super) fn put_off(&self, delay: Duration) {
        if delay < BLOCK {
            let due = Instant::now() + delay;
            let mut state = self.state();
            state.due = Some(state.due.map_or(due, |known| known.min(due)));
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Asks the server to end the blocking read; it answers as if its time were over.
    async fn unblock(&self, id: Option<i64>) {
        let Some(id) = id else { return };
        if let Ok(link) = self.parts.wire.control().await {
            // A server that refuses lets the read end by itself.
            drop(link.ask(cmd("CLIENT").arg("UNBLOCK").arg(id).to_owned()).await);
        }
    }
}
