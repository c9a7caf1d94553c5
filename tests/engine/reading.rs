use std::time::Duration;

use qtop::domain::fetch::{FetchError, Fetched, Request};
use qtop::domain::ids::{JobRef, Ticket};
use qtop::domain::job::PageRequest;
use qtop::domain::state::StateId;
use qtop::engine::fetcher::Ask;
use qtop_testkit::{Proxy, TestServer};

use crate::{LIMIT, Running, config, queue, queues, run};

/// Three queues: `a` with two running jobs, `b` with three failures, `c` with scheduled jobs.
fn filled() -> TestServer {
    let server = TestServer::start();
    for name in ["a", "b", "c"] {
        server.run(&format!("HSET tiny:t:{name}:meta added 0 finished 0"));
    }
    server.run("RPUSH tiny:t:a:active 1|video||300 2|video||100");
    server.run("RPUSH tiny:t:b:active 3|mail||200");
    server.run("RPUSH tiny:t:b:failed 4|mail|timeout-after-5ms|100 5|mail|timeout-after-9ms|300 6|pdf|disk-full|200");
    server.run("RPUSH tiny:t:c:delayed 7|x||900 8|x||800");
    server
}

async fn ask(engine: &mut Running, request: Request) -> Result<Fetched, FetchError> {
    let ticket = Ticket(engine.handles.snapshots.borrow().seq);
    engine.handles.asks.send(Ask::Fetch { ticket, slot: 1, request }).await.expect("the fetcher runs");
    let answer = tokio::time::timeout(LIMIT, engine.handles.answers.recv()).await.expect("an answer in time");
    let answer = answer.expect("the fetcher runs");
    assert_eq!((answer.ticket, answer.slot), (ticket, 1));
    answer.result
}

