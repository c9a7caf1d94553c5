//! A Redis of one test: own directory, own port and socket, gone at the end.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{signal, wait_until};

/// How long a server may take to answer its first command.
const START_LIMIT: Duration = Duration::from_secs(15);

/// A port on 127.0.0.1 that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// What to start; made by [`TestServer::builder`].
#[derive(Default)]
pub struct ServerBuilder {
    arguments: Vec<String>,
    tls: Option<(PathBuf, PathBuf, PathBuf)>,
    persistent: bool,
    program: Option<PathBuf>,
}

impl ServerBuilder {
    /// More arguments for the server, for example `["--maxmemory", "2mb"]` or `["--requirepass", "secret"]`.
    pub fn args<I: IntoIterator<Item = impl Into<String>>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Speak TLS on the port; the unix socket stays plain. Add `--tls-auth-clients yes` to ask for client certificates
    /// (the default here is `no`).
    pub fn tls(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        authority: impl Into<PathBuf>,
    ) -> Self {
        self.tls = Some((certificate.into(), key.into(), authority.into()));
        self
    }

    /// Write an append-only file, so that data survives [`TestServer::restart`].
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Another program than the first of `redis-server` and `valkey-server` on PATH.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Starts it and waits until it answers.
    pub fn start(self) -> TestServer {
        let program = self.program.clone().unwrap_or_else(find_program);
        let mut last = String::new();
        // Another test may take the port between choosing and binding it.
        for _ in 0..5 {
            let directory = tempfile::Builder::new().prefix("qtop-test-").tempdir().expect("a temporary directory");
            let mut server = TestServer {
                program: program.clone(),
                arguments: self.arguments.clone(),
                tls: self.tls.clone(),
                persistent: self.persistent,
                port: free_port(),
                directory,
                child: None,
                watchdog: None,
            };
            match server.launch() {
                Ok(()) => return server,
                Err(message) => last = message,
            }
        }
        panic!("{} did not start: {last}", program.display());
    }
}

fn find_program() -> PathBuf {
    let path = std::env::var_os("PATH").expect("PATH is set");
    ["redis-server", "valkey-server"]
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |directory| directory.join(name)))
        .find(|candidate| candidate.is_file())
        .expect("redis-server or valkey-server on PATH: install one to run the tests (tests/run.sh does)")
}

/// A running Redis that ends with this value, also when the test panics or is killed.
pub struct TestServer {
    program: PathBuf,
    arguments: Vec<String>,
    tls: Option<(PathBuf, PathBuf, PathBuf)>,
    persistent: bool,
    port: u16,
    directory: TempDir,
    child: Option<Child>,
    watchdog: Option<Child>,
}

impl TestServer {
    /// A plain server without persistence.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A server with more arguments, TLS or persistence.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// `redis://127.0.0.1:PORT`, or `rediss://localhost:PORT` with TLS.
    pub fn url(&self) -> String {
        if self.tls.is_some() { format!("rediss://localhost:{}", self.port) } else { self.plain_url() }
    }

