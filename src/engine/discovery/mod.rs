//! Finding queues: one shared, bounded walk over the keyspace for all systems.
//!
//! Says which SCAN to send next and reads the replies; it sends nothing itself. The first walk is made as fast as
//! politeness allows and in parts asked for at the same time; later ones go along with the ticks, one step each. A walk
//! looks for queues first; the passes that only make offers follow when all queues are known, and have time.

mod pacer;
mod partition;
mod passes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::pacer::Pacer;
use self::partition::Part;
use self::passes::Passes;
use super::scope::Scope;
use super::{Limits, Systems};
use crate::domain::ids::{Name, QueueId};
use crate::domain::snapshot::{DiscoveryProgress, Offer};
use crate::link::{Cmd, CommandError, Reply, Value};
use crate::systems::{ScanPass, Sighting};

/// A call should take the server about this long; well under the millisecond of P10.
const CALL_TARGET: Duration = Duration::from_micros(500);
/// Server time of one looked-at key before anything was measured; generous.
const ASSUMED_KEY_MICROS: f64 = 0.6;
/// The first walk is to have met every queue in this time, because somebody waits for it: five seconds from the start
/// to the last queue on the screen, less what connecting and a refresh take over a slow link.
const IN_TIME: Duration = Duration::from_secs(4);
/// Share of the server's time the first search for queues may take to be in time. A key costs 0.5 to 0.8 µs and pass:
/// up to about 150,000 keys the 5 % of P10 are enough for that. With 500,000 keys and the two passes of BullMQ and of
/// streams it takes some 16 %, for those 4 s; with more keys it takes longer instead. Everything after it, the passes
/// that only make offers included, keeps to the configured share.
const FIRST_SHARE: f64 = 0.25;
/// Calls of the first walk that may be under way at the same time.
const IN_FLIGHT: usize = 64;
/// Keys offered to a person at most.
const OFFERS: usize = 200;
/// Rest between two walks, at least and at most. In between it grows with the number of keys.
const REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(180));

/// One SCAN to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    index: usize,
    walk: u64,
    pass: ScanPass,
    cursor: u64,
    count: u64,
}

impl Call {
    /// The command.
    pub fn command(&self) -> Cmd {
        let mut command = crate::link::cmd("SCAN");
        command.arg(self.cursor).arg("MATCH").arg(self.pass.pattern).arg("COUNT").arg(self.count);
        if let Some(kind) = self.pass.kind {
            command.arg("TYPE").arg(kind);
        }
        command
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Idle,
    Asked,
    Done,
}

struct Piece {
    pass: ScanPass,
    part: Part,
    progress: Progress,
}

/// What a finished walk or a step of it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Found {
    /// Queues were found that were not known.
    pub new: bool,
    /// The walk is done: what it did not meet is gone.
    pub walk_done: bool,
}

/// The state of the search.
pub struct Discovery {
    systems: Systems,
    scope: Scope,
    share: f64,
    passes: Passes,
    pieces: Vec<Piece>,
    walk: u64,
    /// The pieces under way only make offers.
    offering: bool,
    /// The keyspace is split in 2^bits parts for this walk.
    bits: u32,
    fast: bool,
    finished: u64,
    next_walk: Option<Instant>,
    met: BTreeSet<QueueId>,
    known: BTreeSet<QueueId>,
    offers: BTreeMap<Name, Offer>,
    keys: Option<u64>,
    splits: bool,
    key_micros: f64,
    refused: Option<CommandError>,
    refused_now: Option<CommandError>,
}

impl Discovery {
    /// `known`: queues from the configuration or an earlier run; they are verified by the first walk.
    pub fn new(systems: Systems, scope: Scope, limits: Limits, known: impl IntoIterator<Item = QueueId>) -> Self {
        let passes = if limits.scan && scope.exact(&systems).is_none() {
            Passes::of(systems.iter().filter(|system| scope.admits_system(system.spec().name)))
        } else {
            Passes::default()
        };
        let mut discovery = Self {
            known: BTreeSet::new(),
            scope,
            share: limits.scan_share,
            passes,
            pieces: Vec::new(),
            walk: 0,
            offering: false,
            bits: 0,
            fast: false,
            finished: 0,
            next_walk: None,
            met: BTreeSet::new(),
            offers: BTreeMap::new(),
            keys: None,
            splits: false,
            key_micros: ASSUMED_KEY_MICROS,
            refused: None,
            refused_now: None,
            systems,
        };
        let known: Vec<QueueId> = known.into_iter().chain(discovery.lasting()).collect();
        discovery.known = known.into_iter().filter(|id| discovery.scope.admits_sighting(id)).collect();
        discovery
    }

    /// Queues that are there whatever a walk meets: described ones and those named exactly.
    fn lasting(&self) -> Vec<QueueId> {
        let exact = self.scope.exact(&self.systems).unwrap_or_default();
        self.systems
            .iter()
            .flat_map(|system| system.described())
            .chain(exact)
            .filter(|id| self.scope.admits_sighting(id))
            .collect()
    }

