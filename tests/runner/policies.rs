//! Policies of a pool that the queue knows nothing of: keys that are run once, times by the server's clock.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use qtop::config::Dedup;
use qtop::engine::runner::work::{Ending, Failure};
use qtop_testkit::{TestServer, signal, wait_until};

use crate::bench::{Notes, begin, noting, runner, slow};
use crate::program::{Home, wait};

fn push(server: &TestServer, id: &str, key: &str) {
    let item = format!("{{\"id\":\"{id}\",\"message\":\"{key}\"}}");
    let _: i64 = redis::cmd("LPUSH").arg("mail").arg(item).query(&mut server.client()).unwrap();
}

fn once(ttl: Duration) -> qtop::config::Runner {
    let mut config = runner("concurrency = 4");
    config.pools[0].dedup = Some(Dedup { key: "{data.message}".to_owned(), ttl });
    config
}

#[test]
fn jobs_with_the_same_key_run_once_in_a_time() {
    let server = TestServer::start();
    for (id, key) in [("1", "a"), ("2", "a"), ("3", "b"), ("4", "a")] {
        push(&server, id, key);
    }
    let _: i64 = redis::cmd("LPUSH").arg("mail").arg("{\"id\":\"5\"}").query(&mut server.client()).unwrap();
    let notes = Notes::default();
    let bench = begin(&server.url(), once(Duration::from_secs(4)), slow(&notes, Duration::from_millis(600))).unwrap();
    wait_until("all to be settled", Duration::from_secs(20), || {
        server.int("LLEN mail") + server.int("ZCARD mail:later") == 0 && bench.view().pools[0].slots.is_empty()
    });
    let mut ran = notes.all();
    ran.sort();
    assert_eq!(ran.len(), 3, "one of the three with a, the one with b, and the one that has no key: {ran:?}");
    assert!(ran.contains(&"3".to_owned()) && ran.contains(&"5".to_owned()), "{ran:?}");
    bench.until("two that are told why they were not run", |view| {
        view.recent.iter().filter(|result| result.message.contains("same key")).count() == 2
    });
    let marks = || redis::from_redis_value::<Vec<String>>(server.run("KEYS qtop:once:*")).unwrap().len();
    wait_until("the end of the marks", Duration::from_secs(6), || marks() == 0);
    push(&server, "6", "a");
    wait_until("the next after its time", Duration::from_secs(5), || notes.all().contains(&"6".to_owned()));
    bench.stop();
}

