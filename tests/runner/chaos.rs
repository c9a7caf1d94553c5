//! Everything at once: many jobs, runners killed at random, the server restarted. A checker reads what the jobs did, not
//! what the runners say.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use qtop_testkit::{TestServer, signal, wait_until};

use crate::program::Home;

/// Jobs of the whole run.
const JOBS: usize = 10_000;
/// Runs longer than this are a failure of their own.
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn r26_ten_thousand_jobs_survive_killed_runners_and_a_restarted_server() {
    let mut server = TestServer::builder().persistent().args(["--appendfsync", "always"]).start();
    // One long-lived process a runner: a program for each of ten thousand jobs would measure the machine.
    let home = Home::process(
        &server,
        "while read -r line; do id=${line#*'\"id\":\"'}; id=${id%%'\"'*}; echo $id >> $1; echo '{\"id\":\"'$id'\",\"done\":true}'; done",
        "concurrency = 8\nretry = { attempts = 5, base = '100ms' }",
    );
    let mut client = server.client();
    let mut pipe = redis::pipe();
    (0..JOBS).for_each(|n| {
        pipe.lpush("mail", format!("{{\"id\":\"{n}\"}}")).ignore();
    });
    pipe.query::<()>(&mut client).unwrap();
    let start = Instant::now();
    let mut runners: Vec<_> = (0..2).map(|_| home.run()).collect();
    for round in 0..6 {
        std::thread::sleep(Duration::from_millis(700 + 130 * round));
        let at = (round % 2) as usize;
        signal(runners[at].id(), "KILL");
        runners[at].wait().unwrap();
        runners[at] = home.run();
        if round == 3 {
            server.restart();
        }
    }
    wait_until("every job", LIMIT, || home.ran().len() == JOBS);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    wait_until("an empty queue", Duration::from_secs(30), || {
        let keys: Vec<String> = redis::from_redis_value(server.run("KEYS mail*")).unwrap();
        !keys.iter().any(|key| key == "mail" || key == "mail:later" || key.contains("processing"))
    });
    for runner in &mut runners {
        signal(runner.id(), "TERM");
        runner.wait().unwrap();
    }
    let ran: BTreeMap<String, usize> = home.ran();
    assert_eq!(ran.len(), JOBS, "none lost");
    let twice: usize = ran.values().map(|times| times - 1).sum();
    assert!(twice <= 8 * 8, "only jobs in flight at a kill may run again: {twice}");
    assert_eq!(server.int("EXISTS mail:dead"), 0, "{}", fs::read_to_string(home.path().join("log")).unwrap());
}
