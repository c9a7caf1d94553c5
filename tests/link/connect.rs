//! Ways to connect, and ways not to.

use std::time::{Duration, Instant};

use qtop::link::{
    Backoff, CommandError, ConnectFailure, ConnectOptions, ConnectStep, Link, LinkError, Purpose, Remedy, Value, cmd,
};

use qtop_testkit::{Proxy, TestServer, free_port};

fn failure(result: Result<Link, LinkError>) -> ConnectFailure {
    match result {
        Err(LinkError::Connect { failure, .. }) => failure,
        other => panic!("expected a failed connect, got {other:?}"),
    }
}

async fn ping(link: &Link) {
    assert_eq!(link.ask(cmd("PING")).await, Ok(Value::SimpleString("PONG".into())));
}

#[tokio::test]
async fn tcp_and_unix_sockets_connect() {
    let server = TestServer::start();
    for url in [
        server.url(),
        format!("redis://localhost:{}/3", server.port()),
        format!("unix://{}", server.socket().display()),
        format!("redis+unix://{}?db=2", server.socket().display()),
    ] {
        let link = Link::open(&url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        ping(&link).await;
        assert!(link.is_usable());
    }
}

#[tokio::test]
async fn the_database_of_the_url_is_selected() {
    let server = TestServer::start();
    redis::cmd("SELECT").arg(3).exec(&mut server.client()).unwrap();
    let mut raw = server.client();
    redis::pipe().cmd("SELECT").arg(3).cmd("SET").arg("there").arg("1").exec(&mut raw).unwrap();
    let mut exists = cmd("EXISTS");
    exists.arg("there");
    let link = Link::open(&format!("{}/3", server.url())).await.unwrap();
    assert_eq!(link.ask(exists.clone()).await, Ok(Value::Int(1)));
    let link = Link::open(&server.url()).await.unwrap();
    assert_eq!(link.ask(exists.clone()).await, Ok(Value::Int(0)));
    let mut options = ConnectOptions::new(server.url());
    options.db = Some(3);
    let link = Link::connect(&options, Purpose::Fetch).await.unwrap();
    assert_eq!(link.ask(exists.clone()).await, Ok(Value::Int(1)));
    options.url.push_str("/0");
    let link = Link::connect(&options, Purpose::Fetch).await.unwrap();
    assert_eq!(link.ask(exists).await, Ok(Value::Int(0)), "the URL's own number comes first");
    let refused = failure(Link::open(&format!("{}/9999", server.url())).await);
    assert!(matches!(&refused, ConnectFailure::Login(_)), "{refused:?}");
    assert!(refused.remedy().unwrap().contains("0 to 15"), "{refused:?}");
}

#[tokio::test]
async fn p12_the_connection_is_named_and_every_refusal_is_tolerated() {
    let server = TestServer::start();
    let link = Link::open(&server.url()).await.unwrap();
    let Ok(Value::BulkString(list)) = link
        .ask({
            let mut list = cmd("CLIENT");
            list.arg("LIST");
            list
        })
        .await
    else {
        panic!("no client list");
    };
    let list = String::from_utf8(list).unwrap();
    assert!(list.contains(&format!(" name={} ", qtop::link::client_name())), "{list}");

    let mut raw = server.client();
    redis::cmd("ACL").arg("SETUSER").arg(&["poor", "on", ">pw", "-@all", "+ping"]).exec(&mut raw).unwrap();
    let link = Link::open(&format!("redis://poor:pw@127.0.0.1:{}", server.port())).await.unwrap();
    ping(&link).await;
}

#[tokio::test]
async fn logins_work_and_fail_with_their_own_words() {
    let server = TestServer::builder().args(["--requirepass", "s3cret/@:"]).start();
    let mut raw = redis::Client::open(format!("redis://:s3cret%2F%40%3A@127.0.0.1:{}", server.port()))
        .unwrap()
        .get_connection()
        .unwrap();
    redis::cmd("ACL").arg("SETUSER").arg(&["ann", "on", ">annpw", "~*", "+@all"]).exec(&mut raw).unwrap();

    let host = format!("127.0.0.1:{}", server.port());
    ping(&Link::open(&format!("redis://:s3cret%2F%40%3A@{host}")).await.unwrap()).await;
    ping(&Link::open(&format!("redis://ann:annpw@{host}")).await.unwrap()).await;
    let mut options = ConnectOptions::new(format!("redis://ann:wrong@{host}"));
    options.password = Some("annpw".into());
    ping(&Link::connect(&options, Purpose::Sample).await.unwrap()).await;
    options.url = format!("redis://{host}");
    options.username = Some("ann".to_owned());
    ping(&Link::connect(&options, Purpose::Sample).await.unwrap()).await;

    let refused = failure(Link::open(&format!("redis://{host}")).await);
    assert!(matches!(&refused, ConnectFailure::Login(refusal) if refusal.code() == "NOAUTH"), "{refused:?}");
    assert!(refused.remedy().unwrap().contains("password"));
    let error = Link::open(&format!("redis://ann:hunter2@{host}")).await.unwrap_err();
    assert!(!format!("{error} {error:?} {:?}", error.remedy()).contains("hunter2"));
    assert!(error.is_configuration());
    assert!(matches!(failure(Err(error)), ConnectFailure::Login(refusal) if refusal.code() == "WRONGPASS"));

    let open = TestServer::start();
    let refused = failure(Link::open(&format!("redis://:pw@127.0.0.1:{}", open.port())).await);
    assert!(refused.remedy().unwrap().contains("no password"), "{refused:?}");
}

#[tokio::test]
async fn places_where_nothing_is_are_told_apart() {
    let port = free_port();
    let refused = failure(Link::open(&format!("redis://127.0.0.1:{port}")).await);
    assert_eq!(refused, ConnectFailure::Refused);
    assert_eq!(failure(Link::open("unix:///nonexistent/redis.sock").await), ConnectFailure::NoSocket);
    let lookup = failure(Link::open("redis://no-such-host.invalid").await);
    assert!(matches!(lookup, ConnectFailure::Lookup(_) | ConnectFailure::Timeout { .. }), "{lookup:?}");
    assert!(matches!(Link::open("localhost:6379").await, Err(LinkError::Address(_))));
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_given_up_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["redis", "rediss"] {
        let mut options = ConnectOptions::new(format!("{scheme}://127.0.0.1:{port}"));
        options.limits.connect = Duration::from_millis(200);
        let start = Instant::now();
        let gone = failure(Link::connect(&options, Purpose::Sample).await);
        let step = if scheme == "redis" { ConnectStep::Login } else { ConnectStep::Tls };
        assert_eq!(gone, ConnectFailure::Timeout { step, limit: Duration::from_millis(200) });
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn r11_a_lost_server_is_found_again_after_backing_off() {
    let mut server = TestServer::start();
    let link = Link::open(&server.url()).await.unwrap();
    ping(&link).await;
    server.kill();
    let lost = link.ask(cmd("PING")).await.unwrap_err();
    assert!(matches!(&lost, LinkError::Lost { .. }), "{lost:?}");
    assert!(lost.needs_reconnect());
    assert!(!link.is_usable());
    // It stays refused instead of hanging or answering from somewhere else.
    assert!(matches!(link.ask(cmd("PING")).await, Err(LinkError::Lost { .. })));
    let mut backoff = Backoff::new();
    assert_eq!(failure(Link::open(&server.url()).await), ConnectFailure::Refused);
    tokio::time::sleep(backoff.failed()).await;
    let again = TestServer::start();
    ping(&Link::open(&again.url()).await.unwrap()).await;
}

#[tokio::test]
async fn refusals_before_the_login_keep_their_words() {
    let server = TestServer::start();
    let mut held = server.client();
    redis::cmd("CONFIG").arg("SET").arg("maxclients").arg(1).exec(&mut held).unwrap();
    let error = Link::open(&server.url()).await.unwrap_err();
    let text = format!("{error}");
    assert!(text.contains("max number of clients") || text.contains("closed the connection"), "{text}");
    assert!(matches!(
        failure(Err(error)),
        ConnectFailure::Login(CommandError::Refused { .. }) | ConnectFailure::Closed
    ));
}

#[tokio::test]
async fn p12_the_login_is_one_turn_of_these_commands() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let link = Link::open(&format!("redis://default:any@127.0.0.1:{}/2", proxy.port())).await.unwrap();
    let sent: Vec<String> = proxy.sent().iter().map(|sent| sent.text()).collect();
    let name = qtop::link::client_name();
    assert_eq!(
        sent,
        [
            "AUTH default any".to_owned(),
            "SELECT 2".to_owned(),
            format!("CLIENT SETNAME {name}"),
            "CLIENT NO-EVICT ON".to_owned(),
            "CLIENT NO-TOUCH ON".to_owned(),
            "CLIENT SETINFO LIB-NAME qtop".to_owned(),
            format!("CLIENT SETINFO LIB-VER {}", env!("CARGO_PKG_VERSION")),
        ]
    );
    assert_eq!(proxy.traffic().turns, 1);
    let totals = link.meter().totals();
    assert_eq!((totals.round_trips, totals.commands), (1, 7));
    assert_eq!(totals.bytes_out, proxy.traffic().bytes_to_server);
    assert_eq!(totals.bytes_in, proxy.traffic().bytes_to_client);
}

#[tokio::test]
async fn a_half_open_connection_is_noticed_within_the_limit() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.port());
    let mut options = ConnectOptions::new(proxy.url());
    options.limits.sample = Duration::from_millis(500);
    let link = Link::connect(&options, Purpose::Sample).await.unwrap();
    proxy.blackhole(true);
    let start = Instant::now();
    let late = link.ask(cmd("PING")).await;
    assert!(matches!(late, Err(LinkError::Timeout { .. })), "{late:?}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    // What was held back now arrives, but nobody may take it for the answer to something else.
    proxy.blackhole(false);
    assert!(matches!(link.ask(cmd("TIME")).await, Err(LinkError::Lost { .. })));
    let link = Link::connect(&options, Purpose::Sample).await.unwrap();
    ping(&link).await;
    proxy.cut();
    let lost = link.ask(cmd("PING")).await;
    assert!(matches!(lost, Err(LinkError::Lost { .. })), "{lost:?}");
}

/// Tasks connect on whatever thread the runtime gives them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_may_move_between_threads() {
    let server = TestServer::start();
    let url = server.url();
    let link = tokio::spawn(async move { Link::open(&url).await }).await.unwrap().unwrap();
    tokio::spawn(async move { ping(&link).await }).await.unwrap();
}
