//! How many jobs wait in the pools' queues, as the metrics tell it, and what that costs the server.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use qtop::config::Runner;
use qtop::domain::described::Described;
use qtop::domain::runner::PoolState;
use qtop::engine::runner::Order;
use qtop_testkit::{Proxy, TestServer, wait_until};
use serde_json::json;

use crate::arq_library::Arq;
use crate::bench::{Bench, Notes, begin_with, noting};
use crate::health::get;
use crate::laravel::{Shop, payload};
use crate::library::Library;

/// Longer than it takes until the next look.
const A_LOOK: Duration = Duration::from_secs(45);

const QUEUES: [&str; 5] = ["list:mail", "bullmq:post", "arq:arq:queue", "laravel:default", "stream:events/workers"];

const LIST: &str = r#"
name = "mail"
key = "mail"
fields = { id = "id", created = { path = "at", unit = "ms" } }
delayed = { key = "mail:later", unit = "ms" }
dead = "mail:dead"
processing_pattern = "mail:processing:*"
"#;

fn config(queues: &[&str], pool: &str, metrics: bool) -> Runner {
    let pool = |queue: &&str| {
        format!("[[pool]]\nqueue = '{queue}'\ntimeout = '60s'\n{pool}\n[[pool.handler]]\ncommand = ['true']\n")
    };
    let metrics = if metrics { "metrics = '127.0.0.1:0'\n" } else { "" };
    let pools: String = queues.iter().map(pool).collect();
    toml::from_str(&format!("name = 'test'\n{metrics}{pools}")).unwrap()
}

/// One server with a queue of every system.
struct Office {
    shop: Shop,
    bullmq: Library,
    arq: Arq,
    added: usize,
}

impl Office {
    fn new() -> Self {
        let shop = Shop::new();
        let port = shop.server.port();
        let (bullmq, arq) = (Library::start(5, port), Arq::start("json", port));
        shop.server.run("XGROUP CREATE events workers 0 MKSTREAM");
        let mut office = Self { shop, bullmq, arq, added: 0 };
        office.bullmq.ask("counts", json!({ "queue": "post" }));
        office
    }

    fn described(&self) -> Described {
        Described { lists: vec![toml::from_str(LIST).unwrap()], ..self.shop.described(90) }
    }

    fn begin(&self, url: &str, config: Runner) -> Bench {
        let asked = config.metrics.is_some();
        let bench = begin_with(url, config, noting(&Notes::default()), &self.described()).unwrap();
        bench.until("the listener", |view| view.metrics.is_some() == asked);
        bench
    }

    /// Adds so many jobs to each queue.
    fn add(&mut self, count: usize) {
        for _ in 0..count {
            self.added += 1;
            let (id, now) = (self.added.to_string(), jiff::Timestamp::now().as_millisecond());
            let item = json!({ "id": id, "at": now }).to_string();
            redis::cmd("LPUSH").arg("mail").arg(item).exec(&mut self.shop.server.client()).unwrap();
            self.bullmq.add("post", "send", json!({}), json!({}));
            self.arq.add("note", &id, json!([]));
            self.shop.push(payload(&id, "Send", json!({ "createdAt": now / 1_000 })));
            self.shop.server.run("XADD events * type send data x");
        }
    }

    /// Adds a job to each queue that can have some, to be run in an hour.
    fn add_later(&mut self) {
        let hour = jiff::Timestamp::now().as_second() + 3_600;
        let server = &self.shop.server;
        let later = |key: &str, score: i64, job: &str| {
            redis::cmd("ZADD").arg(key).arg(score).arg(job).exec(&mut server.client()).unwrap();
        };
        later("mail:later", hour * 1_000, "{\"id\":\"later\"}");
        later(&crate::laravel::key(":delayed"), hour, &payload("later", "Send", json!({})));
        self.bullmq.add("post", "send", json!({}), json!({ "delay": 3_600_000 }));
        self.arq.add_later("note", "later", 3_600);
    }
}

/// The series of a metric by queue.
fn series(bench: &Bench, name: &str) -> BTreeMap<String, f64> {
    let start = format!("{name}{{queue=\"");
    let metrics = get(bench, "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(&start)?.split_once("\"} "));
    lines.map(|(queue, value)| (queue.to_owned(), value.parse().unwrap())).collect()
}

fn waiting(bench: &Bench) -> BTreeMap<String, f64> {
    series(bench, "worker_queue_waiting")
}

fn everywhere(value: f64) -> BTreeMap<String, f64> {
    QUEUES.map(|queue| (queue.to_owned(), value)).into()
}

