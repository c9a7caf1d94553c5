//! Jobs that have not failed: what runs after a change and what does not.

use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::databases::sqlite;

fn ids(app: &App, state: &str) -> Vec<String> {
    let told = app.json(&["jobs", "laravel:default", "--state", state]);
    told["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_promoted_job_runs_and_a_removed_one_does_not() {
    let app = App::new(sqlite(), "database-uuids");
    app.artisan(&["qtop:fill", "--pending=3", "--delayed=2"]);
    let (pending, delayed) = (ids(&app, "pending"), ids(&app, "delayed"));
    app.change(&["promote", "laravel:default", &delayed[0]], 1);
    app.change(&["remove", "laravel:default", &pending[1]], 1);
    app.change(&["duplicate", "laravel:default", &pending[2]], 1);
    assert_eq!(app.counts(), json!({"pending": 4, "reserved": 0, "delayed": 1, "failed": 0}));
    assert_eq!(app.truth()["size"], 5, "Laravel counts the same");
    app.work();
    let ran = app.ran();
    assert_eq!(ran.len(), 4, "{ran:?}");
    assert!(ran[0].starts_with("later-") && !ran.contains(&"note-2".to_owned()), "{ran:?}");
    assert_eq!(ran.iter().filter(|name| *name == "note-3").count(), 2, "the copy ran too: {ran:?}");
}

#[test]
fn r6_what_a_dead_worker_held_is_requeued_and_runs() {
    let app = App::new(sqlite(), "database-uuids");
    app.artisan(&["qtop:fill", "--deadly=1"]);
    let status = app.command(&["queue:work", "--once"]).env("RETRY_AFTER", "1").status().unwrap();
    assert!(!status.success(), "the worker died");
    let reserved = ids(&app, "reserved");
    assert_eq!(reserved.len(), 1);
    std::thread::sleep(Duration::from_millis(2_100));
    let told = app.json(&["queues"]);
    assert!(told.to_string().contains("lost_reservations") || told.to_string().contains("ran out"), "{told}");
    app.change(&["requeue", "laravel:default", &reserved[0]], 1);
    assert_eq!(app.truth()["reserved"], 0);
    app.work();
    assert_eq!(app.ran(), ["deadly-1"]);
}

#[test]
fn a_job_qtop_opens_shows_what_php_serialized() {
    let app = App::new(sqlite(), "database-uuids");
    app.artisan(&["qtop:fill", "--pending=1"]);
    let told = app.json(&["job", "laravel:default", &ids(&app, "pending")[0]]).to_string();
    assert!(told.contains("O:4:") && told.contains("note-1") && told.contains("CallQueuedHandler@call"), "{told}");
}