    /// Takes in queues that a system has come to know without a walk since.
    pub fn welcome(&mut self) {
        let lasting = self.lasting();
        self.known.extend(lasting);
    }

    /// Takes in a queue of which somebody else says that it is there now. The walk that is under way may have passed its
    /// keys before; the next one has to meet it. True if it was not known.
    pub fn announce(&mut self, id: &QueueId) -> bool {
        if !self.scope.admits_sighting(id) {
            return false;
        }
        self.met.insert(id.clone());
        self.known.insert(id.clone())
    }

    /// Which queues are wanted.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Every queue known now.
    pub fn known(&self) -> &BTreeSet<QueueId> {
        &self.known
    }

    /// Learns what the server said about itself: `keys` in the database, and whether its cursors can be split.
    pub fn describe_server(&mut self, keys: Option<u64>, product: Option<&str>, mode: Option<&str>) {
        self.keys = keys.or(self.keys);
        self.splits = matches!(product, Some("redis" | "valkey")) && matches!(mode, Some("standalone" | "sentinel"));
    }

    /// Learns what looking at one key costs the server, from its own statistics.
    pub fn calibrate(&mut self, scan_calls: u64, scan_time: Duration, keys_asked: u64) {
        if scan_calls >= 4 && keys_asked > 0 {
            let measured = scan_time.as_micros() as f64 / keys_asked as f64;
            // A small keyspace ends calls early and makes keys look free.
            self.key_micros = measured.clamp(0.05, 20.0);
        }
    }

    /// Begins a walk at once, as fast as politeness allows. Nothing is forgotten before it has ended.
    pub fn start_fast(&mut self) {
        let keys = self.keys.unwrap_or(0);
        let per_piece = 4 * self.count().max(1);
        let bits = if self.splits { (keys / per_piece).max(1).ilog2().min(6) } else { 0 };
        self.start(bits);
        self.fast = true;
    }

    fn start(&mut self, bits: u32) {
        self.met.clear();
        self.refused_now = None;
        self.next_walk = None;
        self.bits = bits;
        self.offering = false;
        self.lay_out();
        if self.pieces.is_empty() {
            self.finished += 1;
        }
    }

    /// Makes the pieces of what is to be looked through now.
    fn lay_out(&mut self) {
        self.walk += 1;
        let passes = if self.offering { &self.passes.offers } else { &self.passes.queues };
        let parts = |pass: &ScanPass| {
            let pass = *pass;
            Part::split(self.bits).into_iter().map(move |part| Piece { pass, part, progress: Progress::Idle })
        };
        self.pieces = passes.iter().flat_map(parts).collect();
    }

    /// True while a fast walk is under way.
    pub fn is_fast(&self) -> bool {
        self.fast && !self.pieces.is_empty()
    }

    /// True once the whole keyspace has been looked at, or nothing needs to be.
    pub fn is_complete(&self) -> bool {
        self.finished > 0
    }

    /// Walks that were finished.
    pub fn passes(&self) -> u64 {
        self.finished
    }

    /// Pause between two calls of a fast walk.
    pub fn gap(&self) -> Duration {
        Duration::from_secs_f64(self.count() as f64 * self.key_micros / 1e6 / self.share_now())
    }

    /// Spreads the calls of a fast walk that begins now.
    pub fn pacer(&self, now: Instant) -> Pacer {
        Pacer::new(now, self.share_now())
    }

    /// Share of the server's time that may go into searching now.
    fn share_now(&self) -> f64 {
        let usual = self.share.clamp(0.001, 1.0);
        if self.is_complete() || self.offering {
            return usual;
        }
        let effort = self.keys.unwrap_or(0) as f64 * self.passes.queues.len() as f64 * self.key_micros / 1e6;
        (effort / IN_TIME.as_secs_f64()).min(FIRST_SHARE).max(usual)
    }

    /// Keys one call looks at.
    fn count(&self) -> u64 {
        (CALL_TARGET.as_micros() as f64 / self.key_micros).clamp(100.0, 2000.0) as u64
    }

    /// True if a call of a fast walk could be sent now.
    pub fn can_go_fast(&self) -> bool {
        let asked = self.pieces.iter().filter(|piece| piece.progress == Progress::Asked).count();
        self.fast && asked < IN_FLIGHT && self.pieces.iter().any(|piece| piece.progress == Progress::Idle)
    }

    /// The next call of a fast walk, if one may be sent now.
    pub fn next_fast(&mut self) -> Option<Call> {
        if self.can_go_fast() { self.next() } else { None }
    }

    /// The step that goes along with a tick, if a walk is under way or due: one call, or of a keyspace so small that
    /// several passes over it together look at no more keys than one call may, all of those.
    pub fn next_slow(&mut self, now: Instant) -> Vec<Call> {
        let mut step = Vec::new();
        if self.fast {
            return step;
        }
        // The very first tick takes a step along, too: what it meets is on the screen one round trip earlier.
        let due = self.next_walk.is_none_or(|due| now >= due);
        if self.pieces.is_empty() && due && !self.passes.queues.is_empty() {
            self.start(0);
        }
        if self.pieces.iter().any(|piece| piece.progress == Progress::Asked) {
            return step;
        }
        let keys = self.keys.unwrap_or(u64::MAX).max(1);
        let mut left = self.count();
        while step.is_empty() || left >= keys {
            let Some(call) = self.next() else { break };
            left = left.saturating_sub(keys);
            step.push(call);
        }
        step
    }

