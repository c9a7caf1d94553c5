//! The real library as a process: it fills a Redis and says what it sees there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// A running script of the library; ends, with its workers, when dropped.
pub struct Library {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    /// The first line it printed.
    pub said: Value,
}

impl Library {
    /// Fills the server on this port with queues of BullMQ 4, 5 or 6.
    pub fn populate(major: u32, port: u16) -> Self {
        Self::run("populate.mjs", major, port, &[])
    }

    /// Starts a script and waits for the first line it prints.
    pub fn run(script: &str, major: u32, port: u16, more: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        let package = folder.join(format!("node_modules/bullmq{major}"));
        assert!(package.is_dir(), "{} is missing; run: npm ci --prefix tests/interop", package.display());
        let mut child = Command::new("node")
            .arg(folder.join(script))
            .args([major.to_string(), port.to_string()])
            .args(more)
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node (18 or newer) is on PATH");
        let output = child.stdout.take().expect("the output is piped");
        let input = child.stdin.take();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let read = BufReader::new(output).lines().map_while(Result::ok);
            // Fails only when nobody wants to know any more.
            read.for_each(|line| drop(sender.send(line)));
        });
        let mut library = Self { child, input, lines, said: Value::Null };
        let line = library.lines.recv_timeout(LIMIT);
        let line = line.unwrap_or_else(|_| panic!("waited {LIMIT:?} for {script} of BullMQ {major} to say something"));
        library.said = parse(&line);
        library
    }

    /// Lets a script that waits for a word go on.
    pub fn go_on(&mut self) {
        let input = self.input.as_mut().expect("the input is piped");
        input.write_all(b"go\n").and_then(|()| input.flush()).expect("the script reads its input");
    }

    /// The next line it printed, if there is one by now.
    pub fn next_line(&self) -> Option<Value> {
        self.lines.try_recv().ok().map(|line| parse(&line))
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

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("the library said {line:?}: {error}"))
}
