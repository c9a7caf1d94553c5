//! Working on a plain list whose keys, rights or neighbours are not as they should be: no item is lost, doubled or jumps
//! the queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use qtop::domain::described::Described;
use qtop::domain::runner::{PoolState, PoolView};
use qtop::engine::runner::work::{Ending, Failure};
use qtop_testkit::{TestServer, wait_until};

use crate::bench::{Bench, Job, LIST, Notes, begin, begin_with, forget_signs, noting, runner, slow};
use crate::lists::fill;

/// The list of the bench with more lines of its table.
fn list(more: &str) -> Described {
    Described { lists: vec![toml::from_str(&format!("{LIST}\n{more}")).unwrap()], ..Described::default() }
}

/// The same with one line replaced.
fn list_with(old: &str, new: &str) -> Described {
    let text = LIST.replace(old, new);
    assert_ne!(text, LIST, "{old} is a line of the description");
    Described { lists: vec![toml::from_str(&text).unwrap()], ..Described::default() }
}

/// A handler that notes the job's data, takes so long, and fails or succeeds.
fn ending_after(notes: &Notes, span: Duration, fails: bool) -> Arc<Job> {
    let notes = notes.clone();
    Arc::new(move |work, _| {
        notes.add(String::from_utf8_lossy(&work.payload));
        Box::pin(async move {
            tokio::time::sleep(span).await;
            match fails {
                true => Ending::Retry { failure: Failure::new("no route"), after: None },
                false => Ending::Done { result: None },
            }
        })
    })
}

fn push(server: &TestServer, key: &str, items: &[&str]) {
    redis::cmd("LPUSH").arg(key).arg(items).exec(&mut server.client()).unwrap();
}

fn running(count: usize) -> impl Fn(&PoolView) -> bool {
    move |pool| pool.slots.len() == count
}

fn processing(server: &TestServer) -> i64 {
    let lists: Vec<String> = redis::from_redis_value(server.run("KEYS mail:processing:*")).unwrap();
    lists.iter().map(|list| server.int(&format!("LLEN {list}"))).sum()
}

#[test]
fn r12_an_outcome_waits_while_the_key_it_belongs_into_is_of_another_kind() {
    // The key that is wrong, the verdict that needs it, and where the item must be in the end.
    let rows = [
        ("mail:dead", true, "retry = { attempts = 1 }", "LLEN mail:dead"),
        ("mail:later", true, "retry = { attempts = 2, base = '60s' }", "ZCARD mail:later"),
        ("mail:finished", false, "", "GET mail:finished"),
        ("mail:failed", true, "retry = { attempts = 1 }", "GET mail:failed"),
    ];
    for (key, fails, pool, end) in rows {
        let server = TestServer::start();
        fill(&server, 1);
        let notes = Notes::default();
        let described = list("counters = { finished = 'mail:finished', failed = 'mail:failed' }");
        let job = ending_after(&notes, Duration::from_millis(400), fails);
        let bench = begin_with(&server.url(), runner(pool), job, &described).unwrap();
        bench.until_pool("a running job", running(1));
        server.run(&format!("SET {key} many"));
        bench.until_pool("an outcome that waits", |pool| pool.slots.iter().any(|slot| slot.storing));
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(processing(&server), 1, "{key}: the item is where it was");
        let counts = bench.view().pools[0].counts;
        assert_eq!((counts.lost, counts.done, counts.failed), (0, 0, 0), "{key}: nothing is said to be over");
        server.run(&format!("DEL {key}"));
        wait_until(&format!("the outcome in {key}"), Duration::from_secs(10), || processing(&server) == 0);
        assert_eq!(server.int(end), 1, "{key}");
        bench.until_pool("its count", |pool| pool.counts.done + pool.counts.failed + pool.counts.retried == 1);
        assert_eq!(notes.all().len(), 1, "{key}: it ran once");
        bench.stop();
    }
}

#[test]
fn nothing_is_taken_while_a_described_key_is_of_another_kind_and_the_pool_says_which() {
    for key in ["mail:dead", "mail:later", "mail:finished", "mail"] {
        let server = TestServer::start();
        server.run(&format!("SET {key} many"));
        if key != "mail" {
            fill(&server, 2);
        }
        let notes = Notes::default();
        let described = list("counters = { finished = 'mail:finished' }");
        let bench = begin_with(&server.url(), runner(""), noting(&notes), &described).unwrap();
        bench.until_pool("trouble", |pool| pool.note.as_ref().is_some_and(|note| note.contains(&format!("{key} "))));
        assert!(notes.all().is_empty(), "{key}");
        server.run(&format!("DEL {key}"));
        fill(&server, 1);
        wait_until("jobs", Duration::from_secs(10), || !notes.all().is_empty());
        bench.stop();
    }
}

