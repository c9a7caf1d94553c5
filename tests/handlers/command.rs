//! Where a command runs and with what: S5, S9, its folder and its limits; what is wrong is found at the start.

use std::fs;
use std::path::Path;
use std::time::Duration;

use qtop::engine::runner::work::{Ending, Stream};
use qtop::link::Remedy;

use super::bench::{build, run, settings, shell, surroundings, try_build};

#[tokio::test]
async fn s5_values_of_a_job_are_never_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let canary = folder.path().join("canary");
    let touch = format!("touch {}", canary.display());
    let wraps: [fn(&str) -> String; 20] = [
        |touch| format!("; {touch}"),
        |touch| format!("$({touch})"),
        |touch| format!("`{touch}`"),
        |touch| format!("| {touch}"),
        |touch| format!("|| {touch}"),
        |touch| format!("&& {touch}"),
        |touch| format!("& {touch} &"),
        |touch| format!("\n{touch}\n"),
        |touch| format!("\r\n{touch}"),
        |touch| format!("'; {touch}; '"),
        |touch| format!("\"; {touch}; \""),
        |touch| format!("\\\"; {touch}; #"),
        |touch| format!("${{IFS}}{touch}"),
        |touch| format!("$(({touch}))"),
        |touch| format!("<({touch})"),
        |touch| format!(">({touch})"),
        |touch| format!("!{touch}"),
        |touch| format!("() {{ :; }}; {touch}"),
        |touch| format!("*; {touch}"),
        |touch| format!("$'\\x3b' {touch}"),
    ];
    let ends = ["", " ", "\u{2028}", "\t", "#", "//", "\\", "''", "\"\"", "%0a"];
    let handlers = [
        build(r#"command = ["printf", "%s", "{data.url}"]"#),
        build(r#"command = ["sh", "-c", "printf %s \"$1\"", "sh", "{data.url}"]"#),
    ];
    let mut tried = 0;
    for wrap in wraps {
        for end in ends {
            let value = format!("{end}{}{end}", wrap(&touch));
            let payload = serde_json::json!({ "url": value }).to_string();
            let told = run(&handlers[tried % 2], payload).await;
            assert_eq!(told.ending, Ending::Done { result: None }, "{value:?}");
            assert!(!canary.exists(), "{value:?} was run");
            tried += 1;
        }
    }
    assert_eq!(tried, 200);
}

#[tokio::test]
async fn s5_a_value_is_not_taken_for_an_option() {
    let handler = build(r#"command = ["echo", "{data.url}"]"#);
    let told = run(&handler, r#"{"url":"--upload-pack=x"}"#).await;
    assert!(told.failed().message.contains("put \"--\" before it"), "{:?}", told.failed());
    assert_eq!(run(&handler, r#"{"url":"-5"}"#).await.output(Stream::Out), ["-5"], "a number is none");
    let behind = build(r#"command = ["printf", "%s", "--", "{data.url}"]"#);
    assert!(matches!(run(&behind, r#"{"url":"--x"}"#).await.ending, Ending::Done { .. }));
    let told = run(&handler, "{\"url\":\"a\\u0000b\"}").await;
    assert!(told.failed().message.contains("NUL"), "{:?}", told.failed());
}

#[tokio::test]
async fn s9_a_program_has_only_what_is_allowed() {
    let handler = build("command = [\"env\"]\nenv = { COLOUR = \"blue\" }\npass_env = [\"AWS_SECRET_ACCESS_KEY\"]");
    let told = run(&handler, "{}").await;
    let mut names: Vec<&str> = told.output(Stream::Out).iter().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    let wanted = [
        "AWS_SECRET_ACCESS_KEY",
        "COLOUR",
        "HOME",
        "LANG",
        "PATH",
        "QTOP_ATTEMPT",
        "QTOP_ID",
        "QTOP_NAME",
        "QTOP_QUEUE",
        "TMPDIR",
    ];
    assert_eq!(names, wanted);
    let plain = run(&build("command = [\"env\"]"), "{}").await;
    assert!(!plain.output(Stream::Out).iter().any(|line| line.contains("s3cret")), "{plain:?}");
}

#[tokio::test]
async fn each_job_has_a_folder_of_its_own() {
    let root = tempfile::tempdir().expect("a folder");
    let left = || fs::read_dir(root.path()).expect("readable").count();
    let scratch = format!("scratch = {:?}", root.path());
    let handler = shell("pwd; stat -c %a .; mkdir -p deep/er; echo x > deep/er/file; chmod 500 deep", &scratch);
    let told = run(&handler, "{}").await;
    let output = told.output(Stream::Out);
    assert!(Path::new(output[0]).starts_with(root.path()), "{output:?}");
    assert_eq!(output[1], "700");
    assert_eq!(left(), 0, "removed afterwards");

    let keep = format!("{scratch}\nkeep = \"on_failure\"");
    run(&shell("echo x > file", &keep), "{}").await;
    assert_eq!(left(), 0, "it did not fail");
    let told = run(&shell("echo x > file; exit 1", &keep), "{}").await;
    assert_eq!(left(), 1);
    let kept = told.logs()[0].strip_prefix("the working folder was kept: ").expect("told").to_owned();
    assert_eq!(fs::read_to_string(Path::new(&kept).join("file")).expect("there"), "x\n");
}

#[tokio::test]
async fn limits_hold() {
    let handler = shell("ulimit -d; ulimit -t; ulimit -c; nice", "memory = \"64MiB\"\ncpu = \"7s\"\nnice = 5");
    assert_eq!(run(&handler, "{}").await.output(Stream::Out), ["65536", "7", "0", "5"]);
    let handler = shell("while :; do :; done", "cpu = \"1s\"");
    let told = run(&handler, "{}").await;
    assert!(told.retried().crashed && told.retried().message.contains("more processor time"), "{:?}", told.retried());
}

/// The shell that sets limits loses such names and sets some of its own: then qtop sets them itself.
#[tokio::test]
async fn limits_change_nothing_in_the_environment() {
    for more in ["", "env = { \"a.b\" = \"1\", PWD = \"/x\" }"] {
        let plain = run(&build(&format!("command = [\"env\"]\n{more}")), "{}").await;
        let text = format!("command = [\"env\"]\nmemory = \"512MiB\"\ncpu = \"7s\"\nnice = 1\n{more}");
        let limited = run(&build(&text), "{}").await;
        let of = |told: &super::bench::Told| {
            let lines = told.output(Stream::Out).into_iter().filter(|line| !line.starts_with("TMPDIR="));
            lines.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(of(&plain), of(&limited), "{more}");
        assert_eq!(of(&limited).contains("a.b=1"), !more.is_empty());
    }
    // With arguments from a job, which are no script.
    let handler = build("command = [\"printf\", \"%s\", \"{data.url}\"]\nmemory = \"512MiB\"");
    let told = run(&handler, r#"{"url":"$(id); `id`"}"#).await;
    assert_eq!(told.output(Stream::Out), ["$(id); `id`"]);
}

#[tokio::test]
async fn a_limited_program_that_went_away_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("work");
    fs::copy("/bin/true", &program).expect("copied");
    let handler = build(&format!("command = [{program:?}]\nmemory = \"512MiB\""));
    assert!(matches!(run(&handler, "{}").await.ending, Ending::Done { .. }));
    fs::remove_file(&program).expect("removed");
    let told = run(&handler, "{}").await;
    assert!(told.not_started().contains("work cannot be started: No such file"), "{told:?}");
    // Its own exit code says nothing about its start.
    let told = run(&shell("echo work cannot be started >&2; exit 127", "memory = \"512MiB\""), "{}").await;
    assert!(told.retried().message.contains("exit code 127"), "{told:?}");
}

#[tokio::test]
async fn what_is_wrong_is_found_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data.txt");
    fs::write(&file, "x").expect("written");
    for (text, said) in [
        ("command = [\"no-such-program\"]".to_owned(), "command[0]: there is no program \"no-such-program\" in PATH"),
        ("process = [\"./no/such\"]".to_owned(), "process[0]: the program cannot be run: ./no/such: No such file"),
        (format!("command = [{file:?}]"), "is no executable file"),
        (
            "command = [\"echo\", \"{dta.x}\"]".to_owned(),
            "command[1]: there is no {dta.x} here; did you mean {data.x}?",
        ),
        ("command = [\"echo\"]\nscratch = \"/no/such\"".to_owned(), "scratch: /no/such is no folder"),
        (String::new(), "handler: it runs nothing"),
    ] {
        let error = try_build(&text).expect_err(&text);
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.remedy().is_some() || error.to_string().contains("did you mean"), "{error}");
    }
}

#[tokio::test]
async fn a_program_that_went_away_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("work");
    fs::copy("/bin/true", &program).expect("copied");
    let handler = build(&format!("command = [{program:?}]"));
    assert!(matches!(run(&handler, "{}").await.ending, Ending::Done { .. }));
    fs::remove_file(&program).expect("removed");
    assert!(run(&handler, "{}").await.not_started().contains("cannot be started: No such file"));
    fs::write(&program, "#!/no/such/interpreter\n").expect("written");
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("made executable");
    assert!(run(&handler, "{}").await.not_started().contains("cannot be started: No such file"));
}

/// No folder can be made where it should be: that is no fault of the job either.
#[tokio::test]
async fn a_scratch_folder_that_went_away_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let scratch = folder.path().join("scratch");
    fs::create_dir(&scratch).expect("made");
    for kind in ["command", "process"] {
        let handler = build(&format!("{kind} = [\"cat\"]\nscratch = {scratch:?}"));
        fs::remove_dir(&scratch).expect("removed");
        let told = run(&handler, "{}").await;
        assert!(told.not_started().contains("No such file"), "{kind}: {told:?}");
        fs::create_dir(&scratch).expect("made");
    }
}

/// A deployment writes over the program at the moment a job is to be run.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_being_written_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, text) in [
        "command = [PROGRAM]",
        "command = [PROGRAM]\nmemory = \"512MiB\"",
        "command = [PROGRAM]\nnice = 3",
        "process = [PROGRAM]",
    ]
    .into_iter()
    .enumerate()
    {
        let program = folder.path().join(number.to_string());
        fs::copy("/bin/true", &program).expect("copied");
        let handler = build(&text.replace("PROGRAM", &format!("{program:?}")));
        let writer = || fs::OpenOptions::new().append(true).open(&program).expect("opened");

        let held = writer();
        let release = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(held);
        });
        let told = run(&handler, "{}").await;
        release.await.expect("released");
        // The one that is to take many jobs ends before the first, but it was started.
        let message = format!("{:?}", told.ending);
        let started = message.contains("Done") || message.contains("ended before it answered");
        assert!(started, "{text}: {message}");

        let _held = writer();
        let begun = std::time::Instant::now();
        let told = run(&handler, "{}").await;
        let message = told.not_started();
        assert!(message.contains("open for writing") && message.contains("renaming"), "{text}: {message}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{text}: {:?}", begun.elapsed());
        handler.close().await;
    }
}

#[tokio::test]
async fn an_argument_that_is_too_long_fails_for_good() {
    let handler = build(r#"command = ["true", "{data}"]"#);
    let told = run(&handler, vec![b'x'; 3 << 20]).await;
    assert!(told.failed().message.contains("on its standard input"), "{:?}", told.failed());
}

/// Requirement F13: what qtop adds to a `true` beyond fork and exec. The figure of a release build is in
/// assets/measurements.md; here only that nothing is badly wrong.
#[tokio::test(flavor = "multi_thread")]
async fn f13_a_command_costs_little_more_than_its_start() {
    let handler = qtop::engine::runner::handler::Handler::build(&settings("command = [\"true\"]"), &surroundings());
    let handler = handler.expect("builds");
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    // Without `nice`, which makes it wait for others on a busy machine.
    let limited = "command = [\"true\"]\nmemory = \"512MiB\"\ncpu = \"60s\"";
    let limiting = qtop::engine::runner::handler::Handler::build(&settings(limited), &surroundings()).expect("builds");
    let mut bare = Vec::new();
    let mut handled = Vec::new();
    let mut limited = Vec::new();
    for _ in 0..100 {
        let start = std::time::Instant::now();
        assert!(std::process::Command::new("true").status().expect("runs").success());
        bare.push(start.elapsed());
        let start = std::time::Instant::now();
        run(&handler, "{}").await;
        handled.push(start.elapsed());
        let start = std::time::Instant::now();
        run(&limiting, "{}").await;
        limited.push(start.elapsed());
    }
    let (bare, handled, limited) = (median(bare), median(handled), median(limited));
    println!("bare {bare:?}, handled {handled:?}, limited {limited:?}");
    assert!(limited.saturating_sub(handled) < Duration::from_millis(5), "handled {handled:?}, limited {limited:?}");
    assert!(handled.saturating_sub(bare) < Duration::from_millis(10), "bare {bare:?}, handled {handled:?}");
}
