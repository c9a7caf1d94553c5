//! One BullMQ queue on which the library's own worker works, or qtop in its place: what one does is the measure of the
//! other.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use qtop::engine::runner::work::{Ending, Failure};
use qtop_testkit::TestServer;
use serde_json::{Value, json};

use crate::bench::{Bench, Job, begin, runner_on};
use crate::library::Library;

/// Ends jobs as the worker of the driver does: those named `fail` fail, all others are done at once.
pub fn like_the_driver() -> Arc<Job> {
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

/// A server, a library, and a worker on the queue `mail` that is the library's own or qtop.
pub struct Scene {
    /// The server.
    pub server: TestServer,
    /// Producer and judge.
    pub library: Library,
    /// qtop, if it is the worker.
    pub bench: Option<Bench>,
    /// For messages.
    pub what: String,
}

impl Scene {
    /// Starts all; `own`: the library's worker, else qtop with these lines of its pool.
    pub fn begin(major: u32, own: bool, pool: &str) -> Self {
        let mut scene = Self::idle(major);
        scene.start(own, pool);
        scene
    }

    /// Without a worker.
    pub fn idle(major: u32) -> Self {
        let server = TestServer::start();
        let mut library = Library::start(major, server.port());
        // The queue's version is known before anybody works on it.
        library.ask("counts", json!({ "queue": "mail" }));
        Self { server, library, bench: None, what: format!("BullMQ {major}") }
    }

    /// Starts the worker.
    pub fn start(&mut self, own: bool, pool: &str) {
        self.what = format!("BullMQ {}, its own worker: {own}", self.library.major);
        if own {
            let opts = json!({ "stalledInterval": 500 });
            self.library.ask("work", json!({ "queue": "mail", "opts": opts }));
        } else {
            let url = self.server.url();
            self.bench = Some(begin(&url, runner_on("bullmq:mail", pool), like_the_driver()).unwrap());
        }
    }

    /// A job's record, without the times in it and without what workers of 4 do not write.
    pub fn record(&self, key: &str) -> BTreeMap<String, String> {
        let mut fields: BTreeMap<String, String> =
            redis::from_redis_value(self.server.run(&format!("HGETALL {key}"))).unwrap();
        fields.retain(|name, _| !["ats", "pb"].contains(&name.as_str()));
        for own in ["timestamp", "processedOn", "finishedOn"] {
            if let Some(value) = fields.get_mut(own) {
                *value = "a time".to_owned();
            }
        }
        fields
    }

    /// A parent `root` with these children, each a name with options; answers the ids of all, the parent's first.
    pub fn family(&mut self, children: &[(&str, Value)]) -> Vec<String> {
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
    pub fn run(&mut self, name: &str, opts: Value, state: &str) -> String {
        let id = self.library.add("mail", name, json!({}), opts);
        self.library.until("mail", &id, state);
        id
    }

    /// Stops qtop in good order.
    pub fn end(self) {
        if let Some(bench) = self.bench {
            bench.stop();
        }
    }
}

/// These versions, each with the library's own worker first and then with qtop.
pub fn both(majors: &[u32]) -> impl Iterator<Item = (u32, bool)> {
    majors.iter().flat_map(|major| [(*major, true), (*major, false)])
}
