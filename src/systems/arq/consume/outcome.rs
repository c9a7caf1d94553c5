//! Results in the queue's own serializer, made so that the library reads them: the definition byte for byte, and behind
//! it what became of the job.

use serde_json::Value;

use super::super::blob::Serializer;
use super::super::encode::{self, pack, pickled};
use crate::domain::payload::pickle;

/// What a job ended with.
#[derive(Clone, Debug, PartialEq)]
pub enum Returned {
    /// A value.
    Value(Value),
    /// An exception: module, class, what it is called with.
    Raised(&'static str, &'static str, Option<String>),
}

/// One result, but for the definition.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The try at which it ended.
    pub tries: u32,
    /// What it ended with.
    pub returned: Returned,
    /// When it started and ended, ms.
    pub started: i64,
    /// See there.
    pub finished: i64,
    /// The queue's key.
    pub queue: &'a str,
    /// The job's id.
    pub id: &'a str,
}

impl Outcome<'_> {
    /// The result; `definition` is empty where there was none any more.
    pub fn write(&self, serializer: Serializer, definition: &[u8]) -> Vec<u8> {
        match serializer {
            Serializer::Pickle => self.pickle(definition),
            Serializer::Json => self.json(definition),
            Serializer::Msgpack => self.msgpack(definition),
        }
    }

    fn succeeded(&self) -> bool {
        matches!(self.returned, Returned::Value(_))
    }

    /// What serializers without classes get in the place of an exception: its text.
    fn plain(&self) -> Value {
        match &self.returned {
            Returned::Value(value) => value.clone(),
            Returned::Raised(_, _, Some(message)) => message.clone().into(),
            Returned::Raised(_, class, None) => format!("{class}()").into(),
        }
    }

    fn pickle(&self, definition: &[u8]) -> Vec<u8> {
        let mut out = pickle::with_value(definition, "t", Some(self.tries)).unwrap_or_else(|| {
            let mut base = b"\x80\x04}(".to_vec();
            key(&mut base, "t");
            encode::number(&mut base, i128::from(self.tries));
            key(&mut base, "f");
            encode::text(&mut base, UNKNOWN);
            key(&mut base, "a");
            base.push(b')');
            key(&mut base, "k");
            base.push(b'}');
            key(&mut base, "et");
            encode::number(&mut base, 0);
            base.extend_from_slice(b"u.");
            base
        });
        // The dict is the one value on the stack: instead of ending there, more is put into it, by the same instruction
        // where that is the last.
        out.pop();
        if out.last() == Some(&b'u') {
            out.pop();
        } else {
            out.push(b'(');
        }
        key(&mut out, "s");
        out.push(if self.succeeded() { 0x88 } else { 0x89 });
        key(&mut out, "r");
        match &self.returned {
            Returned::Value(value) => pickled(&mut out, value),
            Returned::Raised(module, class, message) => {
                encode::text(&mut out, module);
                encode::text(&mut out, class);
                out.push(0x93);
                match message {
                    Some(message) => {
                        encode::text(&mut out, message);
                        out.push(0x85);
                    }
                    None => out.push(b')'),
                }
                out.push(b'R');
            }
        }
        for (name, number) in [("st", self.started), ("ft", self.finished)] {
            key(&mut out, name);
            encode::number(&mut out, i128::from(number));
        }
        for (name, value) in [("q", self.queue), ("id", self.id)] {
            key(&mut out, name);
            encode::text(&mut out, value);
        }
        out.extend_from_slice(b"u.");
        out
    }

    fn json(&self, definition: &[u8]) -> Vec<u8> {
        let none = || format!(r#"{{"t": null, "f": "{UNKNOWN}", "a": [], "k": {{}}, "et": 0}}"#).into_bytes();
        let mut out = encode::definition(definition, true).unwrap_or_else(none);
        // It begins with the try, which was forgotten: `{"t": null, …}`.
        let start = format!("{{\"t\": {}", self.tries);
        out.splice(..NULL_TRY, start.into_bytes());
        out.pop();
        let rest = [
            ("s", Value::Bool(self.succeeded())),
            ("r", self.plain()),
            ("st", self.started.into()),
            ("ft", self.finished.into()),
            ("q", self.queue.into()),
            ("id", self.id.into()),
        ];
        for (name, value) in rest {
            out.extend_from_slice(format!(", \"{name}\": {value}").as_bytes());
        }
        out.push(b'}');
        out
    }

    fn msgpack(&self, definition: &[u8]) -> Vec<u8> {
        let none = || b"\x85\xa1t\xc0\xa1f\xa9<unknown>\xa1a\x90\xa1k\x80\xa2et\x00".to_vec();
        let mut out = encode::definition(definition, true).unwrap_or_else(none);
        let mut start = vec![0x8b, 0xa1, b't'];
        let packed = |out: &mut Vec<u8>, value: &Value| pack(out, value).expect("writing to memory does not fail");
        packed(&mut start, &self.tries.into());
        out.splice(..4, start);
        let rest = [
            ("s", Value::Bool(self.succeeded())),
            ("r", self.plain()),
            ("st", self.started.into()),
            ("ft", self.finished.into()),
            ("q", self.queue.into()),
            ("id", self.id.into()),
        ];
        for (name, value) in rest {
            packed(&mut out, &name.into());
            packed(&mut out, &value);
        }
        out
    }
}

