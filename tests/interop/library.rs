//! The real library as a process: it fills a Redis and says what it sees there.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// A running `populate.mjs`; ends, with its workers, when dropped.
pub struct Library {
    child: Child,
    input: Option<ChildStdin>,
    /// What it printed.
    pub said: Value,
}

impl Library {
    /// Fills the server on this port with queues of BullMQ 4, 5 or 6.
    pub fn populate(major: u32, port: u16) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        let package = folder.join(format!("node_modules/bullmq{major}"));
        assert!(package.is_dir(), "{} is missing; run: npm ci --prefix tests/interop", package.display());
        let mut child = Command::new("node")
            .arg(folder.join("populate.mjs"))
            .args([major.to_string(), port.to_string()])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node (18 or newer) is on PATH");
        let output = child.stdout.take().expect("the output is piped");
        let input = child.stdin.take();
        let (sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = BufReader::new(output).read_line(&mut text);
            sender.send(read.map(|_| text))
        });
        let mut library = Self { child, input, said: Value::Null };
        let line =
            line.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("waited {LIMIT:?} for BullMQ {major} to fill Redis"));
        let line = line.expect("the output can be read");
        library.said =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("BullMQ {major} said {line:?}: {error}"));
        library
    }

    /// What it said of one queue.
    pub fn queue(&self, prefix: &str, name: &str) -> &Value {
        let queues = self.said["queues"].as_array().expect("queues is an array");
        queues.iter().find(|queue| queue["prefix"] == prefix && queue["name"] == name).expect("the queue was made")
    }

    /// Ends it at once, as a crash of the worker would: locks stay until they run out.
    pub fn crash(&mut self) {
        // Fails only if it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        drop(self.input.take());
        self.crash();
    }
}
