//! Texts with placeholders, `{data.url}`, that are filled from a job. Parsed once, at the start, so that a wrong name is
//! found before a job is taken.

use std::fmt;

use super::problem::nearest;

/// What a placeholder may begin with. Which of them are known depends on where the text is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// The job's id.
    Id,
    /// Its name or type.
    Name,
    /// The address of its queue.
    Queue,
    /// Which attempt this is, from 1.
    Attempt,
    /// Attempts allowed in all.
    Attempts,
    /// The job's data, or a field of it: `data.user.name`, `data.files.0`.
    Data,
    /// The whole job, as it is given to a program on its standard input.
    Job,
    /// An environment variable of qtop: `env.API_TOKEN`.
    Env,
    /// What became of an attempt: `processing`, `delivered`, `retrying` or `failed`.
    Status,
    /// Why an attempt did not succeed; empty if it did.
    Error,
}

impl Root {
    const ALL: [(Self, &'static str); 10] = [
        (Self::Id, "id"),
        (Self::Name, "name"),
        (Self::Queue, "queue"),
        (Self::Attempt, "attempt"),
        (Self::Attempts, "attempts"),
        (Self::Data, "data"),
        (Self::Job, "job"),
        (Self::Env, "env"),
        (Self::Status, "status"),
        (Self::Error, "error"),
    ];

    /// As it is written.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(root, _)| *root == self).map_or("", |(_, word)| word)
    }
}

/// What an argument of a program may be filled with.
pub const ARGUMENT: &[Root] = &[Root::Id, Root::Name, Root::Queue, Root::Attempt, Root::Attempts, Root::Data];
/// What the address of a delivery may be filled with.
pub const URL: &[Root] = ARGUMENT;
/// What a header may be filled with: also secrets from the environment, which never stand in the configuration.
pub const HEADER: &[Root] = &[Root::Id, Root::Name, Root::Queue, Root::Attempt, Root::Attempts, Root::Data, Root::Env];
/// What a body may be filled with.
pub const BODY: &[Root] = &[Root::Id, Root::Name, Root::Queue, Root::Attempt, Root::Attempts, Root::Data, Root::Job];
/// What the body of a status call may be filled with.
pub const STATUS: &[Root] =
    &[Root::Id, Root::Name, Root::Queue, Root::Attempt, Root::Attempts, Root::Data, Root::Status, Root::Error];

/// One placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it begins with.
    pub root: Root,
    /// The steps below the root; empty for the root itself.
    pub path: Vec<String>,
}

impl fmt::Display for Field {
    /// As it is written, braces included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}", self.root.word())?;
        self.path.iter().try_for_each(|step| write!(f, ".{}", step.replace('\\', "\\\\").replace('.', "\\.")))?;
        f.write_str("}")
    }
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Taken as it is.
    Text(String),
    /// To be filled in.
    Field(Field),
}

/// A parsed text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Template {
    parts: Vec<Part>,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace that is not closed, or not opened.
    #[error("a single {0} stands for nothing; write {0}{0} for the character itself")]
    Brace(char),
    /// Nothing between the braces.
    #[error("{{}} names nothing; {choices}")]
    Empty {
        /// What could stand there.
        choices: String,
    },
    /// A root that is not known here.
    #[error("there is no {{{name}}} here; {remedy}")]
    Unknown {
        /// As written.
        name: String,
        /// A similar one, or all of them.
        remedy: String,
    },
    /// A field of something that has none.
    #[error("{{{root}}} has no fields; write {{{root}}} alone")]
    NoFields {
        /// The root.
        root: &'static str,
    },
    /// The environment as a whole.
    #[error("name the variable: {{env.NAME}}")]
    NoVariable,
}