/// Function of a job whose definition is gone, as the library calls it.
const UNKNOWN: &str = "<unknown>";
/// Bytes of `{"t": null`.
const NULL_TRY: usize = 10;

/// A short text that can be referred to, as the library's own pickles begin every entry.
fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(&[0x8c, name.len() as u8]);
    out.extend_from_slice(name.as_bytes());
    out.push(0x94);
}

#[cfg(test)]
mod tests {
    use super::super::super::blob::Facts;
    use super::*;

    #[test]
    fn what_is_written_tells_everything_again_in_each_serializer() {
        for serializer in [Serializer::Pickle, Serializer::Msgpack, Serializer::Json] {
            let args = [Value::from(1), "é".into()];
            let definition =
                encode::write(serializer, "send", &args, &serde_json::Map::new(), 1_700_000_000_000).unwrap();
            for (returned, success) in [
                (Returned::Value(serde_json::json!({ "sent": [1, null, 2.5] })), true),
                (Returned::Raised("builtins", "RuntimeError", Some("no route".to_owned())), false),
                (Returned::Raised("asyncio.exceptions", "CancelledError", None), false),
            ] {
                let aborted = matches!(returned, Returned::Raised(_, "CancelledError", _));
                for definition in [definition.as_slice(), b""] {
                    let outcome = Outcome {
                        tries: 70_000,
                        returned: returned.clone(),
                        started: 1_700_000_000_100,
                        finished: 1_700_000_000_200,
                        queue: "arq:queue",
                        id: "7",
                    };
                    let written = outcome.write(serializer, definition);
                    let facts = Facts::read(&written, written.len() as u64, b"");
                    assert_eq!(facts.success, Some(success), "{serializer:?} {returned:?}");
                    assert_eq!(facts.is_aborted(), aborted, "{serializer:?} {facts:?}");
                    assert_eq!(facts.tries, Some(70_000), "{serializer:?}");
                    assert_eq!(facts.started.map(|at| at.0), Some(1_700_000_000_100), "{serializer:?}");
                    assert_eq!(facts.finished.map(|at| at.0), Some(1_700_000_000_200), "{serializer:?}");
                    assert_eq!(facts.queue.as_deref(), Some("arq:queue"), "{serializer:?}");
                    let function = if definition.is_empty() { UNKNOWN } else { "send" };
                    assert_eq!(facts.function.as_deref(), Some(function), "{serializer:?}");
                    // Only its end is read where a result is long.
                    let tail = &written[written.len().saturating_sub(80)..];
                    let ends = Facts::read(&written[..20], written.len() as u64, tail);
                    assert_eq!(ends.finished, facts.finished, "{serializer:?}");
                    if !definition.is_empty() {
                        let again = encode::definition(&written, true).expect("a definition can be made of it again");
                        assert_eq!(again, encode::definition(definition, true).unwrap_or_default(), "{serializer:?}");
                    }
                }
            }
        }
    }
}
