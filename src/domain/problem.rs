//! Problems found in what a person wrote: in a file with line, column and picture, in a variable or in an argument.
//!
//! Pure text. Values that look like secrets are covered before anything is pictured (S8).

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A text with the name under which people know it, usually a path.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TextFile {
    /// Shown in front of line and column.
    pub name: String,
    /// The whole content.
    pub text: String,
}

impl TextFile {
    /// Shorthand.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// Where a problem lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At a place of a file.
    File {
        /// The file's name.
        name: String,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// The file as a whole: it cannot be read, or must not be.
    WholeFile {
        /// The file's name.
        name: String,
    },
    /// An environment variable.
    Variable(String),
    /// A command-line argument.
    Argument(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
            Self::WholeFile { name } => f.write_str(name),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Argument(name) => write!(f, "argument {name}"),
        }
    }
}

/// One thing that is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What would be right, for example `a time such as "2s"`.
    pub expected: Option<String>,
    /// What to do.
    pub remedy: Option<String>,
    /// Several lines that show all of the above around the marked text; without colours.
    pub picture: String,
}

impl Problem {
    /// A problem of `span` (bytes) in `file`.
    pub fn at(file: &TextFile, span: Range<usize>, message: impl Into<String>) -> Self {
        Self::build(file, span, message, None, None)
    }

    /// A problem that has no place inside a text.
    pub fn of(place: Place, message: impl Into<String>) -> Self {
        let mut problem = Self { place, message: message.into(), expected: None, remedy: None, picture: String::new() };
        problem.draw(None);
        problem
    }

    /// Like [`Problem::at`], with what was expected and what to do.
    pub fn build(
        file: &TextFile,
        span: Range<usize>,
        message: impl Into<String>,
        expected: Option<String>,
        remedy: Option<String>,
    ) -> Self {
        let span = clamp(&file.text, span);
        let before = &file.text[..span.start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |start| start.chars().count()) + 1;
        let place = Place::File { name: file.name.clone(), line, column };
        let mut problem = Self { place, message: message.into(), expected, remedy, picture: String::new() };
        problem.draw(Some((file, span)));
        problem
    }

    /// Adds a remedy to a problem without picture of a text.
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        if !matches!(self.place, Place::File { .. }) {
            self.draw(None);
        }
        self
    }

    /// One line: place, message and remedy.
    pub fn line(&self) -> String {
        let mut line = format!("{}: {}", self.place, self.message);
        if let Some(expected) = &self.expected {
            line.push_str("; expected ");
            line.push_str(expected);
        }
        if let Some(remedy) = &self.remedy {
            line.push_str("; ");
            line.push_str(remedy);
        }
        line
    }

    fn draw(&mut self, source: Option<(&TextFile, Range<usize>)>) {
        let Some((file, span)) = source else {
            let remedy = self.remedy.as_deref().map(|remedy| format!("\n  = help: {remedy}")).unwrap_or_default();
            self.picture = format!("error: {}\n --> {}{remedy}", self.message, self.place);
            return;
        };
        let text = cover_secrets(&file.text);
        let label = self.expected.as_ref().map(|expected| format!("expected {expected}"));
        let annotation = AnnotationKind::Primary.span(span).label(label.as_deref());
        let mut report = Level::ERROR
            .primary_title(self.message.as_str())
            .element(Snippet::source(text.as_str()).path(file.name.as_str()).annotation(annotation));
        if let Some(remedy) = &self.remedy {
            report = report.element(Level::HELP.message(remedy.as_str()));
        }
        self.picture = Renderer::plain().render(&[report]);
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.picture)
    }
}

/// Brings a span onto character borders inside the text, and makes it at least one character long where possible.
fn clamp(text: &str, span: Range<usize>) -> Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    // A table's span may reach over many lines; its first line is the place people look for.
    if let Some(length) = text[start..end].find('\n') {
        end = start + length;
    }
    start..end
}

/// Replaces what may be a secret by `*`, byte for byte so that places stay right: the password of every URL, and the
/// value of every setting whose name speaks of a password, secret, token or URL with a login.
pub fn cover_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\n', '\r']);
        let ending = &line[body.len()..];
        out.push_str(&cover_line(body));
        out.push_str(ending);
    }
    out
}

