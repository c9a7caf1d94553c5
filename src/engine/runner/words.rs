//! What a running job says, on its way to its queue: in the background, so that no server holds up the job.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::pool::Pool;
use crate::domain::job::Progress;
use crate::systems::consume::Claim;

/// Log lines that wait to be told; more are told in several steps.
const LOGS: usize = 100;
/// Between two reports of a job's progress.
pub(super) const TELL_EVERY: Duration = Duration::from_millis(200);
/// How long the last report may hold up the storing of the outcome.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a job has said and the queue has not been told.
#[derive(Default)]
pub(super) struct Words {
    pub(super) progress: Option<Progress>,
    logs: VecDeque<String>,
    telling: Option<JoinHandle<()>>,
    told: Option<Instant>,
}

impl Words {
    /// True if there is something to tell.
    pub(super) fn wait_to_be_told(&self) -> bool {
        self.progress.is_some() || !self.logs.is_empty()
    }

    /// A line for the job's log; beyond a bound it is dropped.
    pub(super) fn log(&mut self, line: String) {
        if self.logs.len() < LOGS * 10 {
            self.logs.push_back(line);
        }
    }

    /// Tells in the background, one report at a time and not too often: a server that does not answer must not hold up
    /// the job.
    pub(super) fn tell(&mut self, pool: &Arc<Pool>, claim: &Arc<Claim>, at_once: bool) {
        let busy = self.telling.as_ref().is_some_and(|telling| !telling.is_finished());
        let young = !at_once && self.told.is_some_and(|told| told.elapsed() < TELL_EVERY);
        if !self.wait_to_be_told() || busy || young {
            return;
        }
        let progress = self.progress.take();
        let count = self.logs.len().min(LOGS);
        let lines: Vec<String> = self.logs.drain(..count).collect();
        let (pool, claim) = (Arc::clone(pool), Arc::clone(claim));
        self.told = Some(Instant::now());
        self.telling = Some(tokio::spawn(async move {
            let told = async {
                let link = pool.parts.wire.control().await?;
                pool.consumer().tell(&link, &pool.parts.seat, &claim, progress.as_ref(), &lines).await
            };
            if let Err(error) = told.await {
                tracing::debug!(queue = pool.parts.address, job = %claim.id, %error, "progress was not told");
            }
        }));
    }

    /// Tells the rest, within limits.
    pub(super) async fn finish(mut self, pool: &Arc<Pool>, claim: &Arc<Claim>) {
        let end = Instant::now() + LAST_WORDS;
        loop {
            if let Some(telling) = self.telling.take() {
                let left = end.saturating_duration_since(Instant::now());
                if tokio::time::timeout(left, telling).await.is_err() {
                    return;
                }
            }
            if !self.wait_to_be_told() || Instant::now() >= end {
                return;
            }
            self.tell(pool, claim, true);
        }
    }
}
