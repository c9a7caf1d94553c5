//! Who runs a job: the handlers of a pool, chosen by the job's name.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::handler::{Handler, Surroundings};
use super::plan::Build;
use super::policy::Terms;
use super::work::{Ending, Room, Work};
use crate::link::Remedy;

/// Something that runs jobs.
pub trait Execute: Send + Sync {
    /// Runs one attempt. Ends soon after `room.cancel`, and leaves nothing running behind.
    fn handle<'a>(&'a self, work: &'a Work, room: Room) -> BoxFuture<'a, Ending>;

    /// Starts anew what it keeps running between jobs, each after its present job.
    fn renew(&self) {}

    /// No more jobs than this come at once from now on: ends what it keeps running for more.
    fn resize(&self, most: usize) {
        let _ = most;
    }

    /// Ends what it keeps running between jobs.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl Execute for Handler {
    fn handle<'a>(&'a self, work: &'a Work, room: Room) -> BoxFuture<'a, Ending> {
        Box::pin(Handler::handle(self, work, room))
    }

    fn renew(&self) {
        Handler::renew(self);
    }

    fn resize(&self, most: usize) {
        Handler::resize(self, most);
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(Handler::close(self))
    }
}

/// Makes the handlers of the configuration.
pub fn builder(surroundings: Surroundings) -> Arc<Build> {
    Arc::new(move |config| match Handler::build(config, &surroundings) {
        Ok(handler) => Ok(Arc::new(handler) as Arc<dyn Execute>),
        Err(error) => Err((error.to_string(), error.remedy().map(std::borrow::Cow::into_owned))),
    })
}

/// One handler of a pool.
#[derive(Clone)]
pub struct Entry {
    /// True for the names it takes.
    pub takes: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// For people: pattern and what it runs.
    pub label: String,
    /// What runs the job.
    pub execute: Arc<dyn Execute>,
    /// What holds for its jobs.
    pub terms: Arc<Terms>,
}

/// The handlers of a pool in the order in which they are asked.
#[derive(Clone, Default)]
pub struct Handlers(pub Vec<Entry>);

impl Handlers {
    /// The first that takes jobs of this name.
    pub fn choose(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| (entry.takes)(name))
    }

    /// Starts anew what they keep running.
    pub fn renew(&self) {
        self.0.iter().for_each(|entry| entry.execute.renew());
    }

    /// No more jobs than this come at once from now on.
    pub fn resize(&self, most: usize) {
        self.0.iter().for_each(|entry| entry.execute.resize(most));
    }

    /// Ends what they keep running.
    pub async fn close(&self) {
        for entry in &self.0 {
            entry.execute.close().await;
        }
    }
}
