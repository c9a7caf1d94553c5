//! Programs that cannot be started: the jobs stay in their queue as if nobody had taken them, and the pool says why.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use qtop::domain::runner::{PoolState, RunnerCommand};
use qtop::engine::runner::Order;
use qtop::engine::runner::work::{Ending, Event, Failure};
use qtop_testkit::{TestServer, free_port, signal, wait_until};
use serde_json::json;

use crate::arq_library::{Arq, QUEUE};
use crate::bench::{Bench, Job, Notes, begin, runner, runner_on};
use crate::laravel::{Shop, payload};
use crate::library::Library;
use crate::program::{Home, fill, wait};

/// A program for one job, and one for many; each ends at once where it finds the file `ran.broken`.
const ONE: &str = "echo $2 >> $1";
const MANY: &str = r#"[ -e $1.broken ] && { echo no such module >&2; exit 1; }
while read -r job; do echo "$job" | sed 's/{"id":"\([^"]*\)".*/\1/' >> $1; echo ::done; done"#;

/// How a program is kept from starting.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Gone,
    Broken,
}

fn get(port: u16, path: &str) -> String {
    use std::io::{Read, Write};
    let mut answer = String::new();
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return answer };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn no_job_is_lost_to_a_program_that_cannot_be_started() {
    let one = ("command", ", \"{id}\"", "");
    let limited = ("command", ", \"{id}\"", "memory = \"512MiB\"\n");
    let many = ("process", "", "");
    thread::scope(|scope| {
        for queue in ["list:mail", "bullmq:mail"] {
            for (kind, fault) in
                [(one, Fault::Gone), (limited, Fault::Gone), (many, Fault::Gone), (many, Fault::Broken)]
            {
                scope.spawn(move || without_program(queue, kind, fault));
            }
        }
    });
}

fn without_program(queue: &str, (kind, arguments, more): (&str, &str, &str), fault: Fault) {
    let what = format!("{queue} {kind} {more} {fault:?}");
    let server = TestServer::start();
    let described = format!("[[list]]\n{}", crate::bench::LIST);
    let script = if kind == "command" { ONE } else { MANY };
    let home = Home::made(&server, queue, &described, script, "concurrency = 5", (kind, arguments));
    let (port, file) = (free_port(), home.path().join("config.toml"));
    let text = fs::read_to_string(&file).unwrap() + more;
    let text = text.replace("name = \"test\"\n", &format!("name = \"test\"\nmetrics = \"127.0.0.1:{port}\"\n"));
    fs::write(&file, text).unwrap();
    let mut child = home.run();
    wait_until("a runner that is well", Duration::from_secs(60), || get(port, "/healthz").contains("consuming"));
    let (program, aside) = (home.path().join("job"), home.path().join("aside"));
    match fault {
        Fault::Gone => fs::rename(&program, &aside).unwrap(),
        Fault::Broken => fs::write(home.path().join("ran.broken"), "").unwrap(),
    }
    let mut library = (queue == "bullmq:mail").then(|| Library::start(6, server.port()));
    match &mut library {
        Some(library) => {
            (0..50).for_each(|number| drop(library.add("mail", "send", json!({ "n": number }), json!({}))))
        }
        None => fill(&server, 1, 50),
    }
    wait_until(&format!("a runner that says so: {what}"), Duration::from_secs(60), || {
        get(port, "/healthz").starts_with("HTTP/1.1 503")
    });
    let reason = if fault == Fault::Gone { "cannot be started: No such file" } else { "exit code 1: no such module" };
    thread::sleep(Duration::from_millis(1_500));
    let (health, metrics) = (get(port, "/healthz"), get(port, "/metrics"));
    assert!(health.contains("stuck") && health.contains(reason), "{what}: {health}");
    assert!(metrics.contains(&format!("worker_consuming{{queue=\"{queue}\"}} 0\n")), "{what}: {metrics}");
    match fault {
        Fault::Gone => fs::rename(&aside, &program).unwrap(),
        Fault::Broken => fs::remove_file(home.path().join("ran.broken")).unwrap(),
    }
    wait_until(&format!("every job: {what}"), Duration::from_secs(90), || home.ran().len() == 50);
    wait_until(&format!("a runner that is well again: {what}"), Duration::from_secs(30), || {
        get(port, "/healthz").starts_with("HTTP/1.1 200")
            && get(port, "/metrics").contains(&format!("delivered_total{{queue=\"{queue}\"}} 50\n"))
    });
    assert!(home.ran().values().all(|times| *times == 1), "{what}: {:?}", home.ran());
    let metrics = get(port, "/metrics");
    for name in ["failed", "retried", "lost"] {
        assert!(
            metrics.contains(&format!("worker_messages_{name}_total{{queue=\"{queue}\"}} 0\n")),
            "{what}: {metrics}"
        );
    }
    match &mut library {
        Some(library) => assert_eq!(library.ids("mail", "completed").len(), 50, "{what}"),
        None => assert_eq!(server.int("EXISTS mail mail:later mail:dead mail:qtop:facts"), 0, "{what}"),
    }
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
    let log = fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("no jobs are taken until one can be started") && log.contains(reason), "{what}: {log}");
}

