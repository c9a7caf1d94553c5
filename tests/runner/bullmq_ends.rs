//! What the end of a BullMQ job does to others, judged by how the library's own worker leaves the same queue.

use std::time::Duration;

use serde_json::{Value, json};

use crate::scene::{Scene, both};

#[test]
fn a_parent_goes_on_when_its_failed_child_is_not_kept() {
    for (major, own) in both(&[4, 5, 6]) {
        let mut scene = Scene::begin(major, own, "");
        let what = scene.what.clone();
        // Deleted at its end.
        let ids = scene.family(&[("fail", json!({ "removeOnFail": true })), ("good", json!({}))]);
        scene.library.until("mail", &ids[1], "gone");
        scene.library.until("mail", &ids[0], "completed");
        assert_eq!(scene.server.int(&format!("SCARD bull:mail:{}:dependencies", ids[0])), 0, "{what}");
        // Deleted when there are newer ones.
        let ids = scene.family(&[("fail", json!({ "removeOnFail": 1 }))]);
        scene.library.until("mail", &ids[1], "failed");
        assert_eq!(scene.library.state("mail", &ids[0]), "waiting-children", "{what}");
        scene.run("fail", json!({ "removeOnFail": 1 }), "failed");
        assert_eq!(scene.library.state("mail", &ids[1]), "gone", "{what}");
        scene.library.until("mail", &ids[0], "completed");
        // Deleted when it is old, and waited for beside another that is kept.
        let ids = scene.family(&[("fail", json!({})), ("fail", json!({}))]);
        scene.library.until("mail", &ids[1], "failed");
        scene.library.until("mail", &ids[2], "failed");
        scene.server.run(&format!("ZADD bull:mail:failed 1000 {}", ids[1]));
        scene.run("fail", json!({ "removeOnFail": { "age": 600 } }), "failed");
        assert_eq!(scene.library.state("mail", &ids[1]), "gone", "{what}");
        assert_eq!(scene.library.state("mail", &ids[0]), "waiting-children", "{what}: for the other");
        assert_eq!(scene.server.int(&format!("SCARD bull:mail:{}:dependencies", ids[0])), 1, "{what}");
        scene.server.run(&format!("ZADD bull:mail:failed 1000 {}", ids[2]));
        scene.run("fail", json!({ "removeOnFail": { "age": 600 } }), "failed");
        scene.library.until("mail", &ids[0], "completed");
        scene.end();
    }
}

#[test]
fn a_parent_goes_on_when_the_pool_keeps_no_failed_jobs() {
    let mut scene = Scene::begin(6, false, "keep_failed = { count = 0 }");
    let ids = scene.family(&[("fail", json!({}))]);
    scene.library.until("mail", &ids[0], "completed");
    assert_eq!(scene.library.state("mail", &ids[1]), "gone");
    scene.end();
}

#[test]
fn throttling_outlives_the_job_that_began_it() {
    for (major, own) in both(&[5, 6]) {
        let mut scene = Scene::begin(major, own, "");
        let what = scene.what.clone();
        let throttled =
            |id: &str, keep: Value| json!({ "deduplication": { "id": id, "ttl": 600_000 }, "removeOnComplete": keep });
        let first = scene.run("good", throttled("only", json!(true)), "gone");
        assert_eq!(scene.library.add("mail", "good", json!({}), throttled("only", json!(true))), first, "{what}");
        assert!(scene.server.int("PTTL bull:mail:de:only") > 500_000, "{what}");
        let first = scene.run("good", throttled("pruned", json!(1)), "completed");
        scene.run("good", json!({ "removeOnComplete": 1 }), "completed");
        assert_eq!(scene.library.state("mail", &first), "gone", "{what}: a newer one is kept in its place");
        assert_eq!(scene.library.add("mail", "good", json!({}), throttled("pruned", json!(1))), first, "{what}");
        // Without a time of its own an id is free again when its job has ended.
        let simple = json!({ "deduplication": { "id": "simple" }, "removeOnComplete": true });
        let first = scene.run("good", simple.clone(), "gone");
        assert_ne!(scene.run("good", simple, "gone"), first, "{what}");
        scene.end();
    }
}

