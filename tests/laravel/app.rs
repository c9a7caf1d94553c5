//! The application and qtop beside it.

use std::process::{Command, Output};

use qtop_testkit::TestServer;
use serde_json::Value;
use tempfile::TempDir;

use crate::databases::Database;

/// An application with its Redis and database.
pub struct App {
    /// Its Redis.
    pub server: TestServer,
    /// Its database.
    pub database: Database,
    /// `database-uuids` or `database`.
    pub driver: &'static str,
    directory: TempDir,
}

impl App {
    /// With an empty table of failed jobs.
    pub fn new(database: Database, driver: &'static str) -> Self {
        let app = Self { server: TestServer::start(), database, driver, directory: tempfile::tempdir().unwrap() };
        let config = format!(
            "[[laravel]]\nname = \"shop\"\nprefix = \"shop_database_\"\nconnections = \"redis\"\nretry_after = 90\n\
             [laravel.failed]\ndriver = \"{driver}\"\nurl = \"{}\"\n",
            app.database.url
        );
        std::fs::write(app.directory.path().join("config.toml"), config).unwrap();
        app.artisan(&["qtop:fill", "--table"]);
        app
    }

    /// Writes another configuration for qtop.
    pub fn configure(&self, text: &str) {
        std::fs::write(self.directory.path().join("config.toml"), text).unwrap();
    }

    /// A command of the application, not yet run.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("php");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/laravel/artisan.php");
        command.arg("-d").arg("log_errors=0").arg(script).args(words);
        command.env("APP_ROOT", self.directory.path()).env("REDIS_PORT", self.server.port().to_string());
        command.env("DB_CONNECTION", self.database.connection).env("FAILED_DRIVER", self.driver);
        command.envs(self.database.environment.iter().map(|(name, value)| (*name, value.as_str())));
        command
    }

    /// Runs a command of the application; what it printed.
    pub fn artisan(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("php can be run: tests/run.sh installs it");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// Lets a worker run everything that is ready.
    pub fn work(&self) {
        self.artisan(&["queue:work", "--stop-when-empty", "--sleep=0"]);
    }

    /// What Laravel sees.
    pub fn truth(&self) -> Value {
        serde_json::from_str(&self.artisan(&["qtop:count"])).unwrap()
    }

    /// Names of the jobs that ran, sorted.
    pub fn ran(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.truth()["ran"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// Runs qtop.
    pub fn qtop(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qtop"));
        command.arg("--config").arg(self.directory.path().join("config.toml")).arg("--url").arg(self.server.url());
        command.env("HOME", self.directory.path()).env_remove("XDG_STATE_HOME").env_remove("XDG_CONFIG_HOME");
        command.args(words).output().unwrap()
    }

    /// Runs qtop and reads what it printed.
    pub fn json(&self, words: &[&str]) -> Value {
        let output = self.qtop(&[words, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "{words:?}: {error}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// Runs a change and expects that so many jobs were changed.
    pub fn change(&self, words: &[&str], done: u64) -> Value {
        let told = self.json(&[words, &["--yes"]].concat());
        assert_eq!(told["done"], done, "{words:?}: {told}");
        told
    }

    /// Counts by state as qtop tells them.
    pub fn counts(&self) -> Value {
        let told = self.json(&["queues"]);
        told["queues"].as_array().unwrap().iter().find(|queue| queue["queue"] == "default").unwrap()["counts"].clone()
    }

    /// Ids of the failed jobs, newest first.
    pub fn failed(&self) -> Vec<String> {
        let told = self.json(&["jobs", "laravel:default", "--state", "failed"]);
        told["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    }
}
