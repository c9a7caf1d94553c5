//! Changes from the command line: what is asked before, what is printed, with which exit code it ends.

use std::process::Output;

use assert_cmd::Command;
use qtop_testkit::{Proxy, TestServer};
use serde_json::{Value, json};

struct Shell {
    home: tempfile::TempDir,
    url: String,
}

impl Shell {
    fn at(url: &str) -> Self {
        Self { home: tempfile::tempdir().unwrap(), url: url.to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qtop"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).timeout(std::time::Duration::from_secs(60));
        command.args(["--url", &self.url]).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}{errors}"));
        (output.status.code().unwrap(), value)
    }
}

/// A queue of BullMQ 6 with failed jobs `1` to `count`, and two that wait.
fn filled(count: i64) -> TestServer {
    let server = TestServer::start();
    server.run("HSET bull:mail:meta version bullmq:6.7.0 opts.maxLenEvents 10000");
    server.run("SET bull:mail:id 100");
    for id in 1..=count {
        let at = 1_700_000_000_000 + id;
        server.run(&format!(
            "HSET bull:mail:{id} name send data {{\"n\":{id}}} opts {{}} timestamp {at} finishedOn {at} atm 1 failedReason boom-{id}"
        ));
        server.run(&format!("ZADD bull:mail:failed {at} {id}"));
    }
    for id in ["a", "b"] {
        server.run(&format!("HSET bull:mail:{id} name send data {{}} opts {{}} timestamp 1700000000000"));
        server.run(&format!("LPUSH bull:mail:wait {id}"));
    }
    server
}