    fn plain_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `redis+unix://…/redis.sock`; always plain.
    pub fn socket_url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Path of the unix socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Directory of the server, for files a test wants to be gone afterwards.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Process id of the server.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server is running").id()
    }

    /// A raw connection for seeding and checking. Goes through the socket, past any proxy, without a password.
    pub fn client(&self) -> redis::Connection {
        let client = redis::Client::open(self.socket_url()).expect("the socket's URL is valid");
        client.get_connection_with_timeout(Duration::from_secs(10)).expect("the test server accepts connections")
    }

    /// Runs one command written as words, for example `"HSET h a 1"`; panics on an error reply.
    pub fn run(&self, command: &str) -> redis::Value {
        let mut words = command.split_whitespace();
        let mut built = redis::cmd(words.next().expect("a command has a name"));
        words.for_each(|word| {
            built.arg(word);
        });
        built.query(&mut self.client()).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Runs one command of words and returns its reply as an integer.
    pub fn int(&self, command: &str) -> i64 {
        redis::from_redis_value(self.run(command)).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// The digest of the whole keyspace: equal before and after when nothing was changed (P9).
    pub fn digest(&self) -> String {
        redis::from_redis_value(self.run("DEBUG DIGEST")).expect("DEBUG DIGEST answers with text")
    }

    /// One field of `INFO`, for example `info("total_commands_processed")`.
    pub fn info(&self, field: &str) -> Option<String> {
        let all: String = redis::from_redis_value(self.run("INFO everything")).expect("INFO answers with text");
        all.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(|value| value.trim().to_owned()))
    }

    /// Ends the server at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only if the process is already gone.
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(mut watchdog) = self.watchdog.take() {
            drop(watchdog.stdin.take());
            let _ = watchdog.wait();
        }
    }

    /// Ends the server in order (SIGTERM), so that a persistent one keeps its data.
    pub fn stop(&mut self) {
        if let Some(child) = &mut self.child {
            signal(child.id(), "TERM");
            wait_until("the server to end after SIGTERM", Duration::from_secs(10), || {
                matches!(child.try_wait(), Ok(Some(_)))
            });
        }
        self.kill();
    }

    /// Starts it again on the same port and socket after [`Self::kill`] or [`Self::stop`].
    pub fn restart(&mut self) {
        self.stop();
        self.launch().unwrap_or_else(|message| panic!("the server did not start again: {message}"));
    }

    /// Freezes the server: sockets stay open, nothing is answered.
    pub fn freeze(&self) {
        signal(self.pid(), "STOP");
    }

    /// Ends [`Self::freeze`].
    pub fn thaw(&self) {
        signal(self.pid(), "CONT");
    }

    fn launch(&mut self) -> Result<(), String> {
        let log = self.directory.path().join("redis.log");
        let output = fs::File::create(&log).map_err(|error| error.to_string())?;
        let mut command = Command::new(&self.program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--loglevel", "warning", "--enable-debug-command", "yes"]);
        command.arg("--dir").arg(self.directory.path()).arg("--unixsocket").arg(self.socket());
        command.args(["--appendonly", if self.persistent { "yes" } else { "no" }]);
        match &self.tls {
            None => {
                command.args(["--port", &self.port.to_string()]);
            }
            Some((certificate, key, authority)) => {
                command.args(["--port", "0", "--tls-port", &self.port.to_string(), "--tls-auth-clients", "no"]);
                command.arg("--tls-cert-file").arg(certificate).arg("--tls-key-file").arg(key);
                command.arg("--tls-ca-cert-file").arg(authority);
            }
        }
        command.args(&self.arguments).stdin(Stdio::null()).stderr(Stdio::null()).stdout(output);
        let child = command.spawn().map_err(|error| error.to_string())?;
        // Closing its standard input ends the server; that happens by itself when the test process dies.
        let watchdog = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -9 \"$1\" 2>/dev/null", "watchdog", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child);
        self.watchdog = Some(watchdog.map_err(|error| error.to_string())?);
        let start = Instant::now();
        while !self.answers() {
            if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
                return Err(format!("{status}: {}", fs::read_to_string(&log).unwrap_or_default()));
            }
            if start.elapsed() > START_LIMIT {
                return Err(format!(
                    "no answer within {START_LIMIT:?}: {}",
                    fs::read_to_string(&log).unwrap_or_default()
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// True once the socket answers anything but "loading"; a demand for a password is an answer too.
    fn answers(&self) -> bool {
        let Ok(client) = redis::Client::open(self.socket_url()) else { return false };
        let Ok(mut connection) = client.get_connection_with_timeout(Duration::from_millis(500)) else {
            return std::os::unix::net::UnixStream::connect(self.socket()).is_ok() && self.needs_password();
        };
        match redis::cmd("PING").query::<redis::Value>(&mut connection) {
            Ok(_) => true,
            Err(error) => matches!(error.code(), Some("NOAUTH" | "NOPERM")),
        }
    }

    fn needs_password(&self) -> bool {
        self.arguments.iter().any(|argument| matches!(argument.as_str(), "--requirepass" | "--aclfile" | "--user"))
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
    }
}
