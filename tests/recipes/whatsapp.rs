//! The WhatsApp workers: dead letters of their own, whose entries go back to ARQ.

use qtop_testkit::TestServer;

use crate::shell::{Shell, fact};

const DETAILS: &str =
    r#"{'to': '+49151', 'content': "it's me", 'function': 'send_whatsapp_message', 'retry': None, 'urgent': True}"#;

fn hash(server: &TestServer, key: &str, error: (&str, &str), details: &str) {
    let mut command = redis::cmd("HSET");
    command.arg(format!("dlq:{key}")).arg("job_key").arg(key).arg("error_type").arg(error.0);
    command.arg("error_message").arg(error.1).arg("timestamp").arg("2026-11-21T10:00:00+00:00");
    let _: i64 = command.arg("job_details").arg(details).query(&mut server.client()).unwrap();
}

/// Three keys of which one has outlived its hash.
pub fn filled() -> TestServer {
    let server = TestServer::start();
    server.run("LPUSH dead_letter_queue gone send:77 msg-1");
    hash(&server, "msg-1", ("TimeoutError", "timed out after 30s"), DETAILS);
    hash(&server, "send:77", ("ValueError", "bad url"), "{'url': 'http://x/y', 'function': 'download_content'}");
    server.run("SET job_processed:msg-1 1 EX 3600");
    let health = "Nov-21 21:04:28 j_complete=0 j_failed=0 j_retried=0 j_ongoing=0 queued=0";
    let key = "arq:queue:health-check";
    let _: () = redis::cmd("SET").arg(key).arg(health).arg("EX").arg(3600).query(&mut server.client()).unwrap();
    server
}

#[test]
fn dead_letters_are_counted_listed_opened_and_grouped() {
    let server = filled();
    let shell = Shell::of_recipe(&server, "whatsapp");
    assert_eq!(shell.queue("whatsapp-dead")["counts"]["dead"], 3, "the list counts what has no hash any more");
    let rows = shell.jobs("whatsapp-dead", "dead");
    let shown: Vec<_> = rows.iter().map(|row| (row["id"].as_str().unwrap(), row["name"].as_str())).collect();
    assert_eq!(
        shown,
        [("msg-1", Some("send_whatsapp_message")), ("send:77", Some("download_content")), ("gone", None)],
        "newest first, named by the function inside the Python text"
    );
    assert_eq!(rows[0]["error"], "timed out after 30s");
    let job = shell.json(&["job", "whatsapp-dead", "msg-1", "--json"]);
    assert_eq!(fact(&job, "to"), Some("+49151"));
    assert_eq!(fact(&job, "error type"), Some("TimeoutError"));
    assert!(fact(&job, "held back by").unwrap().starts_with("job_processed:msg-1, for 59m"), "{job}");
    let failures = shell.json(&["failures", "--json"]).to_string();
    assert!(failures.contains("bad url") && failures.contains("send_whatsapp_message"), "{failures}");
}

#[test]
fn p19_a_dry_run_prints_the_exact_commands_and_changes_nothing() {
    let server = filled();
    let shell = Shell::of_recipe(&server, "whatsapp");
    let before = server.digest();
    let (code, said) = shell.text(&["requeue", "whatsapp-dead", "msg-1", "--dry-run"]);
    assert_eq!(code, 0, "{said}");
    for line in [
        "The function runs again with its own arguments",
        r#"first adds send_whatsapp_message to arq@:arq:queue as msg-1 with {"to":"+49151","content":"it's me","retry":null,"urgent":true}"#,
        "LREM dead_letter_queue 0 msg-1",
        "DEL job_processed:msg-1",
        "DEL dlq:msg-1",
    ] {
        assert!(said.contains(line), "{line} is not in:\n{said}");
    }
    assert!(!said.contains("same bytes"), "what the system would do is not what happens: {said}");
    assert_eq!(server.digest(), before);
}

