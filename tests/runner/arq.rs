//! Working on ARQ queues: jobs of the real library in each serializer, beside its own workers, judged by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use qtop::config::Runner;
use qtop::domain::runner::PoolState;
use qtop::engine::runner::work::{Ending, Failure, Work};
use qtop_testkit::{Proxy, TestServer, wait_until};
use serde_json::{Value, json};

use crate::arq_library::{Arq, QUEUE};
use crate::bench::{Bench, Job, Notes, begin, runner_on, slow};

const SERIALIZERS: [&str; 3] = ["pickle", "msgpack", "json"];

fn ending(work: &Work) -> Ending {
    let data: Value = serde_json::from_slice(&work.payload).unwrap();
    match work.name.as_str() {
        "fail" => Ending::Retry { failure: Failure::new("no such mailbox: 550"), after: None },
        "again" if work.attempt < 3 || data["args"][0] == 9 => {
            Ending::Retry { failure: Failure::new("later"), after: Some(Duration::from_millis(300)) }
        }
        _ => Ending::Done { result: Some(Bytes::from(json!({ "args": data["args"] }).to_string())) },
    }
}

/// Notes each run and ends as the function's name says.
pub fn worker(notes: &Notes) -> Arc<Job> {
    let notes = notes.clone();
    Arc::new(move |work, _| {
        notes.add(format!("{} {}", work.id, work.attempt));
        Box::pin(async move { ending(&work) }) as BoxFuture<'static, Ending>
    })
}

/// Notes each run with its attempt and takes so long.
fn after(notes: &Notes, span: Duration) -> Arc<Job> {
    let notes = notes.clone();
    Arc::new(move |work, _| {
        notes.add(format!("{} {}", work.id, work.attempt));
        Box::pin(async move {
            tokio::time::sleep(span).await;
            ending(&work)
        }) as BoxFuture<'static, Ending>
    })
}

/// A runner on the queue of the tests.
pub fn on(server: &TestServer, pool: &str, job: Arc<Job>) -> Bench {
    begin(&server.url(), runner_on(&format!("arq:{QUEUE}"), pool), job).unwrap()
}

/// Keys that must be gone when all jobs have ended.
pub fn left(server: &TestServer) -> Vec<String> {
    let keys: Vec<String> = redis::from_redis_value(server.run("KEYS *")).unwrap();
    keys.into_iter().filter(|key| !key.starts_with("arq:result:") && !key.starts_with("qtop:runner")).collect()
}

