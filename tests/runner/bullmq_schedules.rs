//! Schedulers and repeatables of BullMQ go on when qtop takes their jobs, as they do with the library's own worker.

use std::collections::BTreeMap;
use std::time::Duration;

use qtop_testkit::{Proxy, TestServer, wait_until};
use serde_json::{Value, json};

use crate::bench::{Notes, begin, noting, runner_on};
use crate::library::Library;
use crate::scene::{Scene, both};

fn count(scene: &mut Scene, state: &str) -> u64 {
    scene.library.ask("counts", json!({ "queue": "mail" }))[state].as_u64().unwrap_or(0)
}

/// What a job's record says, without what every job has for itself.
fn record(scene: &Scene, id: &str) -> (BTreeMap<String, String>, Value) {
    let mut fields = scene.record(&format!("bull:mail:{id}"));
    let mut options: Value = serde_json::from_str(&fields["opts"]).unwrap();
    for own in ["timestamp", "delay", "prevMillis", "jobId"] {
        if let Some(value) = options.get_mut(own) {
            *value = json!("its own");
        }
    }
    let own = ["opts", "timestamp", "returnvalue", "progress", "nrjid"];
    own.iter().for_each(|own| drop(fields.remove(*own)));
    (fields, options)
}

/// The series and the moment in the id of a scheduled job.
fn parts(id: &str) -> (String, i64) {
    let (series, moment) = id.strip_prefix("repeat:").unwrap().rsplit_once(':').unwrap();
    (series.to_owned(), moment.parse().unwrap())
}

#[test]
fn repeatables_go_on_with_their_data_up_to_their_limit() {
    for major in [4, 5] {
        let mut records = Vec::new();
        for own in [true, false] {
            let mut scene = Scene::begin(major, own, "");
            let opts = json!({ "repeat": { "every": 300, "limit": 4 }, "attempts": 2, "removeOnComplete": 10 });
            scene.library.add("mail", "good", json!({ "x": 1 }), opts);
            scene.library.ask("untilCount", json!({ "queue": "mail", "state": "completed", "count": 4 }));
            std::thread::sleep(Duration::from_millis(900));
            assert_eq!((count(&mut scene, "completed"), count(&mut scene, "delayed")), (4, 0), "{}", scene.what);
            let mut moments: Vec<_> = scene.library.ids("mail", "completed").iter().map(|id| parts(id)).collect();
            moments.sort();
            assert!(moments.windows(2).all(|two| two[0].0 == two[1].0), "{}: {moments:?}", scene.what);
            // A busy machine may be late for one; those that are missed are not made up for.
            let in_step = |two: &[(String, i64)]| two[1].1 > two[0].1 && (two[1].1 - two[0].1) % 300 == 0;
            assert!(moments.windows(2).all(in_step), "{}: {moments:?}", scene.what);
            let ids: Vec<_> = moments.iter().map(|(series, moment)| format!("repeat:{series}:{moment}")).collect();
            records.push(ids.iter().map(|id| record(&scene, id)).collect::<Vec<_>>());
            scene.end();
        }
        for (ours, theirs) in records[1].iter().zip(&records[0]) {
            assert_eq!(ours.1, theirs.1, "BullMQ {major}: options");
            assert_eq!(ours.0, theirs.0, "BullMQ {major}: records");
        }
    }
}

#[test]
fn repeatables_by_pattern_and_zone_end_at_their_date() {
    for (major, own) in both(&[4, 5]) {
        let mut scene = Scene::begin(major, own, "");
        let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(3600);
        let opts = json!({
            "repeat": { "pattern": "* * * * * *", "tz": "Europe/Berlin", "endDate": ends.as_millisecond() },
            "jobId": "mine",
            "priority": 2,
        });
        scene.library.add("mail", "good", json!({ "x": 1 }), opts);
        std::thread::sleep(Duration::from_millis(5500));
        let done = count(&mut scene, "completed");
        assert!((3..=4).contains(&done), "{}: {done}", scene.what);
        assert_eq!((count(&mut scene, "delayed"), count(&mut scene, "prioritized")), (0, 0), "{}", scene.what);
        let ids = scene.library.ids("mail", "completed");
        assert!(ids.iter().all(|id| parts(id).0 == parts(&ids[0]).0), "{}: {ids:?}", scene.what);
        scene.end();
    }
}

#[test]
fn the_librarys_worker_goes_on_where_qtop_left_off() {
    for major in [4, 5] {
        let mut scene = Scene::begin(major, false, "");
        scene.library.add("mail", "good", json!({ "x": 1 }), json!({ "repeat": { "every": 300 }, "jobId": "mine" }));
        scene.library.ask("untilCount", json!({ "queue": "mail", "state": "completed", "count": 3 }));
        scene.bench.take().unwrap().stop();
        scene.library.ask("work", json!({ "queue": "mail" }));
        let so_far = count(&mut scene, "completed");
        scene.library.ask("untilCount", json!({ "queue": "mail", "state": "completed", "count": so_far + 3 }));
        assert_eq!(count(&mut scene, "delayed"), 1, "{}", scene.what);
        let mut moments: Vec<_> = scene.library.ids("mail", "completed").iter().map(|id| parts(id)).collect();
        moments.sort();
        assert!(moments.windows(2).all(|two| two[0].0 == two[1].0 && two[0].1 < two[1].1), "{moments:?}");
        scene.end();
    }
}

