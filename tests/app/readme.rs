//! What the README says of keys is true.

use qtop::app::chord::parse_sequence;
use qtop::app::keymap::Lookup;

use super::desk::Desk;

/// What stands between backticks and looks like a key. Names of keys are written large in sentences and small in the
/// configuration; letters mean themselves.
fn keys(text: &str) -> Vec<String> {
    let named = ["Enter", "Esc", "Tab", "Space", "Backspace"];
    let code = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    code.filter_map(|word| match word.chars().count() {
        1 => Some(word.to_owned()),
        _ if named.contains(&word) || word.starts_with("Ctrl-") => Some(word.to_lowercase()),
        _ => None,
    })
    .collect()
}

#[test]
fn every_key_of_the_readme_does_something() {
    let readme = include_str!("../../README.md");
    let keymap = Desk::new(80, 24).state.keymap.clone();
    let found = keys(readme);
    assert!(found.len() > 20, "{found:?}");
    for key in found {
        let chords = parse_sequence(&key).unwrap_or_else(|error| panic!("{key:?} is no key: {error}"));
        assert_ne!(keymap.lookup(&chords), Lookup::Nothing, "{key:?} does nothing");
    }
}
