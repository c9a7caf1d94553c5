//! ARQ under faults: killed workers of both kinds, lost answers, a full server. What happened is read from what the jobs
//! did and from the keys, not from anybody's counters.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use qtop_testkit::{Proxy, TestServer, signal, wait_until};
use serde_json::json;

use crate::arq::{left, on, worker};
use crate::arq_library::{Arq, QUEUE};
use crate::bench::{Notes, begin, runner_on, slow};

fn waiting(server: &TestServer) -> i64 {
    server.int(&format!("ZCARD {QUEUE}"))
}

fn times(runs: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    runs.into_iter().for_each(|id| *times.entry(id).or_insert(0) += 1);
    times
}

#[test]
fn r5_a_job_whose_lock_is_anothers_is_not_written() {
    let server = TestServer::start();
    let mut arq = Arq::start("pickle", server.port());
    arq.add("sleep", "a", json!([60]));
    let bench = on(&server, "", slow(&Notes::default(), Duration::from_secs(60)));
    bench.until("a running job", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 1));
    // The lock ran out while the machine slept, and a worker of the library took it.
    server.run("SET arq:in-progress:a 1 PX 310000");
    let before: Vec<u8> = redis::from_redis_value(server.run("DUMP arq:job:a")).unwrap();
    bench.until("a lost claim", |view| view.pools[0].counts.lost == 1);
    let after: Vec<u8> = redis::from_redis_value(server.run("DUMP arq:job:a")).unwrap();
    assert_eq!(before, after);
    assert_eq!((waiting(&server), server.int("EXISTS arq:result:a")), (1, 0));
    let lock: String = redis::from_redis_value(server.run("GET arq:in-progress:a")).unwrap();
    assert_eq!(lock, "1", "the other's lock stays");
    bench.stop();
}

#[test]
fn r5_locks_are_renewed_while_a_job_runs_longer_than_they_hold() {
    let server = TestServer::start();
    let mut arq = Arq::start("pickle", server.port());
    arq.work(json!({}));
    let notes = Notes::default();
    let mut config = runner_on(&format!("arq:{QUEUE}"), "");
    config.lease = Duration::from_secs(2);
    config.pools[0].handlers[0].matches = "sleep".into();
    let bench = begin(&server.url(), config, slow(&notes, Duration::from_secs(7))).unwrap();
    arq.rest();
    arq.add("sleep", "long", json!([60]));
    bench.until("a running job", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 1));
    arq.work(json!({}));
    bench.until("its end", |view| view.pools[0].counts.done == 1);
    assert_eq!((notes.all().len(), arq.ran().len()), (1, 0), "nobody else took it");
    bench.stop();
}

#[test]
fn r6_jobs_that_others_hold_are_left_to_them() {
    let server = TestServer::start();
    let mut arq = Arq::start("pickle", server.port());
    arq.ask("add_many", json!({ "queue": QUEUE, "function": "note", "count": 300 }));
    // Workers of the library hold all but ten, for as long as it lets them.
    for number in 0..290 {
        server.run(&format!("SET arq:in-progress:note-{number} 1 PX 310000"));
    }
    let notes = Notes::default();
    let bench = on(&server, "concurrency = 20", worker(&notes));
    bench.until("ten results", |view| view.pools.first().is_some_and(|pool| pool.counts.done == 10));
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!((notes.all().len(), waiting(&server)), (10, 290));
    // One of them died; its lock has run out.
    server.run("DEL arq:in-progress:note-7");
    wait_until("the job of the dead", Duration::from_secs(15), || notes.all().contains(&"note-7 1".to_owned()));
    bench.stop();
    assert_eq!(waiting(&server), 289);
}

#[test]
fn r12_an_outcome_for_which_there_is_no_room_is_stored_later_and_the_job_runs_once() {
    let server = TestServer::start();
    let mut arq = Arq::start("msgpack", server.port());
    arq.add("sleep", "a", json!([1]));
    let notes = Notes::default();
    let bench = on(&server, "", slow(&notes, Duration::from_millis(800)));
    bench.until("a running job", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 1));
    server.run("CONFIG SET maxmemory 1");
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!((waiting(&server), server.int("EXISTS arq:in-progress:a arq:job:a")), (1, 2), "held, and not ended");
    server.run("CONFIG SET maxmemory 0");
    arq.until("a", "complete");
    assert_eq!((notes.all().len(), arq.result("a")["success"].clone()), (1, json!(true)));
    bench.stop();
    assert_eq!(left(&server), Vec::<String>::new());
}

