//! Values that are made to harm, and huge ones of every system: the built program reads them under a limit of memory, and
//! under a watch over everything it starts (S6).

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail a test as directly as tests do")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use qtop_testkit::TestServer;

const QTOP: &str = env!("CARGO_BIN_EXE_qtop");

/// The program on this server, behind `wrapper`, with `home` as its folder.
fn qtop(server: &TestServer, home: &Path, wrapper: &[&str], arguments: &[&str]) -> Output {
    let mut command = match wrapper {
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(QTOP);
            command
        }
        [] => Command::new(QTOP),
    };
    command.args(arguments).args(["--url", &server.url()]);
    command.env("HOME", home).env("XDG_STATE_HOME", home.join("state")).env("XDG_CONFIG_HOME", home.join("config"));
    command.current_dir(home).env_remove("REDIS_URL").stdin(Stdio::null()).output().unwrap()
}

fn set(server: &TestServer, key: &str, value: &[u8]) {
    redis::cmd("SET").arg(key).arg(value).exec(&mut server.client()).unwrap();
}

/// A short text as an instruction of a pickle.
fn text(value: &str) -> Vec<u8> {
    [&[b'X'][..], &u32::try_from(value.len()).unwrap().to_le_bytes(), value.as_bytes()].concat()
}

/// A pickled definition whose arguments these instructions push.
fn definition(arguments: &[u8]) -> Vec<u8> {
    let mut out = b"\x80\x04}(".to_vec();
    for (name, value) in [("t", &b"N"[..]), ("f", &text("send")), ("a", arguments), ("k", b"}"), ("et", b"K\x07")] {
        out.extend(text(name));
        out.extend_from_slice(value);
    }
    out.extend_from_slice(b"u.");
    out
}

/// What a pickle can ask Python to do, each time to leave a file behind.
fn attacks() -> Vec<(&'static str, Vec<u8>)> {
    let touch = "touch canary";
    let call = |module: &str, name: &str, argument: &str| {
        [text(module), text(name), b"\x93(".to_vec(), text(argument), b"tR".to_vec()].concat()
    };
    let old = |module: &str, name: &str| format!("c{module}\n{name}\n(S'{touch}'\ntR").into_bytes();
    vec![
        ("system", call("os", "system", touch)),
        ("posix", call("posix", "system", touch)),
        ("popen", call("subprocess", "getoutput", touch)),
        ("eval", call("builtins", "eval", "__import__('os').system('touch canary')")),
        ("exec", call("builtins", "exec", "open('canary', 'w')")),
        ("old", old("os", "system")),
        ("nt", old("nt", "system")),
        // Built by instance, by new object, by state, by persistent id and by extension code.
        ("instance", format!("(S'{touch}'\nios\nsystem\n").into_bytes()),
        ("object", [&b"("[..], b"cos\nsystem\n", &text(touch), b"o"].concat()),
        ("new", [b"cos\nsystem\n(".to_vec(), text(touch), b"t\x81".to_vec()].concat()),
        (
            "state",
            [b"cos\nsystem\n)\x81}(".to_vec(), text("__setstate__"), old("os", "system"), b"ub".to_vec()].concat(),
        ),
        ("persistent", [text(touch), b"Q".to_vec()].concat()),
        ("extension", b"\x82\x01".to_vec()),
        ("reduce chain", [call("builtins", "getattr", "system"), b"(".to_vec(), text(touch), b"tR".to_vec()].concat()),
        ("deep", [b'('; 100_000].to_vec()),
        ("long length", b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec()),
        ("shared", [&b"]"[..], &b"2\x86".repeat(60)].concat()),
    ]
}

