//! What results mean by the conventions, for whoever has to know it beside a page of rows: the tally of a system that
//! counts results itself. The predicate is the one of the rows.

use std::sync::Arc;

use super::prepared::Prepared;
use crate::domain::described::{Convention, Meaning};
use crate::domain::ids::QueueId;
use crate::domain::payload::Tree;

/// The conventions that have a word about results.
#[derive(Clone, Default)]
pub struct Outcomes(Arc<[Prepared]>);

impl Outcomes {
    /// Those of these that have one.
    pub fn new(conventions: &[Convention]) -> Self {
        Self(conventions.iter().filter(|convention| !convention.outcome.is_empty()).map(Prepared::new).collect())
    }

    /// True if the results of this queue have to be looked into.
    pub fn hold_for(&self, queue: &QueueId) -> bool {
        self.0.iter().any(|convention| convention.spec.covers(queue))
    }

    /// What a result that counts as a success means; `None`: no convention has a word for it.
    pub fn meaning(&self, queue: &QueueId, result: &Tree) -> Option<Meaning> {
        let over = self.0.iter().filter(|convention| convention.spec.covers(queue));
        over.filter_map(|convention| convention.judge(result)).map(|verdict| verdict.meaning).next()
    }
}
