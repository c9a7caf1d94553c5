//! Batches on real servers.

use std::time::{Duration, Instant};

use qtop::link::{Batch, Cmd, ConnectOptions, CostWindow, Link, LinkError, Mode, Purpose, Remedy, Script, Value, cmd};

use qtop_testkit::TestServer;

fn line(text: &str) -> Cmd {
    let mut words = text.split(' ');
    let mut command = cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command
}

#[tokio::test]
async fn each_command_keeps_its_own_error_and_place() {
    let server = TestServer::start();
    redis::pipe()
        .cmd("RPUSH")
        .arg("l")
        .arg(&["a", "b"])
        .cmd("SET")
        .arg("s")
        .arg("x")
        .exec(&mut server.client())
        .unwrap();
    let link = Link::open(&server.url()).await.unwrap();
    let mut batch = Batch::new();
    for text in ["LLEN l", "LLEN s", "GET s", "XINFO STREAM nothing", "LRANGE l 0 9", "GET l", "LLEN nothing"] {
        batch.ask(line(text));
    }
    let replies = link.send(&batch).await.unwrap();
    let codes: Vec<String> = replies
        .iter()
        .map(|reply| match reply {
            Ok(Value::Int(number)) => number.to_string(),
            Ok(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Ok(Value::Array(items)) => format!("{} items", items.len()),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.code().to_owned(),
        })
        .collect();
    assert_eq!(codes, ["2", "WRONGTYPE", "x", "ERR", "2 items", "WRONGTYPE", "0"]);
}

#[tokio::test]
async fn s20_one_forbidden_command_does_not_spoil_the_others() {
    let server = TestServer::start();
    redis::cmd("ACL")
        .arg("SETUSER")
        .arg(&["half", "on", ">pw", "~mine:*", "+@all", "-zcard"])
        .exec(&mut server.client())
        .unwrap();
    let link = Link::open(&format!("redis://half:pw@127.0.0.1:{}", server.port())).await.unwrap();
    let mut batch = Batch::new();
    for text in ["LLEN mine:a", "ZCARD mine:a", "LLEN theirs:a", "TTL mine:a"] {
        batch.ask(line(text));
    }
    let replies = link.send(&batch).await.unwrap();
    let told: Vec<String> = replies
        .iter()
        .map(|reply| match reply {
            Ok(value) => format!("{value:?}"),
            Err(error) => error.remedy().unwrap().into_owned(),
        })
        .collect();
    assert_eq!(told[0], "int(0)");
    // The name of the user is in the reply from Redis 7.2 on.
    assert!(told[1].contains("ACL SETUSER ") && told[1].ends_with(" +zcard"), "{}", told[1]);
    assert!(told[2].contains(" %R~PATTERN"), "{}", told[2]);
    assert_eq!(told[3], "int(-2)");
}

#[tokio::test]
async fn large_batches_are_cut_and_stay_in_order() {
    let server = TestServer::start();
    let link = Link::open(&server.url()).await.unwrap();
    let before = link.meter().totals();
    let mut batch = Batch::new();
    for number in 0..25_000 {
        let mut ping = cmd("PING");
        ping.arg(number);
        batch.ask(ping);
    }
    let replies = link.send(&batch).await.unwrap();
    assert_eq!(replies.len(), 25_000);
    for (number, reply) in replies.iter().enumerate() {
        assert_eq!(reply, &Ok(Value::BulkString(number.to_string().into_bytes())));
    }
    let spent = link.meter().totals().since(&before);
    assert_eq!((spent.round_trips, spent.commands), (3, 25_000));
    assert!(link.send(&Batch::new()).await.unwrap().is_empty());
    assert_eq!(link.meter().totals().since(&before).round_trips, 3);
}

#[tokio::test]
async fn a_reply_that_comes_too_late_ends_the_link() {
    let server = TestServer::start();
    let mut options = ConnectOptions::new(server.url());
    options.limits.sample = Duration::from_millis(150);
    options.limits.fetch = Duration::from_secs(10);
    let sampling = Link::connect(&options, Purpose::Sample).await.unwrap();
    let fetching = Link::connect(&options, Purpose::Fetch).await.unwrap();
    redis::cmd("CLIENT").arg("PAUSE").arg(1000).arg("ALL").exec(&mut server.client()).unwrap();
    let start = Instant::now();
    let (late, patient) = tokio::join!(sampling.ask(cmd("TIME")), fetching.ask(cmd("TIME")));
    assert_eq!(
        late,
        Err(LinkError::Timeout { target: server.url().replace("redis://", ""), limit: options.limits.sample })
    );
    assert!(patient.is_ok(), "the limit belongs to the purpose: {patient:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(!sampling.is_usable());
    assert!(matches!(sampling.ask(cmd("TIME")).await, Err(LinkError::Lost { .. })));
    assert!(fetching.is_usable());
}

#[tokio::test]
async fn a_dropped_request_does_not_shift_the_replies_of_others() {
    let server = TestServer::start();
    let link = Link::open(&server.url()).await.unwrap();
    for number in 0..200 {
        let lost = link.clone();
        let mut ping = cmd("PING");
        ping.arg(format!("lost {number}"));
        let _ = tokio::time::timeout(Duration::from_micros(number), async move { lost.ask(ping).await }).await;
        let mut ping = cmd("PING");
        ping.arg(number);
        assert_eq!(link.ask(ping).await, Ok(Value::BulkString(number.to_string().into_bytes())));
    }
}

#[tokio::test]
async fn p11_bytes_are_those_the_server_counts() {
    let server = TestServer::start();
    redis::pipe().cmd("SET").arg("big").arg("x".repeat(300_000)).exec(&mut server.client()).unwrap();
    let mut raw = server.client();
    let mut stats = || {
        let text: String = redis::cmd("INFO").arg("stats").query(&mut raw).unwrap();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').parse::<u64>().unwrap()
        };
        (field("total_net_input_bytes"), field("total_net_output_bytes"), text.len() as u64)
    };
    let link = Link::open(&server.url()).await.unwrap();
    let (_, _, length) = stats();
    let (input, output, _) = stats();
    let before = link.meter().totals();
    let mut batch = Batch::new();
    for _ in 0..20 {
        batch.ask(line("GET big")).ask(line("LLEN big")).ask(line("HMGET none a b c")).ask(line("TIME"));
    }
    link.send(&batch).await.unwrap();
    let spent = link.meter().totals().since(&before);
    let (input_after, output_after, _) = stats();
    // The reading itself: a question of some 30 bytes and an answer about as long as the text.
    let asked = input_after - input;
    assert!(asked >= spent.bytes_out && asked - spent.bytes_out < 64, "{asked} {spent:?}");
    let answered = output_after - output;
    assert!(answered.abs_diff(spent.bytes_in + length) < 256, "{answered} {spent:?} {length}");
    assert!(spent.bytes_in > 20 * 300_000);
}

#[tokio::test]
async fn s1_a_read_only_link_writes_nothing() {
    let server = TestServer::start();
    let mut options = ConnectOptions::new(server.url());
    let link = Link::connect(&options, Purpose::Mutate).await.unwrap();
    let refused = link.ask(line("SET k v")).await.unwrap_err();
    assert!(matches!(&refused, LinkError::Gate { command, .. } if command == "SET"), "{refused:?}");
    let mut batch = Batch::new();
    batch.ask(line("PING")).ask(line("DEL k"));
    assert!(matches!(link.send(&batch).await, Err(LinkError::Gate { .. })));
    assert!(link.is_usable(), "a refusal by the gate is no loss");
    options.mode = Mode::ReadWrite;
    let link = Link::connect(&options, Purpose::Mutate).await.unwrap();
    assert!(link.ask(line("SET k v")).await.is_ok());
}

#[tokio::test]
async fn p11_own_server_time_is_within_a_tenth_of_what_the_server_counts() {
    let server = TestServer::start();
    let mut client = server.client();
    for number in 0..2000 {
        redis::cmd("ZADD").arg("z").arg(number).arg(format!("member {number}")).exec(&mut client).unwrap();
    }
    let link = Link::open(&server.url()).await.unwrap();
    let mut window = CostWindow::new();
    let mut commandstats = || -> String { redis::cmd("INFO").arg("commandstats").query(&mut client).unwrap() };
    let total = |text: &str| -> f64 {
        let own = ["zrange:", "llen:", "zcard:"];
        let lines = text.lines().filter(|line| own.iter().any(|name| line.starts_with(&format!("cmdstat_{name}"))));
        lines.map(|line| line.split("usec=").nth(1).unwrap().split(',').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    let first = commandstats();
    assert_eq!(window.observe(Instant::now(), &first, link.meter().calls()), None);
    let start = Instant::now();
    for _ in 0..50 {
        let mut batch = Batch::new();
        for _ in 0..20 {
            batch.ask(line("ZRANGE z 1000 1499 WITHSCORES")).ask(line("LLEN none")).ask(line("ZCARD z"));
        }
        link.send(&batch).await.unwrap();
    }
    let now = Instant::now();
    let second = commandstats();
    let cost = window.observe(now, &second, link.meter().calls()).unwrap();
    let told = cost.milliseconds_per_second * (now - start).as_secs_f64() * 1000.0;
    let true_time = total(&second) - total(&first);
    assert!((told - true_time).abs() < true_time / 10.0, "told {told} µs, spent {true_time} µs");
    assert_eq!(cost.slowest.unwrap().0, "ZRANGE");
}

static ADD: Script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");

#[tokio::test]
async fn scripts_run_by_hash_and_come_back_after_a_flush() {
    let server = TestServer::start();
    let mut options = ConnectOptions::new(server.url());
    options.mode = Mode::ReadWrite;
    let link = Link::connect(&options, Purpose::Mutate).await.unwrap();
    assert_eq!(ADD.run(&link, &["n"], &["2"]).await, Ok(Value::Int(2)));
    assert_eq!(ADD.run(&link, &["n"], &["2"]).await, Ok(Value::Int(4)));
    server.run("SCRIPT FLUSH");
    assert_eq!(ADD.run(&link, &["n"], &["2"]).await, Ok(Value::Int(6)));
    let names = link.meter().calls_by_name();
    assert!(names.contains(&("evalsha".to_owned(), 3)) && names.contains(&("eval".to_owned(), 2)), "{names:?}");
    let none: [&str; 0] = [];
    assert!(matches!(ADD.run(&link, &none, &none).await, Err(LinkError::Command(_))));
}

#[tokio::test]
async fn s1_scripts_never_run_on_a_read_only_link() {
    let server = TestServer::start();
    let link = Link::open(&server.url()).await.unwrap();
    let refused = ADD.run(&link, &["n"], &["2"]).await.unwrap_err();
    assert!(matches!(&refused, LinkError::Gate { .. }), "{refused:?}");
    assert_eq!(server.int("EXISTS n"), 0);
}
