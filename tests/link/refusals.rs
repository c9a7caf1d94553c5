//! Error replies of every kind, and servers that are not alone: replicas and cluster nodes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use qtop::link::{
    Cmd, ConnectFailure, ConnectOptions, Link, LinkError, Mode, Purpose, RefusalKind, Remedy, Value, cmd,
};
use qtop_testkit::{TestServer, free_port, wait_until};

/// How long servers may take to find each other.
const MEETING_LIMIT: Duration = Duration::from_secs(20);

fn line(text: &str) -> Cmd {
    let mut words = text.split(' ');
    let mut command = cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>());
    command
}

/// A server that answers each command with what `reply` makes of its words.
fn stub(reply: fn(&[String]) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || answer(stream, reply));
        }
    });
    url
}

/// Ends with the connection.
fn answer(mut stream: TcpStream, reply: fn(&[String]) -> String) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let header = |reader: &mut BufReader<TcpStream>| -> Option<usize> {
        let mut text = String::new();
        reader.read_line(&mut text).ok()?;
        text.get(1..)?.trim().parse().ok()
    };
    loop {
        let mut words = Vec::new();
        for _ in 0..header(&mut reader)? {
            let mut word = vec![0; header(&mut reader)? + 2];
            reader.read_exact(&mut word).ok()?;
            words.push(String::from_utf8_lossy(&word).trim_end().to_owned());
        }
        stream.write_all(format!("{}\r\n", reply(&words)).as_bytes()).ok()?;
    }
}

#[tokio::test]
async fn servers_without_users_get_the_password_alone() {
    // As Redis 5 answers; some providers' URLs name a user all the same.
    let url = stub(|words| match words {
        [auth, _, _] if auth == "AUTH" => "-ERR wrong number of arguments for 'auth' command".to_owned(),
        [auth, password] if auth == "AUTH" && password != "pw" => "-ERR invalid password".to_owned(),
        [client, ..] if client == "CLIENT" => "-ERR unknown command".to_owned(),
        _ => "+OK".to_owned(),
    });
    let link = Link::open(&url.replace("redis://", "redis://h:pw@")).await.unwrap();
    assert!(link.ask(line("PING")).await.is_ok());
    let refused = Link::open(&url.replace("redis://", "redis://h:hunter2@")).await.unwrap_err();
    assert!(matches!(&refused, LinkError::Connect { failure: ConnectFailure::Login(_), .. }), "{refused:?}");
}

#[tokio::test]
async fn r11_no_error_reply_ends_the_link_and_each_keeps_its_words() {
    let url = stub(|words| match words {
        [get, error] if get == "GET" => format!("-{error}"),
        _ => "+OK".to_owned(),
    });
    let link = Link::open(&url).await.unwrap();
    for (reply, kind) in [
        ("READONLY You can't write against a read only replica.", RefusalKind::WrongNode),
        ("OOM command not allowed when used memory > 'maxmemory'.", RefusalKind::Passing),
        ("BUSY Redis is busy running a script.", RefusalKind::Passing),
        ("LOADING Redis is loading the dataset in memory", RefusalKind::Passing),
        ("MISCONF Redis is configured to save RDB snapshots", RefusalKind::Passing),
        ("NOREPLICAS Not enough good replicas to write.", RefusalKind::Passing),
        ("CLUSTERDOWN The cluster is down", RefusalKind::Passing),
        ("MASTERDOWN Link with MASTER is down", RefusalKind::Passing),
        ("TRYAGAIN Multiple keys request during rehashing of slot", RefusalKind::Passing),
        ("NOPERM this user has no permissions to run the 'get' command", RefusalKind::Permission),
        ("NOAUTH Authentication required.", RefusalKind::Login),
        ("WRONGPASS invalid username-password pair or user is disabled.", RefusalKind::Login),
        ("MOVED 3999 127.0.0.1:6381", RefusalKind::WrongNode),
        ("ASK 3999 127.0.0.1:6381", RefusalKind::WrongNode),
        ("CROSSSLOT Keys in request don't hash to the same slot", RefusalKind::Command),
        ("EXECABORT Transaction discarded because of previous errors.", RefusalKind::Command),
        ("NOSCRIPT No matching script.", RefusalKind::Command),
    ] {
        let mut get = cmd("GET");
        get.arg(reply);
        let error = link.ask(get).await.unwrap_err();
        let LinkError::Command(refusal) = &error else { panic!("{reply}: {error:?}") };
        assert_eq!(error.to_string(), reply);
        assert_eq!(refusal.kind(), kind, "{reply}");
        assert!(error.remedy().is_some(), "{reply}");
        assert!(!error.needs_reconnect() && link.is_usable(), "{reply}");
    }
}

