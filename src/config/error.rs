//! What is wrong with a configuration: all problems together, in qtop's words.

use std::fmt;
use std::ops::Range;

use crate::domain::problem::{Problem, TextFile, nearest};

/// All that is wrong with one configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblems(Vec<Problem>);

impl ConfigProblems {
    /// Takes over problems; `None` if there are none.
    pub fn new(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// In the order of the file.
    pub fn all(&self) -> &[Problem] {
        &self.0
    }

    /// One line for a banner: the first problem with its place, and how many more there are.
    pub fn summary(&self) -> String {
        let first = self.0.first().map(Problem::line).unwrap_or_default();
        match self.0.len() {
            0 | 1 => first,
            2 => format!("{first} (and 1 more)"),
            count => format!("{first} (and {} more)", count - 1),
        }
    }
}

impl From<Problem> for ConfigProblems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for ConfigProblems {
    /// Every problem with its picture, an empty line between two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            f.write_str(&problem.picture)?;
        }
        Ok(())
    }
}

/// A problem of the TOML itself.
pub(super) fn explain_syntax(file: &TextFile, span: Range<usize>, message: &str) -> Problem {
    let message = message.trim_end();
    let remedies = [
        ("unquoted key", "put names with other letters into quotes"),
        ("quoted", "put texts into quotes: name = \"text\""),
        ("basic string", "close the text with \""),
        ("literal string", "close the text with '"),
        ("unclosed", "close the bracket"),
        ("duplicate key", "keep one of the two"),
        ("extra key", "settings are written name = value, one a line"),
        ("key with no value", "settings are written name = value, one a line"),
    ];
    let remedy = remedies.iter().find(|(sign, _)| message.contains(sign));
    let remedy = remedy.map_or("see https://toml.io for how TOML is written", |(_, remedy)| remedy);
    Problem::build(file, span, format!("this is not TOML: {message}"), None, Some(remedy.to_owned()))
}

/// A problem of the content, as serde tells it, in words a person can use.
pub(super) fn explain(file: &TextFile, span: Range<usize>, message: &str) -> Problem {
    let message = message.trim_end();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let (name, known) = name_and_choices(rest);
        let remedy = match nearest(name, known.iter().copied()) {
            _ if matches!(name, "password" | "pass" | "passwd") => {
                "keep it out of this file: password_env = \"VARIABLE\" or password_file = \"PATH\"".to_owned()
            }
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "nothing can be set here".to_owned(),
            None => elsewhere(name).unwrap_or_else(|| format!("what can be set here: {}", known.join(", "))),
        };
        return Problem::build(file, span, format!("there is no setting `{name}` here"), None, Some(remedy));
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let (name, known) = name_and_choices(rest);
        let remedy = nearest(name, known.iter().copied()).map(|near| format!("did you mean \"{near}\"?"));
        let choices: Vec<String> = known.iter().map(|choice| format!("\"{choice}\"")).collect();
        let expected = choices.join(", ");
        return Problem::build(file, span, format!("\"{name}\" is not possible here"), Some(expected), remedy);
    }
    if let Some(rest) = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))
        && let Some((given, expected)) = rest.rsplit_once(", expected ")
    {
        let remedy = table_remedy(file, &span, given);
        let expected = Some(wanted(expected)).filter(|_| !given.starts_with("map"));
        return Problem::build(file, span, format!("{} does not fit here", kind(given)), expected, remedy);
    }
    if message == "wanted string or table" {
        let expected = Some("a text in quotes".to_owned());
        return Problem::build(file, span, "this does not fit here", expected, None);
    }
    if let Some(name) = message.strip_prefix("missing field ") {
        let name = name.trim_matches('`');
        let remedy = format!("add {name} = …");
        return Problem::build(file, span, format!("`{name}` is missing here"), None, Some(remedy));
    }
    Problem::build(file, span, message, None, None)
}

/// What to do where a table stands for something else, or something else for a table.
fn table_remedy(file: &TextFile, span: &Range<usize>, given: &str) -> Option<String> {
    let text = file.text.get(span.clone())?;
    if let Some(name) = text.strip_prefix("[[").and_then(|text| text.split(']').next()) {
        return Some(format!("there is one of it only: write [{name}]"));
    }
    if let Some(name) = text.strip_prefix('[').and_then(|text| text.split(']').next())
        && given == "map"
    {
        return Some(format!("there may be several of it: write [[{name}]] for each"));
    }
    if text.trim_start_matches(['"', '\'']).starts_with("redis") {
        return Some("write [server.NAME] and, below it, url = \"…\"".to_owned());
    }
    let before = file.text.get(..span.start)?.trim_end();
    let server = "write default_server = \"NAME\" for the server to start with, [server.NAME] for what it is";
    before.ends_with("server =").then(|| server.to_owned())
}

/// Takes "`a`, expected one of `b`, `c`" apart.
fn name_and_choices(rest: &str) -> (&str, Vec<&str>) {
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let name = quoted.next().unwrap_or_default();
    (name, quoted.collect())
}

/// Where a setting of this name, or one very like it, exists.
fn elsewhere(name: &str) -> Option<String> {
    let mut settings: Vec<(&str, &str)> = Vec::new();
    let mut table = "";
    for line in super::EXAMPLE.lines().map(|line| line.trim_start_matches('#')) {
        if let Some(head) = line.strip_prefix('[') {
            table = head.trim_matches(['[', ']']);
        } else if let Some((key, _)) = line.split_once(" =").filter(|(key, _)| !key.contains(' ')) {
            settings.push((key, if table.starts_with("server.") { "server.NAME" } else { table }));
        }
    }
    let near = nearest(name, settings.iter().map(|(key, _)| *key))?;
    let mut places: Vec<String> = settings
        .iter()
        .filter(|(key, _)| *key == near)
        .map(|(_, table)| if table.is_empty() { "above the first table".to_owned() } else { format!("in [{table}]") })
        .collect();
    places.dedup();
    Some(format!("`{near}` exists {}", places.join(" and ")))
}

/// serde's name for what was given. The value of a text is left out: it may be a secret (S8).
fn kind(given: &str) -> String {
    match given.split_once(' ') {
        Some(("string", _)) => "a text".to_owned(),
        Some(("integer", number)) => format!("the number {}", number.trim_matches('`')),
        Some(("floating", number)) => format!("the number {}", number.trim_start_matches("point ").trim_matches('`')),
        Some(("boolean", value)) => value.trim_matches('`').to_owned(),
        _ => match given {
            "map" => "a table".to_owned(),
            "sequence" => "a list".to_owned(),
            other => other.to_owned(),
        },
    }
}

/// serde's name for what was expected.
fn wanted(expected: &str) -> String {
    match expected {
        "a string" => "a text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list in brackets",
        "a map" => "a table",
        "u16" => "a whole number from 0 to 65535",
        "u8" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i32" | "i64" => "a whole number",
        "f64" => "a number",
        "path string" => "a path in quotes",
        text if text.starts_with("struct ") => "a table",
        other => other,
    }
    .to_owned()
}
