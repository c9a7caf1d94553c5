use super::*;
use crate::domain::ids::QueueId;
use crate::domain::queue::{Count, Totals};
use crate::domain::state::StateId;

const STATES: &[StateSpec] = &[
    StateSpec::new("wait", "Wait", StateKind::Waiting, 'W'),
    StateSpec::new("active", "Active", StateKind::Active, 'A'),
];
const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn sample(waiting: u64, active: u64) -> QueueSample {
    let mut sample = QueueSample::unknown(QueueId::new("x", "", "q"), STATES);
    sample.set_count(StateId("wait"), Count::Exact(waiting));
    sample.set_count(StateId("active"), Count::Exact(active));
    sample
}

fn codes(sample: &QueueSample, history: &History, facts: &ServerFacts) -> Vec<&'static str> {
    let around = Around { history, facts, now: NOW };
    queue_warnings(sample, STATES, around).iter().map(|warning| warning.code).collect()
}

fn quiet(sample: &QueueSample) -> Vec<&'static str> {
    codes(sample, &History::default(), &ServerFacts::default())
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1000)
}

#[test]
fn no_worker_is_said_only_when_it_is_known() {
    let mut queue = sample(5, 0);
    assert!(quiet(&queue).is_empty(), "an unknown number of workers is not zero");
    queue.workers.alive = Some(0);
    assert_eq!(quiet(&queue), ["no_workers"]);
    queue.conditions.paused = Some(true);
    assert_eq!(quiet(&queue), ["paused_with_backlog"]);
    let mut idle = sample(0, 0);
    idle.workers.alive = Some(0);
    assert!(quiet(&idle).is_empty(), "nothing waits");
}

#[test]
fn the_sentence_of_a_dead_queue_is_complete() {
    let mut queue = sample(8911, 0);
    queue.workers.alive = Some(0);
    queue.oldest = Oldest::Since(ago(7500));
    let around = Around { history: &History::default(), facts: &ServerFacts::default(), now: NOW };
    queue.warnings = queue_warnings(&queue, STATES, around);
    let verdict = verdict(&queue, STATES);
    assert_eq!(verdict.mark, Mark::Act);
    assert_eq!(verdict.text, "no worker alive; 8\u{2009}911 wait, oldest 2h 5m");
}

#[test]
fn p8_blocked_clients_tell_of_missing_workers_without_a_client_list() {
    let facts = |blocked| ServerFacts { blocked_clients: blocked, ..ServerFacts::default() };
    let mut queue = sample(5, 0);
    queue.oldest = Oldest::Since(ago(60));
    let history = History::default();
    assert_eq!(codes(&queue, &history, &facts(Some(0))), ["nobody_listens"]);
    assert!(codes(&queue, &history, &facts(Some(1))).is_empty(), "somebody blocks, perhaps for this queue");
    assert!(codes(&queue, &history, &facts(None)).is_empty());
    queue.set_count(StateId("active"), Count::Unknown);
    assert!(codes(&queue, &history, &facts(Some(0))).is_empty(), "unknown is not zero");
}

#[test]
fn p8_a_backlog_nobody_touches_is_told_without_knowing_the_workers() {
    let mut history = History::default();
    let mut queue = sample(10, 0);
    for n in 0..=60_i64 {
        history.push(ago(90 - n), &queue, STATES);
    }
    let somebody_blocks = ServerFacts { blocked_clients: Some(4), ..ServerFacts::default() };
    assert_eq!(codes(&queue, &history, &somebody_blocks), ["untouched"]);
    queue.workers.alive = Some(0);
    assert_eq!(codes(&queue, &history, &somebody_blocks), ["no_workers"], "one sentence is enough");
    queue.workers.alive = Some(2);
    queue.conditions.rate_limited_until = Some(Timestamp(NOW.0 + 1000));
    assert_eq!(codes(&queue, &history, &somebody_blocks), ["rate_limited"]);
}

#[test]
fn growth_needs_time_and_size() {
    let mut history = History::default();
    let mut queue = sample(0, 0);
    for n in 0..15_u64 {
        queue = sample(100 + 4 * n, 0);
        queue.totals = Totals { added: Some(12 * n), finished: Some(8 * n), failed: None };
        history.push(ago(30 - 2 * n as i64), &queue, STATES);
    }
    let around = Around { history: &history, facts: &ServerFacts::default(), now: NOW };
    let found = queue_warnings(&queue, STATES, around);
    assert_eq!(found[0].code, "growing");
    assert_eq!(found[0].text, "grows by 2/s: 6/s come in, 4/s go out");
}

#[test]
fn old_heads_overdue_jobs_and_limits_are_told() {
    let mut queue = sample(5, 1);
    queue.oldest = Oldest::Since(ago(660));
    queue.next_due = Some(ago(90));
    queue.conditions.rate_limited_until = Some(Timestamp(NOW.0 + 5000));
    queue.last_finished = Some(ago(900));
    assert_eq!(quiet(&queue), ["old_head", "nothing_finished", "overdue", "rate_limited"]);
}

#[test]
fn marks_follow_the_worst_finding() {
    let mut queue = sample(0, 2);
    assert_eq!(verdict(&queue, STATES), Verdict { mark: Mark::Fine, text: "keeping up: nothing waits".to_owned() });
    queue.warnings.push(Warning { severity: Severity::Warn, code: "x", text: "look".to_owned() });
    assert_eq!(verdict(&queue, STATES).mark, Mark::Look);
    queue.conditions.paused = Some(true);
    assert_eq!(verdict(&queue, STATES).mark, Mark::Paused);
    queue.error = Some("WRONGTYPE".to_owned());
    assert_eq!(verdict(&queue, STATES).mark, Mark::Unknown);
    assert_eq!(verdict(&QueueSample::unknown(QueueId::new("x", "", "q"), STATES), STATES).mark, Mark::Unknown);
}

#[test]
fn r18_an_eviction_policy_is_always_warned_of() {
    let mut facts = ServerFacts { eviction_policy: Some("allkeys-lru".to_owned()), ..ServerFacts::default() };
    assert_eq!(server_warnings(&facts, None)[0].severity, Severity::Warn);
    facts.evicted_keys = Some(1200);
    assert_eq!(server_warnings(&facts, None)[0].severity, Severity::Critical);
    facts.eviction_policy = Some("noeviction".to_owned());
    assert!(server_warnings(&facts, None).is_empty());
    assert!(server_warnings(&ServerFacts::default(), None).is_empty(), "nothing known, nothing said");
}

#[test]
fn the_server_s_other_troubles_are_told() {
    let facts = ServerFacts {
        memory_used: Some(99),
        memory_max: Some(100),
        role: Some("replica".to_owned()),
        primary_link: Some("down".to_owned()),
        last_save_ok: Some(false),
        loading: Some(true),
        ..ServerFacts::default()
    };
    let found = server_warnings(&facts, Some(-600_000));
    let codes: Vec<_> = found.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["memory", "replica", "save_failed", "loading", "clock"]);
    assert!(found[4].text.contains("10m behind"), "{}", found[4].text);
    assert!(server_warnings(&ServerFacts { memory_max: Some(0), memory_used: Some(9), ..facts }, None).len() < 5);
}
