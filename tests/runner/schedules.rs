//! Jobs at set times.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use qtop_testkit::{TestServer, signal, wait_until};
use serde_json::json;

use crate::bench::{Notes, begin, noting, runner_on, slow};
use crate::library::Library;
use crate::program::{Home, wait};

#[test]
fn r25_a_moment_fires_once_with_two_runners() {
    for (queue, named) in [("list:mail", true), ("bullmq:mail", false), ("stream:events/workers", false)] {
        let server = TestServer::start();
        server.run("XGROUP CREATE events workers 0 MKSTREAM");
        let notes = Notes::default();
        let mut config = runner_on(queue, "concurrency = 2");
        let schedule = format!("queue = '{queue}'\nname = 'tick'\nevery = '1s'\ndata = {{ a = 1 }}");
        config.schedules = vec![toml::from_str(&schedule).unwrap()];
        let one = begin(&server.url(), config.clone(), noting(&notes)).unwrap();
        let two = begin(&server.url(), config, noting(&notes)).unwrap();
        wait_until("four moments", Duration::from_secs(15), || notes.all().len() >= 4);
        let before = notes.all().len();
        std::thread::sleep(Duration::from_secs(2));
        let more = notes.all().len() - before;
        assert!((1..=3).contains(&more), "{queue}: {more} in two seconds");
        one.stop();
        two.stop();
        let mut ran = BTreeMap::new();
        notes.all().into_iter().for_each(|data| *ran.entry(data).or_insert(0) += 1);
        if named {
            assert!(ran.values().all(|times| *times == 1), "each moment has an id of its own: {ran:?}");
        }
        assert!(ran.keys().all(|data| data.contains("\"a\":1")), "{ran:?}");
    }
}

#[test]
fn an_entry_of_a_schedule_has_the_name_and_the_data_of_its_job() {
    let server = TestServer::start();
    server.run("XGROUP CREATE events workers 0 MKSTREAM");
    let mut config = runner_on("stream:events/workers", "paused = true");
    let schedule = "queue = 'stream:events/workers'\nname = 'tick'\nevery = '1s'\ndata = { a = 1 }";
    config.schedules = vec![toml::from_str(schedule).unwrap()];
    let bench = begin(&server.url(), config, noting(&Notes::default())).unwrap();
    wait_until("two moments", Duration::from_secs(15), || server.int("XLEN events") >= 2);
    bench.stop();
    type Entries = Vec<(String, Vec<(String, String)>)>;
    let entries: Entries = redis::from_redis_value(server.run("XRANGE events - +")).unwrap();
    let mut moments = Vec::new();
    for (_, fields) in &entries {
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["id", "name", "data"], "{fields:?}");
        assert_eq!((fields[1].1.as_str(), fields[2].1.as_str()), ("tick", "{\"a\":1}"));
        moments.push(fields[0].1.clone());
    }
    moments.dedup();
    assert!(moments.len() == entries.len() && moments[0].starts_with("tick:"), "{moments:?}");
}

/// The moments of ids such as `repeat:every-second:1760000000000` or `tick:1760000000000`, sorted.
fn moments<'a>(ids: impl IntoIterator<Item = &'a String>) -> Vec<i64> {
    let moment = |id: &String| id.rsplit(':').next().and_then(|text| text.parse().ok());
    let mut moments: Vec<i64> = ids.into_iter().filter_map(moment).collect();
    moments.sort_unstable();
    moments
}

#[test]
fn r25_a_cron_pattern_of_the_library_fires_once_beside_its_own_workers_and_two_runners() {
    let server = TestServer::start();
    let mut library = Library::start(6, server.port());
    let schedule = json!({
        "queue": "tick", "id": "every-second", "pattern": "* * * * * *", "tz": "Europe/Berlin", "name": "tick",
        "data": { "a": 1 },
    });
    library.ask("schedule", schedule);
    library.ask("work", json!({ "queue": "tick", "concurrency": 1 }));
    let notes = Notes::default();
    let bench = || begin(&server.url(), runner_on("bullmq:tick", ""), slow(&notes, Duration::from_millis(20))).unwrap();
    let (one, two) = (bench(), bench());
    std::thread::sleep(Duration::from_secs(12));
    one.stop();
    two.stop();
    let theirs = library.ask("runs", json!({ "queue": "tick" }));
    let theirs: Vec<String> =
        theirs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect();
    let ours = notes.all();
    let all = moments(ours.iter().chain(&theirs));
    assert!((10..=14).contains(&all.len()), "one a second: {all:?}");
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] == 1000), "each second once, none left out: {all:?}");
    assert!(!ours.is_empty(), "the runners had some of them: {theirs:?}");
    assert_eq!(library.ask("schedules", json!({ "queue": "tick" })), json!(["every-second"]));
}

#[test]
fn r25_a_runner_that_was_stopped_for_a_while_repeats_no_moment() {
    let server = TestServer::start();
    // What fires is looked at in the queue: a job that ran in what was stopped may run again, as any other.
    let home = Home::new(&server, "true", "paused = true");
    let file = home.path().join("config.toml");
    let schedule = "[[runner.schedule]]\nqueue = \"list:mail\"\nname = \"tick\"\ncron = \"* * * * * *\"\n";
    fs::write(&file, fs::read_to_string(&file).unwrap() + schedule).unwrap();
    let (mut one, mut two) = (home.run(), home.run());
    wait_until("two moments", Duration::from_secs(20), || server.int("LLEN mail") >= 2);
    // Longer than its sign of life holds.
    signal(one.id(), "STOP");
    std::thread::sleep(Duration::from_secs(5));
    signal(one.id(), "CONT");
    std::thread::sleep(Duration::from_secs(3));
    for child in [&mut one, &mut two] {
        signal(child.id(), "TERM");
        assert_eq!(wait(child, Duration::from_secs(10)), 0);
    }
    let items: Vec<String> = redis::from_redis_value(server.run("LRANGE mail 0 -1")).unwrap();
    let ids = items.iter().map(|item| serde_json::from_str::<serde_json::Value>(item).unwrap()["id"].clone());
    let ids: Vec<String> = ids.map(|id| id.as_str().unwrap().to_owned()).collect();
    let all = moments(&ids);
    assert!(all.len() >= 9, "one a second: {all:?}");
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] == 1000), "none left out: {all:?}");
}
