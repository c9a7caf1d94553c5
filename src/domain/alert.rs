//! Rules over samples and history: what is wrong with a queue or a server, in one sentence each.
//!
//! A rule speaks only when its facts are known: an unknown count raises no alarm, and an unknown number of workers is
//! not zero workers.

use std::time::Duration;

use super::history::History;
use super::queue::{Drain, Oldest, QueueSample, Severity, Warning};
use super::snapshot::ServerFacts;
use super::state::{StateKind, StateSpec};
use super::text::{age, count};
use super::time::Timestamp;

/// A waiting job older than this is worth a look.
const OLD_HEAD: Duration = Duration::from_secs(10 * 60);
/// A job due for longer than this has been forgotten by whoever must move it.
const OVERDUE: Duration = Duration::from_secs(60);
/// Active jobs of which none ends for so long may hang.
const NOTHING_FINISHED: Duration = Duration::from_secs(10 * 60);
/// A movement watched for less than this is no trend.
const SHORTEST_TREND: Duration = Duration::from_secs(20);
/// A queue in which something waits this long while nobody listens has no worker.
const NOBODY_LISTENS: Duration = Duration::from_secs(30);
/// A backlog that nobody has touched for so long needs a look, whatever is known of workers.
const UNTOUCHED: Duration = Duration::from_secs(60);
/// Clocks that differ by less are taken as equal.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// Codes of all that may be found about a queue or a server, here or by the queue's own system.
pub const CODES: &[&str] = &[
    "clock",
    "cluster",
    "dataset_changed",
    "delayed_overdue",
    "eviction",
    "failing",
    "growing",
    "held",
    "horizon_inactive",
    "info_refused",
    "library_unknown",
    "loading",
    "lost_reservations",
    "memory",
    "mixed_libraries",
    "no_definition",
    "no_mover",
    "no_workers",
    "nobody_listens",
    "none_expected",
    "not_now",
    "nothing_finished",
    "old_aborts",
    "old_head",
    "only_counter",
    "overdue",
    "paused_disagrees",
    "paused_with_backlog",
    "prefix_unknown",
    "rate_limited",
    "replica",
    "save_failed",
    "scan_refused",
    "stalled",
    "stranded_in_paused",
    "stuck_pending",
    "two_waiting_lists",
    "undecodable",
    "unreachable",
    "untouched",
    "workers_missing",
];

/// Mark before a queue's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// Nothing known.
    Unknown,
    /// Runs.
    Fine,
    /// Paused by somebody.
    Paused,
    /// Look at it.
    Look,
    /// Act now.
    Act,
}

/// A queue's condition in one mark and one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The mark.
    pub mark: Mark,
    /// The sentence, without a full stop.
    pub text: String,
}

/// What the rules of a queue look at beside its sample.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The queue's past.
    pub history: &'a History,
    /// The server.
    pub facts: &'a ServerFacts,
    /// The server's clock.
    pub now: Timestamp,
}

/// Code of the finding that nobody is expected to serve a queue, as its description says.
pub const NONE_EXPECTED: &str = "none_expected";

/// Codes of findings that say nothing where nobody is expected.
pub const OF_WORKERS: &[&str] = &["no_workers", "nobody_listens", "untouched", "nothing_finished", "delayed_overdue"];

/// Findings about one queue, most urgent first. The adapter's own warnings are not repeated here.
pub fn queue_warnings(sample: &QueueSample, states: &[StateSpec], around: Around<'_>) -> Vec<Warning> {
    let facts = QueueFacts::of(sample, states, around);
    let mut found: Vec<Warning> = [
        no_workers(&facts),
        nobody_listens(&facts),
        untouched(&facts),
        growing(&facts),
        failing(&facts),
        old_head(&facts),
        nothing_finished(&facts),
        overdue(&facts),
        rate_limited(&facts),
        paused_with_backlog(&facts),
    ]
    .into_iter()
    .flatten()
    .collect();
    if sample.warnings.iter().any(|warning| warning.code == NONE_EXPECTED) {
        found.retain(|warning| !OF_WORKERS.contains(&warning.code));
    }
    found.sort_by_key(|warning| std::cmp::Reverse(warning.severity));
    found
}

