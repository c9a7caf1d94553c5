//! In which state a job is. Membership in a list or set decides; nothing in the record does.

use crate::domain::state::StateId;
use crate::link::{Batch, Link, Replies, cmd};
use crate::systems::{SystemError, reply};

use super::jobs::place_from_tail;
use super::keys::Keys;
use super::state;

/// Sets that hold jobs, asked first because a look into them is cheap.
const SETS: [StateId; 5] =
    [state::COMPLETED, state::FAILED, state::DELAYED, state::PRIORITIZED, state::WAITING_CHILDREN];
/// How far `active` and `wait` are searched from their heads.
const DEPTH: u64 = 10_000;

/// Where a job is.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    /// Its state; [`state::UNKNOWN`] if nothing names it.
    pub state: StateId,
    /// Its score in a set.
    pub score: Option<f64>,
    /// What makes the answer less than certain, or special.
    pub note: Option<String>,
}

/// Looks for a job: sets first, then the lists, each to a limited depth.
pub async fn find(link: &Link, keys: &Keys, id: &[u8]) -> Result<Membership, SystemError> {
    let mut batch = Batch::new();
    for set in SETS {
        batch.ask(cmd("ZSCORE").arg(keys.key(set.0)).arg(id).to_owned());
    }
    batch.ask(cmd("LPOS").arg(keys.key("active")).arg(id).arg("MAXLEN").arg(DEPTH).to_owned());
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let mut unread = None;
    let mut next = || match replies.next() {
        Ok(value) => reply::float(value),
        Err(refused) => {
            unread.get_or_insert_with(|| format!("not certain: {refused}"));
            None
        }
    };
    let scores = SETS.map(|set| (set, next()));
    let is_active = next().is_some();
    if let Some((state, score)) = scores.into_iter().find(|(_, score)| score.is_some()) {
        return Ok(Membership { state, score, note: None });
    }
    if is_active {
        return Ok(Membership { state: state::ACTIVE, score: None, note: None });
    }

    let mut batch = Batch::new();
    for list in ["wait", "paused"] {
        batch.ask(cmd("LLEN").arg(keys.key(list)).to_owned());
        batch.ask(place_from_tail(&keys.key(list), id));
        batch.ask(cmd("LPOS").arg(keys.key(list)).arg(id).arg("MAXLEN").arg(DEPTH).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let mut too_long = false;
    for list in ["wait", "paused"] {
        let length = replies.next().ok().and_then(reply::count);
        let (from_tail, from_head) = (replies.next(), replies.next());
        let place = [from_tail, from_head].into_iter().find_map(|place| reply::count(place.ok()?));
        if let Some(place) = place {
            let ahead = length.map(|length| length.saturating_sub(place + 1));
            let note = ahead.map(|ahead| match list {
                "wait" => format!("{ahead} run before it in `wait`"),
                _ => format!("{ahead} run before it in `paused`"),
            });
            return Ok(Membership { state: state::WAITING, score: None, note });
        }
        too_long |= length.is_some_and(|length| length > 2 * DEPTH);
    }
    let note = if too_long {
        format!("in no set, and not among the first or last {DEPTH} of a longer waiting list; it may be in between")
    } else {
        unread.unwrap_or_else(|| "in no list and no set: an orphaned record, or it was just being moved".to_owned())
    };
    Ok(Membership { state: state::UNKNOWN, score: None, note: Some(note) })
}