    fn next(&mut self) -> Option<Call> {
        let count = self.count();
        let index = self.pieces.iter().position(|piece| piece.progress == Progress::Idle)?;
        let piece = &mut self.pieces[index];
        piece.progress = Progress::Asked;
        Some(Call { index, walk: self.walk, pass: piece.pass, cursor: piece.part.cursor(), count })
    }

    /// Number of keys a call asked the server to look at.
    pub fn keys_asked(call: &Call) -> u64 {
        call.count
    }

    /// Takes the reply to a call. A refused SCAN ends its part; the next walk tries again.
    pub fn answer(&mut self, call: Call, reply: &Reply, now: Instant) -> Found {
        if call.walk != self.walk {
            return Found::default();
        }
        let mut found = Found::default();
        let done = match reply {
            Ok(value) => match scan_reply(value) {
                Some((cursor, keys)) => {
                    for key in keys {
                        found.new |= self.meet(key, &call.pass);
                    }
                    self.pieces[call.index].part.advance(cursor)
                }
                None => {
                    self.refused_now = Some(CommandError::Missing);
                    true
                }
            },
            Err(error) => {
                self.refused_now = Some(error.clone());
                true
            }
        };
        self.pieces[call.index].progress = if done { Progress::Done } else { Progress::Idle };
        if self.pieces.iter().all(|piece| piece.progress == Progress::Done) {
            found.walk_done = !self.offering;
            self.finish(now);
        }
        found
    }

    /// The connection broke: calls under way will not be answered.
    pub fn interrupted(&mut self) {
        for piece in &mut self.pieces {
            if piece.progress == Progress::Asked {
                piece.progress = Progress::Idle;
            }
        }
    }

    /// Shows a key to the systems that asked for this pass. To others it would look like something it is not: the type
    /// of a key is known by the pass alone.
    fn meet(&mut self, key: &[u8], pass: &ScanPass) -> bool {
        let mut new = false;
        let systems = Arc::clone(&self.systems);
        for system in systems.iter().filter(|system| passes::concerns(pass, system.spec().scans, key)) {
            match system.recognise(key) {
                Some(Sighting::Queue(id)) if self.scope.admits_sighting(&id) => {
                    self.met.insert(id.clone());
                    new |= self.known.insert(id);
                }
                Some(Sighting::Offer(offer)) if self.offers.len() < OFFERS && self.scope.admits_key(&offer.key) => {
                    self.offers.insert(offer.key.clone(), offer);
                }
                _ => {}
            }
        }
        new
    }

    fn finish(&mut self, now: Instant) {
        self.pieces.clear();
        if !std::mem::replace(&mut self.offering, true) {
            self.finished += 1;
            self.refused = self.refused_now.take();
            if self.refused.is_none() {
                let lasting = self.lasting();
                self.known = std::mem::take(&mut self.met);
                self.known.extend(lasting);
                self.lay_out();
            }
        }
        if self.pieces.is_empty() {
            self.fast = false;
            let effort = Duration::from_secs_f64(self.keys.unwrap_or(0) as f64 * self.key_micros / 1e3);
            self.next_walk = Some(now + effort.clamp(REST.0, REST.1));
        }
    }

    /// Why the keyspace could not be searched, if it could not.
    pub fn refused(&self) -> Option<&CommandError> {
        self.refused.as_ref()
    }

    /// How far it has come.
    pub fn progress(&self) -> DiscoveryProgress {
        let share = match self.pieces.len() {
            _ if self.offering => 1.0,
            0 if self.finished > 0 => 1.0,
            0 => 0.0,
            all => {
                let done = |piece: &Piece| if piece.progress == Progress::Done { 1.0 } else { piece.part.share() };
                self.pieces.iter().map(done).sum::<f64>() / all as f64
            }
        };
        DiscoveryProgress {
            passes: self.finished,
            share,
            scanned: (share * self.keys.unwrap_or(0) as f64) as u64,
            offers: self.offers.values().cloned().collect(),
        }
    }
}

/// Cursor and keys of a SCAN reply.
fn scan_reply(value: &Value) -> Option<(u64, Vec<&[u8]>)> {
    let Value::Array(parts) = value else { return None };
    let [cursor, keys] = parts.as_slice() else { return None };
    let cursor = match cursor {
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        Value::SimpleString(text) => text.parse().ok()?,
        Value::Int(number) => u64::try_from(*number).ok()?,
        _ => return None,
    };
    let Value::Array(keys) = keys else { return None };
    let keys = keys.iter().filter_map(|key| if let Value::BulkString(key) = key { Some(key.as_slice()) } else { None });
    Some((cursor, keys.collect()))
}