/// A queue's mark and sentence, from a sample whose warnings are complete.
pub fn verdict(sample: &QueueSample, states: &[StateSpec]) -> Verdict {
    if let Some(error) = &sample.error {
        return Verdict { mark: Mark::Unknown, text: format!("not readable: {error}") };
    }
    let worst = sample.warnings.iter().max_by_key(|warning| warning.severity);
    let paused = sample.conditions.paused == Some(true);
    match worst {
        Some(warning) if warning.severity == Severity::Critical => {
            Verdict { mark: Mark::Act, text: warning.text.clone() }
        }
        _ if paused => {
            let text = find(sample, "paused_with_backlog").map_or_else(|| "paused".to_owned(), |w| w.text.clone());
            Verdict { mark: Mark::Paused, text }
        }
        Some(warning) if warning.severity == Severity::Warn => Verdict { mark: Mark::Look, text: warning.text.clone() },
        Some(warning) => Verdict { mark: Mark::Fine, text: warning.text.clone() },
        None => quiet_verdict(sample, states),
    }
}

fn quiet_verdict(sample: &QueueSample, states: &[StateSpec]) -> Verdict {
    let waiting = sample.kind(states, StateKind::Waiting).and_then(|count| count.value());
    let active = sample.kind(states, StateKind::Active).and_then(|count| count.value());
    let text = match (waiting, active, sample.trend.drain) {
        (None, None, _) => match sample.facts.first() {
            // A system without states of its own to wait or run in may still say how it is.
            Some((label, text)) => format!("{label} {text}"),
            None => return Verdict { mark: Mark::Unknown, text: "nothing known yet".to_owned() },
        },
        (Some(0), Some(0), _) => "idle: nothing waits".to_owned(),
        (Some(0), _, _) => "keeping up: nothing waits".to_owned(),
        (_, _, Drain::In(left)) => format!("clear in about {}", age(left)),
        _ => "moving".to_owned(),
    };
    Verdict { mark: Mark::Fine, text }
}

fn find<'a>(sample: &'a QueueSample, code: &str) -> Option<&'a Warning> {
    sample.warnings.iter().find(|warning| warning.code == code)
}

/// The facts several rules need, read once.
struct QueueFacts<'a> {
    sample: &'a QueueSample,
    around: Around<'a>,
    waiting: Option<u64>,
    active: Option<u64>,
    oldest: Option<Duration>,
    paused: bool,
    limited_for: Option<Duration>,
}

impl<'a> QueueFacts<'a> {
    fn of(sample: &'a QueueSample, states: &[StateSpec], around: Around<'a>) -> Self {
        let value = |kind| sample.kind(states, kind).and_then(|count| count.value());
        let oldest = match sample.oldest {
            Oldest::Since(since) => Some(since.age(around.now)),
            Oldest::Nothing | Oldest::Unknown => None,
        };
        let limited_for = sample.conditions.rate_limited_until.map(|until| until.until(around.now));
        Self {
            sample,
            around,
            waiting: value(StateKind::Waiting),
            active: value(StateKind::Active),
            oldest,
            paused: sample.conditions.paused == Some(true),
            limited_for: limited_for.filter(|left| !left.is_zero()),
        }
    }

    fn held(&self) -> bool {
        self.paused || self.limited_for.is_some()
    }

    /// `8 911 wait, oldest 2h 5m`.
    fn queue_text(&self) -> String {
        let waiting = self.waiting.unwrap_or(0);
        match self.oldest {
            Some(oldest) => format!("{} wait{}, oldest {}", count(waiting), verb_s(waiting), age(oldest)),
            None => format!("{} wait{}", count(waiting), verb_s(waiting)),
        }
    }
}

fn warning(severity: Severity, code: &'static str, text: String) -> Option<Warning> {
    Some(Warning { severity, code, text })
}

fn no_workers(facts: &QueueFacts<'_>) -> Option<Warning> {
    let open = facts.waiting.unwrap_or(0) + facts.active.unwrap_or(0);
    if facts.sample.workers.alive != Some(0) || open == 0 || facts.paused {
        return None;
    }
    if facts.waiting.unwrap_or(0) == 0 {
        let active = facts.active.unwrap_or(0);
        return warning(
            Severity::Critical,
            "no_workers",
            format!(
                "no worker alive; {} marked active and nobody runs {}",
                count(active),
                if active == 1 { "it" } else { "them" }
            ),
        );
    }
    warning(Severity::Critical, "no_workers", format!("no worker alive; {}", facts.queue_text()))
}