#[test]
fn jobs_of_every_kind_run_and_the_library_reads_what_came_of_them() {
    for serializer in SERIALIZERS {
        let server = TestServer::start();
        let mut arq = Arq::start(serializer, server.port());
        arq.add("note", "plain", json!(["ada", 7, null, 1.5, { "deep": [true] }]));
        arq.add("fail", "fails", json!([1]));
        arq.add("again", "twice", json!([1]));
        arq.add("again", "ever", json!([9]));
        arq.add_later("note", "later", 1);
        arq.add("note", "used", json!([]));
        server.run("SET arq:retry:used 5");
        if serializer == "pickle" {
            arq.ask("add", json!({ "queue": QUEUE, "function": "note", "id": "rich", "rich": true }));
        }
        let notes = Notes::default();
        let bench = on(&server, "concurrency = 3", worker(&notes));
        for id in ["plain", "fails", "twice", "ever", "later", "used"] {
            arq.until(id, "complete");
        }
        let plain = arq.result("plain");
        assert_eq!(plain["success"], true, "{serializer}: {plain}");
        assert_eq!(plain["text"], "{'args': ['ada', 7, None, 1.5, {'deep': [True]}]}", "{serializer}: {plain}");
        let args = plain["args"].as_str().unwrap();
        assert_eq!(&args[1..args.len() - 1], "'ada', 7, None, 1.5, {'deep': [True]}", "{serializer}: {plain}");
        assert_eq!((&plain["function"], &plain["try"]), (&json!("note"), &json!(1)), "{serializer}: {plain}");
        let fails = arq.result("fails");
        assert_eq!((&fails["success"], &fails["try"]), (&json!(false), &json!(1)), "a failure is final: {fails}");
        assert_eq!(fails["text"], "no such mailbox: 550", "{fails}");
        let twice = arq.result("twice");
        assert_eq!((&twice["success"], &twice["try"]), (&json!(true), &json!(3)), "{twice}");
        let ever = arq.result("ever");
        assert_eq!((&ever["success"], &ever["try"], &ever["text"]), (&json!(false), &json!(5), &json!("later")));
        let used = arq.result("used");
        assert_eq!((&used["text"], &used["try"]), (&json!("max 5 retries exceeded"), &json!(6)), "{used}");
        assert_eq!(arq.result("later")["success"], true);
        if serializer == "pickle" {
            assert_eq!(fails["type"], "builtins.RuntimeError");
            assert_eq!(used["type"], "arq.worker.JobExecutionFailed");
            arq.until("rich", "complete");
            let rich = arq.result("rich");
            assert!(rich["args"].as_str().unwrap().contains("Decimal('1.50')"), "the arguments are whole: {rich}");
            let text = rich["text"].as_str().unwrap();
            for part in
                ["2026-11-22T13:05:09Z", "'1.50'", "00000000-0000-0000-0000-000000000007", "{'(bytes)': 'AP8='}"]
            {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
        let expected = ["ever 1", "ever 2", "ever 3", "ever 4", "ever 5", "fails 1", "later 1", "plain 1"];
        let mut ran: Vec<String> = notes.all().into_iter().filter(|note| !note.starts_with("rich")).collect();
        ran.sort();
        assert_eq!(ran[..8], expected, "{serializer}");
        bench.stop();
        assert_eq!(left(&server), Vec::<String>::new(), "{serializer}");
    }
}

#[test]
fn beside_workers_of_the_library_every_job_runs_once() {
    for serializer in SERIALIZERS {
        let server = TestServer::start();
        let mut arq = Arq::start(serializer, server.port());
        arq.work(json!({ "jobs": 5 }));
        let notes = Notes::default();
        let bench = on(&server, "concurrency = 5", after(&notes, Duration::from_millis(20)));
        arq.ask("add_many", json!({ "queue": QUEUE, "function": "note", "count": 600 }));
        wait_until("an empty queue", Duration::from_secs(60), || server.int(&format!("ZCARD {QUEUE}")) == 0);
        let theirs: Vec<String> = arq.ran().into_iter().map(|(id, attempt)| format!("{id} {attempt}")).collect();
        let mut ran = notes.all();
        let ours = ran.len();
        ran.extend(theirs);
        ran.sort();
        let all = ran.len();
        ran.dedup();
        assert_eq!((all, ran.len()), (600, 600), "{serializer}: each once");
        assert!(ours > 20 && ours < 580, "both worked: {ours} here");
        let good = arq.ask("successes", json!({ "queue": QUEUE }));
        assert_eq!(good, 600, "{serializer}: the library reads every result");
        bench.stop();
        arq.rest();
        assert_eq!(left(&server), Vec::<String>::new(), "{serializer}");
    }
}

fn on_names(server: &TestServer, names: &str, job: Arc<Job>) -> Bench {
    let mut config: Runner = runner_on(&format!("arq:{QUEUE}"), "concurrency = 2");
    config.pools[0].handlers[0].matches = names.into();
    begin(&server.url(), config, job).unwrap()
}

#[test]
fn jobs_of_other_functions_and_unreadable_ones_stay_for_other_workers() {
    let server = TestServer::start();
    let mut arq = Arq::start("pickle", server.port());
    // More of them than one look takes in, before and behind.
    arq.ask("add_many", json!({ "queue": QUEUE, "function": "fail", "count": 450 }));
    server.run("SET arq:job:bent nonsense");
    server.run("ZADD arq:queue 5 bent");
    server.run("ZADD arq:queue 6 empty");
    let deep = [&b"\x80\x04}(X\x01\x00\x00\x00fX\x04\x00\x00\x00noteX\x01\x00\x00\x00a"[..], &[b']'; 5_000]].concat();
    redis::cmd("SET").arg("arq:job:deep").arg(&deep).exec(&mut server.client()).unwrap();
    server.run("ZADD arq:queue 7 deep");
    let notes = Notes::default();
    let bench = on_names(&server, "note", worker(&notes));
    arq.add("note", "ours", json!([1]));
    arq.until("ours", "complete");
    std::thread::sleep(Duration::from_millis(500));
    arq.add("note", "late", json!([1]));
    arq.until("late", "complete");
    assert_eq!(notes.all(), ["ours 1", "late 1"]);
    assert_eq!(server.int(&format!("ZCARD {QUEUE}")), 453, "nothing else was touched");
    wait_until("no lock, no start", Duration::from_secs(5), || {
        let marks: Vec<String> = redis::from_redis_value(server.run("KEYS arq:[ir][ne]*")).unwrap();
        marks.iter().all(|key| key.starts_with("arq:result:"))
    });
    bench.until("a word about them", |view| {
        let note = view.pools[0].note.clone().unwrap_or_default();
        note.contains("function fail") && note.contains("cannot be read") && note.contains("without a definition")
    });
    bench.stop();
    assert_eq!(redis::from_redis_value::<Vec<u8>>(server.run("GET arq:job:deep")).unwrap(), deep);
    server.run("ZREM arq:queue bent empty deep");
    arq.burst();
    assert_eq!(arq.ran().len(), 450, "the library runs its own");
}

#[test]
fn a_definition_that_is_gone_ends_as_the_library_ends_it() {
    let server = TestServer::start();
    let mut arq = Arq::start("msgpack", server.port());
    arq.add("note", "first", json!([]));
    let notes = Notes::default();
    let bench = on(&server, "", worker(&notes));
    arq.until("first", "complete");
    server.run("ZADD arq:queue 5 gone");
    arq.until("gone", "complete");
    let gone = arq.result("gone");
    assert_eq!((&gone["success"], &gone["text"]), (&json!(false), &json!("job expired")), "{gone}");
    assert_eq!(notes.all(), ["first 1"]);
    bench.stop();
}

#[test]
fn an_abort_of_the_library_ends_a_job_before_and_while_it_runs() {
    for serializer in SERIALIZERS {
        let server = TestServer::start();
        let mut arq = Arq::start(serializer, server.port());
        arq.add("sleep", "runs", json!([60]));
        arq.add("sleep", "waits", json!([60]));
        arq.add_later("note", "later", 3_600);
        let notes = Notes::default();
        let bench = on(&server, "concurrency = 1", slow(&notes, Duration::from_secs(60)));
        bench.until("a running job", |view| view.pools.first().is_some_and(|pool| pool.slots.len() == 1));
        let first = notes.all()[0].clone();
        // msgpack and JSON have no exceptions: the library cannot raise what it does not read as one.
        for id in [first.as_str(), "later"] {
            let aborted = arq.ask("abort", json!({ "queue": QUEUE, "id": id }));
            let said = arq.result(id);
            assert_eq!(said["success"], false, "{serializer} {id}: {said}");
            if serializer == "pickle" {
                assert_eq!(aborted, true, "{id}: {said}");
                assert_eq!(said["type"], "asyncio.exceptions.CancelledError", "{said}");
            } else {
                assert_eq!(said["text"], "CancelledError()", "{said}");
            }
            if id == first {
                bench.until("the next", |view| view.pools[0].slots.len() == 1);
                bench.handle.orders.blocking_send(resize(2)).unwrap();
            }
        }
        assert_eq!(server.int("ZCARD arq:abort"), 0);
        assert!(!notes.all().contains(&"later".to_owned()), "it never started");
        assert_eq!(bench.view().pools[0].counts.cancelled, 1);
        bench.handle.hurry.cancel();
        assert_eq!(bench.handle.join().unwrap().cut, 1);
        assert!(arq.status("waits") == "queued" || arq.status("runs") == "queued", "what was cut is back");
    }
}

fn resize(concurrency: usize) -> qtop::engine::runner::Order {
    let queue = qtop::domain::ids::QueueId::new("arq", "", QUEUE);
    qtop::engine::runner::Order::Command(qtop::domain::runner::RunnerCommand::Resize(queue, concurrency))
}

#[test]
fn a_cron_job_leaves_its_lock_for_a_minute_and_no_result() {
    let server = TestServer::start();
    let mut arq = Arq::start("pickle", server.port());
    arq.add("cron:tick", "cron:tick:1700000000000", json!([]));
    arq.add("note", "usual", json!([]));
    let notes = Notes::default();
    let bench = on(&server, "", worker(&notes));
    bench.until("both", |view| view.pools.first().is_some_and(|pool| pool.counts.done == 2));
    let left = server.int("PTTL arq:in-progress:cron:tick:1700000000000");
    assert!((50_000..=60_000).contains(&left), "{left}");
    assert_eq!(server.int("EXISTS arq:result:cron:tick:1700000000000 arq:in-progress:usual"), 0);
    let kept = server.int("PTTL arq:result:usual");
    assert!((3_500_000..=3_600_000).contains(&kept), "an hour, as the library keeps them: {kept}");
    bench.stop();
}

#[test]
fn the_sign_of_life_is_the_librarys_own_and_gives_way_to_it() {
    let server = TestServer::start();
    let mut arq = Arq::start("pickle", server.port());
    arq.add("note", "a", json!([]));
    let bench = on(&server, "", worker(&Notes::default()));
    let sign = || redis::from_redis_value::<Option<String>>(server.run("GET arq:queue:health-check")).unwrap();
    wait_until("a sign", Duration::from_secs(10), || sign().is_some_and(|sign| sign.contains("j_complete=1")));
    let text = sign().unwrap();
    assert!(text.contains(" j_failed=0 j_retried=0 j_ongoing=0 queued=0 qtop=test-"), "{text}");
    assert_eq!(arq.ask("check_health", json!({ "queue": QUEUE })), true, "the library's own check is content");
    arq.work(json!({ "health": 1 }));
    wait_until("theirs", Duration::from_secs(10), || sign().is_some_and(|sign| !sign.contains("qtop")));
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
        assert!(!sign().unwrap_or_default().contains("qtop"), "it is not overwritten");
    }
    arq.rest();
    wait_until("ours again", Duration::from_secs(10), || sign().is_some_and(|sign| sign.contains("qtop")));
    bench.stop();
    assert_eq!(sign(), None, "a runner that ends takes it away");
}

#[test]
fn r17_arguments_of_any_size_reach_the_handler_whole_and_too_large_ones_are_refused_with_a_reason() {
    for serializer in SERIALIZERS {
        let server = TestServer::start();
        let mut arq = Arq::start(serializer, server.port());
        let sizes: Vec<usize> = vec![0, 1, 1 << 20, 9 << 20];
        for size in &sizes {
            let request = json!({ "queue": QUEUE, "function": "note", "id": format!("s{size}"), "size": size });
            arq.ask("add_large", request);
        }
        let seen = Arc::new(std::sync::Mutex::new(BTreeMap::new()));
        let sink = Arc::clone(&seen);
        let job = move |work: Work, _| {
            let data: Value = serde_json::from_slice(&work.payload).unwrap();
            let text = data["args"][0].as_str().unwrap();
            assert!(text.chars().all(|char| char == 'é'), "{}", work.id);
            sink.lock().unwrap().insert(work.id.to_text(), text.chars().count());
            Box::pin(async { Ending::Done { result: None } }) as BoxFuture<'static, Ending>
        };
        let mut config = runner_on(&format!("arq:{QUEUE}"), "concurrency = 4");
        config.max_payload = 8 << 20;
        let bench = begin(&server.url(), config, Arc::new(job)).unwrap();
        bench.until("four outcomes", |view| {
            view.pools.first().is_some_and(|pool| (pool.counts.done, pool.counts.failed) == (3, 1))
        });
        let expected: BTreeMap<String, usize> = sizes[..3].iter().map(|size| (format!("s{size}"), *size)).collect();
        assert_eq!(*seen.lock().unwrap(), expected, "{serializer}");
        let large = arq.result(&format!("s{}", 9 << 20));
        assert!(large["text"].as_str().unwrap().contains("max_payload"), "{serializer}");
        let whole = arq.ask("argument_size", json!({ "queue": QUEUE, "id": format!("s{}", 9 << 20) }));
        assert_eq!(whole, 9 << 20, "{serializer}: the result repeats the arguments");
        bench.stop();
    }
}

#[test]
fn a_rate_limit_holds_over_all_runners() {
    let server = TestServer::start();
    let mut arq = Arq::start("pickle", server.port());
    arq.ask("add_many", json!({ "queue": QUEUE, "function": "note", "count": 20 }));
    let notes = Notes::default();
    let pool = "concurrency = 10\nrate = { jobs = 5, per = '2s' }";
    let benches = [on(&server, pool, worker(&notes)), on(&server, pool, worker(&notes))];
    wait_until("some runs", Duration::from_secs(10), || notes.all().len() == 5);
    std::thread::sleep(Duration::from_millis(900));
    assert_eq!(notes.all().len(), 5, "five in two seconds, here and there together");
    wait_until("the rest", Duration::from_secs(20), || notes.all().len() == 20);
    for bench in benches {
        bench.stop();
    }
}

#[test]
fn the_sign_of_life_is_written_where_the_configuration_says() {
    let server = TestServer::start();
    let table = format!("[[arq]]\nqueue = '{QUEUE}'\nhealth_check_key = 'shop:health'");
    let config: qtop::config::Config = toml::from_str(&table).unwrap();
    let job = worker(&Notes::default());
    let bench =
        crate::bench::begin_with(&server.url(), runner_on(&format!("arq:{QUEUE}"), ""), job, &config.described());
    let bench = bench.unwrap();
    wait_until("a sign", Duration::from_secs(10), || server.int("EXISTS shop:health") == 1);
    assert_eq!(server.int("EXISTS arq:queue:health-check"), 0);
    bench.stop();
    assert_eq!(server.int("EXISTS shop:health"), 0);
}

#[test]
fn a_schedule_adds_jobs_that_the_librarys_workers_run() {
    let server = TestServer::start();
    let mut arq = Arq::start("json", server.port());
    arq.add_later("note", "sample", 3_600);
    let mut config = runner_on(&format!("arq:{QUEUE}"), "paused = true");
    let schedule = format!("queue = 'arq:{QUEUE}'\nname = 'note'\nevery = '1s'\ndata = {{ args = [1, 'x'] }}");
    config.schedules = vec![toml::from_str(&schedule).unwrap()];
    let bench = begin(&server.url(), config, worker(&Notes::default())).unwrap();
    arq.work(json!({}));
    let mut ran = BTreeMap::new();
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(100));
        for run in arq.ask("ran", json!({})).as_array().unwrap() {
            ran.insert(run[0].as_str().unwrap().to_owned(), run[2].clone());
        }
        if ran.len() >= 3 {
            break;
        }
    }
    assert!(ran.len() >= 3 && ran.values().all(|args| *args == json!([1, "x"])), "{ran:?}");
    bench.stop();
}

