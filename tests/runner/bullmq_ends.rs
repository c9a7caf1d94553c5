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
fn throttling_outlives_the_job_that_began_it() {
    for (major, own) in both(&[5, 6]) {
        let what = format!("BullMQ {major}, its own worker: {own}");
        let mut scene = Scene::begin(major, own, "");
        let throttled = |id: &str, keep: Value| {
            json!({ "deduplication": { "id": id, "ttl": 600_000 }, "removeOnComplete": keep })
        };
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
