//! What a service is told of its jobs, and how long it is left alone when it asks for that.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use qtop::config::Runner;
use qtop::engine::runner::handler::{Handler, Surroundings};
use qtop::engine::runner::work::Ending;
use qtop_testkit::{TestServer, wait_until};

use crate::bench::{Bench, Job, Notes, begin, runner, runner_on};

/// Deliveries are answered with this head, or never; status calls are noted by their word, with what was wrong.
fn service(head: Option<&'static str>, notes: &Notes) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let notes = notes.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let notes = notes.clone();
            std::thread::spawn(move || answer(stream, head, &notes));
        }
    });
    port
}

fn answer(mut stream: TcpStream, head: Option<&str>, notes: &Notes) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    let whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        (body.len() >= length.unwrap_or(0)).then(|| (head.to_owned(), body.to_owned()))
    };
    let (line, body) = loop {
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => request.extend_from_slice(&chunk[..read]),
            _ => return,
        }
        if let Some(whole) = whole(&request) {
            break whole;
        }
    };
    let head = match line.starts_with("PUT") {
        true => {
            notes.add(body);
            Some("204 No Content")
        }
        false => {
            notes.add("POST");
            head
        }
    };
    match head {
        Some(head) => drop(write!(stream, "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")),
        None => std::thread::sleep(Duration::from_secs(30)),
    }
}

/// A runner that delivers to the service and tells it what becomes of the jobs.
fn deliver(server: &TestServer, config: Runner, port: u16) -> Bench {
    let table = format!(
        "[http]\nurl = 'http://localhost:{port}/deliver'\n[http.status]\nurl = 'http://localhost:{port}/status'\n\
         body = '{{status}} {{error}}'"
    );
    let handler = Handler::build(&toml::from_str(&table).unwrap(), &Surroundings::of_process()).unwrap();
    let handler = Arc::new(handler);
    let job: Arc<Job> = Arc::new(move |work, room| {
        let handler = Arc::clone(&handler);
        Box::pin(async move { handler.handle(&work, room).await }) as BoxFuture<'static, Ending>
    });
    begin(&server.url(), config, job).unwrap()
}

fn words(notes: &Notes) -> Vec<String> {
    notes.all().iter().map(|note| note.split(' ').next().unwrap_or_default().to_owned()).collect()
}

const BUSY: Option<&str> = Some("503 Service Unavailable");

#[test]
fn a_job_that_nobody_tries_again_has_failed() {
    let server = TestServer::start();
    let opts = "{\"attempts\":5,\"backoff\":{\"type\":\"mine\"}}";
    server.run("HSET bull:mail:meta version bullmq:6.7.0");
    server.run(&format!("HSET bull:mail:1 name send data {{}} opts {opts} timestamp 1700000000000"));
    server.run("LPUSH bull:mail:wait 1");
    let notes = Notes::default();
    let bench = deliver(&server, runner_on("bullmq:mail", ""), service(BUSY, &notes));
    bench.until_pool("a failure", |pool| pool.counts.failed == 1);
    assert_eq!(words(&notes), ["processing", "POST", "failed"], "only the application knows how long to wait");
    bench.stop();
    // A pool that says how long to wait has it tried again.
    server.run("LPUSH bull:mail:wait 1");
    server.run("ZREM bull:mail:failed 1");
    server.run("HDEL bull:mail:1 finishedOn failedReason atm");
    let notes = Notes::default();
    let config = runner_on("bullmq:mail", "retry = { attempts = 5, base = '1h' }");
    let bench = deliver(&server, config, service(BUSY, &notes));
    bench.until_pool("a retry", |pool| pool.counts.retried == 1);
    assert_eq!(words(&notes), ["processing", "POST", "retrying"]);
    bench.stop();
}

#[test]
fn a_job_that_goes_back_at_the_end_is_not_told_to_be_cancelled() {
    let server = TestServer::start();
    crate::lists::fill(&server, 1);
    let notes = Notes::default();
    let bench = deliver(&server, Runner { grace: Duration::ZERO, ..runner("") }, service(None, &notes));
    wait_until("the delivery", Duration::from_secs(15), || notes.all().len() == 2);
    assert_eq!(bench.stop().cut, 1);
    assert_eq!(words(&notes), ["processing", "POST", "retrying"]);
    assert!(notes.all()[2].contains("goes back"), "{:?}", notes.all());
    assert_eq!(server.int("LLEN mail"), 1);
}

#[test]
fn r5_nothing_is_told_of_a_job_that_is_another_workers() {
    let server = TestServer::start();
    crate::lists::fill(&server, 1);
    let notes = Notes::default();
    let bench = deliver(&server, runner(""), service(None, &notes));
    wait_until("the delivery", Duration::from_secs(15), || notes.all().len() == 2);
    let keys: Vec<String> = redis::from_redis_value(server.run("KEYS mail:processing:*")).unwrap();
    keys.iter().for_each(|key| drop(server.run(&format!("DEL {key}"))));
    bench.until_pool("a lost claim", |pool| pool.counts.lost == 1);
    assert_eq!(words(&notes), ["processing", "POST"]);
    bench.stop();
}

#[test]
fn a_service_is_not_asked_again_sooner_than_the_pool_says() {
    // What the service asks for, what the pool says, and the least and longest wait.
    for (asked, retry, least, most) in [("0", "2s", 2000, 6000), ("0", "0s", 1000, 4000), ("2", "200ms", 2000, 6000)] {
        let server = TestServer::start();
        crate::lists::fill(&server, 1);
        let notes = Notes::default();
        let head: &'static str = Box::leak(format!("503 Busy\r\nretry-after: {asked}").into_boxed_str());
        let config = runner(&format!("retry = {{ attempts = 2, base = '{retry}' }}"));
        let port = service(Some(head), &notes);
        let bench = deliver(&server, config, port);
        let posts = || notes.all().iter().filter(|note| *note == "POST").count();
        wait_until("the first", Duration::from_secs(15), || posts() == 1);
        let start = Instant::now();
        wait_until("the second", Duration::from_secs(15), || posts() == 2);
        let waited = start.elapsed().as_millis();
        assert!((least - 100..most).contains(&waited), "{asked} and {retry}: {waited} ms");
        bench.stop();
    }
}