#[test]
fn a_dead_letter_goes_back_as_the_job_it_was_and_only_once() {
    let server = filled();
    let shell = Shell::of_recipe(&server, "whatsapp");
    let done = shell.json(&["requeue", "whatsapp-dead", "msg-1", "--yes", "--json"]);
    assert_eq!((&done["done"], &done["created"][0]), (&1.into(), &"msg-1".into()), "{done}");
    let waiting = shell.jobs("arq:arq:queue", "waiting");
    assert_eq!(waiting[0]["name"], "send_whatsapp_message");
    let job = shell.json(&["job", "arq:arq:queue", "msg-1", "--json"]);
    let decoded = job["payload_decoded"].to_string();
    assert!(decoded.contains("it's me") && decoded.contains("urgent") && !decoded.contains("'function'"), "{job}");
    assert_eq!(server.int("EXISTS dlq:msg-1 job_processed:msg-1"), 0);
    assert_eq!(server.int("LLEN dead_letter_queue"), 2);
    let again = shell.json(&["requeue", "whatsapp-dead", "msg-1", "--state", "dead", "--yes", "--json"]);
    assert_eq!(again["done"], 0, "{again}");
    assert_eq!(server.int("ZCARD arq:queue"), 1);
}

#[test]
fn a_letter_without_what_the_recipe_needs_is_refused_with_the_reason() {
    let server = filled();
    let shell = Shell::of_recipe(&server, "whatsapp");
    let before = server.digest();
    let refused = shell.json(&["requeue", "whatsapp-dead", "gone", "--yes", "--json"]);
    assert_eq!(refused["done"], 0, "{refused}");
    assert!(!refused["refused"][0]["reason"].as_str().unwrap().is_empty());
    assert_eq!(server.digest(), before);
    let (code, said) = shell.text(&["--read-only", "requeue", "whatsapp-dead", "msg-1", "--yes"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("read_only"), "{said}");
    assert_eq!(server.digest(), before);
}

#[test]
fn removed_and_cleared_letters_come_back_with_their_hashes() {
    let server = filled();
    let shell = Shell::of_recipe(&server, "whatsapp");
    let before = server.digest();
    shell.json(&["remove", "whatsapp-dead", "send:77", "--yes", "--json"]);
    assert_eq!(server.int("EXISTS dlq:send:77"), 0);
    assert_eq!(server.int("LLEN dead_letter_queue"), 2);
    shell.json(&["undo", "--yes", "--json"]);
    assert_eq!(server.digest(), before);
    let all = shell.json(&["remove", "whatsapp-dead", "--all", "--state", "dead", "--yes", "--json"]);
    assert_eq!(all["done"], 3, "{all}");
    assert_eq!(server.int("EXISTS dead_letter_queue dlq:msg-1 dlq:send:77"), 0);
    assert_eq!(server.int("EXISTS job_processed:msg-1"), 1, "removing a letter does not let a second job through");
    shell.json(&["undo", "--yes", "--json"]);
    assert_eq!(server.digest(), before);
}

#[test]
fn a_success_that_is_a_dead_letter_in_truth_is_shown_as_one() {
    let server = filled();
    let result = r#"{"t":3,"f":"handle","a":[],"k":{},"et":1700000000000,"s":true,"r":{"status":"dead_letter","job_key":"x","error":"no route"},"st":1700000001000,"ft":1700000002000,"q":"arq:queue","id":"r-1"}"#;
    let _: () = redis::cmd("SET").arg("arq:result:r-1").arg(result).query(&mut server.client()).unwrap();
    let shell = Shell::of_recipe(&server, "whatsapp");
    let rows = shell.jobs("arq:arq:queue", "failed");
    assert_eq!((&rows[0]["kind"], &rows[0]["error"]), (&"dead".into(), &"no route".into()), "{rows:?}");
    let counts = shell.queue("arq:queue")["counts"].clone();
    assert_eq!((&counts["failed"], &counts["complete"]), (&1.into(), &0.into()), "{counts}");
}
