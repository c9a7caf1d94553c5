//! RunnerHub on BullMQ, the delivery worker on a plain list, and the Laravel download bot.

use qtop_testkit::TestServer;

use crate::shell::{Shell, fact};

const HUB: [&str; 6] =
    ["job-execution", "container-management", "monitoring", "webhook-processing", "cleanup", "metrics-collection"];

/// Six queues with a prioritized job each.
fn hub() -> TestServer {
    let server = TestServer::start();
    for (index, queue) in HUB.iter().enumerate() {
        server.run(&format!("HSET bull:{queue}:meta version bullmq:5.70.0 opts.maxLenEvents 10000"));
        let priority = index % 4 + 1;
        let data = r#"{"type":"x","data":{"repository":"o/r","runId":7}}"#;
        let mut command = redis::cmd("HSET");
        command.arg(format!("bull:{queue}:1")).arg("name").arg("execute_workflow").arg("data").arg(data);
        command.arg("opts").arg("{}").arg("timestamp").arg(1_700_000_000_000_i64).arg("priority").arg(priority);
        let _: i64 = command.query(&mut server.client()).unwrap();
        server.run(&format!("ZADD bull:{queue}:prioritized {} 1", priority * 4_294_967_296));
    }
    let progress = "HSET bull:monitoring:2 name collect_metrics data {} opts {} timestamp 1700000000000 processedOn 1700000001000 progress 80";
    server.run(progress);
    server.run("LPUSH bull:monitoring:active 2");
    server
}

#[test]
fn runnerhub_is_shown_with_its_priorities_and_the_queue_that_has_no_worker() {
    let server = hub();
    let shell = Shell::of_recipe(&server, "runnerhub");
    for queue in HUB {
        let counts = &shell.queue(queue)["counts"];
        assert_eq!(counts["prioritized"], 1, "{queue}: {counts}");
    }
    let job = shell.json(&["job", "job-execution", "1", "--json"]);
    assert_eq!(
        (fact(&job, "priority"), fact(&job, "repository"), fact(&job, "run")),
        (Some("critical"), Some("o/r"), Some("7"))
    );
    let job = shell.json(&["job", "webhook-processing", "1", "--json"]);
    assert_eq!(fact(&job, "priority"), Some("low"));
    assert_eq!(shell.jobs("monitoring", "active")[0]["progress"]["percent"], 80.0);
    let lonely = shell.queue("metrics-collection").to_string();
    assert!(lonely.contains("no worker, and none is expected here"), "{lonely}");
    assert!(!lonely.contains("\"critical\""), "{lonely}");
}

#[test]
fn the_everyday_operations_of_runnerhub_work() {
    let server = hub();
    let shell = Shell::of_recipe(&server, "runnerhub");
    for (arguments, check, left) in [
        (&["pause", "cleanup"][..], "HEXISTS bull:cleanup:meta paused", 1),
        (&["resume", "cleanup"], "HEXISTS bull:cleanup:meta paused", 0),
        (&["drain", "monitoring"], "ZCARD bull:monitoring:prioritized", 1),
        (&["remove", "monitoring", "1"], "ZCARD bull:monitoring:prioritized", 0),
    ] {
        let mut all = arguments.to_vec();
        all.extend(["--yes", "--json"]);
        shell.json(&all);
        if arguments[0] != "drain" {
            assert_eq!(server.int(check), left, "{arguments:?}");
        }
    }
}

#[test]
fn the_delivery_worker_is_shown_with_attempts_and_works_without_ids() {
    let server = TestServer::start();
    let push = |text: &[u8]| {
        let _: i64 = redis::cmd("LPUSH").arg("message_queue").arg(text).query(&mut server.client()).unwrap();
    };
    push(br#"{"id":"a","type":"mail","payload":{},"attempts":4711,"created_at":1700000000,"last_error":"502"}"#);
    push(br#"{"type":"sms","attempts":0}"#);
    push(b"\xff\x00 no json");
    let shell = Shell::of_recipe(&server, "message-queue");
    assert_eq!(shell.queue("message_queue")["counts"]["waiting"], 3);
    let rows = shell.jobs("message_queue", "waiting");
    assert_eq!(
        (&rows[0]["id"], &rows[0]["attempts_made"], &rows[0]["attempts_max"]),
        (&"a".into(), &4711.into(), &10000.into())
    );
    assert_eq!(rows[0]["error"], "502");
    assert!(rows[1]["id"].as_str().unwrap().starts_with('#'), "{rows:?}");
    let id = rows[2]["id"].as_str().unwrap();
    let done = shell.json(&["remove", "message_queue", id, "--yes", "--json"]);
    assert_eq!(done["done"], 1, "{done}");
    assert_eq!(server.int("LLEN message_queue"), 2);
}

#[test]
fn the_download_bot_is_found_by_its_prefix_and_drained() {
    let server = TestServer::start();
    let payload = r#"{"uuid":"u-1","displayName":"App\\Jobs\\DownloadMediaJob","job":"Illuminate\\Queue\\CallQueuedHandler@call","maxTries":2,"timeout":60,"data":{"commandName":"App\\Jobs\\DownloadMediaJob","command":""},"id":"abc","attempts":0}"#;
    let _: i64 =
        redis::cmd("RPUSH").arg("laravel_database_queues:downloads").arg(payload).query(&mut server.client()).unwrap();
    let shell = Shell::of_recipe(&server, "laravel-download-bot");
    assert_eq!(shell.queue("downloads")["instance"], "laravel_database_", "the prefix is found and said");
    let rows = shell.jobs("laravel:downloads", "pending");
    assert_eq!(
        (&rows[0]["name"], &rows[0]["attempts_max"]),
        (&"App\\Jobs\\DownloadMediaJob".into(), &2.into()),
        "{rows:?}"
    );
    let done = shell.json(&["drain", "laravel:downloads", "--yes", "--json"]);
    assert_eq!(done["done"], 1, "{done}");
    assert_eq!(server.int("EXISTS laravel_database_queues:downloads"), 0);
}
