//! What a user can do who has no more than the generated rules allow (S2, S20).

use std::path::PathBuf;

use assert_cmd::Command;
use qtop::link::{Mode, acl_rule};
use qtop_testkit::TestServer;

/// Queues of all systems.
fn of_all_systems() -> TestServer {
    let server = TestServer::start();
    let laravel = r#"{"uuid":"u-1","displayName":"Send","job":"H@call","attempts":0,"data":{"command":"x"}}"#;
    let arq = r#"{"t":null,"f":"send","a":[],"k":{},"et":1}"#;
    let mut all = redis::pipe();
    all.cmd("HSET").arg("bull:mail:meta").arg("version").arg("bullmq:5.81.0").ignore();
    all.cmd("SET").arg("bull:mail:id").arg(9).ignore();
    for id in 1..=5 {
        let key = format!("bull:mail:{id}");
        all.cmd("HSET").arg(&key).arg(&["name", "welcome", "data", "{}", "opts", "{}", "timestamp", "1"]).ignore();
        if id < 4 {
            all.cmd("LPUSH").arg("bull:mail:wait").arg(id).ignore();
        } else {
            all.cmd("HSET").arg(&key).arg(&["finishedOn", "2", "atm", "1", "failedReason", "refused"]).ignore();
            all.cmd("ZADD").arg("bull:mail:failed").arg(id).arg(id).ignore();
        }
    }
    all.cmd("RPUSH").arg("queues:web").arg(laravel).ignore();
    for (set, id) in [("delayed", "u-2"), ("reserved", "u-3")] {
        let payload = laravel.replace("u-1", id);
        all.cmd("ZADD").arg(format!("queues:web:{set}")).arg("4000000000").arg(payload).ignore();
    }
    for (id, at) in [("a1", 1_u64), ("a2", 4_000_000_000_000)] {
        all.cmd("SET").arg(format!("arq:job:{id}")).arg(arq).ignore();
        all.cmd("ZADD").arg("arq:queue").arg(at).arg(id).ignore();
    }
    for (key, id) in [("letters", "L1"), ("letters", "L2"), ("letters:dead", "L9")] {
        all.cmd("RPUSH").arg(key).arg(format!("{{\"id\":\"{id}\"}}")).ignore();
    }
    for id in ["7-0", "8-0", "9-0"] {
        all.cmd("XADD").arg("events").arg(id).arg("type").arg("click").ignore();
    }
    all.cmd("XGROUP").arg("CREATE").arg("events").arg("group").arg("0").ignore();
    all.cmd("XREADGROUP").arg(&["GROUP", "group", "one", "COUNT", "1", "STREAMS", "events", ">"]).ignore();
    for id in ["bull:old:1", "bull:old:2"] {
        all.cmd("HSET")
            .arg(id)
            .arg(&["name", "n", "data", "{}", "opts", "{}", "timestamp", "1", "delay", "0"])
            .ignore();
    }
    all.cmd("SET").arg("bull:old:id").arg(2).ignore().cmd("LPUSH").arg("bull:old:wait").arg("1").ignore();
    all.cmd("HSET").arg("bull:old:2").arg(&["finishedOn", "2", "failedReason", "refused"]).ignore();
    all.cmd("ZADD").arg("bull:old:failed").arg(2).arg(2).ignore();
    all.exec(&mut server.client()).expect("the queues are made");
    server
}

/// The program with a described list, over a server with queues of all systems, as everybody and as one user.
struct Desk {
    home: tempfile::TempDir,
    server: TestServer,
}

impl Desk {
    fn new(mode: Mode) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let list = "[[list]]\nname = \"letters\"\nkey = \"letters\"\ndead = \"letters:dead\"\nitem = \"json\"\n\
                    fields = { id = \"id\" }\n";
        std::fs::write(home.path().join("config.toml"), list).expect("a file");
        let server = of_all_systems();
        let rule = acl_rule((7, 0), &["*"], mode).expect("7.0 has users");
        let mut user = redis::cmd("ACL");
        user.arg("SETUSER").arg("limited").arg("reset").arg("on").arg(">pw").arg(rule.split(' ').collect::<Vec<_>>());
        user.exec(&mut server.client()).expect("the server takes the rule");
        Self { home, server }
    }

    fn run(&self, limited: bool, arguments: &[&str]) -> (Option<i32>, String, String) {
        let config: PathBuf = self.home.path().join("config.toml");
        let login = if limited { "limited:pw@" } else { "" };
        let mut command = Command::new(env!("CARGO_BIN_EXE_qtop"));
        command.env_clear().env("HOME", self.home.path()).timeout(std::time::Duration::from_secs(60));
        command.env("QTOP_URL", format!("redis://{login}127.0.0.1:{}", self.server.port()));
        let output = command.arg("--config").arg(config).args(arguments).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// What the server refused to the user.
    fn refused(&self) -> Vec<redis::Value> {
        redis::cmd("ACL").arg("LOG").query(&mut self.server.client()).expect("a log")
    }
}

