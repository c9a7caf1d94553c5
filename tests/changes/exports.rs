//! `qtop export` writes what `qtop import` adds again, byte for byte.

use qtop_testkit::TestServer;
use serde_json::{Value, json};

use crate::command_line::Shell;
use crate::scenes::bullmq;

const ODD: &str = "{ \"n\": 18446744073709551616,\n \"x\":1e400, \"n\":2}";

fn filled() -> (TestServer, Shell) {
    let server = TestServer::start();
    bullmq(&server, "6.7.0");
    for (id, data) in [("f1", ODD.as_bytes()), ("f2", b"\xff no json")] {
        redis::cmd("HSET")
            .arg(format!("bull:mail:{id}"))
            .arg("data")
            .arg(data)
            .query::<()>(&mut server.client())
            .unwrap();
    }
    let shell = Shell::at(&server.url());
    (server, shell)
}

fn data(server: &TestServer, id: &str) -> Vec<u8> {
    redis::cmd("HGET").arg(format!("bull:mail:{id}")).arg("data").query(&mut server.client()).unwrap()
}

#[test]
fn what_was_exported_and_removed_comes_back_by_an_import() {
    for format in ["json", "ndjson"] {
        let (server, shell) = filled();
        let file = shell.home.path().join("out");
        let path = file.to_str().unwrap();
        let export = ["export", "mail", "--state", "failed", "--format", format, "--output", path];
        let output = shell.run(&export);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stderr).contains("2 jobs written"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(shell.run(&export).status.code(), Some(2), "never over a file");
        // Still there: their ids are taken, and nothing is added.
        let (code, said) = shell.json(&["import", path, "--yes", "--json"]);
        assert_eq!((code, &said["done"], &said["requested"]), (1, &json!(0), &json!(2)), "{said}");
        assert!(said["refused"][0]["reason"].as_str().unwrap().contains("taken"), "{said}");
        shell.run(&["remove", "mail", "f1", "f2", "--yes"]);
        let before = server.digest();
        let dry = shell.run(&["import", path, "--dry-run"]);
        assert!(String::from_utf8_lossy(&dry.stdout).contains("2 jobs of"), "{dry:?}");
        assert_eq!(server.digest(), before);
        let (code, said) = shell.json(&["import", path, "--yes", "--json"]);
        assert_eq!((code, &said["action"], &said["done"]), (0, &json!("import"), &json!(2)), "{said}");
        assert_eq!((data(&server, "f1"), data(&server, "f2")), (ODD.as_bytes().to_vec(), b"\xff no json".to_vec()));
        assert_eq!(server.int("LLEN bull:mail:wait"), 7);
        let (_, lines) = shell.json(&["audit", "--json"]);
        let imports = lines.as_array().unwrap().iter().filter(|line| line["action"] == "import").count();
        assert_eq!(imports, 4, "two of each run");
    }
}

