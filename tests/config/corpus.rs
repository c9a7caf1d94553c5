//! Every file under `tests/config/valid` is read without complaint; what is said about those under `invalid` is under
//! snapshot.

use std::fs;
use std::path::{Path, PathBuf};

use qtop::config::{Config, KeyProblem, Known, parse};
use qtop::domain::problem::{Place, TextFile};

fn keys(config: &Config) -> Vec<KeyProblem> {
    let mut problems = Vec::new();
    for (action, chords) in &config.keys {
        for (index, chord) in chords.0.iter().enumerate() {
            if chord.starts_with("hyper") {
                problems.push(KeyProblem {
                    action: action.clone(),
                    chord: Some(index),
                    message: format!("`{chord}` is not a key"),
                    remedy: Some("write it like \"ctrl-x\"".to_owned()),
                });
            }
        }
    }
    problems
}

fn url(text: &str) -> Result<(), String> {
    if text.starts_with("redis") { Ok(()) } else { Err("the URL has an unknown scheme".to_owned()) }
}

pub fn known() -> Known {
    Known {
        actions: vec!["queue.pause", "job.retry", "app.quit"],
        keys: Some(keys),
        systems: vec!["bullmq", "list", "sidekiq", "stream"],
        states: vec!["waiting", "active", "processing", "delayed", "failed", "dead"],
        findings: vec!["no_workers", "growing"],
        columns: vec![("queues", vec!["queue", "waiting", "failed"]), ("jobs", vec!["id", "name"])],
        themes: Some(qtop::theme::names),
        url: Some(url),
    }
}

fn files(folder: &str) -> Vec<(String, TextFile)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(folder);
    let entries = fs::read_dir(&folder).expect("the corpus");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(paths.len() > 5, "the corpus was found");
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let file = TextFile::new(format!("{name}.toml"), fs::read_to_string(&path).expect("text"));
        (name, file)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn good_files_are_read_without_complaint() {
    for (name, file) in files("valid") {
        if let Err(problems) = parse(&file, &known()) {
            panic!("{name}:\n{problems}");
        }
    }
}

#[test]
fn bad_files_are_explained() {
    for (name, file) in files("invalid") {
        let problems = parse(&file, &known()).expect_err(&name);
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.as_str(), problems.to_string());
        });
    }
}

#[test]
fn s8_what_is_said_about_bad_files_holds_no_secret() {
    for (name, file) in files("invalid") {
        let problems = parse(&file, &known()).expect_err(&name);
        let said = format!("{problems}\n{problems:?}\n{}", problems.summary());
        assert!(!said.contains("s3cret"), "{name}: {said}");
    }
}

/// Wherever one word of a good file is broken, the first problem points into that line.
#[test]
fn places_are_those_of_the_slip() {
    let good = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml")).expect("text");
    let mut tried = 0;
    for (index, line) in good.lines().enumerate() {
        let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else { continue };
        for broken in [format!("{key}x = 1"), format!("{key} = {{}}"), format!("{key} = [[]]"), format!("{key} = ")] {
            let mut lines: Vec<&str> = good.lines().collect();
            lines[index] = &broken;
            let file = TextFile::new("config.toml", lines.join("\n"));
            let problems = parse(&file, &known()).expect_err(&broken);
            match &problems.all()[0].place {
                Place::File { line, .. } => assert_eq!(*line, index + 1, "{broken}:\n{problems}"),
                other => panic!("{broken}: {other:?}"),
            }
            assert_eq!(problems.all().len(), 1, "{broken}:\n{problems}");
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried} slips were tried");
}

/// The example with some of its text replaced, as a cat on the keyboard would.
fn mangled() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;

    let example = qtop::config::EXAMPLE.replace("\n#", "\n");
    let snippets = prop_oneof![
        Just("\""),
        Just("["),
        Just("]"),
        Just("="),
        Just("\n"),
        Just("{"),
        Just("."),
        Just("#"),
        Just("'''"),
        Just("é"),
        Just("\u{0}"),
        Just("[[server]]\n"),
        Just("1e400"),
        Just("9999999999999999999999"),
        Just("\"\\uD800\""),
        Just("[ui.columns.x]\n"),
        Just("list = 3\n"),
    ];
    let places = proptest::collection::vec((any::<proptest::sample::Index>(), 0..12_usize, snippets), 1..6);
    places.prop_map(move |places| {
        let mut text: Vec<char> = example.chars().collect();
        for (place, length, snippet) in places {
            let start = place.index(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, snippet.chars());
        }
        text.into_iter().collect()
    })
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_file_is_too_broken_to_be_explained(text in mangled()) {
        let lines = text.lines().count();
        if let Err(problems) = parse(&TextFile::new("config.toml", text), &known()) {
            for problem in problems.all() {
                proptest::prop_assert!(!problem.message.is_empty() && !problem.picture.is_empty());
                if let Place::File { line, column, .. } = problem.place {
                    proptest::prop_assert!((1..=lines + 1).contains(&line) && column >= 1);
                }
            }
        }
    }
}
