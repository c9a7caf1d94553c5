//! Totals, from which rates are made, while a real worker is busy.

use std::time::Duration;

use qtop::link::Link;
use qtop_testkit::TestServer;

use crate::library::Library;
use crate::view::{self, Watch};

const JOBS: u64 = 1500;

#[tokio::test]
async fn totals_follow_a_busy_worker_whatever_it_keeps() {
    let server = TestServer::start();
    let mut library = Library::run("busy.mjs", 6, server.port(), &[&JOBS.to_string()]);
    assert_eq!(library.said["added"], JOBS);
    let link = Link::open(&server.url()).await.unwrap();
    let mut watch = Watch::new(view::discover(&link).await.pop().unwrap());
    watch.tick(&link).await;
    let before = watch.tick(&link).await;
    library.go_on();
    let mut ticks = 0;
    let ended = loop {
        // As busy as a refresh can be, so that jobs move between two commands of one tick too.
        watch.tick(&link).await;
        tokio::time::sleep(Duration::from_millis(25)).await;
        ticks += 1;
        assert!(ticks < 2400, "waited a minute for the jobs to end");
        if let Some(line) = library.next_line() {
            break line;
        }
    };
    // Counting by time lags by a tick or two.
    let mut after = watch.tick(&link).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(25)).await;
        after = watch.tick(&link).await;
    }
    for (before, after) in before.queues.iter().zip(&after.queues) {
        let name = after.id.name.to_text();
        let said = &ended[&name];
        let failed = said["failed"].as_u64().unwrap();
        let finished = said["completed"].as_u64().unwrap() + failed;
        let counted = after.totals.finished.unwrap() - before.totals.finished.unwrap();
        let counted_failed = after.totals.failed.unwrap() - before.totals.failed.unwrap();
        println!(
            "{name}: {finished} ended, {counted} counted; {failed} failed, {counted_failed} counted; {ticks} ticks"
        );
        let close = |counted: u64, real: u64| counted.abs_diff(real) * 100 <= real * 12;
        assert!(close(counted, finished), "{name}: {finished} ended, {counted} were counted");
        assert!(close(counted_failed, failed), "{name}: {failed} failed, {counted_failed} were counted");
    }
}
