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
    Described { lists: vec![toml::from_str(DESCRIPTION).unwrap()] }
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
    for (state, change) in [
        ("waiting", Change::Retry { reset_attempts: false }),
        ("waiting", Change::Duplicate),
        ("dead", Change::Requeue { end: End::Last, reset_attempts: true }),
    ] {
        let finished = office.jobs(&queue, state, &ids(&["a"]), change);
        assert!(finished.error.is_some(), "{finished:?}");
    }
    let gone =
        office.jobs(&queue, "dead", &ids(&["nobody"]), Change::Requeue { end: End::Last, reset_attempts: false });
    assert_eq!(gone.outcome.refused[0].1, "it is not dead any more");
    assert_eq!(server.digest(), before);
}
