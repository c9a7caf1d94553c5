//! What `qtop run` would refuse is said by `qtop config check` too, and what a changed file means is said while it runs.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use qtop_testkit::{TestServer, signal, wait_until};

use crate::program::{Home, wait};

/// Exit code and all that is said.
fn said(home: &Home, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = home.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (over, ended) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        if ended.recv_timeout(Duration::from_secs(8)).is_err() {
            signal(id, "TERM");
        }
    });
    let _ = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    over.send(()).unwrap_or_default();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// A configuration with these tables.
fn with(home: &Home, tables: &str) {
    let text = format!("[server.test]\nurl = \"redis://127.0.0.1:1\"\n{tables}\n");
    fs::write(home.path().join("config.toml"), text).unwrap();
}

#[test]
fn what_run_refuses_is_found_by_config_check() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", "");
    let list = format!("[[list]]\n{}\n", crate::bench::LIST);
    let handler = "[[runner.pool.handler]]\ncommand = [\"true\"]";
    let pool = |queue: &str, handler: &str| {
        format!("{list}[[runner.pool]]\nqueue = \"{queue}\"\ntimeout = \"10s\"\n{handler}\n")
    };
    let cases = [
        (
            "a missing program",
            pool("list:mail", "[[runner.pool.handler]]\ncommand = [\"no-such-program\"]"),
            "no-such-program",
        ),
        (
            "a missing certificate",
            pool(
                "list:mail",
                "[[runner.pool.handler]]\nhttp = { url = \"https://example.com/\", cert = \"no.crt\", key = \"no.key\" }",
            ),
            "no.crt",
        ),
        ("a list nobody describes", pool("list:letters", handler), "no [[list]]"),
        ("a queue that cannot be consumed", pool("bull:mail", handler), "cannot take jobs"),
        (
            "names without a handler",
            pool("list:mail", "[[runner.pool.handler]]\nmatch = \"send_*\"\ncommand = [\"true\"]"),
            "would have no handler",
        ),
        (
            "a hook that cannot run",
            format!(
                "{}[[alert]]\nname = \"a\"\nhook = {{ command = [\"no-such-hook\"] }}\n",
                pool("list:mail", handler)
            ),
            "no-such-hook",
        ),
    ];
    for (what, tables, named) in cases {
        with(&home, &tables);
        for arguments in [&["run"][..], &["config", "check"]] {
            let (code, text) = said(&home, arguments);
            assert!(code == Some(2) && text.contains(named), "{what}: {arguments:?}: {code:?} {text}");
        }
    }
    with(&home, &pool("list:mail", handler));
    let (code, text) = said(&home, &["config", "check"]);
    assert!(code == Some(0) && text.contains("is good"), "no server is needed: {text}");
}

#[test]
fn config_check_names_all_that_run_would_refuse_at_once() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", "");
    let pools = ["list:one", "list:two"]
        .map(|queue| format!("[[runner.pool]]\nqueue = \"{queue}\"\n[[runner.pool.handler]]\ncommand = [\"true\"]\n"));
    with(&home, &pools.concat());
    let (code, text) = said(&home, &["config", "check"]);
    assert!(code == Some(2) && text.contains("list:one") && text.contains("list:two"), "{text}");
}

#[test]
fn two_spellings_of_one_queue_are_refused() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", "");
    let handler = |name: &str| format!("[[runner.pool.handler]]\nmatch = \"{name}\"\ncommand = [\"true\"]\n");
    let pools = ["bullmq:a", "bullmq@bull:a"]
        .map(|queue| format!("[[runner.pool]]\nqueue = \"{queue}\"\nunmatched = \"fail\"\n{}", handler("x")));
    with(&home, &pools.concat());
    for arguments in [&["run"][..], &["config", "check"]] {
        let (code, text) = said(&home, arguments);
        let named = text.contains("bullmq:a") && text.contains("bullmq@bull:a");
        assert!(code == Some(2) && named, "{arguments:?}: {code:?} {text}");
    }
}