#[test]
fn s6_no_pickle_makes_the_program_start_anything() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("calls");
    let probe =
        Command::new("strace").args(["-f", "--seccomp-bpf", "-e", "trace=execve", "-o", "/dev/null", "true"]).output();
    // Where strace is missing or may not watch, only the file that must not appear can be looked for.
    let watched = probe.is_ok_and(|output| output.status.success());
    let log_text = log.display().to_string();
    let wrapper = ["strace", "-f", "--seccomp-bpf", "-e", "trace=execve,execveat", "-o", &log_text];
    let wrapper: &[&str] = if watched { &wrapper } else { &[] };
    let server = TestServer::start();
    for (at, (_, instructions)) in attacks().into_iter().enumerate() {
        let stored = definition(&instructions);
        set(&server, &format!("arq:job:{at}"), &stored);
        server.run(&format!("ZADD arq:queue {} {at}", at + 1));
        let mut result = stored.clone();
        result.truncate(result.len() - 2);
        for (key, value) in [("s", &b"\x89"[..]), ("r", &instructions), ("st", b"K\x01"), ("ft", b"K\x02")] {
            result.extend(text(key));
            result.extend_from_slice(value);
        }
        result.extend_from_slice(b"u.");
        set(&server, &format!("arq:result:r{at}"), &result);
    }
    let count = attacks().len();
    let mut commands: Vec<Vec<String>> = vec![
        vec!["queues".into(), "--json".into()],
        vec!["failures".into(), "--json".into()],
        vec!["jobs".into(), "arq:arq:queue".into(), "--state".into(), "waiting".into(), "--json".into()],
        vec!["jobs".into(), "arq:arq:queue".into(), "--state".into(), "waiting".into(), "--match".into(), "x".into()],
    ];
    // A result holds what the definition held and a value of its own: both are read.
    for id in (0..count).map(|at| format!("r{at}")) {
        commands.push(vec!["job".into(), "arq:arq:queue".into(), id, "--json".into()]);
    }
    let mut told = 0;
    for arguments in &commands {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = qtop(&server, home.path(), wrapper, &words);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1)), "{words:?}: {code:?} {}", String::from_utf8_lossy(&output.stderr));
        told += usize::from(String::from_utf8_lossy(&output.stdout).contains("system"));
        if watched {
            let calls = fs::read_to_string(&log).unwrap();
            let started: Vec<&str> = calls.lines().filter(|line| line.contains("exec")).collect();
            assert_eq!(started.len(), 1, "{words:?} started more than itself: {started:#?}");
        }
    }
    assert!(told > 5, "what they ask for is shown by its name: {told}");
    assert!(!home.path().join("canary").exists() && !Path::new("canary").exists());
}

/// The program with at most so many MiB of data.
fn limited(server: &TestServer, home: &Path, mib: u64, arguments: &[&str]) -> Output {
    let limit = format!("ulimit -d {}; exec \"$@\"", mib * 1024);
    qtop(server, home, &["sh", "-c", &limit, "sh"], arguments)
}

