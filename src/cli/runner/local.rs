//! A private server that keeps its data: for whoever has no Redis at hand. It listens on a socket only its owner can
//! open, writes every change to disk, and ends with the last qtop that uses it.
//!
//! Two locks in its folder settle who does what, and no kill leaves one behind: `users.lock` is shared by all who use the
//! server, and whoever can have it alone is the last; `server.lock` is held by the server's own process, so that no second
//! one ever works on the same files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli::failure::{Exit, Failure};
use crate::config::{Environment, ServerUrl};
use crate::demo;

/// Its folder in that for state.
const FOLDER: &str = "local";
/// Its socket there.
const SOCKET: &str = "redis.sock";
/// How long the server may take to read its data.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to end.
const END_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at what is awaited.
const LOOK: Duration = Duration::from_millis(10);

/// The private server, in use until this is dropped.
pub struct Local {
    folder: PathBuf,
    /// Held together with others while the server is in use; `None`: given up.
    users: Option<File>,
    /// The server, if this qtop started it.
    child: Option<Child>,
}

impl Local {
    /// Starts it, or finds it running.
    pub fn start(environment: &Environment) -> Result<Self, Failure> {
        let failed =
            |what: String| Failure::new(Exit::Refused, format!("the local server could not be started: {what}"));
        let state = environment.state.as_ref().ok_or_else(|| failed("there is no folder for state".to_owned()))?;
        let folder = state.join(FOLDER);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| failed(format!("{}: {error}", folder.display())))?;
        // A folder that was there may have been open to others.
        let closed = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        closed.map_err(|error| failed(format!("{}: {error}", folder.display())))?;
        let users = join(&folder).map_err(failed)?;
        let mut local = Self { folder, users: Some(users), child: None };
        let program = program(environment);
        local.reach(program.as_deref()).map_err(|what| match &program {
            Some(_) => failed(format!("{what}; see {}", local.folder.join("redis.log").display())),
            None => failed(what).with_remedy("install one, for example: apt install redis-server"),
        })?;
        Ok(local)
    }

    /// Waits until the server listens; starts it if nobody does.
    fn reach(&mut self, program: Option<&Path>) -> Result<(), String> {
        let started = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            match self.child.as_mut().map(Child::try_wait) {
                Some(Ok(Some(status))) => return Err(format!("it ended with {status}")),
                Some(_) => {}
                None => {
                    // If it cannot be had, a server reads its data, which another qtop has just started.
                    let lock = open(&self.folder, "server.lock")?;
                    if alone(&lock)? {
                        let program = program.ok_or("none of redis-server and valkey-server is installed")?;
                        self.child = Some(self.spawn(program, lock).map_err(|error| error.to_string())?);
                    }
                }
            }
            if started.elapsed() > START_LIMIT {
                return Err(format!("no answer within {START_LIMIT:?}"));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn spawn(&self, program: &Path, lock: File) -> std::io::Result<Child> {
        let log = File::create(self.folder.join("redis.log"))?;
        let mut command = Command::new(program);
        command.args(["--port", "0", "--unixsocketperm", "700", "--appendonly", "yes", "--save", ""]);
        command.args(["--maxmemory-policy", "noeviction", "--loglevel", "warning"]);
        command.arg("--unixsocket").arg(self.socket()).arg("--dir").arg(&self.folder);
        // The lock lasts as long as the process whose standard input it is, whatever becomes of this one.
        command.stdin(lock).stderr(Stdio::null()).stdout(log);
        // A group of its own: Ctrl-C is for qtop, which needs the server until its jobs have ended.
        command.process_group(0).spawn()
    }

    fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }

    /// Where it is.
    pub fn url(&self) -> ServerUrl {
        url(&self.folder)
    }

    /// Where it will be; `None`: there is no folder for state.
    pub fn url_in(environment: &Environment) -> Option<ServerUrl> {
        environment.state.as_deref().map(|state| url(&state.join(FOLDER)))
    }

    /// Uses it no longer, and says what became of it.
    pub fn end(mut self) -> String {
        let left = self.leave();
        let folder = self.folder.display();
        match left {
            None => "the local server goes on: another qtop uses it".to_owned(),
            Some(true) => format!("the local server has ended, its data are kept in {folder}"),
            Some(false) => format!("the local server has not ended within {END_LIMIT:?}; its data are in {folder}"),
        }
    }

    /// True if the server has ended; `None`: others use it. Whoever begins to use it meanwhile waits for its end.
    fn leave(&mut self) -> Option<bool> {
        let users = self.users.take()?;
        // Two who leave at once must not wait for each other, so each lets go before it asks to be alone.
        if users.unlock().is_err() || !alone(&users).unwrap_or(false) {
            return None;
        }
        let ended = self.shut_down();
        let Some(child) = self.child.as_mut() else { return Some(ended != Some(false)) };
        if ended != Some(true)
            && let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw)
            && matches!(child.try_wait(), Ok(None))
        {
            // It does not listen yet, or does not answer any more.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let started = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if started.elapsed() > END_LIMIT {
                return Some(false);
            }
            std::thread::sleep(LOOK);
        }
        Some(true)
    }

    /// Asks the server to write what it has and to end, and tells whether it has; `None`: nobody listens.
    fn shut_down(&self) -> Option<bool> {
        let mut stream = UnixStream::connect(self.socket()).ok()?;
        let mut end = || -> std::io::Result<bool> {
            stream.set_read_timeout(Some(END_LIMIT))?;
            stream.write_all(b"SHUTDOWN\r\n")?;
            // There is no answer: the kernel closes the connections of a process that has ended.
            Ok(stream.read(&mut [0; 256])? == 0)
        };
        Some(end().unwrap_or(false))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Becomes one of those who use the server. Whoever ends it is alone until it has ended.
fn join(folder: &Path) -> Result<File, String> {
    let users = open(folder, "users.lock")?;
    let started = Instant::now();
    loop {
        match users.try_lock_shared() {
            Ok(()) => return Ok(users),
            Err(TryLockError::Error(error)) => return Err(format!("{}: {error}", folder.join("users.lock").display())),
            Err(TryLockError::WouldBlock) if started.elapsed() > END_LIMIT * 2 => {
                return Err("another qtop has been ending it for too long".to_owned());
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
        }
    }
}

fn open(folder: &Path, name: &str) -> Result<File, String> {
    let path = folder.join(name);
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
    file.map_err(|error| format!("{}: {error}", path.display()))
}

/// True if the lock is held by this process alone.
fn alone(file: &File) -> Result<bool, String> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(format!("the folder can hold no locks: {error}")),
    }
}

fn url(folder: &Path) -> ServerUrl {
    ServerUrl::new(format!("redis+unix://{}", folder.join(SOCKET).display()))
}

fn program(environment: &Environment) -> Option<PathBuf> {
    let path = environment.variables.get("PATH")?;
    demo::PROGRAMS
        .iter()
        .flat_map(|name| std::env::split_paths(path).map(move |folder| folder.join(name)))
        .find(|candidate: &PathBuf| Path::is_file(candidate))
}
