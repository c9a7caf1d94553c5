//! dumpyarabot: ARQ with the bot's own words, and the older one on lists.

use qtop_testkit::TestServer;
use serde_json::Value;

use crate::shell::{Shell, fact};

const ARQ: &str = "arq:dumpyarabot:arq_jobs";

pub fn set(server: &TestServer, key: &str, value: &[u8]) {
    let _: () = redis::cmd("SET").arg(key).arg(value).query(&mut server.client()).unwrap();
}

/// One job runs at step 6 of 25, one waits; one ended well, one badly and one was called off, all successes to ARQ.
fn today() -> TestServer {
    let server = TestServer::start();
    server.run("ZADD dumpyarabot:arq_jobs 1700000000000 run-1 1700000001000 wait-1");
    set(&server, "arq:job:run-1", include_bytes!("pickles/running.pickle"));
    set(&server, "arq:job:wait-1", include_bytes!("pickles/waiting.pickle"));
    server.run("SET arq:in-progress:run-1 1 PX 7000000");
    server.run("SET arq:retry:run-1 1 EX 88400");
    set(&server, "arq:result:bad-1", include_bytes!("pickles/failed.pickle"));
    set(&server, "arq:result:good-1", include_bytes!("pickles/completed.pickle"));
    set(&server, "arq:result:off-1", include_bytes!("pickles/cancelled.pickle"));
    let health = b"Nov-22 02:04:28 j_complete=2 j_failed=0 j_retried=0 j_ongoing=1 queued=2";
    set(&server, "dumpyarabot:arq_jobs:health-check", health);
    server.run("EXPIRE dumpyarabot:arq_jobs:health-check 31");
    set(&server, "dumpyarabot:running_job:run-1", br#"{"worker_id": "arq@1a2b", "pid": 4242, "boot_id": "x"}"#);
    let status = "v1\n24\n1700000000\n*Extracting partitions*\n████░░░ 24% (Step 6/25)";
    set(&server, "dumpyarabot:job_status_text:run-1", status.as_bytes());
    server.run("LPUSH dumpyarabot:pending_reviews:queue 1");
    server
}

#[test]
fn progress_and_owner_of_what_runs_are_told() {
    let server = today();
    let shell = Shell::of_recipe(&server, "dumpyarabot-arq");
    let rows = shell.jobs(ARQ, "running");
    let progress = &rows[0]["progress"];
    assert_eq!(
        (&progress["percent"], &progress["step"], &progress["total"], &progress["text"]),
        (&24.0.into(), &6.into(), &25.into(), &"Extracting partitions".into()),
        "{rows:?}"
    );
    assert_eq!(rows[0]["worker"], "arq@1a2b, pid 4242");
    assert_eq!(rows[0]["attempts_max"], 3);
    let job = shell.json(&["job", ARQ, "run-1", "--json"]);
    assert_eq!(fact(&job, "url"), Some("https://example.com/firmware.zip"));
    assert_eq!(fact(&job, "owner"), Some("arq@1a2b, pid 4242"));
    let all = shell.json(&["queues", "--json"]).to_string();
    assert!(!all.contains("pending_reviews"), "{all}");
}

#[test]
fn what_arq_calls_a_success_is_shown_as_what_it_is() {
    let server = today();
    let shell = Shell::of_recipe(&server, "dumpyarabot-arq");
    let row = |state: &str, id: &str| {
        let rows = shell.jobs(ARQ, state);
        assert_eq!(rows.len(), 1, "{state}: {rows:?}");
        assert_eq!(rows[0]["id"], id, "{state}");
        rows[0].clone()
    };
    let (bad, off, good) = (row("failed", "bad-1"), row("aborted", "off-1"), row("complete", "good-1"));
    assert_eq!((&bad["kind"], &bad["error"]), (&"failed".into(), &"no space left on device".into()));
    assert_eq!(off["kind"], "cancelled");
    assert_eq!(good["kind"], "completed");
    assert_eq!(good["progress"]["step"], 25);
    assert_eq!(bad["progress"]["text"], "Extracting partitions", "the step at which it stopped");
    let counts = shell.queue("dumpyarabot:arq_jobs")["counts"].clone();
    let ended = (&counts["failed"], &counts["aborted"], &counts["complete"]);
    assert_eq!(ended, (&1.into(), &1.into(), &1.into()), "counted by the same predicate: {counts}");
    let job = shell.json(&["job", ARQ, "bad-1", "--json"]);
    assert_eq!(fact(&job, "meaning"), Some("failed: its result says r.metadata.status = failed"));
    let failures = shell.json(&["failures", "--json"]);
    let text = failures.to_string();
    assert!(text.contains("no space left on device") && !text.contains("good-1"), "{text}");
}

#[test]
fn a_cancel_sets_the_flag_the_job_looks_at() {
    let server = today();
    let shell = Shell::of_recipe(&server, "dumpyarabot-arq");
    let before = server.digest();
    let (_, said) = shell.text(&["cancel", ARQ, "run-1", "--dry-run"]);
    assert!(said.contains("SET dumpyarabot:cancel_requested:run-1 1 EX 7500"), "{said}");
    assert!(said.contains("First what ARQ itself does to cancel"), "{said}");
    assert_eq!(server.digest(), before);
    let done = shell.json(&["cancel", ARQ, "run-1", "--yes", "--json"]);
    assert_eq!(done["done"], 1, "{done}");
    assert!((7000..=7500).contains(&server.int("TTL dumpyarabot:cancel_requested:run-1")));
    let job = shell.json(&["job", ARQ, "run-1", "--json"]);
    assert!(fact(&job, "asked to stop").unwrap().starts_with("dumpyarabot:cancel_requested:run-1, for 2h"), "{job}");
    // Waiting jobs have no flag: ARQ's own way takes them out.
    let done = shell.json(&["cancel", ARQ, "wait-1", "--yes", "--json"]);
    assert_eq!(done["done"], 1, "{done}");
    assert_eq!(server.int("EXISTS dumpyarabot:cancel_requested:wait-1"), 0);
}

/// Three queued ids, one that runs, and messages in two of the four lists.
pub fn lists() -> TestServer {
    let server = TestServer::start();
    for id in ["j1", "j2", "j3"] {
        server.run(&format!("LPUSH dumpyarabot:job_queue {id}"));
        let record = format!(
            r#"{{"job_id": "{id}", "dump_args": {{"url": "https://e.com/{id}"}}, "status": "queued", "n": 18446744073709551616, "created_at": "2026-11-22T02:00:00", "completed_at": null}}"#
        );
        set(&server, &format!("dumpyarabot:job:{id}"), record.as_bytes());
    }
    let running = br#"{"job_id": "run", "dump_args": {"url": "https://e.com/r"}, "status": "processing", "worker_id": "w-1", "progress": {"current_step": "Extracting", "total_steps": 10, "current_step_number": 3, "percentage": 30.0}, "started_at": "2026-11-22T01:01:00"}"#;
    set(&server, "dumpyarabot:job:run", running);
    server.run("SET dumpyarabot:worker:w-1 run EX 300");
    let message = |list: &str, text: &str| {
        let _: i64 = redis::cmd("LPUSH").arg(list).arg(text).query(&mut server.client()).unwrap();
    };
    message("dumpyarabot:msg_queue:low", r#"{"message_id":"m2","type":"notification","retry_count":1}"#);
    message("dumpyarabot:msg_queue:urgent", r#"{"message_id":"m1","type":"error","retry_count":0}"#);
    message(
        "dumpyarabot:dead_letter_queue",
        r#"{"message_id":"m4","type":"status_update","retry_count":3,"context":{"error":"chat not found"}}"#,
    );
    let delayed = r#"{"message_id":"m3","type":"status_update","retry_count":2}"#;
    let _: i64 = redis::cmd("ZADD")
        .arg("dumpyarabot:delayed_messages")
        .arg(1_700_000_000)
        .arg(delayed)
        .query(&mut server.client())
        .unwrap();
    server
}

#[test]
fn the_older_one_is_shown_with_its_ten_steps_its_workers_and_its_messages() {
    let server = lists();
    let shell = Shell::of_recipe(&server, "dumpyarabot-lists");
    assert_eq!(shell.queue("dumpyarabot-jobs")["counts"]["waiting"], 3);
    let running = shell.jobs("dumpyarabot-jobs", "processing");
    let progress = &running[0]["progress"];
    assert_eq!(
        (&progress["step"], &progress["total"], &progress["text"]),
        (&3.into(), &10.into(), &"Extracting".into())
    );
    let workers = shell.json(&["workers", "--json"]);
    assert_eq!(workers["workers"][0]["name"], "w-1", "{workers}");
    let messages = shell.queue("dumpyarabot-messages");
    assert_eq!(messages["counts"]["waiting"], 2, "four lists are one queue");
    assert!(messages.to_string().contains("nothing moves them back"), "{messages}");
    let order: Vec<Value> = shell.jobs("dumpyarabot-messages", "waiting").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(order, ["m1", "m2"], "the urgent ones first");
    let dead = shell.jobs("dumpyarabot-messages", "dead");
    assert_eq!((&dead[0]["id"], &dead[0]["error"]), (&"m4".into(), &"chat not found".into()));
    shell.json(&["requeue", "dumpyarabot-messages", "m4", "--yes", "--json"]);
    assert_eq!(server.int("LLEN dumpyarabot:msg_queue:urgent"), 2);
    shell.json(&["promote", "dumpyarabot-messages", "m3", "--yes", "--json"]);
    assert_eq!(server.int("EXISTS dumpyarabot:delayed_messages"), 0);
}

#[test]
fn r2_a_queued_job_is_called_off_in_list_and_record_or_in_neither() {
    let server = lists();
    let shell = Shell::of_recipe(&server, "dumpyarabot-lists");
    let done = shell.json(&["cancel", "dumpyarabot-jobs", "j2", "--yes", "--json"]);
    assert_eq!(done["done"], 1, "{done}");
    let left: Vec<String> =
        redis::cmd("LRANGE").arg("dumpyarabot:job_queue").arg(0).arg(-1).query(&mut server.client()).unwrap();
    assert_eq!(left, ["j3", "j1"]);
    let record: String = redis::cmd("GET").arg("dumpyarabot:job:j2").query(&mut server.client()).unwrap();
    assert!(record.contains(r#""status": "cancelled", "n": 18446744073709551616"#), "{record}");
    assert!(record.contains(r#""completed_at": "20"#), "{record}");
    let before = server.digest();
    for (id, state) in [("run", "waiting"), ("j2", "waiting"), ("nobody", "waiting")] {
        let refused = shell.json(&["cancel", "dumpyarabot-jobs", id, "--state", state, "--yes", "--json"]);
        assert_eq!(refused["done"], 0, "{refused}");
    }
    assert_eq!(server.digest(), before, "the record of what runs is not touched");
}
