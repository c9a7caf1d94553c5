//! Pages while the lists move.

use qtop::domain::ids::QueueId;
use qtop::domain::job::PageRequest;
use qtop::domain::state::StateId;
use qtop::link::Link;
use qtop::systems::System;
use qtop_testkit::TestServer;

use crate::seed::Seed;
use crate::view::{self, SYSTEM};

fn queue() -> QueueId {
    QueueId::new("bullmq", "bull", "mail")
}

fn ids(rows: &[qtop::domain::job::JobRow]) -> Vec<String> {
    rows.iter().map(|row| row.id.to_text()).collect()
}

#[tokio::test]
async fn waiting_jobs_come_in_the_order_they_run() {
    let server = TestServer::start();
    let mut seed = Seed::queue(server.client(), "mail");
    seed.jobs("wait", 1..=1234, 10);
    seed.jobs("paused", 2001..=2010, 10);
    let link = Link::open(&server.url()).await.unwrap();
    for limit in [7, 100, 500] {
        let rows = view::rows(&link, &queue(), StateId("waiting"), limit).await;
        let expected: Vec<String> = (1..=1234).chain(2001..=2010).map(|id| id.to_string()).collect();
        assert_eq!(ids(&rows), expected, "in pages of {limit}");
    }
}

#[tokio::test]
async fn a_page_goes_on_behind_the_last_job_while_others_are_taken_and_added() {
    let server = TestServer::start();
    let mut seed = Seed::queue(server.client(), "mail");
    seed.jobs("wait", 1..=500, 10);
    let link = Link::open(&server.url()).await.unwrap();
    let mut request = PageRequest { cursor: None, limit: 50 };
    let mut seen = Vec::new();
    for turn in 0..100 {
        let page = SYSTEM.jobs(&link, &queue(), StateId("waiting"), request.clone()).await.unwrap();
        seen.extend(ids(&page.rows));
        let Some(next) = page.next else { break };
        request.cursor = Some(next);
        // Twenty are taken at the tail and thirty added at the head before the next page is asked for.
        if turn < 8 {
            seed.finish(20, 5);
            seed.jobs("wait", (1000 + turn * 30)..(1030 + turn * 30), 10);
        }
    }
    let expected: Vec<String> = (1..=500).chain(1000..1240).map(|id| id.to_string()).collect();
    assert_eq!(seen, expected, "each job once, none missed");
}

#[tokio::test]
async fn a_page_of_finished_jobs_goes_on_while_more_finish() {
    let server = TestServer::start();
    let mut seed = Seed::queue(server.client(), "mail");
    seed.jobs("completed", 1..=300, 10);
    let link = Link::open(&server.url()).await.unwrap();
    let mut request = PageRequest { cursor: None, limit: 60 };
    let mut seen = Vec::new();
    for turn in 0..10 {
        let page = SYSTEM.jobs(&link, &queue(), StateId("completed"), request.clone()).await.unwrap();
        seen.extend(ids(&page.rows));
        let Some(next) = page.next else { break };
        request.cursor = Some(next);
        seed.jobs("completed", (1000 + turn * 10)..(1010 + turn * 10), 10);
    }
    let expected: Vec<String> = (1..=300).rev().map(|id| id.to_string()).collect();
    assert_eq!(seen, expected, "newest first, each job once");
}

#[tokio::test]
async fn a_record_that_is_gone_is_told_and_marks_of_4_are_no_jobs() {
    let server = TestServer::start();
    let mut seed = Seed::queue(server.client(), "mail");
    seed.run(&["HSET", "meta", "version", "bullmq:4.18.3"]);
    seed.jobs("wait", 1..=2, 10);
    seed.run(&["RPUSH", "wait", "0:0"]);
    seed.run(&["DEL", "2"]);
    let link = Link::open(&server.url()).await.unwrap();
    let rows = view::rows(&link, &queue(), StateId("waiting"), 10).await;
    assert_eq!(ids(&rows), ["1", "2"]);
    assert_eq!(rows.iter().map(|row| row.record_exists).collect::<Vec<_>>(), [true, false]);
    let sample = view::tour(&link, None).await.pop().unwrap();
    assert_eq!(sample.count(StateId("waiting")).value(), Some(2));
}

#[tokio::test]
async fn odd_cursors_and_states_are_refused_in_words() {
    let server = TestServer::start();
    Seed::queue(server.client(), "mail");
    let link = Link::open(&server.url()).await.unwrap();
    let cursor = Some(qtop::domain::job::Cursor("nonsense".to_owned()));
    let page = PageRequest { cursor, limit: 10 };
    let error = SYSTEM.jobs(&link, &queue(), StateId("waiting"), page).await.unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
    let page = PageRequest { cursor: None, limit: 10 };
    let error = SYSTEM.jobs(&link, &queue(), StateId("reserved"), page).await.unwrap_err();
    assert!(error.to_string().contains("waiting-children"), "{error}");
}
