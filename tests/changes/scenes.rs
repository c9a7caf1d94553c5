//! Queues of every system with jobs in every state, written by plain commands, and what must hold of them whatever
//! happens to a change.

use std::collections::BTreeMap;

use qtop::domain::change::Scope;
use qtop::domain::described::Described;
use qtop::domain::ids::{JobId, QueueId};
use qtop::domain::mutation::Change;
use qtop::domain::state::StateId;
use qtop_testkit::TestServer;
use redis::Value;

/// One change of one seeded queue.
pub struct Row {
    /// State of the jobs; empty for the queue as a whole, `schedules` for schedules.
    pub state: &'static str,
    /// Their ids.
    pub ids: &'static [&'static str],
    /// What is done.
    pub change: Change,
    /// Script or command that does it, for losing its answer.
    pub by: &'static str,
}

impl Row {
    /// Done by a script.
    pub fn new(state: &'static str, ids: &'static [&'static str], change: Change) -> Self {
        Self { state, ids, change, by: "EVALSHA" }
    }

    /// What it applies to.
    pub fn scope(&self) -> Scope {
        let ids: Vec<JobId> = self.ids.iter().map(|id| (*id).into()).collect();
        match self.state {
            "" => Scope::Queue,
            "schedules" => Scope::Schedules(ids),
            state => Scope::Jobs(vec![(StateId(state), ids)]),
        }
    }
}

/// A seeded system.
pub struct Scene {
    /// For messages.
    pub name: &'static str,
    /// The queue that is changed.
    pub queue: QueueId,
    /// Descriptions it needs.
    pub described: fn() -> Described,
    /// Puts it on an empty server.
    pub seed: fn(&TestServer),
    /// What must hold at any time, and where each job is: its places and bytes, by id.
    pub places: fn(&TestServer) -> BTreeMap<String, Vec<String>>,
    /// Which of its changes are tried.
    pub rows: fn() -> Vec<Row>,
}

/// Elements of a list.
pub fn list(server: &TestServer, key: &str) -> Vec<Vec<u8>> {
    redis::cmd("LRANGE").arg(key).arg(0).arg(-1).query(&mut server.client()).unwrap()
}

/// Members of a sorted set in its order.
pub fn scored(server: &TestServer, key: &str) -> Vec<Vec<u8>> {
    redis::cmd("ZRANGE").arg(key).arg(0).arg(-1).query(&mut server.client()).unwrap()
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A queue as BullMQ of this version leaves it; `w` jobs wait, `p` have a priority, `d` are delayed, `f` failed, `c`
/// completed, `a` waits for its children `k1` and `k2`.
pub fn bullmq(server: &TestServer, version: &str) {
    server.run(&format!("HSET bull:mail:meta version bullmq:{version} opts.maxLenEvents 10000"));
    server.run("SET bull:mail:id 100");
    for id in ["w1", "w2", "w3", "p1", "p2", "d1", "d2", "f1", "f2", "c1", "a", "k1", "k2"] {
        server.run(&format!(
            "HSET bull:mail:{id} name send data {{\"n\":\"{id}\"}} opts {{}} timestamp 1700000000000 delay 0 priority 0"
        ));
    }
    for (index, id) in ["w1", "w2", "w3", "k1", "k2"].iter().enumerate() {
        server.run(&format!("LPUSH bull:mail:wait {id}"));
        server.run(&format!("HSET bull:mail:p{} priority 2", index % 2 + 1));
    }
    for child in ["k1", "k2"] {
        server.run(&format!(
            "HSET bull:mail:{child} parentKey bull:mail:a parent {{\"id\":\"a\",\"queueKey\":\"bull:mail\"}}"
        ));
        server.run(&format!("SADD bull:mail:a:dependencies bull:mail:{child}"));
    }
    server.run("ZADD bull:mail:waiting-children 1700000000000 a");
    server.run("ZADD bull:mail:prioritized 8589934593 p1 8589934594 p2");
    server.run("SET bull:mail:pc 2");
    server.run("ZADD bull:mail:delayed 16383999999997952 d1 16383999999997953 d2");
    server.run("ZADD bull:mail:failed 1700000000001 f1 1700000000002 f2");
    server.run("HSET bull:mail:f1 finishedOn 1700000000001 failedReason boom atm 1");
    server.run("HSET bull:mail:f2 finishedOn 1700000000002 failedReason boom atm 1");
    server.run("RPUSH bull:mail:f1:logs one two");
    server.run("ZADD bull:mail:completed 1700000000003 c1");
    server.run("HSET bull:mail:c1 finishedOn 1700000000003 returnvalue null");
    if !version.starts_with('4') {
        server.run("ZADD bull:mail:repeat 4000000000000 tick");
        server.run("HSET bull:mail:repeat:tick name send ic 1 every 3600000 data {\"n\":1} opts {}");
        server.run("HSET bull:mail:repeat:tick:4000000000000 name send data {\"n\":1} opts {} rjk tick timestamp 1700000000000");
        server.run("ZADD bull:mail:delayed 16384000000000000 repeat:tick:4000000000000");
    }
}

/// Every job with the states it is in; panics if one is in none, in two, or in one without a record.
pub fn bullmq_places(server: &TestServer) -> BTreeMap<String, Vec<String>> {
    let mut client = server.client();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for key in ["wait", "paused", "active"] {
        for id in list(server, &format!("bull:mail:{key}")) {
            let id = text(&id);
            if !id.starts_with("0:") {
                let state = if key == "active" { "active" } else { "waiting" };
                places.entry(id).or_default().push(state.to_owned());
            }
        }
    }
    for key in ["completed", "failed", "delayed", "prioritized", "waiting-children"] {
        for id in scored(server, &format!("bull:mail:{key}")) {
            places.entry(text(&id)).or_default().push(key.to_owned());
        }
    }
    let records: Vec<String> = redis::cmd("KEYS").arg("bull:mail:*").query(&mut client).unwrap();
    for key in &records {
        let id = key.strip_prefix("bull:mail:").unwrap();
        let is_job: i64 = redis::cmd("EXISTS").arg(key).query(&mut client).unwrap();
        let kind: String = redis::cmd("TYPE").arg(key).query(&mut client).unwrap();
        let named: bool = kind == "hash" && redis::cmd("HEXISTS").arg(key).arg("timestamp").query(&mut client).unwrap();
        if is_job == 1 && named {
            assert_eq!(places.get(id).map(Vec::len), Some(1), "{id} stands in {:?}", places.get(id));
        }
    }
    for (id, states) in &mut places {
        assert_eq!(states.len(), 1, "{id} stands in {states:?}");
        let key = format!("bull:mail:{id}");
        let data: Option<Vec<u8>> = redis::cmd("HGET").arg(&key).arg("data").query(&mut client).unwrap();
        assert!(data.is_some(), "{id} is {states:?} without a record");
        for field in ["data", "priority", "delay"] {
            let value: Option<String> = redis::cmd("HGET").arg(&key).arg(field).query(&mut client).unwrap();
            states.push(format!("{field}={}", value.unwrap_or_default()));
        }
    }
    // A parent waits exactly as long as it has children to wait for, and for none that are gone.
    let children: Vec<String> = redis::cmd("SMEMBERS").arg("bull:mail:a:dependencies").query(&mut client).unwrap();
    for child in &children {
        assert_eq!(server.int(&format!("EXISTS {child}")), 1, "a waits for {child}, which is gone");
    }
    if let Some(parent) = places.get("a") {
        assert_eq!(parent[0] == "waiting-children", !children.is_empty(), "{parent:?} with {children:?}");
    }
    places
}

/// A plain list with every container.
pub const LIST: &str = r#"
name = "audio"
key = "audio:jobs"
item = "json"
fields = { id = "id", attempts = "tries", error = "error" }
processing_pattern = "audio:doing:*"
delayed = { key = "audio:later", unit = "s" }
dead = { key = "audio:dead" }
[[heartbeat]]
pattern = "audio:worker:*"
ttl = 30
"#;

/// For [`LIST`].
pub fn list_described() -> Described {
    Described { lists: vec![toml::from_str(LIST).unwrap()], ..Described::default() }
}

/// `w` wait, `d` come later, `x` are dead, `g` is what a worker that is gone left behind.
pub fn list_seed(server: &TestServer) {
    let item = |id: &str| format!("{{\"n\":18446744073709551616,\"id\":\"{id}\",\"tries\":3}}");
    for (key, ids) in
        [("audio:jobs", &["w1", "w2", "w3"][..]), ("audio:dead", &["x1", "x2"]), ("audio:doing:w7", &["g1"])]
    {
        for id in ids {
            server.run(&format!("LPUSH {key} {}", item(id)));
        }
    }
    for (score, id) in [(4_000_000_000_i64, "d1"), (4_000_000_001, "d2")] {
        server.run(&format!("ZADD audio:later {score} {}", item(id)));
    }
}

/// Every item with where it is; panics if one is in two places.
pub fn list_places(server: &TestServer) -> BTreeMap<String, Vec<String>> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let lists = ["audio:jobs", "audio:dead", "audio:doing:w7"].map(|key| (key, list(server, key)));
    for (key, items) in lists.into_iter().chain([("audio:later", scored(server, "audio:later"))]) {
        for item in items {
            let json: serde_json::Value = serde_json::from_slice(&item).unwrap();
            let id = json["id"].as_str().unwrap().to_owned();
            let before = places.insert(id.clone(), vec![key.to_owned(), text(&item)]);
            assert_eq!(before, None, "{id} stands in two places");
        }
    }
    places
}

/// A stream with one group: entries 1 to 4 were delivered, 5 and 6 wait, two are dead.
pub fn stream_seed(server: &TestServer) {
    for n in 1..=6 {
        server.run(&format!("XADD events 170000000000{n}-0 job e{n} n 1e400"));
    }
    server.run("XGROUP CREATE events g 0");
    server.run("XREADGROUP GROUP g c1 COUNT 4 STREAMS events >");
    server.run("XGROUP CREATECONSUMER events g c2");
    for n in 7..=8 {
        server.run(&format!("XADD events:dead 170000000000{n}-0 job e{n} n 1e400"));
    }
}

type Entries = Vec<(String, Vec<String>)>;

/// Every job with where it is: waiting, pending with its consumer, settled, dead; panics if it is live twice.
pub fn stream_places(server: &TestServer) -> BTreeMap<String, Vec<String>> {
    let mut client = server.client();
    let pending: Vec<(String, String, i64, i64)> =
        redis::cmd("XPENDING").arg("events").arg("g").arg("-").arg("+").arg(100).query(&mut client).unwrap();
    let group: Value = redis::cmd("XINFO").arg("GROUPS").arg("events").query(&mut client).unwrap();
    let group: Vec<BTreeMap<String, Value>> = redis::from_redis_value(group).unwrap();
    let last: String = redis::from_redis_value(group[0]["last-delivered-id"].clone()).unwrap();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut put = |fields: &[String], place: String| {
        let before = places.entry(fields[1].clone()).or_default();
        before.push(place);
        before.push(fields[..4].join(" "));
    };
    let entries: Entries = redis::cmd("XRANGE").arg("events").arg("-").arg("+").query(&mut client).unwrap();
    for (id, fields) in &entries {
        match pending.iter().find(|(known, ..)| known == id) {
            Some((_, consumer, ..)) => put(fields, format!("pending {consumer}")),
            // Ids of equal length here, so text compares like numbers.
            None if *id > last => put(fields, "waiting".to_owned()),
            None => {}
        }
    }
    assert!(pending.iter().all(|(id, ..)| entries.iter().any(|(known, _)| known == id)), "a pending entry has no body");
    let dead: Entries = redis::cmd("XRANGE").arg("events:dead").arg("-").arg("+").query(&mut client).unwrap();
    dead.iter().for_each(|(_, fields)| put(fields, "dead".to_owned()));
    for (job, found) in &places {
        assert_eq!(found.len(), 2, "{job} is live twice: {found:?}");
    }
    places
}

/// One queue each of Bull, ARQ and Laravel, as those libraries leave them: something waits, something has ended.
pub fn others_seed(server: &TestServer) {
    server.run("SET bull:old:id 3");
    for (id, place) in [("1", "LPUSH bull:old:wait"), ("2", "ZADD bull:old:failed 1700000000002")] {
        server.run(&format!(
            "HSET bull:old:{id} name __default__ data {{\"n\":{id}}} opts {{\"attempts\":1}} timestamp 1700000000000 attemptsMade 1"
        ));
        server.run(&format!("{place} {id}"));
    }
    server.run("HSET bull:old:2 failedReason boom finishedOn 1700000000002");
    server.run("ZADD arq:queue 1700000000000 j1");
    server.run("SET arq:job:j1 {\"f\":\"send\",\"a\":[1],\"k\":{},\"t\":1,\"et\":1700000000000}");
    server.run("SET arq:result:j2 {\"f\":\"send\",\"a\":[1],\"k\":{},\"t\":1,\"et\":1700000000000,\"s\":false,\"r\":\"boom\",\"st\":1700000000001,\"ft\":1700000000002,\"q\":\"arq:queue\"}");
    let item = "{\"uuid\":\"u1\",\"id\":\"u1\",\"displayName\":\"Send\",\"job\":\"x@call\",\"maxTries\":3,\"attempts\":0,\"data\":{}}";
    server.run(&format!("RPUSH laravel_database_queues:shop {item}"));
    server.run("RPUSH laravel_database_queues:shop:notify 1");
}
