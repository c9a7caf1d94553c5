//! Workers of the deployments, and real libraries, as judges of what a recipe's operations really do.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use qtop_testkit::TestServer;
use serde_json::{Value, json};

use crate::dumpyarabot::{lists, set};
use crate::shell::Shell;
use crate::whatsapp::filled;

fn worker(server: &TestServer, kind: &str) -> Child {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/python/bin/python");
    assert!(python.exists(), "{} is missing; run tests/run.sh, which makes it", python.display());
    Command::new(python)
        .arg(root.join("tests/recipes/workers.py"))
        .args([server.port().to_string().as_str(), kind])
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a worker do all there is.
fn work(server: &TestServer, kind: &str) {
    let ended = worker(server, kind).wait().unwrap();
    assert!(ended.success(), "the {kind} worker ended with {ended}");
}

/// What workers wrote down, in order.
fn ran(server: &TestServer) -> Vec<Value> {
    let lines: Vec<String> = redis::cmd("LRANGE").arg("ran").arg(0).arg(-1).query(&mut server.client()).unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A file with this text.
fn written(shell: &Shell, text: &str) -> String {
    let path = shell.home().join("payload");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn until(what: &str, ready: impl Fn() -> bool) {
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited 20 s for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_requeued_dead_letter_runs_once_with_its_own_arguments() {
    let server = filled();
    let shell = Shell::of_recipe(&server, "whatsapp");
    for id in ["msg-1", "send:77"] {
        let done = shell.json(&["requeue", "whatsapp-dead", id, "--yes", "--json"]);
        assert_eq!(done["done"], 1, "{done}");
    }
    work(&server, "whatsapp");
    let mut done = ran(&server);
    done.sort_by_key(|run| run["id"].to_string());
    assert_eq!(
        done,
        [
            json!({"what": "send", "id": "msg-1", "to": "+49151", "content": "it's me", "urgent": true}),
            json!({"what": "download", "id": "send:77", "url": "http://x/y"}),
        ]
    );
    let rows = shell.jobs("arq:arq:queue", "complete");
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.iter().all(|row| row["kind"] == "completed"), "not taken for processed already: {rows:?}");
    // What ran once does not run again for a letter that came twice.
    server.run("LPUSH dead_letter_queue msg-1");
    let refused = shell.json(&["requeue", "whatsapp-dead", "msg-1", "--state", "dead", "--yes", "--json"]);
    assert_eq!(refused["done"], 0, "its hash is gone: {refused}");
    work(&server, "whatsapp");
    assert_eq!(ran(&server).len(), 2);
}

#[test]
fn letters_are_counted_listed_got_removed_cleared_and_grouped() {
    let server = filled();
    server.run("LPUSH dead_letter_queue msg-1");
    let shell = Shell::of_recipe(&server, "whatsapp");
    assert_eq!(shell.queue("whatsapp-dead")["counts"]["dead"], 4, "count");
    assert_eq!(shell.jobs("whatsapp-dead", "dead").len(), 4, "list");
    let job = shell.json(&["job", "whatsapp-dead", "send:77", "--json"]);
    assert_eq!(job["row"]["error"].as_str().or(job["error"].as_str()), Some("bad url"), "get: {job}");
    let groups = shell.json(&["failures", "--json"]);
    assert!(groups.to_string().contains("download_content"), "stats: {groups}");
    let before = server.digest();
    let done = shell.json(&["remove", "whatsapp-dead", "msg-1", "--state", "dead", "--yes", "--json"]);
    assert_eq!(done["done"], 1, "remove: {done}");
    assert_eq!(server.int("LLEN dead_letter_queue"), 2, "every entry of that key");
    shell.json(&["undo", "--yes", "--json"]);
    assert_eq!(server.digest(), before, "both entries are back in their places");
    shell.json(&["remove", "whatsapp-dead", "--all", "--state", "dead", "--yes", "--json"]);
    assert_eq!(server.int("EXISTS dead_letter_queue dlq:msg-1 dlq:send:77"), 0, "clear");
    shell.json(&["undo", "--yes", "--json"]);
    assert_eq!(server.digest(), before);
}

#[test]
fn a_dump_is_followed_through_its_steps_and_stops_at_its_flag() {
    const QUEUE: &str = "arq:dumpyarabot:arq_jobs";
    let server = TestServer::start();
    let shell = Shell::of_recipe(&server, "dumpyarabot-arq");
    let data = json!([{"job_id": "slow", "dump_args": {"url": "https://e.com/f.zip"}, "pause": 0.2}]);
    let file = written(&shell, &data.to_string());
    let add = ["add", QUEUE, "process_firmware_dump", "--id", "slow", "--data", &file, "--yes", "--json"];
    let added = shell.json(&add);
    assert_eq!(added["created"][0], "slow", "{added}");
    let mut worker = worker(&server, "dump");
    until("the third step", || {
        let text: Option<String> =
            redis::cmd("GET").arg("dumpyarabot:job_status_text:slow").query(&mut server.client()).unwrap();
        text.is_some_and(|text| text.contains("(Step 3/"))
    });
    let row = shell.jobs(QUEUE, "running").remove(0);
    assert_eq!(row["progress"]["total"], 25, "{row}");
    assert!(row["worker"].as_str().unwrap().starts_with("arq@12345678, pid "), "{row}");
    let done = shell.json(&["cancel", QUEUE, "slow", "--yes", "--json"]);
    assert_eq!(done["done"], 1, "{done}");
    assert!(worker.wait().unwrap().success());
    let told = ran(&server).remove(0);
    assert_eq!(told["what"], "cancelled");
    assert!(told["steps"].as_u64().unwrap() < 25, "{told}");
    let row = shell.jobs(QUEUE, "aborted").remove(0);
    assert_eq!((&row["kind"], &row["error"]), (&json!("cancelled"), &json!("called off by an operator")), "{row}");
    assert_eq!(row["progress"]["step"], told["steps"], "the step at which it stopped");
}

#[test]
fn a_called_off_dump_of_the_older_bot_does_not_run_and_an_undone_one_does() {
    let server = lists();
    let shell = Shell::of_recipe(&server, "dumpyarabot-lists");
    let before = server.digest();
    for id in ["j1", "j2"] {
        let done = shell.json(&["cancel", "dumpyarabot-jobs", id, "--yes", "--json"]);
        assert_eq!(done["done"], 1, "{done}");
    }
    shell.json(&["undo", "--yes", "--json"]);
    let record: String = redis::cmd("GET").arg("dumpyarabot:job:j2").query(&mut server.client()).unwrap();
    assert!(record.contains(r#""status": "queued""#) && record.contains(r#""completed_at": null"#), "{record}");
    let left: Vec<String> =
        redis::cmd("LRANGE").arg("dumpyarabot:job_queue").arg(0).arg(-1).query(&mut server.client()).unwrap();
    assert_eq!(left, ["j3", "j2"]);
    shell.json(&["undo", "--yes", "--json"]);
    assert_eq!(server.digest(), before, "both are as they were");
    shell.json(&["cancel", "dumpyarabot-jobs", "j1", "--yes", "--json"]);
    work(&server, "dump-lists");
    let dumped: Vec<_> = ran(&server).iter().map(|run| (run["id"].clone(), run["was"].clone())).collect();
    assert_eq!(dumped, [(json!("j2"), json!("queued")), (json!("j3"), json!("queued"))], "j1 was called off");
}

#[test]
fn an_undo_does_not_overwrite_what_was_changed_since() {
    let server = lists();
    let shell = Shell::of_recipe(&server, "dumpyarabot-lists");
    shell.json(&["cancel", "dumpyarabot-jobs", "j2", "--yes", "--json"]);
    let record: String = redis::cmd("GET").arg("dumpyarabot:job:j2").query(&mut server.client()).unwrap();
    let changed = record.replace("https://e.com/j2", "https://e.com/other");
    set(&server, "dumpyarabot:job:j2", changed.as_bytes());
    let before = server.digest();
    let refused = shell.json(&["undo", "--yes", "--json"]);
    assert!(refused.to_string().contains("changed since"), "{refused}");
    assert_eq!(server.digest(), before);
}

#[test]
fn messages_taken_back_are_sent_by_their_worker() {
    let server = lists();
    let shell = Shell::of_recipe(&server, "dumpyarabot-lists");
    shell.json(&["requeue", "dumpyarabot-messages", "m4", "--yes", "--json"]);
    shell.json(&["promote", "dumpyarabot-messages", "m3", "--yes", "--json"]);
    work(&server, "messages");
    let mut sent: Vec<String> = ran(&server).iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sent[0], "m1", "the urgent one that waited longest: {sent:?}");
    sent.sort();
    assert_eq!(sent, ["m1", "m2", "m3", "m4"]);
    let counts = shell.queue("dumpyarabot-messages")["counts"].clone();
    assert_eq!((&counts["waiting"], &counts["delayed"], &counts["dead"]), (&json!(0), &json!(0), &json!(0)));
}

#[test]
fn deliveries_are_added_edited_and_removed_for_a_live_worker() {
    let server = TestServer::start();
    let push = |text: &str| {
        let _: i64 = redis::cmd("LPUSH").arg("message_queue").arg(text).query(&mut server.client()).unwrap();
    };
    push(r#"{"id":"bad","type":"mail","payload":{"broken":true},"attempts":1}"#);
    push(r#"{"id":"gone","type":"mail","payload":{},"attempts":0}"#);
    let shell = Shell::of_recipe(&server, "message-queue");
    shell.json(&["remove", "message_queue", "gone", "--yes", "--json"]);
    let data = written(&shell, r#"{"id":"new","type":"mail","payload":{},"attempts":0}"#);
    let added = shell.json(&["add", "message_queue", "mail", "--data", &data, "--yes", "--json"]);
    assert_eq!(added["done"], 1, "{added}");
    work(&server, "delivery");
    let told: Vec<_> = ran(&server).iter().map(|run| format!("{} {}", run["what"], run["id"])).collect();
    assert_eq!(told, [r#""failed" "bad""#, r#""delivered" "new""#, r#""failed" "bad""#]);
    let row = shell.jobs("message_queue", "waiting").remove(0);
    assert_eq!((&row["attempts_made"], &row["error"]), (&json!(3), &json!("502")), "{row}");
}
