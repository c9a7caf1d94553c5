//! One piece of a change: sent once, and if the answer is lost, the truth is read back (R9). Never sent twice.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::JobId;
use crate::domain::mutation::{Mutation, Outcome, Target};
use crate::engine::Dialer;
use crate::link::{Backoff, Link, LinkError, Purpose};
use crate::systems::{System, SystemError};

/// A connection that is made again when it broke.
pub struct Desk {
    dialer: Arc<Dialer>,
    link: Option<Link>,
}

/// How long a lost connection is tried to be made again before an outcome stays unknown.
const PATIENCE: Duration = Duration::from_secs(30);

impl Desk {
    /// Nothing is connected until it is needed.
    pub fn new(dialer: Arc<Dialer>) -> Self {
        Self { dialer, link: None }
    }

    /// The connection, made now if there is none.
    pub async fn link(&mut self) -> Result<Link, LinkError> {
        if self.link.is_none() {
            self.link = Some(self.dialer.dial(Purpose::Mutate).await?);
        }
        Ok(self.link.clone().expect("the link was just made"))
    }

    /// Forgets a connection that broke.
    pub fn broken(&mut self) {
        self.link = None;
    }

    /// The connection, tried again for a while.
    async fn patiently(&mut self) -> Result<Link, LinkError> {
        let mut backoff = Backoff::default();
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.link().await {
                Ok(link) => return Ok(link),
                Err(error) if tokio::time::Instant::now() >= until => return Err(error),
                Err(_) => tokio::time::sleep(backoff.failed()).await,
            }
        }
    }
}

/// Sends one piece. An error means that nothing of it was done.
pub async fn perform(desk: &mut Desk, system: &dyn System, mutation: &Mutation) -> Result<Outcome, SystemError> {
    let link = desk.link().await?;
    match system.mutate(&link, mutation).await {
        Err(SystemError::Link(error)) if error.may_have_arrived() => {
            desk.broken();
            Ok(read_back(desk, system, mutation, &error).await)
        }
        other => other,
    }
}

/// Says what is true after the answer was lost.
async fn read_back(desk: &mut Desk, system: &dyn System, mutation: &Mutation, error: &LinkError) -> Outcome {
    let ids: &[JobId] = match &mutation.target {
        Target::Jobs { ids, .. } | Target::Schedules(ids) => ids,
        Target::Queue => std::slice::from_ref(&mutation.queue.name),
    };
    let found = match desk.patiently().await {
        Ok(link) => system.confirm(&link, mutation).await,
        Err(error) => Err(error.into()),
    };
    match found {
        Ok(found) => settle(ids, &found, error),
        Err(_) => Outcome { unknown: ids.to_vec(), ..Outcome::default() },
    }
}

fn settle(ids: &[JobId], found: &[Option<bool>], error: &LinkError) -> Outcome {
    let mut outcome = Outcome::default();
    for (index, id) in ids.iter().enumerate() {
        match found.get(index) {
            Some(Some(true)) => outcome.done.push(id.clone()),
            Some(Some(false)) => outcome.refused.push((id.clone(), format!("not done: {error}; it is as before"))),
            _ => outcome.unknown.push(id.clone()),
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r9_the_truth_is_told_as_far_as_it_is_known() {
        let error = LinkError::Lost { target: "r".to_owned(), cause: "reset".to_owned() };
        let ids: Vec<JobId> = vec!["a".into(), "b".into(), "c".into(), "d".into()];
        let outcome = settle(&ids, &[Some(false), Some(true), None], &error);
        assert_eq!(outcome.done, ["b".into()]);
        assert_eq!(outcome.refused[0].0, "a".into());
        assert_eq!(outcome.unknown, ["c".into(), "d".into()]);
    }
}
