//! In which state a job is. Membership in a list or set decides; nothing in the record does.

use crate::domain::state::StateId;
use crate::domain::text;
use crate::link::{Batch, Link, Replies, cmd};
use crate::systems::{SystemError, reply};

use super::jobs::place_from_tail;
use super::keys::Keys;
use super::state;

/// Sets that hold jobs, asked first because a look into them is cheap.
const SETS: [StateId; 5] =
    [state::COMPLETED, state::FAILED, state::DELAYED, state::PRIORITIZED, state::WAITING_CHILDREN];
/// How far lists are searched from each end, first and, if they are longer, once more (1 to 2 ms for an end).
const DEPTH: u64 = 10_000;
const FAR: u64 = 50_000;

/// Where a job is.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    /// Its state; [`state::UNKNOWN`] if nothing names it.
    pub state: StateId,
    /// Its score in a set.
    pub score: Option<f64>,
    /// A list or set names it; else the state is a guess.
    pub certain: bool,
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
        return Ok(Membership { state, score, certain: true, note: None });
    }
    if is_active {
        return Ok(Membership { state: state::ACTIVE, score: None, certain: true, note: None });
    }

    let mut longest = 0;
    for depth in [DEPTH, FAR] {
        let (place, length) = look_into_lists(link, keys, id, depth).await?;
        longest = length;
        if let Some(note) = place {
            return Ok(Membership { state: state::WAITING, score: None, certain: true, note: Some(note) });
        }
        if longest <= 2 * depth {
            break;
        }
    }
    if longest > 2 * FAR {
        let note = format!(
            "taken to wait: no set names it, and only the first and last {} of {} waiting jobs were searched",
            text::count(FAR),
            text::count(longest)
        );
        return Ok(Membership { state: state::WAITING, score: None, certain: false, note: Some(note) });
    }
    let note =
        unread.unwrap_or_else(|| "in no list and no set: an orphaned record, or it was just being moved".to_owned());
    Ok(Membership { state: state::UNKNOWN, score: None, certain: false, note: Some(note) })
}

/// Searches both ends of `wait` and `paused` to a depth. Answers the place in words, and the length of the longer list.
async fn look_into_lists(
    link: &Link,
    keys: &Keys,
    id: &[u8],
    depth: u64,
) -> Result<(Option<String>, u64), SystemError> {
    let mut batch = Batch::new();
    for list in ["wait", "paused"] {
        batch.ask(cmd("LLEN").arg(keys.key(list)).to_owned());
        batch.ask(place_from_tail(&keys.key(list), id, depth));
        batch.ask(cmd("LPOS").arg(keys.key(list)).arg(id).arg("MAXLEN").arg(depth).to_owned());
    }
    let replies = link.send(&batch).await?;
    let mut replies = Replies::new(&replies);
    let (mut found, mut longest) = (None, 0);
    for list in ["wait", "paused"] {
        let length = replies.next().ok().and_then(reply::count).unwrap_or(0);
        let (from_tail, from_head) = (replies.next(), replies.next());
        let place = [from_tail, from_head].into_iter().find_map(|place| reply::count(place.ok()?));
        let words = place.map(|place| format!("{} run before it in `{list}`", length.saturating_sub(place + 1)));
        found = found.or(words);
        longest = longest.max(length);
    }
    Ok((found, longest))
}