#[test]
fn a_scheduler_set_anew_has_its_limit_anew() {
    for (major, own) in both(&[5, 6]) {
        let mut scene = Scene::begin(major, own, "");
        let set = json!({ "queue": "mail", "id": "s", "every": 200, "limit": 3, "name": "good", "data": { "x": 1 } });
        scene.library.ask("schedule", set.clone());
        scene.library.ask("untilCount", json!({ "queue": "mail", "state": "completed", "count": 3 }));
        std::thread::sleep(Duration::from_millis(500));
        scene.library.ask("schedule", set);
        scene.library.ask("untilCount", json!({ "queue": "mail", "state": "completed", "count": 6 }));
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!((count(&mut scene, "completed"), count(&mut scene, "delayed")), (6, 0), "{}", scene.what);
        scene.end();
    }
}

#[test]
fn zones_of_the_library_are_served_and_others_are_told_of() {
    let mut scene = Scene::begin(6, false, "");
    let set =
        json!({ "queue": "mail", "id": "s", "pattern": "* * * * * *", "tz": "UTC+3", "name": "good", "data": {} });
    scene.library.ask("schedule", set);
    scene.library.ask("untilCount", json!({ "queue": "mail", "state": "completed", "count": 3 }));
    let bench = scene.bench.as_ref().unwrap();
    assert_eq!(bench.view().pools[0].note, None);
    // A zone that nobody knows: the job in waiting still runs, and a person is told why it is the last.
    let waiting = scene.library.ids("mail", "delayed").pop().unwrap();
    let options: String = redis::from_redis_value(scene.server.run(&format!("HGET bull:mail:{waiting} opts"))).unwrap();
    let options = options.replace("UTC+3", "Mars/Base");
    redis::cmd("HSET")
        .arg(format!("bull:mail:{waiting}"))
        .arg("opts")
        .arg(options)
        .exec(&mut scene.server.client())
        .unwrap();
    scene.library.until("mail", &waiting, "completed");
    let bench = scene.bench.as_ref().unwrap();
    bench.until_pool("a note", |pool| pool.note.as_ref().is_some_and(|note| note.contains("Mars/Base")));
    assert_eq!(count(&mut scene, "delayed"), 0);
    scene.end();
}

#[test]
fn a_scheduler_survives_a_connection_lost_right_after_its_job_was_taken() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let mut library = Library::start(6, server.port());
    let notes = Notes::default();
    let bench = begin(&proxy.url(), runner_on("bullmq:mail", ""), noting(&notes)).unwrap();
    bench.until_pool("work", |pool| pool.state == qtop::domain::runner::PoolState::Consuming);
    library.ask("schedule", json!({ "queue": "mail", "id": "s", "every": 300, "name": "good", "data": { "x": 1 } }));
    wait_until("a first turn", Duration::from_secs(10), || !notes.all().is_empty());
    for _ in 0..3 {
        // The first thing asked about a scheduler; then nothing can be reached for a while.
        proxy.lose_answer("HMGET", 0);
        wait_until("a lost answer", Duration::from_secs(10), || proxy.has_lost());
        proxy.refuse(true);
        std::thread::sleep(Duration::from_millis(700));
        let before = notes.all().len();
        let (made, held) = (server.int("ZCARD bull:mail:delayed"), server.int("LLEN bull:mail:active"));
        assert_eq!(made + held, 1, "either the next job was made at once, or the present one waits for that");
        proxy.refuse(false);
        wait_until("further turns", Duration::from_secs(10), || notes.all().len() >= before + 2);
    }
    bench.stop();
    assert_eq!(notes.all().len() as i64, server.int("ZCARD bull:mail:completed"), "each moment once");
}

#[test]
fn a_job_whose_next_cannot_be_made_is_put_off_and_not_run() {
    let mut scene = Scene::begin(6, false, "");
    scene.library.ask("schedule", json!({ "queue": "mail", "id": "s", "every": 1000, "name": "good", "data": {} }));
    scene.library.ask("untilCount", json!({ "queue": "mail", "state": "completed", "count": 1 }));
    // Nobody may write such a thing, but then the schedule must not end silently.
    scene.server.run("RENAME bull:mail:repeat kept");
    scene.server.run("SET bull:mail:repeat broken");
    let waiting = scene.library.ids("mail", "delayed").pop().unwrap();
    let bench = scene.bench.as_ref().unwrap();
    bench.until_pool("a job put back", |pool| pool.counts.returned == 1);
    assert_eq!(scene.library.state("mail", &waiting), "delayed");
    scene.server.run("DEL bull:mail:repeat");
    scene.server.run("RENAME kept bull:mail:repeat");
    scene.library.ask("own", json!({ "queue": "mail", "id": waiting, "method": "promote" }));
    scene.library.until("mail", &waiting, "completed");
    scene.library.ask("untilCount", json!({ "queue": "mail", "state": "completed", "count": 3 }));
    scene.end();
}
