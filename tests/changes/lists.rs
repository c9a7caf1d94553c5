//! Plain lists: exact items move or go, bytes stay as they are.

use qtop::domain::described::Described;
use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, End};
use qtop_testkit::TestServer;

use crate::office::Office;

const DESCRIPTION: &str = r#"
name = "audio"
key = "audio:jobs"
item = "json"
fields = { id = "id" }
delayed = { key = "audio:later", unit = "s" }
dead = { key = "audio:dead" }
"#;

fn described() -> Described {
    Described { lists: vec![toml::from_str(DESCRIPTION).unwrap()], ..Described::default() }
}

/// Five items wait, with `a` next; two are dead, one is not JSON; one comes later.
fn filled() -> (TestServer, Office, QueueId) {
    let server = TestServer::start();
    let mut client = server.client();
    for id in ["a", "b", "c", "d", "e"] {
        // Odd spacing and a number that no JSON round trip keeps.
        let item = format!("{{ \"n\": 18446744073709551616,\"id\":\"{id}\" }}");
        let _: i64 = redis::cmd("LPUSH").arg("audio:jobs").arg(item).query(&mut client).unwrap();
    }
    let _: i64 = redis::cmd("LPUSH").arg("audio:dead").arg("{\"id\":\"x\"}").query(&mut client).unwrap();
    let _: i64 = redis::cmd("LPUSH").arg("audio:dead").arg(&b"\xff\x00 no json"[..]).query(&mut client).unwrap();
    let _: i64 = redis::cmd("ZADD").arg("audio:later").arg(4e9).arg("{\"id\":\"z\"}").query(&mut client).unwrap();
    let office = Office::with(&server.url(), described());
    (server, office, QueueId::new("list", "", "audio"))
}

fn items(server: &TestServer, key: &str) -> Vec<Vec<u8>> {
    redis::cmd("LRANGE").arg(key).arg(0).arg(-1).query(&mut server.client()).unwrap()
}