fn cover_line(line: &str) -> String {
    let mut covered: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while let Some(found) = line[from..].find('=') {
        let equals = from + found;
        let name: String = line[..equals].trim_end().chars().rev().take_while(|c| !" {,?&".contains(*c)).collect();
        let name = name.chars().rev().collect::<String>().trim_matches(['"', '\'']).to_ascii_lowercase();
        let indirect = name.ends_with("_env") || name.ends_with("_file");
        if !indirect
            && ["password", "passwd", "secret", "token", "authorization", "cookie", "api-key"]
                .iter()
                .any(|word| name.contains(word))
        {
            // To the end of the line: where the value ends is not certain in a file that may be broken.
            let value = line[equals + 1..].trim_start();
            covered.push(line.len() - value.len()..line.len());
        }
        from = equals + 1;
    }
    let mut from = 0;
    while let Some(found) = line[from..].find("://") {
        let start = from + found + 3;
        let end = start + line[start..].find(['/', '"', '\'', ' ', '?', '#']).unwrap_or(line.len() - start);
        // Up to the last at-sign: a password written without escapes may contain one, and also a slash.
        let stop = line[start..].find(['"', '\'', ' ']).map_or(line.len(), |length| start + length);
        if let Some(at) = line[start..stop].rfind('@') {
            let user = line[start..start + at].find(':').map_or(start, |colon| start + colon + 1);
            covered.push(user..start + at);
        }
        from = end.max(start);
    }
    if covered.is_empty() {
        return line.to_owned();
    }
    let hidden = |index: usize| covered.iter().any(|range| range.contains(&index));
    let mut out = String::with_capacity(line.len());
    for (index, character) in line.char_indices() {
        if hidden(index) {
            out.extend(std::iter::repeat_n('*', character.len_utf8()));
        } else {
            out.push(character);
        }
    }
    out
}

/// The name of `known` that is most like `name`, if any is alike enough to be a slip of the finger.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let length = name.chars().count();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance < length && *distance <= 1 + candidate.chars().count().min(length) / 4
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_not_bytes() {
        let file = TextFile::new("a.toml", "x = 1\ny = \"ä\" z\n");
        let at = file.text.find('z').expect("z is there");
        let problem = Problem::at(&file, at..at + 1, "odd");
        assert_eq!(problem.place, Place::File { name: "a.toml".into(), line: 2, column: 9 });
        assert!(problem.picture.contains("a.toml:2:9"), "{}", problem.picture);
    }

    #[test]
    fn odd_spans_do_not_break_the_picture() {
        let file = TextFile::new("a", "ä\nb");
        for start in 0..6 {
            for end in 0..9 {
                let problem = Problem::at(&file, start..end, "odd");
                assert!(!problem.picture.is_empty());
            }
        }
        Problem::at(&TextFile::new("empty", ""), 0..0, "odd");
    }

    #[test]
    fn s8_pictures_show_no_secret() {
        for line in [
            r#"url = "redis://me:s3cret@host:1/0""#,
            r#"url = "redis://:s3cret@host""#,
            r#"url = "redis://me:s3/cret@x@host""#,
            r#"url = "redis://s3cret@host""#,
            r#"password = "s3cret""#,
            r#"  "password" = 's3cret' # s3cret"#,
            r#"token="s3cret"#,
            r#"url = "redis://h?db=1&password=s3cret&x=1""#,
            r#"server.x = { url = "redis://b", password = "s3cret" }"#,
            r#"server.x = { url = "redis://a:s3cret@b", insecure = 1 }"#,
        ] {
            let file = TextFile::new("config.toml", format!("a = 1\n{line}\n"));
            let problem = Problem::at(&file, 8..9, "odd");
            assert!(!problem.picture.contains("cret"), "{}", problem.picture);
            assert_eq!(cover_secrets(&file.text).len(), file.text.len());
        }
        let kept = "password_env = \"PW\"\nurl = \"redis://host/@home\"";
        assert!(cover_secrets(kept).contains("PW"));
    }

    #[test]
    fn nearest_finds_slips_and_nothing_else() {
        let known = ["interval", "max_interval", "budget"];
        assert_eq!(nearest("intervall", known), Some("interval"));
        assert_eq!(nearest("maxinterval", known), Some("max_interval"));
        assert_eq!(nearest("Budgte", known), Some("budget"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", ["a"]), None, "one letter is no slip");
    }
}
