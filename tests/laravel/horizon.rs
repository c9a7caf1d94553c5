//! Orders to workers: the restart that every Laravel knows, judged by a running worker; and Horizon, whose keys are laid
//! down here as 5.22 was seen to write them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app::App;
use crate::databases::sqlite;

const MASTER: &str = "web-1-x7Kp";
const SUPERVISOR: &str = "web-1-x7Kp:supervisor-1";

/// An application with a living master and supervisor.
fn with_horizon() -> App {
    let app = App::new(sqlite(), "database-uuids");
    app.configure(&format!(
        "[[laravel]]\nname = \"shop\"\nprefix = \"shop_database_\"\nhorizon_prefix = \"shop_horizon:\"\n\
         cache_prefix = \"shop_cache:\"\n[laravel.failed]\nurl = \"{}\"\n",
        app.database.url
    ));
    beat(&app, "running");
    app
}

fn beat(app: &App, status: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    app.server.run(&format!("ZADD shop_horizon:masters {now} {MASTER}"));
    app.server.run(&format!("ZADD shop_horizon:supervisors {now} {SUPERVISOR}"));
    app.server
        .run(&format!("HSET shop_horizon:master:{MASTER} name {MASTER} status {status} pid 77 environment local"));
    app.server.run(&format!(
        "HSET shop_horizon:supervisor:{SUPERVISOR} name {SUPERVISOR} status {status} pid 78 \
         processes {{\"redis:default\":3}} options {{\"balance\":\"auto\",\"maxProcesses\":10,\"timeout\":60}}"
    ));
}

/// An application with what a real Horizon left; its database is described.
fn with_real_keys() -> App {
    let app = App::new(sqlite(), "database-uuids");
    crate::horizon_keys::load(&app.server, crate::horizon_keys::now(), Duration::from_secs(120));
    app
}

fn rows(app: &App, state: &str) -> Vec<Value> {
    app.json(&["jobs", "horizon:shop", "--state", state])["jobs"].as_array().unwrap().clone()
}

#[test]
fn what_horizon_notes_is_shown_as_horizon_itself_tells_it() {
    let app = with_real_keys();
    let told = app.json(&["queues"]);
    let queue = |address: &str| {
        let queues = told["queues"].as_array().unwrap();
        queues.iter().find(|queue| queue["address"] == address).unwrap_or_else(|| panic!("{told}")).clone()
    };
    let horizon = queue("horizon:shop");
    let counts = json!({"recent": 15, "pending": 5, "completed": 7, "failed": 2, "silenced": 1, "monitored": 0,
               "tags": 1, "metrics": 4});
    assert_eq!((&horizon["counts"], &horizon["facts"]["status"]), (&counts, &json!("running")));
    let nothing = [&horizon["kinds"]["waiting"], &horizon["kinds"]["active"], &horizon["kinds"]["failed"]];
    assert_eq!(nothing, [&Value::Null; 3], "an overlay counts nothing a second time");
    // Queues that supervisors serve are known although nothing is in them.
    for (address, pending, workers) in [("laravel:reports", 3, 1), ("laravel:default", 0, 2), ("laravel:mail", 0, 1)] {
        let queue = queue(address);
        assert_eq!((&queue["counts"]["pending"], &queue["workers"]), (&json!(pending), &json!(workers)), "{queue}");
    }
    assert_eq!(queue("laravel:default")["facts"]["throughput"], "1 since Horizon's snapshot");
    let states = ["recent", "pending", "completed", "failed", "silenced"];
    let of_each: Vec<usize> = states.iter().map(|state| rows(&app, state).len()).collect();
    assert_eq!(of_each, [15, 5, 7, 2, 1]);
    let failed = rows(&app, "failed");
    assert!(failed[0]["error"].as_str().unwrap().starts_with("RuntimeException: cannot send mail-2"), "{failed:?}");
    assert_eq!((&failed[0]["kind"], &failed[0]["worker"]), (&json!("other"), &json!("redis:mail")));
    let job = app.json(&["job", "horizon:shop", failed[0]["id"].as_str().unwrap()]);
    assert_eq!((&job["facts"]["tags"], &job["facts"]["status"]), (&json!("user:7, mail"), &json!("failed")));
    assert!(job["stack"].to_string().contains("Stack trace"), "{job}");
    let tag = app.json(&["job", "horizon:shop", "tag:user:7"]);
    assert_eq!(tag["payload"]["jobs"].as_array().map(Vec::len), Some(6), "{tag}");
    let metrics = app.json(&["job", "horizon:shop", "queue:reports"]);
    assert_eq!(metrics["payload"]["snapshots"][0]["throughput"], 2, "{metrics}");
    assert_eq!(
        app.json(&["failures"])["groups"],
        json!([]),
        "the database has no row, and Horizon's do not count here"
    );
}

#[test]
fn without_a_database_horizons_failed_jobs_are_the_failures() {
    let app = with_real_keys();
    app.configure("");
    let told = app.json(&["failures"]);
    assert_eq!(
        (&told["groups"][0]["count"], told["groups"][0]["queues"].to_string().contains("horizon:shop")),
        (&json!(2), true)
    );
    let failed = rows(&app, "failed");
    let id = failed[0]["id"].as_str().unwrap();
    app.change(&["remove", "horizon:shop", id, "--state", "failed"], 1);
    assert_eq!(
        app.server.int("ZCARD shop_horizon:failed_jobs") + app.server.int(&format!("EXISTS shop_horizon:{id}")),
        1
    );
    assert!(app.qtop(&["undo", "--yes"]).status.success());
    assert_eq!(
        app.server.int("ZCARD shop_horizon:failed_jobs") + app.server.int(&format!("EXISTS shop_horizon:{id}")),
        3
    );
}

