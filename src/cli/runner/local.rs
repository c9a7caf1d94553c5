//! A private server that keeps its data: for whoever has no Redis at hand. It listens on a socket only its owner can
//! open, writes every change to disk, and ends with qtop; one that was left behind is used again.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli::failure::{Exit, Failure};
use crate::config::{Config, Environment, Server};
use crate::demo;

/// Name of the server in headers and messages.
const NAME: &str = "local";
/// How long the server may take to read its data.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to end.
const END_LIMIT: Duration = Duration::from_secs(10);

/// The private server.
pub struct Local {
    socket: PathBuf,
    /// `None`: another qtop started it, and ends it.
    child: Option<Child>,
}

impl Local {
    /// Starts it, or finds it running.
    pub fn start(environment: &Environment) -> Result<Self, Failure> {
        let failed =
            |what: String| Failure::new(Exit::Refused, format!("the local server could not be started: {what}"));
        let state = environment.state.as_ref().ok_or_else(|| failed("there is no folder for state".to_owned()))?;
        let folder = state.join("local");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| failed(format!("{}: {error}", folder.display())))?;
        // A folder that was there may have been open to others.
        let closed = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        closed.map_err(|error| failed(format!("{}: {error}", folder.display())))?;
        let socket = folder.join("redis.sock");
        if UnixStream::connect(&socket).is_ok() {
            return Ok(Self { socket, child: None });
        }
        let program = program(environment).ok_or_else(|| {
            failed("none of redis-server and valkey-server is installed".to_owned())
                .with_remedy("install one, for example: apt install redis-server")
        })?;
        let log = fs::File::create(folder.join("redis.log")).map_err(|error| failed(error.to_string()))?;
        let mut command = Command::new(program);
        command.args(["--port", "0", "--unixsocketperm", "700", "--appendonly", "yes", "--save", ""]);
        command.args(["--maxmemory-policy", "noeviction", "--loglevel", "warning"]);
        command.arg("--unixsocket").arg(&socket).arg("--dir").arg(&folder);
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(log);
        // A group of its own: Ctrl-C is for qtop, which needs the server until its jobs have ended.
        let child = command.process_group(0).spawn().map_err(|error| failed(error.to_string()))?;
        let mut local = Self { socket, child: Some(child) };
        local.wait().map_err(|what| failed(format!("{what}; see {}", folder.join("redis.log").display())))?;
        Ok(local)
    }

    fn wait(&mut self) -> Result<(), String> {
        let started = Instant::now();
        while UnixStream::connect(&self.socket).is_err() {
            if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
                return Err(format!("it ended with {status}"));
            }
            if started.elapsed() > START_LIMIT {
                return Err(format!("no answer within {START_LIMIT:?}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    /// Makes it the chosen server of a configuration.
    pub fn put_into(&self, config: &mut Config) {
        put_into(config, &self.url());
    }
}

/// Makes the server at this URL the chosen one, under its name.
pub fn put_into(config: &mut Config, url: &str) {
    config.servers.insert(NAME.to_owned(), Server::at(url));
    NAME.clone_into(&mut config.origin.chosen);
}

fn program(environment: &Environment) -> Option<PathBuf> {
    let path = environment.variables.get("PATH")?;
    demo::PROGRAMS
        .iter()
        .flat_map(|name| std::env::split_paths(path).map(move |folder| folder.join(name)))
        .find(|candidate: &PathBuf| Path::is_file(candidate))
}

impl Local {
    /// Ends it, and says what became of it.
    pub fn end(mut self) -> String {
        let folder = self.socket.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        match self.stop() {
            None => "the local server goes on: another qtop started it".to_owned(),
            Some(true) => format!("the local server has ended, its data are kept in {folder}"),
            Some(false) => format!("the local server has not ended within {END_LIMIT:?}; its data are in {folder}"),
        }
    }

    /// True if it has ended; `None`: it is not ours to end.
    fn stop(&mut self) -> Option<bool> {
        let child = self.child.as_mut()?;
        if let Ok(pid) = i32::try_from(child.id())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
            && matches!(child.try_wait(), Ok(None))
        {
            // It writes what it has and ends.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let started = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if started.elapsed() > END_LIMIT {
                return Some(false);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child = None;
        Some(true)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.stop();
    }
}
