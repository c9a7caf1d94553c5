//! Which alerts a snapshot sets off. One alert is told once when its condition has come up, again after a configured
//! time while it lasts, and not a second time before it was gone in between.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::address::glob;
use super::ids::QueueId;
use super::queue::{Count, Oldest, QueueSample, Severity, Warning};
use super::snapshot::{LinkHealth, Snapshot};
use super::state::{StateKind, StateSpec};
use super::text;

/// A finding that comes and goes within so long is one: rates and ages tremble around a threshold.
const TREMBLE: Duration = Duration::from_secs(10);
/// Code of the finding that the server does not answer.
const UNREACHABLE: &str = "unreachable";

/// When somebody is to be told.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Rule {
    /// Globs over addresses of queues; empty: every queue, and the server itself.
    pub queues: Vec<String>,
    /// Codes of findings; empty: all, unless a threshold is given.
    pub codes: Vec<String>,
    /// Findings less urgent than this are left alone, unless their code is named.
    pub least: Option<Severity>,
    /// More jobs wait than this.
    pub waiting: Option<u64>,
    /// More jobs have failed, or been given up, than this.
    pub failed: Option<u64>,
    /// The oldest waiting job is older than this.
    pub oldest: Option<Duration>,
    /// The condition must have lasted so long.
    pub lasting: Duration,
    /// Tell again after so long, while it lasts.
    pub repeat: Option<Duration>,
}

/// Something to be told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// Number of its rule.
    #[serde(skip)]
    pub rule: usize,
    /// The queue it is about.
    #[serde(skip)]
    pub id: Option<QueueId>,
    /// The server's name.
    pub server: String,
    /// Address of the queue; `None`: it is about the server.
    pub queue: Option<String>,
    /// Code of the finding, or `waiting`, `failed`, `oldest`.
    pub code: String,
    /// How urgent.
    pub severity: &'static str,
    /// One sentence.
    pub text: String,
    /// How long it has lasted, in seconds.
    pub seconds: u64,
    /// It was told before and still lasts.
    pub again: bool,
}

/// What was seen and told so far.
#[derive(Clone, Debug, Default)]
pub struct Alarms {
    rules: Vec<Rule>,
    seen: BTreeMap<(usize, Option<QueueId>, String), Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    since: Instant,
    last: Instant,
    told: Option<Instant>,
    /// Nobody heard it when it was told last: to be told again then.
    retry: Option<Instant>,
    /// Somebody has heard it.
    heard: bool,
}

/// A condition that holds now.
struct Found {
    rule: usize,
    queue: Option<QueueId>,
    code: String,
    severity: Severity,
    text: String,
}