#[test]
fn a_second_spelling_in_a_changed_file_begins_no_second_pool() {
    let server = TestServer::start();
    let home = Home::new(&server, "echo $2 >> $1", "");
    let mut child = home.run();
    let log = || fs::read_to_string(home.path().join("log")).unwrap_or_default();
    wait_until("the pool", Duration::from_secs(20), || log().contains("consuming"));
    let file = home.path().join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let pool = text.split("[[runner.pool]]").nth(1).unwrap();
    fs::write(&file, format!("{text}\n[[runner.pool]]{}", pool.replace("list:mail", "list@:mail"))).unwrap();
    wait_until("the reason", Duration::from_secs(10), || log().contains("list@:mail"));
    assert!(log().contains("list@:mail and list:mail are one queue"), "{}", log());
    assert!(!log().contains("list@:mail ("), "no pool was begun: {}", log());
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
}

#[test]
fn a_handler_behind_one_that_takes_all_is_never_reached_and_that_is_said() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", "");
    let handlers = |first: &str, second: &str| {
        format!(
            "[[list]]\n{}\n[[runner.pool]]\nqueue = \"list:mail\"\nunmatched = \"fail\"\n[[runner.pool.handler]]\n{first}\n\
             command = [\"true\"]\n[[runner.pool.handler]]\n{second}\ncommand = [\"false\"]\n",
            crate::bench::LIST
        )
    };
    for (first, second, good) in [
        ("match = \"*\"", "match = \"send_*\"", false),
        ("", "match = \"send_*\"", false),
        ("match = [\"send_*\", \"*\"]", "match = \"*\"", false),
        ("match = \"send_*\"", "match = \"send_*\"", false),
        ("match = \"send_*\"", "match = \"*\"", true),
        ("match = \"send_*\"", "match = \"receive_*\"", true),
    ] {
        with(&home, &handlers(first, second));
        let (code, text) = said(&home, &["config", "check"]);
        assert_eq!(code, Some(if good { 0 } else { 2 }), "{first} before {second}: {text}");
        assert!(good || text.contains("never reached"), "{first} before {second}: {text}");
    }
}

#[test]
fn an_alert_for_a_finding_that_does_not_exist_is_refused_with_the_nearest() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", "");
    let alert = |when: &str| format!("[[alert]]\nname = \"a\"\nwhen = [{when}]\nhook = {{ command = [\"true\"] }}\n");
    with(&home, &alert("\"no_wokers\""));
    let (code, text) = said(&home, &["config", "check"]);
    assert!(code == Some(2) && text.contains("no_wokers") && text.contains("\"no_workers\""), "{text}");
    with(&home, &alert("\"no_workers\", \"unreachable\", \"growing\""));
    let (code, text) = said(&home, &["config", "check"]);
    assert!(code == Some(0), "{text}");
}

#[test]
fn what_takes_effect_only_at_the_next_start_is_said_when_the_file_changes() {
    let server = TestServer::start();
    let home = Home::new(&server, "echo $2 >> $1", "");
    let mut child = home.run();
    let log = || fs::read_to_string(home.path().join("log")).unwrap_or_default();
    wait_until("the pool", Duration::from_secs(20), || log().contains("consuming"));
    let file = home.path().join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let said = || log().matches("at the next start").count();
    let other = text.replace(&server.url(), "redis://127.0.0.1:1");
    fs::write(&file, &other).unwrap();
    wait_until("the URL to be noticed", Duration::from_secs(10), || said() == 1);
    let password = home.path().join("password");
    fs::write(&password, "secret").unwrap();
    fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let table = format!("[server.test]\npassword_file = {:?}\n", password.display().to_string());
    fs::write(&file, other.replace("[server.test]\n", &table)).unwrap();
    wait_until("the password to be noticed", Duration::from_secs(10), || said() == 2);
    fs::write(&file, format!("[server.other]\nurl = \"redis://127.0.0.1:2\"\n{text}")).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(said(), 2, "the server is again the one it works on, and others do not matter: {}", log());
    fs::write(&file, format!("{text}\n[log]\nlevel = \"debug\"\n")).unwrap();
    wait_until("the log level to be noticed", Duration::from_secs(10), || {
        log().contains("the level of the log is debug now")
    });
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
}
