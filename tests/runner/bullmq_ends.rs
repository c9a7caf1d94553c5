//! What the end of a BullMQ job does to others, judged by how the library's own worker leaves the same queue.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use qtop::engine::runner::work::{Ending, Failure};
use qtop_testkit::TestServer;
use serde_json::{Value, json};

use crate::bench::{Bench, Job, begin, runner_on};
use crate::library::Library;

/// Ends jobs as the worker of the driver does: those named `fail` fail, all others are done at once.
fn like_the_driver() -> Arc<Job> {
    Arc::new(|work, _| {
        Box::pin(async move {
            if &*work.name == "fail" {
                Ending::Failed(Failure::new(format!("failed on purpose: {}", work.id)))
            } else {
                Ending::Done { result: None }
            }
        }) as BoxFuture<'static, Ending>
    })
}

/// Who works on the queue `mail`.
enum Worker {
    Library,
    Qtop(Bench),
}

/// A server, a library, and a worker that is the library's own or qtop.
struct Scene {
    server: TestServer,
    library: Library,
    worker: Worker,
}

impl Scene {
    fn begin(major: u32, own: bool, pool: &str) -> Self {
        let server = TestServer::start();
        let mut library = Library::start(major, server.port());
        // The queue's version is known before anybody works on it.
        library.ask("counts", json!({ "queue": "mail" }));
        let worker = if own {
            library.ask("work", json!({ "queue": "mail" }));
            Worker::Library
        } else {
            Worker::Qtop(begin(&server.url(), runner_on("bullmq:mail", pool), like_the_driver()).unwrap())
        };
        Self { server, library, worker }
    }

    /// A parent `root` with these children, each a name with options; answers the ids of all, the parent's first.
    fn family(&mut self, children: &[(&str, Value)]) -> Vec<String> {
        let children: Vec<Value> = children
            .iter()
            .map(|(name, opts)| json!({ "name": name, "queueName": "mail", "data": {}, "opts": opts }))
            .collect();
        let tree = json!({ "name": "root", "queueName": "mail", "data": {}, "children": children });
        let planted = self.library.ask("flow", json!({ "tree": tree }));
        let mut ids = vec![planted["id"].as_str().unwrap().to_owned()];
        ids.extend(planted["children"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        ids
    }

    /// Adds a job and waits until it is as wanted.
    fn run(&mut self, name: &str, opts: Value, state: &str) -> String {
        let id = self.library.add("mail", name, json!({}), opts);
        self.library.until("mail", &id, state);
        id
    }

    fn end(self) {
        if let Worker::Qtop(bench) = self.worker {
            bench.stop();
        }
    }
}

/// Tells the scenes apart in messages.
fn both(majors: &[u32]) -> impl Iterator<Item = (u32, bool)> {
    majors.iter().flat_map(|major| [(*major, true), (*major, false)])
}

#[test]
fn a_parent_goes_on_when_its_failed_child_is_not_kept() {
    for (major, own) in both(&[4, 5, 6]) {
        let what = format!("BullMQ {major}, its own worker: {own}");
        let mut scene = Scene::begin(major, own, "");
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
        let what = format!("BullMQ {major}, its own worker: {own}");
        let mut scene = Scene::begin(major, own, "");
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
