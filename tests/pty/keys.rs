//! Keys on the real program, and what they make it send.

use std::collections::BTreeSet;
use std::time::Duration;

use qtop_testkit::{Proxy, TestServer};

use super::{LIMIT, qtop, seeded, started};

#[test]
fn number_keys_switch_the_screens() {
    let server = seeded();
    let mut terminal = started(&server);
    let mut seen = BTreeSet::new();
    seen.insert(terminal.text());
    for key in ["2", "3", "4", "5", "7", "8"] {
        terminal.time_of_answer(key, LIMIT);
        terminal.wait_for_quiet(Duration::from_millis(150), LIMIT);
        seen.insert(terminal.text());
        assert!(terminal.is_running(), "key {key}");
    }
    assert_eq!(seen.len(), 7, "seven different screens");
    terminal.send("1");
    terminal.wait_for_text("mail", LIMIT);
}

#[test]
fn a_queue_and_a_job_open_with_enter_and_close_with_escape() {
    let server = seeded();
    let mut terminal = started(&server);
    terminal.wait_for_text("reports", LIMIT);
    terminal.send("\r");
    terminal.wait_for("the states of a queue", LIMIT, |screen| screen.contents().contains("Completed"));
    terminal.send("\t");
    terminal.wait_for_quiet(Duration::from_millis(200), LIMIT);
    terminal.send("\x1b");
    terminal.wait_for("the overview", LIMIT, |screen| {
        screen.contents().contains("mail") && screen.contents().contains("reports")
    });
}

/// Commands that may leave qtop in a session that only looks. The connection's own handshake is part of it.
const LOOKING: [&str; 41] = [
    "PING",
    "INFO",
    "SCAN",
    "TYPE",
    "TIME",
    "ROLE",
    "HELLO",
    "AUTH",
    "CLIENT",
    "SELECT",
    "READONLY",
    "CLUSTER",
    "DBSIZE",
    "LLEN",
    "LRANGE",
    "LINDEX",
    "LPOS",
    "ZCARD",
    "ZCOUNT",
    "ZRANGE",
    "ZRANGEBYSCORE",
    "ZREVRANGE",
    "ZSCORE",
    "ZRANK",
    "ZSCAN",
    "SCARD",
    "SSCAN",
    "SISMEMBER",
    "HLEN",
    "HGET",
    "HMGET",
    "HGETALL",
    "HSTRLEN",
    "HSCAN",
    "HEXISTS",
    "XLEN",
    "XRANGE",
    "XREVRANGE",
    "XINFO",
    "XPENDING",
    "EXISTS",
];
const LOOKING_AT_STRINGS: [&str; 9] =
    ["GET", "MGET", "STRLEN", "GETRANGE", "PTTL", "TTL", "OBJECT", "MEMORY", "PEXPIRETIME"];

/// A queue of every system on one server; qtop's description of the plain list.
fn mixed() -> (TestServer, tempfile::TempDir) {
    let server = seeded();
    let payload = r#"{"uuid":"u1","id":"u1","displayName":"Send","job":"x@call","maxTries":3,"attempts":0,"data":{}}"#;
    for command in [
        "SET bull:old:id 3",
        r#"HSET bull:old:1 name __default__ data {"n":1} opts {"attempts":1} timestamp 1700000000000"#,
        r#"HSET bull:old:2 name __default__ data {"n":2} opts {} timestamp 1700000000000 failedReason boom finishedOn 1"#,
        "LPUSH bull:old:wait 1",
        "ZADD bull:old:failed 1700000000002 2",
        "ZADD arq:queue 1700000000000 j1",
        r#"SET arq:job:j1 {"f":"send","a":[1],"k":{},"t":1,"et":1700000000000}"#,
        r#"SET arq:result:j2 {"f":"send","a":[],"k":{},"t":1,"et":1,"s":false,"r":"boom","st":1,"ft":2,"q":"arq:queue"}"#,
        r#"LPUSH audio:jobs {"id":"w1","tries":3}"#,
        r#"LPUSH audio:dead {"id":"x1","tries":3,"error":"boom"}"#,
        r#"ZADD audio:later 4000000000 {"id":"d1","tries":0}"#,
        "XADD events * job e1",
        "XADD events * job e2",
        "XGROUP CREATE events g 0",
        "XREADGROUP GROUP g c1 COUNT 1 STREAMS events >",
    ] {
        server.run(command);
    }
    server.run(&format!("RPUSH shop_queues:orders {payload}"));
    server.run(&format!("ZADD shop_queues:orders:reserved 1000 {}", payload.replace("u1", "u2")));
    let folder = tempfile::tempdir().expect("a folder");
    let list = "[[list]]\nname = \"audio\"\nkey = \"audio:jobs\"\nitem = \"json\"\n\
        fields = { id = \"id\", attempts = \"tries\", error = \"error\" }\n\
        delayed = { key = \"audio:later\", unit = \"s\" }\ndead = { key = \"audio:dead\" }\n";
    std::fs::write(folder.path().join("qtop.toml"), list).expect("the file can be written");
    (server, folder)
}

