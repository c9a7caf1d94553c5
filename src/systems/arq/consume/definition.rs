//! What a definition tells a handler: function and arguments as JSON. Its exact bytes are kept beside, since results
//! repeat them (R22).

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::super::blob::{Serializer, tree};
use super::super::encode;
use crate::domain::payload::{Kind, Limits, packed, pickle};
use crate::domain::time::Timestamp;

/// Largest definition that is read.
pub const MOST_BYTES: u64 = 64 << 20;
/// More than a screen would show, and still bounded.
const LIMITS: Limits = Limits { depth: 64, nodes: 1_000_000, bytes: MOST_BYTES as usize, ratio: 1 };
const KEYS: [&str; 5] = ["t", "f", "a", "k", "et"];

/// A definition, read.
#[derive(Debug)]
pub struct Definition {
    /// In what it is written.
    pub serializer: Serializer,
    /// `f`.
    pub function: String,
    /// `et`.
    pub enqueued: Option<Timestamp>,
    /// Arguments as `{"args":[…],"kwargs":{…}}`.
    pub handed: Bytes,
}

impl Definition {
    /// Reads a whole definition.
    ///
    /// # Errors
    /// Why it cannot be told whole; then nobody may work with it here.
    pub fn read(stored: &[u8]) -> Result<Self, String> {
        if stored.len() as u64 > MOST_BYTES {
            return Err(format!("it has {} bytes", stored.len()));
        }
        let serializer = Serializer::of(stored).ok_or("it is no pickle, MessagePack or JSON")?;
        let [_, function, args, kwargs, enqueued] = parts(serializer, stored)?;
        let function = function.and_then(|text| serde_json::from_str(&text).ok()).ok_or("it names no function")?;
        let (args, kwargs) = (args.unwrap_or_default(), kwargs.unwrap_or_default());
        if !args.starts_with('[') || !kwargs.starts_with('{') {
            return Err("it has no arguments".to_owned());
        }
        let mut handed = Vec::with_capacity(args.len() + kwargs.len() + 20);
        for part in ["{\"args\":", &args, ",\"kwargs\":", &kwargs, "}"] {
            handed.extend_from_slice(part.as_bytes());
        }
        let enqueued = enqueued.and_then(|text| text.parse().ok()).map(Timestamp);
        Ok(Self { serializer, function, enqueued, handed: handed.into() })
    }
}

/// The values of `t f a k et` as JSON.
fn parts(serializer: Serializer, stored: &[u8]) -> Result<[Option<String>; 5], String> {
    let mut found: [Option<String>; 5] = Default::default();
    match serializer {
        Serializer::Pickle => {
            for (slot, value) in found.iter_mut().zip(pickle::values(stored, &KEYS, &LIMITS)?) {
                *slot = value;
            }
        }
        Serializer::Json => {
            let values: HashMap<String, &RawValue> =
                serde_json::from_slice(stored).map_err(|error| format!("it is no JSON object: {error}"))?;
            for (slot, key) in found.iter_mut().zip(KEYS) {
                *slot = values.get(key).map(|raw| raw.get().to_owned());
            }
        }
        Serializer::Msgpack => {
            let entries = encode::entries(stored).ok_or("it is no whole MessagePack map")?;
            for (slot, key) in found.iter_mut().zip(KEYS) {
                let raw = entries.iter().rev().find(|(name, _)| *name == key.as_bytes()).map(|(_, raw)| *raw);
                *slot = raw.map(|raw| packed::value(raw, &LIMITS)).transpose()?;
            }
        }
    }
    Ok(found)
}

/// Function and wished-for try, from the first bytes of a definition; `None`: they do not tell.
pub fn start(head: &[u8], total: u64) -> Option<(String, u64)> {
    let tree = tree(head, total)?;
    let root = tree.root()?;
    let function = root.get("f").filter(|node| node.kind() == Kind::String)?.text().into_owned();
    let tries = root.get("t").and_then(|node| node.text().parse().ok()).unwrap_or(0);
    Some((function, tries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_json_and_the_rest_is_refused_with_a_reason() {
        let json = br#"{"t": null, "f": "send", "a": [1.50, 12345678901234567890123], "k": {"b":1,"a":2}, "et": 5}"#;
        let read = Definition::read(json).unwrap();
        assert_eq!((read.function.as_str(), read.enqueued), ("send", Some(Timestamp(5))));
        let expected = r#"{"args":[1.50, 12345678901234567890123],"kwargs":{"b":1,"a":2}}"#;
        assert_eq!(read.handed, expected, "numbers keep their text");
        for serializer in [Serializer::Pickle, Serializer::Msgpack] {
            let written =
                encode::write(serializer, "send", &[1.into(), "é".into()], &serde_json::Map::new(), 7).unwrap();
            let read = Definition::read(&written).unwrap();
            assert_eq!(read.handed, r#"{"args":[1,"é"],"kwargs":{}}"#, "{serializer:?}");
            assert_eq!(
                start(&written[..30.min(written.len())], 10_000),
                Some(("send".to_owned(), 0)),
                "{serializer:?}"
            );
        }
        for bad in [&b""[..], b"\x1f\x8b", b"{", b"{\"f\":1}", b"\x81\xa1f\xa1x", b"\x80\x04]."] {
            assert!(Definition::read(bad).is_err(), "{bad:?}");
        }
    }
}
