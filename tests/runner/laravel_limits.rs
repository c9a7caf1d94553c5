//! What a Laravel job says about itself, what the application says about its queue, and where jobs go that are given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use qtop::config::Runner;
use qtop::domain::described::Described;
use qtop::engine::runner::work::{Ending, Failure};
use qtop_testkit::wait_until;
use serde_json::json;

use crate::bench::{Bench, Job, Notes, begin_with, failing, noting, slow};
use crate::laravel::{PREFIX, Shop, key, payload, runner};

/// Notes each run and crashes.
fn crashing(notes: &Notes) -> Arc<Job> {
    let notes = notes.clone();
    Arc::new(move |work, _| {
        notes.add(work.id.to_text());
        let failure = Failure { message: "SIGSEGV".to_owned(), crashed: true, ..Failure::default() };
        Box::pin(async { Ending::Retry { failure, after: None } })
    })
}

#[test]
fn a_failure_becomes_a_row_of_the_application_before_the_job_leaves_redis() {
    let shop = Shop::new();
    let stored = payload("u-1", "Send", json!({ "maxTries": 2, "backoff": "1,5" }));
    shop.push(&stored);
    let notes = Notes::default();
    let start = Instant::now();
    let bench = shop.begin(&["Send"], "", failing(&notes));
    wait_until("a delayed job", Duration::from_secs(10), || shop.int("ZCARD", ":delayed") == 1);
    assert!(shop.all(":delayed")[0].contains("\"attempts\":1"), "the attempt counts");
    wait_until("a failure", Duration::from_secs(10), || shop.failed().len() == 1);
    assert!(start.elapsed() > Duration::from_millis(900), "it waited as it wanted");
    bench.until_pool("the counts", |pool| (pool.counts.retried, pool.counts.failed) == (1, 1));
    bench.stop();
    assert_eq!(notes.all(), ["u-1 1", "u-1 2"]);
    let row = &shop.failed()[0];
    assert_eq!((&row["id"], &row["connection"], &row["queue"]), (&json!("u-1"), &json!("redis"), &json!("default")));
    let kept: serde_json::Value = serde_json::from_str(row["payload"].as_str().unwrap()).unwrap();
    assert_eq!(kept["attempts"], 1, "as it stood in the list before the last run");
    assert!(row["exception"].as_str().unwrap().starts_with("no route\n"), "{row}");
    // The time is the application's own, the number everybody's.
    let moment = row["failed_at_timestamp"].as_i64().unwrap();
    let now = jiff::Timestamp::now();
    assert!((now.as_second() - moment).abs() < 30, "{row}");
    let local = jiff::Timestamp::from_second(moment).unwrap().in_tz("Europe/Berlin").unwrap();
    assert_eq!(row["failed_at"], local.strftime("%Y-%m-%d %H:%M:%S").to_string());
    assert_eq!(shop.int("ZCARD", ":reserved") + shop.int("ZCARD", ":delayed") + shop.int("LLEN", ""), 0);
}

#[test]
fn r15_a_job_whose_attempts_ended_with_their_workers_is_given_up_unrun() {
    let shop = Shop::new();
    shop.push(payload("used-up", "Send", json!({ "maxTries": 2, "attempts": 2 })));
    shop.push(payload("late", "Send", json!({ "retryUntil": 1_700_000_000 })));
    shop.push(payload("fine", "Send", json!({ "maxTries": 0, "attempts": 90 })));
    let notes = Notes::default();
    let bench = shop.begin(&["*"], "", slow(&notes, Duration::ZERO));
    bench.until_pool("three outcomes", |pool| pool.counts.done + pool.counts.failed == 3);
    bench.stop();
    assert_eq!(notes.all(), ["fine"]);
    let mut failed: Vec<_> = shop.failed().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    failed.sort();
    assert_eq!(failed, ["late", "used-up"]);
}

#[test]
fn r15_a_job_that_kills_its_handler_is_given_up_whatever_it_allows() {
    let shop = Shop::new();
    shop.push(payload("deadly", "Send", json!({ "maxTries": 0 })));
    let notes = Notes::default();
    let bench = shop.begin(&["*"], "max_crashes = 2", crashing(&notes));
    wait_until("a failure", Duration::from_secs(20), || shop.failed().len() == 1);
    bench.stop();
    assert_eq!(notes.all(), ["deadly", "deadly"]);
    assert!(shop.failed()[0]["exception"].as_str().unwrap().contains("killed its worker 2 times"));
    assert_eq!(shop.server.int(&format!("EXISTS {PREFIX}qtop:laravel:deaths:default")), 0);
}

