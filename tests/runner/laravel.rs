//! Working on Laravel queues: what is taken, what is left alone, and every byte of it. The application itself judges in
//! the tests of Laravel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qtop::config::Runner;
use qtop::domain::described::{Application, Described, FailedDriver, FailedStore};
use qtop::engine::runner::error::RunnerError;
use qtop_testkit::{Proxy, TestServer, wait_until};
use serde_json::{Value, json};

use crate::bench::{Bench, Job, Notes, begin, begin_with, noting, runner_on, slow};

/// Start of the application's keys.
pub const PREFIX: &str = "shop_database_";

/// An application whose failed jobs are in a file.
pub struct Shop {
    /// Its Redis.
    pub server: TestServer,
    directory: tempfile::TempDir,
}

impl Shop {
    /// With nothing in it.
    pub fn new() -> Self {
        Self::on(TestServer::start())
    }

    /// On such a server.
    pub fn on(server: TestServer) -> Self {
        Self { server, directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("failed-jobs.json")
    }

    /// What is described of it.
    pub fn described(&self, retry_after: u64) -> Described {
        let failed = FailedStore {
            driver: FailedDriver::File,
            path: Some(self.file()),
            time_zone: "Europe/Berlin".to_owned(),
            ..FailedStore::default()
        };
        let application = Application {
            name: "shop".to_owned(),
            prefix: Some(PREFIX.to_owned()),
            retry_after: Some(retry_after),
            failed: Some(failed),
            ..Application::default()
        };
        Described { laravel: vec![application], ..Described::default() }
    }

    /// A runner on the queue `default`, at any address of the server.
    pub fn at(&self, url: &str, config: Runner, job: Arc<Job>) -> Bench {
        begin_with(url, config, job, &self.described(90)).unwrap()
    }

    /// The same, at its own address, for jobs of these names.
    pub fn begin(&self, names: &[&str], pool: &str, job: Arc<Job>) -> Bench {
        self.at(&self.server.url(), runner(names, pool), job)
    }

    /// Pushes a payload as Laravel does.
    pub fn push(&self, payload: impl AsRef<[u8]>) {
        let mut client = self.server.client();
        let _: i64 = redis::cmd("RPUSH").arg(key("")).arg(payload.as_ref()).query(&mut client).unwrap();
        let _: i64 = redis::cmd("RPUSH").arg(key(":notify")).arg(1).query(&mut client).unwrap();
    }

    /// What lies in one of the queue's keys.
    pub fn all(&self, suffix: &str) -> Vec<String> {
        let command = if suffix.is_empty() { "LRANGE" } else { "ZRANGE" };
        redis::cmd(command).arg(key(suffix)).arg(0).arg(-1).query(&mut self.server.client()).unwrap()
    }

    /// A number, by a command on one of the queue's keys.
    pub fn int(&self, command: &str, suffix: &str) -> i64 {
        self.server.int(&format!("{command} {}", key(suffix)))
    }

    /// The failed jobs, newest first.
    pub fn failed(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.file()).unwrap_or_else(|_| "[]".to_owned());
        serde_json::from_str(&text).unwrap()
    }
}

/// A key of the queue.
pub fn key(suffix: &str) -> String {
    format!("{PREFIX}queues:default{suffix}")
}

/// A runner for jobs of these names.
pub fn runner(names: &[&str], pool: &str) -> Runner {
    let timeout = if pool.contains("timeout") { "" } else { "timeout = '60s'\n" };
    let mut config = runner_on("laravel:default", &format!("{timeout}{pool}"));
    config.pools[0].handlers[0].matches.0 = names.iter().map(|name| (*name).to_owned()).collect();
    config
}

/// A payload; `more` overrides its fields.
pub fn payload(uuid: &str, name: &str, more: Value) -> String {
    let mut payload = json!({
        "uuid": uuid, "displayName": name, "job": "Illuminate\\Queue\\CallQueuedHandler@call", "maxTries": null,
        "maxExceptions": null, "failOnTimeout": false, "backoff": null, "timeout": null,
        "data": { "commandName": name, "command": "O:4:\"Note\":0:{}" }, "id": "x", "attempts": 0,
    });
    for (name, value) in more.as_object().unwrap() {
        payload[name] = value.clone();
    }
    payload.to_string()
}

