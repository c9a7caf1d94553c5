//! Keys and words of commands with places to be filled: `app:job:{id}`. Parsed once, so that a wrong name is found when
//! the configuration is read and not when a job is looked at.

use std::fmt;

use crate::domain::problem::nearest;
use crate::domain::time::Timestamp;

use super::check::unknown_decoder;
use super::field::{split_path, written};

/// What stands in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The job's id.
    Id,
    /// The queue's own name.
    Queue,
    /// Prefix or namespace of its instance.
    Instance,
    /// The payload's exact bytes.
    Item,
    /// A value inside the payload.
    Data(Vec<String>),
    /// The server's clock: seconds.
    Now,
    /// Milliseconds.
    NowMs,
    /// ISO 8601 in UTC.
    NowIso,
}

/// Names as they are written, in the order in which they are told.
const NAMES: &[(&str, Slot)] = &[
    ("id", Slot::Id),
    ("queue", Slot::Queue),
    ("instance", Slot::Instance),
    ("item", Slot::Item),
    ("now", Slot::Now),
    ("now_ms", Slot::NowMs),
    ("now_iso", Slot::NowIso),
];

/// Which slots a text may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// What is known of a row in a list.
    Row,
    /// Also what only an opened job tells.
    Job,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Slot(Slot),
}

/// A parsed text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Slots {
    pieces: Vec<Piece>,
}

/// What slots are filled with.
pub struct Values<'a> {
    /// The job's id.
    pub id: &'a [u8],
    /// The queue's own name.
    pub queue: &'a [u8],
    /// Prefix or namespace.
    pub instance: &'a [u8],
    /// The payload, if the job was opened.
    pub item: Option<&'a [u8]>,
    /// Finds a value inside the payload by its steps.
    pub data: &'a (dyn Fn(&[String]) -> Option<String> + Sync),
    /// The server's clock.
    pub now: Timestamp,
}

impl Slots {
    /// Parses a text in which `{id}` and `{data.user.name}` are slots; `{{` and `}}` are braces, for example of a
    /// cluster's hash tag.
    ///
    /// # Errors
    /// What is wrong and what would be right, for people.
    pub fn parse(text: &str, allowed: Allowed) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = if rest[at..].starts_with('{') { '{' } else { '}' };
            let after = &rest[at + 1..];
            if let Some(next) = after.strip_prefix(brace) {
                literal.push(brace);
                rest = next;
                continue;
            }
            let end = after.find(['{', '}']).filter(|end| brace == '{' && after[*end..].starts_with('}'));
            let Some(end) = end else {
                return Err(format!("a single {brace} stands for nothing; write {brace}{brace} for the sign itself"));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Slot(slot(&after[..end], allowed)?));
            rest = &after[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { pieces })
    }

    /// True if it names this slot.
    pub fn names(&self, slot: &Slot) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Slot(own) if own == slot))
    }

    /// True if only an opened job has what it names.
    pub fn needs_payload(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Slot(Slot::Item | Slot::Data(_))))
    }

    /// The text with everything in its place; the error names the slot for which there is no value.
    ///
    /// # Errors
    /// The slot as it is written.
    pub fn fill(&self, values: &Values<'_>) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Slot(slot) => {
                    let missing = || format!("{{{slot}}}");
                    match slot {
                        Slot::Id => out.extend_from_slice(values.id),
                        Slot::Queue => out.extend_from_slice(values.queue),
                        Slot::Instance => out.extend_from_slice(values.instance),
                        Slot::Item => out.extend_from_slice(values.item.ok_or_else(missing)?),
                        Slot::Data(path) => {
                            out.extend_from_slice((values.data)(path).ok_or_else(missing)?.as_bytes());
                        }
                        Slot::Now => out.extend_from_slice((values.now.0 / 1_000).to_string().as_bytes()),
                        Slot::NowMs => out.extend_from_slice(values.now.0.to_string().as_bytes()),
                        Slot::NowIso => {
                            out.extend_from_slice(values.now.rfc3339().ok_or_else(missing)?.as_bytes());
                        }
                    }
                }
            }
        }
        Ok(out)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(path) => {
                f.write_str("data")?;
                path.iter().try_for_each(|step| f.write_str(&written(step)))
            }
            slot => f.write_str(NAMES.iter().find(|(_, known)| known == slot).map_or("", |(name, _)| name)),
        }
    }
}

