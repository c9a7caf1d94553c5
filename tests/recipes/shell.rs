//! The built program with a configuration of its own.

use std::path::PathBuf;
use std::process::Output;

use assert_cmd::Command;
use qtop_testkit::TestServer;
use serde_json::Value;

pub struct Shell {
    home: tempfile::TempDir,
    config: PathBuf,
    url: String,
}

impl Shell {
    /// With nothing but one shipped recipe as its configuration.
    pub fn of_recipe(server: &TestServer, recipe: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/recipes").join(format!("{recipe}.toml"));
        Self::with(server, &std::fs::read_to_string(path).unwrap())
    }

    /// With this text as its configuration.
    pub fn with(server: &TestServer, config: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("qtop.toml");
        std::fs::write(&path, config).unwrap();
        Self { home, config: path, url: server.url() }
    }

    pub fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qtop"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).timeout(std::time::Duration::from_secs(60));
        command.arg("--config").arg(&self.config).args(["--url", &self.url]).args(arguments);
        command.output().unwrap()
    }

    /// What it prints on standard output, and how it ends.
    pub fn text(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text)
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}{errors}"))
    }

    /// One queue of `qtop queues --json`.
    pub fn queue(&self, name: &str) -> Value {
        let all = self.json(&["queues", "--json"]);
        let found = all["queues"].as_array().unwrap().iter().find(|queue| queue["queue"] == name);
        found.cloned().unwrap_or_else(|| panic!("no queue {name} in {all}"))
    }

    /// Rows of one state.
    pub fn jobs(&self, queue: &str, state: &str) -> Vec<Value> {
        let page = self.json(&["jobs", queue, "--state", state, "--json"]);
        page["jobs"].as_array().unwrap_or_else(|| panic!("{page}")).clone()
    }
}

/// A fact of an opened job.
pub fn fact<'a>(job: &'a Value, label: &str) -> Option<&'a str> {
    job["facts"][label].as_str()
}