#[test]
fn exceptions_are_counted_where_laravel_counts_them() {
    let shop = Shop::new();
    // The cache is in this Redis: the application was restarted once.
    let cache = format!("{PREFIX}shop_cache:");
    shop.server.run(&format!("SET {cache}illuminate:queue:restart 1700000000"));
    shop.server.run(&format!("SET {cache}job-exceptions:u-1 1"));
    shop.push(payload("u-1", "Send", json!({ "maxTries": 0, "maxExceptions": 3 })));
    let until = jiff::Timestamp::now().as_second() + 2;
    shop.push(payload("u-2", "Send", json!({ "maxTries": 1, "retryUntil": until })));
    let notes = Notes::default();
    let bench = shop.begin(&["*"], "retry = { base = '1s' }", failing(&notes));
    wait_until("two failures", Duration::from_secs(20), || shop.failed().len() == 2);
    bench.until_pool("the counts", |pool| pool.counts.failed == 2);
    bench.stop();
    let runs = |id: &str| notes.all().iter().filter(|run| run.starts_with(id)).count();
    assert_eq!(runs("u-1"), 2, "with the one before: three exceptions");
    assert!((2..=4).contains(&runs("u-2")), "as often as there was time: {:?}", notes.all());
    assert_eq!(shop.server.int(&format!("EXISTS {cache}job-exceptions:u-1")), 0);
    let why = |id: &str| {
        let rows = shop.failed();
        let row = rows.iter().find(|row| row["id"] == id).unwrap().clone();
        row["exception"].as_str().unwrap().to_owned()
    };
    assert!(why("u-1").contains("maxExceptions") && why("u-1").starts_with("no route"), "{}", why("u-1"));
}

#[test]
fn the_shorter_of_two_time_limits_holds_and_may_be_the_end() {
    let shop = Shop::new();
    shop.push(payload("strict", "Send", json!({ "maxTries": 5, "timeout": 1, "failOnTimeout": true })));
    let notes = Notes::default();
    let sink = notes.clone();
    // What a handler does with its room is the handlers' own test; here it matters what it is given.
    let job: Arc<Job> = Arc::new(move |_, room| {
        sink.add(format!("{:?}", room.timeout));
        Box::pin(async { Ending::TimedOut(Failure::new("it took too long")) })
    });
    let bench = shop.begin(&["*"], "timeout = '50s'", job);
    wait_until("a failure", Duration::from_secs(10), || shop.failed().len() == 1);
    bench.stop();
    assert_eq!(notes.all(), ["Some(1s)"]);
}

#[test]
fn a_paused_queue_is_left_alone_until_it_is_resumed() {
    for pause in ["illuminate:queue:paused:redis:default", "illuminate:queues:paused"] {
        let shop = Shop::new();
        let pause = format!("{PREFIX}shop_cache_{pause}");
        shop.server.run(&format!("SET {pause} b:1;"));
        shop.push(payload("a", "Send", json!({})));
        let notes = Notes::default();
        let bench = shop.begin(&["*"], "", noting(&notes));
        bench.until_pool("the reason", |pool| pool.note.as_ref().is_some_and(|note| note.contains("paused the queue")));
        assert_eq!((notes.all().len(), shop.int("LLEN", "")), (0, 1));
        shop.server.run(&format!("DEL {pause}"));
        wait_until("the job", Duration::from_secs(10), || notes.all().len() == 1);
        bench.stop();
    }
}

#[test]
fn a_rate_limit_holds_on_all_runners_together() {
    let shop = Shop::new();
    (0..20).for_each(|number| shop.push(payload(&number.to_string(), "Send", json!({}))));
    let notes = Notes::default();
    let pool = "concurrency = 10\nrate = { jobs = 5, per = '2s' }";
    let both = [shop.begin(&["*"], pool, noting(&notes)), shop.begin(&["*"], pool, noting(&notes))];
    wait_until("the first five", Duration::from_secs(10), || notes.all().len() >= 5);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(notes.all().len(), 5);
    wait_until("all", Duration::from_secs(20), || notes.all().len() == 20);
    assert!(both.map(Bench::stop).iter().all(|end| end.cut == 0));
}