async fn ready(url: &str) -> Running {
    let mut engine = run(config(url));
    engine.wait_for("all queues", |s| queues(s) == 3 && s.discovery.passes > 0).await;
    engine
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_jobs_of_all_queues_come_together_the_longest_first() {
    let server = filled();
    let mut engine = ready(&server.url()).await;
    let Ok(Fetched::Running(found)) = ask(&mut engine, Request::Running { limit: 100 }).await else { panic!("rows") };
    let ids: Vec<_> = found.rows.iter().map(|queued| queued.row.id.to_text()).collect();
    assert_eq!(ids, ["2", "3", "1"]);
    assert_eq!((found.total, found.failed.len()), (Some(3), 0));
    let Ok(Fetched::Running(found)) = ask(&mut engine, Request::Running { limit: 1 }).await else { panic!("rows") };
    assert_eq!((found.rows.len(), found.total), (1, Some(3)), "a cut list says how many there are");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_grouped_and_a_broken_queue_is_told_beside_the_rest() {
    let server = filled();
    let mut engine = ready(&server.url()).await;
    let Ok(Fetched::Failures(report)) = ask(&mut engine, Request::Failures { window: 100 }).await else {
        panic!("a report")
    };
    assert_eq!((report.looked_at, report.total, report.groups.len()), (3, Some(3), 2));
    assert_eq!(report.groups[0].count, 2);
    assert_eq!(report.groups[0].sample, JobRef { queue: queue("b"), id: "5".into() }, "the newest");
    // A key of the wrong type makes reading fail while the last count still says that something is there.
    engine.handles.pace.send_modify(|pace| pace.paused = true);
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.run("SET tiny:t:b:failed x");
    let Ok(Fetched::Failures(report)) = ask(&mut engine, Request::Failures { window: 100 }).await else {
        panic!("a report")
    };
    let (id, reason) = report.failed.first().expect("one queue could not be read");
    assert!(*id == queue("b") && reason.contains("WRONGTYPE"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scheduled_jobs_come_soonest_first_and_ids_are_found_anywhere() {
    let server = filled();
    let mut engine = ready(&server.url()).await;
    let Ok(Fetched::Scheduled(found)) = ask(&mut engine, Request::Scheduled { limit: 10 }).await else {
        panic!("rows")
    };
    let times: Vec<_> = found.rows.iter().filter_map(|row| row.next_run()).map(|at| at.0).collect();
    assert_eq!((times, found.total), (vec![800, 900], Some(2)));
    let page = PageRequest { cursor: None, limit: 1 };
    let jobs = Request::Jobs { queue: queue("b"), state: StateId("failed"), page };
    let Ok(Fetched::Jobs(page)) = ask(&mut engine, jobs).await else { panic!("a page") };
    assert_eq!((page.rows.len(), page.total, page.next.is_some()), (1, Some(3), true));
    let job = Request::Job { job: JobRef { queue: queue("b"), id: "6".into() }, payload_limit: 10 };
    let Ok(Fetched::Job(Some(job))) = ask(&mut engine, job).await else { panic!("a job") };
    assert_eq!(job.row.error.as_deref(), Some("disk-full"));
    let Ok(Fetched::Find(found)) = ask(&mut engine, Request::Find { id: "8".into() }).await else { panic!("rows") };
    let places: Vec<_> = found.iter().map(|queued| (queued.queue.clone(), queued.row.state)).collect();
    assert_eq!(places, [(queue("c"), StateId("delayed"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_tells_what_the_tick_knows_when_the_adapter_finds_nothing() {
    let server = filled();
    server.run("RPUSH tiny:t:c:waiting 9");
    server.run("HSET tiny:t:c:meta paused 1");
    let mut engine = ready(&server.url()).await;
    let Ok(Fetched::Why(reasons)) = ask(&mut engine, Request::Why { queue: queue("a"), job: None }).await else {
        panic!("reasons")
    };
    assert_eq!(reasons[0].code, "fine");
    let Ok(Fetched::Why(reasons)) = ask(&mut engine, Request::Why { queue: queue("c"), job: None }).await else {
        panic!("reasons")
    };
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code).collect();
    assert_eq!(codes, ["paused_with_backlog"], "and no longer that all is fine");
    assert!(reasons[0].evidence.contains("waiting 1") && reasons[0].remedy.is_some(), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p8_the_list_of_clients_is_asked_by_the_workers_view_only_and_once_in_a_while() {
    let server = filled();
    let proxy = Proxy::start(server.port());
    let mut engine = ready(&proxy.url()).await;
    let asked = || proxy.sent().iter().filter(|sent| sent.text().to_uppercase().starts_with("CLIENT LIST")).count();
    ask(&mut engine, Request::Failures { window: 10 }).await.expect("an answer");
    ask(&mut engine, Request::Why { queue: queue("a"), job: None }).await.expect("an answer");
    assert_eq!(asked(), 0);
    let worker = redis::Client::open(server.url()).expect("a URL");
    let mut worker = worker.get_connection().expect("a connection");
    redis::cmd("CLIENT").arg("SETNAME").arg("tiny-worker").query::<()>(&mut worker).expect("a name");
    for _ in 0..3 {
        let Ok(Fetched::Workers(report)) = ask(&mut engine, Request::Workers { confirmed: false }).await else {
            panic!("a report")
        };
        assert_eq!((report.workers.len(), report.notes.len()), (1, 0));
    }
    assert_eq!(asked(), 1, "at most every 30 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p8_signs_of_runners_cost_one_turn_and_only_the_workers_view() {
    let server = filled();
    let sign = r#"{"name":"box-1","host":"box","pid":7,"pools":[{"queue":"tiny@t:a","worker":"box-1-aa","concurrency":5,"active":3}]}"#;
    let (seconds, _): (i64, i64) = redis::cmd("TIME").query(&mut server.client()).expect("the time");
    redis::cmd("ZADD").arg("qtop:runners").arg(seconds * 1000).arg(sign).exec(&mut server.client()).expect("a sign");
    let proxy = Proxy::start(server.port());
    let mut engine = ready(&proxy.url()).await;
    let before = server.digest();
    let asked = || proxy.sent().into_iter().filter(|sent| sent.text().contains("qtop:runner")).collect::<Vec<_>>();
    for request in [Request::Failures { window: 10 }, Request::Running { limit: 10 }, Request::Scheduled { limit: 10 }]
    {
        ask(&mut engine, request).await.expect("an answer");
    }
    assert_eq!(asked(), []);
    // The first look asks for the list of clients as well.
    ask(&mut engine, Request::Workers { confirmed: false }).await.expect("an answer");
    let connection = asked()[0].connection;
    proxy.clear();
    let Ok(Fetched::Workers(report)) = ask(&mut engine, Request::Workers { confirmed: false }).await else {
        panic!("a report")
    };
    assert_eq!((asked().len(), proxy.traffic().turns_by_connection.get(&connection)), (1, Some(&1)));
    let runner = report.workers.iter().find(|worker| worker.name == "box-1-aa".into()).expect("its row");
    assert_eq!((runner.host.as_deref(), runner.slots().as_deref()), (Some("box"), Some("3/5")));
    assert_eq!(server.digest(), before, "looking changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s20_a_refused_client_list_is_a_note() {
    let server = filled();
    server.run("ACL SETUSER watcher on >pw allkeys -@all +@read +info +time +ping");
    let url = server.url().replace("redis://", "redis://watcher:pw@");
    let mut engine = ready(&url).await;
    let Ok(Fetched::Workers(report)) = ask(&mut engine, Request::Workers { confirmed: false }).await else {
        panic!("a report")
    };
    assert!(report.notes[0].contains("+client|list"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_read_of_a_slot_wins() {
    let server = filled();
    let proxy = Proxy::start(server.port());
    let mut engine = ready(&proxy.url()).await;
    ask(&mut engine, Request::Running { limit: 1 }).await.expect("the connection is made");
    proxy.delay(Duration::from_millis(150));
    for number in 1..=5 {
        let page = PageRequest { cursor: None, limit: 10 };
        let request = Request::Jobs { queue: queue("b"), state: StateId("failed"), page };
        let ask = Ask::Fetch { ticket: Ticket(number), slot: 7, request };
        engine.handles.asks.send(ask).await.expect("the fetcher runs");
    }
    let answer = tokio::time::timeout(LIMIT, engine.handles.answers.recv()).await.expect("in time").expect("an answer");
    assert_eq!(answer.ticket, Ticket(5));
    let more = tokio::time::timeout(Duration::from_millis(600), engine.handles.answers.recv()).await;
    assert!(more.is_err(), "older reads were given up: {more:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_read_does_not_hold_up_the_ticks_and_a_lost_connection_is_made_anew() {
    let mut server = TestServer::builder().persistent().start();
    for name in ["a", "b", "c"] {
        server.run(&format!("HSET tiny:t:{name}:meta added 0 finished 0"));
    }
    let mut engine = ready(&server.url()).await;
    ask(&mut engine, Request::Running { limit: 1 }).await.expect("the connection is made");
    server.stop();
    let error = ask(&mut engine, Request::Find { id: "1".into() }).await;
    let page = PageRequest { cursor: None, limit: 1 };
    let jobs = Request::Jobs { queue: queue("a"), state: StateId("failed"), page };
    let failure = ask(&mut engine, jobs.clone()).await.expect_err("the server is gone");
    assert!(failure.text.contains("refused") || failure.text.contains("lost"), "{failure:?} after {error:?}");
    server.restart();
    ask(&mut engine, jobs).await.expect("the fetcher connects again by itself");
}
