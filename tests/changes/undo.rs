//! What undo gives back: every byte and the order.

use std::collections::BTreeMap;

use qtop::domain::change::Scope;
use qtop::domain::mutation::Change;
use qtop_testkit::TestServer;
use serde_json::json;

use crate::bullmq::{AWAKE, with_each};
use crate::command_line::Shell;
use crate::library::Library;
use crate::office::plan;

/// Every key byte for byte as DUMP gives it, lists and large sets and hashes by content; what a change leaves behind on
/// purpose is left out.
fn picture(server: &TestServer) -> BTreeMap<String, Vec<u8>> {
    let mut client = server.client();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut client).unwrap();
    let mut picture = BTreeMap::new();
    let encoding =
        |key: &str| -> String { redis::cmd("OBJECT").arg("ENCODING").arg(key).query(&mut server.client()).unwrap() };
    for key in keys {
        if key.ends_with(":events") || key.ends_with(":marker") || key.ends_with(":stalled-check") {
            continue;
        }
        let kind: String = redis::cmd("TYPE").arg(&key).query(&mut client).unwrap();
        let bytes: Vec<u8> = match kind.as_str() {
            // The blocks of a list may be cut elsewhere although its elements are the same.
            "list" => {
                let elements: Vec<String> = redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).query(&mut client).unwrap();
                // Wake-up entries of 4.x are no jobs.
                elements.into_iter().filter(|element| !element.starts_with("0:")).collect::<Vec<_>>().join("\n").into()
            }
            "zset" if encoding(&key) != "listpack" => {
                let members: Vec<String> =
                    redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES").query(&mut client).unwrap();
                members.join("\n").into()
            }
            // A set has no order; it is dumped in that of its table.
            "set" => {
                let members: std::collections::BTreeSet<String> =
                    redis::cmd("SMEMBERS").arg(&key).query(&mut client).unwrap();
                members.into_iter().collect::<Vec<_>>().join("\n").into()
            }
            // A large hash is dumped in the order of its table, which may differ although its fields are the same.
            "hash" if encoding(&key) != "listpack" => {
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

/// Fails with the keys that differ.
fn same(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>, what: &str) {
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let shown = |bytes: Option<&Vec<u8>>| bytes.map(|bytes| bytes.escape_ascii().to_string());
    for key in keys {
        let (old, new) = (before.get(key), after.get(key));
        assert!(old == new, "{what}: {key} was {:?}, is {:?}", shown(old), shown(new));
    }
}

/// Jobs in every state but active, made by the library: with logs and dedup ids, parents and children, schedules.
fn fill(library: &mut Library) {
    let failed = library.add_failed("mail", 3, json!({ "attempts": 2 }));
    library.ask("own", json!({ "queue": "mail", "id": failed[0], "method": "log", "args": ["a line"] }));
    for n in 0..7 {
        library.add("mail", "good", json!({ "n": n }), json!({}));
        library.add("mail", "good", json!({ "n": n }), json!({ "priority": n + 1 }));
        library.add("mail", "good", json!({ "n": n }), json!({ "delay": 100_000 + n }));
    }
    let tree = json!({
        "name": "good", "queueName": "mail", "data": {},
        "children": [
            { "name": "good", "queueName": "other", "data": { "large": "x".repeat(5_000) } },
            { "name": "good", "queueName": "mail", "data": {}, "children": [{ "name": "good", "queueName": "other", "data": {} }] },
        ],
    });
    library.ask("flow", json!({ "tree": tree }));
    if library.major > 4 {
        library.add("mail", "good", json!({}), json!({ "deduplication": { "id": "once" } }));
        let tick = json!({ "queue": "mail", "id": "tick", "every": 3_600_000, "name": "good", "data": { "n": 1 } });
        library.ask("schedule", tick);
    }
}

#[test]
fn drained_cleaned_and_obliterated_queues_come_back_byte_for_byte_and_in_order() {
    with_each(|server, library, _, _| {
        fill(library);
        let before = picture(server);
        let commands: [&[&str]; 3] = [
            &["drain", "mail", "--delayed"],
            &["clean", "mail", "--state", "failed", "--older-than", "0"],
            &["obliterate", "mail", "--confirm", "mail"],
        ];
        for command in commands {
            let shell = Shell::at(&server.url());
            let what = format!("BullMQ {} {command:?}", library.major);
            let all: Vec<&str> = command.iter().copied().chain(["--yes", "--json"]).collect();
            let (code, said) = shell.json(&all);
            // The pending run of a schedule is only removed with the schedule.
            assert!(code == 0 || said["refused"].as_array().unwrap().len() == 1, "{what}: {said}");
            assert!(picture(server) != before, "{what}");
            // A later run of qtop knows only what is on disk; a queue that went in parts is one thing there.
            let (_, items) = shell.json(&["trash", "list", "--json"]);
            let items = items.as_array().unwrap().clone();
            assert_eq!((items.len(), &items[0]["token"]), (1, &said["undo"]), "{what}");
            let action = if command[0] == "obliterate" { "obliterate" } else { "remove" };
            assert_eq!(items[0]["action"], action, "{what}");
            let output = shell.run(&["undo", "--yes"]);
            assert_eq!(output.status.code(), Some(0), "{what}: {output:?}");
            same(&before, &picture(server), &what);
            assert_eq!(shell.json(&["trash", "list", "--json"]).1, json!([]), "{what}");
        }
    });
}

#[test]
fn a_family_that_was_removed_together_comes_back_together() {
    with_each(|server, library, office, queue| {
        fill(library);
        // Looking at a queue makes the library write its version.
        library.ids("other", "wait");
        let before = picture(server);
        let parents = library.ids("mail", "waiting-children");
        assert_eq!(parents.len(), 2);
        // The grandparent takes the parent between and all children along, in both queues.
        let root: Vec<String> = parents
            .iter()
            .filter(|id| server.int(&format!("HEXISTS bull:mail:{id} parentKey")) == 0)
            .cloned()
            .collect();
        office.all(queue, "waiting-children", &root, Change::Remove { children: true });
        assert_eq!(library.ids("other", "wait"), Vec::<String>::new());
        let undone = office.undo();
        assert_eq!(undone.outcome.done.len(), 4, "{:?}", undone.outcome);
        same(&before, &picture(server), &format!("BullMQ {}", library.major));
    });
}

/// A parent with two children in its own queue; returns its id and theirs.
fn family(library: &mut Library) -> (String, Vec<String>) {
    let child = json!({ "name": "good", "queueName": "mail", "data": {} });
    let tree = json!({ "name": "good", "queueName": "mail", "data": {}, "children": [child, child] });
    let planted = library.ask("flow", json!({ "tree": tree }));
    let id = |node: &serde_json::Value| node["id"].as_str().unwrap().to_owned();
    (id(&planted), planted["children"].as_array().unwrap().iter().map(id).collect())
}

#[test]
fn a_parent_set_free_by_a_removal_waits_again_when_its_children_come_back() {
    with_each(|server, library, office, queue| {
        let (parent, children) = family(library);
        let others: Vec<String> = (0..3).map(|_| library.add("mail", "good", json!({}), json!({}))).collect();
        let before = picture(server);
        // Both at once, then the last one alone while the other ends by itself.
        office.all(queue, "waiting", &children, Change::Remove { children: false });
        assert_eq!(library.state("mail", &parent), "waiting", "BullMQ {}", library.major);
        let undone = office.undo();
        assert_eq!((undone.outcome.done.len(), undone.outcome.notes.len()), (2, 0));
        same(&before, &picture(server), &format!("BullMQ {}", library.major));
        assert_eq!(library.state("mail", &parent), "waiting-children");
        library.ask("work", json!({ "queue": "mail" }));
        for id in children.iter().chain([&parent]).chain(&others) {
            library.until("mail", id, "completed");
        }
        let runs = library.ask("runs", json!({ "queue": "mail" }));
        assert_eq!(runs.as_array().unwrap().len(), 6, "BullMQ {}: {runs}", library.major);
        library.ask("rest", json!({ "queue": "mail" }));
    });
}

#[test]
fn a_parent_that_has_run_since_is_left_alone_and_that_is_said() {
    with_each(|_, library, office, queue| {
        let (parent, children) = family(library);
        office.all(queue, "waiting", &children, Change::Remove { children: false });
        library.ask("work", json!({ "queue": "mail" }));
        library.until("mail", &parent, "completed");
        library.ask("rest", json!({ "queue": "mail" }));
        let undone = office.undo();
        assert_eq!(undone.outcome.done.len(), 2, "{:?}", undone.outcome);
        let note = format!("bull:mail:{parent} has been started since and does not wait for it again");
        assert_eq!(undone.outcome.notes.into_iter().collect::<Vec<_>>(), [note]);
        library.ask("work", json!({ "queue": "mail" }));
        for child in &children {
            library.until("mail", child, "completed");
        }
        assert_eq!(library.state("mail", &parent), "completed", "BullMQ {}", library.major);
        let runs = library.ask("runs", json!({ "queue": "mail" }));
        assert_eq!(runs.as_array().unwrap().len(), 3, "BullMQ {}: {runs}", library.major);
        library.ask("rest", json!({ "queue": "mail" }));
    });
}

#[test]
fn a_removed_schedule_comes_back_with_its_next_run() {
    with_each(|server, library, office, queue| {
        if library.major == 4 {
            return;
        }
        fill(library);
        let before = picture(server);
        let scope = Scope::Schedules(vec!["tick".into()]);
        let finished = office.carry_out(plan(queue, Change::Unschedule, scope));
        assert_eq!(finished.outcome.done.len(), 1);
        office.undo();
        same(&before, &picture(server), &format!("BullMQ {}", library.major));
    });
}

#[test]
fn removed_jobs_of_every_state_come_back_byte_for_byte_and_in_order() {
    with_each(|server, library, office, queue| {
        fill(library);
        library.ask("own", json!({ "queue": "mail", "method": "pause" }));
        let before = picture(server);
        let waiting = if library.major == 6 { "wait" } else { "paused" };
        for (state, listed) in [
            ("failed", "failed"),
            ("waiting", waiting),
            ("prioritized", "prioritized"),
            ("delayed", "delayed"),
            ("waiting-children", "waiting-children"),
        ] {
            let mut ids = library.ids("mail", listed);
            ids.retain(|id| !id.starts_with("repeat:"));
            // All of them, then every second one: neighbours that stay keep their places.
            for ids in [ids.clone(), ids.iter().step_by(2).cloned().collect()] {
                office.all(queue, state, &ids, Change::Remove { children: false });
                assert!(picture(server) != before, "BullMQ {} {state}", library.major);
                let undone = office.undo();
                assert_eq!(undone.outcome.done.len(), ids.len(), "BullMQ {} {state}", library.major);
                same(&before, &picture(server), &format!("BullMQ {} {state}", library.major));
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
        assert!(u128::from(took) < AWAKE.as_millis(), "BullMQ {}: the worker slept on for {took} ms", library.major);
    });
}