#[test]
fn f7_an_idle_runner_starts_a_job_at_once_and_hardly_speaks() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let mut arq = Arq::start("msgpack", server.port());
    let notes = Notes::default();
    let mut config = runner_on(&format!("arq:{QUEUE}"), "concurrency = 4");
    config.lease = Duration::from_secs(30);
    let bench = begin(&proxy.url(), config, worker(&notes)).unwrap();
    bench.until_pool("a waiting pool", |pool| pool.state == PoolState::Consuming);
    std::thread::sleep(Duration::from_millis(500));
    proxy.clear();
    std::thread::sleep(Duration::from_secs(10));
    let idle = proxy.traffic().commands;
    let mut said = BTreeMap::new();
    proxy.sent().into_iter().for_each(|sent| *said.entry(sent.name).or_insert(0) += 1);
    let mut waits = Vec::new();
    for number in 0..60 {
        let start = Instant::now();
        arq.add("note", &number.to_string(), json!([]));
        while notes.all().len() <= number {
            std::thread::sleep(Duration::from_micros(200));
            assert!(start.elapsed() < Duration::from_secs(10), "the job was not seen");
        }
        waits.push(start.elapsed());
        // At any moment of whatever the runner does while it waits.
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..60)));
    }
    waits.sort();
    println!("idle: {idle} commands in 10 s; from before adding to the start: {:?}, {:?}", waits[30], waits[57]);
    // Adding by the library is part of it.
    assert!(waits[30] < Duration::from_millis(50), "{waits:?}");
    assert!(idle <= 11, "{said:?} in 10 s");
    assert!(proxy.traffic().connections <= 2, "F8: one for control, one that waits");
    bench.stop();
}

