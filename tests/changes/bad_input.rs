//! Bad input: each kind gets a clear message with what to do, and nothing is half done.

use qtop_testkit::TestServer;

use crate::command_line::Shell;
use crate::scenes::{LIST, bullmq, list_seed, stream_seed};

fn filled(builder: qtop_testkit::ServerBuilder) -> (TestServer, Shell) {
    let server = builder.start();
    bullmq(&server, "6.7.0");
    list_seed(&server);
    stream_seed(&server);
    let shell = shell(&server.url());
    (server, shell)
}

fn shell(url: &str) -> Shell {
    let shell = Shell::at(url);
    let text = format!("[[list]]\n{}", LIST.replace("[[heartbeat]]", "[[list.heartbeat]]"));
    std::fs::create_dir_all(shell.home.path().join(".config/qtop")).unwrap();
    std::fs::write(shell.home.path().join(".config/qtop/config.toml"), text).unwrap();
    shell
}

/// One change of each system, as typed.
const CHANGES: [&[&str]; 8] = [
    &["retry", "bullmq:mail", "f1"],
    &["remove", "bullmq:mail", "f1", "f2"],
    &["promote", "bullmq:mail", "d1"],
    &["add", "bullmq:mail", "send"],
    &["requeue", "list:audio", "x1"],
    &["kill", "list:audio", "w1"],
    &["requeue", "stream:events/g", "1700000000001-0"],
    &["kill", "stream:events/g", "1700000000002-0"],
];

/// Runs it and gives the exit code with all that was said.
fn said(shell: &Shell, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let all: Vec<&str> = arguments.iter().copied().chain(["--yes"]).collect();
    let output = shell.command(&all).write_stdin(input.to_owned()).output().unwrap();
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_reason() {
    let (server, shell) = filled(TestServer::builder());
    let before = server.digest();
    let table: [(&[&str], &str, i32, &str); 16] = [
        (&["retry", "bullmq:mail", "nobody"], "", 1, "no such job"),
        (&["retry", "bullmq:mail", "w1"], "", 1, "refused w1"),
        (&["promote", "bullmq:mail", "f1"], "", 1, "not"),
        (&["retry", "bullmq:nobody", "f1"], "", 1, "nobody"),
        (&["retry", "list:audio", "x1"], "", 1, "cannot retry"),
        (&["retry", "bullmq:mail", "--all", "--state", "lost"], "", 2, "its states are"),
        (&["prioritize", "bullmq:mail", "w1", "--to", "-7"], "", 1, "0 to 2097152"),
        (&["add", "bullmq:mail", "x", "--id", "17"], "", 1, "whole number"),
        (&["add", "bullmq:mail", "x", "--data", "/nonexistent"], "", 2, "/nonexistent"),
        (&["add", "list:audio", "x", "--data", "-"], "{oops", 1, "JSON"),
        (&["add", "stream:events/g", "x", "--data", "-"], "[1]", 1, "JSON object"),
        (&["edit", "bullmq:mail", "w1", "--data", "-"], "{\"n\":", 1, "no JSON"),
        (&["claim", "stream:events/g", "1700000000001-0", "--consumer", "nobody"], "", 1, "check the name"),
        (&["ack", "stream:events/g", "17"], "", 1, "17"),
        (&["import", "-"], "{\"id\":1}", 1, "no export"),
        (&["undo", "../../etc/passwd"], "", 1, "qtop trash list"),
    ];
    for (arguments, input, code, words) in table {
        let (found, text) = said(&shell, arguments, input);
        assert_eq!(found, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
    assert_eq!(server.digest(), before);
}

#[test]
fn s20_a_user_who_may_not_do_all_of_a_change_does_nothing_of_it() {
    let (server, _) = filled(TestServer::builder());
    // The first command of each script is allowed, one of the later ones is not.
    for denied in ["-xadd", "-lpush -rpush", "-xadd -lpush", "-zadd -lpush", "-@write"] {
        server.run(&format!("ACL SETUSER op on >pw ~* &* +@all {denied}"));
        let before = server.digest();
        let shell = shell(&server.url().replace("redis://", "redis://op:pw@"));
        let mut refused = 0;
        for change in CHANGES {
            let (code, text) = said(&shell, change, "");
            if code != Some(0) {
                refused += 1;
                assert!(text.contains("NOPERM") || text.contains("permission"), "{denied} {change:?}: {text}");
                assert!(text.contains("ACL"), "{denied} {change:?} names no remedy: {text}");
                assert_eq!(server.digest(), before, "{denied} {change:?} was half done: {text}");
            } else {
                // It did not need what is denied; the next one starts from the same.
                server.run("FLUSHALL");
                bullmq(&server, "6.7.0");
                list_seed(&server);
                stream_seed(&server);
            }
        }
        assert!(refused > 0, "{denied}");
        server.run("FLUSHALL");
        bullmq(&server, "6.7.0");
        list_seed(&server);
        stream_seed(&server);
        server.run("ACL DELUSER op");
    }
}

#[test]
fn r11_a_replica_and_a_full_server_are_told_and_nothing_is_half_done() {
    let (primary, _) = filled(TestServer::builder());
    let replica = TestServer::builder().args(["--replicaof", "127.0.0.1", &primary.port().to_string()]).start();
    qtop_testkit::wait_until("the replica to have everything", std::time::Duration::from_secs(20), || {
        replica.int("DBSIZE") == primary.int("DBSIZE")
    });
    let over_replica = shell(&replica.url());
    let before = primary.digest();
    for change in CHANGES {
        let (code, text) = said(&over_replica, change, "");
        assert_eq!(code, Some(1), "{change:?}: {text}");
        assert!(text.contains("READONLY") && text.contains("primary"), "{change:?}: {text}");
    }
    assert_eq!(primary.digest(), before);
    // Full: what frees memory or moves within it may still be done, but whole or not at all.
    primary.run("CONFIG SET maxmemory 1");
    primary.run("CONFIG SET maxmemory-policy noeviction");
    let shell = shell(&primary.url());
    for change in CHANGES {
        let (code, text) = said(&shell, change, "");
        match code {
            Some(0) => {}
            _ => assert!(text.contains("OOM") && text.contains("maxmemory"), "{change:?}: {text}"),
        }
        crate::scenes::bullmq_places(&primary);
        crate::scenes::list_places(&primary);
        crate::scenes::stream_places(&primary);
    }
    let added = primary.int("EXISTS bull:mail:101");
    assert_eq!(added, 0, "a full server takes no new job");
}
