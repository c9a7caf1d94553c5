//! One version of BullMQ or Bull under remote control, see `driver.mjs` and `bull.mjs` in `tests/interop`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(150);

/// A running driver; ends with its workers when dropped.
pub struct Library {
    child: Child,
    input: ChildStdin,
    answers: mpsc::Receiver<String>,
    /// 4, 5 or 6; of Bull 3 or 4.
    pub major: u32,
}

impl Library {
    /// Starts BullMQ `major` against the server on this port.
    pub fn start(major: u32, port: u16) -> Self {
        Self::drive("driver.mjs", &format!("bullmq{major}"), major, port)
    }

    /// Starts Bull `major`, 3 or 4, which knows fewer operations.
    pub fn bull(major: u32, port: u16) -> Self {
        Self::drive("bull.mjs", if major == 3 { "bull3" } else { "bull" }, major, port)
    }

    fn drive(script: &str, package: &str, major: u32, port: u16) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        let package = folder.join("node_modules").join(package);
        assert!(package.is_dir(), "{} is missing; run: npm ci --prefix tests/interop", package.display());
        let mut child = Command::new("node")
            .arg(folder.join(script))
            .args([major.to_string(), port.to_string()])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node (18 or newer) is on PATH");
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
        Self { child, input, answers, major }
    }

    /// Asks for one operation and returns its answer; panics with the library's own words if it failed.
    pub fn ask(&mut self, op: &str, mut request: Value) -> Value {
        request["op"] = op.into();
        writeln!(self.input, "{request}").expect("the driver is alive");
        let line = self
            .answers
            .recv_timeout(LIMIT)
            .unwrap_or_else(|_| panic!("waited {LIMIT:?} for BullMQ {} to answer {request}", self.major));
        let mut reply: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert!(reply.get("error").is_none(), "BullMQ {} at {request}: {}", self.major, reply["error"]);
        reply["answer"].take()
    }

    /// Adds a job and returns its id.
    pub fn add(&mut self, queue: &str, name: &str, data: Value, opts: Value) -> String {
        let id = self.ask("add", json!({ "queue": queue, "name": name, "data": data, "opts": opts }));
        id.as_str().expect("an id is a string").to_owned()
    }

    /// Adds jobs that a worker of the library then fails for good; returns their ids in order.
    pub fn add_failed(&mut self, queue: &str, count: usize, opts: Value) -> Vec<String> {
        let ids: Vec<String> = (0..count).map(|n| self.add(queue, "fail", json!({ "n": n }), opts.clone())).collect();
        self.ask("work", json!({ "queue": queue }));
        for id in &ids {
            self.until(queue, id, "failed");
        }
        self.ask("rest", json!({ "queue": queue }));
        ids
    }

    /// Waits until a job is in a state.
    pub fn until(&mut self, queue: &str, id: &str, state: &str) -> u64 {
        self.ask("until", json!({ "queue": queue, "id": id, "state": state })).as_u64().expect("a time")
    }

    /// The library's view of a job.
    pub fn job(&mut self, queue: &str, id: &str) -> Value {
        self.ask("job", json!({ "queue": queue, "id": id }))
    }

    /// Its state.
    pub fn state(&mut self, queue: &str, id: &str) -> String {
        self.job(queue, id)["state"].as_str().unwrap_or("gone").to_owned()
    }

    /// Ids of a state in the library's order.
    pub fn ids(&mut self, queue: &str, state: &str) -> Vec<String> {
        let ids = self.ask("ids", json!({ "queue": queue, "state": state }));
        ids.as_array().expect("a list").iter().filter_map(|id| id.as_str().map(str::to_owned)).collect()
    }

    /// Whether an event was written, with these fields.
    pub fn saw(&mut self, queue: &str, fields: &[(&str, &str)]) -> bool {
        let events = self.ask("events", json!({ "queue": queue }));
        let events = events.as_array().expect("a list").clone();
        events.iter().any(|event| fields.iter().all(|(name, value)| event[*name] == *value))
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // Fails only if it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
