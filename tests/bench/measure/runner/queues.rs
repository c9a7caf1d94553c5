//! Jobs for the runner, as the libraries put them there.

use std::path::Path;

use qtop::domain::described::{Application, Described, FailedDriver, FailedStore};
use qtop_testkit::TestServer;

const LIST: &str =
    "name = 'bench'\nkey = 'bench'\nfields = { id = 'id' }\ndelayed = { key = 'bench:later' }\ndead = 'bench:dead'";

/// Start of the application's keys.
const PREFIX: &str = "shop_database_";

/// What is told of the queues.
pub fn described() -> Described {
    let failed = FailedStore {
        driver: FailedDriver::File,
        path: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("failed-jobs.json")),
        ..FailedStore::default()
    };
    let application = Application {
        name: "shop".to_owned(),
        prefix: Some(PREFIX.to_owned()),
        retry_after: Some(90),
        failed: Some(failed),
        ..Application::default()
    };
    let list = toml::from_str(LIST).expect("a sound table");
    Described { lists: vec![list], laravel: vec![application], ..Described::default() }
}

/// Sends what `add` puts into a pipeline for each job, in pieces.
fn fill(server: &TestServer, jobs: usize, add: fn(&mut redis::Pipeline, usize)) {
    let mut client = server.client();
    for chunk in (1..=jobs).collect::<Vec<_>>().chunks(2_000) {
        let mut pipe = redis::pipe();
        chunk.iter().for_each(|number| add(&mut pipe, *number));
        pipe.query::<()>(&mut client).expect("the queue is filled");
    }
}

/// One item of a list.
pub fn add_to_list(pipe: &mut redis::Pipeline, number: usize) {
    pipe.lpush("bench", format!("{{\"id\":{number}}}")).ignore();
}

/// A list of them.
pub fn list(server: &TestServer, jobs: usize) {
    fill(server, jobs, add_to_list);
}

/// One entry of a stream.
pub fn add_to_stream(pipe: &mut redis::Pipeline, number: usize) {
    pipe.cmd("XADD").arg("bench").arg("*").arg("type").arg("noop").arg("data").arg(number).ignore();
}

/// A group, and a stream for it.
pub fn stream(server: &TestServer, jobs: usize) {
    server.run("XGROUP CREATE bench workers 0 MKSTREAM");
    fill(server, jobs, add_to_stream);
}

/// A job of BullMQ, with the call that it is there.
pub fn add_to_bullmq(pipe: &mut redis::Pipeline, number: usize) {
    let fields = [
        ("name", "noop"),
        ("data", "{}"),
        ("opts", "{\"attempts\":0}"),
        ("timestamp", "1700000000000"),
        ("delay", "0"),
        ("priority", "0"),
    ];
    pipe.hset_multiple(format!("bull:bench:{number}"), &fields).ignore();
    pipe.lpush("bull:bench:wait", number).ignore().zadd("bull:bench:marker", "0", 0).ignore();
}

/// What says that it is a queue of BullMQ 6.
pub fn describe_bullmq(server: &TestServer) {
    server.run("HSET bull:bench:meta version bullmq:6.7.0 opts.maxLenEvents 10000");
}

/// A queue of BullMQ 6.
pub fn bullmq(server: &TestServer, jobs: usize) {
    describe_bullmq(server);
    fill(server, jobs, add_to_bullmq);
    server.run(&format!("SET bull:bench:id {jobs}"));
}

/// What `pickle.dumps` makes of `{'t': None, 'f': 'noop', 'a': (1,), 'k': {}, 'et': 1700000000000}`.
const DEFINITION: &[u8] =
    b"\x80\x04\x95\x30\0\0\0\0\0\0\0}\x94(\x8c\x01t\x94N\x8c\x01f\x94\x8c\x04noop\x94\x8c\x01a\x94K\x01\x85\x94\
    \x8c\x01k\x94}\x94\x8c\x02et\x94\x8a\x06\0h\xe5\xcf\x8b\x01u.";

/// A job of ARQ.
pub fn add_to_arq(pipe: &mut redis::Pipeline, number: usize) {
    pipe.set(format!("arq:job:{number}"), DEFINITION).ignore();
    pipe.zadd("arq:bench", number, 1_700_000_000_000_u64 + number as u64).ignore();
}

/// A queue of ARQ.
pub fn arq(server: &TestServer, jobs: usize) {
    fill(server, jobs, add_to_arq);
}

/// A job of Laravel, with the call that it is there.
pub fn add_to_laravel(pipe: &mut redis::Pipeline, number: usize) {
    let payload = format!(
        "{{\"uuid\":\"{number}\",\"displayName\":\"Nothing\",\"job\":\"Nothing@run\",\"maxTries\":1,\"maxExceptions\":null,\
         \"failOnTimeout\":false,\"backoff\":null,\"timeout\":null,\"data\":[],\"id\":\"{number}\",\"attempts\":0}}"
    );
    let queue = format!("{PREFIX}queues:default");
    pipe.rpush(&queue, payload).ignore().rpush(format!("{queue}:notify"), 1).ignore();
}

/// A queue of Laravel.
pub fn laravel(server: &TestServer, jobs: usize) {
    fill(server, jobs, add_to_laravel);
}

/// Jobs of Laravel that wait or run.
pub fn left_in_laravel(server: &TestServer) -> i64 {
    let queue = format!("{PREFIX}queues:default");
    server.int(&format!("LLEN {queue}")) + server.int(&format!("ZCARD {queue}:reserved"))
}
