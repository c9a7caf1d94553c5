//! The table and the gate against a real server.

use std::collections::BTreeMap;

use qtop::link::{
    Access, Batch, COMMANDS, Cmd, ConnectOptions, Cost, Link, LinkError, Mode, Purpose, acl_rule, check, cmd,
};
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
        assert_eq!(spec.blocking, category("@blocking"), "{name}: {categories:?}");
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

/// One harmless call of each reading command, as words.
const READS: &[&str] = &[
    "PING",
    "SELECT 0",
    "TIME",
    "CLIENT SETNAME x",
    "CLIENT SETINFO LIB-NAME x",
    "CLIENT NO-TOUCH ON",
    "CLIENT ID",
    "CLIENT NO-EVICT ON",
    "CLIENT LIST",
    "INFO server",
    "ROLE",
    "DBSIZE",
    "SCAN 0 MATCH q:* COUNT 10 TYPE list",
    "TYPE q:l",
    "EXISTS q:l",
    "TTL q:l",
    "PTTL q:l",
    "MEMORY USAGE q:l",
    "DUMP q:l",
    "GET q:s",
    "MGET q:s q:t",
    "STRLEN q:s",
    "GETRANGE q:s 0 10",
    "LLEN q:l",
    "LINDEX q:l 0",
    "LRANGE q:l 0 9",
    "LPOS q:l x MAXLEN 1000",
    "HGET q:h f",
    "HMGET q:h f g",
    "HLEN q:h",
    "HSTRLEN q:h f",
    "HEXISTS q:h f",
    "HGETALL q:h",
    "HSCAN q:h 0",
    "SCARD q:set",
    "SISMEMBER q:set x",
    "SSCAN q:set 0 COUNT 100",
    "ZCARD q:z",
    "ZCOUNT q:z -inf +inf",
    "ZSCORE q:z x",
    "ZMSCORE q:z x y",
    "ZRANK q:z x",
    "ZREVRANK q:z x",
    "ZRANGE q:z 0 9 REV WITHSCORES",
    "ZREVRANGE q:z 0 9 WITHSCORES",
    "ZRANGEBYSCORE q:z -inf +inf WITHSCORES LIMIT 0 10",
    "ZREVRANGEBYSCORE q:z +inf -inf LIMIT 0 10",
    "ZSCAN q:z 0",
    "XLEN q:x",
    "XRANGE q:x - + COUNT 10",
    "XREVRANGE q:x + - COUNT 10",
    "XINFO STREAM q:x",
    "XINFO GROUPS q:x",
    "XINFO CONSUMERS q:x g",
    "XPENDING q:x g",
];

fn built(line: &str) -> Cmd {
    let mut words = line.split(' ');
    let mut command = cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>());
    command
}

/// Logs a user with the generated rule in and sends every reading command; the codes of the refusals come back.
async fn refusals_with_rule(server: &TestServer, rule: &str) -> Vec<(String, String)> {
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("reader").arg("reset").arg("on").arg(">pw");
    user.arg(rule.split(' ').collect::<Vec<_>>());
    user.exec(&mut server.client()).unwrap_or_else(|error| panic!("{rule}: {error}"));
    let mut options = ConnectOptions::new(format!("redis://reader:pw@127.0.0.1:{}", server.port()));
    options.mode = Mode::ReadWrite;
    let link = Link::connect(&options, Purpose::Fetch).await.unwrap();
    let known = command_info(server);
    let mut batch = Batch::new();
    let mut sent = Vec::new();
    for line in READS {
        let command = built(line);
        let spec = &COMMANDS[check(&command, Mode::ReadOnly).unwrap_or_else(|breach| panic!("{line}: {breach:?}"))];
        if known.contains_key(&spec.server_name()) {
            sent.push(*line);
            batch.ask(command);
        }
    }
    let replies = link.send(&batch).await.unwrap();
    let refused = sent
        .iter()
        .zip(&replies)
        .filter_map(|(line, reply)| reply.as_ref().err().map(|error| ((*line).to_owned(), error.code().to_owned())));
    let mut refused: Vec<_> = refused.collect();
    for line in ["SET q:s x", "LPUSH q:l x", "DEL q:l", "GET other", "EVAL return+1 0"] {
        match link.ask(built(line)).await {
            Err(LinkError::Command(error)) => refused.push((line.to_owned(), error.code().to_owned())),
            other => panic!("{line} was not refused: {other:?}"),
        }
    }
    refused
}

#[tokio::test]
async fn s2_the_generated_acl_allows_every_read_and_nothing_else() {
    let server = TestServer::start();
    for line in ["SET q:s x", "RPUSH q:l x", "HSET q:h f x", "SADD q:set x", "ZADD q:z 1 x", "XADD q:x * f x"] {
        server.run(line);
    }
    server.run("XGROUP CREATE q:x g 0");
    let listed: Vec<usize> = READS.iter().map(|line| check(&built(line), Mode::ReadOnly).unwrap()).collect();
    for (index, spec) in COMMANDS.iter().enumerate() {
        let elsewhere = matches!(spec.name, "HELLO" | "AUTH" | "SENTINEL");
        assert!(spec.changes() || elsewhere || listed.contains(&index), "{} is not tried", spec.title());
    }
    let rule = acl_rule(version(&server), &["q:*"], Mode::ReadOnly).unwrap();
    let refused = refusals_with_rule(&server, &rule).await;
    let codes: Vec<(&str, &str)> = refused.iter().map(|(line, code)| (line.as_str(), code.as_str())).collect();
    assert_eq!(
        codes,
        [
            ("SET q:s x", "NOPERM"),
            ("LPUSH q:l x", "NOPERM"),
            ("DEL q:l", "NOPERM"),
            ("GET other", "NOPERM"),
            ("EVAL return+1 0", "NOPERM")
        ]
    );
}

#[tokio::test]
async fn s20_each_missing_command_is_named_by_its_rule() {
    let server = TestServer::start();
    let rule = acl_rule(version(&server), &["*"], Mode::ReadOnly).unwrap();
    for line in ["LLEN q", "XINFO GROUPS q", "CLIENT LIST", "INFO", "SCAN 0"] {
        let command = built(line);
        let name = COMMANDS[check(&command, Mode::ReadOnly).unwrap()].server_name();
        let mut user = redis::cmd("ACL");
        user.arg("SETUSER").arg("poor").arg("reset").arg("on").arg(">pw").arg(rule.split(' ').collect::<Vec<_>>());
        user.arg(format!("-{name}")).exec(&mut server.client()).unwrap();
        let link = Link::open(&format!("redis://poor:pw@127.0.0.1:{}", server.port())).await.unwrap();
        let refused = link.ask(command).await.unwrap_err();
        let remedy = qtop::link::Remedy::remedy(&refused).unwrap().into_owned();
        assert!(remedy.ends_with(&format!("+{name}")), "{line}: {refused}: {remedy}");
    }
}
