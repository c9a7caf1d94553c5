//! The table and the gate against a real server.

use std::collections::BTreeMap;

use qtop::link::{Access, COMMANDS, Cmd, ConnectOptions, Cost, Link, LinkError, Purpose, cmd};
use redis::Value;

use qtop_testkit::TestServer;

fn strings(value: &Value) -> Vec<String> {
    let Value::Array(items) = value else { panic!("{value:?}") };
    items
        .iter()
        .map(|item| match item {
            Value::SimpleString(text) => text.clone(),
            Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Flags and categories of each command of the table that this server has.
fn command_info(server: &TestServer) -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let mut ask = redis::cmd("COMMAND");
    ask.arg("INFO");
    for spec in COMMANDS {
        ask.arg(spec.server_name());
    }
    let Value::Array(entries) = ask.query(&mut server.client()).unwrap() else { panic!("no array") };
    let known = COMMANDS.iter().zip(entries).filter_map(|(spec, entry)| match entry {
        Value::Array(fields) => Some((spec.server_name(), (strings(&fields[2]), strings(&fields[6])))),
        _ => None,
    });
    known.collect()
}

fn version(server: &TestServer) -> (u16, u16) {
    let text: String = redis::cmd("INFO").arg("server").query(&mut server.client()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap();
    let mut parts = line.trim().split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn s2_the_table_agrees_with_the_server() {
    let server = TestServer::start();
    let version = version(&server);
    let known = command_info(&server);
    for spec in COMMANDS {
        let name = spec.server_name();
        let Some((flags, categories)) = known.get(&name) else {
            assert!(spec.since > version || spec.name == "SENTINEL", "{name} is unknown to {version:?}");
            continue;
        };
        assert!(spec.since <= version, "{name} exists in {version:?}, the table says {:?}", spec.since);
        let flag = |word: &str| flags.iter().any(|flag| flag == word);
        let category = |word: &str| categories.iter().any(|category| category == word);
        let access = if flag("write") || category("@scripting") {
            Access::Write
        } else if flag("readonly") {
            Access::Read
        } else if category("@dangerous") {
            Access::Admin
        } else {
            Access::Connection
        };
        assert_eq!(spec.access, access, "{name}: {flags:?} {categories:?}");
        assert_eq!(spec.slow, category("@slow"), "{name}: {categories:?}");
        if matches!(spec.cost, Cost::Linear(_)) {
            assert!(spec.slow, "{name} is linear but the server calls it fast");
        }
        assert!(!category("@blocking"), "{name} blocks");
    }
}

fn forbidden() -> Vec<Cmd> {
    let lines = ["KEYS *", "SMEMBERS s", "LRANGE l 0 -1", "XRANGE s - +", "CONFIG GET maxmemory", "SCRIPT FLUSH"];
    let commands = lines.iter().map(|line| {
        let mut words = line.split(' ');
        let mut command = cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>());
        command
    });
    commands.collect()
}

#[tokio::test]
async fn p3_the_server_never_sees_a_forbidden_command() {
    let server = TestServer::start();
    let mut options = ConnectOptions::new(server.url());
    options.lenient_gate = true;
    let link = Link::connect(&options, Purpose::Fetch).await.unwrap();
    let mut raw = server.client();
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut raw).unwrap();
    for command in forbidden() {
        let refused = link.ask(command).await.unwrap_err();
        assert!(matches!(refused, LinkError::Gate { .. }), "{refused:?}");
    }
    let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut raw).unwrap();
    for word in ["keys", "smembers", "lrange", "xrange", "config|get", "script|flush"] {
        assert!(!stats.contains(&format!("cmdstat_{word}:")), "{word} arrived: {stats}");
    }
}

#[tokio::test]
#[should_panic(expected = "must not leave")]
#[cfg(debug_assertions)]
async fn s1_a_bug_panics_in_debug_builds() {
    let server = TestServer::start();
    let link = Link::open(&server.url()).await.unwrap();
    let _ = link.ask(forbidden().remove(0)).await;
}