#[test]
fn r14_a_timeout_that_outlasts_a_reservation_is_refused_with_both_numbers() {
    let shop = Shop::new();
    let lists = crate::bench::described().lists;
    let described = Described { lists, ..shop.described(90) };
    for (queue, timeout, refused) in [
        ("laravel:default", "", Some("any time")),
        ("laravel:default", "timeout = '90s'", Some("90s")),
        ("laravel:default", "timeout = '5m'", Some("300s")),
        ("laravel@shop_database_:default", "timeout = '91s'", Some("91s")),
        ("laravel:default", "timeout = '89s'", None),
        // These renew what they hold.
        ("list:mail", "", None),
        ("list:mail", "timeout = '1h'", None),
        ("stream:events/workers", "timeout = '1h'", None),
        ("bullmq:mail", "", None),
    ] {
        let begun = begin_with(&shop.server.url(), runner_on(queue, timeout), noting(&Notes::default()), &described);
        match (begun, refused) {
            (Ok(bench), None) => drop(bench.stop()),
            (Err(error @ RunnerError::Lease { .. }), Some(number)) => {
                let text = error.to_string();
                assert!(text.contains(number) && text.contains("90s"), "{text}");
            }
            (Ok(_), Some(_)) => panic!("{queue} {timeout} was not refused"),
            (Err(error), _) => panic!("{queue} {timeout}: {error}"),
        }
    }
}

#[test]
fn what_is_not_known_of_an_application_is_said_before_a_job_is_taken() {
    let shop = Shop::new();
    let whole = shop.described(90).laravel.remove(0);
    for (application, reason) in [
        (Application { prefix: Some("other_".to_owned()), ..whole.clone() }, "no [[laravel]]"),
        (Application { retry_after: None, ..whole.clone() }, "retry_after"),
        (Application { failed: None, ..whole.clone() }, "given up would have no place"),
        (Application { missing: Some("no such folder".to_owned()), ..whole }, "no such folder"),
    ] {
        let described = Described { laravel: vec![application], ..Described::default() };
        let config = runner_on("laravel@shop_database_:default", "timeout = '5s'");
        match begin_with(&shop.server.url(), config, noting(&Notes::default()), &described) {
            Err(error) => assert!(error.to_string().contains(reason), "{error}"),
            Ok(_) => panic!("{reason} was not said"),
        }
    }
    assert!(begin(&shop.server.url(), runner(&["*"], ""), noting(&Notes::default())).is_err());
}

