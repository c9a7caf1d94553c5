//! Somebody is told when something is wrong: once for each time, by a command or a delivery.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use qtop_testkit::{Terminal, TestServer, signal, wait_until};

use crate::program::{Home, fill, wait};

/// A service that takes deliveries and tells their bodies.
fn service() -> (u16, mpsc::Receiver<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, bodies) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
            let body = loop {
                let count = stream.read(&mut buffer).unwrap();
                seen.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&seen).into_owned();
                let document = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
                if let Some(document) = document {
                    break document;
                }
                assert!(count > 0, "a document: {text}");
            };
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
            if told.send(body).is_err() {
                return;
            }
        }
    });
    (port, bodies)
}

/// Adds two alerts: a command that writes what it reads to `told`, and a delivery. Jobs of the pool wait.
fn with_alerts(home: &Home, port: u16) {
    let file = home.path().join("config.toml");
    let script = home.path().join("tell");
    fs::write(&script, "#!/bin/sh\ncat >> $1; echo >> $1; env > $1.env\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, mode).unwrap();
    let text = fs::read_to_string(&file).unwrap()
        + &format!(
            "[[alert]]\nname = \"backlog\"\nqueues = \"list:mail\"\nwaiting = 3\n\
             hook = {{ command = [{:?}, {:?}] }}\n\
             [[alert]]\nname = \"far\"\nwaiting = 3\nrepeat = \"1s\"\n\
             hook = {{ http = {{ url = \"http://127.0.0.1:{port}/hook\", private = true }} }}\n",
            script.display().to_string(),
            home.path().join("told").display().to_string(),
        );
    fs::write(&file, text).unwrap();
}

fn told(home: &Home) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(home.path().join("told")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_threshold_that_is_crossed_is_told_once_by_qtop_run() {
    let server = TestServer::start();
    let home = Home::new(&server, "echo $2 >> $1", "paused = true");
    let (port, bodies) = service();
    with_alerts(&home, port);
    fill(&server, 0, 2);
    let mut child = home.run();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(told(&home).len(), 0, "nothing is wrong yet");
    fill(&server, 2, 3);
    wait_until("the first alert", Duration::from_secs(15), || told(&home).len() == 1);
    let alert = &told(&home)[0];
    assert_eq!((&alert["alert"], &alert["code"]), (&"backlog".into(), &"waiting".into()), "{alert}");
    assert_eq!((&alert["queue"], &alert["again"]), (&"list:mail".into(), &false.into()), "{alert}");
    assert!(alert["text"].as_str().unwrap().contains("5 jobs wait, more than 3"), "{alert}");
    let first = bodies.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!((&first["alert"], &first["again"]), (&"far".into(), &false.into()), "{first}");
    let second = bodies.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(&second["again"], &true, "it lasts: {second}");
    assert_eq!(told(&home).len(), 1, "told once");
    let environment = fs::read_to_string(home.path().join("told.env")).unwrap();
    assert!(!environment.contains("XDG_STATE_HOME"), "S9: {environment}");
    // Over, and crossed again.
    server.run("DEL mail");
    std::thread::sleep(Duration::from_secs(12));
    fill(&server, 10, 4);
    wait_until("the second alert", Duration::from_secs(15), || told(&home).len() == 2);
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
}

#[test]
fn a_hook_that_failed_is_tried_again_while_it_lasts() {
    let server = TestServer::start();
    let home = Home::new(&server, "echo $2 >> $1", "paused = true");
    let (port, _bodies) = service();
    with_alerts(&home, port);
    let script = "#!/bin/sh\n[ -e $1.tried ] || { touch $1.tried; exit 1; }\ncat >> $1; echo >> $1\n";
    fs::write(home.path().join("tell"), script).unwrap();
    fill(&server, 0, 5);
    let mut child = home.run();
    wait_until("the alert", Duration::from_secs(30), || told(&home).len() == 1);
    assert_eq!(told(&home)[0]["again"], false, "nobody has heard it before: {:?}", told(&home));
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(told(&home).len(), 1, "told once");
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
}

#[test]
fn the_screens_tell_too() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", "");
    let (port, bodies) = service();
    with_alerts(&home, port);
    fill(&server, 0, 5);
    let config = home.path().join("config.toml").display().to_string();
    let mut terminal = Terminal::builder(env!("CARGO_BIN_EXE_qtop")).args(["--config", &config]).spawn();
    wait_until("the alert", Duration::from_secs(20), || told(&home).len() == 1);
    assert_eq!(bodies.recv_timeout(Duration::from_secs(10)).unwrap()["code"], "waiting");
    terminal.send("q");
    terminal.wait_exit(Duration::from_secs(15));
}

#[test]
fn a_hook_that_cannot_be_run_is_said_at_the_start() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", "");
    let file = home.path().join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    for (alert, said) in [
        ("name = \"a\"\nhook = { command = [\"no-such-program\"] }", "no-such-program"),
        ("name = \"a\"\nwaiting = 1", "nobody would be told"),
        ("hook = { command = [\"true\"] }", "needs a name"),
        ("name = \"a\"\nhook = { process = [\"true\"] }", "no lasting process"),
        ("name = \"a\"\nhook = { command = [\"sh\", \"-c\", \"echo {data.text}\"] }", "hook"),
    ] {
        fs::write(&file, format!("{text}[[alert]]\n{alert}\n")).unwrap();
        let mut child = home.run();
        assert_eq!(wait(&mut child, Duration::from_secs(10)), 2, "{alert}");
        let log = fs::read_to_string(home.path().join("log")).unwrap();
        assert!(log.contains(said), "{alert}: {log}");
        fs::remove_file(home.path().join("log")).unwrap();
    }
}
