//! Streams: entries of one group are settled, moved and added again, and the other groups lose nothing by it.

use std::time::Duration;

use qtop::domain::change::Scope;
use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, End, NewJob};
use qtop_testkit::TestServer;
use redis::Value;

use crate::office::{Office, plan};

/// Ten entries with odd fields; `c1` of group `g` was given the first four, the second of them twice.
fn filled(groups: &[&str]) -> (TestServer, Office, QueueId) {
    let server = TestServer::start();
    let mut client = server.client();
    for n in 1..=10 {
        let mut add = redis::cmd("XADD");
        add.arg("events").arg(format!("170000000000{n}-0")).arg("n").arg("18446744073709551616").arg(&b"\xff\x00"[..]);
        add.arg(&b"\x00\xfe"[..]).arg("n").arg(n).query::<Value>(&mut client).unwrap();
    }
    for group in groups {
        server.run(&format!("XGROUP CREATE events {group} 0"));
    }
    server.run("XREADGROUP GROUP g c1 COUNT 4 STREAMS events >");
    server.run(&format!("XCLAIM events g c1 0 {} RETRYCOUNT 2 JUSTID", id(2)));
    server.run("XGROUP CREATECONSUMER events g c2");
    let office = Office::at(&server.url());
    (server, office, QueueId::new("stream", "", "events/g"))
}

fn id(n: i64) -> String {
    format!("170000000000{n}-0")
}

fn ids(numbers: &[i64]) -> Vec<String> {
    numbers.iter().map(|n| id(*n)).collect()
}

/// Fields of every entry of a stream, with its id.
fn entries(server: &TestServer, stream: &str) -> Vec<(String, Vec<Vec<u8>>)> {
    redis::cmd("XRANGE").arg(stream).arg("-").arg("+").query(&mut server.client()).unwrap()
}

/// Id, consumer and deliveries of every pending entry.
fn pending(server: &TestServer) -> Vec<(String, String, i64)> {
    let all: Vec<(String, String, i64, i64)> =
        redis::cmd("XPENDING").arg("events").arg("g").arg("-").arg("+").arg(100).query(&mut server.client()).unwrap();
    all.into_iter().map(|(id, consumer, _, count)| (id, consumer, count)).collect()
}

fn claim(consumer: &str, min_idle: Duration) -> Change {
    Change::Claim { consumer: consumer.into(), min_idle }
}

fn requeue() -> Change {
    Change::Requeue { end: End::Last, reset_attempts: false }
}

#[test]
fn a_claimed_entry_belongs_to_the_other_consumer() {
    let (server, office, queue) = filled(&["g", "audit"]);
    office.all(&queue, "pending", &ids(&[1, 2]), claim("c2", Duration::ZERO));
    let expected = [(1, "c2", 2), (2, "c2", 3), (3, "c1", 1), (4, "c1", 1)];
    assert_eq!(pending(&server), expected.map(|(n, consumer, count)| (id(n), consumer.to_owned(), count)));
}

#[test]
fn a_claim_is_refused_where_it_would_do_harm() {
    let (server, office, queue) = filled(&["g"]);
    server.run(&format!("XDEL events {}", id(4)));
    let before = pending(&server);
    let why = |n: i64, change: Change| office.jobs(&queue, "pending", &ids(&[n]), change).outcome.refused[0].1.clone();
    assert!(why(1, claim("c2", Duration::from_secs(3600))).contains("--min-idle"));
    assert!(why(1, claim("c1", Duration::ZERO)).contains("holds it already"));
    assert!(why(1, claim("c3", Duration::ZERO)).contains("no consumer c3"));
    assert!(why(4, claim("c2", Duration::ZERO)).contains("deleted or trimmed"), "7.0 would drop it silently");
    assert!(why(7, claim("c2", Duration::ZERO)).contains("not pending any more"));
    assert_eq!(pending(&server), before);
    let mut forced = plan(&queue, claim("c3", Duration::ZERO), Scope::Queue);
    forced.scope = Scope::Jobs(vec![(qtop::domain::state::StateId("pending"), vec![id(1).as_str().into()])]);
    forced.force = true;
    assert_eq!(office.carry_out(forced).outcome.done.len(), 1);
}