#[test]
fn delayed_and_lost_jobs_come_when_their_time_comes() {
    let shop = Shop::new();
    let now = jiff::Timestamp::now().as_second();
    let mut client = shop.server.client();
    for (suffix, id, attempts, due) in
        [(":delayed", "later", 0, now + 2), (":reserved", "lost", 1, now + 1), (":reserved", "theirs", 1, now + 60)]
    {
        let text = payload(id, "Send", json!({ "attempts": attempts, "maxTries": 2 }));
        let _: i64 = redis::cmd("ZADD").arg(key(suffix)).arg(due).arg(text).query(&mut client).unwrap();
    }
    let notes = Notes::default();
    let bench = shop.begin(&["*"], "", slow(&notes, Duration::ZERO));
    wait_until("both", Duration::from_secs(10), || notes.all().len() == 2);
    let end = jiff::Timestamp::now().as_second();
    bench.until_pool("their outcomes", |pool| pool.counts.done == 2);
    bench.stop();
    assert_eq!(notes.all(), ["lost", "later"]);
    assert!((now + 2..=now + 5).contains(&end), "as soon as they were due: after {} s", end - now);
    assert_eq!(shop.int("ZCARD", ":reserved"), 1, "R6: what another holds stays");
}

#[test]
fn r25_a_schedule_fires_once_with_two_runners() {
    let shop = Shop::new();
    let config = |shop: &Shop, notes: &Notes| -> Bench {
        let mut config: Runner = runner(&["tick"], "");
        let schedule = "queue = 'laravel:default'\nname = 'tick'\nevery = '1s'\ndata = { a = 1 }";
        config.schedules = vec![toml::from_str(schedule).unwrap()];
        let described: Described = shop.described(90);
        begin_with(&shop.server.url(), config, noting(notes), &described).unwrap()
    };
    let notes = Notes::default();
    let both = [config(&shop, &notes), config(&shop, &notes)];
    let start = Instant::now();
    wait_until("three jobs", Duration::from_secs(15), || notes.all().len() >= 3);
    let seconds = start.elapsed().as_secs() as usize;
    assert!(both.map(Bench::stop).iter().all(|end| end.cut == 0));
    assert!(notes.all().len() <= seconds + 2, "{} in {seconds} s", notes.all().len());
    let job: serde_json::Value = serde_json::from_str(&notes.all()[0]).unwrap();
    assert_eq!((&job["job"], &job["data"]), (&json!("tick"), &json!({ "a": 1 })));
}

#[test]
fn another_attempt_comes_when_it_is_due_although_the_runner_waits_meanwhile() {
    let shop = Shop::new();
    let notes = Notes::default();
    let bench = shop.begin(&["*"], "concurrency = 4", failing(&notes));
    bench.until_pool("a waiting pool", |pool| pool.state == qtop::domain::runner::PoolState::Consuming);
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    shop.push(payload("a", "Send", json!({ "maxTries": 3, "backoff": "1" })));
    wait_until("a failure", Duration::from_secs(20), || shop.failed().len() == 1);
    // Seconds are whole in Laravel, so each wait may be one longer.
    assert!(start.elapsed() < Duration::from_millis(4_700), "{:?}", start.elapsed());
    assert_eq!(notes.all().len(), 3);
    bench.stop();
}

#[test]
fn r2_an_outcome_that_was_written_but_not_settled_is_no_second_row() {
    let shop = Shop::new();
    let job = payload("u-1", "Send", json!({ "maxTries": 1 }));
    shop.push(&job);
    let notes = Notes::default();
    let bench = shop.begin(&["*"], "", failing(&notes));
    wait_until("a failure", Duration::from_secs(20), || shop.failed().len() == 1);
    bench.until_pool("its end", |pool| pool.counts.failed == 1);
    // As after a crash between the two steps: the row is there, and the job comes back with its attempt counted.
    shop.push(job.replace("\"attempts\":0", "\"attempts\":1"));
    bench.until_pool("the second end", |pool| pool.counts.failed == 2);
    bench.stop();
    assert_eq!((notes.all().len(), shop.failed().len()), (1, 1));
    assert!(shop.failed()[0]["exception"].as_str().unwrap().contains("its only attempt"), "{:?}", shop.failed());
}
