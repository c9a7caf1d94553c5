//! Definitions made by qtop: cut out of a result byte for byte, or written anew in a queue's own serializer.

use std::collections::HashMap;

use rmp::encode::{self as packing, ValueWriteError};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::blob::Serializer;
use crate::domain::payload::pickle;

/// Keys of a definition, in the order in which the library writes them.
const KEYS: [&str; 5] = ["t", "f", "a", "k", "et"];

/// The definition inside a result or definition, its arguments byte for byte. `fresh`: the try is forgotten, because
/// the library would go on counting from it and fail a job that had used up its tries at once.
pub fn definition(stored: &[u8], fresh: bool) -> Option<Vec<u8>> {
    match Serializer::of(stored)? {
        Serializer::Pickle => {
            let head = pickle::head_of_map(stored, "s").or_else(|| fresh.then(|| stored.to_vec()))?;
            if fresh { pickle::with_none(&head, "t") } else { Some(head) }
        }
        Serializer::Json => {
            let parts: HashMap<String, &RawValue> = serde_json::from_slice(stored).ok()?;
            if KEYS[1..].iter().any(|key| !parts.contains_key(*key)) {
                return None;
            }
            let part =
                |key: &str| if fresh && key == "t" { "null" } else { parts.get(key).map_or("null", |raw| raw.get()) };
            let fields: Vec<String> = KEYS.iter().map(|key| format!("\"{key}\": {}", part(key))).collect();
            Some(format!("{{{}}}", fields.join(", ")).into_bytes())
        }
        Serializer::Msgpack => {
            let entries = entries(stored)?;
            let mut out = vec![0x85];
            for key in KEYS {
                let value = entries.iter().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| *value);
                out.push(0xa0 | u8::try_from(key.len()).ok()?);
                out.extend_from_slice(key.as_bytes());
                match value {
                    _ if fresh && key == "t" => out.push(0xc0),
                    Some(value) => out.extend_from_slice(value),
                    None => return None,
                }
            }
            Some(out)
        }
    }
}

/// Names and raw values of a MessagePack map.
pub fn entries(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let (count, mut at) = match bytes {
        [first @ 0x80..=0x8f, ..] => (usize::from(first & 0x0f), 1),
        [0xde, high, low, ..] => (usize::from(*high) << 8 | usize::from(*low), 3),
        _ => return None,
    };
    let mut entries = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        let name = at;
        at = skip(bytes, at)?;
        let name = match bytes.get(name)? {
            0xa0..=0xbf => bytes.get(name + 1..at)?,
            0xd9 => bytes.get(name + 2..at)?,
            _ => return None,
        };
        let value = at;
        at = skip(bytes, at)?;
        entries.push((name, bytes.get(value..at)?));
    }
    (at == bytes.len()).then_some(entries)
}

/// The place behind a MessagePack value, without recursion.
fn skip(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut open: u64 = 1;
    while open > 0 {
        open -= 1;
        let first = *bytes.get(at)?;
        at += 1;
        let number = |width: usize, at: usize| {
            let raw = bytes.get(at..at + width)?;
            Some(raw.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte)))
        };
        let (header, body, children) = match first {
            0x80..=0x8f => (0, 0, 2 * u64::from(first & 0x0f)),
            0x90..=0x9f => (0, 0, u64::from(first & 0x0f)),
            0xa0..=0xbf => (0, u64::from(first & 0x1f), 0),
            0xc4 | 0xd9 => (1, number(1, at)?, 0),
            0xc5 | 0xda => (2, number(2, at)?, 0),
            0xc6 | 0xdb => (4, number(4, at)?, 0),
            0xc7 => (1, number(1, at)? + 1, 0),
            0xc8 => (2, number(2, at)? + 1, 0),
            0xc9 => (4, number(4, at)? + 1, 0),
            0xcc | 0xd0 => (0, 1, 0),
            0xcd | 0xd1 => (0, 2, 0),
            0xca | 0xce | 0xd2 => (0, 4, 0),
            0xcb | 0xcf | 0xd3 => (0, 8, 0),
            0xd4..=0xd8 => (0, 1 + (1 << (first - 0xd4)), 0),
            0xdc => (2, 0, number(2, at)?),
            0xdd => (4, 0, number(4, at)?),
            0xde => (2, 0, 2 * number(2, at)?),
            0xdf => (4, 0, 2 * number(4, at)?),
            _ => (0, 0, 0),
        };
        at = at.checked_add(header)?.checked_add(usize::try_from(body).ok()?)?;
        open = open.checked_add(children)?;
        // Every value takes a byte at least: more than there are bytes cannot come.
        if at > bytes.len() || open > bytes.len() as u64 {
            return None;
        }
    }
    Some(at)
}

