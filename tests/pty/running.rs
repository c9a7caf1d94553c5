//! A runner beside the screens, for the tests of what becomes of its jobs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use qtop_testkit::{Terminal, TestServer, wait_until};

use super::LIMIT;

/// A folder with a configuration in which the list `mail` is worked on by a shell script, which notes what it ran.
pub struct Home(tempfile::TempDir);

impl Home {
    /// `script`: what a job does after its id was noted; `runner`: more lines of `[runner]`.
    pub fn new(server: &TestServer, script: &str, concurrency: usize, runner: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (program, ran) = (home.path().join("job"), home.path().join("ran"));
        fs::write(&program, format!("#!/bin/sh\necho $1 >> {}\n{script}\n", ran.display())).expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).expect("the script can be made a program");
        let config = format!(
            "[server.test]\nurl = {:?}\n[[list]]\nname = \"mail\"\nkey = \"mail\"\nfields = {{ id = \"id\" }}\n\
             dead = \"mail:dead\"\ndelayed = {{ key = \"mail:later\", unit = \"ms\" }}\nprocessing_pattern = \"mail:processing:*\"\n\
             [runner]\nname = \"test\"\nlease = \"2s\"\ngrace = \"20s\"\n{runner}\n\
             [[runner.pool]]\nqueue = \"list:mail\"\nconcurrency = {concurrency}\n\
             [[runner.pool.handler]]\ncommand = [{:?}, \"{{id}}\"]\n",
            server.url(),
            program.display().to_string(),
        );
        fs::write(home.path().join("config.toml"), config).expect("a file");
        Self(home)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.path().join("config.toml")
    }

    /// The screens with a runner, started by a shell with job control that waits for a line whenever they are stopped.
    pub fn in_shell(&self) -> Terminal {
        let script = format!(
            "set -m; {} --run --config {}; while jobs %1 >/dev/null 2>&1; do echo 'in the shell'; read go; fg; done; \
             echo 'back again'; read go",
            env!("CARGO_BIN_EXE_qtop"),
            self.config().display()
        );
        self.shown(Terminal::builder("/bin/bash").args(["-c", &script]).spawn())
    }

    /// The same without a shell.
    pub fn alone(&self) -> Terminal {
        let config = self.config().display().to_string();
        self.shown(Terminal::builder(env!("CARGO_BIN_EXE_qtop")).args(["--run", "--config", &config]).spawn())
    }

    fn shown(&self, mut terminal: Terminal) -> Terminal {
        terminal.wait_for_text("mail", LIMIT);
        terminal.send("6");
        terminal.wait_for_text("slots", LIMIT);
        terminal
    }

    /// Ids by how often they ran, as the script noted.
    pub fn ran(&self) -> BTreeMap<String, usize> {
        let mut ran = BTreeMap::new();
        for line in fs::read_to_string(self.path().join("ran")).unwrap_or_default().lines() {
            *ran.entry(line.to_owned()).or_insert(0) += 1;
        }
        ran
    }

    /// Waits until so many jobs have begun.
    pub fn until_ran(&self, count: usize) {
        wait_until(&format!("{count} jobs to begin"), LIMIT * 3, || self.ran().len() >= count);
    }

    /// Each job that began did so once.
    pub fn assert_once(&self, count: usize) {
        let ran = self.ran();
        assert!(ran.len() == count && ran.values().all(|times| *times == 1), "{count} jobs, each once: {ran:?}");
    }
}

/// Adds jobs to the list.
pub fn fill(server: &TestServer, ids: std::ops::Range<usize>) {
    let mut client = server.client();
    for id in ids {
        let _: i64 = redis::cmd("LPUSH")
            .arg("mail")
            .arg(format!("{{\"id\":\"{id}\"}}"))
            .query(&mut client)
            .expect("the list can be filled");
    }
}

/// Jobs that some runner holds.
pub fn held(server: &TestServer) -> i64 {
    let lists: Vec<String> = redis::from_redis_value(server.run("KEYS mail:processing:*")).expect("keys");
    lists.iter().map(|list| server.int(&format!("LLEN {list}"))).sum()
}
