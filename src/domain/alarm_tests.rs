use std::sync::Arc;

use super::*;
use crate::domain::caps::Caps;
use crate::domain::ids::{InstanceId, ServerId};
use crate::domain::snapshot::InstanceSample;
use crate::domain::state::StateId;
use crate::domain::time::Timestamp;

const STATES: &[StateSpec] =
    &[StateSpec::new("wait", "Wait", StateKind::Waiting, 'W'), StateSpec::new("dead", "Dead", StateKind::Dead, 'D')];

fn snapshot(now: Instant, waiting: Count, warnings: &[(&'static str, Severity)]) -> Snapshot {
    let id = QueueId::new("list", "", "mail");
    let mut queue = QueueSample::unknown(id.clone(), STATES);
    queue.set_count(StateId("wait"), waiting);
    queue.warnings =
        warnings.iter().map(|(code, severity)| Warning { severity: *severity, code, text: code.to_string() }).collect();
    queue.oldest = Oldest::Since(Timestamp(0));
    let instance: InstanceId = id.instance;
    let mut snapshot = Snapshot::empty(ServerId("test".into()), Arc::from("redis://h"), now);
    snapshot.seq = 1;
    snapshot.link = LinkHealth::Up;
    snapshot.taken_at = Timestamp(60_000);
    let caps = Caps::empty();
    snapshot.instances = vec![InstanceSample {
        id: instance,
        states: STATES,
        caps,
        caps_reason: None,
        queues: vec![queue],
        error: None,
    }];
    snapshot
}

fn codes(alarms: &[Alarm]) -> Vec<(&str, bool)> {
    alarms.iter().map(|alarm| (alarm.code.as_str(), alarm.again)).collect()
}

#[test]
fn a_threshold_is_told_once_for_each_time_it_is_crossed() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut alarms = Alarms::new(vec![Rule { waiting: Some(10), ..Rule::default() }]);
    let mut look = |seconds, waiting| {
        let told = alarms.look(&snapshot(at(seconds), waiting, &[]), at(seconds));
        codes(&told).len()
    };
    assert_eq!(look(0, Count::Exact(10)), 0, "not more than that");
    assert_eq!(look(1, Count::Exact(11)), 1);
    assert_eq!(look(2, Count::Exact(12)), 0, "told already");
    assert_eq!(look(3, Count::Exact(9)), 0);
    assert_eq!(look(4, Count::Exact(11)), 0, "it trembles");
    assert_eq!(look(5, Count::Exact(1)), 0);
    assert_eq!(look(20, Count::Exact(1)), 0);
    assert_eq!(look(21, Count::Unknown), 0, "what is unknown is not zero and not many");
    assert_eq!(look(22, Count::Exact(11)), 1, "crossed again");
}

#[test]
fn it_is_told_again_no_sooner_than_asked_for_and_not_before_it_has_lasted() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let rule = Rule {
        oldest: Some(Duration::from_secs(30)),
        lasting: Duration::from_secs(5),
        repeat: Some(Duration::from_secs(60)),
        ..Rule::default()
    };
    let mut alarms = Alarms::new(vec![rule]);
    let mut told = Vec::new();
    for second in 0..130 {
        let now = at(second);
        for alarm in alarms.look(&snapshot(now, Count::Exact(1), &[]), now) {
            assert_eq!((alarm.code.as_str(), alarm.queue.as_deref()), ("oldest", Some("list:mail")));
            told.push((second, alarm.again));
        }
    }
    assert_eq!(told, [(5, false), (65, true), (125, true)]);
}

#[test]
fn findings_are_chosen_by_urgency_code_and_queue() {
    let now = Instant::now();
    let shown = snapshot(now, Count::Exact(1), &[("growing", Severity::Warn), ("rate_limited", Severity::Info)]);
    let rules = [
        (Rule::default(), vec![("growing", false)]),
        (Rule { least: Some(Severity::Critical), ..Rule::default() }, vec![]),
        (Rule { codes: vec!["rate_limited".into()], ..Rule::default() }, vec![("rate_limited", false)]),
        (Rule { queues: vec!["bullmq:*".into()], ..Rule::default() }, vec![]),
        (Rule { queues: vec!["list:*".into()], ..Rule::default() }, vec![("growing", false)]),
        (Rule { waiting: Some(5), ..Rule::default() }, vec![]),
    ];
    for (rule, expected) in rules {
        let told = Alarms::new(vec![rule.clone()]).look(&shown, now);
        assert_eq!(codes(&told), expected, "{rule:?}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_told_and_keeps_what_was_told_before() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut alarms = Alarms::new(vec![Rule::default()]);
    let fine = snapshot(at(0), Count::Exact(1), &[("growing", Severity::Warn)]);
    assert_eq!(codes(&alarms.look(&fine, at(0))), [("growing", false)]);
    let mut down = fine.clone();
    down.link = LinkHealth::Down { since: at(1), error: "no route".into(), remedy: None };
    let told = alarms.look(&down, at(1));
    assert_eq!(codes(&told), [("unreachable", false)]);
    assert_eq!((told[0].queue.as_deref(), told[0].severity), (None, "critical"));
    assert_eq!(codes(&alarms.look(&down, at(100))), []);
    assert_eq!(codes(&alarms.look(&fine, at(101))), [], "it was told before the server went away");
    assert_eq!(codes(&alarms.look(&fine, at(112))), []);
    assert_eq!(codes(&alarms.look(&down, at(120))), [("unreachable", false)], "gone for the second time");
}

#[test]
fn what_nobody_heard_is_told_again_while_it_lasts() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let rules = || Alarms::new(vec![Rule { waiting: Some(10), ..Rule::default() }]);
    let look = |alarms: &mut Alarms, seconds, waiting| {
        alarms.look(&snapshot(at(seconds), Count::Exact(waiting), &[]), at(seconds))
    };
    let mut alarms = rules();
    let told = look(&mut alarms, 0, 11);
    assert_eq!(codes(&told), [("waiting", false)]);
    alarms.unheard(&told[0], at(5));
    assert_eq!(look(&mut alarms, 4, 11).len(), 0, "not at once");
    assert_eq!(codes(&look(&mut alarms, 5, 11)), [("waiting", false)], "nobody has heard it yet");
    assert_eq!(look(&mut alarms, 9, 11).len(), 0, "somebody has now");
    // Over before it could be told.
    let mut alarms = rules();
    let told = look(&mut alarms, 0, 11);
    alarms.unheard(&told[0], at(15));
    assert_eq!(look(&mut alarms, 20, 1).len(), 0);
}
