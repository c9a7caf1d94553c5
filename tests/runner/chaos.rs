//! Everything at once: many jobs, runners killed at random, the server restarted. A checker reads what the jobs did, not
//! what the runners say.

use std::collections::BTreeMap;
use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use qtop_testkit::{TestServer, repeated, signal, wait_until};
use serde_json::json;

use crate::arq_library::{Arq, QUEUE};
use crate::laravel;
use crate::program::Home;

/// Runs longer than this are a failure of their own.
const LIMIT: Duration = Duration::from_secs(90);
/// Jobs that one runner has at once.
const AT_ONCE: usize = 8;
/// Runners that are killed in one run.
const KILLS: usize = 8;

/// One long-lived process a runner: a program for each of ten thousand jobs would measure the machine. It notes the id of
/// each job, and answers.
const NOTE: &str = "while read -r line; do id=${line#*'\"id\":\"'}; id=${id%%'\"'*}; echo $id >> $1; \
                    echo '{\"id\":\"'$id'\",\"done\":true}'; done";

fn server() -> TestServer {
    TestServer::builder().persistent().args(["--appendfsync", "always"]).start()
}

/// Two runners work until each job has run and `left` tells of none; of them some are killed at moments left to chance,
/// spread over the work, and the server is restarted twice. Says what happened.
fn survive(server: &mut TestServer, home: &Home, jobs: usize, left: impl Fn(&TestServer) -> bool) -> String {
    let start = Instant::now();
    let mut runners: Vec<Child> = (0..2).map(|_| home.run()).collect();
    for kill in 0..KILLS {
        // Each after another part of the jobs, so that it hits work however fast the machine is.
        let wanted = jobs * (kill + 1) / (KILLS + 2);
        wait_until("some jobs", LIMIT, || home.ran().len() >= wanted);
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..100)));
        let at = fastrand::usize(0..2);
        signal(runners[at].id(), "KILL");
        runners[at].wait().unwrap();
        runners[at] = home.run();
        if kill % 4 == 2 {
            server.restart();
        }
    }
    let log = || fs::read_to_string(home.path().join("log")).unwrap_or_default();
    wait_until("every job", LIMIT, || home.ran().len() == jobs);
    let took = start.elapsed();
    wait_until("an empty queue", LIMIT, || !left(server));
    for runner in &mut runners {
        signal(runner.id(), "TERM");
        runner.wait().unwrap();
    }
    let ran: BTreeMap<String, usize> = home.ran();
    let twice: usize = ran.values().map(|times| times - 1).sum();
    assert_eq!(ran.len(), jobs, "none lost");
    assert!(twice <= KILLS * AT_ONCE, "only jobs in flight at a kill may run again: {twice}\n{}", log());
    assert!(took < LIMIT, "{took:?}");
    format!("{jobs} jobs in {took:?}, {KILLS} kills, 2 restarts: {twice} ran again")
}

fn pool(more: &str) -> String {
    format!("concurrency = {AT_ONCE}\nmax_crashes = 100\nretry = {{ attempts = 50, base = '100ms' }}\n{more}")
}

#[test]
fn r26_ten_thousand_jobs_survive_killed_runners_and_a_restarted_server() {
    let mut server = server();
    let home = Home::process(&server, NOTE, &pool(""));
    let jobs = 10_000;
    let mut pipe = redis::pipe();
    (0..jobs).for_each(|n| {
        pipe.lpush("mail", format!("{{\"id\":\"{n}\"}}")).ignore();
    });
    pipe.query::<()>(&mut server.client()).unwrap();
    let told = survive(&mut server, &home, jobs, |server| {
        let keys: Vec<String> = redis::from_redis_value(server.run("KEYS mail*")).unwrap();
        keys.iter().any(|key| key == "mail" || key == "mail:later" || key.contains("processing"))
    });
    println!("{told}");
    assert_eq!(server.int("EXISTS mail:dead"), 0);
}

#[test]
fn r26_jobs_of_bullmq_survive_killed_runners_and_a_restarted_server() {
    let mut server = server();
    let jobs = repeated(2_000, 10_000);
    let mut pipe = redis::pipe();
    for id in 1..=jobs {
        let fields = [("name", "note"), ("data", "{}"), ("opts", "{\"attempts\":50}"), ("timestamp", "1700000000000")];
        pipe.hset_multiple(format!("bull:mail:{id}"), &fields).ignore().lpush("bull:mail:wait", id).ignore();
    }
    pipe.hset("bull:mail:meta", "version", "bullmq:6.7.0").ignore();
    pipe.query::<()>(&mut server.client()).unwrap();
    let home = Home::process_on(&server, "bullmq:mail", "", NOTE, &pool(""));
    let told = survive(&mut server, &home, jobs, |server| {
        let in_lists = server.int("LLEN bull:mail:wait") + server.int("LLEN bull:mail:active");
        in_lists + server.int("ZCARD bull:mail:delayed") > 0
    });
    println!("BullMQ: {told}");
    assert_eq!(server.int("ZCARD bull:mail:completed"), jobs as i64, "each outcome is stored");
    assert_eq!(server.int("EXISTS bull:mail:failed"), 0);
    let locks: Vec<String> = redis::from_redis_value(server.run("KEYS bull:mail:*:lock")).unwrap();
    assert!(locks.is_empty(), "{locks:?}");
}

#[test]
fn r26_jobs_of_arq_survive_killed_runners_and_a_restarted_server() {
    let mut server = server();
    let jobs = repeated(2_000, 10_000);
    let request = json!({ "queue": QUEUE, "function": "note", "count": jobs });
    Arq::start("msgpack", server.port()).ask("add_many", request);
    let home = Home::process_on(&server, &format!("arq:{QUEUE}"), "", NOTE, &pool(""));
    let told = survive(&mut server, &home, jobs, |server| server.int(&format!("ZCARD {QUEUE}")) > 0);
    println!("ARQ: {told}");
    let mut library = Arq::start("msgpack", server.port());
    assert_eq!(library.ask("successes", json!({ "queue": QUEUE })), jobs, "the library reads every result");
}

#[test]
fn r26_jobs_of_laravel_survive_killed_runners_and_a_restarted_server() {
    let mut server = server();
    let jobs = repeated(2_000, 10_000);
    let mut pipe = redis::pipe();
    for number in 0..jobs {
        let payload = laravel::payload(&number.to_string(), "Note", json!({ "id": number.to_string() }));
        pipe.rpush(laravel::key(""), payload).ignore().rpush(laravel::key(":notify"), 1).ignore();
    }
    pipe.query::<()>(&mut server.client()).unwrap();
    // What a killed runner held comes back when its reservation is over: nothing renews one.
    let failed = tempfile::tempdir().unwrap();
    let described = format!(
        "[[laravel]]\nname = \"shop\"\nprefix = \"{}\"\nretry_after = 6\nfailed = {{ driver = \"file\", path = {:?} }}",
        laravel::PREFIX,
        failed.path().join("failed.json")
    );
    let home = Home::process_on(&server, "laravel:default", &described, NOTE, &pool("timeout = '4s'"));
    let told = survive(&mut server, &home, jobs, |server| {
        let in_list = server.int(&format!("LLEN {}", laravel::key("")));
        let in_sets = [":reserved", ":delayed"].map(|part| server.int(&format!("ZCARD {}", laravel::key(part))));
        in_list + in_sets.iter().sum::<i64>() > 0
    });
    println!("Laravel: {told}");
    assert!(!failed.path().join("failed.json").exists(), "no job was given up");
}