#[test]
fn what_waits_is_told_for_every_system_while_nothing_is_taken_and_nothing_once_it_is_not_known() {
    let mut office = Office::new();
    office.add(3);
    office.add_later();
    let mut paused = config(&QUEUES, "paused = true", true);
    let bench = office.begin(&office.shop.server.url(), paused.clone());
    let told = |what: &str, wanted: BTreeMap<String, f64>| {
        let begin = Instant::now();
        while waiting(&bench) != wanted {
            assert!(begin.elapsed() < A_LOOK, "{what}: {:?}, not {wanted:?}", waiting(&bench));
            thread::sleep(Duration::from_millis(50));
        }
    };
    told("three that are not delayed", everywhere(3.0));
    let before = series(&bench, "worker_queue_oldest_seconds");
    assert_eq!(before.len(), QUEUES.len(), "{before:?}");
    assert!(before.values().all(|seconds| (0.0..60.0).contains(seconds)), "{before:?}");
    thread::sleep(Duration::from_secs(2));
    let grown = series(&bench, "worker_queue_oldest_seconds");
    assert!(grown.iter().all(|(queue, seconds)| *seconds >= before[queue] + 1.9), "{grown:?} after {before:?}");

    office.add(2);
    told("nothing is taken", everywhere(5.0));
    // What a library pauses does not wait for a runner, and what is no queue any more is not known.
    office.shop.server.run("HSET bull:post:meta paused 1");
    office.shop.server.run("RENAME bull:post:wait bull:post:paused");
    office.shop.server.run("DEL mail");
    office.shop.server.run("SET mail x");
    paused.pools.retain(|pool| pool.queue != "laravel:default");
    bench.handle.orders.try_send(Order::Reload(Box::new(paused))).unwrap();
    let mut left = everywhere(5.0);
    left.insert("bullmq:post".to_owned(), 0.0);
    left.retain(|queue, _| queue != "list:mail" && queue != "laravel:default");
    told("a paused queue, a broken one, a pool that is gone", left);

    office.shop.server.kill();
    told("a server that is gone", BTreeMap::new());
    bench.stop();
}

#[test]
fn f7_an_idle_runner_hardly_speaks_with_metrics_either() {
    let office = Office::new();
    let runners: Vec<(&str, bool, Proxy, Bench)> = QUEUES
        .into_iter()
        .flat_map(|queue| [(queue, false), (queue, true)])
        .map(|(queue, metrics)| {
            let proxy = Proxy::start(office.shop.server.port());
            let bench = office.begin(&proxy.url(), config(&[queue], "", metrics));
            (queue, metrics, proxy, bench)
        })
        .collect();
    for (queue, metrics, _, bench) in &runners {
        bench.until_pool("taking jobs", |pool| pool.state == PoolState::Consuming);
        if *metrics {
            let nothing: BTreeMap<String, f64> = [((*queue).to_owned(), 0.0)].into();
            wait_until("a look", A_LOOK, || waiting(bench) == nothing);
            assert_eq!(series(bench, "worker_queue_oldest_seconds"), nothing);
        }
    }
    thread::sleep(Duration::from_millis(500));
    runners.iter().for_each(|(_, _, proxy, _)| proxy.clear());
    thread::sleep(Duration::from_secs(60));
    let mut all = Vec::new();
    for (queue, metrics, proxy, _) in &runners {
        let mut said: BTreeMap<String, u64> = BTreeMap::new();
        proxy.sent().into_iter().for_each(|sent| *said.entry(sent.name).or_default() += 1);
        let commands: u64 = said.values().sum();
        println!("{queue}, metrics: {metrics}: {commands} commands in an idle minute: {said:?}");
        assert!(!said.contains_key("SCAN"), "no walk over the keyspace: {said:?}");
        assert!(proxy.traffic().connections <= 2, "F8: looks need no connection of their own");
        all.push(commands);
    }
    for (at, (queue, ..)) in runners.iter().enumerate().step_by(2) {
        let (without, with) = (all[at], all[at + 1]);
        // The signs of life of the runner as a whole are among them.
        assert!(with <= 66, "{queue}: {with} commands in an idle minute");
        assert!(with <= without + 3, "{queue}: {with} commands, {without} without metrics: what is idle is left alone");
    }
    for (.., bench) in runners {
        bench.stop();
    }
}

/// Names of metrics in a text, without what a histogram adds to its own.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
    let ends = ["_bucket", "_sum", "_count"];
    let whole = |word: &str| ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned();
    words.filter(|word| word.starts_with("worker_")).map(whole).collect()
}

#[test]
fn dashboard_rules_and_text_name_the_metrics_that_are_served() {
    let server = TestServer::start();
    let config: Runner =
        toml::from_str("metrics = '127.0.0.1:0'\n[[pool]]\nqueue = 'list:mail'\n[[pool.handler]]\ncommand = ['true']")
            .unwrap();
    let described = Described { lists: vec![toml::from_str(LIST).unwrap()], ..Described::default() };
    let bench = begin_with(&server.url(), config, noting(&Notes::default()), &described).unwrap();
    bench.until("the listener", |view| view.metrics.is_some());
    let served = get(&bench, "/metrics");
    let served: BTreeSet<String> =
        served.lines().filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split_once(' ')?.0.to_owned())).collect();
    let dashboard = include_str!("../../assets/runner/grafana.json");
    let parsed: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let ids: BTreeSet<u64> =
        parsed["panels"].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), parsed["panels"].as_array().unwrap().len(), "each panel has an id of its own");
    for (file, text) in [("grafana.json", dashboard), ("alerts.yml", include_str!("../../assets/runner/alerts.yml"))] {
        let unknown: Vec<String> = names(text).difference(&served).cloned().collect();
        assert_eq!(unknown, Vec::<String>::new(), "{file} names what is not served");
        assert!(text.contains("worker_queue_waiting") && text.contains("worker_queue_oldest_seconds"), "{file}");
    }
    assert_eq!(names(include_str!("../../assets/runner/README.md")), served, "README.md lists them all");
    bench.stop();
}