#[test]
fn an_acknowledged_entry_is_settled_and_an_undo_gives_it_back_to_its_consumer() {
    let (server, office, queue) = filled(&["g", "audit"]);
    let before = pending(&server);
    office.all(&queue, "pending", &ids(&[1, 2, 3]), Change::Acknowledge);
    assert_eq!(pending(&server), [(id(4), "c1".to_owned(), 1)]);
    assert_eq!(entries(&server, "events").len(), 10);
    assert_eq!(office.undo().outcome.done.len(), 3);
    assert_eq!(pending(&server), before);
}

#[test]
fn r22_an_entry_that_is_added_again_has_the_same_bytes_and_the_old_one_is_settled() {
    let (server, office, queue) = filled(&["g"]);
    let fields = entries(&server, "events")[1].1.clone();
    let finished = office.all(&queue, "pending", &ids(&[2]), requeue());
    let all = entries(&server, "events");
    let last = all.last().unwrap();
    assert_eq!((&last.0, &last.1), (&finished.outcome.created[0].to_text(), &fields));
    assert!(all.iter().all(|(known, _)| *known != id(2)), "nobody else can want the old one");
    assert!(pending(&server).iter().all(|(known, ..)| *known != id(2)));
    let next = office.jobs(&queue, "pending", &ids(&[1]), Change::Requeue { end: End::Next, reset_attempts: false });
    assert!(next.error.unwrap().to_string().contains("--next"));
}

#[test]
fn an_entry_that_other_groups_would_get_again_is_not_added_again_unless_forced() {
    let (server, office, queue) = filled(&["g", "audit"]);
    let refused = office.jobs(&queue, "pending", &ids(&[2]), requeue()).outcome.refused;
    assert!(refused[0].1.contains("other groups"), "{refused:?}");
    assert_eq!((entries(&server, "events").len(), pending(&server).len()), (10, 4));
    let mut forced = plan(&queue, requeue(), Scope::Queue);
    forced.scope = Scope::Jobs(vec![(qtop::domain::state::StateId("pending"), vec![id(2).as_str().into()])]);
    forced.force = true;
    assert_eq!(office.carry_out(forced).outcome.done.len(), 1);
    assert_eq!(entries(&server, "events").len(), 11, "the other group may still want the old one");
}

#[test]
fn an_entry_that_was_given_up_tells_where_it_came_from_and_goes_back_as_it_was() {
    let (server, office, queue) = filled(&["g"]);
    let fields = entries(&server, "events")[1].1.clone();
    office.all(&queue, "pending", &ids(&[2]), Change::Kill { reason: "no route".to_owned() });
    let dead = entries(&server, "events:dead");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let notes: Vec<String> = dead[0].1[fields.len()..].iter().map(|part| text(part)).collect();
    let expected = ["dead.origin", &id(2), "dead.group", "g", "dead.deliveries", "2", "dead.reason", "no route"]
        .map(str::to_owned);
    assert_eq!((&dead[0].1[..fields.len()], notes.as_slice()), (&fields[..], &expected[..]));
    assert_eq!(pending(&server).len(), 3);
    let dead_ids: Vec<String> = dead.iter().map(|(id, _)| id.clone()).collect();
    office.all(&queue, "dead", &dead_ids, requeue());
    assert_eq!(entries(&server, "events").last().unwrap().1, fields);
    assert_eq!(entries(&server, "events:dead"), []);
}

