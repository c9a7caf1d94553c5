//! Where a fact lies inside an item: dotted paths with alternatives, and moments with their unit.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::time::Timestamp;

/// One string or several, tried in order. Written as `"id"` or `["id", "job_id"]`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Paths(pub Vec<String>);

impl Paths {
    /// True if nothing is described.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl From<&str> for Paths {
    fn from(path: &str) -> Self {
        Self(vec![path.to_owned()])
    }
}

impl Serialize for Paths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => serializer.serialize_str(one),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Short::<NoTable>(PhantomData)).map(|NoTable(paths)| paths)
    }
}

/// Only the short forms: a table is refused.
struct NoTable(Paths);

impl From<Paths> for NoTable {
    fn from(paths: Paths) -> Self {
        Self(paths)
    }
}

impl<'de> Deserialize<'de> for NoTable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("expected a string or a list of strings"))
    }
}

/// Reads a string or a list of strings as [`Paths`], and anything else as the long form `T`. By hand and not as an
/// untagged enum, which would lose the place of an error in the file.
pub(super) struct Short<T>(pub(super) PhantomData<T>);

impl<'de, T: From<Paths> + Deserialize<'de>> Visitor<'de> for Short<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a list of strings, or a table where one is described")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        Ok(Paths::from(text).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
        let mut paths = Vec::new();
        while let Some(item) = items.next_element()? {
            paths.push(item);
        }
        Ok(Paths(paths).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries))
    }
}

/// How the text at a step of a path is written, if that is to be said: `details|python.to`, `body|base64|json.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "lowercase")]
pub enum Decoder {
    /// JSON.
    Json,
    /// A Python literal, as `repr` writes it.
    Python,
    /// PHP's `serialize`.
    Php,
    /// Python's own format.
    Pickle,
    /// MessagePack.
    Msgpack,
    /// Base64 of something else; what, another decoder says, or it is found out.
    Base64,
}

/// Begins a step that is no name but a decoder; no name in a path begins with it.
const DECODE: char = '\0';

/// The decoder a step stands for; `None`: it is a name. An unknown one is `Err` with its word.
pub fn decoder(step: &str) -> Option<Result<Decoder, &str>> {
    let word = step.strip_prefix(DECODE)?;
    Some(word.parse().map_err(|_| word))
}

/// A step as it is written in a path.
pub fn written(step: &str) -> String {
    match step.strip_prefix(DECODE) {
        Some(word) => format!("|{word}"),
        None => format!(".{}", step.replace('\\', "\\\\").replace('.', "\\.").replace('|', "\\|")),
    }
}

/// Splits a dotted path into its steps; a [`Decoder`] behind a bar is a step, too. A dot or bar that belongs to a name is
/// written `\.` or `\|`, a backslash `\\`.
pub fn split_path(path: &str) -> Vec<String> {
    let mut steps = vec![String::new()];
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        let alone = steps.len() == 1;
        let last = steps.last_mut().expect("there is always one step");
        match c {
            '.' => steps.push(String::new()),
            '|' if alone && last.is_empty() => last.push(DECODE),
            '|' => steps.push(DECODE.to_string()),
            '\\' => last.push(chars.next().unwrap_or('\\')),
            c => last.push(c),
        }
    }
    steps
}

/// How a moment is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// Text is ISO 8601; a number from 10^11 on is milliseconds, a smaller one seconds.
    #[default]
    Auto,
    /// Seconds since the Unix epoch, with or without a fraction.
    S,
    /// Milliseconds since the Unix epoch.
    Ms,
    /// ISO 8601 text; without a zone it is UTC.
    Iso,
}

impl TimeUnit {
    /// Reads a moment from the text of a number or string; `None` if it is not written in this unit.
    pub fn read(self, text: &str) -> Option<Timestamp> {
        let text = text.trim();
        match self {
            Self::Iso => iso(text),
            Self::S => number(text).and_then(|value| millis(value * 1000.0)),
            Self::Ms => number(text).and_then(millis),
            Self::Auto => match number(text) {
                Some(value) if value.abs() >= 1e11 => millis(value),
                Some(value) => millis(value * 1000.0),
                None => iso(text),
            },
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

fn millis(value: f64) -> Option<Timestamp> {
    // The year 200 000 in both directions: beyond that it is no moment but another number.
    (value.abs() < 6.3e15).then_some(Timestamp(value.round() as i64))
}

fn iso(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(moment.as_millisecond()));
    }
    let local = text.parse::<jiff::civil::DateTime>().ok()?;
    let moment = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp(moment.timestamp().as_millisecond()))
}

/// A moment inside an item. Written as `"created_at"`, `["created_at", "ts"]` or `{ path = "ts", unit = "ms" }`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub struct TimeField {
    /// Where it is.
    pub path: Paths,
    /// How it is written.
    pub unit: TimeUnit,
}

impl TimeField {
    /// True if nothing is described.
    pub fn is_empty(&self) -> bool {
        self.path.is_empty()
    }
}

/// The long form of a [`TimeField`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeTable {
    path: Paths,
    #[serde(default)]
    unit: TimeUnit,
}

impl From<Paths> for TimeTable {
    fn from(path: Paths) -> Self {
        Self { path, unit: TimeUnit::Auto }
    }
}

impl<'de> Deserialize<'de> for TimeField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let TimeTable { path, unit } = deserializer.deserialize_any(Short(PhantomData))?;
        Ok(Self { path, unit })
    }
}
