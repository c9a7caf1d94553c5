//! What the end of a BullMQ job does to others, judged by how the library's own worker leaves the same queue.

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