#[test]
fn r2_a_cut_after_any_command_leaves_each_job_in_one_state_and_r1_takes_nothing_out_to_claim_it() {
    let server = TestServer::start();
    let mut arq = Arq::start("json", server.port());
    let proxy = Proxy::start(server.port());
    let notes = Notes::default();
    arq.ask("add_many", json!({ "queue": QUEUE, "function": "note", "count": 240 }));
    let bench = begin(&proxy.url(), runner_on(&format!("arq:{QUEUE}"), "concurrency = 4"), worker(&notes)).unwrap();
    for after in 0..30 {
        proxy.cut_after(after % 7 + 1);
        wait_until("a cut", Duration::from_secs(10), || proxy.has_cut() || waiting(&server) == 0);
        let script = "local bad = 0 \
            for _, id in ipairs(redis.call('ZRANGE', 'arq:queue', 0, -1)) do \
              if redis.call('EXISTS', 'arq:job:' .. id) == 0 or redis.call('EXISTS', 'arq:result:' .. id) == 1 then \
                bad = bad + 1 end end return bad";
        let bad: i64 = redis::cmd("EVAL").arg(script).arg(0).query(&mut server.client()).unwrap();
        assert_eq!(bad, 0, "queued jobs have a definition and no result");
    }
    wait_until("an empty queue", Duration::from_secs(60), || waiting(&server) == 0);
    bench.stop();
    let ran = times(notes.all().iter().map(|note| note.split(' ').next().unwrap().to_owned()));
    assert_eq!(ran.len(), 240, "none lost");
    assert!(ran.values().all(|times| *times == 1), "{ran:?}");
    assert_eq!(arq.ask("successes", json!({ "queue": QUEUE })), 240);
    for sent in proxy.sent() {
        assert!(
            !["ZPOPMIN", "BZPOPMIN", "LPOP", "BLPOP", "BRPOP", "RPOP"].contains(&sent.name.as_str()),
            "{}",
            sent.text()
        );
    }
}

/// A folder with a configuration by which a shell script notes the job it gets, and the program that runs it.
struct Home(tempfile::TempDir);

impl Home {
    fn new(server: &TestServer, script: &str, pool: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("job");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).unwrap();
        let config = format!(
            "[server.test]\nurl = \"{}\"\n[runner]\nname = \"test\"\nlease = \"3s\"\ngrace = \"3s\"\n\
             [[runner.pool]]\nqueue = \"arq:{QUEUE}\"\n{pool}\n[[runner.pool.handler]]\nmatch = \"mark\"\n\
             command = [{:?}, {:?}, \"{{data.args.0}}\"]\n",
            server.url(),
            program.display().to_string(),
            home.path().join("ran").display().to_string(),
        );
        fs::write(home.path().join("config.toml"), config).unwrap();
        Self(home)
    }

    fn run(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qtop"));
        command.args(["run", "--config"]).arg(self.0.path().join("config.toml"));
        command.env("HOME", self.0.path()).env("XDG_STATE_HOME", self.0.path().join("state"));
        let log = fs::OpenOptions::new().create(true).append(true).open(self.0.path().join("log")).unwrap();
        command.env_remove("REDIS_URL").stdin(Stdio::null()).stderr(log).spawn().unwrap()
    }

    fn ran(&self) -> BTreeMap<String, usize> {
        times(fs::read_to_string(self.0.path().join("ran")).unwrap_or_default().lines().map(str::to_owned))
    }
}

