//! The key section of the example is that of the action table.

use std::fmt::Write;

use qtop::app::actions::ACTIONS;
use qtop::config::parse;
use qtop::domain::problem::TextFile;

const HEAD: &str = "[keys]\n";

/// The section as the action table makes it.
fn section() -> String {
    let mut section = String::new();
    for spec in ACTIONS {
        let keys: Vec<String> = spec.keys.iter().map(|key| toml::Value::from(*key).to_string()).collect();
        let stop = if spec.title.ends_with('?') { "" } else { "." };
        let _ = writeln!(section, "# {}{stop}\n#\"{}\" = [{}]", spec.title, spec.id.name(), keys.join(", "));
    }
    section
}

#[test]
fn the_example_names_every_action_with_its_keys() {
    let example = qtop::config::EXAMPLE;
    let start = example.find(HEAD).expect("the example has [keys]") + HEAD.len();
    let end = start + example[start..].find("\n\n").expect("another section follows") + 1;
    let written = &example[start..end];
    assert!(
        written == section(),
        "the [keys] section of config.example.toml is not that of the action table; it should be:\n{HEAD}{}",
        section()
    );
}

/// What the example offers is accepted by everybody who has a say: actions, key chords, columns, systems, themes.
#[test]
fn what_the_example_offers_is_accepted_by_the_program() {
    let keys: String = section()
        .lines()
        .filter_map(|line| Some(line.strip_prefix("#\"")?.to_owned()))
        .fold(HEAD.to_owned(), |all, line| all + "\"" + &line + "\n");
    let columns =
        qtop::config::EXAMPLE.lines().find_map(|line| line.strip_prefix("#queues")).expect("columns are shown");
    for text in [keys, format!("[ui.columns]\nqueues{columns}\n"), qtop::config::EXAMPLE.to_owned()] {
        let config = parse(&TextFile::new("config.example.toml", text), &qtop::cli::known());
        assert!(config.is_ok(), "{}", config.expect_err("refused"));
    }
}