#[test]
fn jobs_of_others_and_what_is_no_job_stay_exactly_where_they_are() {
    let shop = Shop::new();
    let foreign = [
        payload("a", r"App\Jobs\Pay", json!({})),
        "no json \u{1} at all".to_owned(),
        payload("b", r"App\Jobs\SendMany", json!({ "attempts": "many" })),
        "[1,2]".to_owned(),
        r#"{"job":"App\\Jobs\\SendLate","displayName":"App\\Jobs\\SendLate","attempts":0}"#.to_owned(),
        payload("c", r"App\Mail\Send", json!({ "data": { "attempts": 3 } })),
    ];
    for (number, text) in foreign.iter().enumerate() {
        shop.push(text);
        shop.push(payload(&number.to_string(), r"App\Jobs\SendOne", json!({})));
    }
    let notes = Notes::default();
    let bench = shop.begin(&[r"App\Jobs\Send*"], "concurrency = 2", slow(&notes, Duration::ZERO));
    bench.until_pool("six results", |pool| pool.counts.done == 6);
    std::thread::sleep(Duration::from_millis(1_200));
    bench.stop();
    let mut ran = notes.all();
    ran.sort();
    assert_eq!(ran, ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(shop.all(""), foreign);
    assert_eq!((shop.int("ZCARD", ":reserved"), shop.int("ZCARD", ":delayed")), (0, 0));
    assert_eq!(shop.int("LLEN", ":notify"), 6, "a token for each that stays");
    assert_eq!(shop.failed(), Vec::<Value>::new());
}

#[test]
fn a_job_is_found_in_the_middle_of_a_long_list_of_others() {
    let shop = Shop::new();
    let mut client = shop.server.client();
    let mut pipe = redis::pipe();
    for number in 0..2_000 {
        pipe.rpush(key(""), payload(&format!("p{number}"), r"App\Jobs\Pay", json!({}))).ignore();
        if number == 1_500 {
            pipe.rpush(key(""), payload("ours", "Send", json!({}))).ignore();
        }
    }
    let () = pipe.query(&mut client).unwrap();
    let notes = Notes::default();
    let bench = shop.begin(&["Send"], "", slow(&notes, Duration::ZERO));
    wait_until("the job", Duration::from_secs(40), || notes.all() == ["ours"]);
    bench.until_pool("its outcome", |pool| pool.counts.done == 1);
    bench.stop();
    assert_eq!(shop.int("LLEN", ""), 2_000);
}

#[test]
fn r22_only_the_number_of_attempts_changes_in_what_is_reserved() {
    let base = r#""displayName":"Send","job":"Send@now","data":"#;
    let with = |rest: &str| format!("{{{base}{rest}");
    for (stored, reserved) in [
        (with(r#"{"attempts":7},"attempts":0}"#), with(r#"{"attempts":7},"attempts":1}"#)),
        (
            with(r#"[{"attempts":7}] , "attempts" : 9 , "x":"é\/"}"#),
            with(r#"[{"attempts":7}] , "attempts" : 10 , "x":"é\/"}"#),
        ),
        (
            with(r#""\"attempts\":3\\","tags":["attempts"],"attempts":99}"#),
            with(r#""\"attempts\":3\\","tags":["attempts"],"attempts":100}"#),
        ),
        (
            with(r#""{[\"","attempts":1,"big":9007199254740993,"e":[],"o":{}}"#),
            with(r#""{[\"","attempts":2,"big":9007199254740993,"e":[],"o":{}}"#),
        ),
        (
            with(r#"null,"note":"attempts","attempts":4,"attempts":5}"#),
            with(r#"null,"note":"attempts","attempts":4,"attempts":6}"#),
        ),
        (format!("{{\"attempts\":0,{base}1}}"), format!("{{\"attempts\":1,{base}1}}")),
    ] {
        let shop = Shop::new();
        shop.push(&stored);
        let notes = Notes::default();
        let bench = shop.begin(&["Send"], "retry = { attempts = 1000 }", slow(&notes, Duration::from_secs(60)));
        bench.until_pool("a running job", |pool| pool.slots.len() == 1);
        assert_eq!(shop.all(":reserved"), [reserved]);
        assert_eq!((shop.int("LLEN", ""), shop.int("LLEN", ":notify")), (0, 0));
        bench.handle.hurry.cancel();
        assert_eq!(bench.handle.join().unwrap().cut, 1);
        assert_eq!((shop.all(""), shop.int("LLEN", ":notify")), (vec![stored], 1), "back as it was");
    }
}

#[test]
fn names_are_matched_like_everywhere_in_qtop() {
    let names = ["Send", r"App\Jobs\Send", r"App\Jobs\Pay", "Séndé", "Report@build", "a[b]", "x-9", ""];
    for glob in
        ["*", "Send", r"App\Jobs\*", r"App\\Jobs\\[PQ]ay", "S?nd?", "*@*", "[a-x]*", "[^A-Z]*", r"a\[b\]", "?", "*end*"]
    {
        let shop = Shop::new();
        names.iter().for_each(|name| shop.push(payload(name, name, json!({}))));
        let config = runner(&[glob], "concurrency = 8");
        let handler = &config.pools[0].handlers[0];
        let wanted: Vec<&str> = names.iter().copied().filter(|name| handler.takes(name)).collect();
        let notes = Notes::default();
        let bench = shop.at(&shop.server.url(), config.clone(), noting(&notes));
        bench.until_pool(glob, |pool| pool.counts.done as usize >= wanted.len());
        bench.stop();
        assert_eq!(shop.int("LLEN", "") as usize, names.len() - wanted.len(), "{glob}: {wanted:?}");
    }
}

#[test]
fn r5_what_became_of_a_lost_reservation_is_not_written() {
    let shop = Shop::new();
    shop.push(payload("a", "Send", json!({})));
    let notes = Notes::default();
    let bench = shop.begin(&["*"], "", slow(&notes, Duration::from_secs(60)));
    bench.until_pool("a running job", |pool| pool.slots.len() == 1);
    // Another worker made it ready again and took it: the same job with one more attempt.
    let reserved = shop.all(":reserved").remove(0);
    let mut client = shop.server.client();
    let _: i64 = redis::cmd("ZREM").arg(key(":reserved")).arg(&reserved).query(&mut client).unwrap();
    let theirs = reserved.replace("\"attempts\":1", "\"attempts\":2");
    let _: i64 = redis::cmd("ZADD").arg(key(":reserved")).arg(9e9).arg(&theirs).query(&mut client).unwrap();
    bench.until_pool("a lost claim", |pool| pool.counts.lost == 1);
    bench.stop();
    assert_eq!(shop.all(":reserved"), [theirs]);
    assert_eq!((shop.int("LLEN", ""), shop.int("ZCARD", ":delayed"), shop.failed().len()), (0, 0, 0));
}

#[test]
fn r3_disconnects_at_any_moment_lose_nothing_and_use_up_no_attempt() {
    let shop = Shop::new();
    let proxy = Proxy::start(shop.server.port());
    let notes = Notes::default();
    let bench = shop.at(&proxy.url(), runner(&["Send"], "concurrency = 5"), slow(&notes, Duration::ZERO));
    for number in 0..500 {
        // One attempt is all they have: a job that was taken unseen would be given up at its next turn.
        shop.push(payload(&number.to_string(), "Send", json!({ "maxTries": 1 })));
        if number % 25 == 0 {
            proxy.cut();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    wait_until("all jobs", Duration::from_secs(40), || {
        shop.int("LLEN", "") + shop.int("ZCARD", ":reserved") + shop.int("ZCARD", ":delayed") == 0
    });
    bench.stop();
    let mut ran = BTreeMap::new();
    notes.all().into_iter().for_each(|id| *ran.entry(id).or_insert(0) += 1);
    assert_eq!((ran.len(), shop.failed().len()), (500, 0), "none lost");
    assert!(ran.values().all(|times| *times == 1), "{ran:?}");
}

#[test]
fn f7_an_idle_runner_starts_a_job_at_once_and_hardly_speaks() {
    let shop = Shop::new();
    let proxy = Proxy::start(shop.server.port());
    let notes = Notes::default();
    let bench = shop.at(&proxy.url(), runner(&["*"], "concurrency = 4"), noting(&notes));
    bench.until_pool("a waiting pool", |pool| pool.state == qtop::domain::runner::PoolState::Consuming);
    std::thread::sleep(Duration::from_millis(500));
    proxy.clear();
    std::thread::sleep(Duration::from_secs(10));
    let idle = proxy.traffic().commands;
    let mut waits = Vec::new();
    for number in 0..30 {
        let start = Instant::now();
        shop.push(payload(&number.to_string(), "Send", json!({})));
        while notes.all().len() <= number {
            std::thread::sleep(Duration::from_micros(200));
            assert!(start.elapsed() < Duration::from_secs(10), "the job was not seen");
        }
        waits.push(start.elapsed());
    }
    waits.sort();
    assert!(waits[15] < Duration::from_millis(20), "{waits:?}");
    assert!(idle <= 12, "{idle} commands in 10 s");
    bench.stop();
    let left: Vec<String> = redis::from_redis_value(shop.server.run("KEYS *")).unwrap();
    assert!(left.iter().all(|key| !key.contains("queues:")), "{left:?}");
}

#[test]
fn a_server_that_cannot_be_waited_on_is_looked_at_now_and_then() {
    let shop = Shop::on(TestServer::builder().args(["--rename-command", "BLMOVE", ""]).start());
    let notes = Notes::default();
    let bench = shop.begin(&["*"], "", noting(&notes));
    bench.until_pool("a waiting pool", |pool| pool.state == qtop::domain::runner::PoolState::Consuming);
    std::thread::sleep(Duration::from_millis(200));
    for number in 0..3 {
        shop.push(payload(&number.to_string(), "Send", json!({})));
        wait_until("the job", Duration::from_millis(2_500), || notes.all().len() == number + 1);
    }
    bench.until_pool("no trouble", |pool| pool.note.is_none() && pool.counts.done == 3);
    bench.stop();
}
