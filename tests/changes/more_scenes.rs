//! Queues of Bull, ARQ and Laravel for the tests that break something in the middle; Laravel's failed jobs in a database.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use qtop::domain::described::{Application, Described, FailedStore};
use qtop::domain::ids::QueueId;
use qtop::domain::mutation::{Change, End};
use qtop_testkit::TestServer;
use sqlx::{Connection, Executor, Row as _, SqliteConnection};
use tempfile::TempDir;

use crate::scenes::{Row, Scene, list, scored, text};

const REMOVE: Change = Change::Remove { children: false };

/// One of each.
pub fn more_scenes() -> Vec<Scene> {
    vec![
        Scene {
            name: "Bull",
            queue: QueueId::new("bull", "bull", "old"),
            described: Described::default,
            seed: bull_seed,
            places: bull_places,
            rows: bull_rows,
        },
        Scene {
            name: "ARQ",
            queue: QueueId::new("arq", "", "arq:queue"),
            described: Described::default,
            seed: arq_seed,
            places: arq_places,
            rows: arq_rows,
        },
        Scene {
            name: "Laravel",
            queue: QueueId::new("laravel", "shop_", "mail"),
            described: laravel_described,
            seed: laravel_seed,
            places: laravel_places,
            rows: laravel_rows,
        },
    ]
}

/// `w` wait, `p` with a priority, `d` are delayed, `f` failed, `c` completed.
fn bull_seed(server: &TestServer) {
    server.run("SET bull:old:id 100");
    for id in ["w1", "w2", "w3", "p1", "p2", "d1", "d2", "f1", "f2", "c1"] {
        let priority = if id.starts_with('p') { 2 } else { 0 };
        server.run(&format!(
            "HSET bull:old:{id} name __default__ data {{\"n\":\"{id}\"}} opts {{}} timestamp 1700000000000 priority {priority}"
        ));
    }
    for id in ["w3", "w2", "w1", "p2", "p1"] {
        server.run(&format!("RPUSH bull:old:wait {id}"));
    }
    server.run("ZADD bull:old:priority 2 p1 2 p2");
    server.run("ZADD bull:old:delayed 16383999999997952 d1 16383999999997953 d2");
    server.run("ZADD bull:old:failed 1700000000001 f1 1700000000002 f2");
    server.run("RPUSH bull:old:f1:logs one two");
    server.run("ZADD bull:old:completed 1700000000003 c1");
}

fn bull_places(server: &TestServer) -> BTreeMap<String, Vec<String>> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let lists = ["wait", "paused", "active"].map(|key| (key, list(server, &format!("bull:old:{key}"))));
    let sets = ["completed", "failed", "delayed"].map(|key| (key, scored(server, &format!("bull:old:{key}"))));
    for (key, ids) in lists.into_iter().chain(sets) {
        for id in ids {
            let id = text(&id);
            let data: Option<String> =
                redis::cmd("HGET").arg(format!("bull:old:{id}")).arg("data").query(&mut server.client()).unwrap();
            let data = data.unwrap_or_else(|| panic!("{id} is in {key} without a record"));
            let before = places.insert(id.clone(), vec![key.to_owned(), data]);
            assert_eq!(before, None, "{id} stands twice");
        }
    }
    for id in scored(server, "bull:old:priority") {
        places.get_mut(&text(&id)).unwrap_or_else(|| panic!("only a priority is left")).push("priority".to_owned());
    }
    places
}

fn bull_rows() -> Vec<Row> {
    vec![
        Row::new("failed", &["f1", "f2"], Change::Retry { reset_attempts: false }),
        Row::new("delayed", &["d1", "d2"], Change::Promote),
        Row::new("waiting", &["w1", "w3"], Change::Cancel),
        Row::new("waiting", &["p1", "p2"], REMOVE),
        Row::new("failed", &["f1", "f2"], REMOVE),
        Row::new("completed", &["c1"], REMOVE),
        Row::new("delayed", &["d1"], REMOVE),
    ]
}