#[test]
fn r2_r6_killed_programs_beside_a_worker_of_the_library_lose_nothing() {
    let server = TestServer::start();
    let mut arq = Arq::start("pickle", server.port());
    let home = Home::new(&server, "echo $2 >> $1; sleep 0.05", "concurrency = 4\nmax_crashes = 5");
    let file = home.0.path().join("ran").display().to_string();
    arq.ask("add_many", json!({ "queue": QUEUE, "function": "mark", "count": 250, "more": [file] }));
    arq.work(json!({ "jobs": 2 }));
    for _ in 0..4 {
        let before = home.ran().len();
        let mut child = home.run();
        wait_until("some runs", Duration::from_secs(20), || home.ran().len() > before + 15);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut child = home.run();
    wait_until("every job", Duration::from_secs(60), || home.ran().len() == 250);
    wait_until("an empty queue", Duration::from_secs(30), || waiting(&server) == 0);
    signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    arq.rest();
    let twice: Vec<_> = home.ran().into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(twice.len() <= 16 && twice.iter().all(|(_, times)| *times <= 3), "only what ran at a kill: {twice:?}");
    assert_eq!(arq.ask("successes", json!({ "queue": QUEUE })), 250);
    let theirs = arq.ran().len();
    assert!(theirs > 10 && theirs < 240, "both worked: {theirs} there");
    // What counts deaths expires by itself where a worker of the library ended the job.
    let (counts, others): (Vec<_>, Vec<_>) =
        left(&server).into_iter().partition(|key| key.starts_with("qtop:arq:begun:"));
    assert_eq!(others, Vec::<String>::new());
    assert!(counts.iter().all(|key| server.int(&format!("TTL {key}")) > 0), "{counts:?}");
}

#[test]
fn r15_a_job_that_kills_its_runner_is_given_up_after_two() {
    let server = TestServer::start();
    let mut arq = Arq::start("pickle", server.port());
    arq.ask("add_many", json!({ "queue": QUEUE, "function": "mark", "count": 1 }));
    let home = Home::new(&server, "echo $2 >> $1; kill -9 $PPID; sleep 5", "");
    for deaths in 1..=2 {
        let mut child = home.run();
        child.wait().unwrap();
        assert_eq!(home.ran().values().sum::<usize>(), deaths);
    }
    let mut child = home.run();
    arq.until("mark-0", "complete");
    signal(child.id(), "TERM");
    child.wait().unwrap();
    let result = arq.result("mark-0");
    assert!(result["text"].as_str().unwrap().contains("killed its worker 2 times"), "{result}");
    assert_eq!(home.ran().values().sum::<usize>(), 2, "and not a third time");
}

fn end(mut child: Child) -> i32 {
    signal(child.id(), "TERM");
    child.wait().unwrap().code().unwrap_or(-1)
}

#[test]
fn a_job_that_takes_too_long_ends_with_a_timeout() {
    let server = TestServer::start();
    let mut arq = Arq::start("pickle", server.port());
    let home = Home::new(&server, "exec sleep 60", "timeout = \"1s\"");
    arq.ask("add_many", json!({ "queue": QUEUE, "function": "mark", "count": 1 }));
    let child = home.run();
    arq.until("mark-0", "complete");
    let result = arq.result("mark-0");
    assert_eq!((&result["success"], &result["type"]), (&json!(false), &json!("builtins.TimeoutError")), "{result}");
    assert_eq!(end(child), 0);
}

#[test]
fn r8_what_a_stopped_program_puts_back_a_worker_of_the_library_runs() {
    let server = TestServer::start();
    let mut arq = Arq::start("msgpack", server.port());
    let home = Home::new(&server, "echo $2 >> $1; exec sleep 600", "concurrency = 3");
    let file = home.0.path().join("theirs").display().to_string();
    arq.ask("add_many", json!({ "queue": QUEUE, "function": "mark", "count": 5, "more": [file] }));
    let child = home.run();
    wait_until("three runs", Duration::from_secs(20), || home.ran().len() == 3);
    assert_eq!(end(child), 3, "jobs were cut");
    assert_eq!((waiting(&server), arq.status("mark-0")), (5, "queued".to_owned()), "no lock stays behind");
    arq.burst();
    let tries: BTreeMap<String, u64> = arq.ran().into_iter().collect();
    assert_eq!(tries.len(), 5, "each ran there");
    let begun: u64 = tries.values().map(|tries| tries - 1).sum();
    assert_eq!(begun, 3, "as in the library, a start that was cut counts: {tries:?}");
    assert_eq!(left(&server), Vec::<String>::new());
}

#[test]
fn r5_a_program_that_slept_longer_than_its_locks_hold_writes_nothing() {
    let server = TestServer::start();
    let mut arq = Arq::start("json", server.port());
    let home = Home::new(&server, "echo $2 >> $1; exec sleep 600", "");
    let file = home.0.path().join("theirs").display().to_string();
    arq.ask("add_many", json!({ "queue": QUEUE, "function": "mark", "count": 1, "more": [file] }));
    let child = home.run();
    wait_until("a run", Duration::from_secs(20), || home.ran().len() == 1);
    signal(child.id(), "STOP");
    arq.work(json!({}));
    arq.until("mark-0", "complete");
    let before = arq.result("mark-0");
    signal(child.id(), "CONT");
    let log = || fs::read_to_string(home.0.path().join("log")).unwrap_or_default();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(end(child), 0, "nothing of it runs any more: {}", log());
    assert_eq!(arq.result("mark-0"), before, "the other's result stays");
    assert!(log().contains("1 lost"), "{}", log());
    assert_eq!(arq.ran().len(), 1);
    arq.rest();
}
