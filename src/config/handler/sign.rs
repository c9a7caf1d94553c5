//! By what a failure is recognised: numbers and texts.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::domain::address::glob;

/// One entry of `retry_on` or `fail_on`. By hand and not as an untagged enum, which would lose the place of an error in
/// the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// An exit code, or the status of an answer.
    Code(u16),
    /// A text found in the message of the failure; with `*` or `?` in it a glob over the whole message.
    Text(String),
}

impl Sign {
    /// True if a failure of this code and message is meant.
    pub fn fits(&self, code: Option<u16>, message: &str) -> bool {
        match self {
            Self::Code(wanted) => code == Some(*wanted),
            Self::Text(text) if text.contains(['*', '?']) => glob(text, message),
            Self::Text(text) => message.contains(text.as_str()),
        }
    }
}

impl Serialize for Sign {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Code(code) => serializer.serialize_u16(*code),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Sign {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Sign;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an exit code or status such as 75, or a text such as \"REPOSITORY_NOT_FOUND\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Sign, E> {
                let code = u16::try_from(number).ok().filter(|code| *code < 1000);
                code.map(Sign::Code).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Sign, E> {
                match text.trim().is_empty() {
                    true => Err(E::invalid_value(Unexpected::Str(text), &self)),
                    false => Ok(Sign::Text(text.to_owned())),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Statuses of HTTP answers: `204`, or `"2xx"` for a hundred of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// Exactly this one.
    One(u16),
    /// All that begin with this digit.
    Hundred(u16),
}

impl StatusClass {
    /// True if a status is meant.
    pub fn holds(self, status: u16) -> bool {
        match self {
            Self::One(one) => status == one,
            Self::Hundred(digit) => status / 100 == digit,
        }
    }
}

impl Serialize for StatusClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(status) => serializer.serialize_u16(*status),
            Self::Hundred(digit) => serializer.serialize_str(&format!("{digit}xx")),
        }
    }
}

impl<'de> Deserialize<'de> for StatusClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = StatusClass;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status such as 429, or \"5xx\" for all from 500 to 599")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<StatusClass, E> {
                let status = u16::try_from(number).ok().filter(|status| (100..600).contains(status));
                status.map(StatusClass::One).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<StatusClass, E> {
                let digit = text.strip_suffix("xx").and_then(|digit| digit.parse().ok());
                let digit = digit.filter(|digit| (1..=5).contains(digit));
                digit.map(StatusClass::Hundred).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_find_codes_and_texts() {
        let text = |text: &str| Sign::Text(text.to_owned());
        assert!(Sign::Code(75).fits(Some(75), "") && !Sign::Code(75).fits(None, "75"));
        assert!(text("NOT_FOUND").fits(None, "REPOSITORY_NOT_FOUND: x"));
        assert!(!text("not_found").fits(None, "REPOSITORY_NOT_FOUND"));
        assert!(text("*timed out").fits(None, "connection timed out") && !text("*timed out").fits(None, "timed out x"));
    }

    #[test]
    fn statuses_are_read_alone_and_by_hundreds() {
        #[derive(Deserialize)]
        struct Row {
            statuses: Vec<StatusClass>,
        }
        let read = |text: &str| toml::from_str::<Row>(&format!("statuses = {text}")).map(|row| row.statuses);
        assert_eq!(read("[404, \"5xx\"]").expect("sound"), [StatusClass::One(404), StatusClass::Hundred(5)]);
        for bad in ["[99]", "[\"6xx\"]", "[\"xx\"]", "[-1]", "[\"50x\"]", "[true]"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
