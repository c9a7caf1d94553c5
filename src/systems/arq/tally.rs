//! Results, counted by a walk in the background: ARQ keeps no index of them.
//!
//! One step of the walk in each tick; each result is read once, as far as needed to know its queue and how it ended.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::domain::ids::{JobId, Name};
use crate::domain::queue::Count;
use crate::domain::state::StateId;
use crate::domain::time::Timestamp;

use super::blob::Facts;
use super::plan::RESULT_BYTES;
use super::standing::ended_state;
use super::{keys, state};

/// Results that are remembered. What is beyond is not counted, and the counts say so.
const MOST: usize = 200_000;
/// Ticks of rest between two walks.
const REST: u64 = 2;
/// Results read in one tick: as many as there is room for, at least so many; in the first ticks more.
const EACH_TICK: usize = 2;
const FIRST_EACH_TICK: usize = 64;
const FIRST_TICKS: u64 = 50;
/// So many unread ones are a pile that was there before qtop came.
const PILE: usize = 20;
/// Results that are looked at again in one tick: a job may have run again under its id since.
const AGAIN: usize = 4;
/// Bytes of a result that are read when the first ones did not tell.
const LARGE: u64 = 1 << 20;

/// What is known of one result.
#[derive(Clone, Debug, PartialEq)]
struct Ended {
    queue: Option<Name>,
    state: Option<StateId>,
    finished: Option<Timestamp>,
}

/// Results of one queue by how they ended.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    complete: u64,
    failed: u64,
    aborted: u64,
    last: Option<Timestamp>,
}

/// The walk and what it found.
#[derive(Debug, Default)]
pub struct Tally {
    cursor: u64,
    walking: bool,
    next_walk: u64,
    met: HashSet<JobId>,
    known: HashMap<JobId, Ended>,
    unread: VecDeque<(JobId, u64)>,
    /// Those that were read, in the order in which they are looked at again.
    turn: VecDeque<JobId>,
    /// When the last walk was complete.
    as_of: Option<Timestamp>,
    sums: BTreeMap<Name, Sums>,
    overflow: bool,
    refused: bool,
    changed: bool,
}

impl Tally {
    /// The cursor of the step that is due.
    pub fn step(&self, tick: u64) -> Option<u64> {
        if self.walking {
            return Some(self.cursor);
        }
        (tick >= self.next_walk).then_some(0)
    }

    /// Results to be read now, with how many bytes of each.
    pub fn wanted(&self, room: usize, tick: u64) -> Vec<(JobId, u64)> {
        let pile = tick <= FIRST_TICKS && self.unread.len() > PILE;
        let count = if pile { FIRST_EACH_TICK } else { room.max(EACH_TICK) };
        self.unread.iter().take(count).cloned().collect()
    }

    /// Results of which it is asked now whether they are still the ones that were read.
    pub fn again(&self, room: usize) -> Vec<JobId> {
        if !self.unread.is_empty() {
            return Vec::new();
        }
        self.turn.iter().take(room.clamp(1, AGAIN)).cloned().collect()
    }

    /// Queues that results name.
    pub fn queues(&self) -> impl Iterator<Item = &Name> {
        self.sums.keys().filter(|name| !name.is_empty())
    }

    /// True if a walk was complete and everything it met was read, or can never be.
    pub fn is_settled(&self) -> bool {
        self.refused || (self.as_of.is_some() && self.unread.is_empty())
    }

    /// Takes the answer to a step.
    pub fn stepped(&mut self, answer: Option<(u64, Vec<Vec<u8>>)>, tick: u64, now: Timestamp) {
        let Some((cursor, found)) = answer else {
            self.refused = true;
            self.walking = false;
            self.next_walk = tick + 30;
            return;
        };
        if !self.walking {
            self.met.clear();
            self.overflow = false;
        }
        self.refused = false;
        for key in found {
            let Some(id) = key.strip_prefix(keys::RESULT).map(JobId::from) else { continue };
            if self.met.len() >= MOST {
                self.overflow = true;
                break;
            }
            if self.met.insert(id.clone()) && !self.known.contains_key(&id) {
                self.known.insert(id.clone(), Ended { queue: None, state: None, finished: None });
                self.unread.push_back((id, RESULT_BYTES));
            }
        }
        self.cursor = cursor;
        self.walking = cursor != 0;
        if !self.walking {
            self.next_walk = tick + 1 + REST;
            self.as_of = Some(now);
            let met = std::mem::take(&mut self.met);
            self.known.retain(|id, _| met.contains(id));
            self.unread.retain(|(id, _)| met.contains(id));
            self.turn.retain(|id| met.contains(id));
            self.changed = true;
        }
    }

    /// Takes the first bytes of a result, of which `facts` tells what they say; `None`: it could not be read.
    pub fn was_read(&mut self, id: &JobId, asked: u64, bytes: Option<&[u8]>, facts: impl FnOnce(&[u8], u64) -> Facts) {
        let at = self.unread.iter().position(|(waiting, _)| waiting == id);
        if let Some(at) = at {
            self.unread.remove(at);
        }
        let Some(bytes) = bytes else { return };
        if bytes.is_empty() {
            self.known.remove(id);
            return;
        }
        let cut = bytes.len() as u64 >= asked;
        let facts = facts(bytes, bytes.len() as u64 + u64::from(cut));
        let told = facts.success.is_some() && (facts.queue.is_some() || !cut);
        if cut && !told && asked < LARGE {
            self.unread.push_back((id.clone(), LARGE));
            return;
        }
        let queue = facts.queue.as_deref().map(Name::from);
        let ended = Ended { queue, state: ended_state(&facts), finished: facts.finished };
        self.known.insert(id.clone(), ended);
        self.turn.push_back(id.clone());
        self.changed = true;
    }