/// `w` wait, the second after a first try, `d` are due later, `c` ended well, `f` did not.
fn arq_seed(server: &TestServer) {
    let definition = |id: &str| format!("{{\"f\":\"send\",\"a\":[\"{id}\"],\"k\":{{}},\"t\":1,\"et\":1700000000000}}");
    for (id, score) in
        [("w1", 1_700_000_000_001_i64), ("w2", 1_700_000_000_002), ("d1", 4_000_000_000_000), ("d2", 4_000_000_000_001)]
    {
        server.run(&format!("SET arq:job:{id} {} PX 86400000", definition(id)));
        server.run(&format!("ZADD arq:queue {score} {id}"));
    }
    server.run("SET arq:retry:w2 1 PX 86400000");
    for (id, good) in [("c1", true), ("f1", false), ("f2", false)] {
        server.run(&format!(
            "SET arq:result:{id} {{\"f\":\"send\",\"a\":[\"{id}\"],\"k\":{{}},\"t\":1,\"et\":1700000000000,\"s\":{good},\"r\":\"r\",\"st\":1700000000001,\"ft\":1700000000002,\"q\":\"arq:queue\"}} PX 86400000"
        ));
    }
}

fn arq_places(server: &TestServer) -> BTreeMap<String, Vec<String>> {
    let mut client = server.client();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let queued: Vec<(String, String)> =
        redis::cmd("ZRANGE").arg("arq:queue").arg(0).arg(-1).arg("WITHSCORES").query(&mut client).unwrap();
    for (id, score) in queued {
        // A worker would fail one without its definition.
        let definition: Option<String> = redis::cmd("GET").arg(format!("arq:job:{id}")).query(&mut client).unwrap();
        let tries: Option<String> = redis::cmd("GET").arg(format!("arq:retry:{id}")).query(&mut client).unwrap();
        places.insert(id, vec!["queued".to_owned(), score, definition.unwrap(), tries.unwrap_or_default()]);
    }
    let results: Vec<String> = redis::cmd("KEYS").arg("arq:result:*").query(&mut client).unwrap();
    for key in results {
        let result: String = redis::cmd("GET").arg(&key).query(&mut client).unwrap();
        let id = key.strip_prefix("arq:result:").unwrap().to_owned();
        assert_eq!(places.insert(id, vec!["ended".to_owned(), result]), None, "{key} has ended and is queued");
    }
    let definitions: Vec<String> = redis::cmd("KEYS").arg("arq:job:*").query(&mut client).unwrap();
    for key in definitions {
        assert!(places.get(&key["arq:job:".len()..]).is_some_and(|found| found[0] == "queued"), "{key} is in no queue");
    }
    places
}

fn arq_rows() -> Vec<Row> {
    vec![
        Row::new("failed", &["f1", "f2"], Change::Retry { reset_attempts: true }),
        Row::new("deferred", &["d1", "d2"], Change::Promote),
        Row::new("waiting", &["w1"], Change::Cancel),
        Row::new("interrupted", &["w2"], REMOVE),
        Row::new("deferred", &["d1", "d2"], REMOVE),
        Row::new("failed", &["f1", "f2"], REMOVE),
        Row::new("complete", &["c1"], REMOVE),
    ]
}

const LIST: &str = "shop_queues:mail";

/// The database of a test's own thread, and one as it is at the beginning.
struct Database {
    folder: TempDir,
}

impl Database {
    fn new() -> Self {
        let database = Self { folder: tempfile::tempdir().unwrap() };
        database.with("fresh", async |connection| {
            connection
                .execute(
                    "CREATE TABLE failed_jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT UNIQUE, connection TEXT, \
                     queue TEXT, payload TEXT, exception TEXT, failed_at DATETIME DEFAULT CURRENT_TIMESTAMP)",
                )
                .await
                .unwrap();
            for uuid in ["f1", "f2", "f3"] {
                let sql = format!(
                    "INSERT INTO failed_jobs (uuid, connection, queue, payload, exception, failed_at) VALUES \
                     ('{uuid}', 'redis', 'mail', '{}', 'boom', '2023-11-14 22:13:20')",
                    payload(uuid)
                );
                connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
            }
        });
        database
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("{name}.sqlite"))
    }

    fn with<T>(&self, name: &str, work: impl AsyncFnOnce(&mut SqliteConnection) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let url = format!("sqlite://{}?mode=rwc", self.path(name).display());
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let found = work(&mut connection).await;
            connection.close().await.unwrap();
            found
        })
    }
}