#[test]
fn r2_identical_items_that_wait_for_another_attempt_stay_two() {
    for (items, pool) in [(["ping", "ping"], 2), (["{\"id\":\"1\"}", "{\"id\":\"1\"}"], 2)] {
        let server = TestServer::start();
        push(&server, "mail", &items);
        let notes = Notes::default();
        let config = runner(&format!("concurrency = {pool}\nretry = {{ attempts = 2, backoff = ['400ms'] }}"));
        let bench = begin(&server.url(), config, ending_after(&notes, Duration::from_millis(300), true)).unwrap();
        wait_until("both among the dead", Duration::from_secs(10), || server.int("LLEN mail:dead") == 2);
        assert_eq!(notes.all().len(), 4, "two attempts each: {:?}", notes.all());
        bench.stop();
        let left: Vec<String> = redis::from_redis_value(server.run("KEYS *")).unwrap();
        assert_eq!(left, ["mail:dead"], "nothing else stays behind");
    }
}

#[test]
fn r6_runners_that_all_lived_through_an_outage_take_nothing_from_each_other() {
    let server = TestServer::start();
    fill(&server, 2);
    let notes = Notes::default();
    let begin = || {
        let mut config = runner("");
        config.lease = Duration::from_secs(8);
        begin(&server.url(), config, slow(&notes, Duration::from_secs(60))).unwrap()
    };
    let benches = [begin(), begin()];
    wait_until("two running", Duration::from_secs(10), || notes.all().len() == 2);
    // Twice: a job that two workers seem to have died with would be given up.
    for _ in 0..2 {
        forget_signs(&server, "mail:qtop:");
        std::thread::sleep(Duration::from_secs(4));
    }
    assert_eq!(notes.all().len(), 2, "each ran once: {:?}", notes.all());
    assert_eq!((server.int("LLEN mail"), processing(&server)), (0, 2));
    for bench in benches {
        assert_eq!(bench.view().pools[0].counts.lost, 0);
        bench.handle.hurry.cancel();
        bench.handle.join().unwrap();
    }
}

/// Items that are ids, with their records at `app:job:ID`.
fn ids() -> Described {
    list("item = 'id'\nrecord = { key = 'app:job:{id}' }")
}

/// A server with three such items whose user `worker` may see the list, not the records.
fn without_records(rights: &str) -> (TestServer, String) {
    let server = TestServer::start();
    for id in ["a", "b", "c"] {
        server.run(&format!("SET app:job:{id} of-{id}"));
        push(&server, "mail", &[id]);
    }
    server.run(&format!("ACL SETUSER worker on >secret ~mail* ~qtop:* &* +@all {rights}"));
    let url = server.url().replace("redis://", "redis://worker:secret@");
    (server, url)
}

fn troubled(bench: &Bench, word: &str) {
    bench.until_pool("trouble", |pool| pool.note.as_ref().is_some_and(|note| note.contains(word)));
}

#[test]
fn r11_records_that_may_not_be_read_give_no_job_up() {
    let (server, url) = without_records("");
    let notes = Notes::default();
    let bench = begin_with(&url, runner("concurrency = 2"), noting(&notes), &ids()).unwrap();
    troubled(&bench, "app:job:");
    std::thread::sleep(Duration::from_secs(1));
    let order = || redis::from_redis_value::<Vec<String>>(server.run("LRANGE mail 0 -1")).unwrap();
    wait_until("all of them in their order", Duration::from_secs(10), || order() == ["c", "b", "a"]);
    assert_eq!(server.int("LLEN mail:dead"), 0);
    server.run("ACL SETUSER worker ~app:*");
    wait_until("all three", Duration::from_secs(10), || notes.all().len() == 3);
    // What can never be read is given up.
    server.run("RPUSH app:job:list x");
    push(&server, "mail", &["list", "gone"]);
    wait_until("two dead", Duration::from_secs(10), || server.int("LLEN mail:dead") == 2);
    bench.stop();
}

#[test]
fn r11_items_that_can_neither_be_read_nor_put_back_are_found_again() {
    let (server, url) = without_records("-lrem");
    let notes = Notes::default();
    let bench = begin_with(&url, runner("concurrency = 2"), noting(&notes), &ids()).unwrap();
    wait_until("items out of reach", Duration::from_secs(10), || processing(&server) > 0);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(server.int("LLEN mail") + processing(&server), 3);
    server.run("ACL SETUSER worker ~app:* +lrem");
    wait_until("all three", Duration::from_secs(15), || notes.all().len() == 3);
    bench.until_pool("three results", |pool| pool.counts.done == 3);
    bench.stop();
    assert_eq!(server.int("LLEN mail:dead"), 0);
}

