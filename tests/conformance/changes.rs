//! What a system claims to change it can change, and what it does not claim it refuses.

use std::time::Duration;

use qtop::domain::caps::Caps;
use qtop::domain::ids::{JobId, QueueId};
use qtop::domain::mutation::{Change, End, Limits, Mutation, NewJob, Target, Verb};
use qtop::domain::state::{StateId, StateKind};
use qtop::link::{ConnectOptions, Link, Mode, Purpose};
use qtop::systems::SystemError;
use strum::IntoEnumIterator;

use crate::bench::Bench;
use crate::seeds::{CASES, Case};

/// A verb with arguments that make sense everywhere; a payload for the verbs that want one.
fn change(verb: Verb, payload: &[u8]) -> Change {
    match verb {
        Verb::Retry => Change::Retry { reset_attempts: false },
        Verb::Cancel => Change::Cancel,
        Verb::Promote => Change::Promote,
        Verb::Delay => Change::Delay { by: Duration::from_secs(60) },
        Verb::Prioritize => Change::Prioritize { priority: 3 },
        Verb::Remove => Change::Remove { children: false },
        Verb::Kill => Change::Kill { reason: "test".to_owned() },
        Verb::Duplicate => Change::Duplicate,
        Verb::Edit => Change::Edit { old: payload.to_vec().into(), new: "{}".into() },
        Verb::Add => Change::Add(NewJob { name: "x".to_owned(), data: r#"{"a":1}"#.into(), ..NewJob::default() }),
        Verb::Pause => Change::Pause,
        Verb::Resume => Change::Resume,
        Verb::Limit => Change::Limit(Limits { concurrency: Some(Some(3)), rate: None }),
        Verb::Obliterate => Change::Obliterate,
        Verb::Trigger => Change::Trigger,
        Verb::Unschedule => Change::Unschedule,
        Verb::Requeue => Change::Requeue { end: End::Last, reset_attempts: false },
        Verb::Claim => Change::Claim { consumer: "c2".into(), min_idle: Duration::ZERO },
        Verb::Acknowledge => Change::Acknowledge,
        Verb::Trim => Change::Trim { keep: 1_000 },
        Verb::Signal => {
            Change::Signal { order: qtop::domain::worker::WorkerOrder::Restart, workers: vec!["w-1".into()] }
        }
    }
}

async fn writing(bench: &Bench) -> Link {
    let options = ConnectOptions { mode: Mode::ReadWrite, ..ConnectOptions::new(bench.server.url()) };
    Link::connect(&options, Purpose::Mutate).await.unwrap()
}

/// Queues of the case with seeded jobs of a state.
fn seeded(case: &Case, state: StateId) -> Vec<&'static str> {
    let full = case.counts.iter().filter(|(_, known, count)| *known == state.0 && *count > 0);
    full.map(|(queue, ..)| *queue).collect()
}

async fn of_jobs(case: &Case, verb: Verb, state: StateId) -> Option<bool> {
    let mut tried = false;
    for name in seeded(case, state) {
        let bench = Bench::new(case.system, &(case.described)(), case.seed).await;
        let queue: QueueId = bench.queue(name);
        // A job whose worker holds a lock is refused, and rightly so.
        let locks: Vec<String> = redis::cmd("KEYS").arg("*:lock").query(&mut bench.server.client()).unwrap();
        locks.iter().for_each(|lock| drop(bench.server.run(&format!("DEL {lock}"))));
        for row in bench.rows(&queue, state, 100).await {
            let link = writing(&bench).await;
            let payload = match bench.system.job(&bench.link, &queue, &row.id, 65_536).await.unwrap() {
                Some(job) => job.payload.bytes,
                None => continue,
            };
            let target = Target::Jobs { state, ids: vec![row.id.clone()] };
            // Whether a worker still has an item or other groups want an entry is not the question here.
            let mutation = Mutation { queue: queue.clone(), change: change(verb, &payload), target, force: true };
            tried = true;
            let told = bench.system.mutate(&link, &mutation).await;
            let told = told.unwrap_or_else(|error| panic!("{} {} {state}: {error}", case.system, verb.word()));
            assert!(told.unknown.is_empty(), "{} {} {state}: {told:?}", case.system, verb.word());
            if told.done == [row.id] {
                return Some(true);
            }
        }
    }
    tried.then_some(false)
}

#[tokio::test]
async fn claimed_changes_of_jobs_can_be_made_in_every_state_they_are_claimed_for() {
    for case in CASES {
        let system = Bench::new(case.system, &(case.described)(), case.seed).await.system;
        for ability in system.abilities() {
            assert!(ability.says.len() > 15 && ability.says.ends_with('.'), "{}: {}", case.system, ability.says);
            for state in ability.states {
                let kind = system.spec().states.iter().find(|spec| spec.id == *state).map(|spec| spec.kind);
                if (ability.verb, kind) == (Verb::Cancel, Some(StateKind::Active)) {
                    // Only a living worker can stop what it runs; the tests with the real libraries have one.
                    continue;
                }
                let done = of_jobs(case, ability.verb, *state).await;
                assert_ne!(done, Some(false), "{} claims {} of {state} jobs", case.system, ability.verb.word());
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_claimed_is_refused_and_changes_nothing() {
    for case in CASES {
        let bench = Bench::new(case.system, &(case.described)(), case.seed).await;
        let link = writing(&bench).await;
        let before = bench.server.digest();
        let queue = bench.queue(case.counts[0].0);
        for verb in Verb::iter() {
            let claimed = bench.system.abilities().iter().find(|ability| ability.verb == verb);
            for state in bench.system.spec().states {
                if claimed.is_some_and(|ability| ability.states.contains(&state.id)) {
                    continue;
                }
                let target = Target::Jobs { state: state.id, ids: vec![JobId::from("no-such-job")] };
                let mutation = Mutation { queue: queue.clone(), change: change(verb, b""), target, force: true };
                match bench.system.mutate(&link, &mutation).await {
                    Err(SystemError::Unsupported(reason)) => assert!(reason.len() > 10, "{reason}"),
                    Err(error) => panic!("{} {} {}: {error}", case.system, verb.word(), state.id),
                    // A reason for each job does as well.
                    Ok(told) => assert!(told.done.is_empty(), "{} {}: {told:?}", case.system, verb.word()),
                }
            }
            if claimed.is_none() {
                for target in [Target::Queue, Target::Schedules(vec!["s".into()])] {
                    let mutation = Mutation { queue: queue.clone(), change: change(verb, b""), target, force: true };
                    let told = bench.system.mutate(&link, &mutation).await;
                    assert!(matches!(told, Err(SystemError::Unsupported(_))), "{} {}", case.system, verb.word());
                }
            }
        }
        assert_eq!(bench.server.digest(), before, "{}", case.system);
    }
}

#[test]
fn capabilities_are_those_of_the_abilities() {
    for system in qtop::systems::all(&qtop::domain::described::Described::default()) {
        let spec = system.spec();
        let can = Caps::of_changes(system.abilities(), spec.states);
        assert_eq!(spec.caps & Caps::CHANGES, can, "{}", spec.name);
    }
}

#[tokio::test]
async fn a_sample_claims_no_more_than_the_system() {
    for case in CASES {
        let bench = Bench::new(case.system, &(case.described)(), case.seed).await;
        for sample in bench.ticks(2).await {
            assert!(bench.system.spec().caps.contains(sample.caps), "{}", case.system);
            let narrowed = sample.caps != bench.system.spec().caps;
            assert!(sample.caps_reason.is_some() || !narrowed, "{}: a reason for what is missing", case.system);
        }
    }
}