#[tokio::test]
async fn a_busy_server_answers_busy_and_comes_back() {
    let server = TestServer::start();
    server.run("CONFIG SET busy-reply-threshold 20");
    let mut client = server.client();
    let endless = std::thread::spawn(move || redis::cmd("EVAL").arg("while true do end").arg(0).exec(&mut client));
    let mut options = ConnectOptions::new(server.url());
    options.limits.sample = Duration::from_secs(5);
    let mut other = server.client();
    wait_until("the script to be slow", Duration::from_secs(20), || {
        redis::cmd("LLEN").arg("q").exec(&mut other).is_err_and(|error| error.code() == Some("BUSY"))
    });
    // Everything that is only wished at the login is refused, too; the first real question tells what is the matter.
    let link = Link::connect(&options, Purpose::Sample).await.unwrap();
    let busy = link.ask(line("LLEN q")).await.unwrap_err();
    assert!(matches!(&busy, LinkError::Command(refusal) if refusal.code() == "BUSY"), "{busy:?}");
    redis::cmd("SCRIPT").arg("KILL").exec(&mut server.client()).unwrap();
    assert!(endless.join().unwrap().is_err());
    assert_eq!(link.ask(line("LLEN q")).await, Ok(Value::Int(0)));
}

#[tokio::test]
async fn a_replica_refuses_writes_with_a_remedy() {
    let server =
        TestServer::builder().args(["--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "yes"]).start();
    let mut options = ConnectOptions::new(server.url());
    options.mode = Mode::ReadWrite;
    let link = Link::connect(&options, Purpose::Mutate).await.unwrap();
    let refused = link.ask(line("SET k v")).await.unwrap_err();
    assert!(matches!(&refused, LinkError::Command(refusal) if refusal.kind() == RefusalKind::WrongNode), "{refused}");
    assert!(refused.remedy().unwrap().contains("primary"));
}

#[tokio::test]
async fn cluster_nodes_can_be_connected_to_and_say_where_else_to_go() {
    let bus = [free_port(), free_port()];
    let node = |at: usize| {
        let bus = bus[at].to_string();
        TestServer::builder().args(["--cluster-enabled", "yes", "--cluster-port", bus.as_str()]).start()
    };
    let (first, second) = (node(0), node(1));
    let link = Link::open(&first.url()).await.unwrap();
    let down = link.ask(line("LLEN q")).await.unwrap_err();
    assert!(matches!(&down, LinkError::Command(refusal) if refusal.code() == "CLUSTERDOWN"), "{down}");

    first.run("CLUSTER ADDSLOTSRANGE 0 8191");
    second.run("CLUSTER ADDSLOTSRANGE 8192 16383");
    first.run(&format!("CLUSTER MEET 127.0.0.1 {} {}", second.port(), bus[1]));
    let joined = |server: &TestServer| {
        server.info("cluster_state").is_none() && {
            let value: String = redis::from_redis_value(server.run("CLUSTER INFO")).unwrap();
            value.contains("cluster_state:ok")
        }
    };
    wait_until("both nodes to agree on the slots", MEETING_LIMIT, || joined(&first) && joined(&second));
    // "foo" is in slot 12182, "bar" in 5061.
    assert_eq!(link.ask(line("LLEN bar")).await, Ok(Value::Int(0)));
    let moved = link.ask(line("LLEN foo")).await.unwrap_err();
    assert!(matches!(&moved, LinkError::Command(refusal) if refusal.code() == "MOVED"), "{moved}");
    assert!(moved.remedy().unwrap().contains(&format!("127.0.0.1:{}", second.port())), "{:?}", moved.remedy());
    assert!(link.is_usable());
    let refused = Link::open(&format!("{}/2", first.url())).await.unwrap_err();
    assert!(refused.remedy().unwrap().contains("only database 0") || refused.remedy().unwrap().contains("only 0"));
}