#[test]
fn a_queue_that_the_application_has_paused_is_left_alone() {
    for (described, set) in
        [("pause = { key = 'stop' }", "SET stop 0"), ("pause = { key = 'stop', value = 'yes' }", "SET stop yes")]
    {
        let server = TestServer::start();
        server.run(set);
        fill(&server, 4);
        let notes = Notes::default();
        let job = slow(&notes, Duration::from_millis(500));
        let bench = begin_with(&server.url(), runner(""), job, &list(described)).unwrap();
        bench.until_pool("a pool that holds", |pool| pool.state == PoolState::Holding);
        let note = bench.view().pools[0].note.clone().unwrap_or_default();
        assert!(note.contains("the application has paused the queue"), "{note}");
        assert!(notes.all().is_empty());
        server.run("DEL stop");
        let start = Instant::now();
        wait_until("a job", Duration::from_secs(5), || notes.all().len() == 1);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        // The outcome of the one that runs takes no other with it.
        server.run(set);
        bench.until_pool("its end", |pool| pool.counts.done == 1 && pool.slots.is_empty());
        assert_eq!(server.int("LLEN mail"), 3);
        server.run("DEL stop");
        bench.until_pool("all of them", |pool| pool.counts.done == 4);
        // Nor does a wait that began before.
        std::thread::sleep(Duration::from_millis(300));
        server.run(set);
        push(&server, "mail", &["{\"id\":\"late\"}"]);
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!((notes.all().len(), server.int("LLEN mail")), (4, 1));
        server.run("DEL stop");
        bench.until_pool("the last", |pool| pool.counts.done == 5);
        bench.stop();
    }
}

/// Two lists, the first the more urgent.
fn two_lists() -> Described {
    list_with("key = \"mail\"\n", "key = [\"mail\", \"mail:low\"]\n")
}

#[test]
fn what_comes_back_goes_into_the_list_it_came_from() {
    let server = TestServer::start();
    push(&server, "mail:low", &["low"]);
    let notes = Notes::default();
    let mut config = runner("");
    config.grace = Duration::from_millis(100);
    let bench = begin_with(&server.url(), config, slow(&notes, Duration::from_secs(60)), &two_lists()).unwrap();
    bench.until_pool("a running job", running(1));
    assert_eq!(bench.stop().cut, 1);
    assert_eq!((server.int("LLEN mail"), server.int("LLEN mail:low")), (0, 1), "put back at the end");
    // What a runner held that has died meanwhile: it noted where it took it from.
    let script = "redis.call('LMOVE', 'mail:low', 'mail:processing:gone', 'RIGHT', 'LEFT') \
                  redis.call('HSET', 'mail:qtop:facts', 'l' .. redis.sha1hex('low'), 'mail:low') \
                  redis.call('SET', 'stop', 1) return redis.call('ZADD', 'mail:qtop:runners', 1000, 'gone')";
    redis::cmd("EVAL").arg(script).arg(0).exec(&mut server.client()).unwrap();
    let mut paused = two_lists();
    paused.lists[0].pause = Some(toml::from_str("key = 'stop'").unwrap());
    let bench = begin_with(&server.url(), runner(""), noting(&notes), &paused).unwrap();
    wait_until("what the dead held", Duration::from_secs(10), || server.int("LLEN mail:low") == 1);
    assert_eq!(server.int("LLEN mail"), 0);
    bench.stop();
}

#[test]
fn what_waited_for_another_attempt_goes_into_the_list_it_came_from() {
    let server = TestServer::start();
    push(&server, "mail:low", &["low"]);
    let notes = Notes::default();
    let seen = notes.clone();
    let job: Arc<Job> = Arc::new(move |work, _| {
        let data = String::from_utf8_lossy(&work.payload).into_owned();
        let fails = data == "low" && work.attempt == 1;
        seen.add(data);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(if fails { 0 } else { 200 })).await;
            match fails {
                true => Ending::Retry { failure: Failure::new("no route"), after: None },
                false => Ending::Done { result: None },
            }
        })
    });
    let pool = runner("retry = { attempts = 2, backoff = ['500ms'] }");
    let bench = begin_with(&server.url(), pool, job, &two_lists()).unwrap();
    wait_until("its failure", Duration::from_secs(10), || server.int("ZCARD mail:later") == 1);
    push(&server, "mail:low", &["second"]);
    push(&server, "mail", &["1", "2", "3", "4", "5"]);
    bench.until_pool("the end", |pool| pool.counts.done == 7);
    let ran = notes.all();
    // Which of the first two the blocking read brings is left to chance.
    assert_eq!(ran.last().map(String::as_str), Some("low"), "{ran:?}");
    bench.stop();
}
