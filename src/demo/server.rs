//! The throw-away server: found or built, started under a supervisor that outlives a killed qtop just long enough to
//! clean up.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::error::DemoError;
use super::{DemoOptions, install};

/// Servers looked for on PATH, in this order.
pub const PROGRAMS: [&str; 2] = ["valkey-server", "redis-server"];

const START_LIMIT: Duration = Duration::from_secs(15);
/// Unix allows about a hundred bytes for the path of a socket, macOS the fewest (104 with the end mark).
const SOCKET_PATH_LIMIT: usize = 100;

/// Runs the server as its child and waits for the end of its own standard input, which comes when qtop closes it or is
/// gone, however it ended. Then the server and the directory go. Signals from the terminal are not for it.
const SUPERVISOR: &str = r#"
trap '' HUP INT QUIT TERM TSTP
directory=$1
shift
(
  "$@" </dev/null >"$directory/server.log" 2>&1 &
  echo "$!" >"$directory/pid.part"
  mv "$directory/pid.part" "$directory/pid"
  wait "$!"
  echo "$?" >"$directory/ended"
) &
cat >/dev/null
test -e "$directory/ended" || kill -KILL "$(cat "$directory/pid")"
wait
rm -rf "$directory"
"#;

/// The first server on the search path, or one built earlier.
pub(super) fn find(options: &DemoOptions) -> Option<PathBuf> {
    let on_path = PROGRAMS.iter().find_map(|name| which(name, &options.search_path));
    on_path.or_else(|| Some(install::built(&options.data_directory)).filter(|built| built.is_file()))
}

/// The first executable of this name in a search path.
pub(super) fn which(name: &str, search_path: &std::ffi::OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    std::env::split_paths(search_path).map(|directory| directory.join(name)).find(|candidate| {
        candidate.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

/// A running server in its own directory.
pub(super) struct Server {
    supervisor: Child,
    pid: u32,
    url: String,
    // Removed by the supervisor; this is the second try for the case that the supervisor itself was killed.
    directory: TempDir,
}

impl Server {
    /// Starts it and waits until it takes connections.
    pub(super) async fn start(program: &Path) -> Result<Self, DemoError> {
        use std::os::unix::fs::PermissionsExt;
        let failed = |directory: &Path| {
            let (program, directory) = (program.to_owned(), directory.to_owned());
            move |cause: String| DemoError::Start { program, directory, cause }
        };
        let directory = tempfile::Builder::new()
            .prefix("qtop-demo-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|error| failed(&std::env::temp_dir())(error.to_string()))?;
        let failed = failed(directory.path());
        let socket = directory.path().join("redis.sock");
        let mut arguments: Vec<String> = Vec::new();
        let url = if socket.as_os_str().len() <= SOCKET_PATH_LIMIT {
            arguments.extend(["--unixsocket".to_owned(), socket.display().to_string()]);
            // meebis takes a socket to mean "no port"; Redis has to be told.
            if !install::is_meebis(program) {
                arguments.extend(["--port".to_owned(), "0".to_owned()]);
            }
            format!("redis+unix://{}", socket.display())
        } else {
            let port = match free_port() {
                Ok(port) => port,
                Err(error) => return Err(failed(error.to_string())),
            };
            arguments.extend(["--bind", "127.0.0.1", "--port", &port.to_string()].map(str::to_owned));
            format!("redis://127.0.0.1:{port}")
        };
        if !install::is_meebis(program) {
            let quiet = ["--save", "", "--appendonly", "no", "--loglevel", "warning", "--unixsocketperm", "700"];
            arguments.extend(quiet.map(str::to_owned));
            arguments.extend(["--maxmemory", "256mb", "--maxmemory-policy", "noeviction"].map(str::to_owned));
            arguments.extend(["--dir".to_owned(), directory.path().display().to_string()]);
        }
        let spawned = Command::new("sh")
            .args(["-c", SUPERVISOR, "qtop-demo-supervisor"])
            .arg(directory.path())
            .arg(program)
            .args(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: Ctrl-C and Ctrl-Z are for qtop, which decides what happens to the server.
            .process_group(0)
            .spawn();
        let supervisor = match spawned {
            Ok(supervisor) => supervisor,
            Err(error) => return Err(failed(format!("sh: {error}"))),
        };
        let mut server = Self { supervisor, pid: 0, url, directory };
        match server.wait_until_ready().await {
            Ok(pid) => server.pid = pid,
            Err(cause) => return Err(failed(cause)),
        }
        Ok(server)
    }

    async fn wait_until_ready(&mut self) -> Result<u32, String> {
        let client = redis::Client::open(self.url.as_str()).map_err(|error| error.to_string())?;
        let started = Instant::now();
        loop {
            let pid = std::fs::read_to_string(self.directory.path().join("pid"));
            let pid = pid.ok().and_then(|text| text.trim().parse().ok());
            if let (Some(pid), Ok(mut connection)) = (pid, client.get_multiplexed_async_connection().await)
                && redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
            {
                return Ok(pid);
            }
            let log = || std::fs::read_to_string(self.directory.path().join("server.log")).unwrap_or_default();
            if self.directory.path().join("ended").exists() {
                return Err(log());
            }
            if started.elapsed() > START_LIMIT {
                return Err(format!("no answer within {START_LIMIT:?} {}", log()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let started = Instant::now();
        // Killing a server and removing a few small files takes milliseconds; the limit is for a machine in trouble.
        while matches!(self.supervisor.try_wait(), Ok(None)) && started.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
