//! The task that answers deeper reads over a connection of its own, so that a slow one never holds up a tick.
//!
//! Requests carry a slot: the newest wins, an older read of the same slot is given up.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Dialer;
use super::gather::{self, Asker};
use crate::domain::fetch::{FetchError, Fetched, Request};
use crate::domain::ids::Ticket;
use crate::domain::snapshot::Snapshot;
use crate::link::{Link, LinkError, Purpose};

/// A wish to the fetcher.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask<S> {
    /// Read something; gives up what the slot is reading.
    Fetch {
        /// Comes back with the answer.
        ticket: Ticket,
        /// Who wants it.
        slot: S,
        /// What.
        request: Request,
    },
    /// Give up what the slot is reading.
    Abandon(S),
}

/// What came of a wish.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<S> {
    /// Of the request.
    pub ticket: Ticket,
    /// Of the request.
    pub slot: S,
    /// What was read.
    pub result: Result<Fetched, FetchError>,
}

/// A connection that is made when it is needed and made again when it broke.
pub struct LazyLink {
    dial: Arc<Dialer>,
    link: Mutex<Option<Link>>,
}

impl LazyLink {
    /// Not connected yet.
    pub fn new(dial: Arc<Dialer>) -> Self {
        Self { dial, link: Mutex::new(None) }
    }

    async fn get(&self) -> Result<(Link, bool), LinkError> {
        let mut slot = self.link.lock().await;
        if let Some(link) = slot.as_ref() {
            return Ok((link.clone(), true));
        }
        let link = self.dial.dial(Purpose::Fetch).await?;
        *slot = Some(link.clone());
        Ok((link, false))
    }

    async fn drop_broken(&self) {
        *self.link.lock().await = None;
    }
}

/// Asks over a lazy connection. A connection that broke while nobody used it is replaced once, silently: reading twice
/// changes nothing.
pub async fn ask(
    lazy: &LazyLink,
    asker: &Asker,
    snapshot: &Snapshot,
    request: &Request,
) -> Result<Fetched, FetchError> {
    let mut again = true;
    loop {
        let (link, used_before) = match lazy.get().await {
            Ok(found) => found,
            Err(error) => return Err(gather::link_error(&error)),
        };
        match asker.ask(&link, snapshot, request).await {
            Ok(fetched) => return Ok(fetched),
            Err(failure) => {
                if failure.link_is_broken() {
                    lazy.drop_broken().await;
                    if again && used_before && failure.was_lost() {
                        again = false;
                        continue;
                    }
                }
                return Err(failure.into_error());
            }
        }
    }
}

/// Runs until cancelled or nobody asks any more.
pub async fn run<S>(
    lazy: Arc<LazyLink>,
    asker: Arc<Asker>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    asks: Arc<Mutex<mpsc::Receiver<Ask<S>>>>,
    answers: mpsc::Sender<Answer<S>>,
    cancel: CancellationToken,
) where
    S: Copy + Eq + Hash + Send + 'static,
{
    let mut asks = asks.lock().await;
    let mut reading: HashMap<S, AbortHandle> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    tracing::error!("bug: a deeper read panicked");
                }
            }
            wish = asks.recv() => match wish {
                None => return cancel.cancelled().await,
                Some(Ask::Abandon(slot)) => {
                    if let Some(older) = reading.remove(&slot) {
                        older.abort();
                    }
                }
                Some(Ask::Fetch { ticket, slot, request }) => {
                    let read = read(Arc::clone(&lazy), Arc::clone(&asker), snapshots.borrow().clone(), request);
                    let answers = answers.clone();
                    let task = tasks.spawn(async move {
                        let result = read.await;
                        drop(answers.send(Answer { ticket, slot, result }).await);
                    });
                    if let Some(older) = reading.insert(slot, task) {
                        older.abort();
                    }
                }
            }
        }
    }
}

/// One read in a task of its own, so that a panic in an adapter is answered like any failure.
async fn read(
    lazy: Arc<LazyLink>,
    asker: Arc<Asker>,
    snapshot: Arc<Snapshot>,
    request: Request,
) -> Result<Fetched, FetchError> {
    let mut own = JoinSet::new();
    own.spawn(async move { ask(&lazy, &asker, &snapshot, &request).await });
    match own.join_next().await {
        Some(Ok(result)) => result,
        _ => Err(FetchError {
            text: "the adapter of this system failed in a way it should not (a bug); see the log".to_owned(),
            remedy: Some("please report it with the lines of the log".to_owned()),
        }),
    }
}
