//! Databases of a test's own. Each ends with its value.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Time for a database to answer.
const LIMIT: Duration = Duration::from_secs(90);

/// A database for one application.
pub struct Database {
    /// Laravel's name of the kind.
    pub connection: &'static str,
    /// What `DB_…` variables the application needs.
    pub environment: Vec<(&'static str, String)>,
    /// The URL for qtop.
    pub url: String,
    server: Option<Child>,
    _directory: TempDir,
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Both fail only if it is gone already.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program on PATH or in one of the folders where Debian keeps servers.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let found = folders.iter().map(|folder| folder.join(name)).find(|candidate| candidate.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: tests/run.sh installs what these tests need"))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn wait_for(what: &str, port: u16) {
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < LIMIT, "{what} did not answer within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A file.
pub fn sqlite() -> Database {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.sqlite");
    std::fs::write(&path, b"").unwrap();
    Database {
        connection: "sqlite",
        environment: vec![("DB_DATABASE", path.display().to_string())],
        url: format!("sqlite://{}", path.display()),
        server: None,
        _directory: directory,
    }
}

/// PostgreSQL refuses to run as root, so it runs as `nobody` there.
pub fn postgres() -> Database {
    let directory = tempfile::tempdir().unwrap();
    let (data, port) = (directory.path().join("data"), free_port());
    let as_nobody = |name: &str| {
        if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "nobody", "--"]).arg(program(name));
            command
        } else {
            Command::new(program(name))
        }
    };
    if is_root() {
        run(Command::new("chown").arg("nobody").arg(directory.path()));
    }
    let initialize = as_nobody("initdb")
        .arg("-D")
        .arg(&data)
        .args(["-A", "trust", "-U", "shop", "-E", "UTF8"])
        .current_dir("/")
        .output()
        .unwrap();
    assert!(initialize.status.success(), "{}", String::from_utf8_lossy(&initialize.stderr));
    // Directly and not under runuser, whose child would outlive it.
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program("postgres"));
        command
    } else {
        Command::new(program("postgres"))
    };
    command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-F", "-p", &port.to_string()]);
    let socket = format!("unix_socket_directories={}", directory.path().display());
    command.args(["-c", &socket]).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
    let server = command.spawn().unwrap();
    wait_for("PostgreSQL", port);
    let begun = Instant::now();
    let create = || {
        let mut command = Command::new(program("createdb"));
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "shop", "shop"]).output().unwrap()
    };
    while !create().status.success() {
        assert!(begun.elapsed() < LIMIT, "PostgreSQL made no database");
        std::thread::sleep(Duration::from_millis(100));
    }
    Database {
        connection: "pgsql",
        environment: login(port),
        url: format!("postgres://shop:p%40ss@127.0.0.1:{port}/shop"),
        server: Some(server),
        _directory: directory,
    }
}

/// MariaDB, which lets everybody in.
pub fn mariadb() -> Database {
    let directory = tempfile::tempdir().unwrap();
    let (data, port) = (directory.path().join("data"), free_port());
    let user = if is_root() { "--user=root" } else { "--skip-name-resolve" };
    let install = Command::new(program("mariadb-install-db"))
        .arg("--no-defaults")
        .arg(format!("--datadir={}", data.display()))
        .args([user, "--skip-test-db", "--auth-root-authentication-method=normal"])
        .output()
        .unwrap();
    assert!(install.status.success(), "{}", String::from_utf8_lossy(&install.stdout));
    let mut command = Command::new(program("mariadbd"));
    command.arg("--no-defaults").arg(format!("--datadir={}", data.display())).args([user, "--skip-grant-tables"]);
    command.args(["--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0"]).arg(format!("--port={port}"));
    command.arg(format!("--socket={}", socket(directory.path()).display()));
    command.arg(format!("--pid-file={}", directory.path().join("pid").display()));
    let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("MariaDB", port);
    let mut create = Command::new(program("mariadb"));
    create.arg("--no-defaults").arg(format!("--socket={}", socket(directory.path()).display()));
    run(create.args(["-e", "CREATE DATABASE shop CHARACTER SET utf8mb4"]));
    Database {
        connection: "mysql",
        environment: login(port),
        url: format!("mysql://shop:p%40ss@127.0.0.1:{port}/shop"),
        server: Some(server),
        _directory: directory,
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("s")
}

fn login(port: u16) -> Vec<(&'static str, String)> {
    let pairs = [("DB_DATABASE", "shop"), ("DB_USERNAME", "shop"), ("DB_PASSWORD", "p@ss"), ("DB_HOST", "127.0.0.1")];
    let mut all: Vec<_> = pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    all.push(("DB_PORT", port.to_string()));
    all
}
