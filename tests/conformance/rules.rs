//! The rules, each tried on every case.

use qtop::domain::caps::Caps;
use qtop::domain::ids::{Name, QueueId};
use qtop::domain::job::{PageRequest, Search};
use qtop::domain::mutation::{Change, Mutation, Target};
use qtop::domain::queue::Count;
use qtop::domain::state::StateId;
use qtop::link::Batch;
use qtop::systems::{Memo, SystemError};

use crate::bench::Bench;
use crate::seeds::{CASES, Case};

async fn bench(case: &Case) -> Bench {
    Bench::new(case.system, &(case.described)(), case.seed).await
}

fn queue(bench: &Bench, name: &str) -> QueueId {
    let wanted = Name::from(name);
    let instance = bench.instances.first().unwrap_or_else(|| panic!("no instance, looking for {name}"));
    QueueId { instance: instance.id.clone(), name: wanted }
}

fn refused<T>(what: &str, case: &Case, answer: Result<T, SystemError>) {
    match answer {
        Err(SystemError::Unsupported(reason)) => assert!(reason.len() > 10, "{}: {what} gives a reason", case.system),
        Err(error) => panic!("{}: {what} fails with {error} instead of being refused", case.system),
        Ok(_) => panic!("{}: {what} works although it is not claimed", case.system),
    }
}

#[test]
fn every_registered_system_takes_part() {
    for system in qtop::systems::all(&qtop::domain::described::Described::default()) {
        let name = system.spec().name;
        assert!(CASES.iter().any(|case| case.system == name), "{name} has no case in conformance/seeds.rs");
        let mut letters: Vec<char> = system.spec().states.iter().map(|state| state.letter).collect();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), system.spec().states.len(), "{name}: a letter stands for one state");
    }
}

#[tokio::test]
async fn counts_are_what_was_seeded() {
    for case in CASES {
        let bench = bench(case).await;
        let samples = bench.ticks(4).await;
        for (name, state, expected) in case.counts {
            let id = queue(&bench, name);
            let sample = samples
                .iter()
                .flat_map(|instance| &instance.queues)
                .find(|sample| sample.id == id)
                .unwrap_or_else(|| panic!("{}: {name} is not sampled", case.system));
            assert_eq!(sample.error, None, "{}: {name}", case.system);
            assert_eq!(sample.count(StateId(state)), Count::Exact(*expected), "{}: {name} {state}", case.system);
        }
    }
}

#[tokio::test]
async fn a_page_never_has_more_than_was_asked_and_all_pages_have_everything() {
    for case in CASES {
        let bench = bench(case).await;
        for (name, state, expected) in case.counts {
            let id = queue(&bench, name);
            for limit in [1, 2, 500] {
                let rows = bench.rows(&id, StateId(state), limit).await;
                assert_eq!(rows.len() as u64, *expected, "{}: {name} {state} by {limit}", case.system);
                if limit > 2 {
                    let mut ids: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
                    ids.sort();
                    ids.dedup();
                    assert_eq!(ids.len(), rows.len(), "{}: {name} {state}: ids differ", case.system);
                }
            }
        }
    }
}

#[tokio::test]
async fn every_row_can_be_opened_and_explained() {
    for case in CASES {
        let bench = bench(case).await;
        for (name, state, _) in case.counts {
            let id = queue(&bench, name);
            for row in bench.rows(&id, StateId(state), 500).await {
                let job = bench.system.job(&bench.link, &id, &row.id, 65_536).await.unwrap();
                if row.record_exists {
                    let job = job.unwrap_or_else(|| panic!("{}: {name} {:?} cannot be opened", case.system, row.id));
                    assert_eq!((&job.row.id, job.row.state), (&row.id, row.state), "{}: {name}", case.system);
                }
                let reasons = bench.system.why(&bench.link, &id, Some(&row.id)).await.unwrap();
                assert!(!reasons.is_empty(), "{}: {name} {:?} has no reason", case.system, row.id);
                assert!(reasons.iter().all(|reason| !reason.evidence.is_empty()), "{}: {reasons:?}", case.system);
            }
            let reasons = bench.system.why(&bench.link, &id, None).await.unwrap();
            assert!(!reasons.is_empty(), "{}: {name} has no reason", case.system);
        }
        let id = queue(&bench, case.counts[0].0);
        let missing = bench.system.job(&bench.link, &id, &Bench::id("no such job"), 100).await.unwrap();
        assert_eq!(missing, None, "{}", case.system);
    }
}