/// The server tells for nothing how many clients block. If none does and nothing is active, no worker of a system that
/// waits in Redis can be there, without asking for the list of clients (P8).
fn nobody_listens(facts: &QueueFacts<'_>) -> Option<Warning> {
    let waited = facts.oldest.unwrap_or_default().max(facts.around.history.idle_for().unwrap_or_default());
    let quiet = facts.around.history.trend().out_per_s.is_none_or(|rate| rate == 0.0);
    let nobody = facts.around.facts.blocked_clients == Some(0) && facts.sample.workers.alive.is_none();
    if !nobody
        || facts.active != Some(0)
        || facts.waiting.unwrap_or(0) == 0
        || facts.held()
        || !quiet
        || waited < NOBODY_LISTENS
    {
        return None;
    }
    warning(
        Severity::Warn,
        "nobody_listens",
        format!("nothing is active and no client waits for jobs; {}", facts.queue_text()),
    )
}

/// Needs no knowledge of workers: jobs wait, and while qtop watched nobody took one.
fn untouched(facts: &QueueFacts<'_>) -> Option<Warning> {
    let quiet = facts.around.history.untouched_for();
    let said = facts.sample.workers.alive == Some(0) || nobody_listens(facts).is_some();
    if facts.waiting.unwrap_or(0) == 0 || facts.active != Some(0) || facts.held() || quiet < UNTOUCHED || said {
        return None;
    }
    warning(Severity::Warn, "untouched", format!("nobody has taken a job for {}; {}", age(quiet), facts.queue_text()))
}

fn growing(facts: &QueueFacts<'_>) -> Option<Warning> {
    let history = facts.around.history;
    let growth = history.growth()?;
    let waiting = facts.waiting?;
    let telling = growth * 60.0 >= (waiting as f64 * 0.05).max(10.0);
    if !telling || waiting < 20 || history.span() < SHORTEST_TREND || facts.paused {
        return None;
    }
    let trend = history.trend();
    let detail = match (trend.in_per_s, trend.out_per_s) {
        (Some(come), Some(go)) => format!(": {} come in, {} go out", rate(come), rate(go)),
        _ => String::new(),
    };
    warning(Severity::Warn, "growing", format!("grows by {}{detail}", rate(growth)))
}

fn failing(facts: &QueueFacts<'_>) -> Option<Warning> {
    let trend = facts.around.history.trend();
    let failed = trend.failed_per_s?;
    let out = trend.out_per_s?;
    if failed < 0.05 || failed < out * 0.5 || facts.around.history.span() < SHORTEST_TREND {
        return None;
    }
    let share = if out > 0.0 { (failed / out * 100.0).min(100.0) } else { 100.0 };
    warning(
        Severity::Warn,
        "failing",
        format!("{share:.0} % of the jobs that end fail: {} of {}", rate(failed), rate(out.max(failed))),
    )
}

fn old_head(facts: &QueueFacts<'_>) -> Option<Warning> {
    let oldest = facts.oldest.filter(|oldest| *oldest >= OLD_HEAD && !facts.paused)?;
    warning(Severity::Warn, "old_head", format!("the oldest job has waited {}", age(oldest)))
}

fn nothing_finished(facts: &QueueFacts<'_>) -> Option<Warning> {
    let active = facts.active.filter(|active| *active > 0)?;
    let idle = match facts.sample.last_finished {
        Some(last) => last.age(facts.around.now),
        None => facts.around.history.idle_for()?,
    };
    if idle < NOTHING_FINISHED {
        return None;
    }
    let is = if active == 1 { "is" } else { "are" };
    warning(
        Severity::Warn,
        "nothing_finished",
        format!("{} {is} active, but nothing has finished for {}", count(active), age(idle)),
    )
}