#[test]
fn nothing_goes_where_the_place_of_given_up_entries_is_no_stream() {
    let (server, office, queue) = filled(&["g"]);
    server.run("SET events:dead x");
    let refused = office.jobs(&queue, "pending", &ids(&[2]), Change::Kill { reason: String::new() }).outcome.refused;
    assert!(refused[0].1.contains("no stream"), "{refused:?}");
    assert_eq!(pending(&server).len(), 4);
}

#[test]
fn a_removed_entry_leaves_no_trace_and_an_undo_adds_it_again() {
    let (server, office, queue) = filled(&["g"]);
    let fields = entries(&server, "events")[1].1.clone();
    office.all(&queue, "pending", &ids(&[2]), Change::Remove { children: false });
    office.all(&queue, "waiting", &ids(&[10]), Change::Remove { children: false });
    assert_eq!((entries(&server, "events").len(), pending(&server).len()), (8, 3));
    office.undo();
    assert_eq!(entries(&server, "events").len(), 9);
    office.undo();
    let last = entries(&server, "events").pop().unwrap();
    assert_eq!(last.1, fields);
    assert_ne!(last.0, id(2), "a stream takes no entry in the middle");
}

#[test]
fn an_entry_that_others_still_need_is_not_removed() {
    let (server, office, queue) = filled(&["g", "audit"]);
    let remove = || Change::Remove { children: false };
    for (state, n) in [("pending", 2), ("waiting", 7)] {
        let refused = office.jobs(&queue, state, &ids(&[n]), remove()).outcome.refused;
        assert!(refused[0].1.contains("still need it"), "{state}: {refused:?}");
    }
    let audit = QueueId::new("stream", "", "events/audit");
    let refused = office.jobs(&audit, "waiting", &ids(&[3]), remove()).outcome.refused;
    assert!(refused[0].1.contains("has not settled it"), "{refused:?}");
    assert_eq!((entries(&server, "events").len(), pending(&server).len()), (10, 4));
}

#[test]
fn p2_a_trim_cuts_in_bounded_pieces_and_nothing_that_a_group_still_needs() {
    let server = TestServer::start();
    let script = "for n = 1, 20000 do redis.call('XADD', KEYS[1], n .. '-0', 'k', n) end";
    redis::cmd("EVAL").arg(script).arg(1).arg("events").query::<Value>(&mut server.client()).unwrap();
    server.run("XGROUP CREATE events g 0");
    let (office, queue) = (Office::at(&server.url()), QueueId::new("stream", "", "events/g"));
    let trim = |keep| office.queue(&queue, Change::Trim { keep });
    assert!(trim(100).refused[0].1.contains("group g"), "nothing was delivered yet");
    server.run("XGROUP SETID events g 15000-0");
    server.run("CONFIG RESETSTAT");
    assert_eq!(trim(100).done.len(), 1);
    let left = server.int("XLEN events");
    assert!((5_000..5_200).contains(&left), "{left}: what waits stays");
    assert!(server.info("cmdstat_xtrim").unwrap().contains("calls=1"), "in several calls");
    server.run("XGROUP SETID events g 20000-0");
    trim(1_000);
    let left = server.int("XLEN events");
    assert!((1_000..1_100).contains(&left), "{left}");
    server.run("XGROUP DESTROY events g");
    trim(0);
    assert!(server.int("XLEN events") < 100);
}

#[test]
fn an_added_entry_has_the_members_of_a_json_object_as_fields() {
    let (server, office, queue) = filled(&["g"]);
    let job = NewJob { data: r#"{"type":"paid","n":1e400}"#.into(), ..NewJob::default() };
    assert_eq!(office.queue(&queue, Change::Add(job)).created.len(), 1);
    let last = entries(&server, "events").pop().unwrap();
    assert_eq!(last.1, [&b"type"[..], b"paid", b"n", b"1e400"]);
    let job = NewJob { data: "[]".into(), ..NewJob::default() };
    let refused = office.carry_out(plan(&queue, Change::Add(job), Scope::Queue));
    assert!(refused.error.unwrap().to_string().contains("JSON object"));
}