fn slot(name: &str, allowed: Allowed) -> Result<Slot, String> {
    let needs_job = |slot: &Slot| matches!(slot, Slot::Item | Slot::Data(_));
    let mut words: Vec<&str> =
        NAMES.iter().filter(|(_, slot)| allowed == Allowed::Job || !needs_job(slot)).map(|(name, _)| *name).collect();
    let (first, rest) = name.split_once('.').unwrap_or((name, ""));
    if allowed == Allowed::Job {
        if first == "data" && !rest.is_empty() {
            let path = split_path(rest);
            unknown_decoder(&path).map_or(Ok(()), Err)?;
            return Ok(Slot::Data(path));
        }
        words.push("data.PATH");
    }
    if let Some((_, slot)) = NAMES.iter().find(|(known, _)| *known == name && words.contains(known)) {
        return Ok(slot.clone());
    }
    if first == "data" || name == "item" {
        return Err(match allowed {
            Allowed::Job => format!("{{{name}}} names no value; write {{data.PATH}}"),
            Allowed::Row => format!("{{{name}}} is known of an opened job only; here there are {}", told(&words)),
        });
    }
    Err(match nearest(first, words.iter().map(|word| word.trim_end_matches(".PATH"))) {
        Some("data") => format!("there is no {{{name}}}; did you mean {{data.PATH}}?"),
        Some(near) => format!("there is no {{{name}}}; did you mean {{{near}}}?"),
        None => format!("there is no {{{name}}}; there are {}", told(&words)),
    })
}

fn told(words: &[&str]) -> String {
    words.iter().map(|word| format!("{{{word}}}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<Vec<u8>, String> {
        let data = |path: &[String]| (path == ["user", "na.me"]).then(|| "eve".to_owned());
        let values = Values {
            id: b"7\xff",
            queue: b"mail",
            instance: b"bull",
            item: None,
            data: &data,
            now: Timestamp(1_700_000_000_123),
        };
        Slots::parse(text, Allowed::Job).expect(text).fill(&values)
    }

    #[test]
    fn s15_places_are_filled_with_exact_bytes() {
        assert_eq!(fill("{instance}:{{{queue}}}:{id}"), Ok(b"bull:{mail}:7\xff".to_vec()));
        assert_eq!(fill("{data.user.na\\.me}@{now}"), Ok(b"eve@1700000000".to_vec()));
        assert_eq!(fill("{now_ms} {now_iso}"), Ok(b"1700000000123 2023-11-14T22:13:20.123Z".to_vec()));
        assert_eq!(fill("{data.user}"), Err("{data.user}".to_owned()));
        assert_eq!(fill("{item}"), Err("{item}".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        for (text, allowed, said) in [
            ("{idd}", Allowed::Row, "there is no {idd}; did you mean {id}?"),
            ("{dta.x}", Allowed::Job, "there is no {dta.x}; did you mean {data.PATH}?"),
            ("{data}", Allowed::Job, "{data} names no value; write {data.PATH}"),
            ("{id", Allowed::Row, "a single { stands for nothing; write {{ for the sign itself"),
            ("id}", Allowed::Row, "a single } stands for nothing; write }} for the sign itself"),
        ] {
            assert_eq!(Slots::parse(text, allowed), Err(said.to_owned()), "{text}");
        }
        let row = Slots::parse("{data.x}", Allowed::Row).expect_err("a row has no data");
        assert!(row.starts_with("{data.x} is known of an opened job only; here there are {id}, {queue}"), "{row}");
    }
}