#[test]
fn s20_a_user_with_the_generated_rule_reads_all_that_everybody_reads() {
    let desk = Desk::new(Mode::ReadOnly);
    let jobs = |queue: &'static str, state: &'static str| vec!["jobs", queue, "--state", state, "--json"];
    let commands: Vec<Vec<&str>> = vec![
        vec!["queues"],
        vec!["workers"],
        vec!["failures"],
        vec!["health"],
        jobs("bullmq:mail", "waiting"),
        jobs("bullmq:mail", "failed"),
        jobs("laravel:web", "pending"),
        jobs("laravel:web", "reserved"),
        jobs("arq:arq:queue", "waiting"),
        jobs("list:letters", "waiting"),
        jobs("stream:events/group", "pending"),
        vec!["job", "bullmq:mail", "4"],
        vec!["job", "laravel:web", "u-1"],
        vec!["job", "arq:arq:queue", "a1"],
        vec!["job", "list:letters", "L1"],
        vec!["job", "stream:events/group", "7-0"],
        vec!["jobs", "bullmq:mail", "--state", "waiting", "--match", "welcome"],
        vec!["export", "bullmq:mail", "--state", "failed"],
    ];
    for arguments in &commands {
        let everybody = desk.run(false, arguments);
        let restricted = desk.run(true, arguments);
        assert_eq!(restricted.0, everybody.0, "{arguments:?}: {everybody:?} {restricted:?}");
        let lines = |text: &str| text.lines().count();
        assert_eq!(lines(&restricted.1), lines(&everybody.1), "{arguments:?}: {everybody:?} {restricted:?}");
        assert!(!format!("{restricted:?}").contains("NOPERM"), "{arguments:?}: {restricted:?}");
    }
    assert!(desk.refused().is_empty(), "{:?}", desk.refused());
}

#[test]
fn s20_a_user_with_the_generated_rule_makes_every_change_and_takes_it_back() {
    let desk = Desk::new(Mode::ReadWrite);
    let changes: &[&[&str]] = &[
        &["retry", "bullmq:mail", "4"],
        &["remove", "bullmq:mail", "1"],
        &["undo"],
        &["duplicate", "bullmq:mail", "2"],
        &["prioritize", "bullmq:mail", "2", "--to", "5"],
        &["add", "bullmq:mail", "welcome"],
        &["limit", "bullmq:mail", "--concurrency", "5"],
        &["pause", "bullmq:mail"],
        &["resume", "bullmq:mail"],
        &["clean", "bullmq:mail", "--state", "failed", "--older-than", "1s"],
        &["drain", "bullmq:mail"],
        &["undo"],
        &["retry", "bull:old", "2"],
        &["duplicate", "bull:old", "1"],
        &["prioritize", "bull:old", "1", "--to", "5"],
        &["pause", "bull:old"],
        &["resume", "bull:old"],
        &["remove", "bull:old", "1"],
        &["undo"],
        &["promote", "laravel:web", "u-2"],
        &["duplicate", "laravel:web", "u-1"],
        &["remove", "laravel:web", "u-1"],
        &["undo"],
        &["promote", "arq:arq:queue", "a2"],
        &["duplicate", "arq:arq:queue", "a1"],
        &["remove", "arq:arq:queue", "a1"],
        &["undo"],
        &["pause", "arq:arq:queue"],
        &["resume", "arq:arq:queue"],
        &["requeue", "list:letters", "L9"],
        &["remove", "list:letters", "L1"],
        &["undo"],
        &["kill", "list:letters", "L2"],
        &["ack", "stream:events/group", "7-0"],
        &["undo"],
        &["remove", "stream:events/group", "8-0"],
    ];
    let mut failed = Vec::new();
    for arguments in changes {
        let yes: Vec<&str> = arguments.iter().copied().chain(["--yes"]).collect();
        let (code, said, error) = desk.run(true, &yes);
        if code != Some(0) {
            failed.push(format!("{arguments:?}: {said} {error}"));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    // Too few entries to fill a block of the server's: it says so, and that no right was missing.
    let (_, said, _) = desk.run(true, &["trim", "stream:events/group", "--keep", "1", "--yes"]);
    assert!(said.contains("too few to fill a block"), "{said}");
    assert!(desk.refused().is_empty(), "{:?}", desk.refused());
}
