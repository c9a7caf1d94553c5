//! What a system makes of refused, missing and foreign replies.

use qtop::domain::queue::Count;
use qtop::link::{Batch, CommandError, Replies, Reply, Value};
use qtop::systems::Memo;

use crate::bench::Bench;
use crate::seeds::CASES;

fn refusal() -> Reply {
    Err(CommandError::Refused { code: "NOPERM".to_owned(), detail: "this user has no permissions".to_owned() })
}

fn first() -> Memo {
    let mut memo = Memo::default();
    memo.tick = 1;
    memo
}

#[tokio::test]
async fn a_refused_command_makes_counts_unknown_and_never_zero() {
    for case in CASES {
        let bench = Bench::new(case.system, &(case.described)(), case.seed).await;
        for instance in &bench.instances {
            let mut memo = first();
            for _ in 0..3 {
                let mut batch = Batch::new();
                bench.system.plan(instance, &memo, &mut batch);
                let replies: Vec<Reply> = batch.commands().iter().map(|_| refusal()).collect();
                let mut all = Replies::new(&replies);
                let Ok(sample) = bench.system.read(instance, &mut memo, &mut all) else { continue };
                assert_eq!(all.left(), 0, "{}", case.system);
                for queue in &sample.queues {
                    let waiting = queue.kind(sample.states, qtop::domain::state::StateKind::Waiting);
                    // An overlay of other queues has no state in which anything waits.
                    let unknown = match waiting {
                        Some(waiting) => waiting == Count::Unknown,
                        None => queue.counts.iter().all(|(_, count)| *count == Count::Unknown),
                    };
                    assert!(unknown, "{}: {:?}", case.system, queue.id);
                    assert!(queue.error.is_some(), "{}: {:?} says that it was refused", case.system, queue.id);
                }
                memo.tick += 1;
            }
        }
    }
}

#[tokio::test]
async fn missing_replies_are_an_error_and_foreign_ones_no_crash() {
    for case in CASES {
        let bench = Bench::new(case.system, &(case.described)(), case.seed).await;
        for instance in &bench.instances {
            let mut memo = first();
            let mut batch = Batch::new();
            bench.system.plan(instance, &memo, &mut batch);
            let good = bench.link.send(&batch).await.unwrap();
            for kept in 0..good.len() {
                let mut fresh = first();
                let mut part = Replies::new(&good[..kept]);
                assert!(bench.system.read(instance, &mut fresh, &mut part).is_err(), "{}: {kept} replies", case.system);
            }
            for odd in [Value::Nil, Value::Int(-7), Value::Array(vec![Value::Nil]), Value::BulkString(vec![0xff, 0])] {
                for tick in 1..4 {
                    memo.tick = tick;
                    let mut batch = Batch::new();
                    bench.system.plan(instance, &memo, &mut batch);
                    let replies: Vec<Reply> = batch.commands().iter().map(|_| Ok(odd.clone())).collect();
                    let _ = bench.system.read(instance, &mut memo, &mut Replies::new(&replies));
                }
            }
        }
    }
}
