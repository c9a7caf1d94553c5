//! What undo gives back: every byte and the order.

use std::collections::BTreeMap;

use qtop::domain::mutation::Change;
use qtop_testkit::TestServer;
use serde_json::json;

use crate::bullmq::with_each;

/// Every key of the jobs byte for byte, lists and sets by content; what a change leaves behind on purpose is left out.
fn picture(server: &TestServer) -> BTreeMap<String, Vec<u8>> {
    let mut client = server.client();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut client).unwrap();
    let mut picture = BTreeMap::new();
    for key in keys {
        if key.ends_with(":events") || key.ends_with(":marker") || key.ends_with(":stalled-check") {
            continue;
        }
        let kind: String = redis::cmd("TYPE").arg(&key).query(&mut client).unwrap();
        let bytes: Vec<u8> = match kind.as_str() {
            // The encoding of a list may differ although its elements are the same.
            "list" => {
                let elements: Vec<String> = redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).query(&mut client).unwrap();
                // Wake-up entries of 4.x are no jobs.
                elements.into_iter().filter(|element| !element.starts_with("0:")).collect::<Vec<_>>().join("\n").into()
            }
            "zset" => {
                let members: Vec<String> =
                    redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES").query(&mut client).unwrap();
                members.join("\n").into()
            }
            // A large hash is dumped in the order of its table, which may differ although its fields are the same.
            "hash" => {
                let fields: BTreeMap<Vec<u8>, Vec<u8>> = redis::cmd("HGETALL").arg(&key).query(&mut client).unwrap();
                fields.into_iter().flat_map(|(field, value)| [field, vec![0], value, vec![0]].concat()).collect()
            }
            _ => redis::cmd("DUMP").arg(&key).query(&mut client).unwrap(),
        };
        if !bytes.is_empty() {
            picture.insert(key, bytes);
        }
    }
    picture
}

#[test]
fn removed_jobs_of_every_state_come_back_byte_for_byte_and_in_order() {
    with_each(|server, library, office, queue| {
        library.add_failed("mail", 3, json!({ "attempts": 2 }));
        library.ask("own", json!({ "queue": "mail", "method": "pause" }));
        for n in 0..7 {
            library.add("mail", "good", json!({ "n": n }), json!({}));
            library.add("mail", "good", json!({ "n": n }), json!({ "priority": n + 1 }));
            library.add("mail", "good", json!({ "n": n }), json!({ "delay": 100_000 + n }));
        }
        let tree = json!({
            "name": "good", "queueName": "mail", "data": {},
            "children": [{ "name": "good", "queueName": "other", "data": {} }],
        });
        library.ask("flow", json!({ "tree": tree }));
        let before = picture(server);
        let waiting = if library.major == 6 { "wait" } else { "paused" };
        for (state, listed) in [
            ("failed", "failed"),
            ("waiting", waiting),
            ("prioritized", "prioritized"),
            ("delayed", "delayed"),
            ("waiting-children", "waiting-children"),
        ] {
            let ids = library.ids("mail", listed);
            // All of them, then every second one: neighbours that stay keep their places.
            for ids in [ids.clone(), ids.iter().step_by(2).cloned().collect()] {
                office.all(queue, state, &ids, Change::Remove { children: false });
                assert_ne!(picture(server), before, "BullMQ {} {state}", library.major);
                let undone = office.undo();
                assert_eq!(undone.outcome.done.len(), ids.len(), "BullMQ {} {state}", library.major);
                assert_eq!(picture(server), before, "BullMQ {} {state}", library.major);
            }
        }
    });
}

#[test]
fn an_id_that_was_taken_since_is_refused_and_kept_in_the_trash() {
    with_each(|server, library, office, queue| {
        let ids: Vec<String> = (0..2).map(|_| library.add("mail", "good", json!({ "n": 1 }), json!({}))).collect();
        office.all(queue, "waiting", &ids, Change::Remove { children: false });
        server.run(&format!("HSET bull:mail:{} name other", ids[0]));
        let undone = office.undo();
        assert_eq!(undone.outcome.done, [ids[1].as_str().into()]);
        assert!(undone.outcome.refused[0].1.contains("taken"));
        assert!(office.state().join("trash").join(format!("{}.jsonl.gz", undone.token)).exists());
    });
}

#[test]
fn an_undone_waiting_job_runs() {
    with_each(|_, library, office, queue| {
        let id = library.add("mail", "good", json!({}), json!({}));
        office.all(queue, "waiting", std::slice::from_ref(&id), Change::Cancel);
        library.ask("work", json!({ "queue": "mail" }));
        library.ask("idle", json!({ "queue": "mail" }));
        office.undo();
        let took = library.until("mail", &id, "completed");
        assert!(took < 2000, "BullMQ {}: the worker slept on for {took} ms", library.major);
    });
}