#[test]
fn without_yes_and_without_a_terminal_nothing_is_changed() {
    let server = filled(3);
    let shell = Shell::at(&server.url());
    let before = server.digest();
    for arguments in [
        &["retry", "mail", "--all", "--state", "failed"][..],
        &["remove", "mail", "1"],
        &["pause", "mail"],
        &["obliterate", "mail", "--yes"],
    ] {
        let output = shell.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(server.digest(), before);
}

#[test]
fn p19_a_dry_run_says_what_would_be_done_and_changes_nothing() {
    let server = filled(12);
    let shell = Shell::at(&server.url());
    let before = server.digest();
    let output = shell.run(&["retry", "mail", "--all", "--state", "failed", "--match", "boom-1", "--dry-run"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text.contains("Retry 4 jobs of bullmq@bull:mail"), "boom-1, boom-10 to boom-12: {text}");
    assert!(text.contains("looked at 12 jobs"), "{text}");
    assert_eq!(server.digest(), before);
}

#[test]
fn named_jobs_are_changed_and_each_refusal_has_its_reason() {
    let server = filled(3);
    let shell = Shell::at(&server.url());
    let (code, said) = shell.json(&["retry", "mail", "1", "2", "nobody", "--yes", "--json"]);
    assert_eq!(code, 1);
    assert_eq!((&said["requested"], &said["done"]), (&json!(3), &json!(2)), "{said}");
    assert_eq!(said["refused"], json!([{ "id": "nobody", "reason": "there is no such job in any state" }]));
    assert_eq!(said["unknown"], json!([]));
    assert_eq!(server.int("ZCARD bull:mail:failed"), 1);
    assert_eq!(server.int("LLEN bull:mail:wait"), 4);
}

#[test]
fn ids_are_read_from_standard_input() {
    let server = filled(3);
    let shell = Shell::at(&server.url());
    let output =
        shell.command(&["retry", "mail", "-", "--yes"]).write_stdin("1\n\n3\n").output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.int("ZCARD bull:mail:failed"), 1);
}

#[test]
fn what_was_drained_comes_back_with_undo() {
    let server = filled(1);
    let shell = Shell::at(&server.url());
    let list = || format!("{:?}", server.run("LRANGE bull:mail:wait 0 -1"));
    let before = list();
    let (code, said) = shell.json(&["drain", "mail", "--yes", "--json"]);
    assert_eq!((code, &said["done"]), (0, &json!(2)), "{said}");
    assert_eq!(server.int("EXISTS bull:mail:a bull:mail:b bull:mail:wait"), 0);
    let token = said["undo"].as_str().unwrap().to_owned();
    let (_, items) = shell.json(&["trash", "list", "--json"]);
    assert_eq!(items[0]["token"], token.as_str());
    let (code, said) = shell.json(&["undo", &token, "--yes", "--json"]);
    assert_eq!((code, &said["done"]), (0, &json!(2)), "{said}");
    assert_eq!(list(), before);
    assert_eq!(shell.json(&["trash", "list", "--json"]).1, json!([]));
    let (_, lines) = shell.json(&["audit", "--json"]);
    let phases: Vec<_> =
        lines.as_array().unwrap().iter().map(|line| (line["action"].clone(), line["phase"].clone())).collect();
    let expected = [("remove", "begun"), ("remove", "done"), ("undo", "begun"), ("undo", "done")];
    assert_eq!(phases, expected.map(|(action, phase)| (json!(action), json!(phase))));
}

#[test]
fn an_obliterated_queue_comes_back_whole() {
    let server = filled(3);
    let shell = Shell::at(&server.url());
    let (code, said) = shell.json(&["obliterate", "mail", "--yes", "--confirm", "mail", "--json"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(server.int("DBSIZE"), 0);
    let tokens: Vec<&str> = said["undo"].as_str().unwrap().split(' ').collect();
    assert_eq!(tokens.len(), 2);
    let output = shell.run(&["undo", tokens[0], tokens[1], "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.int("ZCARD bull:mail:failed"), 3);
    assert_eq!(server.int("LLEN bull:mail:wait"), 2);
    assert_eq!(server.int("HEXISTS bull:mail:meta version"), 1);
}

#[test]
fn cleaning_spares_the_young() {
    let server = filled(3);
    let shell = Shell::at(&server.url());
    let soon = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    server.run(&format!("HSET bull:mail:2 finishedOn {soon}"));
    server.run(&format!("ZADD bull:mail:failed {soon} 2"));
    let (code, said) = shell.json(&["clean", "mail", "--state", "failed", "--older-than", "1h", "--yes", "--json"]);
    assert_eq!((code, &said["done"]), (0, &json!(2)), "{said}");
    assert_eq!(server.int("EXISTS bull:mail:2"), 1);
}

#[test]
fn an_edit_keeps_json_json() {
    let server = filled(1);
    let shell = Shell::at(&server.url());
    let edit = |text: &'static str| {
        shell.command(&["edit", "mail", "1", "--data", "-", "--yes"]).write_stdin(text).output().unwrap().status.code()
    };
    assert_eq!(edit("{\"n\":"), Some(1));
    assert_eq!(edit("{\"n\": 18446744073709551616}"), Some(0));
    let data: String = redis::cmd("HGET").arg("bull:mail:1").arg("data").query(&mut server.client()).unwrap();
    assert_eq!(data, "{\"n\": 18446744073709551616}");
}

#[test]
fn s1_no_write_command_leaves_in_read_only_mode() {
    let server = filled(3);
    let proxy = Proxy::start(server.port());
    let shell = Shell::at(&proxy.url());
    let before = server.digest();
    for arguments in [
        &["retry", "mail", "1", "--yes"][..],
        &["retry", "mail", "--all", "--state", "failed", "--yes"],
        &["cancel", "mail", "a", "--yes", "--unlock", "--force"],
        &["promote", "mail", "a", "--yes"],
        &["delay", "mail", "a", "--by", "1m", "--yes"],
        &["prioritize", "mail", "a", "--to", "3", "--yes"],
        &["remove", "mail", "1", "--yes"],
        &["duplicate", "mail", "1", "--yes"],
        &["edit", "mail", "1", "--data", "/dev/null", "--yes"],
        &["add", "mail", "x", "--yes"],
        &["drain", "mail", "--yes"],
        &["clean", "mail", "--state", "failed", "--older-than", "1s", "--yes"],
        &["pause", "mail", "--yes"],
        &["resume", "mail", "--yes"],
        &["limit", "mail", "--concurrency", "3", "--yes"],
        &["trigger", "mail", "x", "--yes"],
        &["unschedule", "mail", "x", "--yes"],
        &["obliterate", "mail", "--yes", "--confirm", "mail"],
        &["undo", "--yes"],
        &["continue", "--yes"],
    ] {
        let all: Vec<&str> = ["--read-only"].iter().chain(arguments).copied().collect();
        let output = shell.run(&all);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stderr).contains("read"), "{arguments:?}");
    }
    assert_eq!(server.digest(), before);
    let writes =
        ["EVAL", "EVALSHA", "SET", "HSET", "DEL", "LPUSH", "RPUSH", "ZADD", "ZREM", "LREM", "RENAME", "RESTORE"];
    for sent in proxy.sent() {
        assert!(!writes.contains(&sent.name.as_str()), "{} left qtop", sent.text());
    }
}