impl Alarms {
    /// With nothing seen.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules, seen: BTreeMap::new() }
    }

    /// Looks at a snapshot. What a server that does not answer said before proves nothing now, in either direction.
    pub fn look(&mut self, snapshot: &Snapshot, now: Instant) -> Vec<Alarm> {
        if snapshot.seq == 0 && !matches!(snapshot.link, LinkHealth::Down { .. } | LinkHealth::Connecting { .. }) {
            return Vec::new();
        }
        let up = snapshot.link == LinkHealth::Up;
        let mut alarms = Vec::new();
        for found in self.found(snapshot) {
            let Found { rule, queue, code, severity, text } = found;
            let Some(spec) = self.rules.get(rule) else { continue };
            let several =
                |id: &QueueId| snapshot.instances.iter().filter(|one| one.id.system == id.instance.system).count() > 1;
            let address = queue.as_ref().map(|id| id.address(several(id)));
            let first = Seen { since: now, last: now, told: None, retry: None, heard: false };
            let seen = self.seen.entry((rule, queue.clone(), code.clone())).or_insert(first);
            seen.last = now;
            let lasted = now.saturating_duration_since(seen.since);
            let due = match seen.told {
                None => lasted >= spec.lasting,
                Some(told) => {
                    spec.repeat.is_some_and(|repeat| now.saturating_duration_since(told) >= repeat)
                        || seen.retry.is_some_and(|retry| now >= retry)
                }
            };
            if due {
                let again = std::mem::replace(&mut seen.heard, true);
                (seen.told, seen.retry) = (Some(now), None);
                alarms.push(Alarm {
                    rule,
                    id: queue,
                    server: snapshot.server.to_string(),
                    queue: address,
                    code,
                    severity: word(severity),
                    text,
                    seconds: lasted.as_secs(),
                    again,
                });
            }
        }
        self.seen.retain(|(_, _, code), seen| {
            let of_link = code == UNREACHABLE;
            (!up && !of_link) || now.saturating_duration_since(seen.last) < TREMBLE
        });
        alarms
    }

    /// Nobody heard this alarm: while its condition lasts it is told again from `retry` on.
    pub fn unheard(&mut self, alarm: &Alarm, retry: Instant) {
        if let Some(seen) = self.seen.get_mut(&(alarm.rule, alarm.id.clone(), alarm.code.clone())) {
            (seen.retry, seen.heard) = (Some(retry), alarm.again);
        }
    }

    fn found(&self, snapshot: &Snapshot) -> Vec<Found> {
        let mut all = Vec::new();
        for (number, rule) in self.rules.iter().enumerate() {
            let mut add = |queue: Option<&QueueId>, code: &str, severity, text: String| {
                all.push(Found { rule: number, queue: queue.cloned(), code: code.to_owned(), severity, text });
            };
            if rule.queues.is_empty() {
                let down = match &snapshot.link {
                    LinkHealth::Down { error, .. } => Some(error.clone()),
                    LinkHealth::Connecting { last_error } => last_error.clone(),
                    LinkHealth::Up => None,
                };
                if let Some(error) = down {
                    if rule.wants(UNREACHABLE, Severity::Critical) {
                        add(None, UNREACHABLE, Severity::Critical, error);
                    }
                    continue;
                }
                for Warning { severity, code, text } in &snapshot.warnings {
                    if rule.wants(code, *severity) {
                        add(None, code, *severity, text.clone());
                    }
                }
            }
            if snapshot.link != LinkHealth::Up {
                continue;
            }
            for (instance, queue) in snapshot.queues() {
                if !rule.concerns(&queue.id) || queue.error.is_some() {
                    continue;
                }
                for Warning { severity, code, text } in &queue.warnings {
                    if rule.wants(code, *severity) {
                        add(Some(&queue.id), code, *severity, text.clone());
                    }
                }
                for (code, text) in rule.crossed(queue, instance.states, snapshot) {
                    add(Some(&queue.id), code, Severity::Warn, text);
                }
            }
        }
        all
    }
}

impl Rule {
    fn concerns(&self, queue: &QueueId) -> bool {
        let named = |pattern: &String| {
            glob(pattern, &queue.full_address())
                || glob(pattern, &queue.short_address())
                || glob(pattern, &queue.name.to_text())
        };
        self.queues.is_empty() || self.queues.iter().any(named)
    }

    fn wants(&self, code: &str, severity: Severity) -> bool {
        if !self.codes.is_empty() {
            return self.codes.iter().any(|wanted| wanted == code);
        }
        let thresholds = self.waiting.is_some() || self.failed.is_some() || self.oldest.is_some();
        !thresholds && severity >= self.least.unwrap_or(Severity::Warn)
    }

    /// Thresholds that are crossed; an unknown count crosses none.
    fn crossed(&self, queue: &QueueSample, states: &[StateSpec], snapshot: &Snapshot) -> Vec<(&'static str, String)> {
        let of = |kind: StateKind| queue.kind(states, kind).and_then(Count::value);
        let mut crossed = Vec::new();
        if let (Some(limit), Some(waiting)) = (self.waiting, of(StateKind::Waiting))
            && waiting > limit
        {
            crossed.push(("waiting", format!("{waiting} jobs wait, more than {limit}")));
        }
        let failed = [StateKind::Failed, StateKind::Dead].into_iter().filter_map(of).reduce(|one, other| one + other);
        if let (Some(limit), Some(failed)) = (self.failed, failed)
            && failed > limit
        {
            crossed.push(("failed", format!("{failed} jobs have failed, more than {limit}")));
        }
        if let (Some(limit), Oldest::Since(since)) = (self.oldest, queue.oldest) {
            let oldest = since.age(snapshot.taken_at);
            if oldest > limit {
                let words = format!("the oldest job has waited {}, more than {}", text::age(oldest), text::age(limit));
                crossed.push(("oldest", words));
            }
        }
        crossed
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warn => "warning",
        Severity::Critical => "critical",
    }
}

#[cfg(test)]
#[path = "alarm_tests.rs"]
mod tests;
