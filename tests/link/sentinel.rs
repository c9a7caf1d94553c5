//! Groups that Sentinels watch.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use qtop::link::{Cmd, ConnectFailure, Link, LinkError, Value, cmd};
use qtop_testkit::{TestServer, free_port, wait_until};

/// How long a Sentinel may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A Sentinel process, gone at the end.
pub struct Sentinel {
    child: Child,
    pub port: u16,
}

impl Sentinel {
    /// Watches `primary` under the name `main`, asking for this password.
    pub fn start(primary: &TestServer, password: &str) -> Self {
        let port = free_port();
        Self::start_with(primary, port, &format!("port {port}\nrequirepass {password}\n"))
    }

    /// With these settings for its own port.
    pub fn start_with(primary: &TestServer, port: u16, settings: &str) -> Self {
        let file = primary.directory().join(format!("sentinel-{port}.conf"));
        let text = format!(
            "{settings}bind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 1000\n",
            primary.port()
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let sentinel = Self { child, port };
        wait_until("the Sentinel to listen", START_LIMIT, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        sentinel
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn exists(key: &str) -> Cmd {
    let mut command = cmd("EXISTS");
    command.arg(key);
    command
}

#[tokio::test]
async fn sentinels_lead_to_the_primary() {
    let primary = TestServer::start();
    primary.run("SET here 1");
    let sentinel = Sentinel::start(&primary, "watch");
    let dead = free_port();
    let group = |name: &str| {
        format!("redis-sentinel://127.0.0.1:{dead},127.0.0.1:{}/{name}?sentinel_password=watch", sentinel.port)
    };
    let link = Link::open(&group("main")).await.unwrap();
    assert_eq!(link.ask(exists("here")).await, Ok(Value::Int(1)));
    assert_eq!(link.target(), format!("127.0.0.1:{}", primary.port()));
    assert!(!link.safe_url().contains("watch"), "{}", link.safe_url());

    let unknown = Link::open(&group("other")).await.unwrap_err();
    let text = unknown.to_string();
    assert!(text.contains("refused") && text.contains("does not watch \"other\""), "{text}");
    assert!(matches!(unknown, LinkError::Connect { failure: ConnectFailure::Sentinel(_), .. }));
    let wrong = group("main").replace("watch", "hunter2");
    let text = Link::open(&wrong).await.unwrap_err().to_string();
    assert!(text.contains("WRONGPASS") && !text.contains("hunter2"), "{text}");

    // A Sentinel that has not noticed yet is not believed over the server itself.
    primary.run("REPLICAOF 127.0.0.1 1");
    let stale = Link::open(&group("main")).await.unwrap_err();
    assert!(stale.to_string().contains("not the primary"), "{stale}");
}
