//! Reading a tick's replies about the described lists.

use std::time::Duration;

use bytes::Bytes;

use super::facts::{Source, document};
use super::memo::{Beat, Find, Head, ListMemo, QueueMemo};
use super::plan::{Ask, PROCESSING_LISTS, Total};
use super::{DEAD, DELAYED, PROCESSING, STATES, WAITING, beat};
use crate::domain::described::{HeartbeatKind, ItemKind, ListSpec, TimeUnit};
use crate::domain::ids::QueueId;
use crate::domain::queue::{Count, Oldest, QueueSample, Severity, Warning, WorkerCount};
use crate::domain::time::Timestamp;
use crate::domain::worker::Liveness;
use crate::link::{CommandError, Replies, Value};
use crate::systems::{ReadError, reply};

/// Pause between two walks for the same glob.
const REST: Duration = Duration::from_secs(30);

/// Reads one step of a walk.
pub fn read_scan(ask: &Ask<'_>, reply: Result<&Value, CommandError>, memo: &mut ListMemo, now: Timestamp) {
    let Ask::Scan { pattern, .. } = ask else { return };
    let find = memo.finds.entry((*pattern).to_owned()).or_default();
    match reply.ok().and_then(reply::scan) {
        Some((cursor, keys)) => find.step(cursor, keys, now, REST),
        // Refused: the keys stay unknown, and asking again at once would not help.
        None => *find = Find { due: now.plus(REST), ..Find::default() },
    }
}

/// What the questions about one queue were and what is added up from the answers.
struct Reader<'a> {
    spec: &'a ListSpec,
    sample: QueueSample,
    tick: u64,
    now: Timestamp,
    waiting: Count,
    processing: Count,
    dead: Count,
    /// Age at the consuming end of each list that is not empty.
    oldest: Vec<Option<Timestamp>>,
    length: u64,
    ttl: Option<i64>,
}

