//! The real ARQ under remote control, see `tests/interop/arq_driver.py`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(90);

/// The queue of all tests.
pub const QUEUE: &str = "arq:queue";

/// A running driver; ends with its workers when dropped.
pub struct Arq {
    child: Child,
    input: ChildStdin,
    answers: mpsc::Receiver<String>,
    /// `pickle`, `msgpack` or `json`.
    pub serializer: &'static str,
}

impl Arq {
    /// Starts one against the server on this port.
    pub fn start(serializer: &'static str, port: u16) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/python/bin/python");
        assert!(python.exists(), "{} is missing; run tests/run.sh, which makes it", python.display());
        let mut child = Command::new(python)
            .arg(root.join("tests/interop/arq_driver.py"))
            .args([port.to_string().as_str(), serializer])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python can be started");
        let output = child.stdout.take().expect("the output is piped");
        let input = child.stdin.take().expect("the input is piped");
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, input, answers, serializer }
    }

    /// Asks for one operation and returns its answer; panics with the library's own words if it failed.
    pub fn ask(&mut self, op: &str, mut request: Value) -> Value {
        request["op"] = op.into();
        writeln!(self.input, "{request}").expect("the driver is alive");
        let line = self.answers.recv_timeout(LIMIT);
        let line =
            line.unwrap_or_else(|_| panic!("waited {LIMIT:?} for ARQ ({}) to answer {request}", self.serializer));
        let mut reply: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert!(reply.get("error").is_none(), "ARQ ({}) at {request}: {}", self.serializer, reply["error"]);
        reply["answer"].take()
    }

    /// Enqueues a job and returns its id.
    pub fn add(&mut self, function: &str, id: &str, args: Value) -> String {
        let request = json!({ "queue": QUEUE, "function": function, "id": id, "args": args });
        assert_eq!(self.ask("add", request), id, "the id was free");
        id.to_owned()
    }

    /// Enqueues a job for later.
    pub fn add_later(&mut self, function: &str, id: &str, seconds: u64) -> String {
        let request = json!({ "queue": QUEUE, "function": function, "id": id, "defer": seconds });
        assert_eq!(self.ask("add", request), id, "the id was free");
        id.to_owned()
    }

    /// Starts a worker inside the driver.
    pub fn work(&mut self, options: Value) {
        let mut request = options;
        request["queue"] = QUEUE.into();
        self.ask("work", request);
    }

    /// Stops it as a signal does.
    pub fn rest(&mut self) {
        self.ask("rest", json!({ "queue": QUEUE }));
    }

    /// Lets a worker run all that is due, then stops it.
    pub fn burst(&mut self) {
        self.ask("work", json!({ "queue": QUEUE, "burst": true }));
    }

    /// Waits until the library says that a job has this status: `queued`, `deferred`, `in_progress`, `complete`.
    pub fn until(&mut self, id: &str, status: &str) {
        self.ask("until", json!({ "queue": QUEUE, "id": id, "status": status }));
    }

    /// What the library says of a job.
    pub fn status(&mut self, id: &str) -> String {
        self.ask("status", json!({ "queue": QUEUE, "id": id })).as_str().expect("a status is text").to_owned()
    }

    /// The library's reading of a result.
    pub fn result(&mut self, id: &str) -> Value {
        self.ask("result", json!({ "queue": QUEUE, "id": id }))
    }

    /// Ids of all runs in order, with their tries.
    pub fn ran(&mut self) -> Vec<(String, u64)> {
        let ran = self.ask("ran", json!({}));
        let ran = ran.as_array().expect("a list");
        ran.iter().map(|run| (run[0].as_str().expect("an id").to_owned(), run[1].as_u64().expect("a try"))).collect()
    }

    /// Kills it with its workers: locks, entries and the health key stay as they are.
    pub fn crash(&mut self) {
        // Fails only if it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Arq {
    fn drop(&mut self) {
        self.crash();
    }
}
