//! `qtop edit` with an editor as people have them.

use qtop_testkit::TestServer;

use crate::command_line::Shell;
use crate::scenes::bullmq;

/// Runs `qtop edit` with an editor that does this to its file, named `$1`.
fn edit(shell: &Shell, script: &str) -> (Option<i32>, String) {
    let path = shell.home.path().join("editor.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    let mut command = shell.command(&["edit", "mail", "f1", "--yes"]);
    let output = command.env("EDITOR", format!("sh {}", path.display())).output().unwrap();
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn r22_the_end_of_line_that_an_editor_adds_is_no_change() {
    let server = TestServer::start();
    bullmq(&server, "6.7.0");
    let shell = Shell::at(&server.url());
    let before = server.digest();
    let (code, text) = edit(&shell, "echo >> \"$1\"");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("nothing was changed: the payload is the same"), "{text}");
    assert_eq!(server.digest(), before);
    let (code, text) = edit(&shell, "echo '{\"n\": 1e400}' > \"$1\"");
    assert_eq!(code, Some(0), "{text}");
    let data: Vec<u8> = redis::cmd("HGET").arg("bull:mail:f1").arg("data").query(&mut server.client()).unwrap();
    assert_eq!(data, b"{\"n\": 1e400}", "the bytes that were typed, without the end of the line");
}
