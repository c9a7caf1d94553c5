//! One piece of a change: sent once, and if the answer is lost, the truth is read back (R9). Never sent twice.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::JobId;
use crate::domain::mutation::{Mutation, Outcome, Target, Verb};
use crate::domain::state::StateId;
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

/// Says what is true of each id after the answer was lost.
async fn read_back(desk: &mut Desk, system: &dyn System, mutation: &Mutation, error: &LinkError) -> Outcome {
    let Target::Jobs { state, ids } = &mutation.target else {
        return Outcome { unknown: vec![mutation.queue.name.clone()], ..Outcome::default() };
    };
    let found = match desk.patiently().await {
        Ok(link) => system.locate(&link, &mutation.queue, ids).await,
        Err(error) => Err(error.into()),
    };
    match found {
        Ok(found) => settle(ids, *state, mutation.change.verb(), &found, error),
        Err(_) => Outcome { unknown: ids.clone(), ..Outcome::default() },
    }
}

/// A job that left the state it was seen in was changed; one that is still there was not.
///
/// Changes that leave a job in its state (a new delay, a new priority, an edit) cannot be told this way and stay
/// unknown.
fn settle(ids: &[JobId], was: StateId, verb: Verb, found: &[Option<StateId>], error: &LinkError) -> Outcome {
    let stays = matches!(verb, Verb::Delay | Verb::Prioritize | Verb::Edit | Verb::Duplicate | Verb::Claim);
    let mut outcome = Outcome::default();
    for (id, state) in ids.iter().zip(found) {
        match state {
            _ if stays => outcome.unknown.push(id.clone()),
            Some(state) if *state == was => {
                outcome.refused.push((id.clone(), format!("not done: {error}; it is {was} as before")));
            }
            _ => outcome.done.push(id.clone()),
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r9_the_truth_is_told_by_where_a_job_is() {
        let error = LinkError::Lost { target: "r".to_owned(), cause: "reset".to_owned() };
        let failed = StateId("failed");
        let ids: Vec<JobId> = vec!["a".into(), "b".into(), "c".into()];
        let found = [Some(failed), Some(StateId("waiting")), None];
        let outcome = settle(&ids, failed, Verb::Retry, &found, &error);
        assert_eq!(outcome.done, ["b".into(), "c".into()]);
        assert_eq!(outcome.refused.len(), 1);
        assert!(outcome.unknown.is_empty());
        // A new delay leaves no trace in the state.
        assert_eq!(settle(&ids, failed, Verb::Delay, &found, &error).unknown, ids);
    }
}
