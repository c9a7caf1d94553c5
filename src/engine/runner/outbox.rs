//! Outcomes on their way to the server. While some are under way others gather, and these go together in one request
//! where the system can do that: at a high rate most of a request's cost is the request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::pool::Pool;
use crate::systems::SystemError;
use crate::systems::consume::{Claim, Outcome, Settled, Verdict};

/// Requests under way at once: while the server works on one, the answers of the other are dealt with here.
const FLIGHTS: usize = 2;
/// Bytes of results after which no more outcomes join a request: a large one would hold up the small ones.
const TOGETHER: usize = 64 * 1024;

type Stored = Result<Settled, SystemError>;

/// What has gathered.
#[derive(Default)]
pub(super) struct Outbox(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    waiting: VecDeque<Waiting>,
    flights: usize,
}

struct Waiting {
    claim: Arc<Claim>,
    verdict: Arc<Verdict>,
    next: bool,
    answer: oneshot::Sender<Stored>,
}

impl Waiting {
    fn bytes(&self) -> usize {
        match &*self.verdict {
            Verdict::Done(result) => result.as_ref().map_or(0, bytes::Bytes::len),
            Verdict::Retry { message, .. } | Verdict::Dead { message, .. } => message.len(),
            Verdict::Return | Verdict::Postpone(_) => 0,
        }
    }
}

impl Outbox {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request, if there is anything to send and not too much is under way.
    fn depart(&self, most: usize) -> Option<Vec<Waiting>> {
        let mut gathered = self.gathered();
        if gathered.flights >= FLIGHTS || gathered.waiting.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            bytes += waiting.bytes();
            bytes <= TOGETHER
        };
        let count = gathered.waiting.iter().take(most).take_while(fits).count().max(1);
        gathered.flights += 1;
        Some(gathered.waiting.drain(..count).collect())
    }
}

/// Ends a flight however it ends.
struct Landing<'a>(&'a Outbox);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.gathered().flights -= 1;
    }
}

impl Pool {
    /// Stores an outcome, together with others that are there at the same time.
    pub(super) async fn store_together(
        self: &Arc<Self>,
        claim: &Arc<Claim>,
        verdict: &Arc<Verdict>,
        next: bool,
    ) -> Stored {
        let (answer, stored) = oneshot::channel();
        let waiting = Waiting { claim: Arc::clone(claim), verdict: Arc::clone(verdict), next, answer };
        self.outbox.gathered().waiting.push_back(waiting);
        let most = self.consumer().stores_at_once();
        // A fair share of the running jobs for each flight: so the server works on one while the other is dealt with here.
        let share = self.state().slots.len().div_ceil(FLIGHTS).clamp(1, most);
        let mut before = 0;
        loop {
            let gathered = self.outbox.gathered().waiting.len();
            if gathered >= share || gathered <= before {
                break;
            }
            before = gathered;
            // Whoever is about to end comes along.
            tokio::task::yield_now().await;
        }
        match self.outbox.depart(share) {
            Some(flight) if flight.iter().any(|waiting| Arc::ptr_eq(&waiting.claim, claim)) => self.fly(flight).await,
            other => self.send_beside(other),
        }
        stored.await.unwrap_or_else(|_| Err(SystemError::BadRequest("storing the outcome was broken off".to_owned())))
    }

    /// By a task of its own: nobody whose outcome is stored waits for those of others.
    fn send_beside(self: &Arc<Self>, flight: Option<Vec<Waiting>>) {
        if let Some(flight) = flight {
            let pool = Arc::clone(self);
            let flying: BoxFuture<'static, ()> = Box::pin(async move { pool.fly(flight).await });
            tokio::spawn(flying);
        }
    }

    async fn fly(self: &Arc<Self>, flight: Vec<Waiting>) {
        let landing = Landing(&self.outbox);
        let outcomes: Vec<Outcome<'_>> = flight
            .iter()
            .map(|waiting| Outcome { claim: &waiting.claim, verdict: &waiting.verdict, next: waiting.next })
            .collect();
        let stored = async {
            let link = self.parts.wire.control().await?;
            self.consumer().settle_all(&link, &self.parts.seat, &outcomes).await
        };
        let answers = match stored.await {
            Ok(answers) => answers,
            Err(error) => outcomes.iter().map(|_| Err(error.clone())).collect(),
        };
        drop(landing);
        self.send_beside(self.outbox.depart(self.consumer().stores_at_once()));
        for (waiting, answer) in flight.into_iter().zip(answers) {
            // A slot waits until it is answered.
            drop(waiting.answer.send(answer));
        }
    }
}