thread_local! {
    static DATABASE: OnceCell<Database> = const { OnceCell::new() };
}

fn database<T>(work: impl FnOnce(&Database) -> T) -> T {
    DATABASE.with(|cell| work(cell.get_or_init(Database::new)))
}

fn payload(uuid: &str) -> String {
    format!(
        "{{\"uuid\":\"{uuid}\",\"displayName\":\"Send\",\"job\":\"x@call\",\"big\":18446744073709551616,\"maxTries\":3,\"data\":{{}},\"id\":\"{uuid}\",\"attempts\":0}}"
    )
}

fn laravel_described() -> Described {
    let url = database(|database| format!("sqlite://{}", database.path("jobs").display()));
    let application = Application {
        name: "shop".to_owned(),
        prefix: Some("shop_".to_owned()),
        failed: Some(FailedStore { url: Some(url.into()), ..FailedStore::default() }),
        ..Application::default()
    };
    Described { laravel: vec![application], ..Described::default() }
}

/// `w` wait, `d` are delayed, `l` lost their reservation, `f` failed.
fn laravel_seed(server: &TestServer) {
    database(|database| std::fs::copy(database.path("fresh"), database.path("jobs")).unwrap());
    for uuid in ["w1", "w2", "w3"] {
        server.run(&format!("RPUSH {LIST} {}", payload(uuid)));
    }
    for (key, score, uuid) in
        [("delayed", 4_000_000_000_i64, "d1"), ("delayed", 4_000_000_001, "d2"), ("reserved", 1_000, "l1")]
    {
        server.run(&format!("ZADD {LIST}:{key} {score} {}", payload(uuid)));
    }
}

fn laravel_places(server: &TestServer) -> BTreeMap<String, Vec<String>> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut put = |bytes: &str, place: &str| {
        let json: serde_json::Value = serde_json::from_str(bytes).unwrap();
        let uuid = json["uuid"].as_str().unwrap().to_owned();
        let before = places.insert(uuid.clone(), vec![place.to_owned(), bytes.to_owned()]);
        assert_eq!(before, None, "{uuid} stands in two places");
    };
    list(server, LIST).iter().for_each(|item| put(&text(item), "pending"));
    for key in ["delayed", "reserved"] {
        scored(server, &format!("{LIST}:{key}")).iter().for_each(|item| put(&text(item), key));
    }
    let rows = database(|database| {
        database.with("jobs", async |connection| {
            let sql = "SELECT payload, exception || failed_at || id FROM failed_jobs ORDER BY id";
            let rows = sqlx::query(sql).fetch_all(connection).await.unwrap();
            rows.iter().map(|row| (row.get::<String, _>(0), row.get::<String, _>(1))).collect::<Vec<_>>()
        })
    });
    rows.iter().for_each(|(payload, rest)| put(payload, &format!("failed {rest}")));
    places
}

fn laravel_rows() -> Vec<Row> {
    vec![
        Row::new("delayed", &["d1", "d2"], Change::Promote),
        Row::new("reserved", &["l1"], Change::Requeue { end: End::Next, reset_attempts: false }),
        Row::new("delayed", &["d1"], Change::Cancel),
        Row::new("pending", &["w1", "w3"], REMOVE),
        Row::new("reserved", &["l1"], REMOVE),
        Row { by: NO_REDIS, ..Row::new("failed", &["f1", "f2"], REMOVE) },
    ]
}

/// What changes only the database: there is no answer of Redis to lose.
pub const NO_REDIS: &str = "";
