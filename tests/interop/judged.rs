//! Counts, lists, jobs, schedules and workers of each version against what the library says.

use qtop::domain::ids::QueueId;
use qtop::domain::job::{Job, PageRequest};
use qtop::domain::queue::{Count, Oldest, QueueSample};
use qtop::domain::state::StateId;
use qtop::domain::time::Timestamp;
use qtop::domain::worker::Liveness;
use qtop::link::Link;
use qtop::systems::System;
use qtop_testkit::TestServer;
use serde_json::Value;

use crate::library::Library;
use crate::view::{self, SYSTEM, Watch};

const STATES: [&str; 7] = ["waiting", "prioritized", "active", "delayed", "waiting-children", "completed", "failed"];

#[tokio::test]
async fn bullmq_6_is_shown_as_the_library_says() {
    judge(6).await;
}

#[tokio::test]
async fn bullmq_5_is_shown_as_the_library_says() {
    judge(5).await;
}

#[tokio::test]
async fn bullmq_4_is_shown_as_the_library_says() {
    judge(4).await;
}

async fn judge(major: u32) {
    let server = TestServer::start();
    // Keys of other programs that look like a queue's at first sight.
    server.run("SET bull:old:id 3");
    server.run("LPUSH bull:old:wait 1 2 3");
    server.run("HSET bull:old-paused:meta paused 1");
    server.run("HSET user:17:meta name ada");
    server.run("SET app:session:id abc");
    let library = Library::populate(major, server.port());
    let link = Link::open(&server.url()).await.unwrap();

    let samples = samples(&link).await;
    let shown: Vec<String> = samples.iter().map(|sample| sample.id.full_address()).collect();
    let expected =
        ["app%3Aprod:mail", "bull:empty", "bull:mail", "bull:parts", "bull:quiet", "bull:swift", "{acme}:{t} *[x]"];
    assert_eq!(shown, expected.map(|address| format!("bullmq@{address}")), "queues of BullMQ and no others");
    for sample in &samples {
        check_queue(&link, major, &library, sample).await;
    }
    check_family(&link, &library).await;
    check_workers(&server, &link, major, &library).await;
    check_search(&link).await;
}

async fn samples(link: &Link) -> Vec<QueueSample> {
    let mut samples = Vec::new();
    for instance in view::discover(link).await {
        let mut watch = Watch::new(instance);
        let first = watch.tick(link).await;
        let mut last = first.clone();
        for _ in 0..5 {
            last = watch.tick(link).await;
        }
        for (first, last) in first.queues.iter().zip(&last.queues) {
            assert_eq!(
                first.counts,
                last.counts,
                "the first look at {} sees what the sixth sees",
                first.id.full_address()
            );
        }
        samples.extend(last.queues);
    }
    samples
}

async fn check_queue(link: &Link, major: u32, library: &Library, sample: &QueueSample) {
    let name = sample.id.full_address();
    let said = library.queue(&sample.id.instance.name.to_text(), &sample.id.name.to_text());
    assert_eq!(sample.error, None, "{name}");
    assert_eq!(sample.conditions.paused, said["paused"].as_bool(), "{name}");
    let version = sample.library_version.as_deref().unwrap_or_default();
    assert!(version.starts_with(&format!("{major}.")), "{name}: version {version}");
    for state in STATES {
        let state = StateId(state);
        let count = said["counts"][state.0].as_u64().unwrap();
        assert_eq!(sample.count(state), Count::Exact(count), "{name} {state}");
        let rows = view::rows(link, &sample.id, state, 2).await;
        let ids: Vec<Value> = rows.iter().map(|row| row.id.to_text().into()).collect();
        assert_eq!(Value::Array(ids), said["lists"][state.0], "{name} {state}, in order");
        for row in rows {
            let id = row.id.to_text();
            let job = view::job(link, &sample.id, &id).await;
            check_job(major, &format!("{name} {id}"), &said["jobs"][&id], &job);
            assert_eq!(row.attempts_max, job.row.attempts_max, "{name} {id}");
            assert_eq!(row.progress, job.row.progress, "{name} {id}");
        }
    }
    check_times(said, sample);
    check_schedules(link, major, said, &sample.id).await;
}