/// A program that can be started while the flag is set; each try and each run is noted with its attempt.
fn startable(notes: &Notes, there: &Arc<AtomicBool>) -> Arc<Job> {
    let (notes, there) = (notes.clone(), Arc::clone(there));
    Arc::new(move |work, room| {
        let there = there.load(Ordering::SeqCst);
        let word = if there { "ran" } else { "tried" };
        notes.add(format!("{word} {} {}", work.id, work.attempt));
        Box::pin(async move {
            if there {
                room.events.send(Event::Started).await.unwrap();
                return Ending::Done { result: None };
            }
            Ending::NotStarted { reason: "there is no program".to_owned() }
        })
    })
}

/// A runner that is stuck; after `look` the program is there, and every job runs as its first attempt.
fn stuck(bench: Bench, notes: &Notes, there: &AtomicBool, jobs: usize, look: impl FnOnce()) {
    bench.until_pool("a standstill", |pool| pool.state == PoolState::Stuck);
    thread::sleep(Duration::from_millis(3_500));
    // The first of all slots, then one after 1 s and one after 2 s more.
    let tried = notes.all().len();
    assert!((1..=8).contains(&tried), "{:?}", notes.all());
    assert!(bench.view().pools[0].note.as_ref().is_some_and(|note| note.contains("there is no program")));
    look();
    there.store(true, Ordering::SeqCst);
    bench.until_pool("every job", |pool| pool.counts.done == jobs as u64 && pool.state == PoolState::Consuming);
    let counts = bench.view().pools[0].counts;
    assert_eq!((counts.failed, counts.retried, counts.lost), (0, 0, 0));
    bench.stop();
    let all = notes.all();
    let ran: Vec<&String> = all.iter().filter(|note| note.starts_with("ran")).collect();
    assert!(ran.len() == jobs && all.iter().all(|note| note.ends_with(" 1")), "no attempt was counted: {all:?}");
}

#[test]
fn what_could_not_be_started_has_lost_no_attempt_on_a_list_nor_in_a_stream() {
    let (server, notes, there) = (TestServer::start(), Notes::default(), Arc::default());
    fill(&server, 0, 20);
    let pool = "concurrency = 5\ndedup = { key = '{id}', ttl = '1h' }";
    let bench = begin(&server.url(), runner(pool), startable(&notes, &there)).unwrap();
    stuck(bench, &notes, &there, 20, || {
        let marks: Vec<String> = redis::from_redis_value(server.run("KEYS qtop:once:*")).unwrap();
        assert_eq!((server.int("LLEN mail"), marks.len()), (20, 0), "{marks:?}");
    });
    let (notes, there) = (Notes::default(), Arc::default());
    server.run("XGROUP CREATE events workers 0 MKSTREAM");
    (0..20).for_each(|number| drop(server.run(&format!("XADD events * type send data {number}"))));
    let config = runner_on("stream:events/workers", "concurrency = 5");
    let bench = begin(&server.url(), config, startable(&notes, &there)).unwrap();
    stuck(bench, &notes, &there, 20, || assert_eq!(server.int("EXISTS events:qtop:workers:facts events:dead"), 0));
}

#[test]
fn what_could_not_be_started_has_lost_no_attempt_in_bullmq_and_keeps_its_place() {
    let server = TestServer::start();
    let mut library = Library::start(6, server.port());
    let mut ids: Vec<String> =
        (0..10).map(|number| library.add("mail", "send", json!({ "n": number }), json!({ "attempts": 1 }))).collect();
    ids.push(library.add("mail", "send", json!({}), json!({ "attempts": 1, "priority": 3 })));
    let (notes, there) = (Notes::default(), Arc::default());
    let bench = begin(&server.url(), runner_on("bullmq:mail", "concurrency = 1"), startable(&notes, &there)).unwrap();
    stuck(bench, &notes, &there, 11, || {});
    let ran: Vec<String> = notes
        .all()
        .iter()
        .filter_map(|note| note.strip_prefix("ran ")?.strip_suffix(" 1").map(str::to_owned))
        .collect();
    assert_eq!(ran, ids, "in the order in which they were added");
    assert_eq!(library.ids("mail", "completed").len(), 11);
}