impl Template {
    /// Parses a text in which `{root}` and `{root.step.step}` are placeholders; `{{` and `}}` are braces. A dot inside
    /// a step is written `\.`.
    ///
    /// # Errors
    /// Says what is wrong and what would be right; `roots` are the ones known where the text is used.
    pub fn parse(text: &str, roots: &[Root]) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = rest[at..].chars().next().unwrap_or('{');
            let after = &rest[at + 1..];
            if after.starts_with(brace) {
                literal.push(brace);
                rest = &after[1..];
                continue;
            }
            let end = after.find(['{', '}']).filter(|end| brace == '{' && after[*end..].starts_with('}'));
            let end = end.ok_or(TemplateError::Brace(brace))?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Field(field(after[..end].trim(), roots)?));
            rest = &after[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// Its pieces in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its placeholders in order.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(field) => Some(field),
            Part::Text(_) => None,
        })
    }

    /// The placeholder, if the text is nothing but one.
    pub fn sole(&self) -> Option<&Field> {
        match self.parts.as_slice() {
            [Part::Field(field)] => Some(field),
            _ => None,
        }
    }

    /// The same text with some placeholders filled in for good: those for which `fill` has an answer.
    ///
    /// # Errors
    /// The first one of `fill`.
    pub fn settle<E>(&self, fill: impl Fn(&Field) -> Result<Option<String>, E>) -> Result<Self, E> {
        let settle = |part: &Part| match part {
            Part::Field(field) => Ok(fill(field)?.map_or_else(|| part.clone(), Part::Text)),
            Part::Text(_) => Ok(part.clone()),
        };
        let parts = self.parts.iter().map(settle).collect::<Result<Vec<_>, E>>()?;
        Ok(Self { parts })
    }

    /// The text, if there is no placeholder in it.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

fn field(name: &str, roots: &[Root]) -> Result<Field, TemplateError> {
    let words: Vec<&'static str> = roots.iter().map(|root| root.word()).collect();
    let choices =
        || format!("there are {}", words.iter().map(|word| format!("{{{word}}}")).collect::<Vec<_>>().join(", "));
    if name.is_empty() {
        return Err(TemplateError::Empty { choices: choices() });
    }
    let mut steps = super::described::split_path(name);
    let first = steps.remove(0);
    let Some(root) = roots.iter().copied().find(|root| root.word() == first) else {
        let remedy = match nearest(&first, words.iter().copied()) {
            Some(near) => format!("did you mean {{{}}}?", [near, &name[first.len().min(name.len())..]].concat()),
            None => choices(),
        };
        return Err(TemplateError::Unknown { name: name.to_owned(), remedy });
    };
    match root {
        Root::Env if steps.len() != 1 || steps[0].is_empty() => Err(TemplateError::NoVariable),
        Root::Data | Root::Env => Ok(Field { root, path: steps }),
        _ if steps.is_empty() => Ok(Field { root, path: steps }),
        _ => Err(TemplateError::NoFields { root: root.word() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn data(path: &[&str]) -> Part {
        Part::Field(Field { root: Root::Data, path: path.iter().map(|step| (*step).to_owned()).collect() })
    }

    #[test]
    fn texts_and_placeholders_are_told_apart() {
        let parse = |text: &str| Template::parse(text, ARGUMENT).expect("sound").parts;
        assert_eq!(parse("--url={data.a.0}/x"), [text("--url="), data(&["a", "0"]), text("/x")]);
        assert_eq!(parse("{data}"), [data(&[])]);
        assert_eq!(parse("{ data.a\\.b }"), [data(&["a.b"])]);
        assert_eq!(parse("{{print $1}}"), [text("{print $1}")]);
        assert_eq!(parse(""), []);
        assert_eq!(
            Template::parse("{data.a\\.b}", ARGUMENT).expect("sound").fields().next().expect("one").to_string(),
            "{data.a\\.b}"
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        for (text, said) in [
            ("{dat.url}", "there is no {dat.url} here; did you mean {data.url}?"),
            ("{payload}", "there is no {payload} here; there are {id}, {name}, {queue}, {attempt}, {attempts}, {data}"),
            (
                "{env.TOKEN}",
                "there is no {env.TOKEN} here; there are {id}, {name}, {queue}, {attempt}, {attempts}, {data}",
            ),
            ("{id.x}", "{id} has no fields; write {id} alone"),
            ("{}", "{} names nothing; there are {id}, {name}, {queue}, {attempt}, {attempts}, {data}"),
            ("{data", "a single { stands for nothing; write {{ for the character itself"),
            ("data}", "a single } stands for nothing; write }} for the character itself"),
            ("{a{b}}", "a single { stands for nothing; write {{ for the character itself"),
        ] {
            assert_eq!(Template::parse(text, ARGUMENT).expect_err(text).to_string(), said);
        }
        assert_eq!(Template::parse("{env}", HEADER), Err(TemplateError::NoVariable));
    }

    #[test]
    fn sole_and_literal_texts_are_known() {
        let parse = |text: &str| Template::parse(text, BODY).expect("sound");
        assert_eq!(parse("{job}").sole().map(|field| field.root), Some(Root::Job));
        assert_eq!(parse("x{job}").sole(), None);
        assert_eq!(parse("a{{").literal(), Some("a{"));
        assert_eq!(parse("{id}").literal(), None);
        assert_eq!(parse("").literal(), Some(""));
    }
}
