//! The tests' own tools: a harness that cannot fail proves nothing.

use std::time::{Duration, Instant};

use qtop_testkit::{Proxy, Terminal, TestServer, alive, wait_until};

const LIMIT: Duration = Duration::from_secs(10);

fn connect(url: &str) -> redis::Connection {
    let client = redis::Client::open(url).expect("a URL");
    client.get_connection_with_timeout(LIMIT).expect("a connection")
}

#[test]
fn a_server_is_gone_with_its_value_also_after_a_panic() {
    let (send, receive) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let server = TestServer::start();
        send.send((server.pid(), server.directory().to_owned())).unwrap();
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    let (pid, directory) = receive.recv().unwrap();
    wait_until("the server of the panicked test to be gone", LIMIT, || !alive(pid));
    assert!(!directory.exists());
}

#[test]
fn a_server_restarts_on_its_port() {
    let mut server = TestServer::builder().persistent().start();
    server.run("SET a 1");
    server.restart();
    assert_eq!(server.int("GET a"), 1);
    let reply: String = redis::cmd("PING").query(&mut connect(&server.url())).unwrap();
    assert_eq!(reply, "PONG");
}

#[test]
fn a_password_does_not_stop_the_start() {
    let server = TestServer::builder().args(["--requirepass", "secret"]).start();
    let client = redis::Client::open(server.url().replace("redis://", "redis://:secret@")).unwrap();
    let reply: String = redis::cmd("PING").query(&mut client.get_connection().unwrap()).unwrap();
    assert_eq!(reply, "PONG");
}

#[test]
fn the_proxy_counts_a_pipeline_as_one_turn_and_delays_it_once() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let mut connection = connect(&proxy.url());
    wait_until("the greeting to be answered", LIMIT, || proxy.traffic().bytes_to_client > 0);
    proxy.clear();
    proxy.delay(Duration::from_millis(40));
    let mut pipeline = redis::pipe();
    (0..50).for_each(|n| {
        pipeline.cmd("SET").arg(n).arg("x".repeat(1000));
    });
    let start = Instant::now();
    let _: Vec<redis::Value> = pipeline.query(&mut connection).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(80), "delayed each way: {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(2), "delayed once: {:?}", start.elapsed());
    let traffic = proxy.traffic();
    assert_eq!((traffic.turns, traffic.commands), (1, 50));
    let _: String = redis::cmd("GET").arg(1).query(&mut connection).unwrap();
    assert_eq!(proxy.traffic().turns, 2);
    let last = proxy.sent().pop().unwrap();
    assert_eq!((last.name.as_str(), last.text().as_str()), ("GET", "GET 1"));
}

#[test]
fn the_proxy_cuts_after_the_nth_command() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let mut connection = connect(&proxy.url());
    proxy.cut_after(2);
    let mut pipeline = redis::pipe();
    for key in ["a", "b", "c"] {
        pipeline.cmd("SET").arg(key).arg(1).ignore();
    }
    assert!(pipeline.query::<()>(&mut connection).is_err());
    wait_until("two of three commands to be done", LIMIT, || server.int("DBSIZE") == 2);
    let reply: String = redis::cmd("PING").query(&mut connect(&proxy.url())).unwrap();
    assert_eq!(reply, "PONG");
}

#[test]
fn the_proxy_holds_everything_in_a_blackhole_and_lets_it_go() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let mut connection = connect(&proxy.url());
    connection.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    proxy.blackhole(true);
    assert!(redis::cmd("PING").query::<String>(&mut connection).is_err());
    assert_eq!(proxy.open_connections(), 1);
    proxy.blackhole(false);
    assert!(redis::cmd("PING").query::<String>(&mut connect(&proxy.url())).is_ok());
    proxy.refuse(true);
    assert!(redis::Client::open(proxy.url()).unwrap().get_connection_with_timeout(Duration::from_secs(1)).is_err());
}

#[test]
fn the_terminal_shows_takes_keys_and_hangs_up() {
    let script = "printf 'hello\\r\\n'; stty size; read word; printf 'got %s\\r\\n' \"$word\"; exec sleep 60";
    let mut terminal = Terminal::builder("/bin/sh").args(["-c", script]).size(60, 15).spawn();
    terminal.wait_for_text("15 60", LIMIT);
    terminal.send("blue\r");
    terminal.wait_for_text("got blue", LIMIT);
    assert_eq!(terminal.line(0), "hello");
    assert!(terminal.bytes_written() > 10 && terminal.is_running());
    terminal.hang_up();
    let exit = terminal.wait_exit(LIMIT);
    assert!(exit.signal.is_some_and(|signal| signal.contains("Hangup")));
}

#[test]
#[should_panic(expected = "waited")]
fn the_terminal_gives_up_waiting() {
    let terminal = Terminal::builder("/bin/cat").spawn();
    terminal.wait_for_text("never", Duration::from_millis(100));
}
