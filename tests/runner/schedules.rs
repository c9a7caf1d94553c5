//! Jobs at set times.

use std::collections::BTreeMap;
use std::time::Duration;

use qtop_testkit::{TestServer, wait_until};

use crate::bench::{Notes, begin, noting, runner_on};

#[test]
fn r25_a_moment_fires_once_with_two_runners() {
    for (queue, named) in [("list:mail", true), ("bullmq:mail", false)] {
        let server = TestServer::start();
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
