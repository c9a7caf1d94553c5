//! Failed jobs through a whole day, the same for every database.

use serde_json::json;

use crate::app::App;
use crate::databases::{Database, mariadb, postgres, sqlite};

fn day(database: Database, driver: &'static str) {
    let app = App::new(database, driver);
    app.artisan(&["qtop:fill", "--pending=3", "--delayed=2", "--fragile=5"]);
    assert_eq!(app.counts(), json!({"pending": 8, "reserved": 0, "delayed": 2, "failed": 0}));
    app.server.run("SET shop_database_broken 1");
    app.work();
    assert_eq!(app.truth()["failed"], 5);
    assert_eq!(app.counts(), json!({"pending": 0, "reserved": 0, "delayed": 2, "failed": 5}));
    app.server.run("DEL shop_database_broken");

    let failed = app.failed();
    assert_eq!(failed.len(), 5);
    let told = app.json(&["job", "laravel:default", &failed[0]]);
    let text = told.to_string();
    assert!(text.contains("cannot send fragile-5: the mailbox is «full»") && text.contains("Stack trace"), "{text}");

    // One that is retried runs once and its row is gone; the others stay.
    app.change(&["retry", "laravel:default", &failed[0]], 1);
    assert_eq!((app.truth()["failed"].clone(), app.truth()["pending"].clone()), (json!(4), json!(1)));
    app.work();
    assert!(app.ran().contains(&"fragile-5".to_owned()));
    let again = app.json(&["retry", "laravel:default", &failed[0], "--state", "failed", "--yes"]);
    assert_eq!(again["refused"][0]["reason"], "it is not failed any more");

    // One that is forgotten comes back by undo as Laravel knows it.
    app.change(&["remove", "laravel:default", &failed[1]], 1);
    assert_eq!(app.truth()["failed"], 3);
    let undone = app.qtop(&["trash", "restore", "--yes"]);
    let undone = if undone.status.success() { undone } else { app.qtop(&["undo", "--yes"]) };
    assert!(undone.status.success(), "{}", String::from_utf8_lossy(&undone.stderr));
    assert_eq!(app.truth()["failed"], 4);
    let known = if driver == "database" { "2" } else { &failed[1] };
    let listed = app.artisan(&["queue:failed"]);
    assert!(driver == "database" || listed.contains(known), "{listed}");
    app.artisan(&["queue:retry", if driver == "database" { "4" } else { known }]);
    app.work();
    assert!(app.ran().contains(&"fragile-4".to_owned()), "{:?}", app.ran());

    // All others, by what they have in common.
    app.change(&["retry", "laravel:default", "--all", "--state", "failed", "--match", "mailbox"], 3);
    app.work();
    assert_eq!(app.truth()["failed"], 0);
    let expected = ["fragile-1", "fragile-2", "fragile-3", "fragile-4", "fragile-5", "note-1", "note-2", "note-3"]
        .map(String::from);
    assert_eq!(app.ran(), expected, "each ran exactly once");
    assert_eq!(app.counts(), json!({"pending": 0, "reserved": 0, "delayed": 2, "failed": 0}));
}

#[test]
fn r2_failed_jobs_in_sqlite_are_retried_once_forgotten_and_brought_back() {
    day(sqlite(), "database-uuids");
}

#[test]
fn failed_jobs_of_a_table_without_uuids_are_known_by_their_number() {
    day(sqlite(), "database");
}

#[test]
fn failed_jobs_in_postgresql_are_retried_once_forgotten_and_brought_back() {
    day(postgres(), "database-uuids");
}

#[test]
fn failed_jobs_in_mariadb_are_retried_once_forgotten_and_brought_back() {
    day(mariadb(), "database-uuids");
}
