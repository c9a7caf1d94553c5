//! Stores that are away, wrong, or a file; and the description by the application's folder.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app::App;
use crate::databases::sqlite;

#[test]
fn an_unreachable_database_makes_failures_unknown_and_holds_nothing_up() {
    let app = App::new(sqlite(), "database-uuids");
    app.artisan(&["qtop:fill", "--pending=2"]);
    // Nothing listens at the first, nothing answers at the second.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for url in ["mysql://u:s3cret@127.0.0.1:1/shop".to_owned(), format!("postgres://u:s3cret@127.0.0.1:{port}/shop")] {
        app.configure(&format!("[[laravel]]\nname = \"shop\"\n[laravel.failed]\nurl = \"{url}\"\n"));
        let begun = Instant::now();
        assert_eq!(app.counts(), json!({"pending": 2, "reserved": 0, "delayed": 0, "failed": null}), "{url}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let refused = app.qtop(&["jobs", "laravel:default", "--state", "failed"]);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && text.contains("cannot be reached"), "{text}");
        assert!(!text.contains("s3cret"), "S8: {text}");
    }
}

#[test]
fn a_missing_table_is_said_and_nothing_is_pushed() {
    let app = App::new(sqlite(), "database-uuids");
    app.artisan(&["qtop:fill", "--pending=1"]);
    app.configure(&format!(
        "[[laravel]]\nname = \"shop\"\n[laravel.failed]\nurl = \"{}\"\ntable = \"nowhere\"\n",
        app.database.url
    ));
    let refused = app.qtop(&["retry", "laravel:default", "some-id", "--state", "failed", "--yes"]);
    let text = format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert!(!refused.status.success() && text.contains("no such table"), "{text}");
    assert_eq!(app.truth()["pending"], 1);
}

#[test]
fn the_application_s_folder_tells_prefix_and_database() {
    let app = App::new(sqlite(), "database-uuids");
    app.server.run("SET shop_database_broken 1");
    app.artisan(&["qtop:fill", "--fragile=2"]);
    app.work();
    app.artisan(&["qtop:fill", "--delayed=1"]);
    let folder = tempfile::tempdir().unwrap();
    let path = app.database.url.strip_prefix("sqlite://").unwrap();
    let env = |more: &str| {
        let text = format!("APP_NAME=Shop\nDB_CONNECTION=sqlite\nDB_DATABASE={path}\n{more}");
        std::fs::write(folder.path().join(".env"), text).unwrap();
    };
    app.configure(&format!("[[laravel]]\nname = \"shop\"\nfolder = \"{}\"\n", folder.path().display()));
    env("");
    assert_eq!(app.counts()["failed"], 2);
    // Where the prefix is told, failures are shown even if Redis keeps nothing of the queue.
    app.server.run("FLUSHALL");
    env("REDIS_PREFIX=shop_database_\n");
    assert_eq!(app.counts(), json!({"pending": 0, "reserved": 0, "delayed": 0, "failed": 2}));
}

#[test]
fn failed_jobs_of_the_file_driver_are_retried_forgotten_and_brought_back() {
    let app = App::new(sqlite(), "database-uuids");
    app.server.run("SET shop_database_broken 1");
    app.artisan(&["qtop:fill", "--fragile=3"]);
    let payloads: Vec<String> = redis::cmd("LRANGE")
        .arg("shop_database_queues:default")
        .arg(0)
        .arg(-1)
        .query(&mut app.server.client())
        .unwrap();
    app.server.run("DEL shop_database_queues:default shop_database_broken");
    let entry = |payload: &String| {
        let uuid = serde_json::from_str::<Value>(payload).unwrap()["uuid"].clone();
        json!({"id": uuid, "connection": "redis", "queue": "default", "payload": payload,
               "exception": "RuntimeException: full in x.php:1\n#0 y", "failed_at": "2024-01-02 03:04:05", "failed_at_timestamp": 1704164645})
    };
    let entries: Vec<Value> = payloads.iter().rev().map(entry).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failed-jobs.json");
    std::fs::write(&path, serde_json::to_string_pretty(&entries).unwrap()).unwrap();
    app.configure(&format!(
        "[[laravel]]\nname = \"shop\"\n[laravel.failed]\ndriver = \"file\"\npath = \"{}\"\n",
        path.display()
    ));
    let left = || serde_json::from_str::<Vec<Value>>(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let failed = app.failed();
    assert_eq!(failed, entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
    app.change(&["remove", "laravel:default", &failed[2]], 1);
    assert_eq!(left(), entries[..2]);
    assert!(app.qtop(&["undo", "--yes"]).status.success());
    assert_eq!(left()[0], entries[2], "it comes back as the newest");
    app.change(&["retry", "laravel:default", "--all", "--state", "failed"], 3);
    assert_eq!(left(), Vec::<Value>::new());
    app.work();
    assert_eq!(app.ran(), ["fragile-1", "fragile-2", "fragile-3"]);
}