fn check_job(major: u32, name: &str, said: &Value, job: &Job) {
    let row = &job.row;
    assert_eq!(Value::from(row.state.0), said["state"], "{name}: state");
    assert_eq!(row.name.as_deref(), said["name"].as_str(), "{name}: name");
    assert!(row.record_exists, "{name}");
    // The attempt under way is one; 4.x has counted it already, later ones count it when it has ended.
    let under_way = major >= 5 && row.state == StateId("active");
    let attempts = said["attempts"].as_u64().map(|ended| ended + u64::from(under_way));
    assert_eq!(row.attempts_made, attempts, "{name}: attempts made");
    assert_eq!(row.attempts_max, said["attempts_max"].as_u64(), "{name}: attempts allowed");
    assert_eq!(row.priority.unwrap_or(0), said["priority"].as_i64().unwrap(), "{name}: priority");
    assert_eq!(row.created_at, time(&said["timestamp"]), "{name}: created");
    assert_eq!(row.started_at, time(&said["started"]), "{name}: started");
    assert_eq!(row.finished_at, time(&said["finished"]), "{name}: finished");
    assert_eq!(row.worker.as_deref(), said["worker"].as_str(), "{name}: worker");
    assert_eq!(job.error.as_deref(), said["failed_reason"].as_str(), "{name}: error");
    assert_eq!(Value::from(job.stack.clone()), said["stack"], "{name}: stack");
    assert_eq!(Value::from(job.logs.clone()), said["logs"], "{name}: logs");
    assert_eq!(job.parent.as_ref().map(|parent| parent.label.as_str()), said["parent"].as_str(), "{name}: parent");
    if !job.payload.is_cut() {
        let payload: Value = serde_json::from_slice(&job.payload.bytes).unwrap();
        assert_eq!(payload, said["data"], "{name}: payload");
    }
    assert_eq!(row.payload_bytes, Some(job.payload.total), "{name}: size");
    let result = job.result.as_ref().map_or(Value::Null, |result| serde_json::from_slice(&result.bytes).unwrap());
    assert_eq!(result, said["result"], "{name}: result");
    match &said["progress"] {
        Value::Object(_) => {
            let progress = row.progress.as_ref().unwrap();
            assert_eq!((progress.percent, progress.step, progress.total), (Some(50.0), Some(2), Some(4)), "{name}");
            assert_eq!(progress.text.as_deref(), Some("print"), "{name}");
        }
        number => {
            let percent = row.progress.as_ref().and_then(|progress| progress.percent);
            assert_eq!(percent.unwrap_or(0.0), number.as_f64().unwrap(), "{name}: progress");
        }
    }
    if row.state.0 == "active" {
        let lease = row.lease.as_ref().unwrap();
        let left = lease.left.unwrap().as_millis();
        assert!((1..=30_000).contains(&left), "{name}: {left} ms of the lock are left");
        assert!(
            job.keys.iter().any(|fact| fact.key.to_text().ends_with(":lock") && fact.expires_in.is_some()),
            "{name}"
        );
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_i64().map(Timestamp)
}

/// Oldest waiting, next due and last finished, from the jobs the library lists.
fn check_times(said: &Value, sample: &QueueSample) {
    let name = sample.id.full_address();
    let of = |state: &str, field: &str| -> Vec<i64> {
        let ids = said["lists"][state].as_array().unwrap();
        ids.iter().filter_map(|id| said["jobs"][id.as_str().unwrap()][field].as_i64()).collect()
    };
    let heads = ["waiting", "prioritized"].map(|state| of(state, "timestamp").first().copied());
    let oldest = heads.into_iter().flatten().min();
    assert_eq!(sample.oldest, oldest.map_or(Oldest::Nothing, |at| Oldest::Since(Timestamp(at))), "{name}");
    let finished = [of("completed", "finished"), of("failed", "finished")].concat().into_iter().max();
    assert_eq!(sample.last_finished, finished.map(Timestamp), "{name}");
    assert_eq!(sample.next_due.is_some(), !of("delayed", "timestamp").is_empty(), "{name}");
    assert_eq!(sample.overdue, Some(0), "{name}");
    assert_eq!(sample.warnings, [], "{name}");
}

async fn check_schedules(link: &Link, major: u32, said: &Value, queue: &QueueId) {
    let page = SYSTEM.schedules(link, queue, PageRequest { cursor: None, limit: 50 }).await.unwrap();
    let said = said["schedules"].as_array().unwrap();
    assert_eq!(page.rows.len(), said.len());
    for (shown, said) in page.rows.iter().zip(said) {
        assert_eq!(shown.next_run, time(&said["next"]));
        assert_eq!(shown.zone.as_deref(), said["tz"].as_str());
        assert_eq!(shown.name.as_deref(), said["name"].as_str(), "{shown:?}");
        if shown.name.as_deref() == Some("digest") {
            assert_eq!(shown.rule, "0 8 * * *");
        } else {
            assert_eq!(shown.rule, "every 5m");
        }
        assert_eq!(shown.note.is_some(), major == 4, "{shown:?}");
    }
}

async fn check_family(link: &Link, library: &Library) {
    let mail = QueueId::new("bullmq", "bull", "mail");
    let parent = library.said["parent"].as_str().unwrap();
    let job = view::job(link, &mail, parent).await;
    let states = |word: &str| job.children.iter().filter(|child| child.state.as_deref() == Some(word)).count();
    assert_eq!((states("unfinished"), states("processed")), (2, 1), "{:?}", job.children);
    let children: Vec<_> = library.said["children"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    for child in &job.children {
        let target = child.job.as_ref().unwrap();
        assert_eq!(target.queue, QueueId::new("bullmq", "bull", "parts"));
        assert!(children.contains(&target.id.to_text().as_str()), "{child:?}");
    }
    let of_child = view::job(link, &QueueId::new("bullmq", "bull", "parts"), children[0]).await;
    assert_eq!(of_child.parent.unwrap().job.unwrap().id, parent.into());
    let why = SYSTEM.why(link, &mail, Some(&parent.into())).await.unwrap();
    assert_eq!(why[0].code, "waits_for_children", "{why:?}");
    assert!(why[0].text.contains("2 children"), "{why:?}");
}

async fn check_workers(server: &TestServer, link: &Link, major: u32, library: &Library) {
    let text = redis::cmd("CLIENT").arg("LIST").query::<String>(&mut server.client()).unwrap();
    let instance = view::discover(link).await.into_iter().find(|found| found.id.name == "bull".into()).unwrap();
    let workers = SYSTEM.workers(link, &instance, Some(&text)).await.unwrap();
    assert_eq!(workers.len(), 1, "{workers:#?}");
    let worker = &workers[0];
    assert_eq!((worker.state, worker.running.len()), (Liveness::Live, 2), "{worker:?}");
    assert!(worker.host.is_some(), "{worker:?}");
    if major >= 5 {
        assert_eq!(worker.name, "web-1".into());
    }
    let token = library.said["tokens"][0].as_str().unwrap();
    let uuid = token.split(':').next().unwrap();
    let by_locks = SYSTEM.workers(link, &instance, None).await.unwrap();
    assert_eq!(by_locks.len(), 1, "{by_locks:#?}");
    assert!(by_locks[0].name == "web-1".into() || by_locks[0].name == uuid.into(), "{by_locks:?}");

    // The overview counts workers from the names of clients.
    let mut watch = Watch::new(instance);
    let names = text.lines().filter_map(|line| line.split(' ').find_map(|part| part.strip_prefix("name=")));
    watch.memo.client_names = Some(names.map(Into::into).collect());
    let sample = watch.tick(link).await;
    let alive: Vec<_> = sample.queues.iter().map(|queue| (queue.id.name.to_text(), queue.workers.alive)).collect();
    assert!(alive.contains(&("mail".to_owned(), Some(1))), "{alive:?}");
    assert!(alive.contains(&("quiet".to_owned(), Some(0))), "{alive:?}");
}

async fn check_search(link: &Link) {
    let mail = QueueId::new("bullmq", "bull", "mail");
    let found = async |state: &'static str, text: &str, payload_bytes: u64| {
        let search = qtop::domain::job::Search { text: text.to_owned(), payload_bytes };
        let page = PageRequest { cursor: None, limit: 100 };
        let step = SYSTEM.search(link, &mail, StateId(state), &search, page).await.unwrap();
        assert_eq!((Some(step.scanned), step.next), (step.total, None));
        step.hits.len()
    };
    assert_eq!(found("completed", "ADA@example", 0).await, 0);
    assert_eq!(found("completed", "ADA@example", 10_000).await, 1);
    assert_eq!(found("completed", "report-a", 0).await, 1);
    assert_eq!(found("failed", "mailbox", 0).await, 2);
    assert_eq!(found("waiting", "later", 0).await, 6);
}
