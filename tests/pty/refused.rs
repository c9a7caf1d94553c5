//! What a person is told on the screen when the server does not take a change: the reason, what to do, and nothing half
//! done.

use qtop_testkit::{Terminal, TestServer, wait_until};

use super::{LIMIT, qtop, seed, seeded};

fn at_failed(url: &str) -> Terminal {
    let mut terminal = qtop(url).spawn();
    terminal.wait_for_text("mail", LIMIT);
    terminal.wait_for_text("reports", LIMIT);
    terminal.send("\r");
    terminal.wait_for_text("ConnectTimeout", LIMIT);
    terminal
}

#[test]
fn s20_a_user_without_permission_is_told_which_rule_is_missing() {
    let server = seeded();
    server.run("ACL SETUSER op on >pw ~* &* +@all -lpush -rpush");
    let mut terminal = at_failed(&server.url().replace("redis://", "redis://op:pw@"));
    let before = server.digest();
    terminal.send("r");
    terminal.wait_for_text("Yes (type y)", LIMIT);
    terminal.send("y");
    terminal.wait_for("why not", LIMIT, |screen| {
        screen.contents().contains("NOPERM") && screen.contents().contains("ACL GETUSER")
    });
    assert_eq!(server.digest(), before);
}

#[test]
fn r11_a_replica_takes_no_question_and_says_where_to_go() {
    let primary = seeded();
    let replica = TestServer::builder().args(["--replicaof", "127.0.0.1", &primary.port().to_string()]).start();
    wait_until("the replica to have everything", LIMIT, || replica.int("DBSIZE") == primary.int("DBSIZE"));
    let mut terminal = at_failed(&replica.url());
    for key in ["r", "D", "R"] {
        terminal.send(key);
        terminal.wait_for_text("connect to its primary", LIMIT);
        assert!(!terminal.text().contains("Yes (type y)"), "{}", terminal.text());
    }
}

#[test]
fn r11_a_full_server_is_told_with_what_to_do_and_nothing_is_lost() {
    let server = seeded();
    let mut terminal = at_failed(&server.url());
    server.run("CONFIG SET maxmemory 1");
    server.run("CONFIG SET maxmemory-policy noeviction");
    let before = server.digest();
    terminal.send(":job.duplicate\r");
    terminal.wait_for_text("Yes (type y)", LIMIT);
    terminal.send("y");
    terminal.wait_for("why not", LIMIT, |screen| {
        screen.contents().contains("OOM") && screen.contents().contains("maxmemory")
    });
    assert_eq!(server.digest(), before);
}

#[test]
fn r10_a_retry_pressed_twice_and_on_two_terminals_queues_the_job_once() {
    let server = seeded();
    let mut one = at_failed(&server.url());
    let mut other = at_failed(&server.url());
    // Both ask about the same job, and both say yes; each presses everything twice.
    one.send("r");
    other.send("r");
    one.wait_for_text("Retry failed job 40", LIMIT);
    other.wait_for_text("Retry failed job 40", LIMIT);
    one.send("yryry");
    other.send("yryry");
    let moved = || server.int("LLEN bull:mail:wait") + server.int("ZCARD bull:mail:failed");
    wait_until("both to have ended", LIMIT, || {
        let done = |terminal: &Terminal| {
            let text = terminal.text();
            text.contains("1 done") || text.contains("refused")
        };
        done(&one) && done(&other)
    });
    assert_eq!(moved(), 10, "each job stands in one place");
    let waiting: Vec<String> =
        redis::cmd("LRANGE").arg("bull:mail:wait").arg(0).arg(-1).query(&mut server.client()).expect("a list");
    let mut once = waiting.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), waiting.len(), "{waiting:?}");
    assert!(waiting.iter().any(|id| id == "40"), "{waiting:?}");
}

#[test]
fn r23_a_queue_of_an_unknown_library_is_changed_by_typing_the_word_for_it() {
    let server = TestServer::start();
    seed(&server);
    server.run("HSET bull:mail:meta version bullmq:9.1.0");
    let mut terminal = at_failed(&server.url());
    terminal.send("r");
    terminal.wait_for_text("type mail --force for yes", LIMIT);
    terminal.send("y\r");
    terminal.wait_for_text("nothing was done", LIMIT);
    assert_eq!(server.int("LLEN bull:mail:wait"), 0);
    terminal.send("\x7fmail --force\r");
    wait_until("the job to wait", LIMIT, || server.int("LLEN bull:mail:wait") == 1);
}
