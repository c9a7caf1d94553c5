//! Bad input for queues of Bull, ARQ and Laravel: each kind gets a clear message, and nothing is half done.

use qtop_testkit::TestServer;

use crate::command_line::Shell;
use crate::scenes::others_seed;

fn filled() -> (TestServer, Shell) {
    let server = TestServer::start();
    others_seed(&server);
    let shell = Shell::at(&server.url());
    (server, shell)
}

/// Runs it and gives the exit code with all that was said.
fn said(shell: &Shell, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let all: Vec<&str> = arguments.iter().copied().chain(["--yes"]).collect();
    let output = shell.command(&all).write_stdin(input.to_owned()).output().unwrap();
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_reason() {
    let (server, shell) = filled();
    let before = server.digest();
    let table: [(&[&str], &str, i32, &str); 13] = [
        (&["retry", "bull:old", "nobody"], "", 1, "no such job"),
        (&["retry", "bull:old", "1"], "", 1, "refused 1"),
        (&["promote", "bull:old", "2"], "", 1, "refused 2"),
        (&["kill", "bull:old", "2"], "", 1, "cannot kill"),
        (&["edit", "bull:old", "2", "--data", "-"], "{\"n\":", 1, "no JSON"),
        (&["retry", "arq:arq:queue", "nobody"], "", 1, "nobody"),
        (&["promote", "arq:arq:queue", "j2"], "", 1, "refused j2"),
        (&["prioritize", "arq:arq:queue", "j1", "--to", "3"], "", 1, "cannot prioritize"),
        (&["add", "arq:arq:queue", "send", "--data", "-"], "{oops", 1, "JSON"),
        (&["retry", "laravel:shop", "nobody"], "", 1, "nobody"),
        (&["promote", "laravel:shop", "u1"], "", 1, "cannot promote pending"),
        (&["claim", "laravel:shop", "u1", "--consumer", "c"], "", 1, "cannot claim"),
        (&["add", "laravel:shop", "Send", "--data", "-"], "{oops", 1, "JSON"),
    ];
    let mut wrong = Vec::new();
    for (arguments, input, code, words) in table {
        let (found, text) = said(&shell, arguments, input);
        if found != Some(code) || !text.contains(words) {
            wrong.push(format!("{arguments:?} ended with {found:?}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.digest(), before);
}

/// One change of each system, as typed.
const CHANGES: [&[&str]; 6] = [
    &["retry", "bull:old", "2"],
    &["duplicate", "arq:arq:queue", "j1"],
    &["duplicate", "laravel:shop", "u1"],
    &["remove", "bull:old", "1"],
    &["remove", "arq:arq:queue", "j1"],
    &["remove", "laravel:shop", "u1"],
];

#[test]
fn s20_a_user_who_may_not_write_does_nothing_and_is_told_what_is_missing() {
    let (server, _) = filled();
    // The first command of each script is allowed by some of these, one of the later ones is not.
    for denied in ["-@write", "-del", "-del -zrem", "-zadd", "-rpush -lpush", "-set"] {
        server.run(&format!("ACL SETUSER op on >pw ~* &* +@all {denied}"));
        let shell = Shell::at(&server.url().replace("redis://", "redis://op:pw@"));
        let mut refused = 0;
        for change in CHANGES {
            let before = server.digest();
            let (code, text) = said(&shell, change, "");
            if code == Some(0) {
                // It did not need what is denied; the next one starts from the same.
                server.run("FLUSHALL");
                others_seed(&server);
                continue;
            }
            refused += 1;
            assert!(text.contains("NOPERM") || text.contains("permission"), "{denied} {change:?}: {text}");
            assert!(text.contains("ACL"), "{denied} {change:?} names no remedy: {text}");
            assert_eq!(server.digest(), before, "{denied} {change:?} was half done: {text}");
            assert!(!text.contains("undo with"), "{denied} {change:?}: {text}");
        }
        assert!(refused > 0, "{denied}");
        server.run("ACL DELUSER op");
    }
}

#[test]
fn r11_a_replica_and_a_full_server_are_told() {
    let (primary, shell_of_primary) = filled();
    let replica = TestServer::builder().args(["--replicaof", "127.0.0.1", &primary.port().to_string()]).start();
    qtop_testkit::wait_until("the replica to have everything", std::time::Duration::from_secs(20), || {
        replica.int("DBSIZE") == primary.int("DBSIZE")
    });
    let shell = Shell::at(&replica.url());
    let before = primary.digest();
    for change in CHANGES {
        let (code, text) = said(&shell, change, "");
        assert_eq!(code, Some(1), "{change:?}: {text}");
        assert!(text.contains("READONLY") && text.contains("primary"), "{change:?}: {text}");
    }
    assert_eq!(primary.digest(), before);
    primary.run("CONFIG SET maxmemory 1");
    primary.run("CONFIG SET maxmemory-policy noeviction");
    let mut refused = 0;
    for change in CHANGES {
        let (code, text) = said(&shell_of_primary, change, "");
        if code != Some(0) {
            refused += 1;
            assert!(text.contains("OOM") && text.contains("maxmemory"), "{change:?}: {text}");
        }
    }
    assert!(refused > 0);
}
