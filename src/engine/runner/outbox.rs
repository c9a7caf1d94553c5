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

    /// The next request, if there is anything to send and not too much is under way. With nothing under way half of the
    /// running jobs are enough, so that two requests take turns; the second waits until all have `come`.
    fn depart(&self, half: usize, most: usize, come: bool) -> Option<Vec<Waiting>> {
        let mut gathered = self.gathered();
        let most = match gathered.flights {
            0 if gathered.waiting.len() >= half => half,
            flights if flights < FLIGHTS && come => most,
            _ => return None,
        };
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            bytes += waiting.bytes();
            bytes <= TOGETHER
        };
        let fitting = gathered.waiting.iter().take(most).take_while(fits).count();
        let count = fitting.max(1).min(gathered.waiting.len());
        let flight: Vec<Waiting> = gathered.waiting.drain(..count).collect();
        gathered.flights += usize::from(count > 0);
        Some(flight).filter(|flight| !flight.is_empty())
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
        match self.gather().await {
            Some(flight) if flight.iter().any(|waiting| Arc::ptr_eq(&waiting.claim, claim)) => self.fly(flight).await,
            Some(flight) => self.fly_beside(Some(flight)),
            None => {}
        }
        stored.await.unwrap_or_else(|_| Err(SystemError::BadRequest("storing the outcome was broken off".to_owned())))
    }

    /// What is to be sent now, if anything: lets the other tasks run as long as outcomes come of it.
    async fn gather(&self) -> Option<Vec<Waiting>> {
        let most = self.consumer().stores_at_once();
        let half = self.state().slots.len().div_ceil(FLIGHTS).clamp(1, most);
        let mut before = 0;
        loop {
            let count = self.outbox.gathered().waiting.len();
            let come = count <= before || count >= most;
            let flight = self.outbox.depart(half, most, come);
            if come || flight.is_some() {
                return flight;
            }
            before = count;
            tokio::task::yield_now().await;
        }
    }

    /// By a task of its own, since nobody whose outcome is stored waits for those of others: this flight, or what there
    /// is by then.
    fn fly_beside(self: &Arc<Self>, flight: Option<Vec<Waiting>>) {
        let pool = Arc::clone(self);
        let flying: BoxFuture<'static, ()> = Box::pin(async move {
            let flight = match flight {
                Some(flight) => Some(flight),
                None => pool.gather().await,
            };
            if let Some(flight) = flight {
                pool.fly(flight).await;
            }
        });
        tokio::spawn(flying);
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
        for (waiting, answer) in flight.into_iter().zip(answers) {
            // A slot waits until it is answered.
            drop(waiting.answer.send(answer));
        }
        if !self.outbox.gathered().waiting.is_empty() {
            self.fly_beside(None);
        }
    }
}