#[test]
fn definitions_and_results_of_64_megabytes_are_read_in_bounded_memory() {
    const SIZE: usize = 64 << 20;
    let home = tempfile::tempdir().unwrap();
    let server = TestServer::start();
    let filling = vec![b'x'; SIZE];
    let ends = |start: &[u8], end: &[u8]| [start, &filling, end].concat();
    let of_pickle = |end: &[u8]| {
        let mut start = b"\x80\x04}(".to_vec();
        start.extend([text("t"), b"N".to_vec(), text("f"), text("send"), text("a"), b"X".to_vec()].concat());
        start.extend_from_slice(&u32::try_from(SIZE).unwrap().to_le_bytes());
        ends(&start, &[&b"\x85"[..], &text("k"), b"}", &text("et"), b"K\x07", end, b"u."].concat())
    };
    let result = [text("s"), b"\x88".to_vec(), text("r"), b"N".to_vec(), text("st"), b"K\x01".to_vec()].concat();
    let packed = |first: &[u8], end: &[u8]| {
        let length = u32::try_from(SIZE).unwrap().to_be_bytes();
        let start = [first, b"\xa1t\xc0\xa1f\xa4send\xa1a\x91\xdb", &length].concat();
        ends(&start, &[&b"\xa1k\x80\xa2et\x07"[..], end].concat())
    };
    let json = |end: &str| {
        let start = br#"{"t": null, "f": "send", "a": [""#;
        ends(start, format!(r#""], "k": {{}}, "et": 7{end}}}"#).as_bytes())
    };
    let values = [
        ("pickle", of_pickle(b""), of_pickle(&result)),
        ("msgpack", packed(b"\x85", b""), packed(b"\x88", b"\xa1s\xc3\xa1r\xc0\xa2st\x01")),
        ("json", json(""), json(r#", "s": true, "r": null, "st": 1"#)),
    ];
    for (at, (name, definition, result)) in values.iter().enumerate() {
        set(&server, &format!("arq:job:{name}"), definition);
        set(&server, &format!("arq:result:done-{name}"), result);
        server.run(&format!("ZADD arq:queue {} {name}", at + 1));
    }
    let mut commands: Vec<Vec<String>> = vec![
        vec!["queues".into(), "--json".into()],
        vec!["jobs".into(), "arq:arq:queue".into(), "--state".into(), "waiting".into(), "--json".into()],
        vec!["jobs".into(), "arq:arq:queue".into(), "--state".into(), "complete".into(), "--json".into()],
    ];
    for name in ["pickle", "msgpack", "json"] {
        for id in [name.to_owned(), format!("done-{name}")] {
            commands.push(vec!["job".into(), "arq:arq:queue".into(), id, "--json".into()]);
        }
    }
    for arguments in &commands {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = limited(&server, home.path(), 150, &words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{words:?}: {:?} {error}", output.status);
        if let ["job", _, id, _] = words.as_slice()
            && !id.starts_with("done")
        {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("send"), "{words:?}: {}", &said[..said.len().min(400)]);
        }
    }
}

/// One command to the server, whose words may be huge.
fn ask(server: &TestServer, words: &[&[u8]]) {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command.exec(&mut server.client()).unwrap();
}

#[test]
fn s6_values_of_64_megabytes_of_every_system_are_shown_and_copied_in_bounded_memory() {
    const SIZE: usize = 64 << 20;
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("config/qtop")).unwrap();
    let lists = "[[list]]\nname = \"plain\"\nkey = \"plain\"\nitem = \"raw\"\n\n[[list]]\nname = \"letters\"\nkey = \"letters\"\n\
                 delayed = { key = \"letters:later\" }\nitem = \"json\"\nfields = { id = \"id\", name = \"kind\", created = \"at\" }\n";
    fs::write(home.path().join("config/qtop/config.toml"), lists).unwrap();
    let server = TestServer::start();
    let huge = |start: &str, end: &str| [start.as_bytes(), &vec![b'x'; SIZE], end.as_bytes()].concat();
    let plain = huge("raw ", "");
    ask(&server, &[b"RPUSH", b"plain", b"small", &plain, b"other"]);
    drop(plain);
    let letter = huge(r#"{"id":"L1","kind":"letter","at":1700000000,"body":""#, r#""}"#);
    ask(&server, &[b"RPUSH", b"letters", &letter]);
    ask(&server, &[b"ZADD", b"letters:later", b"4000000000", &letter]);
    drop(letter);
    let laravel =
        huge(r#"{"uuid":"u-1","displayName":"Send","job":"H@call","attempts":0,"data":{"command":""#, r#""}}"#);
    ask(&server, &[b"RPUSH", b"queues:mail", &laravel]);
    for set in ["delayed", "reserved"] {
        ask(&server, &[b"ZADD", format!("queues:mail:{set}").as_bytes(), b"4000000000", &laravel]);
    }
    drop(laravel);
    let field = huge("", "");
    ask(&server, &[b"XADD", b"events", b"7-0", b"type", b"click", b"image", &field, b"last", b"1"]);
    ask(&server, &[b"XGROUP", b"CREATE", b"events", b"group", b"0"]);
    let data = huge("{\"text\":\"", "\"}");
    ask(&server, &[b"HSET", b"bull:mail:meta", b"version", b"bullmq:5.81.0", b"opts.maxLenEvents", b"10000"]);
    ask(&server, &[b"HSET", b"bull:mail:1", b"name", b"send", b"data", &data, b"opts", b"{}", b"timestamp", b"1"]);
    ask(&server, &[b"LPUSH", b"bull:mail:wait", b"1"]);
    ask(&server, &[b"SET", b"bull:mail:id", b"1"]);
    drop(data);

    // Arguments, and what the answer must hold.
    let all: &[(&[&str], &str)] = &[
        (&["queues", "--json"], "letters"),
        (&["jobs", "list:plain", "--state", "waiting", "--json"], "67108868"),
        (&["jobs", "list:letters", "--state", "waiting", "--json"], "\"L1\""),
        (&["jobs", "list:letters", "--state", "delayed", "--json"], "\"L1\""),
        (&["job", "list:letters", "L1", "--json"], "\"letter\""),
        (&["jobs", "laravel:mail", "--state", "pending", "--json"], "\"u-1\""),
        (&["jobs", "laravel:mail", "--state", "delayed", "--json"], "\"u-1\""),
        (&["jobs", "laravel:mail", "--state", "reserved", "--json"], "\"u-1\""),
        (&["job", "laravel:mail", "u-1", "--json"], "\"Send\""),
        (&["workers", "--json"], "u-1"),
        (&["jobs", "stream:events/group", "--state", "waiting", "--json"], "\"click\""),
        (&["jobs", "stream:events/group", "--state", "waiting", "--match", "absent"], ""),
        (&["job", "stream:events/group", "7-0", "--json"], "left out"),
        (&["jobs", "bullmq:mail", "--state", "waiting", "--json"], "\"send\""),
        (&["job", "bullmq:mail", "1", "--json"], "too large"),
        (&["duplicate", "bullmq:mail", "1", "--yes"], ""),
    ];
    for (words, expected) in all {
        let output = limited(&server, home.path(), 150, words);
        let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let start = &said[..said.len().min(600)];
        assert!(matches!(output.status.code(), Some(0 | 1)), "{words:?}: {:?} {error} {start}", output.status);
        assert!(said.contains(expected), "{words:?}: {error} {start}");
    }
    let copies: u64 = redis::cmd("HSTRLEN").arg("bull:mail:2").arg("data").query(&mut server.client()).unwrap();
    assert_eq!(copies, SIZE as u64 + 11);
}
