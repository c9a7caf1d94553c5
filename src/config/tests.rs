use std::collections::BTreeSet;

use super::*;
use crate::domain::problem::TextFile;

fn read(text: &str) -> Result<Config, ConfigProblems> {
    parse(&TextFile::new("config.toml", text), &Known::default())
}

/// Names of all settings of a TOML text, dotted, also those inside lists of tables.
fn names(text: &str) -> BTreeSet<String> {
    fn collect(table: &toml::Table, at: &str, names: &mut BTreeSet<String>) {
        for (key, value) in table {
            let name = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            match value {
                toml::Value::Table(table) => collect(table, &name, names),
                _ => {
                    names.insert(name);
                }
            }
        }
    }
    let mut all = BTreeSet::new();
    collect(&text.parse().expect("TOML"), "", &mut all);
    all
}

#[test]
fn the_example_shows_exactly_the_defaults() {
    assert_eq!(read(EXAMPLE).expect("the example is sound"), Config::default());
    let written = toml::to_string(&Config::default()).expect("writes");
    assert_eq!(names(EXAMPLE), names(&written), "every setting with a default stands in the example, and no other");
}

/// The example with its commented settings switched on.
fn uncommented() -> String {
    let is_setting = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    EXAMPLE
        .lines()
        .map(|line| if is_setting(line) { &line[1..] } else { line })
        .map(|line| if line.starts_with("url_file") || line.starts_with("password_file") { "" } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_examples_in_comments_are_sound_too() {
    let config = read(&uncommented()).map_err(|problems| problems.to_string()).expect("sound");
    assert_eq!(config.servers.len(), 2);
    assert_eq!((config.lists.len(), config.conventions.len(), config.include.len()), (1, 1, 1));
    assert_eq!(config.keys["refresh.now"], Chords(vec!["ctrl-r".into()]));
}

#[test]
fn every_setting_of_a_server_stands_in_the_example() {
    let all = Server {
        url: Some(ServerUrl::new("redis://h")),
        url_env: Some(String::new()),
        url_file: Some("f".into()),
        username: Some(String::new()),
        password_env: Some(String::new()),
        password_file: Some("f".into()),
        db: Some(0),
        ca: Some("f".into()),
        cert: Some("f".into()),
        key: Some("f".into()),
        server_name: Some(String::new()),
        insecure: true,
        env: Some(String::new()),
        read_only: Some(true),
        password: None,
        missing: None,
    };
    for name in names(&toml::to_string(&all).expect("writes")) {
        assert!(EXAMPLE.contains(&format!("\n#{name} = ")), "the example does not show {name}");
    }
}

#[test]
fn every_setting_of_the_example_is_explained() {
    let mut before = "";
    for line in EXAMPLE.lines() {
        let code = line.trim_start_matches('#');
        let is_setting = !line.starts_with("# ") && code.contains(" = ");
        let explained = before.starts_with("# ") || before.starts_with('[') || before.starts_with("#[[");
        let in_list = matches!(code.split(" = ").next(), Some("key" | "name"));
        assert!(!is_setting || explained || in_list, "not explained: {line}");
        if !line.is_empty() {
            before = line;
        }
    }
}

#[test]
fn s8_printing_masks_secrets_and_can_be_read_back() {
    let text = "[server.a]\nurl = \"redis://me:s3cret@h\"\n[server.b]\nurl_env = \"X\"\n[keys]\n\"a.b\" = [\"x\"]\n";
    let mut config = read(text).expect("sound");
    config.servers.get_mut("b").expect("there").url = Some(ServerUrl::new("redis://:s3cret@h"));
    config.servers.get_mut("b").expect("there").password = Some("s3cret".into());
    let printed = print(&config);
    assert!(printed.contains("redis://me:***@h") && !printed.contains("s3cret"), "{printed}");
    let again = read(&printed).map_err(|problems| problems.to_string()).expect("what is printed can be read");
    assert_eq!(again.keys, config.keys);
    assert!(!format!("{config:?}").contains("s3cret"));
}
