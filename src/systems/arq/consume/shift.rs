//! What one runner remembers of its work at one queue. Nothing here is needed for safety: every step is checked again on
//! the server.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::super::blob::Serializer;
use super::listen::Ear;
use crate::domain::time::Timestamp;

/// Shortest and longest wait of an idle runner before it looks again.
const PACE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(1_300));
/// How long what was looked at counts as seen.
const FRESH: Duration = Duration::from_secs(2);
/// After so long jobs at the front of the queue are looked at again.
const FROM_THE_FRONT: Duration = Duration::from_secs(10);
/// Milliseconds by which a job may come with a time that has passed: clocks differ.
const OVERLAP: i64 = 5_000;
/// How long a job whose definition cannot be read is not tried again, and how many of them are remembered.
const UNREADABLE: (Duration, usize) = (Duration::from_secs(60), 10_000);
/// Names that are told of jobs left to others.
const NAMED: usize = 5;

/// A job that is due and that nobody had locked when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: Vec<u8>,
    /// The try its definition asks for, or 0.
    pub tries: u64,
    /// Bytes of its definition.
    pub bytes: u64,
}

/// One runner's memory.
#[derive(Debug)]
pub struct Shift {
    seen: VecDeque<Candidate>,
    seen_at: Instant,
    rank: u64,
    /// All that was due before was looked at and left: too much to be looked at again each time.
    floor: Option<Timestamp>,
    from_the_front: Instant,
    pace: Duration,
    /// What the connection on which it waits tells.
    pub(super) ear: Option<Ear>,
    unreadable: HashMap<Vec<u8>, Instant>,
    /// Jobs of requests whose answers were lost: they may be locked for nobody.
    suspects: BTreeSet<Vec<u8>>,
    /// Functions of jobs that are left to other workers, and what is wrong with others.
    left: BTreeSet<String>,
    warned: BTreeSet<String>,
    /// In what the queue's jobs are written, as last seen.
    pub serializer: Option<Serializer>,
    /// Jobs that ended well, failed, were tried again, and run now: for the sign of life.
    pub complete: u64,
    /// See there.
    pub failed: u64,
    /// See there.
    pub retried: u64,
    /// See there.
    pub ongoing: u64,
}

impl Default for Shift {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            seen: VecDeque::new(),
            seen_at: now,
            rank: 0,
            floor: None,
            from_the_front: now,
            pace: PACE.0,
            ear: None,
            unreadable: HashMap::new(),
            suspects: BTreeSet::new(),
            left: BTreeSet::new(),
            warned: BTreeSet::new(),
            serializer: None,
            complete: 0,
            failed: 0,
            retried: 0,
            ongoing: 0,
        }
    }
}

impl Shift {
    /// The next jobs to try, of at most so many bytes together, but one at least.
    pub fn next(&mut self, most: usize, bytes: u64) -> Vec<Candidate> {
        if self.seen_at.elapsed() > FRESH {
            self.seen.clear();
        }
        let mut room = bytes;
        let mut next = Vec::new();
        while next.len() < most
            && let Some(first) = self.seen.front()
            && (next.is_empty() || first.bytes <= room)
        {
            room = room.saturating_sub(first.bytes);
            next.extend(self.seen.pop_front());
        }
        next
    }

    /// What was looked at and can be taken.
    pub fn saw(&mut self, candidates: Vec<Candidate>) {
        self.seen = candidates.into();
        self.seen_at = Instant::now();
    }

    /// A request for these was not answered.
    pub fn suspect(&mut self, offered: &[Candidate]) {
        self.suspects.extend(offered.iter().map(|candidate| candidate.id.clone()));
    }

    /// Jobs of requests that were not answered.
    pub fn suspects(&self) -> Vec<Vec<u8>> {
        self.suspects.iter().cloned().collect()
    }

    /// What became of these is known.
    pub fn cleared(&mut self, suspects: &[Vec<u8>]) {
        self.suspects.retain(|id| !suspects.contains(id));
    }

    /// Puts back what was not tried.
    pub fn untried(&mut self, candidates: impl DoubleEndedIterator<Item = Candidate>) {
        for candidate in candidates.rev() {
            self.seen.push_front(candidate);
        }
    }

    /// Where to look: the score from which, and the rank behind it.
    pub fn place(&mut self) -> (Option<Timestamp>, u64) {
        if self.from_the_front.elapsed() > FROM_THE_FRONT {
            (self.floor, self.rank, self.from_the_front) = (None, 0, Instant::now());
        }
        (self.floor, self.rank)
    }

    /// Nothing could be taken of so many jobs.
    pub fn pass(&mut self, jobs: u64) {
        self.rank += jobs;
    }

    /// The end was reached at this moment, and nothing could be taken.
    pub fn swept(&mut self, now: Timestamp) {
        if self.rank > 0 {
            // What comes from now on has a later time; only what others give back has an old one.
            self.floor = Some(Timestamp(now.0 - OVERLAP));
        }
        self.rank = 0;
    }

    /// True if what is left to others must be found out anew.
    pub fn is_at_front(&self) -> bool {
        self.rank == 0 && self.floor.is_none()
    }

    /// How long to wait; longer each time until something is found.
    pub fn wait(&mut self) -> Duration {
        let wait = self.pace;
        self.pace = (self.pace * 2).min(PACE.1);
        wait
    }

    /// Nothing has changed for a while.
    pub fn calm(&mut self) {
        self.pace = PACE.0;
    }

    /// Jobs were taken.
    pub fn found(&mut self, jobs: u64) {
        self.ongoing += jobs;
        self.pace = PACE.0;
    }

    /// A job is not held any more.
    pub fn ended(&mut self) {
        self.ongoing = self.ongoing.saturating_sub(1);
    }

    /// A job's definition could not be read.
    pub fn note_unreadable(&mut self, id: &[u8]) {
        if self.unreadable.len() >= UNREADABLE.1 {
            self.unreadable.clear();
        }
        self.unreadable.insert(id.to_vec(), Instant::now());
    }

    /// Whether it could not be read a while ago.
    pub fn is_unreadable(&self, id: &[u8]) -> bool {
        self.unreadable.get(id).is_some_and(|since| since.elapsed() < UNREADABLE.0)
    }

    /// Forgets what is left to others.
    pub fn forget_left(&mut self) {
        self.left.clear();
    }

    /// Notes something that is left to others; true if it was never said before.
    pub fn leave(&mut self, what: String) -> bool {
        let new = self.warned.len() < 1_000 && self.warned.insert(what.clone());
        if self.left.len() < 100 {
            self.left.insert(what);
        }
        new
    }

    /// What is left to others, for people.
    pub fn remark(&self) -> Option<String> {
        let named: Vec<&str> = self.left.iter().take(NAMED).map(String::as_str).collect();
        let more = if self.left.len() > NAMED { ", …" } else { "" };
        (!named.is_empty()).then(|| format!("left in the queue for other workers: {}{more}", named.join(", ")))
    }
}