fn ids(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_dead_item_goes_back_to_the_end_that_was_asked_for() {
    for (end, from_the_left) in [(End::Last, 0), (End::Next, 5)] {
        let (server, office, queue) = filled();
        office.all(&queue, "dead", &ids(&["x"]), Change::Requeue { end, reset_attempts: false });
        let waiting = items(&server, "audio:jobs");
        assert_eq!(waiting.len(), 6);
        assert_eq!(waiting[from_the_left], b"{\"id\":\"x\"}");
        assert_eq!(items(&server, "audio:dead"), [b"\xff\x00 no json".to_vec()]);
    }
}

#[test]
fn an_item_that_is_no_json_moves_by_its_exact_bytes() {
    let (server, office, queue) = filled();
    let digest = sha1_smol::Sha1::from(&b"\xff\x00 no json"[..]).digest().to_string();
    let id = format!("#{}", &digest[..16]);
    office.all(&queue, "dead", &[id], Change::Requeue { end: End::Last, reset_attempts: false });
    assert_eq!(items(&server, "audio:jobs")[0], b"\xff\x00 no json");
}

#[test]
fn waiting_and_later_items_are_moved_to_the_dead_and_later_ones_to_the_queue() {
    let (server, office, queue) = filled();
    let before = items(&server, "audio:jobs");
    office.all(&queue, "waiting", &ids(&["c"]), Change::Kill { reason: String::new() });
    assert!(items(&server, "audio:dead").contains(&before[2]));
    office.all(&queue, "delayed", &ids(&["z"]), Change::Promote);
    assert_eq!(items(&server, "audio:jobs")[0], b"{\"id\":\"z\"}");
    assert_eq!(server.int("EXISTS audio:later"), 0);
}

#[test]
fn of_twins_exactly_one_goes() {
    let (server, office, queue) = filled();
    let twin = items(&server, "audio:jobs")[1].clone();
    let _: i64 = redis::cmd("LPUSH").arg("audio:jobs").arg(&twin).query(&mut server.client()).unwrap();
    office.all(&queue, "waiting", &ids(&["d"]), Change::Remove { children: false });
    assert_eq!(items(&server, "audio:jobs").iter().filter(|item| **item == twin).count(), 1);
}

#[test]
fn removed_items_come_back_in_their_places() {
    let (server, office, queue) = filled();
    let before = items(&server, "audio:jobs");
    for some in [&["a", "b", "c", "d", "e"][..], &["b", "d"], &["a"], &["e", "c"]] {
        office.all(&queue, "waiting", &ids(some), Change::Remove { children: false });
        assert_eq!(items(&server, "audio:jobs").len(), 5 - some.len());
        assert_eq!(office.undo().outcome.done.len(), some.len());
        assert_eq!(items(&server, "audio:jobs"), before, "{some:?}");
    }
    office.all(&queue, "delayed", &ids(&["z"]), Change::Cancel);
    office.undo();
    assert_eq!(server.int("ZCARD audio:later"), 1);
}

#[test]
fn what_a_plain_list_cannot_do_is_refused_with_the_reason() {
    let (server, office, queue) = filled();
    let before = server.digest();
    for (state, change) in [("waiting", Change::Retry { reset_attempts: false }), ("waiting", Change::Duplicate)] {
        let finished = office.jobs(&queue, state, &ids(&["a"]), change);
        assert!(finished.error.is_some(), "{finished:?}");
    }
    let gone =
        office.jobs(&queue, "dead", &ids(&["nobody"]), Change::Requeue { end: End::Last, reset_attempts: false });
    assert_eq!(gone.outcome.refused[0].1, "it is not dead any more");
    assert_eq!(server.digest(), before);
}

const WITH_WORKERS: &str = r#"
name = "audio"
key = "audio:jobs"
item = "json"
fields = { id = "id", attempts = "tries", error = "last.error" }
processing = "audio:common"
processing_pattern = "audio:processing:*"
dead = { key = "audio:dead" }
[[heartbeat]]
pattern = "audio:worker:*"
ttl = 30
"#;

/// `w1` lives and holds `a`; `w2` is gone and held `b`; `c` is in the list that all share; `d` is dead after 3 tries.
fn with_workers() -> (TestServer, Office, QueueId) {
    let server = TestServer::start();
    for (key, id) in [("audio:processing:w1", "a"), ("audio:processing:w2", "b"), ("audio:common", "c")] {
        server.run(&format!("LPUSH {key} {{\"id\":\"{id}\",\"tries\":1}}"));
    }
    server.run("SET audio:worker:w1 1 EX 30");
    server.run("LPUSH audio:dead {\"n\":1.0,\"tries\":3,\"id\":\"d\",\"last\":{\"error\":\"boom\",\"at\":1e3}}");
    server.run("RPUSH audio:jobs {\"id\":\"w\"}");
    let described = Described { lists: vec![toml::from_str(WITH_WORKERS).unwrap()], ..Described::default() };
    let office = Office::with(&server.url(), described);
    (server, office, QueueId::new("list", "", "audio"))
}

fn requeue(reset_attempts: bool) -> Change {
    Change::Requeue { end: End::Last, reset_attempts }
}

#[test]
fn what_a_dead_worker_had_goes_back_to_the_end_that_runs_next() {
    let (server, office, queue) = with_workers();
    let finished = office.jobs(&queue, "processing", &ids(&["a", "b", "c"]), requeue(false));
    assert_eq!(finished.outcome.done, ["b".into()]);
    let why = |id: &str| {
        let found = finished.outcome.refused.iter().find(|(refused, _)| refused.to_text() == id);
        found.unwrap().1.clone()
    };
    assert!(why("a").contains("worker w1 lives"), "{}", why("a"));
    assert!(why("c").contains("--force"), "{}", why("c"));
    assert_eq!(items(&server, "audio:jobs").last().unwrap(), b"{\"id\":\"b\",\"tries\":1}");
    assert_eq!(server.int("EXISTS audio:processing:w2"), 0);
}

#[test]
fn a_worker_that_comes_back_while_its_item_is_taken_keeps_it() {
    let (server, office, queue) = with_workers();
    // As if it came back between the look at its heartbeat and the move.
    server.run("SET audio:worker:w2 1 EX 30");
    let finished = office.jobs(&queue, "processing", &ids(&["b"]), Change::Remove { children: false });
    assert!(finished.outcome.refused[0].1.contains("lives"), "{finished:?}");
    assert_eq!(server.int("LLEN audio:processing:w2"), 1);
}

#[test]
fn r22_a_reset_changes_attempts_and_error_and_no_other_byte() {
    let (server, office, queue) = with_workers();
    office.all(&queue, "dead", &ids(&["d"]), requeue(true));
    let expected = b"{\"n\":1.0,\"tries\":0,\"id\":\"d\",\"last\":{\"error\":null,\"at\":1e3}}";
    assert_eq!(items(&server, "audio:jobs")[0], expected);
}

#[test]
fn a_reset_of_ids_changes_their_records_in_the_same_step() {
    for kind in ["json", "hash"] {
        let server = TestServer::start();
        let text = format!(
            "name = \"m\"\nkey = \"m\"\nitem = \"id\"\nrecord = {{ key = \"job:{{id}}\", kind = \"{kind}\" }}\n\
             dead = \"m:dead\"\nfields = {{ attempts = \"tries\", error = \"error\" }}"
        );
        let office = Office::with(
            &server.url(),
            Described { lists: vec![toml::from_str(&text).unwrap()], ..Described::default() },
        );
        let queue = QueueId::new("list", "", "m");
        server.run("LPUSH m:dead 7 8");
        if kind == "json" {
            server.run("SET job:7 {\"tries\":9,\"error\":\"x\",\"keep\":1.50} EX 1000");
        } else {
            server.run("HSET job:7 tries 9 error x keep 1.50");
        }
        let finished = office.jobs(&queue, "dead", &ids(&["7", "8"]), requeue(true));
        assert_eq!(finished.outcome.done, ["7".into()], "{finished:?}");
        assert!(finished.outcome.refused[0].1.contains("record is gone"));
        assert_eq!(server.int("EXISTS job:8"), 0);
        assert!(items(&server, "m").contains(&b"7".to_vec()));
        let mut client = server.client();
        if kind == "json" {
            let record: String = redis::cmd("GET").arg("job:7").query(&mut client).unwrap();
            assert_eq!(record, "{\"tries\":0,\"error\":null,\"keep\":1.50}");
            assert!(server.int("TTL job:7") > 900, "its time to live stays");
        } else {
            let fields: Vec<String> = redis::cmd("HGETALL").arg("job:7").query(&mut client).unwrap();
            assert_eq!(fields, ["tries", "0", "keep", "1.50"]);
        }
    }
}

#[test]
fn an_item_is_added_as_its_bytes_now_or_for_later() {
    let (server, office, queue) = filled();
    let add = |data: &'static [u8], delay: u64| {
        let delay = std::time::Duration::from_secs(delay);
        let job = qtop::domain::mutation::NewJob { data: data.into(), delay, ..Default::default() };
        office.carry_out(crate::office::plan(&queue, Change::Add(job), qtop::domain::change::Scope::Queue))
    };
    let finished = add(b"{\"id\": \"new\"}", 0);
    assert_eq!(finished.outcome.created, ["new".into()]);
    assert_eq!(items(&server, "audio:jobs")[0], b"{\"id\": \"new\"}");
    assert_eq!(add(b"{\"id\": \"later\"}", 60).outcome.done.len(), 1);
    assert_eq!(server.int("ZCARD audio:later"), 2);
    assert!(add(b"{oops", 0).error.unwrap().to_string().contains("JSON"));
}
