//! R2: qtop is cut off from the server after each number of commands; every job must be in exactly one state.

use std::time::Duration;

use qtop::domain::ids::QueueId;
use qtop::domain::mutation::Change;
use qtop_testkit::{Proxy, TestServer};
use serde_json::json;

use crate::library::Library;
use crate::office::Office;

/// More than any of the changes sends.
const MOST_COMMANDS: u64 = 100;

const STATES: [&str; 5] = ["completed", "failed", "delayed", "prioritized", "waiting-children"];

/// In how many places of the queue an id stands.
fn places(server: &TestServer, id: &str) -> usize {
    let mut client = server.client();
    let mut count = 0;
    for set in STATES {
        let score: Option<f64> =
            redis::cmd("ZSCORE").arg(format!("bull:mail:{set}")).arg(id).query(&mut client).unwrap();
        count += usize::from(score.is_some());
    }
    for list in ["wait", "paused", "active"] {
        let all: Vec<String> =
            redis::cmd("LRANGE").arg(format!("bull:mail:{list}")).arg(0).arg(-1).query(&mut client).unwrap();
        count += all.iter().filter(|element| element.as_str() == id).count();
    }
    count
}

#[test]
fn r2_every_job_is_in_exactly_one_state_wherever_the_connection_is_cut() {
    let changes: [(&'static str, Change); 6] = [
        ("failed", Change::Retry { reset_attempts: true }),
        ("delayed", Change::Promote),
        ("delayed", Change::Delay { by: Duration::from_secs(60) }),
        ("waiting", Change::Prioritize { priority: 3 }),
        ("failed", Change::Remove { children: true }),
        ("waiting", Change::Cancel),
    ];
    let server = TestServer::start();
    let mut library = Library::start(6, server.port());
    let queue = QueueId::new("bullmq", "bull", "mail");
    for (state, change) in changes {
        for cut in 0..MOST_COMMANDS {
            let ids: Vec<String> = match state {
                "failed" => library.add_failed("mail", 2, json!({})),
                "delayed" => {
                    (0..2).map(|_| library.add("mail", "good", json!({}), json!({ "delay": 99_000 }))).collect()
                }
                _ => (0..2).map(|_| library.add("mail", "good", json!({}), json!({}))).collect(),
            };
            let proxy = Proxy::start(server.port());
            let office = Office::at(&proxy.url());
            proxy.cut_after(cut);
            let finished = office.jobs(&queue, state, &ids, change.clone());
            let gone = matches!(change, Change::Remove { .. } | Change::Cancel);
            for id in &ids {
                let exists = server.int(&format!("EXISTS bull:mail:{id}"));
                let listed = places(&server, id);
                let expected = i64::try_from(listed).unwrap();
                assert!(
                    listed <= 1 && expected == exists,
                    "{change:?} cut after {cut}: {id} stands in {listed} places"
                );
                let told = |ids: &[qtop::domain::ids::JobId]| ids.iter().any(|done| done.to_text() == *id);
                if gone && told(&finished.outcome.done) {
                    assert_eq!(exists, 0, "{change:?} cut after {cut}: told as done");
                }
                if gone && finished.outcome.refused.iter().any(|(refused, _)| refused.to_text() == *id) {
                    assert_eq!(exists, 1, "{change:?} cut after {cut}: told as refused");
                }
            }
            let whole = finished.error.is_none() && finished.outcome.done.len() == ids.len();
            server.run("FLUSHALL");
            if whole && proxy.traffic().commands <= cut {
                break;
            }
            assert!(cut + 1 < MOST_COMMANDS, "{change:?} never came to an end");
        }
    }
}
