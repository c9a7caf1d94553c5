//! What a program is given and what it may say (issue text: the line protocol), R17.

use qtop::engine::runner::work::{Ending, Stream};

use super::bench::{build, run, run_in, shell, work};

#[tokio::test]
async fn a_command_tells_progress_logs_and_its_result() {
    let script = "echo '::progress 40 extracting'; echo '{\"progress\":80,\"step\":\"packing\"}'; \
                  echo '::log half of it'; echo plain; echo oops >&2; echo '::result {\"files\": 3}'";
    let told = run(&shell(script, ""), "{}").await;
    assert_eq!(told.result(), Some("{\"files\": 3}"));
    let progress: Vec<_> = told.progress().iter().map(|one| (one.percent, one.text.as_deref())).collect();
    assert_eq!(progress, [(Some(40.0), Some("extracting")), (Some(80.0), Some("packing"))]);
    assert_eq!(told.logs(), ["half of it"]);
    assert_eq!((told.output(Stream::Out), told.output(Stream::Err)), (vec!["plain"], vec!["oops"]));
}

#[tokio::test]
async fn arguments_are_filled_from_the_job() {
    let handler = build(
        r#"command = ["printf", "%s\\n", "{id}", "--url={data.url}", "{data.n}", "{name}", "{queue}", "{attempt}/{attempts}", "{{x}}"]"#,
    );
    let told = run(&handler, r#"{"url":"https://h/ ?a=1&b='2'","n":-9223372036854775809}"#).await;
    let lines = ["7", "--url=https://h/ ?a=1&b='2'", "-9223372036854775809", "send", "list:mail", "2/3", "{x}"];
    assert_eq!(told.output(Stream::Out), lines);
}

#[tokio::test]
async fn a_field_that_the_job_lacks_fails_it_for_good() {
    let handler = build(r#"command = ["echo", "{data.url}"]"#);
    let told = run(&handler, r#"{"link":"s3cret"}"#).await;
    assert_eq!(told.failed().message, "{data.url}: the job has no \"url\" there; it has link");
}

#[tokio::test]
async fn r17_data_reaches_the_program_byte_for_byte() {
    let hash = "sha256sum | cut -c1-64";
    let every_byte: Vec<u8> = (0..=255).collect();
    let large = vec![b'x'; 64 << 20];
    for payload in [Vec::new(), b"{\"a\" : 1e400,\n\"a\":2}".to_vec(), every_byte, large] {
        let wanted = {
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), &payload).expect("written");
            let output = std::process::Command::new("sha256sum").arg(file.path()).output().expect("sha256sum runs");
            String::from_utf8_lossy(&output.stdout[..64]).into_owned()
        };
        let size = payload.len();
        let told = run(&shell(hash, "input = \"data\""), payload).await;
        assert_eq!(told.output(Stream::Out), [wanted], "{size} bytes");
    }
}

#[tokio::test]
async fn the_job_comes_as_one_line_of_json() {
    let told = run(&shell("cat", ""), "{\"a\":\n1}").await;
    let line = r#"{"id":"7","name":"send","queue":"list:mail","attempt":2,"attempts":3,"data":{"a": 1}}"#;
    assert_eq!(told.output(Stream::Out), [line]);
    let told = run(&shell("cat; echo end", "input = \"none\""), "{}").await;
    assert_eq!(told.output(Stream::Out), ["end"]);
}

#[tokio::test]
async fn exit_codes_and_messages_decide() {
    let rules = "fail_on = [3, \"REPOSITORY_NOT_FOUND\"]\nretry_on = [\"later\"]\nsuccess_codes = [0, 7]";
    let ending = async |script: &str| run(&shell(script, rules), "{}").await;
    assert_eq!(ending("exit 7").await.ending, Ending::Done { result: None });
    let told = ending("echo no disk >&2; exit 1").await;
    assert!(told.retried().message.ends_with("ended with exit code 1: no disk"), "{:?}", told.ending);
    assert_eq!(told.retried().stack, ["no disk"]);
    assert!(!told.retried().crashed);
    ending("exit 3").await.failed();
    ending("echo later >&2; exit 3").await.retried();
    ending("echo 'REPOSITORY_NOT_FOUND: x' >&2; exit 1").await.failed();
    let told = ending("echo '::error REPOSITORY_NOT_FOUND'; exit 1").await;
    assert_eq!(told.failed().message, "REPOSITORY_NOT_FOUND", "the job's own words, whole");
    assert_eq!(ending("echo '::fail no such user'; exit 1").await.failed().message, "no such user");
    let told = ending("echo '::retry 90s rate limit'; exit 1").await;
    let Ending::Retry { failure, after } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!((failure.message.as_str(), after.map(|after| after.as_secs())), ("rate limit", Some(90)));
    ending("echo '{\"error\":\"said so\"}'; exit 0").await.retried();
}

#[tokio::test]
async fn results_are_bounded_and_said_so() {
    let handler = shell("printf '::result '; head -c 200000 /dev/zero | tr '\\0' x; echo", "max_result = \"64KiB\"");
    let told = run(&handler, "{}").await;
    assert!(told.failed().message.contains("longer than 65536 bytes; raise max_result"), "{:?}", told.failed());
    let handler = shell("printf '::result '; head -c 200000 /dev/zero | tr '\\0' x; echo", "");
    assert_eq!(run(&handler, "{}").await.result().map(str::len), Some(200_002));
}

#[tokio::test]
async fn a_failure_that_was_told_is_never_a_success() {
    let told = run(&shell(r#"echo '{"error":"rate limit","retry":-3}'"#, ""), "{}").await;
    assert_eq!(told.retried().message, "rate limit");
    let told = run(&shell(r#"echo '{"error":{"code":5},"retry":false}'"#, ""), "{}").await;
    assert_eq!(told.failed().message, r#"{"code":5}"#);
    let told = run(&shell(r#"printf '{"error":"caf\351"}\n'"#, ""), "{}").await;
    assert_eq!(told.retried().message, "caf\u{fffd}");
    // An application's own JSON is output, as ever.
    for line in [r#"{"error":null,"data":3}"#, r#"{"done":true,"error":false,"took":3}"#, r#"{"error":null}"#] {
        let told = run(&shell(&format!("echo '{line}'"), ""), "{}").await;
        assert_eq!((told.result(), told.output(Stream::Out)), (None, vec![line]));
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_no_success() {
    let fill = "head -c 200000 /dev/zero | tr '\\0' x";
    for begin in [r#"{"result":""#, r#"{ "id":"7","result":""#, r#"{"error":""#, "::error ", "::fail "] {
        let handler = shell(&format!("printf '%s' '{begin}'; {fill}; echo '\"}}'"), "max_result = \"64KiB\"");
        let told = run(&handler, "{}").await;
        assert!(told.failed().message.contains("longer than 65536 bytes; raise max_result"), "{begin}: {told:?}");
    }
    // What is meant for somebody else may be as long as it likes.
    for begin in [r#"{"rows":""#, "::log ", "plain"] {
        let handler = shell(&format!("printf '%s' '{begin}'; {fill}; echo '\"}}'"), "max_result = \"64KiB\"");
        assert_eq!(run(&handler, "{}").await.result(), None, "{begin}");
    }
}

#[tokio::test]
async fn a_slow_reader_does_not_stop_a_job() {
    let handler = shell("seq 1 20000; echo '::result 1'", "");
    let (room, reader, _) = super::bench::room(None);
    let ending = tokio::time::timeout(std::time::Duration::from_secs(20), handler.handle(&work("{}"), room)).await;
    assert!(matches!(ending, Ok(Ending::Done { result: Some(_) })), "{ending:?}");
    drop(reader);
}

#[tokio::test]
async fn a_reader_that_is_gone_does_not_stop_a_job() {
    let handler = shell("seq 1 2000; echo '::result 1'", "");
    let (room, reader, _) = super::bench::room(None);
    drop(reader);
    let ending = handler.handle(&work("{}"), room).await;
    assert!(matches!(ending, Ending::Done { result: Some(_) }), "{ending:?}");
}

#[tokio::test]
async fn s3_output_is_safe_for_a_terminal() {
    let told = run(&shell("printf '\\033[31mred\\033[0m\\033]0;x\\007\\n10%%\\r20%%\\n'", ""), "{}").await;
    assert_eq!(told.output(Stream::Out), ["red", "10%", "20%"]);
}

#[tokio::test]
async fn a_program_need_not_read_its_job() {
    let told = run_in(&shell("echo '::result 1'", ""), &work(vec![b'x'; 1 << 20]), None).await;
    assert_eq!(told.result(), Some("1"));
}
