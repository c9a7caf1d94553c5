//! The application and qtop beside it.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use qtop_testkit::{TestServer, signal, wait_until};
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

    /// The folder of the application and of qtop's files.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Starts `qtop run` on the queue `default` with a shell script as the handler of jobs of these names. The script
    /// finds the name of its job in `$name`, can say `ran` for that the job ran, and has the folder in `$here`.
    /// `kind`: `command` or `process`.
    pub fn runner(&self, kind: &str, names: &str, pool: &str, script: &str) -> Runner {
        let here = self.folder().display().to_string();
        let ran = format!("redis-cli -p {} RPUSH shop_database_ran", self.server.port());
        let find = "grep -oE '(note|slow|soon|fragile|counted|report)-[0-9]+' | head -1";
        let head = if kind == "command" { format!("name=$({find})") } else { String::new() };
        let input = if kind == "command" { "input = \"data\"\n" } else { "" };
        let text = format!("#!/bin/sh\nhere={here}\nran() {{ {ran} \"$name\" >/dev/null; }}\n{head}\n{script}\n");
        let program = self.folder().join("handler");
        std::fs::write(&program, text).unwrap();
        let mut mode = std::fs::metadata(&program).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        let file = self.folder().join("config.toml");
        let told = std::fs::read_to_string(&file).unwrap();
        let told = told.split("[runner]").next().unwrap();
        let config = format!(
            "{told}[runner]\ngrace = \"3s\"\n[[runner.pool]]\nqueue = \"laravel:default\"\n{pool}\n\
             [[runner.pool.handler]]\nmatch = '{names}'\n{input}{kind} = [\"{here}/handler\"]\n"
        );
        std::fs::write(&file, config).unwrap();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder().join("log")).unwrap();
        Runner(self.qtop_command(&["run"]).stdin(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// Lines of a file that a handler has written in the folder.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
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
        self.qtop_command(words).output().unwrap()
    }

    fn qtop_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qtop"));
        command.arg("--config").arg(self.directory.path().join("config.toml")).arg("--url").arg(self.server.url());
        command.env("HOME", self.directory.path()).env_remove("XDG_STATE_HOME").env_remove("XDG_CONFIG_HOME");
        command.args(words);
        command
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

/// A process that ends with its value.
pub struct Runner(Child);

impl Runner {
    /// Kills it, so that it can put nothing in order.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Ends it in good order; its exit code.
    pub fn stop(mut self) -> i32 {
        signal(self.0.id(), "TERM");
        let mut code = None;
        wait_until("the end of the runner", Duration::from_secs(20), || {
            code = self.0.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|status| status.code()).unwrap_or(-1)
    }
}

impl From<Child> for Runner {
    fn from(child: Child) -> Self {
        Self(child)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
