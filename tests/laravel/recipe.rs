//! The shipped recipe for a download bot over a real application: queues, failures in SQLite, everyday operations.

use serde_json::json;

use crate::app::App;
use crate::databases::sqlite;

const QUEUE: &str = "laravel:downloads";

#[test]
fn the_download_bot_s_failures_in_sqlite_are_listed_retried_and_forgotten() {
    let app = App::new(sqlite(), "database-uuids");
    let recipe = include_str!("../../assets/recipes/laravel-download-bot.toml");
    // This application's connection has another name.
    let recipe = recipe.replace("\"redis-downloads\", \"redis-telegram\"", "\"redis\"");
    // The lines that the recipe asks for; the prefix only matters once no queue has a key any more.
    let failed = format!("failed = {{ driver = \"database-uuids\", url = \"{}\" }}\n", app.database.url);
    let recipe = |prefix: &str| recipe.replace("retry_after = 120\n", &format!("retry_after = 120\n{prefix}{failed}"));
    app.configure(&recipe(""));
    app.artisan(&["qtop:fill", "--queue=downloads", "--pending=2", "--fragile=3"]);
    let queue = |name: &str| {
        let told = app.json(&["queues"]);
        let found = told["queues"].as_array().unwrap().iter().find(|queue| queue["queue"] == name).cloned();
        found.unwrap_or_else(|| panic!("no {name} in {told}"))
    };
    let downloads = queue("downloads");
    assert_eq!(downloads["instance"], "shop_database_", "the prefix is found: {downloads}");
    assert_eq!(downloads["counts"]["pending"], 5);
    assert_eq!(queue("telegram")["counts"]["pending"], 0, "shown while it is empty");

    app.server.run("SET shop_database_broken 1");
    let work = || app.artisan(&["queue:work", "--queue=downloads", "--stop-when-empty", "--sleep=0"]);
    work();
    app.server.run("DEL shop_database_broken");
    app.configure(&recipe("prefix = \"shop_database_\"\n"));
    assert_eq!(queue("downloads")["counts"], json!({"pending": 0, "reserved": 0, "delayed": 0, "failed": 3}));
    let rows = app.json(&["jobs", QUEUE, "--state", "failed"])["jobs"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 3, "{rows:?}");
    let groups = app.json(&["failures"]).to_string();
    assert!(groups.contains("the mailbox is «full»"), "{groups}");
    let id = |place: usize| rows[place]["id"].as_str().unwrap().to_owned();
    app.change(&["remove", QUEUE, &id(0)], 1);
    app.change(&["retry", QUEUE, &id(1)], 1);
    work();
    assert_eq!(app.truth()["failed"], 1);
    app.change(&["retry", QUEUE, "--all", "--state", "failed"], 1);
    work();
    assert_eq!(app.truth()["failed"], 0);
    assert_eq!(app.ran().iter().filter(|name| name.starts_with("fragile")).count(), 2, "each once: {:?}", app.ran());
}

#[test]
fn with_the_recipe_alone_the_bot_s_empty_queues_are_there_and_nothing_is_claimed_of_them() {
    let app = App::new(sqlite(), "database-uuids");
    app.configure(include_str!("../../assets/recipes/laravel-download-bot.toml"));
    let told = app.json(&["queues"]);
    let queues = told["queues"].as_array().unwrap();
    let names: Vec<_> = queues.iter().map(|queue| queue["queue"].as_str().unwrap()).collect();
    assert_eq!(names, ["downloads", "telegram"], "{told}");
    for queue in queues {
        let unknown = json!({"pending": null, "reserved": null, "delayed": null, "failed": null});
        assert_eq!(queue["counts"], unknown, "{queue}");
        assert!(queue["warnings"].to_string().contains("under any prefix"), "{queue}");
    }
    // Nothing is written under a name that is made up.
    let before = app.server.digest();
    let data = app.folder().join("data");
    std::fs::write(&data, "{}").unwrap();
    let output = app.qtop(&["add", QUEUE, "Job@run", "--data", data.to_str().unwrap(), "--yes"]);
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && why.contains("prefix"), "{why}");
    assert_eq!(app.server.digest(), before);
    app.artisan(&["qtop:fill", "--queue=downloads", "--pending=1"]);
    let told = app.json(&["queues"]);
    let queues = told["queues"].as_array().unwrap();
    let seen: Vec<_> = queues.iter().map(|queue| (&queue["instance"], &queue["counts"]["pending"])).collect();
    assert_eq!(seen, [(&json!("shop_database_"), &json!(1)), (&json!("shop_database_"), &json!(0))], "{told}");
}
