//! Changes from the command line: what is asked before, what is printed, with which exit code it ends.

use std::process::Output;

use assert_cmd::Command;
use qtop_testkit::TestServer;
use serde_json::{Value, json};

/// The program with a home of its own.
pub struct Shell {
    /// Its home.
    pub home: tempfile::TempDir,
    url: String,
}

impl Shell {
    /// Over the server at this URL.
    pub fn at(url: &str) -> Self {
        Self { home: tempfile::tempdir().unwrap(), url: url.to_owned() }
    }

    /// With these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qtop"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).timeout(std::time::Duration::from_secs(60));
        command.args(["--url", &self.url]).args(arguments);
        command
    }

    /// What it answers.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Its exit code and the JSON it prints.
    pub fn json(&self, arguments: &[&str]) -> (i32, Value) {
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
    let output = shell.run(&["undo", said["undo"].as_str().unwrap(), "--yes"]);
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
fn the_json_of_a_change_has_the_written_down_keys() {
    let server = filled(3);
    let shell = Shell::at(&server.url());
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let always = "action queue requested done refused unknown undo";
    let (_, said) = shell.json(&["retry", "mail", "1", "--yes", "--json"]);
    assert_eq!(keys(&said), always);
    assert_eq!((&said["action"], &said["undo"]), (&json!("retry"), &Value::Null));
    let (_, said) = shell.json(&["remove", "mail", "2", "nobody", "--yes", "--json"]);
    assert_eq!(keys(&said), always);
    let token = said["undo"].as_str().unwrap().to_owned();
    let (_, said) = shell.json(&["duplicate", "mail", "3", "--yes", "--json"]);
    assert_eq!(keys(&said), format!("{always} created"));
    let (_, said) = shell.json(&["undo", &token, "--yes", "--json"]);
    assert_eq!(keys(&said), always);
    assert_eq!((&said["action"], &said["done"], &said["undo"]), (&json!("undo"), &json!(1), &Value::Null));
}

#[test]
fn a_trash_that_is_nearly_full_is_told_before_it_is() {
    let server = filled(40);
    let shell = Shell::at(&server.url());
    let config = |cap: u64| {
        let path = shell.home.path().join("qtop.toml");
        std::fs::write(&path, format!("[trash]\ncap = {cap}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let run = |cap: u64, ids: &[&str]| {
        let path = config(cap);
        let mut arguments = vec!["--config", path.as_str(), "remove", "mail"];
        arguments.extend(ids);
        arguments.extend(["--yes", "--json"]);
        let output = shell.run(&arguments);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        (said, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (said, errors) = run(1 << 20, &["1"]);
    assert!(said.get("warning").is_none() && errors.is_empty(), "{said} {errors}");
    let path = shell.home.path().join(".local/state/qtop/trash");
    let used: u64 = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    // The copy is reckoned before it is compressed, so the cap is well above what the files will have.
    let (said, errors) = run(used * 2 + 600, &["2"]);
    assert!(said["error"].is_null() && said["done"] == 1, "{said} {errors}");
    let (said, errors) = run(used * 2, &["3"]);
    assert!(said["error"].as_str().unwrap().contains("trash"), "{said} {errors}");
    assert_eq!(server.int("EXISTS bull:mail:3"), 1, "without a copy nothing is deleted");
    let listed = shell.run(&["--config", &config(used * 2), "trash", "list"]);
    assert!(String::from_utf8_lossy(&listed.stderr).contains("qtop trash empty"), "{listed:?}");
    let items = shell.json(&["trash", "list", "--json"]).1;
    let token = items[0]["token"].as_str().unwrap();
    assert_eq!(shell.run(&["trash", "empty", token, "--yes"]).status.code(), Some(0));
    assert_eq!(
        shell.json(&["trash", "list", "--json"]).1.as_array().unwrap().len(),
        items.as_array().unwrap().len() - 1
    );
    assert_eq!(shell.run(&["trash", "empty", "no-such", "--yes"]).status.code(), Some(1));
}