    /// Takes the last bytes of a result that was read before; `None`: it could not be read.
    pub fn seen_again(&mut self, id: &JobId, tail: Option<&[u8]>) {
        if self.turn.front() != Some(id) {
            return;
        }
        self.turn.rotate_left(1);
        let finished = |tail: &[u8]| Facts::read(b"", tail.len() as u64 + 1, tail).finished;
        let was = self.known.get(id).and_then(|ended| ended.finished);
        match tail {
            Some([]) => self.forget(id),
            Some(tail) if finished(tail).is_some_and(|now| was.is_some_and(|was| was != now)) => {
                self.turn.pop_back();
                self.unread.push_back((id.clone(), RESULT_BYTES));
            }
            _ => {}
        }
    }

    /// The result is gone: its job waits again, or it expired.
    pub fn forget(&mut self, id: &JobId) {
        if self.known.remove(id).is_some() {
            self.unread.retain(|(waiting, _)| waiting != id);
            self.turn.retain(|known| known != id);
            self.met.remove(id);
            self.changed = true;
        }
    }

    /// Brings the sums up to date, once for each tick.
    pub fn settle(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.sum();
        }
    }

    /// Adds up by queue. A few hundred thousand entries take some milliseconds, once for each tick that read something.
    fn sum(&mut self) {
        let mut sums: BTreeMap<Name, Sums> = BTreeMap::new();
        for ended in self.known.values() {
            let Some(state) = ended.state else { continue };
            // Older versions write no queue: those are summed under no name.
            let sums = sums.entry(ended.queue.clone().unwrap_or_default()).or_default();
            match state {
                state::COMPLETE => sums.complete += 1,
                state::ABORTED => sums.aborted += 1,
                _ => sums.failed += 1,
            }
            sums.last = sums.last.max(ended.finished);
        }
        self.sums = sums;
    }

    /// How many results of a queue ended so. `alone`: there is no other, so that results without a name are its own.
    pub fn count(&self, queue: &Name, state: StateId, alone: bool) -> Count {
        let mut sums = self.sums.get(queue).copied().unwrap_or_default();
        if let Some(nameless) = self.sums.get(&Name::default()).filter(|_| alone) {
            sums.complete += nameless.complete;
            sums.failed += nameless.failed;
            sums.aborted += nameless.aborted;
        }
        let value = match state {
            state::COMPLETE => sums.complete,
            state::ABORTED => sums.aborted,
            _ => sums.failed,
        };
        match self.as_of {
            Some(as_of) if self.unread.is_empty() && !self.overflow => Count::Approx { value, as_of },
            _ if value > 0 => Count::AtLeast(value),
            _ => Count::Unknown,
        }
    }

    /// When a job of a queue last ended, among those that keep a result.
    pub fn last(&self, queue: &Name) -> Option<Timestamp> {
        self.sums.get(queue).and_then(|sums| sums.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A result as JSON that ended at a moment, and its last bytes.
    fn result(success: bool, ended: i64) -> Vec<u8> {
        let text = format!(
            r#"{{"t":1,"f":"send","a":[],"k":{{}},"et":1,"s":{success},"r":"x","st":{ended},"ft":{ended},"q":"q","id":"7"}}"#
        );
        text.into_bytes()
    }

    fn read(tally: &mut Tally, id: &JobId, bytes: &[u8]) {
        tally.was_read(id, RESULT_BYTES, Some(bytes), |head, total| Facts::read(head, total, b""));
        tally.settle();
    }

    fn counts(tally: &Tally) -> [Count; 2] {
        [state::COMPLETE, state::FAILED].map(|of| tally.count(&Name::from("q"), of, true))
    }

    #[test]
    fn a_job_that_ran_again_under_its_id_is_counted_as_what_it_is_now() {
        let (mut tally, now, id) = (Tally::default(), Timestamp(9), JobId::from("7"));
        let walked = || Some((0, vec![b"arq:result:7".to_vec()]));
        let exactly = |value| Count::Approx { value, as_of: now };
        tally.stepped(walked(), 1, now);
        assert_eq!(tally.wanted(2, 1), [(id.clone(), RESULT_BYTES)]);
        read(&mut tally, &id, &result(false, 100));
        assert_eq!(counts(&tally), [exactly(0), exactly(1)]);
        assert_eq!(tally.again(3), std::slice::from_ref(&id));
        tally.seen_again(&id, Some(&result(false, 100)[20..]));
        assert!(tally.wanted(2, 2).is_empty(), "it is still the same");
        tally.seen_again(&id, Some(&result(true, 200)[20..]));
        assert_eq!(tally.wanted(2, 2), [(id.clone(), RESULT_BYTES)]);
        read(&mut tally, &id, &result(true, 200));
        assert_eq!(counts(&tally), [exactly(1), exactly(0)]);
        tally.forget(&id);
        tally.settle();
        assert_eq!(counts(&tally), [exactly(0), exactly(0)], "it waits again");
        tally.stepped(walked(), 2, now);
        assert_eq!(tally.wanted(2, 2), [(id, RESULT_BYTES)], "and is read when it has ended");
    }
}