/// Arguments of a new job: a JSON array is positional, an object names them; `{"args": […], "kwargs": {…}}` is both.
pub fn arguments(data: &[u8]) -> Result<(Vec<Value>, Map<String, Value>), String> {
    let value: Value = serde_json::from_slice(data).map_err(|error| {
        format!("the arguments are no JSON ({error}): give an array of positional ones, or an object of named ones")
    })?;
    match value {
        Value::Array(args) => Ok((args, Map::new())),
        Value::Object(mut map) => {
            let both = !map.is_empty() && map.keys().all(|key| key == "args" || key == "kwargs");
            if !both {
                return Ok((Vec::new(), map));
            }
            let args = map.remove("args").unwrap_or_else(|| Value::Array(Vec::new()));
            let kwargs = map.remove("kwargs").unwrap_or_else(|| Value::Object(Map::new()));
            match (args, kwargs) {
                (Value::Array(args), Value::Object(kwargs)) => Ok((args, kwargs)),
                _ => Err("\"args\" must be an array and \"kwargs\" an object".to_owned()),
            }
        }
        _ => Err("the arguments must be an array of positional ones, or an object of named ones".to_owned()),
    }
}

/// A new definition. `enqueued`: ms since the epoch.
pub fn write(
    serializer: Serializer,
    function: &str,
    args: &[Value],
    kwargs: &Map<String, Value>,
    enqueued: i64,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match serializer {
        Serializer::Json => {
            let value = serde_json::json!({ "t": null, "f": function, "a": args, "k": kwargs, "et": enqueued });
            out = value.to_string().into_bytes();
        }
        Serializer::Msgpack => {
            let failed = |error: &dyn std::fmt::Display| format!("the arguments cannot be written: {error}");
            let value = serde_json::json!({ "t": null, "f": function, "a": args, "k": kwargs, "et": enqueued });
            pack(&mut out, &value).map_err(|error| failed(&error))?;
        }
        Serializer::Pickle => {
            out.extend_from_slice(b"\x80\x04}(");
            text(&mut out, "t");
            out.push(b'N');
            text(&mut out, "f");
            text(&mut out, function);
            text(&mut out, "a");
            out.push(b'(');
            args.iter().for_each(|value| pickled(&mut out, value));
            out.push(b't');
            text(&mut out, "k");
            dict(&mut out, kwargs);
            text(&mut out, "et");
            number(&mut out, i128::from(enqueued));
            out.extend_from_slice(b"u.");
        }
    }
    Ok(out)
}

/// Appends a value as instructions of a pickle.
pub fn pickled(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(b'N'),
        Value::Bool(on) => out.push(if *on { 0x88 } else { 0x89 }),
        Value::Number(value) => match (value.as_i64(), value.as_u64()) {
            (Some(value), _) => number(out, i128::from(value)),
            (None, Some(value)) => number(out, i128::from(value)),
            (None, None) => {
                out.push(b'G');
                out.extend_from_slice(&value.as_f64().unwrap_or(f64::NAN).to_be_bytes());
            }
        },
        Value::String(value) => text(out, value),
        Value::Array(items) => {
            out.extend_from_slice(b"](");
            items.iter().for_each(|item| pickled(out, item));
            out.push(b'e');
        }
        Value::Object(map) => dict(out, map),
    }
}

fn dict(out: &mut Vec<u8>, map: &Map<String, Value>) {
    out.extend_from_slice(b"}(");
    for (key, value) in map {
        text(out, key);
        pickled(out, value);
    }
    out.push(b'u');
}

