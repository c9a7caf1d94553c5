//! Queue addresses on the command line.

use super::failure::{Exit, Failure};
use crate::domain::address::{Resolved, resolve};
use crate::domain::ids::QueueId;
use crate::domain::problem::nearest;
use crate::domain::snapshot::Snapshot;

/// Candidates listed at most.
const LISTED: usize = 20;

/// The queue a person means.
pub fn find(text: &str, snapshot: &Snapshot) -> Result<QueueId, Failure> {
    let queues: Vec<&QueueId> = snapshot.queues().map(|(_, queue)| &queue.id).collect();
    match resolve(text, queues.iter().copied()) {
        Resolved::One(id) => Ok(id),
        Resolved::Several(candidates) => {
            let mut lines = format!("{text} is the name of several queues:");
            for id in candidates.iter().take(LISTED) {
                lines.push_str(&format!("\n  {}", exact(id, snapshot)));
            }
            if candidates.len() > LISTED {
                lines.push_str(&format!("\n  and {} more", candidates.len() - LISTED));
            }
            Err(Failure::new(Exit::Refused, lines).with_remedy("give one of these addresses"))
        }
        Resolved::Nothing => {
            let addresses: Vec<String> = queues.iter().map(|id| snapshot.address(id)).collect();
            let names: Vec<String> = queues.iter().map(|id| id.name.to_text()).collect();
            let failure = Failure::new(Exit::Refused, format!("there is no queue {text}"));
            let all = addresses.iter().chain(&names).map(String::as_str);
            Err(match nearest(text, all) {
                Some(near) => failure.with_remedy(format!("did you mean {near}? See: qtop queues")),
                None if queues.is_empty() => failure.with_remedy("no queue was found at all; see: qtop queues"),
                None => failure.with_remedy("see: qtop queues"),
            })
        }
    }
}

/// The address that leaves nothing open: the short one where that is enough.
fn exact(id: &QueueId, snapshot: &Snapshot) -> String {
    snapshot.address(id)
}
