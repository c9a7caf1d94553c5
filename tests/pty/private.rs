//! Screens and runner over the private server.

use std::fs;
use std::time::Duration;

use qtop_testkit::{Terminal, TestServer};

use super::LIMIT;
use super::running::Home;

#[test]
fn a_saved_configuration_leaves_the_screens_with_the_local_server() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", 2, "");
    let config = home.config().display().to_string();
    let mut terminal =
        Terminal::builder(env!("CARGO_BIN_EXE_qtop")).args(["--run", "--local", "--config", &config]).spawn();
    terminal.wait_for_text("local", LIMIT);
    terminal.send("6");
    terminal.wait_for_text("0/2 slots", LIMIT);
    let header = |terminal: &Terminal| terminal.text().lines().next().unwrap_or_default().to_owned();
    assert!(header(&terminal).contains(" local "), "{}", header(&terminal));
    let text = fs::read_to_string(home.config()).expect("a configuration");
    fs::write(home.config(), text.replace("concurrency = 2", "concurrency = 3")).expect("it can be saved");
    terminal.wait_for_text("0/3 slots", LIMIT);
    std::thread::sleep(Duration::from_secs(2));
    assert!(header(&terminal).contains(" local "), "{}", terminal.text());
    terminal.send("q");
    terminal.wait_exit(LIMIT);
}