/// Jobs of functions that are left to others come in any number, and each is a change.
#[test]
fn f7_changes_that_concern_others_do_not_keep_a_runner_busy() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let mut arq = Arq::start("msgpack", server.port());
    let notes = Notes::default();
    let mut config = runner_on(&format!("arq:{QUEUE}"), "");
    config.pools[0].handlers[0].matches = "mine".into();
    let bench = begin(&proxy.url(), config, worker(&notes)).unwrap();
    bench.until_pool("a waiting pool", |pool| pool.state == PoolState::Consuming);
    arq.ask("add_many", json!({ "queue": QUEUE, "function": "note", "count": 300 }));
    proxy.clear();
    for number in 0..400 {
        server.run(&format!("ZADD {QUEUE} {number} note-7"));
        std::thread::sleep(Duration::from_millis(10));
    }
    let looks = proxy.traffic().commands;
    assert!(looks < 80, "{looks} commands on 400 changes in 4 s");
    bench.stop();
    assert_eq!(notes.all(), Vec::<String>::new());
}

#[test]
fn a_server_that_does_not_tell_of_changes_is_looked_at_now_and_then() {
    let server = TestServer::start();
    server.run("ACL SETUSER default -client|tracking");
    let mut arq = Arq::start("pickle", server.port());
    let notes = Notes::default();
    let bench = on(&server, "", worker(&notes));
    bench.until_pool("a waiting pool", |pool| pool.state == PoolState::Consuming);
    for number in 0..3 {
        std::thread::sleep(Duration::from_millis(400));
        arq.add("note", &number.to_string(), json!([]));
        wait_until("the job", Duration::from_secs(3), || notes.all().len() == number + 1);
    }
    bench.until_pool("no trouble", |pool| pool.note.is_none() && pool.counts.done == 3);
    bench.stop();
}