#[test]
fn new_ids_make_copies_in_another_queue_and_later_jobs_stay_later() {
    let (server, shell) = filled();
    server.run("HSET bull:other:meta version bullmq:6.7.0");
    let output = shell.run(&["export", "mail", "--state", "delayed", "--match", "d"]);
    let file = shell.home.path().join("later");
    std::fs::write(&file, &output.stdout).unwrap();
    let (code, said) = shell.json(&["import", file.to_str().unwrap(), "other", "--new-ids", "--yes", "--json"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(said["created"].as_array().unwrap().len() as i64, server.int("ZCARD bull:other:delayed"));
    let due: f64 = redis::cmd("ZSCORE").arg("bull:other:delayed").arg("1").query(&mut server.client()).unwrap();
    assert!(due / 4096.0 > 3.9e12, "{due}");
}

#[test]
fn csv_is_for_spreadsheets_and_nothing_else() {
    let (_server, shell) = filled();
    let output = shell.run(&["export", "mail", "--state", "failed", "--format", "csv", "--limit", "1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next().unwrap().split(',').count(), 11);
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 jobs written"), "{text}");
    let file = shell.home.path().join("table.csv");
    std::fs::write(&file, &text).unwrap();
    let output = shell.run(&["import", file.to_str().unwrap(), "--yes"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ndjson"));
}

#[test]
fn a_list_is_exported_and_imported_by_its_bytes() {
    let server = TestServer::start();
    crate::scenes::list_seed(&server);
    let shell = Shell::at(&server.url());
    std::fs::create_dir_all(shell.home.path().join(".config/qtop")).unwrap();
    let config = format!("[[list]]\n{}", crate::scenes::LIST.replace("[[heartbeat]]", "[[list.heartbeat]]"));
    std::fs::write(shell.home.path().join(".config/qtop/config.toml"), config).unwrap();
    let output = shell.run(&["export", "audio", "--state", "dead"]);
    let first: Value = serde_json::from_slice(output.stdout.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(first["queue"], "list@:audio");
    let file = shell.home.path().join("dead");
    std::fs::write(&file, &output.stdout).unwrap();
    server.run("DEL audio:dead");
    let (code, said) = shell.json(&["import", file.to_str().unwrap(), "--yes", "--json"]);
    assert_eq!((code, &said["done"]), (0, &json!(2)), "{said}");
    let item: String = redis::cmd("LINDEX").arg("audio:jobs").arg(0).query(&mut server.client()).unwrap();
    assert!(item.starts_with("{\"n\":18446744073709551616,\"id\":\"x"), "{item}");
}

/// An export of so many jobs with whole numbers as ids, which a system never takes over.
fn numbered(count: usize) -> String {
    let job = |n: usize| {
        format!(
            "{{\"id\":\"{n}\",\"queue\":\"bullmq@bull:mail\",\"name\":\"n\",\"run_at\":null,\"priority\":null,\
             \"attempts_max\":null,\"payload\":{{\"n\":{n}}},\"payload_encoding\":\"json\",\"payload_cut\":false}}\n"
        )
    };
    (1..=count).map(job).collect()
}

fn added(server: &TestServer) -> Vec<String> {
    let mut client = server.client();
    let ids: Vec<String> = redis::cmd("LRANGE").arg("bull:mail:wait").arg(0).arg(-1).query(&mut client).unwrap();
    let data = |id: &String| redis::cmd("HGET").arg(format!("bull:mail:{id}")).arg("data").query(&mut client).unwrap();
    let mut found: Vec<String> = ids.iter().map(data).collect();
    found.sort();
    found
}

#[test]
fn r2_an_import_that_was_killed_goes_on_and_adds_nothing_twice() {
    const JOBS: usize = 1_500;
    let server = TestServer::start();
    server.run("HSET bull:mail:meta version bullmq:6.7.0");
    let shell = Shell::at(&server.url());
    let file = shell.home.path().join("jobs.ndjson");
    std::fs::write(&file, numbered(JOBS)).unwrap();
    let path = file.to_str().unwrap();
    let mut in_doubt = 0;
    for stop in [1, 60, 400] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_qtop"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", shell.home.path());
        command.args(["--url", &server.url(), "import", path, "--yes"]);
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        qtop_testkit::wait_until("some jobs", std::time::Duration::from_secs(20), || {
            server.int("LLEN bull:mail:wait") >= stop
        });
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(added(&server).len() < JOBS, "it was killed in the middle");
    let dry = shell.run(&["import", path, "--dry-run"]);
    assert!(String::from_utf8_lossy(&dry.stdout).contains("goes on behind them"), "{dry:?}");
    let (_, said) = shell.json(&["import", path, "--yes", "--json"]);
    for refused in said["refused"].as_array().unwrap() {
        assert!(refused["reason"].as_str().unwrap().contains("look for it"), "{refused}");
        in_doubt += 1;
    }
    // One for each kill at most: all others are known.
    assert!(in_doubt <= 3, "{said}");
    let found = added(&server);
    let mut once = found.clone();
    once.dedup();
    assert_eq!(found, once, "nothing twice");
    assert!((JOBS - in_doubt..=JOBS).contains(&found.len()), "{} of {JOBS}, {in_doubt} in doubt", found.len());
    assert_eq!(std::fs::read_dir(shell.home.path().join(".local/state/qtop/imports")).unwrap().count(), 0);
    // It is over, so the same again is a new import.
    let dry = shell.run(&["import", path, "--dry-run"]);
    assert!(!String::from_utf8_lossy(&dry.stdout).contains("goes on behind them"), "{dry:?}");
}

#[test]
fn an_import_can_begin_anew_after_it_was_interrupted() {
    let server = TestServer::start();
    server.run("HSET bull:mail:meta version bullmq:6.7.0");
    let shell = Shell::at(&server.url());
    let file = shell.home.path().join("jobs.ndjson");
    std::fs::write(&file, numbered(3)).unwrap();
    let path = file.to_str().unwrap();
    // A server that takes no more after the first: the rest is left.
    server.run("CONFIG SET maxmemory 1");
    server.run("CONFIG SET maxmemory-policy noeviction");
    let output = shell.run(&["import", path, "--yes"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("OOM") && text.contains("goes on with the rest"), "{text}");
    server.run("CONFIG SET maxmemory 0");
    let (code, said) = shell.json(&["import", path, "--yes", "--json"]);
    assert_eq!((code, &said["done"]), (0, &json!(3)), "{said}");
    // The first of three is known to have been added; anew, it is added like the others.
    let log = |known: &str| {
        let folder = shell.home.path().join(".local/state/qtop/imports");
        let name = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        std::fs::write(name, known).unwrap();
    };
    for (options, done) in [(&["--new-ids"][..], 2), (&["--new-ids", "--anew"], 3)] {
        server.run("CONFIG SET maxmemory 1");
        shell.run(&["import", path, "--yes", "--new-ids"]);
        server.run("CONFIG SET maxmemory 0");
        log("sending x 0\nadded 0\n");
        let arguments: Vec<&str> = ["import", path, "--yes", "--json"].iter().chain(options).copied().collect();
        let (code, said) = shell.json(&arguments);
        assert_eq!((code, &said["done"]), (0, &json!(done)), "{said}");
    }
}