#[test]
fn p9_s1_no_key_changes_anything() {
    let (server, folder) = mixed();
    let proxy = Proxy::start(server.port());
    let programs = [("PAGER", "true"), ("EDITOR", "true")];
    let config = folder.path().join("qtop.toml").display().to_string();
    let terminal = qtop(&proxy.url()).args(["--read-only", "--config", &config]).size(120, 40);
    let mut terminal = programs.iter().fold(terminal, |terminal, (name, value)| terminal.env(name, value)).spawn();
    for queue in ["mail", "old", "arq:queue", "orders", "audio", "events"] {
        terminal.wait_for_text(queue, LIMIT);
    }
    let (size, digest) = (server.int("DBSIZE"), server.digest());
    // Everything that can be done, by its name, with a yes for whatever is asked.
    for name in
        qtop::app::actions::action_names().filter(|name| !name.starts_with("app.quit") && *name != "app.suspend")
    {
        terminal.send(&format!("\x1b\x1b3:{name}\r"));
        terminal.send("y\r");
        std::thread::sleep(Duration::from_millis(10));
        terminal.send(&format!("\x1b\x1b1\r:{name}\ry\rmail\r"));
        std::thread::sleep(Duration::from_millis(20));
        assert!(terminal.is_running(), "ended after {name}; the screen was\n{}", terminal.text());
    }
    // Into the queues of every system, by the order of the overview, and through what is there.
    let through =
        ["\t", "j", "\r", "w", "e", "o", "\t", "\x1b", "/x\r", "&x\r", "\x1b", "a", "\x1b", "\t", "\t", "\r", "w"];
    for row in 0..7 {
        terminal.send("\x1b\x1b\x1b\x1b1g");
        terminal.send(&"j".repeat(row));
        terminal.send("\r");
        for key in through {
            terminal.send(key);
            std::thread::sleep(Duration::from_millis(15));
            assert!(terminal.is_running(), "ended in row {row} at {key:?}; the screen was\n{}", terminal.text());
        }
    }
    // Everything a keyboard has except what leaves (q, Ctrl-C, Ctrl-Z, Ctrl-\).
    let mut keys: Vec<String> = (' '..='~').filter(|c| *c != 'q').map(String::from).collect();
    keys.extend(
        ["\r", "\t", "\x1b", "\x1b[A", "\x1b[B", "\x1b[5~", "\x1b[6~", "\x1b[Z", "\x12", "\x04"].map(String::from),
    );
    let mut state = 0x9e37_79b9_u32;
    for number in 0..1_500 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        terminal.send(&keys[(state >> 8) as usize % keys.len()]);
        if number % 10 == 0 {
            // Out of whatever is open, so that deep corners and the top are both reached; `q` only ever typed as text.
            terminal.send("\x1b");
            std::thread::sleep(Duration::from_millis(15));
        }
        assert!(terminal.is_running(), "ended after {number} keys; the screen was\n{}", terminal.text());
    }
    terminal.wait_for_quiet(Duration::from_millis(200), LIMIT);
    assert_eq!((server.int("DBSIZE"), server.digest()), (size, digest), "something was changed");
    let sent = proxy.sent();
    let foreign =
        sent.iter().find(|sent| !LOOKING.contains(&&*sent.name) && !LOOKING_AT_STRINGS.contains(&&*sent.name));
    assert_eq!(foreign.map(qtop_testkit::Sent::text), None, "a command that does more than look");
    for sent in &sent {
        let number = |at: usize| String::from_utf8_lossy(&sent.words[at]).parse::<i64>().ok();
        if matches!(sent.name.as_str(), "LRANGE" | "ZRANGE" | "ZREVRANGE")
            && let (Some(from), Some(to)) = (number(2), number(3))
        {
            let bounded = (from < 0) == (to < 0) && to - from < 500;
            assert!(bounded, "P3: an unbounded range: {}", sent.text());
        }
    }
}