#[test]
fn what_could_not_be_started_has_lost_no_attempt_in_arq() {
    let server = TestServer::start();
    let mut arq = Arq::start("pickle", server.port());
    (0..10).for_each(|number| drop(arq.add("send", &number.to_string(), json!([]))));
    let (notes, there) = (Notes::default(), Arc::default());
    let config = runner_on(&format!("arq:{QUEUE}"), "concurrency = 5");
    let bench = begin(&server.url(), config, startable(&notes, &there)).unwrap();
    stuck(bench, &notes, &there, 10, || {
        let keys: Vec<String> = redis::from_redis_value(server.run("KEYS arq:retry:*")).unwrap();
        let begun: Vec<String> = redis::from_redis_value(server.run("KEYS qtop:arq:begun:*")).unwrap();
        assert!(keys.is_empty() && begun.is_empty(), "{keys:?} {begun:?}");
        assert_eq!(arq.status("0"), "queued");
    });
}

#[test]
fn what_could_not_be_started_has_lost_no_attempt_in_laravel() {
    let shop = Shop::new();
    (0..10).for_each(|number| shop.push(payload(&number.to_string(), "Send", json!({ "maxTries": 1 }))));
    let (notes, there) = (Notes::default(), Arc::default());
    let bench = shop.begin(&["*"], "concurrency = 5", startable(&notes, &there));
    stuck(bench, &notes, &there, 10, || {
        let waiting = shop.all("");
        assert!(waiting.len() == 10 && waiting.iter().all(|job| job.contains("\"attempts\":0")), "{waiting:?}");
    });
    assert_eq!(shop.failed().len(), 0);
}

#[test]
fn a_person_who_resumes_a_pool_tries_at_once() {
    let (server, notes, there) = (TestServer::start(), Notes::default(), Arc::<AtomicBool>::default());
    fill(&server, 0, 3);
    let bench = begin(&server.url(), runner("concurrency = 1"), startable(&notes, &there)).unwrap();
    // At 0, 1, 3 and 7 seconds; the next would come at 15.
    bench.until("four tries", |_| notes.all().len() == 4);
    there.store(true, Ordering::SeqCst);
    let start = std::time::Instant::now();
    let queue = bench.view().pools[0].queue.clone();
    bench.handle.orders.try_send(Order::Command(RunnerCommand::Resume(queue))).unwrap();
    bench.until_pool("every job", |pool| pool.counts.done == 3);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    bench.stop();
}

/// One of two handlers cannot start its program: the jobs of the other go on, however slowly.
#[test]
fn jobs_of_other_handlers_go_on() {
    let server = TestServer::start();
    let mut client = server.client();
    for number in 0..12 {
        let name = if number % 4 == 0 { "bad" } else { "good" };
        let item = format!("{{\"id\":\"{number}\",\"type\":\"{name}\"}}");
        let _: i64 = redis::cmd("LPUSH").arg("mail").arg(item).query(&mut client).unwrap();
    }
    let (notes, there) = (Notes::default(), Arc::<AtomicBool>::default());
    let (bad, seen) = (startable(&notes, &there), notes.clone());
    let job = move |work: qtop::engine::runner::work::Work, room| match work.name.as_str() {
        "bad" => bad(work, room),
        _ => {
            seen.add(format!("good {}", work.id));
            Box::pin(async { Ending::Failed(Failure::new("no route")) })
        }
    };
    let pool = "concurrency = 2\n[[pool.handler]]\nmatch = 'bad'\ncommand = ['true']";
    let bench = begin(&server.url(), runner(pool), Arc::new(job)).unwrap();
    bench.until_pool("the others", |pool| pool.counts.failed == 9);
    assert_eq!(bench.view().pools[0].state, PoolState::Stuck, "what succeeds with others says nothing about it");
    there.store(true, Ordering::SeqCst);
    bench.until_pool("all", |pool| pool.counts.done == 3 && pool.state == PoolState::Consuming);
    bench.stop();
}

/// It says nothing until it has a job, and one job kills it: that one is found out, and none of the others suffers.
#[test]
fn r15_a_job_that_kills_every_new_process_ends_among_the_dead() {
    let server = TestServer::start();
    let script = r#"while read -r job; do case $job in *'"id":"3"'*) exit 9;; esac; echo x >> $1; echo ::done; done"#;
    let pool = "concurrency = 2\nmax_crashes = 2\nretry = { attempts = 100, backoff = ['10ms'] }";
    let home = Home::process(&server, script, pool);
    fill(&server, 1, 8);
    let mut child = home.run();
    wait_until("a dead job", Duration::from_secs(60), || server.int("LLEN mail:dead") == 1);
    wait_until("the others", Duration::from_secs(60), || home.ran().get("x") == Some(&7));
    let dead: String = redis::from_redis_value(server.run("LINDEX mail:dead 0")).unwrap();
    assert!(dead.contains("\"id\":\"3\"") && dead.contains("killed its worker 2 times"), "{dead}");
    signal(child.id(), "TERM");
    assert_eq!(wait(&mut child, Duration::from_secs(10)), 0);
}
