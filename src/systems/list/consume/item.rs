//! Items as the runner sees them: what they tell, and how the outcome of an attempt is written into them.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::facts::{Source, document};
use crate::domain::described::{Fields, ListSpec, Paths, split_path};
use crate::domain::time::Timestamp;

/// What an item or its record tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Name or type.
    pub name: String,
    /// Attempts made, if it counts them itself.
    pub attempts_made: Option<u32>,
    /// Attempts allowed.
    pub attempts: Option<u32>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it may run.
    pub due: Option<Timestamp>,
}

/// Reads an item or a record that is a JSON document; anything else tells nothing.
pub fn told(spec: &ListSpec, bytes: &Bytes) -> Told {
    match document(bytes, bytes.len() as u64) {
        Some(tree) => of(&Source::Document(&tree), &spec.fields),
        None => Told::default(),
    }
}

/// Reads a record that is a hash.
pub fn told_by_hash(spec: &ListSpec, fields: &[(Vec<u8>, Vec<u8>)]) -> Told {
    of(&Source::Hash(fields), &spec.fields)
}

fn of(source: &Source<'_>, fields: &Fields) -> Told {
    let small = |paths: &Paths| source.count(paths).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    Told {
        name: source.text(&fields.name).unwrap_or_default(),
        attempts_made: small(&fields.attempts),
        attempts: small(&fields.attempts_max),
        created_at: source.moment(&fields.created),
        due: source.moment(&fields.due),
    }
}

/// A JSON object whose values stay exactly as they are written.
struct Object(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object, A::Error> {
                let mut object = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    object.push(entry);
                }
                Ok(Object(object))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Something to write into an item.
pub struct Entry<'a> {
    /// Where the description says it lies.
    pub paths: &'a Paths,
    /// Its name where the description names no entry of the object itself; `None`: then it is not written.
    pub otherwise: Option<&'static str>,
    /// What to write.
    pub value: serde_json::Value,
}

/// The item with these entries written into it; all else keeps its bytes. `None` if it is no JSON object, or nothing
/// would be written.
pub fn rewritten(item: &[u8], entries: &[Entry<'_>]) -> Option<Vec<u8>> {
    let mut object: Object = serde_json::from_slice(item).ok()?;
    let mut written = false;
    for entry in entries {
        // Only entries of the object itself: what lies deeper belongs to the application.
        let described = entry.paths.iter().next().map(split_path);
        let name = match (described.as_deref(), entry.otherwise) {
            (Some([name]), _) => name.clone(),
            (_, Some(name)) => name.to_owned(),
            _ => continue,
        };
        let Ok(value) = serde_json::value::to_raw_value(&entry.value) else { continue };
        match object.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => object.0.push((name, value)),
        }
        written = true;
    }
    written.then(|| serde_json::to_vec(&object).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r22_only_what_is_written_changes() {
        let item =
            br#"{"id":"a","n":18446744073709551616.10,"deep":{"attempts":7,"x":1e400},"attempts":1,"u":"\u00e9"}"#;
        let attempts = Paths::from("attempts");
        let error = Paths::default();
        let entries = [
            Entry { paths: &attempts, otherwise: None, value: 2.into() },
            Entry { paths: &error, otherwise: Some("last_error"), value: "no \"route\"".into() },
        ];
        let new = rewritten(item, &entries).expect("an object");
        assert_eq!(
            String::from_utf8(new).expect("text"),
            r#"{"id":"a","n":18446744073709551616.10,"deep":{"attempts":7,"x":1e400},"attempts":2,"u":"\u00e9","last_error":"no \"route\""}"#
        );
        assert_eq!(rewritten(b"not json \xff", &entries), None);
        assert_eq!(rewritten(b"[1]", &entries), None);
        let nothing = [Entry { paths: &error, otherwise: None, value: 1.into() }];
        assert_eq!(rewritten(item, &nothing), None);
    }
}