/// Appends a text as an instruction of a pickle.
pub fn text(out: &mut Vec<u8>, value: &str) {
    out.push(b'X');
    out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(value.as_bytes());
}

/// Appends a whole number as an instruction of a pickle.
pub fn number(out: &mut Vec<u8>, value: i128) {
    match i32::try_from(value) {
        Ok(small) => {
            out.push(b'J');
            out.extend_from_slice(&small.to_le_bytes());
        }
        Err(_) => {
            // Nine bytes hold every 64-bit number with its sign.
            out.extend_from_slice(&[0x8a, 9]);
            out.extend_from_slice(&value.to_le_bytes()[..9]);
        }
    }
}

/// Appends a value as MessagePack.
pub fn pack(out: &mut Vec<u8>, value: &Value) -> Result<(), ValueWriteError> {
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    match value {
        Value::Null => packing::write_nil(out).map_err(ValueWriteError::InvalidMarkerWrite),
        Value::Bool(on) => packing::write_bool(out, *on).map_err(ValueWriteError::InvalidMarkerWrite),
        Value::Number(value) => match (value.as_i64(), value.as_u64()) {
            (Some(value), _) => packing::write_sint(out, value).map(drop),
            (None, Some(value)) => packing::write_uint(out, value).map(drop),
            (None, None) => packing::write_f64(out, value.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(value) => packing::write_str(out, value),
        Value::Array(items) => {
            packing::write_array_len(out, length(items.len()))?;
            items.iter().try_for_each(|item| pack(out, item))
        }
        Value::Object(map) => {
            packing::write_map_len(out, length(map.len()))?;
            map.iter().try_for_each(|(key, item)| {
                packing::write_str(out, key)?;
                pack(out, item)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::blob::Facts;
    use super::*;

    #[test]
    fn what_is_written_is_read_again_in_each_serializer() {
        let data =
            r#"{"args": [1, -70000, 18446744073709551615, 1.5, "é", null, true, {"a": [1]}], "kwargs": {"x": []}}"#;
        let (args, kwargs) = arguments(data.as_bytes()).unwrap();
        for serializer in [Serializer::Pickle, Serializer::Msgpack, Serializer::Json] {
            let written = write(serializer, "send", &args, &kwargs, 1_700_000_000_000).unwrap();
            assert_eq!(Serializer::of(&written), Some(serializer));
            let facts = Facts::read(&written, written.len() as u64, b"");
            assert_eq!(facts.function.as_deref(), Some("send"), "{serializer:?}");
            assert_eq!(facts.enqueued.map(|time| time.0), Some(1_700_000_000_000), "{serializer:?}");
            let tree = super::super::blob::tree(&written, written.len() as u64).unwrap();
            assert_eq!(tree.at(&["a", "2"]).unwrap().text(), "18446744073709551615", "{serializer:?}");
            assert_eq!(tree.at(&["a", "7", "a", "0"]).unwrap().text(), "1", "{serializer:?}");
            if serializer == Serializer::Msgpack {
                assert_eq!(definition(&written, false), Some(written.clone()));
            }
            assert!(definition(&written, true).is_some(), "{serializer:?}");
        }
        assert!(arguments(b"7").is_err());
        assert_eq!(arguments(b"[1]").unwrap().0.len(), 1);
        assert_eq!(arguments(br#"{"to": "ada"}"#).unwrap().1.len(), 1);
    }

    #[test]
    fn r22_a_json_definition_keeps_the_text_of_its_arguments() {
        let result = br#"{"t":6,"f":"x","a":[1.50, 12345678901234567890123],"k":{"b":1,"a":2},"et":5,"s":false,"r":"no","st":1,"ft":2,"q":"q","id":"1"}"#;
        let cut = definition(result, true).unwrap();
        let expected = r#"{"t": null, "f": "x", "a": [1.50, 12345678901234567890123], "k": {"b":1,"a":2}, "et": 5}"#;
        assert_eq!(String::from_utf8(cut).unwrap(), expected);
        assert_eq!(definition(b"{\"f\":1}", true), None);
        assert_eq!(definition(b"\x81\xa1f\xdd\xff\xff\xff\xff", true), None);
    }
}
