//! What must be done before a job runs because it was taken: without it others would go wrong, so a job waits for it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::policy::Decision;
use super::pool::Pool;
use super::slot::Cause;
use super::wire::{Patience, passing};
use crate::domain::runner::Ended;
use crate::systems::SystemError;
use crate::systems::consume::{Claim, Verdict};

/// When a job for which it cannot be done is looked at again.
const AGAIN: Duration = Duration::from_secs(30);

impl Pool {
    /// Does it, however long that takes while the claim holds. Otherwise the job is not run; the error says what becomes
    /// of it, if the claim is still ours.
    pub(super) async fn prepared(
        &self,
        number: usize,
        claim: &Claim,
        cancel: &CancellationToken,
    ) -> Result<(), Option<Decision>> {
        if !self.consumer().prepares(claim) {
            return Ok(());
        }
        let mut patience = Patience::default();
        loop {
            let Err(error) = self.prepare(claim).await else { return Ok(()) };
            self.parts.wire.learn(&error).await;
            if !passing(&error) {
                tracing::warn!(queue = self.parts.address, job = %claim.id, %error, "not run: what must come first failed");
                return Err(Some(Decision {
                    verdict: Verdict::Postpone(AGAIN),
                    ended: Ended::Returned,
                    message: format!("put back: what must come before it failed: {error}"),
                }));
            }
            tracing::warn!(queue = self.parts.address, job = %claim.id, %error, "a job waits for what must come first");
            tokio::select! {
                () = tokio::time::sleep(patience.failed()) => {}
                () = cancel.cancelled() => {
                    let lost = matches!(self.cause(number), Some(Cause::Lost(_)));
                    return Err((!lost).then(|| Decision {
                        verdict: self.consumer().unbegun(),
                        ended: Ended::Returned,
                        message: "put back: it was ended before it ran".to_owned(),
                    }));
                }
            }
        }
    }

    async fn prepare(&self, claim: &Claim) -> Result<(), SystemError> {
        let link = self.parts.wire.control().await?;
        self.consumer().prepare(&link, &self.parts.seat, claim).await
    }
}
