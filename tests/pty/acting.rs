//! Changing a queue on the real program: keys in, the state of a real server out.

use qtop_testkit::{Terminal, TestServer, wait_until};

use super::{LIMIT, qtop, seeded};

fn failed(server: &TestServer, queue: &str) -> i64 {
    server.int(&format!("ZCARD bull:{queue}:failed"))
}

/// Opens `mail` at its failed jobs.
fn at_failed(server: &TestServer) -> Terminal {
    let mut terminal = qtop(&server.url()).spawn();
    terminal.wait_for_text("mail", LIMIT);
    terminal.wait_for_text("reports", LIMIT);
    terminal.send("\r");
    terminal.wait_for_text("Completed", LIMIT);
    terminal.wait_for_text("ConnectTimeout", LIMIT);
    terminal
}

#[test]
fn a_job_is_retried_deleted_and_put_back() {
    let server = seeded();
    let mut terminal = at_failed(&server);
    terminal.send("r");
    terminal.wait_for_text("Yes (type y)", LIMIT);
    // Enter is no.
    terminal.send("\r");
    terminal.wait_for("the list", LIMIT, |screen| !screen.contents().contains("Yes (type y)"));
    assert_eq!(failed(&server, "mail"), 10);
    terminal.send("r");
    terminal.wait_for_text("Yes (type y)", LIMIT);
    terminal.send("y");
    wait_until("one failed job less", LIMIT, || failed(&server, "mail") == 9);
    terminal.wait_for_text("1 done", LIMIT);
    assert_eq!(server.int("LLEN bull:mail:wait"), 1);

    let before = server.run("HGETALL bull:mail:38");
    terminal.send("   D");
    terminal.wait_for_text("Delete 3 failed jobs", LIMIT);
    terminal.send("y");
    wait_until("three more less", LIMIT, || failed(&server, "mail") == 6);
    terminal.wait_for_text("undoes it", LIMIT);
    terminal.send("z");
    terminal.wait_for_text("Undo: remove", LIMIT);
    terminal.send("y");
    wait_until("them back", LIMIT, || failed(&server, "mail") == 9);
    assert_eq!(server.run("HGETALL bull:mail:38"), before);
}

#[test]
fn u21_two_people_see_what_the_other_does_within_a_refresh() {
    let server = seeded();
    let mut one = at_failed(&server);
    let mut other = at_failed(&server);
    other.send("D");
    other.wait_for_text("Delete failed job", LIMIT);
    one.send("R");
    one.wait_for_text("Retry 10 failed jobs", LIMIT);
    one.send("y");
    wait_until("no failed job", LIMIT, || failed(&server, "mail") == 0);
    // The open question says that its job is another by now, and a yes is refused by the server.
    other.wait_for_text("meanwhile", LIMIT);
    other.send("y");
    other.wait_for_text("refused", LIMIT);
    assert_eq!(server.int("LLEN bull:mail:wait"), 10);
}

#[test]
fn a_payload_is_edited_and_retried() {
    let server = seeded();
    let editor = tempfile::tempdir().expect("a temporary folder can be made");
    let script = editor.path().join("edit.sh");
    std::fs::write(&script, "#!/bin/sh\nprintf '{\"n\": 1e400}' > \"$1\"\n").expect("the script can be written");
    let program = format!("sh {}", script.display());
    let mut terminal = qtop(&server.url()).env("EDITOR", &program).spawn();
    terminal.wait_for_text("reports", LIMIT);
    terminal.send("\r");
    terminal.wait_for_text("ConnectTimeout", LIMIT);
    terminal.send("E");
    terminal.wait_for_text("Replace the payload of", LIMIT);
    terminal.send("y");
    wait_until("the retried job", LIMIT, || server.int("LLEN bull:mail:wait") == 1);
    let data: String =
        redis::cmd("HGET").arg("bull:mail:40").arg("data").query(&mut server.client()).expect("it is there");
    assert_eq!(data, "{\"n\": 1e400}");
}

#[test]
fn s13_a_queue_goes_only_by_its_name_and_comes_back() {
    let server = seeded();
    let mut terminal = at_failed(&server);
    let keys = server.int("DBSIZE");
    terminal.send("X");
    terminal.wait_for_text("Delete this queue with everything", LIMIT);
    terminal.send("G\r");
    terminal.wait_for_text("type mail for yes", LIMIT);
    terminal.send("y\r");
    terminal.wait_for_text("nothing was done", LIMIT);
    assert_eq!(server.int("DBSIZE"), keys);
    terminal.send("\x7fmail\r");
    wait_until("an empty queue", LIMIT, || server.int("EXISTS bull:mail:meta bull:mail:failed bull:mail:40") == 0);
    terminal.send("\x1b\x1b");
    terminal.wait_for_text("reports", LIMIT);
    terminal.send("z");
    terminal.wait_for_text("Undo", LIMIT);
    terminal.send("y");
    wait_until("all of it back", LIMIT, || {
        server.int("EXISTS bull:mail:failed bull:mail:completed bull:mail:meta bull:mail:1 bull:mail:40") == 5
    });
    terminal.wait_for_text("mail", LIMIT);
    assert!(terminal.is_running());
}