fn overdue(facts: &QueueFacts<'_>) -> Option<Warning> {
    let late = facts.sample.next_due?.age(facts.around.now);
    if late < OVERDUE || facts.paused {
        return None;
    }
    let text = match facts.sample.overdue {
        Some(many) if many > 1 => format!("{} scheduled jobs are due, the first since {}", count(many), age(late)),
        _ => format!("a scheduled job is due since {}", age(late)),
    };
    warning(Severity::Warn, "overdue", text)
}

fn rate_limited(facts: &QueueFacts<'_>) -> Option<Warning> {
    let left = facts.limited_for?;
    warning(Severity::Info, "rate_limited", format!("rate limited for another {}", age(left)))
}

fn paused_with_backlog(facts: &QueueFacts<'_>) -> Option<Warning> {
    if !facts.paused || facts.waiting.unwrap_or(0) == 0 {
        return None;
    }
    warning(Severity::Info, "paused_with_backlog", format!("paused; {}", facts.queue_text()))
}

/// Findings about the server. `clock_ahead`: the local clock minus the server's, in milliseconds.
pub fn server_warnings(facts: &ServerFacts, clock_ahead: Option<i64>) -> Vec<Warning> {
    let mut found: Vec<Warning> =
        [eviction(facts), memory(facts), replica(facts), save_failed(facts), loading(facts), clock(clock_ahead)]
            .into_iter()
            .flatten()
            .collect();
    found.sort_by_key(|warning| std::cmp::Reverse(warning.severity));
    found
}

fn eviction(facts: &ServerFacts) -> Option<Warning> {
    let policy = facts.eviction_policy.as_deref().filter(|policy| *policy != "noeviction")?;
    let evicted = facts.evicted_keys.unwrap_or(0);
    if evicted > 0 {
        let text = format!("{} keys were evicted (maxmemory-policy {policy}): jobs may be lost", count(evicted));
        return warning(Severity::Critical, "eviction", text);
    }
    let text =
        format!("maxmemory-policy is {policy}: Redis may delete jobs when memory runs out; queues need noeviction");
    warning(Severity::Warn, "eviction", text)
}

fn memory(facts: &ServerFacts) -> Option<Warning> {
    let max = facts.memory_max.filter(|max| *max > 0)?;
    let share = facts.memory_used? as f64 / max as f64;
    if share < 0.9 {
        return None;
    }
    let severity = if share >= 0.98 { Severity::Critical } else { Severity::Warn };
    warning(severity, "memory", format!("{:.0} % of maxmemory is used", share * 100.0))
}

fn replica(facts: &ServerFacts) -> Option<Warning> {
    if facts.role.as_deref() != Some("replica") {
        return None;
    }
    match facts.primary_link.as_deref() {
        Some("down") => {
            let text = "this is a replica that has lost its primary: all figures are old".to_owned();
            warning(Severity::Critical, "replica", text)
        }
        _ => warning(Severity::Info, "replica", "this is a replica: figures may lag a little".to_owned()),
    }
}

fn save_failed(facts: &ServerFacts) -> Option<Warning> {
    if facts.last_save_ok != Some(false) {
        return None;
    }
    let text = "the last RDB save failed: Redis may refuse writes; see the server's log".to_owned();
    warning(Severity::Warn, "save_failed", text)
}

fn loading(facts: &ServerFacts) -> Option<Warning> {
    if facts.loading != Some(true) {
        return None;
    }
    warning(Severity::Warn, "loading", "the server is loading its data set: figures are not complete".to_owned())
}

fn clock(ahead: Option<i64>) -> Option<Warning> {
    let ahead = ahead?;
    let skew = Duration::from_millis(ahead.unsigned_abs());
    if skew < CLOCK_SKEW {
        return None;
    }
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    let text = format!("this machine's clock is {} {side} the server's; ages go by the server's", age(skew));
    warning(Severity::Info, "clock", text)
}

/// A rate in the unit that makes it readable: `4/s`, `2.1/s`, `3/min`.
fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate >= 10.0 => format!("{rate:.0}/s"),
        rate if rate >= 1.0 => format!("{}/s", trimmed(rate)),
        rate => format!("{}/min", trimmed(rate * 60.0)),
    }
}

fn trimmed(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn verb_s(count: u64) -> &'static str {
    if count == 1 { "s" } else { "" }
}

#[cfg(test)]
#[path = "alert_tests.rs"]
mod tests;
