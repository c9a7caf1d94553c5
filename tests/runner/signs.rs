//! Signs of life: whoever looks at the workers sees each runner, its machine, its process and how busy it is.

use std::fs;
use std::io::Write;
use std::time::Duration;

use qtop_testkit::{TestServer, wait_until};
use serde_json::Value;

use crate::bench::{Notes, begin, runner, runner_on, slow};
use crate::program::{Home, fill};

const LONG: Duration = Duration::from_secs(600);

/// What `qtop workers --json` says, and that it says nothing that a terminal would obey.
fn report(home: &Home) -> Value {
    let output = home.command(&["workers", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.iter().all(|byte| *byte == b'\n' || *byte >= b' '), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn workers(home: &Home) -> Vec<Value> {
    report(home)["workers"].as_array().unwrap().clone()
}

/// Rows of runners, when there are so many and each runs so many jobs.
fn until_busy(home: &Home, rows: usize, busy: u64) -> Vec<Value> {
    let mut found = vec![];
    wait_until("busy runners", Duration::from_secs(30), || {
        found = workers(home);
        found.len() == rows && found.iter().all(|worker| worker["runner"]["busy"] == busy)
    });
    found
}

/// Makes all signs so much older.
fn age(server: &TestServer, seconds: u64) {
    let script = "for _, sign in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do \
                  redis.call('ZINCRBY', KEYS[1], -ARGV[1] * 1000, sign) end";
    redis::cmd("EVAL").arg(script).arg(1).arg("qtop:runners").arg(seconds).exec(&mut server.client()).unwrap();
}

fn signs(server: &TestServer) -> i64 {
    server.int("ZCARD qtop:runners")
}

#[test]
fn a_busy_runner_is_seen_with_its_machine_process_and_slots_and_a_killed_one_as_gone() {
    let server = TestServer::start();
    let home = Home::new(&server, "exec sleep 600", "concurrency = 2");
    let more = "[[runner.pool]]\nqueue = \"bullmq:post\"\nconcurrency = 2\n[[runner.pool.handler]]\nmatch = \"*\"\n\
                command = [\"sleep\", \"600\"]\n";
    let config = fs::OpenOptions::new().append(true).open(home.path().join("config.toml"));
    config.unwrap().write_all(more.as_bytes()).unwrap();
    fill(&server, 0, 3);
    for id in 1..=3 {
        server.run(&format!("HSET bull:post:{id} name send data {{}} opts {{}} timestamp 1700000000000"));
        server.run(&format!("LPUSH bull:post:wait {id}"));
    }
    server.run("HSET bull:post:meta version bullmq:6.7.0");
    let mut child = home.run();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut queues = vec![];
    for worker in until_busy(&home, 2, 2) {
        assert_eq!((&worker["state"], &worker["host"]), (&"live".into(), &host.as_str().into()), "{worker}");
        assert_eq!((&worker["pid"], &worker["runner"]["slots"]), (&child.id().into(), &2.into()), "{worker}");
        assert_eq!(worker["runner"]["state"], "consuming");
        assert_eq!(worker["running"].as_array().unwrap().len(), 2, "{worker}");
        assert!(
            worker["since"].is_string() && worker["evidence"].as_str().unwrap().contains("sign of the runner test-")
        );
        queues.push(worker["queues"][0].as_str().unwrap().to_owned());
    }
    queues.sort();
    assert_eq!(queues, ["bullmq:post", "list:mail"]);
    let table = home.command(&["workers"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("2/2") && table.contains(&child.id().to_string()), "{table}");
    child.kill().unwrap();
    child.wait().unwrap();
    age(&server, 25);
    server.run("DEL bull:post:active");
    for worker in workers(&home) {
        assert_eq!((&worker["state"], &worker["pid"]), (&"gone".into(), &child.id().into()), "{worker}");
        assert!(worker["evidence"].as_str().unwrap().contains("has not said goodbye"), "{worker}");
    }
    age(&server, 600);
    assert!(workers(&home).iter().all(|worker| worker["runner"].is_null()), "it is forgotten");
    assert_eq!(signs(&server), 1, "looking takes nothing away");
}

#[test]
fn two_runners_have_a_row_each_until_they_end_and_runners_clear_away_what_is_forgotten() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", "");
    server.run(r#"ZADD qtop:runners 1000 {"name":"old","pools":[]}"#);
    fill(&server, 0, 2);
    let job = || slow(&Notes::default(), LONG);
    let first = begin(&server.url(), runner("concurrency = 1"), job()).unwrap();
    let second = begin(&server.url(), runner("concurrency = 1"), job()).unwrap();
    let found = until_busy(&home, 2, 1);
    let names = [first.view().name.clone(), second.view().name.clone()];
    for name in &names {
        assert!(found.iter().any(|worker| worker["runner"]["name"] == name.as_str()), "{name}: {found:?}");
    }
    assert_eq!(signs(&server), 2, "one sign each, and none that is forgotten");
    first.handle.hurry.cancel();
    first.handle.join().unwrap();
    let left = workers(&home);
    assert_eq!((left.len(), &left[0]["runner"]["name"]), (1, &names[1].as_str().into()), "{left:?}");
    second.handle.hurry.cancel();
    second.handle.join().unwrap();
    assert_eq!((signs(&server), workers(&home).len()), (0, 0));
    let life = begin(&server.url(), runner(""), job()).unwrap();
    wait_until("a sign", Duration::from_secs(20), || signs(&server) == 1);
    assert!((1..=600).contains(&server.int("TTL qtop:runners")), "the last runner's sign goes by itself");
    life.stop();
}

#[test]
fn idle_runners_of_every_system_are_told_once() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", "");
    server.run("XGROUP CREATE events workers 0 MKSTREAM");
    server.run("HSET bull:post:meta version bullmq:6.7.0");
    server.run("ZADD arq:queue 99999999999999 later");
    let queues = ["list:mail", "bullmq:post", "stream:events/workers", "arq:arq:queue"];
    let benches: Vec<_> = queues
        .iter()
        .map(|queue| begin(&server.url(), runner_on(queue, "concurrency = 3"), slow(&Notes::default(), LONG)).unwrap())
        .collect();
    wait_until("signs", Duration::from_secs(20), || signs(&server) == 4);
    // What a system knows by itself comes and goes; no runner has two rows or none.
    for _ in 0..3 {
        let found = workers(&home);
        assert_eq!(found.len(), 4, "{found:#?}");
        for bench in &benches {
            let name = bench.view().name.clone();
            let own: Vec<_> = found.iter().filter(|row| row["runner"]["name"] == name.as_str()).collect();
            assert_eq!((own.len(), &own[0]["state"], &own[0]["runner"]["slots"]), (1, &"live".into(), &3.into()));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    for bench in benches {
        bench.stop();
    }
}

#[test]
fn s6_signs_that_are_made_to_harm_change_nothing() {
    let server = TestServer::start();
    let home = Home::new(&server, "true", "");
    let mut client = server.client();
    let now: (i64, i64) = redis::cmd("TIME").query(&mut client).unwrap();
    let huge = format!(r#"{{"name":"huge","pools":[],"x":"{}"}}"#, "x".repeat(20 << 20));
    let pool = |more: &str| format!(r#"{{"queue":"list@:mail","worker":"w\u001b[31m\n","state":"\u0007"{more}}}"#);
    let escapes = format!(
        r#"{{"name":"evil\u001b]0;x\u0007","host":"\u001b[2Jbox\r\n","pid":18446744073709551615,"since":9223372036854775807,"pools":[{}]}}"#,
        pool(r#","concurrency":18446744073709551615,"active":-5"#)
    );
    let many = format!(r#"{{"name":"many","pools":[{}]}}"#, vec![pool(""); 400].join(","));
    for sign in ["", "x", "[]", "{\"name\":\"\u{1b}\"", huge.as_str(), &escapes, &many, "\u{0}\u{1}"] {
        redis::cmd("ZADD").arg("qtop:runners").arg(now.0 * 1000).arg(sign).exec(&mut client).unwrap();
    }
    server.run("ZADD qtop:runners inf {\"name\":\"ever\",\"pools\":[]}");
    let found = workers(&home);
    assert!(found.len() <= 201, "{}", found.len());
    let evil = found.iter().find(|row| row["pid"] == u64::MAX).expect("what can be told of it");
    assert_eq!((&evil["runner"]["busy"], &evil["runner"]["state"]), (&Value::Null, &Value::Null));
    let table = home.command(&["workers"]).output().unwrap();
    assert!(table.status.success() && table.stdout.iter().all(|byte| *byte == b'\n' || *byte >= b' '));
    server.run("DEL qtop:runners");
    server.run("SET qtop:runners x");
    assert_eq!(report(&home)["notes"].as_array().unwrap().len(), 0);
}
