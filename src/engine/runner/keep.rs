//! Keeping what a pool holds: renews claims, ends jobs whose claim is lost, and shows that this runner lives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::pool::Pool;
use super::slot::Cause;
use crate::systems::SystemError;

/// Renewals in the time of one lease: several may fail before it ends.
const A_LEASE: u32 = 6;
/// Longest and shortest time between two.
const EVERY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(200));
/// The same after one that failed: the server may be back soon, and that is to be noticed.
const SOON: Duration = Duration::from_secs(1);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

impl Pool {
    /// Renews until `over`, which comes after the last job has ended.
    pub async fn keep(self: Arc<Self>, over: CancellationToken) {
        let mut generation = None;
        let every = (self.parts.seat.lease / A_LEASE).clamp(EVERY.1, EVERY.0);
        loop {
            let result = self.renew(&mut generation).await;
            self.renewed(result.as_ref().copied());
            let mut rest = every;
            if let Err(error) = result {
                self.parts.wire.learn(&error).await;
                rest = every.min(SOON);
            }
            tokio::select! {
                () = over.cancelled() => break,
                () = self.rest_and_heed(rest) => {}
            }
        }
        let goodbye = async {
            let link = self.parts.wire.control().await?;
            self.consumer().leave(&link, &self.parts.seat).await
        };
        // Without it the others find out by themselves, only later.
        drop(tokio::time::timeout(GOODBYE, goodbye).await);
    }

    /// Until the next renewal; meanwhile somebody may want a running job to end.
    async fn rest_and_heed(&self, every: Duration) {
        let end = Instant::now() + every;
        let step = self.consumer().heeds_every().unwrap_or(every);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(step)).await;
            if left > step
                && let Err(error) = self.heed().await
            {
                tracing::debug!(queue = self.parts.address, %error, "nobody could be asked whether jobs are to end");
            }
        }
    }

    async fn heed(&self) -> Result<(), SystemError> {
        let claims = self.held();
        if claims.is_empty() {
            return Ok(());
        }
        let link = self.parts.wire.control().await?;
        let asked = self.consumer().asked_to_end(&link, &self.parts.seat, &claims).await?;
        for (claim, _) in claims.iter().zip(asked).filter(|(_, asked)| *asked) {
            tracing::info!(queue = self.parts.address, job = %claim.id, "somebody asked for its end");
            self.end(claim, Cause::Person);
        }
        Ok(())
    }

    async fn renew(&self, generation: &mut Option<u64>) -> Result<(), SystemError> {
        let link = self.parts.wire.control().await?;
        let claims = self.held();
        if !claims.is_empty() {
            let held = self.consumer().extend(&link, &self.parts.seat, &claims).await?;
            for (claim, _) in claims.iter().zip(held).filter(|(_, held)| !held) {
                let why = "its claim was lost: another worker has it, or somebody removed it";
                self.end(claim, Cause::Lost(why.to_owned()));
            }
        }
        let tended = self.consumer().tend(&link, &self.parts.seat).await?;
        if tended.returned > 0 {
            tracing::info!(queue = self.parts.address, jobs = tended.returned, "gave back the jobs of dead workers");
            self.changed.notify_one();
        }
        // The first answer is the generation in which this runner began.
        let known = generation.get_or_insert(tended.generation.unwrap_or_default());
        if *known != tended.generation.unwrap_or_default() {
            *known = tended.generation.unwrap_or_default();
            tracing::info!(queue = self.parts.address, "the application was restarted: programs are started anew");
            self.parts.handlers.renew();
        }
        Ok(())
    }

    /// Ends a running job, unless it has ended meanwhile.
    fn end(&self, claim: &crate::systems::consume::Claim, cause: Cause) {
        let mut state = self.state();
        let same = |slot: &&mut super::slot::Slot| slot.claim.token == claim.token && slot.claim.id == claim.id;
        if let Some(slot) = state.slots.values_mut().find(same)
            && !slot.is_storing()
        {
            slot.end(cause);
        }
    }
}