#[test]
fn what_failed_blocks_no_other_with_its_key() {
    let server = TestServer::start();
    push(&server, "1", "a");
    let notes = Notes::default();
    let seen = notes.clone();
    let job = move |work: qtop::engine::runner::work::Work, _| {
        let id = work.id.to_text();
        seen.add(id.clone());
        Box::pin(async move {
            if id != "1" {
                return Ending::Done { result: None };
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ending::Failed(Failure::new("never"))
        }) as futures_util::future::BoxFuture<'static, Ending>
    };
    let bench = begin(&server.url(), once(Duration::from_secs(3600)), std::sync::Arc::new(job)).unwrap();
    wait_until("the first", Duration::from_secs(15), || notes.all().len() == 1);
    push(&server, "2", "a");
    wait_until("both", Duration::from_secs(15), || notes.all().len() == 2);
    bench.until("both outcomes", |view| (view.pools[0].counts.failed, view.pools[0].counts.done) == (1, 1));
    bench.stop();
}

#[test]
fn r24_a_crash_blocks_a_key_no_longer_than_its_time() {
    for (ttl, limit) in [("3s", 20), ("1h", 40)] {
        let server = TestServer::start();
        let pool = format!("concurrency = 1\ndedup = {{ key = \"{{data.message}}\", ttl = \"{ttl}\" }}");
        let home = Home::new(&server, "echo $2 >> $1; [ -e $1.quick ] || exec sleep 600", &pool);
        push(&server, "1", "a");
        let mut child = home.run();
        wait_until("the first run", Duration::from_secs(20), || home.ran().len() == 1);
        signal(child.id(), "KILL");
        child.wait().unwrap();
        assert!(server.int("PTTL qtop:once:none") < 0);
        let marks: Vec<String> = redis::from_redis_value(server.run("KEYS qtop:once:*")).unwrap();
        assert!(
            marks.len() == 1 && server.int(&format!("PTTL {}", marks[0])) > 0,
            "a mark always has an end: {marks:?}"
        );
        fs::write(home.path().join("ran.quick"), "").unwrap();
        let mut child = home.run();
        // By the mark's own end, or sooner: the dead runner's sign of life ends after 20 s.
        wait_until("the second run", Duration::from_secs(limit), || home.ran().get("1") == Some(&2));
        signal(child.id(), "TERM");
        assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
        assert_eq!(server.int("LLEN mail"), 0);
    }
}

/// A library that sets the clock of a program off by some seconds.
fn wrong_clock(folder: &std::path::Path, seconds: i64) -> std::path::PathBuf {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    let code = format!(
        "#define _GNU_SOURCE\n#include <time.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n\
         int clock_gettime(clockid_t id, struct timespec *ts) {{\n\
         int result = syscall(SYS_clock_gettime, id, ts);\n\
         if (result == 0 && id == CLOCK_REALTIME) ts->tv_sec += {seconds};\n\
         return result; }}\n"
    );
    fs::write(&source, code).unwrap();
    let status = std::process::Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(status.unwrap().success(), "the library can be built");
    library
}

#[test]
fn r16_delayed_jobs_run_once_and_not_early_whatever_the_host_thinks_the_time_is() {
    for seconds in [600, -600] {
        let server = TestServer::start();
        let home = Home::process(
            &server,
            "while read -r line; do id=${line#*'\"id\":\"'}; id=${id%%'\"'*}; echo $id $(date +%s%N) >> $1; \
             echo '{\"id\":\"'$id'\",\"done\":true}'; done",
            "concurrency = 4",
        );
        let time: Vec<String> = redis::from_redis_value(server.run("TIME")).unwrap();
        let due = time[0].parse::<u64>().unwrap() * 1000 + 3000;
        let mut pipe = redis::pipe();
        (0..1000).for_each(|id| {
            pipe.zadd("mail:later", format!("{{\"id\":\"{id}\"}}"), due).ignore();
        });
        pipe.query::<()>(&mut server.client()).unwrap();
        let library = wrong_clock(home.path(), seconds);
        let mut child = home.run_with(&[("LD_PRELOAD", library.as_os_str())]);
        let lines = || fs::read_to_string(home.path().join("ran")).unwrap_or_default();
        wait_until("every job", Duration::from_secs(40), || lines().lines().count() >= 1000);
        std::thread::sleep(Duration::from_millis(300));
        let mut ran: BTreeMap<String, usize> = BTreeMap::new();
        for line in lines().lines() {
            let (id, at) = line.split_once(' ').unwrap();
            *ran.entry(id.to_owned()).or_insert(0) += 1;
            let at = at.parse::<u64>().unwrap() / 1_000_000;
            assert!(at + 1000 >= due, "{id} ran {} ms early", due - at);
        }
        assert!(ran.len() == 1000 && ran.values().all(|times| *times == 1), "each once: {}", ran.len());
        signal(child.id(), "TERM");
        assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
    }
}

#[test]
fn r13_logs_and_metrics_that_fail_do_not_touch_jobs() {
    let server = TestServer::start();
    let home = Home::new(&server, "echo $2 >> $1", "concurrency = 2");
    let port = qtop_testkit::free_port();
    let file = home.path().join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[runner]\n", &format!("[runner]\nmetrics = \"127.0.0.1:{port}\"\n"))).unwrap();
    // Where the state folder should be is a file: neither log nor anything else can be written.
    fs::write(home.path().join("state"), "in the way").unwrap();
    crate::program::fill(&server, 0, 5);
    let mut child = home.run();
    wait_until("five runs", Duration::from_secs(20), || home.ran().len() == 5);
    // Scrapers that ask and never read, and some that never ask.
    let hanging: Vec<_> = (0..40)
        .filter_map(|number| {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
            if number % 2 == 0 {
                std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").ok()?;
            }
            Some(stream)
        })
        .collect();
    crate::program::fill(&server, 5, 20);
    wait_until("all runs", Duration::from_secs(20), || home.ran().len() == 25);
    drop(hanging);
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
    assert!(home.ran().values().all(|times| *times == 1));
    let log = fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("state"), "it is said what could not be written: {log}");
    assert!(
        log.lines().last().is_some_and(|line| line.contains("25 done")),
        "the last line tells what happened: {log}"
    );
}

#[test]
fn r13_a_metrics_port_that_is_taken_is_said_at_the_start() {
    let server = TestServer::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = runner("");
    config.metrics = Some(taken.local_addr().unwrap().to_string());
    let bench = begin(&server.url(), config, noting(&Notes::default())).unwrap();
    let error = bench.handle.join().expect_err("nobody could see it work").to_string();
    assert!(error.contains("metrics"), "{error}");
}