#[test]
fn a_whole_horizon_is_paused_and_its_silence_is_told() {
    let app = with_real_keys();
    app.json(&["pause", "horizon:shop", "--yes"]);
    let orders = list(&app, "shop_horizon:commands:master:web-1-5rtB");
    assert_eq!(orders, [json!({"command": "Laravel\\Horizon\\SupervisorCommands\\Pause", "options": []})]);
    let told = app.json(&["workers"]);
    let names: Vec<&str> = told["workers"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    let master = names.iter().filter(|name| **name == "web-1-5rtB").count();
    assert_eq!((master, names.contains(&"web-1-5rtB:supervisor-2")), (1, true), "each is told once: {told}");
    app.server.run("HSET shop_horizon:master:web-1-5rtB status paused");
    let horizon = |app: &App| {
        let told = app.json(&["queues"]);
        told["queues"].as_array().unwrap().iter().find(|queue| queue["system"] == "horizon").unwrap().clone()
    };
    let paused = horizon(&app);
    assert_eq!((&paused["paused"], &paused["facts"]["status"]), (&json!(true), &json!("paused")));
    app.server.run("ZADD shop_horizon:masters 1700000000 web-1-5rtB");
    let silent = horizon(&app);
    assert_eq!(silent["facts"]["status"], "inactive");
    assert_eq!(silent["warnings"][0]["code"], "horizon_inactive", "{silent}");
}

fn list(app: &App, key: &str) -> Vec<Value> {
    let items: Vec<String> = redis::cmd("LRANGE").arg(key).arg(0).arg(-1).query(&mut app.server.client()).unwrap();
    items.iter().map(|item| serde_json::from_str(item).unwrap()).collect()
}

#[test]
fn a_restart_ends_a_real_worker_after_its_present_job() {
    let app = App::new(sqlite(), "database-uuids");
    app.configure("[[laravel]]\nname = \"shop\"\nprefix = \"shop_database_\"\ncache_prefix = \"shop_cache:\"\n");
    app.artisan(&["qtop:fill", "--pending=1", "--delayed=1"]);
    let mut worker = app.command(&["queue:work", "--sleep=1"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while app.ran().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the worker runs its job");
    }
    let told = app.json(&["signal", "restart", "laravel:default", "--yes"]);
    assert_eq!(told["done"], 1, "{told}");
    let ended = Instant::now();
    while worker.try_wait().unwrap().is_none() {
        if ended.elapsed() > Duration::from_secs(30) {
            worker.kill().unwrap();
            panic!("the worker did not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let refused = app.qtop(&["signal", "pause", "laravel:default", "--yes"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("without Horizon"), "{text}");
}

#[test]
fn masters_and_supervisors_are_workers_that_take_orders() {
    let app = with_horizon();
    app.artisan(&["qtop:fill", "--pending=1"]);
    let told = app.json(&["workers"]);
    let workers = told["workers"].as_array().unwrap();
    let named = |name: &str| workers.iter().find(|worker| worker["name"] == name).unwrap_or_else(|| panic!("{told}"));
    assert_eq!(named(MASTER)["state"], "live");
    assert!(named(SUPERVISOR).to_string().contains("balance auto, maxProcesses 10"), "{told}");
    for (order, class) in [("pause", "Pause"), ("continue", "ContinueWorking"), ("terminate", "Terminate")] {
        let told = app.json(&["signal", order, "laravel:default", SUPERVISOR, "--yes"]);
        assert_eq!(told["done"], 1, "{told}");
        let last = list(&app, &format!("shop_horizon:commands:{SUPERVISOR}")).pop().unwrap();
        assert_eq!(last, json!({"command": format!("Laravel\\Horizon\\SupervisorCommands\\{class}"), "options": []}));
    }
    app.json(&["signal", "pause", "laravel:default", "--yes"]);
    assert_eq!(list(&app, &format!("shop_horizon:commands:master:{MASTER}")).len(), 1, "without a name all masters");
    let nobody = app.json(&["signal", "pause", "laravel:default", "nobody", "--yes"]);
    assert_eq!(nobody["refused"][0]["id"], "nobody", "{nobody}");
}

#[test]
fn what_horizon_retried_is_not_retried_again_and_what_is_pushed_is_noted() {
    let app = with_horizon();
    app.server.run("SET shop_database_broken 1");
    app.artisan(&["qtop:fill", "--fragile=2"]);
    app.work();
    let failed = app.failed();
    let key = format!("shop_horizon:{}", failed[0]);
    app.server.run(&format!(
        "HSET {key} id {} status failed retried_by [{{\"id\":\"new\",\"status\":\"pending\",\"retried_at\":1}}]",
        failed[0]
    ));
    let told = app.json(&["retry", "laravel:default", "--all", "--state", "failed", "--yes"]);
    assert_eq!((told["done"].clone(), told["refused"].as_array().unwrap().len()), (json!(1), 1), "{told}");
    assert!(told["refused"][0]["reason"].as_str().unwrap().contains("Horizon has retried it"), "{told}");
    let noted = format!("shop_horizon:{}", failed[1]);
    let status: String = redis::cmd("HGET").arg(&noted).arg("status").query(&mut app.server.client()).unwrap();
    assert_eq!(status, "pending");
    assert_eq!(app.server.int("ZCARD shop_horizon:pending_jobs"), 1);
    assert!(app.server.int(&format!("TTL {noted}")) > 3_000);
    app.change(&["remove", "laravel:default", &failed[1], "--state", "pending"], 1);
    assert_eq!(app.server.int("ZCARD shop_horizon:pending_jobs") + app.server.int(&format!("EXISTS {noted}")), 0);
    app.json(&["retry", "laravel:default", &failed[0], "--yes", "--force"]);
    assert_eq!(app.truth()["pending"], 1);
}
