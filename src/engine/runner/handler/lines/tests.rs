use super::*;

fn said(text: &str) -> Said {
    read(&Line { bytes: Bytes::copy_from_slice(text.as_bytes()), cut: false })
}

fn progress_of(percent: f64, words: Option<&str>) -> Said {
    Said::Progress(Progress { percent: Some(percent), text: words.map(str::to_owned), ..Progress::default() })
}

fn result(json: &str) -> Said {
    Said::Result { id: None, json: Some(Bytes::copy_from_slice(json.as_bytes())), damaged: false }
}

fn failed(message: &str, again: Again) -> Said {
    Said::Failed { id: None, message: message.to_owned(), stack: Vec::new(), again }
}

#[test]
fn directives_are_read() {
    assert_eq!(said("::progress 40 extracting"), progress_of(40.0, Some("extracting")));
    assert_eq!(said("::progress 140%"), progress_of(100.0, None));
    let steps = Progress { percent: Some(60.0), step: Some(15), total: Some(25), text: Some("extract".into()) };
    assert_eq!(said("::progress 15/25 extract"), Said::Progress(steps));
    assert_eq!(said("::log two  words"), Said::Log("two  words".into()));
    assert_eq!(said("::result {\"a\": 1e400}"), result("{\"a\": 1e400}"));
    assert_eq!(said("::result it's fine"), result("\"it's fine\""));
    assert_eq!(said("::error no disk"), failed("no disk", Again::AsConfigured));
    assert_eq!(said("::fail INVALID"), failed("INVALID", Again::Never));
    assert_eq!(said("::retry 1m 30s later"), failed("30s later", Again::Yes(Some(Duration::from_secs(60)))));
    assert_eq!(said("::retry busy"), failed("busy", Again::Yes(None)));
}

#[test]
fn lines_of_json_say_the_same() {
    assert_eq!(said(r#"{"progress":40,"step":"extracting"}"#), progress_of(40.0, Some("extracting")));
    let steps = Progress { percent: Some(50.0), step: Some(5), total: Some(10), text: None };
    assert_eq!(said(r#"{"step":5,"total":10}"#), Said::Progress(steps));
    assert_eq!(said(r#"{"log":"a"}"#), Said::Log("a".into()));
    assert_eq!(said(r#"{"result":null}"#), result("null"));
    assert_eq!(said(r#"{"result":{"n":9223372036854775808}}"#), result(r#"{"n":9223372036854775808}"#));
    assert_eq!(said(r#"{"done":true}"#), Said::Result { id: None, json: None, damaged: false });
    assert_eq!(said(r#"{"error":"x","retry":false}"#), failed("x", Again::Never));
    assert_eq!(said(r#"{"error":"x","retry":2.5}"#), failed("x", Again::Yes(Some(Duration::from_millis(2500)))));
    assert_eq!(said(r#"{"ready":true}"#), Said::Ready);
    let Said::Failed { id, stack, .. } = said(r#"{"id":"7","error":"x","stack":"a\nb"}"#) else { panic!("a failure") };
    assert_eq!((id.as_deref(), stack), (Some("7"), vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn everything_else_is_output() {
    let others = [
        "progress 40",
        "::unknown 4",
        "::progress much",
        "::progress NaN",
        "::done now",
        "{\"level\":\"info\",\"log\":\"x\"}",
        "{}",
        "{\"progress\":\"x\"}",
        "{\"total\":3}",
        ": :log x",
        "{broken",
    ];
    for text in others {
        assert_eq!(said(text), Said::Output(text.to_owned()), "{text}");
    }
    assert_eq!(
        read(&Line { bytes: Bytes::from_static(b"::result 1"), cut: true }),
        Said::Output("::result 1 … (cut)".into())
    );
}

#[test]
fn s3_output_holds_no_terminal_sequence() {
    for (text, shown) in [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
        ("\u{9b}2Ja\x1b(Bb\x1bcc", "abc"),
        ("a\x1b[31", "a"),
        ("a\x07\x08", "a␇␈"),
        ("a\tb", "a   b"),
        ("\x1b", ""),
    ] {
        assert_eq!(said(text), Said::Output(shown.to_owned()), "{text:?}");
    }
}

async fn all(bytes: &[u8], longest: usize) -> Vec<(String, bool)> {
    let mut lines = Lines::new(bytes, longest);
    let mut found = Vec::new();
    while let Some(line) = lines.next().await.expect("memory can be read") {
        found.push((String::from_utf8_lossy(&line.bytes).into_owned(), line.cut));
    }
    found
}

#[tokio::test]
async fn streams_are_cut_into_lines() {
    let whole = |text: &str| (text.to_owned(), false);
    assert_eq!(all(b"a\nb\r\nc", 0).await, [whole("a"), whole("b"), whole("c")]);
    assert_eq!(all(b"10%\r20%\r\n\n", 0).await, [whole("10%"), whole("20%")]);
    assert_eq!(all(b"", 0).await, []);
}

#[tokio::test]
async fn long_lines_are_cut_and_results_are_not() {
    let long = "x".repeat(LONGEST_OUTPUT * 5);
    let result = format!("::result {}", "y".repeat(LONGEST_OUTPUT * 5));
    let found = all(format!("{long}\n{result}\nz\n{long}").as_bytes(), LONGEST_OUTPUT * 6).await;
    let lengths: Vec<(usize, bool)> = found.iter().map(|(text, cut)| (text.len(), *cut)).collect();
    assert_eq!(lengths, [(LONGEST_OUTPUT, true), (result.len(), false), (1, false), (LONGEST_OUTPUT, true)]);
    let cut = all(format!("{result}\nz").as_bytes(), LONGEST_OUTPUT * 2).await;
    assert_eq!(
        cut.iter().map(|(text, cut)| (text.len(), *cut)).collect::<Vec<_>>(),
        [(LONGEST_OUTPUT * 2, true), (1, false)]
    );
}