/// Reads the replies to [`super::plan::questions`].
pub fn read_queue(
    spec: &ListSpec,
    id: QueueId,
    asks: &[Ask<'_>],
    replies: &mut Replies<'_>,
    memo: &mut ListMemo,
    (tick, now): (u64, Timestamp),
) -> Result<QueueSample, ReadError> {
    let mut queue = memo.queues.remove(&spec.name).unwrap_or_default();
    let sample = QueueSample::unknown(id, STATES);
    let mut reader = Reader {
        spec,
        sample,
        tick,
        now,
        waiting: Count::Exact(0),
        processing: Count::Exact(0),
        dead: Count::Exact(0),
        oldest: Vec::new(),
        length: 0,
        ttl: None,
    };
    for ask in asks {
        let reply = replies.next();
        if matches!(reply, Err(CommandError::Missing)) {
            memo.queues.insert(spec.name.clone(), queue);
            return Err(CommandError::Missing.into());
        }
        reader.take(ask, reply, &mut queue);
    }
    reader.finish(&mut queue, memo);
    let sample = reader.sample;
    memo.queues.insert(spec.name.clone(), queue);
    Ok(sample)
}

impl Reader<'_> {
    fn take(&mut self, ask: &Ask<'_>, reply: Result<&Value, CommandError>, queue: &mut QueueMemo) {
        let tick = self.tick;
        match ask {
            Ask::Scan { .. } => {}
            Ask::Waiting(key) => {
                let count = self.length(key.as_bytes(), "list", reply);
                self.length = count.value().unwrap_or(0);
                self.waiting = self.waiting.plus(count);
                if self.length > 0 {
                    let known = queue.heads.get(*key).and_then(|head| head.moment);
                    self.oldest.push(known);
                } else if let Some(head) = queue.heads.get_mut(*key) {
                    (head.moment, head.id) = (None, None);
                }
            }
            Ask::Processing(key) => self.processing = self.processing.plus(self.length(key, "list", reply)),
            Ask::Dead(key) => self.dead = self.dead.plus(self.length(key.as_bytes(), "list", reply)),
            Ask::DeadMembers(key) => {
                self.dead = self.dead.plus(self.length(key.as_bytes(), "sorted set", reply));
            }
            Ask::Delayed(key) => {
                let count = self.length(key.as_bytes(), "sorted set", reply);
                self.sample.set_count(DELAYED, count);
            }
            Ask::Overdue(..) => self.sample.overdue = reply.ok().and_then(reply::count),
            Ask::ItemSize(key) => {
                let bytes = reply.ok().and_then(reply::count).unwrap_or(0) / self.length.max(1);
                queue.heads.entry((*key).to_owned()).or_default().look.expect(bytes, tick);
            }
            Ask::MemberSize(_) => {
                let members = self.sample.count(DELAYED).value().unwrap_or(0).max(1);
                queue.first_due.look.expect(reply.ok().and_then(reply::count).unwrap_or(0) / members, tick);
            }
            Ask::Head(key, _) => {
                let head = queue.heads.entry((*key).to_owned()).or_default();
                self.head(head, reply.ok());
            }
            Ask::FirstDue(_) => {
                let members = reply.ok().and_then(reply::scored_sized).unwrap_or_default();
                let first = members.first();
                queue.first_due.look.was_read(first.map_or(0, |(_, total, _)| *total), tick);
                queue.first_due.moment = first.and_then(|(.., score)| due(self.spec, *score));
            }
            Ask::HeadRecord { list, fields, .. } => {
                let created = reply.ok().and_then(|value| self.record_created(value, fields.as_deref()));
                if let Some(head) = queue.heads.get_mut(*list) {
                    head.moment = created;
                }
                if let Some(last) = self.oldest.last_mut().filter(|_| self.length > 0) {
                    *last = created;
                }
            }
            Ask::Paused(_) => {
                let wanted = self.spec.pause.as_ref().and_then(|pause| pause.value.as_deref());
                self.sample.conditions.paused =
                    reply.ok().and_then(reply::bytes).map(|value| Some(value) == wanted.map(str::as_bytes));
            }
            Ask::PausedAtAll(_) => {
                self.sample.conditions.paused = reply.ok().and_then(reply::count).map(|keys| keys > 0);
            }
            Ask::Counter(total, _) => {
                let value = reply.ok().and_then(reply::count);
                match total {
                    Total::Added => self.sample.totals.added = value,
                    Total::Finished => self.sample.totals.finished = value,
                    Total::Failed => self.sample.totals.failed = value,
                }
            }
            Ask::BeatTtl(heartbeat, key) => {
                self.ttl = reply.ok().and_then(reply::int);
                if heartbeat.kind == HeartbeatKind::Presence {
                    self.beat(heartbeat, key, None, queue);
                }
            }
            Ask::BeatValue(heartbeat, key) => self.beat(heartbeat, key, reply.ok(), queue),
        }
    }

    /// A length; a key of another type makes the queue's error.
    fn length(&mut self, key: &[u8], wanted: &str, reply: Result<&Value, CommandError>) -> Count {
        match reply {
            Ok(value) => reply::count(value).map_or(Count::Unknown, Count::Exact),
            Err(error) => {
                let key = String::from_utf8_lossy(key);
                let hint = match &error {
                    CommandError::Refused { code, .. } if code == "WRONGTYPE" => {
                        format!("the key is no {wanted}; correct it in the description of {}", self.spec.name)
                    }
                    _ => error.to_string(),
                };
                self.sample.error.get_or_insert_with(|| format!("cannot count {key}: {hint}"));
                Count::Unknown
            }
        }
    }

    fn head(&mut self, head: &mut Head, reply: Option<&Value>) {
        let item = reply.and_then(reply::sized);
        head.look.was_read(item.map_or(0, |(_, total)| total), self.tick);
        match (self.spec.item, item) {
            (ItemKind::Id, Some((id, _))) => {
                if head.id.as_deref() != Some(id) {
                    head.id = Some(id.to_vec());
                    head.moment = None;
                }
            }
            (ItemKind::Json, Some((bytes, total))) => {
                head.moment = document(&Bytes::copy_from_slice(bytes), total)
                    .and_then(|tree| Source::Document(&tree).moment(&self.spec.fields.created));
            }
            _ => head.moment = None,
        }
        if let Some(last) = self.oldest.last_mut().filter(|_| self.length > 0) {
            *last = head.moment;
        }
    }

    fn record_created(&self, value: &Value, fields: Option<&[&str]>) -> Option<Timestamp> {
        let created = &self.spec.fields.created;
        let Some(names) = fields else {
            let bytes = Bytes::copy_from_slice(reply::bytes(value)?);
            let tree = document(&bytes, bytes.len() as u64 + 1)?;
            return Source::Document(&tree).moment(created);
        };
        let pairs: Vec<_> = names
            .iter()
            .zip(reply::list(value)?)
            .filter_map(|(name, value)| Some((name.as_bytes().to_vec(), reply::bytes(value)?.to_vec())))
            .collect();
        Source::Hash(&pairs).moment(created)
    }

    fn beat(
        &mut self,
        heartbeat: &crate::domain::described::Heartbeat,
        key: &crate::domain::ids::Name,
        value: Option<&Value>,
        queue: &mut QueueMemo,
    ) {
        let Some(ttl) = self.ttl.take() else { return };
        let reading = beat::read(heartbeat, ttl, value, self.now);
        let alive = reading.liveness(heartbeat) == Liveness::Live;
        let busy = reading.busy(heartbeat).map(|busy| busy && alive);
        queue.beats.insert(key.clone(), Beat { tick: self.tick, alive, busy });
    }

    fn finish(&mut self, queue: &mut QueueMemo, memo: &ListMemo) {
        let spec = self.spec;
        self.sample.set_count(WAITING, self.waiting);
        self.sample.set_count(DEAD, self.dead);
        self.sample.workers = self.workers(queue, memo);
        let processing = self.processing(memo);
        self.sample.set_count(PROCESSING, processing);
        if spec.delayed.is_none() {
            self.sample.set_count(DELAYED, Count::Exact(0));
        }
        self.sample.oldest = match (self.waiting, self.oldest.iter().copied().collect::<Option<Vec<_>>>()) {
            (Count::Exact(0), _) => Oldest::Nothing,
            (Count::Exact(_), Some(moments)) => moments.into_iter().min().map_or(Oldest::Unknown, Oldest::Since),
            _ => Oldest::Unknown,
        };
        self.sample.next_due = match self.sample.count(DELAYED) {
            Count::Exact(0) => None,
            _ => queue.first_due.moment,
        };
        self.warn();
    }

    /// Items being worked on: in the described lists; else as many as workers name; else nobody knows, because an item
    /// that was popped is nowhere.
    fn processing(&self, memo: &ListMemo) -> Count {
        let Some(pattern) = &self.spec.processing_pattern else {
            if !self.spec.processing.is_empty() {
                return self.processing;
            }
            return match self.sample.workers.busy {
                Some(busy) if busy > 0 => Count::AtLeast(busy),
                _ => Count::Unknown,
            };
        };
        match memo.finds.get(pattern) {
            Some(find) if find.keys.is_none() => Count::Unknown,
            Some(find) if find.overflow || find.known().len() > PROCESSING_LISTS => {
                self.processing.value().map_or(Count::Unknown, Count::AtLeast)
            }
            Some(_) => self.processing,
            None => Count::Unknown,
        }
    }

    /// Known once every heartbeat pattern was walked whole and every key looked at.
    fn workers(&self, queue: &mut QueueMemo, memo: &ListMemo) -> WorkerCount {
        let spec = self.spec;
        if spec.heartbeat.is_empty() || spec.heartbeat.iter().any(|heartbeat| !heartbeat.renewed) {
            return self.workers_seen(queue, memo);
        }
        let mut keys = Vec::new();
        for heartbeat in &spec.heartbeat {
            match memo.finds.get(&heartbeat.pattern) {
                Some(find) if find.keys.is_some() && !find.overflow => keys.extend(find.known()),
                _ => return WorkerCount::default(),
            }
        }
        queue.beats.retain(|key, _| keys.contains(&key));
        let beats: Option<Vec<_>> = keys.iter().map(|key| queue.beats.get(*key)).collect();
        let Some(beats) = beats else { return WorkerCount::default() };
        WorkerCount {
            alive: Some(beats.iter().filter(|beat| beat.alive).count() as u64),
            busy: beats.iter().map(|beat| beat.busy).try_fold(0, |sum, busy| Some(sum + u64::from(busy?))),
            at_least: false,
            shared: 0,
        }
    }

    /// Where a missing key is no sign of death, only the busy ones can be told.
    fn workers_seen(&self, queue: &mut QueueMemo, memo: &ListMemo) -> WorkerCount {
        let known = |key: &crate::domain::ids::Name| memo.finds.values().any(|find| find.known().contains(key));
        queue.beats.retain(|key, _| known(key));
        let busy = queue.beats.values().filter(|beat| beat.alive && beat.busy == Some(true)).count() as u64;
        WorkerCount { busy: (busy > 0).then_some(busy), ..WorkerCount::default() }
    }

    fn warn(&mut self) {
        let overdue = self.sample.overdue.unwrap_or(0);
        if let Some(delayed) = &self.spec.delayed
            && !delayed.mover
            && overdue > 0
        {
            let text = format!("{overdue} delayed items are due, and nothing moves them back into the queue");
            self.sample.warnings.push(Warning { severity: Severity::Warn, code: "no_mover", text });
        }
        if let (Some(alive), Some(expected)) = (self.sample.workers.alive, self.spec.expected_workers)
            && alive < expected
        {
            let severity = if alive == 0 { Severity::Critical } else { Severity::Warn };
            let text = format!("{alive} of {expected} expected workers give a sign of life");
            self.sample.warnings.push(Warning { severity, code: "workers_missing", text });
        }
    }
}

/// A score of the delayed set as a moment.
pub fn due(spec: &ListSpec, score: f64) -> Option<Timestamp> {
    let delayed = spec.delayed.as_ref()?;
    let unit = if delayed.unit == TimeUnit::Ms { TimeUnit::Ms } else { TimeUnit::S };
    unit.read(&score.to_string())
}
