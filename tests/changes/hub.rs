//! RunnerHub's recipe over the real library: its everyday operations, judged by it.

use std::time::Duration;

use qtop_testkit::TestServer;
use serde_json::{Value, json};

use crate::command_line::Shell;
use crate::library::Library;

#[test]
fn runnerhub_is_operated_under_the_real_library() {
    let server = TestServer::start();
    let mut hub = Library::start(5, server.port());
    let shell = Shell::at(&server.url());
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/recipes/runnerhub.toml");
    let ask = |words: &[&str]| shell.json(&[&["--config", recipe], words, &["--json"]].concat()).1;
    let change = |words: &[&str]| ask(&[words, &["--yes"]].concat());
    let options = |priority: u32| json!({ "priority": priority, "attempts": 1 });
    let data = json!({ "type": "execute_workflow", "data": { "repository": "o/r" } });
    let failed = hub.add_failed("job-execution", 2, options(3));
    let low = hub.add("job-execution", "good", data.clone(), options(4));
    let critical = hub.add("job-execution", "good", data, options(1));
    let all = ask(&["queues"]);
    let queue = all["queues"].as_array().unwrap().iter().find(|queue| queue["queue"] == "job-execution").unwrap();
    assert_eq!((&queue["counts"]["prioritized"], &queue["counts"]["failed"]), (&json!(2), &json!(2)), "{queue}");
    let page = ask(&["jobs", "job-execution", "--state", "prioritized"]);
    let order: Vec<&Value> = page["jobs"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(order, [critical.as_str(), &low], "what runs next comes first");
    change(&["pause", "job-execution"]);
    change(&["retry", "job-execution", &failed[0]]);
    hub.ask("work", json!({ "queue": "job-execution" }));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(hub.state("job-execution", &critical), "prioritized", "it is paused");
    change(&["resume", "job-execution"]);
    hub.until("job-execution", &low, "completed");
    assert_eq!(hub.state("job-execution", &failed[0]), "failed", "it ran and failed again");
    let cleaned = change(&["clean", "job-execution", "--state", "failed", "--older-than", "0s"]);
    assert_eq!(cleaned["done"], 2, "{cleaned}");
    assert_eq!(hub.state("job-execution", &failed[1]), "gone");
}
