//! `--local`: a private server that keeps its data, used by any number of qtops at once, ended by the last of them.

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use qtop_testkit::{TestServer, alive, signal, wait_until};

use crate::program::{Home, wait};

const LIMIT: Duration = Duration::from_secs(30);

/// Where the private server of this home listens.
pub fn socket(home: &Home) -> PathBuf {
    home.path().join("state/qtop/local/redis.sock")
}

/// Processes that serve this home.
fn servers(home: &Home) -> Vec<u32> {
    let socket = socket(home).display().to_string();
    let ids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let serves = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&line).replace('\0', " ");
        let name = words.split(' ').next().unwrap_or_default().to_owned();
        words.contains(&socket) && (name.contains("redis-server") || name.contains("valkey-server"))
    };
    ids.filter(serves).collect()
}

/// Ends what a failed test leaves behind.
pub struct Ends<'a>(pub &'a Home);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        for id in servers(self.0) {
            signal(id, "KILL");
        }
    }
}

fn home() -> Home {
    // The server of the configuration is one that nobody may touch.
    let other = TestServer::start();
    Home::new(&other, "echo $2 >> $1", "concurrency = 2")
}

fn begin(home: &Home, log: &str) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(home.path().join(log)).unwrap();
    home.command(&["run", "--local"]).stderr(log).spawn().unwrap()
}

fn said(home: &Home, log: &str) -> String {
    fs::read_to_string(home.path().join(log)).unwrap_or_default()
}

fn works(home: &Home, log: &str) {
    wait_until(&format!("{log} to work"), LIMIT, || said(home, log).contains("consuming"));
}

fn ask<T: redis::FromRedisValue>(home: &Home, command: &[&str]) -> T {
    let url = format!("redis+unix://{}", socket(home).display());
    let mut client = redis::Client::open(url).unwrap().get_connection().unwrap();
    let (name, arguments) = command.split_first().unwrap();
    redis::cmd(name).arg(arguments).query(&mut client).unwrap()
}

fn add(home: &Home, id: &str) {
    let _: i64 = ask(home, &["LPUSH", "mail", &format!("{{\"id\":\"{id}\"}}")]);
    wait_until("the job", LIMIT, || home.ran().contains_key(id));
}

fn end(home: &Home, child: &mut Child, log: &str) -> String {
    signal(child.id(), "TERM");
    assert_eq!(wait(child, LIMIT), 0, "{}", said(home, log));
    said(home, log).lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_local_server_begins_and_ends_with_the_runner_and_keeps_its_data() {
    let home = home();
    let _ends = Ends(&home);
    for round in ["1", "2"] {
        let mut child = begin(&home, round);
        works(&home, round);
        let before: i64 = ask(&home, &["INCR", "rounds"]);
        assert_eq!(before.to_string(), round, "what was written before is there");
        add(&home, round);
        let last = end(&home, &mut child, round);
        assert!(last.contains("1 done") && last.contains("the local server has ended"), "{last}");
        assert_eq!(servers(&home), [0; 0]);
    }
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(socket(&home).parent().unwrap()).unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "S11: nobody else can reach it");
}

#[test]
fn qtops_that_start_at_once_share_one_local_server() {
    let home = home();
    let _ends = Ends(&home);
    for round in 0..4 {
        let logs: Vec<String> = (0..5).map(|number| format!("{round}-{number}")).collect();
        let mut children: Vec<_> = logs.iter().map(|log| begin(&home, log)).collect();
        logs.iter().for_each(|log| works(&home, log));
        assert_eq!(servers(&home).len(), 1, "one server for one folder");
        add(&home, &round.to_string());
        let lasts: Vec<_> = children.iter_mut().zip(&logs).map(|(child, log)| end(&home, child, log)).collect();
        let ended = lasts.iter().filter(|last| last.contains("the local server has ended")).count();
        assert!(ended == 1 && lasts[4].contains("the local server has ended"), "the last one ends it: {lasts:?}");
        assert_eq!(servers(&home), [0; 0]);
    }
    assert!(home.ran().values().all(|times| *times == 1), "{:?}", home.ran());
}

#[test]
fn a_local_server_outlives_who_started_it_while_another_uses_it() {
    let home = home();
    let _ends = Ends(&home);
    let mut first = begin(&home, "first");
    works(&home, "first");
    let mut second = begin(&home, "second");
    works(&home, "second");
    let server = servers(&home);
    let last = end(&home, &mut first, "first");
    assert!(last.contains("the local server goes on: another qtop uses it"), "{last}");
    assert_eq!(servers(&home), server, "it goes on under the other");
    add(&home, "a");
    let last = end(&home, &mut second, "second");
    assert!(last.contains("1 done") && last.contains("the local server has ended"), "{last}");
    assert_eq!(servers(&home), [0; 0]);
}

#[test]
fn a_local_server_that_a_killed_qtop_left_is_ended_by_the_next() {
    let home = home();
    let _ends = Ends(&home);
    let mut killed = begin(&home, "killed");
    works(&home, "killed");
    add(&home, "a");
    let server = servers(&home);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(server.len() == 1 && alive(server[0]), "nobody ended it yet");
    let mut next = begin(&home, "next");
    works(&home, "next");
    assert_eq!(servers(&home), server, "it is used again");
    add(&home, "b");
    let last = end(&home, &mut next, "next");
    assert!(last.contains("the local server has ended"), "{last}");
    assert_eq!(servers(&home), [0; 0]);
    let mut again = begin(&home, "again");
    works(&home, "again");
    add(&home, "c");
    end(&home, &mut again, "again");
    assert!(home.ran().values().all(|times| *times == 1), "what was done is not done again: {:?}", home.ran());
}

/// What was killed may have been killed between the start of the server and its first answer.
#[test]
fn a_qtop_killed_while_it_starts_its_local_server_leaves_no_second_one() {
    let home = home();
    let _ends = Ends(&home);
    for round in 0..20 {
        let mut killed = begin(&home, "killed");
        std::thread::sleep(Duration::from_millis(fastrand::u64(5..60)));
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert!(servers(&home).len() <= 1, "round {round}");
    }
    let mut next = begin(&home, "next");
    works(&home, "next");
    assert_eq!(servers(&home).len(), 1);
    add(&home, "a");
    end(&home, &mut next, "next");
    assert_eq!(servers(&home), [0; 0]);
}