#[tokio::test]
async fn a_search_finds_what_is_there_and_says_how_far_it_came() {
    for case in CASES {
        let bench = bench(case).await;
        let (name, state, text) = case.search;
        let id = queue(&bench, name);
        let search = Search { text: text.to_owned(), payload_bytes: 0 };
        let (mut cursor, mut scanned, mut hits) = (None, 0, 0);
        for _ in 0..100 {
            let page = PageRequest { cursor, limit: 2 };
            let step = bench.system.search(&bench.link, &id, StateId(state), &search, page).await.unwrap();
            assert!(step.scanned <= 2, "{}: a step looks at no more than was asked", case.system);
            scanned += step.scanned;
            hits += step.hits.len();
            cursor = step.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(hits, 1, "{}: {text}", case.system);
        let expected = case.counts.iter().find(|(n, s, _)| (*n, *s) == (name, state)).unwrap().2;
        assert_eq!(scanned, expected, "{}", case.system);
        let all = Search { text: "no such text anywhere".to_owned(), payload_bytes: 1_000 };
        let page = PageRequest { cursor: None, limit: 500 };
        let step = bench.system.search(&bench.link, &id, StateId(state), &all, page).await.unwrap();
        assert_eq!((step.hits.len(), step.next), (0, None), "{}", case.system);
    }
}

#[tokio::test]
async fn what_is_not_claimed_is_refused_with_a_reason() {
    for case in CASES {
        let bench = bench(case).await;
        let caps = bench.system.spec().caps;
        let id = queue(&bench, case.counts[0].0);
        let page = PageRequest { cursor: None, limit: 10 };
        let schedules = bench.system.schedules(&bench.link, &id, page).await;
        if caps.contains(Caps::SCHEDULES) {
            schedules.unwrap();
        } else {
            refused("schedules", case, schedules);
        }
        let workers = bench.system.workers(&bench.link, &bench.instances[0], None).await;
        if caps.contains(Caps::WORKERS) {
            assert!(!case.workers || !workers.unwrap().is_empty(), "{}: seeded workers are seen", case.system);
        } else {
            refused("workers", case, workers);
        }
        if bench.system.abilities().is_empty() {
            let ids = vec![Bench::id("1")];
            let target = Target::Jobs { state: StateId(case.counts[0].1), ids };
            let mutation =
                Mutation { queue: id.clone(), change: Change::Retry { reset_attempts: false }, target, force: false };
            refused("a change", case, bench.system.mutate(&bench.link, &mutation).await);
        }
        let page = PageRequest { cursor: None, limit: 10 };
        let unknown = bench.system.jobs(&bench.link, &id, StateId("no such state"), page).await;
        assert!(matches!(unknown, Err(SystemError::BadRequest(_))), "{}: {unknown:?}", case.system);
        let cursor = Some(qtop::domain::job::Cursor("nonsense".to_owned()));
        let page = PageRequest { cursor, limit: 10 };
        let state = StateId(case.counts[0].1);
        let broken = bench.system.jobs(&bench.link, &id, state, page).await;
        assert!(matches!(broken, Err(SystemError::BadRequest(_))), "{}: {broken:?}", case.system);
    }
}

#[tokio::test]
async fn p9_looking_at_everything_changes_nothing() {
    for case in CASES {
        let bench = bench(case).await;
        let before = (bench.server.int("DBSIZE"), bench.server.digest());
        bench.ticks(6).await;
        for instance in &bench.instances {
            bench.system.workers(&bench.link, instance, Some("")).await.unwrap();
            for name in &instance.queues {
                let id = instance.queue(name);
                bench.system.why(&bench.link, &id, None).await.unwrap();
                for state in bench.system.spec().states {
                    // A sighted name may not be a whole queue; what counts here is that nothing is written.
                    let page = PageRequest { cursor: None, limit: 100 };
                    let Ok(page) = bench.system.jobs(&bench.link, &id, state.id, page).await else { continue };
                    for row in page.rows {
                        let _ = bench.system.job(&bench.link, &id, &row.id, 1_000).await;
                        let _ = bench.system.why(&bench.link, &id, Some(&row.id)).await;
                    }
                }
            }
        }
        let after = (bench.server.int("DBSIZE"), bench.server.digest());
        assert_eq!(before, after, "{}", case.system);
    }
}

#[tokio::test]
async fn p4_a_steady_tick_asks_at_most_twelve_commands_a_queue() {
    for case in CASES {
        let bench = bench(case).await;
        for instance in &bench.instances {
            let mut memo = Memo::default();
            let (mut queues, mut most) = (1, 0);
            for tick in 1..=12 {
                memo.tick = tick;
                let mut batch = Batch::new();
                bench.system.plan(instance, &memo, &mut batch);
                most = most.max(batch.len());
                queues = bench.tick(instance, &mut memo).await.queues.len().max(1);
            }
            // Reading a new queue may take more than reading a known one, and one step of a walk comes on top.
            assert!(most <= 12 * queues + 1, "{}: {most} commands for {queues} queues", case.system);
        }
    }
}
