//! Retrying what a real Horizon lists as failed: in whose queue, and never twice.

use std::time::Duration;

use qtop_testkit::TestServer;
use serde_json::{Value, json};

use crate::app::App;
use crate::databases::sqlite;

const JOB: &str = "f531a132-488d-4180-8946-e8cf73a83744";
const OTHER: &str = "444e11d1-8423-40ce-ad98-3bec8cf4a855";
const LIST: &str = "shop_database_queues:mail";

fn with_keys() -> App {
    let app = App::new(sqlite(), "database-uuids");
    crate::horizon_keys::load(&app.server, crate::horizon_keys::now(), Duration::from_secs(120));
    app
}

fn retry(app: &App, words: &[&str]) -> Value {
    app.json(&[&["retry", "horizon:shop", "--state", "failed", "--yes"], words].concat())
}

fn reason(told: &Value) -> String {
    assert_eq!(told["done"], 0, "{told}");
    told["refused"][0]["reason"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned()
}

fn text(server: &TestServer, words: &[&str]) -> Option<String> {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]).query(&mut server.client()).unwrap()
}

#[test]
fn r5_without_the_table_a_retry_is_refused_and_forced_it_is_made_as_horizon_does() {
    let app = with_keys();
    app.configure("");
    let before = app.server.digest();
    let why = reason(&retry(&app, &[JOB]));
    assert!(why.contains("table of failed jobs is not described") && why.contains("--force"), "{why}");
    assert_eq!(app.server.digest(), before);
    let told = retry(&app, &[JOB, "--force"]);
    assert_eq!(told["done"], 1, "{told}");
    let new = told["created"][0].as_str().unwrap();
    let pushed: Value = serde_json::from_str(&text(&app.server, &["LINDEX", LIST, "-1"]).unwrap()).unwrap();
    let named = (&pushed["uuid"], &pushed["id"], &pushed["retry_of"], &pushed["attempts"]);
    assert_eq!(named, (&json!(new), &json!(new), &json!(JOB), &json!(0)));
    let old = format!("shop_horizon:{JOB}");
    let notes: Value = serde_json::from_str(&text(&app.server, &["HGET", &old, "retried_by"]).unwrap()).unwrap();
    assert_eq!((&notes[0]["id"], &notes[0]["status"]), (&json!(new), &json!("pending")), "as Horizon writes it");
    let noted = text(&app.server, &["HGET", &format!("shop_horizon:{new}"), "status"]);
    assert_eq!(noted.as_deref(), Some("pending"));
    let why = reason(&retry(&app, &[JOB]));
    assert!(why.contains("has retried it"), "{why}");
}

#[test]
fn r5_the_row_of_the_application_is_claimed_so_that_nobody_retries_it_again() {
    let app = with_keys();
    // As the application itself wrote it when the job failed.
    let payload = text(&app.server, &["HGET", &format!("shop_horizon:{JOB}"), "payload"]).unwrap();
    let row = json!({"uuid": JOB, "queue": "mail", "payload": payload}).to_string();
    app.artisan(&["qtop:failed", &row]);
    assert_eq!(app.truth()["failed"], 1);
    let told = retry(&app, &[JOB]);
    assert_eq!(told["done"], 1, "{told}");
    assert_eq!((app.truth()["failed"].clone(), app.server.int(&format!("LLEN {LIST}"))), (json!(0), 1));
    let pushed: Value = serde_json::from_str(&text(&app.server, &["LINDEX", LIST, "0"]).unwrap()).unwrap();
    assert_eq!((&pushed["uuid"], &pushed["attempts"]), (&json!(JOB), &json!(0)), "it keeps its id");
    let why = reason(&retry(&app, &[JOB]));
    assert!(why.contains("not failed any more"), "{why}");
    assert_eq!(app.server.int(&format!("LLEN {LIST}")), 1);
    // The other one has no row any more: nothing there can run it twice.
    let told = retry(&app, &[OTHER]);
    assert_eq!((&told["done"], app.server.int(&format!("LLEN {LIST}"))), (&json!(1), 2), "{told}");
}

#[test]
fn whose_job_it_is_is_not_guessed() {
    let app = with_keys();
    let two = |first: &str, second: &str| {
        app.configure(&format!(
            "[[laravel]]\nname = \"a\"\nprefix = \"{first}\"\nhorizon_prefix = \"shop_horizon:\"\n\
             [[laravel]]\nname = \"b\"\nprefix = \"{second}\"\nhorizon_prefix = \"shop_horizon:\"\n"
        ));
    };
    two("one_", "two_");
    let why = reason(&retry(&app, &[JOB, "--force"]));
    assert!(why.contains("several applications could own it") && why.contains("\"one_\", \"two_\""), "{why}");
    // Nothing in Redis tells of an application of that name, and nothing is described.
    let keys: Vec<String> = redis::cmd("KEYS").arg("shop_database_*").query(&mut app.server.client()).unwrap();
    for key in keys {
        app.server.run(&format!("DEL {key}"));
    }
    app.configure("");
    let why = reason(&retry(&app, &[JOB, "--force"]));
    assert!(why.contains("whose job it is cannot be told") && why.contains("horizon_prefix"), "{why}");
    assert_eq!(app.server.int("EXISTS queues:mail shop_database_queues:mail"), 0);
    app.configure("[[laravel]]\nname = \"shop\"\nprefix = \"desk_\"\nhorizon_prefix = \"shop_horizon:\"\n");
    assert_eq!(retry(&app, &[JOB, "--force"])["done"], 1);
    assert_eq!(app.server.int("LLEN desk_queues:mail"), 1);
}

#[test]
fn jobs_with_a_monitored_tag_are_listed_page_by_page() {
    let app = with_keys();
    let completed: Vec<String> =
        redis::cmd("ZRANGE").arg("shop_horizon:completed_jobs").arg(0).arg(2).query(&mut app.server.client()).unwrap();
    for (place, id) in completed.iter().enumerate() {
        app.server.run(&format!("ZADD shop_horizon:monitored_jobs -{} {id}", 1_795_323_549 - place));
    }
    let page = app.json(&["jobs", "horizon:shop", "--state", "monitored", "--limit", "2"]);
    let ids: Vec<&str> = page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(ids, completed[..2], "newest first: {page}");
    assert_eq!(page["total"], 3, "{page}");
}
