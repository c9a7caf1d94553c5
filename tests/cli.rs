//! The headless commands of the built program, against a real server.

use std::process::Output;

use assert_cmd::Command;
use qtop_testkit::TestServer;
use serde_json::Value;

/// A program that sees nothing of the caller's settings.
fn qtop() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qtop"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", "/nonexistent").timeout(std::time::Duration::from_secs(60));
    command
}

fn over(server: &TestServer, arguments: &[&str]) -> Output {
    qtop().args(["--url", &server.url()]).args(arguments).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

fn json(server: &TestServer, arguments: &[&str]) -> Value {
    let output = over(server, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The names of an object's keys, in order.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// Three BullMQ queues, two of one name under different prefixes.
fn filled() -> TestServer {
    let server = TestServer::start();
    for prefix in ["bull", "app:prod"] {
        server.run(&format!("HSET {prefix}:mail:meta version bullmq:6.7.0"));
    }
    server.run("HSET bull:reports:meta version bullmq:6.7.0 paused 1");
    server.run("SET bull:mail:id 9");
    for id in 1..=3 {
        server.run(&format!(
            "HSET bull:mail:{id} name welcome data {{\"n\":9223372036854775807}} opts {{\"attempts\":3}} timestamp 1700000000000"
        ));
        server.run(&format!("LPUSH bull:mail:wait {id}"));
    }
    for (id, host) in [(4, "10.0.0.1"), (5, "10.0.0.2")] {
        let at = 1_700_000_000_000_i64 + id;
        server.run(&format!(
            "HSET bull:mail:{id} name invoice data {{}} opts {{}} timestamp {at} finishedOn {at} atm 1 failedReason refused-by-{host}:80"
        ));
        server.run(&format!("ZADD bull:mail:failed {at} {id}"));
    }
    server
}

#[test]
fn queues_have_the_written_down_shape() {
    let server = filled();
    let all = json(&server, &["queues", "--json"]);
    assert_eq!(keys(&all), ["taken_at", "complete", "server", "warnings", "queues", "cost"]);
    assert_eq!(keys(&all["server"]), ["name", "url", "version", "mode", "rtt_ms"]);
    assert_eq!(keys(&all["cost"]), ["round_trips", "commands", "bytes_in", "bytes_out"]);
    assert_eq!(all["complete"], true);
    assert!(all["taken_at"].as_str().unwrap().ends_with('Z'), "{all}");
    let queues = all["queues"].as_array().unwrap();
    let addresses: Vec<_> = queues.iter().map(|queue| queue["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["bullmq@app%3Aprod:mail", "bullmq@bull:mail", "bullmq@bull:reports"]);
    let mail = &queues[1];
    assert_eq!(
        keys(mail),
        [
            "address",
            "system",
            "instance",
            "queue",
            "library_version",
            "paused",
            "rate_limited",
            "counts",
            "kinds",
            "oldest_waiting_seconds",
            "rates",
            "drain_seconds",
            "workers",
            "facts",
            "warnings"
        ]
    );
    assert_eq!(
        keys(&mail["kinds"]),
        ["waiting", "active", "scheduled", "retrying", "blocked", "completed", "failed", "dead"]
    );
    assert_eq!(
        (&mail["system"], &mail["instance"], &mail["queue"]),
        (&"bullmq".into(), &"bull".into(), &"mail".into())
    );
    assert_eq!(mail["library_version"], "6.7.0");
    assert_eq!((&mail["kinds"]["waiting"], &mail["kinds"]["failed"]), (&3.into(), &2.into()));
    assert_eq!(mail["rates"], Value::Null, "one look tells no rate");
    assert_eq!(mail["workers"], Value::Null, "unknown is not zero");
    assert!(mail["oldest_waiting_seconds"].as_f64().unwrap() > 1e7, "{mail}");
    assert_eq!(queues[2]["paused"], true);
}

#[test]
fn a_queue_of_which_only_the_counter_is_left_says_why_it_is_listed() {
    let server = TestServer::start();
    server.run("SET bull:letters:id 7");
    let queue = || json(&server, &["queues", "--json"])["queues"][0].clone();
    let left = queue();
    assert_eq!((&left["address"], &left["counts"]["waiting"]), (&"bull:letters".into(), &0.into()));
    assert!(left["warnings"].to_string().contains("only a counter of ids is left"), "{left}");
    let table = text(&over(&server, &["queues"]).stdout);
    assert!(table.contains("only a counter of ids is left"), "{table}");
    // An emptied queue with a repeatable, and one with a job, are queues like any other.
    server.run("ZADD bull:letters:repeat 1 daily");
    assert!(!queue()["warnings"].to_string().contains("only a counter"), "{}", queue());
    server.run("DEL bull:letters:repeat");
    server.run("LPUSH bull:letters:wait 7");
    assert!(!queue()["warnings"].to_string().contains("only a counter"), "{}", queue());
    // Elsewhere a counter alone is nobody's queue.
    server.run("SET users:id 12");
    assert_eq!(json(&server, &["queues", "--json"])["queues"].as_array().map(Vec::len), Some(1));
}

#[test]
fn rates_are_told_after_watching() {
    let server = filled();
    let all = json(&server, &["queues", "--json", "--rates", "1", "-q", "reports"]);
    assert_eq!(all["queues"].as_array().unwrap().len(), 1, "narrowed by -q");
    assert_eq!(keys(&all["queues"][0]["rates"]), ["in_per_s", "out_per_s", "failed_per_s"]);
}

#[test]
fn jobs_come_in_pages_of_the_written_down_shape() {
    let server = filled();
    let first = json(&server, &["jobs", "bullmq@bull:mail", "--state", "waiting", "--limit", "2", "--json"]);
    assert_eq!(keys(&first), ["queue", "state", "total", "next_cursor", "jobs"]);
    assert_eq!((&first["queue"], &first["total"]), (&"bullmq@bull:mail".into(), &3.into()));
    let job = &first["jobs"][0];
    assert_eq!(
        keys(job),
        [
            "id",
            "name",
            "state",
            "kind",
            "progress",
            "attempts_made",
            "attempts_max",
            "priority",
            "created_at",
            "run_at",
            "started_at",
            "finished_at",
            "worker",
            "error",
            "payload_bytes"
        ]
    );
    assert_eq!((&job["id"], &job["kind"]), (&"1".into(), &"waiting".into()), "the next to run comes first");
    assert_eq!(job["created_at"], "2023-11-14T22:13:20.000Z");
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = json(&server, &["jobs", "bullmq@bull:mail", "--state", "waiting", "--cursor", cursor, "--json"]);
    assert_eq!((rest["jobs"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
    let found = json(&server, &["jobs", "bullmq@bull:mail", "--state", "failed", "--match", "10.0.0.2", "--json"]);
    assert_eq!(keys(&found), ["queue", "state", "total", "next_cursor", "scanned", "jobs"]);
    assert_eq!((&found["jobs"][0]["id"], &found["scanned"]), (&"5".into(), &2.into()));
}

#[test]
fn r22_a_job_is_complete_and_its_numbers_exact() {
    let server = filled();
    let output = over(&server, &["job", "bullmq@bull:mail", "1", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(printed.contains("9223372036854775807"), "{printed}");
    let job: Value = serde_json::from_str(&printed).unwrap();
    for key in [
        "id",
        "queue",
        "payload",
        "payload_encoding",
        "payload_cut",
        "options",
        "result",
        "stack",
        "logs",
        "parent",
        "children",
        "lock_seconds",
        "keys",
        "facts",
        "error",
    ] {
        assert!(job.get(key).is_some(), "no {key} in {printed}");
    }
    assert_eq!((&job["payload_encoding"], &job["options"]["attempts"]), (&"json".into(), &3.into()));
    let raw = over(&server, &["job", "bullmq@bull:mail", "1", "--raw"]);
    assert_eq!(text(&raw.stdout), r#"{"n":9223372036854775807}"#, "into a pipe, byte for byte");
}

#[test]
fn failures_and_workers_have_the_written_down_shape() {
    let server = filled();
    let report = json(&server, &["failures", "--json"]);
    assert_eq!(keys(&report), ["window", "groups", "unreadable"]);
    let group = &report["groups"][0];
    assert_eq!(
        keys(group),
        ["fingerprint", "sample_error", "count", "first_seen", "last_seen", "queues", "job_names", "sample"]
    );
    assert_eq!((&group["count"], &group["sample"]["queue"]), (&2.into(), &"bullmq@bull:mail".into()));
    assert_eq!(report["window"]["total"], 2);

    let worker = redis::Client::open(server.url()).unwrap();
    let mut worker = worker.get_connection().unwrap();
    redis::cmd("CLIENT").arg("SETNAME").arg("bull:bWFpbA==:w:holder").query::<()>(&mut worker).unwrap();
    let report = json(&server, &["workers", "--json"]);
    assert_eq!(keys(&report), ["workers", "notes"]);
    let worker = &report["workers"][0];
    assert_eq!(
        keys(worker),
        [
            "system",
            "instance",
            "name",
            "queues",
            "state",
            "paused",
            "heartbeat_seconds",
            "running",
            "host",
            "pid",
            "since",
            "runner",
            "evidence"
        ]
    );
    assert_eq!(worker["queues"][0], "bullmq@bull:mail");
}

#[test]
fn health_tells_its_verdict_by_exit_code() {
    let server = TestServer::start();
    server.run("HSET bull:calm:meta version bullmq:6.7.0");
    let code = |arguments: &[&str]| over(&server, arguments).status.code();
    assert_eq!(code(&["health"]), Some(0));
    server.run("ZADD bull:calm:failed 1700000000000 1");
    server.run("HSET bull:calm:1 name x data {} opts {} timestamp 1700000000000 finishedOn 1700000000000");
    assert_eq!(code(&["health", "--max-failed", "1"]), Some(0));
    assert_eq!(code(&["health", "--max-failed", "0"]), Some(2));
    let verdict = over(&server, &["health", "--max-failed", "0", "--json"]);
    let verdict: Value = serde_json::from_slice(&verdict.stdout).unwrap();
    assert_eq!(keys(&verdict), ["status", "server", "queues", "checks"]);
    assert_eq!((&verdict["status"], &verdict["checks"][0]["code"]), (&"critical".into(), &"max_failed".into()));
    assert_eq!(code(&["health", "--min-workers", "1"]), Some(2));
    server.run("CONFIG SET maxmemory-policy allkeys-lru");
    assert_eq!(code(&["health"]), Some(1), "an eviction policy is a warning");
    let gone = qtop().args(["--url", "redis://127.0.0.1:1", "health"]).output().unwrap();
    assert_eq!(gone.status.code(), Some(3));
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let server = filled();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["jobs", "mail", "--state", "failed"], 1, "bullmq@app%3Aprod:mail"),
        (&["jobs", "reprots", "--state", "failed"], 1, "did you mean"),
        (&["jobs", "reports", "--state", "lost"], 2, "its states are"),
        (&["job", "reports", "77"], 1, "has no job 77"),
        (&["jobs"], 2, "QUEUE"),
        (&["queues", "--system", "bullqm"], 2, "did you mean bullmq"),
        (&["--config", "/nonexistent/qtop.toml", "queues"], 2, "/nonexistent/qtop.toml"),
    ];
    for (arguments, code, said) in cases {
        let output = over(&server, arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let gone = qtop().args(["--url", "redis://127.0.0.1:1", "queues"]).output().unwrap();
    assert_eq!(gone.status.code(), Some(3));
    assert!(text(&gone.stderr).contains("refused"));
}

#[test]
fn u6_without_a_terminal_the_screens_name_what_works() {
    for arguments in [&[][..], &["demo", "--yes"]] {
        let output = qtop().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains("qtop queues --json"), "{}", text(&output.stderr));
    }
}

#[test]
fn s8_a_password_in_an_argument_is_warned_of_and_never_printed() {
    let server = TestServer::builder().args(["--requirepass", "s3cret-word"]).start();
    let url = format!("redis://:s3cret-word@127.0.0.1:{}", server.port());
    let output = qtop().args(["--url", &url, "queues", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("QTOP_URL"), "{stderr}");
    for stream in [text(&output.stdout), stderr] {
        assert!(!stream.contains("s3cret"), "{stream}");
    }
    let quiet = qtop().env("QTOP_URL", &url).args(["queues", "--json"]).output().unwrap();
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{}", text(&quiet.stderr));
    let printed = qtop().env("QTOP_URL", &url).args(["config", "print"]).output().unwrap();
    assert!(printed.status.success() && !text(&printed.stdout).contains("s3cret"));
}

#[test]
fn s4_plain_text_never_controls_a_terminal() {
    let server = TestServer::start();
    let mut client = server.client();
    let evil = "\u{1b}[2J\u{7}\u{202e}evil\u{9b}31m";
    redis::cmd("HSET").arg("bull:x:meta").arg("version").arg("bullmq:6.7.0").query::<()>(&mut client).unwrap();
    for (field, value) in
        [("name", evil), ("data", evil), ("opts", "{}"), ("failedReason", evil), ("timestamp", "1700000000000")]
    {
        redis::cmd("HSET").arg("bull:x:1").arg(field).arg(value).query::<()>(&mut client).unwrap();
    }
    redis::cmd("ZADD").arg("bull:x:failed").arg(1).arg("1").query::<()>(&mut client).unwrap();
    for arguments in [
        &["queues"][..],
        &["jobs", "x", "--state", "failed"],
        &["job", "x", "1"],
        &["failures"],
        &["workers"],
        &["health"],
        &["jobs", evil, "--state", "failed"],
    ] {
        let output = over(&server, arguments);
        for stream in [text(&output.stdout), text(&output.stderr)] {
            let bad = stream.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
            assert_eq!(bad, None, "{arguments:?}: {stream:?}");
        }
    }
    let ascii = over(&server, &["--ascii", "jobs", "x", "--state", "failed"]);
    assert!(ascii.stdout.iter().all(|byte| matches!(byte, b'\n' | 0x20..=0x7e)), "{}", text(&ascii.stdout));
}

#[test]
fn tables_are_aligned_and_help_is_whole() {
    let server = filled();
    let table = text(&over(&server, &["queues"]).stdout);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    let column = lines[0].find("CONDITION").unwrap();
    for line in &lines[1..] {
        assert_eq!(line.chars().nth(column - 1), Some(' '), "{table}");
    }
    let help = text(&qtop().arg("--help").output().unwrap().stdout);
    for command in ["queues", "jobs", "job", "workers", "failures", "health", "demo", "config", "completions"] {
        assert!(help.contains(command), "{help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = qtop().args(["completions", shell]).output().unwrap();
        assert!(script.status.success() && text(&script.stdout).contains("qtop"));
    }
    let page = text(&qtop().arg("man").output().unwrap().stdout);
    assert!(page.contains(".TH"), "{page}");
}

#[test]
fn p9_headless_commands_change_nothing_and_p8_ask_for_clients_only_where_needed() {
    let server = filled();
    let digest = server.digest();
    server.run("CONFIG RESETSTAT");
    for arguments in [
        &["queues"][..],
        &["jobs", "reports", "--state", "failed"],
        &["job", "bullmq@bull:mail", "1"],
        &["failures"],
        &["health"],
    ] {
        over(&server, arguments);
    }
    assert_eq!(server.info("cmdstat_client|list"), None, "P8");
    over(&server, &["workers"]);
    assert!(server.info("cmdstat_client|list").is_some());
    assert_eq!(server.digest(), digest);
}

#[test]
fn the_configuration_can_be_checked_printed_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("qtop.toml");
    std::fs::write(&path, "[server.local]\nurl = \"redis://127.0.0.1\"\n\n[refresh]\nintervall = \"2s\"\n").unwrap();
    let config = |action| qtop().args(["--config"]).arg(&path).args(["config", action]).output().unwrap();
    let check = config("check");
    assert_eq!(check.status.code(), Some(2));
    let said = text(&check.stderr);
    assert!(said.contains(":5:1") && said.contains("interval"), "{said}");
    std::fs::write(&path, "[server.local]\nurl = \"redis://127.0.0.1\"\n").unwrap();
    assert!(config("check").status.success());
    assert!(text(&config("print").stdout).contains("[server.local]"));
    assert!(text(&config("path").stdout).contains("qtop.toml"));
}