/// A job `top` of the queue `office`, its child `root` there, and its child in `mail` with this name; each fails with
/// its own. The library works on `office`, so that a parent that may run does.
fn line_of_three(scene: &mut Scene, name: &str) -> [String; 3] {
    let fails = json!({ "failParentOnFailure": true });
    let leaf = json!({ "name": name, "queueName": "mail", "data": {}, "opts": fails });
    let root = json!({ "name": "root", "queueName": "office", "data": {}, "opts": fails, "children": [leaf] });
    let top = json!({ "name": "top", "queueName": "office", "data": {}, "children": [root] });
    scene.library.ask("work", json!({ "queue": "office" }));
    let top = scene.library.ask("flow", json!({ "tree": top }));
    let id = |node: &Value| node["id"].as_str().unwrap().to_owned();
    let root = &top["children"][0];
    [id(&top), id(root), id(&root["children"][0])]
}

/// What became of them: records, what the parents wait for, and events of the parents' queue, with names for the ids.
fn outcome(scene: &mut Scene, ids: &[String; 3]) -> String {
    let [top, root, leaf] = ids;
    scene.library.until("mail", leaf, "failed");
    for id in [root, top] {
        scene.library.until("office", id, "failed");
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(scene.library.ask("runs", json!({ "queue": "office" })), json!([]), "{}: no parent runs", scene.what);
    let mut told = String::new();
    for (queue, id) in [("office", top), ("office", root), ("mail", leaf)] {
        told += &format!("{:#?}\n", scene.record(&format!("bull:{queue}:{id}")));
        let waits = scene.server.run(&format!("SMEMBERS bull:{queue}:{id}:dependencies"));
        let failed = scene.server.run(&format!("ZRANGE bull:{queue}:{id}:unsuccessful 0 -1"));
        told += &format!("{waits:?} {failed:?}\n");
    }
    let events = scene.library.ask("events", json!({ "queue": "office" }));
    events.as_array().unwrap().iter().for_each(|event| told += &format!("{event}\n"));
    told.replace(top, "TOP").replace(root, "ROOT").replace(leaf, "LEAF")
}

#[test]
fn parents_of_4_fail_with_their_child_and_never_run() {
    let mut told = Vec::new();
    for own in [true, false] {
        let mut scene = Scene::begin(4, own, "");
        let ids = line_of_three(&mut scene, "fail");
        let outcome = outcome(&mut scene, &ids);
        // The library keeps a place in its own code as the trace.
        told.push(outcome.lines().filter(|line| !line.contains("stacktrace")).collect::<Vec<_>>().join("\n"));
        scene.end();
    }
    assert_eq!(told[1], told[0]);
}

#[test]
fn jobs_of_4_that_stalled_too_often_fail_without_being_run() {
    let mut told = Vec::new();
    for own in [true, false] {
        let mut scene = Scene::idle(4);
        let ids = line_of_three(&mut scene, "good");
        // Its worker died, for the second time.
        scene.server.run("RPOPLPUSH bull:mail:wait bull:mail:active");
        scene.server.run(&format!("HSET bull:mail:{} stalledCounter 1", ids[2]));
        scene.start(own, "");
        scene.library.until("mail", &ids[2], "failed");
        told.push(scene.record(&format!("bull:mail:{}", ids[2])));
        if !own {
            // The library forgets the parents here; they would wait for ever.
            outcome(&mut scene, &ids);
        }
        let counts = scene.bench.as_ref().map_or(0, |bench| bench.view().pools[0].counts.failed);
        assert_eq!(counts, 0, "nobody ran it");
        scene.end();
    }
    let same = |field: &str| told[0].get(field) == told[1].get(field);
    for field in ["failedReason", "finishedOn", "stalledCounter", "stc", "defa", "attemptsMade", "processedOn"] {
        assert!(same(field), "{field}: {told:#?}");
    }
}

#[test]
fn parents_whose_workers_know_no_deferred_failure_fail_at_once() {
    // Up to 5.49 none did, and up to some version queues did not say theirs.
    for told in ["HSET bull:office:meta version bullmq:5.10.0", "HDEL bull:mail:meta version"] {
        let mut scene = Scene::idle(5);
        let ids = line_of_three(&mut scene, "fail");
        scene.server.run(told);
        scene.start(false, "");
        outcome(&mut scene, &ids);
        assert_eq!(scene.record(&format!("bull:office:{}", ids[0])).get("defa"), None);
        scene.end();
    }
}
